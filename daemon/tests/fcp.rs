//! Two Freenet nodes on loopback: what a program puts at one by FCP, another program gets at the other, and a browser sees.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::BytesMut;
use hexad_api::{Event, FcpRequest, FreenetSettings, Roles as _, Task};
use hexad_freenet::fcp::{Codec, Message};

const PATIENCE: Duration = Duration::from_secs(60);

struct Node {
    fcp: String,
    gateway: String,
    network: String,
    _task: Task,
}

fn node(bootstrap: Vec<String>) -> Node {
    node_with(bootstrap, None)
}

fn node_with(bootstrap: Vec<String>, state_dir: Option<std::path::PathBuf>) -> Node {
    let found = bootstrap.is_empty();
    let freenet = FreenetSettings { listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))), bootstrap, found, ..FreenetSettings::default() };
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let request = FcpRequest { fcp: anywhere, gateway: Some(anywhere), freenet, state_dir };
    let task = hexad_daemon::roles().serve_fcp(request).expect("it can be served");
    let (mut fcp, mut gateway, mut network, mut joined) = (String::new(), String::new(), String::new(), false);
    while fcp.is_empty() || gateway.is_empty() || network.is_empty() || !joined {
        match task.events.recv_timeout(PATIENCE).expect("it begins") {
            Event::Listening { address, purpose, .. } if purpose == "fcp" => fcp = address,
            Event::Listening { address, purpose, .. } if purpose == "gateway" => gateway = address,
            Event::Listening { address, .. } => network = address,
            Event::Joined { .. } => joined = true,
            other => panic!("{other:?}"),
        }
    }
    Node { fcp, gateway, network, _task: task }
}

struct Program {
    stream: TcpStream,
    codec: Codec,
    input: BytesMut,
}

impl Program {
    fn greets(at: &str) -> Self {
        let stream = TcpStream::connect(at).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has deadlines");
        let mut program = Self { stream, codec: Codec::default(), input: BytesMut::new() };
        program.says("ClientHello\nName=test\nExpectedVersion=2.0\nEndMessage\n");
        assert_eq!(program.hears().name, "NodeHello");
        program
    }

    fn says(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("it listens");
    }

    fn hears(&mut self) -> Message {
        loop {
            if let Some(message) = self.codec.decode(&mut self.input).expect("it can be read") {
                return message;
            }
            let mut chunk = [0; 4096];
            let count = self.stream.read(&mut chunk).expect("it answers in time");
            assert!(count > 0, "it does not hang up");
            self.input.extend_from_slice(&chunk[..count]);
        }
    }

    fn hears_until(&mut self, name: &str) -> Message {
        loop {
            let message = self.hears();
            assert!(!message.name.ends_with("Failed") && message.name != "ProtocolError", "{message:?}");
            if message.name == name {
                return message;
            }
        }
    }
}

#[test]
fn what_one_program_puts_another_gets() {
    let first = node(Vec::new());
    let second = node(vec![first.network.clone()]);
    let (mut alice, mut bob) = (Program::greets(&first.fcp), Program::greets(&second.fcp));
    alice.says("ClientPut\nURI=KSK@greeting\nIdentifier=a\nMetadata.ContentType=text/plain\nDataLength=11\nData\nhello there");
    let put = alice.hears_until("PutSuccessful");
    assert_eq!(put.field("URI"), Some("KSK@greeting"));
    bob.says("ClientGet\nURI=KSK@greeting\nIdentifier=b\nEndMessage\n");
    let got = bob.hears_until("AllData");
    assert_eq!(got.data.as_deref(), Some(&b"hello there"[..]));
    assert_eq!(got.field("Metadata.ContentType"), Some("text/plain"));
    let site = "ClientPutComplexDir\nURI=CHK@\nIdentifier=d\nDefaultName=index.html\nFiles.0.Name=index.html\nFiles.0.DataLength=4\nFiles.1.Name=sub/x\nFiles.1.DataLength=2\nData\nmainxx";
    alice.says(site);
    let uri = alice.hears_until("PutSuccessful").field("URI").expect("a key").to_owned();
    bob.says(&format!("ClientGet\nURI={uri}/sub/x\nIdentifier=e\nEndMessage\n"));
    assert_eq!(bob.hears_until("AllData").data.as_deref(), Some(&b"xx"[..]));
    bob.says(&format!("ClientGet\nURI={uri}/none\nIdentifier=f\nEndMessage\n"));
    let failed = bob.hears();
    assert_eq!((failed.name.as_str(), failed.field("Code")), ("GetFailed", Some("10")));
    bob.says("GenerateSSK\nIdentifier=k\nEndMessage\n");
    let pair = bob.hears();
    assert_eq!(pair.name, "SSKKeypair");
    assert!(pair.field("InsertURI").is_some_and(|uri| uri.ends_with(",AQEEAAE/")), "{pair:?}");
    // A second client of one name takes the place of the first.
    let _again = Program::greets(&first.fcp);
    assert_eq!(alice.hears().name, "CloseConnectionDuplicateClientName");
}

