use std::sync::Arc;

use hexad_content::{FileEntry, Layout, Sha1Digest};
use hexad_core::{Answer, Ask, Endpoint, HttpResponse, Input, Level, Output, Payload, Ticket, Verdict, Via, What};

use super::bench::*;
use crate::doors;
use crate::node::Config;
use crate::wire::frames::BLOCK_BYTES;
use crate::wire::metainfo::MetainfoBuilder;
use crate::wire::{BlockRef, Message, Pex, PexPeer};

fn is_closed_for(bench: &mut Bench, message: Message, why: &str) {
    let (conn, _) = bench.meets(1, true);
    bench.says(conn, Message::HaveNone);
    let said = bench.says(conn, message);
    assert_eq!(closed(conn, &said).as_deref(), Some(why));
    assert_eq!(notes(Level::Drop, &said), [why]);
}

#[test]
fn nonsense_closes_the_connection_and_says_why() {
    let block = BlockRef { piece: 0, begin: 0, length: BLOCK_BYTES };
    for (message, why) in [
        (Message::Have(4), "have_out_of_range"),
        (Message::Bitfield(vec![0xf0, 0].into()), "bitfield_bad"),
        (Message::Request(BlockRef { piece: 4, ..block }), "request_bad"),
        (Message::Request(BlockRef { begin: u32::MAX, ..block }), "request_bad"),
        (Message::Request(BlockRef { length: BLOCK_BYTES + 1, ..block }), "request_bad"),
        (Message::Request(BlockRef { length: 0, ..block }), "request_bad"),
        (Message::SuggestPiece(9), "piece_out_of_range"),
        (Message::AllowedFast(9), "piece_out_of_range"),
        (Message::RejectRequest(BlockRef { begin: 5, ..block }), "reject_bad"),
        (Message::Piece { piece: 9, begin: 0, data: hexad_core::Payload::EMPTY }, "block_bad"),
        (Message::Piece { piece: 0, begin: 0, data: bytes::Bytes::from_static(b"short").into() }, "block_bad"),
    ] {
        is_closed_for(&mut Bench::joined(config(), 4).fetches(), message, why);
    }
}

/// aria2 says many pieces that way, and that it has become a seed.
#[test]
fn a_bitfield_that_comes_again_adds_pieces() {
    let mut bench = Bench::joined(config(), 4).fetches();
    let (conn, _) = bench.meets(1, true);
    bench.says(conn, Message::Bitfield(vec![0x80].into()));
    bench.says(conn, Message::Unchoke);
    let said = bench.says(conn, Message::Bitfield(vec![0xc0].into()));
    assert_eq!(requests(conn, &said).iter().map(|block| block.piece).collect::<Vec<_>>(), [1, 1]);
    let said = bench.says(conn, Message::HaveAll);
    let mut more: Vec<u32> = requests(conn, &said).iter().map(|block| block.piece).collect();
    more.sort_unstable();
    assert_eq!((more, closed(conn, &said)), (vec![2, 2, 3, 3], None));
    let said = bench.says(conn, Message::HaveAll);
    assert_eq!((notes(Level::Drop, &said), closed(conn, &said)), (vec!["bitfield_again"], None));
}

#[test]
fn bitfields_of_the_wrong_length_or_with_spare_bits_close_the_connection() {
    for bits in [vec![], vec![0xf0, 0], vec![0xf8]] {
        let mut bench = Bench::joined(config(), 4).fetches();
        let (conn, _) = bench.meets(1, true);
        let said = bench.says(conn, Message::Bitfield(bits.into()));
        assert_eq!(closed(conn, &said).as_deref(), Some("bitfield_bad"));
    }
}

#[test]
fn a_bitfield_that_turns_out_to_be_wrong_once_the_torrent_is_known_closes_the_connection() {
    let mut bench = Bench::joined(config(), 4);
    let what = bench.link();
    bench.starts_fetch(what, Vec::new());
    let (conn, _) = bench.meets(1, true);
    bench.says(conn, Message::Bitfield(vec![0xff; 100].into()));
    let said = bench.hears(Input::Start(PUBLISH, hexad_core::Operation::Publish { share: SHARE }));
    assert!(matches!(reports(PUBLISH, &said)[..], [hexad_core::Progress::Failed(_)]), "there is no such share yet");
    let share = bench.share(hexad_content::Ranges::new());
    bench.talk.shares = bench.talk.shares.with(SHARE, share);
    let said = bench.hears(Input::Start(PUBLISH, hexad_core::Operation::Publish { share: SHARE }));
    assert_eq!(closed(conn, &said).as_deref(), Some("bitfield_bad"));
}

