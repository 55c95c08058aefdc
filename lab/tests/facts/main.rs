//! What holds for the lab, whatever network runs in it.

mod echo;
mod faults;
mod gnutella;
mod kazaa;
mod napster;
mod scale;
mod scenarios;
mod threads;
mod transfers;
mod utp;
mod world;
