//! What the DHT has been asked for on behalf of operations: stored values, and the torrents that mutable links lead to. BEP 44, 46.

use hexad_content::{Digest, Magnet, Sha1Digest};
use hexad_core::{Endpoint, Failure, LeaseId, OpId, Progress, Set, ShareId, Source, What};

use super::Timer;
use super::affairs::Affairs;
use super::dht::{Census, ItemName, Keeping, StoredItem, Walk};
use super::home::Turn;
use super::request::{DhtScrape, Reply};
use crate::wire::stored::torrent_of;

/// Torrents that are looked for at a time, and corners of the DHT that are looked at for them.
const SAMPLES_MAX: usize = 1000;
const CORNERS_MAX: usize = 32;
/// Errands at a time.
const ERRANDS_MAX: usize = 1000;

/// What is done when the DHT has answered.
#[derive(Debug)]
pub(super) enum Errand {
    /// The value is told.
    Get,
    /// How many store it, near that key, is told.
    Put([u8; 20]),
    /// The torrent that the value names is fetched.
    Follow(Box<Following>),
    /// How many are in that swarm is told.
    Scrape([u8; 20]),
    /// Torrents that nodes know are told.
    Sample(Box<Sampling>),
    /// News are told, and what is known is stored again and again.
    Keep(Box<Keeping>),
}

/// Torrents that nodes of the DHT know are looked for, in one corner of it after the other.
#[derive(Debug)]
pub(super) struct Sampling {
    wanted: usize,
    told: Set<[u8; 20]>,
    corners: usize,
    /// How many nodes were asked.
    nodes: usize,
}

/// A fetch that does not know yet of what.
#[derive(Debug)]
pub(super) struct Following {
    magnet: Magnet,
    peers: Vec<Endpoint>,
    lease: LeaseId,
    share: ShareId,
}

impl Affairs {
    /// Looks a stored value up.
    pub(super) fn start_get(&mut self, op: OpId, name: ItemName, t: &mut Turn<'_, '_>) -> Result<(), Failure> {
        self.run_errand(op, Errand::Get, |dht, t| dht.get(op.0, name, t.cx.now, t.cx.dice, t.out), t)
    }

    /// Has a value stored.
    pub(super) fn start_put(&mut self, op: OpId, item: StoredItem, cas: Option<i64>, t: &mut Turn<'_, '_>) -> Result<(), Failure> {
        self.run_errand(op, Errand::Put(item.target()), |dht, t| dht.put(op.0, item, cas, t.cx.now, t.cx.dice, t.out), t)
    }

    /// Counts who is in a swarm.
    pub(super) fn start_scrape(&mut self, op: OpId, info_hash: [u8; 20], t: &mut Turn<'_, '_>) -> Result<(), Failure> {
        self.run_errand(op, Errand::Scrape(info_hash), |dht, t| dht.scrape(op.0, info_hash, t.cx.now, t.cx.dice, t.out), t)
    }

    /// Looks for torrents that nodes of the DHT know.
    pub(super) fn start_sampling(&mut self, op: OpId, wanted: usize, t: &mut Turn<'_, '_>) -> Result<(), Failure> {
        let sampling = Sampling { wanted: wanted.min(SAMPLES_MAX), told: Set::new(), corners: 0, nodes: 0 };
        self.run_errand(op, Errand::Sample(Box::new(sampling)), |dht, t| dht.sample(op.0, Set::new(), t.cx.now, t.cx.dice, t.out), t)
    }

    /// Nodes have told who is in a swarm.
    pub(super) fn on_scraped(&mut self, op: OpId, census: &Census, t: &mut Turn<'_, '_>) {
        if let Some(Errand::Scrape(info_hash)) = self.errands.remove(&op) {
            let Census { nodes, seeds, leechers } = census;
            let (seeds, leechers) = (seeds.count(), leechers.count());
            t.out.report(op, Progress::Own(Reply::Scraped(DhtScrape { info_hash, seeds, leechers, nodes: *nodes })));
            t.out.report(op, Progress::Done);
        }
    }

    /// One corner of the DHT has told which torrents it knows.
    pub(super) fn on_sampled(&mut self, op: OpId, walk: Walk, t: &mut Turn<'_, '_>) {
        let (Some(Errand::Sample(sampling)), Some(dht)) = (self.errands.get_mut(&op), &mut self.dht) else { return };
        let room = sampling.wanted - sampling.told.len();
        let fresh: Vec<[u8; 20]> = walk.found.into_iter().filter(|hash| !sampling.told.contains(hash)).take(room).collect();
        sampling.told.extend(&fresh);
        sampling.corners += 1;
        let is_over = sampling.told.len() >= sampling.wanted || sampling.corners >= CORNERS_MAX || walk.asked.len() == sampling.nodes;
        sampling.nodes = walk.asked.len();
        if !fresh.is_empty() {
            t.out.report(op, Progress::Own(Reply::Samples(fresh)));
        }
        if is_over {
            self.errands.remove(&op);
            return t.out.report(op, Progress::Done);
        }
        let news = dht.sample(op.0, walk.asked, t.cx.now, t.cx.dice, t.out);
        self.on_dht_news(news, t);
    }

