//! Coming in and going.

use hexad_core::Span;
use hexad_napster::ServerConfig;

use crate::stage::{Stage, config, numbers, to};

#[test]
fn a_guest_logs_in_and_is_greeted() {
    let mut stage = Stage::new(ServerConfig { motd: vec!["hello".into()], ..config() });
    let heard = stage.joins("bob", 7001);
    let version = format!("621 VERSION hexad {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(to("bob", &heard), ["3 anon@test", &version, "621 SERVER test", "621 hello", "214 1 0 0"]);
}

#[test]
fn what_real_programs_add_to_their_login_is_accepted() {
    let mut stage = Stage::new(config());
    for (name, data) in [
        ("tekla", "tekla pw 45355 \"TekNap-1.3g\" 0 5201 0"),
        ("joe", "joe pw 6699 \"t\" 3 extra 77"),
        ("bert", "bert pw 0 \"v2.0\" 8"),
        ("long", "long pw 0 \"a client with a name of over thirty-two bytes\" 10"),
    ] {
        stage.connects_from(name, [127, 0, 0, 1]);
        assert_eq!(to(name, &stage.says(name, 2, data))[0], "3 anon@test", "{data}");
    }
}

#[test]
fn a_login_that_cannot_be_is_refused_as_old_servers_do() {
    let mut stage = Stage::new(config());
    let mut check = |name: &'static str, number: u16, data: &str, expected: &[&str]| {
        stage.connects_from(name, [127, 0, 0, 1]);
        assert_eq!(to(name, &stage.says(name, number, data)), expected, "{number} {data}");
    };
    check("a", 2, "#joe pw 6699 \"t\" 3", &["10 Invalid nick: #joe", "closed"]);
    check("b", 2, "joe pw 6699 \"t\" 11", &["0 11: invalid speed", "closed"]);
    check("c", 2, "joe pw", &["404 Too few parameters for login.", "closed"]);
    check("d", 200, "FILENAME CONTAINS \"a\" MAX_RESULTS 1", &["0 invalid command", "closed"]);
    check("e", 4, "2.0", &["4"]);
    check("f", 14, "NAME: ADDRESS:", &[]);
    check("g", 920, "x", &[]);
}

#[test]
fn a_name_is_free_taken_or_impossible() {
    let mut stage = Stage::new(config());
    stage.joins("alice", 0);
    stage.connects_from("asker", [127, 0, 0, 1]);
    let mut check = |nick: &str, expected: &str| assert_eq!(to("asker", &stage.says("asker", 7, nick)), [expected], "{nick}");
    check("freenick", "8");
    check("Alice", "9");
    check("bad nick", "10");
}

#[test]
fn a_registered_name_needs_its_password_and_survives_the_server() {
    let mut stage = Stage::new(config());
    stage.connects_from("regina", [127, 0, 0, 1]);
    assert_eq!(to("regina", &stage.says("regina", 6, "regina pw 6699 \"t\" 3 a@b.c"))[0], "3 anon@test");
    assert_eq!(stage.hashed, 1, "the password is kept as a hash");
    assert!(!stage.store.values().any(|value| format!("{value:?}").contains("pw")));
    // The server is killed: another begins with the same store.
    let mut stage = Stage::with_store(config(), stage.store);
    stage.connects_from("wrong", [127, 0, 0, 1]);
    assert_eq!(to("wrong", &stage.says("wrong", 2, "regina nope 6699 \"t\" 3")), ["0 Invalid Password", "closed"]);
    stage.connects_from("check", [127, 0, 0, 1]);
    assert_eq!(to("check", &stage.says("check", 11, "regina nope")), ["0 Invalid Password"]);
    assert_eq!(to("check", &stage.says("check", 11, "regina pw")), ["12"]);
    assert_eq!(to("check", &stage.says("check", 7, "REGINA")), ["9"]);
    stage.connects_from("right", [127, 0, 0, 1]);
    assert_eq!(to("right", &stage.says("right", 2, "Regina pw 6699 \"t\" 3"))[0], "3 anon@test");
    let heard = stage.says("right", 701, "other");
    assert_eq!(to("right", &heard), ["404 your password was changed"]);
    let mut stage = Stage::with_store(config(), stage.store);
    stage.connects_from("again", [127, 0, 0, 1]);
    assert_eq!(to("again", &stage.says("again", 2, "regina other 6699 \"t\" 3"))[0], "3 anon@test");
}

#[test]
fn guests_and_registration_can_be_switched_off() {
    let mut stage = Stage::new(ServerConfig { guests: false, registration: false, ..config() });
    assert_eq!(to("bob", &stage.joins("bob", 0)), ["0 your name is not registered here", "closed"]);
    stage.connects_from("eve", [127, 0, 0, 1]);
    assert_eq!(to("eve", &stage.says("eve", 6, "eve pw 0 \"t\" 3")), ["0 names cannot be registered here", "closed"]);
}

