//! How long datagrams may be on the way to one peer: RFC 8899, with what BEP 29 allows.
//!
//! A packet cannot be cut anew once it has a number, so a long one that carried bytes of the stream could hold it up for good. What is tried is therefore a packet that carries
//! no more than usual, and is filled up with an extension that nobody reads: when it is lost, it goes again without that, and nothing else follows from it.
//!
//! A way may become narrower, and say nothing of it. What is too long by then is sent again as one that routers may fragment, as libtorrent does, and when that has happened
//! a few times, new packets are short again.

use hexad_core::{Span, Time};

use crate::Config;

/// Two lengths so close to each other are the same.
const STEP_BYTES: usize = 16;
/// So often a length is lost before it counts as too long: the first time may be chance.
const LOSSES_MAX: u32 = 2;
/// So often in a row packets are lost of which only the long ones are, before the way counts as having become narrower.
const LONG_LOSSES_MAX: u32 = 3;
/// After so long a way may have become another one, and what was too long is tried again. RFC 8899: `PMTU_RAISE_TIMER`.
const RAISE_AFTER: Span = Span::from_secs(600);

/// What is known of one way.
#[derive(Debug)]
pub struct PathMtu {
    /// Bytes that arrive.
    packet_bytes: usize,
    /// Bytes that arrive on whatever way.
    sure_bytes: usize,
    /// Bytes that would be the most.
    most_bytes: usize,
    /// The shortest that did not arrive.
    too_long_bytes: Option<usize>,
    /// What is under way, and how often it was lost.
    probe_bytes: Option<usize>,
    losses: u32,
    /// How often in a row only long packets were lost.
    long_losses: u32,
    /// When it is known.
    known_since: Option<Time>,
}

impl PathMtu {
    /// Only the sure minimum is known.
    pub fn new(config: &Config, ipv6: bool) -> Self {
        // A header of IPv6 is 20 bytes longer.
        let most_bytes = config.packet_bytes_max.saturating_sub(if ipv6 { 20 } else { 0 }).max(config.packet_bytes);
        let sure_bytes = config.packet_bytes;
        Self {
            packet_bytes: sure_bytes,
            sure_bytes,
            most_bytes,
            too_long_bytes: None,
            probe_bytes: None,
            losses: 0,
            long_losses: 0,
            known_since: None,
        }
    }

    /// Bytes of a datagram that arrive.
    pub fn packet_bytes(&self) -> usize {
        self.packet_bytes
    }

    /// Bytes of a datagram that arrive whatever the way is.
    pub fn sure_bytes(&self) -> usize {
        self.sure_bytes
    }

    /// Packets of more than the sure length have arrived as a whole.
    pub fn long_arrived(&mut self) {
        self.long_losses = 0;
    }

    /// Packets of more than the sure length were lost, and no others.
    pub fn long_lost(&mut self) {
        self.long_losses += 1;
        if self.long_losses >= LONG_LOSSES_MAX && self.packet_bytes > self.sure_bytes {
            self.too_long_bytes = Some(self.packet_bytes);
            self.packet_bytes = self.sure_bytes;
            (self.losses, self.long_losses, self.known_since) = (0, 0, None);
        }
    }

    /// Which length is to be tried by the next packet; `None` while one is under way, or nothing more is to be found out.
    pub fn probe(&mut self, now: Time) -> Option<usize> {
        if self.probe_bytes.is_some() || self.packet_bytes >= self.most_bytes {
            return None;
        }
        if self.known_since.is_some_and(|since| now.since(since) < RAISE_AFTER) {
            return None;
        }
        if self.known_since.take().is_some() {
            self.too_long_bytes = None;
        }
        // Most ways are as wide as an Ethernet.
        let length = match self.too_long_bytes {
            None => self.most_bytes,
            Some(too_long) if too_long <= self.packet_bytes + STEP_BYTES => {
                self.known_since = Some(now);
                return None;
            }
            Some(too_long) => self.packet_bytes + (too_long - self.packet_bytes) / 2,
        };
        self.probe_bytes = Some(length);
        Some(length)
    }

    /// What was tried has arrived, or was lost.
    pub fn tried(&mut self, arrived: bool) {
        let Some(length) = self.probe_bytes.take() else { return };
        if arrived {
            (self.packet_bytes, self.losses) = (self.packet_bytes.max(length), 0);
            return;
        }
        self.losses += 1;
        if self.losses >= LOSSES_MAX {
            (self.too_long_bytes, self.losses) = (Some(length), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found out of a way of that width, and by how many tries.
    fn found(width: usize, ipv6: bool) -> (usize, usize) {
        let mut mtu = PathMtu::new(&Config::default(), ipv6);
        let mut tries = 0;
        while let Some(length) = mtu.probe(Time::ZERO) {
            assert!(length > mtu.packet_bytes() && mtu.probe(Time::ZERO).is_none(), "one at a time");
            mtu.tried(length <= width);
            tries += 1;
        }
        (mtu.packet_bytes(), tries)
    }

    #[test]
    fn the_width_of_a_way_is_found_by_a_few_tries() {
        assert_eq!(found(9_000, false), (1_472, 1));
        assert_eq!(found(9_000, true), (1_452, 1));
        for width in 1_232..1_472 {
            let (length, tries) = found(width, false);
            assert!(length <= width && width - length <= STEP_BYTES && tries <= 10, "{width}: {length} after {tries}");
        }
    }

    #[test]
    fn a_way_that_has_become_narrower_is_measured_anew() {
        let mut mtu = PathMtu::new(&Config::default(), false);
        let search = |mtu: &mut PathMtu, width: usize| {
            while let Some(length) = mtu.probe(Time::ZERO) {
                mtu.tried(length <= width);
            }
            mtu.packet_bytes()
        };
        assert_eq!(search(&mut mtu, 1_472), 1_472);
        for _ in 0..10 {
            mtu.long_lost();
            mtu.long_lost();
            mtu.long_arrived();
        }
        assert_eq!(mtu.packet_bytes(), 1_472, "some arrive");
        (0..3).for_each(|_| mtu.long_lost());
        assert_eq!(mtu.packet_bytes(), 1_232);
        let length = search(&mut mtu, 1_372);
        assert!((1_356..=1_372).contains(&length), "{length}");
    }

    #[test]
    fn after_ten_minutes_it_is_looked_again() {
        let mut mtu = PathMtu::new(&Config::default(), false);
        while mtu.probe(Time::ZERO).is_some() {
            mtu.tried(false);
        }
        assert_eq!(mtu.packet_bytes(), Config::default().packet_bytes);
        assert_eq!(mtu.probe(Time::ZERO + Span::from_secs(599)), None);
        assert_eq!(mtu.probe(Time::ZERO + Span::from_secs(601)), Some(1_472));
        mtu.tried(true);
        assert_eq!(mtu.packet_bytes(), 1_472);
    }
}
