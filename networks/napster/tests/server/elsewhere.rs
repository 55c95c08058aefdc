//! Servers that share a catalogue: what they put in, what they do when it fails, and what comes by it.

use std::cell::RefCell;
use std::rc::Rc;

use hexad_core::{IndexDeed, IndexHit, IndexOwner, Span};
use hexad_napster::wire::{Card, Ip, Letter, ToClient};
use hexad_napster::{ServerConfig, SharedConfig};

use crate::stage::{Shared, Stage, config, to};

fn shared() -> (Stage, Rc<RefCell<Shared>>) {
    with(SharedConfig::default())
}

fn with(shared: SharedConfig) -> (Stage, Rc<RefCell<Shared>>) {
    let catalogue = Rc::new(RefCell::new(Shared::default()));
    let mut stage = Stage::new(ServerConfig { shared: Some(shared), ..config() });
    stage.shared = Some(catalogue.clone());
    (stage, catalogue)
}

fn card(nick: &str, port: u16) -> Card {
    Card { nick: nick.into(), ip: Ip([10, 0, 0, 9].into()), port, speed: 7, client: "far 1".into() }
}

fn owner(nick: &str, port: u16) -> IndexOwner {
    let name = nick.to_ascii_lowercase();
    IndexOwner { name, machine: 9, marks: [port.into(), 7], card: card(nick, port).write() }
}

/// What was put in, in short.
fn deeds(catalogue: &Rc<RefCell<Shared>>) -> Vec<String> {
    let deeds = std::mem::take(&mut catalogue.borrow_mut().deeds);
    deeds
        .into_iter()
        .map(|deed| match deed {
            IndexDeed::Enter(owner) => format!("enter {} {}", owner.name, owner.marks[0]),
            IndexDeed::Change(owner) => format!("change {} {}", owner.name, owner.marks[0]),
            IndexDeed::Leave(owner) => format!("leave {owner}"),
            IndexDeed::Clear(owner) => format!("clear {owner}"),
            IndexDeed::Add(owner, file) => format!("add {owner} {}: {}", String::from_utf8_lossy(&file.name), file.words.join(" ")),
            IndexDeed::Remove(owner, name) => format!("remove {owner} {}", String::from_utf8_lossy(&name)),
            IndexDeed::Tell(machine, letter) => format!("tell {machine} {:?}", Letter::read(&letter)),
        })
        .collect()
}

#[test]
fn all_that_users_do_with_their_files_is_put_in() {
    let (mut stage, catalogue) = shared();
    stage.joins("Bob", 0);
    stage.says("Bob", 703, "6699");
    stage.shares("Bob", "C:\\A\\blue song.mp3");
    stage.shares("Bob", "C:\\A\\red song.mp3");
    stage.says("Bob", 102, "C:\\A\\red song.mp3");
    stage.says("Bob", 110, "");
    stage.leaves("Bob");
    assert_eq!(
        deeds(&catalogue),
        [
            "enter bob 0",
            "change bob 6699",
            "add bob C:\\A\\blue song.mp3: a blue c mp3 song",
            "add bob C:\\A\\red song.mp3: a c mp3 red song",
            "remove bob C:\\A\\red song.mp3",
            "clear bob",
            "leave bob"
        ]
    );
}

#[test]
fn after_a_failure_everything_is_entered_again_and_who_has_left_is_taken_out() {
    let (mut stage, catalogue) = shared();
    stage.joins("bob", 1);
    stage.joins("eve", 1);
    stage.shares("bob", "blue.mp3");
    deeds(&catalogue);
    catalogue.borrow_mut().away = true;
    stage.shares("bob", "red.mp3");
    stage.leaves("eve");
    assert_eq!(to("bob", &stage.says("bob", 200, "FILENAME CONTAINS \"nothing\"")), ["202"], "it goes on alone");
    stage.pass(Span::from_secs(40));
    assert_eq!(deeds(&catalogue), [""; 0]);
    catalogue.borrow_mut().away = false;
    stage.pass(Span::from_secs(40));
    let mut done = deeds(&catalogue);
    assert_eq!(done.remove(0), "leave eve");
    done.sort();
    assert_eq!(done, ["add bob blue.mp3: blue mp3", "add bob red.mp3: mp3 red", "enter bob 1"]);
}

#[test]
fn who_shares_faster_than_the_catalogue_takes_it_is_entered_as_a_whole_later() {
    let (mut stage, catalogue) = with(SharedConfig { waiting_max: 3, ..SharedConfig::default() });
    stage.joins("bob", 1);
    catalogue.borrow_mut().slow = true;
    for number in 0..10 {
        stage.shares("bob", &format!("song {number}.mp3"));
    }
    deeds(&catalogue);
    catalogue.borrow_mut().slow = false;
    stage.answer_held();
    let done = deeds(&catalogue);
    let last = done.iter().rposition(|deed| deed == "enter bob 1").expect("he is entered once more");
    assert_eq!(done.len() - last - 1, 10, "{done:?}");
}