#[test]
fn who_logs_in_again_throws_himself_out_and_nobody_else() {
    let mut stage = Stage::new(config());
    stage.joins("alice", 0);
    stage.connects_from("thief", [10, 0, 0, 1]);
    assert_eq!(to("thief", &stage.says("thief", 2, "Alice pw 0 \"t\" 3")), ["0 Alice is already active", "closed"]);
    stage.connects_from("twin", [127, 0, 0, 1]);
    let heard = stage.says("twin", 2, "alice pw 0 \"t\" 3");
    assert_eq!(to("alice", &heard), ["748", "404 Someone else is logging in as you, disconnecting.", "316 0", "closed"]);
    assert_eq!(to("twin", &heard)[0], "3 anon@test");
    assert_eq!(stage.status().users, 1);
}

#[test]
fn who_does_not_log_in_is_disconnected() {
    let mut stage = Stage::new(config());
    stage.connects_from("idle", [127, 0, 0, 1]);
    stage.joins("bob", 0);
    assert_eq!(stage.pass(Span::from_secs(59)), []);
    assert_eq!(stage.pass(Span::from_secs(2)), [("idle", "closed".to_owned())]);
    assert_eq!(stage.status().connections, 1);
}

#[test]
fn one_address_has_so_many_connections_and_no_more() {
    let mut stage = Stage::new(ServerConfig { address_connections_max: 2, connections_max: 4, ..config() });
    let refused = |why: &str, heard: &crate::stage::Heard| heard.len() == 2 && heard[0].1 == format!("0 {why}") && heard[1].1 == "closed";
    assert_eq!(stage.connects_from("a", [10, 0, 0, 1]), []);
    assert_eq!(stage.connects_from("b", [10, 0, 0, 1]), []);
    assert!(refused("too many connections from your address", &stage.connects_from("c", [10, 0, 0, 1])));
    stage.leaves("a");
    assert_eq!(stage.connects_from("d", [10, 0, 0, 1]), []);
    assert_eq!(stage.connects_from("e", [10, 0, 0, 2]), []);
    assert_eq!(stage.connects_from("f", [10, 0, 0, 3]), []);
    assert!(refused("the server is full", &stage.connects_from("g", [10, 0, 0, 4])));
}

#[test]
fn statistics_are_told_from_time_to_time() {
    let mut stage = Stage::new(ServerConfig { statistics_every: Some(Span::from_secs(30)), ..config() });
    stage.joins("bob", 0);
    stage.says("bob", 100, "\"a\" b 3000000000 1 2 3");
    assert_eq!(stage.pass(Span::from_secs(31)), [("bob", "214 1 1 2".to_owned())]);
    // Nobody waits for them, so who does not read gets none.
    stage.table.room = 0;
    assert_eq!(stage.pass(Span::from_secs(30)), []);
    assert_eq!(stage.notes, ["slow_reader"]);
}

#[test]
fn statistics_reach_everybody_once_in_each_round_and_a_few_at_a_time() {
    let mut stage = Stage::new(ServerConfig { statistics_every: Some(Span::from_secs(60)), address_connections_max: 1000, ..config() });
    for number in 0..300 {
        stage.joins(Box::leak(format!("user{number}").into_boxed_str()), 0);
    }
    assert_eq!(stage.status().users, 300);
    for _ in 0..60 {
        assert!(stage.pass(Span::from_secs(1)).len() <= 5);
    }
    assert_eq!(stage.pass(Span::from_secs(60)).len(), stage.status().users);
}

#[test]
fn what_is_said_while_the_login_is_looked_at_is_heard_afterwards() {
    use hexad_core::{Input, Link, Output};
    use hexad_napster::wire::{Message, ToServer};
    let mut stage = Stage::new(config());
    stage.connects_from("hasty", [127, 0, 0, 1]);
    let say = |number: u16, data: &str| {
        Input::Received(Link::Conn(stage.conn("hasty")), Message::ToServer(ToServer::read(number, data.as_bytes())))
    };
    let (login, ask, share) = (say(2, "hasty pw 0 \"t\" 3"), say(214, ""), say(100, "\"a song\" b 1 2 3 4"));
    let question = stage.table.hears(login);
    assert_eq!(stage.table.hears(share), []);
    assert_eq!(stage.table.hears(ask), []);
    let [Output::Ask(ticket, _)] = &question[..] else { panic!("{question:?}") };
    let heard = stage.hears(Input::Answered(*ticket, hexad_core::Answer::Loaded(None)));
    assert_eq!(numbers(&heard), ["hasty 3", "hasty 621", "hasty 621", "hasty 214", "hasty 214"]);
    assert_eq!(heard.last().unwrap().1, "214 1 1 0");
}
