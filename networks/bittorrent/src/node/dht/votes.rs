//! Our own address, as others see it. BEP 42: many must say the same, since each of them may lie.

use std::net::{IpAddr, SocketAddr};

use hexad_core::BoundedQueue;

use super::contacts::Spot;
use super::id::is_local;
use super::table::network;

/// Votes that are remembered.
const VOTES_MAX: usize = 24;
/// Votes that an address needs, out of those.
const VOTES_MIN: usize = 6;

/// The last votes of one address family, one of each site.
#[derive(Debug)]
pub(super) struct Votes {
    votes: BoundedQueue<(Spot, IpAddr)>,
    one_per_site: bool,
    decided: Option<IpAddr>,
}

impl Votes {
    pub fn new(one_per_site: bool) -> Self {
        Self { votes: BoundedQueue::new(VOTES_MAX), one_per_site, decided: None }
    }

    /// What was decided last.
    pub fn decided(&self) -> Option<IpAddr> {
        self.decided
    }

    /// `voter` says that we are at `ip`. Returns our address when this vote has changed the decision: two thirds of at least six voters agree.
    pub fn cast(&mut self, voter: SocketAddr, ip: IpAddr) -> Option<IpAddr> {
        let ip = ip.to_canonical();
        if is_local(ip) || is_local(voter.ip()) || ip.is_multicast() || ip.is_ipv4() != voter.ip().is_ipv4() {
            return None;
        }
        let one_per_site = self.one_per_site;
        let spot = Spot::of(voter);
        let same = |other: Spot| other.is_same_host(spot) || (one_per_site && network(other.ip()) == network(voter.ip()));
        self.votes.retain(|(other, _)| !same(*other));
        self.votes.push_out((spot, ip));
        let agreeing = self.votes.iter().filter(|(_, vote)| *vote == ip).count();
        let decided = agreeing >= VOTES_MIN && agreeing * 3 >= self.votes.len() * 2;
        (decided && self.decided != Some(ip)).then(|| {
            self.decided = Some(ip);
            ip
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voter(n: u8) -> SocketAddr {
        SocketAddr::from(([198, 51, n, 1], 1))
    }

    #[test]
    fn six_that_agree_decide_and_a_few_liars_change_nothing() {
        let mut votes = Votes::new(true);
        let ours: IpAddr = "192.0.2.1".parse().unwrap();
        let lie: IpAddr = "192.0.2.66".parse().unwrap();
        for n in 0..5 {
            assert_eq!(votes.cast(voter(n), ours), None);
            assert_eq!(votes.cast(voter(0), ours), None, "the same voter again");
        }
        assert_eq!(votes.cast(voter(5), ours), Some(ours));
        for n in 6..12 {
            assert_eq!(votes.cast(voter(n), lie), None);
        }
        for n in 12..30 {
            votes.cast(voter(n), ours);
        }
        assert_eq!(votes.decided(), Some(ours));
        for n in 30..60 {
            votes.cast(SocketAddr::from(([198, 51, 99, n], 1)), lie);
        }
        assert_eq!(votes.decided(), Some(ours), "one site has one vote");
        assert_eq!(votes.cast(voter(1), "127.0.0.1".parse().unwrap()), None);
    }
}
