//! uTP (BEP 29) as a pure state machine: streams over datagrams that give way to everything else on the line.
//!
//! [`Hub`] is all that happens at one UDP socket: it takes datagrams in, opens and accepts connections, and says which datagrams are to
//! leave and when it wants to be woken. It owns no socket and no clock, so that the driver and a simulated line run the same code.
//!
//! Congestion control is LEDBAT (RFC 6817) as libtorrent and libutp tune it: the queue that our own packets build at the bottleneck is
//! held at 100 ms, measured one way, so that a TCP download beside it hardly notices.

mod config;
mod connection;
mod delay;
mod hub;
pub mod line;
mod pacer;
mod path_mtu;
mod queue;
mod receiving;
mod round_trip;
mod sending;
mod seq;
mod window;
pub mod wire;

pub use config::Config;
pub use connection::{Connection, End};
pub use hub::{Datagram, Hub, Key};
pub use seq::Seq;
