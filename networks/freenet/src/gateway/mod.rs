//! The web gateway without its sockets: what a path asks for, and what a browser is given for it. Whoever inserts pages is a stranger, and a
//! browser tells strangers who reads them unless it is kept from it: pages pass through a filter that lets through what is known to be harmless.

mod css;
mod html;
mod images;
mod links;
mod media;
mod pages;

use std::ops::Range;

use bytes::Bytes;
use hexad_core::Failure;

use crate::keys::{Kind, Uri, unescape};
use crate::node::Counts;

/// The most that is fetched for a browser which does not say how much it takes.
const BYTES_MAX: u64 = 64 << 20;
/// Types that a browser is shown, once they have passed the filter.
const SHOWN: &str = "text/html, text/css, text/plain, image/png, image/jpeg, image/gif, image/webp, image/bmp, and sounds, films and playlists: MP3, \
                     Ogg, FLAC, WAV, MP4, WebM, M3U";

/// What a request is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// This page, which needs nothing from the network.
    Page(Box<Page>),
    /// What is under a key.
    Key(Box<Want>),
}

/// A key, and how the browser wants to have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// The key.
    pub uri: Uri,
    /// The most that is taken.
    pub bytes_max: u64,
    /// The type that the link says, in place of the one that was inserted.
    mime: Option<String>,
    /// To be kept as a file: whatever it is, it is not shown, and therefore not filtered.
    download: bool,
    /// The path ends in a slash.
    folder: bool,
}

/// What is sent back.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// HTTP's status.
    pub status: u16,
    /// Headers but for `Content-Length`.
    pub headers: Vec<(&'static str, String)>,
    /// The content.
    pub body: Bytes,
}

impl Page {
    fn new(status: u16, mime: &str, policy: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![
            ("content-type", mime.to_owned()),
            ("content-security-policy", policy.to_owned()),
            ("x-frame-options", "DENY".to_owned()),
            ("x-content-type-options", "nosniff".to_owned()),
            ("referrer-policy", "no-referrer".to_owned()),
            ("cross-origin-opener-policy", "same-origin".to_owned()),
            ("cross-origin-embedder-policy", "require-corp".to_owned()),
            ("cross-origin-resource-policy", "same-origin".to_owned()),
            ("cache-control", "private, no-store".to_owned()),
        ];
        Self { status, headers, body: body.into() }
    }

    fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    fn redirect(to: String) -> Self {
        Self::new(302, "text/plain; charset=utf-8", pages::POLICY, "elsewhere\n").with("location", to)
    }

    /// The part of it for which `Range` asks; all of it where that is no range of bytes.
    #[must_use]
    pub fn part(mut self, range: Option<&str>) -> Self {
        if self.status != 200 {
            return self;
        }
        self.headers.push(("accept-ranges", "bytes".to_owned()));
        let all = self.body.len();
        match range.and_then(|range| part_of(range, all)) {
            None => self,
            Some(None) => Self::new(416, "text/plain; charset=utf-8", pages::POLICY, "no such range\n")
                .with("content-range", format!("bytes */{all}")),
            Some(Some(part)) => {
                self.status = 206;
                self.headers.push(("content-range", format!("bytes {}-{}/{all}", part.start, part.end - 1)));
                self.body = self.body.slice(part);
                self
            }
        }
    }
}

/// `None` where the header is none that we know, and is therefore as if it were not there (RFC 9110, 14.2); `Some(None)` where nothing is in the range.
fn part_of(range: &str, all: usize) -> Option<Option<Range<usize>>> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| text.trim().parse::<usize>().ok();
    let part = match (from.trim().is_empty(), to.trim().is_empty()) {
        (true, true) => return None,
        (true, false) => all.saturating_sub(number(to)?)..all,
        (false, true) => number(from)?..all,
        (false, false) => {
            let (from, to) = (number(from)?, number(to)?);
            if to < from {
                return None;
            }
            from..to.saturating_add(1).min(all)
        }
    };
    Some((part.start < part.end).then_some(part))
}

