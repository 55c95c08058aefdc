//! Runs one node by hand: tests tell it what it hears and look at what it says.

use crate::node::{Inbound, Outbound};
use crate::{ConnId, Context, Dice, Node, Outbox, Output, Rooms, Shares, Span, Time};

/// A node on a table: no host, the test is the world.
#[derive(Debug)]
pub struct Transcript<N: Node> {
    /// The node.
    pub node: N,
    /// The time it is told.
    pub now: Time,
    /// The shares it sees.
    pub shares: Shares,
    /// Bytes that every send queue takes.
    pub room: u64,
    dice: Dice,
    next_conn: u64,
    wakes: Vec<(Time, N::Timer)>,
}

struct Everywhere(u64);

impl Rooms for Everywhere {
    fn room(&self, _: ConnId) -> u64 {
        self.0
    }
}

impl<N: Node> Transcript<N> {
    /// `node` at time zero, with dice from `seed`.
    pub fn new(node: N, seed: u64) -> Self {
        Self { node, now: Time::ZERO, shares: Shares::new(), room: 1 << 20, dice: Dice::counter(seed, 0), next_conn: 0, wakes: Vec::new() }
    }

    /// Hands `input` in and returns what the node wants, but for its wakes, which are remembered for [`Self::pass`].
    pub fn hears(&mut self, input: Inbound<N>) -> Vec<Outbound<N>> {
        self.touch(|node, context, out| node.handle(input, context, out))
    }

    /// Lets the test be the node's host for a moment: for a node that has been going for long, without living through it. Returns as [`Self::hears`].
    pub fn touch(&mut self, act: impl FnOnce(&mut N, &mut Context<'_>, &mut Outbox<N>)) -> Vec<Outbound<N>> {
        let mut out = Outbox::new();
        let rooms = Everywhere(self.room);
        let mut cx = Context {
            now: self.now,
            epoch_unix_s: 1_800_000_000,
            dice: &mut self.dice,
            shares: &self.shares,
            next_conn: &mut self.next_conn,
            rooms: &rooms,
        };
        act(&mut self.node, &mut cx, &mut out);
        let mut said = Vec::new();
        for output in out.drain() {
            match output {
                Output::Wake(at, timer) => self.wakes.push((at, timer)),
                other => said.push(other),
            }
        }
        said
    }

    /// Lets `span` go by, waking the node whenever it asked for it, and returns all it wants meanwhile.
    pub fn pass(&mut self, span: Span) -> Vec<Outbound<N>> {
        let until = self.now + span;
        let mut said = Vec::new();
        while let Some(next) = (0..self.wakes.len()).filter(|&i| self.wakes[i].0 <= until).min_by_key(|&i| (self.wakes[i].0, i)) {
            let (at, timer) = self.wakes.remove(next);
            self.now = self.now.max(at);
            said.extend(self.hears(crate::Input::Elapsed(timer)));
        }
        self.now = until;
        said
    }

    /// A connection id that the node will not choose itself: for `Input::Opened` of an accepted connection.
    pub fn accepted(&mut self) -> ConnId {
        self.next_conn += 1;
        ConnId(self.next_conn)
    }
}
