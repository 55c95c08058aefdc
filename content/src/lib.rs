//! What a file *is*: its digests, its [`ContentId`], how several files are laid end to end, and what proves a range.
//!
//! Nothing here does I/O. Everything else in the workspace may import this crate; it imports none of ours.

mod branches;
mod content_id;
mod described;
mod digest;
mod forest;
pub mod info;
mod layout;
mod leaves;
mod magnet;
mod names;
mod percent;
mod proof;
mod ranges;
pub mod sha1_lanes;
mod shape;
mod tiger;
mod tree;

pub use branches::{TreeLayers, layers_above, proves_span};
pub use content_id::{ContentId, ContentIdError, PiecesRootHasher};
pub use described::Described;
pub use digest::{Digest, Digests, Sha1Digest, Sha256Digest, Strength};
pub use forest::{ForestError, ForestProof};
pub use layout::{FileEntry, FileSpan, Layout, LayoutError};
pub use leaves::{PartLeaves, leaf_hashes, span_below};
pub use magnet::{Magnet, MagnetError, MutableLink};
pub use names::{Renamed, SafeNames, safe_names};
pub use percent::{PercentEncoded, percent_decoded, percent_decoded_leniently};
pub use proof::{Contradiction, PartCheck, PartVerdict, Proof, WholeDigest};
pub use ranges::Ranges;
pub use shape::{Shape, ShapeError};
pub use tiger::{TigerError, TigerHasher, TigerProof};
pub use tree::{TreeError, TreeProof};
