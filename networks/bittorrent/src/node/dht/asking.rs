//! What we ask others: begins jobs, puts their questions, takes the answers in, and ends them. BEP 5, 44.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use hexad_core::{Dice, Level, Outbox, Span, Time};

use super::id::{NodeId, is_local};
use super::jobs::{Goal, Job};
use super::lookups::Lookup;
use super::queries::{Asked, Purpose};
use super::quests::Quest;
use super::table::K;
use super::{ANSWER_PEERS_MAX, Dht, DhtNews, Node, canonical, family, is_plausible, send};
use crate::node::hearsay::may_be_dialled;
use crate::wire::{KrpcAnswer, KrpcBody, KrpcMore, KrpcQuery, Want};

impl Dht {
    pub(super) fn begin_jobs(&mut self, now: Time, dice: &mut Dice, out: &mut Outbox<Node>, news: &mut Vec<DhtNews>) {
        if self.bootstrap.due().is_some_and(|at| at <= now) && self.jobs.has_room_for(Goal::Join) {
            self.bootstrap.begun();
            self.resolve(out);
            // The two ids differ only where both families take part; each side looks for its own.
            let target = self.sides.iter().flatten().map(|side| side.table.own()).next().unwrap_or(self.ids[0]);
            self.begin(Goal::Join, target, now);
        }
        self.expire_searches(now, false, dice, news);
        if self.knows_somebody() {
            let nodes = self.node_counts().into_iter().sum();
            while self.jobs.has_room_for(Goal::Search(0)) {
                if let Some(search) = self.searches.pop() {
                    let goal = match search.quest.as_deref() {
                        None => Goal::Search(search.key),
                        Some(Quest::Get(..)) => Goal::Get(search.key),
                        Some(Quest::Put(..)) => Goal::Put(search.key),
                        Some(Quest::Scrape(..)) => Goal::Scrape(search.key),
                        Some(Quest::Sample(..)) => Goal::Sample(search.key),
                    };
                    let number = self.begin(goal, NodeId(search.target), now);
                    if let Some(job) = self.jobs.get_mut(number) {
                        job.quest = search.quest;
                    }
                } else if let Some(info_hash) = self.announces.take_due(nodes, now) {
                    self.begin(Goal::Announce(info_hash), NodeId(info_hash), now);
                } else {
                    break;
                }
            }
        }
        while self.jobs.has_room_for(Goal::Refresh)
            && let Some((family, target)) = self.refreshes.pop()
        {
            let mut lookups = self.lookups_for(target, Goal::Refresh);
            lookups[1 - family] = None;
            self.jobs.begin(Goal::Refresh, target, lookups, now);
        }
    }

    /// Whether there is anybody to ask, and it is known who was there in the last run.
    pub(super) fn knows_somebody(&self) -> bool {
        self.bootstrap.has_begun() && (self.node_counts() != [0, 0] || !self.bootstrap.is_empty())
    }

    /// Ends the searches that waited too long for somebody to ask, or all.
    pub(super) fn expire_searches(&mut self, now: Time, all: bool, dice: &mut Dice, news: &mut Vec<DhtNews>) {
        while self.searches.front().is_some_and(|search| all || search.until <= now)
            && let Some(search) = self.searches.pop()
        {
            news.push(match search.quest {
                Some(quest) => self.end_quest(search.key, *quest, 0, now),
                None => DhtNews::LookupOver(search.key, self.own_knowledge(&search.target, false, now, dice)),
            });
        }
    }

    /// What came of a quest; of what is in our own store, too.
    pub(super) fn end_quest(&self, key: u64, mut quest: Quest, told: usize, now: Time) -> DhtNews {
        let ours = self.items.at(&quest.target(), now).map(|item| KrpcMore {
            value: Some(item.value.clone()),
            seq: item.signed.as_ref().map(|signed| signed.seq),
            signed: item.signed.as_ref().map(|signed| Box::new((signed.key, signed.signature))),
            ..KrpcMore::default()
        });
        ours.iter().for_each(|ours| quest.hear(ours));
        match quest {
            Quest::Scrape(info_hash, mut census) => {
                // Of what others have announced to us, too.
                if self.store.knows(&info_hash) {
                    census.hear(&self.store.scrape(&info_hash, now));
                }
                DhtNews::Scraped(key, census)
            }
            Quest::Sample(_, walk) => DhtNews::Sampled(key, walk),
            Quest::Get(_, best) => DhtNews::Item(key, best),
            Quest::Put(..) => DhtNews::Stored(key, told),
        }
    }

