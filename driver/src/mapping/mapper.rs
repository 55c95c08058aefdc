//! How a router is asked to let others in: PCP first, NAT-PMP where the gateway speaks that, UPnP where it speaks neither. Knows no socket and no clock.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use hexad_core::{Span, Time};

use super::igd::{self, Control, Exchange};
use super::pmp::{self, Told};
use super::{Gateway, Mapped, Outcome, Want, Way};

/// For how long a port is asked for; libtorrent and Transmission ask for as long.
const LIFETIME_S: u32 = 3600;
/// The first wait for an answer; each is twice as long as the one before (RFC 6886, section 3.1).
const FIRST_WAIT: Span = Span::from_millis(250);
/// Questions to a gateway that does not answer, before the next way is tried: 8 s in all. The RFC's nine take two minutes.
const TRIES_MAX: u32 = 5;
/// Searches by UPnP, and how long answers to each are waited for.
const SEARCHES_MAX: u32 = 3;
const SEARCH_WAIT: Span = Span::from_secs(2);
/// Other ports that are tried where somebody else has ours.
const OTHER_PORTS_MAX: u16 = 8;
/// After a failure everything is tried again.
const AGAIN_AFTER: Span = Span::from_secs(20 * 60);
/// A router that grants less is asked this often at most.
const RENEW_MIN: Span = Span::from_secs(60);

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Send a datagram.
    Send(SocketAddr, Vec<u8>),
    /// Do one HTTP exchange → [`Mapper::answered`].
    Exchange(Exchange),
    /// Tell the user.
    Tell(Outcome),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be asked for, or asked for so often.
    Asking(u32),
    Mapped,
    Refused,
}

#[derive(Clone, Debug)]
struct Entry {
    want: Want,
    /// Which port outside is asked for, or was given.
    external: u16,
    state: State,
    /// A router that grants nothing but permanent leases (UPnP error 725).
    permanent: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// Datagrams to the gateway.
    Asking(Way),
    /// Searches by UPnP that were sent.
    Searching(u32),
    /// The description is read from there.
    Describing(SocketAddr),
    /// SOAP calls, one after the other.
    Calling(Control, Calling),
    Settled,
    Stopped,
}

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Calling {
    Entry(usize),
    /// Our address outside.
    Address,
}

/// One gateway's mappings.
#[derive(Debug)]
pub struct Mapper {
    gateway: Gateway,
    own: IpAddr,
    nonce: [u8; 12],
    stage: Stage,
    entries: Vec<Entry>,
    external_ip: Option<IpAddr>,
    /// By which way it has worked.
    way: Option<Way>,
    control: Option<Control>,
    wake: Option<Time>,
    deeds: VecDeque<Deed>,
}

impl Mapper {
    /// Asks `gateway` for these ports of ours.
    #[must_use]
    pub fn new(gateway: Gateway, own: IpAddr, wants: &[Want], nonce: [u8; 12], now: Time) -> Self {
        let entry = |want: &Want| Entry { want: *want, external: want.port, state: State::Asking(0), permanent: false };
        let mut mapper = Self {
            gateway,
            own,
            nonce,
            stage: Stage::Asking(Way::Pcp),
            entries: wants.iter().map(entry).collect(),
            external_ip: None,
            way: None,
            control: None,
            wake: None,
            deeds: VecDeque::new(),
        };
        mapper.ask(now);
        mapper
    }

    /// The next thing to do.
    pub fn next_deed(&mut self) -> Option<Deed> {
        self.deeds.pop_front()
    }

    /// When [`Self::tick`] is to be called.
    #[must_use]
    pub fn wake(&self) -> Option<Time> {
        self.wake
    }

    /// A datagram came.
    pub fn hear(&mut self, from: SocketAddr, bytes: &[u8], now: Time) {
        match self.stage {
            Stage::Asking(way) if Some(from) == self.gateway.pmp => {
                if let Some(told) = pmp::read(bytes, &self.nonce) {
                    self.told(way, told, now);
                }
            }
            Stage::Searching(_) => {
                if let Some(description) = igd::location(from, bytes) {
                    self.stage = Stage::Describing(description.at);
                    self.wake = None;
                    self.deeds.push_back(Deed::Exchange(description));
                }
            }
            _ => {}
        }
    }

