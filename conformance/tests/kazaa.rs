//! The suite for Kazaa: numbers for addresses in the lab, keys and sockets outside.

use hexad_conformance::{Fetching as _, Folder, LabWorld, Outcome, Peer as _, RealWorld, World};
use hexad_core::Endpoint;
use hexad_kazaa::Kazaa;

hexad_conformance::lab_suite!(Kazaa<u32>);
hexad_conformance::real_suite!(Kazaa<Endpoint>);

/// Of four sources one lies: no wrong byte is left, and nobody else pays for it.
fn one_of_four_sources_lies(world: &mut impl World) {
    let [_supernode, alice, bob, carol, mallory, asker] = world.joined();
    let folder = Folder::file("blue.ogg", 12 << 20);
    let published = [&alice, &bob, &carol, &mallory].map(|peer| peer.publish(&folder));
    mallory.lies();
    // The liar is named first.
    let mut source = published[3].source.clone();
    published[..3].iter().for_each(|other| source.peers.extend(other.source.peers.iter().cloned()));
    let fetch = asker.fetch(&folder, &source);
    assert_eq!(fetch.ends(), Outcome::Complete);
    assert!(fetch.is_whole(), "no wrong byte is left");
    assert!(mallory.lies_told() > 0, "the fault has struck");
    assert_eq!(asker.banned(), 1, "the liar and nobody else is banned");
}

#[test]
fn one_of_four_sources_lies_in_the_lab() {
    one_of_four_sources_lies(&mut LabWorld::<Kazaa<u32>>::new(1, false));
}

#[test]
fn one_of_four_sources_lies_on_real_sockets() {
    one_of_four_sources_lies(&mut RealWorld::<Kazaa<Endpoint>>::default());
}
