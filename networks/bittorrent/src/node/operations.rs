//! What users have asked for, and how each is begun and ended.

use bytes::Bytes;
use hexad_content::{Digest, Magnet, Sha1Digest};
use hexad_core::{Endpoint, Failure, Hit, LeaseId, Name, OpId, Operation, Progress, Query, ShareId, Source, Span, What};

use super::Timer;
use super::affairs::Affairs;
use super::home::Turn;
use super::request::{Reply, Request, Sources, SwarmStatus};
use super::swarm::{Names, Origin, Swarm, SwarmId};
use crate::wire::metainfo::{Metainfo, short};

/// A search by digest ends after so long at the latest.
const SEARCH_DEADLINE: Span = Span::from_secs(30);
/// Searches at a time.
const SEARCHES_MAX: usize = 1000;

/// A search under way.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) info_hash: [u8; 20],
    /// The name that was asked for.
    pub(super) digest: Digest,
    pub(super) wanted: usize,
    pub(super) peers: Vec<Endpoint>,
}

type Outcome = Result<(), Failure>;

impl Affairs {
    pub(super) fn start(&mut self, op: OpId, operation: Operation<Request>, t: &mut Turn<'_, '_>) {
        let outcome = match operation {
            Operation::Join { bootstrap } => {
                self.joining.start(op, bootstrap, &t.home.config, t.out);
                Ok(())
            }
            Operation::Own(request) => self.start_own(op, request, t),
            _ if self.joining.is_out() => Err(Failure::NotReady("this node has not joined BitTorrent".into())),
            Operation::Publish { share } => self.start_publish(op, share, t),
            Operation::Search { query: Query::Digest { digest, wanted } } => self.start_search(op, &digest, wanted, t),
            Operation::Search { query: Query::Words { .. } } => {
                Err(Failure::Unusable("BitTorrent has no search by words, only by info hash".into()))
            }
            Operation::Fetch { source, lease, share } => self.start_fetch(op, source, lease, share, t),
        };
        if let Err(failure) = outcome {
            t.out.report(op, Progress::Failed(failure));
        }
    }

    fn start_publish(&mut self, op: OpId, id: ShareId, t: &mut Turn<'_, '_>) -> Outcome {
        let Some(share) = t.cx.shares.share(id).cloned() else { return Err(Failure::NotReady("there is no such share".into())) };
        let metainfo =
            Metainfo::parse(&share.torrent).map_err(|wrong| Failure::Unusable(format!("the share has no usable .torrent: {wrong}")))?;
        let swarm_id = self.swarm_of(&Names::of_info(&metainfo.info), t)?;
        let Some(swarm) = self.swarms.get_mut(&swarm_id) else { return Ok(()) };
        swarm.describe(metainfo, t);
        swarm.begin_publish(op, id, &share, t);
        self.operations.insert(op, swarm_id);
        t.out.report(op, Progress::Done);
        self.announce(swarm_id, t);
        Ok(())
    }

    pub(super) fn start_fetch(&mut self, op: OpId, source: Source, lease: LeaseId, share: ShareId, t: &mut Turn<'_, '_>) -> Outcome {
        let (names, metainfo, magnet) = match source.what {
            What::Torrent(bytes) => {
                let metainfo = read(&bytes)?;
                (Names::of_info(&metainfo.info), Some(metainfo), None)
            }
            What::Magnet(magnet) if magnet.mutable.is_some() && Names::of_magnet(&magnet).is_none() => {
                return self.start_following(op, *magnet, source.peers, lease, share, t);
            }
            What::Magnet(magnet) => (names_of(&magnet)?, None, Some(magnet)),
            What::Locator(text) => return Err(Failure::Unusable(format!("expected a .torrent or a magnet link, came '{text}'"))),
        };
        let swarm_id = self.swarm_of(&names, t)?;
        let Some(swarm) = self.swarms.get_mut(&swarm_id) else { return Ok(()) };
        if swarm.fetch().is_some_and(|fetch| !fetch.done) {
            return Err(Failure::Refused("this torrent is being fetched already".into()));
        }
        let mut peers = source.peers;
        if let Some(magnet) = magnet {
            peers.extend(magnet.peers.iter().filter_map(|text| endpoint(text)));
            swarm.take_link(magnet.trackers.iter().map(|url| vec![url.clone()]).collect(), magnet.web_seeds);
        }
        if let Some(metainfo) = metainfo {
            swarm.describe(metainfo, t);
        }
        swarm.begin_fetch(op, lease, share, t);
        swarm.add_peers(peers.into_iter().map(|peer| (peer, false)), Origin::Given, t);
        self.operations.insert(op, swarm_id);
        self.leases.retain(|_, swarm| *swarm != swarm_id);
        self.leases.insert(lease, swarm_id);
        self.announce(swarm_id, t);
        Ok(())
    }

