//! Becoming a member (F6): a few known nodes, and an id that the newcomer and all whom its announcement visits choose together.
//!
//! Each of them commits to a random share before it sees anybody else's; the exclusive-or of all shares is the id, so that it is nobody's choice
//! as long as one of them is honest.

use hexad_core::{Answer, Ask, Bind, Context, Endpoint, Failure, Level, Map, OpId, Output, Payload, Progress, Span, Time};

use super::friends::FRIENDS;
use super::inviting::INVITATIONS;
use super::store::{INDEX, Shelf, page_key};
use super::{Node, Out, Pending, Timer, doors, failed};
use crate::keys::{Location, sha256};
use crate::place::Place;
use crate::wire::{Announce, Message, Reveal, SHARES_MAX, Settle};

/// A join that is not in effect by then has failed.
const JOIN_DEADLINE: Span = Span::from_secs(60);
/// Between two attempts.
const AGAIN: Span = Span::from_secs(6);
/// An announcement is forgotten after so long.
const ANNOUNCE_DEADLINE: Span = Span::from_secs(30);
/// Announcements of others under way.
const ANNOUNCES_MAX: usize = 64;
/// Bucket of what a node knows of itself.
pub(super) const SELF: &str = "freenet-node";

/// A join that is not yet in effect.
#[derive(Clone, Debug)]
pub struct Joining {
    op: OpId,
    at: usize,
    deadline: Time,
    /// Our share of the id, and the name of our announcement.
    share: [u8; 32],
    uid: u64,
    /// Shelf and number of the page of the index that is being read.
    loading: (usize, u32),
    ready: bool,
    /// When we last announced ourselves.
    announced: Option<Time>,
}

/// Somebody's announcement that we have passed on.
#[derive(Clone, Debug)]
pub struct Announcement<A> {
    from: A,
    next: Option<A>,
    who: A,
    share: [u8; 32],
    /// All commits up to ours.
    commits: Vec<[u8; 32]>,
}

/// All that are under way.
pub type Announcements<A> = Map<u64, Announcement<A>>;

/// What is read from the disk before anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// Our id.
    Id,
    /// Friends.
    Friends,
    /// Invitations that we have given.
    Invitations,
    /// What salts the names of the store.
    Salt,
    /// A page of its index.
    Page,
}

fn together(shares: &[[u8; 32]]) -> [u8; 32] {
    shares.iter().fold([0; 32], |sum, share| std::array::from_fn(|at| sum[at] ^ share[at]))
}

fn place_of(id: &[u8; 32]) -> Location {
    let mut high = [0; 8];
    high.copy_from_slice(&id[..8]);
    Location(u64::from_be_bytes(high))
}

impl<A: Place> Node<A> {
    pub(super) fn start_join(&mut self, op: OpId, bootstrap: &[Endpoint], cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.member.is_some() || self.joining.is_some() {
            return failed(op, Failure::NotReady("already joined, or joining".into()), out);
        }
        self.bootstrap = bootstrap.iter().filter_map(A::of_user).collect();
        if self.bootstrap.is_empty() && !bootstrap.is_empty() {
            let wants = "expected addresses with a public key, as KEY@IP:PORT";
            return failed(op, Failure::Unusable(format!("{wants}, came {}", bootstrap[0])), out);
        }
        let (share, uid) = (cx.dice.bytes(), cx.dice.bits());
        self.joining =
            Some(Joining { op, at: 0, deadline: cx.now + JOIN_DEADLINE, share, uid, loading: (0, 0), ready: false, announced: None });
        if let Some(listen) = self.config.0.listen {
            out.push(Output::Listen(doors::NETWORK, Bind::Quic(listen)));
        } else {
            self.load(cx, out);
        }
        out.wake(cx.now + JOIN_DEADLINE, Timer::Join);
    }

    pub(super) fn on_bound(&mut self, bound: Result<std::net::SocketAddr, String>, cx: &mut Context<'_>, out: &mut Out<A>) {
        match bound {
            Err(why) => {
                if let Some(joining) = self.joining.take() {
                    failed(joining.op, Failure::Host(why), out);
                }
            }
            Ok(socket) => {
                if self.addr.is_none() {
                    self.addr = A::own(self.config.0.identity, socket);
                }
                if self.joining.is_some() {
                    self.load(cx, out);
                }
            }
        }
    }

    /// Reads what earlier processes have left.
    fn load(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.config.0.on_disk {
            self.ask(Pending::Own(Own::Id), Ask::Load(SELF, b"id".to_vec()), out);
        } else {
            self.ready(cx, out);
        }
    }

