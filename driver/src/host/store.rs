//! The node's own state: a small store of keys and values that survives the process.
//!
//! One file per network, on a thread of its own, so that questions are answered in the order in which they were asked. What is stored in
//! quick succession becomes durable in one go.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use hexad_core::{Answer, AskFailure, Bucket, Payload};
use tokio::sync::oneshot;

use super::state::{State, Tell};

/// Questions that are answered with one commit at most.
const BATCH: usize = 256;

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
    /// The store in that folder, or in memory. It is opened by the first question. `tell` hears of a file that was broken.
    pub(super) fn new(folder: Option<PathBuf>, tell: Tell) -> Self {
        let (jobs, heard) = mpsc::channel();
        let hurry = Arc::new(AtomicBool::new(false));
        let leaving = hurry.clone();
        let thread = thread::Builder::new().name("hexad-state".to_owned()).spawn(move || serve(State::new(folder, tell), &heard, &leaving));
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

fn serve(mut state: State, jobs: &Receiver<Job>, hurry: &AtomicBool) {
    while let Ok(first) = jobs.recv() {
        if hurry.load(Ordering::Relaxed) {
            return;
        }
        let mut batch = std::iter::once(first).chain(jobs.try_iter().take(BATCH - 1)).collect::<Vec<Job>>().into_iter().peekable();
        while let Some(job) = batch.next() {
            if let (Deed::Load(bucket, key), to) = job {
                let loaded = state.load(bucket, &key).map(|value| Answer::Loaded(value.map(Payload::Bytes)));
                let _ = to.send(loaded.unwrap_or_else(|wrong| failed(&wrong)));
                continue;
            }
            let mut writes = vec![job];
            while let Some(next) = batch.next_if(|(deed, _)| !matches!(deed, Deed::Load(..))) {
                writes.push(next);
            }
            let (deeds, tellers): (Vec<Deed>, Vec<_>) = writes.into_iter().unzip();
            let written = state.write(&deeds);
            for to in tellers {
                let _ = to.send(written.as_ref().map_or_else(|wrong| failed(wrong), |()| Answer::Stored));
            }
        }
    }
}

fn failed(wrong: &str) -> Answer {
    Answer::Failed(AskFailure::Other(format!("the node's state: {wrong}")))
}
