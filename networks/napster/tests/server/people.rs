//! People and those who keep order among them.

use hexad_napster::ServerConfig;

use crate::stage::{Stage, config, to};

#[track_caller]
fn check(stage: &mut Stage, who: &'static str, number: u16, data: &str, expected: &[(&'static str, &str)]) {
    let heard = stage.says(who, number, data);
    let expected: Vec<(&str, String)> = expected.iter().map(|(who, what)| (*who, (*what).to_owned())).collect();
    assert_eq!(heard, expected, "{who} {number} {data}");
}

fn stage() -> Stage {
    let mut stage = Stage::new(config());
    stage.joins("bob", 7001);
    stage.joins("carol", 7003);
    stage
}

#[test]
fn messages_reach_whom_they_are_for() {
    let mut stage = stage();
    check(&mut stage, "carol", 205, "BOB how are you", &[("bob", "205 carol how are you")]);
    check(&mut stage, "carol", 205, "nonesuch hi", &[("carol", "404 User is not currently online.")]);
    check(&mut stage, "carol", 751, "bob ", &[("bob", "751 carol")]);
    check(&mut stage, "bob", 752, "carol", &[("carol", "752 bob")]);
    check(&mut stage, "bob", 750, "", &[("bob", "750 test")]);
    check(&mut stage, "bob", 600, "carol", &[("bob", "601 carol 4")]);
    stage.says("carol", 700, "7");
    check(&mut stage, "bob", 600, "carol", &[("bob", "601 carol 7")]);
    let long = "y".repeat(5000);
    let heard = stage.says("carol", 205, format!("bob {long}"));
    assert_eq!(heard[0].1.len(), "205 carol ".len() + 400);
}

#[test]
fn who_is_ignored_is_not_heard() {
    let mut stage = stage();
    check(&mut stage, "bob", 322, "Carol", &[("bob", "322 Carol")]);
    check(&mut stage, "bob", 322, "carol", &[("bob", "325 carol")]);
    check(&mut stage, "carol", 205, "bob hi", &[]);
    check(&mut stage, "bob", 320, "", &[("bob", "321 carol"), ("bob", "320 1")]);
    check(&mut stage, "bob", 323, "carol", &[("bob", "323 carol")]);
    check(&mut stage, "bob", 323, "carol", &[("bob", "324 carol")]);
    check(&mut stage, "carol", 205, "bob hi", &[("bob", "205 carol hi")]);
    stage.says("bob", 322, "carol");
    check(&mut stage, "bob", 326, "", &[("bob", "326 1")]);
}

#[test]
fn a_hotlist_tells_who_comes_and_goes() {
    let mut stage = stage();
    check(&mut stage, "bob", 207, "carol", &[("bob", "301 carol"), ("bob", "209 carol 4")]);
    check(&mut stage, "bob", 208, "dave", &[("bob", "301 dave")]);
    assert_eq!(to("bob", &stage.joins("dave", 0)), ["209 dave 4"]);
    assert_eq!(to("bob", &stage.leaves("dave")), ["210 dave"]);
    stage.says("bob", 303, "dave");
    assert_eq!(to("bob", &stage.joins("dave", 0)), [""; 0]);
    let mut stage = Stage::new(ServerConfig { list_max: 2, ..config() });
    stage.joins("bob", 0);
    assert_eq!(to("bob", &stage.says("bob", 207, "a")), ["301 a"]);
    assert_eq!(to("bob", &stage.says("bob", 207, "b")), ["301 b"]);
    assert_eq!(to("bob", &stage.says("bob", 207, "c")), ["302 c"]);
}

