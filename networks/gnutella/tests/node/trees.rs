//! Tiger trees: got from sources, checked, and what is given by them; and given to others.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use hexad_content::sha1_lanes::sha1_one;
use hexad_content::{Digest, Digests, Layout, PartVerdict, Proof, Ranges, TigerProof, TreeProof};
use hexad_core::{
    ConnId, Endpoint, Input, LeaseId, Link, OpId, Operation, Output, Payload, Progress, Share, ShareId, Source, Verdict, Via, What,
};
use hexad_gnutella::wire::thex::{read_thex, write_thex};
use hexad_gnutella::wire::{Body, Headers, Message, Request, Response, digests_of};
use hexad_gnutella::{Locator, Mode, Request as Own, Settings};

use crate::stage::{Said, Stage, drops, packets, query, settings};

const SIZE: u64 = 700_000;
const PART: u64 = 64 << 10;

fn song() -> Vec<u8> {
    (0..SIZE).map(|at| (at * 37 + at / 253) as u8).collect()
}

fn tree_of(bytes: &[u8]) -> TigerProof {
    let hashes: Vec<[u8; 24]> = bytes.chunks(PART as usize).map(TigerProof::hash_of_part).collect();
    TigerProof::of_layer(bytes.len() as u64, PART, hashes).unwrap()
}

fn digests(bytes: &[u8]) -> Digests {
    [Digest::Sha1(sha1_one(bytes)), Digest::TigerTree(tree_of(bytes).root())].into_iter().collect()
}

fn thex(tree: &TigerProof) -> Bytes {
    let levels = tree.levels();
    write_thex(tree.total_bytes(), levels.len() - 1, "e1c9fa3b-bbad-19a3-5528-da29fcdca2a0", &levels.concat())
}

/// Servents of another program, and the host of the node: it keeps what comes, and judges it by what the node says that proves it.
struct World {
    stage: Stage,
    /// What each address gives: bytes, and a tree where it has one.
    sources: BTreeMap<String, (Vec<u8>, Option<Bytes>)>,
    conns: BTreeMap<ConnId, String>,
    file: Vec<u8>,
    proof: Option<Proof>,
    /// What has come of each part that is not judged.
    come: Ranges,
    done: bool,
    codes: Vec<&'static str>,
    trees_asked: Vec<String>,
    targets: Vec<String>,
    said: std::collections::VecDeque<hexad_core::Outbound<hexad_gnutella::Node>>,
}

impl World {
    fn new(sources: &[(&str, Vec<u8>, Option<Bytes>)]) -> Self {
        Self {
            stage: Stage::new(Settings { request_bytes: PART, ..settings(Mode::Flat) }),
            sources: sources.iter().map(|(at, bytes, tree)| ((*at).to_owned(), (bytes.clone(), tree.clone()))).collect(),
            conns: BTreeMap::new(),
            file: vec![0; SIZE as usize],
            proof: None,
            come: Ranges::new(),
            done: false,
            codes: Vec::new(),
            trees_asked: Vec::new(),
            targets: Vec::new(),
            said: std::collections::VecDeque::new(),
        }
    }

    fn take(&mut self, said: Said) {
        self.codes.extend(drops(&said));
        self.said.extend(said);
    }

    fn hear(&mut self, input: hexad_core::Inbound<hexad_gnutella::Node>) {
        let said = self.stage.table.hears(input);
        self.take(said);
    }

    fn fetch(&mut self, digests: Digests) {
        let locator = Locator { digests, size_bytes: Some(SIZE), name: "blue.ogg".into(), ..Locator::default() };
        let peers = self.sources.keys().map(|at| Endpoint::Ip(at.parse().unwrap())).collect();
        let source = Source { what: What::Locator(locator.write()), peers };
        let (_, said) = self.stage.starts(Operation::Fetch { source, lease: LeaseId(1), share: ShareId(900) });
        self.take(said);
        for _ in 0..60 {
            while let Some(output) = self.said.pop_front() {
                self.does(output);
            }
            if self.done {
                return;
            }
            let said = self.stage.passes(1);
            self.take(said);
        }
    }

    fn does(&mut self, output: hexad_core::Outbound<hexad_gnutella::Node>) {
        match output {
            Output::Open(conn, peer, _) => {
                self.conns.insert(conn, peer.to_string());
                self.hear(Input::Opened { conn, peer, via: Via::Dialled });
            }
            Output::Close(conn, _) => drop(self.conns.remove(&conn)),
            Output::Send(Link::Conn(conn), Message::Request(request)) => self.answer(conn, &request),
            Output::Deliver(_, at, Payload::Bytes(bytes)) => {
                let end = at + bytes.len() as u64;
                self.file[at as usize..end as usize].copy_from_slice(&bytes);
                self.come.insert(at..end);
                self.judge();
            }
            Output::Report(_, Progress::Described(what)) => {
                self.proof = what.proof.clone();
                self.hear(Input::Leased(LeaseId(1), Ranges::of(0..SIZE)));
            }
            Output::Report(op, Progress::Done) if op != OpId(1) => self.done = true,
            _ => {}
        }
    }

