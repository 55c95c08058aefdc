//! The node's own state: a small store of keys and values that survives the process.
//!
//! One redb file per network, on a thread of its own, so that questions are answered in the order in which they were asked. What is stored in
//! quick succession becomes durable in one go.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use hexad_core::{Answer, AskFailure, Bucket, Payload};
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase as _, TableDefinition, TableError};
use tokio::sync::oneshot;

/// Questions that are answered with one commit at most.
const BATCH: usize = 256;
/// What a database may keep of its file in memory.
const CACHE_BYTES: usize = 8 << 20;

/// A question to the store.
pub(super) enum Deed {
    Load(Bucket, Vec<u8>),
    Store(Bucket, Vec<u8>, Bytes),
    Forget(Bucket, Vec<u8>),
}

type Job = (Deed, oneshot::Sender<Answer>);

/// The store of one host.
pub(super) struct Store {
    jobs: Option<Sender<Job>>,
    hurry: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Store {
    /// The store in that folder, or in memory. It is opened by the first question.
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        let (jobs, heard) = mpsc::channel();
        let hurry = Arc::new(AtomicBool::new(false));
        let leaving = hurry.clone();
        let thread = thread::Builder::new().name("hexad-state".to_owned()).spawn(move || serve(folder.as_deref(), &heard, &leaving));
        match thread {
            Ok(thread) => Self { jobs: Some(jobs), hurry, thread: Some(thread) },
            // Every question is answered with a failure.
            Err(_) => Self { jobs: None, hurry, thread: None },
        }
    }

    /// Puts a question. What is asked earlier is done earlier.
    pub(super) fn ask(&self, deed: Deed) -> oneshot::Receiver<Answer> {
        let (to, answer) = oneshot::channel();
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send((deed, to));
        }
        answer
    }

    /// Closes the store. What has not been begun is not done when in a hurry.
    pub(super) fn close(&mut self, hurry: bool) {
        self.hurry.store(hurry, Ordering::Relaxed);
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close(true);
    }
}

fn serve(folder: Option<&Path>, jobs: &Receiver<Job>, hurry: &AtomicBool) {
    let mut database = None;
    while let Ok(first) = jobs.recv() {
        if hurry.load(Ordering::Relaxed) {
            return;
        }
        let batch: Vec<Job> = std::iter::once(first).chain(jobs.try_iter().take(BATCH - 1)).collect();
        if database.is_none() {
            match open(folder) {
                Ok(opened) => database = Some(opened),
                Err(wrong) => {
                    for (_, to) in batch {
                        let _ = to.send(failed(&wrong));
                    }
                    continue;
                }
            }
        }
        let Some(database) = &database else { continue };
        let mut batch = batch.into_iter().peekable();
        while let Some(job) = batch.next() {
            if let (Deed::Load(bucket, key), to) = job {
                let loaded = load(database, bucket, &key);
                let _ = to.send(loaded.unwrap_or_else(|wrong| failed(&wrong.to_string())));
                continue;
            }
            let mut writes = vec![job];
            while let Some(next) = batch.next_if(|(deed, _)| !matches!(deed, Deed::Load(..))) {
                writes.push(next);
            }
            let written = write(database, &writes);
            for (_, to) in writes {
                let _ = to.send(written.as_ref().map_or_else(|wrong| failed(&wrong.to_string()), |()| Answer::Stored));
            }
        }
    }
}

fn open(folder: Option<&Path>) -> Result<Database, String> {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    let Some(folder) = folder else {
        return builder.create_with_backend(InMemoryBackend::new()).map_err(|wrong| wrong.to_string());
    };
    // There may be keys in it.
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|wrong| format!("{}: {wrong}", folder.display()))?;
    let file = folder.join("state.redb");
    builder.create(&file).map_err(|wrong| format!("{}: {wrong}", file.display()))
}

const fn table(bucket: Bucket) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(bucket)
}

fn load(database: &Database, bucket: Bucket, key: &[u8]) -> Result<Answer, redb::Error> {
    let table = match database.begin_read()?.open_table(table(bucket)) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(Answer::Loaded(None)),
        Err(wrong) => return Err(wrong.into()),
    };
    let value = table.get(key)?.map(|value| Payload::Bytes(Bytes::copy_from_slice(value.value())));
    Ok(Answer::Loaded(value))
}

/// All or nothing.
fn write(database: &Database, jobs: &[Job]) -> Result<(), redb::Error> {
    let change = database.begin_write()?;
    for (deed, _) in jobs {
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

fn failed(wrong: &str) -> Answer {
    Answer::Failed(AskFailure::Other(format!("the node's state: {wrong}")))
}