    fn start_search(&mut self, op: OpId, digest: &Digest, wanted: usize, t: &mut Turn<'_, '_>) -> Outcome {
        let info_hash = match digest {
            Digest::TorrentV1(Sha1Digest(hash)) => *hash,
            Digest::TorrentV2(hash) => short(hash),
            _ => return Err(Failure::Unusable("BitTorrent looks up info hashes only".into())),
        };
        if self.searches.len() >= SEARCHES_MAX {
            return Err(Failure::Full("searches"));
        }
        let until = t.cx.now + SEARCH_DEADLINE;
        let peers =
            self.by_hash.get(&info_hash).and_then(|id| self.swarms.get(id)).map(|swarm| swarm.connected_peers()).unwrap_or_default();
        let peers = peers.into_iter().map(Endpoint::Ip).collect();
        self.searches.insert(op, Search { info_hash, digest: *digest, wanted, peers });
        t.out.wake(until, Timer::Search(op));
        if !self.look_up(op, info_hash, t) {
            self.end_search(op, t);
        }
        Ok(())
    }

    /// Reports what a search has found, and that it is done.
    pub(super) fn end_search(&mut self, op: OpId, t: &mut Turn<'_, '_>) {
        let Some(search) = self.searches.remove(&op) else { return };
        if !search.peers.is_empty() && search.wanted > 0 {
            let digest = search.digest;
            let metainfo = self.by_hash.get(&search.info_hash).and_then(|id| self.swarms.get(id)).and_then(|swarm| swarm.metainfo());
            let digests: hexad_content::Digests = [digest].into_iter().collect();
            let magnet = Magnet { digests: digests.clone(), ..Magnet::default() };
            let hit = Hit {
                name: metainfo.map(|metainfo| metainfo.info.layout.name().to_owned()).unwrap_or_default(),
                size_bytes: metainfo.map(|metainfo| metainfo.info.layout.total_bytes()),
                digests,
                source: Source { what: What::Magnet(Box::new(magnet)), peers: search.peers },
            };
            t.out.report(op, Progress::Hit(Box::new(hit)));
        }
        t.out.report(op, Progress::Done);
    }

    fn start_own(&mut self, op: OpId, request: Request, t: &mut Turn<'_, '_>) -> Outcome {
        let no_tracker = || Failure::NotReady("this node is no tracker".into());
        let now = t.cx.now;
        let reply = match request {
            Request::Swarms => {
                // What announces did not tell. Nobody is asked for it more often than every quarter of an hour.
                for hash in self.by_hash.keys() {
                    if self.trackers.counts(hash) == (None, None) {
                        self.trackers.scrape(*hash, now, t.cx.dice, t.out);
                    }
                }
                let trackers = &self.trackers;
                let status = |swarm: &mut Box<Swarm>| {
                    let mut status = swarm.status(now);
                    (status.tracker_seeds, status.tracker_leechers) = trackers.counts(&swarm.info_hash);
                    status
                };
                let swarms: Vec<SwarmStatus> = self.swarms.values_mut().map(status).collect();
                // Trackers that tell no counts with their announces are asked for them, as rarely as is polite.
                for swarm in swarms.iter().filter(|swarm| swarm.tracker_seeds.is_none()) {
                    self.trackers.scrape(swarm.info_hash, now, t.cx.dice, t.out);
                }
                Some(Reply::Swarms(swarms))
            }
            Request::AddPeers(share, peers) => {
                self.swarm_of_share(share)?.add_peers(peers.into_iter().map(|peer| (peer, false)), Origin::Given, t);
                None
            }
            Request::Order(share, order) => {
                self.swarm_of_share(share)?.set_order(order);
                None
            }
            Request::Reader(share, bytes) => {
                self.swarm_of_share(share)?.set_reader(bytes.as_ref(), t);
                None
            }
            Request::SuperSeed(share, on) => {
                self.swarm_of_share(share)?.set_super_seeding(on, t);
                None
            }
            Request::Sources(share) => {
                let swarm = self.swarms.values().find(|swarm| swarm.has_share(share));
                let hash = swarm.ok_or_else(|| Failure::NotReady("no swarm has that share".into()))?.info_hash;
                let dht_nodes = self.dht.as_ref().map_or(0, |dht| dht.node_counts().iter().sum());
                let (trackers, web_seeds) = (self.trackers.status(&hash), self.web_seeds.status(&hash));
                let dht_torrents = self.dht.as_ref().map_or(0, |dht| dht.stored_torrents());
                let dht_items = self.dht.as_ref().map_or(0, |dht| dht.stored_items());
                Some(Reply::Sources(Sources { trackers, web_seeds, dht_nodes, dht_torrents, dht_items }))
            }
            Request::GetItem(name) => return self.start_get(op, name, t),
            Request::PutItem(item, cas) => return self.start_put(op, item, cas, t),
            Request::ScrapeDht(info_hash) => return self.start_scrape(op, info_hash, t),
            Request::SampleDht(wanted) => return self.start_sampling(op, wanted, t),
            Request::FollowItem(name, known) => return self.start_keeping(op, name, known, t),
            Request::TrackerAnnounce(announce) => {
                let tracker = self.tracker_role.as_mut().ok_or_else(no_tracker)?;
                Some(Reply::TrackerTold(tracker.announce(&announce, now, t.cx.dice)))
            }
            Request::TrackerScrape(ip, hashes) => {
                let tracker = self.tracker_role.as_mut().ok_or_else(no_tracker)?;
                Some(Reply::TrackerCounts(tracker.scrape(ip, &hashes, now, t.cx.dice)))
            }
            Request::TrackerTotals => Some(Reply::TrackerTotals(self.tracker_role.as_ref().ok_or_else(no_tracker)?.totals())),
        };
        if let Some(reply) = reply {
            t.out.report(op, Progress::Own(reply));
        }
        t.out.report(op, Progress::Done);
        Ok(())
    }

