//! Five nodes: what one inserts another reads, under every kind of key; and what is refused.

use bytes::Bytes;
use hexad_core::{Address as _, Failure, Operation, Progress, Span};
use hexad_freenet::keys::{Uri, UriError};
use hexad_freenet::{Freenet, PutFile, Reply, Request, Settings};
use hexad_lab::{Lab, LabConfig, NodeIndex};

/// A few nodes, of which the first inserts and the last asks.
pub(super) struct Few {
    pub(super) lab: Lab<Freenet<u32>>,
    last: u32,
}

impl Few {
    fn new() -> Self {
        Self::of(5, LabConfig { codec: true, ..LabConfig::default() })
    }

    pub(super) fn of(nodes: u32, config: LabConfig) -> Self {
        let mut lab = Lab::<Freenet<u32>>::new(config);
        let settings = Settings { listen: Some(std::net::SocketAddr::from(([0, 0, 0, 0], 6881))), ..Settings::default() };
        for node in 0..nodes {
            let index = lab.add_node(settings.clone().into());
            let bootstrap = (0..node).map(hexad_core::Endpoint::of_lab_node).collect();
            let op = lab.start(index, Operation::Join { bootstrap });
            let until = lab.now() + Span::from_secs(60);
            assert!(lab.run_while(|lab| !lab.is_done(index, op), until), "node {node} joins");
            lab.run_for(Span::from_secs(2));
        }
        Self { lab, last: nodes - 1 }
    }

