//! What all machines see and none changes.

use std::net::IpAddr;
use std::sync::Arc;

use hexad_core::{Address, Answer, AskFailure, Endpoint, HttpRequest, Map, Name, Set, Span, Time};

use crate::config::LabConfig;
use crate::dice::{Purpose, dice};
use crate::event::Entry;
use crate::faults::{Faults, Fired};
use crate::space::Space;

/// Answers HTTP in the lab: who asks, what, when.
pub(crate) type HttpHook = Arc<dyn Fn(u32, &HttpRequest, Time) -> Answer + Send + Sync>;

/// The world.
pub(crate) struct World {
    pub(crate) config: LabConfig,
    pub(crate) space: Space,
    pub(crate) http: Option<HttpHook>,
    faults: Faults,
    faulty: bool,
    slow: Map<u32, Span>,
    /// Which part of a partition each node is in; none where there is no partition.
    parts: Option<Vec<u32>>,
    /// From whom nothing reaches whom.
    cuts: Set<(u32, u32)>,
    sites: Map<u32, u32>,
    members: Map<u32, Vec<u32>>,
    names: Map<String, u32>,
}

impl World {
    pub(crate) fn new(config: LabConfig) -> Self {
        Self {
            space: Space::new(config.seed, config.latency),
            config,
            http: None,
            faults: Faults::default(),
            faulty: false,
            slow: Map::new(),
            parts: None,
            cuts: Set::new(),
            sites: Map::new(),
            members: Map::new(),
            names: Map::new(),
        }
    }

    pub(crate) fn set_faults(&mut self, faults: Faults) {
        self.faulty = faults != Faults::default();
        self.faults = faults;
    }

    pub(crate) fn set_slow(&mut self, node: u32, by: Span) {
        if by.is_zero() {
            self.slow.remove(&node);
        } else {
            self.slow.insert(node, by);
        }
    }

    pub(crate) fn set_parts(&mut self, parts: Option<Vec<u32>>) {
        self.parts = parts;
    }

    /// Puts a node on the local network of a site.
    pub(crate) fn place(&mut self, node: u32, site: u32) {
        if let Some(before) = self.sites.insert(node, site)
            && let Some(members) = self.members.get_mut(&before)
        {
            members.retain(|&member| member != node);
        }
        self.members.entry(site).or_default().push(node);
    }

    /// Everybody on the local network of a node, itself included.
    pub(crate) fn neighbours(&self, node: u32) -> Vec<u32> {
        self.sites.get(&node).and_then(|site| self.members.get(site)).cloned().unwrap_or_else(|| vec![node])
    }

    pub(crate) fn name(&mut self, host: String, node: u32) {
        self.names.insert(host, node);
    }

    /// The addresses of a name.
    pub(crate) fn resolve<A: Address>(&self, name: &Name) -> Option<IpAddr> {
        if let Ok(ip) = name.host.parse() {
            return Some(ip);
        }
        let node = *self.names.get(&name.host)?;
        A::of_lab_node(node).endpoint().and_then(|endpoint| endpoint.ip()).or_else(|| Endpoint::of_lab_node(node).ip())
    }

    /// Whose address this is, and which of its doors is meant.
    pub(crate) fn find<A: Address>(&self, address: &A) -> Option<(u32, Entry)> {
        if let Some(node) = address.lab_node() {
            let port = address.endpoint().and_then(|endpoint| endpoint.socket()).map(|socket| socket.port());
            return Some((node, port.map_or(Entry::Any, Entry::Port)));
        }
        match address.endpoint()? {
            Endpoint::Name(name) => {
                let ip = self.resolve::<A>(&name)?;
                let node = Endpoint::Ip((ip, name.port).into()).lab_node()?;
                Some((node, Entry::Port(name.port)))
            }
            Endpoint::Ip(_) | Endpoint::Key(..) => None,
        }
    }

    pub(crate) fn set_cut(&mut self, from: u32, to: u32, cut: bool) {
        if cut {
            self.cuts.insert((from, to));
        } else {
            self.cuts.remove(&(from, to));
        }
    }

    /// Whether nothing that one node says reaches another; counts why.
    pub(crate) fn blocks(&self, from: u32, to: u32, fired: &mut Fired) -> bool {
        let parted = self.parts.as_ref().is_some_and(|parts| parts.get(from as usize) != parts.get(to as usize));
        let cut = !self.cuts.is_empty() && self.cuts.contains(&(from, to));
        fired.parted += u64::from(parted);
        fired.cut += u64::from(cut && !parted);
        parted || cut
    }

    fn distance(&self, from: u32, to: u32) -> Span {
        match (self.sites.get(&from), self.sites.get(&to)) {
            (Some(here), Some(there)) if here == there => self.space.floor(),
            _ => self.space.delay(from, to),
        }
    }

    /// How long something on a connection travels.
    pub(crate) fn travel(&self, from: u32, to: u32, sequence: u64, fired: &mut Fired) -> Span {
        let mut delay = self.distance(from, to) + self.slowness(from, to, fired);
        if self.faulty {
            let mut dice = dice(self.config.seed, Purpose::Network, from, sequence);
            if dice.chance(self.faults.loss_ppm.into(), 1_000_000) {
                fired.resent += 1;
                delay += self.faults.resend_after;
            }
            delay += self.detour(&mut dice, fired);
        }
        delay
    }

    /// How long a datagram travels, and its twin if there is one; `None` when it is lost.
    pub(crate) fn travel_datagram(&self, from: u32, to: u32, sequence: u64, fired: &mut Fired) -> Option<(Span, Option<Span>)> {
        if self.blocks(from, to, fired) {
            return None;
        }
        let delay = self.distance(from, to) + self.slowness(from, to, fired);
        if !self.faulty {
            return Some((delay, None));
        }
        let mut dice = dice(self.config.seed, Purpose::Network, from, sequence);
        if dice.chance(self.faults.loss_ppm.into(), 1_000_000) {
            fired.lost += 1;
            return None;
        }
        let first = delay + self.detour(&mut dice, fired);
        let twin = dice.chance(self.faults.duplicate_ppm.into(), 1_000_000).then(|| {
            fired.duplicated += 1;
            delay + self.detour(&mut dice, fired)
        });
        Some((first, twin))
    }

    fn detour(&self, dice: &mut hexad_core::Dice, fired: &mut Fired) -> Span {
        if !dice.chance(self.faults.delay_ppm.into(), 1_000_000) {
            return Span::ZERO;
        }
        fired.delayed += 1;
        let max = u64::try_from(self.faults.delay_max.as_micros()).unwrap_or(u64::MAX);
        Span::from_micros(dice.below(max.saturating_add(1)))
    }

    fn slowness(&self, from: u32, to: u32, fired: &mut Fired) -> Span {
        if self.slow.is_empty() {
            return Span::ZERO;
        }
        let by = |node: u32| self.slow.get(&node).copied().unwrap_or_default();
        let both = by(from) + by(to);
        fired.slowed += u64::from(!both.is_zero());
        both
    }

    /// Why an ask fails this time, if it does.
    pub(crate) fn ask_fails(&self, node: u32, sequence: u64, fired: &mut Fired) -> Option<AskFailure> {
        let fails = self.faulty && dice(self.config.seed, Purpose::Network, node, sequence).chance(self.faults.ask_ppm.into(), 1_000_000);
        fails.then(|| {
            fired.asks_failed += 1;
            AskFailure::Other("a fault of the lab".into())
        })
    }
}
