//! Every message against its golden bytes (`vectors/messages.txt`), round trips, sizes, and what is cut off, too long or out of place.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use hexad_core::{Codec as _, Cue, Endpoint, Message as _, Payload};
use hexad_freenet::keys::{ClientChk, Location, NodeKey, ksk};
use hexad_freenet::wire::{
    Announce, Bid, CELL_BYTES, Codec, Decline, Finding, Found, Hello, Inquire, Inquiry, Message, NEIGHBOURS_MAX, Reason, Reveal,
    SHARES_MAX, Settle, Swap, Untold, Walking, read, write,
};
use proptest::prelude::*;

const VECTORS: &str = include_str!("../vectors/messages.txt");

fn peer(number: u8) -> Endpoint {
    Endpoint::Key([number; 32], SocketAddr::from(([192, 0, 2, number], 6400 + u16::from(number))))
}

fn walking(key: NodeKey) -> Box<Walking> {
    Box::new(Walking { uid: 0x0102_0304_0506_0708, htl: 17, key })
}

/// One of each kind.
fn messages() -> Vec<Message<Endpoint>> {
    let chk = NodeKey::Chk([7; 32]);
    let ssk = NodeKey::Ssk { ehd: [8; 32], owner: [9; 32] };
    let six = Endpoint::Key([6; 32], "[2001:db8::6]:6406".parse().expect("an address"));
    let block = ClientChk::encode(b"hello world\n", false).expect("it fits a block").1;
    let signed = ksk("sample.txt").encode(b"text", false).expect("it fits a block");
    vec![
        Message::Hello(Box::new(Hello { you: six, location: Some(Location(0x1122_3344_5566_7788)) })),
        Message::Hello(Box::new(Hello { you: peer(1), location: None })),
        Message::Announce(Box::new(Announce { uid: 1, htl: 6, who: peer(2), commits: vec![[1; 32], [2; 32]] })),
        Message::Reveal(Box::new(Reveal { uid: 1, shares: vec![[3; 32]], members: vec![peer(3), peer(4)] })),
        Message::Settle(Box::new(Settle { uid: 1, shares: vec![[4; 32], [5; 32]] })),
        Message::Request(walking(chk)),
        Message::Request(walking(ssk)),
        Message::Probe(walking(chk)),
        Message::Insert(walking(ssk)),
        Message::Accepted(2),
        Message::Rejected(3, Reason::Loop),
        Message::Rejected(3, Reason::Overload),
        Message::NotFound(4),
        Message::RouteNotFound(5, 11),
        Message::RecentlyFailed(6, 299),
        Message::Found(Box::new(Found { uid: 7, source: Some(peer(5)), block: block.clone() })),
        Message::Found(Box::new(Found { uid: 7, source: None, block: signed })),
        Message::Probed(8, 480),
        Message::AllClear(9),
        Message::InsertData(Box::new(Found { uid: 10, source: None, block })),
        Message::Inserted(11),
        Message::Offer(Box::new(chk)),
        Message::Introduce([10; 16]),
        Message::Welcome,
        Message::Declined(Decline::Unknown),
        Message::Declined(Decline::Full),
        Message::Inquire(Inquire { uid: 12, htl: 70, what: Inquiry::RejectStats }),
        Message::Told(13, Box::new(Finding::Bandwidth(1 << 20))),
        Message::Told(13, Box::new(Finding::Build(1506))),
        Message::Told(13, Box::new(Finding::Identifier(0x0102_0304_0506_0708, 99))),
        Message::Told(13, Box::new(Finding::LinkLengths(vec![1, 0x8000]))),
        Message::Told(13, Box::new(Finding::Location(0x4000))),
        Message::Told(13, Box::new(Finding::StoreSize(1 << 30))),
        Message::Told(13, Box::new(Finding::Uptime(50))),
        Message::Told(13, Box::new(Finding::RejectStats([1, 2, 3, 255]))),
        Message::Told(13, Box::new(Finding::CapacityUsage(7))),
        Message::Untold(14, Untold::Refused),
        Message::SwapRequest(Box::new(Swap { uid: 15, htl: 10, hash: [11; 32] })),
        Message::SwapReply(16, Box::new([12; 32])),
        Message::SwapCommit(
            17,
            Box::new(Bid { random: [13; 32], location: Location(1 << 62), neighbours: vec![Location(1), Location(2)] }),
        ),
        Message::SwapComplete(18, Box::new(Bid { random: [14; 32], location: Location(3), neighbours: Vec::new() })),
        Message::SwapRejected(19),
    ]
}

