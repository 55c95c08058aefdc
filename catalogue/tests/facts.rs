//! What a catalogue promises, seen from outside.

use std::collections::{BTreeMap, BTreeSet};

use hexad_catalogue::{Catalogue, Config, Filter, Kind, NewFile, Outcome, OwnerId, Query, Refusal, words_of};
use proptest::prelude::*;

fn file(path: &str) -> NewFile<'_> {
    NewFile {
        path: path.as_bytes(),
        token: b"nomd5computed",
        size_bytes: 1000,
        bitrate_kbps: 128,
        frequency_hz: 44_100,
        seconds: 200,
        kind: Kind::Mp3,
    }
}

fn query(words: &str) -> Query {
    let mut query = Query { wanted: 100, ..Query::default() };
    words_of(words.as_bytes(), |word| {
        query.words.push(word.to_owned());
        true
    });
    query
}

fn found(catalogue: &Catalogue, query: &Query) -> Vec<String> {
    let mut names = Vec::new();
    catalogue.search(query, |_, file| {
        names.push(String::from_utf8_lossy(&file.path()).into_owned());
        true
    });
    names.sort();
    names
}

fn with(paths: &[&str]) -> (Catalogue, OwnerId) {
    let mut catalogue = Catalogue::new(Config::default());
    let owner = catalogue.add_owner().unwrap();
    for path in paths {
        catalogue.add(owner, &file(path)).unwrap();
    }
    (catalogue, owner)
}

const PATHS: [&str; 4] = [
    "C:\\Music\\Some Band\\Some Band - First Song.mp3",
    "C:\\Music\\Some Band\\Some Band - Second Song.mp3",
    "C:\\d\\Other Band\\Other Band - one.mp3",
    "/unix/Björk/Jóga.ogg",
];

fn check(words: &str, expected: &[usize]) {
    let (catalogue, _) = with(&PATHS);
    let mut paths: Vec<&str> = expected.iter().map(|&index| PATHS[index]).collect();
    paths.sort_unstable();
    assert_eq!(found(&catalogue, &query(words)), paths, "for {words:?}");
}

#[test]
fn all_words_must_occur_in_any_order_and_case() {
    check("song", &[0, 1]);
    check("SONG first", &[0]);
    check("band", &[0, 1, 2]);
    check("band zzqq", &[]);
    check("jóga BJÖRK", &[3]);
}

#[test]
fn words_are_whole_words() {
    check("son", &[]);
}

#[test]
fn the_last_parts_of_a_path_can_be_found_and_its_suffix() {
    check("mp3 other", &[2]);
    check("music", &[0, 1]);
    check("c", &[]);
}

#[test]
fn a_search_without_words_finds_nothing() {
    check("", &[]);
    check(" - ", &[]);
}

#[test]
fn words_can_be_excluded() {
    let (catalogue, _) = with(&PATHS);
    let query = Query { without: vec!["second".into(), "unknown".into()], ..query("band") };
    assert_eq!(found(&catalogue, &query), [PATHS[0], PATHS[2]]);
}

#[test]
fn a_typing_error_is_forgiven_when_asked_for() {
    let (catalogue, _) = with(&PATHS);
    let exact = query("secnd sonq");
    assert_eq!(found(&catalogue, &exact), [""; 0]);
    assert_eq!(found(&catalogue, &Query { fuzzy: true, ..exact }), [PATHS[1]]);
}

#[test]
fn fields_are_compared() {
    let mut catalogue = Catalogue::new(Config::default());
    let owner = catalogue.add_owner().unwrap();
    catalogue.add(owner, &NewFile { path: b"low song", bitrate_kbps: 64, size_bytes: 10, ..file("") }).unwrap();
    catalogue.add(owner, &NewFile { path: b"high song", bitrate_kbps: 320, size_bytes: 5_000_000_000, seconds: 7, ..file("") }).unwrap();
    catalogue.add(owner, &NewFile { path: b"song film", kind: Kind::Video, frequency_hz: 8, ..file("") }).unwrap();
    let check = |filter: Filter, expected: &[&str]| assert_eq!(found(&catalogue, &Query { filter, ..query("song") }), expected);
    check(Filter::default(), &["high song", "low song", "song film"]);
    check(Filter { bitrate_kbps: 160..=u32::MAX, ..Filter::default() }, &["high song"]);
    check(Filter { bitrate_kbps: 0..=64, ..Filter::default() }, &["low song"]);
    check(Filter { size_bytes: 5_000_000_000..=5_000_000_000, ..Filter::default() }, &["high song"]);
    check(Filter { seconds: 0..=7, ..Filter::default() }, &["high song"]);
    check(Filter { frequency_hz: 0..=8, ..Filter::default() }, &["song film"]);
    check(Filter { kind: Some(Kind::Video), ..Filter::default() }, &["song film"]);
    check(Filter { kind: Some(Kind::Mp3), ..Filter::default() }, &["high song", "low song"]);
}

