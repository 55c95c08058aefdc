//! The client, heard and spoken to by hand: servers and peers say what the recorded programs said.

mod fetches;
mod servers;
mod stage;
mod uploads;
