//! Files that hold a key: made once, for their owner's eyes only, and never written over.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use hexad_api::Problem;
use hexad_driver::host::NodeKey;

use crate::source::plain;

/// The key in the file `name` of `folder`, which is made when there is none. `what` it is, and what `otherwise` comes of it when the file is put aside, are
/// for people.
///
/// # Errors
/// When it cannot be read, or made and kept.
pub(crate) fn key_in(folder: &Path, name: &str, what: &str, otherwise: &str) -> Result<NodeKey, Problem> {
    let path = folder.join(name);
    let trouble = |wrong: &std::io::Error, how: &str| Problem::new(format!("{}: {what} cannot be {how}: {}", path.display(), plain(wrong)));
    let read = || match fs::read_to_string(&path) {
        Ok(text) => {
            let seed = HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).ok().and_then(|seed| seed.try_into().ok());
            let key = seed.and_then(|seed| NodeKey::from_seed(seed).ok());
            let none = || {
                Problem::new(format!("{}: expected a key of 64 hex digits, came something else", path.display()))
                    .hint(format!("put the file aside, and {otherwise}"))
            };
            key.map(Some).ok_or_else(none)
        }
        Err(wrong) if wrong.kind() == ErrorKind::NotFound => Ok(None),
        Err(wrong) => Err(trouble(&wrong, "read")),
    };
    if let Some(key) = read()? {
        return Ok(key);
    }
    let key = NodeKey::generate().map_err(|wrong| trouble(&wrong, "made"))?;
    let keep = || {
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
        writeln!(file, "{}", HEXLOWER.encode(&key.seed()))?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(&path) {
            // Somebody else was quicker, and has the key.
            Err(wrong) if wrong.error.kind() != ErrorKind::AlreadyExists => Err(wrong.error),
            _ => Ok(()),
        }
    };
    keep().map_err(|wrong| trouble(&wrong, "kept"))?;
    read()?.ok_or_else(|| trouble(&ErrorKind::NotFound.into(), "kept"))
}
