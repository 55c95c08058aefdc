//! Kazaa in the common world: one user in so many is a supernode, the others are leaves.

use std::net::SocketAddr;

use hexad_core::{Operation, Span};
use hexad_kazaa::{Kazaa, Request, Settings, Switch};

use super::settled::{Settled, State};
use super::society::Society;
use crate::{Lab, NodeIndex};

const PORT: u16 = 6881;
/// A public key, an address, a port.
const CONTACT_BYTES: usize = 38;
/// A name, digests and tags of one file.
const RECORD_BYTES: usize = 120;

impl Settled for Kazaa<u32> {
    const HOW: &'static str = "The users that are fit are supernodes from the start and stay so; all others are leaves of two. Links, hops and fan-out are \
        the defaults; leaves ask once a minute whether theirs are there, and keep sixty-four others. \
        A question that reaches a supernode once more counts as an index consulted, as the node does not say which were copies.";
    const ASKED: &'static str = "by words";
    const SEARCHING: &'static [&'static str] = &["query", "results", "query_end", "query_stop"];
    const CONSULTING: &'static [&'static str] = &["query"];
    const PATIENCE: Span = Span::from_secs(20);

    fn populate(society: &Society, lab: &mut Lab<Self>) {
        let leaves_max = society.fit_each as usize * 2 * 3;
        let base = Settings {
            listen: Some(SocketAddr::from(([0, 0, 0, 0], PORT))),
            ping_every: Span::from_secs(60),
            leaves_max,
            leaves_target: leaves_max / 2,
            // Nobody changes what he is.
            supernode_min: Span::from_secs(1_000_000),
            ..Settings::default()
        };
        let supernode = hexad_kazaa::Config::from(Settings { switch: Switch::Always, ping_every: Span::from_secs(5), ..base.clone() });
        let leaf = hexad_kazaa::Config::from(Settings { switch: Switch::Never, known_max: 64, ..base });
        for user in 0..society.users + society.newcomers {
            lab.add_node(if society.is_fit(user) && user < society.users { supernode.clone() } else { leaf.clone() });
        }
    }

    fn join(society: &Society, user: u32, turn: u64) -> Operation<Request> {
        Operation::Join { bootstrap: society.bootstrap(user, turn, 4, true) }
    }

    fn state(lab: &Lab<Self>, node: NodeIndex) -> State {
        let Some(standing) = lab.node(node).map(|node| node.standing(lab.now())) else { return State::default() };
        let contacts = standing.parents.len() + standing.leaves + standing.links + standing.known;
        let bytes = contacts * CONTACT_BYTES + standing.records * RECORD_BYTES;
        State { routing: contacts as u64, kept: standing.records as u64, bytes: bytes as u64 }
    }
}
