//! Sharing, and finding what is shared. The messages are those of the recorded scripts `ng-cmp-*`.

use hexad_napster::ServerConfig;

use crate::stage::{Stage, config, to};

const FIRST: &str = "C:\\Music\\Some Band\\Some Band - First Song.mp3";
const ONE: &str = "C:\\d\\Other Band\\Other Band - one.mp3";
const TWO: &str = "C:\\d\\Other Band\\Other Band - two.mp3";

/// Bob shares what he shares in `ng-cmp-bob-sharer`; Carol may ask.
fn stage() -> Stage {
    let mut stage = Stage::new(config());
    stage.joins("bob", 7001);
    for (number, data) in [
        (100, "\"C:\\Music\\Some Band\\Some Band - First Song.mp3\" aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1234567 128 44100 200"),
        (100, "\"C:\\x\\odd rate thing.mp3\" bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb 12 131 0 10"),
        (100, "\"C:\\x\\suffix hash thing.mp3\" cccccccccccccccccccccccccccccccc-4711 4711 128 44.1 10"),
        (100, "\"C:\\x\\huge thing.mp3\" NOMD5COMPUTED 5000000000 128 44100 10"),
        (10300, "\"C:\\x\\holiday clip.avi\" 7654321 ffffffffffffffffffffffffffffffff video"),
        (
            870,
            "\"C:\\d\\Other Band\" \"Other Band - one.mp3\" 11111111111111111111111111111111 100 128 44100 9 \"Other Band - two.mp3\" 22222222222222222222222222222222 200 128 44100 9",
        ),
    ] {
        assert_eq!(stage.says("bob", number, data), [], "a share is not answered: {data}");
    }
    stage.joins("carol", 7003);
    stage
}

fn paths(heard: &[String]) -> Vec<String> {
    let mut paths: Vec<String> =
        heard.iter().filter(|line| line.starts_with("201 ")).map(|line| line.split('"').nth(1).unwrap().to_owned()).collect();
    paths.sort();
    assert_eq!(heard.last().map(String::as_str), Some("202"), "the end is always told: {heard:?}");
    paths
}

#[track_caller]
fn check(search: &str, expected: &[&str]) {
    let heard = to("carol", &stage().says("carol", 200, search));
    assert_eq!(paths(&heard), expected, "{search}");
}

#[test]
fn searches_of_every_form_find_what_they_ask_for() {
    check("FILENAME CONTAINS \"song\" MAX_RESULTS 10", &[FIRST]);
    check("FILENAME CONTAINS \"song first\" MAX_RESULTS 10", &[FIRST]);
    check("FILENAME CONTAINS \"SOME bAnD\" MAX_RESULTS 10", &[FIRST]);
    check("FILENAME CONTAINS \"son\" MAX_RESULTS 10", &[]);
    check("FILENAME CONTAINS \"song\"", &[FIRST]);
    check("MAX_RESULTS 10 FILENAME CONTAINS \"song\" ", &[FIRST]);
    check("FILENAME CONTAINS \"band\" MAX_RESULTS 10 FILENAME CONTAINS \"two\"", &[TWO]);
    check("FILENAME CONTAINS \"band\" MAX_RESULTS 10 FILENAME EXCLUDES \"two\"", &[FIRST, ONE]);
    check("FILENAME CONTAINS \"band -two\" MAX_RESULTS 10", &[FIRST, ONE]);
    check("FILENAME CONTAINS \"song\" MAX_RESULTS 10 BITRATE \"AT LEAST\" \"128\"", &[FIRST]);
    check("FILENAME CONTAINS \"song\" MAX_RESULTS 10 BITRATE \"AT LEAST\" 160", &[]);
    check("FILENAME CONTAINS \"song\" MAX_RESULTS 10 LINESPEED \"EQUAL TO\" 4", &[FIRST]);
    check("FILENAME CONTAINS \"song\" MAX_RESULTS 10 LINESPEED \"AT LEAST\" 5", &[]);
    check("FILENAME CONTAINS \"song\" MAX_RESULTS 10 FREQ \"AT BEST\" \"44100\"", &[FIRST]);
    check("FILENAME CONTAINS \"suffix\" FREQ \"EQUAL TO\" 44100", &["C:\\x\\suffix hash thing.mp3"]);
    check("FILENAME CONTAINS \"song\" MAX_RESULTS 10 SIZE \"AT LEAST\" \"2000000\"", &[]);
    check("FILENAME CONTAINS \"song\" SIZE \"EQUAL TO\" 1234567 DURATION \"AT BEST\" 200", &[FIRST]);
    check("FILENAME CONTAINS \"song\" DURATION \"AT BEST\" 199", &[]);
    check("FILENAME CONTAINS \"song\" MAX_RESULTS 10 LOCAL_ONLY", &[FIRST]);
    check("FILENAME CONTAINS \"holiday\" MAX_RESULTS 10 TYPE video", &["C:\\x\\holiday clip.avi"]);
    check("FILENAME CONTAINS \"holiday\" MAX_RESULTS 10 TYPE any", &["C:\\x\\holiday clip.avi"]);
    check("FILENAME CONTAINS \"holiday\" MAX_RESULTS 10", &[]);
    check("FILENAME CONTAINS \"zzqq\" MAX_RESULTS 10", &[]);
}

