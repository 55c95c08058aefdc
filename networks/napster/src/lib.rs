//! Napster as a pure state machine, on the OpenNap wire.
pub mod wire;
