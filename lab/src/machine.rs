//! One machine: a node, its host, and what happens to them.

use hexad_core::{
    Address, Bind, ConnId, Context, Door, Endpoint, Input, Link, Message, Network, Node, Outbox, Output, Progress, Rooms, Shares, Span,
    Time, Via, Why,
};

use crate::config::Links;
use crate::desk::{Desk, Report};
use crate::dice::{Purpose, dice, mix};
use crate::doors::Doors;
use crate::event::{Addr, Coded, Entry, Event, In, Mouth, Msg, Out, Parcel, Reply, Step, Timer, Wire};
use crate::faults::{Death, State};
use crate::lab::{NodeIndex, Watched};
use crate::nat::Nat;
use crate::pipe::match_up;
use crate::tally::hash;
use crate::wires::{Data, Far, Wires};

/// Datagrams that would wait longer than this for the uplink are thrown away.
const DATAGRAM_WAIT_MAX: Span = Span::from_secs(1);

/// What is left of a machine that is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    On,
    Crashed,
    Vanished,
}

/// One machine. What most machines of a large world never need is behind a pointer.
pub(crate) struct Machine<N: Network> {
    pub(crate) mouth: Mouth,
    power: Power,
    node: Option<N::Node>,
    /// Which of the lab's configurations it was made with.
    config: u32,
    /// How many inputs the node has had: the number of its next dice.
    heard: u32,
    /// Hash over all that has happened here, in order.
    chain: u64,
    doors: Doors,
    nat: Option<Box<Nat>>,
    wires: Option<Box<Wires<N>>>,
    desk: Option<Box<Desk<N>>>,
}

/// What stands on a datagram, and when it has left.
struct Stamp {
    from_port: u16,
    entry: Entry,
    left: Time,
    bytes: u32,
}

struct NoRooms;

impl Rooms for NoRooms {
    fn room(&self, _: ConnId) -> u64 {
        0
    }
}

static NO_SHARES: Shares = Shares::new();

impl<N: Network> Machine<N> {
    pub(crate) fn new(index: u32, config: u32, made: &N::Config, seed: u64) -> Self {
        let mut machine = Self {
            mouth: Mouth::new(index),
            power: Power::On,
            node: None,
            config,
            heard: 0,
            chain: 0,
            doors: Doors::default(),
            nat: None,
            wires: None,
            desk: None,
        };
        machine.boot(made, seed);
        machine
    }

    fn boot(&mut self, config: &N::Config, seed: u64) {
        let mut dice = self.next_dice(seed);
        self.node = Some(N::node(config.clone(), &mut dice));
    }

    fn next_dice(&mut self, seed: u64) -> hexad_core::Dice {
        self.heard = self.heard.checked_add(1).expect("a node has fewer than 2^32 inputs in a run");
        dice(seed, Purpose::Protocol, self.mouth.index, self.heard.into())
    }

    pub(crate) fn node(&self) -> Option<&N::Node> {
        self.node.as_ref()
    }

    /// Reads what the next event will read, see [`Node::warm`].
    pub(crate) fn warm(&self, depth: u8) -> usize {
        let node = self.node.as_ref().map_or(0, |node| node.warm(depth));
        let wires = self.wires.as_ref();
        let own = match depth {
            0 => {
                self.heard as usize
                    ^ self.mouth.warm()
                    ^ self.doors.warm()
                    ^ usize::from(self.desk.is_some())
                    ^ usize::from(wires.is_some())
            }
            1 => wires.map_or(0, |wires| wires.len()),
            _ => wires.map_or(0, |wires| wires.warm()),
        };
        node.wrapping_add(own)
    }

    pub(crate) fn chain(&self) -> u64 {
        self.chain
    }

    pub(crate) fn desk(&self) -> Option<&Desk<N>> {
        self.desk.as_deref()
    }

    pub(crate) fn desk_mut(&mut self) -> &mut Desk<N> {
        self.desk.get_or_insert_with(|| Box::new(Desk::new()))
    }

    pub(crate) fn wires(&self) -> Option<&Wires<N>> {
        self.wires.as_deref()
    }