#[test]
fn fast_messages_without_the_fast_extension_close_the_connection() {
    let mut bench = Bench::joined(config(), 4).fetches();
    let (conn, _) = bench.meets(1, false);
    let said = bench.says(conn, Message::HaveAll);
    assert_eq!(closed(conn, &said).as_deref(), Some("fast_not_agreed"));
}

#[test]
fn a_block_that_nobody_asked_for_closes_the_connection() {
    let mut bench = Bench::joined(config(), 4).fetches();
    let (conn, _) = bench.meets(1, true);
    bench.says(conn, Message::HaveAll);
    let said = bench.gives(conn, BlockRef { piece: 0, begin: 0, length: BLOCK_BYTES });
    assert_eq!(delivered(&said), []);
    assert_eq!(closed(conn, &said).as_deref(), Some("block_unasked"));
}

#[test]
fn who_gave_all_of_a_wrong_piece_is_banned_and_does_not_come_back() {
    let mut bench = Bench::joined(config(), 2).fetches();
    let (liar, said) = bench.meets_seed(1);
    bench.gives_all(liar, &said);
    let said = bench.judged(0, Verdict::Bad);
    assert_eq!(notes(Level::Ban, &said), ["wrong_data"]);
    assert!(closed(liar, &said).is_some());
    let again = bench.talk.accepted();
    let said = bench.hears(Input::Opened { conn: again, peer: peer(1), via: Via::Accepted(doors::PEERS) });
    assert_eq!(closed(again, &said).as_deref(), Some("peer_banned"));
    let (honest, said) = bench.meets_seed(2);
    assert!(requests(honest, &said).iter().any(|block| block.piece == 0), "the piece is fetched from another");
}

#[test]
fn of_two_who_gave_a_wrong_piece_the_honest_one_stays() {
    let mut bench = Bench::joined(config(), 1).fetches();
    let (liar, said) = bench.meets_seed(1);
    let asked = requests(liar, &said);
    let (honest, said) = bench.meets_seed(2);
    let taken_over = requests(honest, &said);
    // Each gives one half.
    bench.gives(honest, taken_over[0]);
    let other = *asked.iter().find(|block| **block != taken_over[0]).unwrap();
    bench.gives(liar, other);
    let said = bench.judged(0, Verdict::Bad);
    assert_eq!(notes(Level::Ban, &said), [] as [&str; 0]);
    // One of them gets the whole piece now. If it is the honest one, all is well; if not, it is found out.
    let alone = if requests(liar, &said).is_empty() { honest } else { liar };
    assert_eq!(requests(alone, &said).len(), 2, "{said:?}");
    bench.gives_all(alone, &said);
    let verdict = if alone == liar { Verdict::Bad } else { Verdict::Good };
    let said = bench.judged(0, verdict);
    assert_eq!(closed(honest, &said).filter(|why| why == "wrong_data"), None);
    assert_eq!(notes(Level::Ban, &said).len(), usize::from(alone == liar));
}

#[test]
fn of_three_who_gave_to_wrong_pieces_only_the_liar_is_banned() {
    let mut bench = Bench::joined(config(), 6).fetches();
    let (liar, said) = bench.meets_seed(1);
    // It gives the second block of each piece, and the others the first ones.
    for block in requests(liar, &said).iter().filter(|block| block.begin == BLOCK_BYTES) {
        bench.gives(liar, *block);
    }
    let mut honest = Vec::new();
    let mut queue = Vec::new();
    for last in [2, 3] {
        let (conn, said) = bench.meets_seed(last);
        queue.extend(requests(conn, &said).into_iter().map(|block| (conn, block)));
        honest.push(conn);
    }
    while let Some((conn, block)) = queue.pop() {
        assert_eq!(block.begin, 0);
        let said = bench.gives(conn, block);
        queue.extend(honest.iter().flat_map(|&conn| requests(conn, &said).into_iter().map(move |block| (conn, block))));
    }
    let said: Vec<_> = (0..6).flat_map(|piece| bench.judged(piece, Verdict::Bad)).collect();
    assert_eq!(notes(Level::Ban, &said), [] as [&str; 0], "any of them may have lied");
    // Each piece comes from one of the honest then, and the engine tells what was wrong before.
    let said = bench.hears(Input::Judged(LEASE, PIECE / 2..PIECE, Verdict::Lie));
    assert_eq!((notes(Level::Ban, &said), closed(liar, &said).is_some()), (vec!["wrong_data"], true));
    assert!(bench.hears(Input::Judged(LEASE, PIECE / 2..PIECE, Verdict::Lie)).is_empty(), "once is enough");
    for piece in 0..6 {
        let said = bench.judged(piece, Verdict::Good);
        assert_eq!(notes(Level::Ban, &said), [] as [&str; 0]);
        assert!(honest.iter().all(|conn| closed(*conn, &said).is_none_or(|why| why != "wrong_data")));
    }
}

