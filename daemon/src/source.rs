//! From what a user typed to what a network can fetch.

use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use hexad_api::{Problem, Selection};
use hexad_bittorrent::wire::metainfo::{METAINFO_BYTES_MAX, Metainfo};
use hexad_content::{Digest, Digests, Magnet};
use hexad_core::{Endpoint, Name, Source, What};

use crate::networks::{LINK_SCHEMES, Outside};

/// A usable source.
#[derive(Debug)]
pub(crate) struct Found {
    /// What to call it until it is described.
    pub(crate) name: String,
    /// What a network fetches.
    pub(crate) source: Source,
    /// The files that the source itself asks for (BEP 53); all when empty.
    pub(crate) select: Selection,
}

/// How long the download of a .torrent may take.
const TORRENT_DEADLINE: Duration = Duration::from_secs(60);

/// Reads the .torrent, the link or the address that `text` is; it is to be fetched on the networks `on`. What is far away is asked for as
/// `outside` says.
///
/// # Errors
/// When it is none of them, cannot be read, or is nothing for these networks.
pub(crate) fn find(text: &str, peers: &[String], on: &[&str], outside: &Outside) -> Result<Found, Problem> {
    let peers = peers.iter().map(|peer| endpoint(peer)).collect::<Result<Vec<_>, _>>()?;
    if begins(text, "magnet:") {
        return find_magnet(text, peers, on);
    }
    if let Some((scheme, network)) = LINK_SCHEMES.iter().find(|(scheme, _)| begins(text, scheme)) {
        if !on.contains(network) {
            return Err(Problem::new(format!("a link that begins with {scheme} can only be fetched on {network}"))
                .hint(format!("add --on {network}")));
        }
        return Ok(Found {
            name: text.to_owned(),
            source: Source { what: What::Locator(text.to_owned()), peers },
            select: Selection::default(),
        });
    }
    let (bytes, hint) = if is_address(text) {
        let bytes = hexad_driver::http::get(
            text,
            METAINFO_BYTES_MAX as u64,
            TORRENT_DEADLINE,
            outside.interface.as_deref(),
            outside.proxy.as_ref(),
        )
        .map_err(|wrong| Problem::new(format!("{text}: {}", plain(&wrong))).hint("check the address, and that this machine is online"))?;
        (bytes, "does the address lead to a .torrent, or to a page about one?")
    } else {
        (read_torrent(Path::new(text))?, "is it a .torrent file?")
    };
    let metainfo = parse(text, &bytes, hint)?;
    let name = metainfo.info.layout.name().to_owned();
    Ok(Found { name, source: Source { what: What::Torrent(bytes), peers }, select: Selection::default() })
}

fn find_magnet(text: &str, mut peers: Vec<Endpoint>, on: &[&str]) -> Result<Found, Problem> {
    let example = "a link looks like 'magnet:?xt=urn:btih:' and 40 hex digits; put it in quotes, or the shell cuts it at the first &";
    let magnet: Magnet = text.parse().map_err(|wrong| Problem::new(format!("this magnet link cannot be used: {wrong}")).hint(example))?;
    let info_hash = info_hash_of(&magnet.digests);
    let content_id = magnet.digests.iter().find_map(|digest| if let Digest::Content(id) = digest { Some(id.to_string()) } else { None });
    let owner = magnet.mutable.as_ref().map(ToString::to_string);
    let Some(identity) = info_hash.clone().or(content_id.clone()).or(owner.clone()) else {
        return Err(Problem::new("this magnet link cannot be used: expected an xt=urn:btih: or xt=urn:btmh: name, came only others")
            .hint("ask for a link that names a torrent"));
    };
    if info_hash.is_none() && owner.is_none() && on.iter().all(|network| *network == "bittorrent") {
        return Err(Problem::new(
            "this magnet link cannot be used on BitTorrent: expected an xt=urn:btih: or xt=urn:btmh: name, came only others",
        )
        .hint("urn:hexad: is looked up on other networks: add --on chord or --on napster"));
    }
    peers.extend(magnet.peers.iter().filter_map(|peer| endpoint(peer).ok()));
    let range = |range: &std::ops::RangeInclusive<u32>| format!("{}-{}", range.start(), range.end());
    let patterns: Vec<String> = magnet.selected.iter().map(range).collect();
    // One pattern, so that one that names files beyond the last does no harm beside others.
    let select = Selection { patterns: if patterns.is_empty() { patterns } else { vec![patterns.join(",")] } };
    let name = magnet.name.clone().unwrap_or(identity);
    Ok(Found { name, source: Source { what: What::Magnet(Box::new(magnet)), peers }, select })
}

/// The info hash in hex that a torrent is called by: that of v1, else that of v2.
pub(crate) fn info_hash_of(digests: &Digests) -> Option<String> {
    let v1 = digests.iter().find_map(|digest| if let Digest::TorrentV1(hash) = digest { Some(hash.to_string()) } else { None });
    v1.or_else(|| digests.iter().find_map(|digest| if let Digest::TorrentV2(hash) = digest { Some(hash.to_string()) } else { None }))
}