    pub(crate) fn set_links(&mut self, links: Links, mark_bytes: u64) {
        self.wires.get_or_insert_with(|| Box::new(Wires::new(links, mark_bytes))).set_links(links);
    }

    pub(crate) fn set_nat(&mut self, behind: bool) {
        self.nat = behind.then(Box::default);
    }

    fn wires_mut(&mut self, step: &Step<'_, N>) -> &mut Wires<N> {
        let config = &step.world.config;
        self.wires.get_or_insert_with(|| Box::new(Wires::new(config.links, config.queue_mark_bytes)))
    }

    /// Ends the process, or takes the whole machine away.
    pub(crate) fn die(&mut self, death: Death, step: &mut Step<'_, N>) {
        if self.node.take().is_none() {
            return;
        }
        self.mouth.life += 1;
        self.doors.close_all();
        if let Some(wires) = &mut self.wires {
            wires.die(death == Death::Crash, &mut self.mouth, step);
        }
        if let Some(desk) = &mut self.desk {
            desk.die(true);
        }
        match death {
            Death::Crash => {
                self.power = Power::Crashed;
                step.tally.fired.crashed += 1;
            }
            Death::Vanish => {
                self.power = Power::Vanished;
                step.tally.fired.vanished += 1;
            }
        }
    }

    /// Comes back as a fresh process; what it had joined has to be joined again.
    pub(crate) fn restart(&mut self, state: State, step: &mut Step<'_, N>) {
        self.die(Death::Crash, step);
        if state == State::Lost {
            step.tally.fired.state_lost += 1;
            if let Some(desk) = &mut self.desk {
                desk.die(false);
            }
        }
        self.power = Power::On;
        if let Some(config) = step.configs.get(self.config as usize) {
            self.boot(config, step.world.config.seed);
        }
        step.tally.fired.restarted += 1;
    }

    /// A wake is due that was asked for in that life.
    pub(crate) fn on_wake(&mut self, life: u32, timer: Timer<N>, step: &mut Step<'_, N>) {
        if life == self.mouth.life {
            self.hear(self.mouth.index, 0, Input::Elapsed(timer), step);
        }
    }

