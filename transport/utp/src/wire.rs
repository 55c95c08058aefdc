//! Packets as bytes. BEP 29, "header format"; extension 3 as libtorrent and librqbit-utp send it.

use bytes::{BufMut as _, BytesMut};
use hexad_core::Malformed;

use crate::Seq;

/// Bytes of a header without extensions.
pub const HEADER_BYTES: usize = 20;
/// Bytes of the longest selective acknowledgement: a length of one byte, in fours.
pub const SACK_BYTES_MAX: usize = 252;
/// Version 1 of the protocol, the only one in use.
const VERSION: u8 = 1;
const SELECTIVE_ACK: u8 = 1;
/// A number that nobody has given a meaning: who does not know an extension passes over it.
const FILLER: u8 = 0x7f;
/// The longest and the shortest filler: its head has two bytes.
pub const FILLER_BYTES: std::ops::RangeInclusive<usize> = 2..=257;
/// Extensions of one packet; more are not what anybody sends.
const EXTENSIONS_MAX: usize = 8;

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Carries bytes of the stream.
    Data,
    /// The last packet of a stream.
    Fin,
    /// Acknowledges; takes no number of its own.
    State,
    /// Ends a connection at once.
    Reset,
    /// Opens a connection.
    Syn,
}

/// A packet without its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is for.
    pub kind: Kind,
    /// The connection, as its receiver numbers it (a SYN: as its sender does).
    pub conn: u16,
    /// The sender's clock in µs, its low 32 bits.
    pub stamp_us: u32,
    /// How long the last packet of the other side was under way, by two clocks that do not agree: only differences of it mean something.
    pub lag_us: u32,
    /// Bytes that the sender would take.
    pub window_bytes: u32,
    /// The number of this packet; of a STATE, that of the sender's next packet.
    pub seq: Seq,
    /// All packets up to this one have come.
    pub ack: Seq,
    /// Bit `i`, lowest first, says that packet `ack + 2 + i` has come. Empty when nothing is missing; we send a multiple of four bytes.
    pub sack: Vec<u8>,
    /// Bytes that fill the packet up, in an extension that nobody reads; 2 to 257, 0 none. Not known of a packet that was read.
    pub filler_bytes: usize,
}

/// Whether a datagram is for uTP, where others share the socket: version 1, a known kind. A DHT message begins with `d`.
#[must_use]
pub fn is_utp(datagram: &[u8]) -> bool {
    datagram.len() >= HEADER_BYTES && datagram[0] & 0x0f == VERSION && datagram[0] >> 4 <= 4
}

impl Header {
    /// Reads a datagram: the header and the payload behind it.
    ///
    /// # Errors
    /// When it is not uTP, or an extension is longer than the datagram.
    pub fn parse(datagram: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let Some((head, mut rest)) = datagram.split_first_chunk::<HEADER_BYTES>() else {
            return Err(Malformed::at(0, format!("expected a header of {HEADER_BYTES} bytes, came {}", datagram.len())));
        };
        if head[0] & 0x0f != VERSION {
            return Err(Malformed::at(0, format!("expected version {VERSION}, came {}", head[0] & 0x0f)));
        }
        let kind = match head[0] >> 4 {
            0 => Kind::Data,
            1 => Kind::Fin,
            2 => Kind::State,
            3 => Kind::Reset,
            4 => Kind::Syn,
            other => return Err(Malformed::at(0, format!("expected a type of 0 to 4, came {other}"))),
        };
        let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let long = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let mut sack = Vec::new();
        let mut extension = head[1];
        for _ in 0..=EXTENSIONS_MAX {
            let at = datagram.len() - rest.len();
            if extension == 0 {
                let header = Self {
                    kind,
                    conn: word(2),
                    stamp_us: long(4),
                    lag_us: long(8),
                    window_bytes: long(12),
                    seq: Seq(word(16)),
                    ack: Seq(word(18)),
                    sack,
                    filler_bytes: 0,
                };
                return Ok((header, rest));
            }
            let Some(([next, length], behind)) = rest.split_first_chunk::<2>() else {
                return Err(Malformed::at(at, "expected an extension, came the end"));
            };
            let Some((body, behind)) = behind.split_at_checked(usize::from(*length)) else {
                return Err(Malformed::at(at, format!("expected an extension of {length} bytes, came {}", behind.len())));
            };
            if extension == SELECTIVE_ACK {
                // BEP 29 has multiples of four; libtorrent cuts it to what fits beside the payload, such as 13 bytes.
                sack = body.to_vec();
            }
            (extension, rest) = (*next, behind);
        }
        Err(Malformed::at(HEADER_BYTES, format!("more than {EXTENSIONS_MAX} extensions")))
    }

    /// Appends the header.
    pub fn encode(&self, out: &mut BytesMut) {
        let kind = match self.kind {
            Kind::Data => 0,
            Kind::Fin => 1,
            Kind::State => 2,
            Kind::Reset => 3,
            Kind::Syn => 4,
        };
        let sack = &self.sack[..self.sack.len().min(SACK_BYTES_MAX)];
        out.put_u8(kind << 4 | VERSION);
        let filler = if FILLER_BYTES.contains(&self.filler_bytes) { FILLER } else { 0 };
        out.put_u8(if sack.is_empty() { filler } else { SELECTIVE_ACK });
        out.put_u16(self.conn);
        out.put_u32(self.stamp_us);
        out.put_u32(self.lag_us);
        out.put_u32(self.window_bytes);
        out.put_u16(self.seq.0);
        out.put_u16(self.ack.0);
        if !sack.is_empty() {
            out.put_u8(filler);
            out.put_u8(u8::try_from(sack.len()).unwrap_or(u8::MAX));
            out.put_slice(sack);
        }
        if filler != 0 {
            let body = self.filler_bytes - 2;
            out.put_u8(0);
            out.put_u8(u8::try_from(body).unwrap_or(u8::MAX));
            out.put_bytes(0, body);
        }
    }
}