    pub(super) fn on_own(&mut self, own: Own, answer: Answer, cx: &mut Context<'_>, out: &mut Out<A>) {
        let bytes = match answer {
            Answer::Loaded(Some(Payload::Bytes(bytes))) => Some(bytes),
            Answer::Failed(why) => {
                out.note(Level::Warn, "state_failed", None, why.to_string());
                None
            }
            _ => None,
        };
        let Some(joining) = &mut self.joining else { return };
        match own {
            Own::Id => {
                if let Some(id) = bytes.and_then(|bytes| <[u8; 32]>::try_from(&bytes[..]).ok()) {
                    self.location = Some(place_of(&id));
                }
                self.ask(Pending::Own(Own::Friends), Ask::Load(SELF, FRIENDS.to_vec()), out);
            }
            Own::Friends => {
                if let Some(bytes) = bytes {
                    self.on_friends_loaded(&bytes, out);
                }
                self.ask(Pending::Own(Own::Invitations), Ask::Load(SELF, INVITATIONS.to_vec()), out);
            }
            Own::Invitations => {
                if let Some(bytes) = bytes {
                    self.on_invitations_loaded(&bytes, out);
                }
                self.ask(Pending::Own(Own::Salt), Ask::Load(INDEX, b"salt".to_vec()), out);
            }
            Own::Salt => {
                if let Some(salt) = bytes.and_then(|bytes| <[u8; 32]>::try_from(&bytes[..]).ok()) {
                    self.store.set_salt(salt);
                    self.ask(Pending::Own(Own::Page), Ask::Load(INDEX, page_key(0, 0)), out);
                } else {
                    let salt: [u8; 32] = cx.dice.bytes();
                    self.store.set_salt(salt);
                    self.write(vec![(INDEX, b"salt".to_vec(), bytes::Bytes::copy_from_slice(&salt))], out);
                    self.ready(cx, out);
                }
            }
            Own::Page => {
                let (shelf, page) = joining.loading;
                let which = if shelf == 0 { Shelf::Store } else { Shelf::Cache };
                let more = bytes.is_some() && page + 1 < self.store.pages(which);
                if let Some(bytes) = bytes {
                    self.store.load_page(which, &bytes);
                }
                let next = if more { (shelf, page + 1) } else { (shelf + 1, 0) };
                if next.0 > 1 {
                    return self.ready(cx, out);
                }
                if let Some(joining) = &mut self.joining {
                    joining.loading = next;
                }
                self.ask(Pending::Own(Own::Page), Ask::Load(INDEX, page_key(next.0, next.1)), out);
            }
        }
    }

    /// Everything of ours is there: out into the network.
    fn ready(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(joining) = &mut self.joining else { return };
        joining.ready = true;
        self.use_invitation(cx, out);
        if self.joining.is_none() {
            return;
        }
        self.meet_friends(cx, out);
        if self.bootstrap.is_empty() {
            self.bootstrap = self.friends.to_meet();
        }
        if self.is_darknet() && self.location.is_some() && self.accepting.is_empty() {
            // Whoever has friends and a place is a member, whoever of them is there at the moment.
            for addr in self.bootstrap.clone() {
                self.connect(&addr, cx, out);
            }
            return self.joined(cx, out);
        }
        if self.bootstrap.is_empty() {
            // The founder has nobody to choose with.
            if self.location.is_none() {
                self.take_place(cx.dice.bytes(), out);
            }
            return self.joined(cx, out);
        }
        self.try_next(cx, out);
    }

    /// Shows the invitation with which we were told to join.
    fn use_invitation(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(invitation) = self.config.0.invitation.clone() else { return };
        // Whoever names others as well does not mean a network of friends.
        let is_alone = self.bootstrap.iter().all(|addr| addr.key() == Some(invitation.key));
        // It is written down with the first friend, and forgotten where nobody becomes one.
        self.friends.is_darknet |= invitation.is_darknet && is_alone;
        if self.bootstrap.is_empty() {
            self.bootstrap = invitation.endpoints().filter_map(|at| A::of_user(&at)).collect();
        }
        self.accept(None, &invitation, cx, out);
    }

    /// The join has failed.
    pub(super) fn fail_join(&mut self, failure: Failure, out: &mut Out<A>) {
        if let Some(joining) = self.joining.take() {
            self.fail_accepting(out);
            self.friends.forget_darknet();
            failed(joining.op, failure, out);
        }
    }

