//! (being written by the owner of content)
/// A magnet link.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Magnet {
    /// `xt`: every name the link carries.
    pub digests: crate::Digests,
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
    pub selected: Vec<std::ops::RangeInclusive<u32>>,
}
/// Why a text is not a magnet link we can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MagnetError(pub String);
