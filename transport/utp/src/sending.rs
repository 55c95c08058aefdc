//! What is to be sent: bytes that wait to be cut into packets, and packets that wait to be acknowledged.

use std::collections::VecDeque;

use bytes::Bytes;
use hexad_core::{Span, Time};

use crate::Seq;
use crate::queue::Queue;
use crate::wire::Kind;

/// Packets that wait to be acknowledged at a time.
const PACKETS_MAX: usize = 4_096;
/// Behind one that is missing, no more than so many are sent: libtorrent forgets what comes further ahead (512), libutp what is twice as far.
const AHEAD_MAX: usize = 500;
/// So many packets behind one that is missing have come: it is lost.
const LATER_MAX: usize = 3;
/// So many acknowledgements of the same say that the next is lost.
const REPEATS_MAX: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Flying,
    Lost,
    Acked,
}

#[derive(Debug)]
struct Packet {
    kind: Kind,
    payload: Bytes,
    state: State,
    sent: Time,
    sends: u32,
    /// It was filled up to see whether so long a one arrives.
    probe: bool,
}

impl Packet {
    /// It is lost. One that was sent again may have been fragmented, and says nothing about lengths.
    fn count(&self, losses: &mut Losses, sure_bytes: usize) {
        let is_long = self.payload.len() > sure_bytes;
        losses.long |= is_long && self.sends == 1;
        losses.short |= !is_long;
    }
}

/// What an acknowledgement told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acks {
    /// Bytes that were not acknowledged before.
    pub bytes: u64,
    /// Whether any packet was not acknowledged before.
    pub progress: bool,
    /// How long the last packet that was sent only once was on its way there and back.
    pub sample: Option<Span>,
    /// Something is lost: when the newest of it was sent. A packet that was too long by intent is not meant.
    pub lost: Option<Time>,
    /// Whether what was tried has arrived, or was lost.
    pub probe: Option<bool>,
    /// What was longer than the sure length, and was sent once and as a whole, has arrived.
    pub long_arrived: bool,
    /// What was lost by its length, perhaps.
    pub losses: Losses,
}

/// Of packets that were lost by their first try.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Some were longer than the sure length.
    long: bool,
    /// Others were not.
    short: bool,
}

impl Losses {
    /// Whether only long ones were lost.
    pub fn only_long(self) -> bool {
        self.long && !self.short
    }
}

/// What had not arrived when nothing was acknowledged in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Silence {
    /// Some that were not too long by intent.
    pub usual: bool,
    /// One that was.
    pub probe: bool,
    /// What was lost by its length, perhaps.
    pub losses: Losses,
}

/// One packet to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Its number.
    pub seq: Seq,
    /// What it is.
    pub kind: Kind,
    /// What it carries.
    pub payload: Bytes,
    /// It leaves for the first time.
    pub first: bool,
}

/// The sending half of a connection.
#[derive(Debug)]
pub struct Sending {
    /// The number of the next packet that is cut.
    next: Seq,
    packets: VecDeque<Packet>,
    flying: usize,
    flying_bytes: u64,
    lost: usize,
    /// Acknowledged, and behind one that is not.
    sacked: usize,
    /// When the newest packet that is known to have arrived was sent.
    arrived_sent: Time,
    /// Bytes in `packets`.
    cut_bytes: usize,
    queued: Queue,
    finishing: bool,
    fin_cut: bool,
    repeats: u32,
    /// What carries more bytes may be too long for the way.
    sure_bytes: usize,
}

impl Sending {
    /// The first packet gets the number `first`; one that carries no more than `sure_bytes` is never too long.
    pub fn new(first: Seq, sure_bytes: usize) -> Self {
        Self {
            next: first,
            packets: VecDeque::new(),
            flying: 0,
            flying_bytes: 0,
            lost: 0,
            sacked: 0,
            arrived_sent: Time::ZERO,
            cut_bytes: 0,
            queued: Queue::default(),
            finishing: false,
            fin_cut: false,
            repeats: 0,
            sure_bytes,
        }
    }

    /// The number of the next packet.
    pub fn next(&self) -> Seq {
        self.next
    }

    /// Packets under way.
    pub fn flying(&self) -> usize {
        self.flying
    }

    /// Bytes that are held.
    pub fn held_bytes(&self) -> usize {
        self.queued.len() + self.cut_bytes
    }

