//! A server on a table, and clients that say numbers and text.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

use bytes::BytesMut;

use hexad_core::transcript::Transcript;
use hexad_core::{
    Answer, Ask, AskFailure, ConnId, CpuJob, CpuResult, Endpoint, Inbound, IndexDeed, IndexHit, IndexOwner, Input, Link, OpId, Operation,
    Outbound, Output, Payload, Span, Ticket, Via,
};
use hexad_napster::wire::{Letter, Message, ToServer};
use hexad_napster::{Node, Request, ServerConfig, ServerStatus, doors};

/// What each client hears, as `number data`; a closed connection is `closed`.
pub type Heard = Vec<(&'static str, String)>;

/// A serving node, its host's store, and its clients.
pub struct Stage {
    pub table: Transcript<Node>,
    pub store: BTreeMap<(&'static str, Vec<u8>), Payload>,
    conns: BTreeMap<&'static str, ConnId>,
    names: BTreeMap<ConnId, &'static str>,
    /// Codes of notes.
    pub notes: Vec<&'static str>,
    /// Passwords that were hashed.
    pub hashed: usize,
    /// A catalogue that other servers share.
    pub shared: Option<Rc<RefCell<Shared>>>,
    /// Questions to it that are not answered yet.
    held: Vec<(Ticket, Ask)>,
    /// The one that waits for letters.
    letters: Option<Ticket>,
}

/// What a shared catalogue has and does.
#[derive(Default)]
pub struct Shared {
    pub deeds: Vec<IndexDeed>,
    pub owners: Vec<IndexOwner>,
    pub hits: Vec<IndexHit>,
    /// Questions for hits so far.
    pub asked: usize,
    /// Everything fails.
    pub away: bool,
    /// Nothing is answered before [`Stage::answer_held`].
    pub slow: bool,
}

impl Shared {
    fn answer(&mut self, ask: Ask) -> Answer {
        match ask {
            _ if self.away => Answer::Failed(AskFailure::TimedOut),
            Ask::Index(deeds) => {
                self.deeds.extend(deeds);
                Answer::Stored
            }
            Ask::Owner(name) => Answer::Owner(self.owners.iter().find(|owner| owner.name == name).cloned().map(Box::new)),
            Ask::Query(query) => {
                self.asked += 1;
                Answer::Found(self.hits.iter().take(query.wanted).cloned().collect())
            }
            other => panic!("{other:?}"),
        }
    }
}

pub fn config() -> ServerConfig {
    ServerConfig { name: "test".into(), admins: vec!["root".into()], statistics_every: None, ..ServerConfig::default() }
}

impl Stage {
    pub fn new(config: ServerConfig) -> Self {
        Self::with_store(config, BTreeMap::new())
    }

    /// A server whose host's store holds something already.
    pub fn with_store(config: ServerConfig, store: BTreeMap<(&'static str, Vec<u8>), Payload>) -> Self {
        let mut dice = hexad_core::Dice::counter(7, 7);
        let node = Node::new(config.into(), &mut dice);
        let mut stage = Self {
            table: Transcript::new(node, 1),
            store,
            conns: BTreeMap::new(),
            names: BTreeMap::new(),
            notes: Vec::new(),
            hashed: 0,
            shared: None,
            held: Vec::new(),
            letters: None,
        };
        stage.hears(Input::Start(OpId(1), Operation::Own(Request::Serve)));
        stage.hears(Input::Bound(doors::SERVER, Ok(SocketAddr::from(([127, 0, 0, 1], 8888)))));
        stage
    }

    /// Hands an input in, answers what the host is asked, and returns what clients hear.
    pub fn hears(&mut self, input: Inbound<Node>) -> Heard {
        let said = self.table.hears(input);
        self.carry_out(said)
    }

    pub fn pass(&mut self, span: Span) -> Heard {
        let said = self.table.pass(span);
        self.carry_out(said)
    }

    fn carry_out(&mut self, said: Vec<Outbound<Node>>) -> Heard {
        let mut heard = Heard::new();
        let mut asks = Vec::new();
        for output in said {
            match output {
                Output::Send(Link::Conn(conn), Message::ToClient(message)) => {
                    let mut bytes = BytesMut::new();
                    message.write(&mut bytes);
                    let text = String::from_utf8_lossy(&bytes[4..]).into_owned();
                    heard.push((
                        self.names.get(&conn).copied().unwrap_or("?"),
                        format!("{} {text}", message.number()).trim_end().to_owned(),
                    ));
                }
                Output::Close(conn, _) => heard.push((self.names.get(&conn).copied().unwrap_or("?"), "closed".into())),
                Output::Ask(ticket, ask) => asks.push((ticket, ask)),
                Output::Note(note) => self.notes.push(note.code),
                _ => {}
            }
        }
        for (ticket, ask) in asks {
            if matches!(ask, Ask::Letters(_)) {
                self.letters = Some(ticket);
                continue;
            }
            let slow = self.shared.as_ref().is_some_and(|shared| shared.borrow().slow);
            if slow && matches!(ask, Ask::Index(_) | Ask::Owner(_) | Ask::Query(_)) {
                self.held.push((ticket, ask));
                continue;
            }
            let answer = self.answer(ask);
            heard.extend(self.hears(Input::Answered(ticket, answer)));
        }
        heard
    }

    /// Answers what the shared catalogue was asked.
    pub fn answer_held(&mut self) -> Heard {
        let mut heard = Heard::new();
        for (ticket, ask) in std::mem::take(&mut self.held) {
            let answer = self.answer(ask);
            heard.extend(self.hears(Input::Answered(ticket, answer)));
        }
        heard
    }

    /// Another server tells something.
    pub fn gets_letter(&mut self, machine: u64, letter: &Letter) -> Heard {
        self.gets_letter_bytes(machine, &letter.write())
    }

    pub fn gets_letter_bytes(&mut self, machine: u64, letter: &[u8]) -> Heard {
        let ticket = self.letters.take().expect("the server waits for letters");
        self.hears(Input::Answered(ticket, Answer::Letters(vec![(machine, letter.to_vec())])))
    }

    fn answer(&mut self, ask: Ask) -> Answer {
        match ask {
            Ask::Load(bucket, key) => Answer::Loaded(self.store.get(&(bucket, key)).cloned()),
            Ask::Store(bucket, key, value) => {
                self.store.insert((bucket, key), value);
                Answer::Stored
            }
            Ask::Forget(bucket, key) => {
                self.store.remove(&(bucket, key));
                Answer::Stored
            }
            // Not Argon2, but it differs when password or salt do.
            Ask::Work(CpuJob::Argon2 { password, salt }) => {
                self.hashed += 1;
                let mut hash = vec![0_u8; 32];
                for (place, byte) in password.iter().chain(&salt).enumerate() {
                    hash[place % 32] = hash[place % 32].wrapping_mul(31).wrapping_add(*byte ^ 0x5a);
                }
                Answer::Worked(CpuResult::Bytes(hash.into()))
            }
            ask => self.shared.as_ref().expect("there is a shared catalogue").borrow_mut().answer(ask),
        }
    }

    /// A connection from an address.
    pub fn connects_from(&mut self, name: &'static str, address: [u8; 4]) -> Heard {
        let conn = self.table.accepted();
        self.conns.insert(name, conn);
        self.names.insert(conn, name);
        let peer = Endpoint::Ip(SocketAddr::from((Ipv4Addr::from(address), 50_000)));
        self.hears(Input::Opened { conn, peer, via: Via::Accepted(doors::SERVER) })
    }

    pub fn says(&mut self, name: &'static str, number: u16, data: impl AsRef<[u8]>) -> Heard {
        let message = Message::ToServer(ToServer::read(number, data.as_ref()));
        self.hears(Input::Received(Link::Conn(self.conns[name]), message))
    }

    /// A client that connects from 127.0.0.1 and logs in; port 0 is firewalled.
    pub fn joins(&mut self, name: &'static str, port: u16) -> Heard {
        self.connects_from(name, [127, 0, 0, 1]);
        self.says(name, 2, format!("{name} pw {port} \"test 1\" 4"))
    }

    pub fn shares(&mut self, name: &'static str, path: &str) -> Heard {
        self.says(name, 100, format!("\"{path}\" 0123456789abcdef0123456789abcdef 1234567 128 44100 200"))
    }

    pub fn leaves(&mut self, name: &'static str) -> Heard {
        let conn = self.conns[name];
        self.hears(Input::Closed(conn, hexad_core::Why::PeerClosed))
    }

    pub fn conn(&self, name: &'static str) -> ConnId {
        self.conns[name]
    }

    pub fn status(&self) -> ServerStatus {
        self.table.node.server_status().expect("it serves")
    }
}

/// Only what one client hears.
pub fn to(name: &str, heard: &Heard) -> Vec<String> {
    heard.iter().filter(|(who, _)| *who == name).map(|(_, what)| what.clone()).collect()
}

/// The first field of each, in the order in which they were heard.
pub fn numbers(heard: &Heard) -> Vec<String> {
    heard.iter().map(|(who, what)| format!("{who} {}", what.split(' ').next().unwrap_or_default())).collect()
}
