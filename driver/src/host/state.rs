//! The file in which a node's state lies, a redb database, and what is done when it is broken: it is put aside, and what can be read of it goes into a new one.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hexad_core::Bucket;
use redb::backends::InMemoryBackend;
use redb::{Builder, Database, ReadOnlyDatabase, ReadableDatabase as _, ReadableTable as _, TableDefinition, TableError, TableHandle as _};

use super::store::Deed;

/// What a database may keep of its file in memory.
const CACHE_BYTES: usize = 8 << 20;
const FILE: &str = "state.redb";

/// Who is told, in a sentence, that the file was broken.
pub(super) type Tell = Box<dyn Fn(String) + Send>;

type Table = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// The state of one node.
pub(super) struct State {
    /// In memory, where there is none.
    folder: Option<PathBuf>,
    tell: Tell,
    database: Option<Database>,
}

impl State {
    pub(super) fn new(folder: Option<PathBuf>, tell: Tell) -> Self {
        Self { folder, tell, database: None }
    }

    pub(super) fn load(&mut self, bucket: Bucket, key: &[u8]) -> Result<Option<Bytes>, String> {
        self.does(|database| load(database, bucket, key))
    }

    /// All of them or none.
    pub(super) fn write(&mut self, deeds: &[Deed]) -> Result<(), String> {
        self.does(|database| write(database, deeds))
    }

    /// Does something, once more where the file is broken and was mended.
    fn does<T>(&mut self, deed: impl Fn(&Database) -> Result<T, redb::Error>) -> Result<T, String> {
        match self.tries(&deed) {
            Err(wrong) if is_broken(&wrong) && self.folder.is_some() => {
                self.mend(&wrong)?;
                self.tries(&deed)
            }
            done => done,
        }
        .map_err(|wrong| wrong.to_string())
    }

    fn tries<T>(&mut self, deed: &impl Fn(&Database) -> Result<T, redb::Error>) -> Result<T, redb::Error> {
        let opened = match self.database.take() {
            Some(opened) => opened,
            None => guarded(|| open(self.folder.as_deref()))?,
        };
        let database = &*self.database.insert(opened);
        let done = guarded(|| deed(database));
        // After a failure to read or write, a full disk say, redb does nothing more until the file is opened again.
        if done.as_ref().is_err_and(|wrong| matches!(wrong, redb::Error::Io(_) | redb::Error::PreviousIo)) && self.folder.is_some() {
            self.database = None;
        }
        done
    }

    /// Puts the file aside. What can be read of it is kept.
    fn mend(&mut self, why: &redb::Error) -> Result<(), String> {
        let Some(folder) = &self.folder else { return Err(why.to_string()) };
        let (file, fresh) = (folder.join(FILE), folder.join(format!("{FILE}.new")));
        let trouble = |wrong: std::io::Error| format!("{}: {why}; it cannot be put aside: {wrong}", file.display());
        match fs::remove_file(&fresh) {
            Err(wrong) if wrong.kind() != ErrorKind::NotFound => return Err(trouble(wrong)),
            _ => {}
        }
        self.database = None;
        let old = guarded(|| Ok(ReadOnlyDatabase::open(&file)?)).ok();
        let kept = old.as_ref().map(|old| guarded(|| salvage(old, &fresh)).map_err(|wrong| wrong.to_string())).transpose()?;
        drop(old);
        let names = std::iter::once(format!("{FILE}.broken")).chain((2..).map(|number| format!("{FILE}.broken.{number}")));
        let Some(aside) = names.map(|name| folder.join(name)).find(|aside| !aside.exists()) else { return Err(why.to_string()) };
        fs::rename(&file, &aside).map_err(trouble)?;
        if kept.is_some() {
            fs::rename(&fresh, &file).map_err(trouble)?;
        }
        let kept = kept
            .map_or_else(|| "nothing of it could be read".to_owned(), |kept| format!("{kept} records of it could be read and are kept"));
        (self.tell)(format!("{}: {why}. The file is put aside as {}; {kept}", file.display(), aside.display()));
        Ok(())
    }
}

/// Whether what is in the file is not what was written.
fn is_broken(wrong: &redb::Error) -> bool {
    match wrong {
        redb::Error::Corrupted(_) | redb::Error::TableTypeMismatch { .. } => true,
        redb::Error::Io(wrong) => matches!(wrong.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof),
        _ => false,
    }
}

/// Some broken pages make redb panic.
fn guarded<T>(deed: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, redb::Error> {
    catch_unwind(AssertUnwindSafe(deed)).unwrap_or_else(|_| Err(redb::Error::Corrupted("a page makes no sense".to_owned())))
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn open(folder: Option<&Path>) -> Result<Database, redb::Error> {
    let Some(folder) = folder else { return Ok(builder().create_with_backend(InMemoryBackend::new())?) };
    // There may be keys in it.
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(redb::Error::Io)?;
    Ok(builder().create(folder.join(FILE))?)
}

const fn table(bucket: Bucket) -> Table {
    TableDefinition::new(bucket)
}

fn load(database: &Database, bucket: Bucket, key: &[u8]) -> Result<Option<Bytes>, redb::Error> {
    let table = match database.begin_read()?.open_table(table(bucket)) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(wrong) => return Err(wrong.into()),
    };
    Ok(table.get(key)?.map(|value| Bytes::copy_from_slice(value.value())))
}

fn write(database: &Database, deeds: &[Deed]) -> Result<(), redb::Error> {
    let change = database.begin_write()?;
    for deed in deeds {
        match deed {
            Deed::Store(bucket, key, value) => {
                change.open_table(table(bucket))?.insert(&key[..], &value[..])?;
            }
            Deed::Forget(bucket, key) => {
                change.open_table(table(bucket))?.remove(&key[..])?;
            }
            Deed::Load(..) => {}
        }
    }
    change.commit()?;
    Ok(())
}

/// Copies what can be read of a broken database into a new one: of each table the records before the first that cannot be read, and those behind the last.
fn salvage(broken: &ReadOnlyDatabase, fresh: &Path) -> Result<u64, redb::Error> {
    let fresh = builder().create(fresh)?;
    let Ok(reads) = guarded(|| Ok(broken.begin_read()?)) else { return Ok(0) };
    let names = guarded(|| Ok(reads.list_tables()?.map(|table| table.name().to_owned()).collect::<Vec<_>>())).unwrap_or_default();
    let change = fresh.begin_write()?;
    let mut kept = 0;
    for name in &names {
        let definition: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(name);
        let mut into = change.open_table(definition)?;
        let Ok(table) = guarded(|| Ok(reads.open_table(definition)?)) else { continue };
        for backwards in [false, true] {
            let Ok(mut records) = guarded(|| Ok(table.iter()?)) else { continue };
            let mut next = || if backwards { records.next_back() } else { records.next() };
            let mut read = || guarded(|| Ok(next().transpose()?.map(|(key, value)| (key.value().to_vec(), value.value().to_vec()))));
            while let Ok(Some((key, value))) = read() {
                kept += u64::from(into.insert(&key[..], &value[..])?.is_none());
            }
        }
    }
    change.commit()?;
    Ok(kept)
}
