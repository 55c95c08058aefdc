//! The greetings at the beginning of a link: `GNUTELLA CONNECT/0.6` and its answers, and the classic 0.4 ones. Spec §5.

use bytes::{BufMut as _, BytesMut};
use hexad_core::Malformed;

use super::headers::Headers;

/// `GNUTELLA CONNECT/…`: the first block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// The bare greeting of 0.4, without headers.
    pub classic: bool,
    /// What the dialler says of itself.
    pub headers: Headers,
}

/// `GNUTELLA/0.6 200 OK`: the second and the third block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The bare `GNUTELLA OK` of 0.4.
    pub classic: bool,
    /// 200, or why not.
    pub code: u16,
    /// The same in words.
    pub reason: String,
    /// What it says of itself.
    pub headers: Headers,
}

const CONNECT: &str = "GNUTELLA CONNECT/";
const ANSWER: &str = "GNUTELLA/";
const CLASSIC_OK: &str = "GNUTELLA OK";

fn newer_than_classic(version: &str) -> Option<bool> {
    let (major, minor) = version.split_once('.')?;
    let (major, minor): (u32, u32) = (major.parse().ok()?, minor.trim().parse().ok()?);
    Some((major, minor) >= (0, 6))
}

impl Connect {
    pub(crate) fn read(first: &str, headers: Headers) -> Result<Self, Malformed> {
        let newer = first.strip_prefix(CONNECT).and_then(newer_than_classic);
        let newer = newer.ok_or_else(|| Malformed::at(0, format!("expected a greeting, came {first:?}")))?;
        Ok(Self { classic: !newer, headers })
    }

    pub(crate) fn write(&self, out: &mut BytesMut) {
        if self.classic {
            return out.put_slice(b"GNUTELLA CONNECT/0.4\n\n");
        }
        let mut text = format!("{CONNECT}0.6\r\n");
        self.headers.write(&mut text);
        out.put_slice(text.as_bytes());
    }
}

impl Answer {
    /// Yes.
    #[must_use]
    pub fn yes(headers: Headers) -> Self {
        Self { classic: false, code: 200, reason: "OK".into(), headers }
    }

    /// No.
    #[must_use]
    pub fn no(code: u16, reason: &str, headers: Headers) -> Self {
        Self { classic: false, code, reason: reason.into(), headers }
    }

    /// Whether it is a yes.
    #[must_use]
    pub fn is_yes(&self) -> bool {
        self.code == 200
    }

    pub(crate) fn read(first: &str, headers: Headers) -> Result<Self, Malformed> {
        if first == CLASSIC_OK {
            return Ok(Self { classic: true, code: 200, reason: "OK".into(), headers });
        }
        let wrong = || Malformed::at(0, format!("expected an answer to a greeting, came {first:?}"));
        let rest = first.strip_prefix(ANSWER).ok_or_else(wrong)?;
        let (_, rest) = rest.split_once(' ').ok_or_else(wrong)?;
        let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let code = code.parse().ok().filter(|code| (100..1000).contains(code)).ok_or_else(wrong)?;
        Ok(Self { classic: false, code, reason: reason.trim().into(), headers })
    }

    pub(crate) fn write(&self, out: &mut BytesMut) {
        if self.classic {
            return out.put_slice(b"GNUTELLA OK\n\n");
        }
        let mut text = format!("{ANSWER}0.6 {} {}\r\n", self.code, self.reason);
        self.headers.write(&mut text);
        out.put_slice(text.as_bytes());
    }
}
