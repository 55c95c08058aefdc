//! Joining and staying: doors, hosts to try, enough neighbours, and leaving.

use std::net::SocketAddr;

use bytes::Bytes;
use hexad_core::{
    Answer, Ask, Bind, Context, Door, Endpoint, Failure, HttpMethod, HttpRequest, Level, OpId, Output, Payload, Progress, Span, Ticket,
    Time,
};

use super::hosts::{is_usable, socket_of};
use super::links::{BEHIND_MAX, Neighbour};
use super::settings::{Kind, Mode};
use super::{Node, Out, Timer, failed};
use crate::doors;
use crate::wire::{Body, Guid, Packet, ggep};

/// The operation that keeps us in the network.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) op: OpId,
    /// It was reported to be in effect.
    done: bool,
    /// It has to be by then.
    until: Time,
    bootstrap: Vec<Endpoint>,
    /// The doors are as they are to be.
    pub(crate) begun: bool,
    /// Since when no neighbour was had.
    pub(crate) alone_since: Time,
    caches_asked: Option<Time>,
    next_cache: usize,
    stored: Time,
    /// How long nobody more is dialled after a refusal, and until when, where three quarters of the wanted neighbours are there.
    rest: Span,
    rests_until: Time,
}

/// What a question to the host was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    Hosts,
    Cache,
    Stored,
}

const BUCKET: &str = "gnutella";
const HOSTS_KEY: &[u8] = b"hosts";
/// The hosts are written down so often.
const STORE_EVERY: Span = Span::from_secs(300);
/// A cache is asked again after so long.
const CACHES_EVERY: Span = Span::from_secs(180);
/// Nothing is left alone for longer than so long.
const LOOK_EVERY: Span = Span::from_secs(60);
/// Whoever has three quarters of its neighbours and is refused dials nobody until the next look, then for twice as long each time, up to this: where all are full,
/// others become free as seldom as links end.
const REST_MAX: Span = Span::from_secs(60);
/// Handshakes under way at a time, beyond what is needed.
const DIALS_MAX: usize = 16;

impl Node {
    pub(crate) fn start_join(&mut self, op: OpId, bootstrap: Vec<Endpoint>, cx: &mut Context<'_>, out: &mut Out) {
        if self.member.is_some() {
            return failed(op, Failure::Full("memberships"), out);
        }
        let until = cx.now + self.config.join_deadline;
        self.member = Some(Member {
            op,
            done: false,
            until,
            bootstrap,
            begun: false,
            alone_since: cx.now,
            caches_asked: None,
            next_cache: 0,
            stored: cx.now,
            rest: Span::ZERO,
            rests_until: cx.now,
        });
        (self.started, self.switched) = (cx.now, cx.now);
        match self.config.listen {
            Some(listen) => out.push(Output::Listen(doors::STREAM, Bind::Stream(listen))),
            None => self.begin(cx, out),
        }
        self.tick_later(cx, out);
    }

    pub(crate) fn on_bound(&mut self, door: Door, bound: Result<SocketAddr, String>, cx: &mut Context<'_>, out: &mut Out) {
        match (door, bound) {
            (doors::STREAM, Ok(address)) => {
                self.bound = Some(address);
                if self.config.datagrams {
                    out.push(Output::Listen(doors::DATAGRAM, Bind::Datagram(address)));
                }
                self.begin(cx, out);
            }
            (doors::STREAM, Err(why)) => {
                if let Some(member) = self.member.take() {
                    failed(member.op, Failure::Host(why), out);
                }
            }
            (_, Ok(_)) => {}
            // Links and transfers do without datagrams.
            (_, Err(why)) => out.note(Level::Warn, "no_datagrams", None, why),
        }
    }

    /// The doors are open; who is there?
    fn begin(&mut self, cx: &mut Context<'_>, out: &mut Out) {
        let Some(member) = self.member.as_mut().filter(|member| !member.begun) else { return };
        member.begun = true;
        let bootstrap = member.bootstrap.clone();
        let nobody = bootstrap.is_empty() && self.config.web_caches.is_empty() && self.config.udp_caches.is_empty();
        if self.config.mode == Mode::Auto && nobody && self.bound.is_some() {
            // Somebody has to be the first.
            self.kind = Kind::Ultrapeer;
        }
        if nobody && self.kind != Kind::Leaf {
            self.joined(out);
        }
        for peer in bootstrap {
            if let Some(at) = socket_of(&peer) {
                self.hosts.add(at, true, cx.now);
            }
            if self.links.len() < DIALS_MAX + self.links_wanted() {
                self.dial_link(peer, cx, out);
            }
        }
        if self.config.discover {
            let ticket = self.ask(Asking::Hosts);
            out.push(Output::Ask(ticket, Ask::Load(BUCKET, HOSTS_KEY.to_vec())));
        }
    }

