//! FCP as a program sees it: a conversation with a session, the node's part played by hand.

use bytes::{Bytes, BytesMut};
use hexad_core::{Failure, Progress};
use hexad_freenet::fcp::{Codec, Effect, Message, Queue, Queued, Session};
use hexad_freenet::keys::Uri;
use hexad_freenet::{Counts, Reply, Request};

/// A session that has been greeted.
fn greeted() -> Session {
    let mut session = Session::new([7; 16]);
    let effects = session.hears(message("ClientHello\nName=test\nExpectedVersion=2.0\nEndMessage\n"));
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
    let effects = Session::new([0; 16]).hears(message("Void\nEndMessage\n"));
    assert_eq!(said(&effects), [("ProtocolError", Some("1"))]);
    assert_eq!(effects.last(), Some(&Effect::Close));
    let mut session = greeted();
    assert_eq!(said(&session.hears(message("ClientHello\nName=x\nExpectedVersion=2.0\nEndMessage\n"))), [("ProtocolError", Some("2"))]);
    assert_eq!(said(&session.hears(message("Nonsense\nEndMessage\n"))), [("ProtocolError", Some("7"))]);
    assert_eq!(session.hears(message("Void\nEndMessage\n")), []);
}

#[test]
fn a_put_tells_its_key_and_then_its_success() {
    let mut session = greeted();
    let put = "ClientPut\nURI=CHK@\nIdentifier=a\nMetadata.ContentType=text/plain\nVerbosity=1\nDataLength=5\nData\nhello";
    let effects = session.hears(message(put));
    let [Effect::Start(task, Request::Put { uri, files, directory: None, key_only: false })] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((uri.as_str(), files[0].bytes.as_ref(), files[0].mime.as_deref()), ("CHK@", &b"hello"[..], Some("text/plain")));
    assert_eq!(said(&session.hears(message(put))), [("IdentifierCollision", None)]);
    let key = Uri::parse("KSK@x").expect("a URI");
    assert_eq!(said(&session.told(*task, Progress::Own(Reply::Put(key)))), [("URIGenerated", None)]);
    let counts = Counts { total: 3, required: 3, succeeded: 2, failed: 0, is_final: true };
    let effects = session.told(*task, Progress::Own(Reply::Counted(counts)));
    let [Effect::Say(progress)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((progress.name.as_str(), progress.field("Total"), progress.field("Succeeded")), ("SimpleProgress", Some("3"), Some("2")));
    assert_eq!(said(&session.told(*task, Progress::Done)), [("PutSuccessful", None)]);
    assert_eq!(session.told(*task, Progress::Done), [], "nothing is said after the end");
}

#[test]
fn a_get_brings_its_data_or_says_why_not() {
    let mut session = greeted();
    let effects = session.hears(message("ClientGet\nURI=freenet:KSK@x\nIdentifier=b\nReturnType=direct\nEndMessage\n"));
    let [Effect::Start(task, Request::Get { uri, retries: 0, .. })] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(uri, "KSK@x");
    let counts = Counts { total: 1, required: 1, succeeded: 1, failed: 0, is_final: true };
    assert_eq!(session.told(*task, Progress::Own(Reply::Counted(counts))), [], "it did not ask to hear of it");
    let got = Reply::Got { uri: Uri::parse("KSK@x").expect("a URI"), mime: Some("text/html".into()), bytes: Bytes::from_static(b"data") };
    let effects = session.told(*task, Progress::Own(got));
    assert_eq!(said(&effects), [("DataFound", None), ("AllData", None)]);
    let Effect::Say(all) = &effects[1] else { panic!("data") };
    assert_eq!((all.field("DataLength"), all.field("Metadata.ContentType")), (Some("4"), Some("text/html")));
    let effects = session.hears(message("ClientGet\nURI=KSK@y\nIdentifier=c\nEndMessage\n"));
    let [Effect::Start(task, _)] = &effects[..] else { panic!("{effects:?}") };
    let effects = session.told(*task, Progress::Failed(Failure::NotFound("hops-to-live ran out".into())));
    assert_eq!(said(&effects), [("GetFailed", Some("13"))]);
}

#[test]
fn what_cannot_be_asked_is_refused_with_the_number_that_programs_know() {
    let check = |text: &str, expected: (&str, Option<&str>)| {
        let effects = greeted().hears(message(text));
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
    check("ListPeers\nEndMessage\n", ("EndListPeers", None));
    let clash = "ClientPutComplexDir\nURI=CHK@\nIdentifier=a\nFiles.0.Name=a\nFiles.0.DataLength=0\nFiles.1.Name=a/b\nFiles.1.DataLength=0\nEndMessage\n";
    check(clash, ("ProtocolError", Some("7")));
}

#[test]
fn a_directory_comes_with_its_files_one_behind_the_other() {
    let text = "ClientPutComplexDir\nURI=CHK@\nIdentifier=a\nDefaultName=index.html\nFiles.0.Name=index.html\nFiles.0.DataLength=2\nFiles.1.Name=b/c\nFiles.1.UploadFrom=redirect\nFiles.1.TargetURI=KSK@z\nFiles.2.Name=d\nFiles.2.DataLength=3\nData\nabcde";
    let effects = greeted().hears(message(text));
    let [Effect::Start(_, Request::Put { files, directory: Some(Some(default)), .. })] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(default, "index.html");
    let seen: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.bytes.as_ref(), file.redirect.as_deref())).collect();
    assert_eq!(seen, [("index.html", &b"ab"[..], None), ("b/c", b"", Some("KSK@z")), ("d", b"cde", None)]);
}

