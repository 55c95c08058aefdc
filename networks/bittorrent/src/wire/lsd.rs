//! Local service discovery: a text packet in the manner of HTTP, sent to a multicast group. BEP 14.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::BytesMut;
use hexad_core::Malformed;

use super::LsdAnnounce;

/// The IPv4 group.
pub const GROUP_V4: (Ipv4Addr, u16) = (Ipv4Addr::new(239, 192, 152, 143), 6771);
/// The IPv6 group (`ff15::efc0:988f`).
pub const GROUP_V6: (Ipv6Addr, u16) = (Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0xefc0, 0x988f), 6771);
/// Longest packet that is read or written. BEP 14 bids to stay below 1400 bytes.
pub const PACKET_BYTES_MAX: usize = 1400;
/// Most torrents in one packet that we write: 20 lines of 54 bytes leave room for the rest.
pub const INFO_HASHES_MAX: usize = 20;
const COOKIE_BYTES_MAX: usize = 64;

const FIRST_LINE: &str = "BT-SEARCH * HTTP/1.1";

/// Reads one packet. Headers that are not known are ignored, and so are info hashes that are not 40 hex digits.
///
/// # Errors
/// When it is no `BT-SEARCH` with a port and at least one info hash.
pub fn decode(bytes: &[u8]) -> Result<LsdAnnounce, Malformed> {
    if bytes.len() > PACKET_BYTES_MAX {
        return Err(Malformed::at(0, format!("expected at most {PACKET_BYTES_MAX} bytes, came {}", bytes.len())));
    }
    let text = std::str::from_utf8(bytes).map_err(|wrong| Malformed::at(wrong.valid_up_to(), "expected text"))?;
    let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    if lines.next() != Some(FIRST_LINE) {
        return Err(Malformed::at(0, "expected a BT-SEARCH"));
    }
    let mut port = None;
    let mut info_hashes = Vec::new();
    let mut cookie = None;
    for (name, value) in lines.take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "port" => port = value.parse::<u16>().ok().filter(|&port| port != 0),
            "infohash" => info_hashes.extend(info_hash(value)),
            "cookie" if value.len() <= COOKIE_BYTES_MAX => cookie = Some(plain(value)),
            _ => {}
        }
    }
    let port = port.ok_or_else(|| Malformed::at(0, "expected a port of 1 to 65535"))?;
    if info_hashes.is_empty() {
        return Err(Malformed::at(0, "expected at least one info hash"));
    }
    Ok(LsdAnnounce { port, info_hashes, cookie })
}

fn info_hash(text: &str) -> Option<[u8; 20]> {
    let digits = text.as_bytes();
    if digits.len() != 40 {
        return None;
    }
    let digit = |digit: u8| (digit as char).to_digit(16);
    let mut hash = [0; 20];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
    }
    Some(hash)
}

/// A cookie as it can stand in a line.
fn plain(cookie: &str) -> String {
    cookie.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
}

/// Appends the packet, for the IPv4 group; receivers do not look at the `Host` line. More than [`INFO_HASHES_MAX`] torrents are left out.
pub fn encode(announce: &LsdAnnounce, out: &mut BytesMut) {
    let host = SocketAddr::from(GROUP_V4);
    // Writing to memory does not fail.
    let _ = write!(out, "{FIRST_LINE}\r\nHost: {host}\r\nPort: {}\r\n", announce.port);
    for hash in announce.info_hashes.iter().take(INFO_HASHES_MAX) {
        let _ = write!(out, "Infohash: ");
        for byte in hash {
            let _ = write!(out, "{byte:02x}");
        }
        let _ = write!(out, "\r\n");
    }
    if let Some(cookie) = &announce.cookie {
        let cookie = plain(cookie);
        let _ = write!(out, "cookie: {}\r\n", &cookie[..cookie.floor_char_boundary(COOKIE_BYTES_MAX)]);
    }
    let _ = write!(out, "\r\n\r\n");
}
