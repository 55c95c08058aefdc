//! Tokens: whoever announces must have asked before, from the same address. BEP 5.

use std::net::IpAddr;

use hexad_core::{Dice, Time};
use sha1::{Digest as _, Sha1};

/// The secret changes this often; a token of the time before is still good.
const PERIOD_MICROS: u64 = 300 * 1_000_000;

/// Gives and checks tokens without remembering any: each follows from a secret, the time, the address and the info hash.
#[derive(Debug)]
pub(super) struct Tokens {
    secret: [u8; 20],
}

impl Tokens {
    pub fn new(dice: &mut Dice) -> Self {
        Self { secret: dice.bytes() }
    }

    /// The token for whoever asked from `ip` for `info_hash`.
    pub fn give(&self, ip: IpAddr, info_hash: &[u8; 20], now: Time) -> [u8; 8] {
        self.token(ip, info_hash, now.as_micros() / PERIOD_MICROS)
    }

    /// Whether `token` was given for the same within the last five to ten minutes.
    pub fn holds(&self, token: &[u8], ip: IpAddr, info_hash: &[u8; 20], now: Time) -> bool {
        let period = now.as_micros() / PERIOD_MICROS;
        let current = same(token, &self.token(ip, info_hash, period));
        current | period.checked_sub(1).is_some_and(|before| same(token, &self.token(ip, info_hash, before)))
    }

    fn token(&self, ip: IpAddr, info_hash: &[u8; 20], period: u64) -> [u8; 8] {
        let octets = match ip.to_canonical() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        let digest = Sha1::new()
            .chain_update(self.secret)
            .chain_update(period.to_be_bytes())
            .chain_update(octets)
            .chain_update(info_hash)
            .finalize();
        let mut token = [0; 8];
        token.copy_from_slice(&digest[..8]);
        token
    }
}

/// Compares without telling by its time where the first difference is.
fn same(token: &[u8], expected: &[u8; 8]) -> bool {
    token.len() == expected.len() && token.iter().zip(expected).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use hexad_core::Span;

    #[test]
    fn a_token_is_good_for_its_address_and_torrent_and_ten_minutes_at_most() {
        let tokens = Tokens::new(&mut Dice::counter(4, 1));
        let ip: IpAddr = "192.0.2.7".parse().unwrap();
        let now = Time::ZERO + Span::from_secs(600);
        let token = tokens.give(ip, &[1; 20], now);
        assert!(tokens.holds(&token, ip, &[1; 20], now));
        assert!(tokens.holds(&token, ip, &[1; 20], now + Span::from_secs(599)));
        assert!(!tokens.holds(&token, ip, &[1; 20], now + Span::from_secs(600)));
        assert!(!tokens.holds(&token, "192.0.2.8".parse().unwrap(), &[1; 20], now));
        assert!(!tokens.holds(&token, ip, &[2; 20], now));
        assert!(!tokens.holds(&token[..7], ip, &[1; 20], now));
        assert!(!tokens.holds(&[], ip, &[1; 20], now));
        assert!(tokens.holds(&token, "::ffff:192.0.2.7".parse().unwrap(), &[1; 20], now));
    }
}