fn encoded(message: &Message<Endpoint>) -> BytesMut {
    let mut out = BytesMut::new();
    write(message, &mut out);
    out
}

/// The part of a frame that says something; blocks by their first bytes.
fn shown(message: &Message<Endpoint>) -> String {
    let frame = encoded(message);
    let length = 4 + usize::from(u16::from_be_bytes([frame[2], frame[3]]));
    let hex: String = frame[..length.min(160)].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} {} {hex}", message.kind(), frame.len())
}

#[test]
fn messages_have_their_golden_bytes() {
    let shown: Vec<String> = messages().iter().map(shown).collect();
    let golden: Vec<&str> = VECTORS.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(shown, golden);
}

#[test]
fn every_message_is_read_as_what_was_sent_and_is_as_long_as_it_says() {
    for message in messages() {
        let frame = encoded(&message);
        assert_eq!(frame.len() as u64, message.wire_bytes(), "{}", message.kind());
        assert!(CELL_BYTES.contains(&frame.len()));
        assert_eq!(read(&frame), Ok(message.clone()));
        let mut codec = Codec::<Endpoint>::default();
        let mut input = frame.clone();
        input.extend_from_slice(&frame[..700]);
        assert_eq!(codec.decode(Cue::Bytes, &mut input, &mut BytesMut::new()), Ok(Some(message)));
        assert_eq!(codec.decode(Cue::Bytes, &mut input, &mut BytesMut::new()), Ok(None), "the next one is not there yet");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let check = |frame: &[u8], reason: &str| {
        let error = read::<Endpoint>(frame).expect_err(reason);
        assert!(error.reason.starts_with(reason), "{error}");
    };
    check(&[3, 0, 0, 0], "expected a cell");
    let good = encoded(&Message::NotFound(4));
    let changed = |at: usize, byte: u8| {
        let mut frame = good.clone();
        frame[at] = byte;
        frame
    };
    check(&good[..1000], "expected a frame as long");
    check(&changed(3, 4), "expected");
    check(&changed(2, 200), "expected a body of at most");
    check(&changed(1023, 1), "expected zeros");
    let mut large = changed(0, 1);
    large.resize(CELL_BYTES[1], 0);
    check(&large, "expected a cell of size 0");
    let mut many = encoded(&Message::Settle(Box::new(Settle { uid: 1, shares: vec![[4; 32]; SHARES_MAX] })));
    many[12] = 25;
    check(&many, "expected at most 24 shares");
    let bid = Bid { random: [0; 32], location: Location(0), neighbours: vec![Location(1); NEIGHBOURS_MAX] };
    let mut many = encoded(&Message::SwapCommit(1, Box::new(bid)));
    many[4 + 8 + 32 + 8] = 65;
    check(&many, "expected at most 64 neighbours");
    let mut many = encoded(&Message::Told(1, Box::new(Finding::LinkLengths(vec![0; 64]))));
    many[4 + 8 + 1] = 65;
    check(&many, "expected at most 64 lengths");
    let mut other = encoded(&Message::Declined(Decline::Full));
    other[4] = 5;
    check(&other, "expected a number below 5");
    let mut longer = encoded(&Message::Welcome);
    longer[3] = 1;
    check(&longer, "expected the end of the body");
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_stumble(cell in 0_u8..3, kind in 0_u8..0x56, length in 0_u16..200, body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut frame = vec![cell, kind];
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(&body[..body.len().min(usize::from(length))]);
        frame.resize(CELL_BYTES[usize::from(cell)], 0);
        if let Ok(message) = read::<Endpoint>(&frame)
            && !matches!(message, Message::Unknown(_))
        {
            prop_assert_eq!(read(&encoded(&message)), Ok(message));
        }
    }
}

#[test]
fn a_block_off_the_wire_holds_only_its_own_bytes() {
    let Message::Found(found) = &messages()[15] else { panic!("a block") };
    let Payload::Bytes(data) = &found.block.data else { panic!("real bytes") };
    assert_eq!(data.len(), 32 << 10);
    assert_ne!(Bytes::new(), *data);
}
