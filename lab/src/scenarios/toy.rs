//! A toy that costs next to nothing itself: what is left is the lab.

use std::net::SocketAddr;

use bytes::{Buf as _, BufMut as _, BytesMut};
use hexad_core::{
    Abilities, Bind, Codec, Context, Cue, Dial, Dice, Door, Failure, Inbound, Input, Link, Malformed, Message, Network, Node, Operation,
    Outbox, Output, Payload, Progress, Role, Span,
};

use crate::gauge::{Gauge, memory_bytes};
use crate::outcome::{Cell, Outcome, Table};
use crate::scenario::{Parameter, Params, Scenario};
use crate::value::Preset;
use crate::{Lab, LabConfig, NodeIndex};

/// The scenario `lab/hops`.
pub static HOPS: Scenario = Scenario {
    name: "lab/hops",
    about: "A toy whose nodes pass tokens on at random and ping each other: what the lab itself costs per event and per node",
    nodes: 10_000,
    parameters: &[
        Parameter { name: "tokens-percent", default: Preset::Number(10.0), help: "tokens that travel, percent of the nodes" },
        Parameter { name: "period", default: Preset::Seconds(10.0), help: "every node pings somebody so often" },
        Parameter { name: "time", default: Preset::Seconds(5.0), help: "virtual time that is run" },
        Parameter { name: "codec", default: Preset::Switch(false), help: "every message becomes bytes on its way" },
    ],
    run,
    ..Scenario::PLAIN
};

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "figures for people, and a share")]
fn run(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let nodes = params.nodes();
    gauge.phase("set-up");
    let before = memory_bytes();
    let (seed, codec, threads) = (params.seed(), params.switch("codec"), params.threads);
    let mut lab = Lab::<Hops>::new(LabConfig { seed, codec, threads, keep_reports: false, ..LabConfig::default() });
    lab.add_nodes(nodes, Config { nodes, period: params.span("period") });
    let tokens = (f64::from(nodes) * params.number("tokens-percent") / 100.0) as u32;
    for node in 0..nodes {
        lab.touch(NodeIndex(node), |toy, context, out| toy.begin(node < tokens, context, out));
    }
    gauge.end();
    let after = memory_bytes();
    gauge.run_for("steady", &mut lab, params.span("time"));
    let peak = memory_bytes();
    let mut outcome = Outcome::default();
    outcome.absorb(&lab);
    let per_node = |bytes: u64| Cell::from(bytes.saturating_sub(before) as f64 / f64::from(nodes));
    let steady = gauge.phases().last().map_or(0.0, crate::Phase::events_per_cpu_s);
    let mut table = Table::new("cost", "What the lab costs", &[("figure", ""), ("value", ""), ("unit", "")]);
    table.row(["a node at rest".into(), per_node(after), "B".into()]);
    table.row(["a node with what is on its way".into(), per_node(peak), "B".into()]);
    table.row(["events in steady state".into(), Cell::from(steady), "per CPU second".into()]);
    table.row(["events that wait".into(), Cell::from(lab.waiting()), "".into()]);
    outcome.tables.push(table);
    Ok(outcome)
}

const DOOR: Door = Door(0);

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Travels from node to node.
    Token(u64),
    /// Wants a pong.
    Ping(u32),
    /// Answers a ping.
    Pong(u32),
}

impl Message for Word {
    fn kind(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Ping(_) => "ping",
            Self::Pong(_) => "pong",
        }
    }

    fn wire_bytes(&self) -> u64 {
        9
    }

    fn with_body(self, _: Payload) -> Self {
        self
    }
}

/// How large the world is, and how often nodes ping.
#[derive(Clone, Debug, Default)]
pub struct Config {
    nodes: u32,
    period: Span,
}

/// Is woken to ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick;

/// Passes tokens on.
#[derive(Debug)]
pub struct Toy {
    nodes: u32,
    period_ms: u32,
    pings: u32,
}

impl Toy {
    fn begin(&self, token: bool, context: &mut Context<'_>, out: &mut Outbox<Self>) {
        out.push(Output::Listen(DOOR, Bind::Datagram(SocketAddr::from(([0, 0, 0, 0], 1)))));
        let phase = context.dice.below(u64::from(self.period_ms) * 1000);
        out.wake(context.now + Span::from_micros(phase), Tick);
        if token {
            out.send(self.anybody(context), Word::Token(0));
        }
    }

