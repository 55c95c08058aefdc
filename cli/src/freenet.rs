//! `hexad freenet`: what only Freenet can do.

use clap::{Args, Subcommand};
use hexad_api::Problem;

use crate::out;

/// `hexad freenet`.
#[derive(Debug, Args)]
pub struct FreenetArgs {
    /// What to do
    #[command(subcommand)]
    pub command: FreenetCommand,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum FreenetCommand {
    /// Make a subspace of one's own: prints the key that writes, to be kept, and the key that reads, to be given away
    #[command(after_help = "Example:\n  hexad freenet make-key")]
    MakeKey,
}

/// Does it.
///
/// # Errors
/// When it cannot be done.
pub fn run(command: FreenetCommand) -> Result<(), Problem> {
    match command {
        FreenetCommand::MakeKey => {
            let (writes, reads) = hexad_daemon::make_freenet_key()?;
            out::line(&writes)?;
            out::line(&reads)
        }
    }
}
