//! What must be true of content, seen from outside.

mod branches;
mod content_id;
mod forest;
mod layout;
mod leaves;
mod magnet;
mod names;
mod proof;
mod ranges;
mod sha1_lanes;
mod tiger;
