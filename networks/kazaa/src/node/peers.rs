//! Links to other supernodes: enough of them, near ones and others, and other ones after a while.

use hexad_core::{ConnId, Context, Level, Set, Span, Time};

use super::bucket::Bucket;
use super::known::Candidate;
use super::lines::{Kind, Peer};
use super::{Node, Out, Role, close};
use crate::place::Place;
use crate::wire::{Entry, Message, Purpose, Reason, Status};

/// Links that are opened at one tick.
const OPENED_EACH: usize = 4;
/// Supernodes that are named to another one.
const NAMED: usize = 50;
/// Who has refused a link is not asked for one again for so long.
const REFUSED_FOR: Span = Span::from_secs(120);

impl<A: Place> Node<A> {
    /// Another supernode wants a link.
    pub(super) fn on_peer_hello(&mut self, conn: ConnId, peer: &A, status: Status, cx: &mut Context<'_>, out: &mut Out<A>) {
        self.known.answered(peer, status.load(), None, cx.now);
        if self.role != Role::Supernode || self.home.demoting {
            return self.refuse(conn, Reason::NotSupernode, cx, out);
        }
        let name = peer.name();
        if self.lines.has(&name, |kind| matches!(kind, Kind::Peer(_))) {
            // Its process may be another one; the older link closes by itself if nobody is there.
            return self.refuse(conn, Reason::Duplicate, cx, out);
        }
        // Both dial at the same time: the dial of the one with the lower name counts.
        let ours = self
            .lines
            .iter()
            .find(|(_, line)| line.peer.name() == name && matches!(line.kind, Kind::AskedPeer | Kind::Opening(Purpose::Supernode(_))));
        if let Some((dialled, _)) = ours {
            if self.addr.as_ref().is_some_and(|own| own.name() < name) {
                return self.refuse(conn, Reason::Duplicate, cx, out);
            }
            self.lines.remove(dialled);
            close(dialled, "dialled each other", out);
        }
        if self.lines.peers() >= self.config.0.links_max {
            return self.refuse(conn, Reason::Full, cx, out);
        }
        // A leaf of ours that has become a supernode.
        if let Some(leaf) = self.lines.leaf_named(&name) {
            self.lines.remove(leaf);
            close(leaf, "became a supernode", out);
            if let Some(index) = &mut self.index {
                index.remove(&name);
            }
        }
        self.link(conn, status, cx.now);
        let others = self.known.list(NAMED, false, cx.now, cx);
        let own = self.status(cx.now);
        out.send_to(conn, Message::Welcome(peer.clone(), own, others));
    }

    fn link(&mut self, conn: ConnId, status: Status, now: Time) {
        let bucket = Bucket::full(self.config.0.queries_burst * 4, now);
        self.lines.begin(conn, Kind::Peer(Box::new(Peer { status, bucket })), now);
    }

    pub(super) fn on_peer_welcome(
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
        let rtt = self.lines.get(conn).map(|line| cx.now.since(line.since));
        self.known.answered(peer, status.load(), rtt, cx.now);
        self.hear_of(others, cx.now);
        // Others may have linked themselves to us meanwhile.
        if self.role != Role::Supernode || self.lines.peers() >= self.config.0.links_max {
            out.send_to(conn, Message::Leave(Vec::new()));
            self.lines.remove(conn);
            return close(conn, "no longer wanted", out);
        }
        self.link(conn, status, cx.now);
    }

    pub(super) fn on_peer_refused(
        &mut self,
        conn: ConnId,
        peer: &A,
        reason: Reason,
        others: &[Entry<A>],
        cx: &mut Context<'_>,
        out: &mut Out<A>,
    ) {
        self.hear_of(others, cx.now);
        self.lines.remove(conn);
        close(conn, "refused", out);
        match reason {
            Reason::NotSupernode => self.known.remove(&peer.name()),
            _ => self.known.avoid(&peer.name(), cx.now + REFUSED_FOR),
        }
    }

