//! Announce and scrape over HTTP, both sides: the URL that a client asks for, and the bencoded answer. BEP 3, 7, 21, 23, 24, 31, 48.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use hexad_core::Malformed;

use super::bencode::{self, Out, Strictness, Value};
use super::compact::{self, Family};
use super::{ScrapeCounts, TrackerAnnounce, TrackerEvent};

/// Most peers that are read from one answer.
pub const PEERS_MAX: usize = 2000;
/// Most torrents in one scrape, asked or answered.
pub const SCRAPE_MAX: usize = 2000;
/// Longest text that is taken over from a tracker, bytes.
const TEXT_BYTES_MAX: usize = 1000;

/// The URL of an announce to the tracker at `tracker_url`, which takes the place of [`TrackerAnnounce::url_path`]. `obfuscation`: we speak MSE;
/// `tracker_id`: what the tracker's last answer asked to be told.
#[must_use]
pub fn announce_url(tracker_url: &str, announce: &TrackerAnnounce, obfuscation: bool, tracker_id: Option<&[u8]>) -> String {
    let mut url = begun(tracker_url);
    url.push_str("info_hash=");
    percent_encode(&announce.info_hash, &mut url);
    url.push_str("&peer_id=");
    percent_encode(&announce.peer_id, &mut url);
    let TrackerAnnounce { port, uploaded, downloaded, left, key, .. } = announce;
    url.push_str(&format!("&port={port}&uploaded={uploaded}&downloaded={downloaded}&left={left}&key={key:08X}"));
    if let Some(event) = event_word(announce.event) {
        url.push_str("&event=");
        url.push_str(event);
    }
    if let Some(wanted) = announce.peers_wanted {
        url.push_str(&format!("&numwant={wanted}"));
    }
    url.push_str("&compact=1&no_peer_id=1");
    if obfuscation {
        url.push_str("&supportcrypto=1");
    }
    if let Some(id) = tracker_id {
        url.push_str("&trackerid=");
        percent_encode(id, &mut url);
    }
    url
}

/// The URL of a scrape; `None` when the tracker's URL does not allow one (its last path component does not begin with `announce`). BEP 48.
#[must_use]
pub fn scrape_url(tracker_url: &str, info_hashes: &[[u8; 20]]) -> Option<String> {
    let tracker_url = tracker_url.split('#').next().unwrap_or(tracker_url);
    let path_end = tracker_url.find('?').unwrap_or(tracker_url.len());
    let slash = tracker_url[..path_end].rfind('/')?;
    let rest = tracker_url[slash + 1..].strip_prefix("announce")?;
    let mut url = begun(&format!("{}/scrape{rest}", &tracker_url[..slash]));
    for (at, hash) in info_hashes.iter().enumerate() {
        url.push_str(if at == 0 { "info_hash=" } else { "&info_hash=" });
        percent_encode(hash, &mut url);
    }
    Some(url)
}

/// The tracker's URL, ready for the first parameter.
fn begun(tracker_url: &str) -> String {
    let mut url = tracker_url.split('#').next().unwrap_or(tracker_url).to_owned();
    match url.find('?') {
        None => url.push('?'),
        Some(_) if url.ends_with(['?', '&']) => {}
        Some(_) => url.push('&'),
    }
    url
}

fn event_word(event: TrackerEvent) -> Option<&'static str> {
    match event {
        TrackerEvent::None => None,
        TrackerEvent::Completed => Some("completed"),
        TrackerEvent::Started => Some("started"),
        TrackerEvent::Stopped => Some("stopped"),
    }
}

fn percent_encode(bytes: &[u8], out: &mut String) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b".-_~".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// What a tracker answers to an announce.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnnounceAnswer {
    /// It refuses, and why; nothing else counts then but [`Self::retry_in_s`].
    pub failure: Option<String>,
    /// `retry in`, seconds, of a refusal (BEP 31 counts in minutes); `u64::MAX` for `never`.
    pub retry_in_s: Option<u64>,
    /// It works, but there is something to say.
    pub warning: Option<String>,
    /// Seconds to the next announce.
    pub interval_s: Option<u64>,
    /// Seconds before which no announce is welcome.
    pub interval_min_s: Option<u64>,
    /// To be told again with the next announce.
    pub tracker_id: Option<Bytes>,
    /// Peers that have everything.
    pub seeders: Option<u32>,
    /// Peers that have not.
    pub leechers: Option<u32>,
    /// How often the torrent became complete.
    pub completed: Option<u32>,
    /// Who else is there, of both families.
    pub peers: Vec<SocketAddr>,
    /// Our address as the tracker sees it. BEP 24.
    pub external_ip: Option<IpAddr>,
}

