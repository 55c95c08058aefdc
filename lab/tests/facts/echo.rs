//! Echo: the smallest network that uses every road between node and host.

use std::marker::PhantomData;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::{Buf as _, BufMut as _, BytesMut};
use hexad_core::{
    Abilities, Address, Ask, Bind, Codec, ConnId, Context, Cue, Description, Dial, Dice, Door, Inbound, Input, LeaseId, Link, Malformed,
    Map, Network, Node, OpId, Operation, Outbox, Output, Payload, Progress, Role, ShareId, Span, Ticket, Transport,
};

pub const CALLS: Door = Door(0);
pub const POST: Door = Door(1);
pub const SHOUTS: Door = Door(2);
pub const BLOCK: u64 = 16 << 10;

#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    Ping(u64),
    Pong(u64),
    Get(u64, u64),
    Block(u64, Payload),
}

impl hexad_core::Message for Message {
    fn kind(&self) -> &'static str {
        match self {
            Self::Ping(_) => "ping",
            Self::Pong(_) => "pong",
            Self::Get(..) => "get",
            Self::Block(..) => "block",
        }
    }

    fn wire_bytes(&self) -> u64 {
        match self {
            Self::Ping(_) | Self::Pong(_) => 13,
            Self::Get(..) => 21,
            Self::Block(..) => 13,
        }
    }

    fn with_body(self, body: Payload) -> Self {
        match self {
            Self::Block(offset, _) => Self::Block(offset, body),
            other => other,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Request<A> {
    /// By datagram.
    Ping(A, u64),
    /// By connection.
    Call(A, u64),
    Shout(u64),
    Ask(Ask),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Reply<A> {
    Heard(A, Message),
    Answered(hexad_core::Answer),
    Broken(hexad_core::Why),
}

#[derive(Clone, Default)]
pub struct Config {
    pub description: Option<Description>,
    /// Greets itself so often.
    pub tick: Option<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tick;

pub struct EchoNode<A> {
    config: Config,
    op: OpId,
    share: Option<ShareId>,
    peers: Map<ConnId, A>,
    greetings: Map<ConnId, u64>,
    fetch: Option<(OpId, LeaseId, Vec<A>)>,
    /// Whom we asked for which block.
    asked: Map<u64, ConnId>,
    pub ticks: u64,
    pub rooms: u64,
    pub sent_bytes: u64,
}

impl<A: Address> EchoNode<A> {
    fn dial() -> Dial {
        Dial { transport: Transport::Tcp, deadline: Span::from_secs(5), manner: 0, secret: bytes::Bytes::new() }
    }
}

impl<A: Address> Node for EchoNode<A> {
    type Addr = A;
    type Message = Message;
    type Timer = Tick;
    type Request = Request<A>;
    type Reply = Reply<A>;

    fn handle(&mut self, input: Inbound<Self>, cx: &mut Context<'_>, out: &mut Outbox<Self>) {
        match input {
            Input::Start(op, Operation::Join { .. }) => {
                self.op = op;
                let at = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
                out.push(Output::Listen(CALLS, Bind::Stream(at(6881))));
                out.push(Output::Listen(POST, Bind::Datagram(at(6881))));
                out.push(Output::Listen(SHOUTS, Bind::Multicast(at(6771))));
                if let Some(span) = self.config.tick {
                    out.wake(cx.now + Span::from_micros(cx.dice.below(1_000_000)) + span, Tick);
                }
                out.report(op, Progress::Done);
            }
            Input::Start(_, Operation::Publish { share }) => self.share = Some(share),
            Input::Start(op, Operation::Fetch { source, lease, .. }) => {
                let peers = source.peers.iter().filter_map(|peer| A::of_socket(peer.socket()?)).collect();
                self.fetch = Some((op, lease, peers));
                out.report(op, Progress::Described(Box::new(self.config.description.clone().expect("the test described it"))));
            }
            Input::Start(op, Operation::Own(request)) => {
                self.op = op;
                match request {
                    Request::Ping(to, number) => out.send(Link::Datagram(POST, to), Message::Ping(number)),
                    Request::Shout(number) => out.send(Link::Multicast(SHOUTS), Message::Ping(number)),
                    Request::Ask(ask) => out.push(Output::Ask(Ticket(number_of(&ask)), ask)),
                    Request::Call(to, number) => {
                        let conn = cx.new_conn();
                        self.greetings.insert(conn, number);
                        out.push(Output::Open(conn, to, Self::dial()));
                    }
                }
            }
            Input::Leased(_, ranges) => {
                let Some((op, _, peers)) = &self.fetch else { return };
                if ranges.is_empty() {
                    return out.report(*op, Progress::Done);
                }
                let conns: Vec<ConnId> = peers
                    .iter()
                    .map(|peer| {
                        let conn = cx.new_conn();
                        out.push(Output::Open(conn, peer.clone(), Self::dial()));
                        conn
                    })
                    .collect();
                let blocks = ranges.iter().flat_map(|range| range.step_by(BLOCK as usize));
                self.asked = blocks.enumerate().map(|(count, block)| (block, conns[count % conns.len()])).collect();
            }
            Input::Opened { conn, peer, .. } => {
                self.peers.insert(conn, peer);
                if let Some(number) = self.greetings.remove(&conn) {
                    out.send_to(conn, Message::Ping(number));
                }
                for (&block, _) in self.asked.iter().filter(|(_, asked)| **asked == conn) {
                    out.send_to(conn, Message::Get(block, BLOCK));
                }
            }
            Input::Closed(conn, why) => {
                self.peers.remove(&conn);
                out.report(self.op, Progress::Own(Reply::Broken(why)));
            }
            Input::Received(Link::Conn(conn), Message::Get(offset, length)) => {
                if let Some(share) = self.share {
                    let end = cx.shares.share(share).map_or(0, |share| share.layout.total_bytes());
                    let range = offset..(offset + length).min(end);
                    out.push(Output::SendShare(conn, Message::Block(offset, Payload::EMPTY), share, range));
                }
            }
            Input::Received(Link::Conn(_), Message::Block(offset, body)) => {
                if let Some((_, lease, _)) = &self.fetch {
                    out.push(Output::Deliver(*lease, offset, body));
                }
            }
            Input::Received(link, Message::Ping(number)) => out.send(link, Message::Pong(number)),
            Input::Received(link, message) => {
                let from = match link {
                    Link::Datagram(_, from) => from,
                    Link::Conn(conn) => self.peers[&conn].clone(),
                    Link::Multicast(_) => return,
                };
                out.report(self.op, Progress::Own(Reply::Heard(from, message)));
            }
            Input::Judged(_, range, hexad_core::Verdict::Bad) => {
                // Whoever of the others there is gets the question instead.
                let liar = self.asked.get(&range.start).copied();
                if let Some(conn) = self.peers.keys().copied().find(|conn| Some(*conn) != liar) {
                    for block in range.step_by(BLOCK as usize) {
                        self.asked.insert(block, conn);
                        out.send_to(conn, Message::Get(block, BLOCK));
                    }
                }
            }
            Input::Elapsed(Tick) => {
                self.ticks += 1;
                if let Some(span) = self.config.tick {
                    out.wake(cx.now + span, Tick);
                }
            }
            Input::Answered(_, answer) => out.report(self.op, Progress::Own(Reply::Answered(answer))),
            Input::Room(_) => self.rooms += 1,
            Input::Sent(_, bytes) => self.sent_bytes += bytes,
            _ => {}
        }
    }
}

fn number_of(_: &Ask) -> u64 {
    7
}

/// Frames of a length, a kind and numbers.
#[derive(Default)]
pub struct EchoCodec;

impl Codec for EchoCodec {
    type Message = Message;

    fn decode(&mut self, _: Cue, input: &mut BytesMut, _: &mut BytesMut) -> Result<Option<Message>, Malformed> {
        if input.len() < 4 {
            return Ok(None);
        }
        let length = u32::from_be_bytes([input[0], input[1], input[2], input[3]]) as usize;
        if input.len() < 4 + length {
            return Ok(None);
        }
        let mut frame = input.split_to(4 + length);
        frame.advance(4);
        Ok(Some(match frame.get_u8() {
            0 => Message::Ping(frame.get_u64()),
            1 => Message::Pong(frame.get_u64()),
            2 => Message::Get(frame.get_u64(), frame.get_u64()),
            _ => Message::Block(frame.get_u64(), Payload::Bytes(frame.freeze())),
        }))
    }

    fn encode(&mut self, message: &Message, body_bytes: u64, out: &mut BytesMut) {
        out.put_u32(u32::try_from(hexad_core::Message::wire_bytes(message) - 4 + body_bytes).unwrap());
        match message {
            Message::Ping(number) => {
                out.put_u8(0);
                out.put_u64(*number);
            }
            Message::Pong(number) => {
                out.put_u8(1);
                out.put_u64(*number);
            }
            Message::Get(offset, length) => {
                out.put_u8(2);
                out.put_u64(*offset);
                out.put_u64(*length);
            }
            Message::Block(offset, _) => {
                out.put_u8(3);
                out.put_u64(*offset);
            }
        }
    }

    fn seal(&mut self, _: &mut [u8]) {}
}

#[derive(Debug)]
pub struct Echo<A>(PhantomData<A>);

impl<A: Address + 'static> Network for Echo<A> {
    const NAME: &'static str = "echo";
    const ABILITIES: Abilities = Abilities { publish: true, search_words: false, search_digest: false, fetch: true, many_sources: true };

    type Config = Config;
    type Node = EchoNode<A>;
    type Codec = EchoCodec;
    type Secrets = ();

    fn node(config: Config, _: &mut Dice) -> EchoNode<A> {
        EchoNode {
            config,
            op: OpId(0),
            share: None,
            peers: Map::new(),
            greetings: Map::new(),
            fetch: None,
            asked: Map::new(),
            ticks: 0,
            rooms: 0,
            sent_bytes: 0,
        }
    }

    fn secrets(_: &EchoNode<A>) {}

    fn codec(_: Role, _: Option<&Dial>, (): &(), _: &mut Dice) -> EchoCodec {
        EchoCodec
    }

    fn encode_datagram(message: &Message, out: &mut BytesMut) {
        EchoCodec.encode(message, 0, out);
    }

    fn decode_datagram(_: Door, bytes: &[u8]) -> Result<Message, Malformed> {
        let mut input = BytesMut::from(bytes);
        EchoCodec.decode(Cue::Bytes, &mut input, &mut BytesMut::new())?.ok_or(Malformed::at(0, "unexpected end"))
    }
}
