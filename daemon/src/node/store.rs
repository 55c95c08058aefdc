//! What a node keeps from one run to the next: shares with what was found by hashing them, downloads, and what was set while it ran.
//!
//! One redb file. Every change is whole or not there, so a node that is killed has what it had a moment before.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use hexad_api::{Problem, ProblemKind};
use hexad_content::{Shape, TigerProof};
use hexad_core::Description;
use redb::backends::InMemoryBackend;
use redb::{Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, TableDefinition, TableError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::source::plain;

const SHARES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("shares");
const DOWNLOADS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("downloads");
/// What downloads turned out to be.
const DESCRIBED: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("described");
const SETTINGS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("settings");
/// What the database may keep of its file in memory.
const CACHE_BYTES: usize = 8 << 20;

/// The node's own state; closed when the node has ended, so that another one may have it.
pub(super) struct Store(RwLock<Option<Database>>);

/// What a share or a download is of, as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Content {
    pub(super) shape: Shape,
    pub(super) torrent: Bytes,
    /// The Tiger tree of a single file that was hashed here.
    pub(super) tiger: Option<TigerProof>,
}

/// Set in the length of the torrent where a Tiger tree stands behind it: bytes of a part, how many hashes, the hashes.
const HAS_TIGER: u32 = 1 << 31;

impl Content {
    pub(super) fn of_description(description: &Description) -> Self {
        let Description { layout, proof, digests, torrent, .. } = description.clone();
        Self { shape: Shape { layout, proof, digests }, torrent, tiger: None }
    }

    /// The torrent with its length in front, then the shape.
    fn write(&self) -> Vec<u8> {
        let flag = if self.tiger.is_some() { HAS_TIGER } else { 0 };
        let mut out = (u32::try_from(self.torrent.len()).unwrap_or(0) | flag).to_le_bytes().to_vec();
        out.extend_from_slice(&self.torrent);
        if let Some(tree) = &self.tiger {
            out.extend_from_slice(&tree.part_bytes().to_le_bytes());
            out.extend_from_slice(&u32::try_from(tree.hashes().len()).unwrap_or(0).to_le_bytes());
            tree.hashes().iter().for_each(|hash| out.extend_from_slice(hash));
        }
        out.extend_from_slice(&self.shape.write());
        out
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length);
        let (torrent, mut rest) = rest.split_at_checked((length & !HAS_TIGER) as usize)?;
        let mut layer = None;
        if length & HAS_TIGER != 0 {
            let (part_bytes, after) = rest.split_first_chunk::<8>()?;
            let (count, after) = after.split_first_chunk::<4>()?;
            let (hashes, shape) = after.split_at_checked((u32::from_le_bytes(*count) as usize).checked_mul(24)?)?;
            layer = Some((u64::from_le_bytes(*part_bytes), hashes));
            rest = shape;
        }
        let shape = Shape::read(rest).ok()?;
        let tiger = layer.and_then(|(part_bytes, hashes)| {
            let hashes: Vec<[u8; 24]> = hashes.chunks_exact(24).filter_map(|hash| hash.try_into().ok()).collect();
            TigerProof::of_layer(shape.layout.total_bytes(), part_bytes, hashes).ok()
        });
        Some(Self { shape, torrent: Bytes::copy_from_slice(torrent), tiger })
    }
}

