//! From what a user typed to what a network can fetch.

use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use hexad_api::Problem;
use hexad_bittorrent::wire::metainfo::METAINFO_BYTES_MAX;
use hexad_content::Magnet;
use hexad_core::{Endpoint, Name, Source, What};

/// A usable source.
pub(crate) struct Found {
    /// What to call it until it is described.
    pub(crate) name: String,
    /// What a network fetches.
    pub(crate) source: Source,
}

/// How long the download of a .torrent may take.
const TORRENT_DEADLINE: Duration = Duration::from_secs(60);

/// Reads the .torrent, the link or the address that `text` is.
///
/// # Errors
/// When it is none of them, or cannot be read.
pub(crate) fn find(text: &str, peers: &[String]) -> Result<Found, Problem> {
    let mut peers = peers.iter().map(|peer| endpoint(peer)).collect::<Result<Vec<_>, _>>()?;
    if text.starts_with("magnet:") {
        let magnet: Magnet = text.parse().map_err(|wrong| Problem::new(format!("this magnet link cannot be used: {wrong}")))?;
        peers.extend(magnet.peers.iter().filter_map(|peer| endpoint(peer).ok()));
        let name = magnet.name.clone().unwrap_or_else(|| text.to_owned());
        return Ok(Found { name, source: Source { what: What::Magnet(Box::new(magnet)), peers } });
    }
    let bytes = if text.starts_with("http://") || text.starts_with("https://") {
        hexad_driver::http::get(text, METAINFO_BYTES_MAX as u64, TORRENT_DEADLINE)
            .map_err(|wrong| Problem::new(format!("{text}: {wrong}")).hint("is the address right, and does it lead to a .torrent?"))?
    } else {
        read_torrent(Path::new(text))?
    };
    Ok(Found { name: text.to_owned(), source: Source { what: What::Torrent(bytes), peers } })
}

/// The bytes of a .torrent file.
///
/// # Errors
/// When it cannot be read or is too large to be one.
pub(crate) fn read_torrent(path: &Path) -> Result<bytes::Bytes, Problem> {
    let shown = path.display();
    let file = fs::File::open(path).map_err(|wrong| {
        Problem::new(format!("{shown}: {wrong}")).hint("expected a .torrent file, a magnet: link, or an http(s) address")
    })?;
    let mut bytes = Vec::new();
    file.take(METAINFO_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|wrong| Problem::new(format!("{shown}: {wrong}")))?;
    if bytes.len() > METAINFO_BYTES_MAX {
        return Err(Problem::new(format!("{shown}: expected a .torrent of at most {METAINFO_BYTES_MAX} bytes")));
    }
    Ok(bytes.into())
}

/// `IP:PORT`, `[v6]:PORT` or `HOST:PORT`.
///
/// # Errors
/// When it is none of them.
pub(crate) fn endpoint(text: &str) -> Result<Endpoint, Problem> {
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Ok(Endpoint::Ip(socket));
    }
    let name = text.rsplit_once(':').and_then(|(host, port)| Some(Name { host: host.to_owned(), port: port.parse().ok()? }));
    match name {
        Some(name) if !name.host.is_empty() && !name.host.contains(['/', '[', ']', ':', ' ']) => Ok(Endpoint::Name(name)),
        _ => Err(Problem::new(format!("expected a peer as IP:PORT or HOST:PORT, came '{text}'")).hint("for IPv6 write [::1]:6881")),
    }
}
