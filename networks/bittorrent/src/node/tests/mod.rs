//! The node as its host and its peers see it.

mod bench;
mod fetching;
mod giving;
mod joining;
mod links;
mod trouble;
mod v2;
