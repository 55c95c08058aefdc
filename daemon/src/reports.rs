//! What networks and transfers report, and what follows from it for tasks.

use hexad_api::{Event, Own, Problem};
use hexad_core::{Description, Failure, Hit, OpId, Operation, Progress, ShareId};
use hexad_driver::transfers::{Opened, StoreError, TransfersEvent};

use crate::fetch::{Described, Fetch, Next};
use crate::networks::{Heard, Told, Wish};
use crate::owner::seq_now;
use crate::publish::Prepared;
use crate::session_loop::{Loop, arrived_bytes};

impl Loop {
    /// Starts a network's host with the next configuration.
    pub(crate) fn attempt(&mut self, network: usize) -> bool {
        self.networks[network].attempt(&self.happenings, &self.books.shares)
    }

    /// A network says something.
    pub(crate) fn on_heard(&mut self, network: usize, heard: Heard) {
        match heard {
            Heard::Report(op, progress) if op == self.networks[network].join => self.on_join(network, progress),
            Heard::Report(op, progress) => self.on_report(network, op, progress),
            Heard::Open { address, purpose } => {
                if purpose == "peers" {
                    self.networks[network].map_ports(&address, &self.happenings);
                }
                if let Some(event) = self.networks[network].on_open(address, purpose) {
                    self.tell_all(network, &event);
                }
                self.tell_network(network);
            }
            Heard::Warning(message) => self.tell_all(network, &Event::Warning { message }),
            Heard::Over => {
                let name = self.networks[network].name();
                let problem = Problem::new(format!("the part of this program that speaks {name} has ended, which is a mistake of ours"));
                self.give_up(network, problem.hint("run the same command again with -v, and tell us what it says"));
            }
        }
    }

    pub(crate) fn on_mapped(&mut self, network: usize, outcome: hexad_driver::mapping::Outcome) {
        let event = self.networks[network].on_mapped(outcome);
        self.tell_all(network, &event);
    }

    fn on_join(&mut self, network: usize, progress: Progress<Told>) {
        match progress {
            Progress::Done => {
                self.networks[network].on_joined();
                // By whom we have come in is kept, however soon we leave.
                self.networks[network].ask(self.books.op(), Wish::Standing);
                for event in self.networks[network].greetings() {
                    self.tell_all(network, &event);
                }
                self.welcome(network);
                self.tell_network(network);
            }
            // Somebody has the address: the next one, if there is one.
            Progress::Failed(Failure::Host(_)) if self.attempt(network) => {}
            Progress::Failed(failure) => {
                let problem = self.networks[network].join_problem(&failure);
                self.give_up(network, problem);
            }
            Progress::Ended => {
                self.on_ended(network, self.networks[network].join);
                self.give_up_left(network);
                if self.networks[network].is_wanted_left() {
                    self.networks[network].close();
                }
                self.tell_network(network);
            }
            _ => {}
        }
    }

    fn on_report(&mut self, network: usize, op: OpId, progress: Progress<Told>) {
        match progress {
            Progress::Own(told) => self.on_told(network, op, told),
            Progress::Hit(hit) => self.on_hit(op, *hit),
            Progress::Described(description) => self.on_described(network, op, *description),
            Progress::Done => self.on_done(network, op),
            Progress::Failed(failure) => {
                self.on_failed(network, op, &failure);
                self.on_ended(network, op);
            }
            Progress::Ended => self.on_ended(network, op),
        }
    }

    fn on_told(&mut self, network: usize, op: OpId, told: Told) {
        match told {
            Told::Transfers(standings, overlay) => {
                self.networks[network].on_swarms(&standings, overlay);
                self.tell_network(network);
                for fetch in &mut self.fetches {
                    let arrived_bytes = arrived_bytes(&self.transfers, fetch);
                    fetch.on_standing(network, &standings, arrived_bytes);
                }
                for publish in &mut self.publishes {
                    publish.on_standing(network, &standings);
                }
            }
            Told::Standing(standing) => {
                let news = self.networks[network].on_standing(standing);
                self.tell_network(network);
                if let Some(event) = news {
                    for watch in self.watches.iter().filter(|watch| watch.network == network && watch.asked.is_none()) {
                        watch.tell(event.clone());
                    }
                }
            }
            Told::Answers(events) => {
                self.tell_shelf(self.shelf.on_answers(op, &events));
                if let Some(watch) = self.watches.iter().find(|watch| watch.asked == Some(op)) {
                    events.into_iter().for_each(|event| watch.tell(event));
                } else if let Some(publish) = self.publishes.iter().find(|publish| publish.owns(op)) {
                    events.into_iter().for_each(|event| publish.tell(event));
                }
            }
            Told::Nothing => {}
        }
    }

