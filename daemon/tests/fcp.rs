//! Two Freenet nodes on loopback: what a program puts at one by FCP, another program gets at the other, and a browser sees.

use std::collections::BTreeSet;
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
    task: Task,
}

fn node(bootstrap: Vec<String>) -> Node {
    node_with(bootstrap, None)
}

fn node_with(bootstrap: Vec<String>, state_dir: Option<std::path::PathBuf>) -> Node {
    node_of(bootstrap, state_dir, None)
}

fn node_of(bootstrap: Vec<String>, state_dir: Option<std::path::PathBuf>, disk: Option<std::path::PathBuf>) -> Node {
    let found = bootstrap.is_empty();
    let freenet = FreenetSettings { listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))), bootstrap, found, ..FreenetSettings::default() };
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let request = FcpRequest { fcp: anywhere, gateway: Some(anywhere), freenet, disk, state_dir };
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
    Node { fcp, gateway, network, task }
}

struct Program {
    stream: TcpStream,
    codec: Codec,
    input: BytesMut,
    /// Names of all that was said and heard.
    said: BTreeSet<String>,
    heard: BTreeSet<String>,
}

impl Program {
    fn greets(at: &str) -> Self {
        let stream = TcpStream::connect(at).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has deadlines");
        let mut program = Self { stream, codec: Codec::default(), input: BytesMut::new(), said: BTreeSet::new(), heard: BTreeSet::new() };
        program.says("ClientHello\nName=test\nExpectedVersion=2.0\nEndMessage\n");
        assert_eq!(program.hears().name, "NodeHello");
        program
    }

    fn says(&mut self, text: &str) {
        self.said.insert(text.lines().next().expect("a name").to_owned());
        self.stream.write_all(text.as_bytes()).expect("it listens");
    }

