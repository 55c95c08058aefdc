//! Who asks too much. After libtorrent's `dos_blocker.cpp`.

use std::net::SocketAddr;

use hexad_core::{Span, Time, least_sixteenth};

use super::contacts::Spot;
use super::hosts::Hosts;
use super::id::is_local;

/// Addresses watched at a time; those that were heard longest ago leave.
const WATCHED_MAX: usize = 256;
/// So many packets ...
const PACKETS_MAX: u32 = 50;
/// ... within this are too many.
const WINDOW: Span = Span::from_secs(10);
/// Who was too loud is heard again after this much silence.
const SILENCE: Span = Span::from_secs(300);
/// Answers to all the world: on average, a second; and at once. What a forged source address can make us send elsewhere.
const ANSWERS_PER_S: u64 = 250;
const ANSWERS_AT_ONCE: u64 = 1000;

/// Who was heard.
#[derive(Debug)]
struct Watched {
    since: Time,
    last: Time,
    packets: u32,
    blocked: bool,
}

impl Watched {
    /// Whether it differs from a stranger: who is silent for long, or was never loud, does not.
    fn counts(&self, now: Time) -> bool {
        now.since(self.last) < if self.blocked { SILENCE } else { WINDOW }
    }
}

/// Counts packets per address, and answers altogether.
#[derive(Debug)]
pub(super) struct Flood {
    watched: Hosts<Watched>,
    /// When those who no longer count were last forgotten.
    swept: Time,
    /// Answers saved up, in millionths.
    credit: u64,
    credited: Time,
}

impl Flood {
    pub fn new() -> Self {
        Self { watched: Hosts::new(), swept: Time::ZERO, credit: ANSWERS_AT_ONCE * 1_000_000, credited: Time::ZERO }
    }

    /// Counts a packet from `from`. False when it is one too many and should be dropped. An address is a host, save for local ones, behind
    /// which many may sit.
    pub fn admits(&mut self, from: SocketAddr, now: Time) -> bool {
        if now.since(self.swept) >= WINDOW {
            self.swept = now;
            self.watched.retain(|_, watched| watched.counts(now));
        }
        let key = Spot::of(if is_local(from.ip()) { from } else { SocketAddr::new(from.ip(), 0) });
        let Some(watched) = self.watched.get_mut(key) else {
            if self.watched.len() >= WATCHED_MAX {
                let oldest = least_sixteenth(self.watched.iter().map(|(key, watched)| (watched.last, key)).collect());
                if let Some(&(last, key)) = oldest.iter().max() {
                    self.watched.retain(|other, watched| (watched.last, other) > (last, key));
                }
            }
            self.watched.insert(key, Watched { since: now, last: now, packets: 1, blocked: false });
            return true;
        };
        let silence = now.since(watched.last);
        watched.last = now;
        if watched.blocked && silence < SILENCE {
            return false;
        }
        if watched.blocked || now.since(watched.since) >= WINDOW {
            *watched = Watched { since: now, last: now, packets: 0, blocked: false };
        }
        watched.packets += 1;
        watched.blocked = watched.packets > PACKETS_MAX;
        !watched.blocked
    }

    /// Reads it, see [`super::Dht::warm`].
    pub fn warm(&self, depth: u8) -> usize {
        if depth == 0 { self.watched.len() } else { self.watched.warm() }
    }

    /// Whether one more answer may leave.
    pub fn answers(&mut self, now: Time) -> bool {
        let micros = u64::try_from(now.since(self.credited).as_micros()).unwrap_or(u64::MAX);
        self.credited = now;
        self.credit = self.credit.saturating_add(micros.saturating_mul(ANSWERS_PER_S)).min(ANSWERS_AT_ONCE * 1_000_000);
        if self.credit < 1_000_000 {
            return false;
        }
        self.credit -= 1_000_000;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    #[test]
    fn who_floods_is_not_heard_until_he_was_silent_for_five_minutes() {
        let mut flood = Flood::new();
        let host: SocketAddr = "192.0.2.1:1".parse().unwrap();
        let other_port: SocketAddr = "192.0.2.1:2".parse().unwrap();
        for _ in 0..50 {
            assert!(flood.admits(host, at(1)));
        }
        assert!(!flood.admits(other_port, at(1)));
        assert!(flood.admits("192.0.2.2:1".parse().unwrap(), at(1)));
        assert!(!flood.admits(host, at(300)));
        assert!(!flood.admits(host, at(599)));
        assert!(flood.admits(host, at(900)));
    }

    #[test]
    fn neighbours_behind_one_local_address_do_not_silence_each_other() {
        let mut flood = Flood::new();
        for port in 1..200 {
            assert!(flood.admits(SocketAddr::from(([127, 0, 0, 1], port)), at(1)));
        }
    }

    #[test]
    fn many_forged_addresses_get_a_bounded_number_of_answers() {
        let mut flood = Flood::new();
        let answered = (0..5000).filter(|_| flood.answers(at(1))).count();
        assert_eq!(answered, 1000);
        assert_eq!((0..5000).filter(|_| flood.answers(at(2))).count(), 250);
        for n in 0..5000_u32 {
            flood.admits(SocketAddr::from((n.to_be_bytes(), 1)), at(3));
        }
        assert!((WATCHED_MAX * 15 / 16..=WATCHED_MAX).contains(&flood.watched.len()));
    }
}