    fn told(&mut self, way: Way, told: Told, now: Time) {
        match told {
            Told::OtherVersion if way == Way::Pcp => {
                self.stage = Stage::Asking(Way::NatPmp);
                self.entries.iter_mut().for_each(|entry| entry.state = State::Asking(0));
                self.ask(now);
            }
            // Another answer to what was asked by PCP.
            Told::OtherVersion => {}
            Told::Address(ip) => self.external_ip = Some(ip.into()),
            Told::Mapped { want, external_port, external_ip, lifetime_s } => {
                self.external_ip = external_ip.or(self.external_ip);
                let Some(entry) = self.entries.iter_mut().find(|entry| entry.want == want) else { return };
                entry.external = external_port;
                entry.state = State::Mapped;
                self.way = Some(way);
                self.settle_if_done(lifetime_s, now);
            }
            Told::Refused { want, .. } => {
                let refused = self.entries.iter_mut().filter(|entry| want.is_none_or(|want| entry.want == want));
                refused.for_each(|entry| entry.state = State::Refused);
                self.settle_if_done(LIFETIME_S, now);
            }
        }
    }

    /// All entries have an answer: tells it, or goes on to the next way where nothing was given.
    fn settle_if_done(&mut self, lifetime_s: u32, now: Time) {
        if self.entries.iter().any(|entry| matches!(entry.state, State::Asking(_))) {
            return;
        }
        if !self.entries.iter().any(|entry| entry.state == State::Mapped) {
            return if matches!(self.stage, Stage::Asking(_)) { self.search(now) } else { self.fail(now) };
        }
        let Some(way) = self.way else { return };
        let given = self.entries.iter().filter(|entry| entry.state == State::Mapped);
        let mapped: Vec<Mapped> = given.map(|entry| Mapped { want: entry.want, external_port: entry.external }).collect();
        self.deeds.push_back(Deed::Tell(Outcome::Open { way, external_ip: self.external_ip, mapped }));
        self.stage = Stage::Settled;
        let renew = Span::from_secs(u64::from(lifetime_s) * 3 / 4).max(RENEW_MIN);
        self.wake = Some(now + renew);
    }

    fn fail(&mut self, now: Time) {
        self.deeds.push_back(Deed::Tell(Outcome::Closed));
        self.stage = Stage::Settled;
        self.way = None;
        self.wake = Some(now + AGAIN_AFTER);
    }

    /// The time has come.
    pub fn tick(&mut self, now: Time) {
        if self.wake.is_none_or(|wake| wake > now) {
            return;
        }
        self.wake = None;
        match self.stage {
            Stage::Asking(_) => self.ask(now),
            Stage::Searching(_) => self.search(now),
            Stage::Settled => self.renew(now),
            Stage::Describing(_) | Stage::Calling(..) | Stage::Stopped => {}
        }
    }

    /// Asks the gateway for what it has not answered yet.
    fn ask(&mut self, now: Time) {
        let (Stage::Asking(way), Some(gateway)) = (self.stage.clone(), self.gateway.pmp) else { return self.search(now) };
        let tries = self.entries.iter().filter_map(|entry| if let State::Asking(tries) = entry.state { Some(tries) } else { None }).max();
        let Some(tries) = tries else { return };
        if tries >= TRIES_MAX {
            return self.search(now);
        }
        if way == Way::NatPmp && self.external_ip.is_none() {
            self.deeds.push_back(Deed::Send(gateway, pmp::nat_pmp_address()));
        }
        for entry in &mut self.entries {
            let State::Asking(tries) = &mut entry.state else { continue };
            *tries += 1;
            let bytes = match way {
                Way::Pcp => pmp::pcp_map(self.own, &self.nonce, entry.want, entry.external, LIFETIME_S),
                _ => pmp::nat_pmp_map(entry.want, entry.external, LIFETIME_S),
            };
            self.deeds.push_back(Deed::Send(gateway, bytes));
        }
        self.wake = Some(now + FIRST_WAIT * 2_u32.pow(tries));
    }

    /// Looks for a router that speaks UPnP.
    fn search(&mut self, now: Time) {
        let sent = if let Stage::Searching(sent) = self.stage { sent } else { 0 };
        if sent >= SEARCHES_MAX {
            return self.fail(now);
        }
        self.stage = Stage::Searching(sent + 1);
        for service in 0.. {
            let Some(search) = igd::search(service) else { break };
            self.deeds.push_back(Deed::Send(self.gateway.ssdp, search));
        }
        self.wake = Some(now + SEARCH_WAIT);
    }

