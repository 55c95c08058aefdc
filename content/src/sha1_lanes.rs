//! (being written by the owner of content)
