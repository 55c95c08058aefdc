//! Holes through NAT (BEP 55): a peer that both ends are connected to tells them to dial each other at the same time, over uTP.

use std::net::SocketAddr;

use hexad_core::{Endpoint, Level};

use super::candidates::Origin;
use super::{Slot, Swarm};
use crate::node::config::Utp;
use crate::node::dht::is_local;
use crate::node::hearsay::may_be_dialled;
use crate::node::home::Turn;
use crate::wire::{HolePunch, HolePunchKind, Message};

/// Peers of whom it is known who could introduce us; the one named longest ago leaves.
const RELAYS_MAX: usize = 256;
/// Introductions that one peer may ask for in a second.
pub(super) const INTRODUCTIONS_PER_S: u32 = 4;

impl Swarm {
    /// A peer that speaks ut_holepunch names another as one that can be reached by it.
    pub(super) fn could_introduce(&mut self, relay: Slot, peer: SocketAddr) {
        let Some(giver) = self.peer(relay).map(|peer| peer.giver) else { return };
        if self.relays.len() >= RELAYS_MAX && !self.relays.contains_key(&peer) {
            self.relays.pop_first();
        }
        self.relays.insert(peer, (relay, giver));
    }

    /// Nobody answers there. Asks whoever has named that peer to introduce us, once; true when somebody was asked.
    pub(super) fn ask_to_be_introduced(&mut self, peer: &Endpoint, t: &mut Turn<'_, '_>) -> bool {
        if t.home.config.utp == Utp::Off || self.is_private() {
            return false;
        }
        let Some(at) = peer.socket() else { return false };
        let Some((slot, giver)) = self.relays.remove(&at) else { return false };
        let Some(relay) = self.peer(slot).filter(|relay| relay.giver == giver && relay.wants_holepunch) else { return false };
        relay.say(Message::HolePunch(HolePunch { kind: HolePunchKind::Rendezvous, at }), t);
        t.out.note(Level::Debug, "introduction_wanted", Some(Endpoint::Ip(at)), "");
        true
    }

    pub(super) fn on_hole_punch(&mut self, slot: Slot, told: HolePunch, t: &mut Turn<'_, '_>) {
        if self.is_private() {
            return self.nonsense(slot, "holepunch_unwanted", t);
        }
        let Some(from) = self.peer(slot) else { return };
        if !from.wants_holepunch {
            return self.nonsense(slot, "holepunch_unwanted", t);
        }
        match told.kind {
            HolePunchKind::Rendezvous => self.introduce(slot, told.at, t),
            HolePunchKind::Connect => self.dial_through_a_hole(slot, told.at, t),
            HolePunchKind::Error(code) => {
                t.out.note(Level::Debug, "holepunch_failed", Some(Endpoint::Ip(told.at)), format!("the peer between us says {code}"));
            }
        }
    }

    /// Lets two of our peers dial each other.
    fn introduce(&mut self, slot: Slot, target: SocketAddr, t: &mut Turn<'_, '_>) {
        let Some(asking) = self.peer(slot) else { return };
        if asking.introductions == 0 {
            return self.nonsense(slot, "holepunch_flood", t);
        }
        asking.introductions -= 1;
        let Some(own) = asking.datagrams() else { return };
        let other = self.peers.iter().flatten().find(|peer| peer.listen == Some(target) || peer.remote.socket() == Some(target));
        let error = match other {
            _ if t.home.is_us(target) => Some(HolePunchKind::NO_SELF),
            None if self.candidates.knows(&Endpoint::Ip(target)) => Some(HolePunchKind::NOT_CONNECTED),
            None => Some(HolePunchKind::NO_SUCH_PEER),
            Some(other) if other.slot == slot => Some(HolePunchKind::NO_SELF),
            Some(other) if !other.wants_holepunch => Some(HolePunchKind::NO_SUPPORT),
            Some(_) => None,
        };
        let to = other.map(|other| (other.slot, other.datagrams()));
        if let (None, Some((other, Some(at)))) = (error, to) {
            if let Some(other) = self.peer(other) {
                other.say(Message::HolePunch(HolePunch { kind: HolePunchKind::Connect, at: own }), t);
            }
            if let Some(asking) = self.peer(slot) {
                asking.say(Message::HolePunch(HolePunch { kind: HolePunchKind::Connect, at }), t);
            }
        } else if let (Some(code), Some(asking)) = (error, self.peer(slot)) {
            asking.say(Message::HolePunch(HolePunch { kind: code, at: target }), t);
        }
    }

    /// The other one dials us at this moment.
    fn dial_through_a_hole(&mut self, slot: Slot, at: SocketAddr, t: &mut Turn<'_, '_>) {
        let endpoint = Endpoint::Ip(at);
        let known = self.peers.iter().flatten().any(|peer| peer.remote.socket() == Some(at) || peer.listen == Some(at));
        let may = may_be_dialled(at, self.peer(slot).and_then(|relay| relay.remote.ip()).is_some_and(is_local))
            && !self.candidates.host_is_full(&endpoint);
        let unwilling = t.home.config.utp == Utp::Off || t.home.bans.has(at) || t.home.is_us(at) || !may;
        let full = !t.home.has_room()
            || t.home.half_open >= t.home.config.half_open_max
            || self.connected + self.dials.len() >= t.home.config.swarm_connections_max;
        let Some(relay) = self.peer(slot).filter(|peer| peer.introductions > 0) else { return };
        relay.introductions -= 1;
        if known || unwilling || full {
            return;
        }
        let v2 = self.peer(slot).is_some_and(|relay| relay.v2);
        t.out.note(Level::Debug, "introduced", Some(endpoint.clone()), "dialled over uTP at once");
        self.candidates.add(endpoint.clone(), Origin::Pex, false, v2);
        self.candidates.dialling(&endpoint);
        let manner = t.home.config.encryption.manner(false);
        let info_hash = self.names.v2_short().filter(|_| v2).or(self.names.v1).unwrap_or(self.info_hash);
        self.open(endpoint, manner, info_hash, true, t);
    }
}