/// Reads the answer to an announce. Of more than [`PEERS_MAX`] peers the rest is left out, and so is a peer that is named by its host.
///
/// # Errors
/// When it is not a bencoded dictionary.
pub fn read_announce(body: &[u8]) -> Result<AnnounceAnswer, Malformed> {
    let tree = bencode::parse_prefix(body, Strictness::Lenient)?.0;
    let top = tree.root();
    if top.entries().is_none() {
        return Err(Malformed::at(0, "expected a dictionary"));
    }
    let count = |key: &str| top.get(key).and_then(Value::number::<u32>);
    if let Some(failure) = top.get("failure reason").and_then(text) {
        return Ok(AnnounceAnswer {
            failure: Some(failure),
            retry_in_s: top.get("retry in").and_then(retry_in_s),
            ..AnnounceAnswer::default()
        });
    }
    let mut peers = Vec::new();
    if let Some(value) = top.get("peers") {
        match (value.bytes(), value.list()) {
            (Some(bytes), _) => peers.extend(compact::peers(bytes, Family::V4).take(PEERS_MAX)),
            (_, Some(list)) => peers.extend(list.filter_map(read_peer).take(PEERS_MAX)),
            _ => {}
        }
    }
    if let Some(bytes) = top.get("peers6").and_then(Value::bytes) {
        peers.extend(compact::peers(bytes, Family::V6).take(PEERS_MAX - peers.len()));
    }
    Ok(AnnounceAnswer {
        failure: None,
        retry_in_s: None,
        warning: top.get("warning message").and_then(text),
        interval_s: top.get("interval").and_then(Value::number),
        interval_min_s: top.get("min interval").and_then(Value::number),
        tracker_id: top.get("tracker id").and_then(Value::bytes).filter(|id| id.len() <= TEXT_BYTES_MAX).map(Bytes::copy_from_slice),
        seeders: count("complete"),
        leechers: count("incomplete"),
        completed: count("downloaded"),
        peers,
        external_ip: top.get("external ip").and_then(Value::bytes).and_then(compact::ip),
    })
}

/// BEP 31: minutes, or `never`.
fn retry_in_s(value: Value<'_>) -> Option<u64> {
    match value.number::<u64>() {
        Some(minutes) => Some(minutes.saturating_mul(60)),
        None if value.bytes() == Some(b"never") => Some(u64::MAX),
        None => value.text_within(20)?.parse::<u64>().ok().map(|minutes| minutes.saturating_mul(60)),
    }
}

fn read_peer(peer: Value<'_>) -> Option<SocketAddr> {
    let port: u16 = peer.get("port")?.number()?;
    Some(SocketAddr::new(read_ip(peer.get("ip")?.bytes()?)?, port))
}

fn read_ip(text: &[u8]) -> Option<IpAddr> {
    let ip: IpAddr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(ip.to_canonical())
}

fn text(value: Value<'_>) -> Option<String> {
    value.text_within(TEXT_BYTES_MAX)
}

/// Reads the answer to a scrape, at most [`SCRAPE_MAX`] torrents of it. A refusal is an error with the tracker's words.
///
/// # Errors
/// When it is not a bencoded dictionary with `files`, or says `failure reason`.
pub fn read_scrape(body: &[u8]) -> Result<Vec<([u8; 20], ScrapeCounts)>, Malformed> {
    let tree = bencode::parse_prefix(body, Strictness::Lenient)?.0;
    let top = tree.root();
    if let Some(reason) = top.get("failure reason").and_then(text) {
        return Err(Malformed::at(0, format!("refused: {reason}")));
    }
    let files = top.get("files").and_then(Value::entries).ok_or_else(|| Malformed::at(0, "expected 'files'"))?;
    let read = |(key, value): (&[u8], Value<'_>)| {
        let count = |key: &str| value.get(key).and_then(Value::number::<u32>).unwrap_or(0);
        let counts = ScrapeCounts { seeders: count("complete"), completed: count("downloaded"), leechers: count("incomplete") };
        Some((key.try_into().ok()?, counts))
    };
    Ok(files.filter_map(read).take(SCRAPE_MAX).collect())
}