    fn hears(&mut self) -> Message {
        loop {
            if let Some(message) = self.codec.decode(&mut self.input).expect("it can be read") {
                self.heard.insert(message.name.clone());
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

/// What is there before the end: everything up to the message of that name.
fn all_until(program: &mut Program, end: &str) -> Vec<Message> {
    let mut heard = Vec::new();
    loop {
        let message = program.hears();
        if message.name == end {
            return heard;
        }
        heard.push(message);
    }
}

#[test]
fn a_program_is_told_of_the_node_its_peers_and_its_settings() {
    let first = node(Vec::new());
    let second = node(vec![first.network.clone()]);
    let mut bob = Program::greets(&second.fcp);
    bob.says("ListPeers\nWithVolatile=true\nEndMessage\n");
    let peers = all_until(&mut bob, "EndListPeers");
    let [peer] = &peers[..] else { panic!("{peers:?}") };
    let (_, socket) = first.network.split_once('@').expect("a key and a socket");
    assert_eq!((peer.field("physical.udp"), peer.field("volatile.status")), (Some(socket), Some("CONNECTED")));
    bob.says(&format!("ListPeer\nNodeIdentifier={}\nEndMessage\n", peer.field("identity").expect("a key")));
    assert_eq!(bob.hears().field("physical.udp"), Some(socket));
    bob.says("GetConfig\nWithCurrent=true\nIdentifier=c\nEndMessage\n");
    let settings = bob.hears();
    let port = second.fcp.rsplit_once(':').expect("a port").1;
    assert_eq!((settings.name.as_str(), settings.field("current.fcp.port")), ("ConfigData", Some(port)));
    assert_eq!(settings.field("current.node.maxHTL"), Some("18"));
    for (hops, name) in [(0, "ProbeLocation"), (3, "ProbeLocation")] {
        bob.says(&format!("ProbeRequest\nIdentifier=p{hops}\nType=LOCATION\nHopsToLive={hops}\nEndMessage\n"));
        assert_eq!(bob.hears().name, name);
    }
    bob.says("Filter\nIdentifier=f\nOperation=READ\nDataSource=DIRECT\nMimeType=text/html\nDataLength=23\nData\n<p onclick=x()>here</p>");
    let result = bob.hears();
    assert_eq!((result.name.as_str(), result.field("UnsafeContentType")), ("FilterResult", Some("false")));
    assert!(result.data.is_some_and(|page| page.windows(11).any(|part| part == b"<p>here</p>")));
}

#[test]
fn a_put_and_a_get_say_how_far_they_are() {
    let first = node(Vec::new());
    let second = node(vec![first.network.clone()]);
    let (mut alice, mut bob) = (Program::greets(&first.fcp), Program::greets(&second.fcp));
    let data: String = (0..60_000).map(|number| format!("{number:05}")).collect();
    let put = format!("ClientPut\nURI=CHK@\nIdentifier=a\nVerbosity=1\nDontCompress=true\nDataLength={}\nData\n{data}", data.len());
    alice.says(&put);
    let mut counts = Vec::new();
    let uri = loop {
        let message = alice.hears();
        match message.name.as_str() {
            "SimpleProgress" => {
                counts.push(["Succeeded", "Total"].map(|field| message.field(field).expect("a count").parse().expect("a number")))
            }
            "PutSuccessful" => break message.field("URI").expect("a key").to_owned(),
            _ => {}
        }
    };
    let last: [u64; 2] = *counts.last().expect("it says how far it is");
    assert!(counts.len() > 1 && counts.is_sorted() && last[0] == last[1] && last[0] > 1, "{counts:?}");
    bob.says(&format!("ClientGet\nURI={uri}\nIdentifier=b\nVerbosity=1\nMaxRetries=2\nEndMessage\n"));
    let said = all_until(&mut bob, "AllData");
    let progress: Vec<&Message> = said.iter().filter(|message| message.name == "SimpleProgress").collect();
    let last = progress.last().expect("it says how far it is");
    assert_eq!(last.field("Succeeded"), last.field("Required"));
}

#[test]
fn a_new_edition_is_told_to_who_has_subscribed() {
    let first = node(Vec::new());
    let second = node(vec![first.network.clone()]);
    let (mut alice, mut bob) = (Program::greets(&first.fcp), Program::greets(&second.fcp));
    alice.says("GenerateSSK\nIdentifier=k\nEndMessage\n");
    let pair = alice.hears();
    let site = |field| pair.field(field).expect("a key").trim_end_matches('/').replace("SSK@", "USK@") + "/site";
    let (private, public) = (site("InsertURI"), site("RequestURI"));
    bob.says(&format!("SubscribeUSK\nURI={public}/0\nIdentifier=s\nEndMessage\n"));
    assert_eq!(bob.hears().name, "SubscribedUSK");
    for edition in ["0", "1"] {
        alice.says(&format!("ClientPut\nURI={private}/{edition}\nIdentifier=p{edition}\nDataLength=1\nData\n{edition}"));
        alice.hears_until("PutSuccessful");
        let update = bob.hears_until("SubscribedUSKUpdate");
        assert_eq!((update.field("Edition"), update.field("Identifier")), (Some(edition), Some("s")));
        assert_eq!(update.field("URI"), Some(format!("{public}/{edition}").as_str()));
    }
}

#[test]
fn files_are_put_and_got_in_a_folder_that_the_program_can_use_and_nowhere_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).expect("there is room");
    std::fs::write(inside.join("song"), "la la").expect("there is room");
    std::fs::write(folder.path().join("secret"), "mine").expect("there is room");
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path().join("secret"), inside.join("way-out")).expect("there is room");
    let node = node_of(Vec::new(), None, Some(inside.clone()));
    let other = node_with(vec![node.network.clone()], None);
    let (mut alice, _bob) = (Program::greets(&node.fcp), Program::greets(&other.fcp));
    let put = |name: &str, path: &std::path::Path| {
        format!("ClientPut\nURI=KSK@{name}\nIdentifier={name}\nUploadFrom=disk\nFilename={}\nEndMessage\n", path.display())
    };
    alice.says(&put("early", &inside.join("song")));
    assert_eq!(alice.hears().field("Code"), Some("25"), "it has shown nothing");
    alice.says(&format!("TestDDARequest\nDirectory={}\nWantReadDirectory=true\nWantWriteDirectory=true\nEndMessage\n", inside.display()));
    let reply = alice.hears();
    let field = |name| reply.field(name).expect("a field");
    let read = std::fs::read_to_string(field("ReadFilename")).expect("it is there");
    std::fs::write(field("WriteFilename"), field("ContentToWrite")).expect("there is room");
    alice.says(&format!("TestDDAResponse\nDirectory={}\nReadContent={read}\nEndMessage\n", inside.display()));
    let complete = alice.hears();
    assert_eq!((complete.field("ReadDirectoryAllowed"), complete.field("WriteDirectoryAllowed")), (Some("true"), Some("true")));
    alice.says(&put("song", &inside.join("song")));
    alice.hears_until("PutSuccessful");
    let target = inside.join("copy");
    let get = format!("ClientGet\nURI=KSK@song\nIdentifier=g\nReturnType=disk\nFilename={}\nEndMessage\n", target.display());
    alice.says(&get);
    alice.hears_until("DataFound");
    assert_eq!(std::fs::read_to_string(&target).expect("it is there"), "la la");
    alice.says(&get);
    assert_eq!(alice.hears().field("Code"), Some("10"));
    for (name, path) in [("out", inside.join("way-out")), ("up", inside.join("../secret")), ("beside", folder.path().join("secret"))] {
        alice.says(&put(name, &path));
        let refused = alice.hears();
        assert_eq!(refused.name, "ProtocolError", "{refused:?}");
    }
}

#[test]
fn a_browser_plays_what_is_a_sound_in_parts() {
    let first = node(Vec::new());
    let second = node(vec![first.network.clone()]);
    let mut alice = Program::greets(&first.fcp);
    let list = "#EXTM3U\nhttp://evil.example/a.mp3\n/KSK@blue.wav\n";
    alice.says(&format!(
        "ClientPut\nURI=KSK@list.m3u\nIdentifier=l\nMetadata.ContentType=audio/x-mpegurl\nDataLength={}\nData\n{list}",
        list.len()
    ));
    alice.hears_until("PutSuccessful");
    let seen = browse(&second.gateway, "/KSK@list.m3u", "");
    assert!(seen.starts_with("HTTP/1.1 200") && seen.contains("/KSK@blue.wav") && !seen.contains("evil"), "{seen}");
    // A RIFF of one format and four samples, behind a tag.
    let wav = "RIFF0000WAVELIST\u{8}\0\0\0http://xfmt \u{10}\0\0\0\u{1}\0\u{1}\0aaaabbbb\u{1}\0\u{8}\0data\u{4}\0\0\0la l";
    alice
        .says(&format!("ClientPut\nURI=KSK@blue.wav\nIdentifier=w\nMetadata.ContentType=audio/wav\nDataLength={}\nData\n{wav}", wav.len()));
    alice.hears_until("PutSuccessful");
    let whole = browse(&second.gateway, "/KSK@blue.wav", "");
    assert!(whole.starts_with("HTTP/1.1 200") && whole.contains("content-type: audio/wav") && !whole.contains("http://x"), "{whole}");
    let part = browse(&second.gateway, "/KSK@blue.wav", "Range: bytes=-4\r\n");
    assert!(part.starts_with("HTTP/1.1 206") && part.ends_with("la l"), "{part}");
}

#[test]
fn a_browser_that_waits_is_told_how_far_it_is() {
    let first = node(Vec::new());
    let second = node(vec![first.network.clone()]);
    // What is not there is asked for again after two seconds or more.
    let shows = "Accept: text/html,*/*\r\n";
    let seen = browse(&second.gateway, "/KSK@nobody-has-it", shows);
    assert!(seen.starts_with("HTTP/1.1 200") && seen.contains("refresh: 2") && seen.contains("KSK@nobody-has-it"), "{seen}");
    let seen = (0..10).map(|_| browse(&second.gateway, "/KSK@nobody-has-it", shows)).find(|seen| !seen.contains("refresh: 2"));
    assert!(seen.as_ref().is_some_and(|seen| seen.starts_with("HTTP/1.1 404")), "{seen:?}");
    let mut alice = Program::greets(&first.fcp);
    alice.says("ClientPut\nURI=KSK@here\nIdentifier=a\nMetadata.ContentType=text/plain\nDataLength=4\nData\nhere");
    alice.hears_until("PutSuccessful");
    let seen = browse(&second.gateway, "/KSK@here", shows);
    assert!(seen.starts_with("HTTP/1.1 200") && seen.ends_with("here") && !seen.contains("refresh: 2"), "{seen}");
}

/// All that a program can say (spec B2 to B10), but for what is about plug-ins.
const SAYS: [&str; 31] = [
    "AddPeer",
    "ClientGet",
    "ClientHello",
    "ClientPut",
    "ClientPutComplexDir",
    "ClientPutDiskDir",
    "Disconnect",
    "Filter",
    "GenerateSSK",
    "GetConfig",
    "GetNode",
    "GetRequestStatus",
    "ListPeer",
    "ListPeerNotes",
    "ListPeers",
    "ListPersistentRequests",
    "ModifyConfig",
    "ModifyPeer",
    "ModifyPeerNote",
    "ModifyPersistentRequest",
    "ProbeRequest",
    "RemovePeer",
    "RemovePersistentRequest",
    "RemoveRequest",
    "Shutdown",
    "SubscribeUSK",
    "TestDDARequest",
    "TestDDAResponse",
    "UnsubscribeUSK",
    "Void",
    "WatchGlobal",
];

/// All that it can hear.
const HEARS: [&str; 58] = [
    "AllData",
    "CloseConnectionDuplicateClientName",
    "CompatibilityMode",
    "ConfigData",
    "DataFound",
    "EndListPeerNotes",
    "EndListPeers",
    "EndListPersistentRequests",
    "EnterFiniteCooldown",
    "ExpectedDataLength",
    "ExpectedHashes",
    "ExpectedMIME",
    "FilterResult",
    "FinishedCompression",
    "GeneratedMetadata",
    "GetFailed",
    "IdentifierCollision",
    "NodeData",
    "NodeHello",
    "Peer",
    "PeerNote",
    "PeerRemoved",
    "PersistentGet",
    "PersistentPut",
    "PersistentPutDir",
    "PersistentRequestModified",
    "PersistentRequestRemoved",
    "ProbeBandwidth",
    "ProbeBuild",
    "ProbeError",
    "ProbeIdentifier",
    "ProbeLinkLengths",
    "ProbeLocation",
    "ProbeOverallBulkOutputCapacityUsage",
    "ProbeRejectStats",
    "ProbeStoreSize",
    "ProbeUptime",
    "ProtocolError",
    "PutFailed",
    "PutFetchable",
    "PutSuccessful",
    "SSKKeypair",
    "SendingToNetwork",
    "SimpleProgress",
    "StartedCompression",
    "SubscribedUSK",
    "SubscribedUSKRoundFinished",
    "SubscribedUSKSendingToNetwork",
    "SubscribedUSKUpdate",
    "TestDDAComplete",
    "TestDDAReply",
    "URIGenerated",
    "UnknownNodeIdentifier",
    "UnknownPeerNoteType",
    // Said in place of an answer where something is wrong, and driven with what is wrong below.
    "ProtocolError 9",
    "ProtocolError 15",
    "ProtocolError 18",
    "ProtocolError 25",
];

#[test]
fn every_message_is_driven_over_a_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("site")).expect("there is room");
    std::fs::write(folder.path().join("site/index.html"), "<p>hello</p>").expect("there is room");
    let path = folder.path().display();
    let first = node_of(Vec::new(), None, Some(folder.path().to_owned()));
    let second = node(vec![first.network.clone()]);
    let mut program = Program::greets(&first.fcp);
    let mut errors = BTreeSet::new();
    // Each question, and the message that is its last answer.
    let words = "word ".repeat(2000);
    let quick = "Verbosity=1023\nDataLength=";
    let table: Vec<(String, &str)> = vec![
        ("Void\nEndMessage\nWatchGlobal\nEnabled=true\nEndMessage\nGetNode\nWithVolatile=true\nEndMessage\n".into(), "NodeData"),
        ("GenerateSSK\nIdentifier=k\nEndMessage\n".into(), "SSKKeypair"),
        ("GetConfig\nWithCurrent=true\nEndMessage\n".into(), "ConfigData"),
        ("ModifyConfig\nnode.outputBandwidthLimit=1000000\nEndMessage\n".into(), "ConfigData"),
        ("ListPeers\nEndMessage\n".into(), "EndListPeers"),
        ("ListPeer\nNodeIdentifier=nobody\nEndMessage\n".into(), "UnknownNodeIdentifier"),
        (
            format!("AddPeer\nidentity={}\nphysical.udp=127.0.0.1:9\nmyName=carol\nTrust=LOW\nVisibility=NO\nEndMessage\n", "A".repeat(43)),
            "Peer",
        ),
        ("ModifyPeer\nNodeIdentifier=carol\nIsDisabled=true\nEndMessage\n".into(), "Peer"),
        ("ModifyPeerNote\nNodeIdentifier=carol\nPeerNoteType=1\nNoteText=aGk=\nEndMessage\n".into(), "PeerNote"),
        ("ModifyPeerNote\nNodeIdentifier=carol\nPeerNoteType=2\nNoteText=aGk=\nEndMessage\n".into(), "UnknownPeerNoteType"),
        ("ListPeerNotes\nNodeIdentifier=carol\nEndMessage\n".into(), "EndListPeerNotes"),
        ("RemovePeer\nNodeIdentifier=carol\nEndMessage\n".into(), "PeerRemoved"),
        (format!("TestDDARequest\nDirectory={path}\nWantReadDirectory=true\nEndMessage\n"), "TestDDAReply"),
        (format!("TestDDARequest\nDirectory={path}/site\nWantReadDirectory=true\nEndMessage\n"), "TestDDAReply"),
        ("Filter\nIdentifier=f\nOperation=READ\nDataSource=DIRECT\nMimeType=text/html\nDataLength=6\nData\n<p>x</".into(), "FilterResult"),
        (format!("ClientPut\nURI=KSK@one\nIdentifier=p1\n{quick}{}\nData\n{words}", words.len()), "PutSuccessful"),
        ("ClientPut\nURI=KSK@one\nIdentifier=p2\nDataLength=5\nData\nother".into(), "PutFailed"),
        (
            format!(
                "ClientPut\nURI=CHK@\nIdentifier=p3\nMetadata.ContentType=text/plain\nMetadataThreshold=4096\nDataLength={}\nData\n{words}",
                words.len()
            ),
            "GeneratedMetadata",
        ),
        ("ClientGet\nURI=KSK@one\nIdentifier=g1\nVerbosity=1023\nEndMessage\n".into(), "AllData"),
        ("ClientGet\nURI=KSK@nobody\nIdentifier=g2\nVerbosity=128\nMaxRetries=1\nEndMessage\n".into(), "GetFailed"),
        (
            "ClientGet\nURI=KSK@nobody\nIdentifier=g3\nMaxRetries=-1\nEndMessage\nClientGet\nURI=KSK@other\nIdentifier=g3\nEndMessage\n"
                .into(),
            "IdentifierCollision",
        ),
        ("RemoveRequest\nIdentifier=g3\nEndMessage\n".into(), "PersistentRequestRemoved"),
        (
            "ClientPutComplexDir\nURI=CHK@\nIdentifier=d1\nPersistence=reboot\nFiles.0.Name=a\nFiles.0.DataLength=1\nData\nx".into(),
            "PutSuccessful",
        ),
        ("ModifyPersistentRequest\nIdentifier=d1\nClientToken=blue\nEndMessage\n".into(), "PersistentRequestModified"),
        ("ClientPut\nURI=KSK@two\nIdentifier=p4\nPersistence=reboot\nDataLength=1\nData\nx".into(), "PutSuccessful"),
        ("ClientGet\nURI=KSK@two\nIdentifier=g4\nPersistence=reboot\nEndMessage\n".into(), "DataFound"),
        ("GetRequestStatus\nIdentifier=g4\nEndMessage\n".into(), "AllData"),
        ("ListPersistentRequests\nEndMessage\n".into(), "EndListPersistentRequests"),
        ("RemovePersistentRequest\nIdentifier=g4\nEndMessage\n".into(), "PersistentRequestRemoved"),
    ];
    let hear = |program: &mut Program, last: &str, errors: &mut BTreeSet<String>| loop {
        let message = program.hears();
        if message.name == "ProtocolError" {
            errors.insert(format!("ProtocolError {}", message.field("Code").expect("a code")));
        }
        assert!(message.name == last || message.name != "ProtocolError", "in place of {last}: {message:?}");
        if message.name == last {
            return message;
        }
    };
    for (question, last) in &table {
        for name in question.split("EndMessage\n").filter_map(|message| message.lines().next()) {
            program.said.insert(name.to_owned());
        }
        let answer = {
            program.says(question);
            hear(&mut program, last, &mut errors)
        };
        if let Some(file) = answer.field("ReadFilename") {
            let read = std::fs::read_to_string(file).expect("it is there");
            let folder = answer.field("Directory").expect("it says which");
            program.says(&format!("TestDDAResponse\nDirectory={folder}\nReadContent={read}\nEndMessage\n"));
            hear(&mut program, "TestDDAComplete", &mut errors);
        }
        if let Some(private) = answer.field("InsertURI") {
            let site = |uri: &str| uri.trim_end_matches('/').replace("SSK@", "USK@") + "/site/0";
            program.says(&format!("SubscribeUSK\nURI={}\nIdentifier=s\nEndMessage\n", site(answer.field("RequestURI").expect("a key"))));
            hear(&mut program, "SubscribedUSKRoundFinished", &mut errors);
            program.says(&format!("ClientPut\nURI={}\nIdentifier=e\nDataLength=1\nData\nx", site(private)));
            hear(&mut program, "SubscribedUSKUpdate", &mut errors);
            program.says("UnsubscribeUSK\nIdentifier=s\nEndMessage\n");
        }
    }
    program.says(&format!("ClientPutDiskDir\nURI=CHK@\nIdentifier=d2\nFilename={path}/site\nEndMessage\n"));
    hear(&mut program, "PutSuccessful", &mut errors);
    for what in [
        "BANDWIDTH",
        "BUILD",
        "IDENTIFIER",
        "LINK_LENGTHS",
        "LOCATION",
        "STORE_SIZE",
        "UPTIME_7D",
        "REJECT_STATS",
        "OVERALL_BULK_OUTPUT_CAPACITY_USAGE",
    ] {
        program.says(&format!("ProbeRequest\nIdentifier={what}\nType={what}\nHopsToLive=2\nEndMessage\n"));
        while program.hears().field("Identifier") != Some(what) {}
    }
    program.says("ProbeRequest\nIdentifier=p\nType=COLOUR\nEndMessage\n");
    hear(&mut program, "ProbeError", &mut errors);
    for (wrong, code) in [
        (format!("ClientPut\nURI=CHK@\nIdentifier=w1\nUploadFrom=disk\nFilename={path}/none\nEndMessage\n"), "9"),
        ("RemoveRequest\nIdentifier=none\nEndMessage\n".into(), "15"),
        ("ClientGet\nURI=KSK@x\nIdentifier=w2\nReturnType=disk\nFilename=/etc/none\nEndMessage\n".into(), "25"),
    ] {
        program.says(&wrong);
        assert_eq!(hear(&mut program, "ProtocolError", &mut errors).field("Code"), Some(code), "{wrong}");
    }
    // A second one of its name, which goes as it came; and one that stops the node.
    let mut again = Program::greets(&first.fcp);
    hear(&mut program, "CloseConnectionDuplicateClientName", &mut errors);
    again.says("Disconnect\nEndMessage\n");
    let mut last = Program::greets(&second.fcp);
    last.says("Shutdown\nEndMessage\n");
    hear(&mut last, "ProtocolError", &mut errors);
    let until = std::time::Instant::now() + PATIENCE;
    while second.task.events.recv_timeout(until.saturating_duration_since(std::time::Instant::now())).expect("it stops") != Event::Stopped {
    }
    let all = |of: fn(&Program) -> &BTreeSet<String>| [&program, &again, &last].into_iter().flat_map(of).cloned().collect::<BTreeSet<_>>();
    let (said, mut heard) = (all(|program| &program.said), all(|program| &program.heard));
    heard.extend(errors);
    let missing = |wanted: &[&'static str], driven: &BTreeSet<String>| {
        wanted.iter().filter(|name| !driven.contains(**name)).copied().collect::<Vec<_>>()
    };
    assert_eq!((missing(&SAYS, &said), missing(&HEARS, &heard)), (Vec::new(), Vec::new()), "these were not driven");
}
