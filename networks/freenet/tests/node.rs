//! One node on a table: what it does with walks, and with peers who loop, forge, flood or keep silent.

use hexad_core::transcript::Transcript;
use hexad_core::{ConnId, Dice, Input, Level, Link, OpId, Operation, Output, Progress, Span, Via};
use hexad_freenet::keys::{Block, ClientChk, Location};
use hexad_freenet::wire::{Found, Hello, Message, Reason, Walking};
use hexad_freenet::{Node, Request, Settings, doors};

struct Table {
    node: Transcript<Node<u32>>,
}

impl Table {
    /// A founder that greets peers 1 to `peers` over connections of the same numbers.
    fn with_peers(settings: Settings, peers: u32) -> Self {
        let settings = Settings { on_disk: false, listen: None, ..settings };
        let mut node = Transcript::new(Node::new(settings.into(), &mut Dice::counter(1, 0)), 1);
        node.hears(Input::Start(OpId(1), Operation::Join { bootstrap: Vec::new() }));
        for peer in 1..=peers {
            let conn = node.accepted();
            assert_eq!(conn, ConnId(u64::from(peer)));
            node.hears(Input::Opened { conn, peer, via: Via::Accepted(doors::NETWORK) });
            let location = Some(Location(u64::from(peer) << 60));
            node.hears(Input::Received(Link::Conn(conn), Message::Hello(Box::new(Hello { you: 0, location }))));
        }
        Self { node }
    }

    fn hears(&mut self, from: u64, message: Message<u32>) -> Vec<(u64, Message<u32>)> {
        sent(&self.node.hears(Input::Received(Link::Conn(ConnId(from)), message)))
    }
}

fn sent(said: &[hexad_core::Outbound<Node<u32>>]) -> Vec<(u64, Message<u32>)> {
    let send = |output: &hexad_core::Outbound<Node<u32>>| match output {
        Output::Send(Link::Conn(conn), message) => Some((conn.0, message.clone())),
        _ => None,
    };
    said.iter().filter_map(send).collect()
}

fn block() -> Block {
    ClientChk::encode(b"blue", false).expect("it fits a block").1
}

fn walking(uid: u64, htl: u16) -> Box<Walking> {
    Box::new(Walking { uid, htl, key: block().key })
}

fn found(uid: u64, block: Block) -> Message<u32> {
    Message::Found(Box::new(Found { uid, source: None, block }))
}

/// To whom a request was passed on, and with how many hops-to-live.
fn passed_on(said: &[(u64, Message<u32>)]) -> Option<(u64, u16)> {
    said.iter().find_map(|(conn, message)| match message {
        Message::Request(walking) | Message::Insert(walking) => Some((*conn, walking.htl)),
        _ => None,
    })
}

#[test]
fn a_request_goes_to_the_nearest_and_on_to_the_next_until_the_block_comes() {
    let mut table = Table::with_peers(Settings::default(), 4);
    let said = table.hears(1, Message::Request(walking(7, 10)));
    assert_eq!(said[0], (1, Message::Accepted(7)));
    let (first, htl) = passed_on(&said).expect("it is passed on");
    assert_eq!(htl, 9);
    assert_ne!(first, 1, "never back to where it came from");
    let said = table.hears(first, Message::RouteNotFound(7, 5));
    let (second, htl) = passed_on(&said).expect("somebody else is asked");
    assert_ne!(second, first);
    assert_eq!(htl, 4, "with what is left of the hops-to-live");
    let said = table.hears(second, found(7, block()));
    assert!(matches!(&said[..], [(1, Message::Found(found))] if found.block == block()), "{said:?}");
    // Whoever asks again is answered from the store.
    let said = table.hears(3, Message::Request(walking(8, 10)));
    assert!(said.iter().any(|(to, message)| *to == 3 && matches!(message, Message::Found(_))), "{said:?}");
}

#[test]
fn a_walk_that_has_been_here_is_turned_away() {
    let mut table = Table::with_peers(Settings::default(), 3);
    table.hears(1, Message::Request(walking(7, 10)));
    assert_eq!(table.hears(2, Message::Request(walking(7, 10))), [(2, Message::Rejected(7, Reason::Loop))]);
}

#[test]
fn hops_to_live_that_run_out_end_a_request_everywhere() {
    let mut table = Table::with_peers(Settings { decrement_at_one: (1, 1), ..Settings::default() }, 3);
    assert_eq!(table.hears(1, Message::Request(walking(7, 0))), [(1, Message::Accepted(7)), (1, Message::NotFound(7))]);
    let said = table.hears(1, Message::Request(walking(8, 5)));
    let (asked, _) = passed_on(&said).expect("it is passed on");
    assert_eq!(table.hears(asked, Message::NotFound(8)), [(1, Message::NotFound(8))], "nobody else is tried");
}

