//! Lets others in through the router at home: PCP (RFC 6887), NAT-PMP (RFC 6886), UPnP IGD.
//!
//! [`Mapper`] decides what is asked of whom and when; it knows no socket and no clock. [`run`] does it for real. Nothing of this happens unless the
//! user wants it.

mod igd;
mod mapper;
mod pmp;
mod run;

use std::net::{IpAddr, SocketAddr};

pub use igd::{Call, Exchange};
pub use mapper::{Deed, Mapper};
pub use run::{Running, address_towards, default_gateway, run};

/// Of which kind a port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// For connections.
    Tcp,
    /// For datagrams.
    Udp,
}

/// A port of ours that others are to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// Of which kind.
    pub kind: Kind,
    /// Its number here, and outside if nobody else has that.
    pub port: u16,
}

/// Where a router is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// By PCP and NAT-PMP; `None` where no gateway is known.
    pub pmp: Option<SocketAddr>,
    /// Where searches by UPnP go.
    pub ssdp: SocketAddr,
}

impl Gateway {
    /// That of this machine.
    #[must_use]
    pub fn usual(gateway: Option<IpAddr>) -> Self {
        Self { pmp: gateway.map(|ip| SocketAddr::new(ip, pmp::PORT)), ssdp: SocketAddr::from(([239, 255, 255, 250], 1900)) }
    }
}

/// By which protocol a router has been asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// PCP.
    Pcp,
    /// NAT-PMP.
    NatPmp,
    /// UPnP.
    Upnp,
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pcp => "PCP",
            Self::NatPmp => "NAT-PMP",
            Self::Upnp => "UPnP",
        })
    }
}

/// A port that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// Which of ours.
    pub want: Want,
    /// Its number outside.
    pub external_port: u16,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Others reach us.
    Open {
        /// How it was done.
        way: Way,
        /// Our address outside, where the router says it.
        external_ip: Option<IpAddr>,
        /// What is open.
        mapped: Vec<Mapped>,
    },
    /// No router lets others in. It is tried again later.
    Closed,
}