    /// What another supernode says.
    pub(super) fn on_peer(&mut self, conn: ConnId, peer: &A, message: Message<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        match message {
            Message::Load(status) => {
                self.known.answered(peer, status.load(), None, cx.now);
                if let Some(link) = self.lines.peer_mut(conn) {
                    link.status = status;
                }
            }
            Message::AskList => {
                let others = self.known.list(crate::wire::LIST_MAX, false, cx.now, cx);
                out.send_to(conn, Message::List(others));
            }
            Message::List(others) => self.hear_of(&others, cx.now),
            Message::Query(flood) => self.on_query(conn, peer, *flood, false, cx, out),
            Message::Results(id, groups) => self.on_flood_results(conn, &id, groups, cx, out),
            Message::QueryEnd(id, reached) => self.on_flood_end(conn, &id, &reached, cx, out),
            Message::QueryStop(id) => self.on_query_stop(conn, &id, out),
            Message::CallBack(who, nonce) => self.call_back(conn, &who, nonce, cx, out),
            Message::Called(nonce, reached) => self.on_called(conn, nonce, reached, out),
            Message::Leave(others) => {
                self.hear_of(&others, cx.now);
                self.lines.remove(conn);
                close(conn, "it leaves", out);
                self.known.remove(&peer.name());
                self.on_peer_lost(conn, cx, out);
            }
            other => self.unexpected(peer, &other, out),
        }
    }

    /// A link to another supernode is no more.
    pub(super) fn on_peer_lost(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out<A>) {
        self.on_asked_supernode_lost(conn, cx, out);
        self.floods_of(conn, out);
    }

    /// Opens links while there are too few, and changes one now and then.
    pub(super) fn look_after_peers(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        let settings = self.settings();
        let there = self.lines.count(|kind| matches!(kind, Kind::Peer(_) | Kind::AskedPeer | Kind::Opening(Purpose::Supernode(_))));
        if !self.home.demoting {
            for _ in there..settings.links_target.min(there + OPENED_EACH) {
                self.open_link(cx, out);
            }
        }
        self.look_for_others(cx, out);
        if self.shuffle_at <= cx.now {
            let first = self.shuffle_at == Time::ZERO;
            let span = u64::try_from(settings.shuffle_min.as_micros()).unwrap_or(u64::MAX);
            self.shuffle_at = cx.now + Span::from_micros(span.saturating_add(cx.dice.below(span.saturating_mul(2).max(1))));
            if !first {
                self.shuffle(there, cx, out);
            }
        }
    }

    /// Gives up the oldest link for another one, so that other parts of the network are near after a while; and asks somebody whom he knows.
    fn shuffle(&mut self, there: usize, cx: &mut Context<'_>, out: &mut Out<A>) {
        let links = self.lines.of(|kind| matches!(kind, Kind::Peer(_)));
        if let Some(at) = cx.dice.index(links.len()) {
            out.send_to(links[at], Message::AskList);
        }
        let fewer = self.known.len() <= links.len();
        if there < self.config.0.links_target || fewer {
            return;
        }
        let oldest = links.into_iter().filter_map(|conn| Some((self.lines.get(conn)?.since, conn))).min();
        if let Some((_, conn)) = oldest
            && self.open_link(cx, out)
        {
            out.send_to(conn, Message::Leave(Vec::new()));
            if let Some(line) = self.lines.remove(conn) {
                self.known.avoid(&line.peer.name(), cx.now + REFUSED_FOR);
            }
            close(conn, "shuffled", out);
            self.on_peer_lost(conn, cx, out);
        }
    }

    /// Opens a link to a supernode that we know: in half of all cases to the nearest, in the others to anybody.
    fn open_link(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) -> bool {
        let together =
            |kind: &Kind<A>| matches!(kind, Kind::Peer(_) | Kind::AskedPeer | Kind::Leaf(_) | Kind::Opening(Purpose::Supernode(_)));
        let linked: Set<A::Name> = self.lines.iter().filter(|(_, line)| together(&line.kind)).map(|(_, line)| line.peer.name()).collect();
        let free = self.known.usable(cx.now).filter(|candidate| !candidate.heir && !linked.contains(&candidate.addr.name()));
        let free: Vec<&Candidate<A>> = free.collect();
        let near = cx.dice.chance(1, 2);
        let nearest = || free.iter().filter(|candidate| candidate.rtt_us.is_some()).min_by_key(|candidate| candidate.rtt_us).copied();
        let chosen = nearest().filter(|_| near).or_else(|| cx.dice.index(free.len()).map(|at| free[at]));
        let Some(addr) = chosen.map(|candidate| candidate.addr.clone()) else { return false };
        let status = self.status(cx.now);
        self.dial(&addr, Purpose::Supernode(status), cx, out);
        true
    }
}
