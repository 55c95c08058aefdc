//! Freenet: frames, URIs, documents, and a node that hears anything.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hexad_content::{Digest, Layout, Proof, Ranges, Sha1Digest};
use hexad_core::transcript::Transcript;
use hexad_core::{
    Answer, ConnId, CpuResult, Dice, Endpoint, Failure, Input, LeaseId, Link, Map, OpId, Operation, Output, Payload, Progress, Query,
    Share, ShareId, Source, Span, Ticket, Verdict, Via, What, Why,
};
use hexad_freenet::document::Document;
use hexad_freenet::fcp::{self, Codec, Effect, NoDisk, Queue, Session};
use hexad_freenet::gateway::{self, Asked};
use hexad_freenet::keys::{ClientChk, Uri, ksk};
use hexad_freenet::wire::{CELL_BYTES, Found, Inquiry, Message, read, write};
use hexad_freenet::{Config, FriendChange, Invitation, InvitationWanted, Mode, Node, PutFile, Request, Settings, Tuning, doors};

/// A frame, padded to its cell; what can be read is written so that it is read as the same.
pub fn freenet_wire(bytes: &[u8]) {
    let Some((&cell, rest)) = bytes.split_first() else { return };
    let length = CELL_BYTES[usize::from(cell % 3)];
    let mut frame = vec![cell % 3];
    frame.extend_from_slice(rest);
    frame.resize(length, 0);
    if let Ok(message) = read::<Endpoint>(&frame)
        && !matches!(message, Message::Unknown(_))
    {
        let mut out = BytesMut::new();
        write(&message, &mut out);
        assert_eq!(read(&out), Ok(message), "what is read is written so that it is read as the same");
    }
}

/// A URI as text, and a document.
pub fn freenet_texts(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(invitation) = text.parse::<Invitation>()
    {
        assert_eq!(invitation.to_string().parse(), Ok(invitation), "what is read is written so that it is read as the same");
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(uri) = Uri::parse(text)
    {
        assert_eq!(Uri::parse(&uri.to_string()), Ok(uri.clone()), "what is read is written so that it is read as the same");
        let _ = (uri.chk(), uri.request(), uri.insert(), uri.public());
    }
    if let Ok(document) = Document::read(bytes) {
        assert_eq!(Document::read(&document.write()), Ok(document.clone()), "what is read is written so that it is read as the same");
        let _ = document.layout();
    }
}

/// What a program says by FCP, whole or byte by byte, to its session and to what outlives it.
pub fn freenet_fcp(bytes: &[u8]) {
    let said = fcp_messages(bytes, bytes.len().max(1));
    assert_eq!(fcp_messages(bytes, 1), said, "it does not matter how the bytes come");
    let (messages, garbled) = said;
    let mut session = Session::new([7; 16], Arc::default());
    let _ = session.hears(&NoDisk, &fcp::Message::new("ClientHello").with("Name", "fuzz").with("ExpectedVersion", "2.0"));
    let mut queue = Queue::default();
    let _ = queue.arrives(1, "fuzz");
    for message in messages {
        for (number, effect) in session.hears(&NoDisk, &message).into_iter().enumerate() {
            if let Effect::Start(task, _) = effect {
                let failure = Failure::NotFound("nobody has it".into());
                let _ = session.told(&NoDisk, task, if number % 2 == 0 { Progress::Done } else { Progress::Failed(failure) });
            }
        }
        if Queue::is_for(&message) {
            let _ = queue.hears(&NoDisk, 1, message);
        }
    }
    if garbled {
        let _ = session.garbled();
    }
    let _ = session.ends(&NoDisk);
    queue.leaves(1);
}

/// The messages of a stream that comes in pieces of so many bytes, and whether it became none.
fn fcp_messages(bytes: &[u8], each: usize) -> (Vec<fcp::Message>, bool) {
    let (mut codec, mut input, mut messages) = (Codec::default(), BytesMut::new(), Vec::new());
    for piece in bytes.chunks(each) {
        input.extend_from_slice(piece);
        loop {
            match codec.decode(&mut input) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(_) => return (messages, true),
            }
        }
    }
    (messages, false)
}

