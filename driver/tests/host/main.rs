//! A host on real loopback sockets, played by puppets.

mod asks;
mod connections;
mod datagrams;
mod interface;
mod life;
mod limits;
mod pace;
mod puppet;
mod quic;
mod rig;
mod streams;
mod utp;
mod web;
