//! A target folder, known content, and a source that delivers it.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hexad_content::sha1_lanes::sha1_one;
use hexad_content::{FileEntry, Layout, Proof, Ranges, TreeProof, WholeDigest, safe_names};
use hexad_core::{Dice, LeaseId, Payload, ShareId, Verdict};
use hexad_driver::transfers::{Elsewhere, Opened, StoreError, Target, Transfers, TransfersConfig, TransfersEvent};
use hexad_driver::{Deliveries as _, LeaseSink};

/// Nothing here takes longer, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Bench {
    home: PathBuf,
    _guard: Option<tempfile::TempDir>,
    pub content: Vec<u8>,
    pub layout: Arc<Layout>,
    proof: Proof,
    piece_bytes: u64,
}

/// What belongs into a file.
pub fn bytes_of(bench: &Bench, file: usize) -> Vec<u8> {
    let range = bench.layout.file_range(file);
    bench.content[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()].to_vec()
}

impl Bench {
    /// Files by their paths below the target folder.
    pub fn new(files: Vec<(&'static str, u64)>, single: bool, piece_bytes: u64) -> Self {
        let guard = tempfile::tempdir().unwrap();
        let mut bench = Self::below(guard.path().to_owned(), files, single, piece_bytes);
        bench._guard = Some(guard);
        bench
    }

    /// In a folder that is there already, and stays.
    pub fn below(home: PathBuf, files: Vec<(&'static str, u64)>, single: bool, piece_bytes: u64) -> Self {
        let layout = if single {
            Layout::single(files[0].0.into(), files[0].1).unwrap()
        } else {
            let entry = |(name, length): (&str, u64)| FileEntry::plain(name.split('/').skip(1).map(str::to_owned).collect(), length);
            Layout::folder("bench".into(), files.into_iter().map(entry).collect()).unwrap()
        };
        let mut bench = Self {
            home,
            _guard: None,
            content: Vec::new(),
            layout: Arc::new(layout),
            proof: Proof::V1Pieces { piece_bytes: 1, total_bytes: 0, hashes: Arc::new([]) },
            piece_bytes,
        };
        bench.fill();
        bench
    }

    fn fill(&mut self) {
        let total_bytes = self.layout.total_bytes();
        self.content = vec![0; usize::try_from(total_bytes).unwrap()];
        Dice::counter(total_bytes, 1).fill(&mut self.content);
        for (file, entry) in self.layout.files().iter().enumerate().filter(|(_, entry)| entry.padding) {
            let start = usize::try_from(self.layout.file_range(file).start).unwrap();
            self.content[start..start + usize::try_from(entry.length).unwrap()].fill(0);
        }
        let hashes = self.content.chunks(usize::try_from(self.piece_bytes).unwrap()).map(sha1_one).collect();
        self.proof = Proof::V1Pieces { piece_bytes: self.piece_bytes, total_bytes, hashes };
    }

    /// The same file, proven by its Merkle tree.
    pub fn proven_by_tree(mut self) -> Self {
        let (size, part_bytes) = (self.layout.total_bytes(), self.piece_bytes);
        let parts = self.content.chunks(usize::try_from(part_bytes).unwrap());
        let hashes: Vec<_> = parts.map(|part| TreeProof::hash_of_part(size, part_bytes, part)).collect();
        self.proof = Proof::Tree(TreeProof::of_layer(size, part_bytes, hashes).unwrap());
        self
    }

    /// The same file, proven by the SHA-1 of all of it.
    pub fn proven_as_a_whole(mut self) -> Self {
        self.proof = Proof::Whole { total_bytes: self.layout.total_bytes(), digest: WholeDigest::Sha1(sha1_one(&self.content)) };
        self
    }

    /// Nothing proves it.
    pub fn unproven(mut self) -> Self {
        self.proof = Proof::Unproven { total_bytes: self.content.len() as u64 };
        self
    }

    pub fn change(&mut self, change: impl FnOnce(&mut Vec<FileEntry>)) {
        let mut files = self.layout.files().to_vec();
        change(&mut files);
        self.layout = Arc::new(Layout::folder("bench".into(), files).unwrap());
        self.fill();
    }

    pub fn all(&self) -> Vec<bool> {
        vec![true; self.layout.files().len()]
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    pub fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub fn start(&self) -> Run<'_> {
        self.start_with(TransfersConfig::default())
    }

    pub fn start_with(&self, config: TransfersConfig) -> Run<'_> {
        let (events, heard) = mpsc::channel();
        Run { bench: self, transfers: Transfers::start(config, events), events: heard, sink: Arc::default() }
    }

    /// Whether the files hold what belongs into a range of the layout.
    pub fn on_disk(&self, range: Range<u64>) -> bool {
        let names = safe_names(&self.layout);
        self.layout.spans(range).all(|span| {
            let path = self.path(&names.paths[span.file].as_ref().unwrap().join("/"));
            let (from, to) = (usize::try_from(span.offset).unwrap(), usize::try_from(span.offset + span.length).unwrap());
            fs::read(&path).is_ok_and(|there| there.get(from..to) == Some(&bytes_of(self, span.file)[from..to]))
        })
    }

    pub fn assert_arrived(&self, wanted: &[bool]) {
        let names = safe_names(&self.layout);
        for (file, path) in names.paths.iter().enumerate() {
            let Some(path) = path.as_ref().filter(|_| wanted[file]) else { continue };
            let path = self.path(&path.join("/"));
            assert!(fs::read(&path).unwrap() == bytes_of(self, file), "{} differs", path.display());
        }
    }
}

#[derive(Default)]
pub struct Sink {
    heard: Mutex<Heard>,
    bell: Condvar,
    /// Whether every good range is written to stdout.
    aloud: bool,
}

#[derive(Default)]
struct Heard {
    leased: Ranges,
    judged: Vec<(Range<u64>, Verdict)>,
    relieved: bool,
}

impl LeaseSink for Sink {
    fn leased(&self, _: LeaseId, ranges: Ranges) {
        self.heard.lock().unwrap().leased = ranges;
    }
    fn elsewhere(&self, _: LeaseId, _: Ranges) {}