/// What a tracker is asked by an announce, as it reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnounceQuery {
    /// Which torrent.
    pub info_hash: [u8; 20],
    /// Who.
    pub peer_id: [u8; 20],
    /// Where it listens.
    pub port: u16,
    /// Bytes sent since `started`.
    pub uploaded: u64,
    /// Bytes received since `started`.
    pub downloaded: u64,
    /// Bytes still wanted; 0 for a seed. A client that does not say is counted as one that wants something.
    pub left: u64,
    /// Why. `paused` (BEP 21) and words that are not known count as [`TrackerEvent::None`].
    pub event: TrackerEvent,
    /// A partial seed: `event=paused`. BEP 21.
    pub paused: bool,
    /// Recognises a peer whose address changes; its bytes as they came.
    pub key: Option<Bytes>,
    /// `numwant`; `None` leaves it to the tracker.
    pub peers_wanted: Option<u32>,
    /// The answer may be compact; only `compact=0` says that it must not.
    pub compact: bool,
    /// The long answer may leave peer ids out.
    pub no_peer_id: bool,
    /// `ip`, as an address. A tracker believes it only from its own network.
    pub ip: Option<IpAddr>,
}

/// Reads the query of an announce: what stands behind the `?`.
///
/// # Errors
/// When it does not name one torrent, a peer id and a port.
pub fn parse_announce(query: &str) -> Result<AnnounceQuery, Malformed> {
    let mut info_hash = None;
    let mut peer_id = None;
    let mut port = None;
    let mut read = AnnounceQuery {
        info_hash: [0; 20],
        peer_id: [0; 20],
        port: 0,
        uploaded: 0,
        downloaded: 0,
        left: u64::MAX,
        event: TrackerEvent::None,
        paused: false,
        key: None,
        peers_wanted: None,
        compact: true,
        no_peer_id: false,
        ip: None,
    };
    for (key, value) in parameters(query) {
        let number = || value.parse::<u64>().ok();
        match key {
            "info_hash" if info_hash.is_none() => info_hash = Some(hash(value)?),
            "info_hash" => return Err(Malformed::at(0, "expected one info_hash, came several")),
            "peer_id" => peer_id = Some(hash(value).map_err(|_| Malformed::at(0, "expected a peer_id of 20 bytes"))?),
            "port" => port = Some(value.parse::<u16>().map_err(|_| Malformed::at(0, "expected a port of 0 to 65535"))?),
            "uploaded" => read.uploaded = number().unwrap_or(0),
            "downloaded" => read.downloaded = number().unwrap_or(0),
            "left" => read.left = number().unwrap_or(u64::MAX),
            "event" => {
                read.paused = value == "paused";
                read.event = match value {
                    "started" => TrackerEvent::Started,
                    "stopped" => TrackerEvent::Stopped,
                    "completed" => TrackerEvent::Completed,
                    _ => TrackerEvent::None,
                };
            }
            "key" => read.key = percent_decode(value, 64).map(Bytes::from),
            "numwant" => read.peers_wanted = value.parse::<u32>().ok(),
            "compact" => read.compact = value != "0",
            "no_peer_id" => read.no_peer_id = value != "0",
            "ip" => read.ip = percent_decode(value, 64).and_then(|text| read_ip(&text)),
            _ => {}
        }
    }
    read.info_hash = info_hash.ok_or_else(|| Malformed::at(0, "expected info_hash"))?;
    read.peer_id = peer_id.ok_or_else(|| Malformed::at(0, "expected peer_id"))?;
    read.port = port.ok_or_else(|| Malformed::at(0, "expected port"))?;
    Ok(read)
}

