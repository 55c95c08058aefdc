//! Two index servers over one real PostgreSQL, which the test starts itself: not as root, in a temporary folder, on a Unix socket.

mod clients;
mod database;

use std::sync::Arc;

use clients::{Bare, House};
use database::Database;
use hexad_core::{AskFailure, IndexDeed, IndexFile, IndexOwner, IndexQuery, Span};
use hexad_driver::Catalogue;
use hexad_postgres::PostgresCatalogue;

fn owner(name: &str, port: u32) -> IndexOwner {
    IndexOwner { name: name.into(), machine: 0, marks: [port, 4], card: format!("card of {name}").into() }
}

fn file(name: &str, words: &[&str], size_bytes: u64) -> IndexFile {
    let words = words.iter().map(|&word| word.to_owned()).collect();
    IndexFile { name: name.into(), words, token: format!("Token{size_bytes}").into(), size_bytes, marks: [128, 44_100, 200, 0] }
}

fn words(words: &[&str]) -> IndexQuery {
    IndexQuery { words: words.iter().map(|&word| word.to_owned()).collect(), wanted: 10, ..IndexQuery::default() }
}

/// The names of what is found, in order.
async fn names(machine: &PostgresCatalogue, query: IndexQuery) -> Vec<String> {
    let mut names: Vec<String> = machine
        .find(&query)
        .await
        .unwrap()
        .into_iter()
        .map(|hit| format!("{} {}", hit.owner.name, String::from_utf8_lossy(&hit.file.name)))
        .collect();
    names.sort();
    names
}

fn on_runtime(act: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(act);
}

