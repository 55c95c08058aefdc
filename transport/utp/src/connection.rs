//! One connection, from SYN to the last acknowledgement.

use bytes::BytesMut;
use hexad_core::{Dice, Span, Time};

use crate::delay::Delays;
use crate::pacer::Pacer;
use crate::path_mtu::PathMtu;
use crate::receiving::{Receiving, Taken};
use crate::round_trip::RoundTrip;
use crate::sending::{Sending, Silence};
use crate::window::Window;
use crate::wire::{FILLER_BYTES, HEADER_BYTES, Header, Kind};
use crate::{Config, Seq};

/// How long a window that was not filled may still grow. BEP 29 implementations: one second.
const LIMITED_FOR: Span = Span::from_secs(1);
/// How often a peer that has no room is asked again.
const PROBE_INTERVAL: Span = Span::from_secs(5);

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Both sides have said that they are done, and all has arrived.
    InOrder,
    /// The peer has torn it down.
    Reset,
    /// The peer does not answer.
    TimedOut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Our SYN is under way.
    Dialling,
    /// A SYN was answered; that the answer arrives is not proven.
    HalfOpen,
    Open,
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    stage: Stage,
    receives_as: u16,
    sends_as: u16,
    sending: Sending,
    receiving: Receiving,
    window: Window,
    delays: Delays,
    round_trip: RoundTrip,
    /// What the peer has room for.
    peer_window: u64,
    /// What its next packet is told of the last one.
    lag_us: u32,
    ack_due: bool,
    window_told: usize,
    /// Since when an acknowledgement is waited for.
    waits_since: Option<Time>,
    timeouts: u32,
    limited: Option<Time>,
    pacer: Pacer,
    path_mtu: PathMtu,
    probe_at: Option<Time>,
    /// The room that a packet wanted which was sent though the peer had none.
    refused_bytes: u64,
    spoke: Time,
    end: Option<End>,
}

impl Connection {
    /// Opens one; the SYN leaves with the next [`Self::transmit`].
    pub(crate) fn connect(receives_as: u16, ipv6: bool, now: Time, config: &Config, dice: &mut Dice) -> Self {
        let mut sending = Sending::new(random(dice), sure_payload_bytes(config));
        sending.open();
        Self::new(Stage::Dialling, [receives_as, receives_as.wrapping_add(1)], sending, Seq(0), ipv6, now, config)
    }

    /// Answers a SYN.
    pub(crate) fn accept(syn: &Header, ipv6: bool, now: Time, config: &Config, dice: &mut Dice) -> Self {
        let ids = [syn.conn.wrapping_add(1), syn.conn];
        let mut connection =
            Self::new(Stage::HalfOpen, ids, Sending::new(random(dice), sure_payload_bytes(config)), syn.seq, ipv6, now, config);
        connection.peer_window = u64::from(syn.window_bytes);
        connection.lag_us = stamp(now).wrapping_sub(syn.stamp_us);
        connection.ack_due = true;
        connection
    }

    fn new(stage: Stage, [receives_as, sends_as]: [u16; 2], sending: Sending, ack: Seq, ipv6: bool, now: Time, config: &Config) -> Self {
        Self {
            stage,
            receives_as,
            sends_as,
            sending,
            receiving: Receiving::new(ack, config.receive_bytes_max),
            window: Window::new(config),
            delays: Delays::default(),
            round_trip: RoundTrip::new(config.first_timeout, config.timeout_min),
            peer_window: 0,
            lag_us: 0,
            ack_due: false,
            window_told: 0,
            waits_since: None,
            timeouts: 0,
            limited: None,
            pacer: Pacer::new(now),
            path_mtu: PathMtu::new(config, ipv6),
            probe_at: None,
            refused_bytes: 0,
            spoke: now,
            end: None,
        }
    }