    fn judge(&mut self) {
        let proof = self.proof.clone().unwrap();
        for part in 0..proof.part_count() {
            let range = proof.part_range(part);
            if self.come.covers(range.clone()) {
                self.come.remove(range.clone());
                let verdict = match proof.judge(part, &self.file[range.start as usize..range.end as usize]) {
                    PartVerdict::Good => Verdict::Good,
                    _ => Verdict::Bad,
                };
                self.hear(Input::Judged(LeaseId(1), range, verdict));
            }
        }
    }

    fn answer(&mut self, conn: ConnId, request: &Request) {
        let Some(at) = self.conns.get(&conn).cloned() else { return };
        let (bytes, tree) = self.sources[&at].clone();
        self.targets.push(request.target.clone());
        let (response, body) = if request.target.starts_with("/uri-res/N2X?") {
            self.trees_asked.push(at);
            let headers = Headers::new().with("Content-Type", "application/dime");
            match tree {
                Some(tree) => (Response::new(200, "OK", headers, tree.len() as u64), tree),
                None => (Response::new(404, "Not Found", Headers::new(), 0), Bytes::new()),
            }
        } else {
            let Range { start, end } = request.range(SIZE).unwrap();
            let headers = Headers::new().with("Content-Range", format!("bytes {start}-{}/{SIZE}", end - 1));
            let body = Bytes::copy_from_slice(&bytes[start as usize..end as usize]);
            (Response::new(206, "Partial Content", headers, end - start), body)
        };
        self.hear(Input::Received(Link::Conn(conn), response.into()));
        if !body.is_empty() {
            self.hear(Input::Received(Link::Conn(conn), Message::Data(Payload::Bytes(body))));
        }
    }
}

const HONEST: [&str; 2] = ["198.51.100.50:6346", "198.51.100.51:6346"];
const LIAR: &str = "198.51.100.49:6346";

#[test]
fn ranges_are_proven_one_by_one_and_the_liar_of_three_is_left() {
    let song = song();
    let mut wrong = song.clone();
    wrong.iter_mut().step_by(1000).for_each(|byte| *byte ^= 1);
    let tree = thex(&tree_of(&song));
    let mut world = World::new(&[
        (LIAR, wrong, Some(tree.clone())),
        (HONEST[0], song.clone(), Some(tree.clone())),
        (HONEST[1], song.clone(), Some(tree)),
    ]);
    world.fetch(digests(&song));
    assert!(world.done);
    assert!(world.file == song);
    let Some(Proof::Tiger(proof)) = &world.proof else { panic!("{:?}", world.proof) };
    assert_eq!((proof.root(), proof.part_bytes()), (tree_of(&song).root(), PART));
    assert_eq!(world.codes.iter().filter(|code| **code == "bad_bytes").count(), 1);
    assert!(!world.conns.values().any(|at| at == LIAR));
}

#[test]
fn whoever_gives_a_wrong_tree_is_left_and_the_tree_comes_from_another() {
    let song = song();
    let mut other = song.clone();
    other[5] ^= 1;
    let lies = [thex(&tree_of(&other)), Bytes::from_static(b"no tree"), Bytes::from(vec![0; 3000])];
    for lie in lies {
        let mut world = World::new(&[(LIAR, song.clone(), Some(lie)), (HONEST[0], song.clone(), Some(thex(&tree_of(&song))))]);
        world.fetch(digests(&song));
        assert!(world.done && world.file == song);
        assert!(matches!(world.proof, Some(Proof::Tiger(_))));
        assert_eq!(world.codes.iter().filter(|code| **code == "bad_tree").count(), 1);
    }
}

#[test]
fn where_nobody_has_a_tree_the_sha1_proves_the_whole() {
    let song = song();
    let mut world = World::new(&[(HONEST[0], song.clone(), None), (HONEST[1], song.clone(), None)]);
    world.fetch(digests(&song));
    assert!(world.done && world.file == song);
    assert!(matches!(world.proof, Some(Proof::Whole { .. })));
    assert_eq!(world.trees_asked.len(), 2, "each is asked once");
}

