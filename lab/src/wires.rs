//! A machine's ends of connections, and its link.
//!
//! Every end lives at its own machine and knows the other one by machine and number only. What is to be sent waits at its end until the
//! uplink takes it: one turn for each end, a block long. Messages without a body do not wait for other ends' blocks, as packets would not;
//! the link's time that they take is taken from the next turn.

use std::collections::VecDeque;

use hexad_core::{Address, ConnId, Dial, Input, Link, Malformed, Map, Message, Network, Payload, Role, Rooms, Span, Time, Token, Via, Why};

use crate::config::{Links, duration};
use crate::dice::{Purpose, dice};
use crate::event::{Addr, Coded, Event, In, Mouth, Msg, Parcel, Step, Wire};
use crate::pipe::Pipe;

/// Ends that are read ahead.
const WARMED: usize = 8;
/// What an end sends when it is its turn: frames until at least so many bytes.
const TURN_BYTES: u64 = 16 << 10;

struct Frame<M> {
    message: M,
    head_bytes: u64,
    body: Option<Token>,
}

impl<M> Frame<M> {
    fn body_bytes(&self) -> u64 {
        self.body.as_ref().map_or(0, |token| token.range.end - token.range.start)
    }

    fn bytes(&self) -> u64 {
        self.head_bytes + self.body_bytes()
    }
}

/// One end of a connection.
struct End<N: Network> {
    peer: u32,
    /// The other end; not known while dialling.
    far: Option<ConnId>,
    queue: VecDeque<Frame<Msg<N>>>,
    queued_bytes: u64,
    /// Was over the mark, and the node was not yet told that it no longer is.
    over: bool,
    in_turn: bool,
    /// The other end acknowledges bodies.
    windowed: bool,
    in_flight: u64,
    /// Nothing on this connection arrives before this.
    last_arrival: Time,
    /// Codec on.
    pipe: Option<Box<Pipe<N>>>,
    /// Codec on, while dialling.
    dial: Option<Box<Dial>>,
}

impl<N: Network> End<N> {
    fn new(peer: u32, far: Option<ConnId>, windowed: bool) -> Self {
        Self {
            peer,
            far,
            queue: VecDeque::new(),
            queued_bytes: 0,
            over: false,
            in_turn: false,
            windowed,
            in_flight: 0,
            last_arrival: Time::ZERO,
            pipe: None,
            dial: None,
        }
    }

    fn may_send(&self, window_bytes: u64) -> bool {
        let Some(frame) = self.queue.front() else { return false };
        self.far.is_some() && (!self.windowed || frame.body.is_none() || self.in_flight < window_bytes)
    }
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Far {
    pub(crate) peer: u32,
    pub(crate) conn: ConnId,
    /// It acknowledges bodies.
    pub(crate) acks: bool,
}

/// All ends of a machine.
pub(crate) struct Wires<N: Network> {
    ends: Map<ConnId, End<N>>,
    /// The last number given to a connection.
    pub(crate) next_conn: u64,
    links: Links,
    mark_bytes: u64,
    /// Who has something to send, and whose turn is next.
    turns: VecDeque<ConnId>,
    /// A turn is being sent.
    busy: bool,
    /// Whose turn that is, and how many bytes of bodies it has.
    sending: Option<(ConnId, u64)>,
    /// What messages without bodies took of the link during this turn.
    debt: Span,
    /// When the link has sent the last message without body.
    small_until: Time,
    /// When the downlink has taken everything that has arrived.
    down_until: Time,
}

impl<N: Network> Rooms for Wires<N> {
    fn room(&self, conn: ConnId) -> u64 {
        self.ends.get(&conn).filter(|end| end.far.is_some()).map_or(0, |end| self.mark_bytes.saturating_sub(end.queued_bytes))
    }
}

impl<N: Network> Wires<N> {
    pub(crate) fn new(links: Links, mark_bytes: u64) -> Self {
        Self {
            ends: Map::new(),
            next_conn: 0,
            links,
            mark_bytes,
            turns: VecDeque::new(),
            busy: false,
            sending: None,
            debt: Span::ZERO,
            small_until: Time::ZERO,
            down_until: Time::ZERO,
        }
    }

    pub(crate) fn set_links(&mut self, links: Links) {
        self.links = links;
    }

    pub(crate) fn links(&self) -> Links {
        self.links
    }

    pub(crate) fn knows(&self, conn: ConnId) -> bool {
        self.ends.contains_key(&conn)
    }