    /// An HTTP exchange has ended: with a status and a body, or not at all.
    pub fn answered(&mut self, answer: Option<(u16, String)>, now: Time) {
        match self.stage.clone() {
            Stage::Describing(at) => {
                let control = answer.filter(|(status, _)| *status == 200).and_then(|(_, body)| igd::control(&body, at));
                let Some(control) = control else { return self.fail(now) };
                self.control = Some(control.clone());
                self.entries.iter_mut().for_each(|entry| entry.state = State::Asking(0));
                self.stage = Stage::Calling(control, Calling::Address);
                self.call(now);
            }
            Stage::Calling(_, Calling::Address) => {
                self.external_ip = answer.and_then(|(_, body)| igd::external_ip(&body)).or(self.external_ip);
                self.way = Some(Way::Upnp);
                self.settle_if_done(LIFETIME_S, now);
            }
            Stage::Calling(_, Calling::Entry(index)) => {
                self.called(index, answer);
                self.call(now);
            }
            _ => {}
        }
    }

    /// Calls for the next port that is not open yet; after the last, for the address outside.
    fn call(&mut self, now: Time) {
        let Stage::Calling(control, _) = self.stage.clone() else { return };
        let next = self.entries.iter().position(|entry| matches!(entry.state, State::Asking(_)));
        let (exchange, calling) = match next.map(|index| (&self.entries[index], index)) {
            Some((entry, index)) => {
                let lifetime_s = if entry.permanent { 0 } else { LIFETIME_S };
                (control.add(entry.want, entry.external, self.own, lifetime_s), Calling::Entry(index))
            }
            None if self.entries.iter().all(|entry| entry.state == State::Refused) => return self.fail(now),
            None => (control.address(), Calling::Address),
        };
        self.deeds.push_back(Deed::Exchange(exchange));
        self.stage = Stage::Calling(control, calling);
    }

    fn called(&mut self, index: usize, answer: Option<(u16, String)>) {
        let Some(entry) = self.entries.get_mut(index) else { return };
        let State::Asking(tries) = entry.state else { return };
        entry.state = match answer {
            Some((200, _)) => State::Mapped,
            Some((_, body)) => match igd::error_code(&body) {
                // Only permanent leases.
                Some(725) if !entry.permanent => {
                    entry.permanent = true;
                    State::Asking(tries)
                }
                // Somebody else has that port.
                Some(718) if tries < u32::from(OTHER_PORTS_MAX) => {
                    entry.external = entry.external.checked_add(1).unwrap_or(1024);
                    State::Asking(tries + 1)
                }
                _ => State::Refused,
            },
            None => State::Refused,
        };
    }

    /// Asks again for what was given, before it runs out, and for what was not.
    fn renew(&mut self, now: Time) {
        self.entries.iter_mut().for_each(|entry| entry.state = State::Asking(0));
        match (self.way, self.control.clone()) {
            (Some(Way::Upnp), Some(control)) => {
                self.stage = Stage::Calling(control, Calling::Address);
                self.call(now);
            }
            (way, _) => {
                self.stage = Stage::Asking(way.filter(|way| *way != Way::Upnp).unwrap_or(Way::Pcp));
                self.ask(now);
            }
        }
    }

    /// Closes again what was opened. What is to be done for that is still handed out.
    pub fn stop(&mut self) {
        self.stage = Stage::Stopped;
        self.wake = None;
        self.deeds.clear();
        for entry in self.entries.iter().filter(|entry| entry.state == State::Mapped) {
            let deed = match (self.way, self.gateway.pmp, &self.control) {
                (Some(Way::Pcp), Some(gateway), _) => Deed::Send(gateway, pmp::pcp_map(self.own, &self.nonce, entry.want, 0, 0)),
                (Some(Way::NatPmp), Some(gateway), _) => Deed::Send(gateway, pmp::nat_pmp_map(entry.want, 0, 0)),
                (Some(Way::Upnp), _, Some(control)) => Deed::Exchange(control.delete(entry.want, entry.external)),
                _ => continue,
            };
            self.deeds.push_back(deed);
        }
    }
}