#[test]
fn who_gives_the_rest_of_what_a_web_seed_spoiled_is_not_to_blame() {
    let half = |name: &str| FileEntry::plain(vec![name.into()], PIECE / 2);
    let layout = Arc::new(Layout::folder("album".into(), vec![half("a"), half("b")]).unwrap());
    let hashes = vec![Sha1Digest([0; 20])];
    let web_seeds = vec!["http://w.example/".to_owned()];
    let torrent = MetainfoBuilder { web_seeds, ..MetainfoBuilder::new(layout, PIECE, hashes) }.build().unwrap();
    let mut bench = Bench::of(config(), torrent).joins();
    bench.starts_fetch(What::Torrent(bench.torrent.encode().into()), Vec::new());
    let said = bench.leases(0..PIECE);
    let asked = said.iter().filter_map(|output| match output {
        Output::Ask(ticket, Ask::Http(_)) => Some(*ticket),
        _ => None,
    });
    let asked: Vec<Ticket> = asked.collect();
    let [first, second] = asked[..] else { panic!("a question for each file: {said:?}") };
    let answer = |body: Vec<u8>| HttpResponse { status: 206, retry_after_s: None, moved_to: None, body: Payload::Bytes(body.into()) };
    // The first half comes and is wrong; the second has the wrong length, so that the piece is given back.
    let said = bench.hears(Input::Answered(first, Answer::Http(Box::new(answer(vec![1; BLOCK_BYTES as usize])))));
    assert_eq!(delivered(&said).len(), 1);
    bench.hears(Input::Answered(second, Answer::Http(Box::new(answer(vec![1; 5])))));
    let (honest, said) = bench.meets_seed(1);
    assert_eq!(requests(honest, &said).len(), 2);
    bench.gives_all(honest, &said);
    let said = bench.judged(0, Verdict::Bad);
    assert_eq!((notes(Level::Ban, &said), closed(honest, &said)), (vec![], None));
    assert_eq!(requests(honest, &said).len(), 2, "all of it once more");
    bench.gives_all(honest, &said);
    let said = bench.judged(0, Verdict::Bad);
    assert_eq!(notes(Level::Ban, &said), ["wrong_data"], "now it was all his");
}

#[test]
fn a_lie_about_what_is_not_remembered_or_no_block_bans_nobody() {
    let mut bench = Bench::joined(config(), 2).fetches();
    let (_conn, _) = bench.meets_seed(1);
    for range in [0..PIECE / 2, 7..20, 0..PIECE, 5 * PIECE..6 * PIECE, u64::MAX - 1..u64::MAX, 0..0] {
        assert_eq!(notes(Level::Ban, &bench.hears(Input::Judged(LEASE, range, Verdict::Lie))), [] as [&str; 0]);
    }
}

#[test]
fn a_flood_of_requests_is_refused_and_costs_the_connection() {
    let mut bench = Bench::joined(Config { requests_max: 10, ..config() }, 4).seeds();
    let (conn, _) = bench.meets(1, true);
    bench.says(conn, Message::HaveNone);
    bench.says(conn, Message::Interested);
    let block = BlockRef { piece: 0, begin: 0, length: BLOCK_BYTES };
    let mut refused = 0;
    for count in 0.. {
        let said = bench.says(conn, Message::Request(block));
        if closed(conn, &said).is_some() {
            break;
        }
        refused += usize::from(told(conn, &said).contains(&Message::RejectRequest(block)));
        assert!(count < 5000, "a flood has an end");
    }
    assert!(refused > 100);
}

/// Each of them is well formed, and of a block that exists; only nobody has asked for it.
#[test]
fn a_flood_of_rejects_of_what_nobody_asked_for_costs_the_connection() {
    let mut bench = Bench::joined(config(), 4).fetches();
    let (conn, _) = bench.meets(1, true);
    bench.says(conn, Message::HaveNone);
    let block = BlockRef { piece: 1, begin: 0, length: BLOCK_BYTES };
    let end = (0..2000).find_map(|count| {
        let said = bench.says(conn, Message::RejectRequest(block));
        assert_eq!(notes(Level::Drop, &said), ["reject_unasked"]);
        assert_eq!((told(conn, &said), requests(conn, &said)), (vec![], vec![]), "and is answered by nothing");
        closed(conn, &said).map(|why| (count, why))
    });
    let (count, why) = end.expect("a flood has an end");
    assert!((100..1000).contains(&count), "{count}");
    assert_eq!(why, "nonsense");
}

#[test]
fn messages_without_meaning_are_counted_and_have_an_end() {
    let mut bench = Bench::joined(config(), 4).fetches();
    let (conn, _) = bench.meets(1, true);
    let end = (0..2000).find(|_| {
        let said = bench.says(conn, Message::Unknown(99, bytes::Bytes::new()));
        closed(conn, &said).is_some()
    });
    assert!(end.is_some_and(|count| count > 100));
}

