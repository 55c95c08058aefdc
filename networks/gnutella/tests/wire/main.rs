//! Bytes ↔ messages.

mod golden;
mod recordings;
mod round_trips;
