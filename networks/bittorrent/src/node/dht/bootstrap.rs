//! Where the DHT begins, and when it tries again.

use std::net::{IpAddr, SocketAddr};

use hexad_core::{Endpoint, Name, Span, Time};

/// Addresses and names that are taken from the user, from torrents and from the state; more are left out.
const GIVEN_MAX: usize = 64;
/// Remembered nodes that are asked in one try but the first.
const SAVED_PER_TRY: usize = 20;
/// The first try that fails is repeated after this, the next after twice as long ...
const RETRY_MIN: Span = Span::from_secs(1);
/// ... up to this.
const RETRY_MAX: Span = Span::from_secs(300);

/// Whom to ask when we know nobody.
#[derive(Debug)]
pub(super) struct Bootstrap {
    given: Vec<SocketAddr>,
    names: Vec<Name>,
    /// What the names resolved to. BEP 5 bids not to keep such routers in a table.
    routers: Vec<SocketAddr>,
    saved: Vec<SocketAddr>,
    tries: u32,
    due: Option<Time>,
    has_begun: bool,
}

impl Bootstrap {
    pub const fn new() -> Self {
        Self { given: Vec::new(), names: Vec::new(), routers: Vec::new(), saved: Vec::new(), tries: 0, due: None, has_begun: false }
    }

    /// More places to begin at.
    pub fn add(&mut self, endpoints: &[Endpoint]) {
        for endpoint in endpoints {
            match endpoint {
                Endpoint::Name(name) => {
                    if let Ok(ip) = name.host.parse::<IpAddr>() {
                        add_to(&mut self.given, SocketAddr::new(ip, name.port));
                    } else if self.names.len() < GIVEN_MAX && !self.names.contains(name) {
                        self.names.push(name.clone());
                    }
                }
                Endpoint::Ip(address) | Endpoint::Key(_, address) => add_to(&mut self.given, *address),
            }
        }
    }

    /// A name has these addresses.
    pub fn resolved(&mut self, port: u16, ips: &[IpAddr]) {
        for &ip in ips.iter().take(8) {
            add_to(&mut self.routers, SocketAddr::new(ip, port));
        }
    }

    /// Nodes that were good in an earlier run.
    pub fn remembered(&mut self, nodes: Vec<SocketAddr>) {
        self.saved = nodes;
    }

    /// Names to be looked up.
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// Whether it came from a name.
    pub fn is_router(&self, address: SocketAddr) -> bool {
        self.routers.contains(&address)
    }

    /// Whether there is anybody to ask.
    pub fn is_empty(&self) -> bool {
        self.given.is_empty() && self.routers.is_empty() && self.saved.is_empty()
    }

    /// Whom to ask in this try beside those in the table: everybody named and, where the table was of no use, some of those remembered, others in each try.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let skip = (self.tries as usize).saturating_sub(1).saturating_mul(SAVED_PER_TRY) % self.saved.len().max(1);
        let wanted = if self.tries == 0 { 0 } else { SAVED_PER_TRY };
        let saved = self.saved.iter().cycle().skip(skip).take(wanted.min(self.saved.len()));
        saved.chain(&self.given).chain(&self.routers).copied()
    }

    /// To be tried at that time, or earlier when that was planned.
    pub fn plan(&mut self, at: Time) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// When the next try is due.
    pub fn due(&self) -> Option<Time> {
        self.due
    }

    /// A try begins.
    pub fn begun(&mut self) {
        self.due = None;
        self.has_begun = true;
    }

    /// Whether a try has begun in this run: what is remembered has come by then, or is late.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// No try is made before one is planned again.
    pub fn rest(&mut self) {
        self.due = None;
        self.has_begun = false;
    }

    /// Nobody answered: another try follows, later each time.
    pub fn failed(&mut self, now: Time) {
        let wait = RETRY_MIN.saturating_mul(1 << self.tries.min(16)).min(RETRY_MAX);
        self.tries = self.tries.saturating_add(1);
        self.due = Some(now + wait);
    }

    /// Somebody answered.
    pub fn succeeded(&mut self) {
        self.tries = 0;
    }
}

fn add_to(list: &mut Vec<SocketAddr>, address: SocketAddr) {
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    if list.len() < GIVEN_MAX && address.port() != 0 && !list.contains(&address) {
        list.push(address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_become_rarer_until_one_succeeds() {
        let mut bootstrap = Bootstrap::new();
        let mut now = Time::ZERO;
        let mut waits = Vec::new();
        for _ in 0..12 {
            bootstrap.begun();
            bootstrap.failed(now);
            let due = bootstrap.due().unwrap();
            waits.push(due.since(now).as_secs());
            now = due;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        bootstrap.succeeded();
        bootstrap.failed(now);
        assert_eq!(bootstrap.due().unwrap().since(now).as_secs(), 1);
    }

    #[test]
    fn all_that_are_remembered_get_their_turn() {
        let mut bootstrap = Bootstrap::new();
        bootstrap.remembered((1..=50).map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect());
        let mut asked = hexad_core::Set::new();
        assert_eq!(bootstrap.addresses().count(), 0, "the table has them");
        for _ in 0..3 {
            bootstrap.failed(Time::ZERO);
            asked.extend(bootstrap.addresses());
        }
        assert_eq!(asked.len(), 50);
    }

    #[test]
    fn addresses_written_as_names_are_not_looked_up_and_the_list_is_bounded() {
        let mut bootstrap = Bootstrap::new();
        bootstrap.add(&[Endpoint::Name(Name { host: "127.0.0.1".into(), port: 5 })]);
        assert!(bootstrap.names().is_empty());
        assert_eq!(bootstrap.addresses().count(), 1);
        for port in 1..1000 {
            bootstrap.add(&[SocketAddr::from(([127, 0, 0, 1], port)).into(), Endpoint::Name(Name { host: format!("host{port}"), port })]);
        }
        assert_eq!(bootstrap.addresses().count(), GIVEN_MAX);
        assert_eq!(bootstrap.names().len(), GIVEN_MAX);
    }
}
