//! The heads of transfers, and `GIV`. Spec §18 and §19.

use std::ops::Range;

use bytes::{BufMut as _, BytesMut};
use hexad_core::Malformed;

use super::guid::Guid;
use super::headers::Headers;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `HEAD` in place of `GET`.
    pub head: bool,
    /// Path and query, as they stand there.
    pub target: String,
    /// `HTTP/1.0` in place of 1.1.
    pub old: bool,
    /// Headers.
    pub headers: Headers,
}

/// The head of an answer; its body follows as [`super::Message::Data`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Such as 206.
    pub code: u16,
    /// The same in words.
    pub reason: String,
    /// Headers.
    pub headers: Headers,
}

/// `GIV index:guid/name`: whoever was pushed is here. Spec §19.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Giv {
    /// The file, or anything.
    pub index: u32,
    /// Who is here.
    pub servent: Guid,
    /// The file, or anything.
    pub name: String,
}

impl Request {
    /// `GET` of a target.
    #[must_use]
    pub fn get(target: impl Into<String>, headers: Headers) -> Self {
        Self { head: false, target: target.into(), old: false, headers }
    }

    pub(crate) fn read(first: &str, headers: Headers) -> Result<Self, Malformed> {
        let wrong = || Malformed::at(0, format!("expected a request, came {first:?}"));
        let (method, rest) = first.split_once(' ').ok_or_else(wrong)?;
        let (target, version) = rest.rsplit_once(' ').ok_or_else(wrong)?;
        let head = match method {
            "GET" => false,
            "HEAD" => true,
            _ => return Err(wrong()),
        };
        let minor = version.strip_prefix("HTTP/1.").ok_or_else(wrong)?;
        Ok(Self { head, target: target.trim().into(), old: minor == "0", headers })
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!("{} {} HTTP/1.{}\r\n", if self.head { "HEAD" } else { "GET" }, self.target, u8::from(!self.old));
        self.headers.write(&mut text);
        text
    }

    /// The range of `Range: bytes=a-b`, as far as a file of `size` has it; `None` where none is asked for. An empty range when it lies beyond.
    #[must_use]
    pub fn range(&self, size: u64) -> Option<Range<u64>> {
        let text = self.headers.find("Range")?.trim();
        let text = text.strip_prefix("bytes").map(|rest| rest.trim_start_matches(['=', ' ']))?;
        let (from, to) = text.split(',').next()?.split_once('-')?;
        let (from, to) = (from.trim(), to.trim());
        if from.is_empty() {
            let last: u64 = to.parse().ok()?;
            return Some(size.saturating_sub(last)..size);
        }
        let from: u64 = from.parse().ok()?;
        let end = if to.is_empty() { size } else { to.parse::<u64>().ok()?.saturating_add(1).min(size) };
        Some(if from < end { from..end } else { size..size })
    }

    /// Whether the connection is to stay.
    #[must_use]
    pub fn keeps(&self) -> bool {
        !self.headers.lists("Connection", "close") && (!self.old || self.headers.lists("Connection", "keep-alive"))
    }
}

impl Response {
    /// An answer with a body of so many bytes.
    #[must_use]
    pub fn new(code: u16, reason: &str, headers: Headers, body_bytes: u64) -> Self {
        Self { code, reason: reason.into(), headers: headers.with("Content-Length", body_bytes.to_string()) }
    }

    pub(crate) fn read(first: &str, headers: Headers) -> Result<Self, Malformed> {
        let wrong = || Malformed::at(0, format!("expected an HTTP answer, came {first:?}"));
        let (version, rest) = first.split_once(' ').ok_or_else(wrong)?;
        // Some old servents say `HTTP 200 OK`.
        if !version.starts_with("HTTP") {
            return Err(wrong());
        }
        let (code, reason) = rest.trim_start().split_once(' ').unwrap_or((rest, ""));
        let code = code.trim().parse().ok().filter(|code| (100..1000).contains(code)).ok_or_else(wrong)?;
        Ok(Self { code, reason: reason.trim().into(), headers })
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!("HTTP/1.1 {} {}\r\n", self.code, self.reason);
        self.headers.write(&mut text);
        text
    }

    /// The part of `Content-Range: bytes a-b/total`, and the total where it says it.
    #[must_use]
    pub fn content_range(&self) -> Option<(Range<u64>, Option<u64>)> {
        let text = self.headers.find("Content-Range")?.trim();
        let text = text.strip_prefix("bytes").map(|rest| rest.trim_start_matches(['=', ' ']))?;
        let (range, total) = text.split_once('/').unwrap_or((text, ""));
        let (from, to) = range.split_once('-')?;
        let (from, to): (u64, u64) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
        (from <= to && to < u64::MAX).then(|| (from..to + 1, total.trim().parse().ok()))
    }

    /// Bytes of the body, where the head says it.
    #[must_use]
    pub fn body_bytes(&self) -> Option<u64> {
        self.headers.number("Content-Length")
    }
}

impl Giv {
    pub(crate) fn read(line: &str) -> Result<Self, Malformed> {
        let wrong = || Malformed::at(0, format!("expected GIV index:guid/name, came {line:?}"));
        let rest = line.strip_prefix("GIV ").ok_or_else(wrong)?;
        let (index, rest) = rest.split_once(':').ok_or_else(wrong)?;
        let (servent, name) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Self { index: index.trim().parse().unwrap_or(0), servent: Guid::of_hex(servent.trim()).ok_or_else(wrong)?, name: name.into() })
    }

    pub(crate) fn write(&self, out: &mut BytesMut) {
        out.put_slice(format!("GIV {}:{}/{}\n\n", self.index, self.servent, self.name).as_bytes());
    }
}
