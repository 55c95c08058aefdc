//! What stands behind the text of a query and behind the name of a hit: HUGE and XML strings and GGEP blocks, mixed. GEM, spec §8 and §9.

use bytes::Bytes;
use hexad_content::{Digest, Digests, Sha1Digest};

use super::ggep::{self, Block};
use super::urn;

/// Separates strings.
const SEPARATOR: u8 = 0x1c;
/// Pieces of one extension area; the rest is not looked at.
const PIECES_MAX: usize = 64;

/// What an extension area says, as far as it can be read: nonsense ends it, and what stands before it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// Strings that begin with `urn:`.
    pub urns: Vec<String>,
    /// Other strings: XML and whatever else.
    pub texts: Vec<String>,
    /// All GGEP blocks as one.
    pub ggep: Block,
    /// Something in it could not be read.
    pub broken: bool,
}

impl Extensions {
    /// Reads an area.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let mut found = Self::default();
        let mut rest = bytes;
        for _ in 0..PIECES_MAX {
            match rest.first() {
                None => break,
                Some(&(SEPARATOR | 0)) => rest = &rest[1..],
                Some(&ggep::MAGIC) => match Block::read(rest) {
                    Ok((block, length)) => {
                        found.ggep.0.extend(block.0);
                        rest = &rest[length..];
                    }
                    Err(_) => {
                        found.broken = true;
                        break;
                    }
                },
                Some(_) => {
                    let end = rest.iter().position(|&byte| byte == SEPARATOR || byte == 0).unwrap_or(rest.len());
                    let (text, after) = rest.split_at(end);
                    rest = after;
                    let Ok(text) = std::str::from_utf8(text) else {
                        found.broken = true;
                        continue;
                    };
                    if text.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case("urn:")) {
                        found.urns.push(text.into());
                    } else {
                        found.texts.push(text.into());
                    }
                }
            }
        }
        found
    }

    /// As bytes without NUL: strings first, then one block.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        let mut out = Vec::new();
        for text in self.urns.iter().chain(&self.texts) {
            if !out.is_empty() {
                out.push(SEPARATOR);
            }
            out.extend_from_slice(text.as_bytes());
        }
        if !self.ggep.0.is_empty() {
            if !out.is_empty() {
                out.push(SEPARATOR);
            }
            self.ggep.write(true, &mut out);
        }
        out.into()
    }

    /// All names of content in it: strings, GGEP `u`, `H`, `TT`.
    #[must_use]
    pub fn digests(&self) -> Digests {
        let mut digests: Digests = self.urns.iter().flat_map(|text| urn::digests_of(text).iter().copied().collect::<Vec<_>>()).collect();
        for extension in &self.ggep.0 {
            let data = &extension.data[..];
            match extension.id.as_str() {
                "u" => {
                    let text = format!("urn:{}", String::from_utf8_lossy(data));
                    urn::digests_of(&text).iter().for_each(|digest| digests.insert(*digest));
                }
                "H" => {
                    let sha1 = data.get(1..21).and_then(|hash| <[u8; 20]>::try_from(hash).ok());
                    let tiger = data.get(21..45).and_then(|root| <[u8; 24]>::try_from(root).ok());
                    match (data.first(), sha1, tiger) {
                        (Some(1), Some(sha1), _) if data.len() == 21 => digests.insert(Digest::Sha1(Sha1Digest(sha1))),
                        (Some(2), Some(sha1), Some(tiger)) if data.len() == 45 => {
                            digests.insert(Digest::Sha1(Sha1Digest(sha1)));
                            digests.insert(Digest::TigerTree(tiger));
                        }
                        _ => {}
                    }
                }
                "TT" => {
                    if let Ok(root) = <[u8; 24]>::try_from(data) {
                        digests.insert(Digest::TigerTree(root));
                    }
                }
                _ => {}
            }
        }
        digests
    }
}