/// Reads what a request asks for: the path and what follows it.
#[must_use]
pub fn asked(target: &str) -> Asked {
    let page = |page: Page| Asked::Page(Box::new(page));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let given = |name: &str| {
        let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find(|(key, _)| *key == name).and_then(|(_, value)| unescape(&value.replace('+', " ")))
    };
    let path = path.strip_prefix('/').unwrap_or(path);
    match path {
        "" => {
            return page(match given("key").map(|key| key.trim().to_owned()).filter(|key| !key.is_empty()) {
                Some(key) => match Uri::parse(&key) {
                    Ok(uri) => Page::redirect(format!("/freenet:{uri}")),
                    Err(wrong) => pages::wrong(400, &format!("That is no key: {wrong}.")),
                },
                None => pages::home(),
            });
        }
        "external-link/" | "external-link" => return page(pages::outside(&given("to").unwrap_or_default())),
        "favicon.ico" | "robots.txt" => return page(pages::wrong(404, "There is no such page.")),
        _ => {}
    }
    let uri = match Uri::parse(&bare(path)) {
        Ok(uri) => uri,
        Err(wrong) => return page(pages::wrong(400, &format!("That is no key: {wrong}."))),
    };
    if uri.is_insert() {
        return page(pages::wrong(400, "That is a key to write with, which nobody else should see."));
    }
    let bytes_max = given("max-size").and_then(|size| size.parse().ok()).unwrap_or(BYTES_MAX).min(BYTES_MAX);
    let mime = given("type").filter(|mime| is_mime(mime));
    Asked::Key(Box::new(Want { uri, bytes_max, mime, download: given("forcedownload").is_some(), folder: path.ends_with('/') }))
}

/// A key whose punctuation was escaped, as some programs do with the whole of it.
fn bare(path: &str) -> String {
    let (key, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
    let mut key = key.to_owned();
    for (escaped, plain) in [("%40", "@"), ("%2C", ","), ("%2c", ","), ("%7E", "~"), ("%7e", "~"), ("%3A", ":"), ("%3a", ":")] {
        // A name after KSK@ may have any of these on purpose.
        if escaped == "%40" || !key.to_ascii_lowercase().contains("ksk@") {
            key = key.replacen(escaped, plain, if escaped == "%40" { 1 } else { usize::MAX });
        }
    }
    key + rest
}

fn is_mime(mime: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/+-._; =\"".contains(&byte);
    (3..=128).contains(&mime.len()) && mime.bytes().all(plain) && mime.contains('/')
}

/// What a browser is given for something that was found.
#[must_use]
pub fn found(want: &Want, uri: &Uri, mime: Option<&str>, bytes: &Bytes) -> Page {
    // An edition that was looked for has a page of its own.
    if want.uri.kind == Kind::Usk && uri.edition != want.uri.edition && uri.edition.is_some_and(|edition| edition >= 0) {
        return Page::redirect(format!("/{uri}"));
    }
    let mime = want.mime.as_deref().or(mime.filter(|mime| is_mime(mime))).unwrap_or("application/octet-stream");
    if want.download {
        let page = Page::new(200, "application/force-download", pages::POLICY, bytes.clone());
        return page.with("content-disposition", format!("attachment; filename=\"{}\"", file_name(uri)));
    }
    let kind = mime.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    // Links of a default document are relative to the folder that it stands for, which begins behind the key.
    let is_html = matches!(kind.as_str(), "text/html" | "application/xhtml+xml");
    if is_html && want.uri.path.is_empty() && !want.folder && want.uri.kind != Kind::Ksk {
        return Page::redirect(format!("/{}/", want.uri));
    }
    match clean(mime, bytes) {
        Clean::Shown(mime, body) => Page::new(200, &mime, pages::POLICY_OF_OTHERS, body),
        Clean::Broken => pages::unsafe_content(&format!("What is here says it is {kind}, and is not, or is broken."), want),
        Clean::Unknown => pages::unsafe_content(
            &format!("What is here is {kind}, which this gateway cannot make safe to look at. It shows {SHOWN}."),
            want,
        ),
    }
}

/// What the filter makes of something.
enum Clean {
    /// This, of this type.
    Shown(String, Bytes),
    /// It is not what it says it is.
    Broken,
    /// It is of a type that cannot be made safe.
    Unknown,
}

/// Passes something through the filter of its type.
fn clean(mime: &str, bytes: &Bytes) -> Clean {
    let kind = mime.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let text = |kind: &str, text: String| Clean::Shown(format!("{kind}; charset=utf-8"), text.into());
    let image = |clean: Option<Vec<u8>>| clean.map_or(Clean::Broken, |bytes| Clean::Shown(kind.clone(), bytes.into()));
    match kind.as_str() {
        "text/html" | "application/xhtml+xml" => text("text/html", html::page(&text_of(bytes, mime))),
        "text/css" => text("text/css", css::stylesheet(&text_of(bytes, mime))),
        "text/plain" => text("text/plain", text_of(bytes, mime).into_owned()),
        "image/png" => image(images::png(bytes)),
        "image/jpeg" | "image/jpg" => image(images::jpeg(bytes)),
        "image/gif" => image(images::gif(bytes)),
        "image/webp" => image(images::webp(bytes)),
        "image/bmp" | "image/x-ms-bmp" => image(images::bmp(bytes)),
        "audio/mpegurl" | "audio/x-mpegurl" | "application/x-mpegurl" | "application/vnd.apple.mpegurl" => {
            text("audio/x-mpegurl", media::playlist(&text_of(bytes, mime)))
        }
        // Nobody has said what it is, so that it may say so itself.
        "application/octet-stream" => media::clean(bytes).map_or(Clean::Unknown, |(kind, bytes)| Clean::Shown(kind.to_owned(), bytes)),
        other if other.starts_with("audio/") || other.starts_with("video/") || other == "application/ogg" => {
            media::clean(bytes).map_or(Clean::Broken, |(kind, bytes)| Clean::Shown(kind.to_owned(), bytes))
        }
        _ => Clean::Unknown,
    }
}

/// What the filter makes of something that is said to be of a type: its type then, and its bytes. `None` for what cannot be made safe.
#[must_use]
pub fn filtered(mime: &str, bytes: &Bytes) -> Option<(String, Bytes)> {
    if let Clean::Shown(mime, bytes) = clean(mime, bytes) { Some((mime, bytes)) } else { None }
}

/// The type of a file by the end of its name.
#[must_use]
pub fn mime_of_name(name: &str) -> Option<&'static str> {
    let end = name.rsplit('/').next()?.rsplit_once('.')?.1.to_ascii_lowercase();
    Some(match end.as_str() {
        "html" | "htm" => "text/html",
        "xhtml" => "application/xhtml+xml",
        "css" => "text/css",
        "txt" => "text/plain",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "bmp" => "image/bmp",
        "mp3" => "audio/mpeg",
        "ogg" | "oga" | "opus" => "audio/ogg",
        "ogv" => "video/ogg",
        "flac" => "audio/flac",
        "wav" => "audio/wav",
        "m4a" => "audio/mp4",
        "mp4" | "m4v" => "video/mp4",
        "webm" => "video/webm",
        "m3u" | "m3u8" => "audio/x-mpegurl",
        "pdf" => "application/pdf",
        _ => return None,
    })
}

