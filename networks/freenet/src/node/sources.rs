//! Where blocks have come from: whom to ask for keys like theirs (F12, F13), who is named for the source, and who has asked in vain.

use hexad_core::{Context, Level, Span};

use super::walks::{Kind, Phase, Walk, Whose};
use super::{Node, Out};
use crate::keys::NodeKey;
use crate::place::Place;
use crate::wire::{Found, Message, Walking};
impl<A: Place> Node<A> {
    /// A block has come back along the chain.
    pub(super) fn on_found(&mut self, from: &A, found: Found<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Found { uid, source, block } = found;
        let Some(walk) = self.answered(from, uid).filter(|walk| walk.phase == Phase::Walking && walk.kind != Kind::Probe) else {
            return out.note(Level::Drop, "unasked_block", Some(from.clone()), "");
        };
        if block.key != walk.key || !block.is_genuine() {
            self.strike(from, "forged_block", out);
            return self.next_after(from, uid, cx, out);
        }
        let kind = walk.kind;
        let Some(walk) = self.end(uid) else { return };
        if let Some(peer) = self.links.peer_mut(from) {
            peer.was_useful(cx.now);
        }
        let source = self.learn_source(&block.key, source.unwrap_or_else(|| from.clone()), kind == Kind::Request, cx, out);
        let passed_on = matches!(walk.whose, Whose::Peer(_) | Whose::Wanting);
        if self.config.0.stores_everywhere || (passed_on && walk.htl <= self.config.0.htl_max.saturating_sub(2)) {
            self.keep(&block, !self.config.0.stores_everywhere, None, out);
        }
        self.offer(&block.key, cx, out);
        self.give(uid, walk.whose, source, block, cx, out);
    }

    /// Remembers whom to ask for keys like this one; returns whom to name to the next.
    pub(super) fn learn_source(&mut self, key: &NodeKey, source: A, fold: bool, cx: &mut Context<'_>, out: &mut Out<A>) -> Option<A> {
        let mut named = source.clone();
        if self.may_know(&source) {
            self.table.learn(key.location(), source.clone());
            let wanted = self.config.0.peers_wanted;
            // Path folding: the first on the way that wants another neighbour takes the source for one, and stands in for it from there on.
            if fold && self.links.peer(&source).is_none() && self.links.len() < wanted && self.connect(&source, cx, out) {
                named = self.addr.clone()?;
            }
        }
        let (chance, of) = self.config.0.replace_source;
        // Nobody is told of friends, nor is anybody in a network of friends told of others.
        if cx.dice.chance(chance, of) || self.is_darknet() || self.friends.are_at(&named) {
            return self.addr.clone();
        }
        Some(named)
    }

    /// Tells those who have asked for a key in vain that it is here.
    pub(super) fn offer(&mut self, key: &NodeKey, cx: &mut Context<'_>, out: &mut Out<A>) {
        if !self.store.holds(key) {
            return;
        }
        for addr in self.failures.found(key, cx.now) {
            if self.links.peer(&addr).is_some() {
                self.send(&addr, Message::Offer(Box::new(*key)), cx, out);
            }
        }
    }

    /// A neighbour has what we asked for in vain: it is fetched for those who asked us.
    pub(super) fn on_offer(&mut self, from: &A, key: NodeKey, cx: &mut Context<'_>, out: &mut Out<A>) {
        if !self.failures.knows(&key) || self.store.holds(&key) || self.is_overloaded(from) {
            return;
        }
        let uid = cx.dice.bits();
        self.seen.add(uid, self.config.0.seen_max);
        let walk = Walk {
            kind: Kind::Request,
            key,
            // Far from the most, so that it is kept; and nobody but who has offered it is asked.
            htl: 1,
            whose: Whose::Wanting,
            tried: Vec::new(),
            asked: Some(from.clone()),
            turn: 1,
            accepted: true,
            phase: Phase::Walking,
            fallback: None,
            block: None,
            kept: false,
            writing: 0,
            stored: false,
            loops: usize::MAX / 2,
            until: cx.now,
            failed: None,
        };
        self.walks.insert(uid, walk);
        self.takes(uid, Span::from_secs(20), cx, out);
        self.send(from, Message::Request(Box::new(Walking { uid, htl: 0, key })), cx, out);
    }
}
