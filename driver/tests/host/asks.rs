//! Questions of the node: its state, names, computations, a catalogue.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use hexad_core::{
    Answer, Ask, AskFailure, CpuJob, CpuResult, HttpMethod, HttpRequest, IndexDeed, IndexFile, IndexHit, IndexOwner, IndexQuery, Input,
    Name, Network, Output, Payload, Span, Ticket, Token,
};
use hexad_driver::host::HostConfig;
use hexad_driver::{Catalogue, Finding};

use crate::puppet::{Config, Puppet, Puppets};
use crate::rig::{Machine, Shelf, noise};

impl<N: Network<Config = Config, Node = Puppet>> Machine<N> {
    /// Lets the node ask, and waits for the answer.
    pub fn answer(&mut self, ask: Ask) -> Answer {
        static TICKETS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let ticket = Ticket(TICKETS.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        self.say(Output::Ask(ticket, ask));
        self.hears("an answer", |heard| match heard {
            Input::Answered(answered, answer) if *answered == ticket => Some(answer.clone()),
            _ => None,
        })
    }

    /// Lets the node get that, which is small.
    pub fn http(&mut self, url: String) -> Answer {
        let request = HttpRequest { method: HttpMethod::Get, url, range: None, answer_bytes_max: 100, deadline: Span::from_secs(10) };
        self.answer(Ask::Http(Box::new(request)))
    }
}

fn with(host: HostConfig) -> Machine {
    Machine::with(Config::default(), host, Shelf::default())
}

fn at_home(folder: &Path) -> Machine {
    with(HostConfig { state_dir: Some(folder.to_owned()), ..HostConfig::default() })
}

fn bytes(text: &'static [u8]) -> Payload {
    Payload::Bytes(Bytes::from_static(text))
}

fn load(machine: &mut Machine, key: &[u8]) -> Answer {
    machine.answer(Ask::Load("things", key.to_vec()))
}

fn store(machine: &mut Machine, key: &[u8], value: &'static [u8]) -> Answer {
    machine.answer(Ask::Store("things", key.to_vec(), bytes(value)))
}

#[test]
fn what_is_stored_is_found_again_after_a_restart() {
    let home = tempfile::tempdir().expect("a folder");
    let mut alice = at_home(home.path());
    assert_eq!(load(&mut alice, b"a"), Answer::Loaded(None));
    assert_eq!(store(&mut alice, b"a", b"first"), Answer::Stored);
    assert_eq!(store(&mut alice, b"a", b"second"), Answer::Stored);
    assert_eq!(store(&mut alice, b"b", b""), Answer::Stored);
    assert_eq!(load(&mut alice, b"a"), Answer::Loaded(Some(bytes(b"second"))));
    assert_eq!(alice.answer(Ask::Load("others", b"a".to_vec())), Answer::Loaded(None));
    alice.handle.shutdown();
    drop(alice);

    let mut alice = at_home(home.path());
    assert_eq!(load(&mut alice, b"a"), Answer::Loaded(Some(bytes(b"second"))));
    assert_eq!(load(&mut alice, b"b"), Answer::Loaded(Some(bytes(b""))));
    assert_eq!(alice.answer(Ask::Forget("things", b"a".to_vec())), Answer::Stored);
    assert_eq!(load(&mut alice, b"a"), Answer::Loaded(None));
    // As if the process had died.
    alice.handle.kill();
    drop(alice);

    let mut alice = at_home(home.path());
    assert_eq!(load(&mut alice, b"a"), Answer::Loaded(None));
    assert_eq!(load(&mut alice, b"b"), Answer::Loaded(Some(bytes(b""))));
    assert!(home.path().join(Puppets::NAME).join("state.redb").is_file());
}

#[test]
fn a_state_that_is_broken_is_put_aside_said_and_made_anew() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join(Puppets::NAME);
    let file = folder.join("state.redb");
    let rubbish = |length: usize| noise(3, length);
    for (name, number) in [("state.redb.broken", 0), ("state.redb.broken.2", 1)] {
        let mut alice = at_home(home.path());
        assert_eq!(load(&mut alice, b"a"), Answer::Loaded(None));
        assert_eq!(store(&mut alice, b"a", b"first"), Answer::Stored);
        alice.handle.shutdown();
        drop(alice);
        let broken = rubbish(5000 + number);
        std::fs::write(&file, &broken).expect("written");
        let mut alice = at_home(home.path());
        assert_eq!(load(&mut alice, b"a"), Answer::Loaded(None));
        let note = alice.notes("state_broken");
        assert!(note.detail.contains(name) && note.detail.contains("nothing of it could be read"), "{}", note.detail);
        assert_eq!(std::fs::read(folder.join(name)).expect("it is there"), broken);
        assert_eq!(store(&mut alice, b"b", b"again"), Answer::Stored);
        assert_eq!(load(&mut alice, b"b"), Answer::Loaded(Some(bytes(b"again"))));
        assert_eq!(alice.answer(Ask::Forget("things", b"b".to_vec())), Answer::Stored);
        alice.handle.shutdown();
    }
}

