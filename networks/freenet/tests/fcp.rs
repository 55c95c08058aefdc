//! FCP as a program sees it: a conversation with a session, the node's part played by hand.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hexad_core::{Failure, Map, Progress, Span};
use hexad_freenet::fcp::{Codec, Disk, DiskError, Effect, Message, NoDisk, Queue, Queued, Session};
use hexad_freenet::keys::Uri;
use hexad_freenet::{Counts, Reply, Request};

/// A session that has been greeted.
fn greeted() -> Session {
    let mut session = Session::new([7; 16], Arc::default());
    let effects = session.hears(&NoDisk, &message("ClientHello\nName=test\nExpectedVersion=2.0\nEndMessage\n"));
    assert_eq!(effects[0], Effect::Named("test".into()));
    let Effect::Say(hello) = &effects[1] else { panic!("a greeting") };
    assert_eq!((hello.name.as_str(), hello.field("FCPVersion")), ("NodeHello", Some("2.0")));
    // pyFreenet takes the first number and what is in brackets.
    assert_eq!(hello.field("CompressionCodecs"), Some("4 - GZIP(0), BZIP2(1), LZMA(2), LZMA_NEW(3)"));
    assert_eq!(hello.field("ConnectionIdentifier").map(str::len), Some(32));
    session
}

fn message(text: &str) -> Message {
    let mut input = BytesMut::from(text.as_bytes());
    Codec::default().decode(&mut input).expect("it can be read").expect("it is whole")
}

fn said(effects: &[Effect]) -> Vec<(&str, Option<&str>)> {
    effects
        .iter()
        .filter_map(|effect| if let Effect::Say(message) = effect { Some((message.name.as_str(), message.field("Code"))) } else { None })
        .collect()
}

#[test]
fn who_does_not_greet_first_is_sent_away() {
    let effects = Session::new([0; 16], Arc::default()).hears(&NoDisk, &message("Void\nEndMessage\n"));
    assert_eq!(said(&effects), [("ProtocolError", Some("1"))]);
    assert_eq!(effects.last(), Some(&Effect::Close));
    let mut session = greeted();
    assert_eq!(
        said(&session.hears(&NoDisk, &message("ClientHello\nName=x\nExpectedVersion=2.0\nEndMessage\n"))),
        [("ProtocolError", Some("2"))]
    );
    assert_eq!(said(&session.hears(&NoDisk, &message("Nonsense\nEndMessage\n"))), [("ProtocolError", Some("7"))]);
    assert_eq!(session.hears(&NoDisk, &message("Void\nEndMessage\n")), []);
}

