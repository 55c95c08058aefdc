//! How swarms find peers, and bytes, beside trackers: the DHT, the local network, web seeds.

use std::ops::Range;

use hexad_core::{Answer, Door, Endpoint, LeaseId, Level, Name, OpId, Ticket, Verdict};

use super::affairs::Affairs;
use super::dht::{Dht, DhtNews, DhtTimer};
use super::home::Turn;
use super::swarm::{Origin, SwarmId, swarm_of};
use super::web_seeds::{WebSeedNews, WebSeeds};
use crate::wire::{Krpc, Message};

/// Lookups of swarms that accept nobody, and so announce nothing, have keys from here on; those of searches are numbers of operations.
const SWARM_KEYS: u64 = 1 << 63;
/// Above the number of the swarm: which of its names is looked up.
const NUMBER_SHIFT: u32 = 32;

type Hash = [u8; 20];

impl Affairs {
    /// The doors are open: takes part in the DHT and speaks to the local network.
    pub(super) fn start_finding(&mut self, t: &mut Turn<'_, '_>) {
        let bootstrap = std::mem::take(&mut self.joining.bootstrap);
        if let (Some(dht), Some(bound)) = (&mut self.dht, self.joining.datagrams()) {
            let news = dht.start(bound, &bootstrap, t.cx.now, t.cx.dice, t.out);
            self.on_dht_news(news, t);
        }
        self.open_lsd(t);
    }

    pub(super) fn stop_finding(&mut self, t: &mut Turn<'_, '_>) {
        if let Some(dht) = &mut self.dht {
            dht.stop(t.out);
        }
        self.lsd.closed();
    }

    /// Speaks to the local network, as far as its doors are open.
    pub(super) fn open_lsd(&mut self, t: &mut Turn<'_, '_>) {
        let Some(listen) = t.home.listen.filter(|_| self.joining.is_joined()) else { return };
        for &door in self.joining.lsd_doors() {
            self.lsd.opened(door, listen.port(), t.cx.now, t.out);
        }
    }

    /// Tells everybody but trackers of a swarm; of a private one, nobody.
    pub(super) fn announce_beside(&mut self, id: SwarmId, t: &mut Turn<'_, '_>) {
        let Some(swarm) = self.swarms.get(&id) else { return };
        let (hash, hashes) = (swarm.info_hash, self.hashes_of(id));
        let web_seeds =
            swarm.metainfo().map(|metainfo| (metainfo.web_seeds.clone(), metainfo.info.layout.clone(), metainfo.info.piece_bytes));
        if swarm.is_private() {
            hashes.iter().for_each(|hash| self.withdraw_beside(hash));
        } else {
            let seed = swarm.is_seeding();
            let nodes: Vec<Endpoint> = swarm
                .metainfo()
                .map(|metainfo| {
                    metainfo.nodes.iter().map(|(host, port)| Endpoint::Name(Name { host: host.clone(), port: *port })).collect()
                })
                .unwrap_or_default();
            if t.home.config.lsd {
                hashes.iter().for_each(|hash| self.lsd.add(*hash, t.cx.now, t.out));
            }
            if let (Some(dht), Some(bound)) = (&mut self.dht, self.joining.datagrams()) {
                let mut news = if nodes.is_empty() { Vec::new() } else { dht.start(bound, &nodes, t.cx.now, t.cx.dice, t.out) };
                for (number, hash) in (0_u64..).zip(hashes) {
                    news.extend(match t.home.listen {
                        Some(listen) => dht.announce(hash, listen.port(), seed, t.cx.now, t.cx.dice, t.out),
                        None => dht.lookup(SWARM_KEYS | number << NUMBER_SHIFT | u64::from(id), hash, t.cx.now, t.cx.dice, t.out),
                    });
                }
                self.on_dht_news(news, t);
            }
        }
        if let Some((urls, layout, piece_bytes)) = web_seeds.filter(|(urls, ..)| !urls.is_empty()) {
            self.web_seeds.add(hash, &urls, &layout, piece_bytes, t.out);
            self.feed_web_seeds(hash, t);
        }
    }