    fn try_next(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(joining) = &mut self.joining else { return };
        let known = self.bootstrap.clone();
        let wanted = self.config.0.peers_wanted.max(1);
        let first = joining.at;
        joining.at = (joining.at + 1) % known.len().max(1);
        for turn in 0..known.len().min(wanted) {
            self.connect(&known[(first + turn) % known.len()], cx, out);
        }
        if self.config.0.dials_the_table {
            // Links have no greetings there.
            self.announce(&known[first % known.len()], cx, out);
        }
        out.wake(cx.now + AGAIN, Timer::Join);
    }

    pub(super) fn on_join_timer(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(joining) = &self.joining else { return };
        if cx.now >= joining.deadline {
            let op = joining.op;
            self.joining = None;
            return failed(op, Failure::TimedOut(JOIN_DEADLINE.as_secs()), out);
        }
        if joining.ready {
            let greeted = self.links.open().find(|(_, peer)| peer.location.is_some()).map(|(addr, _)| addr.clone());
            match greeted {
                Some(addr) => {
                    self.on_greeted(&addr, cx, out);
                    out.wake(cx.now + AGAIN, Timer::Join);
                }
                None => self.try_next(cx, out),
            }
        }
    }

    /// A neighbour has greeted us.
    pub(super) fn on_greeted(&mut self, from: &A, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(joining) = &self.joining else { return };
        let member = self.links.peer(from).is_some_and(|peer| peer.location.is_some());
        if !joining.ready || !member || self.is_being_invited() {
            return;
        }
        if self.location.is_some() {
            return self.joined(cx, out);
        }
        // One announcement at a time: the clock brings the next one where this has come to nothing.
        if joining.announced.is_none_or(|at| cx.now.since(at) >= AGAIN) {
            self.announce(from, cx, out);
        }
    }

    fn announce(&mut self, to: &A, cx: &mut Context<'_>, out: &mut Out<A>) {
        let (Some(joining), Some(who)) = (&mut self.joining, self.addr.clone()) else { return };
        // Another attempt is another announcement: the old one may have been lost on its way.
        joining.uid = cx.dice.bits();
        joining.announced = Some(cx.now);
        let announce = Announce { uid: joining.uid, htl: self.config.0.announce_htl, who, commits: vec![sha256(&[&joining.share])] };
        self.send(to, Message::Announce(Box::new(announce)), cx, out);
    }

    /// Somebody's announcement is to be brought on.
    pub(super) fn on_announce(&mut self, from: &A, announce: Announce<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Announce { uid, htl, who, mut commits } = announce;
        let first = commits.len() == 1;
        if commits.is_empty() || commits.len() + 1 >= SHARES_MAX || (first && who != *from) {
            return out.note(Level::Drop, "announce_refused", Some(from.clone()), "");
        }
        let unable = self.location.is_none() || self.announces.len() >= ANNOUNCES_MAX;
        if unable || !self.seen.add(uid, self.config.0.seen_max) {
            // It has been here, or we are none to ask: it ends with whoever has sent it.
            self.send(from, Message::Reveal(Box::new(Reveal { uid, shares: Vec::new(), members: Vec::new() })), cx, out);
            return;
        }
        let share: [u8; 32] = cx.dice.bytes();
        commits.push(sha256(&[&share]));
        let htl = htl.min(self.config.0.announce_htl).saturating_sub(1);
        let next = if htl == 0 { None } else { self.random_peer(&[from, &who], cx) };
        let announcement = Announcement { from: from.clone(), next: next.clone(), who: who.clone(), share, commits: commits.clone() };
        self.announces.insert(uid, announcement);
        out.wake(cx.now + ANNOUNCE_DEADLINE, Timer::Announce(uid));
        let message = Message::Announce(Box::new(Announce { uid, htl, who, commits }));
        if next.is_none_or(|next| !self.send(&next, message, cx, out)) {
            if let Some(announcement) = self.announces.get_mut(&uid) {
                announcement.next = None;
            }
            self.reveal(uid, Vec::new(), Vec::new(), cx, out);
        }
    }

    fn random_peer(&self, but: &[&A], cx: &mut Context<'_>) -> Option<A> {
        let fits = |addr: &&A| !but.contains(addr) && self.addr.as_ref() != Some(*addr);
        let all: Vec<&A> = if self.config.0.dials_the_table {
            self.table.iter().map(|(_, addr)| addr).filter(fits).collect()
        } else if self.is_darknet() {
            Vec::new()
        } else {
            self.links.open().map(|(addr, _)| addr).filter(fits).collect()
        };
        cx.dice.index(all.len()).map(|at| all[at].clone())
    }

