//! The life of one network in the common world, from its foundation to attacks on it: one story for all six.

use std::cell::{Cell as Counter, RefCell};
use std::rc::Rc;

use hexad_core::{Map, Network, OpId, Operation, Output, Progress, Set, ShareId, Span, Time};

use super::figures::{Counted, Figures, Load, Rate, Searches};
use super::settled::{Answer, Req, Settled};
use super::society::Society;
use crate::gauge::Gauge;
use crate::outcome::Outcome;
use crate::scenario::Params;
use crate::tally::Traffic;
use crate::{Death, Faults, Lab, LabConfig, Latency, NodeIndex, State, Watched, content_of};

/// A message on a link comes again so long after it was lost.
const RESEND: Span = Span::from_millis(200);
/// All messages take so long where distances are no part of the question.
const CONSTANT: Span = Span::from_millis(50);

/// The rank of the file from which others are to be kept: known, and not one of the few that are everywhere.
const BESIEGED: u32 = 10;

/// What an operation is for.
#[derive(Clone, Copy)]
enum About {
    Join(u32, Time),
    Publish,
    Question(usize),
}

/// A question that was asked.
pub(super) struct Asked {
    pub(super) file: u32,
    /// Copies that others had who were there.
    pub(super) existing: usize,
    at: Time,
    /// How long the first right answer took.
    pub(super) first: Option<Span>,
    /// Owners that were named and were there.
    pub(super) named: Set<u32>,
    /// The thing itself has come.
    pub(super) thing: bool,
}

struct Life<'a, N: Network> {
    society: &'a Society,
    lab: Lab<N>,
    about: Map<OpId, About>,
    asked: Vec<Asked>,
    shares: Vec<Vec<ShareId>>,
    gone: Vec<bool>,
    turns: Vec<u32>,
    /// The one file that all ask for, while there is one.
    only: Option<u32>,
    /// How long joins took.
    joined: Vec<Span>,
    published: usize,
    failed: u64,
}

/// Runs it.
pub(super) fn live<N: Settled>(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let society = Society::new(params)?;
    let latency = if params.choice("latency") == "constant" { Latency::constant(CONSTANT) } else { Latency::default() };
    let config = LabConfig {
        seed: society.seed,
        threads: params.threads,
        codec: params.switch("codec"),
        latency,
        keep_reports: false,
        ..LabConfig::default()
    };
    let mut life = Life::<N>::new(&society, Lab::new(config));
    let mut figures = Figures::new(&society);
    life.found(gauge, params.count("loss-ppm"), &mut figures);
    let quiet = life.quiet(gauge, &mut figures);
    let load = life.searches(gauge, &quiet, &mut figures);
    life.newcomers(gauge, &mut figures);
    life.states(&mut figures);
    if params.switch("whole") {
        life.churn(gauge, params.numbers("sessions"), &mut figures);
        life.failures(gauge, params.numbers("failed"), &mut figures);
        life.attacks(gauge, &load.bytes, &mut figures);
    }
    let mut outcome = Outcome::default();
    outcome.absorb(&life.lab);
    let differences = life.lab.tally().codec_differences;
    if differences > 0 {
        return Err(format!("{differences} messages were read as something else"));
    }
    figures.tell(&mut outcome, N::HOW, N::ASKED);
    Ok(outcome)
}

impl<'a, N: Settled> Life<'a, N> {
    fn new(society: &'a Society, lab: Lab<N>) -> Self {
        let users = society.users as usize;
        Self {
            society,
            lab,
            about: Map::new(),
            asked: Vec::new(),
            shares: vec![Vec::new(); users],
            gone: vec![false; users],
            turns: vec![0; users],
            only: None,
            joined: Vec::new(),
            published: 0,
            failed: 0,
        }
    }