    pub(super) fn own_knowledge(&self, info_hash: &[u8; 20], no_seeds: bool, now: Time, dice: &mut Dice) -> Vec<SocketAddr> {
        let mut peers = self.store.draw(info_hash, true, no_seeds, ANSWER_PEERS_MAX, now, dice);
        peers.extend(self.store.draw(info_hash, false, no_seeds, ANSWER_PEERS_MAX, now, dice));
        // Each has announced itself from its own address.
        peers.retain(|peer| may_be_dialled(*peer, is_local(peer.ip())));
        peers
    }

    fn begin(&mut self, goal: Goal, target: NodeId, now: Time) -> u64 {
        let lookups = self.lookups_for(target, goal);
        self.jobs.begin(goal, target, lookups, now)
    }

    /// Lookups that begin at the closest nodes we know; where we know hardly any, at the places to begin as well.
    fn lookups_for(&self, target: NodeId, goal: Goal) -> [Option<Lookup>; 2] {
        [0, 1].map(|family: usize| {
            let side = self.sides[family].as_ref()?;
            let target = if goal == Goal::Join { side.table.own() } else { target };
            let mut lookup = Lookup::new(target, self.config.one_per_site);
            for node in side.table.closest(target, K) {
                lookup.add(Some(node.id), node.address(), None);
            }
            if side.table.len() < K || !side.is_live() {
                for address in self.bootstrap.addresses().filter(|address| self::family(address.ip()) == family) {
                    lookup.add(None, address, None);
                }
            }
            Some(lookup)
        })
    }

    /// Puts the next questions of all jobs.
    pub(super) fn ask_on(&mut self, now: Time, dice: &mut Dice, out: &mut Outbox<Node>) {
        let mut questions = Vec::new();
        for (number, job) in self.jobs.iter_mut() {
            let seq = job.quest.as_ref().and_then(|quest| quest.seq());
            for lookup in job.lookups.iter_mut().flatten() {
                let target = lookup.target();
                for address in lookup.next(now) {
                    let is_first = job.quest.as_mut().is_none_or(|quest| quest.is_first_at(address));
                    questions.push((number, job.goal, target, seq, is_first, address));
                }
            }
        }
        let both = self.sides.iter().all(Option::is_some);
        let want = both.then_some(Want { v4: true, v6: true });
        for (number, goal, target, seq, is_first, to) in questions {
            let query = match goal {
                // A seed has no use for other seeds (BEP 33).
                Goal::Announce(info_hash) => {
                    let no_seeds = self.announces.get(&info_hash).is_some_and(|(_, seed)| seed);
                    KrpcQuery::GetPeers { info_hash: target.0, want, no_seeds, scrape: false }
                }
                Goal::Search(_) => KrpcQuery::GetPeers { info_hash: target.0, want, no_seeds: false, scrape: false },
                Goal::Scrape(_) => KrpcQuery::GetPeers { info_hash: target.0, want, no_seeds: false, scrape: true },
                Goal::Sample(_) if is_first => KrpcQuery::SampleInfohashes { target: target.0, want },
                Goal::Get(_) | Goal::Put(_) => KrpcQuery::Get { target: target.0, want, seq },
                Goal::Sample(_) | Goal::Join | Goal::Refresh => KrpcQuery::FindNode { target: target.0, want },
            };
            let asked = Asked { to, purpose: Purpose::Job(number) };
            if !self.query(asked, query, now, dice, out) {
                self.fail_in_job(asked);
            }
        }
    }