#[test]
fn a_put_tells_its_key_and_then_its_success() {
    let mut session = greeted();
    let put = "ClientPut\nURI=CHK@\nIdentifier=a\nMetadata.ContentType=text/plain\nVerbosity=1\nDataLength=5\nData\nhello";
    let effects = session.hears(&NoDisk, &message(put));
    let [Effect::Start(task, Request::Put { uri, files, directory: None, key_only: false, .. })] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!((uri.as_str(), files[0].bytes.as_ref(), files[0].mime.as_deref()), ("CHK@", &b"hello"[..], Some("text/plain")));
    assert_eq!(said(&session.hears(&NoDisk, &message(put))), [("IdentifierCollision", None)]);
    let key = Uri::parse("KSK@x").expect("a URI");
    assert_eq!(said(&session.told(&NoDisk, *task, Progress::Own(Reply::Put(key)))), [("URIGenerated", None)]);
    let counts = Counts { total: 3, required: 3, succeeded: 2, failed: 0, is_final: true };
    let effects = session.told(&NoDisk, *task, Progress::Own(Reply::Counted(counts)));
    let [Effect::Say(progress)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((progress.name.as_str(), progress.field("Total"), progress.field("Succeeded")), ("SimpleProgress", Some("3"), Some("2")));
    assert_eq!(said(&session.told(&NoDisk, *task, Progress::Done)), [("PutSuccessful", None)]);
    assert_eq!(session.told(&NoDisk, *task, Progress::Done), [], "nothing is said after the end");
}

#[test]
fn a_get_brings_its_data_or_says_why_not() {
    let mut session = greeted();
    let effects = session.hears(&NoDisk, &message("ClientGet\nURI=freenet:KSK@x\nIdentifier=b\nReturnType=direct\nEndMessage\n"));
    let [Effect::Start(task, Request::Get { uri, retries: 0, .. })] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(uri, "KSK@x");
    let counts = Counts { total: 1, required: 1, succeeded: 1, failed: 0, is_final: true };
    assert_eq!(session.told(&NoDisk, *task, Progress::Own(Reply::Counted(counts))), [], "it did not ask to hear of it");
    let got = Reply::Got { uri: Uri::parse("KSK@x").expect("a URI"), mime: Some("text/html".into()), bytes: Bytes::from_static(b"data") };
    let effects = session.told(&NoDisk, *task, Progress::Own(got));
    assert_eq!(said(&effects), [("DataFound", None), ("AllData", None)]);
    let Effect::Say(all) = &effects[1] else { panic!("data") };
    assert_eq!((all.field("DataLength"), all.field("Metadata.ContentType")), (Some("4"), Some("text/html")));
    let effects = session.hears(&NoDisk, &message("ClientGet\nURI=KSK@y\nIdentifier=c\nEndMessage\n"));
    let [Effect::Start(task, _)] = &effects[..] else { panic!("{effects:?}") };
    let effects = session.told(&NoDisk, *task, Progress::Failed(Failure::NotFound("hops-to-live ran out".into())));
    assert_eq!(said(&effects), [("GetFailed", Some("13"))]);
}

#[test]
fn what_cannot_be_asked_is_refused_with_the_number_that_programs_know() {
    let check = |text: &str, expected: (&str, Option<&str>)| {
        let effects = greeted().hears(&NoDisk, &message(text));
        assert_eq!(said(&effects), [expected], "{text}");
    };
    check("ClientGet\nIdentifier=a\nEndMessage\n", ("ProtocolError", Some("5")));
    check("ClientGet\nURI=KSK@a\nEndMessage\n", ("ProtocolError", Some("5")));
    check("ClientGet\nURI=nonsense\nIdentifier=a\nEndMessage\n", ("ProtocolError", Some("4")));
    check("ClientGet\nURI=KSK@a\nIdentifier=a\nMaxSize=x\nEndMessage\n", ("ProtocolError", Some("6")));
    check("ClientGet\nURI=KSK@a\nIdentifier=a\nReturnType=disk\nFilename=/x\nEndMessage\n", ("ProtocolError", Some("25")));
    check("ClientGet\nURI=KSK@a\nIdentifier=a\nPersistence=forever\nGlobal=true\nEndMessage\n", ("ProtocolError", Some("16")));
    let hyphanets = "SSK@YZSGVb5oI0SjOUKpiSKHi0PtVQMckFjLQmrW73fSxzA,AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8,AQACAAE/site-0";
    check(&format!("ClientGet\nURI={hyphanets}\nIdentifier=a\nEndMessage\n"), ("GetFailed", Some("20")));
    check("ClientPut\nURI=CHK@\nIdentifier=a\nUploadFrom=disk\nFilename=/x\nEndMessage\n", ("ProtocolError", Some("25")));
    check("RemoveRequest\nIdentifier=a\nEndMessage\n", ("ProtocolError", Some("15")));
    check("TestDDARequest\nDirectory=/tmp\nEndMessage\n", ("ProtocolError", Some("7")));
    check("FCPPluginMessage\nPluginName=x\nIdentifier=a\nEndMessage\n", ("ProtocolError", Some("32")));
    check("GetNode\nWithPrivate=true\nEndMessage\n", ("ProtocolError", Some("24")));
    check("ListPeer\nEndMessage\n", ("ProtocolError", Some("5")));
    for changes in ["AddPeer", "ModifyPeer", "RemovePeer", "ModifyPeerNote", "ModifyConfig", "Shutdown"] {
        check(&format!("{changes}\nEndMessage\n"), ("ProtocolError", Some("24")));
    }
    check("ProbeRequest\nIdentifier=a\nType=COLOUR\nEndMessage\n", ("ProbeError", None));
    check("ProbeRequest\nIdentifier=a\nType=BUILD\nHopsToLive=x\nEndMessage\n", ("ProtocolError", Some("6")));
    check("ClientPut\nURI=CHK@\nIdentifier=a\nMetadataThreshold=x\nDataLength=0\nData\n", ("ProtocolError", Some("6")));
    check("ProbeRequest\nIdentifier=a\nEndMessage\n", ("ProtocolError", Some("5")));
    check("Filter\nIdentifier=a\nOperation=READ\nDataSource=DISK\nFilename=/x\nEndMessage\n", ("ProtocolError", Some("25")));
    check("ClientPutDiskDir\nURI=CHK@\nIdentifier=a\nFilename=/x\nEndMessage\n", ("ProtocolError", Some("25")));
    let clash = "ClientPutComplexDir\nURI=CHK@\nIdentifier=a\nFiles.0.Name=a\nFiles.0.DataLength=0\nFiles.1.Name=a/b\nFiles.1.DataLength=0\nEndMessage\n";
    check(clash, ("ProtocolError", Some("7")));
}

#[test]
fn a_directory_comes_with_its_files_one_behind_the_other() {
    let text = "ClientPutComplexDir\nURI=CHK@\nIdentifier=a\nDefaultName=index.html\nFiles.0.Name=index.html\nFiles.0.DataLength=2\nFiles.1.Name=b/c\nFiles.1.UploadFrom=redirect\nFiles.1.TargetURI=KSK@z\nFiles.2.Name=d\nFiles.2.DataLength=3\nData\nabcde";
    let effects = greeted().hears(&NoDisk, &message(text));
    let [Effect::Start(_, Request::Put { files, directory: Some(Some(default)), .. })] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(default, "index.html");
    let seen: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.bytes.as_ref(), file.redirect.as_deref())).collect();
    assert_eq!(seen, [("index.html", &b"ab"[..], None), ("b/c", b"", Some("KSK@z")), ("d", b"cde", None)]);
}

