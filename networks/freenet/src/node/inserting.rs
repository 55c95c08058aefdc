//! The second half of an insert: its path is found, the data goes down it, and everybody on it says whether it is stored.
//!
//! *Inserted* means that somebody has the block on his disk: whoever passed it on waits for whom he gave it to and for his own disk, and keeps the
//! block in memory until then. Where nobody further on has stored it, he stores it himself, as does the last on any path.

use hexad_core::{Answer, Ask, Context, Level, Payload, Span};

use super::store::Shelf;
use super::walks::{Kind, Miss, Outcome, Phase, Walk, Whose};
use super::{Node, Out, Pending};
use crate::keys::{Block, NodeKey};
use crate::place::Place;
use crate::wire::{Found, Message};

/// A disk that has not said by then that a block is on it is not believed to have it.
const DISK_DEADLINE: Span = Span::from_secs(30);

impl<A: Place> Node<A> {
    pub(super) fn on_all_clear(&mut self, from: &A, uid: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let expected = |walk: &&mut Walk<A>| walk.phase == Phase::Walking && walk.kind == Kind::Insert;
        if self.answered(from, uid).filter(expected).is_none() {
            return;
        }
        self.clear(uid, cx, out);
    }

    /// The path is found: ours is sent down it, others are told.
    pub(super) fn clear(&mut self, uid: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(walk) = self.walks.get_mut(&uid) else { return };
        walk.phase = Phase::Clear;
        match walk.whose.clone() {
            Whose::Peer(to) => {
                self.takes_time(uid, cx, out);
                self.send(&to, Message::AllClear(uid), cx, out);
            }
            _ => self.pass(uid, cx, out),
        }
    }

    /// Ours: sends the data down the path that was found.
    pub(super) fn pass(&mut self, uid: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(walk) = self.walks.get_mut(&uid) else { return };
        let Some(block) = walk.block.clone() else { return };
        let to = walk.asked.clone().or_else(|| walk.fallback.clone());
        if self.config.0.stores_everywhere {
            self.keep(&block, false, Some(uid), out);
        }
        self.pass_to(uid, to, block, None, cx, out);
    }

    fn pass_to(&mut self, uid: u64, to: Option<A>, block: Block, source: Option<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        if let Some(walk) = self.walks.get_mut(&uid) {
            walk.phase = Phase::Passing;
            walk.asked.clone_from(&to);
        }
        self.takes_time(uid, cx, out);
        let source = source.or_else(|| self.addr.clone());
        let sent = to.is_some_and(|to| self.send(&to, Message::InsertData(Box::new(Found { uid, source, block })), cx, out));
        if !sent {
            self.on_not_stored(uid, cx, out);
        }
    }

    /// The data of an insert has come.
    pub(super) fn on_insert_data(&mut self, from: &A, found: Found<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Found { uid, source, block } = found;
        let expected = |walk: &&mut Walk<A>| {
            walk.kind == Kind::Insert && walk.whose == Whose::Peer(from.clone()) && matches!(walk.phase, Phase::Clear | Phase::Parked)
        };
        let Some(walk) = self.walks.get_mut(&uid).filter(expected) else {
            return out.note(Level::Drop, "unasked_block", Some(from.clone()), "");
        };
        let (key, htl) = (walk.key, walk.htl);
        let to = walk.asked.clone().or_else(|| walk.fallback.clone());
        if block.key != key || !block.is_genuine() {
            self.end(uid);
            return self.strike(from, "forged_block", out);
        }
        walk.block = Some(block.clone());
        let source = self.learn_source(&key, source.unwrap_or_else(|| from.clone()), false, cx, out);
        let everywhere = self.config.0.stores_everywhere;
        if everywhere || (to.is_some() && htl <= self.config.0.htl_max.saturating_sub(3)) {
            self.keep(&block, !everywhere, Some(uid), out);
        }
        self.pass_to(uid, to, block, source, cx, out);
        self.offer(&key, cx, out);
    }

