//! Five nodes: what one inserts another reads, under every kind of key; and what is refused.

use bytes::Bytes;
use hexad_core::{Address as _, Failure, Operation, Progress, Span};
use hexad_freenet::keys::{Uri, UriError};
use hexad_freenet::{Freenet, PutFile, Reply, Request, Settings};
use hexad_lab::{Lab, LabConfig, NodeIndex};

struct Five {
    lab: Lab<Freenet<u32>>,
}

impl Five {
    fn new() -> Self {
        let mut lab = Lab::<Freenet<u32>>::new(LabConfig { codec: true, ..LabConfig::default() });
        let settings = Settings { listen: Some(std::net::SocketAddr::from(([0, 0, 0, 0], 6881))), ..Settings::default() };
        for node in 0..5 {
            let index = lab.add_node(settings.clone().into());
            let bootstrap = (0..node).map(hexad_core::Endpoint::of_lab_node).collect();
            let op = lab.start(index, Operation::Join { bootstrap });
            let until = lab.now() + Span::from_secs(60);
            assert!(lab.run_while(|lab| !lab.is_done(index, op), until), "node {node} joins");
            lab.run_for(Span::from_secs(2));
        }
        Self { lab }
    }

    fn does(&mut self, node: u32, request: Request) -> Result<Reply, Failure> {
        let node = NodeIndex(node);
        let op = self.lab.start(node, Operation::Own(request));
        let until = self.lab.now() + Span::from_secs(600);
        assert!(self.lab.run_while(|lab| lab.outcome(node, op).is_none(), until), "everything ends");
        if let Some(Progress::Failed(failure)) = self.lab.outcome(node, op).map(|report| report.progress.clone()) {
            return Err(failure);
        }
        let own = |report: &hexad_lab::Report<Reply>| match &report.progress {
            Progress::Own(reply) if report.op == op => Some(reply.clone()),
            _ => None,
        };
        Ok(self.lab.reports(node).iter().rev().find_map(own).expect("a reply"))
    }

    fn puts(&mut self, uri: &str, files: Vec<PutFile>, directory: Option<Option<String>>) -> Result<Uri, Failure> {
        match self.does(0, Request::Put { uri: uri.into(), files, directory, key_only: false })? {
            Reply::Put(uri) => Ok(uri),
            other => panic!("{other:?}"),
        }
    }

    fn put(&mut self, uri: &str, text: &[u8], mime: Option<&str>) -> Result<Uri, Failure> {
        self.puts(uri, vec![file("", text, mime)], None)
    }

    fn get(&mut self, uri: &str) -> Result<(Vec<u8>, Option<String>), Failure> {
        match self.does(4, Request::Get { uri: uri.into(), bytes_max: 10 << 20 })? {
            Reply::Got { mime, bytes, .. } => Ok((bytes.to_vec(), mime)),
            other => panic!("{other:?}"),
        }
    }
}

fn file(path: &str, text: &[u8], mime: Option<&str>) -> PutFile {
    PutFile { path: path.into(), mime: mime.map(str::to_owned), bytes: Bytes::copy_from_slice(text), redirect: None }
}

fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    hexad_core::Dice::counter(length as u64, 0).fill(&mut bytes);
    bytes
}

#[test]
fn content_comes_back_by_its_hash() {
    let mut five = Five::new();
    let uri = five.put("CHK@", b"hello world\n", None).expect("it is inserted");
    let hyphanets = "CHK@~GApxRFoAFNJpFLk8WV98x2vRr3COCuYI2hF4kTjU5Q,d04hPzyxaD4fvZjmF6IczuS~QaABLDZP532nRktA3v0,AAMA--8";
    assert_eq!(uri.to_string(), hyphanets, "the key that Hyphanet gives it");
    assert_eq!(five.get(hyphanets), Ok((b"hello world\n".to_vec(), None)));
    for length in [0, 1, 32 << 10, (32 << 10) + 1, 300_000, 5_000_000] {
        let text = noise(length);
        let uri = five.put("CHK@/x.bin", &text, Some("image/png")).expect("it is inserted");
        assert_eq!(uri.path, ["x.bin"]);
        assert_eq!(five.get(&uri.to_string()), Ok((text, Some("image/png".into()))), "{length} bytes");
    }
    let unknown = hyphanets.replace("~GApx", "~GApy");
    assert!(matches!(five.get(&unknown), Err(Failure::NotFound(_))));
    assert_eq!(five.lab.tally().codec_differences + five.lab.tally().malformed, 0);
}