/// What the gateway makes of a path, of any content under any type, and of a range.
pub fn freenet_gateway(bytes: &[u8]) {
    const TYPES: [&str; 10] = [
        "text/html",
        "text/css",
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "image/bmp",
        "text/plain; charset=iso-8859-1",
        "audio/mpegurl",
        // Sounds and films are what they are.
        "application/octet-stream",
    ];
    let Some((&kind, rest)) = bytes.split_first() else { return };
    if kind >= 128 {
        if let Ok(target) = std::str::from_utf8(rest) {
            let _ = (gateway::asked(target), gateway::is_our_host(target));
        }
        return;
    }
    let Asked::Key(want) = gateway::asked("/KSK@page") else { return };
    let mime = TYPES[usize::from(kind % 10)];
    let show = |bytes: &Bytes| gateway::found(&want, &want.uri, Some(mime), bytes);
    let page = show(&Bytes::copy_from_slice(rest));
    if page.status == 200 && mime != "text/html" && !mime.starts_with("text/plain") {
        let again = show(&page.body);
        assert_eq!((again.status, &again.body), (200, &page.body), "what has passed the filter passes it as it is");
    }
    if mime == "text/html" {
        let body = std::str::from_utf8(&page.body).expect("a page is UTF-8");
        let style = body.split("<style>").nth(1).and_then(|rest| rest.split("</style>").next()).expect("a page has styles");
        assert!(!style.contains('<'), "nothing ends the styles before their end");
    }
    let range = rest.get(..16).and_then(|text| std::str::from_utf8(text).ok());
    let _ = page.part(range);
}

fn peer(number: u8) -> Endpoint {
    Endpoint::Key([number % 8 + 1; 32], SocketAddr::from(([10, 0, 0, number % 8 + 1], 6881)))
}

fn share() -> Share {
    let layout = Arc::new(Layout::single("blue.ogg".into(), 100_000).expect("a small file fits a layout"));
    let hashes: Arc<[Sha1Digest]> = vec![Sha1Digest([1; 20]), Sha1Digest([2; 20])].into();
    Share {
        layout,
        digests: [Digest::TorrentV1(Sha1Digest([1; 20]))].into_iter().collect(),
        proof: Some(Proof::V1Pieces { piece_bytes: 1 << 16, total_bytes: 100_000, hashes }),
        held: Ranges::of(0..100_000),
        torrent: Bytes::new(),
    }
}

struct Table {
    node: Transcript<Node<Endpoint>>,
    /// Operations that have not ended; whether they last.
    open: Map<OpId, bool>,
    asked: Vec<Ticket>,
    conns: Vec<ConnId>,
    /// Walks that the node has handed on: over what, and their names.
    walks: Vec<(ConnId, u64)>,
    last_op: u64,
}

impl Table {
    fn hear(&mut self, input: hexad_core::Inbound<Node<Endpoint>>) {
        let said = self.node.hears(input);
        self.listen(said);
    }

    fn listen(&mut self, said: Vec<hexad_core::Outbound<Node<Endpoint>>>) {
        assert!(said.len() < 5000, "one input does not set off a storm: {}", said.len());
        for output in said {
            match output {
                Output::Report(op, progress) => {
                    assert!(self.open.contains_key(&op), "nothing is reported after the end: {progress:?}");
                    let over = matches!(progress, Progress::Failed(_) | Progress::Ended);
                    if over || (matches!(progress, Progress::Done) && !self.open[&op]) {
                        self.open.remove(&op);
                    }
                }
                Output::Open(conn, ..) => self.conns.push(conn),
                Output::Close(conn, _) => self.conns.retain(|other| *other != conn),
                Output::Ask(ticket, _) => self.asked.push(ticket),
                Output::Send(Link::Conn(conn), Message::Request(walk) | Message::Insert(walk) | Message::Probe(walk))
                    if self.walks.len() < 256 =>
                {
                    self.walks.push((conn, walk.uid));
                }
                _ => {}
            }
        }
    }

    fn start(&mut self, lasting: bool, operation: Operation<Request>) -> OpId {
        self.last_op += 1;
        let op = OpId(self.last_op);
        self.open.insert(op, lasting);
        self.hear(Input::Start(op, operation));
        op
    }
}

