//! FCP on the node itself, as a program sees it: peers, notes, settings and probes; the node's part played by hand.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hexad_core::{Endpoint, Failure, Progress};
use hexad_freenet::fcp::{Codec, Disk, DiskError, Effect, Facts, Message, NoDisk, Session, Setting, Tunable};
use hexad_freenet::keys::{Location, base64};
use hexad_freenet::wire::{Finding, Inquiry, Untold};
use hexad_freenet::{FriendChange, FriendOf, FriendWords, Invitation, Neighbour, Reply, Request, Status, Trust, Tuning, Visibility};

fn message(text: &str) -> Message {
    let mut input = BytesMut::from(text.as_bytes());
    Codec::default().decode(&mut input).expect("it can be read").expect("it is whole")
}

fn setting(name: &'static str, current: &str, tunable: Option<Tunable>) -> Setting {
    Setting { name, current: current.into(), default: "17".into(), kind: "number", about: "A setting", tunable }
}

/// A session whose program may change the node.
fn trusted() -> Session {
    let settings = vec![
        setting("node.maxHTL", "18", None),
        setting("node.outputBandwidthLimit", "1", Some(Tunable::UpBytesPerS)),
        setting("node.opennet.maxOpennetPeers", "2", Some(Tunable::PeersWanted)),
    ];
    let facts = Facts { identity: Some([1; 32]), settings, ..Facts::default() };
    let mut session = Session::new([7; 16], Arc::new(facts)).trusted();
    let _ = session.hears(&NoDisk, &message("ClientHello\nName=test\nExpectedVersion=2.0\nEndMessage\n"));
    session
}

fn only(effects: &[Effect]) -> &Message {
    let [Effect::Say(message)] = effects else { panic!("{effects:?}") };
    message
}

fn code(effects: &[Effect]) -> &str {
    only(effects).field("Code").unwrap_or("none")
}

fn at(number: u8) -> Endpoint {
    Endpoint::Key([number; 32], SocketAddr::from(([127, 0, 0, number], 4000)))
}

fn friend() -> FriendOf {
    let words = FriendWords { name: "dora".into(), note: "met at a fair".into(), trust: Trust::High, ..FriendWords::default() };
    FriendOf { key: [4; 32], at: at(4), words, is_connected: false, was_met: false }
}

fn status() -> Status {
    let neighbour = Neighbour { at: at(3), location: Some(Location(u64::MAX / 2)), backed_off: true };
    Status {
        location: Some(Location(0)),
        peers: 1,
        entries: 0,
        blocks: 5,
        walks: 0,
        known: Vec::new(),
        neighbours: vec![neighbour],
        capacity_blocks: 32_768,
        up_bytes_per_s: 4 << 20,
        is_darknet: false,
        friends: vec![friend()],
        peers_wanted: 20,
    }
}

/// What a session does with a message once the node has said how it stands.
fn told(session: &mut Session, text: &str) -> Vec<Effect> {
    let effects = session.hears(&NoDisk, &message(text));
    let [Effect::Start(task, Request::Status)] = effects[..] else { panic!("{effects:?}") };
    session.told(&NoDisk, task, Progress::Own(Reply::Status(status())))
}

