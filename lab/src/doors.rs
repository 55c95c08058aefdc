//! Where a machine listens.

use std::net::SocketAddr;

use hexad_core::{Bind, Door};

use crate::event::Entry;

/// What a machine that asks for no port in particular gets, and the ones above it.
const FIRST_PORT: u16 = 6881;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Stream,
    Datagram,
    Multicast,
    Both,
}

#[derive(Clone, Copy, Debug)]
struct Doorway {
    door: Door,
    kind: Kind,
    port: u16,
}

/// Doors that a machine has without a pointer to more.
const FEW: usize = 3;

/// All open doors of a machine. Most machines have few, and a large world has many machines.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    few: [Option<Doorway>; FEW],
    #[expect(clippy::box_collection, reason = "a third of the size of what hardly any machine has")]
    more: Option<Box<Vec<Doorway>>>,
}

impl Doors {
    /// Reads them.
    pub(crate) fn warm(&self) -> usize {
        self.few[0].map_or(0, |doorway| doorway.port.into())
    }

    /// Opens a door; returns where it is.
    pub(crate) fn open(&mut self, door: Door, bind: &Bind) -> Result<SocketAddr, String> {
        let (kind, wanted) = match *bind {
            Bind::Stream(at) => (Kind::Stream, at),
            Bind::Datagram(at) => (Kind::Datagram, at),
            Bind::Multicast(at) => (Kind::Multicast, at),
            Bind::Quic(at) => (Kind::Both, at),
        };
        let taken = |port: u16| self.iter().any(|other| other.door != door && other.port == port && other.kind == kind);
        let port = match wanted.port() {
            0 => (FIRST_PORT..).find(|&port| !taken(port)).unwrap_or(FIRST_PORT),
            port if kind != Kind::Multicast && taken(port) => return Err(format!("port {port} is in use")),
            port => port,
        };
        self.close(door);
        let doorway = Doorway { door, kind, port };
        match self.few.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(doorway),
            None => self.more.get_or_insert_default().push(doorway),
        }
        Ok(SocketAddr::new(wanted.ip(), port))
    }

    pub(crate) fn close(&mut self, door: Door) {
        for place in &mut self.few {
            *place = place.filter(|open| open.door != door);
        }
        if let Some(more) = &mut self.more {
            more.retain(|open| open.door != door);
        }
    }

    pub(crate) fn close_all(&mut self) {
        *self = Self::default();
    }

    /// The port of a door.
    pub(crate) fn port(&self, door: Door) -> Option<u16> {
        self.iter().find(|open| open.door == door).map(|open| open.port)
    }

    /// The door at which a connection comes in.
    pub(crate) fn for_connection(&self, entry: Entry) -> Option<Door> {
        self.find(entry, |kind| matches!(kind, Kind::Stream | Kind::Both))
    }

    /// The door at which a datagram comes in.
    pub(crate) fn for_datagram(&self, entry: Entry) -> Option<Door> {
        let group = matches!(entry, Entry::Group(_));
        self.find(entry, |kind| if group { kind == Kind::Multicast } else { matches!(kind, Kind::Datagram | Kind::Both) })
    }

    fn iter(&self) -> impl Iterator<Item = &Doorway> {
        self.few.iter().flatten().chain(self.more.iter().flat_map(|more| more.iter()))
    }

    fn find(&self, entry: Entry, fits: impl Fn(Kind) -> bool) -> Option<Door> {
        let here = |open: &&Doorway| match entry {
            Entry::Port(port) => open.port == port,
            Entry::Same(door) | Entry::Group(door) => open.door == door,
            Entry::Any => true,
        };
        self.iter().filter(here).find(|open| fits(open.kind)).map(|open| open.door)
    }
}
