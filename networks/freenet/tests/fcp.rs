//! FCP as a program sees it: a conversation with a session, the node's part played by hand.

use bytes::{Bytes, BytesMut};
use hexad_core::{Failure, Progress};
use hexad_freenet::fcp::{Codec, Effect, Message, Session};
use hexad_freenet::keys::Uri;
use hexad_freenet::{Reply, Request};

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
    let effects = session.told(*task, Progress::Done);
    assert_eq!(said(&effects), [("SimpleProgress", None), ("PutSuccessful", None)]);
    assert_eq!(session.told(*task, Progress::Done), [], "nothing is said after the end");
}

#[test]
fn a_get_brings_its_data_or_says_why_not() {
    let mut session = greeted();
    let effects = session.hears(message("ClientGet\nURI=freenet:KSK@x\nIdentifier=b\nReturnType=direct\nEndMessage\n"));
    let [Effect::Start(task, Request::Get { uri, .. })] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(uri, "KSK@x");
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
