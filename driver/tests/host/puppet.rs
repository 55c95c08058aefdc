//! A network whose nodes do what the test tells them and report all they hear.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use hexad_core::{
    Abilities, Codec, ConnId, Context, Cue, Dial, Dice, Door, Endpoint, Inbound, Input, LeaseId, Link, Malformed, Message as _, Network,
    Node, OpId, Operation, Outbox, Output, Payload, Progress, Role, ShareId, Span, Transport,
};

/// Nobody sends more at once.
const FRAME_BYTES_MAX: usize = 32 << 20;
/// A node that hears this number panics.
pub const DREADED: u64 = 13_131_313;

#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    Ping(u64),
    Pong(u64),
    /// Offset and length.
    Get(u64, u64),
    /// Offset and bytes.
    Block(u64, Payload),
    Text(Bytes),
    /// What a silence ends.
    Silence(Bytes),
    /// What was there when the peer had no more to say.
    Rest(Bytes),
}

impl hexad_core::Message for Message {
    fn kind(&self) -> &'static str {
        match self {
            Self::Ping(_) => "ping",
            Self::Pong(_) => "pong",
            Self::Get(..) => "get",
            Self::Block(..) => "block",
            Self::Text(_) => "text",
            Self::Silence(_) => "silence",
            Self::Rest(_) => "rest",
        }
    }

    fn wire_bytes(&self) -> u64 {
        match self {
            Self::Ping(_) | Self::Pong(_) | Self::Block(..) => 13,
            Self::Get(..) => 21,
            Self::Text(text) => 5 + text.len() as u64,
            Self::Silence(_) | Self::Rest(_) => 0,
        }
    }

    fn with_body(self, body: Payload) -> Self {
        match self {
            Self::Block(offset, _) => Self::Block(offset, body),
            other => other,
        }
    }
}

pub type Heard = Input<Endpoint, Message, u32, Request>;
pub type Said = Output<Endpoint, Message, u32, Reply>;

#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Say this.
    Say(Said),
    /// Open a connection and tell its number.
    Dial(Endpoint, Dial),
    /// How much may be queued there?
    Room(ConnId),
    /// Be woken after so long.
    Wake(Span, u32),
    Panic,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Heard(Box<Heard>),
    Dialling(ConnId),
    Room(u64),
}

#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Answers every `Get` from this share.
    pub serves: Option<ShareId>,
    /// Delivers every `Block` under this lease, and does not report it.
    pub lease: Option<LeaseId>,
    /// Asks for so many blocks of that length from whom it has opened a connection to, so many at a time.
    pub wants: Option<(u64, u64, u64)>,
    /// Does not report what was sent.
    pub quiet: bool,
}

pub struct Puppet {
    config: Config,
    asked: u64,
    got: u64,
}

impl Puppet {
    fn ask(&mut self, conn: ConnId, out: &mut Outbox<Self>) {
        let Some((blocks, length, depth)) = self.config.wants else { return };
        // Many questions leave together.
        if self.asked.saturating_sub(self.got) > depth / 2 {
            return;
        }
        while self.asked < blocks && self.asked - self.got < depth {
            out.send_to(conn, Message::Get(self.asked * length, length));
            self.asked += 1;
        }
    }
}

impl Node for Puppet {
    type Addr = Endpoint;
    type Message = Message;
    type Timer = u32;
    type Request = Request;
    type Reply = Reply;

    fn handle(&mut self, input: Inbound<Self>, cx: &mut Context<'_>, out: &mut Outbox<Self>) {
        match input {
            Input::Start(_, Operation::Own(Request::Say(output))) => return out.push(output),
            Input::Start(op, Operation::Own(Request::Dial(to, dial))) => {
                let conn = cx.new_conn();
                out.report(op, Progress::Own(Reply::Dialling(conn)));
                return out.push(Output::Open(conn, to, dial));
            }
            Input::Start(op, Operation::Own(Request::Room(conn))) => {
                return out.report(op, Progress::Own(Reply::Room(cx.room(conn))));
            }
            Input::Start(_, Operation::Own(Request::Wake(span, timer))) => return out.wake(cx.now + span, timer),
            Input::Start(_, Operation::Own(Request::Panic)) => panic!("as the test wishes"),
            Input::Received(Link::Conn(conn), Message::Get(offset, length)) if self.config.serves.is_some() => {
                let share = self.config.serves.expect("as the guard says");
                return out.push(Output::SendShare(conn, Message::Block(offset, Payload::EMPTY), share, offset..offset + length));
            }
            Input::Received(Link::Conn(conn), Message::Block(offset, ref body)) if self.config.lease.is_some() => {
                let lease = self.config.lease.expect("as the guard says");
                self.got += 1;
                out.push(Output::Deliver(lease, offset, body.clone()));
                return self.ask(conn, out);
            }
            Input::Received(_, Message::Ping(DREADED)) => panic!("as the test wishes"),
            Input::Received(ref link, Message::Ping(number)) => out.send(link.clone(), Message::Pong(number)),
            Input::Opened { conn, via: hexad_core::Via::Dialled, .. } => self.ask(conn, out),
            Input::Sent(..) if self.config.quiet => return,
            _ => {}
        }
        out.report(OpId(0), Progress::Own(Reply::Heard(Box::new(input))));
    }
}