    /// Everybody joins, publishes what he has, and asks for something where that teaches the network.
    fn found(&mut self, gauge: &mut Gauge<'_>, loss_ppm: u64, figures: &mut Figures<'_>) {
        let society = self.society;
        gauge.phase("found");
        N::populate(society, &mut self.lab);
        for user in 0..society.users {
            if society.is_behind_nat(user) {
                self.lab.set_nat(NodeIndex(user), true);
            }
            if society.is_slow(user) {
                self.lab.set_slow(NodeIndex(user), society.slow_by);
            }
        }
        let loss_ppm = u32::try_from(loss_ppm).unwrap_or(u32::MAX);
        self.lab.set_faults(Faults { loss_ppm, resend_after: RESEND, ..Faults::default() });
        if let Some((centre, operation)) = N::centre(society) {
            self.lab.start(centre, operation);
        }
        N::settle(society, &mut self.lab, gauge);
        self.hear();

        let before = self.count();
        let from = self.lab.now();
        let files = society.owners.len() as u32;
        let mut number = 0;
        for file in 0..files {
            let share = N::share(society, file);
            let content = share.proof.as_ref().map_or(0, content_of);
            let owners = &society.owners[file as usize];
            let publishing = if N::ALL_PUBLISH { owners.len() } else { 1 };
            for &owner in &owners[..publishing] {
                let at = from + society.window.mul_f64(f64::from(file) / f64::from(files));
                let operation = N::publish(society, file).unwrap_or_else(|| {
                    let id = self.lab.add_share(NodeIndex(owner), share.clone(), content);
                    self.shares[owner as usize].push(id);
                    Operation::Publish { share: id }
                });
                let op = self.lab.start_at(at, NodeIndex(owner), operation);
                self.about.insert(op, About::Publish);
                number += 1;
            }
        }
        self.pass(gauge, "publish", society.window * 2);
        figures.published(number, self.published, self.count().since(&before));
        if !N::ALL_PUBLISH && society.training > 0 {
            self.ask_for(gauge, "train", 1, society.users.saturating_mul(society.training), society.window * 2, Vec::new());
        }
    }

    /// A window in which nobody wants anything.
    fn quiet(&mut self, gauge: &mut Gauge<'_>, figures: &mut Figures<'_>) -> Rate {
        let before = self.count();
        self.pass(gauge, "quiet", self.society.window);
        let rate = self.count().since(&before).rate(self.society.window);
        figures.quiet(&rate);
        rate
    }

    /// Questions; returns how many bytes went over the link of each node meanwhile, and how many queries it handled.
    fn searches(&mut self, gauge: &mut Gauge<'_>, quiet: &Rate, figures: &mut Figures<'_>) -> Load {
        let (before, from) = (self.count(), self.lab.now());
        let traffic = self.traffic();
        let queries = Rc::new(RefCell::new(vec![0_u64; traffic.len()]));
        let counted = queries.clone();
        self.lab.watch(move |_, node, watched| {
            if N::handles(&watched) {
                counted.borrow_mut()[node as usize] += 1;
            }
        });
        let asked = self.ask_for(gauge, "search", 2, self.society.queries, self.society.window * 2, Vec::new());
        self.lab.unwatch();
        let came = self.count().since(&before);
        let bytes = self.traffic().iter().zip(&traffic).map(|(after, before)| after - before).collect();
        let load = Load { bytes, queries: queries.take() };
        let mut pairs = crate::dice(self.society.seed, crate::Purpose::Topology, 0x5300_0000, 0);
        let mut delay = Span::ZERO;
        for _ in 0..1000 {
            let [a, b] = [(); 2].map(|()| NodeIndex(super::society::below(&mut pairs, self.society.users)));
            delay += self.lab.delay(a, b) / 1000;
        }
        figures.searched(&Searches {
            asked: &self.asked[asked],
            came: &came,
            quiet,
            kinds: N::SEARCHING,
            parts: N::PARTS,
            elapsed: self.lab.now().since(from),
            delay,
            wanted: self.society.wanted,
        });
        figures.load(&load);
        load
    }

