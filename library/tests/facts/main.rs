//! What must be true of what we have, seen from outside.

mod pieces;
mod scan;