#[test]
fn peers_are_those_that_the_node_has_and_friends_who_are_not_there() {
    let effects = told(&mut trusted(), "ListPeers\nWithVolatile=true\nWithMetadata=true\nIdentifier=l\nEndMessage\n");
    let [Effect::Say(dora), Effect::Say(peer), Effect::Say(end)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(
        (dora.field("myName"), dora.field("volatile.status"), dora.field("opennet")),
        (Some("dora"), Some("NEVER CONNECTED"), Some("false"))
    );
    assert_eq!((dora.field("metadata.trustLevel"), dora.field("metadata.ourVisibility")), (Some("HIGH"), Some("NO")));
    assert_eq!((peer.name.as_str(), peer.field("physical.udp"), peer.field("Identifier")), ("Peer", Some("127.0.0.3:4000"), Some("l")));
    assert_eq!((peer.field("volatile.status"), peer.field("identity").map(str::len)), (Some("BACKED OFF"), Some(43)));
    assert_eq!((end.name.as_str(), end.field("Identifier")), ("EndListPeers", Some("l")));
    for wanted in ["127.0.0.3:4000", "dora", base64(&[4; 32]).as_str()] {
        assert_eq!(only(&told(&mut trusted(), &format!("ListPeer\nNodeIdentifier={wanted}\nEndMessage\n"))).name, "Peer");
    }
    assert_eq!(only(&told(&mut trusted(), "ListPeer\nNodeIdentifier=carol\nEndMessage\n")).name, "UnknownNodeIdentifier");
    assert_eq!(only(&told(&mut trusted(), "GetNode\nWithVolatile=true\nEndMessage\n")).field("volatile.overallSize"), Some("1073741824"));
}

/// A disk with one reference on it.
struct OneFile;

impl Disk for OneFile {
    fn is_folder(&self, path: &str) -> Result<bool, DiskError> {
        Ok(path == "/in")
    }

    fn read(&self, path: &str, _: usize) -> Result<Bytes, DiskError> {
        match path {
            "/in/ref" => Ok(format!("identity={}\nphysical.udp=192.0.2.1:4000\nmyName=carol\nEnd\nrest\n", base64(&[5; 32])).into()),
            "/in/none" => Err(DiskError::NotFound),
            _ => Ok(Bytes::from_static(b"ours")),
        }
    }

    fn create(&self, _: &str, _: &[u8]) -> Result<(), DiskError> {
        Ok(())
    }

    fn remove(&self, _: &str) {}

    fn files(&self, _: &str, _: usize) -> Result<Vec<String>, DiskError> {
        Ok(Vec::new())
    }
}

#[test]
fn a_peer_is_added_by_a_reference_a_file_or_an_invitation() {
    let words = "Trust=NORMAL\nVisibility=NAME_ONLY\n";
    let reference = |key: u8| format!("identity={}\nphysical.udp=192.0.2.1:4000;[2001:db8::1]:4000\n", base64(&[key; 32]));
    let adds = |fields: &str| trusted().hears(&NoDisk, &message(&format!("AddPeer\nIdentifier=a\n{fields}EndMessage\n")));
    let effects = adds(&format!("{}myName=carol\n{words}", reference(5)));
    let [Effect::Start(_, Request::Befriend(at, given))] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(at, &Endpoint::Key([5; 32], SocketAddr::from(([192, 0, 2, 1], 4000))));
    assert_eq!((given.name.as_str(), given.trust, given.visibility), ("carol", Trust::Normal, Visibility::NameOnly));
    for (fields, expected) in [
        (reference(5), "5"),
        (format!("{}Trust=NORMAL\n", reference(5)), "5"),
        (format!("{}Trust=SOME\nVisibility=NO\n", reference(5)), "8"),
        (format!("{}Trust=LOW\nVisibility=MAYBE\n", reference(5)), "8"),
        (format!("{}{words}", reference(1)), "28"),
        (format!("physical.udp=192.0.2.1:4000\n{words}"), "21"),
        (format!("identity=x\nphysical.udp=192.0.2.1:4000\n{words}"), "21"),
        (format!("identity={}\nphysical.udp=here\n{words}", base64(&[5; 32])), "21"),
        (format!("URL=http://example.org/ref\n{words}"), "16"),
        (format!("URL=nonsense\n{words}"), "20"),
        (format!("File=/in/ref\n{words}"), "25"),
        (format!("Invitation=hexad:freenet-invitation:AAAA\n{words}"), "21"),
    ] {
        assert_eq!(code(&adds(&fields)), expected, "{fields}");
    }
    let invitation =
        Invitation { key: [6; 32], sockets: vec![SocketAddr::from(([192, 0, 2, 6], 1))], token: [0; 16], until_s: 1, is_darknet: false };
    let effects = adds(&format!("Invitation={invitation}\n{words}"));
    assert!(matches!(&effects[..], [Effect::Start(_, Request::Accept(given))] if **given == invitation), "{effects:?}");
    // A file, in a folder that the program can read.
    let mut session = trusted();
    let effects = session.hears(&OneFile, &message("TestDDARequest\nDirectory=/in\nWantReadDirectory=true\nEndMessage\n"));
    let name = only(&effects).field("ReadFilename").expect("a file").to_owned();
    assert!(name.starts_with("/in/"));
    // Its content is known to who made it alone; the disk of this test says something else, so that nothing is allowed.
    let effects = session.hears(&OneFile, &message("TestDDAResponse\nDirectory=/in\nReadContent=ours\nEndMessage\n"));
    assert_eq!(only(&effects).field("ReadDirectoryAllowed"), Some("false"));
    let effects = session.hears(&OneFile, &message(&format!("AddPeer\nFile=/in/ref\n{words}EndMessage\n")));
    assert_eq!(code(&effects), "25");
}

#[test]
fn what_becomes_of_an_added_peer_is_told_with_the_numbers_that_programs_know() {
    let text = format!(
        "AddPeer\nIdentifier=a\nidentity={}\nphysical.udp=192.0.2.1:4000\nTrust=LOW\nVisibility=NO\nEndMessage\n",
        base64(&[5; 32])
    );
    let ends = |progress: Progress<Reply>| {
        let mut session = trusted();
        let effects = session.hears(&NoDisk, &message(&text));
        let [Effect::Start(task, _)] = effects[..] else { panic!("{effects:?}") };
        session.told(&NoDisk, task, progress)
    };
    let effects = ends(Progress::Own(Reply::Friend(Box::new(friend()))));
    assert_eq!((only(&effects).name.as_str(), only(&effects).field("Identifier")), ("Peer", Some("a")));
    assert_eq!(code(&ends(Progress::Failed(Failure::Refused("he is a friend already".into())))), "29");
    assert_eq!(code(&ends(Progress::Failed(Failure::Refused("the invitation has expired".into())))), "24");
    assert_eq!(code(&ends(Progress::Failed(Failure::Unusable("nobody is his own friend".into())))), "28");
    assert_eq!(code(&ends(Progress::Failed(Failure::Full("friends")))), "17");
}

#[test]
fn friends_are_changed_noted_and_removed_and_others_are_not() {
    let mut session = trusted();
    let effects = told(&mut session, "ModifyPeer\nNodeIdentifier=dora\nIsDisabled=true\nIsBurstOnly=false\nEndMessage\n");
    let [Effect::Start(task, Request::ChangeFriend(change))] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(**change, FriendChange { key: [4; 32], is_disabled: Some(true), ..FriendChange::default() });
    assert_eq!(only(&session.told(&NoDisk, *task, Progress::Own(Reply::Friend(Box::new(friend()))))).name, "Peer");
    let effects = told(&mut session, "ModifyPeerNote\nNodeIdentifier=dora\nPeerNoteType=1\nNoteText=aGk=\nEndMessage\n");
    let [Effect::Start(task, Request::ChangeFriend(change))] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(change.note.as_deref(), Some("hi"));
    let noted = session.told(&NoDisk, *task, Progress::Own(Reply::Friend(Box::new(friend()))));
    assert_eq!((only(&noted).name.as_str(), only(&noted).field("NoteText")), ("PeerNote", Some("bWV0IGF0IGEgZmFpcg==")));
    let effects = told(&mut session, "ListPeerNotes\nNodeIdentifier=dora\nEndMessage\n");
    let [Effect::Say(note), Effect::Say(end)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((note.field("PeerNoteType"), end.name.as_str()), (Some("1"), "EndListPeerNotes"));
    let effects = told(&mut session, "RemovePeer\nNodeIdentifier=dora\nIdentifier=r\nEndMessage\n");
    let [Effect::Start(task, Request::Unfriend(key))] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(**key, [4; 32]);
    let removed = session.told(&NoDisk, *task, Progress::Done);
    let removed = only(&removed);
    assert_eq!(
        (removed.name.as_str(), removed.field("NodeIdentifier"), removed.field("Identifier")),
        ("PeerRemoved", Some("dora"), Some("r"))
    );
    for (text, expected) in [
        ("ModifyPeer\nEndMessage\n", "5"),
        ("ModifyPeer\nNodeIdentifier=dora\nIsDisabled=maybe\nEndMessage\n", "8"),
        ("ModifyPeer\nNodeIdentifier=dora\nIsBurstOnly=true\nEndMessage\n", "16"),
        ("ModifyPeerNote\nNodeIdentifier=dora\nNoteText=aGk=\nEndMessage\n", "5"),
        ("ModifyPeerNote\nNodeIdentifier=dora\nPeerNoteType=1\nEndMessage\n", "5"),
        ("ModifyPeerNote\nNodeIdentifier=dora\nPeerNoteType=1\nNoteText=?\nEndMessage\n", "8"),
    ] {
        assert_eq!(code(&trusted().hears(&NoDisk, &message(text))), expected, "{text}");
    }
    let other = trusted().hears(&NoDisk, &message("ModifyPeerNote\nNodeIdentifier=dora\nPeerNoteType=7\nNoteText=aGk=\nEndMessage\n"));
    assert_eq!(only(&other).name, "UnknownPeerNoteType");
    for verb in ["ModifyPeer", "RemovePeer", "ListPeerNotes"] {
        assert_eq!(only(&told(&mut trusted(), &format!("{verb}\nNodeIdentifier=carol\nEndMessage\n"))).name, "UnknownNodeIdentifier");
        assert_eq!(code(&told(&mut trusted(), &format!("{verb}\nNodeIdentifier=127.0.0.3:4000\nEndMessage\n"))), "31");
    }
}

#[test]
fn settings_are_told_in_as_many_ways_as_are_asked_for_and_some_are_changed() {
    let effects = told(&mut trusted(), "GetConfig\nWithCurrent=true\nWithDefaults=true\nIdentifier=c\nEndMessage\n");
    let data = only(&effects);
    assert_eq!(
        (data.name.as_str(), data.field("current.node.maxHTL"), data.field("default.node.maxHTL")),
        ("ConfigData", Some("18"), Some("17"))
    );
    assert_eq!((data.field("current.node.outputBandwidthLimit"), data.field("Identifier")), (Some("4194304"), Some("c")), "as it is now");
    let changes = |fields: &str| trusted().hears(&NoDisk, &message(&format!("ModifyConfig\nIdentifier=m\n{fields}EndMessage\n")));
    let effects = changes("node.outputBandwidthLimit=65536\nnode.opennet.maxOpennetPeers=7\nnode.maxHTL=18\n");
    let [Effect::Start(_, Request::Tune(tuning))] = effects[..] else { panic!("{effects:?}") };
    assert_eq!(tuning, Tuning { up_bytes_per_s: Some(65_536), peers_wanted: Some(7) });
    for (fields, expected) in [
        ("node.maxHTL=17\n", "16"),
        ("node.colour=blue\n", "8"),
        ("node.outputBandwidthLimit=much\n", "6"),
        ("node.outputBandwidthLimit=10\n", "8"),
        ("node.opennet.maxOpennetPeers=0\n", "8"),
    ] {
        assert_eq!(code(&changes(fields)), expected, "{fields}");
    }
}

#[test]
fn a_probe_asks_the_network_and_says_what_it_was_told() {
    let probe = |what: &str, hops: &str, reply: Reply| {
        let mut session = trusted();
        let effects = session.hears(&NoDisk, &message(&format!("ProbeRequest\nIdentifier=p\nType={what}\n{hops}EndMessage\n")));
        let [Effect::Start(task, Request::Inquire(asked, hops))] = effects[..] else { panic!("{effects:?}") };
        let effects = session.told(&NoDisk, task, Progress::Own(reply));
        assert_eq!(only(&effects).field("Identifier"), Some("p"));
        (asked, hops, only(&effects).clone())
    };
    let finding = |finding| Reply::Told(Box::new(finding));
    let check = |what: &str, asked: Inquiry, reply: Reply, name: &str, field: &str, value: &str| {
        let (inquiry, _, message) = probe(what, "", reply);
        assert_eq!((inquiry, message.name.as_str(), message.field(field)), (asked, name, Some(value)), "{what}");
    };
    check("STORE_SIZE", Inquiry::StoreSize, finding(Finding::StoreSize(1 << 30)), "ProbeStoreSize", "StoreSize", "1");
    check(
        "LINK_LENGTHS",
        Inquiry::LinkLengths,
        finding(Finding::LinkLengths(vec![1 << 15, 1 << 14])),
        "ProbeLinkLengths",
        "LinkLengths",
        "0.5;0.25",
    );
    check("location", Inquiry::Location, finding(Finding::Location(1 << 14)), "ProbeLocation", "Location", "0.25");
    check("BANDWIDTH", Inquiry::Bandwidth, finding(Finding::Bandwidth(2048)), "ProbeBandwidth", "OutputBandwidth", "2");
    check("BUILD", Inquiry::Build, finding(Finding::Build(1506)), "ProbeBuild", "Build", "1506");
    check("IDENTIFIER", Inquiry::Identifier, finding(Finding::Identifier(u64::MAX, 7)), "ProbeIdentifier", "ProbeIdentifier", "-1");
    check("UPTIME_48H", Inquiry::Uptime48h, finding(Finding::Uptime(50)), "ProbeUptime", "UptimePercent", "50");
    check("UPTIME_7D", Inquiry::Uptime7d, finding(Finding::Uptime(9)), "ProbeUptime", "UptimePercent", "9");
    let stats = finding(Finding::RejectStats([1, 2, 3, 255]));
    check("REJECT_STATS", Inquiry::RejectStats, stats, "ProbeRejectStats", "Rejects.Bulk.Insert.SSK", "-1");
    let usage = finding(Finding::CapacityUsage(50));
    check(
        "OVERALL_BULK_OUTPUT_CAPACITY_USAGE",
        Inquiry::CapacityUsage,
        usage,
        "ProbeOverallBulkOutputCapacityUsage",
        "CapacityUsage",
        "0.5",
    );
    check("BUILD", Inquiry::Build, Reply::Untold(Untold::CannotForward), "ProbeError", "Type", "CANNOT_FORWARD");
    check("BUILD", Inquiry::Build, Reply::Untold(Untold::Timeout), "ProbeError", "Local", "true");
    assert_eq!(probe("BUILD", "", Reply::Untold(Untold::Refused)).2.name, "ProbeRefused");
    assert_eq!(probe("BUILD", "HopsToLive=0\n", Reply::Untold(Untold::Overload)).1, 0);
    assert_eq!(probe("BUILD", "HopsToLive=1000\n", Reply::Untold(Untold::Disconnected)).1, 70, "no more than others believe");
}

#[test]
fn whoever_may_stop_the_node_is_told_that_it_stops() {
    let effects = trusted().hears(&NoDisk, &message("Shutdown\nEndMessage\n"));
    let [Effect::Say(error), Effect::Close, Effect::Stop] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(error.field("Code"), Some("18"));
}

#[test]
fn a_program_is_told_as_much_of_a_get_and_a_put_as_it_asks_for() {
    let mut session = trusted();
    let effects = session.hears(&NoDisk, &message("ClientGet\nURI=KSK@x\nIdentifier=g\nVerbosity=255\nEndMessage\n"));
    let [Effect::Say(sending), Effect::Start(task, _)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(sending.name, "SendingToNetwork");
    let names = |effects: &[Effect]| {
        let name = |effect: &Effect| if let Effect::Say(message) = effect { Some(message.name.clone()) } else { None };
        effects.iter().filter_map(name).collect::<Vec<_>>()
    };
    let rests = session.told(&NoDisk, *task, Progress::Own(Reply::Rests(1_800_000_000_000)));
    assert_eq!((only(&rests).name.as_str(), only(&rests).field("WakeupTime")), ("EnterFiniteCooldown", Some("1800000000000")));
    let expected = session.told(&NoDisk, *task, Progress::Own(Reply::Expected { mime: Some("text/html".into()), bytes: 4 }));
    assert_eq!(names(&expected), ["CompatibilityMode", "ExpectedMIME", "ExpectedDataLength"]);
    let uri = hexad_freenet::keys::Uri::parse("KSK@x").expect("a URI");
    let got = Reply::Got { uri: uri.clone(), mime: None, bytes: Bytes::from_static(b"data") };
    assert_eq!(names(&session.told(&NoDisk, *task, Progress::Own(got))), ["ExpectedHashes", "DataFound", "AllData"]);
    let put = "ClientPut\nURI=KSK@x\nIdentifier=p\nVerbosity=1023\nMetadataThreshold=100\nDataLength=4\nData\ndata";
    let effects = session.hears(&NoDisk, &message(put));
    let [Effect::Say(hashes), Effect::Start(task, Request::Put { metadata_max: 100, .. })] = &effects[..] else { panic!("{effects:?}") };
    let sha = "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7";
    assert_eq!((hashes.name.as_str(), hashes.field("Hashes.SHA256")), ("ExpectedHashes", Some(sha)));
    let started = session.told(&NoDisk, *task, Progress::Own(Reply::Compressing));
    assert_eq!(only(&started).name, "StartedCompression");
    let finished = session.told(&NoDisk, *task, Progress::Own(Reply::Compressed { from: 4, to: 4, is_kept: false }));
    assert_eq!((only(&finished).field("Codec"), only(&finished).field("Codec.Name")), (Some("-1"), Some("NONE")));
    let _ = session.told(&NoDisk, *task, Progress::Own(Reply::Put(uri)));
    assert_eq!(names(&session.told(&NoDisk, *task, Progress::Done)), ["PutFetchable", "PutSuccessful"]);
    let effects = session.hears(&NoDisk, &message(put));
    let Some(Effect::Start(task, _)) = effects.last() else { panic!("{effects:?}") };
    let generated = session.told(&NoDisk, *task, Progress::Own(Reply::Metadata(Bytes::from_static(b"HXD1"))));
    assert_eq!((only(&generated).name.as_str(), only(&generated).data.as_deref()), ("GeneratedMetadata", Some(&b"HXD1"[..])));
}