    pub(super) fn fail_in_job(&mut self, asked: Asked) {
        if let Purpose::Job(number) = asked.purpose
            && let Some(job) = self.jobs.get_mut(number)
            && let Some(lookup) = job.lookups[family(asked.to.ip())].as_mut()
        {
            lookup.failed(asked.to);
        }
    }

    /// A node has answered what we asked.
    #[expect(clippy::too_many_arguments, reason = "the parts of one packet, and the world")]
    pub(super) fn answered(
        &mut self,
        asked: Asked,
        id: NodeId,
        answer: &KrpcAnswer,
        seen_as: Option<SocketAddr>,
        now: Time,
        dice: &mut Dice,
        out: &mut Outbox<Node>,
        news: &mut Vec<DhtNews>,
    ) {
        let from = asked.to;
        let Some(side) = self.sides[family(from.ip())].as_mut() else { return };
        if id == side.table.own() {
            // Ourselves, by one of our own addresses.
            self.fail_in_job(asked);
            return;
        }
        if let Some(ip) = seen_as.and_then(|seen| side.votes.cast(from, seen.ip())) {
            news.push(DhtNews::Seen(ip));
            if !side.table.own().fits(ip) {
                let own = NodeId::random_for(ip, dice);
                side.table.rename(own, now);
                self.ids[family(from.ip())] = own;
                self.bootstrap.plan(now);
            }
        }
        self.enter(id, from, now, dice, out);
        let Purpose::Job(number) = asked.purpose else { return };
        let Some(job) = self.jobs.get_mut(number) else { return };
        if job.goal == Goal::Refresh && self.sides[family(from.ip())].as_ref().is_none_or(|side| !side.table.is_sparse_at(job.target)) {
            job.end(now);
        }
        for node in answer.nodes.iter().filter(|node| is_plausible(node.address, from)) {
            let family = family(node.address.ip());
            let own = self.sides[family].as_ref().is_some_and(|side| side.table.own().0 == node.id);
            if let (false, Some(lookup)) = (own, job.lookups[family].as_mut()) {
                lookup.add(Some(NodeId(node.id)), canonical(node.address), Some(from));
            }
        }
        if let Some(lookup) = job.lookups[family(from.ip())].as_mut() {
            lookup.answered(id, from, answer.token.as_ref().map(|token| token.to_vec()));
        }
        if let (Some(quest), Some(more)) = (&mut job.quest, &answer.more) {
            quest.hear(more);
        }
        if job.goal.wants_peers() {
            let named = &answer.peers[..answer.peers.len().min(ANSWER_PEERS_MAX)];
            let may = |peer: &SocketAddr| is_plausible(*peer, from) && may_be_dialled(*peer, is_local(from.ip()));
            let peers: Vec<SocketAddr> = named.iter().map(|&peer| canonical(peer)).filter(may).collect();
            if peers.len() < named.len() {
                let dropped = named.len() - peers.len();
                out.note(Level::Drop, "dht_peers_undialable", Some(from.into()), format!("{dropped} of {}", named.len()));
            }
            let fresh = job.found(peers.into_iter());
            if let (Goal::Announce(info_hash), false) = (job.goal, fresh.is_empty()) {
                news.push(DhtNews::Peers(info_hash, fresh));
            }
        }
    }

    /// A node that has answered enters its table.
    fn enter(&mut self, id: NodeId, address: SocketAddr, now: Time, dice: &mut Dice, out: &mut Outbox<Node>) {
        let Some(side) = self.sides[family(address.ip())].as_mut() else { return };
        if side.table.len() >= K && self.bootstrap.is_router(address) {
            return;
        }
        let first = !side.is_live();
        let probe = side.table.answered(id, address, now);
        side.answered = true;
        if first && side.is_live() {
            self.announces.network_grew(now);
            if self.jobs.has_room_for(Goal::Join) {
                self.bootstrap.plan(now);
            }
        }
        if let Some((_, questionable)) = probe {
            self.ping(questionable, now, dice, out);
        }
    }

