use hexad_core::{Ask, ConnId, Input, Level, Output, Span, Transport, Via, Why};

use super::bench::*;
use crate::doors;
use crate::node::priority::priority;
use crate::node::{Config, Encryption, Utp};
use crate::wire::{ExtendedHandshake, Message, manner};

#[test]
fn named_peers_are_dialled_in_the_same_breath() {
    let mut bench = Bench::joined(config(), 4);
    let what = bench.link();
    let said = bench.starts_fetch(what, vec![peer(1), peer(2)]);
    let mut peers: Vec<_> = dialled(&said).into_iter().map(|(_, peer, manner)| (peer, manner)).collect();
    peers.sort();
    assert_eq!(peers, [(peer(1), manner::PLAIN), (peer(2), manner::PLAIN)]);
}

#[test]
fn a_peer_that_speaks_no_mse_is_dialled_in_clear_at_once() {
    let mut bench = Bench::joined(Config { encryption: Encryption::Preferred, ..config() }, 4);
    let what = bench.link();
    let said = bench.starts_fetch(what, vec![peer(1)]);
    let [(conn, _, manner::OBFUSCATED)] = dialled(&said)[..] else { panic!("{said:?}") };
    bench.hears(Input::Opened { conn, peer: peer(1), via: Via::Dialled });
    let said = bench.hears(Input::Closed(conn, Why::PeerClosed));
    assert!(matches!(dialled(&said)[..], [(_, _, manner::PLAIN)]), "{said:?}");
}

/// What we say of ourselves to the last of five peers that were dialled, after all of them have told us by which address they know us.
fn said_of_ourselves(config: Config) -> Vec<Message> {
    let mut bench = Bench::joined(config, 4);
    let what = bench.link();
    let said = bench.starts_fetch(what, (1..=5).map(peer).collect());
    let mut last = Vec::new();
    for (conn, to, _) in dialled(&said) {
        bench.hears(Input::Opened { conn, peer: to, via: Via::Dialled });
        let Message::Handshake(mut handshake) = bench.handshake(u8::try_from(conn.0).unwrap(), true) else { panic!() };
        handshake.reserved[7] |= 1;
        let said = bench.says(conn, Message::Handshake(handshake));
        last = told(conn, &said);
        for ip in ["2001:db8::77", "198.51.100.77"] {
            let told = ExtendedHandshake { your_ip: Some(ip.parse().unwrap()), ..ExtendedHandshake::default() };
            bench.says(conn, Message::from(told));
        }
    }
    last
}

/// Who accepts nobody, as behind a proxy, tells no peer where it is: neither ports nor addresses.
#[test]
fn behind_a_proxy_nothing_is_said_of_where_we_are() {
    let open = Config { dht: true, pex: true, ..config() };
    for (listen, tells) in [(open.listen, true), (None, false)] {
        let said = said_of_ourselves(Config { listen, ..open.clone() });
        let ours = said.iter().find_map(|message| if let Message::ExtendedHandshake(ours) = message { Some(ours) } else { None });
        let ours = ours.expect("we speak the extension protocol");
        assert_eq!((ours.listen_port.is_some(), ours.your_ip.is_some(), ours.ipv6.is_some()), (tells, tells, tells), "{ours:?}");
        assert_eq!(said.iter().any(|message| matches!(message, Message::Port(_))), tells, "{said:?}");
        let mut torrent = torrent(4, false);
        torrent.tiers = vec![vec!["http://192.0.2.9/announce".into()]];
        let said = Bench::of(Config { listen, ..open.clone() }, torrent).joins().starts_publish();
        let urls = said.iter().filter_map(|output| if let Output::Ask(_, Ask::Http(request)) = output { Some(&request.url) } else { None });
        let urls: Vec<_> = urls.collect();
        let port = if tells { "&port=6881&" } else { "&port=1&" };
        assert!(matches!(urls[..], [url] if url.contains(port)), "trackers refuse port 0, and nobody is expected at port 1: {urls:?}");
    }
}

/// Over what a connection is dialled, and how.
fn ways(said: &Said) -> Vec<(ConnId, bool, u8)> {
    let way = |output: &hexad_core::Outbound<crate::node::Node>| match output {
        Output::Open(conn, _, dial) => Some((*conn, matches!(dial.transport, Transport::Utp(_)), dial.manner)),
        _ => None,
    };
    said.iter().filter_map(way).collect()
}

