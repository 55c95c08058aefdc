//! What must be true of content, seen from outside.

mod content_id;
mod layout;
mod magnet;
mod names;
mod proof;
mod ranges;
mod sha1_lanes;