    /// How many ends there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Reads the first ends; most machines have no more.
    pub(crate) fn warm(&self) -> usize {
        self.ends.values().take(WARMED).map(|end| end.peer as usize).fold(0, usize::wrapping_add)
    }

    /// How many connections are open.
    pub(crate) fn open_count(&self) -> usize {
        self.ends.values().filter(|end| end.far.is_some()).count()
    }

    /// When a message of so many bytes that waits for nobody has left; `None` when too much of that kind is ahead of it.
    pub(crate) fn slip_in(&mut self, bytes: u64, now: Time, wait_max: Span) -> Option<Time> {
        if self.links.up_bytes_per_s.is_none() {
            return Some(now);
        }
        if self.small_until.since(now) > wait_max {
            return None;
        }
        let taken = duration(bytes, self.links.up_bytes_per_s);
        self.small_until = self.small_until.max(now) + taken;
        if self.busy {
            self.debt += taken;
        }
        Some(self.small_until)
    }

    /// Dials.
    pub(crate) fn dial(&mut self, conn: ConnId, address: &Addr<N>, dial: Dial, mouth: &mut Mouth, step: &mut Step<'_, N>) {
        let deadline = step.now + dial.deadline;
        let refused = |why: Why| Event::Refused { conn: Wire::of(conn), why: Box::new(why) };
        let Some((peer, entry)) = step.world.find(address) else {
            let why = if matches!(address.endpoint(), Some(hexad_core::Endpoint::Name(_))) { Why::NoSuchName } else { Why::Unreachable };
            mouth.emit_here(step, step.now, refused(why));
            self.ends.insert(conn, End::new(u32::MAX, None, false));
            return;
        };
        let mut end = End::new(peer, None, false);
        end.dial = step.world.config.codec.then(|| Box::new(dial));
        self.ends.insert(conn, end);
        let way = step.world.travel(mouth.index, peer, mouth.next(), &mut step.tally.fired);
        if step.world.blocks(mouth.index, peer, &mut step.tally.fired) || step.now + way + way > deadline {
            mouth.emit_here(step, deadline, refused(Why::TimedOut));
            return;
        }
        let acks = self.links.down_bytes_per_s.is_some();
        mouth.emit(step, peer, step.now + way, Event::Syn { conn: Wire::of(conn), entry, acks, deadline });
    }

    /// Somebody has dialled, waits until `deadline`, and is let in under `conn`.
    pub(crate) fn accept(
        &mut self,
        conn: ConnId,
        far: Far,
        deadline: Time,
        secrets: Option<N::Secrets>,
        mouth: &mut Mouth,
        step: &mut Step<'_, N>,
    ) {
        let mut end = End::new(far.peer, Some(far.conn), far.acks);
        end.pipe = secrets.map(|secrets| Box::new(Pipe::new(N::codec(Role::Acceptor, None, &secrets, &mut codec_dice(step, mouth, conn)))));
        if step.world.blocks(mouth.index, far.peer, &mut step.tally.fired) {
            let at = deadline.max(step.now + step.world.space.floor());
            mouth.emit(step, far.peer, at, Event::Refused { conn: Wire::of(far.conn), why: Box::new(Why::TimedOut) });
            mouth.emit_here(step, step.now + step.world.config.silence, Event::Fin { conn: Wire::of(conn), broken: true, through: false });
        } else {
            let at = step.now + step.world.travel(mouth.index, far.peer, mouth.next(), &mut step.tally.fired);
            end.last_arrival = at;
            mouth.emit(
                step,
                far.peer,
                at,
                Event::SynAck { conn: Wire::of(far.conn), far: Wire::of(conn), acks: self.links.down_bytes_per_s.is_some() },
            );
        }
        self.ends.insert(conn, end);
    }

    /// A dial of ours was answered.
    pub(crate) fn on_syn_ack(
        &mut self,
        conn: ConnId,
        far: Far,
        secrets: Option<N::Secrets>,
        mouth: &mut Mouth,
        step: &mut Step<'_, N>,
    ) -> Option<In<N>> {
        let Some(end) = self.ends.get_mut(&conn).filter(|end| end.far.is_none()) else {
            self.break_far(far.peer, far.conn, mouth, step);
            return None;
        };
        end.far = Some(far.conn);
        end.windowed = far.acks;
        let dial = end.dial.take();
        if let (Some(secrets), Some(dial)) = (secrets, dial) {
            let mut pipe = Pipe::new(N::codec(Role::Dialler, Some(&dial), &secrets, &mut codec_dice(step, mouth, conn)));
            let opened = pipe.open();
            end.pipe = Some(Box::new(pipe));
            match opened {
                Ok(bytes) => self.say_raw(conn, bytes, mouth, step),
                Err(wrong) => return Some(self.give_up(conn, wrong, mouth, step)),
            }
        }
        self.take_turn(conn);
        self.pump(mouth, step);
        Some(Input::Opened { conn, peer: Addr::<N>::of_lab_node(far.peer), via: Via::Dialled })
    }