    /// A swarm is not spoken of any more, but to trackers.
    fn withdraw_beside(&mut self, hash: &Hash) {
        self.lsd.remove(hash);
        if let Some(dht) = &mut self.dht {
            dht.withdraw(*hash);
        }
    }

    pub(super) fn forget_beside(&mut self, hash: &Hash) {
        self.withdraw_beside(hash);
        self.web_seeds.remove(hash);
    }

    pub(super) fn hurry_beside(&mut self, hash: Hash, t: &mut Turn<'_, '_>) {
        if let Some(dht) = &mut self.dht {
            let news = dht.hurry(hash, t.cx.now, t.cx.dice, t.out);
            self.on_dht_news(news, t);
        }
    }

    /// Asks the DHT for the peers of a search; false when there is none.
    pub(super) fn look_up(&mut self, op: OpId, hash: Hash, t: &mut Turn<'_, '_>) -> bool {
        let Some(dht) = &mut self.dht else { return false };
        let news = dht.lookup(op.0 & !SWARM_KEYS, hash, t.cx.now, t.cx.dice, t.out);
        self.on_dht_news(news, t);
        true
    }

    pub(super) fn on_krpc(&mut self, from: std::net::SocketAddr, krpc: &Krpc, t: &mut Turn<'_, '_>) {
        let Some(dht) = &mut self.dht else { return };
        let news = dht.on_datagram(from, krpc, t.cx.now, t.cx.dice, t.out);
        self.on_dht_news(news, t);
    }

    pub(super) fn on_dht_timer(&mut self, timer: DhtTimer, t: &mut Turn<'_, '_>) {
        let Some(dht) = &mut self.dht else { return };
        let news = dht.on_timer(timer, t.cx.now, t.cx.dice, t.out);
        self.on_dht_news(news, t);
    }

    pub(super) fn on_dht_node(&mut self, address: std::net::SocketAddr, t: &mut Turn<'_, '_>) {
        let Some(dht) = &mut self.dht else { return };
        let news = dht.add_node(address, t.cx.now, t.cx.dice, t.out);
        self.on_dht_news(news, t);
    }

    /// Whether an answer was for one of these parts.
    pub(super) fn on_answer_beside(&mut self, ticket: Ticket, answer: Answer, t: &mut Turn<'_, '_>) {
        if Dht::owns(ticket) {
            let Some(dht) = &mut self.dht else { return };
            let news = dht.on_answer(ticket, answer, t.cx.now, t.cx.dice, t.out);
            self.on_dht_news(news, t);
        } else if WebSeeds::owns(ticket) {
            let news = self.web_seeds.on_answer(ticket, answer, t.cx.now, t.out);
            self.on_web_seed_news(news, t);
        } else if let Some(swarm) = swarm_of(ticket).and_then(|id| self.swarms.get_mut(&id)) {
            swarm.on_read(ticket, answer, t);
        }
    }

    pub(super) fn on_dht_news(&mut self, news: Vec<DhtNews>, t: &mut Turn<'_, '_>) {
        for news in news {
            match news {
                DhtNews::Peers(hash, peers) => self.add_peers(&hash, peers, Origin::Dht, t),
                DhtNews::LookupOver(key, peers) if key & SWARM_KEYS != 0 => {
                    let number = usize::try_from((key & !SWARM_KEYS) >> NUMBER_SHIFT).unwrap_or(usize::MAX);
                    let id = SwarmId::try_from(key & ((1 << NUMBER_SHIFT) - 1)).unwrap_or(0);
                    if let Some(&hash) = self.hashes_of(id).get(number) {
                        self.add_peers(&hash, peers, Origin::Dht, t);
                    }
                }
                DhtNews::LookupOver(key, peers) => {
                    let op = OpId(key);
                    if let Some(search) = self.searches.get_mut(&op) {
                        search.peers.extend(peers.into_iter().map(Endpoint::Ip));
                    }
                    self.end_search(op, t);
                }
                DhtNews::Item(key, found) => self.on_item(OpId(key), found, t),
                DhtNews::Scraped(key, census) => self.on_scraped(OpId(key), &census, t),
                DhtNews::Sampled(key, walk) => self.on_sampled(OpId(key), *walk, t),
                DhtNews::Stored(key, nodes) => self.on_stored(OpId(key), nodes, t),
                DhtNews::Bootstrapped | DhtNews::Seen(_) => {}
            }
        }
    }