#[test]
fn machines_find_what_the_others_have_and_only_while_they_have_it() {
    let Some(database) = Database::start() else { return };
    on_runtime(async {
        let (one, two) = (database.machine(), database.machine());
        let deeds = vec![
            IndexDeed::Enter(owner("alice", 6699)),
            IndexDeed::Add("alice".into(), file("blue one", &["blue", "one"], 10)),
            IndexDeed::Add("alice".into(), file("blue two", &["blue", "two"], 20)),
            IndexDeed::Add("alice".into(), file("red one", &["red", "one"], 30)),
            // Twice is the same as once; of nobody is nothing.
            IndexDeed::Add("alice".into(), file("red one", &["red", "one"], 30)),
            IndexDeed::Add("nobody".into(), file("blue nothing", &["blue"], 40)),
        ];
        one.change(deeds).await.unwrap();
        two.change(vec![IndexDeed::Enter(owner("bob", 0)), IndexDeed::Add("bob".into(), file("blue three", &["blue", "three"], 50))])
            .await
            .unwrap();

        assert_eq!(names(&two, words(&["blue"])).await, ["alice blue one", "alice blue two", "bob blue three"]);
        assert_eq!(names(&two, words(&["one", "blue"])).await, ["alice blue one"]);
        assert_eq!(names(&two, words(&["blue", "green"])).await, [""; 0]);
        assert_eq!(names(&two, IndexQuery { elsewhere: true, ..words(&["blue"]) }).await, ["alice blue one", "alice blue two"]);
        assert_eq!(names(&one, IndexQuery { without: vec!["two".into()], ..words(&["blue"]) }).await, ["alice blue one", "bob blue three"]);
        assert_eq!(names(&one, IndexQuery { size_bytes: 15..=49, ..words(&["blue"]) }).await, ["alice blue two"]);
        assert_eq!(names(&one, IndexQuery { owner_marks: [1..=u32::MAX, 0..=u32::MAX], ..words(&["three"]) }).await, [""; 0]);
        let mut slow = words(&["three"]);
        slow.file_marks[0] = 129..=u32::MAX;
        assert_eq!(names(&one, slow).await, [""; 0]);
        assert_eq!(names(&one, IndexQuery { wanted: 2, ..words(&["blue"]) }).await.len(), 2);
        let by_token = IndexQuery { token: Some(b"tOKEN50".to_vec()), wanted: 10, ..IndexQuery::default() };
        assert_eq!(names(&one, by_token).await, ["bob blue three"]);
        let all = |name: &str| IndexQuery { owner: Some(name.into()), wanted: 10, ..IndexQuery::default() };
        assert_eq!(names(&two, all("alice")).await.len(), 3);

        // Who is where.
        let found = two.owner("alice").await.unwrap().expect("she is there");
        assert_eq!((&*found.card, found.marks), (b"card of alice".as_slice(), [6699, 4]));
        assert_ne!(found.machine, 0);
        assert_eq!(one.owner("alice").await.unwrap().expect("she is here").machine, 0);
        assert_eq!(two.owner("nobody").await.unwrap(), None);
        one.change(vec![IndexDeed::Change(owner("alice", 0))]).await.unwrap();
        assert_eq!(two.owner("alice").await.unwrap().expect("still there").marks, [0, 4]);
        assert_eq!(names(&two, words(&["red"])).await, ["alice red one"]);

        // What goes is gone.
        one.change(vec![IndexDeed::Remove("alice".into(), b"red one".to_vec())]).await.unwrap();
        assert_eq!(names(&two, words(&["red"])).await, [""; 0]);
        one.change(vec![IndexDeed::Clear("alice".into()), IndexDeed::Add("alice".into(), file("blue four", &["blue", "four"], 60))])
            .await
            .unwrap();
        assert_eq!(names(&two, words(&["blue"])).await, ["alice blue four", "bob blue three"]);
        one.change(vec![IndexDeed::Leave("alice".into())]).await.unwrap();
        assert_eq!(names(&two, words(&["blue"])).await, ["bob blue three"]);
        assert_eq!(two.owner("alice").await.unwrap(), None);

        // Entered elsewhere, he takes nothing along; and who had him before cannot take him out again.
        one.change(vec![IndexDeed::Enter(owner("bob", 7)), IndexDeed::Add("bob".into(), file("blue five", &["blue", "five"], 70))])
            .await
            .unwrap();
        two.change(vec![IndexDeed::Leave("bob".into())]).await.unwrap();
        assert_eq!(names(&two, words(&["blue"])).await, ["bob blue five"]);
        // Quotes, percent signs and bytes that are no text are nothing special.
        let odd = IndexFile { name: b"C:\\\xff'%_\"; --".to_vec(), words: vec!["o'dd%".into(), "zero\0".into()], ..file("", &[], 80) };
        one.change(vec![IndexDeed::Add("bob".into(), odd.clone())]).await.unwrap();
        let found = two.find(&words(&["o'dd%"])).await.unwrap();
        assert_eq!(found[0].file.name, odd.name);
    });
}

#[test]
fn letters_reach_the_machine_that_they_are_for_in_their_order() {
    let Some(database) = Database::start() else { return };
    on_runtime(async {
        let (one, two) = (database.machine(), database.machine());
        one.change(vec![IndexDeed::Enter(owner("alice", 1))]).await.unwrap();
        two.change(vec![IndexDeed::Enter(owner("bob", 1))]).await.unwrap();
        let (to_two, to_one) = (one.owner("bob").await.unwrap().unwrap().machine, two.owner("alice").await.unwrap().unwrap().machine);
        assert_eq!(two.letters(Span::from_millis(60)).await.unwrap(), []);
        let tell = |word: &str| IndexDeed::Tell(to_two, word.into());
        let (heard, told) = tokio::join!(two.letters(Span::from_secs(20)), one.change(vec![tell("first"), tell("second"), tell("third")]));
        told.unwrap();
        let from_one = |word: &str| (to_one, word.as_bytes().to_vec());
        assert_eq!(heard.unwrap(), [from_one("first"), from_one("second"), from_one("third")]);
        assert_eq!(two.letters(Span::ZERO).await.unwrap(), []);
    });
}

