//! Magnet links: one line that names content and says where to start looking.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use thiserror::Error;

use crate::Digests;

/// A magnet link.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Magnet {
    /// `xt`: every name the link carries.
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
}

/// Why a text is not a magnet link we can use.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MagnetError {
    /// It does not begin as a magnet link does.
    #[error("expected magnet:?")]
    NotMagnet,
}

impl FromStr for Magnet {
    type Err = MagnetError;
    fn from_str(_text: &str) -> Result<Self, MagnetError> {
        Err(MagnetError::NotMagnet)
    }
}

impl fmt::Display for Magnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("magnet:?")
    }
}
