//! What protects a tracker from addresses: connection ids that prove an address (BEP 15), and a count of requests per address.

use std::net::IpAddr;

use hexad_core::{Dice, Span, Time};
use sha1::{Digest as _, Sha1};

/// How long a connection id is accepted. BEP 15: two minutes.
const CONNECTION_LIFE_S: u32 = 120;
/// Cells in a row of the request counter; a power of two.
const CELLS: usize = 1 << 16;
/// Over how long requests are counted.
const WINDOW: Span = Span::from_secs(60);

/// Connection ids without a table: the second in which it was given, and a keyed hash of that and the address. The scheme of aquatic's
/// `validator.rs`, with SHA-1: its input has a fixed length and its output is cut, so that nothing can be appended.
#[derive(Debug)]
pub(super) struct ConnectionIds {
    secret: [u8; 24],
}

impl ConnectionIds {
    pub fn new(dice: &mut Dice) -> Self {
        Self { secret: dice.bytes() }
    }

    /// An id for whoever really receives datagrams at `ip`.
    pub fn give(&self, ip: IpAddr, now: Time) -> u64 {
        let second = second(now);
        u64::from(second) << 32 | u64::from(self.hash(second, ip))
    }

    /// Whether `id` was given to `ip` within the last two minutes.
    pub fn holds(&self, id: u64, ip: IpAddr, now: Time) -> bool {
        let [a, b, c, d, e, f, g, h] = id.to_be_bytes();
        let given = u32::from_be_bytes([a, b, c, d]);
        // Compared as one word, in constant time.
        let genuine = self.hash(given, ip) == u32::from_be_bytes([e, f, g, h]);
        genuine & (second(now).wrapping_sub(given) <= CONNECTION_LIFE_S)
    }

    fn hash(&self, second: u32, ip: IpAddr) -> u32 {
        let digest = Sha1::new().chain_update(self.secret).chain_update(second.to_be_bytes()).chain_update(octets(ip)).finalize();
        u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
    }
}

fn second(now: Time) -> u32 {
    // Wraps after 136 years.
    u32::try_from((now.as_micros() / 1_000_000) & u64::from(u32::MAX)).unwrap_or(0)
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// How often each address has announced or scraped in the current minute: a count-min sketch, so that it takes the same memory whoever comes.
///
/// Two addresses that share both cells share their allowance; who shares is decided by a secret, and again each minute.
#[derive(Debug)]
pub(super) struct RequestCount {
    rows: [Vec<u16>; 2],
    since: Time,
    secret: u64,
    per_minute_max: u32,
}

impl RequestCount {
    pub fn new(per_minute_max: u32, dice: &mut Dice) -> Self {
        Self { rows: [vec![0; CELLS], vec![0; CELLS]], since: Time::ZERO, secret: dice.bits(), per_minute_max }
    }

    /// Counts one request of `ip`. False when that is one too many. An IPv6 host is its /64, as it can have any address in there.
    pub fn admits(&mut self, ip: IpAddr, now: Time, dice: &mut Dice) -> bool {
        if now.since(self.since) >= WINDOW {
            self.since = now;
            self.secret = dice.bits();
            self.rows.iter_mut().for_each(|row| row.fill(0));
        }
        let word = match ip {
            IpAddr::V4(ip) => u64::from(ip.to_bits()),
            IpAddr::V6(ip) => u64::try_from(ip.to_bits() >> 64).unwrap_or(0),
        };
        let mixed = Dice::counter(self.secret, word).bits();
        let mask = CELLS as u64 - 1;
        let cells = [mixed & mask, mixed >> 32 & mask].map(|cell| usize::try_from(cell).unwrap_or(0));
        let counted = u32::from(self.rows[0][cells[0]].min(self.rows[1][cells[1]]));
        if counted >= self.per_minute_max {
            return false;
        }
        for (row, cell) in self.rows.iter_mut().zip(cells) {
            row[cell] = row[cell].saturating_add(1);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_connection_id_holds_for_its_address_and_two_minutes() {
        let mut dice = Dice::counter(1, 1);
        let ids = ConnectionIds::new(&mut dice);
        let given = Time::ZERO + Span::from_secs(1000);
        let id = ids.give(ip("192.0.2.1"), given);
        assert!(ids.holds(id, ip("192.0.2.1"), given));
        assert!(ids.holds(id, ip("192.0.2.1"), given + Span::from_secs(120)));
        assert!(!ids.holds(id, ip("192.0.2.1"), given + Span::from_secs(121)));
        assert!(!ids.holds(id, ip("192.0.2.2"), given));
        assert!(!ids.holds(id ^ 1, ip("192.0.2.1"), given));
        assert!(!ids.holds(id ^ 1 << 32, ip("192.0.2.1"), given));
        assert!(!ids.holds(id, ip("192.0.2.1"), Time::ZERO), "given in the future");
        assert!(!ConnectionIds::new(&mut dice).holds(id, ip("192.0.2.1"), given), "another secret");
    }

    #[test]
    fn who_asks_too_often_waits_for_the_next_minute() {
        let mut dice = Dice::counter(1, 2);
        let mut count = RequestCount::new(5, &mut dice);
        for _ in 0..5 {
            assert!(count.admits(ip("192.0.2.1"), Time::ZERO, &mut dice));
        }
        assert!(!count.admits(ip("192.0.2.1"), Time::ZERO, &mut dice));
        assert!(count.admits(ip("192.0.2.2"), Time::ZERO, &mut dice));
        assert!(count.admits(ip("192.0.2.1"), Time::ZERO + WINDOW, &mut dice));
    }

    #[test]
    fn an_ipv6_host_does_not_escape_by_changing_its_address() {
        let mut dice = Dice::counter(1, 3);
        let mut count = RequestCount::new(1, &mut dice);
        assert!(count.admits(ip("2001:db8::1"), Time::ZERO, &mut dice));
        assert!(!count.admits(ip("2001:db8::2"), Time::ZERO, &mut dice));
        assert!(count.admits(ip("2001:db8:0:1::1"), Time::ZERO, &mut dice));
    }
}
