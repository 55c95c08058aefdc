//! The token that callers from other machines must know. It is made once and kept beside the node's state, for its owner's eyes only.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use data_encoding::BASE32_NOPAD;
use hexad_api::{Problem, ProblemKind};

use crate::source::plain;

/// Where it is kept, below the folder of the state.
const FILE: &str = "http-token";
/// 160 bits, which nobody guesses.
const RANDOM_BYTES: usize = 20;

/// The token that is kept in `state_dir`; made where there is none.
///
/// # Errors
/// When the folder cannot be read or written, or the system gives no randomness.
pub fn kept_token(state_dir: &Path) -> Result<String, Problem> {
    let path = state_dir.join(FILE);
    let trouble = |wrong: &std::io::Error| {
        Problem::new(format!("{} cannot be read or written: {}", path.display(), plain(wrong)))
            .hint("choose a folder for the state that can be written to, or set a token")
            .kind(ProblemKind::Unavailable)
    };
    match fs::read_to_string(&path) {
        Ok(token) if !token.trim().is_empty() => return Ok(token.trim().to_owned()),
        Err(wrong) if wrong.kind() != ErrorKind::NotFound => return Err(trouble(&wrong)),
        _ => {}
    }
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random)
        .map_err(|wrong| Problem::new(format!("the system gives no randomness: {wrong}")).kind(ProblemKind::Internal))?;
    let token = BASE32_NOPAD.encode(&random).to_ascii_lowercase();
    let write = || {
        fs::create_dir_all(state_dir)?;
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        file.write_all(format!("{token}\n").as_bytes())
    };
    write().map_err(|wrong| trouble(&wrong))?;
    Ok(token)
}