    pub(crate) fn ask(&mut self, asking: Asking) -> Ticket {
        let ticket = Ticket(self.number().into());
        self.asks.insert(ticket, asking);
        ticket
    }

    /// The join is in effect.
    pub(crate) fn joined(&mut self, out: &mut Out) {
        if let Some(member) = &mut self.member
            && !std::mem::replace(&mut member.done, true)
        {
            out.report(member.op, Progress::Done);
        }
    }

    /// What we look for: equals among equals, else ultrapeers.
    pub(crate) fn sought(&self) -> Kind {
        if self.kind == Kind::Flat { Kind::Flat } else { Kind::Ultrapeer }
    }

    fn links_wanted(&self) -> usize {
        match self.kind {
            Kind::Flat => self.config.flat_links,
            Kind::Ultrapeer => self.config.ultrapeer_links,
            Kind::Leaf => self.config.leaf_links,
        }
    }

    /// Looks for as many neighbours as there ought to be.
    pub(crate) fn seek(&mut self, cx: &mut Context<'_>, out: &mut Out) {
        if !self.member.as_ref().is_some_and(|member| member.begun) || !self.config.discover {
            return;
        }
        let kind = self.sought();
        let (up, all) = (self.links.count(kind), self.links.count_with_pending(kind));
        let missing = self.links_wanted().saturating_sub(up);
        let dials = missing.saturating_sub(all - up).min(DIALS_MAX);
        if dials == 0 || self.rests(up, cx.now) {
            return;
        }
        let own: Vec<SocketAddr> = self.own().map(SocketAddr::V4).into_iter().chain(self.own6().map(SocketAddr::V6)).collect();
        let at = |neighbour: &Neighbour| [neighbour.listens.map(SocketAddr::V4), socket_of(&neighbour.peer)];
        let linked: Vec<SocketAddr> = self.links.iter().flat_map(|(_, neighbour)| at(neighbour)).flatten().collect();
        let chosen = self.hosts.choose(dials, cx.now, cx.dice, |at| own.contains(at) || linked.contains(at));
        for at in chosen {
            self.dial_link(Endpoint::Ip(at), cx, out);
        }
    }

    /// Whether no more neighbours are looked for, with so many there.
    fn rests(&self, up: usize, now: Time) -> bool {
        up * 4 >= self.links_wanted() * 3 && self.member.as_ref().is_some_and(|member| now < member.rests_until)
    }

    /// Somebody had no room for us.
    pub(crate) fn on_refused(&mut self, cx: &mut Context<'_>, out: &mut Out) {
        let tick = self.config.tick;
        if let Some(member) = self.member.as_mut().filter(|member| cx.now >= member.rests_until) {
            member.rest = (member.rest * 2).max(tick).min(REST_MAX);
            member.rests_until = cx.now + member.rest;
        }
        self.tick_later(cx, out);
        self.seek(cx, out);
    }

    /// There is room somewhere, as a neighbour is gone, or one whom we dialled has let us in: nothing speaks against dialling on.
    pub(crate) fn end_rest(&mut self, now: Time) {
        if let Some(member) = &mut self.member {
            (member.rest, member.rests_until) = (Span::ZERO, now);
        }
    }

    /// Looks after everything by then at the latest.
    pub(crate) fn tick_by(&mut self, at: Time, out: &mut Out) {
        if self.ticks_at.is_none_or(|due| at < due) {
            self.ticks_at = Some(at);
            out.wake(at, Timer::Tick);
        }
    }

    /// Looks after everything soon.
    pub(crate) fn tick_later(&mut self, cx: &Context<'_>, out: &mut Out) {
        self.tick_by(cx.now + self.config.tick, out);
    }

    pub(crate) fn on_tick(&mut self, cx: &mut Context<'_>, out: &mut Out) {
        // An earlier one has come in between.
        if self.ticks_at.is_none_or(|due| cx.now < due) {
            return;
        }
        self.ticks_at = None;
        self.tell(cx, out);
        self.look_after_strangers(cx, out);
        self.look_after_peers(cx, out);
        self.look_after_links(cx, out);
        self.look_after_membership(cx, out);
        self.datagrams.retain(|_, (at, _)| cx.now.since(*at) < Span::from_secs(10));
        if self.member.is_some() || !self.peers.is_empty() || !self.fresh.is_empty() || !self.fetches.is_empty() {
            // What is due in between waits, so that several things are done at one time.
            self.tick_by(self.next_due(cx.now).max(cx.now + self.config.tick), out);
        }
    }