#[test]
fn who_takes_a_connection_and_closes_it_without_a_word_is_tried_the_other_way_once() {
    for (utp, encryption, tcp_first) in [
        (Utp::AfterTcp, Encryption::Off, true),
        (Utp::AfterTcp, Encryption::Preferred, true),
        (Utp::AfterTcp, Encryption::Required, true),
        (Utp::First, Encryption::Preferred, false),
    ] {
        let mut bench = Bench::joined(Config { utp, encryption, ..config() }, 4);
        let what = bench.link();
        let mut said = bench.starts_fetch(what, vec![peer(1)]);
        let mut tried = Vec::new();
        while let [(conn, is_utp, manner)] = ways(&said)[..] {
            tried.push((is_utp, manner));
            bench.hears(Input::Opened { conn, peer: peer(1), via: Via::Dialled });
            said = bench.hears(Input::Closed(conn, Why::PeerClosed));
        }
        let manners: &[u8] = match encryption {
            Encryption::Off => &[manner::PLAIN],
            Encryption::Preferred => &[manner::OBFUSCATED, manner::PLAIN],
            Encryption::Required => &[manner::RC4_ONLY],
        };
        let expected: Vec<(bool, u8)> =
            [!tcp_first, tcp_first].into_iter().flat_map(|utp| manners.iter().map(move |manner| (utp, *manner))).collect();
        assert_eq!(tried, expected, "{utp:?} {encryption:?}");
    }
    // Who says something, or nothing for long, is there, and nothing is off but himself.
    let mut bench = Bench::joined(Config { utp: Utp::AfterTcp, ..config() }, 4);
    let what = bench.link();
    let said = bench.starts_fetch(what, vec![peer(1)]);
    let (conn, ..) = ways(&said)[0];
    bench.hears(Input::Opened { conn, peer: peer(1), via: Via::Dialled });
    let said = bench.pass(Span::from_secs(11));
    assert_eq!((closed(conn, &said).as_deref(), ways(&said)), (Some("handshake_late"), Vec::new()));
}

#[test]
fn where_encryption_is_required_nothing_is_said_in_clear() {
    let mut bench = Bench::joined(Config { encryption: Encryption::Required, ..config() }, 4);
    let what = bench.link();
    let said = bench.starts_fetch(what, vec![peer(1)]);
    let [(conn, _, manner::RC4_ONLY)] = dialled(&said)[..] else { panic!("{said:?}") };
    bench.hears(Input::Opened { conn, peer: peer(1), via: Via::Dialled });
    let said = bench.hears(Input::Closed(conn, Why::PeerClosed));
    assert_eq!(dialled(&said), []);
}

#[test]
fn a_peer_that_cannot_be_reached_is_tried_again_later() {
    let mut bench = Bench::joined(config(), 4);
    let what = bench.link();
    let said = bench.starts_fetch(what, vec![peer(1)]);
    let (conn, ..) = dialled(&said)[0];
    let said = bench.hears(Input::Closed(conn, Why::Unreachable));
    assert_eq!(dialled(&said), []);
    let said = bench.pass(Span::from_secs(30));
    assert_eq!(dialled(&said).len(), 1);
}

#[test]
fn we_do_not_talk_to_ourselves() {
    let mut bench = Bench::joined(config(), 4).fetches();
    let (conn, said) = bench.meets(1, true);
    let ours =
        told(conn, &said).into_iter().find_map(|message| if let Message::Handshake(ours) = message { Some(ours) } else { None }).unwrap();
    assert!(ours.peer_id.starts_with(b"-HX0010-"));
    let again = bench.talk.accepted();
    bench.hears(Input::Opened { conn: again, peer: peer(9), via: Via::Accepted(doors::PEERS) });
    let said = bench.says(again, Message::Handshake(ours));
    assert_eq!(closed(again, &said).as_deref(), Some("connected_to_ourselves"));
}

#[test]
fn an_address_behind_which_we_met_ourselves_is_not_dialled_again() {
    let mut bench = Bench::joined(config(), 4);
    let what = bench.link();
    let said = bench.starts_fetch(what, vec![peer(1)]);
    let (conn, ..) = dialled(&said)[0];
    let said = bench.hears(Input::Opened { conn, peer: peer(1), via: Via::Dialled });
    let [ours @ Message::Handshake(_)] = &told(conn, &said)[..] else { panic!("{said:?}") };
    let said = bench.says(conn, ours.clone());
    assert_eq!(closed(conn, &said).as_deref(), Some("connected_to_ourselves"));
    let told_again = hexad_core::Operation::Own(crate::node::Request::AddPeers(SHARE, vec![peer(1), peer(2)]));
    let said = bench.hears(Input::Start(hexad_core::OpId(9), told_again));
    assert_eq!(dialled(&said).into_iter().map(|(_, peer, _)| peer).collect::<Vec<_>>(), [peer(2)]);
}

