//! What a running node offers: files that are hashed already, on every network that is joined, and on those that are joined later.
//!
//! Publishing ten thousand files at once would fill every queue there is, so each tick begins some, and each that is done begins another one.

use std::collections::{BTreeMap, VecDeque};

use hexad_api::{Event, Problem};
use hexad_content::TigerProof;
use hexad_core::{OpId, Operation, Share, ShareId};
use hexad_driver::transfers::Transfers;
use hexad_library::Sound;

use crate::books::Books;
use crate::membership::Membership;
use crate::networks::Wish;
use crate::publish::Prepared;

/// What is begun in a tick on one network, beside what comes in the place of what is done.
const BEGUN_MAX: usize = 250;

/// What tells one thing on the shelf from another: a share of the library, or a download that is given on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Share(u64),
    Download(u64),
}

/// What became of something on the shelf.
pub(crate) enum ShelfNews {
    /// It is offered on that network.
    Offered(Key, usize),
    /// It is not, or no longer; why, where something went wrong.
    Not(Key, usize, Option<Problem>),
    /// It has that name there, which nobody knows before it is offered.
    Named(Key, usize, String),
    /// It cannot be offered anywhere.
    Unreadable(Key, Problem),
}

struct Item {
    share: ShareId,
    /// It never leaves a swarm (BEP 27), or a swarm has nothing for it.
    private: bool,
    has_torrent: bool,
    sounds: Vec<(usize, Sound)>,
    tiger: Option<TigerProof>,
    /// Where it is offered, or will be.
    ops: BTreeMap<usize, OpId>,
}

/// All that is offered.
#[derive(Default)]
pub(crate) struct Shelf {
    items: BTreeMap<Key, Item>,
    by_op: BTreeMap<OpId, (Key, usize)>,
    /// What is yet to be begun, by network.
    queues: BTreeMap<usize, VecDeque<Key>>,
}

impl Shelf {
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Puts things on the shelf; what cannot be read is told in `news`.
    pub(crate) fn put(
        &mut self,
        prepared: Vec<(Key, Prepared)>,
        books: &mut Books,
        transfers: &Transfers,
        networks: &mut [Membership],
        news: &mut Vec<ShelfNews>,
    ) {
        let mut shares: Vec<(ShareId, Share)> = Vec::with_capacity(prepared.len());
        for (key, one) in prepared {
            self.take(key, books, transfers, networks);
            let share = books.share();
            if let Err(wrong) = transfers.open_share(share, one.share.layout.clone(), one.paths) {
                let hint = wrong.hint().unwrap_or_else(|| "wait until nothing writes to the files".to_owned());
                news.push(ShelfNews::Unreadable(key, Problem::new(wrong.to_string()).hint(hint)));
                continue;
            }
            let item = Item {
                share,
                private: one.share.is_private(),
                has_torrent: !one.share.torrent.is_empty(),
                sounds: one.sounds,
                tiger: one.tiger,
                ops: BTreeMap::new(),
            };
            shares.push((share, one.share));
            for (network, membership) in networks.iter().enumerate() {
                if membership.is_joined() && item.suits(membership) {
                    self.queues.entry(network).or_default().push_back(key);
                }
            }
            self.items.insert(key, item);
        }
        books.put_all(shares);
    }

    /// Takes something off the shelf; whether it was there.
    pub(crate) fn take(&mut self, key: Key, books: &mut Books, transfers: &Transfers, networks: &mut [Membership]) -> bool {
        let Some(item) = self.items.remove(&key) else { return false };
        for (network, op) in item.ops {
            self.by_op.remove(&op);
            networks[network].cancel(op);
        }
        transfers.close(item.share);
        books.remove(item.share);
        true
    }

    /// A network is joined: everything is to be offered there.
    pub(crate) fn on_joined(&mut self, network: usize, membership: &Membership) {
        let keys = self.items.iter().filter(|(_, item)| item.suits(membership)).map(|(key, _)| *key).collect();
        self.queues.insert(network, keys);
    }

    /// A network is no more.
    pub(crate) fn on_down(&mut self, network: usize, news: &mut Vec<ShelfNews>) {
        self.queues.remove(&network);
        for (key, item) in &mut self.items {
            if let Some(op) = item.ops.remove(&network) {
                self.by_op.remove(&op);
                news.push(ShelfNews::Not(*key, network, None));
            }
        }
    }

    /// Begins some of what is yet to be begun.
    pub(crate) fn tick(&mut self, books: &mut Books, networks: &mut [Membership]) {
        for (network, membership) in networks.iter_mut().enumerate() {
            self.begin(network, BEGUN_MAX, books, membership);
        }
    }

    /// Begins so many on one network.
    fn begin(&mut self, network: usize, count: usize, books: &mut Books, membership: &mut Membership) {
        let Some(queue) = self.queues.get_mut(&network).filter(|_| membership.is_joined()) else { return };
        for _ in 0..count {
            let Some(key) = queue.pop_front() else { break };
            let Some(item) = self.items.get_mut(&key).filter(|item| !item.ops.contains_key(&network)) else { continue };
            if !item.sounds.is_empty() {
                let tell = books.op();
                membership.ask(tell, Wish::Sounds(item.share, item.sounds.clone()));
            }
            if let Some(tree) = &item.tiger {
                let tell = books.op();
                membership.ask(tell, Wish::Tree(item.share, tree.clone()));
            }
            let op = books.op();
            item.ops.insert(network, op);
            self.by_op.insert(op, (key, network));
            membership.start(op, Operation::Publish { share: item.share });
        }
        if queue.is_empty() {
            self.queues.remove(&network);
        }
    }

    /// Whether `op` offers something of the shelf.
    pub(crate) fn owns(&self, op: OpId) -> bool {
        self.by_op.contains_key(&op)
    }

    /// An offer is in effect; another one is begun.
    pub(crate) fn on_done(&mut self, op: OpId, books: &mut Books, networks: &mut [Membership]) -> Option<ShelfNews> {
        let &(key, network) = self.by_op.get(&op)?;
        if let Some(membership) = networks.get_mut(network) {
            self.begin(network, 1, books, membership);
        }
        Some(ShelfNews::Offered(key, network))
    }

    /// An offer has got names on its network.
    pub(crate) fn on_answers(&self, op: OpId, events: &[Event]) -> Vec<ShelfNews> {
        let Some((key, network)) = self.by_op.get(&op) else { return Vec::new() };
        let named = |event: &Event| match event {
            Event::Inserted { key: name, .. } => Some(ShelfNews::Named(*key, *network, name.clone())),
            _ => None,
        };
        events.iter().filter_map(named).collect()
    }

    /// An offer has failed.
    pub(crate) fn on_failed(&mut self, op: OpId, problem: &Problem) -> Option<ShelfNews> {
        let (key, network) = self.by_op.remove(&op)?;
        if let Some(item) = self.items.get_mut(&key) {
            item.ops.remove(&network);
        }
        Some(ShelfNews::Not(key, network, Some(problem.clone())))
    }
}

impl Item {
    /// Whether it can be offered there.
    fn suits(&self, membership: &Membership) -> bool {
        let opening = &membership.opening;
        opening.abilities.publish && if opening.is_swarm { self.has_torrent } else { !self.private }
    }
}
