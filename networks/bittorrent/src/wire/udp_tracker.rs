//! Packets of UDP trackers (BEP 15), with the URL data of BEP 41. Both directions.
//!
//! Nothing in a packet tells whether it asks or answers: who receives it knows. Longer packets than expected are accepted, as BEP 15 wants.

use bytes::{BufMut as _, Bytes, BytesMut};
use hexad_core::Malformed;

use super::bencode::text_within;
use super::{ScrapeCounts, TrackerAnnounce, TrackerDatagram, TrackerEvent};

/// What every connect request begins with.
pub const MAGIC: u64 = 0x0417_2710_1980;
/// Most torrents in one scrape. BEP 15.
pub const SCRAPE_MAX: usize = 74;
/// Longest URL data that is read or written, bytes.
pub const URL_DATA_MAX: usize = 2048;
/// Longest error text that is read, bytes.
const ERROR_BYTES_MAX: usize = 1000;

const CONNECT: u32 = 0;
const ANNOUNCE: u32 = 1;
const SCRAPE: u32 = 2;
const ERROR: u32 = 3;

/// Takes fields off the front of a packet.
struct Fields<'a> {
    all: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn new(all: &'a [u8]) -> Self {
        Self { all, rest: all }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let Some((array, rest)) = self.rest.split_first_chunk::<N>() else {
            let at = self.all.len() - self.rest.len();
            return Err(Malformed::at(self.all.len(), format!("unexpected end after {} of {} bytes", self.all.len(), at + N)));
        };
        self.rest = rest;
        Ok(*array)
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }
}

/// Reads what a client sends to a tracker.
///
/// # Errors
/// When it is none of the three requests, or shorter than one.
pub fn decode_request(bytes: &[u8]) -> Result<TrackerDatagram, Malformed> {
    let mut fields = Fields::new(bytes);
    let connection = fields.u64()?;
    let action = fields.u32()?;
    let transaction = fields.u32()?;
    match action {
        CONNECT if connection == MAGIC => Ok(TrackerDatagram::ConnectRequest { transaction }),
        CONNECT => Err(Malformed::at(0, format!("expected the magic number {MAGIC:#x}, came {connection:#x}"))),
        ANNOUNCE => Ok(TrackerDatagram::AnnounceRequest { connection, transaction, announce: read_announce(&mut fields)? }),
        SCRAPE => {
            let info_hashes: Vec<[u8; 20]> =
                fields.rest.chunks_exact(20).take(SCRAPE_MAX).filter_map(|hash| hash.try_into().ok()).collect();
            if info_hashes.is_empty() {
                return Err(Malformed::at(16, "expected at least one info hash"));
            }
            Ok(TrackerDatagram::ScrapeRequest { connection, transaction, info_hashes })
        }
        other => Err(Malformed::at(8, format!("expected action 0 to 2, came {other}"))),
    }
}

fn read_announce(fields: &mut Fields<'_>) -> Result<TrackerAnnounce, Malformed> {
    let info_hash = fields.array()?;
    let peer_id = fields.array()?;
    let (downloaded, left, uploaded) = (fields.u64()?, fields.u64()?, fields.u64()?);
    let event = match fields.u32()? {
        1 => TrackerEvent::Completed,
        2 => TrackerEvent::Started,
        3 => TrackerEvent::Stopped,
        // 0, and what newer clients may mean (a paused partial seed, BEP 21).
        _ => TrackerEvent::None,
    };
    // The address that a client claims for itself; nobody should believe it.
    let _ip = fields.u32()?;
    let key = fields.u32()?;
    // -1 is how BEP 15 writes "as many as you like".
    let peers_wanted = fields.u32().map(|wanted| i32::try_from(wanted).ok().and_then(|wanted| u32::try_from(wanted).ok()))?;
    let port = fields.u16()?;
    let url_path = read_url_data(fields.rest);
    Ok(TrackerAnnounce { info_hash, peer_id, downloaded, left, uploaded, event, key, peers_wanted, port, url_path })
}

/// The URL data among the options of an announce; options that are cut off end the reading, and so does what is too long. BEP 41.
fn read_url_data(mut options: &[u8]) -> String {
    let mut url: Vec<u8> = Vec::new();
    while let Some((&kind, rest)) = options.split_first() {
        options = match kind {
            0 => break,
            1 => rest,
            _ => {
                let Some((&length, rest)) = rest.split_first() else { break };
                let Some((data, rest)) = rest.split_at_checked(usize::from(length)) else { break };
                if kind == 2 {
                    url.extend_from_slice(data);
                }
                if url.len() > URL_DATA_MAX {
                    break;
                }
                rest
            }
        };
    }
    text_within(&url, URL_DATA_MAX)
}