#[test]
fn a_result_says_all_that_the_sharer_said() {
    let heard = to("carol", &stage().says("carol", 200, "FILENAME CONTAINS \"song\" MAX_RESULTS 10"));
    let expected =
        "201 \"C:\\Music\\Some Band\\Some Band - First Song.mp3\" aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1234567 128 44100 200 bob 16777343 4";
    assert_eq!(heard, [expected, "202"]);
    // A size beyond 32 bits is told as far as old programs can count, a hash without the size that hangs on it.
    let heard = to("carol", &stage().says("carol", 200, "FILENAME CONTAINS \"huge\""));
    assert_eq!(heard[0], "201 \"C:\\x\\huge thing.mp3\" NOMD5COMPUTED 4294967295 128 44100 10 bob 16777343 4");
    let heard = to("carol", &stage().says("carol", 200, "FILENAME CONTAINS \"suffix\""));
    assert_eq!(heard[0], "201 \"C:\\x\\suffix hash thing.mp3\" cccccccccccccccccccccccccccccccc 4711 128 44100 10 bob 16777343 4");
}

#[test]
fn a_search_that_is_none_is_answered_with_an_error_and_the_end() {
    let mut stage = stage();
    let mut check = |search: &str, error: &str| assert_eq!(to("carol", &stage.says("carol", 200, search)), [error, "202"], "{search}");
    check("FILENAME CONTAINS \"some \"song\" x\" MAX_RESULTS 10", "404 invalid search request");
    check("FILENAME CONTAINS \"song\" MAX_RESULTS 10 WMA-FILE", "404 invalid search request");
    check("FILENAME CONTAINS \"\" MAX_RESULTS 10", "404 search failed: request contained no valid words");
    check("MAX_RESULTS 10", "404 search failed: request contained no valid words");
}

#[test]
fn as_many_answers_come_as_are_wanted_and_allowed() {
    let mut stage = Stage::new(ServerConfig { results_max: 5, ..config() });
    stage.joins("bob", 7001);
    for number in 0..20 {
        stage.shares("bob", &format!("song {number}"));
    }
    stage.joins("carol", 0);
    let mut check = |max: &str, expected: usize| {
        let heard = to("carol", &stage.says("carol", 200, format!("FILENAME CONTAINS \"song\" {max}")));
        assert_eq!(paths(&heard).len(), expected, "{max}");
    };
    check("MAX_RESULTS 3", 3);
    check("MAX_RESULTS 0", 5);
    check("MAX_RESULTS 100", 5);
    check("", 5);
}

#[test]
fn own_files_and_those_of_unreachable_pairs_are_left_out() {
    let mut stage = stage();
    assert_eq!(to("bob", &stage.says("bob", 200, "FILENAME CONTAINS \"song\"")), ["202"]);
    stage.joins("dora", 0);
    stage.shares("dora", "wall");
    stage.joins("fred", 0);
    assert_eq!(to("fred", &stage.says("fred", 200, "FILENAME CONTAINS \"wall\"")), ["202"]);
    assert_eq!(to("carol", &stage.says("carol", 200, "FILENAME CONTAINS \"wall\"")).len(), 2);
    // Many programs log in with port 0 and tell their port later.
    stage.says("fred", 703, "6701");
    assert_eq!(to("fred", &stage.says("fred", 200, "FILENAME CONTAINS \"wall\"")).len(), 2);
}

