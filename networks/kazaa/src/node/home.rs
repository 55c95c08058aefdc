//! Joining, and the supernodes of a leaf: found, asked every now and then whether they are there, replaced when they are not.

use std::collections::VecDeque;
use std::net::SocketAddr;

use hexad_core::{Answer, Ask, ConnId, Context, Endpoint, Failure, Level, Link, Map, OpId, Payload, Progress, Span, Time};

use super::lines::{Kind, Parent};
use super::publishing::Sync;
use super::{BUCKET, KNOWN_KEY, KNOWN_TICKET, Node, Out, Role, STORED_TICKET, Switch, Timer, close, doors, failed, listen};
use crate::place::Place;
use crate::wire::{Card, Entry, Message, Purpose, Reason, Status};

/// A join that nobody has answered by then has failed.
const JOIN_DEADLINE: Span = Span::from_secs(60);
/// Candidates that are asked at the same time.
const PROBED_MAX: usize = 10;
/// So many answers are enough to choose among.
const ANSWERS_ENOUGH: usize = 5;
/// Candidates may take so long to answer.
const PROBE_PATIENCE: Span = Span::from_millis(700);
/// Who was full is not asked again for so long.
const FULL_FOR: Span = Span::from_secs(10);
/// Nobody comes back to a supernode that he has left on purpose before.
const LEFT_FOR: Span = Span::from_secs(360);
/// Whom we have asked something lately can reach us through a translator's hole.
const ASKED_FOR: Span = Span::from_secs(120);
/// How many of those are remembered.
const ASKED_MAX: usize = 256;
/// An heir that was not named for so long is none any more.
const HEIR_FOR: Span = Span::from_secs(60);
/// Heirs that are written down for the next life.
const HEIRS_KEPT: usize = 8;
/// An heir that is not yet a supernode is asked again after so long.
const HEIR_AGAIN: Span = Span::from_secs(2);
/// Places that are remembered for the day on which we know nobody else.
const MET_MAX: usize = 16;
/// A supernode without links dials one of them so often, at first; and at least so often later on.
const LONELY_EVERY: Span = Span::from_secs(10);
/// See [`LONELY_EVERY`].
const LONELY_EVERY_MAX: Span = Span::from_secs(120);
/// A supernode of ours that does not answer for so long, or until it is asked again, is gone. FastTrack's clients wait as long.
pub(super) const PONG_PATIENCE: Span = Span::from_secs(20);
/// Who has too few supernodes looks for others at least so often.
const SEEK_EVERY: Span = Span::from_secs(5);
/// Supernodes that are named in one datagram.
const NAMED: usize = 16;

/// A join that is not yet in effect.
#[derive(Debug)]
struct Joining<A> {
    op: OpId,
    bootstrap: Vec<A>,
    deadline: Time,
}

/// Candidates that were asked how they stand.
#[derive(Debug)]
struct Probe<A: Place> {
    number: u32,
    asked: Map<A::Name, (u32, Time)>,
    answers: Vec<(A, Span, Status)>,
    /// Whether we have heard of somebody new meanwhile.
    learnt: bool,
}

/// What a leaf knows of its way home.
#[derive(Debug)]
pub(super) struct Home<A: Place> {
    joining: Option<Joining<A>>,
    probe: Option<Probe<A>>,
    probes: u32,
    /// Without any supernode since then.
    orphan_since: Option<Time>,
    /// Refused as full so often in a row.
    refused: u8,
    /// We are a supernode that wants to be a leaf.
    pub(super) demoting: bool,
    asked: Map<A::Name, Time>,
    /// When our supernodes were asked whether they are there.
    pinged_at: Option<Time>,
    saved_at: Time,
    /// Those to begin with, supernodes that we had, heirs: whatever becomes of them, they may be where others are.
    met: VecDeque<A>,
    /// Which of them is dialled next, when, and after how long the next one.
    lonely: (usize, Time, Span),
}