/// Reads what a tracker answers.
///
/// # Errors
/// When it is none of the four answers, or shorter than one.
pub fn decode_answer(bytes: &[u8]) -> Result<TrackerDatagram, Malformed> {
    let mut fields = Fields::new(bytes);
    let action = fields.u32()?;
    let transaction = fields.u32()?;
    match action {
        CONNECT => Ok(TrackerDatagram::ConnectAnswer { transaction, connection: fields.u64()? }),
        ANNOUNCE => {
            let (interval_s, leechers, seeders) = (fields.u32()?, fields.u32()?, fields.u32()?);
            Ok(TrackerDatagram::AnnounceAnswer { transaction, interval_s, leechers, seeders, peers: Bytes::copy_from_slice(fields.rest) })
        }
        SCRAPE => {
            let mut counts = Vec::new();
            while fields.rest.len() >= 12 && counts.len() < SCRAPE_MAX {
                counts.push(ScrapeCounts { seeders: fields.u32()?, completed: fields.u32()?, leechers: fields.u32()? });
            }
            Ok(TrackerDatagram::ScrapeAnswer { transaction, counts })
        }
        ERROR => Ok(TrackerDatagram::Error { transaction, message: text_within(fields.rest, ERROR_BYTES_MAX) }),
        other => Err(Malformed::at(0, format!("expected action 0 to 3, came {other}"))),
    }
}

/// Appends the packet. More than [`SCRAPE_MAX`] torrents, and URL data beyond [`URL_DATA_MAX`], are left out.
pub fn encode(datagram: &TrackerDatagram, out: &mut BytesMut) {
    let request = |connection: u64, action: u32, transaction: u32, out: &mut BytesMut| {
        out.put_u64(connection);
        out.put_u32(action);
        out.put_u32(transaction);
    };
    let answer = |action: u32, transaction: u32, out: &mut BytesMut| {
        out.put_u32(action);
        out.put_u32(transaction);
    };
    match datagram {
        TrackerDatagram::ConnectRequest { transaction } => request(MAGIC, CONNECT, *transaction, out),
        TrackerDatagram::ConnectAnswer { transaction, connection } => {
            answer(CONNECT, *transaction, out);
            out.put_u64(*connection);
        }
        TrackerDatagram::AnnounceRequest { connection, transaction, announce } => {
            request(*connection, ANNOUNCE, *transaction, out);
            write_announce(announce, out);
        }
        TrackerDatagram::AnnounceAnswer { transaction, interval_s, leechers, seeders, peers } => {
            answer(ANNOUNCE, *transaction, out);
            out.put_u32(*interval_s);
            out.put_u32(*leechers);
            out.put_u32(*seeders);
            out.put_slice(peers);
        }
        TrackerDatagram::ScrapeRequest { connection, transaction, info_hashes } => {
            request(*connection, SCRAPE, *transaction, out);
            info_hashes.iter().take(SCRAPE_MAX).for_each(|hash| out.put_slice(hash));
        }
        TrackerDatagram::ScrapeAnswer { transaction, counts } => {
            answer(SCRAPE, *transaction, out);
            for counts in counts.iter().take(SCRAPE_MAX) {
                out.put_u32(counts.seeders);
                out.put_u32(counts.completed);
                out.put_u32(counts.leechers);
            }
        }
        TrackerDatagram::Error { transaction, message } => {
            answer(ERROR, *transaction, out);
            out.put_slice(message.as_bytes());
        }
    }
}

fn write_announce(announce: &TrackerAnnounce, out: &mut BytesMut) {
    out.put_slice(&announce.info_hash);
    out.put_slice(&announce.peer_id);
    out.put_u64(announce.downloaded);
    out.put_u64(announce.left);
    out.put_u64(announce.uploaded);
    out.put_u32(match announce.event {
        TrackerEvent::None => 0,
        TrackerEvent::Completed => 1,
        TrackerEvent::Started => 2,
        TrackerEvent::Stopped => 3,
    });
    out.put_u32(0);
    out.put_u32(announce.key);
    out.put_u32(announce.peers_wanted.map_or(u32::MAX, |wanted| wanted.min(i32::MAX.unsigned_abs())));
    out.put_u16(announce.port);
    let url = &announce.url_path[..announce.url_path.floor_char_boundary(URL_DATA_MAX)];
    for part in url.as_bytes().chunks(255) {
        out.put_u8(2);
        out.put_u8(u8::try_from(part.len()).unwrap_or(u8::MAX));
        out.put_slice(part);
    }
}
