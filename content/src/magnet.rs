//! Magnet links: one line that names content and says where to start looking (BEP 9, 46, 53; Gnutella's `urn:sha1` and tiger tree).

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::ops::RangeInclusive;
use std::str::FromStr;

use data_encoding::{BASE32_NOPAD, BASE32_NOPAD_NOCASE, HEXLOWER_PERMISSIVE};
use thiserror::Error;

use crate::percent::{PercentEncoded, percent_decoded_leniently};
use crate::{Digest, Digests, Sha1Digest, Sha256Digest};

/// A magnet link.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Magnet {
    /// `xt`: every name the link carries, at most one of each kind. A kind without a `urn` in use (SHA-256 of a whole file, Napster's
    /// prefix) is left out of the text. Content ids are `urn:hexad:`, which is ours.
    pub digests: Digests,
    /// `dn`: advised name.
    pub name: Option<String>,
    /// `xl`: size in bytes.
    pub size_bytes: Option<u64>,
    /// `tr`: trackers, in order.
    pub trackers: Vec<String>,
    /// `ws`: web seeds.
    pub web_seeds: Vec<String>,
    /// `x.pe`: peers, `host:port` as written.
    pub peers: Vec<String>,
    /// `so`: selected file indices, as inclusive ranges (BEP 53); empty means all.
    pub selected: Vec<RangeInclusive<u32>>,
    /// `xs=urn:btpk:` and `s`: a torrent that its owner can change (BEP 46); no other name is needed then.
    pub mutable: Option<MutableLink>,
}

/// Where in BitTorrent's DHT it stands which torrent is meant at this time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MutableLink {
    /// The owner's public key (ed25519).
    pub key: [u8; 32],
    /// Tells several torrents of one owner apart; mostly empty, of 64 bytes at most.
    pub salt: Vec<u8>,
}

impl fmt::Display for MutableLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BTPK}{}", HEXLOWER_PERMISSIVE.encode(&self.key))
    }
}

impl Magnet {
    /// A longer text is refused.
    pub const TEXT_BYTES_MAX: usize = 256 << 10;
    /// More trackers, web seeds or peers than this are left out, each list by itself.
    pub const ADDRESSES_MAX: usize = 500;
    /// More ranges of selected files are refused.
    pub const SELECTED_MAX: usize = 10_000;
}

/// Why a text is not a magnet link we can use.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MagnetError {
    /// It does not begin as a magnet link does.
    #[error("expected magnet:?, came {0:?}")]
    NotMagnet(String),
    /// It is longer than [`Magnet::TEXT_BYTES_MAX`].
    #[error("expected at most {max} bytes, came {0}", max = Magnet::TEXT_BYTES_MAX)]
    TooLong(usize),
    /// No `xt` that we understand.
    #[error("expected an xt=urn:btih: or another name that we know, came none")]
    NoDigest,
    /// An `xt` of a kind we know, with a value that cannot be.
    #[error("expected {expected} after {urn}, came {came:?}")]
    BadDigest {
        /// The kind of name.
        urn: &'static str,
        /// What its value looks like.
        expected: &'static str,
        /// What stood there, shortened.
        came: String,
    },
    /// Two different names of the same kind: two different contents.
    #[error("expected one {0}, came two that differ")]
    Contradiction(&'static str),
    /// A selection of files that is not a list of indices and ranges.
    #[error("expected file indices as in so=0,2,4-6, came {0:?}")]
    BadSelection(String),
}

const BTIH: &str = "urn:btih:";
const BTMH: &str = "urn:btmh:";
const SHA1: &str = "urn:sha1:";
const TIGER: &str = "urn:tree:tiger:";
const BITPRINT: &str = "urn:bitprint:";
const HEXAD: &str = "urn:hexad:";
const BTPK: &str = "urn:btpk:";
/// Longest salt. BEP 44.
const SALT_BYTES_MAX: usize = 64;
/// Multihash prefix: SHA2-256 (0x12), 32 bytes (0x20).
const SHA256_MULTIHASH: &str = "1220";

impl FromStr for Magnet {
    type Err = MagnetError;