    fn anybody(&self, context: &mut Context<'_>) -> Link<u32> {
        Link::Datagram(DOOR, u32::try_from(context.dice.below(self.nodes.into())).unwrap_or(0))
    }
}

impl Node for Toy {
    type Addr = u32;
    type Message = Word;
    type Timer = Tick;
    type Request = ();
    type Reply = ();

    fn handle(&mut self, input: Inbound<Self>, context: &mut Context<'_>, out: &mut Outbox<Self>) {
        match input {
            Input::Received(_, Word::Token(hops)) => out.send(self.anybody(context), Word::Token(hops + 1)),
            Input::Received(from, Word::Ping(number)) => out.send(from, Word::Pong(number)),
            Input::Elapsed(Tick) => {
                self.pings += 1;
                out.send(self.anybody(context), Word::Ping(self.pings));
                out.wake(context.now + Span::from_millis(self.period_ms.into()), Tick);
            }
            Input::Start(op, Operation::Join { .. }) => {
                self.begin(true, context, out);
                out.report(op, Progress::Done);
            }
            Input::Start(op, _) => out.report(op, Progress::Failed(Failure::Unusable("a toy only joins".into()))),
            _ => {}
        }
    }
}

/// The network of toys.
pub enum Hops {}

impl Network for Hops {
    const NAME: &'static str = "hops";
    const ABILITIES: Abilities = Abilities { publish: false, search_words: false, search_digest: false, fetch: false, many_sources: false };

    type Config = Config;
    type Node = Toy;
    type Codec = NoCodec;
    type Secrets = ();

    fn node(config: Config, _: &mut Dice) -> Toy {
        Toy { nodes: config.nodes, period_ms: u32::try_from(config.period.as_millis()).unwrap_or(u32::MAX), pings: 0 }
    }

    fn secrets(_: &Toy) {}

    fn codec(_: Role, _: Option<&Dial>, (): &(), _: &mut Dice) -> NoCodec {
        NoCodec
    }

    fn encode_datagram(message: &Word, out: &mut BytesMut) {
        let (kind, number) = match message {
            Word::Token(hops) => (0, *hops),
            Word::Ping(number) => (1, u64::from(*number)),
            Word::Pong(number) => (2, u64::from(*number)),
        };
        out.put_u8(kind);
        out.put_u64(number);
    }

    fn decode_datagram(_: Door, mut bytes: &[u8]) -> Result<Word, Malformed> {
        if bytes.len() != 9 {
            return Err(Malformed::at(bytes.len(), "expected 9 bytes"));
        }
        let (kind, number) = (bytes.get_u8(), bytes.get_u64());
        let small = || u32::try_from(number).map_err(|_| Malformed::at(1, "expected a number below 2^32"));
        match kind {
            0 => Ok(Word::Token(number)),
            1 => Ok(Word::Ping(small()?)),
            2 => Ok(Word::Pong(small()?)),
            _ => Err(Malformed::at(0, "expected 0, 1 or 2")),
        }
    }
}

/// Toys open no connections.
#[derive(Debug)]
pub struct NoCodec;

impl Codec for NoCodec {
    type Message = Word;

    fn decode(&mut self, _: Cue, _: &mut BytesMut, _: &mut BytesMut) -> Result<Option<Word>, Malformed> {
        Err(Malformed::at(0, "toys open no connections"))
    }

    fn encode(&mut self, _: &Word, _: u64, _: &mut BytesMut) {}

    fn seal(&mut self, _: &mut [u8]) {}
}

#[cfg(test)]
mod tests {
    use super::{Hops, Tick, Toy, Word};
    use crate::event::Event;
    use crate::machine::Machine;
    use crate::queue::{Alarm, Post};

    #[test]
    fn what_a_large_world_has_many_of_is_small() {
        let machine = size_of::<Machine<Hops>>() - size_of::<Toy>();
        let event = size_of::<Post<Event<Hops>>>() - size_of::<Word>();
        let wake = size_of::<Alarm<Tick>>();
        assert!(machine <= 128 && event <= 48 && wake <= 24, "{machine} {event} {wake}");
    }
}
