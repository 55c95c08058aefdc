//! Who has said wrong tokens, and how many: whoever guesses is not heard for a while, whatever he says then.
//!
//! A page that is left open with the token of yesterday says the same one over and over, which is no guess.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Different wrong tokens that one address may say before it has to wait.
const WRONG_MAX: u32 = 10;
/// How long it has to wait, and after how long a silence all is forgotten.
const PAUSE: Duration = Duration::from_secs(60);
/// Addresses that are remembered; who was silent for longest leaves.
const ADDRESSES_MAX: usize = 1024;
/// Bytes of a wrong token that are remembered.
const SAID_BYTES_MAX: usize = 64;

/// What one address has said.
#[derive(Debug)]
struct Guessed {
    wrong: u32,
    last: Vec<u8>,
    at: Instant,
}

/// What all have said.
#[derive(Debug, Default)]
pub(super) struct Guesses(Mutex<BTreeMap<IpAddr, Guessed>>);

impl Guesses {
    /// How long that address has to wait until it is heard again, where it has to.
    pub(super) fn pause(&self, from: IpAddr, now: Instant) -> Option<Duration> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let guessed = all.get(&whose(from)).filter(|guessed| guessed.wrong >= WRONG_MAX)?;
        PAUSE.checked_sub(now.duration_since(guessed.at)).filter(|pause| !pause.is_zero())
    }

    /// That address has said a wrong token.
    pub(super) fn on_wrong(&self, from: IpAddr, said: &str, now: Instant) {
        let said = &said.as_bytes()[..said.len().min(SAID_BYTES_MAX)];
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = whose(from);
        if !all.contains_key(&from) && all.len() >= ADDRESSES_MAX {
            let silent = all.iter().min_by_key(|(_, guessed)| guessed.at).map(|(address, _)| *address);
            silent.and_then(|address| all.remove(&address));
        }
        let guessed = all.entry(from).or_insert_with(|| Guessed { wrong: 0, last: Vec::new(), at: now });
        if now.duration_since(guessed.at) >= PAUSE {
            guessed.wrong = 0;
        } else if guessed.wrong > 0 && guessed.last == said {
            return;
        }
        *guessed = Guessed { wrong: guessed.wrong + 1, last: said.to_vec(), at: now };
    }
}

/// Who has one address of IPv6 has all of its last 64 bits.
fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() >> 64 << 64).into()),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn guess(guesses: &Guesses, from: IpAddr, count: u32, now: Instant) {
        (0..count).for_each(|number| guesses.on_wrong(from, &format!("guess {number}"), now));
    }

    #[test]
    fn who_has_guessed_ten_times_waits_a_minute() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        let (eve, bob) = (ip("192.0.2.1"), ip("192.0.2.2"));
        guess(&guesses, eve, WRONG_MAX - 1, now);
        assert_eq!(guesses.pause(eve, now), None);
        guesses.on_wrong(eve, "one more", now);
        assert_eq!((guesses.pause(eve, now), guesses.pause(bob, now)), (Some(PAUSE), None));
        assert_eq!(guesses.pause(ip("::ffff:192.0.2.1"), now), Some(PAUSE), "the same address, written otherwise");
        let later = now + PAUSE;
        assert_eq!(guesses.pause(eve, later), None);
        guess(&guesses, eve, WRONG_MAX - 1, later);
        assert_eq!(guesses.pause(eve, later), None, "it has as many again");
    }

    #[test]
    fn addresses_of_one_network_of_ipv6_are_one() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        for number in 0..WRONG_MAX {
            guesses.on_wrong(ip(&format!("2001:db8::{number}")), &number.to_string(), now);
        }
        assert!(guesses.pause(ip("2001:db8::ffff"), now).is_some());
        assert!(guesses.pause(ip("2001:db8:0:1::1"), now).is_none());
    }

    #[test]
    fn the_same_wrong_token_is_no_guess() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        (0..1000).for_each(|_| guesses.on_wrong(ip("192.0.2.1"), "that of yesterday", now));
        assert_eq!(guesses.pause(ip("192.0.2.1"), now), None);
    }

    #[test]
    fn of_too_many_addresses_the_silent_ones_are_forgotten() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        guess(&guesses, ip("192.0.2.1"), 1, now);
        let later = now + Duration::from_secs(1);
        (0..ADDRESSES_MAX).for_each(|number| guess(&guesses, IpAddr::V4(u32::try_from(number).expect("few").into()), 1, later));
        let all = guesses.0.lock().expect("nobody has panicked");
        assert!(all.len() == ADDRESSES_MAX && !all.contains_key(&ip("192.0.2.1")));
    }
}
