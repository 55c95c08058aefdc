//! What has come: in order and waiting to be read, or ahead of something that is missing.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes, BytesMut};

use crate::Seq;

/// How far ahead of the first missing packet others are kept. A selective acknowledgement tells of the first 2,016.
const AHEAD_MAX: usize = 4_096;

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is kept.
    Kept,
    /// It has come before.
    Again,
    /// There is no room for it, or it lies behind the end of the stream.
    Refused,
}

/// The receiving half of a connection.
#[derive(Debug)]
pub struct Receiving {
    /// All up to this one have come.
    ack: Seq,
    ready: BytesMut,
    /// Packets from `ack + 1` on, which itself is always missing.
    ahead: VecDeque<Option<Bytes>>,
    ahead_bytes: usize,
    bytes_max: usize,
    /// The number of the last packet of the stream.
    fin: Option<Seq>,
    /// Nobody reads any more.
    discards: bool,
}

impl Receiving {
    /// All up to `ack` count as come.
    pub fn new(ack: Seq, bytes_max: usize) -> Self {
        Self { ack, ready: BytesMut::new(), ahead: VecDeque::new(), ahead_bytes: 0, bytes_max, fin: None, discards: false }
    }

    /// The first packet will be the one after `ack`.
    pub fn start(&mut self, ack: Seq) {
        self.ack = ack;
    }

    /// All packets up to this one have come.
    pub fn ack(&self) -> Seq {
        self.ack
    }

    /// Bytes that there is room for.
    pub fn room(&self) -> usize {
        self.bytes_max.saturating_sub(self.ready.len() + self.ahead_bytes)
    }

    /// Bytes that wait to be read.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Whether the stream is over, and all of it was read.
    pub fn is_over(&self) -> bool {
        self.has_all() && self.ready.is_empty()
    }

    /// Whether the last packet of the stream and all before it have come.
    pub fn has_all(&self) -> bool {
        self.fin == Some(self.ack)
    }

    /// Nobody will read what comes.
    pub fn discard(&mut self) {
        self.discards = true;
        self.ready = BytesMut::new();
    }

    /// Moves what is ready into the free capacity of `into`, at most so many bytes.
    pub fn read(&mut self, into: &mut BytesMut, most: usize) -> usize {
        let length = self.ready.len().min(into.capacity() - into.len()).min(most);
        into.extend_from_slice(&self.ready[..length]);
        self.ready.advance(length);
        length
    }

    /// A packet came; `fin` when it is the last of its stream.
    pub fn take(&mut self, seq: Seq, payload: &[u8], fin: bool) -> Taken {
        let Ok(index) = usize::try_from(seq.after(self.ack.plus(1))) else { return Taken::Again };
        if self.fin.is_some_and(|fin| seq.after(fin) > 0) || index >= AHEAD_MAX || payload.len() > self.room() {
            return Taken::Refused;
        }
        if index == 0 {
            self.put(payload);
            self.ack = seq;
            if fin {
                self.fin = Some(seq);
            }
            self.ahead.pop_front();
            while let Some(Some(next)) = self.ahead.front_mut().map(Option::take) {
                self.ahead_bytes -= next.len();
                self.put(&next);
                self.ack = self.ack.plus(1);
                self.ahead.pop_front();
            }
            return Taken::Kept;
        }
        if self.ahead.len() <= index {
            self.ahead.resize(index + 1, None);
        }
        if self.ahead[index].is_some() {
            return Taken::Again;
        }
        // Whatever is known behind the end of a stream is not of it.
        if fin {
            if self.ahead.len() > index + 1 {
                return Taken::Refused;
            }
            self.fin = Some(seq);
        }
        self.ahead_bytes += payload.len();
        self.ahead[index] = Some(Bytes::copy_from_slice(payload));
        Taken::Kept
    }

    /// The selective acknowledgement; empty when nothing is missing.
    pub fn sack(&self) -> Vec<u8> {
        if self.ahead.len() < 2 {
            return Vec::new();
        }
        let mut bits = vec![0; (self.ahead.len() - 1).div_ceil(32) * 4];
        for (index, packet) in self.ahead.iter().skip(1).enumerate() {
            if packet.is_some() {
                bits[index / 8] |= 1 << (index % 8);
            }
        }
        bits
    }

    fn put(&mut self, payload: &[u8]) {
        if !self.discards {
            self.ready.extend_from_slice(payload);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(receiving: &mut Receiving) -> Vec<u8> {
        let mut into = BytesMut::with_capacity(1 << 16);
        receiving.read(&mut into, usize::MAX);
        into.to_vec()
    }

    #[test]
    fn packets_wait_for_what_is_missing_and_say_so() {
        let mut receiving = Receiving::new(Seq(65_534), 1_000);
        assert_eq!(receiving.take(Seq(0), b"b", false), Taken::Kept);
        assert_eq!(receiving.take(Seq(8), b"z", false), Taken::Kept);
        assert_eq!(receiving.take(Seq(8), b"z", false), Taken::Again);
        assert_eq!((receiving.ack(), receiving.ready(), receiving.sack()), (Seq(65_534), 0, vec![0b0000_0001, 0b0000_0001, 0, 0]));
        assert_eq!(receiving.take(Seq(65_535), b"a", false), Taken::Kept);
        assert_eq!((receiving.ack(), all(&mut receiving)), (Seq(0), b"ab".to_vec()));
        assert_eq!(receiving.take(Seq(0), b"b", false), Taken::Again);
    }

    #[test]
    fn there_is_room_for_so_much() {
        let mut receiving = Receiving::new(Seq(0), 10);
        assert_eq!(receiving.take(Seq(2), &[0; 6], false), Taken::Kept);
        assert_eq!(receiving.take(Seq(1), &[0; 5], false), Taken::Refused);
        assert_eq!(receiving.take(Seq(1), &[0; 4], false), Taken::Kept);
        assert_eq!(receiving.room(), 0);
        assert_eq!(all(&mut receiving).len(), 10);
        assert_eq!(receiving.room(), 10);
        assert_eq!(receiving.take(Seq(3).plus(4_096), b"x", false), Taken::Refused, "too far ahead");
    }

    #[test]
    fn a_stream_ends_where_its_sender_says_and_only_there() {
        let mut receiving = Receiving::new(Seq(0), 100);
        assert_eq!(receiving.take(Seq(3), b"", true), Taken::Kept);
        assert_eq!(receiving.take(Seq(4), b"more", false), Taken::Refused);
        receiving.take(Seq(1), b"a", false);
        assert!(!receiving.has_all());
        receiving.take(Seq(2), b"b", false);
        assert!(receiving.has_all() && !receiving.is_over());
        assert_eq!(all(&mut receiving), b"ab");
        assert!(receiving.is_over());
        let mut lied = Receiving::new(Seq(0), 100);
        lied.take(Seq(4), b"d", false);
        assert_eq!(lied.take(Seq(2), b"", true), Taken::Refused, "something behind it has come");
    }

    proptest! {
        #[test]
        fn any_order_gives_the_same_stream(order in Just((0..40_u16).collect::<Vec<_>>()).prop_shuffle(), first in any::<u16>()) {
            let mut receiving = Receiving::new(Seq(first), 1_000);
            for number in order {
                receiving.take(Seq(first).plus(number + 1), &[u8::try_from(number).unwrap(); 3], number == 39);
            }
            let expected: Vec<u8> = (0..40).flat_map(|number| [number; 3]).collect();
            prop_assert_eq!(all(&mut receiving), expected);
            prop_assert!(receiving.is_over() && receiving.sack().is_empty());
        }
    }
}
