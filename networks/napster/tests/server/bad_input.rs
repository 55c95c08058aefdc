//! What nobody should send.

use hexad_core::Span;
use hexad_napster::ServerConfig;
use proptest::prelude::*;

use crate::stage::{Stage, config, to};

#[test]
fn unknown_numbers_are_answered_and_the_connection_stays() {
    let mut stage = Stage::new(config());
    stage.joins("bob", 0);
    for number in [999, 3000, 10_000, 65_535] {
        assert_eq!(to("bob", &stage.says("bob", number, "x")), [format!("404 Unknown command code {number}")]);
    }
    assert_eq!(to("bob", &stage.says("bob", 214, "")), ["214 1 0 0"]);
}

#[test]
fn a_second_login_on_one_connection_changes_nothing() {
    let mut stage = Stage::new(config());
    stage.joins("bob", 0);
    assert_eq!(to("bob", &stage.says("bob", 2, "eve pw 0 \"t\" 3")), ["404 you are logged in already"]);
    assert_eq!(to("bob", &stage.says("bob", 6, "eve pw 0 \"t\" 3")), ["404 you are logged in already"]);
}

#[test]
fn one_letter_words_and_stop_words_cost_no_more_than_they_may() {
    let mut stage = Stage::new(ServerConfig {
        catalogue: hexad_catalogue::Config { examined_max: 100, ..hexad_catalogue::Config::default() },
        ..config()
    });
    stage.joins("bob", 7001);
    for number in 0..2000 {
        stage.shares("bob", &format!("a b c d e f g h i j the of {number}"));
    }
    stage.joins("carol", 0);
    let bomb = "FILENAME CONTAINS \"a b c d e f g h i j the of\" BITRATE \"AT LEAST\" 320";
    assert_eq!(to("carol", &stage.says("carol", 200, bomb)), ["202"]);
    assert_eq!(stage.notes, ["search_cut"]);
    assert_eq!(to("carol", &stage.says("carol", 200, "FILENAME CONTAINS \"a\" MAX_RESULTS 7")).len(), 8);
}

#[test]
fn thousands_of_idle_connections_do_not_disturb_the_others() {
    let mut stage = Stage::new(ServerConfig { address_connections_max: u32::MAX, ..config() });
    stage.joins("bob", 7001);
    for _ in 0..10_000 {
        assert_eq!(stage.connects_from("idle", [10, 0, 0, 1]), []);
    }
    assert_eq!(to("bob", &stage.says("bob", 214, "")), ["214 1 0 0"]);
    assert_eq!(stage.pass(Span::from_secs(61)).len(), 10_000);
    assert_eq!(stage.status().connections, 1);
}

#[test]
fn too_much_before_the_login_ends_the_connection() {
    use hexad_core::{Input, Link, Output};
    use hexad_napster::wire::{Message, ToServer};
    let mut stage = Stage::new(ServerConfig { early_bytes_max: 256, ..config() });
    stage.connects_from("flood", [127, 0, 0, 1]);
    let conn = stage.conn("flood");
    let say = |number: u16, data: &str| Input::Received(Link::Conn(conn), Message::ToServer(ToServer::read(number, data.as_bytes())));
    stage.table.hears(say(2, "flood pw 0 \"t\" 3"));
    let closed = (0..100).find(|_| stage.table.hears(say(214, "")).iter().any(|output| matches!(output, Output::Close(..))));
    // Each of them is four bytes.
    assert_eq!(closed, Some(64));
}

#[test]
fn who_asks_and_does_not_read_is_left() {
    let mut stage = Stage::new(config());
    stage.joins("bob", 7001);
    stage.joins("slow", 0);
    stage.table.room = 0;
    // A library needs no answers.
    assert_eq!(to("slow", &stage.shares("slow", "a song")), [""; 0]);
    assert_eq!(to("slow", &stage.says("slow", 211, "bob")), ["closed"]);
    assert_eq!(stage.notes, ["reads_too_slowly"]);
    assert_eq!(stage.status().users, 1);
}

#[test]
fn names_that_are_no_utf8_and_quotes_that_are_not_closed_are_answered_or_kept_as_they_are() {
    let mut stage = Stage::new(config());
    stage.joins("bob", 7001);
    stage.joins("carol", 0);
    assert_eq!(stage.says("bob", 100, b"\"C:\\Bj\xf6rk \xff\xfe - J\xf3ga.mp3\" x 1 2 3 4"), []);
    let found = stage.says("carol", 200, "FILENAME CONTAINS \"bj\u{f6}rk\" MAX_RESULTS 5");
    assert_eq!(found.len(), 2, "{found:?}");
    for (number, data) in [(100, "\"never closed x 1 2 3 4"), (203, "bob \"never closed"), (870, "\"a\" \"b x 1"), (10_300, "\"a 1 b mp3")]
    {
        assert_eq!(to("bob", &stage.says("bob", number, data)), ["404 parameters are unparsable"], "{number} {data}");
    }
    assert_eq!(to("bob", &stage.says("bob", 200, "FILENAME CONTAINS \"open")), ["404 invalid search request", "202"]);
    assert_eq!(stage.status().usage.files, 1);
}

#[test]
fn passwords_are_not_guessed_without_end() {
    let mut stage = Stage::new(config());
    stage.connects_from("guess", [127, 0, 0, 1]);
    for _ in 0..3 {
        assert_eq!(to("guess", &stage.says("guess", 11, "root x")), ["0 Invalid Password"]);
    }
    assert_eq!(to("guess", &stage.says("guess", 11, "root x")), ["0 too many password checks", "closed"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_harm_the_server(messages in proptest::collection::vec((0_usize..80, proptest::collection::vec(any::<u8>(), 0..60), any::<bool>()), 0..60)) {
        let mut stage = Stage::new(config());
        stage.joins("bob", 7001);
        stage.joins("eve", 0);
        for (which, data, words) in messages {
            let number = hexad_napster::wire::ToServer::TABLE[which % hexad_napster::wire::ToServer::TABLE.len()].0;
            let data = if words { [b"bob \"x\" ".as_slice(), &data].concat() } else { data };
            stage.says("eve", number, data);
        }
        prop_assert_eq!(stage.status().users, 2);
        stage.leaves("eve");
        stage.pass(Span::from_secs(100));
        prop_assert_eq!(stage.status().users, 1);
        prop_assert_eq!(stage.status().usage.files + stage.status().usage.leaving_files, 0);
    }
}