/// Frames of a length, a kind and numbers; every byte enciphered by its place in the stream.
pub struct PuppetCodec {
    sealed: u8,
    opened: u8,
    deciphered: usize,
}

impl PuppetCodec {
    const fn new() -> Self {
        Self { sealed: 0, opened: 0, deciphered: 0 }
    }

    fn write(message: &Message, body_bytes: u64, out: &mut BytesMut) {
        out.put_u32(u32::try_from(message.wire_bytes() - 4 + body_bytes).expect("short"));
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
            Message::Text(text) => {
                out.put_u8(4);
                out.put_slice(text);
            }
            Message::Silence(_) | Message::Rest(_) => {}
        }
    }

    fn read(input: &mut BytesMut) -> Result<Option<Message>, Malformed> {
        if input.len() < 5 {
            return Ok(None);
        }
        let length = u32::from_be_bytes([input[0], input[1], input[2], input[3]]) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(Malformed::at(0, "too long a frame"));
        }
        let shortest = match input[4] {
            0 | 1 | 3 => 9,
            2 => 17,
            4 => 1,
            kind => return Err(Malformed::at(4, format!("no such kind: {kind}"))),
        };
        if length < shortest {
            return Err(Malformed::at(0, "too short a frame"));
        }
        if input.len() < 4 + length {
            return Ok(None);
        }
        let mut frame = input.split_to(4 + length);
        frame.advance(4);
        Ok(Some(match frame.get_u8() {
            0 => Message::Ping(frame.get_u64()),
            1 => Message::Pong(frame.get_u64()),
            2 => Message::Get(frame.get_u64(), frame.get_u64()),
            3 => Message::Block(frame.get_u64(), Payload::Bytes(frame.freeze())),
            _ => Message::Text(frame.freeze()),
        }))
    }
}

/// Enciphers as the codec does, for tests that speak to a puppet through a socket of their own.
pub fn sealed(message: &Message, place: &mut u8) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    PuppetCodec::write(message, 0, &mut bytes);
    cipher(&mut bytes, place);
    bytes.to_vec()
}

fn cipher(bytes: &mut [u8], place: &mut u8) {
    for byte in bytes {
        *byte ^= *place;
        *place = place.wrapping_add(1);
    }
}

impl Codec for PuppetCodec {
    type Message = Message;

    fn decode(&mut self, cue: Cue, input: &mut BytesMut, _: &mut BytesMut) -> Result<Option<Message>, Malformed> {
        let fresh = self.deciphered.min(input.len());
        cipher(&mut input[fresh..], &mut self.opened);
        let before = input.len();
        let read = Self::read(input)?;
        self.deciphered = input.len();
        if read.is_some() || before == 0 {
            return Ok(read);
        }
        let mut take_rest = || {
            self.deciphered = 0;
            Bytes::copy_from_slice(&input.split())
        };
        Ok(match cue {
            Cue::Quiet => Some(Message::Silence(take_rest())),
            Cue::Eof => Some(Message::Rest(take_rest())),
            Cue::Opened | Cue::Bytes => None,
        })
    }

    fn encode(&mut self, message: &Message, body_bytes: u64, out: &mut BytesMut) {
        Self::write(message, body_bytes, out);
    }

    fn seal(&mut self, bytes: &mut [u8]) {
        cipher(bytes, &mut self.sealed);
    }
}

/// Plain, for the bench: the cipher costs more than all else.
pub struct PlainCodec;

impl Codec for PlainCodec {
    type Message = Message;