    fn from_str(text: &str) -> Result<Self, MagnetError> {
        const SCHEME: &str = "magnet:?";
        let text = text.trim();
        if text.len() > Self::TEXT_BYTES_MAX {
            return Err(MagnetError::TooLong(text.len()));
        }
        let query = match text.split_at_checked(SCHEME.len()) {
            Some((scheme, query)) if scheme.eq_ignore_ascii_case(SCHEME) => query,
            _ => return Err(MagnetError::NotMagnet(shortened(text))),
        };
        let (mut magnet, mut salt) = (Self::default(), None);
        for pair in query.split('&') {
            // Links copied out of the source of a web page carry "&amp;".
            let (key, value) = pair.strip_prefix("amp;").unwrap_or(pair).split_once('=').unwrap_or((pair, ""));
            match &*kind(key) {
                _ if value.is_empty() => {}
                "s" => salt = Some(read_salt(value)?),
                kind => magnet.read(kind, value)?,
            }
        }
        if let (Some(mutable), Some(salt)) = (&mut magnet.mutable, salt) {
            mutable.salt = salt;
        }
        if magnet.digests.iter().next().is_none() && magnet.mutable.is_none() {
            return Err(MagnetError::NoDigest);
        }
        Ok(magnet)
    }
}

impl Magnet {
    fn read(&mut self, kind: &str, value: &str) -> Result<(), MagnetError> {
        let push = |list: &mut Vec<String>| {
            if list.len() < Self::ADDRESSES_MAX {
                list.push(percent_decoded_leniently(value));
            }
        };
        match kind {
            "xt" => self.read_name(&percent_decoded_leniently(value))?,
            "xs" => {
                if let Some(key) = after(&percent_decoded_leniently(value), BTPK) {
                    let key = found(hex(key), BTPK, "64 hex digits", key)?;
                    self.mutable.get_or_insert(MutableLink { key, salt: Vec::new() });
                }
            }
            // Only in names a plus is a blank: an address may contain one.
            "dn" => self.name = self.name.take().or_else(|| Some(percent_decoded_leniently(&value.replace('+', " ")))),
            "xl" => self.size_bytes = self.size_bytes.or_else(|| value.parse().ok()),
            "tr" => push(&mut self.trackers),
            "ws" => push(&mut self.web_seeds),
            "x.pe" => push(&mut self.peers),
            "so" => self.read_selection(&percent_decoded_leniently(value))?,
            _ => {}
        }
        Ok(())
    }

    fn read_name(&mut self, urn: &str) -> Result<(), MagnetError> {
        if let Some(hash) = after(urn, BTIH) {
            let digest = if hash.len() == 40 { hex(hash) } else { base32(hash) };
            return self.add(Digest::TorrentV1(Sha1Digest(found(digest, BTIH, "40 hex or 32 base32 digits", hash)?)), BTIH);
        }
        if let Some(hash) = after(urn, BTMH) {
            let digest = hash.strip_prefix(SHA256_MULTIHASH).and_then(hex);
            return self.add(Digest::TorrentV2(Sha256Digest(found(digest, BTMH, "1220 and 64 hex digits", hash)?)), BTMH);
        }
        if let Some(id) = after(urn, HEXAD) {
            return self.add(Digest::Content(found(id.parse().ok(), HEXAD, "64 hex digits, a dash and a size", id)?), HEXAD);
        }
        if let Some(hash) = after(urn, SHA1) {
            return self.add(Digest::Sha1(Sha1Digest(found(base32(hash), SHA1, "32 base32 digits", hash)?)), SHA1);
        }
        if let Some(hash) = after(urn, TIGER) {
            return self.add(Digest::TigerTree(found(base32(hash), TIGER, "39 base32 digits", hash)?), TIGER);
        }
        if let Some(both) = after(urn, BITPRINT) {
            let expected = "32 base32 digits, a dot and 39 more";
            let (sha1, tiger) = both.split_once('.').unwrap_or((both, ""));
            let sha1 = found(base32(sha1), BITPRINT, expected, both)?;
            let tiger = found(base32(tiger), BITPRINT, expected, both)?;
            self.add(Digest::Sha1(Sha1Digest(sha1)), SHA1)?;
            self.add(Digest::TigerTree(tiger), TIGER)?;
        }
        Ok(())
    }

    fn add(&mut self, digest: Digest, urn: &'static str) -> Result<(), MagnetError> {
        let same_kind = |known: &Digest| std::mem::discriminant(known) == std::mem::discriminant(&digest);
        if self.digests.iter().any(|known| same_kind(known) && *known != digest) {
            return Err(MagnetError::Contradiction(urn));
        }
        self.digests.insert(digest);
        Ok(())
    }

