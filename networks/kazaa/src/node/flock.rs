//! The leaves of a supernode: taken in, heard out, lost.

use hexad_core::{ConnId, Context, Level, Time};

use super::bucket::Bucket;
use super::index::GRACE_MAX;
use super::lines::{Kind, Leaf};
use super::{Node, Out, Role, close};
use crate::place::Place;
use crate::wire::{Batch, Card, Entry, Message, Reason};

/// Supernodes that are named to a newcomer.
const NAMED: usize = 50;
/// Records of one batch that are refused and named.
const REFUSED_NAMED_MAX: usize = 256;

impl<A: Place> Node<A> {
    /// Somebody wants to be our leaf.
    pub(super) fn on_leaf_hello(&mut self, conn: ConnId, peer: &A, card: Card, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.role == Role::Leaf {
            if !self.is_orphan() {
                return self.refuse(conn, Reason::NotSupernode, cx, out);
            }
            self.become_supernode(cx, out);
        }
        let name = peer.name();
        // Who has come again has lost the connection before; its records are its own still.
        if let Some(before) = self.lines.leaf_named(&name) {
            self.lines.remove(before);
            close(before, "came again", out);
        } else if self.lines.leaves() >= self.config.0.leaves_max || self.home.demoting {
            self.pressed = true;
            out.note(Level::Debug, "full", Some(peer.clone()), "");
            return self.refuse(conn, Reason::Full, cx, out);
        }
        let Some(index) = &mut self.index else { return };
        if !index.admit(peer, true) {
            out.note(Level::Drop, "index_full", Some(peer.clone()), "");
            return self.refuse(conn, Reason::Full, cx, out);
        }
        // Another supernode that has become a leaf, or will.
        let link = self.lines.iter().find(|(_, line)| matches!(line.kind, Kind::Peer(_)) && line.peer.name() == name).map(|(conn, _)| conn);
        if let Some(link) = link {
            self.drop_line(link, "became our leaf", cx, out);
        }
        let leaf = Leaf {
            card,
            tested: None,
            tests: 0,
            test_at: Self::first_test(card, cx.now),
            promote_at: Time::ZERO,
            bucket: Bucket::full(self.config.0.queries_burst, cx.now),
        };
        self.lines.begin(conn, Kind::Leaf(Box::new(leaf)), cx.now);
        let others = self.known.free(NAMED, cx.now, cx);
        let status = self.status(cx.now);
        out.send_to(conn, Message::Welcome(peer.clone(), status, others));
    }

    /// What a leaf of ours says.
    pub(super) fn on_leaf(&mut self, conn: ConnId, peer: &A, message: Message<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let name = peer.name();
        match message {
            Message::Ping(nonce) => {
                let status = self.status(cx.now);
                // A few each time: what a leaf knows stays fresh without being asked for.
                let mut others = self.known.few(2, cx.now, cx);
                let heirs = (0..).zip(&self.heirs);
                others.extend(heirs.map(|(load, heir)| Entry { addr: heir.clone(), load, age_min: 0, heir: true }));
                out.send_to(conn, Message::Pong(nonce, status, others));
            }
            Message::AskList => {
                let others = self.known.list(crate::wire::LIST_MAX, false, cx.now, cx);
                out.send_to(conn, Message::List(others));
            }
            Message::Begin(count, sum) => {
                let (per_s, burst) = (self.config.0.queries_per_s, self.config.0.queries_burst);
                // Reckoning over ten thousand records is not for nothing.
                if !self.lines.leaf_mut(conn).is_some_and(|leaf| leaf.bucket.take(per_s, burst, cx.now)) {
                    return out.note(Level::Drop, "query_flood", Some(peer.clone()), "");
                }
                let known = self.index.as_mut().is_some_and(|index| index.begin(&name, count, &sum));
                out.send_to(conn, Message::Resume(known));
            }
            Message::Publish(batch) => self.on_batch(conn, peer, *batch, cx, out),
            Message::End => {
                if let Some(index) = &mut self.index {
                    index.end(&name);
                }
            }
            Message::Withdraw(numbers) => {
                if let Some(index) = &mut self.index {
                    index.withdraw(&name, &numbers);
                }
            }
            Message::Query(flood) => self.on_query(conn, peer, *flood, true, cx, out),
            Message::QueryStop(id) => self.on_query_stop(conn, &id, out),
            Message::Leave(_) => {
                self.lines.remove(conn);
                close(conn, "it leaves", out);
                self.floods_of(conn, out);
                if let Some(index) = &mut self.index {
                    index.remove(&name);
                }
            }
            Message::Promoted(yes) => self.on_promoted(conn, peer, yes, cx, out),
            Message::CallBack(who, nonce) => self.call_back(conn, &who, nonce, cx, out),
            Message::Called(nonce, reached) => self.on_called(conn, nonce, reached, out),
            Message::Tested(_) => {}
            other => self.unexpected(peer, &other, out),
        }
    }

    /// Signed records of a leaf.
    fn on_batch(&mut self, conn: ConnId, peer: &A, batch: Batch, cx: &mut Context<'_>, out: &mut Out<A>) {
        if !peer.has_signed(&batch.signed_bytes(), &batch.signature) {
            out.note(Level::Ban, "forged_batch", Some(peer.clone()), "the records are not signed by who sends them");
            return self.drop_line(conn, "forges records", cx, out);
        }
        let Some(index) = &mut self.index else { return };
        let name = peer.name();
        let mut refused = Vec::new();
        for record in batch.records {
            let number = record.number;
            if let Err(why) = index.add(&name, record) {
                out.note(Level::Drop, "record_refused", Some(peer.clone()), why.to_string());
                if refused.len() < REFUSED_NAMED_MAX {
                    refused.push(number);
                }
            }
        }
        out.send_to(conn, Message::Published(batch.sequence, refused));
    }

    /// The connection to a leaf is lost; what it offers is kept for a while, what it has asked is not looked for any more.
    pub(super) fn on_leaf_lost(&mut self, conn: ConnId, name: &A::Name, cx: &mut Context<'_>, out: &mut Out<A>) {
        self.floods_of(conn, out);
        if let Some(index) = &mut self.index {
            index.lose(name, cx.now + self.config.0.grace.min(GRACE_MAX));
        }
    }

    pub(super) fn look_after_flock(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        if let Some(index) = &mut self.index {
            index.sweep(cx.now);
        }
        self.heirs = self.succession(cx.now);
        self.test_leaves(cx, out);
    }
}
