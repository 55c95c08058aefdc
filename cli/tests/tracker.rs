//! `hexad serve tracker`, asked over HTTP and UDP byte by byte.

mod common;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};

use common::{DEADLINE, Running, start};
use hexad_bittorrent::wire::bencode::{self, Strictness, Value};
use tempfile::TempDir;

struct Tracker {
    _home: TempDir,
    process: Running,
    http: SocketAddr,
    udp: SocketAddr,
}

fn tracker(more: &[&str]) -> Tracker {
    serve("127.0.0.1:0", more)
}

fn serve(at: &str, more: &[&str]) -> Tracker {
    let home = TempDir::new().expect("a temporary folder");
    let own = ["serve", "tracker", "--http", at, "--udp", at, "--json"];
    let mut process = start(home.path(), own.iter().chain(more));
    let [http, udp] = process.addresses(["tracker-http", "tracker-udp"]);
    Tracker { _home: home, process, http, udp }
}

/// The answer to one request, head and body.
fn ask(tracker: SocketAddr, request: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(tracker).expect("the tracker listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let split = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap_or_else(|| panic!("no head in {answer:?}"));
    (String::from_utf8_lossy(&answer[..split]).into_owned(), answer[split + 4..].to_vec())
}

fn get(tracker: SocketAddr, path: &str) -> Vec<u8> {
    let (head, body) = ask(tracker, &format!("GET {path} HTTP/1.1\r\nHost: tracker\r\nConnection: close\r\n\r\n"));
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    body
}

/// What an announce of the torrent of that letter is answered.
fn announce(tracker: SocketAddr, torrent: char, port: u16, left: u64, more: &str) -> Vec<u8> {
    let hash = torrent.to_string().repeat(20);
    get(
        tracker,
        &format!("/announce?info_hash={hash}&peer_id={:020}&port={port}&uploaded=0&downloaded=0&left={left}&compact=1{more}", port),
    )
}

fn number(body: &[u8], key: &str) -> i64 {
    let tree = bencode::parse(body, Strictness::Strict).expect("a dictionary");
    tree.root().get(key).and_then(Value::int).unwrap_or_else(|| panic!("no {key} in {}", String::from_utf8_lossy(body)))
}

fn bytes(body: &[u8], key: &str) -> Option<Vec<u8>> {
    let tree = bencode::parse(body, Strictness::Strict).expect("a dictionary");
    tree.root().get(key).and_then(Value::bytes).map(<[u8]>::to_vec)
}

fn refusal(body: &[u8]) -> String {
    String::from_utf8(bytes(body, "failure reason").unwrap_or_else(|| panic!("no refusal in {}", String::from_utf8_lossy(body))))
        .expect("text")
}

#[test]
fn peers_learn_of_each_other_over_http() {
    let tracker = tracker(&["--interval", "120"]);
    let first = announce(tracker.http, 'a', 7001, 0, "&event=started");
    assert_eq!((number(&first, "interval"), number(&first, "complete"), number(&first, "incomplete")), (120, 1, 0));
    assert_eq!(bytes(&first, "peers").as_deref(), Some(&[][..]), "nobody hears of himself");
    let second = announce(tracker.http, 'a', 7002, 5, "&event=started");
    assert_eq!((number(&second, "complete"), number(&second, "incomplete")), (1, 1));
    assert_eq!(bytes(&second, "peers").as_deref(), Some(&[127, 0, 0, 1, 0x1b, 0x59][..]));
    let other = announce(tracker.http, 'b', 7003, 5, "");
    assert_eq!(number(&other, "incomplete"), 1, "another torrent, other peers");
    let gone = announce(tracker.http, 'a', 7001, 0, "&event=stopped");
    assert_eq!((number(&gone, "complete"), number(&gone, "incomplete")), (0, 1));
}

#[test]
fn peers_by_ipv6_are_told_as_such() {
    let Ok(probe) = UdpSocket::bind("[::1]:0") else {
        eprintln!("SKIPPED: this machine has no IPv6");
        return;
    };
    drop(probe);
    let tracker = serve("[::1]:0", &[]);
    announce(tracker.http, 'a', 7001, 0, "");
    let told = announce(tracker.http, 'a', 7002, 1, "");
    let mut expected = [0; 18];
    (expected[15], expected[16], expected[17]) = (1, 0x1b, 0x59);
    assert_eq!(bytes(&told, "peers6").as_deref(), Some(&expected[..]));
}

#[test]
fn a_scrape_counts() {
    let tracker = tracker(&[]);
    announce(tracker.http, 'a', 7001, 0, "&event=completed");
    announce(tracker.http, 'a', 7002, 5, "");
    let body = get(tracker.http, &format!("/scrape?info_hash={}&info_hash={}", "a".repeat(20), "b".repeat(20)));
    let tree = bencode::parse(&body, Strictness::Strict).expect("a dictionary");
    let files = tree.root().get("files").expect("files");
    let counts = |torrent: &str| {
        let file = files.get(&torrent.repeat(20)).expect("asked for");
        ["complete", "incomplete"].map(|key| file.get(key).and_then(Value::int).expect("a count"))
    };
    assert_eq!((counts("a"), counts("b")), ([1, 1], [0, 0]));
}

#[test]
fn the_page_shows_figures() {
    let tracker = tracker(&[]);
    announce(tracker.http, 'a', 7001, 0, "");
    for path in ["/", "/stats"] {
        let page = String::from_utf8(get(tracker.http, path)).expect("text");
        for row in ["torrents<td>1\n", "peers over IPv4<td>1\n", "of them seeds<td>1\n", "announces answered<td>1\n"] {
            assert!(page.contains(row), "{row} in\n{page}");
        }
    }
}

#[test]
fn nonsense_is_refused_with_a_reason() {
    let tracker = tracker(&[]);
    let hash = "a".repeat(20);
    for (path, reason) in [
        ("/announce".to_owned(), "expected info_hash"),
        (format!("/announce?info_hash={hash}"), "expected peer_id"),
        (format!("/announce?info_hash={hash}&peer_id={hash}"), "expected port"),
        (format!("/announce?info_hash={hash}&peer_id={hash}&port=70000"), "expected a port of 0 to 65535"),
        (format!("/announce?info_hash={hash}&peer_id={hash}&port=0&left=1"), "expected a port of 1 to 65535, came 0"),
        (format!("/announce?info_hash=%&peer_id={hash}&port=1"), "expected an info_hash of 20 bytes"),
        (format!("/announce?info_hash={hash}{hash}&peer_id={hash}&port=1"), "expected an info_hash of 20 bytes"),
        ("/scrape".to_owned(), "expected 1 to 74 info hashes, came 0"),
        (format!("/scrape?{}", format!("info_hash={hash}&").repeat(75)), "expected 1 to 74 info hashes, came 75"),
    ] {
        let said = refusal(&get(tracker.http, &path));
        assert!(said.contains(reason), "{path}: {said}");
    }
}

#[test]
fn what_is_too_large_is_refused_and_the_next_is_answered() {
    let tracker = tracker(&[]);
    let (head, _) = ask(tracker.http, &format!("GET /announce?x={} HTTP/1.1\r\nHost: t\r\n\r\n", "y".repeat(20 << 10)));
    assert!(head.starts_with("HTTP/1.1 431") || head.starts_with("HTTP/1.1 414"), "{head}");
    // The tracker closes in the middle of this; whether its answer still gets through is left to the system.
    let mut stream = TcpStream::connect(tracker.http).expect("the tracker listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    let _ = stream.write_all(&[b"GET /announce?", vec![b'y'; 8 << 20].as_slice()].concat());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{answer:?}");
    let (head, _) = ask(tracker.http, "POST /announce HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 405"), "{head}");
    let (head, _) = ask(tracker.http, "NONSENSE\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    announce(tracker.http, 'a', 7001, 0, "");
}

#[test]
fn who_asks_too_often_is_refused() {
    let tracker = tracker(&["--rate-limit", "3"]);
    for _ in 0..3 {
        number(&announce(tracker.http, 'a', 7001, 0, ""), "interval");
    }
    let said = refusal(&announce(tracker.http, 'a', 7001, 0, ""));
    assert!(said.contains("too many requests"), "{said}");
}

#[test]
fn udp_and_http_speak_of_the_same_torrents() {
    let tracker = tracker(&[]);
    announce(tracker.http, 'a', 7001, 0, "");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    socket.connect(tracker.udp).expect("an address");
    let exchange = |request: &[u8]| {
        socket.send(request).expect("sent");
        let mut answer = vec![0; 2048];
        let length = socket.recv(&mut answer).expect("an answer");
        answer.truncate(length);
        answer
    };
    // BEP 15: the protocol's number, action 0 (connect), transaction 7.
    let connected = exchange(&[&0x0417_2710_1980_u64.to_be_bytes()[..], &[0; 4], &[0, 0, 0, 7]].concat());
    assert_eq!((connected.len(), &connected[..8]), (16, &[0, 0, 0, 0, 0, 0, 0, 7][..]));
    let mut request = connected[8..16].to_vec();
    request.extend([0, 0, 0, 1, 0, 0, 0, 8]);
    request.extend([b'a'; 20]);
    request.extend([b'p'; 20]);
    // Downloaded, left, uploaded; then the event `started`, no address, a key, as many peers as is usual, port 7002.
    request.extend([[0; 8], 1_u64.to_be_bytes(), [0; 8]].concat());
    request.extend([0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff, 0x1b, 0x5a]);
    let told = exchange(&request);
    assert_eq!(&told[..8], &[0, 0, 0, 1, 0, 0, 0, 8]);
    let counts: Vec<u32> = told[8..20].chunks(4).map(|word| u32::from_be_bytes(word.try_into().expect("four bytes"))).collect();
    assert_eq!(counts, [1800, 1, 1], "interval, leechers, seeders");
    assert_eq!(&told[20..], &[127, 0, 0, 1, 0x1b, 0x59]);
}

#[test]
fn it_ends_well_when_told_to() {
    let mut tracker = tracker(&[]);
    tracker.process.terminate();
    tracker.process.await_event("stopped");
    assert!(tracker.process.finish());
}
