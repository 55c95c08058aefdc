//! The world of loopback sockets, real clocks and temporary folders.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;

use std::time::Duration;

use hexad_content::{Digest, FileEntry, Layout, safe_names};
use hexad_core::{Abilities, Endpoint, Hit, LeaseId, OpId, Operation, Progress, Query, ShareId, Source};
use hexad_driver::host::NodeKey;
use tempfile::TempDir;

use crate::adapter::Adapter;
use crate::machine::{Machine, Plan};
use crate::world::{Fetching, Folder, Outcome, Peer, Published, World};

/// How long a scenario waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Loopback sockets on which scenarios play.
pub struct RealWorld<N: Adapter> {
    joined: Rc<RefCell<Vec<Endpoint>>>,
    /// Where the network has one, and its state.
    centre: Option<(Machine<N>, TempDir)>,
}

impl<N: Adapter> Default for RealWorld<N> {
    fn default() -> Self {
        Self { joined: Rc::default(), centre: None }
    }
}

impl<N: Adapter> RealWorld<N> {
    /// Starts the node in the middle, where the network has one.
    fn begin(&mut self) {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let Some(centre) = N::centre(listen).filter(|_| self.centre.is_none()) else { return };
        let house = tempfile::Builder::new().prefix("hexad-conformance-").tempdir().expect("a temporary folder can be made");
        let machine = Machine::<N>::start(centre.config, house.path().join("state"), fresh_key());
        machine.handle.start(OpId(1), centre.operation);
        machine.await_done(OpId(1), "the centre to be ready");
        let address = machine.log.wait("a door to be open", |seen| seen.bound.get(&centre.door).copied());
        self.joined.borrow_mut().push(Endpoint::Ip(address));
        self.centre = Some((machine, house));
    }
}

impl<N: Adapter> Drop for RealWorld<N> {
    fn drop(&mut self) {
        if let Some((machine, _house)) = self.centre.take() {
            machine.stop();
        }
    }
}

impl<N: Adapter> World for RealWorld<N> {
    type Peer = RealPeer<N>;

    fn abilities(&self) -> Abilities {
        N::ABILITIES
    }

    fn joined<const COUNT: usize>(&mut self) -> [RealPeer<N>; COUNT] {
        self.begin();
        std::array::from_fn(|_| {
            let house = tempfile::Builder::new().prefix("hexad-conformance-").tempdir().expect("a temporary folder can be made");
            let inner = Inner {
                machine: None,
                house,
                joined: self.joined.clone(),
                last_id: 0,
                given: Vec::new(),
                received_before: 0,
                key: fresh_key(),
            };
            let peer = RealPeer { inner: Rc::new(RefCell::new(inner)) };
            let address = peer.boot();
            self.joined.borrow_mut().push(address);
            peer
        })
    }
}

/// A host with its transfers, and the disk that outlives them.
pub struct RealPeer<N: Adapter> {
    inner: Rc<RefCell<Inner<N>>>,
}

struct Inner<N: Adapter> {
    machine: Option<Machine<N>>,
    house: TempDir,
    joined: Rc<RefCell<Vec<Endpoint>>>,
    last_id: u64,
    given: Vec<PathBuf>,
    /// Bytes that were delivered in lives before.
    received_before: u64,
    /// By which others know it, in all its lives.
    key: NodeKey,
}

impl<N: Adapter> Clone for RealPeer<N> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<N: Adapter> Inner<N> {
    fn fresh(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn machine(&self) -> &Machine<N> {
        self.machine.as_ref().expect("a dead peer is not asked for anything")
    }
}

impl<N: Adapter> RealPeer<N> {
    /// Starts the process and joins; returns where others reach it.
    fn boot(&self) -> Endpoint {
        let inner = &mut *self.inner.borrow_mut();
        let machine =
            Machine::<N>::start(N::config(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))), inner.house.path().join("state"), inner.key.clone());
        let others = inner.joined.borrow().clone();
        let op = OpId(inner.fresh());
        machine.handle.start(op, N::join(&others));
        machine.await_done(op, "a peer to join");
        let address = machine.log.wait("a door to be open", |seen| seen.bound.get(&N::door()).copied());
        inner.machine = Some(machine);
        N::address(address, inner.key.public())
    }
}

