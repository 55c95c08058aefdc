//! Addresses that are not spoken to: lists as other programs read them.
//!
//! Three forms, told apart line by line: PeerGuardian text (`name:1.2.3.4-1.2.3.9`), eMule's `ipfilter.dat`
//! (`001.002.003.004 - 001.002.003.009 , 100 , name`; a level of 128 and more lets through) and prefixes or plain addresses
//! (`1.2.3.0/24`, `2001:db8::/32`, `1.2.3.4`). `#`, `;` and `//` begin comments.

use std::net::{IpAddr, Ipv4Addr};

/// Ranges of one list; more are not read.
const RANGES_MAX: usize = 4_000_000;
/// From this level on, `ipfilter.dat` lets through.
const LEVEL_ALLOWED: u32 = 128;

/// Which addresses are blocked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpFilter {
    /// First and last, IPv4 as mapped into IPv6; sorted, and apart from each other.
    ranges: Vec<(u128, u128)>,
    /// Lines that could not be read.
    unread: usize,
}

impl IpFilter {
    /// Reads a list.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut filter = Self::default();
        filter.add(text);
        filter
    }

    /// Adds what another list blocks. Returns how many of its lines could not be read, or were too many.
    pub fn add(&mut self, text: &str) -> usize {
        let unread_before = self.unread;
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with(['#', ';']) || line.starts_with("//") {
                continue;
            }
            match range_of(line) {
                Some(Some(range)) if self.ranges.len() < RANGES_MAX => self.ranges.push(range),
                Some(None) => {}
                _ => self.unread += 1,
            }
        }
        self.ranges.sort_unstable();
        let mut joined: Vec<(u128, u128)> = Vec::with_capacity(self.ranges.len());
        for &(first, last) in &self.ranges {
            match joined.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = (*end).max(last),
                _ => joined.push((first, last)),
            }
        }
        joined.shrink_to_fit();
        self.ranges = joined;
        self.unread - unread_before
    }

    /// Whether an address is blocked.
    #[must_use]
    pub fn blocks(&self, ip: IpAddr) -> bool {
        let number = number(ip);
        let after = self.ranges.partition_point(|(first, _)| *first <= number);
        after > 0 && self.ranges[after - 1].1 >= number
    }

    /// How many ranges there are, those that touch counted as one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether nobody is blocked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Lines that could not be read, or were too many.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.unread
    }
}

fn number(ip: IpAddr) -> u128 {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// What a line blocks; `Some(None)` where it lets through, `None` where it cannot be read.
#[expect(clippy::option_option, reason = "three outcomes, used in one place")]
fn range_of(line: &str) -> Option<Option<(u128, u128)>> {
    if let Some((first, rest)) = line.split_once(" - ").filter(|_| line.contains(',')) {
        let mut fields = rest.split(',').map(str::trim);
        let range = between(first, fields.next()?)?;
        let level = fields.next().map_or(Some(0), |level| level.parse().ok())?;
        return Some((level < LEVEL_ALLOWED).then_some(range));
    }
    if let Some((base, bits)) = line.split_once('/')
        && let (Some(base), Ok(bits)) = (address(base), bits.trim().parse::<u32>())
    {
        let width = if base.is_ipv4() { 32 } else { 128 };
        let host = 128 - (128 - width) - bits.min(width);
        if bits > width {
            return None;
        }
        let mask = if host == 128 { u128::MAX } else { (1 << host) - 1 };
        return Some(Some((number(base) & !mask, number(base) | mask)));
    }
    if let Some(one) = address(line) {
        return Some(Some((number(one), number(one))));
    }
    // Names may have colons and hyphens in them; addresses of version 6 have colons as well.
    let by_name = || {
        let (_, range) = line.rsplit_once(':')?;
        let (first, last) = range.split_once('-')?;
        between(first, last)
    };
    let by_name_v6 =
        || line.match_indices(':').find_map(|(at, _)| line[at + 1..].split_once('-').and_then(|(first, last)| between(first, last)));
    let bare = || line.split_once('-').and_then(|(first, last)| between(first, last));
    by_name().or_else(by_name_v6).or_else(bare).map(Some)
}

fn between(first: &str, last: &str) -> Option<(u128, u128)> {
    let (first, last) = (address(first)?, address(last)?);
    (first.is_ipv4() == last.is_ipv4() && number(first) <= number(last)).then(|| (number(first), number(last)))
}

/// An address; those of version 4 may have leading zeros, which are decimal all the same.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if let Ok(ip) = text.parse() {
        return Some(ip);
    }
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next().filter(|part| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *octet = part.parse().ok()?;
    }
    parts.next().is_none().then(|| IpAddr::V4(Ipv4Addr::from(octets)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(list: &str, blocked: &[&str], free: &[&str]) {
        let filter = IpFilter::read(list);
        for ip in blocked {
            assert!(filter.blocks(ip.parse().unwrap()), "{ip} by {list:?}");
        }
        for ip in free {
            assert!(!filter.blocks(ip.parse().unwrap()), "{ip} by {list:?}");
        }
    }

    #[test]
    fn lists_of_peer_guardian_are_read() {
        let list = "# a comment\nSome Corp: research - dept:1.2.3.4-1.2.3.9\nnobody:10.0.0.0-10.255.255.255\n";
        check(list, &["1.2.3.4", "1.2.3.9", "10.7.7.7", "::ffff:1.2.3.5"], &["1.2.3.3", "1.2.3.10", "11.0.0.0", "2001:db8::1"]);
        check("site:2001:db8::1-2001:db8::ff", &["2001:db8::80"], &["2001:db8::100"]);
    }

    #[test]
    fn lists_of_emule_are_read_with_their_levels_and_zeros() {
        let list = "001.002.003.004 - 001.002.003.009 , 100 , a name, with a comma\n9.0.0.0 - 9.0.0.255 , 200 , let through\n";
        check(list, &["1.2.3.4", "1.2.3.9"], &["1.2.3.10", "9.0.0.1"]);
        assert_eq!(IpFilter::read(list).unread(), 0);
    }

    #[test]
    fn prefixes_and_single_addresses_are_read() {
        check(
            "1.2.3.0/24\n2001:db8::/32\n7.7.7.7\n",
            &["1.2.3.0", "1.2.3.255", "2001:db8:ffff::", "7.7.7.7"],
            &["1.2.4.0", "2001:db9::", "7.7.7.8"],
        );
        check("0.0.0.0/0", &["0.0.0.0", "255.255.255.255"], &["2001:db8::1"]);
        check("::/0", &["1.1.1.1", "ffff::"], &[]);
    }

    #[test]
    fn ranges_that_touch_are_one_and_what_cannot_be_read_is_counted() {
        let filter = IpFilter::read("1.0.0.0/25\n1.0.0.128/25\nx:1.0.0.4-1.0.0.7\nnonsense\n1.2.3.4/99\nx:2.0.0.9-2.0.0.1\n");
        assert_eq!((filter.len(), filter.unread()), (1, 3));
        assert!(IpFilter::read("").is_empty());
    }

    #[test]
    fn lists_add_up_and_each_says_what_of_it_was_not_read() {
        let mut filter = IpFilter::read("192.0.2.1\nnobody");
        assert_eq!(filter.add("192.0.2.2\nnot\nso"), 2);
        assert_eq!((filter.len(), filter.unread()), (1, 3), "neighbours are one range");
        assert!(filter.blocks("192.0.2.1".parse().unwrap()) && filter.blocks("192.0.2.2".parse().unwrap()));
    }
}