    /// Whether the end of the stream was said, and heard.
    pub fn has_finished(&self) -> bool {
        self.fin_cut && self.packets.is_empty()
    }

    /// Takes bytes of the stream.
    pub fn queue(&mut self, bytes: &[u8]) {
        if !self.finishing {
            self.queued.push(bytes);
        }
    }

    /// Nothing more will be queued.
    pub fn finish(&mut self) {
        self.finishing = true;
    }

    /// Adds the packet that opens a connection.
    pub fn open(&mut self) {
        self.push(Kind::Syn, Bytes::new());
    }

    /// What the window holds back; false when there is nothing to send.
    pub fn has_more(&self) -> bool {
        self.lost > 0 || self.packets.back().is_some_and(|packet| packet.state == State::Waiting) || self.can_cut()
    }

    fn can_cut(&self) -> bool {
        let most = if self.lost > 0 || self.sacked > 0 { AHEAD_MAX } else { PACKETS_MAX };
        self.packets.len() < most && (self.queued.len() > 0 || (self.finishing && !self.fin_cut))
    }

    /// Whether [`Self::leave`] has a packet.
    pub fn would_leave(&self, window: u64, payload_max: usize, open: bool) -> bool {
        let waiting = if self.lost > 0 {
            self.packets.iter().find(|packet| packet.state == State::Lost)
        } else {
            self.packets.back().filter(|packet| packet.state == State::Waiting)
        };
        let length = match waiting {
            Some(packet) => packet.payload.len(),
            None if open && self.can_cut() => self.queued.len().min(payload_max),
            None => return false,
        };
        self.flying == 0 || self.flying_bytes + length as u64 <= window
    }

    /// The next packet, if it fits under `window` bytes under way; what is lost goes first. With nothing under way one always fits.
    /// Streams are cut only when `open`.
    pub fn leave(&mut self, window: u64, payload_max: usize, open: bool, now: Time) -> Option<Leaving> {
        let mut index = None;
        if self.lost > 0 {
            index = self.packets.iter().position(|packet| packet.state == State::Lost);
        }
        if index.is_none() && self.packets.back().is_some_and(|packet| packet.state == State::Waiting) {
            index = Some(self.packets.len() - 1);
        }
        let length = match index {
            Some(index) => self.packets[index].payload.len(),
            None if open && self.can_cut() => self.queued.len().min(payload_max),
            None => return None,
        };
        if self.flying > 0 && self.flying_bytes + length as u64 > window {
            return None;
        }
        let index = index.unwrap_or_else(|| {
            if length > 0 {
                let payload = self.queued.cut(length);
                self.push(Kind::Data, payload);
            } else {
                self.push(Kind::Fin, Bytes::new());
                self.fin_cut = true;
            }
            self.packets.len() - 1
        });
        let seq = self.first().plus(u16::try_from(index).unwrap_or(u16::MAX));
        let packet = &mut self.packets[index];
        if packet.state == State::Lost {
            self.lost -= 1;
        }
        packet.state = State::Flying;
        packet.sent = now;
        packet.sends += 1;
        self.flying += 1;
        self.flying_bytes += packet.payload.len() as u64;
        Some(Leaving { seq, kind: packet.kind, payload: packet.payload.clone(), first: packet.sends == 1 })
    }

    /// The packet that has left last, and is the newest, was filled up to see whether so long a one arrives.
    pub fn mark_probe(&mut self) {
        if let Some(packet) = self.packets.back_mut() {
            packet.probe = true;
        }
    }