    /// Some come who have never been there: what goes over their links until a window after they have begun.
    fn newcomers(&mut self, gauge: &mut Gauge<'_>, figures: &mut Figures<'_>) {
        let society = self.society;
        let messages = Rc::new(Counter::new(0_u64));
        let (counted, first, last) = (messages.clone(), society.users, society.users + society.newcomers);
        self.lab.watch(move |_, node, watched| {
            let is_message = matches!(watched, Watched::Heard(hexad_core::Input::Received(..)) | Watched::Said(Output::Send(..)));
            if is_message && (first..last).contains(&node) {
                counted.set(counted.get() + 1);
            }
        });
        self.joined.clear();
        let before = self.traffic();
        let from = self.lab.now();
        for newcomer in 0..society.newcomers {
            let at = from + society.window.mul_f64(f64::from(newcomer) / f64::from(society.newcomers));
            let user = first + newcomer;
            N::begin(&mut self.lab, NodeIndex(user));
            let op = self.lab.start_at(at, NodeIndex(user), N::join(society, user, 0));
            self.about.insert(op, About::Join(user, at));
        }
        self.pass(gauge, "newcomers", society.window * 2);
        self.lab.unwatch();
        let after = self.traffic();
        let bytes = (first as usize..last as usize).map(|node| after[node] - before[node]).sum();
        figures.joined(society.newcomers, messages.get(), bytes, &self.joined);
    }

    fn states(&self, figures: &mut Figures<'_>) {
        let users: Vec<_> = (0..self.society.users).map(|user| N::state(&self.lab, NodeIndex(user))).collect();
        figures.states(&users, N::centre(self.society).map(|(centre, _)| N::state(&self.lab, centre)));
    }

    /// Users go and come, for ever shorter whiles.
    fn churn(&mut self, gauge: &mut Gauge<'_>, sessions: &[f64], figures: &mut Figures<'_>) {
        for (rung, &mean) in (0_u64..).zip(sessions) {
            // Where sessions are short, half as many of them again are enough: who is there settles within one absence.
            let (window, mean) = (self.society.window, mean.max(1.0));
            let span = (window * 2).min(Span::from_secs_f64(mean * 1.5)).max(window);
            let gone = self.gone.clone();
            let comings = self.society.comings(rung, Span::from_secs_f64(mean), span, &|user| !gone[user as usize]);
            let before = self.count();
            let name = format!("churn {mean:.0} s");
            let asked = self.ask_for(gauge, &name, 10 + rung, self.society.queries / 2, span, comings);
            let bytes = self.count().since(&before).bytes;
            figures.churned(mean, &self.asked[asked], bytes as f64 / f64::from(self.society.users) / (span + N::PATIENCE).as_secs_f64());
        }
        self.revive(gauge);
    }

    /// More and more users vanish for good.
    fn failures(&mut self, gauge: &mut Gauge<'_>, shares: &[f64], figures: &mut Figures<'_>) {
        let order = self.society.shuffled(0);
        let mut dead = 0;
        for (wave, &share) in (0_u64..).zip(shares) {
            let until = ((f64::from(self.society.users) * share.clamp(0.0, 1.0)) as usize).min(order.len());
            for &user in &order[dead.min(until)..until] {
                self.leave(user, Death::Vanish);
            }
            dead = dead.max(until);
            let [before, after] = self.before_and_after(gauge, &format!("{:.0} % gone", share * 100.0), 20 + wave * 2);
            figures.failed(share, before, after);
        }
        self.revive(gauge);
    }

    /// The one percent that carries most dies, then the one percent that knows most, then the one percent next to a key, whereupon all ask for that.
    fn attacks(&mut self, gauge: &mut Gauge<'_>, load: &[u64], figures: &mut Figures<'_>) {
        let count = (self.society.users as usize / 100).max(1);
        for (series, how) in [(100, "by load"), (110, "by links"), (120, "next to a key")] {
            let near = if how == "next to a key" { self.besiege(gauge, series + 2) } else { Vec::new() };
            let weight = |node: u32| match how {
                "by load" => load.get(node as usize).copied().unwrap_or(0),
                "by links" => N::state(&self.lab, NodeIndex(node)).routing,
                _ => near.get(node as usize).copied().unwrap_or(0),
            };
            let candidates = (0..self.society.users).chain(N::centre(self.society).map(|(centre, _)| centre.0));
            let mut victims: Vec<(u64, u32)> = candidates.map(|node| (weight(node), node)).collect();
            victims.sort_unstable_by(|a, b| b.cmp(a));
            for &(_, node) in &victims[..count] {
                if node < self.society.users {
                    self.leave(node, Death::Crash);
                } else {
                    self.lab.kill(NodeIndex(node), Death::Crash);
                }
            }
            let [before, after] = self.before_and_after(gauge, how, series);
            figures.attacked(how, count, before, after);
            if let Some((centre, operation)) = N::centre(self.society)
                && self.lab.node(centre).is_none()
            {
                self.lab.restart(centre, State::Kept);
                self.lab.start(centre, operation);
            }
            self.only = None;
            self.revive(gauge);
        }
    }