#[test]
fn who_only_gives_is_let_go_by_who_wants_nothing() {
    for (upload_only, interested, stays) in [(true, false, false), (true, true, true), (false, false, true)] {
        let mut bench = Bench::joined(config(), 4).seeds();
        let (conn, _) = bench.meets(1, true);
        bench.says(conn, Message::HaveNone);
        if interested {
            bench.says(conn, Message::Interested);
        }
        let handshake = crate::wire::ExtendedHandshake { upload_only: Some(upload_only), ..Default::default() };
        let said = bench.says(conn, Message::from(handshake));
        assert_eq!(closed(conn, &said).is_none(), stays, "upload_only {upload_only}, interested {interested}");
    }
}

#[test]
fn a_peer_is_connected_once() {
    let mut bench = Bench::joined(config(), 4).fetches();
    bench.meets(1, true);
    let (again, said) = bench.meets(1, true);
    assert_eq!(closed(again, &said).as_deref(), Some("connected_twice"));
}

#[test]
fn a_stranger_that_says_nothing_is_closed_after_ten_seconds() {
    let mut bench = Bench::joined(config(), 4).fetches();
    let conn = bench.talk.accepted();
    bench.hears(Input::Opened { conn, peer: peer(1), via: Via::Accepted(doors::PEERS) });
    assert_eq!(closed(conn, &bench.pass(Span::from_secs(9))), None);
    assert_eq!(closed(conn, &bench.pass(Span::from_secs(2))).as_deref(), Some("handshake_late"));
}

#[test]
fn who_asks_for_another_torrent_is_closed() {
    let mut bench = Bench::joined(config(), 4).fetches();
    bench.torrent = torrent(5, false);
    let (conn, said) = bench.meets(1, true);
    assert_eq!(closed(conn, &said).as_deref(), Some("torrent_unknown"));
    assert_eq!(notes(Level::Drop, &said), ["torrent_unknown"]);
}

#[test]
fn a_silent_peer_gets_keep_alives_and_is_closed_in_the_end() {
    let mut bench = Bench::joined(config(), 4).fetches();
    let (conn, _) = bench.meets(1, true);
    bench.says(conn, Message::HaveNone);
    let said = bench.pass(Span::from_secs(110));
    assert!(told(conn, &said).contains(&Message::KeepAlive));
    let said = bench.pass(Span::from_secs(80));
    assert_eq!(closed(conn, &said).as_deref(), Some("silent"));
}

#[test]
fn when_all_places_are_taken_a_useless_connection_makes_room() {
    let mut bench = Bench::joined(Config { swarm_connections_max: 2, ..config() }, 4).fetches();
    let (seed, _) = bench.meets_seed(1);
    let (useless, _) = bench.meets(2, true);
    bench.says(useless, Message::HaveNone);
    let (early, said) = bench.meets(3, true);
    assert_eq!(closed(early, &said).as_deref(), Some("swarm_full"), "nobody is old enough to be called useless");
    bench.pass(Span::from_secs(61));
    let (late, said) = bench.meets(4, true);
    assert_eq!(closed(useless, &said).as_deref(), Some("made_room"));
    assert_eq!((closed(seed, &said), closed(late, &said)), (None, None));
}

#[test]
fn where_nobody_is_useless_the_lower_priority_makes_room_for_the_higher() {
    let own: std::net::SocketAddr = "198.51.100.7:6881".parse().unwrap();
    let rank = |last: u8| priority(own, peer(last).socket().unwrap());
    let mut newcomers: Vec<u8> = (20..40).collect();
    newcomers.sort_by_key(|last| rank(*last));
    let (lowest, highest) = (newcomers[0], newcomers[newcomers.len() - 1]);
    let config = Config { swarm_connections_max: 4, upload_slots: 1, ..config() };
    let mut bench = Bench::joined(config, 4).seeds();
    let conns: Vec<ConnId> = (1..=4)
        .map(|last| {
            let (conn, _) = bench.meets(last, true);
            bench.says(conn, Message::from(crate::wire::ExtendedHandshake { your_ip: Some(own.ip()), ..Default::default() }));
            // Whoever is interested is not useless, and only two of them are given to.
            bench.says(conn, Message::Interested);
            conn
        })
        .collect();
    bench.pass(Span::from_secs(61));
    let (refused, said) = bench.meets(lowest, true);
    let among_those_who_wait = said.iter().filter(|output| matches!(output, Output::Close(..))).count();
    assert_eq!((closed(refused, &said).as_deref(), among_those_who_wait), (Some("swarm_full"), 1));
    let (taken, said) = bench.meets(highest, true);
    assert_eq!(closed(taken, &said), None);
    let gone: Vec<u8> = (1..=4).filter(|last| closed(conns[usize::from(*last) - 1], &said).is_some()).collect();
    assert!(matches!(gone[..], [last] if rank(last) < rank(highest)), "{gone:?}");
}