#[test]
fn a_machine_that_falls_silent_is_left_out_and_comes_back_when_it_enters_everything_again() {
    let Some(database) = Database::start() else { return };
    on_runtime(async {
        let (one, two) = (database.machine(), database.machine());
        let enter = || vec![IndexDeed::Enter(owner("alice", 1)), IndexDeed::Add("alice".into(), file("blue", &["blue"], 1))];
        one.change(enter()).await.unwrap();
        assert_eq!(names(&two, words(&["blue"])).await, ["alice blue"]);
        // As if it had not been heard of for eleven seconds, and then for two minutes.
        let silent =
            |seconds: u32| format!("UPDATE hexad_machines SET seen = seen - {seconds} WHERE machine IN (SELECT machine FROM hexad_owners)");
        database.execute(&silent(11)).await;
        assert_eq!(names(&two, words(&["blue"])).await, [""; 0]);
        assert_eq!(two.owner("alice").await.unwrap(), None);
        drop(one);
        database.execute(&silent(120)).await;
        database
            .until(
                "the silent machine is given up, and what it had is cleared",
                "SELECT
            (SELECT count(*) FROM hexad_owners) + (SELECT count(*) FROM hexad_files) + (SELECT count(*) FROM hexad_words)
            + (SELECT count(*) FROM hexad_gone)",
            )
            .await;
        drop(two);
    });
}

#[test]
fn a_database_that_is_away_is_a_failure_that_says_so_and_no_more() {
    on_runtime(async {
        let nowhere = PostgresCatalogue::new("postgres://hexad:secret@127.0.0.1:1/hexad").unwrap();
        let failure = nowhere.owner("alice").await.unwrap_err();
        assert!(matches!(&failure, AskFailure::Other(why) if why.starts_with("the catalogue: ") && !why.contains("secret")), "{failure}");
    });
    for address in ["", "http://x", "postgres://host:port/x"] {
        assert!(PostgresCatalogue::new(address).is_err(), "{address}");
    }
}

fn house(database: &Database) -> House {
    House::new(Arc::new(database.machine()))
}

