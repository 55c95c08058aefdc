//! A host on real loopback sockets, played by puppets.

mod connections;
mod life;
mod puppet;
mod rig;