    fn judged(&self, _: LeaseId, range: Range<u64>, verdict: Verdict) {
        if self.aloud && verdict == Verdict::Good {
            println!("good {} {}", range.start, range.end);
        }
        self.heard.lock().unwrap().judged.push((range, verdict));
    }
    fn relieved(&self) {
        self.heard.lock().unwrap().relieved = true;
        self.bell.notify_all();
    }
}

/// One process's worth of transfers.
pub struct Run<'a> {
    bench: &'a Bench,
    pub transfers: Arc<Transfers>,
    events: Receiver<TransfersEvent>,
    sink: Arc<Sink>,
}

impl<'a> Run<'a> {
    pub fn open(&self, wanted: &[bool]) -> Result<Opened, StoreError> {
        self.open_knowing(wanted, &[])
    }

    /// Opens it where files of it may stand elsewhere.
    pub fn open_knowing(&self, wanted: &[bool], known: &[(usize, Vec<Elsewhere>)]) -> Result<Opened, StoreError> {
        let target = Target {
            share: ShareId(1),
            layout: self.bench.layout.clone(),
            proof: self.bench.proof.clone(),
            names: safe_names(&self.bench.layout),
            wanted: wanted.to_vec(),
            folder: self.bench.home.clone(),
            identity: "bench".into(),
        };
        self.transfers.open_download_knowing(target, known, &|checked, total| assert!(checked <= total))
    }

    /// Says on stdout what is good.
    pub fn aloud(mut self) -> Self {
        self.sink = Arc::new(Sink { aloud: true, ..Sink::default() });
        self
    }

    pub fn lend(&self) {
        self.transfers.lend(LeaseId(1), ShareId(1), self.sink.clone());
    }

    pub fn leased(&self) -> Ranges {
        self.sink.heard.lock().unwrap().leased.clone()
    }

    pub fn judged(&self, verdict: Verdict) -> Ranges {
        self.sink.heard.lock().unwrap().judged.iter().filter(|judged| judged.1 == verdict).map(|judged| judged.0.clone()).collect()
    }

    fn hand_over(&self, range: Range<u64>, bytes: Vec<u8>) {
        let mut heard = self.sink.heard.lock().unwrap();
        while self.transfers.congested() {
            heard.relieved = false;
            if self.transfers.congested() {
                let (again, waited) = self.sink.bell.wait_timeout_while(heard, PATIENCE, |heard| !heard.relieved).unwrap();
                assert!(!waited.timed_out(), "never relieved");
                heard = again;
            }
        }
        drop(heard);
        self.transfers.deliver(LeaseId(1), range.start, &Payload::Bytes(Bytes::from(bytes)));
    }

    fn slice(&self, range: &Range<u64>) -> Vec<u8> {
        self.bench.content[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()].to_vec()
    }

    fn blocks(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
        range.clone().step_by(10_000).map(move |start| start..range.end.min(start + 10_000))
    }

    pub fn deliver(&self, range: Range<u64>) {
        Self::blocks(range).for_each(|block| self.hand_over(block.clone(), self.slice(&block)));
    }

    pub fn deliver_wrong(&self, range: Range<u64>) {
        Self::blocks(range).for_each(|block| self.hand_over(block.clone(), self.slice(&block).iter().map(|byte| !byte).collect()));
    }

    pub fn deliver_everything_shuffled(&self, seed: u64) {
        self.deliver_shuffled_with(seed, || {});
    }

    /// Everything, with something to be done before each block.
    pub fn deliver_shuffled_with(&self, seed: u64, mut before: impl FnMut()) {
        let mut blocks: Vec<Range<u64>> = Self::blocks(0..self.bench.layout.total_bytes()).collect();
        Dice::counter(seed, 0).shuffle(&mut blocks);
        for block in blocks {
            before();
            self.hand_over(block.clone(), self.slice(&block));
        }
    }

    pub fn event(&self) -> TransfersEvent {
        self.events.recv_timeout(PATIENCE).expect("expected an event")
    }

    pub fn event_but_progress(&self) -> TransfersEvent {
        loop {
            match self.event() {
                TransfersEvent::Verified { .. } => {}
                other => return other,
            }
        }
    }

    pub fn await_complete(&self) {
        assert_eq!(self.event_but_progress(), TransfersEvent::Complete { share: ShareId(1) });
    }

    /// Waits until all that is whole has its verdict.
    pub fn settle(&self) {
        self.transfers.settle(ShareId(1));
    }
}