/// What a browser is given when there is nothing to give.
#[must_use]
pub fn failed(failure: &Failure) -> Page {
    let status = match failure {
        Failure::NotFound(_) | Failure::TimedOut(_) => 404,
        Failure::Unusable(why) if why.contains("more than") => 413,
        Failure::Unusable(why) if why.contains("path components") => 404,
        Failure::Unusable(_) => 400,
        Failure::Full(_) | Failure::NotReady(_) => 503,
        Failure::Refused(_) | Failure::Host(_) => 500,
    };
    pages::wrong(status, &failure.to_string())
}

/// What a browser is given until there is something to give: how far it is, and that it is to ask again.
#[must_use]
pub fn waiting(want: &Want, counts: Option<&Counts>, seconds: u64) -> Page {
    pages::waiting(want, counts, seconds)
}

/// A page for a request that is none of these.
#[must_use]
pub fn refused(status: u16, why: &str) -> Page {
    pages::wrong(status, why)
}

/// Whether a `Host` header names this machine or an address: a name would be somebody else's, who has it point here so that a browser lets his pages
/// read ours (DNS rebinding).
#[must_use]
pub fn is_our_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
}

/// The text of some bytes, whatever they are. Nothing depends on its being what the writer meant, since it is written out in UTF-8 and said to be.
fn text_of<'a>(bytes: &'a [u8], mime: &str) -> std::borrow::Cow<'a, str> {
    let mime = mime.to_ascii_lowercase();
    let charset = mime.split("charset=").nth(1).unwrap_or("").trim_matches(['"', ' ', ';']);
    if matches!(charset, "iso-8859-1" | "latin1" | "us-ascii" | "windows-1252") && std::str::from_utf8(bytes).is_err() {
        return bytes.iter().map(|&byte| char::from(byte)).collect::<String>().into();
    }
    String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
}

/// What a file is called when it is kept.
fn file_name(uri: &Uri) -> String {
    let last = uri.path.iter().rev().find(|element| !element.is_empty()).or(uri.name.as_ref());
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || "-_. ".contains(letter) { letter } else { '_' };
    let name: String = last.map_or("file", String::as_str).chars().map(plain).take(100).collect();
    if name.trim_matches(['.', ' ']).is_empty() { "file".to_owned() } else { name.trim_start_matches('.').to_owned() }
}