    /// A dial of ours was refused.
    pub(crate) fn on_refused(&mut self, conn: ConnId, why: Why) -> Option<In<N>> {
        self.ends.get(&conn).filter(|end| end.far.is_none())?;
        self.ends.remove(&conn);
        Some(Input::Closed(conn, why))
    }

    /// The other end is closed.
    pub(crate) fn on_fin(&mut self, conn: ConnId, broken: bool, through: bool, mouth: &mut Mouth, step: &mut Step<'_, N>) -> Option<In<N>> {
        if !through && self.down_until > step.now {
            mouth.emit_here(step, self.down_until, Event::Fin { conn: Wire::of(conn), broken, through: true });
            return None;
        }
        self.ends.remove(&conn)?;
        Some(Input::Closed(conn, if broken { Why::Broken } else { Why::PeerClosed }))
    }

    /// Something has come on a connection: through the downlink, if that is limited, and out of the codec.
    pub(crate) fn on_data(&mut self, data: Data<N>, from: u32, heard: &mut Vec<In<N>>, mouth: &mut Mouth, step: &mut Step<'_, N>) {
        let Data { conn, back, bytes, body_bytes, through, parcel } = data;
        let Some(end) = self.ends.get_mut(&conn) else {
            // What has waited at the downlink comes from ourselves; whoever sent it has heard of the end by another way.
            if !through {
                self.break_far(from, back, mouth, step);
            }
            return;
        };
        if !through && self.links.down_bytes_per_s.is_some() {
            self.down_until = self.down_until.max(step.now) + duration(bytes.into(), self.links.down_bytes_per_s);
            mouth.emit_here(
                step,
                self.down_until,
                Event::Data { conn: Wire::of(conn), back: Wire::of(back), bytes, body_bytes, through: true, parcel },
            );
            return;
        }
        if through && body_bytes > 0 {
            let at = step.now + step.world.travel(mouth.index, end.peer, mouth.next(), &mut step.tally.fired);
            mouth.emit(step, end.peer, at, Event::Acked { conn: Wire::of(back), bytes: body_bytes });
        }
        mouth.traffic.received_bytes += u64::from(bytes);
        mouth.traffic.received_share_bytes += u64::from(body_bytes);
        match parcel {
            Parcel::Plain(message) => heard.push(Input::Received(Link::Conn(conn), message)),
            Parcel::Coded(coded) => {
                let Some(pipe) = &mut end.pipe else { return };
                match pipe.decode(*coded, step.tally) {
                    Ok((messages, reply)) => {
                        self.say_raw(conn, reply, mouth, step);
                        heard.extend(messages.into_iter().map(|message| Input::Received(Link::Conn(conn), message)));
                    }
                    Err(wrong) => heard.push(self.give_up(conn, wrong, mouth, step)),
                }
            }
        }
    }

    /// Bodies have arrived at the other end.
    pub(crate) fn on_acked(&mut self, conn: ConnId, bytes: u32, mouth: &mut Mouth, step: &mut Step<'_, N>) {
        if let Some(end) = self.ends.get_mut(&conn) {
            end.in_flight = end.in_flight.saturating_sub(bytes.into());
            self.take_turn(conn);
            self.pump(mouth, step);
        }
    }

    /// A turn has left.
    pub(crate) fn on_uplink_free(&mut self, heard: &mut Vec<In<N>>, mouth: &mut Mouth, step: &mut Step<'_, N>) {
        self.busy = false;
        if let Some((conn, body_bytes)) = self.sending.take() {
            self.tell_sent(conn, body_bytes, heard);
        }
        self.pump(mouth, step);
        if !self.busy {
            self.small_until = self.small_until.max(step.now + std::mem::take(&mut self.debt));
        }
    }