#[test]
fn what_is_elsewhere_comes_behind_what_is_here_and_one_search_at_a_time() {
    let (mut stage, catalogue) = shared();
    stage.joins("bob", 1);
    stage.joins("carol", 0);
    stage.shares("bob", "blue here.mp3");
    let mut hit = IndexHit { owner: owner("Far", 5), ..IndexHit::default() };
    hit.file.name = b"C:\\blue there.mp3".to_vec();
    (hit.file.size_bytes, hit.file.marks) = (77, [128, 44_100, 9, 0]);
    catalogue.borrow_mut().hits = vec![hit];
    let heard = to("carol", &stage.says("carol", 200, "FILENAME CONTAINS \"blue\" MAX_RESULTS 5"));
    assert_eq!(heard.len(), 3, "{heard:?}");
    assert_eq!(heard[1], "201 \"C:\\blue there.mp3\" 00000000000000000000000000000000 77 128 44100 9 Far 150994954 7");
    assert_eq!(heard[2], "202");
    // As many as are wanted are here: nobody else is asked.
    let asked = catalogue.borrow().asked;
    assert_eq!(to("carol", &stage.says("carol", 200, "FILENAME CONTAINS \"blue\" MAX_RESULTS 1")).len(), 2);
    assert_eq!(catalogue.borrow().asked, asked);
    // While an answer is awaited there is no other search; its end comes once.
    catalogue.borrow_mut().slow = true;
    assert_eq!(to("carol", &stage.says("carol", 200, "FILENAME CONTAINS \"blue\" MAX_RESULTS 5")).len(), 1);
    let second = to("carol", &stage.says("carol", 200, "FILENAME CONTAINS \"blue\" MAX_RESULTS 5"));
    assert_eq!(second, ["404 search failed: too many pending searches"]);
    catalogue.borrow_mut().slow = false;
    assert_eq!(to("carol", &stage.answer_held()).len(), 2);
}

#[test]
fn a_request_from_elsewhere_is_a_promise_like_any_other() {
    let (mut stage, catalogue) = shared();
    stage.joins("bob", 0);
    stage.shares("bob", "C:\\blue.mp3");
    deeds(&catalogue);
    let request = |owner: &str, push| Letter::Request { asker: card("Far", 5), owner: owner.into(), path: "C:\\blue.mp3".into(), push };
    assert_eq!(stage.gets_letter(9, &request("bob", true)), [("bob", "607 Far \"C:\\blue.mp3\"".to_owned())]);
    // Bob cannot be reached, so he has to connect.
    let order = "501 Far 150994954 5 \"C:\\blue.mp3\" 0123456789abcdef0123456789abcdef 7";
    assert_eq!(to("bob", &stage.says("bob", 608, "far \"C:\\blue.mp3\"")), [order]);
    // Nobody of that name, and silence, are told to his server.
    assert_eq!(stage.gets_letter(9, &request("nobody", false)), []);
    stage.gets_letter(9, &request("bob", false));
    assert_eq!(stage.pass(Span::from_secs(46)), []);
    let told = deeds(&catalogue);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|deed| deed.starts_with("tell 9") && deed.contains("GetError")), "{told:?}");
    // As many as he may have waiting, and no more.
    for number in 0..100 {
        let path = format!("C:\\{number}.mp3");
        stage.gets_letter(9, &Letter::Request { asker: card("Far", 5), owner: "bob".into(), path: path.as_str().into(), push: false });
    }
    assert_eq!(deeds(&catalogue).len(), 100 - config().requests_max);
}

#[test]
fn who_is_elsewhere_is_looked_up_and_told() {
    let (mut stage, catalogue) = shared();
    stage.joins("bob", 1);
    deeds(&catalogue);
    catalogue.borrow_mut().owners = vec![owner("Far", 5), owner("Hidden", 0)];
    assert_eq!(stage.says("bob", 203, "far \"x\""), []);
    assert_eq!(stage.says("bob", 205, "far hello"), []);
    let told = deeds(&catalogue);
    assert!(told[0].contains("Request") && told[1].contains("PrivateMessage"), "{told:?}");
    assert_eq!(to("bob", &stage.says("bob", 203, "hidden \"x\"")), ["204 Hidden 150994954 0 \"x\" 00000000000000000000000000000000 7"]);
    assert_eq!(to("bob", &stage.says("bob", 203, "nobody \"x\"")), ["206 nobody \"x\""]);
    assert_eq!(to("bob", &stage.says("bob", 205, "nobody hello")), ["404 User is not currently online."]);
    // Somebody else's name cannot be had here, and a letter nobody can read harms nobody.
    stage.connects_from("far", [10, 0, 0, 1]);
    assert_eq!(to("far", &stage.says("far", 2, "far pw 1 \"t\" 3")), ["0 far is already active", "closed"]);
    stage.gets_letter_bytes(9, b"\x07nonsense");
    assert_eq!(stage.notes.pop(), Some("letter_unreadable"));
    // He has come here himself: who was here before leaves.
    assert_eq!(stage.gets_letter(9, &Letter::Ghost { nick: "BOB".into() }).last(), Some(&("bob", "closed".to_owned())));
    let message = ToClient::Ping { nick: "Far".into() };
    assert_eq!(stage.gets_letter(9, &Letter::Deliver { to: "bob".into(), from: "Far".into(), message }), []);
}