    /// From here on all ask for one file. Returns how many bytes go over the link of each node when they begin to: whatever a design does with keys, those
    /// with most are next to this one. Its owners do not count, since without them there is nothing to be found.
    fn besiege(&mut self, gauge: &mut Gauge<'_>, series: u64) -> Vec<u64> {
        let file = BESIEGED.min(self.society.owners.len() as u32 - 1);
        self.only = Some(file);
        let before = self.traffic();
        self.ask_for(gauge, "one file", series, self.society.queries / 2, self.society.window / 4, Vec::new());
        let mut near: Vec<u64> = self.traffic().iter().zip(&before).map(|(after, before)| after - before).collect();
        for &owner in &self.society.owners[file as usize] {
            near[owner as usize] = 0;
        }
        near
    }

    /// The share of questions that are answered at once, and when there was time to mend things.
    fn before_and_after(&mut self, gauge: &mut Gauge<'_>, name: &str, series: u64) -> [f64; 2] {
        let (count, over) = (self.society.queries / 2, self.society.window / 4);
        let before = self.ask_for(gauge, name, series, count, over, Vec::new());
        self.pass(gauge, "repair", self.society.window * 2);
        let after = self.ask_for(gauge, name, series + 1, count, over, Vec::new());
        [before, after].map(|asked| answered(&self.asked[asked]))
    }

    // What happens.

    /// Asks so many questions in a period, in which users go and come, and waits for the last answer. Returns which questions.
    fn ask_for(
        &mut self,
        gauge: &mut Gauge<'_>,
        name: &str,
        series: u64,
        count: u32,
        over: Span,
        comings: Vec<(Span, u32, bool)>,
    ) -> std::ops::Range<usize> {
        gauge.phase(name);
        let (first, from, events) = (self.asked.len(), self.lab.now(), self.lab.tally().events);
        let mut comings = comings.into_iter().peekable();
        for number in 0..=count {
            let due = over.mul_f64(f64::from(number) / f64::from(count.max(1)));
            while let Some((at, user, comes)) = comings.next_if(|(at, ..)| *at <= due) {
                self.lab.run_until(from + at);
                self.hear();
                if comes { self.come(user) } else { self.leave(user, Death::Crash) }
            }
            self.lab.run_until(from + due);
            self.hear();
            if number < count {
                self.ask(series, number);
            }
            if number % (count / 50).max(1) == 0 {
                gauge.step(f64::from(number) / f64::from(count.max(1)), self.lab.tally().events - events);
            }
        }
        self.lab.run_for(N::PATIENCE);
        self.hear();
        gauge.step(1.0, self.lab.tally().events - events);
        gauge.end();
        first..self.asked.len()
    }

    fn ask(&mut self, series: u64, number: u32) {
        let gone = &self.gone;
        let up = |user: u32| !gone[user as usize];
        let Some((asker, file)) = self.society.question(series, number.into(), self.only, &up) else { return };
        let existing = self.society.owners[file as usize].iter().filter(|&&owner| owner != asker && up(owner)).count();
        let op = self.lab.start(NodeIndex(asker), N::search(self.society, file));
        self.about.insert(op, About::Question(self.asked.len()));
        self.asked.push(Asked { file, existing, at: self.lab.now(), first: None, named: Set::new(), thing: false });
    }