fn fresh_key() -> NodeKey {
    NodeKey::generate().expect("the system gives randomness")
}

fn write(layout: &Layout, folder: &Folder, below: &std::path::Path) -> io::Result<Vec<Option<PathBuf>>> {
    let names = safe_names(layout);
    let mut paths = Vec::new();
    for (index, elements) in names.paths.iter().enumerate() {
        let Some(elements) = elements else {
            paths.push(None);
            continue;
        };
        let path = below.join(elements.iter().collect::<PathBuf>());
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, folder.contents(index))?;
        paths.push(Some(path));
    }
    Ok(paths)
}

/// Where the files of a layout stand, those of `from` in another order and with padding among them.
fn spread(layout: &Layout, from: &Layout, paths: &[Option<PathBuf>]) -> Vec<Option<PathBuf>> {
    let place = |file: &FileEntry| from.files().iter().zip(paths).find(|(own, _)| own.path == file.path).and_then(|(_, path)| path.clone());
    layout.files().iter().map(|file| if file.padding { None } else { place(file) }).collect()
}

impl<N: Adapter> Peer for RealPeer<N> {
    type Fetch = RealFetch<N>;

    fn publish(&self, folder: &Folder) -> Published {
        let inner = &mut *self.inner.borrow_mut();
        let below = inner.house.path().join("shared");
        let paths = write(&folder.layout, folder, &below).expect("a temporary folder can be written to");
        let piece_bytes = N::piece_bytes(folder.bytes());
        let trees = |layout: &Layout| {
            let work = hexad_library::Work { threads: 0, progress: &|_, _| {}, cancel: None };
            hexad_library::hash_trees(layout, &spread(layout, &folder.layout, &paths), piece_bytes, &work)
                .expect("files just written can be hashed")
        };
        let share = N::share_by_trees(&folder.layout, &trees).unwrap_or_else(|| {
            let hashes = hexad_library::hash_pieces(&folder.layout, &paths, piece_bytes, &|_, _| {});
            N::share(&folder.layout, hashes.expect("files just written can be hashed"))
        });
        let id = ShareId(inner.fresh());
        let op = OpId(inner.fresh());
        inner.given.extend(paths.iter().flatten().cloned());
        let machine = inner.machine();
        let address = machine.log.wait("a door to be open", |seen| seen.bound.get(&N::door()).copied());
        let published = Published { digest: N::digest(&share), source: N::source(&share, vec![N::address(address, inner.key.public())]) };
        machine
            .transfers
            .open_share(id, share.layout.clone(), spread(&share.layout, &folder.layout, &paths))
            .expect("files just written can be shared");
        machine.set_share(id, share);
        machine.handle.start(op, Operation::Publish { share: id });
        machine.await_done(op, "a publish to be in effect");
        published
    }

    fn search(&self, digest: Digest) -> Vec<Hit> {
        let inner = &mut *self.inner.borrow_mut();
        let op = OpId(inner.fresh());
        let machine = inner.machine();
        machine.handle.start(op, Operation::Search { query: Query::Digest { digest, wanted: 10 } });
        machine.await_end(op, "a search to end");
        machine.log.look(|seen| {
            let hit = |(of, progress): &(OpId, Progress<_>)| match progress {
                Progress::Hit(hit) if *of == op => Some((**hit).clone()),
                _ => None,
            };
            seen.reports.iter().filter_map(hit).collect()
        })
    }

    fn fetch(&self, folder: &Folder, source: &Source) -> RealFetch<N> {
        let inner = &mut *self.inner.borrow_mut();
        let (op, lease, share, publishing) = (OpId(inner.fresh()), LeaseId(inner.fresh()), ShareId(inner.fresh()), OpId(inner.fresh()));
        let into = inner.house.path().join("fetched");
        let machine = inner.machine();
        machine.expect(op, Plan { lease, share, publishing, into: into.clone() });
        machine.handle.start(op, Operation::Fetch { source: source.clone(), lease, share });
        RealFetch { peer: self.clone(), op, lease, share, publishing, folder: folder.clone(), into, verified: RefCell::new(0) }
    }

