//! The session's loop: begins tasks, stops them, and hears what networks and transfers report (`reports.rs`).

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use hexad_api::{Event, FetchRequest, How, Own, Problem, PublishRequest, SearchRequest};
use hexad_content::Digest;
use hexad_core::{OpId, Operation, Query, ShareId, Source, What};
use hexad_driver::limits::Limits;
use hexad_driver::transfers::Transfers;
use hexad_driver::wall::Wall;

use crate::books::Books;
use crate::fetch::Fetch;
use crate::listener::Listener;
use crate::membership::{Membership, NetworkNews};
use crate::networks::{Opening, Outside, Wish, closed};
use crate::owner::Owner;
use crate::publish::Publish;
use crate::search::{Search, of_own};
use crate::session::{Begin, Happening, Making, Manner, Streaming};
use crate::shelf::{Shelf, ShelfNews};
use crate::source::Found;
use crate::watch::Watch;

/// How often tasks report progress.
const TICK: Duration = Duration::from_millis(500);
/// How long a stop waits for a network to hear of it.
pub(crate) const GOODBYE: Duration = Duration::from_secs(3);
/// How many are asked for who have what is looked up.
const LOOKUP_HITS: usize = 8;

/// A task that was asked to stop: which reports are still awaited, and who waits.
struct Goodbye {
    awaited: Vec<OpId>,
    until: Instant,
    done: Sender<()>,
}

/// What who watches a whole session hears, beside what tasks say.
pub(crate) enum News {
    Network(Box<NetworkNews>),
    Shelf(Vec<ShelfNews>),
}

/// All that a session remembers.
pub(crate) struct Loop {
    pub(crate) networks: Vec<Membership>,
    pub(crate) transfers: Arc<Transfers>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) wall: Wall,
    pub(crate) happenings: Sender<Happening>,
    pub(crate) books: Books,
    pub(crate) fetches: Vec<Fetch>,
    pub(crate) publishes: Vec<Publish>,
    pub(crate) searches: Vec<Search>,
    pub(crate) watches: Vec<Watch>,
    pub(crate) shelf: Shelf,
    /// Who watches all of it, where somebody does.
    news: Option<Sender<News>>,
    /// Networks that were told to go, and how long that may take.
    leaving: Vec<(usize, Instant)>,
    ticks: u64,
    goodbyes: Vec<Goodbye>,
    next_tick: Instant,
}

impl Loop {
    pub(crate) fn new(
        openings: Vec<Opening>,
        transfers: Arc<Transfers>,
        outside: &Outside,
        happenings: Sender<Happening>,
        news: Option<Sender<News>>,
    ) -> Self {
        let mut books = Books::default();
        let networks = openings.into_iter().enumerate().map(|(number, opening)| Membership::new(opening, number, books.op())).collect();
        Self {
            networks,
            transfers,
            limits: outside.limits.clone(),
            wall: outside.wall.clone(),
            happenings,
            books,
            fetches: Vec::new(),
            publishes: Vec::new(),
            searches: Vec::new(),
            watches: Vec::new(),
            shelf: Shelf::default(),
            news,
            leaving: Vec::new(),
            ticks: 0,
            goodbyes: Vec::new(),
            next_tick: Instant::now() + TICK,
        }
    }

    /// Joins all networks, and goes on until the session is closed.
    pub(crate) fn run(mut self, heard: &Receiver<Happening>) {
        for network in 0..self.networks.len() {
            // A session that is watched is told which networks to join.
            if self.news.is_some() {
                self.networks[network].want_left();
                let problem = Problem::new(format!("{} is not joined", self.networks[network].name()));
                self.networks[network].give_up(problem);
            } else {
                self.attempt(network);
            }
        }
        loop {
            match heard.recv_timeout(self.next_tick.saturating_duration_since(Instant::now())) {
                Ok(Happening::Close) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(happening) => self.take(happening),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if Instant::now() >= self.next_tick {
                self.tick();
            }
        }
        self.leave_all(heard);
        for member in self.networks.iter().filter_map(|network| network.member.as_ref()) {
            member.shutdown();
        }
        self.transfers.shutdown();
    }

    /// Leaves every network: who leaves stores what it has learnt, and hands over what others need.
    fn leave_all(&mut self, heard: &Receiver<Happening>) {
        for membership in &mut self.networks {
            membership.cancel(membership.join);
        }
        let until = Instant::now() + GOODBYE;
        while self.networks.iter().any(|network| network.is_live(network.join)) {
            match heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(happening) => self.take(happening),
                Err(_) => return,
            }
        }
    }

