//! One virtual node's place on the ring: predecessor, successor list, fingers. Pointers only; whom to ask is decided elsewhere.

use super::Pace;
use crate::id::{Key, RingId, between, owns};
use crate::place::{Contact, Place};

/// How far a virtual node has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Looks for its place.
    Joining,
    /// A member of the ring.
    Member,
}

/// A virtual node's pointers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ring<A: Place> {
    /// Who it is.
    pub me: A::Contact,
    /// The next node counter-clockwise, as far as is known (C11).
    pub prdc: Option<A::Contact>,
    /// The next nodes clockwise, nearest first (C17).
    pub succ: Vec<A::Contact>,
    /// Distinct fingers, nearest first: no two of them in one arc [2^i, 2^(i+1)). The first successor stands for all below it.
    pub fingers: Vec<A::Contact>,
    /// How far it has come.
    pub stage: Stage,
    /// So few nodes that everybody knows everybody.
    pub nursery: bool,
    /// A stabilisation is under way.
    pub stabilising: bool,
    /// Which finger is looked at next.
    pub next_bit: u8,
    /// When it is looked at.
    pub pace: Pace,
}

impl<A: Place> Ring<A> {
    /// A node alone in the world, or about to join.
    pub fn new(me: A::Contact, stage: Stage) -> Self {
        Self {
            me,
            prdc: None,
            succ: Vec::new(),
            fingers: Vec::new(),
            stage,
            nursery: stage == Stage::Member,
            stabilising: false,
            next_bit: 0,
            pace: Pace::default(),
        }
    }

    /// Reads the tables, see `hexad_core::Node::warm`.
    pub(super) fn warm(&self) -> usize {
        let ends = |contacts: &[A::Contact]| {
            let each = contacts.first().into_iter().chain(contacts.get(contacts.len() / 2)).chain(contacts.last());
            each.map(|contact| usize::from(contact.vnode())).sum::<usize>()
        };
        ends(&self.succ).wrapping_add(ends(&self.fingers))
    }

    /// Its place.
    pub fn id(&self) -> A::Id {
        self.me.id()
    }

    /// How far a node is from here, clockwise.
    pub fn distance(&self, to: &A::Contact) -> A::Id {
        self.id().distance(to.id())
    }

    /// Whether it owns a place, as far as it knows.
    pub fn owns(&self, place: A::Id) -> bool {
        match &self.prdc {
            Some(prdc) => owns(prdc.id(), place, self.id()),
            None => self.succ.is_empty() || place == self.id(),
        }
    }

    /// Takes over a list: `head` and who follows it by its own account. Cuts it where it comes back to us; then everybody is in it. Whether
    /// that is another list than before.
    pub fn adopt(&mut self, head: A::Contact, following: &[A::Contact], length: usize) -> bool {
        if !self.nursery && self.succ.len() == length && following.len() + 1 >= length {
            // As mostly: there is no news, be it of where somebody is reached.
            let said = std::iter::once(&head).chain(following);
            if self.succ.iter().zip(said).all(|(known, said)| known == said && known.addr() == said.addr()) {
                return false;
            }
        }
        let mut list = Vec::with_capacity(length);
        let mut came_round = false;
        for contact in std::iter::once(&head).chain(following) {
            if *contact == self.me {
                came_round = true;
                break;
            }
            if list.len() == length {
                break;
            }
            let forward = list.last().is_none_or(|last: &A::Contact| self.distance(last) < self.distance(contact));
            if !forward {
                // A list that runs past us, or backwards, says nothing about what lies behind.
                break;
            }
            list.push(contact.clone());
        }
        if list.is_empty() {
            return false;
        }
        self.nursery = came_round && list.len() < length;
        let changed = self.succ != list;
        if changed {
            self.pace.quicken();
        }
        self.succ = list;
        changed
    }

    /// Puts one who was contacted into the successor list, where few enough are known that everybody is to be known.
    pub fn admit(&mut self, contact: &A::Contact, length: usize) -> bool {
        if *contact == self.me {
            return false;
        }
        let changed = insert_sorted::<A>(&self.me, &mut self.succ, contact);
        if self.succ.len() > length {
            self.succ.truncate(length);
            self.nursery = false;
        }
        if self.prdc.as_ref().is_none_or(|prdc| between(prdc.id(), contact.id(), self.id())) {
            self.prdc = Some(contact.clone());
        }
        changed
    }

    /// Takes one who is gone out of everything.
    pub fn drop_gone(&mut self, gone: &A::Contact) {
        self.succ.retain(|contact| contact != gone);
        self.fingers.retain(|contact| contact != gone);
        self.pace.hurry();
        // Outside of a nursery a predecessor stays until another one says that it is; `rectify` then finds that this one is gone.
        if self.nursery && self.prdc.as_ref() == Some(gone) {
            self.prdc = self.succ.last().cloned();
        }
        if self.succ.is_empty()
            && let Some(nearest) = self.fingers.first()
        {
            // The last resort of a node all of whose successors are gone: it may skip others, and stabilisation leads back.
            self.succ.push(nearest.clone());
        }
    }

