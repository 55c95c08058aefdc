//! One process of a network other than BitTorrent: a host with its transfers, and the session's part played step by step.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Instant;

use hexad_api::Problem;
use hexad_content::safe_names;
use hexad_core::{Description, Door, Hit, Map, Network, Node, Operation, Progress, Query, Share, Source};
use hexad_driver::host::{Handle, Host, HostConfig, HostEvent};
use hexad_driver::transfers::{Target, Transfers, TransfersConfig, TransfersEvent};

use super::DEADLINE;
use crate::books::Books;
use crate::desk::Made;
use crate::publish::share_of;

type Reply<N> = <<N as Network>::Node as Node>::Reply;
type Request<N> = <<N as Network>::Node as Node>::Request;

enum Heard<N: Network> {
    Host(HostEvent<N>),
    Transfers(TransfersEvent),
}

/// One process.
pub(super) struct Station<N: Network> {
    pub(super) handle: Handle<N>,
    transfers: Arc<Transfers>,
    heard: Receiver<Heard<N>>,
    bound: Map<Door, SocketAddr>,
    books: Books,
}

impl<N: Network> Station<N> {
    /// A host that has joined nothing.
    pub(super) fn start(node: N::Config, host: HostConfig) -> Self {
        let (events, from_transfers) = mpsc::channel();
        let (to, heard) = mpsc::channel();
        let transfers = Transfers::start(TransfersConfig { workers: 1, ..TransfersConfig::default() }, events);
        let (handle, mut from_host) = Host::<N>::start(node, host, transfers.clone(), transfers.clone());
        let to_us: Sender<Heard<N>> = to.clone();
        thread::spawn(move || {
            while let Some(event) = from_host.blocking_recv() {
                if to_us.send(Heard::Host(event)).is_err() {
                    break;
                }
            }
        });
        thread::spawn(move || {
            while let Ok(event) = from_transfers.recv() {
                if to.send(Heard::Transfers(event)).is_err() {
                    break;
                }
            }
        });
        Self { handle, transfers, heard, bound: Map::new(), books: Books::default() }
    }

