//! Vendor messages: what is said of ourselves, and the questions that are answered. Specification §14.

use bytes::Bytes;
use hexad_core::{ConnId, Endpoint, Input, Link, Outbound, Output};
use hexad_gnutella::wire::{Answer, Body, Guid, Headers, Message, Packet, Vendor};
use hexad_gnutella::{Mode, Node, doors};

use crate::stage::{Stage, headers, packets, settings};

fn vendors(said: &[Outbound<Node>], to: ConnId) -> Vec<Vendor> {
    packets(said, to).into_iter().filter_map(|packet| if let Body::Vendor(vendor) = packet.body { Some(*vendor) } else { None }).collect()
}

fn hears(stage: &mut Stage, conn: ConnId, muid: Guid, vendor: Vendor) -> Vec<Outbound<Node>> {
    stage.hears_packet(conn, Packet::new(muid, 1, Body::Vendor(Box::new(vendor))))
}

#[test]
fn a_neighbour_is_told_what_we_understand_and_can_do() {
    let mut stage = Stage::new(settings(Mode::Ultrapeer));
    let (conn, _) = stage.greeted(headers(Some(true)));
    let said = stage.hears(conn, Message::Answer(Box::new(Answer::yes(Headers::new()))));
    let told = vendors(&said, conn);
    assert_eq!(told.iter().map(|vendor| (vendor.vendor, vendor.selector)).collect::<Vec<_>>(), [([0; 4], 0), ([0; 4], 10)]);
    assert_eq!(told[0].data.len(), 2 + usize::from(told[0].data[0]) * 8);
    assert_eq!(told[1].data[..], *b"\x02\0WHAT\x01\0BROW\x01\0");
}

#[test]
fn whoever_wants_to_know_whether_datagrams_reach_him_is_pinged_at_his_own_address() {
    let mut stage = Stage::new(settings(Mode::Ultrapeer));
    let up = stage.neighbour(Some(true));
    let pinged = |said: &[Outbound<Node>]| {
        said.iter().find_map(|output| match output {
            Output::Send(Link::Datagram(doors::DATAGRAM, to), Message::Packet(Packet { muid, body: Body::Ping(_), .. })) => {
                Some((to.to_string(), *muid))
            }
            _ => None,
        })
    };
    let first = Bytes::from([&[0x0f, 0x27][..], &[9; 16]].concat());
    let said = hears(&mut stage, up, Guid([5; 16]), Vendor::new(*b"GTKG", 7, 1, first));
    assert_eq!(pinged(&said), Some(("198.51.100.1:9999".to_owned(), Guid([9; 16]))));
    let said = hears(&mut stage, up, Guid([5; 16]), Vendor::new(*b"GTKG", 7, 2, Bytes::from_static(&[0x0f, 0x27])));
    assert_eq!(pinged(&said), Some(("198.51.100.1:9999".to_owned(), Guid([5; 16]))));
    let said = hears(&mut stage, up, Guid([5; 16]), Vendor::new(*b"GTKG", 7, 2, Bytes::from_static(&[0, 0])));
    assert_eq!(pinged(&said), None);
}

#[test]
fn a_head_ping_is_answered_by_what_we_have() {
    let mut stage = Stage::new(settings(Mode::Ultrapeer));
    stage.offers("blue.ogg");
    let from = Endpoint::Ip("198.51.100.200:6346".parse().unwrap());
    let mut ask = |urn: &str| {
        let data = Bytes::from([&[0][..], urn.as_bytes()].concat());
        let packet = Packet::new(Guid([6; 16]), 1, Body::Vendor(Box::new(Vendor::new(*b"LIME", 23, 1, data))));
        let said = stage.table.hears(Input::Received(Link::Datagram(doors::DATAGRAM, from.clone()), Message::Packet(packet)));
        said.iter().find_map(|output| match output {
            Output::Send(Link::Datagram(_, to), Message::Packet(Packet { body: Body::Vendor(vendor), .. })) if *to == from => {
                assert_eq!((vendor.selector, &vendor.data[2..6]), (24, &b"HEXA"[..]));
                Some((vendor.data[1], vendor.data[6]))
            }
            _ => None,
        })
    };
    assert_eq!(ask("urn:sha1:A4DQOBYHA4DQOBYHA4DQOBYHA4DQOBYH"), Some((1, 16)), "complete, and sixteen may have it at a time");
    assert_eq!(ask("urn:sha1:AAAAOBYHA4DQOBYHA4DQOBYHA4DQOBYH"), Some((0, 16)));
    assert_eq!(ask("\u{fffd}"), Some((0, 16)));
}
