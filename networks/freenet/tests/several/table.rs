//! Several nodes on one table: links, disks and clocks between them are played by hand, one message after the other.

use std::collections::{BTreeMap, VecDeque};

use hexad_core::transcript::Transcript;
use hexad_core::{
    Answer, Ask, AskFailure, ConnId, Dice, Door, Endpoint, Input, Link, Note, OpId, Operation, Output, Payload, Progress, Span, Time, Via,
    Why,
};
use hexad_freenet::{Message, Node, Reply, Request, Settings, doors};

pub type Disk = BTreeMap<(&'static str, Vec<u8>), Payload>;

/// A node's place on the table.
pub struct Seat {
    pub at: Endpoint,
    pub node: Transcript<Node<Endpoint>>,
    settings: Settings,
    pub disk: Disk,
    /// Nothing can be written.
    pub disk_is_full: bool,
    is_up: bool,
    /// What it has reported.
    pub reports: Vec<(OpId, Progress<Reply>)>,
    pub notes: Vec<Note<Endpoint>>,
    /// Our name of a link → whose it is, and his name of it.
    links: BTreeMap<ConnId, (usize, ConnId)>,
}

/// All of them.
pub struct Table {
    pub seats: Vec<Seat>,
    last_op: u64,
    queue: VecDeque<(usize, Heard)>,
    /// Every message, by who has said it to whom.
    pub said: Vec<(usize, usize, Message<Endpoint>)>,
}

enum Heard {
    Message(ConnId, Message<Endpoint>),
    Closed(ConnId),
}

pub const JOIN: OpId = OpId(1);

pub fn at(number: u8) -> Endpoint {
    Endpoint::Key([number; 32], std::net::SocketAddr::from(([10, 0, 0, number], 4000)))
}

impl Table {
    pub fn new() -> Self {
        Self { seats: Vec::new(), last_op: 100, queue: VecDeque::new(), said: Vec::new() }
    }

    /// A node that has not joined; its number.
    pub fn sits(&mut self, settings: Settings) -> usize {
        let number = u8::try_from(self.seats.len()).expect("few") + 1;
        let at = at(number);
        let Endpoint::Key(key, socket) = at else { unreachable!("it has a key") };
        let settings = Settings { identity: Some(key), listen: Some(socket), ..settings };
        self.seats.push(Seat {
            at,
            node: transcript(&settings, number.into(), self.seats.first().map_or(Time::ZERO, |first| first.node.now)),
            settings,
            disk: Disk::new(),
            disk_is_full: false,
            is_up: true,
            reports: Vec::new(),
            notes: Vec::new(),
            links: BTreeMap::new(),
        });
        self.seats.len() - 1
    }

    /// The same, which joins and says how that went.
    pub fn joins(&mut self, settings: Settings, bootstrap: &[usize]) -> usize {
        let seat = self.sits(settings);
        self.join(seat, bootstrap);
        seat
    }

    pub fn join(&mut self, seat: usize, bootstrap: &[usize]) {
        let bootstrap = bootstrap.iter().map(|other| self.seats[*other].at.clone()).collect();
        self.hears(seat, Input::Start(JOIN, Operation::Join { bootstrap }));
    }

    /// The process of a node is killed: nothing is left but its disk, and those who have links to it see them break.
    pub fn dies(&mut self, seat: usize) {
        self.seats[seat].is_up = false;
        for (other, his) in std::mem::take(&mut self.seats[seat].links).into_values() {
            self.queue.push_back((other, Heard::Closed(his)));
        }
        self.settle();
    }

    /// Another process with what is on the disk, and perhaps other settings.
    pub fn rises(&mut self, seat: usize, change: impl FnOnce(&mut Settings)) {
        let now = self.seats[seat].node.now;
        let mut settings = self.seats[seat].settings.clone();
        change(&mut settings);
        let here = &mut self.seats[seat];
        here.node = transcript(&settings, now.as_micros() + seat as u64, now);
        (here.settings, here.is_up) = (settings, true);
        (here.reports, here.notes) = (Vec::new(), Vec::new());
    }

    pub fn asks(&mut self, seat: usize, request: Request) -> Vec<Progress<Reply>> {
        let op = self.begins(seat, request);
        self.reports(seat, op)
    }

    pub fn begins(&mut self, seat: usize, request: Request) -> OpId {
        self.last_op += 1;
        let op = OpId(self.last_op);
        self.hears(seat, Input::Start(op, Operation::Own(request)));
        op
    }

    pub fn reports(&self, seat: usize, op: OpId) -> Vec<Progress<Reply>> {
        self.seats[seat].reports.iter().filter(|(of, _)| *of == op).map(|(_, progress)| progress.clone()).collect()
    }

    pub fn has_joined(&self, seat: usize) -> bool {
        self.reports(seat, JOIN) == [Progress::Done]
    }

    /// Whether a link is open between two, and both have greeted.
    pub fn are_neighbours(&self, one: usize, other: usize) -> bool {
        let knows = |one: usize, other: usize| {
            self.seats[one].node.node.links().open().any(|(addr, peer)| *addr == self.seats[other].at && peer.location.is_some())
        };
        knows(one, other) && knows(other, one)
    }

    pub fn count(&self, seat: usize, code: &str) -> usize {
        self.seats[seat].notes.iter().filter(|note| note.code == code).count()
    }

    /// Time goes by for all.
    pub fn pass(&mut self, span: Span) {
        // In steps: what one says meanwhile is heard by others before they go on.
        let step = Span::from_millis(500).min(span);
        let until = self.seats[0].node.now + span;
        while self.seats[0].node.now < until {
            for seat in 0..self.seats.len() {
                if self.seats[seat].is_up {
                    let said = self.seats[seat].node.pass(step);
                    self.listen(seat, said);
                } else {
                    self.seats[seat].node.now = self.seats[seat].node.now + step;
                }
            }
            self.settle();
        }
    }

    pub fn hears(&mut self, seat: usize, input: hexad_core::Inbound<Node<Endpoint>>) {
        let said = self.seats[seat].node.hears(input);
        self.listen(seat, said);
        self.settle();
    }

    /// Somebody who is no node of ours dials one, at `from`; the name of the link.
    pub fn stranger(&mut self, seat: usize, from: &Endpoint) -> (ConnId, Vec<hexad_core::Outbound<Node<Endpoint>>>) {
        let conn = self.seats[seat].node.accepted();
        let said = self.seats[seat].node.hears(Input::Opened { conn, peer: from.clone(), via: Via::Accepted(doors::NETWORK) });
        (conn, said)
    }

    /// What a stranger says, and what is answered over his link; `None` for that it is closed.
    pub fn stranger_says(&mut self, seat: usize, conn: ConnId, message: Message<Endpoint>) -> Vec<Option<Message<Endpoint>>> {
        let mut said = self.seats[seat].node.hears(Input::Received(Link::Conn(conn), message));
        let mut answers = Vec::new();
        let mut at = 0;
        while at < said.len() {
            match &said[at] {
                Output::Send(Link::Conn(to), message) if *to == conn => answers.push(Some(message.clone())),
                Output::Close(closed, _) if *closed == conn => answers.push(None),
                Output::Ask(ticket, ask) => {
                    let answer = self.seats[seat].answers(ask);
                    let more = self.seats[seat].node.hears(Input::Answered(*ticket, answer));
                    said.extend(more);
                }
                Output::Note(note) => self.seats[seat].notes.push(note.clone()),
                _ => {}
            }
            at += 1;
        }
        answers
    }

    fn settle(&mut self) {
        let mut left = 100_000;
        while let Some((seat, heard)) = self.queue.pop_front() {
            left -= 1;
            assert!(left > 0, "they do not talk for ever");
            if !self.seats[seat].is_up {
                continue;
            }
            let input = match heard {
                Heard::Message(conn, message) if self.seats[seat].links.contains_key(&conn) => Input::Received(Link::Conn(conn), message),
                Heard::Closed(conn) if self.seats[seat].links.remove(&conn).is_some() => Input::Closed(conn, Why::PeerClosed),
                _ => continue,
            };
            let said = self.seats[seat].node.hears(input);
            self.listen(seat, said);
        }
    }

    fn listen(&mut self, seat: usize, said: Vec<hexad_core::Outbound<Node<Endpoint>>>) {
        let mut said: VecDeque<_> = said.into();
        while let Some(output) = said.pop_front() {
            match output {
                Output::Listen(door, _) => {
                    let socket = self.seats[seat].at.socket().expect("it has one");
                    said.extend(self.seats[seat].node.hears(Input::Bound(Door(door.0), Ok(socket))));
                }
                Output::Open(conn, to, _) => said.extend(self.open(seat, conn, &to)),
                Output::Close(conn, _) => {
                    if let Some((other, his)) = self.seats[seat].links.remove(&conn) {
                        self.queue.push_back((other, Heard::Closed(his)));
                    }
                }
                Output::Send(Link::Conn(conn), message) => {
                    if let Some((other, his)) = self.seats[seat].links.get(&conn).copied() {
                        self.said.push((seat, other, message.clone()));
                        self.queue.push_back((other, Heard::Message(his, message)));
                    }
                }
                Output::Ask(ticket, ask) => {
                    let answer = self.seats[seat].answers(&ask);
                    said.extend(self.seats[seat].node.hears(Input::Answered(ticket, answer)));
                }
                Output::Report(op, progress) => self.seats[seat].reports.push((op, progress)),
                Output::Note(note) => self.seats[seat].notes.push(note),
                _ => {}
            }
        }
    }

    fn open(&mut self, seat: usize, conn: ConnId, to: &Endpoint) -> Vec<hexad_core::Outbound<Node<Endpoint>>> {
        let other = self.seats.iter().position(|seat| seat.at == *to && seat.is_up);
        let Some(other) = other else { return self.seats[seat].node.hears(Input::Closed(conn, Why::Unreachable)) };
        let his = self.seats[other].node.accepted();
        self.seats[seat].links.insert(conn, (other, his));
        self.seats[other].links.insert(his, (seat, conn));
        let peer = self.seats[seat].at.clone();
        let theirs = self.seats[other].node.hears(Input::Opened { conn: his, peer, via: Via::Accepted(doors::NETWORK) });
        self.listen(other, theirs);
        self.seats[seat].node.hears(Input::Opened { conn, peer: to.clone(), via: Via::Dialled })
    }
}

fn transcript(settings: &Settings, seed: u64, now: Time) -> Transcript<Node<Endpoint>> {
    let node = Node::new(settings.clone().into(), &mut Dice::counter(seed, 0));
    let mut transcript = Transcript::new(node, seed);
    transcript.now = now;
    transcript
}

impl Seat {
    /// What the host answers.
    fn answers(&mut self, ask: &Ask) -> Answer {
        match ask {
            Ask::Load(bucket, key) => Answer::Loaded(self.disk.get(&(*bucket, key.clone())).cloned()),
            Ask::Store(..) if self.disk_is_full => Answer::Failed(AskFailure::Other("no space left on device".into())),
            Ask::Store(bucket, key, bytes) => {
                self.disk.insert((*bucket, key.clone()), bytes.clone());
                Answer::Stored
            }
            Ask::Forget(bucket, key) => {
                self.disk.remove(&(*bucket, key.clone()));
                Answer::Stored
            }
            _ => Answer::Failed(AskFailure::TimedOut),
        }
    }
}