#[test]
fn requests_of_a_connection_end_with_it() {
    let mut session = greeted();
    let _ = session.hears(&NoDisk, &message("GenerateSSK\nIdentifier=k\nEndMessage\n"));
    let _ = session.hears(&NoDisk, &message("ClientGet\nURI=KSK@y\nIdentifier=c\nEndMessage\n"));
    assert_eq!(session.ends(&NoDisk), [Effect::Cancel(1), Effect::Cancel(2)]);
    assert_eq!(session.hears(&NoDisk, &message("Void\nEndMessage\n")), []);
    assert_eq!(greeted().garbled().last(), Some(&Effect::Close));
}

/// What the queue says, and to whom.
fn queued(effects: &[Queued]) -> Vec<(u64, &str)> {
    let word = |effect| if let &Queued::Say(client, ref message) = effect { Some((client, message.name.as_str())) } else { None };
    effects.iter().filter_map(word).collect()
}

fn got(bytes: &'static [u8]) -> Progress<Reply> {
    Progress::Own(Reply::Got { uri: Uri::parse("KSK@x").expect("a URI"), mime: None, bytes: Bytes::from_static(bytes) })
}

#[test]
fn a_request_may_outlive_its_connection() {
    let mut queue = Queue::default();
    assert_eq!(queue.arrives(1, "alice"), []);
    let get = message("ClientGet\nURI=KSK@x\nIdentifier=a\nPersistence=reboot\nClientToken=blue\nEndMessage\n");
    assert!(Queue::is_for(&get) && !Queue::is_for(&message("ClientGet\nURI=KSK@x\nIdentifier=a\nEndMessage\n")));
    let effects = queue.hears(&NoDisk, 1, get.clone()).expect("it is for the queue");
    assert_eq!(queued(&effects), [(1, "PersistentGet")]);
    let Some(Queued::Start(task, Request::Get { .. })) = effects.last() else { panic!("{effects:?}") };
    assert_eq!(queued(&queue.hears(&NoDisk, 1, get).expect("it is for the queue")), [(1, "IdentifierCollision")]);
    queue.leaves(1);
    assert_eq!(queue.told(&NoDisk, *task, got(b"data")), [], "nobody is there");
    assert_eq!(queue.arrives(2, "bob"), []);
    let effects = queue.arrives(3, "alice");
    assert_eq!(queued(&effects), [(3, "PersistentGet"), (3, "DataFound")]);
    let Queued::Say(_, echo) = &effects[0] else { panic!("an echo") };
    assert_eq!((echo.field("ClientToken"), echo.field("Global"), echo.field("Persistence")), (Some("blue"), Some("false"), Some("reboot")));
    let status = message("GetRequestStatus\nIdentifier=a\nOnlyData=true\nEndMessage\n");
    let effects = queue.hears(&NoDisk, 3, status.clone()).expect("it is for the queue");
    let [Queued::Say(3, all)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((all.name.as_str(), all.data.as_deref()), ("AllData", Some(&b"data"[..])));
    let effects = queue.hears(&NoDisk, 2, status.clone()).expect("it is for the queue");
    let [Queued::Say(2, refused)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((refused.name.as_str(), refused.field("Code")), ("ProtocolError", Some("15")), "it is not bob's");
    let effects = queue.hears(&NoDisk, 3, message("RemoveRequest\nIdentifier=a\nEndMessage\n")).expect("it is for the queue");
    assert_eq!(queued(&effects), [(3, "PersistentRequestRemoved")]);
    assert_eq!(queue.arrives(4, "alice"), []);
    assert_eq!(queue.hears(&NoDisk, 4, message("RemoveRequest\nIdentifier=b\nEndMessage\n")), None, "it may be one of the connection");
}

#[test]
fn the_global_queue_is_heard_by_who_watches_it() {
    let mut queue = Queue::default();
    for (client, name) in [(1, "alice"), (2, "bob"), (3, "carol")] {
        assert_eq!(queue.arrives(client, name), []);
    }
    assert_eq!(queue.hears(&NoDisk, 2, message("WatchGlobal\nEnabled=true\nEndMessage\n")), Some(Vec::new()));
    let put = "ClientPut\nURI=KSK@x\nIdentifier=a\nGlobal=true\nPersistence=forever\nDataLength=5\nData\nhello";
    let effects = queue.hears(&NoDisk, 1, message(put)).expect("it is for the queue");
    assert!(matches!(effects[0], Queued::Keep(..)), "it is written down before anything is said");
    assert_eq!(queued(&effects), [(1, "PersistentPut"), (2, "PersistentPut")]);
    let Some(Queued::Start(task, _)) = effects.last() else { panic!("{effects:?}") };
    let said = queue.told(&NoDisk, *task, Progress::Own(Reply::Put(Uri::parse("KSK@x").expect("a URI"))));
    let [Queued::Say(2, word)] = &said[..] else { panic!("{said:?}") };
    assert_eq!((word.name.as_str(), word.field("Global")), ("URIGenerated", Some("true")));
    let refused =
        queue.hears(&NoDisk, 3, message("ClientGet\nURI=KSK@x\nIdentifier=b\nGlobal=true\nEndMessage\n")).expect("it is for the queue");
    let [Queued::Say(3, refused)] = &refused[..] else { panic!("{refused:?}") };
    assert_eq!(refused.field("Code"), Some("16"), "a global request is never one of a connection");
    let list = queue.hears(&NoDisk, 3, message("ListPersistentRequests\nEndMessage\n")).expect("it is for the queue");
    assert_eq!(queued(&list), [(3, "PersistentPut"), (3, "URIGenerated"), (3, "EndListPersistentRequests")]);
}

#[test]
fn what_lasts_forever_is_begun_again_until_its_end_is_written_down() {
    let mut queue = Queue::default();
    let _ = queue.arrives(1, "alice");
    let put = "ClientPut\nURI=KSK@x\nIdentifier=a\nPersistence=forever\nDataLength=5\nData\nhello";
    let effects = queue.hears(&NoDisk, 1, message(put)).expect("it is for the queue");
    let Queued::Keep(number, written) = &effects[0] else { panic!("{effects:?}") };
    let mut later = Queue::default();
    let mut begun = Vec::new();
    assert!(later.resume(&NoDisk, *number, written, &mut begun));
    let [Queued::Start(task, Request::Put { files, .. })] = &begun[..] else { panic!("{begun:?}") };
    assert_eq!(files[0].bytes.as_ref(), b"hello");
    let _ = later.told(&NoDisk, *task, Progress::Own(Reply::Put(Uri::parse("KSK@x").expect("a URI"))));
    let over = later.told(&NoDisk, *task, Progress::Done);
    let [Queued::Keep(kept, written)] = &over[..] else { panic!("{over:?}") };
    assert_eq!((kept, written.windows(5).any(|part| part == b"hello")), (number, false));
    let mut last = Queue::default();
    let mut begun = Vec::new();
    assert!(last.resume(&NoDisk, *number, written, &mut begun));
    assert_eq!(begun, []);
    assert_eq!(queued(&last.arrives(1, "alice")), [(1, "PersistentPut"), (1, "URIGenerated"), (1, "PutSuccessful")]);
    for broken in [&b""[..], b"X", b"ClientPut\nEndMessage\n", &written[..written.len() - 3]] {
        assert!(!Queue::default().resume(&NoDisk, 1, broken, &mut Vec::new()));
    }
}

/// The only thing that was said.
fn only(effects: &[Effect]) -> &Message {
    let [Effect::Say(message)] = effects else { panic!("{effects:?}") };
    message
}

#[test]
fn what_a_program_has_filtered_is_what_a_browser_would_be_given() {
    let filtered = |mime: &str, data: &str| {
        let text =
            format!("Filter\nIdentifier=f\nOperation=READ\nDataSource=DIRECT\nMimeType={mime}\nDataLength={}\nData\n{data}", data.len());
        only(&greeted().hears(&NoDisk, &message(&text))).clone()
    };
    let page = filtered("text/html", "<p onclick=evil()>hello<script src=//x></script>");
    assert_eq!(
        (page.name.as_str(), page.field("UnsafeContentType"), page.field("Charset")),
        ("FilterResult", Some("false"), Some("utf-8"))
    );
    let clean = String::from_utf8(page.data.expect("a page").to_vec()).expect("UTF-8");
    assert!(clean.contains("<p>hello</p>") && !clean.contains("evil") && !clean.contains("script"), "{clean}");
    let unsafe_one = filtered("application/pdf", "%PDF-1.4");
    assert_eq!((unsafe_one.field("UnsafeContentType"), unsafe_one.data.as_ref()), (Some("true"), None));
}

#[test]
fn a_subscription_looks_again_and_again_and_tells_what_is_new() {
    let site = "USK@YZSGVb5oI0SjOUKpiSKHi0PtVQMckFjLQmrW73fSxzA,AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8,AQAEAAE/site";
    let mut session = greeted();
    let effects = session.hears(&NoDisk, &message(&format!("SubscribeUSK\nURI={site}/0\nIdentifier=s\nEndMessage\n")));
    assert_eq!(said(&effects), [("SubscribedUSK", None), ("SubscribedUSKSendingToNetwork", None)]);
    let Some(&Effect::Start(task, Request::Newest { ref uri })) = effects.last() else { panic!("{effects:?}") };
    assert_eq!(uri, &format!("{site}/0"));
    let effects = session.told(&NoDisk, task, Progress::Own(Reply::Edition(3)));
    let update = only(&effects);
    assert_eq!((update.name.as_str(), update.field("Edition")), ("SubscribedUSKUpdate", Some("3")));
    assert_eq!(update.field("URI"), Some(format!("{site}/3").as_str()));
    // The longer there is nothing, the longer it waits.
    let mut waits = Vec::new();
    let mut round = session.told(&NoDisk, task, Progress::Done);
    for _ in 0..9 {
        let [Effect::Say(finished), Effect::Later(again, wait)] = &round[..] else { panic!("{round:?}") };
        assert_eq!((finished.name.as_str(), *again), ("SubscribedUSKRoundFinished", task));
        waits.push(wait.as_secs());
        let effects = session.woken(task);
        let [Effect::Say(_), Effect::Start(_, Request::Newest { uri })] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!(uri, &format!("{site}/4"));
        round = session.told(&NoDisk, task, Progress::Failed(Failure::NotFound(String::new())));
    }
    assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 600, 600]);
    let _ = session.told(&NoDisk, task, Progress::Own(Reply::Edition(4)));
    let round = session.told(&NoDisk, task, Progress::Done);
    assert_eq!(round.last(), Some(&Effect::Later(task, Span::from_secs(5))));
    let _ = session.hears(&NoDisk, &message("UnsubscribeUSK\nIdentifier=s\nEndMessage\n"));
    assert_eq!(session.woken(task), []);
}