#[test]
fn what_can_be_read_of_a_state_with_broken_pages_is_kept() {
    const RECORDS: u32 = 2000;
    let value_of = |key: &[u8]| noise(u64::from_be_bytes([0, 0, 0, 0, key[0], key[1], key[2], key[3]]), 200);
    let home = tempfile::tempdir().expect("a folder");
    let file = home.path().join(Puppets::NAME).join("state.redb");
    let keys: Vec<Vec<u8>> = (0..RECORDS).map(|number| number.to_be_bytes().to_vec()).collect();
    let mut alice = at_home(home.path());
    // No more at a time than a host answers.
    for some in keys.chunks(50) {
        for key in some {
            let value = Payload::Bytes(Bytes::from(value_of(key)));
            alice.say(Output::Ask(Ticket(u64::MAX), Ask::Store("things", key.clone(), value)));
        }
        assert!(matches!(load(&mut alice, &some[some.len() - 1]), Answer::Loaded(Some(_))));
    }
    alice.handle.shutdown();
    drop(alice);
    // Every page on which one record lies, or lay.
    let mut whole = std::fs::read(&file).expect("it is there");
    let value = value_of(&keys[1000]);
    for page in whole.chunks_mut(4096) {
        if page.windows(value.len()).any(|window| window == value) {
            page.fill(0xff);
        }
    }
    std::fs::write(&file, &whole).expect("written");
    let mut alice = at_home(home.path());
    let answers: Vec<Answer> = keys.iter().map(|key| load(&mut alice, key)).collect();
    let note = alice.notes("state_broken");
    let kept = answers.iter().filter(|answer| matches!(answer, Answer::Loaded(Some(_)))).count();
    let gone = answers.iter().filter(|answer| matches!(answer, Answer::Loaded(None))).count();
    assert!(kept > 0 && gone > 0 && kept + gone == keys.len(), "{kept} kept, {gone} gone: {}", note.detail);
    assert!(note.detail.contains("records of it could be read and are kept"), "{}", note.detail);
    assert_eq!(store(&mut alice, b"b", b"again"), Answer::Stored);
}

#[test]
fn questions_to_the_state_are_answered_in_their_order() {
    let home = tempfile::tempdir().expect("a folder");
    let mut alice = at_home(home.path());
    for round in 0..100_u64 {
        let value = Payload::Bytes(Bytes::copy_from_slice(&round.to_be_bytes()));
        alice.say(Output::Ask(Ticket(2 * round + 1_000_000), Ask::Store("things", b"k".to_vec(), value)));
        alice.say(Output::Ask(Ticket(2 * round + 1_000_001), Ask::Load("things", b"k".to_vec())));
    }
    for round in 0..100_u64 {
        let loaded = alice.hears("an answer", |heard| match heard {
            Input::Answered(Ticket(ticket), answer) if *ticket == 2 * round + 1_000_001 => Some(answer.clone()),
            _ => None,
        });
        assert_eq!(loaded, Answer::Loaded(Some(Payload::Bytes(Bytes::copy_from_slice(&round.to_be_bytes())))));
    }
}