    /// Goes on hearing until `wanted` says what it was for.
    fn await_that<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&mut Self, Heard<N>) -> Option<Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let until = Instant::now() + DEADLINE;
        loop {
            let Ok(heard) = self.heard.recv_timeout(until.saturating_duration_since(Instant::now())) else {
                return Err(Problem::new(format!("waited {} s in vain for {what}", DEADLINE.as_secs())));
            };
            if let Heard::Host(HostEvent::Bound(door, address)) = &heard {
                self.bound.insert(*door, *address);
            }
            if let Some(found) = wanted(self, heard) {
                return found;
            }
        }
    }

    /// Carries an operation out until it is in effect, and returns what was reported of it meanwhile.
    pub(super) fn does(&mut self, what: &str, operation: Operation<Request<N>>) -> Result<Vec<Progress<Reply<N>>>, Problem> {
        let asked = self.books.op();
        self.handle.start(asked, operation);
        let mut reports = Vec::new();
        self.await_that(what, |_, heard| match heard {
            Heard::Host(HostEvent::Report(op, progress)) if op == asked => match progress {
                Progress::Done => Some(Ok(std::mem::take(&mut reports))),
                Progress::Failed(failure) => Some(Err(Problem::new(format!("{what}: {failure}")))),
                other => {
                    reports.push(other);
                    None
                }
            },
            _ => None,
        })
    }

    /// Where a door is open.
    pub(super) fn address(&mut self, door: Door) -> Result<SocketAddr, Problem> {
        match self.bound.get(&door) {
            Some(address) => Ok(*address),
            None => self.await_that("a door to open", |station, _| station.bound.get(&door).map(|address| Ok(*address))),
        }
    }

    /// Offers what was hashed; returns what was reported meanwhile.
    pub(super) fn publishes(&mut self, made: &Made) -> Result<Vec<Progress<Reply<N>>>, Problem> {
        let share = self.books.share();
        let layout = made.metainfo.info.layout.clone();
        self.transfers.open_share(share, layout, made.paths.clone()).map_err(|wrong| Problem::new(wrong.to_string()))?;
        self.books.shares = self.books.shares.with(share, share_of(&made.metainfo));
        self.handle.set_shares(self.books.shares.clone());
        self.does("a publish", Operation::Publish { share })
    }

    /// All that is found by these words.
    pub(super) fn searches(&mut self, words: &[&str]) -> Result<Vec<Hit>, Problem> {
        let words = words.iter().map(|&word| word.to_owned()).collect();
        let reports = self.does("a search", Operation::Search { query: Query::Words { words, wanted: 10 } })?;
        Ok(reports.into_iter().filter_map(|progress| if let Progress::Hit(hit) = progress { Some(*hit) } else { None }).collect())
    }

    /// Brings all of what a source has below `into`.
    pub(super) fn fetches(&mut self, source: Source, into: &Path) -> Result<(), Problem> {
        let (asked, lease, share, publishing) = (self.books.op(), self.books.lease(), self.books.share(), self.books.op());
        self.handle.start(asked, Operation::Fetch { source, lease, share });
        let (mut complete, mut done) = (false, false);
        self.await_that("a fetch", |station, heard| {
            match heard {
                Heard::Host(HostEvent::Report(op, Progress::Described(description))) if op == asked => {
                    let opened = station.opens(&description, share, into);
                    if let Err(problem) = opened {
                        return Some(Err(problem));
                    }
                    station.handle.start(publishing, Operation::Publish { share });
                    station.transfers.lend(lease, share, Arc::new(station.handle.clone()));
                }
                Heard::Host(HostEvent::Report(op, Progress::Done)) if op == asked => done = true,
                Heard::Host(HostEvent::Report(op, Progress::Failed(failure))) if op == asked => {
                    return Some(Err(Problem::new(format!("a fetch: {failure}"))));
                }
                Heard::Transfers(TransfersEvent::Complete { share: of }) if of == share => complete = true,
                Heard::Transfers(TransfersEvent::Failed { reason, hint, .. }) => return Some(Err(Problem { message: reason, hint })),
                _ => {}
            }
            (complete && done).then_some(Ok(()))
        })?;
        self.transfers.finish(share).map_err(|wrong| Problem::new(wrong.to_string()))
    }

    fn opens(&mut self, description: &Description, share: hexad_core::ShareId, into: &Path) -> Result<(), Problem> {
        let proof = description.proof.clone().ok_or_else(|| Problem::new("nothing proves what is fetched"))?;
        let layout = description.layout.clone();
        let target = Target {
            share,
            names: safe_names(&layout),
            wanted: vec![true; layout.files().len()],
            layout: layout.clone(),
            proof,
            folder: into.to_owned(),
            identity: String::new(),
        };
        let opened = self.transfers.open_download(target, &|_, _| {}).map_err(|wrong| Problem::new(wrong.to_string()))?;
        let share_of = Share {
            layout,
            digests: description.digests.clone(),
            proof: description.proof.clone(),
            held: opened.held,
            torrent: description.torrent.clone(),
        };
        self.books.shares = self.books.shares.with(share, share_of);
        self.handle.set_shares(self.books.shares.clone());
        Ok(())
    }
}

impl<N: Network> fmt::Debug for Station<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Station({})", N::NAME)
    }
}

impl<N: Network> Drop for Station<N> {
    fn drop(&mut self) {
        self.handle.kill();
        self.transfers.shutdown();
    }
}

/// Hashes the folder as it is published.
pub(super) fn made(path: std::path::PathBuf) -> Result<Made, Problem> {
    crate::desk::make(&hexad_api::CreateRequest { path, ..hexad_api::CreateRequest::default() }, &|_, _| {})
}