    /// When there is something to look after again, as far as is known.
    fn next_due(&self, now: Time) -> Time {
        let up = self.links.count(self.sought());
        let lacks = self.config.discover && up < self.links_wanted();
        let rests = lacks && self.rests(up, now);
        let missing = self.member.as_ref().is_some_and(|member| {
            let lonely = self.links.up().next().is_none();
            !member.done || !member.begun || lonely || lacks && !rests
        });
        if missing || !self.peers.is_empty() || !self.fetches.is_empty() {
            return now;
        }
        let rested = self.member.as_ref().filter(|_| rests).map(|member| member.rests_until);
        let strangers = self.fresh.values().map(|(_, until)| *until);
        let links = self.links.iter().map(|(_, neighbour)| match &neighbour.backlog {
            _ if !neighbour.is_up() => neighbour.since + self.config.handshake_deadline,
            Some(backlog) => backlog.since + BEHIND_MAX,
            None => neighbour.ping_due(self.quiet_of(neighbour)),
        });
        strangers.chain(links).chain(rested).fold(now + LOOK_EVERY, Time::min)
    }

    /// How long a neighbour may say nothing before it is pinged.
    fn quiet_of(&self, neighbour: &Neighbour) -> Span {
        let seldom = if neighbour.kind == Kind::Leaf || self.kind == Kind::Leaf { 6 } else { 1 };
        self.config.ping_every * seldom
    }

    fn look_after_strangers(&mut self, cx: &Context<'_>, out: &mut Out) {
        let late: Vec<_> = self.fresh.iter().filter(|(_, (_, until))| *until <= cx.now).map(|(&conn, _)| conn).collect();
        for conn in late {
            if let Some((peer, _)) = self.fresh.remove(&conn) {
                out.note(Level::Drop, "stranger_says_nothing", Some(peer), "");
                out.push(Output::Close(conn, "says nothing".into()));
            }
        }
    }

    fn look_after_links(&mut self, cx: &mut Context<'_>, out: &mut Out) {
        let conns: Vec<_> = self.links.iter().map(|(conn, _)| conn).collect();
        let patience = self.config.handshake_deadline;
        for conn in conns {
            let Some(neighbour) = self.links.get(conn) else { continue };
            if !neighbour.is_up() {
                if cx.now.since(neighbour.since) >= patience {
                    if let Some(at) = socket_of(&neighbour.peer).filter(|_| neighbour.dialled) {
                        self.hosts.failed(at, cx.now);
                    }
                    out.push(Output::Close(conn, "a handshake without end".into()));
                    self.links.remove(conn);
                }
                continue;
            }
            if let Some(backlog) = &neighbour.backlog {
                // What waits on our side was not refused on the other.
                if cx.now.since(backlog.since) >= BEHIND_MAX {
                    self.send_away(conn, 405, "Flow-controlled for too long", cx, out);
                }
                continue;
            }
            let quiet = self.quiet_of(neighbour);
            // Those that would be due soon are asked at the same time.
            let early = if neighbour.dialled && neighbour.unanswered == 0 { quiet / 4 } else { Span::ZERO };
            if neighbour.ping_due(quiet) <= cx.now + early {
                let allowed = if neighbour.kind == Kind::Leaf || self.kind == Kind::Leaf { 4 } else { 6 };
                if neighbour.unanswered >= allowed {
                    self.send_away(conn, 406, "No reply to alive pings", cx, out);
                } else {
                    self.ping(conn, 1, cx, out);
                }
            }
        }
    }

    fn look_after_membership(&mut self, cx: &mut Context<'_>, out: &mut Out) {
        let any_up = self.links.up().next().is_some();
        let Some(member) = &mut self.member else { return };
        if !member.done && cx.now >= member.until {
            let op = member.op;
            failed(op, Failure::TimedOut(self.config.join_deadline.as_secs()), out);
            return self.close_everything(cx, out);
        }
        if any_up {
            member.alone_since = cx.now;
        }
        if !any_up && member.begun {
            // Those whom the user has named are tried for ever.
            let bootstrap = member.bootstrap.clone();
            for peer in bootstrap.into_iter().take(DIALS_MAX) {
                let resting = socket_of(&peer).is_some_and(|at| {
                    self.hosts.add(at, true, cx.now);
                    self.hosts.choose(1, cx.now, cx.dice, |other| *other != at).is_empty()
                });
                if !resting {
                    self.dial_link(peer, cx, out);
                }
            }
            self.ask_caches(cx, out);
        }
        self.consider_role(cx, out);
        self.seek(cx, out);
        self.ask_for_hosts(cx, out);
        if let Some(member) = &mut self.member
            && self.config.discover
            && any_up
            && cx.now.since(member.stored) >= STORE_EVERY
        {
            member.stored = cx.now;
            self.store_hosts(out);
        }
    }