impl<A: Place> Default for Home<A> {
    fn default() -> Self {
        Self {
            joining: None,
            probe: None,
            probes: 0,
            orphan_since: None,
            refused: 0,
            demoting: false,
            asked: Map::new(),
            pinged_at: None,
            saved_at: Time::ZERO,
            met: VecDeque::new(),
            lonely: (0, Time::ZERO, LONELY_EVERY),
        }
    }
}

impl<A: Place> Home<A> {
    pub(super) fn is_joining(&self) -> bool {
        self.joining.is_some()
    }

    pub(super) fn joining(&self, op: OpId) -> bool {
        self.joining.as_ref().is_some_and(|joining| joining.op == op)
    }

    /// Whether we have asked somebody something lately.
    pub(super) fn has_asked(&self, name: &A::Name, now: Time) -> bool {
        self.asked.get(name).is_some_and(|&at| now.since(at) < ASKED_FOR)
    }

    /// Remembers somebody for the day on which we know nobody else.
    fn meet(&mut self, place: &A) {
        if self.met.iter().any(|met| met.name() == place.name()) {
            return;
        }
        if self.met.len() >= MET_MAX {
            self.met.pop_front();
        }
        self.met.push_back(place.clone());
    }

    fn ask(&mut self, name: A::Name, now: Time) {
        if self.asked.len() >= ASKED_MAX {
            self.asked.retain(|_, &mut at| now.since(at) < ASKED_FOR);
            if self.asked.len() >= ASKED_MAX {
                self.asked.pop_first();
            }
        }
        self.asked.insert(name, now);
    }
}

impl<A: Place> Node<A> {
    pub(super) fn start_join(&mut self, op: OpId, bootstrap: &[Endpoint], cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.member.is_some() || self.home.is_joining() {
            return failed(op, Failure::NotReady("already in the network, or on the way".into()), out);
        }
        let keyed = self.config.0.identity.is_some();
        let nodes: Vec<A> = bootstrap.iter().filter_map(A::of_user).filter(|place| place.fits(keyed)).collect();
        if nodes.is_empty() && !bootstrap.is_empty() {
            let wants = "expected addresses with a public key, as KEY@IP:PORT";
            return failed(op, Failure::Unusable(format!("{wants}, came {}", bootstrap[0])), out);
        }
        if nodes.is_empty() && self.switch == Switch::Never {
            let why = "a network begins with a supernode, and this node may not be one; name somebody to begin with";
            return failed(op, Failure::Unusable(why.into()), out);
        }
        self.home.joining = Some(Joining { op, bootstrap: nodes, deadline: cx.now + JOIN_DEADLINE });
        listen(&self.config, out);
    }

    pub(super) fn on_bound(&mut self, bound: Result<SocketAddr, String>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(joining) = &self.home.joining else { return };
        let op = joining.op;
        match bound {
            Err(why) => {
                self.home.joining = None;
                failed(op, Failure::Host(why), out);
            }
            Ok(socket) => {
                self.joined_at = cx.now;
                self.turned_at = cx.now;
                self.elected_at = cx.now;
                if self.addr.is_none() {
                    self.addr = A::own(self.config.0.identity, socket);
                }
                let bootstrap = joining.bootstrap.clone();
                for addr in &bootstrap {
                    self.home.meet(addr);
                    self.known.add(&Entry { addr: addr.clone(), load: 0, age_min: 0, heir: false }, cx.now);
                }
                self.tick_soon(cx, out);
                if bootstrap.is_empty() {
                    // The founder: a network of one is a network.
                    self.joined(out);
                    return self.become_supernode(cx, out);
                }
                out.push(hexad_core::Output::Ask(KNOWN_TICKET, Ask::Load(BUCKET, KNOWN_KEY.to_vec())));
                self.seek(cx, out);
            }
        }
    }

    /// The supernodes that we knew in an earlier life.
    pub(super) fn on_known_loaded(&mut self, answer: Answer, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Answer::Loaded(Some(Payload::Bytes(bytes))) = answer else { return };
        if let Ok(Message::List(entries)) = crate::wire::read_datagram::<A>(&bytes) {
            self.hear_of(&entries, cx.now);
            self.hear_of_heirs(&entries, cx.now);
            self.seek(cx, out);
        }
    }