#[test]
fn everybody_in_a_channel_hears_what_is_said_there() {
    let mut stage = stage();
    let welcome = "410 #room Welcome to the #room channel.";
    check(&mut stage, "bob", 400, "room", &[("bob", "405 #room"), ("bob", "408 #room bob 0 4"), ("bob", "409 #room"), ("bob", welcome)]);
    check(
        &mut stage,
        "carol",
        400,
        "#Room",
        &[
            ("carol", "405 #room"),
            ("bob", "406 #room carol 0 4"),
            ("carol", "408 #room bob 0 4"),
            ("carol", "408 #room carol 0 4"),
            ("carol", "409 #room"),
            ("carol", welcome),
        ],
    );
    check(
        &mut stage,
        "carol",
        402,
        "#Room good  evening",
        &[("bob", "403 #room carol good  evening"), ("carol", "403 #room carol good  evening")],
    );
    check(&mut stage, "bob", 824, "#room \"waves\"", &[("bob", "824 #room bob \"waves\""), ("carol", "824 #room bob \"waves\"")]);
    check(&mut stage, "bob", 410, "#room tea", &[("bob", "410 #room tea"), ("carol", "410 #room tea")]);
    check(&mut stage, "carol", 410, "#room gin", &[("carol", "404 topic change failed: permission denied")]);
    check(&mut stage, "bob", 617, "", &[("bob", "618 #room 2 tea"), ("bob", "617")]);
    check(&mut stage, "bob", 827, "", &[("bob", "828 #room 2 0 1 0 \"tea\""), ("bob", "827")]);
    check(&mut stage, "bob", 830, "#room", &[("bob", "825 #room bob 0 4"), ("bob", "825 #room carol 0 4"), ("bob", "830")]);
    check(&mut stage, "carol", 401, "#room", &[("carol", "401 #room"), ("bob", "407 #room carol 0 4")]);
    check(&mut stage, "carol", 401, "#room", &[("carol", "404 part channel failed: you are not in that channel")]);
    check(&mut stage, "carol", 402, "#room psst", &[("carol", "404 you are not in that channel")]);
    stage.says("carol", 400, "#room");
    assert_eq!(to("bob", &stage.leaves("carol")), ["407 #room carol 0 4"]);
    stage.says("bob", 401, "#room");
    assert_eq!(stage.status().channels, 0, "an empty channel is gone");
}

#[test]
fn channels_are_bounded_and_have_sane_names() {
    let mut stage = Stage::new(ServerConfig { user_channels_max: 2, channels_max: 3, ..config() });
    stage.joins("bob", 0);
    stage.joins("carol", 0);
    for name in ["#a", "#b"] {
        assert_eq!(to("bob", &stage.says("bob", 400, name)).len(), 4);
    }
    check(&mut stage, "bob", 400, "#c", &[("bob", "404 join channel failed: you may be in 2 channels only")]);
    check(&mut stage, "bob", 400, "#a", &[("bob", "404 join channel failed: you are in that channel already")]);
    stage.says("carol", 400, "#c");
    check(&mut stage, "carol", 400, "#d", &[("carol", "404 join channel failed: there are too many channels")]);
    check(&mut stage, "carol", 400, &"x".repeat(40), &[("carol", "404 join channel failed: invalid channel name")]);
}

#[test]
fn whois_tells_who_somebody_is_or_was() {
    let mut stage = stage();
    stage.shares("bob", "a");
    stage.says("bob", 400, "#x");
    check(&mut stage, "carol", 603, "BOB", &[("carol", "604 bob \"User\" 0 \"#x \" \"Active\" 1 0 0 4 \"test 1\"")]);
    check(
        &mut stage,
        "carol",
        603,
        "nonesuch",
        &[("carol", "404 user nonesuch is not a known user"), ("carol", "404 User is not currently online.")],
    );
    stage.connects_from("regina", [127, 0, 0, 1]);
    stage.says("regina", 6, "Regina pw 6699 \"t\" 3 a@b.c");
    stage.leaves("regina");
    check(&mut stage, "carol", 603, "regina", &[("carol", "605 Regina \"User\" 1800000000")]);
}

/// With an admin and a moderator.
fn ordered() -> Stage {
    let mut stage = stage();
    stage.connects_from("root", [127, 0, 0, 1]);
    stage.says("root", 6, "root pw 6699 \"t\" 3 root@test");
    stage.connects_from("mia", [127, 0, 0, 1]);
    stage.says("mia", 6, "mia pw 6699 \"t\" 3 mia@test");
    stage
}

#[test]
fn nobody_decides_over_others_who_may_not() {
    let mut stage = ordered();
    for (number, data, error) in [
        (606, "bob admin", "404 set user level failed: permission denied"),
        (610, "bob", "404 kill failed: permission denied"),
        (611, "bob", "404 permission denied"),
        (612, "bob", "404 permission denied"),
        (613, "bob 1", "404 permission denied"),
        (614, "bob", "404 permission denied"),
        (615, "", "404 permission denied"),
        (622, "bob", "404 permission denied"),
        (627, "x", "404 permission denied"),
        (628, "x", "404 permission denied"),
        (801, "", "404 permission denied"),
    ] {
        check(&mut stage, "carol", number, data, &[("carol", error)]);
    }
}