    /// Lets a scenario be the node's host for a moment. `None` when the machine is down. What the node wants is carried out, and of doors that
    /// it opens it hears before this returns.
    pub(crate) fn touch<R>(
        &mut self,
        act: impl FnOnce(&mut N::Node, &mut Context<'_>, &mut Outbox<N::Node>) -> R,
        step: &mut Step<'_, N>,
    ) -> Option<R> {
        self.node.as_ref()?;
        self.chain = mix(self.chain ^ mix(step.now.as_micros()) ^ const { hash("touched") });
        let done = self.let_act(act, step);
        let mut outbox = std::mem::take(step.outbox);
        let mut bound = Vec::new();
        for output in outbox.drain() {
            match output {
                Output::Listen(door, bind) => bound.push(Input::Bound(door, self.doors.open(door, &bind))),
                other => self.say(other, step),
            }
        }
        *step.outbox = outbox;
        for input in bound {
            self.hear(self.mouth.index, 0, input, step);
        }
        done
    }

    fn let_act<R>(
        &mut self,
        act: impl FnOnce(&mut N::Node, &mut Context<'_>, &mut Outbox<N::Node>) -> R,
        step: &mut Step<'_, N>,
    ) -> Option<R> {
        let mut dice = self.next_dice(step.world.config.seed);
        let node = self.node.as_mut()?;
        let before = self.wires.as_ref().map_or(0, |wires| wires.next_conn);
        let mut next_conn = before;
        let rooms: &dyn Rooms = match &self.wires {
            Some(wires) => &**wires,
            None => &NoRooms,
        };
        let mut context = Context {
            now: step.now,
            epoch_unix_s: step.world.config.epoch_unix_s,
            dice: &mut dice,
            shares: self.desk.as_ref().map_or(&NO_SHARES, |desk| &desk.shares),
            next_conn: &mut next_conn,
            rooms,
        };
        let done = act(node, &mut context, step.outbox);
        if next_conn != before {
            self.wires_mut(step).next_conn = next_conn;
        }
        Some(done)
    }

    /// Carries out one event.
    pub(crate) fn on_event(&mut self, from: u32, event: Event<N>, step: &mut Step<'_, N>) {
        if self.node.is_none() {
            return self.on_event_when_down(from, event, step);
        }
        match event {
            Event::Host { life, input } if life == self.mouth.life => self.hear(from, 0, *input, step),
            Event::Host { .. } => {}
            Event::UplinkFree { life } => {
                if life == self.mouth.life
                    && let Some(wires) = &mut self.wires
                {
                    let mut heard = std::mem::take(step.heard);
                    wires.on_uplink_free(&mut heard, &mut self.mouth, step);
                    for input in heard.drain(..) {
                        self.hear(from, 0, input, step);
                    }
                    *step.heard = heard;
                }
            }
            Event::Datagram { from_port, entry, bytes, parcel } => self.on_datagram(from, from_port, entry, bytes, parcel, step),
            Event::Syn { conn, deadline, .. } if self.nat.is_some() && from != self.mouth.index => {
                step.tally.fired.nat_blocked += 1;
                let soon = step.now + step.world.space.floor();
                self.mouth.emit(step, from, deadline.max(soon), Event::Refused { conn, why: Box::new(Why::TimedOut) });
            }
            Event::Syn { conn, entry, acks, deadline } => {
                self.on_syn(Far { peer: from, conn: conn.conn(), acks }, entry, deadline, step);
            }
            Event::SynAck { conn, far, acks } => {
                let secrets = self.secrets(step);
                self.wires_mut(step);
                let Some(wires) = &mut self.wires else { return };
                if let Some(input) =
                    wires.on_syn_ack(conn.conn(), Far { peer: from, conn: far.conn(), acks }, secrets, &mut self.mouth, step)
                {
                    self.hear(from, 0, input, step);
                }
            }
            Event::Refused { conn, why } => {
                if let Some(input) = self.wires.as_mut().and_then(|wires| wires.on_refused(conn.conn(), *why)) {
                    self.hear(from, 0, input, step);
                }
            }
            Event::Fin { conn, broken, through } => {
                if let Some(input) = self.wires.as_mut().and_then(|wires| wires.on_fin(conn.conn(), broken, through, &mut self.mouth, step))
                {
                    self.hear(from, 0, input, step);
                }
            }
            Event::Data { conn, back, bytes, body_bytes, through, parcel } => {
                self.wires_mut(step);
                let Some(wires) = &mut self.wires else { return };
                let conn = conn.conn();
                let data = Data { conn, back: back.conn(), bytes, body_bytes, through, parcel };
                let mut heard = std::mem::take(step.heard);
                wires.on_data(data, from, &mut heard, &mut self.mouth, step);
                let mut bytes = bytes;
                for (place, input) in heard.drain(..).enumerate() {
                    // The node may have closed the connection over the first of several messages.
                    if place == 0 || self.wires.as_ref().is_some_and(|wires| wires.knows(conn)) || matches!(input, Input::Closed(..)) {
                        self.hear(from, std::mem::take(&mut bytes), input, step);
                    }
                }
                *step.heard = heard;
            }
            Event::Acked { conn, bytes } => {
                if let Some(wires) = &mut self.wires {
                    wires.on_acked(conn.conn(), bytes, &mut self.mouth, step);
                }
            }
            Event::Start { op, operation } => self.hear(from, 0, Input::Start(op, *operation), step),
            Event::Cancel { op } => {
                if let Some(desk) = &mut self.desk {
                    desk.on_cancel(op, &mut self.mouth, step);
                }
                self.hear(from, 0, Input::Cancel(op), step);
            }
        }
    }

    /// What reaches a machine that is down: a machine without the process refuses, one that is gone lets others find out.
    fn on_event_when_down(&mut self, from: u32, event: Event<N>, step: &mut Step<'_, N>) {
        let crashed = self.power == Power::Crashed;
        match event {
            Event::Syn { conn, deadline, .. } => {
                step.tally.fired.into_the_void += 1;
                let soon = step.now + step.world.travel(self.mouth.index, from, self.mouth.next(), &mut step.tally.fired);
                let (at, why) = if crashed { (soon, Why::Unreachable) } else { (deadline.max(soon), Why::TimedOut) };
                self.mouth.emit(step, from, at, Event::Refused { conn, why: Box::new(why) });
            }
            Event::SynAck { far, .. } | Event::Data { back: far, .. } => {
                step.tally.fired.into_the_void += 1;
                let soon = step.world.travel(self.mouth.index, from, self.mouth.next(), &mut step.tally.fired);
                let delay = if crashed { soon } else { step.world.config.silence.max(soon) };
                self.mouth.emit(step, from, step.now + delay, Event::Fin { conn: far, broken: true, through: false });
            }
            Event::Datagram { .. } => step.tally.fired.into_the_void += 1,
            _ => {}
        }
    }

    fn secrets(&self, step: &Step<'_, N>) -> Option<N::Secrets> {
        self.node.as_ref().filter(|_| step.world.config.codec).map(N::secrets)
    }

    fn on_syn(&mut self, far: Far, entry: Entry, deadline: Time, step: &mut Step<'_, N>) {
        let from = far.peer;
        let Some(door) = self.doors.for_connection(entry) else {
            let at = step.now + step.world.travel(self.mouth.index, from, self.mouth.next(), &mut step.tally.fired);
            self.mouth.emit(step, from, at, Event::Refused { conn: Wire::of(far.conn), why: Box::new(Why::Unreachable) });
            return;
        };
        let secrets = self.secrets(step);
        let wires = self.wires_mut(step);
        wires.next_conn += 1;
        let conn = ConnId(wires.next_conn);
        let Some(wires) = &mut self.wires else { return };
        wires.accept(conn, far, deadline, secrets, &mut self.mouth, step);
        self.hear(from, 0, Input::Opened { conn, peer: Addr::<N>::of_lab_node(from), via: Via::Accepted(door) }, step);
    }

    fn on_datagram(&mut self, from: u32, from_port: u16, entry: Entry, bytes: u32, parcel: Parcel<Msg<N>>, step: &mut Step<'_, N>) {
        let stranger = |nat: &Nat| from != self.mouth.index && !matches!(entry, Entry::Group(_)) && !nat.lets_in(from, step.now);
        if self.nat.as_deref().is_some_and(stranger) {
            step.tally.fired.nat_blocked += 1;
            return;
        }
        let Some(door) = self.doors.for_datagram(entry) else {
            step.tally.doorless += 1;
            return;
        };
        self.mouth.traffic.received_bytes += u64::from(bytes);
        let message = match parcel {
            Parcel::Plain(message) => message,
            Parcel::Coded(coded) => {
                let Coded { original, bytes, .. } = *coded;
                match (N::decode_datagram(door, &bytes), original) {
                    (Ok(read), Some(original)) => match_up(read, original, None, step.tally),
                    _ => {
                        step.tally.malformed += 1;
                        return;
                    }
                }
            }
        };
        self.hear(from, bytes, Input::Received(Link::Datagram(door, address_of::<N>(from, from_port)), message), step);
    }

    /// Hands the node an input, of so many bytes if it is a message, and carries out what follows.
    fn hear(&mut self, from: u32, bytes: u32, input: In<N>, step: &mut Step<'_, N>) {
        if self.node.is_none() {
            return;
        }
        self.chain = mix(self.chain ^ mix(step.now.as_micros() ^ (u64::from(from) << 40)) ^ kind(&input, bytes, step));
        if let Some(watcher) = &mut step.watcher {
            watcher(step.now, self.mouth.index, Watched::Heard(&input));
        }
        self.let_act(|node, context, outbox| node.handle(input, context, outbox), step);
        if step.outbox.is_empty() {
            return;
        }
        let mut outbox = std::mem::take(step.outbox);
        for output in outbox.drain() {
            self.say(output, step);
        }
        *step.outbox = outbox;
    }

    /// An output passes those who watch, withhold and forge, and takes effect.
    fn say(&mut self, mut output: Out<N>, step: &mut Step<'_, N>) {
        if let Some(watcher) = &mut step.watcher {
            watcher(step.now, self.mouth.index, Watched::Said(&output));
        }
        if step.tamper.is_some_and(|effective| !effective(self.mouth.index, &output)) {
            step.tally.fired.withheld += 1;
            return;
        }
        if let Some(forged) = step.forge.and_then(|forge| forge(self.mouth.index, &output)) {
            step.tally.fired.forged += 1;
            output = forged;
        }
        self.carry_out(output, step);
    }

    fn carry_out(&mut self, output: Out<N>, step: &mut Step<'_, N>) {
        match output {
            Output::Wake(at, timer) => self.mouth.wake(step, at.max(step.now), timer),
            Output::Send(Link::Conn(conn), message) => self.send(conn, message, None, step),
            Output::Send(Link::Datagram(door, to), message) => self.send_datagram(door, &to, message, step),
            Output::Send(Link::Multicast(door), message) => self.send_to_site(door, &message, step),
            Output::SendShare(conn, message, share, range) => {
                let token = self.desk_mut().token(share, range, step.tally);
                self.send(conn, message, Some(token), step);
            }
            Output::Unsend(conn) => {
                if let Some(wires) = &mut self.wires {
                    wires.unsend(conn);
                }
            }
            Output::Open(conn, to, dial) => {
                self.wires_mut(step);
                if let Some(wires) = &mut self.wires {
                    wires.dial(conn, &to, dial, &mut self.mouth, step);
                }
            }
            Output::Close(conn, _) => {
                if let Some(wires) = &mut self.wires {
                    wires.close(conn, false, &mut self.mouth, step);
                }
            }
            Output::Listen(door, bind) => self.listen(door, &bind, step),
            Output::Unlisten(door) => self.doors.close(door),
            Output::Deliver(lease, offset, payload) => {
                self.desk.get_or_insert_with(|| Box::new(Desk::new())).deliver(lease, offset, &payload, &mut self.mouth, step);
            }
            Output::Claim(lease, ranges) => {
                if let Some(desk) = &mut self.desk {
                    desk.claim(lease, &ranges, &mut self.mouth, step);
                }
            }
            Output::Report(op, progress) => self.on_report(op, progress, step),
            Output::Ask(ticket, ask) => {
                self.desk.get_or_insert_with(|| Box::new(Desk::new())).on_ask(ticket, ask, &mut self.mouth, step);
            }
            Output::Note(note) => step.tally.note(note.code),
        }
    }

    fn on_report(&mut self, op: hexad_core::OpId, progress: Progress<Reply<N>>, step: &mut Step<'_, N>) {
        if let (Progress::Described(description), Some(desk)) = (&progress, &mut self.desk) {
            desk.on_described(op, description, &mut self.mouth, step);
        }
        let report = Report { at: step.now, op, progress };
        if step.world.config.keep_reports {
            self.desk_mut().keep(report);
        } else {
            step.reports.push((NodeIndex(self.mouth.index), report));
        }
    }

    fn listen(&mut self, door: Door, bind: &Bind, step: &mut Step<'_, N>) {
        let bound = self.doors.open(door, bind);
        self.mouth.emit_here(step, step.now, Event::Host { life: self.mouth.life, input: Box::new(Input::Bound(door, bound)) });
    }

    fn send(&mut self, conn: ConnId, message: Msg<N>, body: Option<hexad_core::Token>, step: &mut Step<'_, N>) {
        let Some(wires) = &mut self.wires else { return };
        if let Some(why) = wires.send(conn, message, body, &mut self.mouth, step) {
            self.mouth.emit_here(step, step.now, Event::Host { life: self.mouth.life, input: Box::new(Input::Closed(conn, why)) });
        }
    }

    fn send_datagram(&mut self, door: Door, to: &Addr<N>, message: Msg<N>, step: &mut Step<'_, N>) {
        let Some(from_port) = self.doors.port(door) else {
            step.tally.doorless += 1;
            return;
        };
        let Some((peer, entry)) = step.world.find(to) else { return };
        let entry = if entry == Entry::Any { Entry::Same(door) } else { entry };
        if let Some(nat) = &mut self.nat {
            nat.on_sent(peer, step.now);
        }
        if let Some((left, bytes)) = self.leave(message.wire_bytes(), step) {
            self.post(peer, &Stamp { from_port, entry, left, bytes }, message, step);
        }
    }

    fn send_to_site(&mut self, door: Door, message: &Msg<N>, step: &mut Step<'_, N>) {
        let Some(from_port) = self.doors.port(door) else {
            step.tally.doorless += 1;
            return;
        };
        if let Some((left, bytes)) = self.leave(message.wire_bytes(), step) {
            for peer in step.world.neighbours(self.mouth.index) {
                self.post(peer, &Stamp { from_port, entry: Entry::Group(door), left, bytes }, message.clone(), step);
            }
        }
    }

    /// When a datagram has left through the uplink, and how long it is; `None` when it was thrown away.
    fn leave(&mut self, bytes: u64, step: &mut Step<'_, N>) -> Option<(Time, u32)> {
        let limited = step.world.config.links.up_bytes_per_s.is_some()
            || self.wires.as_ref().is_some_and(|wires| wires.links().up_bytes_per_s.is_some());
        let left = if limited { self.wires_mut(step).slip_in(bytes, step.now, DATAGRAM_WAIT_MAX) } else { Some(step.now) };
        step.tally.datagrams_overrun += u64::from(left.is_none());
        let left = left?;
        self.mouth.traffic.sent_bytes += bytes;
        Some((left, u32::try_from(bytes).unwrap_or(u32::MAX)))
    }

    fn post(&mut self, peer: u32, stamp: &Stamp, message: Msg<N>, step: &mut Step<'_, N>) {
        let Stamp { from_port, entry, left, bytes } = *stamp;
        let Some((way, twin)) = step.world.travel_datagram(self.mouth.index, peer, self.mouth.next(), &mut step.tally.fired) else {
            return;
        };
        if let Some(later) = twin
            && let Some(parcel) = parcel_of::<N>(message.clone(), bytes, step)
        {
            self.mouth.emit(step, peer, left + later, Event::Datagram { from_port, entry, bytes, parcel });
        }
        if let Some(parcel) = parcel_of::<N>(message, bytes, step) {
            self.mouth.emit(step, peer, left + way, Event::Datagram { from_port, entry, bytes, parcel });
        }
    }
}

/// A datagram's message, encoded if the codec is on; `None` when it has no encoding.
fn parcel_of<N: Network>(message: Msg<N>, bytes: u32, step: &mut Step<'_, N>) -> Option<Parcel<Msg<N>>> {
    if !step.world.config.codec {
        return Some(Parcel::Plain(message));
    }
    let mut out = bytes::BytesMut::new();
    N::encode_datagram(&message, &mut out);
    if out.is_empty() {
        step.tally.malformed += 1;
        return None;
    }
    step.tally.codec_differences += u64::from(out.len() as u64 != u64::from(bytes));
    Some(Parcel::Coded(Box::new(Coded { original: Some(message), body: None, bytes: out.freeze() })))
}

/// Where a datagram came from, as the receiver's network writes it.
fn address_of<N: Network>(node: u32, port: u16) -> Addr<N> {
    let plain = Addr::<N>::of_lab_node(node);
    let socket = plain.endpoint().as_ref().and_then(Endpoint::socket);
    match socket {
        Some(mut socket) if socket.port() != port => {
            socket.set_port(port);
            Addr::<N>::of_socket(socket).unwrap_or(plain)
        }
        _ => plain,
    }
}

/// A number for the kind of an input, for the digest; counts messages.
fn kind<N: Network>(input: &In<N>, bytes: u32, step: &mut Step<'_, N>) -> u64 {
    match input {
        Input::Received(_, message) => step.tally.saw(Message::kind(message), bytes.into()),
        Input::Start(..) => const { hash("start") },
        Input::Cancel(_) => const { hash("cancel") },
        Input::Bound(..) => const { hash("bound") },
        Input::Opened { .. } => const { hash("opened") },
        Input::Closed(..) => const { hash("closed") },
        Input::Elapsed(_) => const { hash("elapsed") },
        Input::Sent(..) => const { hash("sent") },
        Input::Room(_) => const { hash("room") },
        Input::Leased(..) => const { hash("leased") },
        Input::Elsewhere(..) => const { hash("elsewhere") },
        Input::Judged(..) => const { hash("judged") },
        Input::Answered(..) => const { hash("answered") },
    }
}