/// What a browser is answered, head and all.
fn browse(gateway: &str, target: &str, more: &str) -> String {
    browse_at(gateway, gateway, target, more)
}

/// The same by another name of the gateway.
fn browse_at(gateway: &str, host: &str, target: &str, more: &str) -> String {
    let mut stream = TcpStream::connect(gateway).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket has deadlines");
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n");
    stream.write_all(request.as_bytes()).expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers in time, in UTF-8");
    answer
}

#[test]
fn a_browser_sees_pages_without_what_could_betray_it() {
    let first = node(Vec::new());
    let second = node(vec![first.network.clone()]);
    let mut alice = Program::greets(&first.fcp);
    let page = "<title>Blue</title><h1>hello</h1><script>evil()</script><img src=http://evil.example/>";
    alice.says(&format!(
        "ClientPut\nURI=KSK@page.html\nIdentifier=a\nMetadata.ContentType=text/html\nDataLength={}\nData\n{page}",
        page.len()
    ));
    alice.hears_until("PutSuccessful");
    let seen = browse(&second.gateway, "/KSK@page.html", "");
    assert!(seen.starts_with("HTTP/1.1 200") && seen.contains("<h1>hello</h1>") && !seen.contains("evil"), "{seen}");
    assert!(seen.contains("content-security-policy: default-src 'none'"), "{seen}");
    let kept = browse(&second.gateway, "/KSK@page.html?forcedownload", "Range: bytes=0-6\r\n");
    assert!(kept.starts_with("HTTP/1.1 206") && kept.ends_with("<title>"), "{kept}");
    assert!(browse(&second.gateway, "/KSK@nobody-has-it", "").starts_with("HTTP/1.1 404"));
    assert!(browse(&second.gateway, "/no-key", "").starts_with("HTTP/1.1 400"));
    assert!(browse_at(&second.gateway, "localhost", "/", "").starts_with("HTTP/1.1 200"));
    for (host, more) in [("evil.example", ""), (second.gateway.as_str(), "Host: evil.example\r\n")] {
        assert!(browse_at(&second.gateway, host, "/", more).starts_with("HTTP/1.1 421"), "{host}");
    }
}

#[test]
fn a_request_that_lasts_forever_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = || Some(folder.path().to_owned());
    let other = node(Vec::new());
    let first = node_with(vec![other.network.clone()], state());
    let mut alice = Program::greets(&first.fcp);
    alice.says("ClientPut\nURI=KSK@kept\nIdentifier=a\nPersistence=forever\nDataLength=5\nData\nhello");
    assert_eq!(alice.hears().name, "PersistentPut");
    alice.hears_until("PutSuccessful");
    alice.says("ClientGet\nURI=KSK@kept\nIdentifier=b\nPersistence=forever\nEndMessage\n");
    alice.hears_until("DataFound");
    drop((alice, first));
    let again = node_with(vec![other.network.clone()], state());
    let mut alice = Program::greets(&again.fcp);
    assert_eq!(alice.hears().name, "PersistentPut");
    alice.hears_until("PutSuccessful");
    assert_eq!(alice.hears().name, "PersistentGet");
    alice.hears_until("DataFound");
    alice.says("GetRequestStatus\nIdentifier=b\nOnlyData=true\nEndMessage\n");
    assert_eq!(alice.hears_until("AllData").data.as_deref(), Some(&b"hello"[..]));
    for request in ["a", "b"] {
        alice.says(&format!("RemoveRequest\nIdentifier={request}\nEndMessage\n"));
        assert_eq!(alice.hears().name, "PersistentRequestRemoved");
    }
    alice.says("ListPersistentRequests\nEndMessage\n");
    assert_eq!(alice.hears().name, "EndListPersistentRequests");
}