    /// Lets time pass.
    fn pass(&mut self, gauge: &mut Gauge<'_>, name: &str, span: Span) {
        gauge.phase(name);
        let (from, events) = (self.lab.now(), self.lab.tally().events);
        for step in 1..=20 {
            self.lab.run_until(from + span * step / 20);
            self.hear();
            gauge.step(f64::from(step) / 20.0, self.lab.tally().events - events);
        }
        gauge.end();
    }

    fn leave(&mut self, user: u32, death: Death) {
        if !std::mem::replace(&mut self.gone[user as usize], true) {
            self.lab.kill(NodeIndex(user), death);
        }
    }

    /// Comes back with what is on the disk, joins by others than before, and publishes again once that is done.
    fn come(&mut self, user: u32) {
        if std::mem::replace(&mut self.gone[user as usize], false) {
            let node = NodeIndex(user);
            self.turns[user as usize] += 1;
            self.lab.restart(node, State::Kept);
            N::begin(&mut self.lab, node);
            let op = self.lab.start(node, N::join(self.society, user, self.turns[user as usize].into()));
            self.about.insert(op, About::Join(user, self.lab.now()));
        }
    }

    /// All who are gone come back, within a window, and there is time to settle.
    fn revive(&mut self, gauge: &mut Gauge<'_>) {
        let missing: Vec<u32> = (0..self.society.users).filter(|&user| self.gone[user as usize]).collect();
        for pack in missing.chunks(missing.len().div_ceil(20).max(1)) {
            for &user in pack {
                self.come(user);
            }
            self.lab.run_for(self.society.window / 20);
            self.hear();
        }
        self.pass(gauge, "settle", self.society.window * 2);
    }

    /// Takes what nodes have reported.
    fn hear(&mut self) {
        for (node, report) in self.lab.take_reports() {
            let Some(about) = self.about.get(&report.op).copied() else { continue };
            if let About::Question(number) = about
                && let Some(answer) = N::answer(&report.progress)
            {
                self.on_answer(number, &answer, report.at);
            }
            match report.progress {
                Progress::Done => {}
                Progress::Failed(_) | Progress::Ended => {
                    self.about.remove(&report.op);
                    self.failed += 1;
                    continue;
                }
                _ => continue,
            }
            self.about.remove(&report.op);
            match about {
                About::Publish => self.published += 1,
                About::Question(_) => {}
                About::Join(user, at) => {
                    self.joined.push(report.at.since(at));
                    for share in self.shares.get(user as usize).cloned().unwrap_or_default() {
                        let operation: Operation<Req<N>> = Operation::Publish { share };
                        let op = self.lab.start(node, operation);
                        self.about.insert(op, About::Publish);
                    }
                }
            }
        }
    }

    fn on_answer(&mut self, number: usize, answer: &Answer<'_>, at: Time) {
        let asked = &mut self.asked[number];
        let right = match answer {
            Answer::Thing => {
                asked.thing = true;
                true
            }
            Answer::Hit(hit) => {
                let owners = &self.society.owners[asked.file as usize];
                let there = |user: &u32| owners.binary_search(user).is_ok() && !self.gone[*user as usize];
                let before = asked.named.len();
                let named = N::named(hit);
                // Who names nobody may mean somebody behind a translator.
                let anonymous = named.is_empty();
                asked.named.extend(named.into_iter().filter(there));
                asked.named.len() > before || anonymous
            }
        };
        if right {
            asked.first.get_or_insert(at.since(asked.at));
        }
    }

    // What is seen.

    fn count(&self) -> Counted {
        Counted::of(self.lab.tally(), N::consulted(&self.lab))
    }

    fn traffic(&self) -> Vec<u64> {
        let all = |Traffic { sent_bytes, received_bytes, .. }: Traffic| sent_bytes + received_bytes;
        (0..self.lab.node_count()).map(|node| all(self.lab.traffic(NodeIndex(node)))).collect()
    }
}

/// The share of questions that had a right answer.
pub(super) fn answered(asked: &[Asked]) -> f64 {
    asked.iter().filter(|asked| asked.first.is_some()).count() as f64 / asked.len().max(1) as f64
}