/// Reads the query of a scrape: what stands behind the `?`. No info hash means all torrents.
///
/// # Errors
/// When an info hash is not 20 bytes, or there are more than [`SCRAPE_MAX`].
pub fn parse_scrape(query: &str) -> Result<Vec<[u8; 20]>, Malformed> {
    let hashes = parameters(query)
        .filter(|(key, _)| *key == "info_hash")
        .map(|(_, value)| hash(value))
        .take(SCRAPE_MAX + 1)
        .collect::<Result<Vec<_>, _>>()?;
    if hashes.len() > SCRAPE_MAX {
        return Err(Malformed::at(0, format!("more than {SCRAPE_MAX} info hashes")));
    }
    Ok(hashes)
}

fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn hash(value: &str) -> Result<[u8; 20], Malformed> {
    percent_decode(value, 20).and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| Malformed::at(0, "expected an info_hash of 20 bytes"))
}

/// The bytes of a percent-encoded value; `None` when it is more than `bytes_max`, or an escape is broken.
fn percent_decode(value: &str, bytes_max: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes_max.min(value.len()));
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if out.len() == bytes_max {
            return None;
        }
        let digit = |byte: u8| (byte as char).to_digit(16);
        out.push(match byte {
            b'%' => u8::try_from(digit(rest.next()?)? << 4 | digit(rest.next()?)?).ok()?,
            b'+' => b' ',
            byte => byte,
        });
    }
    Some(out)
}

/// The answer to an announce, as a tracker sends it. In the compact form both families are told (BEP 7); the long form is what
/// `compact=0` asks for, without peer ids, which we do not keep.
#[must_use]
pub fn write_announce(answer: &AnnounceAnswer, compact: bool) -> Vec<u8> {
    if let Some(failure) = &answer.failure {
        let retry =
            answer.retry_in_s.map(|seconds| if seconds == u64::MAX { Out::text("never") } else { Out::count(seconds.div_ceil(60)) });
        return Out::dict([("failure reason", Some(Out::text(failure))), ("retry in", retry)]).encode();
    }
    let of_family = |family| Out::Bytes(compact::write_peers(&answer.peers, family));
    let long = |peer: &SocketAddr| {
        Out::dict([("ip", Some(Out::text(&peer.ip().to_canonical().to_string()))), ("port", Some(Out::Int(peer.port().into())))])
    };
    let some_v6 = answer.peers.iter().any(|peer| Family::of(peer.ip()) == Family::V6);
    let external_ip = answer.external_ip.map(|ip| {
        let mut bytes = Vec::new();
        compact::write_ip(ip, &mut bytes);
        Out::Bytes(bytes)
    });
    let count = |count: Option<u32>| count.map(|count| Out::Int(count.into()));
    Out::dict([
        ("complete", count(answer.seeders)),
        ("downloaded", count(answer.completed)),
        ("external ip", external_ip),
        ("incomplete", count(answer.leechers)),
        ("interval", answer.interval_s.map(Out::count)),
        ("min interval", answer.interval_min_s.map(Out::count)),
        ("peers", Some(if compact { of_family(Family::V4) } else { Out::List(answer.peers.iter().map(long).collect()) })),
        ("peers6", (compact && some_v6).then(|| of_family(Family::V6))),
        ("tracker id", answer.tracker_id.as_deref().map(Out::from)),
        ("warning message", answer.warning.as_deref().map(Out::text)),
    ])
    .encode()
}

/// The answer to a scrape, as a tracker sends it. No hash may occur twice.
#[must_use]
pub fn write_scrape(files: &[([u8; 20], ScrapeCounts)]) -> Vec<u8> {
    let counts = |counts: &ScrapeCounts| {
        let count = |count: u32| Some(Out::Int(count.into()));
        Out::dict([("complete", count(counts.seeders)), ("downloaded", count(counts.completed)), ("incomplete", count(counts.leechers))])
    };
    let mut entries: Vec<(Vec<u8>, Out)> = files.iter().map(|(hash, file)| (hash.to_vec(), counts(file))).collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    entries.dedup_by(|a, b| a.0 == b.0);
    Out::dict([("files", Some(Out::Dict(entries)))]).encode()
}