    /// Takes `found` for the first node at or behind the start of finger `bit`. Whether that was known.
    pub fn set_finger(&mut self, bit: u8, found: &A::Contact) -> bool {
        let (known, count) = (self.finger(bit) == Some(found), self.fingers.len());
        let high = self.distance(found).high_bit();
        let me = self.id();
        if high < 0 {
            // The arc from there on holds nobody but us.
            self.fingers.retain(|contact| me.distance(contact.id()).high_bit() < i16::from(bit));
            return self.fingers.len() == count;
        }
        self.fingers.retain(|contact| {
            let arc = me.distance(contact.id()).high_bit();
            arc < i16::from(bit) || arc > high
        });
        if self.succ.first() != Some(found) {
            insert_sorted::<A>(&self.me, &mut self.fingers, found);
        }
        known && self.fingers.len() == count
    }

    /// Takes `chosen`, which lies in the arc of finger `bit`, in place of who stood there. Whether it stood there.
    pub fn set_near_finger(&mut self, bit: u8, chosen: &A::Contact) -> bool {
        let me = self.id();
        let known = self.fingers.contains(chosen);
        self.fingers.retain(|contact| me.distance(contact.id()).high_bit() != i16::from(bit));
        insert_sorted::<A>(&self.me, &mut self.fingers, chosen);
        known
    }

    /// A finger was looked at, and it was right; or it was not.
    pub fn looked_at_finger(&mut self, right: bool) {
        if right {
            self.pace.found_right(A::Id::BITS.saturating_sub(self.lowest_bit()));
        } else {
            self.pace.hurry();
        }
    }

    /// The lowest finger that the first successor does not stand for.
    pub fn lowest_bit(&self) -> u8 {
        let high = self.succ.first().map_or(-1, |head| self.distance(head).high_bit());
        u8::try_from(high + 1).unwrap_or(0)
    }

    /// The entry that finger `bit` has: the first known node at or behind its start.
    pub fn finger(&self, bit: u8) -> Option<&A::Contact> {
        let span = self.id().distance(self.id().plus_power(bit));
        let first = |contacts: &'_ [A::Contact]| contacts.partition_point(|contact| self.distance(contact) < span);
        let finger = self.fingers.get(first(&self.fingers));
        let listed = self.succ.get(first(&self.succ));
        match (finger, listed) {
            (Some(finger), Some(listed)) => Some(if self.distance(finger) < self.distance(listed) { finger } else { listed }),
            (finger, listed) => finger.or(listed),
        }
    }

    /// Distinct entries of the finger table, the first successor included.
    pub fn distinct_fingers(&self) -> usize {
        self.fingers.iter().filter(|finger| self.succ.first() != Some(finger)).count() + usize::from(!self.succ.is_empty())
    }

    /// Known nodes that lie between here and `place`, nearest to `place` first, at most `wanted`.
    pub fn preceding(&self, place: A::Id, wanted: usize, lists: bool, usable: impl Fn(&A::Contact) -> bool) -> Vec<A::Contact> {
        let span = self.id().distance(place);
        // A key at our own place is a whole turn away.
        let whole = place == self.id();
        let before = |contacts: &[A::Contact]| {
            if whole { contacts.len() } else { contacts.partition_point(|contact| self.distance(contact) < span) }
        };
        let fingers = &self.fingers[..before(&self.fingers)];
        let list = if lists { &self.succ[..] } else { &self.succ[..self.succ.len().min(1)] };
        let list = &list[..before(list)];
        let (mut finger, mut entry) = (fingers.iter().rev().peekable(), list.iter().rev().peekable());
        let mut nearest: Vec<A::Contact> = Vec::with_capacity(wanted);
        while nearest.len() < wanted {
            let take_finger = match (finger.peek(), entry.peek()) {
                (Some(finger), Some(entry)) => self.distance(finger) >= self.distance(entry),
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => break,
            };
            let Some(next) = (if take_finger { finger.next() } else { entry.next() }) else { break };
            if nearest.last() != Some(next) && usable(next) {
                nearest.push(next.clone());
            }
        }
        nearest
    }

    /// The successors from the one that owns `place` on, where the list reaches so far; empty where it does not.
    pub fn holders(&self, place: A::Id, reach: usize) -> &[A::Contact] {
        let span = self.id().distance(place);
        if place == self.id() {
            return &[];
        }
        let first = self.succ.partition_point(|contact| self.distance(contact) < span);
        if first >= reach.min(self.succ.len()) { &[] } else { &self.succ[first..] }
    }

    /// How many nodes the ring has, by how dense the successors stand.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub fn size_estimate(&self) -> f64 {
        match self.succ.last() {
            Some(_) if self.nursery => self.succ.len() as f64 + 1.0,
            Some(last) => (self.succ.len() as f64 / self.distance(last).share().max(f64::MIN_POSITIVE)).max(1.0),
            None => 1.0,
        }
    }

    /// The arc that is ours: behind the first key, up to the second.
    pub fn arc(&self) -> Option<(Key, Key)> {
        let end = self.id().to_key();
        match &self.prdc {
            Some(prdc) => Some((prdc.id().to_key(), end)),
            None => self.succ.is_empty().then_some((end, end)),
        }
    }
}

/// Puts `contact` where it belongs, counted clockwise from `me`; false when it is there already.
pub fn insert_sorted<A: Place>(me: &A::Contact, contacts: &mut Vec<A::Contact>, contact: &A::Contact) -> bool {
    let distance = |other: &A::Contact| me.id().distance(other.id());
    let at = contacts.partition_point(|other| distance(other) < distance(contact));
    if contacts.get(at) == Some(contact) {
        // The same node may have moved to another socket.
        contacts[at] = contact.clone();
        return false;
    }
    contacts.insert(at, contact.clone());
    true
}