#[test]
fn what_is_found_is_what_was_given_byte_for_byte() {
    let mut catalogue = Catalogue::new(Config::default());
    let owner = catalogue.add_owner().unwrap();
    let tokens: [&[u8]; 4] = [b"3c4dab0bab8dbf2ea2d0bbe91e4433a1", b"3C4DAB0BAB8DBF2EA2D0BBE91E4433A1", b"WMA-FILE", b""];
    for (number, token) in tokens.into_iter().enumerate() {
        let path = [b"C:\\Bj\xf6rk\\\xff song ".as_slice(), &[b'0' + u8::try_from(number).unwrap()]].concat();
        catalogue.add(owner, &NewFile { path: &path, token, size_bytes: u64::MAX, frequency_hz: u32::MAX, ..file("") }).unwrap();
        let kept = catalogue.file(owner, &path).unwrap();
        assert_eq!((kept.path(), &*kept.token()), (path, token));
        assert_eq!((kept.size_bytes, kept.bitrate_kbps, kept.frequency_hz, kept.seconds), (u64::MAX, 128, u32::MAX, 200));
    }
    assert_eq!(catalogue.files(owner).count(), 4);
}

#[test]
fn a_token_finds_all_who_have_it_whatever_its_case() {
    let mut catalogue = Catalogue::new(Config::default());
    let owners = [catalogue.add_owner().unwrap(), catalogue.add_owner().unwrap(), catalogue.add_owner().unwrap()];
    catalogue.add(owners[0], &NewFile { token: b"ABC", ..file("a") }).unwrap();
    catalogue.add(owners[1], &NewFile { token: b"abc", ..file("b") }).unwrap();
    catalogue.add(owners[2], &NewFile { token: b"abd", ..file("c") }).unwrap();
    let have = |catalogue: &Catalogue| {
        let mut have = Vec::new();
        catalogue.with_token(b"aBc", |owner, _| {
            have.push(owner);
            true
        });
        have
    };
    assert_eq!(have(&catalogue), owners[..2]);
    catalogue.begin_remove(owners[0]);
    assert_eq!(have(&catalogue), owners[1..2]);
}

#[test]
fn a_path_is_offered_once_and_bounds_hold() {
    let mut catalogue = Catalogue::new(Config { owner_files_max: 2, files_max: 3, path_bytes_max: 20, ..Config::default() });
    let [alice, bob] = [catalogue.add_owner().unwrap(), catalogue.add_owner().unwrap()];
    assert_eq!(catalogue.add(alice, &file("x\\one")), Ok(()));
    assert_eq!(catalogue.add(alice, &file("x\\one")), Err(Refusal::Duplicate));
    assert_eq!(catalogue.add(alice, &file(&"w".repeat(21))), Err(Refusal::TooLong));
    assert_eq!(catalogue.add(alice, &file("two")), Ok(()));
    assert_eq!(catalogue.add(alice, &file("three")), Err(Refusal::OwnerFull));
    assert_eq!(catalogue.add(bob, &file("x\\one")), Ok(()));
    assert_eq!(catalogue.add(bob, &file("two")), Err(Refusal::Full));
    assert!(catalogue.remove(alice, b"two"));
    assert!(!catalogue.remove(alice, b"two"));
    assert_eq!(catalogue.add(bob, &file("two")), Ok(()));
}

#[test]
fn who_leaves_is_in_no_answer_and_is_cleared_in_slices() {
    let mut catalogue = Catalogue::new(Config::default());
    let [alice, bob] = [catalogue.add_owner().unwrap(), catalogue.add_owner().unwrap()];
    for number in 0..100 {
        catalogue.add(alice, &file(&format!("alice song {number}"))).unwrap();
        catalogue.add(bob, &file(&format!("bob song {number}"))).unwrap();
    }
    catalogue.begin_remove(alice);
    assert_eq!(found(&catalogue, &query("song")).len(), 100);
    assert_eq!(found(&catalogue, &query("alice")), [""; 0]);
    assert_eq!(catalogue.add(alice, &file("more")), Err(Refusal::NoOwner));
    assert_eq!((catalogue.usage().files, catalogue.usage().leaving_files), (100, 100));
    let mut steps = 1;
    while catalogue.step(30) {
        steps += 1;
        // The number of who is not yet cleared is nobody else's.
        let carol = catalogue.add_owner().unwrap();
        assert_ne!(carol, alice);
        catalogue.begin_remove(carol);
    }
    assert!(steps >= 4);
    assert_eq!((catalogue.usage().files, catalogue.usage().leaving_files, catalogue.usage().owners), (100, 0, 1));
    assert_eq!(found(&catalogue, &query("song")).len(), 100);
}