    pub(super) fn does(&mut self, node: u32, request: Request) -> Result<Reply, Failure> {
        let node = NodeIndex(node);
        let op = self.lab.start(node, Operation::Own(request));
        let until = self.lab.now() + Span::from_secs(3600);
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
        match self.does(0, Request::Put { uri: uri.into(), files, directory, key_only: false, metadata_max: 0 })? {
            Reply::Put(uri) => Ok(uri),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn put(&mut self, uri: &str, text: &[u8], mime: Option<&str>) -> Result<Uri, Failure> {
        self.puts(uri, vec![file("", text, mime)], None)
    }

    fn get(&mut self, uri: &str) -> Result<(Vec<u8>, Option<String>), Failure> {
        self.get_trying(uri, 0)
    }

    pub(super) fn get_trying(&mut self, uri: &str, retries: u32) -> Result<(Vec<u8>, Option<String>), Failure> {
        match self.does(self.last, Request::Get { uri: uri.into(), bytes_max: 10 << 20, retries })? {
            Reply::Got { mime, bytes, .. } => Ok((bytes.to_vec(), mime)),
            other => panic!("{other:?}"),
        }
    }
}

fn file(path: &str, text: &[u8], mime: Option<&str>) -> PutFile {
    PutFile { path: path.into(), mime: mime.map(str::to_owned), bytes: Bytes::copy_from_slice(text), redirect: None }
}

pub(super) fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    hexad_core::Dice::counter(length as u64, 0).fill(&mut bytes);
    bytes
}

#[test]
fn content_comes_back_by_its_hash() {
    let mut few = Few::new();
    let uri = few.put("CHK@", b"hello world\n", None).expect("it is inserted");
    let hyphanets = "CHK@~GApxRFoAFNJpFLk8WV98x2vRr3COCuYI2hF4kTjU5Q,d04hPzyxaD4fvZjmF6IczuS~QaABLDZP532nRktA3v0,AAMA--8";
    assert_eq!(uri.to_string(), hyphanets, "the key that Hyphanet gives it");
    assert_eq!(few.get(hyphanets), Ok((b"hello world\n".to_vec(), None)));
    for length in [0, 1, 32 << 10, (32 << 10) + 1, 300_000, 5_000_000] {
        let text = noise(length);
        let uri = few.put("CHK@/x.bin", &text, Some("image/png")).expect("it is inserted");
        assert_eq!(uri.path, ["x.bin"]);
        assert_eq!(few.get(&uri.to_string()), Ok((text, Some("image/png".into()))), "{length} bytes");
    }
    let unknown = hyphanets.replace("~GApx", "~GApy");
    assert!(matches!(few.get(&unknown), Err(Failure::NotFound(_))));
    assert_eq!(few.lab.tally().codec_differences + few.lab.tally().malformed, 0);
}

#[test]
fn words_lead_to_what_was_there_first() {
    let mut few = Few::new();
    few.put("KSK@greeting", b"hello", None).expect("it is inserted");
    assert_eq!(few.get("KSK@greeting"), Ok((b"hello".to_vec(), None)));
    few.put("KSK@greeting", b"hello", None).expect("the same again is no collision");
    assert!(matches!(few.put("KSK@greeting", b"other", None), Err(Failure::Refused(_))));
    let long = noise(100_000);
    few.put("KSK@long", &long, None).expect("it is inserted");
    assert_eq!(few.get("KSK@long"), Ok((long, None)));
    let pointer = PutFile { redirect: Some("KSK@greeting".into()), ..file("", b"", None) };
    few.puts("KSK@pointer", vec![pointer], None).expect("it is inserted");
    assert_eq!(few.get("KSK@pointer"), Ok((b"hello".to_vec(), None)));
}

#[test]
fn a_site_has_editions_and_readers_find_the_newest() {
    let mut few = Few::new();
    let Ok(Reply::KeyPair(pair)) = few.does(0, Request::MakeKey) else { panic!("a key pair") };
    let private = pair.0.to_string();
    let site = private.trim_end_matches('/').replace("SSK@", "USK@");
    let first = few.put(&format!("{site}/site/0"), b"first", None).expect("it is inserted");
    assert!(!first.is_insert(), "what is told only reads");
    let second = few.put(&format!("{site}/site/0"), b"second", None).expect("it is inserted");
    assert_eq!((first.edition, second.edition), (Some(0), Some(1)), "a collision leads to the next edition");
    let third = few.put(&format!("{site}/site/2"), b"third", None).expect("it is inserted");
    assert_eq!(few.get(&first.to_string()), Ok((b"first".to_vec(), None)));
    let search = third.to_string().replace("/site/2", "/site/-1");
    assert_eq!(few.get(&search), Ok((b"third".to_vec(), None)), "a negative edition looks for the newest");
    let document = format!("{}report", private);
    let public = few.put(&document, b"signed", None).expect("it is inserted");
    assert_eq!(few.get(&public.to_string()), Ok((b"signed".to_vec(), None)));
    assert!(matches!(few.get(&document), Err(Failure::Unusable(_))), "a private key is none to ask with");
    assert!(matches!(public.insert(), Err(UriError::Unusable(_))));
}

#[test]
fn a_directory_has_files_by_their_paths_and_one_that_stands_for_it() {
    let mut few = Few::new();
    let files = vec![
        file("index.html", b"<p>here</p>", Some("text/html")),
        file("sub/small.txt", b"small", None),
        file("sub/large.bin", &noise(200_000), None),
    ];
    let uri = few.puts("CHK@", files, Some(Some("index.html".into()))).expect("it is inserted").to_string();
    assert_eq!(few.get(&uri), Ok((b"<p>here</p>".to_vec(), Some("text/html".into()))));
    assert_eq!(few.get(&format!("{uri}/sub/small.txt")), Ok((b"small".to_vec(), None)));
    assert_eq!(few.get(&format!("{uri}/sub/large.bin")).map(|(bytes, _)| bytes), Ok(noise(200_000)));
    assert_eq!(few.get(&format!("{uri}/missing")), Err(Failure::NotFound("can't find missing".into())));
    let clash = vec![file("a", b"", None), file("a/b", b"", None)];
    assert!(matches!(few.puts("CHK@", clash, Some(None)), Err(Failure::Unusable(_))));
}

#[test]
fn what_was_inserted_outlives_the_inserter_and_lost_blocks() {
    let mut few = Few::new();
    let text = noise(1_000_000);
    let uri = few.put("CHK@", &text, None).expect("it is inserted").to_string();
    few.lab.kill(NodeIndex(0), hexad_lab::Death::Crash);
    few.lab.kill(NodeIndex(1), hexad_lab::Death::Crash);
    assert_eq!(few.get(&uri).map(|(bytes, _)| bytes == text), Ok(true));
}