    fn take(&mut self, happening: Happening) {
        match happening {
            Happening::Heard(network, attempt, heard) => {
                if self.networks[network].is_current(attempt) {
                    self.on_heard(network, heard);
                }
            }
            Happening::Transfers(event) => self.on_transfers(event),
            Happening::Begin(begin, events, op) => {
                let task = match *begin {
                    Begin::Fetch { request, found, on, manner, streaming, known } => {
                        let task = self.begin_fetch(request, &found, &on, manner, streaming, events);
                        if let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.task == task) {
                            fetch.known = known;
                        }
                        task
                    }
                    Begin::Publish(request, on, owner) => self.begin_publish(request, &on, owner, events),
                    Begin::Search(request, on) => self.begin_search(request, &on, None, events),
                    Begin::Join(network) => self.begin_join(network, events),
                    Begin::Own(own, network) => self.begin_own(own, network, events),
                };
                let _ = op.send(task);
            }
            Happening::Opened { op, share, opened } => self.on_opened(op, share, opened),
            Happening::Prepared(op, prepared) => self.on_prepared(op, prepared),
            Happening::Tell(op, event) => self.tell(op, event),
            Happening::Mapped(network, outcome) => self.on_mapped(network, outcome),
            Happening::Reads(op, bytes) => self.on_reads(op, &bytes),
            Happening::Streams(op, running) => {
                // It may be over by now.
                if let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.task == op) {
                    fetch.running = Some(running);
                }
            }
            Happening::Stop { op, done } => self.stop(op, done),
            Happening::Join(network, make) => self.join(network, make),
            Happening::Leave(network) => self.leave(network),
            Happening::Offer(prepared) => {
                let mut news = Vec::new();
                self.shelf.put(prepared, &mut self.books, &self.transfers, &mut self.networks, &mut news);
                self.show_shares();
                self.tell_shelf(news);
            }
            Happening::Withdraw(keys) => {
                let mut any = false;
                for key in keys {
                    any |= self.shelf.take(key, &mut self.books, &self.transfers, &mut self.networks);
                }
                if any {
                    self.show_shares();
                }
            }
            Happening::Change { op, how, seed } => self.change_fetch(op, *how, seed),
            Happening::More { op, results_max, timeout_s } => self.search_more(op, results_max, timeout_s),
            Happening::Close => {}
        }
    }

    /// What is known of these networks, for a task that has just begun; then which of them cannot be used, and why.
    fn greet(&self, on: &[usize], events: &Listener) -> Vec<(usize, Problem)> {
        for network in on {
            for event in self.networks[*network].greetings() {
                events.send(event);
            }
            for warning in &self.networks[*network].opening.warnings {
                events.send(Event::Warning { message: warning.clone() });
            }
        }
        on.iter().filter_map(|&network| Some((network, self.networks[network].problem()?.clone()))).collect()
    }

    fn begin_fetch(
        &mut self,
        request: FetchRequest,
        found: &Found,
        on: &[usize],
        manner: Manner,
        streaming: Option<Streaming>,
        events: Listener,
    ) -> OpId {
        let failed = self.greet(on, &events);
        let fetch = Fetch::begin(&mut self.books, request, found, manner, streaming, events);
        let task = fetch.task;
        self.limits.set_share(fetch.share, fetch.how().limits.up_bytes_per_s);
        self.fetches.push(fetch);
        for &network in on {
            self.begin_part(task, network);
        }
        if let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.task == task) {
            for (network, problem) in failed {
                fetch.network_down(network, &problem);
            }
            fetch.fail_where_hopeless();
        }
        task
    }

    /// Lets a network take part in a fetch, or once more.
    pub(crate) fn begin_part(&mut self, task: OpId, network: usize) {
        let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.task == task) else { return };
        let membership = &mut self.networks[network];
        let (source, share) = (fetch.source.clone(), fetch.share);
        let down_bytes_per_s = fetch.how().limits.down_bytes_per_s;
        let part = match fetch.parts.iter().position(|part| part.network == network) {
            None => fetch.add(&mut self.books, network, membership.name(), membership.opening.is_swarm),
            Some(place) => {
                let part = &mut fetch.parts[place];
                part.renew_lease(self.books.lease(), &self.transfers, &self.limits);
                [part.fetch.take(), part.lookup.take()].into_iter().flatten().for_each(|before| membership.cancel(before));
                part
            }
        };
        if (membership.opening.takes)(&source.what) {
            let (op, lease) = (self.books.op(), part.lease);
            part.fetch = Some(op);
            self.limits.set_lease(lease, down_bytes_per_s);
            membership.start(op, Operation::Fetch { source, lease, share });
        } else if let Some(digest) = lookup_digest(&source).filter(|_| membership.opening.abilities.search_digest) {
            let op = self.books.op();
            part.lookup = Some(op);
            membership.start(op, Operation::Search { query: Query::Digest { digest, wanted: LOOKUP_HITS } });
        } else {
            let problem = Problem::new(format!("{} cannot look that up", membership.name()));
            fetch.part_useless(network, &problem.hint("hexad search prints links that can be fetched"));
        }
    }

    /// Limits, order and goals of a fetch are others from here on.
    fn change_fetch(&mut self, task: OpId, how: How, seed: bool) {
        let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.task == task) else { return };
        let reorders = fetch.change(how, seed);
        let limits = fetch.how().limits;
        self.limits.set_share(fetch.share, limits.up_bytes_per_s);
        let order = fetch.order().unwrap_or_default();
        for part in fetch.parts.iter().filter(|part| part.fetch.is_some()) {
            self.limits.set_lease(part.lease, limits.down_bytes_per_s);
            if reorders && part.lent == Some(part.lease) {
                let op = self.books.op();
                self.networks[part.network].start(op, Operation::Own(Wish::Order(fetch.share, order.clone())));
            }
        }
        self.prefer(task);
    }

    /// Has what is missing of a fetch come in the order that is wanted, whichever networks bring it.
    pub(crate) fn prefer(&mut self, task: OpId) {
        let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.task == task) else { return };
        let order = fetch.preferred();
        if std::mem::replace(&mut fetch.is_ordered, !order.is_empty()) || fetch.is_ordered {
            self.transfers.prefer(fetch.share, order);
        }
    }

    /// Tries the folders of fetches again that others had.
    fn reopen(&mut self, now: Instant) {
        for fetch in &mut self.fetches {
            fetch.reopen(now, &self.transfers, &self.happenings);
        }
    }

    /// Begins the parts of fetches that are to be tried once more.
    fn begin_due_parts(&mut self, now: Instant) {
        let mut due = Vec::new();
        for fetch in &mut self.fetches {
            let complete = self.transfers.progress(fetch.share).is_some_and(|progress| progress.verified_bytes == progress.wanted_bytes);
            let networks = fetch.due(now, |network| self.networks[network].is_joined(), complete);
            due.extend(networks.into_iter().map(|network| (fetch.task, network)));
        }
        for (task, network) in due {
            self.begin_part(task, network);
        }
    }

    fn begin_publish(&mut self, request: PublishRequest, on: &[usize], owner: Option<Owner>, events: Listener) -> OpId {
        let failed = self.greet(on, &events);
        let named = on.iter().map(|&network| (network, self.networks[network].name())).collect();
        let mut publish = Publish::begin(&mut self.books, request, named, events, self.happenings.clone());
        for (network, problem) in failed {
            publish.network_failed(network, &problem);
        }
        publish.owner = owner;
        let task = publish.task;
        self.publishes.push(publish);
        task
    }

    /// Asks for the words of the request, or for `own`, which says more than that in the words of a single network.
    fn begin_search(&mut self, request: SearchRequest, on: &[usize], own: Option<Own>, events: Listener) -> OpId {
        let failed = self.greet(on, &events);
        let mut search = Search::begin(&mut self.books, request, events);
        let mut useless = Vec::new();
        for &network in on {
            let (op, membership) = (self.books.op(), &mut self.networks[network]);
            search.add(network, membership.name(), op);
            if let Some(own) = &own {
                membership.start(op, Operation::Own(Wish::Own(own.clone())));
            } else if membership.opening.abilities.search_words {
                membership.start(op, Operation::Search { query: search.query() });
            } else {
                let problem = Problem::new("it has no search by words");
                useless.push((network, problem.hint("search on another network, or fetch by a magnet link")));
            }
        }
        for (network, problem) in failed.into_iter().chain(useless) {
            search.network_failed(network, &problem);
        }
        let task = search.task;
        self.searches.push(search);
        task
    }

    /// Asks once more, and for more.
    fn search_more(&mut self, task: OpId, results_max: usize, timeout_s: u64) {
        let Some(search) = self.searches.iter_mut().find(|search| search.task == task) else { return };
        let asked = search.again(results_max, timeout_s);
        let query = search.query();
        for network in asked {
            let (op, membership) = (self.books.op(), &mut self.networks[network]);
            search.add(network, membership.name(), op);
            match membership.problem().cloned() {
                Some(problem) => search.network_failed(network, &problem),
                None => membership.start(op, Operation::Search { query: query.clone() }),
            }
        }
    }

    /// Puts another way into a network in place of the one before, and joins.
    fn join(&mut self, network: usize, make: Making) {
        if !self.networks[network].is_down() {
            return;
        }
        let join = self.books.op();
        if let Some(opening) = closed(self.networks[network].name()) {
            // What the one before has locked must be free.
            self.networks[network].reopen(opening, join);
        }
        match make(&self.transfers) {
            Ok(opening) => {
                self.networks[network].reopen(opening, join);
                if !self.attempt(network) {
                    self.networks[network].give_up(Problem::new("there is no address to listen at"));
                }
            }
            Err(problem) => self.networks[network].give_up(problem),
        }
        self.tell_network(network);
    }

    /// Leaves a network in order.
    fn leave(&mut self, network: usize) {
        self.networks[network].want_left();
        if self.networks[network].is_joined() {
            let join = self.networks[network].join;
            self.networks[network].cancel(join);
            self.leaving.push((network, Instant::now() + GOODBYE));
        } else {
            self.give_up_left(network);
            self.networks[network].close();
            self.tell_network(network);
        }
    }

    /// Does not wait for ever for a network that does not say goodbye.
    fn see_who_left(&mut self, now: Instant) {
        let late: Vec<usize> = self.leaving.iter().filter(|(_, until)| *until <= now).map(|(network, _)| *network).collect();
        self.leaving.retain(|(_, until)| *until > now);
        for network in late {
            if self.networks[network].is_joined() && self.networks[network].is_wanted_left() {
                self.give_up_left(network);
                self.networks[network].close();
                self.tell_network(network);
            }
        }
    }

    /// Tells who watches how a network stands.
    pub(crate) fn tell_network(&self, network: usize) {
        if let Some(news) = &self.news {
            let _ = news.send(News::Network(Box::new(self.networks[network].news())));
        }
    }

    /// Tells who watches what has become of things on the shelf.
    pub(crate) fn tell_shelf(&self, all: Vec<ShelfNews>) {
        if let Some(news) = self.news.as_ref().filter(|_| !all.is_empty()) {
            let _ = news.send(News::Shelf(all));
        }
    }

    fn begin_join(&mut self, network: usize, events: Listener) -> OpId {
        let failed = self.greet(&[network], &events);
        let mut watch = Watch::join(&mut self.books, network, events);
        if let Some(standing) = self.networks[network].last_standing() {
            watch.tell(standing);
        }
        for (_, problem) in failed {
            watch.fail(&problem);
        }
        let task = watch.task;
        self.watches.push(watch);
        task
    }

    fn begin_own(&mut self, own: Own, network: usize, events: Listener) -> OpId {
        if let Some(request) = of_own(&own) {
            return self.begin_search(request, &[network], Some(own), events);
        }
        let failed = self.greet(&[network], &events);
        let mut watch = Watch::ask(&mut self.books, network, events);
        if let Some(op) = watch.asked {
            self.networks[network].start(op, Operation::Own(Wish::Own(own)));
        }
        for (_, problem) in failed {
            watch.fail(&problem);
        }
        let task = watch.task;
        self.watches.push(watch);
        task
    }

    fn stop(&mut self, task: OpId, done: Sender<()>) {
        let mut ops = Vec::new();
        if let Some(place) = self.fetches.iter().position(|fetch| fetch.task == task) {
            let fetch = self.fetches.remove(place);
            for part in &fetch.parts {
                self.limits.set_lease(part.lease, 0);
                self.transfers.end(part.lease);
                ops.extend(part.ops().map(|op| (part.network, op)));
            }
            fetch.tell(Event::Stopped);
            self.cancel(&ops);
            self.forget(&[fetch.share]);
        } else if let Some(place) = self.publishes.iter().position(|publish| publish.task == task) {
            let publish = self.publishes.remove(place);
            ops.extend(publish.ops());
            publish.tell(Event::Stopped);
            self.cancel(&ops);
            self.forget(&publish.shares());
        } else if let Some(place) = self.searches.iter().position(|search| search.task == task) {
            let search = self.searches.remove(place);
            ops.extend(search.ops());
            search.tell(Event::Stopped);
            self.cancel(&ops);
        } else if let Some(place) = self.watches.iter().position(|watch| watch.task == task) {
            let watch = self.watches.remove(place);
            let membership = &self.networks[watch.network];
            ops.push((watch.network, watch.asked.unwrap_or(membership.join)));
            watch.tell(Event::Stopped);
            self.cancel(&ops);
        }
        ops.retain(|(network, op)| self.networks[*network].is_live(*op));
        let awaited = ops.into_iter().map(|(_, op)| op).collect();
        self.goodbyes.push(Goodbye { awaited, until: Instant::now() + GOODBYE, done });
        self.settle_goodbyes();
    }

    pub(crate) fn cancel(&mut self, ops: &[(usize, OpId)]) {
        for &(network, op) in ops {
            self.networks[network].cancel(op);
        }
    }

    fn forget(&mut self, shares: &[ShareId]) {
        for &share in shares {
            self.limits.set_share(share, 0);
            self.transfers.close(share);
            self.books.remove(share);
        }
        self.show_shares();
    }

    /// Lets every network see our shares as they are.
    pub(crate) fn show_shares(&self) {
        self.networks.iter().for_each(|network| network.set_shares(&self.books.shares));
    }

    /// An operation is over.
    pub(crate) fn on_ended(&mut self, network: usize, op: OpId) {
        self.networks[network].on_ended(op);
        for goodbye in &mut self.goodbyes {
            goodbye.awaited.retain(|&awaited| awaited != op);
        }
        self.settle_goodbyes();
    }

    fn settle_goodbyes(&mut self) {
        let now = Instant::now();
        self.goodbyes.retain(|goodbye| {
            let wait = !goodbye.awaited.is_empty() && now < goodbye.until;
            if !wait {
                let _ = goodbye.done.send(());
            }
            wait
        });
    }

    fn tick(&mut self) {
        let now = Instant::now();
        self.next_tick = now + TICK;
        self.settle_goodbyes();
        self.ticks += 1;
        let moves = !(self.fetches.is_empty() && self.publishes.is_empty());
        // Who only watches is content with a look every two seconds.
        let seldom = self.news.is_some() && !self.ticks.is_multiple_of(4);
        for membership in &self.networks {
            // How shares stand concerns nobody where there are none.
            let concerns = if membership.opening.tells_transfers { moves || !(self.shelf.is_empty() || seldom) } else { !seldom };
            if concerns {
                membership.ask(self.books.op(), Wish::Standing);
            }
        }
        self.shelf.tick(&mut self.books, &mut self.networks);
        self.begin_due_parts(now);
        self.reopen(now);
        self.see_who_left(now);
        for fetch in &mut self.fetches {
            let tells = |part: &crate::part::Part| {
                let membership = &self.networks[part.network];
                membership.opening.tells_transfers && membership.is_joined() && part.is_on()
            };
            if !fetch.parts.iter().any(tells) {
                let arrived_bytes = arrived_bytes(&self.transfers, fetch);
                fetch.on_tick(arrived_bytes);
            }
            fetch.tell_parts(|lease| (self.transfers.arrived_bytes(lease), self.transfers.bad_bytes(lease)));
        }
        self.end_those_who_gave_enough(now);
        let late: Vec<(usize, OpId)> = self.searches.iter_mut().flat_map(|search| search.on_tick(now)).collect();
        self.cancel(&late);
    }

    /// Seeds that have a goal are done when it is reached.
    fn end_those_who_gave_enough(&mut self, now: Instant) {
        let fetches = self.fetches.iter_mut().filter(|fetch| fetch.has_given_enough(now)).map(|fetch| {
            fetch.done_seeding();
            fetch.parts.iter().flat_map(|part| part.ops().map(|op| (part.network, op)).collect::<Vec<_>>()).collect::<Vec<_>>()
        });
        let mut ops: Vec<(usize, OpId)> = fetches.flatten().collect();
        for publish in self.publishes.iter_mut().filter(|publish| publish.has_given_enough(now)) {
            publish.done_seeding();
            ops.extend(publish.ops());
        }
        self.cancel(&ops);
    }

    /// A player reads there.
    fn on_reads(&mut self, task: OpId, bytes: &std::ops::Range<u64>) {
        let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.task == task) else { return };
        fetch.reading = Some(bytes.clone());
        let reading: Vec<usize> = fetch.parts.iter().filter(|part| part.is_on() && part.fetch.is_some()).map(|part| part.network).collect();
        let share = fetch.share;
        for network in reading {
            let op = self.books.op();
            self.networks[network].start(op, Operation::Own(Wish::Reader(share, bytes.clone())));
        }
        self.prefer(task);
    }

    fn tell(&self, task: OpId, event: Event) {
        if let Some(fetch) = self.fetches.iter().find(|fetch| fetch.task == task) {
            fetch.tell(event);
        } else if let Some(publish) = self.publishes.iter().find(|publish| publish.task == task) {
            publish.tell(event);
        }
    }
}

/// What has come for a fetch, under all its leases.
pub(crate) fn arrived_bytes(transfers: &Transfers, fetch: &Fetch) -> u64 {
    fetch.parts.iter().map(|part| part.settled_bytes + transfers.arrived_bytes(part.lease)).sum::<u64>()
}

/// By which digest a source is looked up: the one that proves most of it.
fn lookup_digest(source: &Source) -> Option<Digest> {
    let What::Magnet(magnet) = &source.what else { return None };
    magnet.digests.iter().find(|digest| matches!(digest, Digest::Content(_) | Digest::TorrentV1(_) | Digest::TorrentV2(_))).copied()
}
