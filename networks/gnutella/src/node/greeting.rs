//! Handshakes: who lets whom in, and as what. Spec §5, §6 and §23.

use std::net::{IpAddr, SocketAddr, SocketAddrV4};

use hexad_core::{ConnId, Context, Endpoint, Level, Output, Why};

use super::hosts::{is_usable, is_usable6, socket_of, v4_of};
use super::links::{Neighbour, Skills, Stage};
use super::settings::{Kind, Mode};
use super::{Node, Out, dial};
use crate::wire::{Answer, Body, Bye, Connect, Guid, Headers, Message, Packet};

/// Who we are in words.
pub(crate) const AGENT: &str = concat!("Hexad/", env!("CARGO_PKG_VERSION"));
/// gtk-gnutella's leaves want ultrapeers that keep at least so many links (spec §23), and ours look for more.
const DEGREE_MIN: usize = 16;
/// Hosts that are named to whom we greet or refuse.
const TRY_MAX: usize = 10;
/// Headers with which we introduce ourselves, and an answer's.
const INTRODUCED: usize = 18;
/// How many links we have, for the other end's dice; a header of our own.
const LINKS_HEADER: &str = "X-Hexad-Links";

/// Why somebody is not let in.
type Refusal = (u16, &'static str);

/// What a block of headers says that its sender is.
fn kind_of(headers: &Headers) -> Kind {
    match headers.truth("X-Ultrapeer") {
        Some(true) => Kind::Ultrapeer,
        Some(false) => Kind::Leaf,
        None => Kind::Flat,
    }
}

/// Where the sender of a block listens: at the address that we see, and at the port that is his to know.
fn listening(headers: &Headers, seen: Option<IpAddr>) -> Option<SocketAddrV4> {
    let named = headers.list("Node").chain(headers.list("Listen-IP")).chain(headers.list("X-My-Address"));
    match (named.filter_map(|text| text.parse::<SocketAddrV4>().ok()).next(), seen) {
        (Some(at), Some(IpAddr::V4(ip))) if at.port() != 0 => Some(SocketAddrV4::new(ip, at.port())),
        _ => None,
    }
}

fn skills_of(headers: &Headers) -> Skills {
    let number = |name: &str, otherwise: u32| headers.number(name).and_then(|number| u32::try_from(number).ok()).unwrap_or(otherwise);
    Skills {
        ggep: headers.find("GGEP").is_some(),
        vendor: headers.find("Vendor-Message").is_some(),
        ultrapeer_qrp: headers.find("X-Ultrapeer-Query-Routing").is_some(),
        dynamic: headers.find("X-Dynamic-Querying").is_some(),
        bye: headers.find("Bye-Packet").is_some(),
        degree: number("X-Degree", 8).clamp(1, 200),
        ttl_max: u8::try_from(number("X-Max-TTL", 7).clamp(1, 15)).unwrap_or(7),
    }
}

impl Node {
    /// Dials somebody who is to be a neighbour.
    pub(crate) fn dial_link(&mut self, peer: Endpoint, cx: &mut Context<'_>, out: &mut Out) {
        let known = |neighbour: &Neighbour| neighbour.peer == peer || neighbour.listens.is_some() && neighbour.listens == v4_of(&peer);
        if self.links.iter().any(|(_, neighbour)| known(neighbour)) || v4_of(&peer).is_some_and(|at| self.own() == Some(at)) {
            return;
        }
        let conn = cx.new_conn();
        let kind = self.sought();
        out.push(Output::Open(conn, peer.clone(), dial(self.config.handshake_deadline / 2)));
        self.links.insert(conn, Neighbour::new(peer, Stage::Dialling, kind, true, cx.now));
        self.tick_by(cx.now + self.config.handshake_deadline, out);
    }

    /// What we say of ourselves in our first or second block.
    fn introduction(&self, peer: &Endpoint) -> Headers {
        let config = &self.config;
        let mut headers = Headers::with_room(INTRODUCED).with("User-Agent", AGENT);
        let own = self.own().map(SocketAddr::V4).or_else(|| self.own6().map(SocketAddr::V6));
        if let Some(own) = own.filter(|_| self.bound.is_some()) {
            headers.add("Node", own.to_string());
            headers.add("Listen-IP", own.to_string());
        }
        if let Some(ip) = peer.ip() {
            headers.add("Remote-IP", ip.to_string());
        }
        headers.add("GUID", self.guid.to_string());
        if self.kind != Kind::Flat {
            headers.add("X-Ultrapeer", if self.kind == Kind::Ultrapeer { "True" } else { "False" });
            headers.add("X-Query-Routing", "0.1");
            headers.add("X-Ultrapeer-Query-Routing", "0.1");
            headers.add("X-Dynamic-Querying", "0.1");
            headers.add("X-Degree", config.ultrapeer_links.max(DEGREE_MIN).to_string());
            headers.add("X-Max-TTL", config.ttl.to_string());
        }
        headers.add("X-Ext-Probes", "0.1");
        headers.add("GGEP", "0.5");
        headers.add("Pong-Caching", "0.1");
        headers.add("Vendor-Message", "0.2");
        headers.add("Bye-Packet", "0.1");
        headers.add("X-Requeries", "False");
        headers.add("X-Features", "browse/1.0, queue/0.1");
        headers.add(LINKS_HEADER, self.links.up().count().to_string());
        if config.deflate {
            headers.add("Accept-Encoding", "deflate");
        }
        headers
    }

    /// Where else to try.
    fn with_tries(&self, headers: Headers) -> Headers {
        let mut all: Vec<SocketAddrV4> = self.links.of(Kind::Ultrapeer).filter_map(|(_, neighbour)| neighbour.listens).collect();
        if self.kind != Kind::Flat || all.is_empty() {
            all.extend(self.hosts.freshest(TRY_MAX));
        }
        let mut named: Vec<SocketAddrV4> = Vec::new();
        for at in all {
            if !named.contains(&at) && named.len() < TRY_MAX {
                named.push(at);
            }
        }
        if named.is_empty() {
            return headers;
        }
        let name = if self.kind == Kind::Flat { "X-Try" } else { "X-Try-Ultrapeers" };
        headers.with(name, named.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
    }

    /// A connection to a neighbour-to-be is open.
    pub(crate) fn on_link_opened(&mut self, conn: ConnId, cx: &Context<'_>, out: &mut Out) {
        let classic = self.config.classic && self.kind == Kind::Flat;
        let Some(neighbour) = self.links.get_mut(conn) else { return };
        neighbour.stage = Stage::Greeted;
        neighbour.classic = classic;
        neighbour.since = cx.now;
        let peer = neighbour.peer.clone();
        let headers = if classic { Headers::new() } else { self.introduction(&peer) };
        out.send_to(conn, Message::Connect(Box::new(Connect { classic, headers })));
    }

    /// What can be learnt of a block, whatever is decided.
    fn learn_block(&mut self, headers: &Headers, peer: &Endpoint, cx: &Context<'_>) {
        // Who has looked already is believed; a stranger does not move us.
        match headers.find("Remote-IP").and_then(|ip| ip.parse::<IpAddr>().ok()).filter(|ip| !ip.is_unspecified()) {
            Some(IpAddr::V4(ip)) => {
                self.seen_ip.get_or_insert(ip);
            }
            Some(IpAddr::V6(ip)) => {
                self.seen_ip6.get_or_insert(ip);
            }
            None => {}
        }
        for (name, ultrapeers) in [("X-Try", false), ("X-Try-Ultrapeers", true)] {
            for item in headers.list(name).take(2 * TRY_MAX) {
                // Some write the age of the entry behind it.
                let address = item.split_whitespace().next().unwrap_or_default();
                let Ok(at) = address.parse::<SocketAddr>() else { continue };
                let fits = match at {
                    SocketAddr::V4(at) => is_usable(at, peer.ip()) && self.own() != Some(at),
                    SocketAddr::V6(at) => is_usable6(at, peer.ip()) && self.own6() != Some(at),
                };
                if fits {
                    self.hosts.add(at, ultrapeers, cx.now);
                }
            }
        }
    }

    /// Takes over what a block says of its sender.
    fn read_block(&mut self, conn: ConnId, headers: &Headers) {
        let Some(neighbour) = self.links.get_mut(conn) else { return };
        neighbour.skills = skills_of(headers);
        neighbour.guid = headers.find("GUID").and_then(Guid::of_hex);
        let dialled = if neighbour.dialled { v4_of(&neighbour.peer) } else { None };
        neighbour.listens = listening(headers, neighbour.peer.ip()).or(dialled);
    }

    /// Whether somebody who greets is let in, and as what.
    fn admit(&self, connect: &Connect, cx: &mut Context<'_>) -> Result<Kind, Refusal> {
        let headers = &connect.headers;
        if self.member.is_none() {
            return Err((403, "Gnet connections disabled"));
        }
        if connect.classic && !(self.kind == Kind::Flat && self.config.classic) {
            return Err((406, "Protocol not acceptable"));
        }
        if headers.find("X-Auth-Challenge").is_some() || headers.find("FP-Auth-Challenge").is_some() {
            return Err((403, "Closed networks are not for us"));
        }
        let guid = headers.find("GUID").and_then(Guid::of_hex);
        let same = |neighbour: &Neighbour| neighbour.is_up() && neighbour.guid.is_some() && neighbour.guid == guid;
        if guid == Some(self.guid) || self.links.iter().any(|(_, neighbour)| same(neighbour)) {
            return Err((409, "Already connected"));
        }
        let config = &self.config;
        let newcomer_links = headers.number(LINKS_HEADER).unwrap_or(0);
        match (self.kind, kind_of(headers)) {
            (Kind::Flat, Kind::Flat) => {
                let links = self.links.count_with_pending(Kind::Flat);
                self.balanced(links, config.flat_links, config.flat_links_max, newcomer_links, cx).then_some(Kind::Flat)
            }
            (Kind::Flat, _) => return Err((403, "Only equals here")),
            (Kind::Ultrapeer, Kind::Leaf) => (self.links.count(Kind::Leaf) < config.leaves_max).then_some(Kind::Leaf),
            (Kind::Ultrapeer, Kind::Ultrapeer) => {
                let links = self.links.count_with_pending(Kind::Ultrapeer);
                let wanted = self.balanced(links, config.ultrapeer_links, config.ultrapeer_links_max, newcomer_links, cx);
                // Without room for an ultrapeer there may be some for a leaf: the guidance in our answer says so.
                (wanted || self.links.count(Kind::Leaf) < config.leaves_max).then_some(Kind::Ultrapeer)
            }
            (Kind::Ultrapeer, Kind::Flat) => return Err((403, "Normal nodes refused")),
            (Kind::Leaf, _) => return Err((204, "Shielded leaf node")),
        }
        .ok_or((503, "Too many connections"))
    }

    /// Throws dice for a newcomer: the worse connected it is, the likelier it is let in; nobody who has no neighbour at all is sent away for that.
    fn balanced(&self, links: usize, wanted: usize, max: usize, newcomer_links: u64, cx: &mut Context<'_>) -> bool {
        if links >= max {
            return false;
        }
        if !self.config.balance || newcomer_links == 0 {
            return true;
        }
        let wanted_links = (wanted as u64).max(1);
        let lacks = wanted_links.saturating_sub(newcomer_links.min(wanted_links));
        // With room of our own even a well connected one has a tenth of a chance; beyond that, only who lacks something.
        let floor = if links < wanted { wanted_links.div_ceil(10) } else { 0 };
        cx.dice.chance(lacks.max(floor), wanted_links)
    }

    /// A greeting.
    pub(crate) fn on_connect(&mut self, conn: ConnId, connect: &Connect, cx: &mut Context<'_>, out: &mut Out) {
        let Some((peer, _)) = self.fresh.remove(&conn) else {
            return self.on_weird(conn, "greeting_in_the_middle", cx, out);
        };
        if connect.headers.find("Crawler").is_some() {
            return self.answer_crawler(conn, out);
        }
        self.learn_block(&connect.headers, &peer, cx);
        let kind = match self.admit(connect, cx) {
            Ok(kind) => kind,
            Err((code, reason)) => {
                out.note(Level::Debug, "refused_link", Some(peer.clone()), reason);
                if !connect.classic {
                    let headers = self.with_tries(Headers::new().with("User-Agent", AGENT));
                    out.send_to(conn, Message::Answer(Box::new(Answer::no(code, reason, headers))));
                }
                // Whoever looks for neighbours has room: the next one who is sent away hears of him.
                let seeks = code == 503 && kind_of(&connect.headers) == self.kind && self.config.discover;
                if let Some(at) = listening(&connect.headers, peer.ip()).filter(|_| seeks) {
                    self.hosts.add(at, self.kind == Kind::Ultrapeer, cx.now);
                }
                return out.push(Output::Close(conn, reason.into()));
            }
        };
        let mut neighbour = Neighbour::new(peer.clone(), Stage::Answered, kind, false, cx.now);
        neighbour.classic = connect.classic;
        if connect.classic {
            self.links.insert(conn, neighbour);
            out.send_to(conn, Message::Answer(Box::new(Answer { classic: true, ..Answer::yes(Headers::new()) })));
            return self.established(conn, cx, out);
        }
        let mut headers = self.with_tries(self.introduction(&peer));
        if self.kind == Kind::Ultrapeer && kind == Kind::Ultrapeer {
            let config = &self.config;
            if self.links.count_with_pending(Kind::Ultrapeer) < config.ultrapeer_links_max {
                headers.add("X-Ultrapeer-Needed", "True");
            } else if self.links.count(Kind::Leaf) < config.leaves_max {
                headers.add("X-Ultrapeer-Needed", "False");
            }
        }
        if self.config.deflate && connect.headers.lists("Accept-Encoding", "deflate") {
            headers.add("Content-Encoding", "deflate");
        }
        self.links.insert(conn, neighbour);
        self.tick_by(cx.now + self.config.handshake_deadline, out);
        self.read_block(conn, &connect.headers);
        out.send_to(conn, Message::Answer(Box::new(Answer::yes(headers))));
    }

    /// The second block, when we have dialled, or the third.
    pub(crate) fn on_answer(&mut self, conn: ConnId, answer: &Answer, cx: &mut Context<'_>, out: &mut Out) {
        let Some(neighbour) = self.links.get(conn) else { return };
        let (stage, peer) = (neighbour.stage, neighbour.peer.clone());
        self.learn_block(&answer.headers, &peer, cx);
        match stage {
            Stage::Greeted => self.on_second_block(conn, answer, &peer, cx, out),
            Stage::Answered => self.on_third_block(conn, answer, &peer, cx, out),
            Stage::Dialling | Stage::Up => self.on_weird(conn, "answer_in_the_middle", cx, out),
        }
    }

    fn on_second_block(&mut self, conn: ConnId, answer: &Answer, peer: &Endpoint, cx: &mut Context<'_>, out: &mut Out) {
        if !answer.is_yes() {
            out.note(Level::Debug, "refused_by", Some(peer.clone()), format!("{} {}", answer.code, answer.reason));
            if let Some(at) = socket_of(peer) {
                self.hosts.refused(at, cx.now);
            }
            out.push(Output::Close(conn, "refused".into()));
            self.links.remove(conn);
            return self.on_refused(cx, out);
        }
        if answer.classic {
            return self.established(conn, cx, out);
        }
        let theirs = kind_of(&answer.headers);
        let mut headers = Headers::new();
        let refusal: Option<Refusal> = match (self.kind, theirs) {
            (Kind::Flat, Kind::Flat) | (Kind::Leaf, Kind::Ultrapeer) => None,
            (Kind::Ultrapeer, Kind::Ultrapeer) => {
                let becomes_leaf = answer.headers.truth("X-Ultrapeer-Needed") == Some(false)
                    && self.config.mode == Mode::Auto
                    && self.links.count(Kind::Leaf) == 0
                    && cx.now.since(self.switched) >= self.config.switch_every.min(cx.now.since(self.started));
                if becomes_leaf {
                    headers.add("X-Ultrapeer", "False");
                    self.become_leaf(Some(conn), cx, out);
                }
                None
            }
            (Kind::Flat, _) => Some((403, "Only equals here")),
            (_, Kind::Flat) => Some((403, "Normal nodes refused")),
            (_, Kind::Leaf) => Some((403, "Two leaves do not link")),
        };
        let twin = answer.headers.find("GUID").and_then(Guid::of_hex);
        let linked = |(other, neighbour): (ConnId, &Neighbour)| other != conn && neighbour.is_up() && neighbour.guid == twin;
        let refusal = match twin {
            Some(guid) if guid == self.guid || self.links.iter().any(linked) => Some((409, "Already connected")),
            _ => refusal,
        };
        if let Some((code, reason)) = refusal {
            out.send_to(conn, Message::Answer(Box::new(Answer::no(code, reason, Headers::new()))));
            out.push(Output::Close(conn, reason.into()));
            self.links.remove(conn);
            if let Some(at) = socket_of(peer) {
                self.hosts.failed(at, cx.now);
            }
            return self.tick_later(cx, out);
        }
        if self.config.deflate && answer.headers.lists("Accept-Encoding", "deflate") {
            headers.add("Content-Encoding", "deflate");
        }
        self.read_block(conn, &answer.headers);
        if let Some(neighbour) = self.links.get_mut(conn) {
            neighbour.kind = theirs;
        }
        out.send_to(conn, Message::Answer(Box::new(Answer::yes(headers))));
        self.established(conn, cx, out);
    }

    fn on_third_block(&mut self, conn: ConnId, answer: &Answer, peer: &Endpoint, cx: &mut Context<'_>, out: &mut Out) {
        if !answer.is_yes() {
            out.note(Level::Debug, "refused_by", Some(peer.clone()), format!("{} {}", answer.code, answer.reason));
            out.push(Output::Close(conn, "refused".into()));
            self.links.remove(conn);
            return;
        }
        let Some(neighbour) = self.links.get_mut(conn) else { return };
        if neighbour.kind == Kind::Ultrapeer && answer.headers.truth("X-Ultrapeer") == Some(false) {
            neighbour.kind = Kind::Leaf;
        }
        let kind = neighbour.kind;
        self.established(conn, cx, out);
        let over = match kind {
            Kind::Ultrapeer => self.links.count(kind) > self.config.ultrapeer_links_max,
            Kind::Leaf => self.links.count(kind) > self.config.leaves_max,
            Kind::Flat => self.links.count(kind) > self.config.flat_links_max,
        };
        if over {
            self.send_away(conn, 503, "Too many connections", cx, out);
        }
    }

    /// A handshake is done: messages flow.
    fn established(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out) {
        let Some(neighbour) = self.links.get_mut(conn) else { return };
        neighbour.stage = Stage::Up;
        (neighbour.since, neighbour.heard, neighbour.pinged) = (cx.now, cx.now, cx.now);
        let (kind, guid, vendor, we_dialled) = (neighbour.kind, neighbour.guid, neighbour.skills.vendor, neighbour.dialled);
        let dialled = socket_of(&neighbour.peer).filter(|at| at.is_ipv6() && neighbour.dialled);
        if let Some(at) = neighbour.listens.map(SocketAddr::V4).or(dialled).filter(|_| kind != Kind::Leaf) {
            self.hosts.succeeded(at, kind == Kind::Ultrapeer, cx.now);
        }
        if let Some(guid) = guid {
            self.servents.insert(guid, super::routes::Route { conn, ttl: 1, hops: 0 }, cx.now);
        }
        if we_dialled {
            self.end_rest(cx.now);
        }
        if vendor {
            self.say_supported(conn, cx, out);
        }
        if kind != Kind::Leaf && self.config.discover {
            self.hunt(conn, cx, out);
        }
        if kind == Kind::Ultrapeer {
            if self.kind == Kind::Leaf {
                self.ask_for_proxy(conn, cx, out);
            }
            self.send_table(conn, cx, out);
        }
        self.joined(out);
        self.resume_searches(conn, cx, out);
    }

    /// Says goodbye to a neighbour.
    pub(crate) fn send_away(&mut self, conn: ConnId, code: u16, reason: &'static str, cx: &mut Context<'_>, out: &mut Out) {
        let Some(neighbour) = self.links.get(conn) else { return };
        if neighbour.is_up() && neighbour.skills.bye {
            let text = [reason.as_bytes(), b"\0"].concat().into();
            let muid = Guid::fresh(cx.dice);
            out.send_to(conn, Packet::new(muid, 1, Body::Bye(Box::new(Bye { code, text }))).into());
        }
        out.note(Level::Debug, "sent_away", Some(neighbour.peer.clone()), reason);
        out.push(Output::Close(conn, reason.into()));
        self.forget_link(conn, cx, out);
    }

    /// A link is no more, by whoever's doing.
    pub(crate) fn forget_link(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out) {
        let Some(neighbour) = self.links.remove(conn) else { return };
        self.proxies.remove(&conn);
        self.tick_later(cx, out);
        if neighbour.kind == Kind::Leaf {
            self.end_dynamics_of(conn);
            if neighbour.receiver.is_some() {
                self.tables_changed(cx, out);
            }
        } else if neighbour.is_up() && self.member.is_some() {
            self.end_rest(cx.now);
            self.seek(cx, out);
        }
    }

    pub(crate) fn on_link_closed(&mut self, conn: ConnId, why: &Why, cx: &mut Context<'_>, out: &mut Out) {
        let Some(neighbour) = self.links.get(conn) else { return };
        let up = neighbour.is_up();
        if let Some(at) = socket_of(&neighbour.peer).filter(|_| neighbour.dialled && !up) {
            self.hosts.failed(at, cx.now);
        }
        if let Why::Malformed(reason) = why {
            out.note(Level::Drop, "neighbour_talks_nonsense", Some(neighbour.peer.clone()), reason.clone());
        }
        self.forget_link(conn, cx, out);
        if !up {
            self.seek(cx, out);
        }
    }

    /// Somebody draws a map of the network. Spec §5, `Crawler`.
    fn answer_crawler(&self, conn: ConnId, out: &mut Out) {
        let named = |kind: Kind| {
            let all = self.links.of(kind).filter_map(|(_, neighbour)| neighbour.listens).map(|at| at.to_string());
            all.collect::<Vec<_>>().join(",")
        };
        let peers = if self.kind == Kind::Flat { named(Kind::Flat) } else { named(Kind::Ultrapeer) };
        let headers =
            Headers::new().with("User-Agent", AGENT).with("X-Ultrapeer", if self.kind == Kind::Ultrapeer { "True" } else { "False" });
        let headers = headers.with("Peers", peers).with("Leaves", named(Kind::Leaf));
        out.send_to(conn, Message::Answer(Box::new(Answer::yes(headers))));
        out.push(Output::Close(conn, "a crawler was told".into()));
    }
}