/// A change of what is kept.
pub(super) enum Keep {
    /// A share, as it is written by [`share_bytes`].
    Share(u64, Vec<u8>),
    ForgetShare(u64),
    /// A download's record.
    Download(u64, Vec<u8>),
    Described(u64, Vec<u8>),
    ForgetDownload(u64),
    Setting(&'static str, Vec<u8>),
}

impl Keep {
    /// Whether nothing is left of `older` where this is written after it.
    pub(super) fn replaces(&self, older: &Self) -> bool {
        match (self, older) {
            (Self::Share(id, _) | Self::ForgetShare(id), Self::Share(of, _) | Self::ForgetShare(of))
            | (Self::Download(id, _), Self::Download(of, _))
            | (Self::Described(id, _), Self::Described(of, _))
            | (Self::ForgetDownload(id), Self::Download(of, _) | Self::Described(of, _) | Self::ForgetDownload(of)) => id == of,
            (Self::Setting(name, _), Self::Setting(of, _)) => name == of,
            _ => false,
        }
    }
}

/// A share as it is kept: its record, and what it is of where that is known.
pub(super) fn share_bytes(record: &impl Serialize, content: Option<&Content>) -> Vec<u8> {
    let record = json(record);
    let mut out = u32::try_from(record.len()).unwrap_or(0).to_le_bytes().to_vec();
    out.extend_from_slice(&record);
    out.extend(content.map(Content::write).unwrap_or_default());
    out
}

/// What a download is of as it is kept.
pub(super) fn described_bytes(description: &Description) -> Vec<u8> {
    Content::of_description(description).write()
}

pub(super) fn json(record: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(record).unwrap_or_default()
}

impl Store {
    /// The state in that folder, or in memory.
    ///
    /// # Errors
    /// When it cannot be opened, or another node has it.
    pub(super) fn open(folder: Option<&Path>) -> Result<Self, Problem> {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        let Some(folder) = folder else {
            let database = builder.create_with_backend(InMemoryBackend::new());
            return database.map(Self::of).map_err(|wrong| Problem::new(wrong.to_string()).kind(ProblemKind::Internal));
        };
        let trouble = |wrong: &dyn std::fmt::Display| {
            Problem::new(format!("what this node knows cannot be kept in {}: {wrong}", folder.display()))
                .hint("choose another folder with --state DIR, or see who may write to that one")
                .kind(ProblemKind::Unavailable)
        };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|wrong| trouble(&plain(&wrong)))?;
        match builder.create(folder.join("node.redb")) {
            Ok(database) => Ok(Self::of(database)),
            Err(DatabaseError::DatabaseAlreadyOpen) => Err(Problem::new(format!("another node runs with {}", folder.display()))
                .hint("stop it first, or choose another folder with --state DIR")
                .kind(ProblemKind::Conflict)),
            Err(wrong) => Err(trouble(&wrong)),
        }
    }

    fn of(database: Database) -> Self {
        Self(RwLock::new(Some(database)))
    }

    /// Lets go of the file; nothing is kept or known from here on.
    pub(super) fn close(&self) {
        drop(self.0.write().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// The database itself, which is away while that is held: how a test has a disk be slow, or fail.
    #[cfg(test)]
    pub(super) fn held(&self) -> std::sync::RwLockWriteGuard<'_, Option<Database>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, act: impl FnOnce(&Database) -> T) -> Option<T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(act)
    }

    /// Keeps these changes, all of them or none.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub(super) fn keep(&self, changes: &[Keep]) -> Result<(), Problem> {
        if changes.is_empty() {
            return Ok(());
        }
        let ended = || Problem::new("the node has ended").hint("start it again").kind(ProblemKind::Unavailable);
        self.with(|database| Self::write(database, changes)).ok_or_else(ended)?.map_err(|wrong| {
            Problem::new(format!("what this node knows cannot be kept: {wrong}")).hint("is the disk full?").kind(ProblemKind::Internal)
        })
    }

    fn write(database: &Database, changes: &[Keep]) -> Result<(), redb::Error> {
        let mut write = database.begin_write()?;
        // After a kill nothing has to be looked through before the next start.
        write.set_quick_repair(true);
        {
            let mut shares = write.open_table(SHARES)?;
            let mut downloads = write.open_table(DOWNLOADS)?;
            let mut described = write.open_table(DESCRIBED)?;
            let mut settings = write.open_table(SETTINGS)?;
            for change in changes {
                match change {
                    Keep::Share(id, bytes) => drop(shares.insert(id, &bytes[..])?),
                    Keep::ForgetShare(id) => drop(shares.remove(id)?),
                    Keep::Download(id, bytes) => drop(downloads.insert(id, &bytes[..])?),
                    Keep::Described(id, bytes) => drop(described.insert(id, &bytes[..])?),
                    Keep::ForgetDownload(id) => {
                        downloads.remove(id)?;
                        described.remove(id)?;
                    }
                    Keep::Setting(name, bytes) => drop(settings.insert(*name, &bytes[..])?),
                }
            }
        }
        write.commit()?;
        Ok(())
    }