#[test]
fn an_admin_makes_moderators_and_those_keep_order() {
    let mut stage = ordered();
    let heard = stage.says("root", 606, "mia Moderator");
    assert_eq!(heard, [("mia", "404 you are Moderator from here on".to_owned()), ("root", "404 mia is Moderator from here on".to_owned())]);
    check(&mut stage, "mia", 606, "bob admin", &[("mia", "404 set user level failed: permission denied")]);
    check(&mut stage, "mia", 610, "root out", &[("mia", "404 permission denied")]);
    check(&mut stage, "mia", 622, "bob loud", &[("bob", "404 you have been muzzled"), ("mia", "404 bob was muzzled")]);
    check(&mut stage, "bob", 205, "carol hi", &[("bob", "404 you have been muzzled")]);
    stage.says("mia", 623, "bob");
    check(&mut stage, "bob", 205, "carol hi", &[("carol", "205 bob hi")]);
    check(&mut stage, "mia", 613, "bob 6699", &[("bob", "613 6699")]);
    check(&mut stage, "mia", 627, "hear", &[("mia", "627 mia hear"), ("root", "627 mia hear")]);
    assert_eq!(stage.says("mia", 628, "we close").len(), 4);
    let heard = stage.says("mia", 610, "bob too loud");
    assert_eq!(to("bob", &heard), ["404 You were killed by mia: too loud", "316 0", "closed"]);
    assert_eq!(stage.joins("bob", 0)[0].1, "3 anon@test", "killed is not banned");
    check(&mut stage, "mia", 603, "carol", &[("mia", "604 carol \"User\" 0 \" \" \"Active\" 0 0 0 4 \"test 1\" 0 0 16777343 0 7003 \"\"")]);
    // The level is the account's, and outlives the server.
    let mut again = Stage::with_store(config(), stage.store);
    again.connects_from("mia", [127, 0, 0, 1]);
    again.says("mia", 2, "mia pw 0 \"t\" 3");
    assert_eq!(to("mia", &again.says("mia", 615, "")), ["615"]);
    again.connects_from("root", [127, 0, 0, 1]);
    again.says("root", 2, "root pw 0 \"t\" 3");
    assert_eq!(to("root", &again.says("root", 611, "mia")), ["404 mia is no longer registered"]);
    assert_eq!(to("mia", &again.says("mia", 615, "")), ["404 permission denied"]);
}

#[test]
fn a_ban_holds_for_names_and_addresses_and_outlives_the_server() {
    let mut stage = ordered();
    let heard = stage.says("root", 612, "Bob too loud");
    assert_eq!(to("bob", &heard), ["404 You were banned by root: too loud", "316 0", "closed"]);
    stage.connects_from("guest", [10, 9, 8, 7]);
    stage.says("guest", 2, "guest pw 0 \"t\" 3");
    let heard = stage.says("root", 612, "10.9.8.7 spam");
    assert_eq!(to("guest", &heard).last().unwrap(), "closed");
    let mut stage = Stage::with_store(config(), stage.store);
    assert_eq!(to("bob", &stage.joins("bob", 0)), ["0 you are banned from this server", "closed"]);
    assert_eq!(to("guest", &stage.connects_from("guest", [10, 9, 8, 7])), ["0 you are banned from this server", "closed"]);
    stage.connects_from("root", [127, 0, 0, 1]);
    stage.says("root", 2, "root pw 0 \"t\" 3");
    check(
        &mut stage,
        "root",
        615,
        "",
        &[("root", "616 10.9.8.7 root \"spam\" 1800000000"), ("root", "616 bob root \"too loud\" 1800000000"), ("root", "615")],
    );
    stage.says("root", 614, "bob");
    assert_eq!(stage.joins("bob", 0)[0].1, "3 anon@test");
}

#[test]
fn who_talks_too_much_is_slowed_down() {
    let mut stage = Stage::new(ServerConfig { talk_per_minute: 60, talk_burst: 3, ..config() });
    stage.joins("bob", 0);
    stage.joins("carol", 0);
    for _ in 0..3 {
        check(&mut stage, "bob", 205, "carol hi", &[("carol", "205 bob hi")]);
    }
    check(&mut stage, "bob", 205, "carol hi", &[("bob", "404 you say too much, wait a while")]);
    stage.pass(hexad_core::Span::from_secs(2));
    check(&mut stage, "bob", 205, "carol hi", &[("carol", "205 bob hi")]);
}
