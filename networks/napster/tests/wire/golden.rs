//! One vector at least for every message: what it looks like, and where that comes from.
//!
//! `rec`: as recorded (see vectors/README.md). `spec`: put together by the page "Napster / OpenNap: the central-index protocol", since no program
//! was seen sending it.

use std::collections::BTreeSet;

use hexad_core::Message as _;
use hexad_napster::wire::{Message, ToClient, ToServer};

/// Number, data, source. Reading and writing gives the bytes back.
const TO_SERVER: &[(u16, &str, &str)] = &[
    (2, "bob pw 7001 \"rawclient 0.1\" 4", "rec ng-cmp-bob-sharer"),
    (2, "tekla pw 45355 \"TekNap-1.3g\" 0 5201 0", "rec ng-teknap-session: build and compression"),
    (4, "2.0", "rec ng-cmp-carol3"),
    (6, "anna pw 0 \"MP3::Napster v2.04\" 7 pia@example.org", "rec ng-perl-register"),
    (7, "bad nick", "rec ng-cmp-prelogin-7-6"),
    (11, "regina pw", "rec ng-cmp-login-password-check"),
    (14, "NAME: ADDRESS: CITY: STATE: PHONE: AGE: INCOME: EDUCATION:", "rec ng-perl-register"),
    (15, "x", "spec 3"),
    (
        100,
        "\"C:\\Music\\Some Band\\Some Band - First Song.mp3\" aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1234567 128 44100 200",
        "rec ng-cmp-bob-sharer",
    ),
    (102, "C:\\Music\\Some Band\\Some Band - First Song.mp3", "rec ng-cmp-bob-sharer"),
    (110, "", "rec ng-cmp-bob-sharer"),
    (200, "FILENAME CONTAINS \"song\" MAX_RESULTS 10 SIZE \"AT LEAST\" \"2000000\"", "rec ng-cmp-carol"),
    (200, "FILENAME CONTAINS \"holiday\" MAX_RESULTS 10 TYPE video LOCAL_ONLY", "rec ng-cmp-carol"),
    (203, "bob \"C:\\no\\such.mp3\"", "rec ng-cmp-carol3"),
    (205, "bert how are you", "rec ng-perl-session"),
    (207, "bert", "rec ng-perl-session"),
    (208, "bert", "spec 8"),
    (211, "bob", "rec ng-cmp-carol2"),
    (211, "bob 50", "spec 8"),
    (214, "", "rec ng-perl-session"),
    (215, "20b0d1fb39e212e658be5217dee6b6d9 8340", "rec ng-raw-carl"),
    (218, "", "rec ng-perl-session"),
    (219, "", "rec ng-perl-session"),
    (220, "", "rec ng-perl-bert-open-sharer"),
    (221, "", "rec ng-perl-bert-open-sharer"),
    (300, "6699", "spec 6"),
    (303, "dave", "rec ng-cmp-carol2"),
    (320, "", "rec ng-cmp-carol3"),
    (322, "bob", "rec ng-cmp-carol3"),
    (323, "bob", "rec ng-cmp-carol3"),
    (326, "", "spec 8"),
    (400, "plain", "rec ng-cmp-carol2"),
    (401, "#Room", "rec ng-perl-session"),
    (402, "#room good evening", "rec ng-perl-session"),
    (410, "#test new topic", "rec ng-cmp-carol2"),
    (500, "dora \"Z:\\nap\\Brick Quartet - Mortar.mp3\"", "rec ng-perl-session"),
    (600, "bert", "rec ng-perl-session"),
    (603, "bert", "rec ng-perl-session"),
    (606, "bob admin", "rec ng-cmp-carol3"),
    (608, "carl \"Z:\\nap\\Desert Choir - Camel Song.mp3\"", "rec ng-perl-bert-open-sharer"),
    (609, "carl \"C:\\Music\\Queue Band - Waiting.mp3\"", "rec ng-raw-quinn-queue"),
    (610, "bob too loud", "spec 8"),
    (611, "bob", "spec 8"),
    (612, "10.0.0.1 too loud", "spec 8"),
    (613, "carol3 1", "rec ng-cmp-carol3"),
    (614, "10.0.0.1", "spec 8"),
    (615, "", "spec 8"),
    (617, "", "rec ng-perl-session"),
    (619, "carl \"C:\\Music\\Queue Band - Waiting.mp3\" 2", "rec ng-raw-quinn-queue"),
    (621, "", "rec ng-perl-session"),
    (622, "bob too loud", "spec 8"),
    (623, "bob enough", "spec 8"),
    (626, "bert", "rec ng-raw-carl"),
    (627, "hear hear", "spec 8"),
    (628, "we close at ten", "spec 8"),
    (640, "quinn", "rec ng-raw-carl"),
    (641, "carl", "rec ng-raw-quinn-queue"),
    (642, "carl \"no\"", "spec 7"),
    (700, "7", "rec ng-cmp-carol3"),
    (701, "secret", "spec 6"),
    (702, "a@b.c", "spec 6"),
    (703, "7004", "rec ng-cmp-carol3"),
    (750, "", "rec ng-perl-session"),
    (751, "bert", "rec ng-perl-session"),
    (752, "anna2", "rec ng-perl-bert-open-sharer"),
    (801, "", "rec ng-cmp-carol2"),
    (824, "#test \"waves\"", "rec ng-cmp-carol2"),
    (827, "", "rec ng-cmp-carol2"),
    (830, "#room", "rec ng-perl-session"),
    (920, "x", "spec 3"),
    (10112, "", "rec ng-cmp-carol2"),
    (10115, "", "rec ng-cmp-carol2"),
    (10300, "\"C:\\x\\holiday clip.avi\" 7654321 ffffffffffffffffffffffffffffffff video", "rec ng-cmp-bob-sharer"),
    (
        870,
        "\"music\\\" \"Glass Ensemble - Door.mp3\" NOMD5COMPUTED 5004 128 44100 0 \"Glass Ensemble - Window.mp3\" NOMD5COMPUTED 10008 128 44100 0",
        "rec ng-teknap-session",
    ),
];