#[test]
fn a_host_without_a_folder_remembers_while_it_lives() {
    let mut alice = with(HostConfig::default());
    assert_eq!(store(&mut alice, b"a", b"first"), Answer::Stored);
    assert_eq!(load(&mut alice, b"a"), Answer::Loaded(Some(bytes(b"first"))));
}

#[test]
fn state_that_cannot_be_kept_is_a_failure() {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::write(home.path().join(Puppets::NAME), b"in the way").expect("to write");
    let mut alice = at_home(home.path());
    let answer = store(&mut alice, b"a", b"first");
    assert!(matches!(&answer, Answer::Failed(AskFailure::Other(why)) if why.starts_with("the node's state: ")), "{answer:?}");
    let token = Payload::Token(Token { content: 1, range: 0..1, honest: true });
    assert!(matches!(alice.answer(Ask::Store("things", Vec::new(), token)), Answer::Failed(_)));
}

#[test]
fn names_are_looked_up() {
    let mut alice = with(HostConfig::default());
    let mut resolve = |host: &str| alice.answer(Ask::Resolve(Name { host: host.to_owned(), port: 80 }));
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    assert!(matches!(resolve("localhost"), Answer::Resolved(found) if found.contains(&here)));
    assert_eq!(resolve("127.0.0.1"), Answer::Resolved(vec![here]));
    assert!(matches!(resolve("nobody.invalid"), Answer::Failed(_)));
}

#[test]
fn passwords_become_keys() {
    let mut alice = with(HostConfig::default());
    let mut key = |password: &[u8]| alice.answer(Ask::Work(CpuJob::Argon2 { password: password.to_vec(), salt: b"somesalt".to_vec() }));
    let Answer::Worked(CpuResult::Bytes(first)) = key(b"password") else { panic!("no key") };
    assert_eq!(first.len(), 32);
    assert_eq!(key(b"password"), Answer::Worked(CpuResult::Bytes(first.clone())));
    assert_ne!(key(b"Password"), Answer::Worked(CpuResult::Bytes(first)));
    let short = alice.answer(Ask::Work(CpuJob::Argon2 { password: b"p".to_vec(), salt: b"s".to_vec() }));
    assert!(matches!(short, Answer::Failed(_)));
}

#[test]
fn what_is_deflated_inflates_to_the_same_within_its_bound() {
    let mut alice = with(HostConfig::default());
    let zeros = Bytes::from(vec![0; 1 << 20]);
    let Answer::Worked(CpuResult::Bytes(small)) = alice.answer(Ask::Work(CpuJob::Deflate(zeros.clone()))) else { panic!("not deflated") };
    assert!(small.len() < 4096);
    let mut inflate = |bytes: Bytes, bytes_max| alice.answer(Ask::Work(CpuJob::Inflate { bytes, bytes_max }));
    assert_eq!(inflate(small.clone(), 1 << 20), Answer::Worked(CpuResult::Bytes(zeros)));
    assert_eq!(inflate(small, (1 << 20) - 1), Answer::Failed(AskFailure::TooLarge((1 << 20) - 1)));
    assert!(matches!(inflate(Bytes::from_static(b"no zlib"), 100), Answer::Failed(AskFailure::Other(_))));
}

