//! Giving and getting by HTTP, and by push.

use bytes::Bytes;
use hexad_content::{Digest, Ranges, Sha1Digest};
use hexad_core::{
    ConnId, Endpoint, Input, LeaseId, Link, Operation, Outbound, Output, Payload, Progress, ShareId, Source, Verdict, Via, What,
};
use hexad_gnutella::wire::{Body, Giv, Guid, Headers, Message, Packet, Push, Request, Response};
use hexad_gnutella::{Locator, Mode, Node, Settings};

use crate::stage::{OWN, Said, Stage, drops, packets, settings};

const URN: &str = "urn:sha1:A4DQOBYHA4DQOBYHA4DQOBYHA4DQOBYH";

fn response(said: &[Outbound<Node>]) -> Response {
    let found = said
        .iter()
        .find_map(|output| if let Output::Send(_, Message::Response(response)) = output { Some((**response).clone()) } else { None });
    found.unwrap_or_else(|| panic!("no answer in {said:?}"))
}

fn requests(said: &[Outbound<Node>]) -> Vec<(ConnId, Request)> {
    said.iter()
        .filter_map(|output| match output {
            Output::Send(Link::Conn(conn), Message::Request(request)) => Some((*conn, (**request).clone())),
            _ => None,
        })
        .collect()
}

fn ranges(said: &[Outbound<Node>]) -> Vec<std::ops::Range<u64>> {
    said.iter().filter_map(|output| if let Output::SendShare(_, _, _, range) = output { Some(range.clone()) } else { None }).collect()
}

fn dials(said: &[Outbound<Node>]) -> Vec<(ConnId, Endpoint)> {
    said.iter().filter_map(|output| if let Output::Open(conn, peer, _) = output { Some((*conn, peer.clone())) } else { None }).collect()
}

#[test]
fn a_range_is_given_as_it_was_asked_for() {
    let mut stage = Stage::new(settings(Mode::Flat));
    stage.offers("blue.ogg");
    let conn = stage.dialled_by_somebody();
    let get = |target: &str, range: Option<&str>| {
        let headers = range.map_or(Headers::new(), |range| Headers::new().with("Range", range.to_owned()));
        Message::from(Request::get(target, headers))
    };
    let said = stage.hears(conn, get(&format!("/uri-res/N2R?{URN}"), Some("bytes=1000-100999")));
    let answer = response(&said);
    assert_eq!((answer.code, answer.body_bytes()), (206, Some(100_000)));
    assert_eq!(answer.headers.find("Content-Range"), Some("bytes 1000-100999/300000"));
    assert_eq!(answer.headers.find("X-Gnutella-Content-URN"), Some(URN));
    assert_eq!(ranges(&said), [1000..66_536, 66_536..101_000]);
    let said = stage.hears(conn, get("/get/1/blue.ogg", None));
    assert_eq!(response(&said).code, 200);
    assert_eq!(ranges(&said).last(), Some(&(262_144..300_000)));
    let mut code = |target: &str, range: Option<&str>| response(&stage.hears(conn, get(target, range))).code;
    assert_eq!(code(&format!("/uri-res/N2R?{URN}"), Some("bytes=300000-")), 416);
    assert_eq!(code("/get/7/blue.ogg", None), 404);
    assert_eq!(code("/etc/passwd", None), 404);
    assert_eq!(code("/", None), 406, "only who reads packets can browse");
}

#[test]
fn too_many_wait_in_line_and_come_next() {
    let mut stage = Stage::new(Settings { uploads_max: 1, uploads_queue_max: 1, ..settings(Mode::Flat) });
    stage.offers("blue.ogg");
    let get =
        || Message::from(Request::get(format!("/uri-res/N2R?{URN}"), Headers::new().with("X-Queue", "0.1").with("Range", "bytes=0-9")));
    let [first, second, third] = [(); 3].map(|()| stage.dialled_by_somebody());
    assert_eq!(response(&stage.hears(first, get())).code, 206);
    let busy = response(&stage.hears(second, get()));
    assert_eq!(busy.code, 503);
    assert!(busy.headers.find("X-Queue").unwrap().starts_with("position=1,length=1,limit=1,"));
    let full = stage.hears(third, get());
    assert_eq!((response(&full).code, response(&full).headers.find("X-Queue")), (503, None));
    assert!(full.iter().any(|output| matches!(output, Output::Close(conn, _) if *conn == third)));
    stage.closes(first);
    assert_eq!(response(&stage.hears(second, get())).code, 206);
}

