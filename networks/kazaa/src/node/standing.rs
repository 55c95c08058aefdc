//! How a node stands, for its user and for the lab.

use hexad_core::{Span, Time};

use super::{Node, Role};
use crate::place::Place;

/// Supernodes that are named to a user.
const NAMED: usize = 32;
/// Leaves and links that are shown to a user.
const SHOWN: usize = 64;

/// How a node stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing<A> {
    /// Our address, once it is known.
    pub addr: Option<A>,
    /// We are in the network.
    pub member: bool,
    /// We are a supernode.
    pub supernode: bool,
    /// Whether others can reach us, once that was tried.
    pub reachable: Option<bool>,
    /// Our supernodes.
    pub parents: Vec<A>,
    /// Our leaves.
    pub leaves: usize,
    /// Where some of them are.
    pub leaf_addrs: Vec<A>,
    /// Links to other supernodes.
    pub links: usize,
    /// Where they lead.
    pub link_addrs: Vec<A>,
    /// Round trips to supernodes among these, where they were measured.
    pub round_trips: Vec<(A, Span)>,
    /// Records of leaves and our own.
    pub records: usize,
    /// Supernodes of which we know.
    pub known: usize,
    /// Some of them, ours first: to begin with the next time.
    pub supernodes: Vec<A>,
    /// Questions on their way through us, and searches of ours.
    pub questions: usize,
    /// Transfers that we pass on for others.
    pub relays: usize,
}

impl<A: Place> Node<A> {
    /// How we stand.
    #[must_use]
    pub fn standing(&self, _now: Time) -> Standing<A> {
        Standing {
            addr: self.addr.clone(),
            member: self.member.is_some(),
            supernode: self.is_supernode(),
            reachable: self.reachable,
            parents: self.parents().cloned().collect(),
            leaves: self.lines.leaves(),
            leaf_addrs: self.lines.leaf_lines().take(SHOWN).map(|line| line.peer.clone()).collect(),
            links: self.lines.peers(),
            link_addrs: self.lines.peer_lines().take(SHOWN).map(|line| line.peer.clone()).collect(),
            round_trips: self.round_trips(),
            records: self.index.as_ref().map_or(0, |index| index.len()),
            known: self.known.len(),
            supernodes: self.parents().chain(self.known.alive()).take(NAMED).cloned().collect(),
            questions: self.floods.len() + self.searches.len(),
            relays: self.lines.relays(),
        }
    }

    fn round_trips(&self) -> Vec<(A, Span)> {
        let trip = |peer: &A| Some((peer.clone(), Span::from_micros(self.known.get(&peer.name())?.rtt_us?.into())));
        self.parents().chain(self.links().take(SHOWN)).filter_map(trip).collect()
    }

    /// Whether it is a supernode.
    #[must_use]
    pub fn is_supernode(&self) -> bool {
        self.member.is_some() && self.role == Role::Supernode
    }

    /// Whether it is in the network, and is a supernode or has one.
    #[must_use]
    pub fn is_at_home(&self) -> bool {
        self.member.is_some() && (self.role == Role::Supernode || self.lines.parents() > 0)
    }

    /// Its supernodes, as far as it knows.
    pub fn parents(&self) -> impl Iterator<Item = &A> {
        self.lines.parent_lines().map(|line| &line.peer)
    }

    /// The other supernodes to which it is linked.
    pub fn links(&self) -> impl Iterator<Item = &A> {
        self.lines.peer_lines().map(|line| &line.peer)
    }

    /// Its leaves that are to be supernodes when it is lost, in this order.
    pub fn heirs(&self) -> impl Iterator<Item = &A> {
        self.heirs.iter()
    }

    /// How many leaves it has.
    #[must_use]
    pub fn leaves(&self) -> usize {
        self.lines.leaves()
    }

    /// How many links to other supernodes it has, and how long each has been open.
    pub fn link_ages(&self, now: Time) -> impl Iterator<Item = hexad_core::Span> {
        self.lines.peer_ages(now)
    }

    /// What it knows of the files of its leaves; `None` for a leaf.
    #[must_use]
    pub fn index(&self) -> Option<&super::Index<A>> {
        self.index.as_deref()
    }

    /// Everything that a bound applies to: connections, questions, pushes.
    #[must_use]
    pub fn sizes(&self) -> [usize; 4] {
        [self.lines.len(), self.floods.len(), self.searches.len(), self.pushing.len()]
    }
}
