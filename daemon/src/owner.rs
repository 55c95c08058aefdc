//! The key under which what this machine publishes can be changed later (BEP 44, 46): one for all of it, told apart by names.

use std::fs::{self, DirBuilder};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use hexad_api::{MutableItem, Problem};
use hexad_bittorrent::StoredItem;
use hexad_bittorrent::wire::stored::{SALT_BYTES_MAX, Signed, torrent_value};
use hexad_content::{Digest, Digests};
use hexad_driver::host::NodeKey;
use hexad_driver::wall::Wall;

use crate::networks::mutable_item;
use crate::source::plain;

/// Where it is kept, below the folder of the state.
const FOLDER: &str = "bittorrent";
const FILE: &str = "owner-key";

/// Who owns the links.
pub(crate) struct Owner([u8; 32]);

impl Owner {
    /// The one whose key is kept in `state_dir`; it is made when there is none.
    ///
    /// # Errors
    /// When it cannot be read, or made and kept.
    pub(crate) fn of(state_dir: Option<&Path>) -> Result<Self, Problem> {
        let hint = "name a folder for what is kept with --state DIR";
        let state_dir =
            state_dir.ok_or_else(|| Problem::new("there is nowhere to keep the key of a link that can be changed").hint(hint))?;
        let folder = state_dir.join(FOLDER);
        let path = folder.join(FILE);
        let trouble = |what: &str, wrong: &dyn std::fmt::Display| Problem::new(format!("{}: {what}: {wrong}", path.display())).hint(hint);
        let read = || match fs::read_to_string(&path) {
            Ok(text) => {
                let seed = HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).ok().and_then(|seed| seed.try_into().ok());
                let wrong = || {
                    Problem::new(format!("{}: expected a key of 64 hex digits, came something else", path.display()))
                        .hint("put the file aside, and links get another key")
                };
                seed.map(|seed| Some(Self(seed))).ok_or_else(wrong)
            }
            Err(wrong) if wrong.kind() == ErrorKind::NotFound => Ok(None),
            Err(wrong) => Err(trouble("the key cannot be read", &plain(&wrong))),
        };
        if let Some(owner) = read()? {
            return Ok(owner);
        }
        let key = NodeKey::generate().map_err(|wrong| trouble("no key can be made", &plain(&wrong)))?;
        let keep = || {
            DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&folder)?;
            writeln!(file, "{}", HEXLOWER.encode(&key.seed()))?;
            file.as_file().sync_all()?;
            match file.persist_noclobber(&path) {
                // Somebody else was quicker, and has the key.
                Err(wrong) if wrong.error.kind() != ErrorKind::AlreadyExists => Err(wrong.error),
                _ => Ok(()),
            }
        };
        keep().map_err(|wrong| trouble("the key cannot be kept", &plain(&wrong)))?;
        read()?.ok_or_else(|| trouble("the key cannot be kept", &"it is gone"))
    }

    /// His word that the link of that name leads to that torrent; `None` where nothing is a torrent's name.
    pub(crate) fn word(&self, name: &str, seq: i64, digests: &Digests) -> Option<MutableItem> {
        let value = torrent_value(&info_hash(digests)?);
        let signed = Signed::new(&self.0, Bytes::copy_from_slice(name.as_bytes()), seq, &value);
        mutable_item(&StoredItem { value, signed: Some(Box::new(signed)) })
    }
}

/// The sequence number of what is said now: milliseconds since 1970, so that what is said later is newer, even within a second and by another run.
pub(crate) fn seq_now(wall: &Wall) -> i64 {
    let since = wall.now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The info hash that a mutable link names: that of version 1, else the first 20 bytes of that of version 2.
pub(crate) fn info_hash(digests: &Digests) -> Option<[u8; 20]> {
    let v1 = digests.iter().find_map(|digest| if let Digest::TorrentV1(hash) = digest { Some(hash.0) } else { None });
    v1.or_else(|| digests.iter().find_map(|digest| if let Digest::TorrentV2(hash) = digest { hash.0.first_chunk().copied() } else { None }))
}

/// Whether a torrent is the one that is named so.
pub(crate) fn is_named(digests: &Digests, info_hash: &str) -> bool {
    digests.iter().any(|digest| match digest {
        Digest::TorrentV1(hash) => HEXLOWER.encode(&hash.0) == info_hash,
        Digest::TorrentV2(hash) => hash.0.first_chunk::<20>().is_some_and(|short| HEXLOWER.encode(short) == info_hash),
        _ => false,
    })
}

/// What is wrong with the name of a link.
pub(crate) fn check_name(name: &str) -> Result<(), Problem> {
    if name.is_empty() || name.len() > SALT_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(Problem::new(format!("expected a name of 1 to {SALT_BYTES_MAX} bytes for the link, came '{}'", name.escape_debug()))
            .hint("any word tells several links of one machine apart"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hexad_content::Sha1Digest;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_made_once_is_nobody_elses_and_is_not_written_over() {
        let state = tempfile::tempdir().expect("a folder");
        let digests: Digests = [Digest::TorrentV1(Sha1Digest([7; 20]))].into_iter().collect();
        let word = |name| Owner::of(Some(state.path())).expect("a key").word(name, 1, &digests).expect("a word");
        let (first, again) = (word("a"), word("a"));
        assert_eq!((&first, first.link.contains("&s=61"), &first.info_hash[..4]), (&again, true, "0707"));
        assert_ne!(word("b").link, first.link);
        let file = state.path().join("bittorrent/owner-key");
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o077, 0);
        fs::write(&file, "mine\n").expect("written");
        assert!(Owner::of(Some(state.path())).is_err());
        assert_eq!(fs::read_to_string(&file).expect("still there"), "mine\n");
        assert!(Owner::of(None).is_err());
    }
}