/// A file of another program at one source, known by its SHA-1 alone.
fn blue(size_bytes: u64) -> Source {
    let digest = Digest::Sha1(Sha1Digest([7; 20]));
    let locator =
        Locator { digests: [digest].into_iter().collect(), size_bytes: Some(size_bytes), name: "blue.ogg".into(), ..Locator::default() };
    Source { what: What::Locator(locator.write()), peers: vec![Endpoint::Ip("198.51.100.50:6346".parse().unwrap())] }
}

/// Somebody who has asked a source for all thousand bytes of a file, and the connection to it.
fn asks_a_source() -> (Stage, ConnId) {
    let mut stage = Stage::new(settings(Mode::Flat));
    let (_, said) = stage.starts(Operation::Fetch { source: blue(1000), lease: LeaseId(1), share: ShareId(900) });
    let (conn, peer) = dials(&said)[0].clone();
    stage.table.hears(Input::Opened { conn, peer, via: Via::Dialled });
    stage.table.hears(Input::Leased(LeaseId(1), Ranges::of(0..1000)));
    (stage, conn)
}

#[test]
fn a_file_of_another_program_is_fetched_in_pieces_that_the_server_chooses() {
    let mut stage = Stage::new(settings(Mode::Flat));
    let source = blue(900_000);
    let (op, said) = stage.starts(Operation::Fetch { source, lease: LeaseId(1), share: ShareId(900) });
    let (conn, peer) = dials(&said)[0].clone();
    let said = stage.table.hears(Input::Opened { conn, peer, via: Via::Dialled });
    assert!(
        said.iter().any(|output| matches!(output, Output::Report(_, Progress::Described(what)) if what.layout.total_bytes() == 900_000))
    );
    let said = stage.table.hears(Input::Leased(LeaseId(1), Ranges::of(0..900_000)));
    let asked = requests(&said);
    assert_eq!(asked[0].1.target, format!("/uri-res/N2R?{URN}"));
    assert_eq!(asked[0].1.headers.find("Range"), Some("bytes=0-899999"));
    // gtk-gnutella gives at most 512 KiB at first.
    let part = |from: u64, to: u64| {
        let headers = Headers::new().with("Content-Range", format!("bytes {from}-{}/900000", to - 1));
        Message::from(Response::new(206, "Partial Content", headers, to - from))
    };
    let said = stage.hears(conn, part(0, 524_288));
    assert_eq!(requests(&said), [], "the rest is asked for when this has come");
    let said = stage.hears(conn, Message::Data(Payload::Bytes(Bytes::from(vec![1; 524_288]))));
    assert!(matches!(said[0], Output::Deliver(LeaseId(1), 0, _)));
    assert_eq!(requests(&said)[0].1.headers.find("Range"), Some("bytes=524288-899999"));
    stage.hears(conn, part(524_288, 900_000));
    stage.hears(conn, Message::Data(Payload::Bytes(Bytes::from(vec![1; 375_712]))));
    let said = stage.table.hears(Input::Judged(LeaseId(1), 0..900_000, Verdict::Good));
    assert!(said.iter().any(|output| matches!(output, Output::Report(of, Progress::Done) if *of == op)));
}

#[test]
fn a_source_that_sends_what_nobody_asked_for_is_left() {
    let (mut stage, conn) = asks_a_source();
    let headers = Headers::new().with("Content-Range", "bytes 500-999/1000");
    let said = stage.hears(conn, Response::new(206, "Partial Content", headers, 500).into());
    assert!(drops(&said).contains(&"another_range"));
    assert!(said.iter().any(|output| matches!(output, Output::Close(of, _) if *of == conn)));
}