#[test]
fn a_source_is_asked_for_the_tree_where_it_says_that_it_has_it() {
    let song = song();
    let root = tree_of(&song).root();
    let mut stage = Stage::new(settings(Mode::Flat));
    let locator = Locator { digests: digests(&song), name: "blue.ogg".into(), ..Locator::default() };
    let source = Source { what: What::Locator(locator.write()), peers: vec![Endpoint::Ip(HONEST[0].parse().unwrap())] };
    let (_, said) = stage.starts(Operation::Fetch { source, lease: LeaseId(1), share: ShareId(900) });
    let Some(Output::Open(conn, peer, _)) = said.iter().find(|output| matches!(output, Output::Open(..))) else { panic!("{said:?}") };
    let said = stage.table.hears(Input::Opened { conn: *conn, peer: peer.clone(), via: Via::Dialled });
    let asked = |said: &Said| {
        let found = said.iter().find_map(|output| match output {
            Output::Send(_, Message::Request(request)) => Some((request.head, request.target.clone())),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("no request in {said:?}"))
    };
    assert!(asked(&said).0, "how large it is, is not known");
    let headers = Headers::new().with("X-Thex-URI", format!("/trees/7;{}", data_encoding::BASE32_NOPAD.encode(&root)));
    let said = stage.hears(*conn, Response::new(200, "OK", headers, SIZE).into());
    assert_eq!(asked(&said), (false, "/trees/7".to_owned()));
}

/// A share whose tree is known, as the session hashes files.
fn offered(stage: &mut Stage, bytes: &[u8]) -> ShareId {
    let layer: Vec<_> = bytes.chunks(PART as usize).map(|part| TreeProof::hash_of_part(SIZE, PART, part)).collect();
    let proof = TreeProof::of_layer(SIZE, PART, layer).unwrap();
    let mut digests = digests(bytes);
    digests.insert(Digest::Content(proof.content()));
    let layout = Arc::new(Layout::single("blue.ogg".into(), SIZE).unwrap());
    let share = Share { layout, digests, proof: Some(Proof::Tree(proof)), held: Ranges::of(0..SIZE), torrent: Bytes::new() };
    let id = ShareId(50);
    stage.table.shares = stage.table.shares.with(id, share);
    let (op, said) = stage.starts(Operation::Own(Own::Tree { share: id, tree: tree_of(bytes) }));
    assert!(said.iter().any(|output| matches!(output, Output::Report(of, Progress::Done) if *of == op)));
    stage.starts(Operation::Publish { share: id });
    id
}

#[test]
fn our_tree_is_given_and_named_where_the_file_is_given() {
    let song = song();
    let mut stage = Stage::new(settings(Mode::Flat));
    offered(&mut stage, &song);
    let urn = format!("urn:sha1:{}", data_encoding::BASE32_NOPAD.encode(&sha1_one(&song).0));
    let conn = stage.dialled_by_somebody();
    let answer = |said: &Said| {
        let found = said.iter().find_map(|output| match output {
            Output::Send(_, Message::Response(response)) => Some((**response).clone()),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("no answer in {said:?}"))
    };
    let head = Request { head: true, ..Request::get(format!("/uri-res/N2R?{urn}"), Headers::new()) };
    let said = answer(&stage.hears(conn, head.into()));
    let root = data_encoding::BASE32_NOPAD.encode(&tree_of(&song).root());
    assert_eq!(said.headers.find("X-Thex-URI"), Some(format!("/uri-res/N2X?{urn};{root}").as_str()));
    for target in [format!("/uri-res/N2X?{urn}"), format!("/uri-res/N2X?urn:tree:tiger:{root}")] {
        let said = stage.hears(conn, Request::get(target, Headers::new()).into());
        assert_eq!((answer(&said).code, answer(&said).headers.find("Content-Type")), (200, Some("application/dime")));
        let body: Vec<u8> = said
            .iter()
            .filter_map(|output| match output {
                Output::Send(_, Message::Data(Payload::Bytes(bytes))) => Some(bytes.to_vec()),
                _ => None,
            })
            .flatten()
            .collect();
        assert_eq!(answer(&said).body_bytes(), Some(body.len() as u64));
        assert_eq!(read_thex(&body).unwrap(), tree_of(&song).levels().concat());
    }
    let nothing = Request::get("/uri-res/N2X?urn:sha1:A4DQOBYHA4DQOBYHA4DQOBYHA4DQOBYH", Headers::new());
    assert_eq!(answer(&stage.hears(conn, nothing.into())).code, 404);
}

#[test]
fn a_hit_names_both_the_sha1_and_the_tree() {
    let song = song();
    let mut stage = Stage::new(settings(Mode::Ultrapeer));
    offered(&mut stage, &song);
    let up = stage.neighbour(Some(true));
    let said = stage.hears_packet(up, query(7, 2, 1, "blue"));
    let hits = packets(&said, up);
    let [hexad_gnutella::wire::Packet { body: Body::Hit(hit), .. }] = &hits[..] else { panic!("{hits:?}") };
    let extensions = hit.records[0].extensions();
    assert!(extensions.urns[0].starts_with("urn:bitprint:"));
    let named = extensions.digests();
    assert!(digests(&song).iter().all(|digest| named.contains(digest)));
    assert!(digests_of(&extensions.urns[0]).contains(&Digest::TigerTree(tree_of(&song).root())));
}