    fn on_hit(&mut self, op: OpId, hit: Hit) {
        if let Some(search) = self.searches.iter_mut().find(|search| search.owns(op)) {
            return search.on_hit(op, hit);
        }
        let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.owns(op)) else { return };
        let task = fetch.task;
        let Some(part) = fetch.part_of(op) else { return };
        part.untried.push_back(hit.source);
        if part.fetch.is_none() {
            let network = part.network;
            self.fetch_next(task, network);
        }
    }

    /// Fetches from the next of those whom a lookup has found; false when there is none.
    fn fetch_next(&mut self, task: OpId, network: usize) -> bool {
        let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.task == task) else { return false };
        let share = fetch.share;
        let Some(part) = fetch.parts.iter_mut().find(|part| part.network == network && part.is_on()) else { return false };
        let Some(source) = part.untried.pop_front() else { return false };
        let op = self.books.op();
        part.renew_lease(self.books.lease(), &self.transfers, &self.limits);
        part.described = false;
        let (lease, before) = (part.lease, part.fetch.replace(op));
        let down_bytes_per_s = fetch.how().limits.down_bytes_per_s;
        self.limits.set_lease(lease, down_bytes_per_s);
        if let Some(before) = before {
            self.networks[network].cancel(before);
        }
        self.networks[network].start(op, Operation::Fetch { source, lease, share });
        true
    }

    fn on_described(&mut self, network: usize, op: OpId, description: Description) {
        let (transfers, happenings) = (self.transfers.clone(), self.happenings.clone());
        let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.owns(op)) else { return };
        let task = fetch.task;
        match fetch.on_described(op, description, &transfers, &happenings) {
            Described::Preparing => {}
            Described::Lend => {
                self.show_again(task);
                self.lend(task);
            }
            Described::Leave => self.networks[network].cancel(op),
        }
    }

    fn on_done(&mut self, network: usize, op: OpId) {
        if self.shelf.owns(op) {
            let news = self.shelf.on_done(op, &mut self.books, &mut self.networks);
            return self.tell_shelf(news.into_iter().collect());
        }
        if let Some(publish) = self.publishes.iter_mut().find(|publish| publish.owns(op)) {
            return publish.on_done(op);
        }
        // What a fetch gives on goes on; everything else is over.
        if self.fetches.iter().any(|fetch| fetch.parts.iter().any(|part| part.publishing == Some(op))) {
            return;
        }
        if let Some(search) = self.searches.iter_mut().find(|search| search.owns(op)) {
            search.on_done(op);
        } else if let Some(watch) = self.watches.iter_mut().find(|watch| watch.asked == Some(op)) {
            watch.done();
        } else if let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.parts.iter().any(|part| part.lookup == Some(op))) {
            let nobody = Problem::new("nobody there has it").hint("is whoever has it still there? hexad search says what is offered now");
            let found = fetch.part_of(op).is_some_and(|part| {
                part.lookup = None;
                part.fetch.is_some()
            });
            if !found {
                fetch.part_failed(network, &nobody);
            }
        }
        if let Some(part) = self.fetches.iter_mut().flat_map(|fetch| &mut fetch.parts).find(|part| part.fetch == Some(op)) {
            part.idle_since = Some(std::time::Instant::now());
        }
        self.on_ended(network, op);
    }

    fn on_failed(&mut self, network: usize, op: OpId, failure: &Failure) {
        let problem = self.networks[network].problem_of(failure);
        if let Some(news) = self.shelf.on_failed(op, &problem) {
            return self.tell_shelf(vec![news]);
        }
        if let Some(publish) = self.publishes.iter_mut().find(|publish| publish.owns(op)) {
            publish.on_failed(op, &problem);
        } else if let Some(search) = self.searches.iter_mut().find(|search| search.owns(op)) {
            search.on_failed(op, &problem);
        } else if let Some(watch) = self.watches.iter_mut().find(|watch| watch.asked == Some(op)) {
            watch.fail(&problem);
        } else if let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.owns(op)) {
            let task = fetch.task;
            let Some(part) = fetch.part_of(op) else { return };
            if part.publishing == Some(op) {
                return fetch.tell(Event::Warning { message: format!("what arrives is not given on: {failure}") });
            }
            if part.lookup == Some(op) {
                part.lookup = None;
            } else {
                part.fetch = None;
            }
            let goes_on = part.lookup.is_some() || part.fetch.is_some();
            if !(goes_on && part.untried.is_empty() || self.fetch_next(task, network))
                && let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.task == task)
            {
                fetch.part_failed(network, &problem);
                // What it was to bring is for others to bring.
                if let Some(part) = fetch.parts.iter_mut().find(|part| part.network == network && part.lent == Some(part.lease)) {
                    part.renew_lease(self.books.lease(), &self.transfers, &self.limits);
                }
                if matches!(failure, Failure::Unusable(_)) {
                    fetch.never_again(network);
                }
            }
        }
    }

    /// A network is joined: what is offered is offered there too, and fetches that take any network take this one.
    fn welcome(&mut self, network: usize) {
        self.shelf.on_joined(network, &self.networks[network]);
        let lacks = |fetch: &&Fetch| fetch.takes_any_network() && !fetch.parts.iter().any(|part| part.network == network);
        let tasks: Vec<OpId> = self.fetches.iter().filter(lacks).map(|fetch| fetch.task).collect();
        for task in tasks {
            self.begin_part(task, network);
        }
    }

    /// More is known of what a fetch is of: networks are to see it.
    fn show_again(&mut self, task: OpId) {
        let Some(fetch) = self.fetches.iter().find(|fetch| fetch.task == task) else { return };
        let Some(held) = self.transfers.held(fetch.share) else { return };
        if let Some(content) = fetch.content(held) {
            self.books.put(fetch.share, content);
            self.show_shares();
        }
    }

    /// Somebody has left that network.
    pub(crate) fn give_up_left(&mut self, network: usize) {
        let name = self.networks[network].name();
        self.give_up(network, Problem::new(format!("{name} was left")).hint("join it again"));
    }

    /// Nothing that needs that network can be done any more.
    pub(crate) fn give_up(&mut self, network: usize, problem: Problem) {
        for fetch in &mut self.fetches {
            if let Some(part) = fetch.parts.iter_mut().find(|part| part.network == network) {
                part.renew_lease(self.books.lease(), &self.transfers, &self.limits);
                fetch.network_down(network, &problem);
            }
        }
        let mut news = Vec::new();
        self.shelf.on_down(network, &mut news);
        self.tell_shelf(news);
        self.publishes.iter_mut().for_each(|publish| publish.network_failed(network, &problem));
        self.searches.iter_mut().for_each(|search| search.network_failed(network, &problem));
        self.watches.iter_mut().filter(|watch| watch.network == network).for_each(|watch| watch.fail(&problem));
        self.networks[network].give_up(problem);
        self.tell_network(network);
    }

    pub(crate) fn on_transfers(&mut self, event: TransfersEvent) {
        let share = event.share();
        let transfers = self.transfers.clone();
        if let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.share == share) {
            let arrived_bytes = arrived_bytes(&transfers, fetch);
            if matches!(event, TransfersEvent::Complete { .. }) {
                // Who has what from where is told before it is over.
                fetch.tell_parts(|lease| (transfers.arrived_bytes(lease), transfers.bad_bytes(lease)));
            }
            if fetch.on_transfers(event, arrived_bytes, &transfers) {
                let ops: Vec<(usize, OpId)> =
                    fetch.parts.iter().flat_map(|part| part.ops().map(|op| (part.network, op)).collect::<Vec<_>>()).collect();
                self.cancel(&ops);
            }
        }
    }

    pub(crate) fn on_opened(&mut self, task: OpId, share: ShareId, opened: Result<Opened, StoreError>) {
        let transfers = self.transfers.clone();
        let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.task == task) else {
            // It was stopped while its folder was prepared, and must not keep that from others.
            return transfers.close(share);
        };
        let content = match fetch.on_opened(opened, &transfers) {
            Next::Wait => return,
            Next::Leave => {
                let ops: Vec<(usize, OpId)> =
                    fetch.parts.iter().flat_map(|part| part.ops().map(|op| (part.network, op)).collect::<Vec<_>>()).collect();
                return self.cancel(&ops);
            }
            Next::Go(content) => content,
        };
        self.books.put(share, *content);
        self.show_shares();
        self.lend(task);
    }

    /// Lends what is missing of a fetch to the networks that have described it, and offers there what has arrived.
    fn lend(&mut self, task: OpId) {
        let Some(fetch) = self.fetches.iter_mut().find(|fetch| fetch.task == task) else { return };
        let share = fetch.share;
        for place in 0..fetch.parts.len() {
            let may_publish = fetch.may_publish(fetch.parts[place].is_swarm);
            let part = &mut fetch.parts[place];
            if !part.described || !part.is_on() || part.lent == Some(part.lease) {
                continue;
            }
            part.lent = Some(part.lease);
            let network = part.network;
            if let Some(order) = fetch.order() {
                let op = self.books.op();
                self.networks[network].start(op, Operation::Own(Wish::Order(share, order)));
            }
            let part = &mut fetch.parts[place];
            let membership = &mut self.networks[part.network];
            if may_publish && part.publishing.is_none() {
                let publishing = self.books.op();
                part.publishing = Some(publishing);
                membership.start(publishing, Operation::Publish { share });
            }
            if let Some(member) = &membership.member {
                self.transfers.lend(part.lease, share, member.sink());
            }
        }
        self.prefer(task);
    }

    pub(crate) fn on_prepared(&mut self, task: OpId, prepared: Result<Vec<Prepared>, Problem>) {
        let Some(publish) = self.publishes.iter_mut().find(|publish| publish.task == task) else { return };
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(problem) => return publish.fail(&problem),
        };
        let mut shares = Vec::new();
        for one in prepared {
            let id = self.books.share();
            if let Err(wrong) = self.transfers.open_share(id, one.share.layout.clone(), one.paths.clone()) {
                let hint = wrong.hint().unwrap_or_else(|| "wait until nothing writes to the files, then try again".to_owned());
                return publish.fail(&Problem::new(wrong.to_string()).hint(hint));
            }
            self.books.put(id, one.share.clone());
            let told = (one.sounds.clone(), one.tiger.clone());
            publish.offer(id, one);
            shares.push((id, told));
        }
        let mut starts = Vec::new();
        for (network, name) in publish.on.clone() {
            for (share, told) in &shares {
                let op = self.books.op();
                publish.add(network, name, op, *share);
                starts.push((network, op, *share, told.clone()));
            }
        }
        let peers = publish.peers();
        let (super_seed, up_bytes_per_s) = (publish.how.super_seed, publish.how.limits.up_bytes_per_s);
        self.show_shares();
        for (network, op, share, (sounds, tiger)) in starts {
            self.limits.set_share(share, up_bytes_per_s);
            if !sounds.is_empty() {
                let tell = self.books.op();
                self.networks[network].start(tell, Operation::Own(Wish::Sounds(share, sounds)));
            }
            if let Some(tree) = tiger {
                let tell = self.books.op();
                self.networks[network].start(tell, Operation::Own(Wish::Tree(share, tree)));
            }
            self.networks[network].start(op, Operation::Publish { share });
            if super_seed {
                let ask = self.books.op();
                self.networks[network].start(ask, Operation::Own(Wish::SuperSeed(share)));
            }
            if !peers.is_empty() {
                let ask = self.books.op();
                self.networks[network].start(ask, Operation::Own(Wish::Meet(share, peers.clone())));
            }
            if self.networks[network].opening.is_swarm {
                self.keep_link(task, network);
            }
        }
    }

    /// Has the link of a publish that can be changed lead to it.
    fn keep_link(&mut self, task: OpId, network: usize) {
        let (op, seq) = (self.books.op(), seq_now(&self.wall));
        let Some(publish) = self.publishes.iter_mut().find(|publish| publish.task == task) else { return };
        if let Some(item) = publish.word(network, op, seq) {
            let own = Own::BittorrentFollow { link: item.link.clone(), known: Some(item) };
            self.networks[network].start(op, Operation::Own(Wish::Own(own)));
        }
    }

    /// Tells every task that has to do with that network.
    fn tell_all(&self, network: usize, event: &Event) {
        let takes_part = |parts: &[crate::part::Part]| parts.iter().any(|part| part.network == network);
        self.fetches.iter().filter(|fetch| takes_part(&fetch.parts)).for_each(|fetch| fetch.tell(event.clone()));
        self.publishes
            .iter()
            .filter(|publish| publish.on.iter().any(|(on, _)| *on == network))
            .for_each(|publish| publish.tell(event.clone()));
        self.searches.iter().filter(|search| search.asks(network)).for_each(|search| search.tell(event.clone()));
        self.watches.iter().filter(|watch| watch.network == network).for_each(|watch| watch.tell(event.clone()));
    }
}