#[test]
fn a_private_torrent_takes_peers_from_trackers_only() {
    let config = Config { pex: true, lsd: true, dht: true, ..config() };
    let mut bench = Bench::of(config, torrent(4, true)).joins().fetches();
    let (conn, said) = bench.meets(1, true);
    let ours = told(conn, &said)
        .into_iter()
        .find_map(|message| if let Message::ExtendedHandshake(ours) = message { Some(ours) } else { None })
        .expect("we speak the extension protocol");
    assert!(!ours.extensions.contains_key("ut_pex"));
    assert!(!told(conn, &said).iter().any(|message| matches!(message, Message::Port(_))));
    let added = vec![PexPeer { address: ([192, 0, 2, 77], 6881).into(), flags: 0 }];
    let said = bench.says(conn, Message::Pex(Pex { added, dropped: Vec::new() }));
    assert_eq!((dialled(&said), notes(Level::Drop, &said)), (vec![], vec!["pex_unwanted"]));
    let said = bench.pass(hexad_core::Span::from_secs(300));
    assert!(!said.iter().any(|output| matches!(output, hexad_core::Output::Send(hexad_core::Link::Multicast(_), _))));
}

#[test]
fn peers_named_by_a_peer_are_dialled() {
    let mut bench = Bench::joined(Config { pex: true, ..config() }, 4).fetches();
    let (conn, _) = bench.meets(1, true);
    let added = vec![PexPeer { address: ([192, 0, 2, 77], 6881).into(), flags: 0 }];
    let said = bench.says(conn, Message::Pex(Pex { added, dropped: Vec::new() }));
    assert_eq!(dialled(&said).into_iter().map(|(_, peer, _)| peer).collect::<Vec<_>>(), [peer(77)]);
}

/// However many ports of one host are named, and however often: it is no target. A neighbour that shares its address with others may have any number.
#[test]
fn of_one_public_host_a_few_ports_are_dialled_on_hearsay() {
    let mut bench = Bench::joined(Config { pex: true, swarm_connections_max: 100, ..config() }, 4).fetches();
    let named = |ip: [u8; 4], ports: std::ops::Range<u16>| Pex {
        added: ports.map(|port| PexPeer { address: (ip, port).into(), flags: 0 }).collect(),
        dropped: Vec::new(),
    };
    let (first, _) = bench.meets(1, true);
    let (second, _) = bench.meets(2, true);
    let mut said = bench.says(first, Message::Pex(named([198, 51, 100, 7], 2000..2030)));
    said.extend(bench.says(second, Message::Pex(named([198, 51, 100, 7], 3000..3030))));
    said.extend(bench.says(first, Message::Pex(named([198, 51, 100, 8], 80..81))));
    assert_eq!(dialled(&said).len(), crate::node::hearsay::PORTS_OF_HOST_MAX);
    let dropped = notes(Level::Drop, &said);
    assert_eq!(dropped.iter().filter(|&&code| code == "peer_ports_many").count(), 60 - dialled(&said).len());
    assert_eq!(dropped.iter().filter(|&&code| code == "pex_peers_undialable").count(), 1, "a port below 1024");
    // Whom the user names is another matter.
    let what = bench.link();
    let peers = vec![Endpoint::Ip(([198, 51, 100, 7], 80).into())];
    bench.hears(Input::Cancel(FETCH));
    let said = bench.starts_fetch(what, peers.clone());
    assert!(dialled(&said).iter().any(|(_, peer, _)| peers.contains(peer)), "{said:?}");
}

#[test]
fn when_a_link_turns_out_to_be_private_who_came_by_hearsay_leaves() {
    let mut bench = Bench::of(Config { pex: true, ..config() }, torrent(3, true)).joins();
    let what = bench.link();
    bench.starts_fetch(what, Vec::new());
    let (conn, _) = bench.meets(1, true);
    let added = vec![PexPeer { address: ([192, 0, 2, 77], 6881).into(), flags: 0 }];
    let said = bench.says(conn, Message::Pex(Pex { added, dropped: Vec::new() }));
    let (hearsay, ..) = dialled(&said)[0];
    bench.hears(Input::Opened { conn: hearsay, peer: peer(77), via: Via::Dialled });
    bench.says(hearsay, bench.handshake(77, true));
    let info = bench.torrent.info.bytes.clone();
    let size = u32::try_from(info.len()).unwrap();
    bench.says(conn, bench.extended(Some(size)));
    let data = crate::wire::MetadataMessage::Data { piece: 0, total_bytes: size, data: info };
    let said = bench.says(conn, Message::Metadata(data));
    assert_eq!(closed(hearsay, &said).as_deref(), Some("torrent_private"));
    assert_eq!(closed(conn, &said), None);
}