#[test]
fn words_lead_to_what_was_there_first() {
    let mut five = Five::new();
    five.put("KSK@greeting", b"hello", None).expect("it is inserted");
    assert_eq!(five.get("KSK@greeting"), Ok((b"hello".to_vec(), None)));
    five.put("KSK@greeting", b"hello", None).expect("the same again is no collision");
    assert!(matches!(five.put("KSK@greeting", b"other", None), Err(Failure::Refused(_))));
    let long = noise(100_000);
    five.put("KSK@long", &long, None).expect("it is inserted");
    assert_eq!(five.get("KSK@long"), Ok((long, None)));
    let pointer = PutFile { redirect: Some("KSK@greeting".into()), ..file("", b"", None) };
    five.puts("KSK@pointer", vec![pointer], None).expect("it is inserted");
    assert_eq!(five.get("KSK@pointer"), Ok((b"hello".to_vec(), None)));
}

#[test]
fn a_site_has_editions_and_readers_find_the_newest() {
    let mut five = Five::new();
    let Ok(Reply::KeyPair(pair)) = five.does(0, Request::MakeKey) else { panic!("a key pair") };
    let private = pair.0.to_string();
    let site = private.trim_end_matches('/').replace("SSK@", "USK@");
    let first = five.put(&format!("{site}/site/0"), b"first", None).expect("it is inserted");
    assert!(!first.is_insert(), "what is told only reads");
    let second = five.put(&format!("{site}/site/0"), b"second", None).expect("it is inserted");
    assert_eq!((first.edition, second.edition), (Some(0), Some(1)), "a collision leads to the next edition");
    let third = five.put(&format!("{site}/site/2"), b"third", None).expect("it is inserted");
    assert_eq!(five.get(&first.to_string()), Ok((b"first".to_vec(), None)));
    let search = third.to_string().replace("/site/2", "/site/-1");
    assert_eq!(five.get(&search), Ok((b"third".to_vec(), None)), "a negative edition looks for the newest");
    let document = format!("{}report", private);
    let public = five.put(&document, b"signed", None).expect("it is inserted");
    assert_eq!(five.get(&public.to_string()), Ok((b"signed".to_vec(), None)));
    assert!(matches!(five.get(&document), Err(Failure::Unusable(_))), "a private key is none to ask with");
    assert!(matches!(public.insert(), Err(UriError::Unusable(_))));
}

#[test]
fn a_directory_has_files_by_their_paths_and_one_that_stands_for_it() {
    let mut five = Five::new();
    let files = vec![
        file("index.html", b"<p>here</p>", Some("text/html")),
        file("sub/small.txt", b"small", None),
        file("sub/large.bin", &noise(200_000), None),
    ];
    let uri = five.puts("CHK@", files, Some(Some("index.html".into()))).expect("it is inserted").to_string();
    assert_eq!(five.get(&uri), Ok((b"<p>here</p>".to_vec(), Some("text/html".into()))));
    assert_eq!(five.get(&format!("{uri}/sub/small.txt")), Ok((b"small".to_vec(), None)));
    assert_eq!(five.get(&format!("{uri}/sub/large.bin")).map(|(bytes, _)| bytes), Ok(noise(200_000)));
    assert_eq!(five.get(&format!("{uri}/missing")), Err(Failure::NotFound("can't find missing".into())));
    let clash = vec![file("a", b"", None), file("a/b", b"", None)];
    assert!(matches!(five.puts("CHK@", clash, Some(None)), Err(Failure::Unusable(_))));
}

#[test]
fn what_was_inserted_outlives_the_inserter_and_lost_blocks() {
    let mut five = Five::new();
    let text = noise(1_000_000);
    let uri = five.put("CHK@", &text, None).expect("it is inserted").to_string();
    five.lab.kill(NodeIndex(0), hexad_lab::Death::Crash);
    five.lab.kill(NodeIndex(1), hexad_lab::Death::Crash);
    assert_eq!(five.get(&uri).map(|(bytes, _)| bytes == text), Ok(true));
}