    /// Whether bytes may flow.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.stage == Stage::Open && self.end.is_none()
    }

    /// How it ended; `None` while it lives.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Bytes that wait to be read.
    #[must_use]
    pub fn readable_bytes(&self) -> usize {
        self.receiving.ready()
    }

    /// Whether the peer has ended its stream and all of it was read.
    #[must_use]
    pub fn is_read_out(&self) -> bool {
        self.receiving.is_over()
    }

    /// Whether the peer has heard all that was written, and that it was all.
    #[must_use]
    pub fn has_said_all(&self) -> bool {
        self.sending.has_finished()
    }

    /// Bytes that would be taken for sending.
    #[must_use]
    pub fn writable_bytes(&self, config: &Config) -> usize {
        if self.is_open() { config.send_bytes_max.saturating_sub(self.sending.held_bytes()) } else { 0 }
    }

    /// The mean round trip; before the first was measured, how long an answer is waited for.
    #[must_use]
    pub fn round_trip(&self) -> Span {
        self.round_trip.mean()
    }

    /// Bytes that may be under way.
    #[must_use]
    pub fn window_bytes(&self) -> u64 {
        self.window.bytes()
    }

    /// Bytes of the longest datagram that is known to arrive.
    #[must_use]
    pub fn packet_bytes(&self) -> usize {
        self.path_mtu.packet_bytes()
    }

    pub(crate) fn receives_as(&self) -> u16 {
        self.receives_as
    }

    pub(crate) fn sends_as(&self) -> u16 {
        self.sends_as
    }

    pub(crate) fn is_half_open(&self) -> bool {
        self.stage == Stage::HalfOpen
    }

    pub(crate) fn read(&mut self, into: &mut BytesMut, most: usize, config: &Config) -> usize {
        let length = self.receiving.read(into, most);
        // A sender that was told of no room waits until it hears of some.
        if self.window_told < config.receive_bytes_max / 4 && self.receiving.room() >= config.receive_bytes_max / 2 {
            self.ack_due = true;
        }
        length
    }

    pub(crate) fn write(&mut self, bytes: &[u8], config: &Config) -> usize {
        let length = bytes.len().min(self.writable_bytes(config));
        self.sending.queue(&bytes[..length]);
        length
    }

    pub(crate) fn finish(&mut self) {
        self.sending.finish();
    }

    /// Nobody reads any more.
    pub(crate) fn discard(&mut self) {
        self.receiving.discard();
        self.sending.finish();
    }

    /// A packet for it came. Fails with the reason for which it was dropped.
    pub(crate) fn hear(&mut self, header: &Header, payload: &[u8], now: Time) -> Result<(), &'static str> {
        if let Some(end) = self.end {
            // Our last acknowledgement was lost.
            self.ack_due |= end == End::InOrder && header.kind == Kind::Fin;
            return Err("utp_over");
        }
        if header.kind == Kind::Reset {
            // It may have forgotten us before it heard that we had its last packet, or we that it had ours.
            let done = self.receiving.has_all() && self.sending.held_bytes() == 0;
            self.end = Some(if done { End::InOrder } else { End::Reset });
            return Ok(());
        }
        if header.kind == Kind::Syn {
            // Our answer was lost. To one that is open it is nothing.
            self.ack_due |= self.stage == Stage::HalfOpen;
            return Ok(());
        }
        match self.stage {
            Stage::Dialling => {
                if header.ack != self.sending.next().minus(1) {
                    return Err("utp_ack_of_nothing");
                }
                // A STATE takes no number of its own: it carries that of the next packet.
                self.receiving.start(header.seq.minus(1));
                self.stage = Stage::Open;
                // To the peer we are half open until it hears from us again.
                self.ack_due = true;
            }
            Stage::HalfOpen => {
                if header.ack != self.sending.next().minus(1) {
                    return Err("utp_ack_of_nothing");
                }
                self.stage = Stage::Open;
            }
            Stage::Open => {}
        }
        let bare = header.kind == Kind::State;
        let Some(acks) = self.sending.acked(header.ack, &header.sack, bare, self.round_trip.mean(), now) else {
            return Err("utp_ack_of_nothing");
        };
        self.timeouts = 0;
        self.lag_us = stamp(now).wrapping_sub(header.stamp_us);
        let had_room = self.peer_window;
        self.peer_window = u64::from(header.window_bytes);
        if had_room < self.refused_bytes && self.peer_window >= self.refused_bytes {
            // It has room again: what asked for it was refused, and need not be waited for.
            if self.sending.timed_out().probe {
                self.path_mtu.tried(false);
            }
            self.round_trip.settle();
            self.waits_since = None;
            self.refused_bytes = 0;
        }
        if let Some(sample) = acks.sample {
            self.round_trip.measured(sample);
        }
        if acks.progress {
            self.round_trip.settle();
            self.waits_since = (self.sending.flying() > 0).then_some(now);
            // Our packets' delay is only in an answer to one of them.
            let queue = if header.lag_us == 0 { Span::ZERO } else { self.delays.heard(header.lag_us, now) };
            let limiting = self.limited.is_some_and(|at| now.since(at) < LIMITED_FOR);
            // No queue is longer than a whole round trip: a clock that jumped must not look like one.
            self.window.acked(acks.bytes, queue.min(acks.sample.unwrap_or(self.round_trip.mean())), limiting);
        }
        if let Some(sent) = acks.lost {
            self.window.lost(sent, now);
        }
        if acks.long_arrived {
            self.path_mtu.long_arrived();
        } else if acks.losses.only_long() {
            self.path_mtu.long_lost();
        }
        if let Some(arrived) = acks.probe {
            self.path_mtu.tried(arrived);
        }
        if matches!(header.kind, Kind::Data | Kind::Fin) {
            self.ack_due = true;
            let taken = self.receiving.take(header.seq, payload, header.kind == Kind::Fin);
            if taken == Taken::Refused {
                return Err("utp_no_room");
            }
        }
        if self.receiving.has_all() && self.sending.has_finished() {
            // The peer's last packet is acknowledged once more before it is forgotten.
            self.end = Some(End::InOrder);
        }
        Ok(())
    }

    /// Hands out what is to leave at this moment, and whether it may be fragmented on its way.
    pub(crate) fn transmit(&mut self, now: Time, config: &Config, scratch: &mut BytesMut, leave: &mut impl FnMut(&[u8], bool)) {
        if self.end.is_none() {
            self.look_at_the_clock(now, config);
        }
        if matches!(self.end, Some(End::Reset | End::TimedOut)) {
            return;
        }
        let payload_max = self.path_mtu.packet_bytes().saturating_sub(HEADER_BYTES).max(1);
        let open = self.stage == Stage::Open;
        if !self.waits_for_room(payload_max as u64, now) {
            let window = if open { self.window.bytes().min(self.peer_window) } else { self.window.bytes() };
            let pace = self.round_trip.is_measured().then(|| self.window.pace(self.round_trip.mean()));
            self.pacer.refill(pace, now);
            while self.pacer.may_send()
                && let Some(packet) = self.sending.leave(window, payload_max, open, now)
            {
                self.pacer.sent(packet.payload.len() + HEADER_BYTES);
                if open && self.peer_window < packet.payload.len() as u64 {
                    self.refused_bytes = packet.payload.len() as u64;
                }
                let sack = if open { self.receiving.sack() } else { Vec::new() };
                let conn = if packet.kind == Kind::Syn { self.receives_as } else { self.sends_as };
                // Only among others is a loss told from silence soon.
                let may_try = packet.first && packet.payload.len() == payload_max && sack.is_empty() && self.round_trip.is_measured();
                let filler = self.filler_for(HEADER_BYTES + packet.payload.len(), may_try, now);
                // It cannot be cut anew, and may have been too long.
                let may_fragment = !packet.first && HEADER_BYTES + packet.payload.len() > self.path_mtu.sure_bytes();
                let mut leave = |bytes: &[u8]| leave(bytes, may_fragment);
                self.say(packet.kind, conn, packet.seq, sack, filler, &packet.payload, now, scratch, &mut leave);
                self.waits_since.get_or_insert(now);
            }
            if self.sending.has_more() && self.window.bytes() <= self.peer_window {
                self.limited = Some(now);
            }
            let more = self.sending.would_leave(window, payload_max, open);
            self.pacer.wait(more, pace, now);
        } else {
            self.pacer.wait(false, None, now);
        }
        let silent = open && now.since(self.spoke) >= config.keep_alive;
        if self.ack_due || silent {
            let (conn, seq, sack) = (self.sends_as, self.sending.next(), self.receiving.sack());
            self.say(Kind::State, conn, seq, sack, 0, &[], now, scratch, &mut |bytes| leave(bytes, false));
        }
    }

    /// When it wants to be looked at again.
    pub(crate) fn wake(&self, config: &Config) -> Option<Time> {
        if self.end.is_some() {
            return None;
        }
        let answer = self.waits_since.map(|since| since + self.round_trip.timeout());
        let mut wake = (self.stage == Stage::Open).then(|| self.spoke + config.keep_alive);
        for at in [answer, self.probe_at, self.pacer.wake()].into_iter().flatten() {
            wake = Some(wake.map_or(at, |wake| wake.min(at)));
        }
        wake
    }

    /// Whether to keep silent towards a peer that has no room for a packet; from time to time it is asked by one that it may refuse.
    fn waits_for_room(&mut self, packet_bytes: u64, now: Time) -> bool {
        let full = self.stage == Stage::Open && self.peer_window < packet_bytes && self.sending.flying() == 0 && self.sending.has_more();
        let waits = full && now < *self.probe_at.get_or_insert(now + PROBE_INTERVAL);
        if !waits {
            self.probe_at = None;
        }
        waits
    }

    fn look_at_the_clock(&mut self, now: Time, config: &Config) {
        if self.sending.flying() == 0 {
            self.waits_since = None;
        }
        let Some(since) = self.waits_since else { return };
        if now < since + self.round_trip.timeout() {
            return;
        }
        let Silence { usual, probe, losses } = self.sending.timed_out();
        if probe {
            self.path_mtu.tried(false);
        }
        if losses.only_long() {
            self.path_mtu.long_lost();
        }
        self.waits_since = None;
        // Nothing is wrong where nothing but that was under way.
        if probe && !usual {
            return;
        }
        self.timeouts += 1;
        if self.timeouts > config.timeouts_max {
            self.end = Some(End::TimedOut);
            return;
        }
        self.window.timed_out(now);
        self.round_trip.back_off();
    }

    /// By how much a packet of so many bytes is filled up, to see whether so long a one arrives.
    fn filler_for(&mut self, packet_bytes: usize, may_try: bool, now: Time) -> usize {
        if !may_try {
            return 0;
        }
        let Some(length) = self.path_mtu.probe(now) else { return 0 };
        self.sending.mark_probe();
        length.saturating_sub(packet_bytes).clamp(*FILLER_BYTES.start(), *FILLER_BYTES.end())
    }

    #[expect(clippy::too_many_arguments, reason = "a packet has so many parts")]
    fn say(
        &mut self,
        kind: Kind,
        conn: u16,
        seq: Seq,
        sack: Vec<u8>,
        filler_bytes: usize,
        payload: &[u8],
        now: Time,
        scratch: &mut BytesMut,
        leave: &mut impl FnMut(&[u8]),
    ) {
        self.window_told = self.receiving.room();
        let header = Header {
            kind,
            conn,
            stamp_us: stamp(now),
            lag_us: self.lag_us,
            window_bytes: u32::try_from(self.window_told).unwrap_or(u32::MAX),
            seq,
            ack: self.receiving.ack(),
            sack,
            filler_bytes,
        };
        scratch.clear();
        header.encode(scratch);
        scratch.extend_from_slice(payload);
        leave(scratch);
        self.ack_due = false;
        self.spoke = now;
    }
}

/// Bytes that a packet may carry and be short enough for every way.
fn sure_payload_bytes(config: &Config) -> usize {
    config.packet_bytes.saturating_sub(HEADER_BYTES)
}

/// The low 32 bits of a clock in µs.
pub(crate) fn stamp(now: Time) -> u32 {
    u32::try_from(now.as_micros() & u64::from(u32::MAX)).unwrap_or(0)
}

fn random(dice: &mut Dice) -> Seq {
    Seq(u16::from_be_bytes(dice.bytes()))
}