    pub(super) fn on_inserted(&mut self, from: &A, uid: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(walk) = self.answered(from, uid).filter(|walk| walk.phase == Phase::Passing) else { return };
        walk.stored = true;
        if let Some(peer) = self.links.peer_mut(from) {
            peer.was_useful(cx.now);
        }
        self.end_insert(uid, cx, out);
    }

    /// Nobody further on has stored it, or there is nobody. Ours is not kept here: that would say whose it is.
    pub(super) fn on_not_stored(&mut self, uid: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(walk) = self.walks.get_mut(&uid) else { return };
        walk.asked = None;
        if matches!(walk.whose, Whose::Peer(_))
            && !walk.kept
            && let Some(block) = walk.block.clone()
        {
            self.keep(&block, false, Some(uid), out);
        }
        self.end_insert(uid, cx, out);
    }

    /// The disk has answered a write of an insert.
    pub(super) fn on_written(&mut self, uid: u64, key: &NodeKey, answer: &Answer, cx: &mut Context<'_>, out: &mut Out<A>) {
        if let Answer::Failed(why) = answer {
            out.note(Level::Warn, "store_failed", None, why.to_string());
            self.store.drop_bad(key);
            self.flush(out);
        }
        let Some(walk) = self.walks.get_mut(&uid) else { return };
        walk.kept &= *answer == Answer::Stored;
        walk.writing = walk.writing.saturating_sub(1);
        if walk.phase == Phase::Writing {
            self.end_insert(uid, cx, out);
        }
    }

    /// The disk has not answered in time. It may yet do what it was asked, but nobody is told so.
    pub(super) fn on_disk_silent(&mut self, uid: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        if let Some(walk) = self.walks.get_mut(&uid) {
            (walk.kept, walk.writing) = (false, 0);
        }
        self.end_insert(uid, cx, out);
    }

    /// Says how it went, once the disk has said all it has to.
    fn end_insert(&mut self, uid: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(walk) = self.walks.get_mut(&uid) else { return };
        if walk.writing > 0 {
            walk.phase = Phase::Writing;
            return self.takes(uid, DISK_DEADLINE, cx, out);
        }
        let Some(walk) = self.end(uid) else { return };
        match walk.whose {
            Whose::Peer(from) => {
                let told = if walk.kept || walk.stored { Message::Inserted(uid) } else { Message::RouteNotFound(uid, 0) };
                self.send(&from, told, cx, out);
            }
            ours if walk.stored => self.tell(ours, Outcome::Stored),
            ours => self.tell(ours, Outcome::Missed(Miss::RouteNotFound)),
        }
    }

    /// Puts a block where it belongs: on the store's shelf if nobody we know is nearer to it, else in the cache. An insert waits for the disk.
    pub(super) fn keep(&mut self, block: &Block, by_place: bool, insert: Option<u64>, out: &mut Out<A>) {
        if self.store.holds(&block.key) {
            return self.is_kept(insert, 0);
        }
        if self.is_host_behind() {
            // The disk does not keep up; others on the path store as well.
            return out.note(Level::Drop, "store_behind", None, "");
        }
        let key = block.key.location();
        let ours = self.location.map_or(u64::MAX, |location| location.distance(key));
        let nearer = |peer: &super::links::Peer<A>| peer.location.is_some_and(|location| location.distance(key) < ours);
        let sink = !by_place || !self.links.open().any(|(_, peer)| nearer(peer));
        let mut writes = self.store.put(if sink { Shelf::Store } else { Shelf::Cache }, block);
        if !self.store.holds(&block.key) {
            // A shelf of no size.
            return;
        }
        writes.extend(self.store.flush());
        self.is_kept(insert, writes.len());
        for (bucket, at, bytes) in writes {
            let about = insert.map_or(Pending::Write, |uid| Pending::Insert(uid, block.key));
            self.ask(about, Ask::Store(bucket, at, Payload::Bytes(bytes)), out);
        }
    }

    fn is_kept(&mut self, insert: Option<u64>, writes: usize) {
        if let Some(walk) = insert.and_then(|uid| self.walks.get_mut(&uid)) {
            walk.kept = true;
            walk.writing += writes;
        }
    }
}