/// A disk in memory, of which programs may use what is below `/in`.
#[derive(Default)]
struct Memory(RefCell<Map<String, Bytes>>);

impl Memory {
    fn holds(&self) -> Vec<String> {
        self.0.borrow().keys().cloned().collect()
    }
}

impl Disk for Memory {
    fn is_folder(&self, path: &str) -> Result<bool, DiskError> {
        if path.starts_with("/in") { Ok(path == "/in") } else { Err(DiskError::Denied) }
    }

    fn read(&self, path: &str, bytes_max: usize) -> Result<Bytes, DiskError> {
        let found = self.0.borrow().get(path).cloned().ok_or(DiskError::NotFound)?;
        if found.len() > bytes_max { Err(DiskError::TooLarge) } else { Ok(found) }
    }

    fn create(&self, path: &str, bytes: &[u8]) -> Result<(), DiskError> {
        match self.0.borrow_mut().entry(path.to_owned()) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(Bytes::copy_from_slice(bytes));
                Ok(())
            }
            std::collections::btree_map::Entry::Occupied(_) => Err(DiskError::Exists),
        }
    }

    fn remove(&self, path: &str) {
        self.0.borrow_mut().remove(path);
    }

    fn files(&self, folder: &str, _: usize) -> Result<Vec<String>, DiskError> {
        let below = format!("{folder}/");
        Ok(self.0.borrow().keys().filter_map(|path| path.strip_prefix(&below)).map(str::to_owned).collect())
    }
}

