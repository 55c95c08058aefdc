//! The server, heard and spoken to by hand.

mod bad_input;
mod basics;
mod elsewhere;
mod files;
mod people;
mod stage;
mod transfers;