#[test]
fn a_busy_source_is_asked_again_later_on_the_same_connection() {
    let (mut stage, conn) = asks_a_source();
    let headers = Headers::new().with("Retry-After", "45").with("X-Queue", "position=2,length=5,limit=4,pollMin=45,pollMax=120");
    let said = stage.hears(conn, Response::new(503, "Busy", headers, 0).into());
    assert_eq!(requests(&said), []);
    assert_eq!(requests(&stage.passes(40)), []);
    let said = stage.passes(10);
    assert_eq!(requests(&said).iter().map(|(conn, _)| *conn).collect::<Vec<_>>(), [conn]);
}

#[test]
fn whoever_waits_in_line_asks_no_sooner_than_the_line_allows() {
    let (mut stage, conn) = asks_a_source();
    let headers = Headers::new().with("X-Queue", "position=2,length=5,limit=4,pollMin=45,pollMax=120");
    stage.hears(conn, Response::new(503, "Busy", headers, 0).into());
    assert_eq!(requests(&stage.passes(44)), []);
    assert_eq!(requests(&stage.passes(3)).len(), 1);
}

#[test]
fn whoever_is_pushed_dials_says_who_he_is_and_gives() {
    let mut stage = Stage::new(Settings { listen: None, ..settings(Mode::Leaf) });
    stage.offers("blue.ogg");
    let guid = stage.table.node.guid();
    let (_, said) = stage.starts(Operation::Own(hexad_gnutella::Request::Connect(Endpoint::Ip("198.51.100.77:6346".parse().unwrap()))));
    let (up, peer) = dials(&said)[0].clone();
    stage.table.hears(Input::Opened { conn: up, peer, via: Via::Dialled });
    let yes = hexad_gnutella::wire::Answer::yes(crate::stage::headers(Some(true)));
    let said = stage.hears(up, Message::Answer(Box::new(yes)));
    let asks = packets(&said, up)
        .iter()
        .any(|packet| matches!(&packet.body, Body::Vendor(vendor) if vendor.selector == 21 && packet.muid == guid));
    assert!(asks, "it asks for a push proxy");
    let push = Push { servent: guid, index: 1, to: "198.51.100.60:6346".parse().unwrap(), ext: Bytes::new() };
    let said = stage.hears_packet(up, Packet { muid: Guid([3; 16]), ttl: 1, hops: 2, body: Body::Push(Box::new(push)) });
    let (conn, peer) = dials(&said)[0].clone();
    assert_eq!(peer.to_string(), "198.51.100.60:6346");
    let said = stage.table.hears(Input::Opened { conn, peer, via: Via::Dialled });
    assert!(matches!(&said[..], [Output::Send(Link::Conn(_), Message::Giv(giv))] if giv.servent == guid && giv.index == 1));
    let said = stage.hears(conn, Request::get(format!("/uri-res/N2R?{URN}"), Headers::new()).into());
    assert_eq!(ranges(&said).first(), Some(&(0..65_536)));
}

