//! Chord in the common world: a ring that is whole from the start, in which references to owners are put.

use hexad_chord::{Chord, Config, Request, Settings};
use hexad_core::{Operation, Query, Span, Time};

use super::settled::{Settled, State, digest_of};
use super::society::Society;
use crate::gauge::Gauge;
use crate::scenarios::chord::{ideal_rings, settle_rings};
use crate::{Lab, NodeIndex};

/// A public key, an address, a port.
const CONTACT_BYTES: usize = 38;

impl Settled for Chord<u32> {
    const HOW: &'static str = "The ring of all users that can be reached is given, with all fingers; others, and newcomers, join by four who are there. \
        Defaults, and that is sixteen successors, four copies, stabilisation every twenty seconds. References to owners are put under the file's digest.";
    const ASKED: &'static str = "by digest";
    const SEARCHING: &'static [&'static str] = &["find_next", "next", "nearer", "get", "items"];
    const CONSULTING: &'static [&'static str] = &["get"];
    const PATIENCE: Span = Span::from_secs(35);

    fn populate(society: &Society, lab: &mut Lab<Self>) {
        lab.add_nodes(society.users + society.newcomers, Config::from(Settings::default()));
    }

    fn settle(society: &Society, lab: &mut Lab<Self>, gauge: &mut Gauge<'_>) {
        gauge.phase("ring");
        let rings = ideal_rings(society.users, &Settings::default(), |user| !society.is_behind_nat(user));
        settle_rings(lab, rings);
        let from = Time::ZERO + Span::from_secs(1);
        for user in (0..society.users).filter(|&user| society.is_behind_nat(user)) {
            lab.start_at(
                from + society.window.mul_f64(f64::from(user) / f64::from(society.users)),
                NodeIndex(user),
                Self::join(society, user, 0),
            );
        }
        gauge.run_until("join", lab, from + society.window * 2);
    }

    fn search(society: &Society, file: u32) -> Operation<Request> {
        Operation::Search { query: Query::Digest { digest: digest_of::<Self>(society, file), wanted: society.wanted } }
    }

    fn state(lab: &Lab<Self>, node: NodeIndex) -> State {
        let Some(node) = lab.node(node) else { return State::default() };
        let contacts: usize = node.rings().iter().map(|ring| ring.succ.len() + ring.fingers.len() + usize::from(ring.prdc.is_some())).sum();
        let (items, bytes) = node.stored();
        State { routing: contacts as u64, kept: items as u64, bytes: (contacts * CONTACT_BYTES + bytes) as u64 }
    }
}