#[test]
fn a_search_for_what_everybody_has_looks_at_a_bounded_number_of_files() {
    let mut catalogue = Catalogue::new(Config { examined_max: 50, ..Config::default() });
    let owner = catalogue.add_owner().unwrap();
    for number in 0..1000 {
        catalogue.add(owner, &file(&format!("a the of {number}"))).unwrap();
    }
    let none = Filter { bitrate_kbps: 999..=999, ..Filter::default() };
    let outcome = catalogue.search(&Query { filter: none, ..query("a the of") }, |_, _| true);
    assert_eq!(outcome, Outcome { taken: 0, examined: 50, cut: true });
    let outcome = catalogue.search(&Query { wanted: 20, ..query("a the of") }, |_, _| true);
    assert_eq!(outcome, Outcome { taken: 20, examined: 20, cut: false });
}

#[test]
fn where_a_search_begins_changes_who_is_found_first_and_nothing_else() {
    let mut catalogue = Catalogue::new(Config::default());
    let owner = catalogue.add_owner().unwrap();
    for number in 0..2000 {
        catalogue.add(owner, &file(&format!("common other {number}"))).unwrap();
    }
    let all = found(&catalogue, &Query { wanted: 5000, ..query("common other") });
    assert_eq!(all.len(), 2000);
    for start in [1, 700, 1999, 2000, u32::MAX] {
        assert_eq!(found(&catalogue, &Query { wanted: 5000, start, ..query("common other") }), all, "from {start}");
    }
}

fn words(seed: u32) -> String {
    // Some words are common and some are rare, so that all ways of searching are walked.
    let word = |number: u32| format!("w{}", (number % 1000) * (number % 7) % 97);
    format!("{} {} {} common", word(seed), word(seed / 7 + 3), word(seed / 97 + 11))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_catalogue_finds_what_a_list_would(
        steps in proptest::collection::vec((0_u8..10, 0_u32..4, 0_u32..400), 1..900),
        asked in proptest::collection::vec((0_u32..400, any::<u32>()), 1..20),
    ) {
        let mut catalogue = Catalogue::new(Config { seed: 5, ..Config::default() });
        let mut owners: BTreeMap<u32, OwnerId> = BTreeMap::new();
        let mut list: BTreeSet<(OwnerId, String)> = BTreeSet::new();
        for (what, who, which) in steps {
            let path = format!("folder {}\\{}", which % 3, words(which));
            let owner = *owners.entry(who).or_insert_with(|| catalogue.add_owner().unwrap());
            match what {
                0 => {
                    catalogue.begin_remove(owner);
                    owners.remove(&who);
                    list.retain(|(other, _)| *other != owner);
                }
                1 => { catalogue.step(7); }
                2 | 3 => prop_assert_eq!(catalogue.remove(owner, path.as_bytes()), list.remove(&(owner, path))),
                _ => prop_assert_eq!(catalogue.add(owner, &file(&path)).is_ok(), list.insert((owner, path))),
            }
        }
        prop_assert_eq!(catalogue.usage().files, list.len());
        for (which, start) in asked {
            let text = words(which);
            let query = Query { wanted: usize::MAX, start, ..query(&text) };
            let mut hits = BTreeSet::new();
            let outcome = catalogue.search(&query, |owner, file| hits.insert((owner, String::from_utf8(file.path()).unwrap())));
            let wanted: BTreeSet<&str> = query.words.iter().map(String::as_str).collect();
            let right: BTreeSet<_> = list.iter().filter(|(_, path)| {
                let mut has = BTreeSet::new();
                words_of(path.as_bytes(), |word| {
                    has.insert(word.to_owned());
                    true
                });
                wanted.iter().all(|word| has.contains(*word))
            }).cloned().collect();
            prop_assert_eq!(&hits, &right);
            prop_assert_eq!(outcome.taken, right.len());
        }
    }
}