#[test]
fn a_firewalled_source_is_pushed_by_its_proxy_and_taken_when_it_comes() {
    let mut stage = Stage::new(settings(Mode::Flat));
    let digest = Digest::Sha1(Sha1Digest([7; 20]));
    let locator = Locator {
        digests: [digest].into_iter().collect(),
        size_bytes: Some(1000),
        name: "blue.ogg".into(),
        servent: Some(Guid([8; 16])),
        push: true,
        proxies: vec!["198.51.100.70:6346".parse().unwrap()],
        ..Locator::default()
    };
    let source = Source { what: What::Locator(locator.write()), peers: Vec::new() };
    let (op, said) = stage.starts(Operation::Fetch { source, lease: LeaseId(1), share: ShareId(900) });
    let (proxy, peer) = dials(&said)[0].clone();
    let said = stage.table.hears(Input::Opened { conn: proxy, peer, via: Via::Dialled });
    let asked = &requests(&said)[0].1;
    assert_eq!(asked.target, format!("/gnutella/push-proxy?ServerId={}", Guid([8; 16]).base32()));
    assert_eq!(asked.headers.find("X-Node"), Some(OWN));
    let stranger = stage.dialled_by_somebody();
    let said = stage.hears(stranger, Message::Giv(Box::new(Giv { index: 0, servent: Guid([9; 16]), name: "file".into() })));
    assert_eq!(drops(&said), ["giv_nobody_asked"]);
    let owner = stage.dialled_by_somebody();
    stage.hears(owner, Message::Giv(Box::new(Giv { index: 0, servent: Guid([8; 16]), name: "file".into() })));
    let said = stage.table.hears(Input::Leased(LeaseId(1), Ranges::of(0..1000)));
    assert_eq!(requests(&said)[0].0, owner);
    let said = stage.table.hears(Input::Cancel(op));
    assert!(said.iter().any(|output| matches!(output, Output::Report(of, Progress::Ended) if *of == op)));
}

#[test]
fn a_proxy_tells_its_leaf_and_only_for_who_asks_for_himself() {
    let mut stage = Stage::new(settings(Mode::Ultrapeer));
    let leaf = stage.neighbour(Some(false));
    let servent = Guid([1; 16]);
    let conn = stage.dialled_by_somebody();
    let ask = |node: &str| {
        let headers = Headers::new().with("X-Node", node.to_owned());
        Message::from(Request::get(format!("/gnutella/push-proxy?ServerId={}", servent.base32()), headers))
    };
    assert_eq!(response(&stage.hears(conn, ask("203.0.113.99:80"))).code, 400, "nobody is sent to knock at another's door");
    let said = stage.hears(conn, ask("198.51.100.2:6346"));
    assert_eq!(response(&said).code, 202);
    assert!(matches!(&packets(&said, leaf)[..], [Packet { body: Body::Push(push), .. }] if push.servent == servent));
    let headers = Headers::new().with("X-Node", "198.51.100.2:6346");
    let other = Request::get(format!("/gnutella/push-proxy?ServerId={}", Guid([2; 16]).base32()), headers);
    assert_eq!(response(&stage.hears(conn, other.into())).code, 410);
}

#[test]
fn a_host_can_be_browsed() {
    let mut stage = Stage::new(settings(Mode::Flat));
    stage.offers("blue.ogg");
    let conn = stage.dialled_by_somebody();
    let said = stage.hears(conn, Request::get("/", Headers::new().with("Accept", "application/x-gnutella-packets")).into());
    let body: Vec<u8> = said
        .iter()
        .filter_map(|output| if let Output::Send(_, Message::Data(Payload::Bytes(bytes))) = output { Some(bytes.to_vec()) } else { None })
        .flatten()
        .collect();
    assert_eq!(response(&said).body_bytes(), Some(body.len() as u64));
    let mut other = Stage::new(settings(Mode::Flat));
    let at = Endpoint::Ip("198.51.100.50:6346".parse().unwrap());
    let (op, said) = other.starts(Operation::Own(hexad_gnutella::Request::Browse(at)));
    let (conn, peer) = dials(&said)[0].clone();
    other.table.hears(Input::Opened { conn, peer, via: Via::Dialled });
    other.hears(conn, response(&said_again(&mut stage)).into());
    let said = other.hears(conn, Message::Data(Payload::Bytes(body.into())));
    let names: Vec<String> = said
        .iter()
        .filter_map(|output| match output {
            Output::Report(of, Progress::Hit(hit)) if *of == op => Some(hit.name.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(names, ["blue.ogg"]);
    assert!(said.iter().any(|output| matches!(output, Output::Report(of, Progress::Done) if *of == op)));
}

fn said_again(stage: &mut Stage) -> Said {
    let conn = stage.dialled_by_somebody();
    stage.hears(conn, Request::get("/", Headers::new().with("Accept", "application/x-gnutella-packets")).into())
}