    /// All shares; what cannot be read is left out.
    pub(super) fn shares<T: DeserializeOwned>(&self) -> Result<Vec<(u64, T, Option<Content>)>, Problem> {
        self.all(SHARES, |id, bytes| {
            let (length, rest) = bytes.split_first_chunk::<4>()?;
            let (record, content) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            Some((id, serde_json::from_slice(record).ok()?, Content::read(content)))
        })
    }

    /// All downloads; what cannot be read is left out.
    pub(super) fn downloads<T: DeserializeOwned>(&self) -> Result<Vec<(u64, T)>, Problem> {
        self.all(DOWNLOADS, |id, bytes| Some((id, serde_json::from_slice(bytes).ok()?)))
    }

    /// A share as it is kept, where it is known what it is of.
    pub(super) fn share<T: DeserializeOwned>(&self, id: u64) -> Option<(T, Content)> {
        let bytes = self.one(SHARES, id)?;
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (record, content) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        Some((serde_json::from_slice(record).ok()?, Content::read(content)?))
    }

    /// What a share is of.
    pub(super) fn content_of_share(&self, id: u64) -> Option<Content> {
        self.share::<serde::de::IgnoredAny>(id).map(|(_, content)| content)
    }

    /// What a download turned out to be.
    pub(super) fn content_of_download(&self, id: u64) -> Option<Content> {
        Content::read(&self.one(DESCRIBED, id)?)
    }

    /// What is kept of what a download turned out to be.
    #[cfg(test)]
    pub(super) fn described(&self, id: u64) -> Option<Vec<u8>> {
        self.one(DESCRIBED, id)
    }

    /// Something that was set.
    pub(super) fn setting<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.with(|database| {
            let table = database.begin_read().ok()?.open_table(SETTINGS).ok()?;
            let value = table.get(name).ok()??;
            serde_json::from_slice(value.value()).ok()
        })?
    }

    fn one(&self, table: TableDefinition<'static, u64, &'static [u8]>, id: u64) -> Option<Vec<u8>> {
        self.with(|database| {
            let table = database.begin_read().ok()?.open_table(table).ok()?;
            table.get(id).ok()?.map(|value| value.value().to_vec())
        })?
    }

    fn all<T>(
        &self,
        table: TableDefinition<'static, u64, &'static [u8]>,
        read: impl Fn(u64, &[u8]) -> Option<T>,
    ) -> Result<Vec<T>, Problem> {
        let trouble = |wrong: redb::Error| {
            Problem::new(format!("what this node knows cannot be read: {wrong}"))
                .hint("put node.redb in the folder of its state aside, and it begins anew")
                .kind(ProblemKind::Internal)
        };
        let open = |database: &Database| -> Result<Vec<T>, redb::Error> {
            let table = match database.begin_read()?.open_table(table) {
                Ok(table) => table,
                Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                Err(wrong) => return Err(wrong.into()),
            };
            let mut found = Vec::new();
            for entry in table.iter()? {
                let (id, value) = entry?;
                match read(id.value(), value.value()) {
                    Some(one) => found.push(one),
                    None => tracing::warn!(id = id.value(), "a record cannot be read, and is left out"),
                }
            }
            Ok(found)
        };
        self.with(open).unwrap_or_else(|| Ok(Vec::new())).map_err(trouble)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hexad_content::{Digests, Layout};

    #[test]
    fn what_a_share_is_of_is_read_as_it_was_kept_with_a_tree_or_without() {
        let tree = TigerProof::of_layer(100_000, 64 << 10, [[1; 24], [2; 24]]).ok();
        for tiger in [None, tree] {
            let layout = Layout::single("a.bin".into(), 100_000).expect("a short file");
            let shape = Shape { layout: layout.into(), proof: None, digests: Digests::new() };
            let content = Content { shape, torrent: Bytes::from_static(b"d4:infod4:name1:aee"), tiger };
            let bytes = content.write();
            assert_eq!(Content::read(&bytes), Some(content));
            assert!((0..bytes.len()).all(|end| Content::read(&bytes[..end]).is_none()));
        }
    }
}
