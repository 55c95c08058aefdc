//! What nodes ask each other about themselves at the end of a random walk, for figures on the network as a whole (spec B10, `ProbeRequest`), and what
//! they say. Whoever asks does not learn whom.

use bytes::{BufMut as _, BytesMut};
use hexad_core::Malformed;

use super::Fields;

/// Lengths of links in one answer.
pub const LENGTHS_MAX: usize = 64;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inquiry {
    /// What is shared in a second.
    Bandwidth,
    /// Which program.
    Build,
    /// A number that means nothing but that two answers are of the same node.
    Identifier,
    /// How far neighbours are.
    LinkLengths,
    /// Where it stands.
    Location,
    /// What it stores.
    StoreSize,
    /// How much of two days it was there.
    Uptime48h,
    /// The same of a week.
    Uptime7d,
    /// How many walks of others it turns away.
    RejectStats,
    /// How much of what may be promised is.
    CapacityUsage,
}

impl Inquiry {
    /// All of them, by their numbers on the wire from 0 on.
    pub const ALL: [Self; 10] = [
        Self::Bandwidth,
        Self::Build,
        Self::Identifier,
        Self::LinkLengths,
        Self::Location,
        Self::StoreSize,
        Self::Uptime48h,
        Self::Uptime7d,
        Self::RejectStats,
        Self::CapacityUsage,
    ];
}

/// A question on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inquire {
    /// Names it.
    pub uid: u64,
    /// Steps that it may still take at random.
    pub htl: u16,
    /// What is asked.
    pub what: Inquiry,
}

/// An answer. What could tell one node from others is blurred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Bytes a second.
    Bandwidth(u64),
    /// Its number.
    Build(u32),
    /// A number of this run, and percent of a week.
    Identifier(u64, u8),
    /// In parts of 65,536 of the circle.
    LinkLengths(Vec<u16>),
    /// The same.
    Location(u16),
    /// Bytes.
    StoreSize(u64),
    /// Percent.
    Uptime(u8),
    /// Percent of CHK requests, SSK requests, CHK inserts, SSK inserts; 255 where there were none.
    RejectStats([u8; 4]),
    /// Percent.
    CapacityUsage(u8),
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untold {
    /// Somebody on the way has gone.
    Disconnected,
    /// Too many ask.
    Overload,
    /// It takes too long.
    Timeout,
    /// Nobody else can be asked.
    CannotForward,
    /// Whoever was asked does not want to say it.
    Refused,
}

impl Untold {
    /// All of them, by their numbers on the wire from 0 on.
    pub(super) const ALL: [Self; 5] = [Self::Disconnected, Self::Overload, Self::Timeout, Self::CannotForward, Self::Refused];
}

pub(super) fn read(f: &mut Fields<'_>) -> Result<Finding, Malformed> {
    Ok(match f.u8()? {
        0 => Finding::Bandwidth(f.u64()?),
        1 => Finding::Build(f.u32()?),
        2 => Finding::Identifier(f.u64()?, f.u8()?),
        3 => {
            let count = usize::from(f.u8()?);
            if count > LENGTHS_MAX {
                return Err(f.wrong(format!("expected at most {LENGTHS_MAX} lengths, came {count}")));
            }
            Finding::LinkLengths((0..count).map(|_| f.u16()).collect::<Result<_, _>>()?)
        }
        4 => Finding::Location(f.u16()?),
        5 => Finding::StoreSize(f.u64()?),
        6 => Finding::Uptime(f.u8()?),
        8 => Finding::RejectStats(f.array()?),
        9 => Finding::CapacityUsage(f.u8()?),
        other => return Err(f.wrong(format!("expected a finding of a known kind, came {other}"))),
    })
}

pub(super) fn write(finding: &Finding, out: &mut BytesMut) {
    match finding {
        Finding::Bandwidth(number) => {
            out.put_u8(0);
            out.put_u64(*number);
        }
        Finding::Build(number) => {
            out.put_u8(1);
            out.put_u32(*number);
        }
        Finding::Identifier(number, percent) => {
            out.put_u8(2);
            out.put_u64(*number);
            out.put_u8(*percent);
        }
        Finding::LinkLengths(lengths) => {
            let lengths = &lengths[..lengths.len().min(LENGTHS_MAX)];
            out.put_u8(3);
            out.put_u8(u8::try_from(lengths.len()).unwrap_or(0));
            lengths.iter().for_each(|length| out.put_u16(*length));
        }
        Finding::Location(place) => {
            out.put_u8(4);
            out.put_u16(*place);
        }
        Finding::StoreSize(bytes) => {
            out.put_u8(5);
            out.put_u64(*bytes);
        }
        Finding::Uptime(percent) => out.put_slice(&[6, *percent]),
        Finding::RejectStats(percents) => {
            out.put_u8(8);
            out.put_slice(percents);
        }
        Finding::CapacityUsage(percent) => out.put_slice(&[9, *percent]),
    }
}
