//! The HTTP face over a node that only pretends: what goes over the wire, who is let in, how fast it answers.

mod api;
mod client;
mod door;
mod events;
mod fake;
mod foreign;
mod page;
mod speed;