#[test]
fn two_seeds_have_nothing_to_give_each_other() {
    let mut bench = Bench::joined(config(), 4).seeds();
    let (conn, _) = bench.meets(1, true);
    let said = bench.says(conn, Message::HaveAll);
    assert_eq!(closed(conn, &said).as_deref(), Some("both_complete"));
}

#[test]
fn with_all_places_taken_a_leecher_drops_who_gave_nothing_through_two_rounds() {
    let mut bench = Bench::joined(Config { swarm_connections_max: 2, ..config() }, 8).fetches();
    let (giver, said) = bench.meets_seed(1);
    bench.gives_all(giver, &said);
    let (idle, _) = bench.meets(2, true);
    bench.says(idle, Message::HaveAll);
    let what = hexad_core::Operation::Own(crate::node::Request::AddPeers(SHARE, vec![peer(3)]));
    assert_eq!(dialled(&bench.hears(Input::Start(PUBLISH, what))), [], "there is no place");
    let alive = |bench: &mut Bench| {
        for conn in [giver, idle] {
            bench.says(conn, Message::KeepAlive);
        }
    };
    let said = bench.pass(Span::from_secs(59));
    assert_eq!((closed(giver, &said), closed(idle, &said)), (None, None), "newcomers get two rounds");
    alive(&mut bench);
    let said = bench.pass(Span::from_secs(32));
    assert_eq!(closed(idle, &said).as_deref(), Some("gave_nothing"));
    assert_eq!(closed(giver, &said), None);
    assert_eq!(dialled(&said).len(), 1, "another gets the place");
}

#[test]
fn whom_it_gives_to_is_dropped_last() {
    let mut bench = Bench::joined(Config { swarm_connections_max: 3, ..config() }, 8).fetches();
    let (giver, said) = bench.meets_seed(1);
    bench.gives_all(giver, &said);
    let (taker, _) = bench.meets(2, true);
    bench.says(taker, Message::HaveNone);
    bench.says(taker, Message::Interested);
    let (idle, _) = bench.meets(3, true);
    bench.says(idle, Message::HaveAll);
    bench.hears(Input::Start(PUBLISH, hexad_core::Operation::Own(crate::node::Request::AddPeers(SHARE, vec![peer(4)]))));
    let alive = |bench: &mut Bench| {
        // Who is heard last is otherwise kept longest.
        for conn in [giver, taker, idle] {
            bench.says(conn, Message::KeepAlive);
        }
    };
    bench.pass(Span::from_secs(59));
    alive(&mut bench);
    let said = bench.pass(Span::from_secs(32));
    assert_eq!(closed(idle, &said).as_deref(), Some("gave_nothing"));
    assert_eq!((closed(giver, &said), closed(taker, &said)), (None, None));
}

#[test]
fn at_first_half_of_the_places_are_left_to_those_who_come() {
    let named = |bench: &mut Bench| {
        let peers = (1..=12).map(peer).collect();
        let what = hexad_core::Operation::Own(crate::node::Request::AddPeers(SHARE, peers));
        dialled(&bench.hears(Input::Start(PUBLISH, what))).len()
    };
    let listens = config();
    assert!(listens.listen.is_some() && listens.swarm_connections_max == 10);
    let mut bench = Bench::joined(listens, 8).fetches();
    assert_eq!(named(&mut bench), 5);
    assert_eq!(dialled(&bench.pass(Span::from_secs(31))).len(), 5, "who wanted to come has come");
    let mut bench = Bench::joined(Config { listen: None, ..config() }, 8).fetches();
    assert_eq!(named(&mut bench), 10, "nobody can come");
}