    fn swarm_of_share(&mut self, share: ShareId) -> Result<&mut Box<Swarm>, Failure> {
        let swarm = self.swarms.values_mut().find(|swarm| swarm.has_share(share));
        swarm.ok_or_else(|| Failure::NotReady("no swarm has that share".into()))
    }

    /// A user no longer wants something.
    pub(super) fn cancel(&mut self, op: OpId, t: &mut Turn<'_, '_>) {
        if self.joining.is(op) {
            return self.leave(op, t);
        }
        if self.searches.remove(&op).is_some() || self.errands.remove(&op).is_some() {
            t.out.report(op, Progress::Ended);
            return;
        }
        let Some(swarm_id) = self.operations.remove(&op) else { return };
        let Some(swarm) = self.swarms.get_mut(&swarm_id) else { return };
        if swarm.cancel(op, t) {
            t.out.report(op, Progress::Ended);
        }
        self.drop_if_idle(swarm_id, t);
    }

    /// Leaves the network: everything that goes on ends.
    fn leave(&mut self, join: OpId, t: &mut Turn<'_, '_>) {
        let ids: Vec<SwarmId> = self.swarms.keys().copied().collect();
        for id in ids {
            for op in self.swarms.get(&id).map(|swarm| swarm.operations()).unwrap_or_default() {
                self.operations.remove(&op);
                t.out.report(op, Progress::Ended);
            }
            self.remove_swarm(id, t);
        }
        for (op, _) in std::mem::take(&mut self.searches) {
            t.out.report(op, Progress::Ended);
        }
        for (op, _) in std::mem::take(&mut self.errands) {
            t.out.report(op, Progress::Ended);
        }
        let strangers: Vec<_> = t.home.places.keys().copied().collect();
        for conn in strangers {
            t.close(conn, "node_left");
        }
        self.stop_finding(t);
        self.joining.close(&t.home.config, t.out);
        t.out.report(join, Progress::Ended);
    }
}

fn read(torrent: &Bytes) -> Result<Metainfo, Failure> {
    Metainfo::parse(torrent).map_err(|wrong| Failure::Unusable(format!("this .torrent cannot be used: {wrong}")))
}

fn names_of(magnet: &Magnet) -> Result<Names, Failure> {
    let none = || Failure::Unusable("expected a link with an info hash (xt=urn:btih:… or xt=urn:btmh:…), came none".into());
    Names::of_magnet(magnet).ok_or_else(none)
}

/// `IP:PORT`, `[v6]:PORT` or `HOST:PORT`, as magnet links write peers.
fn endpoint(text: &str) -> Option<Endpoint> {
    if let Ok(socket) = text.parse() {
        return Some(Endpoint::Ip(socket));
    }
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|&port| port != 0)?;
    let fits = !host.is_empty() && !host.contains(['/', '[', ']', ':', ' ']);
    fits.then(|| Endpoint::Name(Name { host: host.to_owned(), port }))
}
