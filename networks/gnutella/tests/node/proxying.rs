//! Queries of leaves under the address of their ultrapeer, and the hits that come there by datagram.

use std::sync::Arc;

use bytes::Bytes;
use hexad_core::{Endpoint, Input, Link, Output};
use hexad_gnutella::wire::ggep::Block;
use hexad_gnutella::wire::{Body, Extensions, Guid, Message, Packet, Query, QueryHit, Record, Vendor, flags};
use hexad_gnutella::{Mode, Settings, doors};

use crate::stage::{OWN, Stage, drops, packets, settings};

fn asks(id: u8, ext: Bytes) -> Packet {
    let query = Query { flags: flags::MARK, text: "blue".into(), ext };
    Packet { muid: Guid([id; 16]), ttl: 3, hops: 0, body: Body::Query(Arc::new(query)) }
}

#[test]
fn a_leafs_query_goes_out_under_our_address_and_its_hits_find_it() {
    let mut stage = Stage::new(Settings { out_of_band: true, ..settings(Mode::Ultrapeer) });
    let (up, leaf) = (stage.neighbour(Some(true)), stage.neighbour(Some(false)));
    let said = stage.hears_packet(leaf, asks(5, Bytes::new()));
    let sent = packets(&said, up);
    let [Packet { muid, body: Body::Query(query), .. }] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((muid.address(), muid.without_address()), (OWN.parse().unwrap(), Guid([5; 16]).without_address()));
    assert!(query.has(flags::OUT_OF_BAND));
    let far = Endpoint::Ip("198.51.100.200:6346".parse().unwrap());
    let datagram = |muid: Guid, body: Body| {
        Input::Received(Link::Datagram(doors::DATAGRAM, far.clone()), Message::Packet(Packet { muid, ttl: 1, hops: 0, body }))
    };
    let indication = Body::Vendor(Box::new(Vendor::new(*b"LIME", 12, 2, Bytes::from_static(&[200, 1]))));
    let said = stage.table.hears(datagram(*muid, indication.clone()));
    let claims = said.iter().find_map(|output| match output {
        Output::Send(Link::Datagram(_, to), Message::Packet(Packet { body: Body::Vendor(vendor), .. })) if *to == far => {
            Some(vendor.data[0])
        }
        _ => None,
    });
    assert_eq!(claims, Some(50), "as many as a leaf gets");
    let claimed_again = stage.table.hears(datagram(*muid, indication));
    assert!(!claimed_again.iter().any(|output| matches!(output, Output::Send(..))), "and no more");
    let hit = QueryHit {
        at: "198.51.100.200:6346".parse().unwrap(),
        speed_kbps: 1,
        records: vec![Record { index: 1, size: 1, name: Bytes::from_static(b"blue.ogg"), ext: Bytes::new() }],
        trailer: None,
        servent: Guid([8; 16]),
    };
    let said = stage.table.hears(datagram(*muid, Body::Hit(Arc::new(hit.clone()))));
    assert!(matches!(&packets(&said, leaf)[..], [Packet { muid, body: Body::Hit(_), .. }] if *muid == Guid([5; 16])));
    // In band they find it too.
    let said = stage.hears_packet(up, Packet { muid: *muid, ttl: 3, hops: 2, body: Body::Hit(Arc::new(hit.clone())) });
    assert!(matches!(&packets(&said, leaf)[..], [Packet { muid, body: Body::Hit(_), .. }] if *muid == Guid([5; 16])));
    let stranger = Guid([77; 16]);
    assert_eq!(drops(&stage.table.hears(datagram(stranger, Body::Hit(Arc::new(hit))))), ["way_back_unknown"]);
}

#[test]
fn a_leaf_that_does_not_want_it_is_not_proxied() {
    let mut stage = Stage::new(Settings { out_of_band: true, ..settings(Mode::Ultrapeer) });
    let (up, leaf) = (stage.neighbour(Some(true)), stage.neighbour(Some(false)));
    let ext = Extensions { ggep: Block::default().with("NP", Bytes::new()), ..Extensions::default() }.bytes();
    let said = stage.hears_packet(leaf, asks(5, ext));
    assert!(
        matches!(&packets(&said, up)[..], [Packet { muid, body: Body::Query(query), .. }] if *muid == Guid([5; 16]) && !query.has(flags::OUT_OF_BAND))
    );
}

#[test]
fn a_leaf_may_veto_it() {
    let mut stage = Stage::new(Settings { out_of_band: true, ..settings(Mode::Ultrapeer) });
    let (up, leaf) = (stage.neighbour(Some(true)), stage.neighbour(Some(false)));
    let veto = Body::Vendor(Box::new(Vendor::new(*b"LIME", 13, 1, Bytes::new())));
    stage.hears_packet(leaf, Packet::new(Guid([4; 16]), 1, veto));
    let said = stage.hears_packet(leaf, asks(5, Bytes::new()));
    assert!(matches!(&packets(&said, up)[..], [Packet { muid, .. }] if *muid == Guid([5; 16])));
}