#[test]
fn requests_of_a_connection_end_with_it() {
    let mut session = greeted();
    let _ = session.hears(message("GenerateSSK\nIdentifier=k\nEndMessage\n"));
    let _ = session.hears(message("ClientGet\nURI=KSK@y\nIdentifier=c\nEndMessage\n"));
    assert_eq!(session.ends(), [Effect::Cancel(1), Effect::Cancel(2)]);
    assert_eq!(session.hears(message("Void\nEndMessage\n")), []);
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
    let effects = queue.hears(1, get.clone()).expect("it is for the queue");
    assert_eq!(queued(&effects), [(1, "PersistentGet")]);
    let Some(Queued::Start(task, Request::Get { .. })) = effects.last() else { panic!("{effects:?}") };
    assert_eq!(queued(&queue.hears(1, get).expect("it is for the queue")), [(1, "IdentifierCollision")]);
    queue.leaves(1);
    assert_eq!(queue.told(*task, got(b"data")), [], "nobody is there");
    assert_eq!(queue.arrives(2, "bob"), []);
    let effects = queue.arrives(3, "alice");
    assert_eq!(queued(&effects), [(3, "PersistentGet"), (3, "DataFound")]);
    let Queued::Say(_, echo) = &effects[0] else { panic!("an echo") };
    assert_eq!((echo.field("ClientToken"), echo.field("Global"), echo.field("Persistence")), (Some("blue"), Some("false"), Some("reboot")));
    let status = message("GetRequestStatus\nIdentifier=a\nOnlyData=true\nEndMessage\n");
    let effects = queue.hears(3, status.clone()).expect("it is for the queue");
    let [Queued::Say(3, all)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((all.name.as_str(), all.data.as_deref()), ("AllData", Some(&b"data"[..])));
    let effects = queue.hears(2, status.clone()).expect("it is for the queue");
    let [Queued::Say(2, refused)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((refused.name.as_str(), refused.field("Code")), ("ProtocolError", Some("15")), "it is not bob's");
    let effects = queue.hears(3, message("RemoveRequest\nIdentifier=a\nEndMessage\n")).expect("it is for the queue");
    assert_eq!(queued(&effects), [(3, "PersistentRequestRemoved")]);
    assert_eq!(queue.arrives(4, "alice"), []);
    assert_eq!(queue.hears(4, message("RemoveRequest\nIdentifier=b\nEndMessage\n")), None, "it may be one of the connection");
}

#[test]
fn the_global_queue_is_heard_by_who_watches_it() {
    let mut queue = Queue::default();
    for (client, name) in [(1, "alice"), (2, "bob"), (3, "carol")] {
        assert_eq!(queue.arrives(client, name), []);
    }
    assert_eq!(queue.hears(2, message("WatchGlobal\nEnabled=true\nEndMessage\n")), Some(Vec::new()));
    let put = "ClientPut\nURI=KSK@x\nIdentifier=a\nGlobal=true\nPersistence=forever\nDataLength=5\nData\nhello";
    let effects = queue.hears(1, message(put)).expect("it is for the queue");
    assert!(matches!(effects[0], Queued::Keep(..)), "it is written down before anything is said");
    assert_eq!(queued(&effects), [(1, "PersistentPut"), (2, "PersistentPut")]);
    let Some(Queued::Start(task, _)) = effects.last() else { panic!("{effects:?}") };
    let said = queue.told(*task, Progress::Own(Reply::Put(Uri::parse("KSK@x").expect("a URI"))));
    let [Queued::Say(2, word)] = &said[..] else { panic!("{said:?}") };
    assert_eq!((word.name.as_str(), word.field("Global")), ("URIGenerated", Some("true")));
    let refused = queue.hears(3, message("ClientGet\nURI=KSK@x\nIdentifier=b\nGlobal=true\nEndMessage\n")).expect("it is for the queue");
    let [Queued::Say(3, refused)] = &refused[..] else { panic!("{refused:?}") };
    assert_eq!(refused.field("Code"), Some("16"), "a global request is never one of a connection");
    let list = queue.hears(3, message("ListPersistentRequests\nEndMessage\n")).expect("it is for the queue");
    assert_eq!(queued(&list), [(3, "PersistentPut"), (3, "URIGenerated"), (3, "EndListPersistentRequests")]);
}

#[test]
fn what_lasts_forever_is_begun_again_until_its_end_is_written_down() {
    let mut queue = Queue::default();
    let _ = queue.arrives(1, "alice");
    let put = "ClientPut\nURI=KSK@x\nIdentifier=a\nPersistence=forever\nDataLength=5\nData\nhello";
    let effects = queue.hears(1, message(put)).expect("it is for the queue");
    let Queued::Keep(number, written) = &effects[0] else { panic!("{effects:?}") };
    let mut later = Queue::default();
    let mut begun = Vec::new();
    assert!(later.resume(*number, written, &mut begun));
    let [Queued::Start(task, Request::Put { files, .. })] = &begun[..] else { panic!("{begun:?}") };
    assert_eq!(files[0].bytes.as_ref(), b"hello");
    let _ = later.told(*task, Progress::Own(Reply::Put(Uri::parse("KSK@x").expect("a URI"))));
    let over = later.told(*task, Progress::Done);
    let [Queued::Keep(kept, written)] = &over[..] else { panic!("{over:?}") };
    assert_eq!((kept, written.windows(5).any(|part| part == b"hello")), (number, false));
    let mut last = Queue::default();
    let mut begun = Vec::new();
    assert!(last.resume(*number, written, &mut begun));
    assert_eq!(begun, []);
    assert_eq!(queued(&last.arrives(1, "alice")), [(1, "PersistentPut"), (1, "URIGenerated"), (1, "PutSuccessful")]);
    for broken in [&b""[..], b"X", b"ClientPut\nEndMessage\n", &written[..written.len() - 3]] {
        assert!(!Queue::default().resume(1, broken, &mut Vec::new()));
    }
}