/// Whether a text is the address of a .torrent.
pub(crate) fn is_address(text: &str) -> bool {
    begins(text, "http://") || begins(text, "https://")
}

/// Whether a text is a link that one network reads.
pub(crate) fn is_link(text: &str) -> bool {
    LINK_SCHEMES.iter().any(|(scheme, _)| begins(text, scheme))
}

fn begins(text: &str, scheme: &str) -> bool {
    text.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme))
}

/// Reads a .torrent that came from `place`; `hint` is for one that is something else.
///
/// # Errors
/// When it is none, or cannot be used.
pub(crate) fn parse(place: &str, bytes: &Bytes, hint: &str) -> Result<Metainfo, Problem> {
    Metainfo::parse(bytes).map_err(|wrong| Problem::new(format!("{place}: {wrong}")).hint(hint))
}

/// The bytes of a .torrent file.
///
/// # Errors
/// When it cannot be read or is too large to be one.
pub(crate) fn read_torrent(path: &Path) -> Result<Bytes, Problem> {
    let shown = path.display();
    let hint = "expected a .torrent file, a magnet: link, or an http(s) address";
    let file = fs::File::open(path).map_err(|wrong| Problem::new(format!("{shown}: {}", plain(&wrong))).hint(hint))?;
    let mut bytes = Vec::new();
    file.take(METAINFO_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|wrong| Problem::new(format!("{shown}: {}", plain(&wrong))).hint(hint))?;
    if bytes.len() > METAINFO_BYTES_MAX {
        return Err(Problem::new(format!("{shown}: expected a .torrent of at most {METAINFO_BYTES_MAX} bytes, came more")).hint(hint));
    }
    Ok(bytes.into())
}

/// What the system says, as the tail of a sentence and without its number.
pub(crate) fn plain(error: &impl std::fmt::Display) -> String {
    let said = error.to_string();
    let words = said.split(" (os error").next().unwrap_or(&said);
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// A sentence without the numbers that the system gives its errors.
pub(crate) fn unnumbered(sentence: &str) -> String {
    let Some((before, after)) = sentence.split_once(" (os error ") else { return sentence.to_owned() };
    let after = after.split_once(')').map_or("", |(_, after)| after);
    format!("{before}{}", unnumbered(after))
}

/// `IP:PORT`, `[v6]:PORT`, `HOST:PORT`, or on our own overlays `KEY@IP:PORT`.
///
/// # Errors
/// When it is none of them.
pub(crate) fn endpoint(text: &str) -> Result<Endpoint, Problem> {
    let wrong = || Problem::new(format!("expected a peer as IP:PORT or HOST:PORT, came '{text}'")).hint("for IPv6 write [::1]:6881");
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return if socket.port() == 0 { Err(wrong()) } else { Ok(Endpoint::Ip(socket)) };
    }
    if let Some((key, socket)) = text.split_once('@') {
        let key = data_encoding::HEXLOWER_PERMISSIVE.decode(key.as_bytes()).ok().and_then(|key| <[u8; 32]>::try_from(key).ok());
        let socket = socket.parse::<SocketAddr>().ok().filter(|socket| socket.port() != 0);
        return key.zip(socket).map(|(key, socket)| Endpoint::Key(key, socket)).ok_or_else(wrong);
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    if port == 0 || host.is_empty() || host.contains(['/', '[', ']', ':', ' ', '@']) {
        return Err(wrong());
    }
    Ok(Endpoint::Name(Name { host: host.to_owned(), port }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_brings_its_peers_and_its_selection() {
        let link = "MAGNET:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn=a+b&x.pe=192.0.2.1:7&x.pe=nonsense&so=0,4-6";
        let found = find(link, &["peer.example:6881".to_owned()], &["bittorrent"], &Outside::default()).unwrap();
        assert_eq!(found.name, "a b");
        assert_eq!(found.select.patterns, ["0-0,4-6"]);
        let peers: Vec<String> = found.source.peers.iter().map(ToString::to_string).collect();
        assert_eq!(peers, ["peer.example:6881", "192.0.2.1:7"]);
    }

    #[test]
    fn errors_of_the_system_lose_their_numbers() {
        assert_eq!(unnumbered("a cannot be made: File exists (os error 17); b"), "a cannot be made: File exists; b");
        assert_eq!(unnumbered("no space is left for a"), "no space is left for a");
    }

    #[test]
    fn a_peer_is_an_address_or_a_name_with_a_port() {
        let keyed = format!("{}@192.0.2.1:7", "0f".repeat(32));
        for good in ["192.0.2.1:6881", "[2001:db8::1]:6881", "peer.example:1", &keyed] {
            assert_eq!(endpoint(good).unwrap().to_string(), good);
        }
        for bad in [
            "192.0.2.1",
            "192.0.2.1:0",
            "peer:0",
            ":6881",
            "2001:db8::1:6881",
            "http://peer:80",
            "peer:66000",
            "",
            "0f@192.0.2.1:7",
            "@192.0.2.1:7",
        ] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }
}