    fn decode(&mut self, _: Cue, input: &mut BytesMut, _: &mut BytesMut) -> Result<Option<Message>, Malformed> {
        PuppetCodec::read(input)
    }

    fn encode(&mut self, message: &Message, body_bytes: u64, out: &mut BytesMut) {
        PuppetCodec::write(message, body_bytes, out);
    }

    fn seal(&mut self, _: &mut [u8]) {}
}

/// Greets before it says anything: the dialler with 96 bytes, the acceptor with 8 in return, one for each 12 that it has read. What there is to say
/// meanwhile waits inside.
pub struct ShyCodec {
    role: Role,
    /// Bytes of the other's greeting that have not come.
    awaited: usize,
    waiting: BytesMut,
    inner: PuppetCodec,
}

impl ShyCodec {
    fn new(role: Role) -> Self {
        let awaited = if role == Role::Acceptor { 96 } else { 8 };
        Self { role, awaited, waiting: BytesMut::new(), inner: PuppetCodec::new() }
    }
}

impl Codec for ShyCodec {
    type Message = Message;

    fn decode(&mut self, cue: Cue, input: &mut BytesMut, reply: &mut BytesMut) -> Result<Option<Message>, Malformed> {
        if cue == Cue::Opened && self.role == Role::Dialler {
            reply.put_bytes(7, 96);
        }
        while self.awaited > 0 {
            let step = if self.role == Role::Acceptor { 12 } else { 8 };
            if input.len() < step {
                return Ok(None);
            }
            if input.split_to(step).iter().any(|byte| *byte != 7) {
                return Err(Malformed::at(0, "no greeting"));
            }
            self.awaited -= step;
            if self.role == Role::Acceptor {
                reply.put_u8(7);
            }
            if self.awaited == 0 {
                let mut waiting = std::mem::take(&mut self.waiting);
                self.inner.seal(&mut waiting);
                reply.put_slice(&waiting);
            }
        }
        self.inner.decode(cue, input, reply)
    }

    fn encode(&mut self, message: &Message, body_bytes: u64, out: &mut BytesMut) {
        let out = if self.awaited > 0 { &mut self.waiting } else { out };
        PuppetCodec::write(message, body_bytes, out);
    }

    fn seal(&mut self, bytes: &mut [u8]) {
        self.inner.seal(bytes);
    }
}

const ABILITIES: Abilities = Abilities { publish: true, search_words: false, search_digest: false, fetch: true, many_sources: true };

macro_rules! network {
    ($(#[$doc:meta])* $name:ident, $text:literal, $codec:ty, |$role:ident| $make:expr, $quiet:literal) => {
        $(#[$doc])*
        pub struct $name;

        impl Network for $name {
            const NAME: &'static str = $text;
            const ABILITIES: Abilities = ABILITIES;
            const WANTS_QUIET: bool = $quiet;
            const UTP: bool = true;

            type Config = Config;
            type Node = Puppet;
            type Codec = $codec;
            type Secrets = ();

            fn node(config: Config, _: &mut Dice) -> Puppet {
                Puppet { config, asked: 0, got: 0 }
            }

            fn secrets(_: &Puppet) {}

            fn codec($role: Role, _: Option<&Dial>, (): &(), _: &mut Dice) -> $codec {
                $make
            }

            fn encode_datagram(message: &Message, out: &mut BytesMut) {
                if !matches!(message, Message::Silence(_)) {
                    PuppetCodec::write(message, 0, out);
                }
            }

            fn decode_datagram(_: Door, bytes: &[u8]) -> Result<Message, Malformed> {
                PuppetCodec::read(&mut BytesMut::from(bytes))?.ok_or(Malformed::at(bytes.len(), "unexpected end"))
            }
        }
    };
}

network!(
    /// Enciphered.
    Puppets,
    "puppets",
    PuppetCodec,
    |_role| PuppetCodec::new(),
    false
);
network!(
    /// Wants to know of silences.
    Mimes,
    "mimes",
    PuppetCodec,
    |_role| PuppetCodec::new(),
    true
);
network!(
    /// In clear.
    Runners,
    "runners",
    PlainCodec,
    |_role| PlainCodec,
    false
);

network!(
    /// Greets first.
    Shy,
    "shy",
    ShyCodec,
    |role| ShyCodec::new(role),
    false
);

/// Plain TCP, with patience.
pub fn tcp() -> Dial {
    Dial { transport: Transport::Tcp, deadline: Span::from_secs(10), manner: 0, secret: Bytes::new() }
}
