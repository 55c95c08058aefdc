//! Whether somebody can be reached: his supernode asks a third node to open a connection to him and to say whether that worked.

use hexad_core::{ConnId, Context, Level, Span, Time};

use super::lines::Kind;
use super::{Node, Out, close};
use crate::place::Place;
use crate::wire::{Card, Message, Purpose};

/// Leaves that are tested at one tick.
const TESTS_EACH: usize = 4;
/// Tests of one leaf before it counts as one that cannot be reached, where nobody has an answer.
const TESTS_MAX: u8 = 5;
/// A leaf that could not be reached is tried again after so long.
const AGAIN: Span = Span::from_secs(600);
/// A leaf that would be no supernode is tested after so long, or as soon as it matters.
const UNWILLING_AFTER: Span = Span::from_secs(600);
/// A test without an answer is made again after so long.
const PATIENCE: Span = Span::from_secs(15);
/// Calls that we make for others at a time.
const CALLS_MAX: usize = 32;

impl<A: Place> Node<A> {
    /// Has some leaves tested of which it is not known whether they can be reached.
    pub(super) fn test_leaves(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        let due: Vec<ConnId> = self
            .lines
            .iter()
            .filter(|(_, line)| matches!(&line.kind, Kind::Leaf(leaf) if leaf.tested != Some(true) && leaf.tests < TESTS_MAX && leaf.test_at <= cx.now))
            .map(|(conn, _)| conn)
            .take(TESTS_EACH)
            .collect();
        if due.is_empty() {
            return;
        }
        let callers = self.lines.of(|kind| matches!(kind, Kind::Peer(_) | Kind::Leaf(_)));
        for conn in due {
            let Some(peer) = self.lines.get(conn).map(|line| line.peer.clone()) else { continue };
            let others: Vec<ConnId> = callers.iter().copied().filter(|other| *other != conn).collect();
            let Some(caller) = cx.dice.index(others.len()).map(|at| others[at]) else { return };
            let nonce = cx.dice.bits();
            let Some(leaf) = self.lines.leaf_mut(conn) else { continue };
            leaf.tests += 1;
            leaf.test_at = cx.now + PATIENCE;
            if self.pushing.test(nonce, conn, cx.now) {
                out.send_to(caller, Message::CallBack(peer, nonce));
            }
        }
    }

    /// When a leaf that comes with that card is tested first. Who would be a supernode, at once: heirs are chosen by it.
    pub(super) fn first_test(card: Card, now: Time) -> Time {
        if card.willing { now } else { now + UNWILLING_AFTER }
    }

    /// A leaf looks for something, or is named to somebody who does: it will dial or be dialled, so it matters whether it can be reached.
    pub(super) fn test_soon(&mut self, conn: ConnId, now: Time) {
        if let Some(leaf) = self.lines.leaf_mut(conn)
            && leaf.tests == 0
        {
            leaf.test_at = leaf.test_at.min(now);
        }
    }

    /// Somebody to whom we are linked asks us to see whether a node can be reached.
    pub(super) fn call_back(&mut self, conn: ConnId, who: &A, nonce: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        // Over a connection that is there already everybody is reached: such a call proves nothing.
        let acquainted = self.lines.has(&who.name(), |_| true) || self.home.has_asked(&who.name(), cx.now);
        let calls = self.lines.count(|kind| matches!(kind, Kind::Calling(..) | Kind::Opening(Purpose::CallBack(_))));
        if acquainted || calls >= CALLS_MAX || !who.fits(self.config.0.identity.is_some()) {
            return out.note(Level::Debug, "call_refused", Some(who.clone()), "");
        }
        if self.pushing.calls(nonce, conn, cx.now) {
            self.dial(who, Purpose::CallBack(nonce), cx, out);
        }
    }

    /// Whom we called has heard us.
    pub(super) fn on_heard(&mut self, conn: ConnId, fresh: bool, _: &mut Context<'_>, out: &mut Out<A>) {
        let Some(line) = self.lines.remove(conn) else { return };
        close(conn, "called", out);
        let Kind::Calling(nonce, asked_by) = line.kind else { return };
        if fresh {
            self.tell_called(nonce, asked_by, true, out);
        }
    }

    pub(super) fn tell_called(&mut self, nonce: u64, asked_by: ConnId, reached: bool, out: &mut Out<A>) {
        self.pushing.called(nonce);
        let linked = |kind: &Kind<A>| matches!(kind, Kind::Parent(_) | Kind::Peer(_) | Kind::Leaf(_));
        if self.lines.get(asked_by).is_some_and(|line| linked(&line.kind)) {
            out.send_to(asked_by, Message::Called(nonce, reached));
        }
    }

    /// A third node says whether it has reached a leaf of ours.
    pub(super) fn on_called(&mut self, _: ConnId, nonce: u64, reached: bool, out: &mut Out<A>) {
        let Some(conn) = self.pushing.tested(nonce) else { return };
        let Some(name) = self.lines.get(conn).map(|line| line.peer.name()) else { return };
        let Some(leaf) = self.lines.leaf_mut(conn) else { return };
        if leaf.tested == Some(true) {
            return;
        }
        leaf.tested = Some(reached);
        if !reached {
            leaf.test_at = leaf.test_at + AGAIN;
        }
        if let Some(index) = &mut self.index {
            index.tested(&name, reached);
        }
        out.send_to(conn, Message::Tested(reached));
    }
}
