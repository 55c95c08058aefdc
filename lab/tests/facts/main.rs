//! What holds for the lab, whatever network runs in it.

mod echo;
mod faults;
mod scale;
mod transfers;
mod world;