    fn store_hosts(&mut self, out: &mut Out) {
        let bytes = self.hosts.bytes();
        if !bytes.is_empty() {
            let ticket = self.ask(Asking::Stored);
            out.push(Output::Ask(ticket, Ask::Store(BUCKET, HOSTS_KEY.to_vec(), Payload::Bytes(bytes))));
        }
    }

    /// Asks a web cache and a UDP cache for hosts. Spec §17.
    fn ask_caches(&mut self, cx: &mut Context<'_>, out: &mut Out) {
        let Some(member) = &mut self.member else { return };
        if member.caches_asked.is_some_and(|at| cx.now.since(at) < CACHES_EVERY) {
            return;
        }
        member.caches_asked = Some(cx.now);
        let number = member.next_cache;
        member.next_cache += 1;
        let (web, udp) = (&self.config.web_caches, &self.config.udp_caches);
        if let Some(at) = udp.get(number % udp.len().max(1)).cloned() {
            let wanted = u8::from(self.kind == Kind::Ultrapeer);
            let ext = ggep::Block::default().with("SCP", Bytes::copy_from_slice(&[wanted])).bytes();
            let muid = Guid::fresh(cx.dice);
            out.send(hexad_core::Link::Datagram(doors::DATAGRAM, at), Packet::new(muid, 1, Body::Ping(ext)).into());
        }
        if let Some(url) = web.get(number % web.len().max(1)) {
            let request = HttpRequest {
                method: HttpMethod::Get,
                url: format!("{url}?hostfile=1&client=HEXA&version={}", env!("CARGO_PKG_VERSION")),
                range: None,
                answer_bytes_max: 64 << 10,
                deadline: Span::from_secs(20),
            };
            let ticket = self.ask(Asking::Cache);
            out.push(Output::Ask(ticket, Ask::Http(Box::new(request))));
        }
    }

    pub(crate) fn on_answered(&mut self, ticket: Ticket, answer: Answer, cx: &mut Context<'_>, out: &mut Out) {
        match (self.asks.remove(&ticket), answer) {
            (Some(Asking::Hosts), Answer::Loaded(Some(Payload::Bytes(bytes)))) => {
                self.hosts.load(&bytes, cx.now);
                self.seek(cx, out);
            }
            (Some(Asking::Hosts), _) if self.links.len() == 0 => self.ask_caches(cx, out),
            (Some(Asking::Cache), Answer::Http(response)) => {
                let Payload::Bytes(body) = &response.body else { return };
                let text = String::from_utf8_lossy(body).into_owned();
                let before = self.hosts.len();
                // Version 1 has one address a line, version 2 has `H|address|age`.
                for line in text.lines().take(200) {
                    let address = line.strip_prefix("H|").unwrap_or(line).split('|').next().unwrap_or_default();
                    if let Ok(at) = address.trim().parse()
                        && is_usable(at, None)
                    {
                        self.hosts.add(at, true, cx.now);
                    }
                }
                out.note(Level::Debug, "web_cache_answered", None, format!("{} hosts", self.hosts.len() - before));
                self.seek(cx, out);
            }
            (Some(Asking::Cache), Answer::Failed(why)) => out.note(Level::Debug, "web_cache_failed", None, why.to_string()),
            _ => {}
        }
    }

    /// Leaves in order.
    pub(crate) fn leave(&mut self, cx: &mut Context<'_>, out: &mut Out) {
        let Some(op) = self.member.as_ref().map(|member| member.op) else { return };
        if self.config.discover {
            self.store_hosts(out);
        }
        self.close_everything(cx, out);
        out.report(op, Progress::Ended);
    }

    fn close_everything(&mut self, cx: &mut Context<'_>, out: &mut Out) {
        self.member = None;
        let conns: Vec<_> = self.links.iter().map(|(conn, _)| conn).collect();
        for conn in conns {
            self.send_away(conn, 200, "Servent shutdown", cx, out);
        }
        self.end_all_searches(out);
        if self.bound.take().is_some() {
            out.push(Output::Unlisten(doors::STREAM));
            if self.config.datagrams {
                out.push(Output::Unlisten(doors::DATAGRAM));
            }
        }
        for conn in std::mem::take(&mut self.fresh).into_keys() {
            out.push(Output::Close(conn, "we leave".into()));
        }
    }
}
