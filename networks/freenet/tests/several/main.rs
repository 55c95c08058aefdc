//! Several nodes on one table, which speak to each other.

mod disk;
mod friends;
mod table;