    /// Sends a message, or queues it. Returns why the connection had to be closed.
    pub(crate) fn send(
        &mut self,
        conn: ConnId,
        message: Msg<N>,
        body: Option<Token>,
        mouth: &mut Mouth,
        step: &mut Step<'_, N>,
    ) -> Option<Why> {
        let frame = Frame { head_bytes: message.wire_bytes(), message, body };
        let bytes = frame.bytes();
        let end = self.ends.get_mut(&conn)?;
        if frame.body.is_none() && end.queue.is_empty() && end.far.is_some() {
            if self.links.up_bytes_per_s.is_none() {
                transmit(conn, end, frame, step.now, mouth, step);
                return None;
            }
            let left = self.slip_in(bytes, step.now, Span::MAX).unwrap_or(step.now);
            let end = self.ends.get_mut(&conn)?;
            transmit(conn, end, frame, left, mouth, step);
            return None;
        }
        if end.queued_bytes + bytes > step.world.config.queue_bytes_max {
            self.close(conn, true, mouth, step);
            return Some(Why::Overrun);
        }
        end.queued_bytes += bytes;
        end.over |= end.queued_bytes > self.mark_bytes;
        end.queue.push_back(frame);
        self.take_turn(conn);
        self.pump(mouth, step);
        None
    }

    /// Takes back what has a body and has not begun to leave.
    pub(crate) fn unsend(&mut self, conn: ConnId) {
        if let Some(end) = self.ends.get_mut(&conn) {
            end.queue.retain(|frame| frame.body.is_none());
            end.queued_bytes = end.queue.iter().map(Frame::bytes).sum();
        }
    }

    /// Closes our end. What waits without a body still leaves.
    pub(crate) fn close(&mut self, conn: ConnId, broken: bool, mouth: &mut Mouth, step: &mut Step<'_, N>) {
        let Some(mut end) = self.ends.remove(&conn) else { return };
        let Some(far) = end.far else { return };
        for frame in std::mem::take(&mut end.queue) {
            if frame.body.is_some() {
                break;
            }
            let left = self.slip_in(frame.bytes(), step.now, Span::MAX).unwrap_or(step.now);
            transmit(conn, &mut end, frame, left, mouth, step);
        }
        if step.world.blocks(mouth.index, end.peer, &mut step.tally.fired) {
            return;
        }
        let at = step.now + step.world.travel(mouth.index, end.peer, mouth.next(), &mut step.tally.fired);
        mouth.emit(step, end.peer, at.max(end.last_arrival), Event::Fin { conn: Wire::of(far), broken, through: false });
    }

    /// The process has ended. Whether anybody hears of it depends on the machine.
    pub(crate) fn die(&mut self, heard: bool, mouth: &mut Mouth, step: &mut Step<'_, N>) {
        for (_, end) in std::mem::take(&mut self.ends) {
            if let Some(far) = end.far.filter(|_| heard) {
                self.break_far(end.peer, far, mouth, step);
            }
        }
        *self = Self { next_conn: self.next_conn, ..Self::new(self.links, self.mark_bytes) };
    }

    /// Tells another machine that there is nothing at this end of its connection.
    pub(crate) fn break_far(&self, peer: u32, far: ConnId, mouth: &mut Mouth, step: &mut Step<'_, N>) {
        let at = step.now + step.world.travel(mouth.index, peer, mouth.next(), &mut step.tally.fired);
        mouth.emit(step, peer, at, Event::Fin { conn: Wire::of(far), broken: true, through: false });
    }

    /// Bytes that the codec says by itself; they cost nothing, since without codec they are not said.
    fn say_raw(&mut self, conn: ConnId, bytes: bytes::Bytes, mouth: &mut Mouth, step: &mut Step<'_, N>) {
        let Some((end, far)) = self.ends.get_mut(&conn).and_then(|end| end.far.map(|far| (end, far))) else { return };
        if bytes.is_empty() {
            return;
        }
        let at = step.now + step.world.travel(mouth.index, end.peer, mouth.next(), &mut step.tally.fired);
        end.last_arrival = end.last_arrival.max(at);
        let parcel = Parcel::Coded(Box::new(Coded { original: None, body: None, bytes }));
        mouth.emit(
            step,
            end.peer,
            end.last_arrival,
            Event::Data { conn: Wire::of(far), back: Wire::of(conn), bytes: 0, body_bytes: 0, through: false, parcel },
        );
    }

    /// What came cannot be read.
    fn give_up(&mut self, conn: ConnId, wrong: Malformed, mouth: &mut Mouth, step: &mut Step<'_, N>) -> In<N> {
        step.tally.malformed += 1;
        if let Some(end) = self.ends.remove(&conn)
            && let Some(far) = end.far
        {
            self.break_far(end.peer, far, mouth, step);
        }
        Input::Closed(conn, Why::Malformed(wrong.reason))
    }