const TO_CLIENT: &[(u16, &str, &str)] = &[
    (0, "Invalid Password", "rec ng-cmp-login-wrong-password"),
    (3, "anon@localhost", "rec ng-cmp-alice"),
    (4, "", "rec ng-cmp-carol3"),
    (5, "newer", "spec 3"),
    (8, "", "rec ng-perl-register"),
    (9, "", "spec 3"),
    (10, "Invalid nick: #joe", "rec ng-cmp-login-bad-nick"),
    (12, "", "rec o36-cmp-login-password-check"),
    (13, "2 bob", "spec 3"),
    (110, "6", "rec ng-cmp-bob-sharer"),
    (
        201,
        "\"C:\\Music\\Some Band\\Some Band - First Song.mp3\" aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1234567 128 44100 200 bob 16777343 4",
        "rec ng-cmp-carol",
    ),
    (201, "\"a\" b 1 2 3 4 bob 16777343 4 9", "spec 5: weight"),
    (202, "", "rec ng-cmp-carol"),
    (204, "dora 16777343 0 \"C:\\Music\\Wall\\Wall - Behind.mp3\" firewallerror 4", "rec ng-cmp-alice"),
    (205, "anna2 how are you", "rec ng-perl-bert-open-sharer"),
    (206, "nobody \"x\"", "rec ng-raw-carl"),
    (209, "bob 4", "rec ng-cmp-carol2"),
    (210, "nonesuch", "rec ng-cmp-carol2"),
    (212, "bob \"C:\\x\\holiday clip.avi\" ffffffffffffffffffffffffffffffff 7654321 8 16000 0", "rec ng-cmp-carol2"),
    (213, "bob 16777343", "rec ng-cmp-carol2"),
    (213, "nonesuch", "rec ng-cmp-carol2"),
    (214, "2 7 0", "rec ng-cmp-carol"),
    (
        216,
        "bob 16777343 7001 \"C:\\Music\\Some Band\\Some Band - First Song.mp3\" aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1234567 4",
        "rec ng-cmp-carol2",
    ),
    (217, "", "rec ng-cmp-carol2"),
    (301, "bob", "rec ng-cmp-carol2"),
    (302, "bob", "spec 8"),
    (316, "0", "rec o36-cmp-alice"),
    (320, "1", "rec ng-cmp-carol3"),
    (321, "bob", "rec ng-cmp-carol3"),
    (322, "bob", "rec ng-cmp-carol3"),
    (323, "bob", "rec ng-cmp-carol3"),
    (324, "bob", "spec 8"),
    (325, "bob", "spec 8"),
    (326, "2", "spec 8"),
    (401, "#room", "rec ng-perl-session"),
    (403, "#room anna2 good evening", "rec ng-perl-session"),
    (404, "parameters are unparsable", "rec ng-cmp-bob-sharer"),
    (405, "#plain", "rec ng-cmp-carol2"),
    (406, "#room bert 2 8", "rec ng-perl-session"),
    (407, "#room bert 2 8", "rec ng-perl-session"),
    (408, "#room anna2 0 8", "rec ng-perl-session"),
    (409, "#room", "rec ng-perl-session"),
    (410, "#room Welcome to the #room channel.", "rec ng-perl-session"),
    (501, "carol3 16777343 7004 \"C:\\Music\\Wall\\Wall - Behind.mp3\" 99999999999999999999999999999999 7", "rec ng-cmp-dora-firewalled"),
    (601, "bert 8", "rec ng-perl-session"),
    (604, "bob \"User\" 11 \" \" \"Active\" 7 0 0 4 \"rawclient 0.1\"", "rec ng-cmp-carol2"),
    (604, "bob \"User\" 11 \"#a \" \"Active\" 7 0 0 4 \"x\" 3 4 16777343 1 6699 a@b.c", "spec 8: for moderators"),
    (605, "bob \"User\" 1795349881", "spec 8"),
    (607, "carol3 \"C:\\no\\such.mp3\"", "rec ng-cmp-bob-sharer"),
    (607, "carol3 \"x\" 4", "spec 6"),
    (613, "6699", "spec 6"),
    (615, "", "spec 8"),
    (616, "10.0.0.1 alice \"too loud\" 1795349881", "spec 8"),
    (617, "", "rec ng-perl-session"),
    (618, "#test 1 Welcome to the #test channel.", "rec ng-cmp-carol2"),
    (620, "quinn \"C:\\Music\\Queue Band - Waiting.mp3\" 4321000 2", "rec ng-raw-carl"),
    (621, "VERSION opennap 0.36", "rec o36-cmp-alice"),
    (626, "carl", "rec ng-perl-bert-open-sharer"),
    (627, "alice hear hear", "spec 8"),
    (628, "alice we close at ten", "spec 8"),
    (640, "carol3", "rec ng-cmp-bob-sharer"),
    (640, "carol3 16777343 7004", "spec 7"),
    (641, "quinn 16777343 6799", "rec ng-raw-carl"),
    (642, "quinn \"no\"", "spec 7"),
    (748, "", "rec o36-cmp-alice"),
    (750, "localhost ", "rec ng-perl-session"),
    (751, "anna2", "rec ng-perl-bert-open-sharer"),
    (752, "bert", "rec ng-perl-session"),
    (821, "127.0.0.1 8888", "spec 3"),
    (822, "127.0.0.1:8875", "spec 3"),
    (824, "#test carol2 \"waves\"", "rec ng-cmp-carol2"),
    (825, "#room bert 2 8", "rec ng-perl-session"),
    (827, "", "rec ng-cmp-carol2"),
    (828, "#test 1 1 1 0 \"Welcome to the #test channel.\"", "rec ng-cmp-carol2"),
    (830, "", "rec ng-perl-session"),
    (10112, "", "rec ng-cmp-carol2"),
    (10115, "3 0 3 7 713923584 1 1795349881 19 0 1 0 0 1 0 0 0", "rec ng-cmp-carol2"),
];