    /// Shows our share to the one before us, behind those from further on.
    fn reveal(&mut self, uid: u64, mut shares: Vec<[u8; 32]>, mut members: Vec<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(announcement) = self.announces.get(&uid) else { return };
        shares.push(announcement.share);
        let from = announcement.from.clone();
        if let Some(addr) = self.addr.clone()
            && !self.is_darknet()
            && members.len() < SHARES_MAX
        {
            members.push(addr);
        }
        self.send(&from, Message::Reveal(Box::new(Reveal { uid, shares, members })), cx, out);
    }

    pub(super) fn on_reveal(&mut self, from: &A, reveal: Reveal<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Reveal { uid, shares, members } = reveal;
        if let Some(announcement) = self.announces.get(&uid) {
            if announcement.next.as_ref() != Some(from) || shares.len() + announcement.commits.len() > SHARES_MAX {
                return out.note(Level::Drop, "reveal_refused", Some(from.clone()), "");
            }
            return self.reveal(uid, shares, members, cx, out);
        }
        let Some(joining) = self.joining.as_ref().filter(|joining| joining.uid == uid && !shares.is_empty()) else {
            return out.note(Level::Drop, "reveal_refused", Some(from.clone()), "");
        };
        let mut all = vec![joining.share];
        all.extend(shares.iter().rev());
        let id = together(&all);
        self.send(from, Message::Settle(Box::new(Settle { uid, shares: all })), cx, out);
        self.take_place(id, out);
        for member in members {
            if self.config.0.dials_the_table {
                self.table.learn(Location(cx.dice.bits()), member);
            } else if self.links.len() < self.config.0.peers_wanted {
                self.connect(&member, cx, out);
            }
        }
        if self.config.0.dials_the_table {
            self.table.learn(Location(cx.dice.bits()), from.clone());
        }
        self.joined(cx, out);
    }

    /// All shares are shown: whoever has seen commits holds them against these.
    pub(super) fn on_settle(&mut self, from: &A, settle: Settle, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Settle { uid, shares } = settle;
        let Some(announcement) = self.announces.get(&uid).filter(|announcement| announcement.from == *from) else { return };
        let kept = shares.len() >= announcement.commits.len()
            && announcement.commits.iter().zip(&shares).all(|(commit, share)| sha256(&[share]) == *commit);
        let Some(announcement) = self.announces.remove(&uid) else { return };
        if !kept {
            return out.note(Level::Drop, "share_broken", Some(from.clone()), "a share is not what was committed to");
        }
        let location = place_of(&together(&shares));
        self.table.learn(location, announcement.who.clone());
        if let Some(peer) = self.links.peer_mut(&announcement.who) {
            peer.location = Some(location);
        }
        if let Some(next) = announcement.next {
            self.send(&next, Message::Settle(Box::new(Settle { uid, shares })), cx, out);
        }
    }

    pub(super) fn on_announce_timer(&mut self, uid: u64) {
        self.announces.remove(&uid);
    }

    pub(super) fn take_place(&mut self, id: [u8; 32], out: &mut Out<A>) {
        self.location = Some(place_of(&id));
        if self.config.0.on_disk {
            self.write(vec![(SELF, b"id".to_vec(), bytes::Bytes::copy_from_slice(&id))], out);
        }
        self.greet_all(out);
    }

    fn joined(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(joining) = self.joining.take() else { return };
        self.member = Some(joining.op);
        self.inquiries.begins(cx.now);
        self.begin_swapping(cx, out);
        out.report(joining.op, Progress::Done);
        if !self.ticking {
            self.ticking = true;
            out.wake(cx.now + super::TICK, Timer::Tick);
        }
    }

    /// Leaves: what is stored stays, for the next time.
    pub(super) fn leave(&mut self, op: OpId, out: &mut Out<A>) {
        self.member = None;
        self.fail_inquiries(out);
        self.fail_accepting(out);
        for addr in self.links.all() {
            self.let_go(&addr, "leaving", out);
        }
        self.walks.clear();
        self.announces.clear();
        out.push(Output::Unlisten(doors::NETWORK));
        out.report(op, Progress::Ended);
    }

    pub(super) fn cancel_join(&mut self, op: OpId, out: &mut Out<A>) {
        if self.joining.as_ref().is_some_and(|joining| joining.op == op) {
            self.joining = None;
            self.leave(op, out);
        }
    }
}