    fn take_turn(&mut self, conn: ConnId) {
        if let Some(end) = self.ends.get_mut(&conn)
            && !end.in_turn
            && !end.queue.is_empty()
        {
            end.in_turn = true;
            self.turns.push_back(conn);
        }
    }

    /// Gives the uplink to whose turn it is.
    fn pump(&mut self, mouth: &mut Mouth, step: &mut Step<'_, N>) {
        let window_bytes = step.world.config.window_bytes;
        let rate = self.links.up_bytes_per_s;
        while !self.busy {
            let Some(conn) = self.turns.pop_front() else { return };
            let Some(end) = self.ends.get_mut(&conn) else { continue };
            end.in_turn = false;
            // Where the window is shut, an acknowledgement brings the turn back.
            if !end.may_send(window_bytes) {
                continue;
            }
            let debt = std::mem::take(&mut self.debt);
            let began = if debt.is_zero() { self.small_until.max(step.now) } else { step.now + debt };
            let (mut sent, mut bodies) = (0, 0);
            while sent < TURN_BYTES && end.may_send(window_bytes) {
                let Some(frame) = end.queue.pop_front() else { break };
                sent += frame.bytes();
                bodies += frame.body_bytes();
                end.queued_bytes -= frame.bytes();
                if end.windowed {
                    end.in_flight += frame.body_bytes();
                }
                transmit(conn, end, frame, began + duration(sent, rate), mouth, step);
            }
            self.take_turn(conn);
            if rate.is_some() {
                self.busy = true;
                self.sending = Some((conn, bodies));
                mouth.emit_here(step, began + duration(sent, rate), Event::UplinkFree { life: mouth.life });
            } else {
                let mut heard = Vec::new();
                self.tell_sent(conn, bodies, &mut heard);
                for input in heard {
                    mouth.emit_here(step, step.now, Event::Host { life: mouth.life, input: Box::new(input) });
                }
            }
        }
    }

    fn tell_sent(&mut self, conn: ConnId, body_bytes: u64, heard: &mut Vec<In<N>>) {
        let Some(end) = self.ends.get_mut(&conn) else { return };
        if body_bytes > 0 {
            heard.push(Input::Sent(conn, body_bytes));
        }
        if end.over && end.queued_bytes <= self.mark_bytes / 2 {
            end.over = false;
            heard.push(Input::Room(conn));
        }
    }
}

/// What came on a connection.
pub(crate) struct Data<N: Network> {
    pub(crate) conn: ConnId,
    pub(crate) back: ConnId,
    pub(crate) bytes: u32,
    pub(crate) body_bytes: u32,
    pub(crate) through: bool,
    pub(crate) parcel: Parcel<Msg<N>>,
}

/// Puts a frame on its way that has left the machine at `left`.
fn transmit<N: Network>(conn: ConnId, end: &mut End<N>, frame: Frame<Msg<N>>, left: Time, mouth: &mut Mouth, step: &mut Step<'_, N>) {
    let Some(far) = end.far else { return };
    let (bytes, body_bytes) = (frame.bytes(), frame.body_bytes());
    mouth.traffic.sent_bytes += bytes;
    mouth.traffic.sent_share_bytes += body_bytes;
    let parcel = match (&mut end.pipe, frame.body) {
        (None, None) => Parcel::Plain(frame.message),
        (None, Some(token)) => Parcel::Plain(frame.message.with_body(Payload::Token(token))),
        (Some(pipe), body) => Parcel::Coded(Box::new(pipe.encode(frame.message, body, frame.head_bytes, step.tally))),
    };
    if step.world.blocks(mouth.index, end.peer, &mut step.tally.fired) {
        mouth.emit_here(step, step.now + step.world.config.silence, Event::Fin { conn: Wire::of(conn), broken: true, through: false });
        return;
    }
    let arrival = left + step.world.travel(mouth.index, end.peer, mouth.next(), &mut step.tally.fired);
    end.last_arrival = end.last_arrival.max(arrival);
    let narrow = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX);
    let data = Event::Data {
        conn: Wire::of(far),
        back: Wire::of(conn),
        bytes: narrow(bytes),
        body_bytes: narrow(body_bytes),
        through: false,
        parcel,
    };
    mouth.emit(step, end.peer, end.last_arrival, data);
}

fn codec_dice<N: Network>(step: &Step<'_, N>, mouth: &Mouth, conn: ConnId) -> hexad_core::Dice {
    dice(step.world.config.seed, Purpose::Protocol, mouth.index, (1 << 63) | conn.0)
}