/// Has a program show that it can use a folder, or not.
fn tests_folder(session: &mut Session, disk: &Memory, honest: bool) -> Message {
    let wants = "WantReadDirectory=true\nWantWriteDirectory=true\n";
    let effects = session.hears(disk, &message(&format!("TestDDARequest\nDirectory=/in/\n{wants}EndMessage\n")));
    let reply = only(&effects).clone();
    let [ours, theirs, content] = ["ReadFilename", "WriteFilename", "ContentToWrite"].map(|field| reply.field(field).expect("a field"));
    let read = disk.read(ours, 1000).expect("it is there");
    let read = if honest { String::from_utf8(read.to_vec()).expect("text") } else { "guessed".into() };
    if honest {
        disk.create(theirs, content.as_bytes()).expect("there is room");
    }
    let effects = session.hears(disk, &message(&format!("TestDDAResponse\nDirectory=/in/\nReadContent={read}\nEndMessage\n")));
    disk.remove(theirs);
    only(&effects).clone()
}

#[test]
fn files_are_read_and_written_where_a_program_has_shown_that_it_can() {
    let disk = Memory::default();
    disk.create("/in/song.ogg", b"la la").expect("there is room");
    let mut session = greeted();
    let put = message("ClientPut\nURI=CHK@\nIdentifier=a\nUploadFrom=disk\nFilename=/in/song.ogg\nEndMessage\n");
    let get = message("ClientGet\nURI=KSK@x\nIdentifier=b\nReturnType=disk\nFilename=/in/new\nEndMessage\n");
    let complete = tests_folder(&mut session, &disk, false);
    assert_eq!((complete.field("ReadDirectoryAllowed"), complete.field("WriteDirectoryAllowed")), (Some("false"), Some("false")));
    for refused in [&put, &get] {
        assert_eq!(said(&session.hears(&disk, refused)), [("ProtocolError", Some("25"))]);
        assert!(session.refuses(&disk, refused).is_some());
    }
    let complete = tests_folder(&mut session, &disk, true);
    assert_eq!((complete.field("ReadDirectoryAllowed"), complete.field("WriteDirectoryAllowed")), (Some("true"), Some("true")));
    assert_eq!(disk.holds(), ["/in/song.ogg"], "what was made to show it is gone");
    let effects = session.hears(&disk, &put);
    let [Effect::Start(_, Request::Put { uri, files, .. })] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((uri.as_str(), files[0].bytes.as_ref(), files[0].mime.as_deref()), ("CHK@/song.ogg", &b"la la"[..], Some("audio/ogg")));
    let effects = session.hears(&disk, &get);
    let [Effect::Start(task, Request::Get { .. })] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(said(&session.told(&disk, *task, got(b"data"))), [("DataFound", None)]);
    assert_eq!(disk.read("/in/new", 100), Ok(Bytes::from_static(b"data")));
    assert_eq!(said(&session.hears(&disk, &get)), [("ProtocolError", Some("10"))], "nothing is written over");
    let missing = message("ClientPut\nURI=CHK@\nIdentifier=c\nUploadFrom=disk\nFilename=/in/none\nEndMessage\n");
    assert_eq!(said(&session.hears(&disk, &missing)), [("ProtocolError", Some("9"))]);
    let folder = message("ClientPutDiskDir\nURI=CHK@\nIdentifier=d\nFilename=/in\nDefaultName=new\nEndMessage\n");
    let effects = session.hears(&disk, &folder);
    let [Effect::Start(_, Request::Put { files, directory: Some(Some(_)), .. })] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["new", "song.ogg"]);
    // Elsewhere nothing is allowed, and no file is named with which it could be shown.
    let effects = session.hears(&disk, &message("TestDDARequest\nDirectory=/etc\nWantReadDirectory=true\nEndMessage\n"));
    assert_eq!((only(&effects).name.as_str(), only(&effects).field("ReadFilename")), ("TestDDAReply", None));
}

#[test]
fn who_knows_what_is_in_a_file_may_have_it_read() {
    let disk = Memory::default();
    disk.create("/in/song", b"la la").expect("there is room");
    // SHA-256 of the connection's name, the identifier and the content, with a hyphen between them.
    let check = |hash: &str, expected: bool| {
        let put = format!("ClientPut\nURI=CHK@\nIdentifier=a\nUploadFrom=disk\nFilename=/in/song\nFileHash={hash}\nEndMessage\n");
        assert_eq!(matches!(greeted().hears(&disk, &message(&put))[..], [Effect::Start(..)]), expected);
    };
    let hash = hexad_freenet::keys::sha256(&[b"07070707070707070707070707070707-a-la la"]);
    check(&data_encoding::BASE64.encode(&hash), true);
    check(&data_encoding::BASE64.encode(&[0; 32]), false);
}