fn framed(number: u16, data: &str) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    [&length.to_le_bytes(), &number.to_le_bytes(), data.as_bytes()].concat()
}

fn check(mut codec: hexad_napster::wire::NapsterCodec, number: u16, data: &str, known: impl Fn(&Message) -> bool) {
    let bytes = framed(number, data);
    let (messages, rest, malformed) = crate::read(&mut codec, &bytes, bytes.len());
    assert!(rest.is_empty() && malformed.is_none());
    let [message] = &messages[..] else { panic!("{number} {data}: {messages:?}") };
    assert!(known(message), "{number} {data}: {message:?}");
    assert_eq!(crate::written(&mut codec, message), bytes, "{message:?}");
    assert_eq!(message.wire_bytes(), bytes.len() as u64, "{message:?}");
    // Cut anywhere, it is awaited; it is never taken for another.
    for end in 0..bytes.len() {
        let (messages, rest, malformed) = crate::read(&mut codec, &bytes[..end], 1);
        assert!(messages.is_empty() && rest.len() == end && malformed.is_none(), "{number} {data} cut after {end} bytes");
    }
}

#[test]
fn every_message_to_a_server_is_read_and_written() {
    for &(number, data, source) in TO_SERVER {
        check(
            crate::accepted(),
            number,
            data,
            |message| matches!(message, Message::ToServer(message) if !matches!(message, ToServer::Unknown { .. } | ToServer::Unreadable { .. })),
        );
        assert!(source.starts_with("rec ") || source.starts_with("spec "));
    }
    let all: BTreeSet<u16> = ToServer::TABLE.iter().map(|&(number, _)| number).collect();
    assert_eq!(all, TO_SERVER.iter().map(|&(number, ..)| number).collect(), "every message has a vector");
}

