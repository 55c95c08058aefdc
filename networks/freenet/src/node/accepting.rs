//! Invitations that we make use of: by whom we are being invited, by which of his addresses, and who waits for the answer.

use hexad_core::{ConnId, Context, Failure, Level, Map, OpId, Span, Time};

use super::friends::FriendWords;
use super::{Node, Out, Timer, failed};
use crate::invitation::{Invitation, Token};
use crate::place::Place;
use crate::wire::{Decline, Message};

/// Invitations under way.
const ACCEPTING_MAX: usize = 8;
/// How long the answer may take, all addresses together.
const DEADLINE: Span = Span::from_secs(30);

/// A network of friends closes at once to strangers when nobody is invited, and does not say why.
const LEADS_NOWHERE: &str =
    "nobody at the addresses of the invitation lets us in: it may be used up or taken back, or whoever has given it is away";

/// One of them.
#[derive(Clone, Debug)]
pub struct Acceptance<A> {
    /// Who waits; nobody but our own join when absent.
    op: Option<OpId>,
    /// Addresses that have not been tried.
    left: Vec<A>,
    token: Token,
    until: Time,
}

/// All of them, by the keys of those who invite.
pub type Accepting<A> = Map<[u8; 32], Acceptance<A>>;

impl<A: Place> Node<A> {
    /// Whether somebody of that key is inviting us.
    pub(super) fn is_inviting_us(&self, key: &[u8; 32]) -> bool {
        self.accepting.contains_key(key)
    }

    /// Whether our join waits for the answer to an invitation.
    pub(super) fn is_being_invited(&self) -> bool {
        self.accepting.values().any(|acceptance| acceptance.op.is_none())
    }

    /// Whether a link to somebody opens with an invitation.
    pub(super) fn invitation_for(&self, addr: &A) -> Option<Token> {
        addr.key().and_then(|key| self.accepting.get(&key)).map(|acceptance| acceptance.token)
    }

    /// Makes use of an invitation, for a user or, without `op`, for our own join.
    pub(super) fn accept(&mut self, op: Option<OpId>, invitation: &Invitation, cx: &mut Context<'_>, out: &mut Out<A>) {
        let refuse = |node: &mut Self, failure: Failure, out: &mut Out<A>| match op {
            Some(op) => failed(op, failure, out),
            None => node.fail_join(failure, out),
        };
        let mut left: Vec<A> = invitation.endpoints().filter_map(|at| A::of_user(&at)).collect();
        left.reverse();
        let Some((first, key)) = left.last().and_then(|first| Some((first.clone(), first.key()?))) else {
            return refuse(self, Failure::Unusable("the invitation names nobody who is reached here".into()), out);
        };
        if Some(key) == self.config.0.identity {
            return refuse(self, Failure::Unusable("this is an invitation of our own: give it to somebody else".into()), out);
        }
        if cx.unix_s() >= invitation.until_s {
            return refuse(self, Failure::Refused(Decline::Expired.words().into()), out);
        }
        if self.friends.allow(&key) {
            self.connect(&first, cx, out);
            if let Some(op) = op {
                self.tell_friend(op, &first, out);
            }
            return;
        }
        if self.accepting.contains_key(&key) || self.accepting.len() >= ACCEPTING_MAX {
            return refuse(self, Failure::Full("invitations"), out);
        }
        let until = cx.now + DEADLINE;
        self.accepting.insert(key, Acceptance { op, left, token: invitation.token, until });
        out.wake(until, Timer::Accept);
        // Where there is a link, it will do.
        let open = self.links.open().find(|(addr, _)| addr.key() == Some(key)).map(|(addr, _)| addr.clone());
        match open {
            Some(addr) => {
                self.send(&addr, Message::Introduce(invitation.token), cx, out);
            }
            None => self.try_next_address(&key, cx, out),
        }
    }

    /// Dials whoever invites at the next address that he has named.
    fn try_next_address(&mut self, key: &[u8; 32], cx: &mut Context<'_>, out: &mut Out<A>) {
        loop {
            let Some(acceptance) = self.accepting.get_mut(key) else { return };
            let Some(addr) = acceptance.left.pop() else {
                return self.end_acceptance(key, Failure::NotFound(LEADS_NOWHERE.into()), out);
            };
            if self.connect(&addr, cx, out) {
                return;
            }
        }
    }

    /// A link over which we have shown an invitation, or were about to, is no more.
    pub(super) fn on_inviter_gone(&mut self, addr: &A, cx: &mut Context<'_>, out: &mut Out<A>) {
        if let Some(key) = addr.key().filter(|key| self.accepting.contains_key(key)) {
            self.try_next_address(&key, cx, out);
        }
    }

    /// We are welcome.
    pub(super) fn on_welcome(&mut self, conn: ConnId, from: &A, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(acceptance) = from.key().and_then(|key| self.accepting.remove(&key)) else {
            return out.note(Level::Drop, "welcome_unasked", Some(from.clone()), "");
        };
        if let Err(failure) = self.befriend(from.clone(), FriendWords::default()) {
            if let Some(op) = acceptance.op {
                failed(op, failure, out);
            }
            return self.let_go(from, "too many friends", out);
        }
        self.open_link(conn, from, out);
        self.on_friend_here(from, out);
        if let Some(op) = acceptance.op {
            self.tell_friend(op, from, out);
        } else {
            self.on_greeted(from, cx, out);
        }
    }

    /// We are not.
    pub(super) fn on_declined(&mut self, from: &A, why: Decline, out: &mut Out<A>) {
        let Some(key) = from.key().filter(|key| self.accepting.contains_key(key)) else {
            return out.note(Level::Drop, "declined_unasked", Some(from.clone()), "");
        };
        self.end_acceptance(&key, Failure::Refused(why.words().into()), out);
        if !self.may_know(from) || self.links.peer(from).is_some_and(|peer| !peer.is_open()) {
            self.let_go(from, "the invitation was declined", out);
        }
    }

    fn end_acceptance(&mut self, key: &[u8; 32], failure: Failure, out: &mut Out<A>) {
        match self.accepting.remove(key).map(|acceptance| acceptance.op) {
            Some(Some(op)) => failed(op, failure, out),
            Some(None) => self.fail_join(failure, out),
            None => {}
        }
    }

    pub(super) fn on_accept_timer(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        let late: Vec<[u8; 32]> = self.accepting.iter().filter(|(_, acceptance)| acceptance.until <= cx.now).map(|(key, _)| *key).collect();
        for key in late {
            self.end_acceptance(&key, Failure::TimedOut(DEADLINE.as_secs()), out);
            let silent = self.links.all().into_iter().filter(|addr| addr.key() == Some(key));
            for addr in silent.filter(|addr| self.links.peer(addr).is_some_and(|peer| !peer.is_open())).collect::<Vec<_>>() {
                self.let_go(&addr, "no answer to an invitation", out);
            }
        }
    }

    /// We leave: nobody answers any more.
    pub(super) fn fail_accepting(&mut self, out: &mut Out<A>) {
        for acceptance in std::mem::take(&mut self.accepting).into_values() {
            if let Some(op) = acceptance.op {
                failed(op, Failure::NotReady("left".into()), out);
            }
        }
    }

    /// A user no longer wants to know.
    pub(super) fn cancel_accepting(&mut self, op: OpId) {
        self.accepting.retain(|_, acceptance| acceptance.op != Some(op));
    }
}
