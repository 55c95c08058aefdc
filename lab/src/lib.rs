//! Any network under virtual time: the shipping state machines, a synthetic world, and no sockets.
//!
//! [`Lab`] runs nodes of one [`hexad_core::Network`]. An event touches the one machine it is addressed to and reaches others only through
//! further events, never sooner than the latency floor; all randomness is drawn from counters. So one seed gives one [`Lab::digest`].

mod config;
mod desk;
mod dice;
mod doors;
mod event;
mod faults;
mod lab;
mod machine;
mod nat;
mod pipe;
mod queue;
pub mod scenarios;
mod space;
mod tally;
mod wires;
mod world;

pub use config::{LabConfig, Latency, Links};
pub use desk::{FetchIds, FetchPlan, Report, content_of};
pub use dice::{Purpose, dice};
pub use faults::{Death, Faults, Fired, State};
pub use lab::{Lab, NodeIndex, Watched};
pub use tally::{KindCount, Tally, Traffic};