    fn add_peers(&mut self, hash: &Hash, peers: Vec<std::net::SocketAddr>, origin: Origin, t: &mut Turn<'_, '_>) {
        if let Some(swarm) = self.by_hash.get(hash).and_then(|id| self.swarms.get_mut(id)) {
            let v2 = swarm.is_v2(hash);
            swarm.add_peers_of(v2, peers.into_iter().map(|peer| (Endpoint::Ip(peer), false)), origin, t);
        }
    }

    /// Somebody in the local network speaks.
    pub(super) fn on_multicast(&mut self, _: Door, from: Option<std::net::SocketAddr>, message: &Message, t: &mut Turn<'_, '_>) {
        let (Message::Lsd(announce), Some(from)) = (message, from) else {
            return t.out.note(Level::Drop, "datagram_unexpected", from.map(Endpoint::Ip), "");
        };
        for (hash, peer) in self.lsd.on_announce(from, announce, t.cx.now, t.out) {
            self.add_peers(&hash, vec![peer], Origin::Lsd, t);
        }
    }

    pub(super) fn on_lsd_timer(&mut self, t: &mut Turn<'_, '_>) {
        self.lsd.on_timer(t.cx.now, t.out);
    }

    /// Lends web seeds what no peer works on.
    pub(super) fn feed_web_seeds(&mut self, hash: Hash, t: &mut Turn<'_, '_>) {
        let Some(swarm) = self.by_hash.get(&hash).and_then(|id| self.swarms.get_mut(id)) else { return };
        let Some((lease, free)) = swarm.untouched() else { return };
        for range in self.web_seeds.feed(hash, lease, &free, t.cx.now, t.out) {
            swarm.lent(&range, t);
        }
    }

    pub(super) fn on_web_seed_timer(&mut self, hash: Hash, t: &mut Turn<'_, '_>) {
        let news = self.web_seeds.on_timer(hash, t.cx.now, t.out);
        self.on_web_seed_news(news, t);
    }

    /// The engine has judged what peers or web seeds have brought.
    pub(super) fn on_judged(&mut self, lease: LeaseId, range: Range<u64>, verdict: Verdict, t: &mut Turn<'_, '_>) {
        let Some(swarm) = self.leases.get(&lease).and_then(|id| self.swarms.get_mut(id)) else { return };
        let hash = swarm.info_hash;
        let shared = verdict == Verdict::Bad && self.web_seeds.has_given(&hash, &range);
        swarm.on_judged(lease, &range, if shared { Verdict::Mixed } else { verdict }, t);
        let news = self.web_seeds.judged(hash, range, verdict, t.out);
        self.on_web_seed_news(news, t);
    }

    fn on_web_seed_news(&mut self, news: Vec<(Hash, WebSeedNews)>, t: &mut Turn<'_, '_>) {
        for (hash, news) in news {
            match news {
                WebSeedNews::Ready => self.feed_web_seeds(hash, t),
                WebSeedNews::GaveBack(range) => {
                    if let Some(swarm) = self.by_hash.get(&hash).and_then(|id| self.swarms.get_mut(id)) {
                        swarm.given_back(&range, t);
                    }
                }
            }
        }
    }
}