#[test]
fn a_share_that_cannot_be_taken_is_answered() {
    let mut stage = Stage::new(ServerConfig {
        catalogue: hexad_catalogue::Config { owner_files_max: 2, path_bytes_max: 255, ..hexad_catalogue::Config::default() },
        ..config()
    });
    stage.joins("bob", 7001);
    let mut check =
        |number: u16, data: &str, expected: &[&str]| assert_eq!(to("bob", &stage.says("bob", number, data)), expected, "{number} {data}");
    check(100, "\"a\" b 1 2 3 4", &[]);
    check(100, "\"a\" b 1 2 3 4", &["404 duplicate file"]);
    check(100, "\"C:\\x\\y z.mp3\" aa 12 128 44100", &["404 parameters are unparsable"]);
    check(100, "\"C:\\x\\broken 1 2 3", &["404 parameters are unparsable"]);
    check(100, &format!("\"{}\" b 1 2 3 4", "w".repeat(300)), &["404 filename too long"]);
    check(10300, "\"C:\\x\\holiday two.avi\" 7654321 ff movie", &["404 movie is not a valid type"]);
    check(870, "\"music\\\" \"Door.mp3\" NOMD5COMPUTED 5004 128 44100 0", &[]);
    check(100, "\"c\" b 1 2 3 4", &["404 You may only share 2 files"]);
    check(102, "music\\Door.mp3", &[]);
    check(102, "music\\Door.mp3", &["404 Not sharing that file"]);
    check(102, "\"a\"", &[]);
    check(100, "\"a\" b 1 2 3 4", &[]);
    check(110, "", &["110 1"]);
    check(102, "a", &["404 Not sharing any files"]);
    check(214, "", &["214 1 0 0"]);
}

#[test]
fn a_library_that_is_refused_is_not_answered_file_by_file_for_ever() {
    let mut stage = Stage::new(config());
    stage.joins("bob", 7001);
    stage.shares("bob", "a");
    let answers: usize = (0..5000).map(|_| stage.shares("bob", "a").len()).sum();
    assert_eq!(answers, 100);
    assert_eq!(stage.notes.iter().filter(|&&code| code == "share_refused").count(), 4900);
}

#[test]
fn a_library_lives_as_long_as_its_owners_connection() {
    let mut stage = stage();
    for number in 0..3000 {
        stage.shares("bob", &format!("wave {number}"));
    }
    assert_eq!(stage.status().usage.files, 3007);
    stage.leaves("bob");
    assert_eq!(to("carol", &stage.says("carol", 200, "FILENAME CONTAINS \"song\"")), ["202"]);
    assert_eq!((stage.status().usage.files, stage.status().usage.leaving_files), (0, 3007));
    stage.pass(hexad_core::Span::from_millis(5));
    assert!((1..3007).contains(&stage.status().usage.leaving_files), "cleared slice by slice");
    stage.pass(hexad_core::Span::from_secs(1));
    assert_eq!(stage.status().usage, hexad_catalogue::Usage::default());
}

#[test]
fn who_has_the_same_hash_is_told() {
    let mut stage = stage();
    let found = "216 bob 16777343 7001 \"C:\\Music\\Some Band\\Some Band - First Song.mp3\" aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1234567 4";
    let mut check = |data: &str, expected: &[&str]| assert_eq!(to("carol", &stage.says("carol", 215, data)), expected, "{data}");
    check("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1234567", &[found, "217"]);
    check("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA-99 1234567", &[found, "217"]);
    check("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 0", &[found, "217"]);
    check("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 7", &["217"]);
    check("unknown 7", &["217"]);
}

#[test]
fn a_user_can_be_browsed() {
    let mut stage = stage();
    let heard = to("carol", &stage.says("carol", 211, "BOB"));
    assert_eq!(heard.len(), 8);
    assert!(
        heard.contains(&"212 bob \"C:\\d\\Other Band\\Other Band - one.mp3\" 11111111111111111111111111111111 100 128 44100 9".to_owned())
    );
    assert_eq!(heard[7], "213 bob 16777343");
    assert_eq!(to("carol", &stage.says("carol", 211, "bob 3")).len(), 4);
    assert_eq!(to("carol", &stage.says("carol", 211, "nonesuch")), ["210 nonesuch", "213 nonesuch"]);
    // Who does not read does not get a list of any length.
    stage.table.room = 200;
    assert_eq!(to("carol", &stage.says("carol", 211, "bob")).len(), 2 + 1);
}

#[test]
fn searches_are_rationed() {
    let mut stage = Stage::new(ServerConfig { searches_per_minute: 2, searches_burst: 3, ..config() });
    stage.joins("bob", 0);
    let search = |stage: &mut Stage| to("bob", &stage.says("bob", 200, "FILENAME CONTAINS \"song\""));
    for _ in 0..3 {
        assert_eq!(search(&mut stage), ["202"]);
    }
    assert_eq!(search(&mut stage), ["404 search failed: too many searches, wait a while", "202"]);
    stage.pass(hexad_core::Span::from_secs(31));
    assert_eq!(search(&mut stage), ["202"]);
}