#[test]
fn servers_over_one_catalogue_find_and_bring_together_each_others_users() {
    let Some(database) = Database::start() else { return };
    let (one, two) = (house(&database), house(&database));
    let mut alice = Bare::joined(one.address, "Alice", 6699);
    alice.say(100, "\"C:\\Music\\A blue song.mp3\" 0123456789abcdef0123456789abcdef 1000 128 44100 200");
    alice.say(100, "\"C:\\Music\\A red song.mp3\" x 2000 192 44100 100");
    let mut bob = Bare::joined(two.address, "Bob", 0);

    // Search with filters, browse, who else has it.
    let found = bob.asks_until("FILENAME CONTAINS \"blue song\" MAX_RESULTS 5");
    assert_eq!(found, ["\"C:\\Music\\A blue song.mp3\" 0123456789abcdef0123456789abcdef 1000 128 44100 200 Alice 16777343 4"]);
    assert_eq!(bob.asks_until("FILENAME CONTAINS \"song\" BITRATE \"AT LEAST\" 160 MAX_RESULTS 5").len(), 1);
    assert_eq!(bob.asks("FILENAME CONTAINS \"song\" LINESPEED \"AT LEAST\" 9 MAX_RESULTS 5"), [""; 0]);
    assert_eq!(bob.asks("FILENAME CONTAINS \"song\" LOCAL_ONLY MAX_RESULTS 5"), [""; 0]);
    bob.say(211, "alice");
    assert!(bob.hears(212).starts_with("Alice \"C:\\Music\\"));
    assert!(bob.hears(213).starts_with("alice"));
    bob.say(215, "0123456789ABCDEF0123456789ABCDEF 1000");
    assert!(bob.hears(216).starts_with("Alice 16777343 6699 "));
    bob.hears(217);
    bob.say(603, "ALICE");
    assert!(bob.hears(604).starts_with("Alice "));

    // A download request goes over, and its answer comes back.
    bob.say(203, "alice \"C:\\Music\\A blue song.mp3\"");
    assert_eq!(alice.hears(607), "Bob \"C:\\Music\\A blue song.mp3\"");
    alice.say(608, "bob \"C:\\Music\\A blue song.mp3\"");
    assert_eq!(bob.hears(204), "Alice 16777343 6699 \"C:\\Music\\A blue song.mp3\" 0123456789abcdef0123456789abcdef 4");
    bob.say(203, "alice \"C:\\Music\\A red song.mp3\"");
    alice.hears(607);
    alice.say(619, "bob \"C:\\Music\\A red song.mp3\" 2");
    assert_eq!(bob.hears(620), "Alice \"C:\\Music\\A red song.mp3\" 2000 2");
    bob.say(203, "alice \"C:\\nothing of hers\"");
    alice.hears(607);
    alice.say(609, "bob \"C:\\nothing of hers\"");
    assert_eq!(bob.hears(206), "Alice \"C:\\nothing of hers\"");

    // Bob is firewalled: Alice asks him to push.
    bob.say(100, "\"/music/a green song.mp3\" y 3000 128 44100 200");
    assert_eq!(alice.asks_until("FILENAME CONTAINS \"green\" MAX_RESULTS 5").len(), 1);
    alice.say(203, "bob \"/music/a green song.mp3\"");
    assert_eq!(alice.hears(204), "Bob 16777343 0 \"/music/a green song.mp3\" 00000000000000000000000000000000 4");
    alice.say(500, "bob \"/music/a green song.mp3\"");
    assert_eq!(bob.hears(607), "Alice \"/music/a green song.mp3\"");
    bob.say(608, "alice \"/music/a green song.mp3\"");
    assert_eq!(bob.hears(501), "Alice 16777343 6699 \"/music/a green song.mp3\" y 4");
    bob.say(500, "alice \"C:\\Music\\A blue song.mp3\"");
    assert_eq!(bob.hears(404), "Alice is not firewalled");

    // What people say.
    bob.say(205, "alice hello there");
    assert_eq!(alice.hears(205), "Bob hello there");
    alice.say(751, "bob");
    assert_eq!(bob.hears(751), "Alice");
    bob.say(205, "nobody hello");
    assert_eq!(bob.hears(404), "User is not currently online.");

    // A name is one name on both, and its owner may move.
    let mut moved = Bare::joined(two.address, "alice", 6700);
    alice.hears(748);
    alice.hears_out();
    moved.say(100, "\"C:\\Music\\a violet song.mp3\" z 1 2 3 4");
    let mut carol = Bare::joined(one.address, "carol", 1);
    assert_eq!(carol.asks_until("FILENAME CONTAINS \"violet\" MAX_RESULTS 5").len(), 1);
    assert_eq!(carol.asks("FILENAME CONTAINS \"blue song\" MAX_RESULTS 5"), [""; 0]);
    // Who leaves is found no longer.
    drop(moved);
    carol.asks_until_nothing("FILENAME CONTAINS \"violet\" MAX_RESULTS 5");
}

#[test]
fn a_server_goes_on_while_the_database_is_away_and_enters_everything_when_it_is_back() {
    let Some(mut database) = Database::start() else { return };
    let (one, two) = (house(&database), house(&database));
    let mut alice = Bare::joined(one.address, "alice", 6699);
    alice.say(100, "\"C:\\a blue song.mp3\" x 1 2 3 4");
    let mut bob = Bare::joined(two.address, "bob", 6699);
    assert_eq!(bob.asks_until("FILENAME CONTAINS \"blue\" MAX_RESULTS 5").len(), 1);
    database.stop();
    alice.say(100, "\"C:\\another blue song.mp3\" x 1 2 3 4");
    let mut carol = Bare::joined(one.address, "carol", 6699);
    assert_eq!(carol.asks("FILENAME CONTAINS \"blue\" MAX_RESULTS 5").len(), 2, "one's own users are found all the same");
    database.go_on();
    while bob.asks_until("FILENAME CONTAINS \"blue\" MAX_RESULTS 5").len() < 2 {}
}
