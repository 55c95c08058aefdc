//! The node as its host and its peers see it.

mod bench;
mod choking;
mod elsewhere;
mod extensions;
mod fetching;
mod giving;
mod joining;
mod leaves;
mod links;
mod mutable;
mod ordering;
mod super_seeding;
mod trouble;
mod v2;