#[test]
fn every_message_to_a_client_is_read_and_written() {
    for &(number, data, source) in TO_CLIENT {
        check(
            crate::of_client(),
            number,
            data,
            |message| matches!(message, Message::ToClient(message) if !matches!(message, ToClient::Unknown { .. } | ToClient::Unreadable { .. })),
        );
        assert!(source.starts_with("rec ") || source.starts_with("spec "));
    }
    let all: BTreeSet<u16> = ToClient::TABLE.iter().map(|&(number, _)| number).collect();
    assert_eq!(all, TO_CLIENT.iter().map(|&(number, ..)| number).collect(), "every message has a vector");
}

#[test]
fn what_is_not_known_or_cannot_be_read_is_kept_as_it_came() {
    for (number, data) in
        [(999, "x"), (3000, ""), (100, "\"C:\\x\\broken 1 2 3"), (100, "\"C:\\x\\y z.mp3\" aa 12 128 44100"), (2, "joe pw"), (203, "")]
    {
        check(crate::accepted(), number, data, |message| {
            matches!(message, Message::ToServer(ToServer::Unknown { .. } | ToServer::Unreadable { .. }))
        });
        check(crate::of_client(), if number == 999 { 999 } else { 201 }, data, |message| {
            matches!(message, Message::ToClient(ToClient::Unknown { .. } | ToClient::Unreadable { .. }))
        });
    }
}

#[test]
fn names_that_are_no_utf8_go_through_unchanged() {
    let data = b"\"C:\\Bj\xf6rk\\\xff\xfe.mp3\" aa 12 128 44100 7";
    let ToServer::Share { path, .. } = ToServer::read(100, data) else { panic!("a share") };
    assert_eq!(path.bytes(), b"C:\\Bj\xf6rk\\\xff\xfe.mp3");
    assert_eq!(path.0.shown(), "C:\\Björk\\ÿþ.mp3");
    let mut out = bytes::BytesMut::new();
    ToServer::read(100, data).write(&mut out);
    assert_eq!(&out[4..], data);
}

#[test]
fn a_message_that_is_too_long_ends_the_connection() {
    let (messages, _, malformed) = crate::read(&mut crate::accepted(), &framed(402, &"x".repeat(5000)), 5004);
    assert!(messages.is_empty() && malformed.is_some());
}