    fn read_selection(&mut self, list: &str) -> Result<(), MagnetError> {
        for item in list.split(',') {
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let range = match (first.parse::<u32>(), last.parse::<u32>()) {
                (Ok(first), Ok(last)) if first <= last && self.selected.len() < Self::SELECTED_MAX => first..=last,
                _ => return Err(MagnetError::BadSelection(shortened(item))),
            };
            self.selected.push(range);
        }
        Ok(())
    }
}

impl fmt::Display for Magnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut mark = '?';
        let mut pair = |f: &mut fmt::Formatter<'_>, key: &str, value: fmt::Arguments<'_>| {
            write!(f, "{mark}{key}={value}")?;
            mark = '&';
            Ok(())
        };
        f.write_str("magnet:")?;
        let mut names: Vec<(u8, String)> = self.digests.iter().filter_map(urn).collect();
        names.sort();
        for (_, name) in names {
            pair(f, "xt", format_args!("{name}"))?;
        }
        if let Some(mutable @ MutableLink { salt, .. }) = &self.mutable {
            pair(f, "xs", format_args!("{mutable}"))?;
            if !salt.is_empty() {
                pair(f, "s", format_args!("{}", HEXLOWER_PERMISSIVE.encode(salt)))?;
            }
        }
        if let Some(name) = &self.name {
            pair(f, "dn", format_args!("{}", PercentEncoded(name, "")))?;
        }
        if let Some(size) = self.size_bytes {
            pair(f, "xl", format_args!("{size}"))?;
        }
        for (key, list) in [("tr", &self.trackers), ("ws", &self.web_seeds)] {
            for address in list {
                pair(f, key, format_args!("{}", PercentEncoded(address, "")))?;
            }
        }
        for peer in &self.peers {
            // Some clients do not decode this one.
            pair(f, "x.pe", format_args!("{}", PercentEncoded(peer, ":[]")))?;
        }
        if !self.selected.is_empty() {
            let mut list = String::new();
            for range in &self.selected {
                let comma = if list.is_empty() { "" } else { "," };
                match (range.start(), range.end()) {
                    (first, last) if first == last => write!(list, "{comma}{first}")?,
                    (first, last) => write!(list, "{comma}{first}-{last}")?,
                }
            }
            pair(f, "so", format_args!("{list}"))?;
        }
        Ok(())
    }
}

/// The value of `xt` for a digest, and its place: clients that read only one `xt` look for BitTorrent's first.
fn urn(digest: &Digest) -> Option<(u8, String)> {
    match digest {
        Digest::TorrentV1(hash) => Some((0, format!("{BTIH}{hash}"))),
        Digest::TorrentV2(hash) => Some((1, format!("{BTMH}{SHA256_MULTIHASH}{hash}"))),
        Digest::Sha1(hash) => Some((2, format!("{SHA1}{}", BASE32_NOPAD.encode(&hash.0)))),
        Digest::TigerTree(hash) => Some((3, format!("{TIGER}{}", BASE32_NOPAD.encode(hash)))),
        Digest::Content(id) => Some((4, format!("{HEXAD}{id}"))),
        Digest::Sha256(_) | Digest::Md5Prefix(_) => None,
    }
}

/// The key in lower case without the number that tells several of a kind apart (`xt.1`).
fn kind(key: &str) -> Cow<'_, str> {
    let key = match key.rsplit_once('.') {
        Some((kind, number)) if !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()) => kind,
        _ => key,
    };
    if key.bytes().any(|byte| byte.is_ascii_uppercase()) { Cow::Owned(key.to_ascii_lowercase()) } else { Cow::Borrowed(key) }
}

/// What follows `prefix`, whatever the case of its letters (RFC 8141).
fn after<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    text.split_at_checked(prefix.len()).filter(|(head, _)| head.eq_ignore_ascii_case(prefix)).map(|(_, rest)| rest)
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}

fn read_salt(text: &str) -> Result<Vec<u8>, MagnetError> {
    let salt = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok().filter(|salt| salt.len() <= SALT_BYTES_MAX);
    found(salt, "s=", "hex digits of 64 bytes at most", text)
}

fn base32<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE32_NOPAD_NOCASE.decode(text.as_bytes()).ok()?.try_into().ok()
}

fn found<T>(digest: Option<T>, urn: &'static str, expected: &'static str, came: &str) -> Result<T, MagnetError> {
    digest.ok_or_else(|| MagnetError::BadDigest { urn, expected, came: shortened(came) })
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}