    /// An acknowledgement came; `bare` when its packet carried nothing else. `None` when it is of packets that were never sent.
    pub fn acked(&mut self, ack: Seq, sack: &[u8], bare: bool, mean: Span, now: Time) -> Option<Acks> {
        let mut acks = Acks::default();
        let count = ack.after(self.first().minus(1));
        // An old one that was overtaken by others.
        let Ok(count) = usize::try_from(count) else { return Some(acks) };
        let waits = self.packets.back().is_some_and(|packet| packet.state == State::Waiting);
        if count > self.packets.len() - usize::from(waits) {
            return None;
        }
        for index in 0..count {
            self.settle(index, &mut acks, mean, now);
        }
        for packet in self.packets.drain(..count) {
            self.cut_bytes -= packet.payload.len();
            self.sacked -= usize::from(packet.state == State::Acked);
        }
        let bits = sack.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
        let mut highest = 0;
        for (index, set) in (1..self.packets.len()).zip(bits) {
            if set && self.packets[index].state != State::Waiting {
                self.settle(index, &mut acks, mean, now);
                highest = index;
            }
        }
        if highest > 0 {
            let mut later = 0;
            for index in (0..=highest).rev() {
                match self.packets[index].state {
                    State::Acked => later += 1,
                    State::Flying if later >= LATER_MAX => self.lose(index, &mut acks, mean, now),
                    _ => {}
                }
            }
        }
        if acks.progress {
            self.lose_what_was_overtaken(&mut acks, mean, now);
            self.repeats = 0;
        } else if bare && count == 0 && !self.packets.is_empty() {
            self.repeats += 1;
            if self.repeats >= REPEATS_MAX && self.packets[0].state == State::Flying {
                self.lose(0, &mut acks, mean, now);
                self.repeats = 0;
            }
        }
        Some(acks)
    }

    /// Nothing was acknowledged in time: all that is under way is lost.
    pub fn timed_out(&mut self) -> Silence {
        let mut silence = Silence::default();
        for packet in &mut self.packets {
            if packet.state == State::Flying {
                packet.state = State::Lost;
                self.lost += 1;
                if std::mem::take(&mut packet.probe) {
                    silence.probe = true;
                } else {
                    silence.usual = true;
                    packet.count(&mut silence.losses, self.sure_bytes);
                }
            }
        }
        self.flying = 0;
        self.flying_bytes = 0;
        silence
    }

    fn first(&self) -> Seq {
        self.next.minus(u16::try_from(self.packets.len()).unwrap_or(u16::MAX))
    }

    fn push(&mut self, kind: Kind, payload: Bytes) {
        self.cut_bytes += payload.len();
        self.packets.push_back(Packet { kind, payload, state: State::Waiting, sent: Time::ZERO, sends: 0, probe: false });
        self.next = self.next.plus(1);
    }

    fn settle(&mut self, index: usize, acks: &mut Acks, mean: Span, now: Time) {
        let packet = &mut self.packets[index];
        match packet.state {
            State::Acked | State::Waiting => return,
            State::Flying => {
                self.flying -= 1;
                self.flying_bytes -= packet.payload.len() as u64;
            }
            State::Lost => self.lost -= 1,
        }
        if std::mem::take(&mut packet.probe) {
            acks.probe = Some(true);
        }
        packet.state = State::Acked;
        self.sacked += 1;
        acks.progress = true;
        acks.bytes += packet.payload.len() as u64;
        if packet.sends == 1 {
            acks.sample = Some(now.since(packet.sent));
            acks.long_arrived |= packet.payload.len() > self.sure_bytes;
        }
        // So soon after it was sent again, it may be the first try that has arrived.
        if packet.sends == 1 || now.since(packet.sent) >= mean / 2 {
            self.arrived_sent = self.arrived_sent.max(packet.sent);
        }
    }

    /// What was sent a good while before something that has arrived is lost (RFC 8985): a peer that forgets what comes too far ahead of a missing
    /// packet says nothing of it.
    fn lose_what_was_overtaken(&mut self, acks: &mut Acks, mean: Span, now: Time) {
        let late = mean / 4;
        let overtaken = |packet: &Packet| packet.state == State::Flying && packet.sent + late < self.arrived_sent;
        // The oldest is in front; where it was not overtaken, the others need no look but where it was sent again.
        if !self.packets.front().is_some_and(|packet| overtaken(packet) || packet.sends > 1 || packet.state == State::Lost) {
            return;
        }
        let indices: Vec<usize> = (0..self.packets.len()).filter(|&index| overtaken(&self.packets[index])).collect();
        for index in indices {
            self.lose(index, acks, mean, now);
        }
    }

