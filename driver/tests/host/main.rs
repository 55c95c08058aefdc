//! A host on real loopback sockets, played by puppets.

mod asks;
mod connections;
mod datagrams;
mod interface;
mod life;
mod limits;
mod little_proxy;
mod pace;
mod proxy;
mod puppet;
mod quic;
mod rig;
mod streams;
mod utp;
mod web;