#[test]
fn lost_blocks_are_restored() {
    let mut alice = with(HostConfig::default());
    let blocks: Vec<Bytes> = (0..5).map(|seed| Bytes::from(noise(seed, 1024))).collect();
    let Answer::Worked(CpuResult::Blocks(added)) = alice.answer(Ask::Work(CpuJob::Encode { blocks: blocks.clone(), recovery: 3 })) else {
        panic!("not encoded")
    };
    assert_eq!(added.len(), 3);
    let mut decode = |missing: &[usize]| {
        let all = blocks.iter().chain(&added).enumerate();
        let blocks = all.map(|(index, block)| (!missing.contains(&index)).then(|| block.clone())).collect();
        alice.answer(Ask::Work(CpuJob::Decode { blocks, originals: 5 }))
    };
    let restored = Answer::Worked(CpuResult::Blocks(blocks.clone()));
    assert_eq!(decode(&[]), restored);
    assert_eq!(decode(&[0, 2, 6]), restored);
    assert_eq!(decode(&[1, 3, 4]), restored);
    assert!(matches!(decode(&[1, 3, 4, 5]), Answer::Failed(_)));
}

fn question(deadline: Span) -> Ask {
    Ask::Query(Box::new(IndexQuery { words: vec!["blue".into()], wanted: 5, deadline, ..IndexQuery::default() }))
}

#[derive(Debug)]
struct Shop {
    open: bool,
}

fn hit(words: &[String]) -> IndexHit {
    let owner = IndexOwner { name: "alice".into(), machine: 3, ..IndexOwner::default() };
    IndexHit { owner, file: IndexFile { name: words.join(" ").into(), size_bytes: 7, ..IndexFile::default() } }
}

impl Catalogue for Shop {
    fn find(&self, query: &IndexQuery) -> Finding<Vec<IndexHit>> {
        let hit = hit(&query.words);
        if self.open { Box::pin(async move { Ok(vec![hit]) }) } else { Box::pin(std::future::pending()) }
    }

    fn owner(&self, name: &str) -> Finding<Option<Box<IndexOwner>>> {
        let owner = Some(Box::new(hit(&[]).owner)).filter(|owner| owner.name == name);
        Box::pin(async move { Ok(owner) })
    }

    fn change(&self, deeds: Vec<IndexDeed>) -> Finding<()> {
        Box::pin(async move { if deeds.is_empty() { Err(AskFailure::Other("nothing to do".into())) } else { Ok(()) } })
    }

    fn letters(&self, _: Span) -> Finding<Vec<(u64, Vec<u8>)>> {
        Box::pin(async { Ok(vec![(3, b"a word".to_vec())]) })
    }
}

#[test]
fn a_catalogue_is_asked_where_there_is_one() {
    let none = with(HostConfig::default()).answer(question(Span::from_secs(5)));
    assert_eq!(none, Answer::Failed(AskFailure::Other("no catalogue here".into())));
    let mut alice = with(HostConfig { catalogue: Some(Arc::new(Shop { open: true })), ..HostConfig::default() });
    assert_eq!(alice.answer(question(Span::from_secs(5))), Answer::Found(vec![hit(&["blue".into()])]));
    assert_eq!(alice.answer(Ask::Owner("alice".into())), Answer::Owner(Some(Box::new(hit(&[]).owner))));
    assert_eq!(alice.answer(Ask::Owner("bob".into())), Answer::Owner(None));
    assert_eq!(alice.answer(Ask::Index(vec![IndexDeed::Leave("bob".into())])), Answer::Stored);
    assert_eq!(alice.answer(Ask::Index(Vec::new())), Answer::Failed(AskFailure::Other("nothing to do".into())));
    assert_eq!(alice.answer(Ask::Letters(Span::from_secs(5))), Answer::Letters(vec![(3, b"a word".to_vec())]));
    let mut bob = with(HostConfig { catalogue: Some(Arc::new(Shop { open: false })), ..HostConfig::default() });
    assert_eq!(bob.answer(question(Span::from_millis(20))), Answer::Failed(AskFailure::TimedOut));
}

#[test]
fn more_questions_than_allowed_fail_at_once() {
    let mut alice = with(HostConfig { asks_max: 1, catalogue: Some(Arc::new(Shop { open: false })), ..HostConfig::default() });
    alice.say(Output::Ask(Ticket(1_000_000), question(Span::from_secs(600))));
    let second = alice.answer(question(Span::from_secs(600)));
    assert_eq!(second, Answer::Failed(AskFailure::Other("too many questions at once".into())));
}