/// A story: what users want, what peers say, what the host answers, what time does. At the end all that was asked for has ended.
pub fn freenet_node(bytes: &[u8]) {
    let settings = Settings {
        identity: Some([99; 32]),
        store_blocks: 4,
        cache_blocks: 4,
        table_entries: 8,
        peers_wanted: 4,
        peers_max: 6,
        walks_max: 16,
        seen_max: 32,
        failures_max: 8,
        window_max: 4,
        jobs_max: 8,
        mode: if bytes.first().is_some_and(|first| first % 5 == 0) {
            Mode::Darknet((1..4).map(|key| [key; 32]).collect())
        } else {
            Mode::Opennet
        },
        on_disk: bytes.first().is_some_and(|first| first % 3 == 0),
        ..Settings::default()
    };
    let node = Node::new(Config::from(settings), &mut Dice::counter(7, 0));
    let mut table =
        Table { node: Transcript::new(node, 7), open: Map::new(), asked: Vec::new(), conns: Vec::new(), walks: Vec::new(), last_op: 0 };
    table.node.shares = table.node.shares.with(ShareId(1), share());
    let mut rest = bytes;
    let mut take = move |count: usize| {
        let (here, after) = rest.split_at(count.min(rest.len()));
        rest = after;
        (!here.is_empty()).then_some(here)
    };
    let bootstrap = if take(1).is_some_and(|first| first[0] % 2 == 0) { Vec::new() } else { vec![peer(0), peer(1)] };
    let join = table.start(true, Operation::Join { bootstrap });
    table.hear(Input::Bound(doors::NETWORK, Ok(SocketAddr::from(([10, 0, 0, 99], 6881)))));
    for _ in 0..200 {
        let Some(&[what, who, length]) = take(3).and_then(|head| head.first_chunk::<3>()) else { break };
        let conn = table.conns.get(usize::from(who) % table.conns.len().max(1)).copied();
        match what % 16 {
            0..=3 => {
                let Some(body) = take(usize::from(length)) else { break };
                let mut frame = vec![what % 2, body[0], 0, length.saturating_sub(1)];
                frame.extend_from_slice(&body[1..]);
                frame.resize(CELL_BYTES[usize::from(what % 2)], 0);
                if let (Some(conn), Ok(message)) = (conn, read::<Endpoint>(&frame)) {
                    table.hear(Input::Received(Link::Conn(conn), message));
                }
            }
            // An answer to what the node has asked.
            4..=6 => {
                if table.walks.is_empty() {
                    continue;
                }
                let (conn, uid) = table.walks[usize::from(who) % table.walks.len()];
                let (_, block) = ClientChk::encode(&[length], false).expect("it fits a block");
                let message = match length % 8 {
                    0 => Message::Accepted(uid),
                    1 => Message::Rejected(uid, hexad_freenet::wire::Reason::Overload),
                    2 => Message::NotFound(uid),
                    3 => Message::RouteNotFound(uid, u16::from(who)),
                    4 => Message::Found(Box::new(Found { uid, source: Some(peer(who)), block })),
                    5 => Message::AllClear(uid),
                    6 => Message::Inserted(uid),
                    _ => Message::Probed(uid, u16::from(who)),
                };
                table.hear(Input::Received(Link::Conn(conn), message));
            }
            7 => {
                let conn = table.node.accepted();
                table.conns.push(conn);
                table.hear(Input::Opened { conn, peer: peer(who), via: Via::Accepted(doors::NETWORK) });
            }
            8 => {
                let Some(conn) = conn else { continue };
                if length % 2 == 0 {
                    table.hear(Input::Opened { conn, peer: peer(who), via: Via::Dialled });
                } else {
                    table.conns.retain(|other| *other != conn);
                    table.hear(Input::Closed(conn, Why::Broken));
                }
            }
            9 => {
                let said = table.node.pass(Span::from_millis(u64::from(length) * 100));
                table.listen(said);
            }
            10 => {
                if table.asked.is_empty() {
                    continue;
                }
                let ticket = table.asked.remove(usize::from(who) % table.asked.len());
                let answer = match length % 6 {
                    0 => Answer::Loaded(None),
                    1 => Answer::Loaded(Some(Payload::Bytes(Bytes::from(vec![length; 32])))),
                    2 => Answer::Stored,
                    3 => Answer::Worked(CpuResult::Bytes(Bytes::from(vec![length; usize::from(length)]))),
                    4 => Answer::Worked(CpuResult::Blocks(vec![Bytes::from(vec![length; 32 << 10]); usize::from(length) / 8])),
                    _ => Answer::Failed(hexad_core::AskFailure::TimedOut),
                };
                table.hear(Input::Answered(ticket, answer));
            }
            11 => {
                table.start(true, Operation::Publish { share: ShareId(u64::from(who % 2)) });
            }
            12 => {
                table.start(
                    false,
                    Operation::Search { query: Query::Digest { digest: Digest::TorrentV1(Sha1Digest([who; 20])), wanted: 3 } },
                );
            }
            13 => {
                let request = match who % 14 {
                    0 => Request::Get { uri: format!("KSK@{length}"), bytes_max: 1000, retries: u32::from(who % 4) },
                    1 => Request::MakeKey,
                    2 => Request::GetBlock(ksk("x").request().node_key(), u16::from(length)),
                    4 => Request::Invite(InvitationWanted {
                        name: String::from_utf8_lossy(&[length; 70]).into_owned(),
                        lasts_s: u64::from(length),
                        uses: u16::from(length % 3),
                        more: vec![SocketAddr::from(([10, 0, 0, 99], 6882)); usize::from(length % 8)],
                    }),
                    5 => Request::Invitations,
                    6 => Request::Revoke(u64::from(length % 8)),
                    7 => Request::Accept(Box::new(Invitation {
                        key: [length % 8 + 1; 32],
                        sockets: vec![SocketAddr::from(([10, 0, 0, length % 8 + 1], 6881)); usize::from(length % 3)],
                        token: [length; 16],
                        until_s: if length % 5 == 0 { 0 } else { u64::MAX },
                        is_darknet: length % 2 == 0,
                    })),
                    8 => Request::Befriend(peer(length), Box::default()),
                    9 => Request::ChangeFriend(Box::new(FriendChange {
                        key: [length % 8 + 1; 32],
                        note: Some("note".repeat(usize::from(length) * 3)),
                        is_disabled: Some(length % 2 == 0),
                        is_listen_only: (length % 3 == 0).then_some(true),
                    })),
                    10 => Request::Unfriend(Box::new([length % 8 + 1; 32])),
                    11 => Request::Tune(Tuning { up_bytes_per_s: Some(1 << (length % 64)), peers_wanted: Some(length.into()) }),
                    12 => Request::Inquire(Inquiry::ALL[usize::from(length) % Inquiry::ALL.len()], u16::from(length % 4)),
                    3 => Request::PutBlock(Box::new(ksk("x").encode(&[length], false).expect("it fits a block")), u16::from(length)),
                    _ => {
                        let bytes = Bytes::from(vec![length; usize::from(length) * 300]);
                        let files = vec![PutFile { path: String::new(), mime: Some("text/plain".into()), bytes, redirect: None }];
                        Request::Put {
                            uri: "KSK@y".into(),
                            files,
                            directory: None,
                            key_only: length % 2 == 0,
                            metadata_max: usize::from(length),
                        }
                    }
                };
                table.start(false, Operation::Own(request));
            }
            14 => {
                let (key, _) = ClientChk::encode(&[length], false).expect("it fits a block");
                let what = What::Locator(Uri::of_chk(&key, Vec::new()).to_string());
                let lease = LeaseId(u64::from(length));
                table.start(false, Operation::Fetch { source: Source { what, peers: Vec::new() }, lease, share: ShareId(7) });
                table.hear(Input::Leased(lease, Ranges::of(0..1)));
                table.hear(Input::Judged(lease, 0..1, if who % 2 == 0 { Verdict::Bad } else { Verdict::Good }));
            }
            _ => {
                let op = OpId(u64::from(who) % (table.last_op + 1));
                if op != join {
                    table.hear(Input::Cancel(op));
                    table.open.remove(&op);
                }
            }
        }
        let node = &table.node.node;
        assert!(node.store().len() <= 8 && node.table().len() <= 8, "what is remembered is bounded");
        assert!(node.walks() <= 64 && node.jobs() <= 8, "what is under way is bounded");
    }
    // Whatever the host owes is answered, whatever the session lends is empty; then everything ends, however little peers say.
    for _ in 0..120 {
        for ticket in std::mem::take(&mut table.asked) {
            table.hear(Input::Answered(ticket, Answer::Failed(hexad_core::AskFailure::TimedOut)));
        }
        for lease in 0..=255 {
            table.hear(Input::Leased(LeaseId(lease), Ranges::new()));
        }
        let said = table.node.pass(Span::from_secs(10));
        table.listen(said);
    }
    let left: Vec<OpId> = table.open.iter().filter(|(_, lasting)| !**lasting).map(|(op, _)| *op).collect();
    assert!(left.is_empty(), "these were never answered: {left:?}");
}