    /// Follows a value, and keeps it alive.
    pub(super) fn start_keeping(
        &mut self,
        op: OpId,
        name: ItemName,
        known: Option<StoredItem>,
        t: &mut Turn<'_, '_>,
    ) -> Result<(), Failure> {
        if known.as_ref().is_some_and(|known| !known.is(&name)) {
            return Err(Failure::Unusable("what is said to be stored there is not its owner's".into()));
        }
        let errand = Errand::Keep(Box::new(Keeping::of(name.clone(), known)));
        self.run_errand(op, errand, |dht, t| dht.get(op.0, name, t.cx.now, t.cx.dice, t.out), t)
    }

    /// A value that is followed has rested.
    pub(super) fn on_keeping_timer(&mut self, op: OpId, t: &mut Turn<'_, '_>) {
        let (Some(Errand::Keep(keeping)), Some(dht)) = (self.errands.get(&op), &mut self.dht) else { return };
        let news = dht.get(op.0, keeping.name.clone(), t.cx.now, t.cx.dice, t.out);
        self.on_dht_news(news, t);
    }

    /// Looks up which torrent a mutable link leads to, and fetches that.
    pub(super) fn start_following(
        &mut self,
        op: OpId,
        mut magnet: Magnet,
        peers: Vec<Endpoint>,
        lease: LeaseId,
        share: ShareId,
        t: &mut Turn<'_, '_>,
    ) -> Result<(), Failure> {
        let Some(link) = magnet.mutable.take() else { return Err(Failure::Unusable("expected a link with an owner".into())) };
        let name = ItemName::Owner(link.key, link.salt.into());
        let errand = Errand::Follow(Box::new(Following { magnet, peers, lease, share }));
        self.run_errand(op, errand, |dht, t| dht.get(op.0, name, t.cx.now, t.cx.dice, t.out), t)
    }

    fn run_errand(
        &mut self,
        op: OpId,
        errand: Errand,
        ask: impl FnOnce(&mut super::dht::Dht, &mut Turn<'_, '_>) -> Vec<super::dht::DhtNews>,
        t: &mut Turn<'_, '_>,
    ) -> Result<(), Failure> {
        if self.errands.len() >= ERRANDS_MAX {
            return Err(Failure::Full("questions to the DHT"));
        }
        let Some(dht) = &mut self.dht else {
            return Err(Failure::NotReady("this is stored in the DHT, which is off".into()));
        };
        self.errands.insert(op, errand);
        let news = ask(dht, t);
        self.on_dht_news(news, t);
        Ok(())
    }

    /// A value was looked up.
    pub(super) fn on_item(&mut self, op: OpId, found: Option<StoredItem>, t: &mut Turn<'_, '_>) {
        if let Some(Errand::Keep(keeping)) = self.errands.get_mut(&op) {
            if keeping.found(found) {
                t.out.report(op, Progress::Own(Reply::Item(keeping.newest().cloned())));
            }
            let (Some(newest), Some(dht)) = (keeping.newest().cloned(), &mut self.dht) else { return self.rest(op, 0, t) };
            let news = dht.put(op.0, newest, None, t.cx.now, t.cx.dice, t.out);
            return self.on_dht_news(news, t);
        }
        match self.errands.remove(&op) {
            Some(Errand::Follow(following)) => {
                let outcome = self.follow(op, *following, found.as_ref(), t);
                if let Err(failure) = outcome {
                    t.out.report(op, Progress::Failed(failure));
                }
            }
            Some(Errand::Get | Errand::Put(_)) => {
                t.out.report(op, Progress::Own(Reply::Item(found)));
                t.out.report(op, Progress::Done);
            }
            Some(Errand::Keep(_) | Errand::Scrape(_) | Errand::Sample(_)) | None => {}
        }
    }

    /// A value was stored, or nobody was there to do it.
    pub(super) fn on_stored(&mut self, op: OpId, nodes: usize, t: &mut Turn<'_, '_>) {
        match self.errands.get(&op) {
            Some(Errand::Keep(keeping)) => {
                t.out.report(op, Progress::Own(Reply::Stored { target: keeping.name.target(), nodes }));
                self.rest(op, nodes, t);
            }
            Some(Errand::Put(target)) => {
                t.out.report(op, Progress::Own(Reply::Stored { target: *target, nodes }));
                t.out.report(op, Progress::Done);
                self.errands.remove(&op);
            }
            _ => {}
        }
    }

    /// A value that is followed is let alone for a while.
    fn rest(&mut self, op: OpId, told: usize, t: &mut Turn<'_, '_>) {
        if let Some(Errand::Keep(keeping)) = self.errands.get_mut(&op) {
            let wait = keeping.rest(told, t.cx.dice);
            t.out.wake(t.cx.now + wait, Timer::Keeping(op));
        }
    }

    fn follow(&mut self, op: OpId, following: Following, found: Option<&StoredItem>, t: &mut Turn<'_, '_>) -> Result<(), Failure> {
        let Following { mut magnet, peers, lease, share } = following;
        let nobody = || Failure::NotFound("the DHT knows of no torrent of the owner that the link names".into());
        let item = found.ok_or_else(nobody)?;
        let info_hash = torrent_of(&item.value).ok_or_else(|| Failure::Unusable("what the owner has stored names no torrent".into()))?;
        magnet.digests = [Digest::TorrentV1(Sha1Digest(info_hash))].into_iter().collect();
        self.start_fetch(op, Source { what: What::Magnet(Box::new(magnet)), peers }, lease, share, t)
    }
}