    /// Somebody names supernodes. Heirs are believed of a supernode of ours only.
    pub(super) fn hear_of(&mut self, entries: &[Entry<A>], now: Time) {
        self.add_known(entries.iter().filter(|entry| !entry.heir), now);
    }

    /// A supernode of ours names its heirs, or we have written down who they were.
    fn hear_of_heirs(&mut self, entries: &[Entry<A>], now: Time) {
        self.add_known(entries.iter().filter(|entry| entry.heir).take(HEIRS_KEPT), now);
    }

    fn add_known<'a>(&mut self, entries: impl Iterator<Item = &'a Entry<A>>, now: Time)
    where
        A: 'a,
    {
        let (own, keyed) = (self.addr.as_ref().map(Place::name), self.config.0.identity.is_some());
        for entry in entries {
            if Some(entry.addr.name()) != own && entry.addr.fits(keyed) {
                self.known.add(entry, now);
            }
        }
    }

    /// We are in the network.
    fn joined(&mut self, out: &mut Out<A>) {
        if let Some(joining) = self.home.joining.take() {
            self.member = Some(joining.op);
            out.report(joining.op, Progress::Done);
        }
    }

    /// How we present ourselves to a supernode.
    pub(super) fn card(&self, now: Time) -> Card {
        Card { willing: self.is_willing(), uplink_kbps: self.config.0.uplink_kbps, uptime_s: self.uptime_s(now) }
    }

    /// As many supernodes as a leaf ought to have.
    fn parents_wanted(&self) -> usize {
        match self.role {
            Role::Leaf => self.config.0.parents.max(1),
            Role::Supernode => usize::from(self.home.demoting),
        }
    }

    fn parents_in_sight(&self) -> usize {
        self.lines.count(|kind| match kind {
            Kind::Parent(parent) => !parent.moving,
            Kind::AskedLeaf | Kind::Opening(Purpose::Leaf(_)) => true,
            _ => false,
        })
    }

    /// When everything is looked after again.
    pub(super) fn next_tick(&self, now: Time) -> Time {
        let every = self.config.0.ping_every;
        let wanted = self.parents_wanted();
        match self.home.pinged_at {
            _ if self.role == Role::Supernode => now + every,
            _ if self.parents_in_sight() < wanted || self.lines.parents() != wanted => now + every.min(SEEK_EVERY),
            Some(at) if at < now => (at + every).max(now + every / 8),
            _ => now + every.min(PONG_PATIENCE),
        }
    }

    /// Looks for supernodes, where there are too few.
    pub(super) fn seek(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        let here = self.member.is_some() || self.home.is_joining();
        if !here || self.parents_in_sight() >= self.parents_wanted() {
            return;
        }
        self.tick_by(cx.now + self.config.0.ping_every.min(SEEK_EVERY), out);
        if self.home.probe.is_some() {
            return;
        }
        let taken = |name: &A::Name| {
            self.lines.has(name, |kind| !matches!(kind, Kind::Stranger | Kind::Client | Kind::Source | Kind::Called | Kind::Peer(_)))
        };
        let first = self.lines.parents() == 0;
        let mut candidates: Vec<(bool, A)> = self
            .known
            .usable(cx.now)
            .filter(|known| (first || !known.heir) && !taken(&known.addr.name()))
            .map(|known| (known.heir, known.addr.clone()))
            .collect();
        if candidates.is_empty() && first {
            // Better somebody who was full or did not answer, or was left long ago, than nobody.
            self.known.forgive();
            for addr in &self.home.met {
                self.known.add_absent(addr, cx.now);
            }
            candidates = self
                .known
                .usable(cx.now)
                .filter(|known| !taken(&known.addr.name()))
                .map(|known| (known.heir, known.addr.clone()))
                .collect();
        }
        cx.dice.shuffle(&mut candidates);
        candidates.sort_by_key(|(heir, _)| *heir);
        candidates.truncate(PROBED_MAX);
        if candidates.is_empty() {
            return;
        }
        self.home.probes = self.home.probes.wrapping_add(1);
        let number = self.home.probes;
        let mut asked = Map::new();
        for (_, addr) in candidates {
            let nonce = u32::try_from(cx.dice.bits() >> 32).unwrap_or(0);
            asked.insert(addr.name(), (nonce, cx.now));
            self.home.ask(addr.name(), cx.now);
            out.send(Link::Datagram(doors::KAZAA, addr), Message::Ping(nonce));
        }
        self.home.probe = Some(Probe { number, asked, answers: Vec::new(), learnt: false });
        out.wake(cx.now + PROBE_PATIENCE, Timer::Probe(number));
    }

    pub(super) fn on_ping(&mut self, from: &A, nonce: u32, cx: &mut Context<'_>, out: &mut Out<A>) {
        let others = self.known.free(NAMED, cx.now, cx);
        let status = self.status(cx.now);
        out.send(Link::Datagram(doors::KAZAA, from.clone()), Message::Pong(nonce, status, others));
    }

    pub(super) fn on_pong(&mut self, from: &A, nonce: u32, status: Status, others: &[Entry<A>], cx: &mut Context<'_>, out: &mut Out<A>) {
        let name = from.name();
        let Some(&(_, at)) = self.home.probe.as_ref().and_then(|probe| probe.asked.get(&name)).filter(|(asked, _)| *asked == nonce) else {
            return out.note(Level::Debug, "pong_unasked", Some(from.clone()), "");
        };
        let before = self.known.len();
        self.hear_of(others, cx.now);
        let learnt = self.known.len() > before;
        let rtt = cx.now.since(at);
        if status.supernode {
            self.known.answered(from, status.load(), Some(rtt), cx.now);
        } else if self.home.is_joining() || self.known.get(&name).is_some_and(|known| known.heir) {
            // A bootstrap node may be one later, and an heir when it is needed.
            self.known.avoid(&name, cx.now + HEIR_AGAIN);
        } else {
            self.known.remove(&name);
        }
        let heir = self.known.get(&name).is_some_and(|known| known.heir);
        let Some(probe) = &mut self.home.probe else { return };
        probe.asked.remove(&name);
        probe.learnt |= learnt;
        if (status.supernode && status.leaves < status.leaves_max) || heir {
            probe.answers.push((from.clone(), rtt, status));
        }
        if probe.answers.len() >= ANSWERS_ENOUGH || probe.asked.is_empty() {
            self.choose(cx, out);
        }
    }

    pub(super) fn on_probe_over(&mut self, number: u32, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(probe) = self.home.probe.as_ref().filter(|probe| probe.number == number) else { return };
        let silent: Vec<A::Name> = probe.asked.keys().copied().collect();
        silent.iter().for_each(|name| self.known.failed(name, cx.now));
        self.choose(cx, out);
    }

    /// Dials whom we like best of those who have answered: near and not too loaded for the first, anybody for the others, so that nobody has
    /// near ones only.
    fn choose(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(mut probe) = self.home.probe.take() else { return };
        probe.answers.sort_by_key(|(_, rtt, status)| rtt.as_micros() * u128::from(50 + status.load()));
        // Heirs in their order, so that all come to the same one.
        let place_of = |addr: &A| self.known.get(&addr.name()).map_or(u8::MAX, |known| known.load);
        probe.answers.sort_by_key(|(addr, _, status)| if status.supernode { (false, 0) } else { (true, place_of(addr)) });
        let card = self.card(cx.now);
        while self.parents_in_sight() < self.parents_wanted() && !probe.answers.is_empty() {
            let first = self.parents_in_sight() == 0;
            if !first {
                // One heir is enough: each that is asked becomes a supernode.
                probe.answers.retain(|(_, _, status)| status.supernode);
            }
            let at = if first { Some(0) } else { cx.dice.index(probe.answers.len()) };
            let Some(at) = at else { break };
            let (addr, ..) = probe.answers.remove(at);
            if self.role == Role::Supernode {
                // What we were to each other ends with what we are.
                let links = self.lines.of(|kind| matches!(kind, Kind::Peer(_)));
                let link = links.into_iter().find(|conn| self.lines.get(*conn).is_some_and(|line| line.peer.name() == addr.name()));
                if let Some(link) = link {
                    self.lines.remove(link);
                    self.on_peer_lost(link, cx, out);
                    close(link, "to be its leaf", out);
                }
            }
            self.dial(&addr, Purpose::Leaf(card), cx, out);
        }
        if probe.learnt {
            self.seek(cx, out);
        }
    }

    pub(super) fn on_home_welcome(
        &mut self,
        conn: ConnId,
        peer: &A,
        (you, status, others): (A, Status, &[Entry<A>]),
        cx: &mut Context<'_>,
        out: &mut Out<A>,
    ) {
        if !A::may_be(&you, self.config.0.identity) {
            out.note(Level::Drop, "welcome_for_another", Some(peer.clone()), "");
            return self.drop_line(conn, "takes us for another", cx, out);
        }
        self.learn_own(you);
        self.hear_of(others, cx.now);
        self.known.answered(peer, status.load(), None, cx.now);
        self.home.refused = 0;
        self.home.orphan_since = None;
        self.home.meet(peer);
        let parent = Parent { status, pinged: None, moving: false, heir_after: None, sync: Sync::default() };
        self.lines.turn(conn, Kind::Parent(Box::new(parent)));
        self.joined(out);
        match self.role {
            Role::Supernode => self.become_leaf(cx, out),
            // Known to somebody: that is all it takes to be one of them.
            Role::Leaf if self.switch == Switch::Always => return self.become_supernode(cx, out),
            Role::Leaf => {}
        }
        self.begin_publishing(conn, out);
        self.searches_may_go(cx, out);
        self.seek(cx, out);
    }

    pub(super) fn on_home_refused(
        &mut self,
        conn: ConnId,
        peer: &A,
        reason: Reason,
        others: &[Entry<A>],
        cx: &mut Context<'_>,
        out: &mut Out<A>,
    ) {
        out.note(Level::Debug, "refused", Some(peer.clone()), reason.words());
        self.hear_of(others, cx.now);
        self.lines.remove(conn);
        close(conn, "refused", out);
        let heir = self.known.get(&peer.name()).is_some_and(|known| known.heir);
        match reason {
            // It has not yet seen that its supernode is lost.
            Reason::NotSupernode if heir => self.known.avoid(&peer.name(), cx.now + HEIR_AGAIN),
            Reason::NotSupernode if !self.home.is_joining() => self.known.remove(&peer.name()),
            _ => self.known.avoid(&peer.name(), cx.now + FULL_FOR),
        }
        if reason == Reason::Full {
            self.home.refused = self.home.refused.saturating_add(1);
            // Two in a row: the neighbourhood is short of supernodes.
            if self.home.refused >= 2
                && self.role == Role::Leaf
                && self.is_willing()
                && self.reachable == Some(true)
                && self.lines.parents() == 0
            {
                self.joined(out);
                return self.become_supernode(cx, out);
            }
        }
        self.seek(cx, out);
    }

    /// What a supernode of ours says.
    pub(super) fn on_parent(&mut self, conn: ConnId, peer: &A, message: Message<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        match message {
            Message::Pong(nonce, status, others) => {
                let Some(parent) = self.lines.parent_mut(conn) else { return };
                let Some((_, at)) = parent.pinged.filter(|(asked, _)| *asked == nonce) else { return };
                parent.pinged = None;
                parent.status = status;
                let own = self.addr.as_ref().map(Place::name);
                parent.heir_after = others.iter().find(|other| other.heir && Some(other.addr.name()) == own).map(|other| other.load);
                self.known.answered(peer, status.load(), Some(cx.now.since(at)), cx.now);
                self.hear_of(&others, cx.now);
                self.hear_of_heirs(&others, cx.now);
            }
            Message::List(others) => self.hear_of(&others, cx.now),
            Message::Leave(others) => {
                self.hear_of(&others, cx.now);
                self.known.remove(&peer.name());
                let heir_after = self.lines.parent_mut(conn).and_then(|parent| parent.heir_after);
                self.lines.remove(conn);
                close(conn, "it leaves", out);
                self.on_parent_lost(conn, heir_after, cx, out);
            }
            Message::Move(others) => {
                self.hear_of(&others, cx.now);
                if let Some(parent) = self.lines.parent_mut(conn) {
                    parent.moving = true;
                }
                self.known.avoid(&peer.name(), cx.now + LEFT_FOR);
                self.seek(cx, out);
            }
            Message::CallBack(who, nonce) => self.call_back(conn, &who, nonce, cx, out),
            Message::Tested(reachable) => self.reachable = Some(reachable),
            Message::Promote => self.on_promote(conn, cx, out),
            Message::Resume(known) => self.on_resume(conn, known, cx, out),
            Message::Published(sequence, refused) => self.on_published(conn, sequence, &refused, out),
            Message::Results(id, groups) => self.on_search_results(conn, &id, groups, cx, out),
            Message::QueryEnd(id, reached) => self.on_search_end(conn, &id, &reached, cx, out),
            Message::PushOrder(asker, token) => self.on_push_order(&asker, token, cx, out),
            Message::RelayOrder(token) => self.on_relay_order(peer, token, cx, out),
            other => self.unexpected(peer, &other, out),
        }
    }

    /// A supernode of ours is no more, of which we are an heir after so many.
    pub(super) fn on_parent_lost(&mut self, conn: ConnId, heir_after: Option<u8>, cx: &mut Context<'_>, out: &mut Out<A>) {
        self.on_asked_lost(conn, cx, out);
        if self.lines.parents() == 0 && self.role == Role::Leaf {
            self.home.orphan_since.get_or_insert(cx.now);
            for heir in self.known.heirs() {
                self.home.meet(&heir);
            }
            if heir_after == Some(0) && self.is_orphan() && self.known.alive().next().is_none() {
                out.note(Level::Info, "heir_becomes_supernode", None, "");
                return self.become_supernode(cx, out);
            }
        }
        self.seek(cx, out);
    }

    /// A supernode without any link dials those whom it has met, one after the other: its network may be elsewhere.
    pub(super) fn look_for_others(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        let busy = self.lines.count(|kind| matches!(kind, Kind::Peer(_) | Kind::AskedPeer | Kind::Opening(Purpose::Supernode(_))));
        let (at, when, every) = self.home.lonely;
        if self.lines.peers() > 0 {
            self.home.lonely = (0, Time::ZERO, LONELY_EVERY);
        }
        if busy > 0 || cx.now < when {
            return;
        }
        let ours = |met: &&A| self.lines.has(&met.name(), |kind| matches!(kind, Kind::Leaf(_)));
        let own = self.addr.as_ref().map(Place::name);
        let others: Vec<&A> = self.home.met.iter().filter(|met| Some(met.name()) != own && !ours(met)).collect();
        // The latest first: heirs of the supernode that was lost.
        let Some(&next) = others.len().checked_sub(1 + at).and_then(|at| others.get(at)).or(others.last()) else { return };
        let (next, around) = (next.clone(), at + 1 >= others.len());
        let every = if around { (every * 2).min(LONELY_EVERY_MAX) } else { every };
        self.home.lonely = (if around { 0 } else { at + 1 }, cx.now + every, every);
        let status = self.status(cx.now);
        self.dial(&next, Purpose::Supernode(status), cx, out);
    }

    pub(super) fn look_after_home(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        if let Some(joining) = &self.home.joining
            && cx.now >= joining.deadline
        {
            let op = joining.op;
            self.be_nobody("the join has failed", out);
            return failed(op, Failure::TimedOut(JOIN_DEADLINE.as_secs()), out);
        }
        if let Some(joining) = &self.home.joining
            && self.known.len() < joining.bootstrap.len()
        {
            // Those who did not answer at first may do so later.
            let bootstrap = joining.bootstrap.clone();
            for addr in bootstrap {
                self.known.add(&Entry { addr, load: 0, age_min: 0, heir: false }, cx.now);
            }
        }
        let every = self.config.0.ping_every;
        let due = self.home.pinged_at.is_none_or(|at| cx.now.since(at) * 10 >= every * 9);
        let parents = if due { self.lines.of(|kind| matches!(kind, Kind::Parent(_))) } else { Vec::new() };
        if !parents.is_empty() {
            self.home.pinged_at = Some(cx.now);
        }
        for conn in parents {
            let nonce = u32::try_from(cx.dice.bits() >> 32).unwrap_or(0);
            if let Some(parent) = self.lines.parent_mut(conn)
                && parent.pinged.is_none()
            {
                parent.pinged = Some((nonce, cx.now));
                out.send_to(conn, Message::Ping(nonce));
            }
        }
        self.part_from_movers(cx, out);
        if self.lines.parents() > 0 {
            self.known.forget_heirs(Time::from_micros(cx.now.as_micros().saturating_sub(u64::try_from(HEIR_FOR.as_micros()).unwrap_or(0))));
        }
        self.seek(cx, out);
        if self.role == Role::Leaf && self.member.is_some() && self.lines.parents() == 0 {
            let since = *self.home.orphan_since.get_or_insert(cx.now);
            if cx.now.since(since) >= self.config.0.orphan_after && self.is_willing() && self.reachable != Some(false) {
                out.note(Level::Info, "orphan_becomes_supernode", None, "");
                self.become_supernode(cx, out);
            }
        }
        self.save_known(cx, out);
    }

    /// Leaves the supernodes that want us elsewhere, once others know what we offer; and those we have too many of.
    fn part_from_movers(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        let settled = self.lines.count(|kind| matches!(kind, Kind::Parent(parent) if !parent.moving && parent.sync.is_settled()));
        if settled < self.parents_wanted() || self.role != Role::Leaf {
            return;
        }
        let mut spare = self.lines.parents() - self.parents_wanted();
        let mut goers = self.lines.of(|kind| matches!(kind, Kind::Parent(parent) if parent.moving));
        goers.extend(self.lines.of(|kind| matches!(kind, Kind::Parent(parent) if !parent.moving)).into_iter().rev());
        for conn in goers {
            if spare == 0 {
                return;
            }
            spare -= 1;
            let Some(line) = self.lines.remove(conn) else { continue };
            self.known.avoid(&line.peer.name(), cx.now + LEFT_FOR);
            out.send_to(conn, Message::Leave(Vec::new()));
            close(conn, "another supernode took us", out);
            self.on_asked_lost(conn, cx, out);
        }
    }

    /// Writes down whom we know, for the next life.
    fn save_known(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.member.is_none() || cx.now.since(self.home.saved_at) < Span::from_secs(300) {
            return;
        }
        self.home.saved_at = cx.now;
        let mut entries = self.known.list(crate::wire::LIST_MAX - HEIRS_KEPT, false, cx.now, cx);
        let heirs = (0..).zip(self.known.heirs()).take(HEIRS_KEPT);
        entries.extend(heirs.map(|(load, addr)| Entry { addr, load, age_min: 0, heir: true }));
        if entries.is_empty() {
            return;
        }
        let mut bytes = bytes::BytesMut::new();
        crate::wire::write(&Message::List(entries), 0, &mut bytes);
        out.push(hexad_core::Output::Ask(STORED_TICKET, Ask::Store(BUCKET, KNOWN_KEY.to_vec(), Payload::Bytes(bytes.freeze()))));
    }

    /// A leaf asks us to be its supernode while we are none: we are, if we have lost ours too.
    pub(super) fn is_orphan(&self) -> bool {
        self.role == Role::Leaf && self.member.is_some() && self.lines.parents() == 0 && self.is_willing() && self.reachable != Some(false)
    }

    /// Leaves the network in order.
    pub(super) fn leave(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let others = self.known.list(8, true, cx.now, cx);
        for conn in self.lines.of(|kind| matches!(kind, Kind::Parent(_) | Kind::Leaf(_) | Kind::Peer(_))) {
            out.send_to(conn, Message::Leave(others.clone()));
        }
        self.be_nobody("leaving", out);
        out.report(op, Progress::Ended);
    }
}