    fn dies(&self) {
        let inner = &mut *self.inner.borrow_mut();
        if let Some(machine) = inner.machine.take() {
            inner.received_before += machine.taker.bytes();
            machine.stop();
        }
    }

    fn restarts(&self) {
        self.boot();
    }

    fn gives_only(&self, bytes: u64) {
        self.inner.borrow().machine().giver.give_only(bytes);
    }

    fn gives_all(&self) {
        self.inner.borrow().machine().giver.give_all();
    }

    fn lies(&self) {
        self.inner.borrow().machine().giver.lie();
    }

    fn lies_told(&self) -> u64 {
        self.inner.borrow().machine().giver.lies_told()
    }

    fn bans(&self) {
        self.inner.borrow().machine().log.wait("somebody to be banned", |seen| (seen.bans > 0).then_some(()));
    }

    fn banned(&self) -> u64 {
        self.inner.borrow().machine().log.look(|seen| seen.bans)
    }

    fn taken_bytes(&self) -> u64 {
        let inner = self.inner.borrow();
        inner.received_before + inner.machine.as_ref().map_or(0, |machine| machine.taker.bytes())
    }

    fn downloads(&self) -> usize {
        self.inner.borrow().machine().downloads()
    }
}

/// A fetch on real sockets.
pub struct RealFetch<N: Adapter> {
    peer: RealPeer<N>,
    op: OpId,
    lease: LeaseId,
    share: ShareId,
    publishing: OpId,
    folder: Folder,
    into: PathBuf,
    /// What was proven when last asked for while the process lived.
    verified: RefCell<u64>,
}

impl<N: Adapter> Fetching for RealFetch<N> {
    fn reaches(&self, bytes: u64) {
        let inner = self.peer.inner.borrow();
        let verified = inner
            .machine()
            .log
            .wait("a fetch to get on", |seen| seen.verified.get(&self.share).copied().filter(|&verified| verified >= bytes));
        *self.verified.borrow_mut() = verified;
    }

    fn ends(&self) -> Outcome {
        let inner = self.peer.inner.borrow();
        let machine = inner.machine();
        let outcome = machine.log.wait("a fetch to end", |seen| match seen.end_of(self.op) {
            Some(Progress::Done) => seen.complete.contains(&self.share).then_some(Outcome::Complete),
            Some(Progress::Failed(failure)) => Some(Outcome::Failed(failure.to_string())),
            Some(other) => Some(Outcome::Failed(format!("{other:?}"))),
            None => seen.troubles.get(&self.share).map(|trouble| Outcome::Failed(trouble.clone())),
        });
        if outcome == Outcome::Complete {
            machine.transfers.finish(self.share).expect("a complete download can be finished");
        }
        outcome
    }

    fn cancel(&self) {
        let inner = self.peer.inner.borrow();
        let machine = inner.machine();
        machine.forget(self.op, self.lease, self.share);
        machine.handle.cancel(self.op);
        machine.handle.cancel(self.publishing);
        let end = machine.await_end(self.op, "a cancel to be confirmed");
        assert!(matches!(end, Progress::Ended), "a cancelled fetch has ended with {end:?}");
    }

    fn verified_bytes(&self) -> u64 {
        let inner = self.peer.inner.borrow();
        if let Some(machine) = &inner.machine {
            *self.verified.borrow_mut() = machine.log.look(|seen| seen.verified.get(&self.share).copied().unwrap_or(0));
        }
        *self.verified.borrow()
    }

    fn is_whole(&self) -> bool {
        let names = safe_names(&self.folder.layout);
        let right = |(index, elements): (usize, &Option<Vec<String>>)| {
            let Some(elements) = elements else { return true };
            let path = self.into.join(elements.iter().collect::<PathBuf>());
            fs::read(&path).is_ok_and(|bytes| bytes == self.folder.contents(index))
        };
        names.paths.iter().enumerate().all(right)
    }
}
