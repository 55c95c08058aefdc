//! The key under which what this machine publishes can be changed later (BEP 44, 46): one for all of it, told apart by names.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use hexad_api::{MutableItem, Problem};
use hexad_bittorrent::StoredItem;
use hexad_bittorrent::wire::metainfo::short;
use hexad_bittorrent::wire::stored::{SALT_BYTES_MAX, Signed, torrent_value};
use hexad_content::{Digest, Digests};
use hexad_driver::wall::Wall;

use crate::key_file::key_in;
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
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|wrong| {
            Problem::new(format!("the key of links cannot be kept in {}: {}", folder.display(), plain(&wrong))).hint(hint)
        })?;
        let key = key_in(&folder, FILE, "the key of links", "links get another key");
        key.map(|key| Self(key.seed())).map_err(|problem| if problem.hint.is_none() { problem.hint(hint) } else { problem })
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

/// The names of 20 bytes that a torrent has in swarms: that of version 1, then the first bytes of that of version 2.
fn names(digests: &Digests) -> impl Iterator<Item = [u8; 20]> {
    let v1 = digests.iter().find_map(|digest| if let Digest::TorrentV1(hash) = digest { Some(hash.0) } else { None });
    let v2 = digests.iter().find_map(|digest| if let Digest::TorrentV2(hash) = digest { Some(short(hash)) } else { None });
    v1.into_iter().chain(v2)
}

/// The info hash that a mutable link names.
pub(crate) fn info_hash(digests: &Digests) -> Option<[u8; 20]> {
    names(digests).next()
}

/// Whether a torrent is the one that is named so.
pub(crate) fn is_named(digests: &Digests, info_hash: &str) -> bool {
    names(digests).any(|name| HEXLOWER.encode(&name) == info_hash)
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
    use std::fs;
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