    /// Takes a packet for lost, unless it was sent again too recently to know.
    fn lose(&mut self, index: usize, acks: &mut Acks, mean: Span, now: Time) {
        let packet = &mut self.packets[index];
        if packet.sends > 1 && now.since(packet.sent) < mean {
            return;
        }
        if std::mem::take(&mut packet.probe) {
            acks.probe = Some(false);
        } else {
            acks.lost = acks.lost.max(Some(packet.sent));
            packet.count(&mut acks.losses, self.sure_bytes);
        }
        packet.state = State::Lost;
        self.lost += 1;
        self.flying -= 1;
        self.flying_bytes -= packet.payload.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIP: Span = Span::from_millis(100);

    fn at(millis: u64) -> Time {
        Time::ZERO + Span::from_millis(millis)
    }

    fn numbers(sending: &mut Sending, window: u64, now: Time) -> Vec<u16> {
        std::iter::from_fn(|| sending.leave(window, 10, true, now)).map(|packet| packet.seq.0).collect()
    }

    fn full(first: u16) -> Sending {
        let mut sending = Sending::new(Seq(first), 10);
        sending.queue(&[7; 100]);
        sending
    }

    #[test]
    fn packets_leave_as_far_as_the_window_reaches() {
        let mut sending = full(65_534);
        assert_eq!(numbers(&mut sending, 35, at(0)), [65_534, 65_535, 0]);
        assert_eq!(numbers(&mut sending, 35, at(0)), [0_u16; 0]);
        let acks = sending.acked(Seq(65_535), &[], true, TRIP, at(80)).unwrap();
        assert_eq!(acks, Acks { bytes: 20, progress: true, sample: Some(Span::from_millis(80)), ..Acks::default() });
        assert_eq!(numbers(&mut sending, 35, at(80)), [1, 2]);
        assert_eq!(sending.held_bytes(), 80);
        assert_eq!(sending.acked(Seq(3), &[], true, TRIP, at(90)), None, "never sent");
        assert_eq!(sending.acked(Seq(65_000), &[], true, TRIP, at(90)), Some(Acks::default()), "overtaken");
    }

    #[test]
    fn three_later_ones_tell_of_a_loss_and_what_is_lost_goes_first() {
        let mut sending = full(1);
        numbers(&mut sending, 60, at(0));
        let acks = sending.acked(Seq(1), &[0b0000_0011, 0, 0, 0], true, TRIP, at(100)).unwrap();
        assert!(acks.lost.is_none() && acks.bytes == 30, "only 3 and 4 have come");
        let acks = sending.acked(Seq(1), &[0b0000_0111, 0, 0, 0], true, TRIP, at(100)).unwrap();
        assert!(acks.lost.is_some() && acks.bytes == 10);
        assert_eq!(numbers(&mut sending, 60, at(100)), [2, 7, 8, 9, 10]);
        let again = sending.acked(Seq(1), &[0b0001_1111, 0, 0, 0], true, TRIP, at(150)).unwrap();
        assert!(again.lost.is_none(), "it was sent again a moment ago");
        let acks = sending.acked(Seq(7), &[], true, TRIP, at(200)).unwrap();
        assert_eq!(acks.sample, None, "which of the two was acknowledged is not known");
    }

    #[test]
    fn three_repeats_tell_of_a_loss() {
        let mut sending = full(1);
        numbers(&mut sending, 60, at(0));
        for repeat in 1..=3 {
            let acks = sending.acked(Seq(0), &[], true, TRIP, at(100)).unwrap();
            assert_eq!(acks.lost.is_some(), repeat == 3);
        }
        assert_eq!(sending.leave(60, 10, true, at(100)).unwrap().seq, Seq(1));
    }

    #[test]
    fn what_was_sent_before_something_that_arrived_is_lost_though_nobody_says_so() {
        let mut sending = full(1);
        numbers(&mut sending, 80, at(0));
        // The peer has forgotten what was too far ahead of the first.
        assert!(sending.acked(Seq(0), &[0b0000_0111, 0, 0, 0], true, TRIP, at(100)).unwrap().lost.is_some());
        assert_eq!(sending.leave(60, 10, true, at(100)).unwrap().seq, Seq(1));
        let acks = sending.acked(Seq(4), &[], true, TRIP, at(200)).unwrap();
        assert_eq!(acks.lost, Some(at(0)), "5 to 8 left before the second try of 1");
        assert_eq!(numbers(&mut sending, 40, at(200)), [5, 6, 7, 8]);
    }

    #[test]
    fn nobody_is_sent_more_than_it_remembers_ahead_of_what_is_missing() {
        let mut sending = Sending::new(Seq(1), 10);
        sending.queue(&[7; 8_000]);
        assert_eq!(numbers(&mut sending, 6_000, at(0)).len(), 600, "as long as nothing is missing");
        sending.acked(Seq(200), &[0b0000_0111, 0, 0, 0], true, TRIP, at(100)).unwrap();
        assert_eq!(numbers(&mut sending, 8_000, at(100)).len(), 101, "the lost one, and up to 500 from there on");
    }

    #[test]
    fn one_that_was_too_long_by_intent_goes_again_and_is_no_loss() {
        let mut sending = full(1);
        assert!(sending.leave(60, 10, true, at(0)).is_some_and(|packet| packet.first));
        sending.mark_probe();
        assert_eq!(numbers(&mut sending, 60, at(0)), [2, 3, 4, 5, 6]);
        let acks = sending.acked(Seq(0), &[0b0000_1111, 0, 0, 0], true, TRIP, at(100)).unwrap();
        assert_eq!((acks.lost, acks.probe), (None, Some(false)));
        assert!(sending.leave(60, 10, true, at(100)).is_some_and(|packet| packet.seq == Seq(1) && !packet.first));
        let acks = sending.acked(Seq(6), &[], true, TRIP, at(200)).unwrap();
        assert_eq!((acks.lost, acks.probe), (None, None), "what arrives by the second try says nothing of the first");
        assert!(sending.leave(60, 10, true, at(200)).is_some());
        sending.mark_probe();
        assert_eq!(sending.timed_out(), Silence { probe: true, ..Silence::default() });
    }

    #[test]
    fn what_was_lost_by_its_length_is_told_from_what_was_not() {
        let mut sending = Sending::new(Seq(1), 5);
        sending.queue(&[7; 60]);
        numbers(&mut sending, 60, at(0));
        let acks = sending.acked(Seq(1), &[0b0000_0111, 0, 0, 0], true, TRIP, at(100)).unwrap();
        assert!(acks.long_arrived && acks.losses.only_long());
        assert_eq!(numbers(&mut sending, 20, at(100)), [2]);
        assert!(sending.timed_out().losses.only_long(), "the sixth was sent once; the second, which was sent again, says nothing");
        sending.queue(&[7; 4]);
        sending.acked(Seq(6), &[], true, TRIP, at(200)).unwrap();
        assert_eq!(numbers(&mut sending, 60, at(200)), [7]);
        let silence = sending.timed_out();
        assert!(silence.usual && !silence.losses.only_long(), "it is short");
    }

    #[test]
    fn after_a_timeout_all_goes_again() {
        let mut sending = full(1);
        numbers(&mut sending, 30, at(0));
        sending.timed_out();
        assert_eq!(sending.flying(), 0);
        assert_eq!(numbers(&mut sending, 10, at(1_000)), [1]);
        assert_eq!(sending.acked(Seq(3), &[], true, TRIP, at(1_100)).unwrap().bytes, 30, "they were only late");
        assert_eq!(numbers(&mut sending, 10, at(1_100)), [4]);
    }

    #[test]
    fn the_end_is_a_packet_of_its_own() {
        let mut sending = Sending::new(Seq(1), 10);
        sending.queue(b"last words");
        sending.finish();
        sending.queue(b"too late");
        let leaving: Vec<_> = std::iter::from_fn(|| sending.leave(100, 10, true, at(0))).collect();
        assert_eq!(leaving.iter().map(|packet| packet.kind).collect::<Vec<_>>(), [Kind::Data, Kind::Fin]);
        assert!(!sending.has_finished());
        sending.acked(Seq(2), &[], true, TRIP, at(1)).unwrap();
        assert!(sending.has_finished());
    }

    #[test]
    fn before_a_connection_is_open_only_its_opening_leaves() {
        let mut sending = Sending::new(Seq(9), 10);
        sending.open();
        sending.queue(b"early");
        assert_eq!(sending.leave(100, 10, false, at(0)).unwrap().kind, Kind::Syn);
        assert_eq!(sending.leave(100, 10, false, at(0)), None);
        sending.acked(Seq(9), &[], true, TRIP, at(1)).unwrap();
        assert_eq!(sending.leave(100, 10, true, at(1)).unwrap().payload, "early");
    }
}
