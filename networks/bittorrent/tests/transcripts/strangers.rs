//! Connections that never become peers: endless handshakes, floods of silent ones, wrong torrents.

use hexad_bittorrent::{Config, Message};
use hexad_core::{ConnId, Endpoint, Input, Operation, Output, Payload, Source, Span, What, Why};

use super::{Bench, address, handshake};

fn quiet() -> Config {
    Config { dht: false, pex: false, lsd: false, connections_max: 50, ..Config::default() }
}

#[test]
fn who_connects_and_says_nothing_is_gone_in_ten_seconds() {
    let mut bench = Bench::joined(quiet());
    bench.publishes(false, &[]);
    let silent = bench.accepts("203.0.113.5:40000");
    bench.passes(Span::from_secs(9));
    assert_eq!(bench.closed(silent), None);
    bench.passes(Span::from_secs(3));
    assert_eq!(bench.closed(silent).as_deref(), Some("handshake_late"));
    assert!(bench.noted().contains(&"handshake_late"));
}

#[test]
fn a_crowd_of_silent_connections_keeps_no_peer_out() {
    let mut bench = Bench::joined(quiet());
    let info_hash = bench.publishes(false, &[]);
    let crowd: Vec<ConnId> = (0..500).map(|n| bench.accepts(&format!("203.0.{}.{}:40000", n / 250, n % 250))).collect();
    let open = crowd.iter().filter(|conn| bench.closed(**conn).is_none()).count();
    assert!(open <= 50, "{open} are held");
    let peer = bench.is_met_by("198.51.100.5:40000", info_hash, 5);
    assert_eq!(bench.closed(peer), None);
    assert!(bench.heard_by(peer).contains(&Message::HaveAll));
    bench.passes(Span::from_secs(12));
    assert!(crowd.iter().all(|conn| bench.closed(*conn).is_some()));
    assert_eq!(bench.closed(peer), None);
}

#[test]
fn who_speaks_out_of_turn_or_of_another_torrent_is_closed() {
    let mut bench = Bench::joined(quiet());
    let info_hash = bench.publishes(false, &[]);
    let early = bench.accepts("203.0.113.5:40000");
    bench.is_told(early, Message::Interested);
    assert_eq!(bench.closed(early).as_deref(), Some("handshake_missing"));
    let other = bench.accepts("203.0.113.6:40000");
    bench.is_told(other, handshake([9; 20], 6));
    assert_eq!(bench.closed(other).as_deref(), Some("torrent_unknown"));
    let again = bench.is_met_by("203.0.113.7:40000", info_hash, 7);
    bench.is_told(again, handshake(info_hash, 7));
    assert_eq!(bench.closed(again).as_deref(), Some("handshake_again"));
    // What comes late, for a connection that is closed, changes nothing.
    let said = bench.is_told(again, Message::Piece { piece: 0, begin: 0, data: Payload::EMPTY });
    assert!(said.is_empty(), "{said:?}");
    let broken = bench.accepts("203.0.113.8:40000");
    bench.hears(Input::Closed(broken, Why::Malformed("expected a handshake".into())));
    assert!(bench.noted().contains(&"malformed"));
}

#[test]
fn whom_we_dial_has_to_answer_and_is_tried_ever_more_rarely() {
    let mut bench = Bench::joined(quiet());
    let (share, _) = super::share(false, &[]);
    let peer = address("203.0.113.5:6881");
    let source = Source { what: What::Torrent(share.torrent), peers: vec![Endpoint::Ip(peer)] };
    bench.starts(Operation::Fetch { source, lease: hexad_core::LeaseId(1), share: hexad_core::ShareId(1) });
    let mut dials: Vec<ConnId> = Vec::new();
    let mut seen = 0;
    for _ in 0..1800 {
        let opened = bench.said[seen..].iter().filter_map(|output| match output {
            Output::Open(conn, to, _) => Some((*conn, to.clone())),
            _ => None,
        });
        let opened: Vec<(ConnId, Endpoint)> = opened.collect();
        seen = bench.said.len();
        for (conn, to) in opened {
            assert_eq!(to, Endpoint::Ip(peer));
            dials.push(conn);
            bench.hears(Input::Opened { conn, peer: to, via: hexad_core::Via::Dialled });
        }
        bench.passes(Span::from_secs(1));
    }
    assert!(dials.len() >= 5, "a peer that the user named is not given up");
    assert!(dials.len() < 120, "{} dials in half an hour", dials.len());
    let closed = dials.iter().filter(|conn| bench.closed(**conn).as_deref() == Some("handshake_late")).count();
    assert!(closed + 1 >= dials.len(), "{closed} of {}", dials.len());
}