    pub(super) fn end_job(&mut self, job: Job, now: Time, dice: &mut Dice, out: &mut Outbox<Node>, news: &mut Vec<DhtNews>) {
        match job.goal {
            Goal::Refresh => {}
            Goal::Join => {
                if job.answered() == 0 {
                    // With a table that lives nothing is wrong: nobody is nearer to us.
                    if self.node_counts() == [0, 0] {
                        self.bootstrap.failed(now);
                    }
                    return;
                }
                self.bootstrap.succeeded();
                for (family, side) in self.sides.iter_mut().enumerate() {
                    let Some(side) = side else { continue };
                    side.joined = Some(now);
                    // Looking for ourselves fills the buckets near us; the far ones want lookups of their own.
                    for target in side.table.sparse(dice) {
                        self.refreshes.push_out((family, target));
                    }
                }
                self.announces.network_grew(now);
                if !self.bootstrapped {
                    self.bootstrapped = true;
                    news.push(DhtNews::Bootstrapped);
                    self.save_due = Some(now + Span::from_secs(30));
                }
            }
            Goal::Search(key) => {
                let mut peers = job.peers;
                peers.extend(self.own_knowledge(&job.target.0, false, now, dice));
                news.push(DhtNews::LookupOver(key, peers.into_iter().collect()));
            }
            Goal::Get(key) | Goal::Put(key) | Goal::Scrape(key) | Goal::Sample(key) => {
                let Some(quest) = job.quest else { return };
                let mut told = 0;
                if let Quest::Put(item, cas) = &*quest {
                    let closest = job.lookups.iter().flatten().flat_map(Lookup::closest);
                    let tokens: Vec<(SocketAddr, Bytes)> =
                        closest.filter_map(|(address, token)| Some((address, Bytes::copy_from_slice(token?)))).collect();
                    for (to, token) in tokens {
                        let query = KrpcQuery::Put { token, value: item.value.clone(), signed: item.signed.clone(), cas: *cas };
                        told += usize::from(self.query(Asked { to, purpose: Purpose::Announce }, query, now, dice, out));
                    }
                    // Others may ask us for it as well. What is wrong with it, they have told.
                    let _ = self.items.put(&item.value, item.signed.as_deref(), *cas, Ipv4Addr::LOCALHOST.into(), now);
                }
                news.push(self.end_quest(key, *quest, told, now));
            }
            Goal::Announce(info_hash) => {
                let Some((port, seed)) = self.announces.get(&info_hash) else { return };
                let mut told = 0;
                let closest = job.lookups.iter().flatten().flat_map(Lookup::closest);
                let tokens: Vec<(SocketAddr, Bytes)> =
                    closest.filter_map(|(address, token)| Some((address, Bytes::copy_from_slice(token?)))).collect();
                for (to, token) in tokens {
                    let query = KrpcQuery::AnnouncePeer { info_hash, port, implied_port: false, token, seed };
                    told += usize::from(self.query(Asked { to, purpose: Purpose::Announce }, query, now, dice, out));
                }
                self.announces.finished(info_hash, told, now, dice);
                let own = self.own_knowledge(&info_hash, seed, now, dice);
                if !own.is_empty() {
                    news.push(DhtNews::Peers(info_hash, own));
                }
            }
        }
    }

    pub(super) fn ping(&mut self, address: SocketAddr, now: Time, dice: &mut Dice, out: &mut Outbox<Node>) {
        self.query(Asked { to: address, purpose: Purpose::Ping }, KrpcQuery::Ping, now, dice, out);
    }

    /// Puts a question. False when there is no room for it.
    fn query(&mut self, asked: Asked, query: KrpcQuery, now: Time, dice: &mut Dice, out: &mut Outbox<Node>) -> bool {
        let Some(side) = self.sides[family(asked.to.ip())].as_ref() else { return false };
        let id = side.table.own().0;
        let Some(transaction) = self.queries.open(asked, now, dice) else { return false };
        let body = KrpcBody::Query { id, query, read_only: self.config.read_only };
        send(asked.to, Bytes::copy_from_slice(&transaction), body, None, out);
        true
    }
}
