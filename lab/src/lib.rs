//! Any network under virtual time: the shipping state machines, a synthetic world, and no sockets.
//!
//! [`Lab`] runs nodes of one [`hexad_core::Network`]. An event touches the one machine it is addressed to and reaches others only through
//! further events, never sooner than the latency floor; all randomness is drawn from counters. So one seed gives one [`Lab::digest`].

pub mod claims;
pub mod comparison;
mod config;
mod desk;
mod dice;
mod doors;
mod event;
mod faults;
mod fit;
mod gauge;
mod lab;
mod line;
mod machine;
mod nat;
mod outcome;
pub mod outputs;
mod pipe;
mod queue;
mod run;
mod scenario;
pub mod scenarios;
mod shard;
mod space;
pub mod sweep;
mod tally;
mod trial;
mod value;
mod wires;
mod world;

pub use config::{LabConfig, Latency, Links};
pub use desk::{FetchIds, FetchPlan, Report, content_of};
pub use dice::{Purpose, dice};
pub use faults::{Death, Faults, Fired, State};
pub use gauge::{Gauge, Phase, Progress, Silent, cpu_s, memory_bytes, peak_memory_bytes};
pub use lab::{Lab, NodeIndex, Watched};
pub use line::Line;
pub use outcome::{Axis, Cell, Column, Expected, Finding, Outcome, OverSeeds, Plot, Series, Style, Table, figure};
pub use run::{Replay, Run, find, replay};
pub use scenario::{Claim, Parameter, Params, Scenario, Size};
pub use tally::{KindCount, Tally, Traffic};
pub use trial::{ClaimReport, Verdict, claim_jobs, judge, test_claims};
pub use value::{Preset, Value};