#[test]
fn a_key_that_fails_again_and_again_is_not_looked_for_until_it_turns_up() {
    let mut table = Table::with_peers(Settings::default(), 3);
    for uid in 0..3 {
        let said = table.hears(1, Message::Request(walking(uid, 5)));
        let (asked, _) = passed_on(&said).expect("it is passed on");
        table.hears(asked, Message::NotFound(uid));
    }
    let said = table.hears(1, Message::Request(walking(9, 5)));
    assert!(matches!(said[..], [(1, Message::RecentlyFailed(9, 1..=300))]), "{said:?}");
    // Somebody inserts it: who has asked in vain hears of it.
    let said = table.hears(2, Message::Insert(walking(10, 0)));
    assert_eq!(said, [(2, Message::Accepted(10)), (2, Message::AllClear(10))]);
    let data = Message::InsertData(Box::new(Found { uid: 10, source: None, block: block() }));
    let said = table.hears(2, data);
    assert!(said.contains(&(1, Message::Offer(Box::new(block().key)))), "{said:?}");
    assert!(said.contains(&(2, Message::Inserted(10))));
}

#[test]
fn a_forged_block_is_not_believed_and_three_are_one_too_many() {
    let mut table = Table::with_peers(Settings::default(), 2);
    let (_, other) = ClientChk::encode(b"red", false).expect("it fits a block");
    let forged = Block { key: block().key, ..other };
    let mut banned = 0;
    for uid in 0..3 {
        let said = table.hears(1, Message::Request(walking(uid, 5)));
        assert_eq!(passed_on(&said).map(|(to, _)| to), Some(2));
        let said = table.node.hears(Input::Received(Link::Conn(ConnId(2)), found(uid, forged.clone())));
        banned += said.iter().filter(|output| matches!(output, Output::Note(note) if note.level == Level::Ban)).count();
        let said = sent(&said);
        assert!(!said.iter().any(|(_, message)| matches!(message, Message::Found(_))), "{said:?}");
        assert!(said.contains(&(1, Message::RouteNotFound(uid, 5))), "{said:?}");
    }
    assert_eq!(banned, 1);
    let conn = table.node.accepted();
    let said = table.node.hears(Input::Opened { conn, peer: 2, via: Via::Accepted(doors::NETWORK) });
    assert!(said.iter().any(|output| matches!(output, Output::Close(closed, _) if *closed == conn)), "the forger is not let in again");
    assert!(!table.node.node.store().holds(&block().key));
}

#[test]
fn a_block_that_nobody_asked_for_is_dropped() {
    let mut table = Table::with_peers(Settings::default(), 2);
    assert_eq!(table.hears(2, found(7, block())), []);
    assert_eq!(table.hears(2, Message::InsertData(Box::new(Found { uid: 7, source: None, block: block() }))), []);
    assert!(table.node.node.store().is_empty());
}

#[test]
fn silence_ends_in_an_answer_within_the_deadline() {
    let mut table = Table::with_peers(Settings::default(), 3);
    table.hears(1, Message::Request(walking(7, 10)));
    let said = sent(&table.node.pass(Span::from_secs(60)));
    let answers = said.iter().filter(|(to, message)| *to == 1 && matches!(message, Message::NotFound(7) | Message::RouteNotFound(7, _)));
    assert_eq!(answers.count(), 1, "{said:?}");
    assert_eq!(table.node.node.walks(), 0);
    // Our own end as well.
    let said = table.node.hears(Input::Start(OpId(5), Operation::Own(Request::GetBlock(block().key, 18))));
    assert!(passed_on(&sent(&said)).is_some());
    let said = table.node.pass(Span::from_secs(120));
    assert!(said.iter().any(|output| matches!(output, Output::Report(OpId(5), Progress::Failed(_)))), "{said:?}");
}

#[test]
fn a_flood_of_walks_is_refused_beyond_a_bound() {
    let mut table = Table::with_peers(Settings { walks_max: 32, ..Settings::default() }, 2);
    let mut refused = 0;
    for uid in 0..200 {
        let said = table.hears(1, Message::Insert(walking(uid, 10)));
        refused += said.iter().filter(|(_, message)| matches!(message, Message::Rejected(_, Reason::Overload))).count();
    }
    assert_eq!((table.node.node.walks(), refused), (32, 168));
    table.node.pass(Span::from_secs(60));
    assert_eq!(table.node.node.walks(), 0);
}

#[test]
fn near_the_origin_nothing_is_kept() {
    let mut table = Table::with_peers(Settings::default(), 3);
    let said = table.hears(1, Message::Request(walking(7, 18)));
    let (asked, htl) = passed_on(&said).expect("it is passed on");
    assert!((17..=18).contains(&htl));
    table.hears(asked, found(7, block()));
    assert!(table.node.node.store().is_empty());
}

#[test]
fn a_darknet_knows_friends_only() {
    use hexad_core::Endpoint;

    let friend = |number: u8| Endpoint::Key([number; 32], std::net::SocketAddr::from(([10, 0, 0, number], 4000)));
    let settings = Settings { mode: hexad_freenet::Mode::Darknet([[1; 32]].into()), on_disk: false, ..Settings::default() };
    let mut node = Transcript::new(Node::<Endpoint>::new(settings.into(), &mut Dice::counter(1, 0)), 1);
    node.hears(Input::Start(OpId(1), Operation::Join { bootstrap: Vec::new() }));
    for (number, welcome) in [(1, true), (2, false)] {
        let conn = node.accepted();
        let said = node.hears(Input::Opened { conn, peer: friend(number), via: Via::Accepted(doors::NETWORK) });
        let closed = said.iter().any(|output| matches!(output, Output::Close(..)));
        assert_eq!(closed, !welcome, "{said:?}");
    }
}
