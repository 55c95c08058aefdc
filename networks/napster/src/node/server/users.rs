//! Who is connected, and who is logged in.

use std::net::IpAddr;
use std::ops::Bound;

use hexad_catalogue::OwnerId;
use hexad_core::{ConnId, Map, Set, Time};

use super::accounts::{Account, Level, key_of};
use super::limits::Bucket;
use crate::wire::{Ip, Text, ToServer};

/// Somebody who is logged in.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) nick: Text,
    pub(crate) level: Level,
    pub(crate) account: Option<Account>,
    pub(crate) port: u16,
    pub(crate) speed: u32,
    pub(crate) client: Text,
    pub(crate) since: Time,
    /// Made when the first file comes.
    pub(crate) owner: Option<OwnerId>,
    pub(crate) downloads: u32,
    pub(crate) uploads: u32,
    pub(crate) downloading: u32,
    pub(crate) uploading: u32,
    pub(crate) muzzled: bool,
    /// Names in lower case.
    pub(crate) hotlist: Set<Text>,
    pub(crate) ignored: Set<Text>,
    /// Names of channels in lower case.
    pub(crate) channels: Set<Text>,
    /// A question of his is being answered elsewhere.
    pub(crate) searching: bool,
    pub(crate) searches: Bucket,
    pub(crate) talk: Bucket,
    /// Answers to shares that cannot be taken; a library that is refused is not answered file by file.
    pub(crate) share_errors: u32,
}

/// A login that waits for the store or for a hash.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) nick: Text,
    pub(crate) password: Vec<u8>,
    pub(crate) port: u16,
    pub(crate) client: Text,
    pub(crate) speed: u32,
    pub(crate) email: Text,
    pub(crate) registers: bool,
    /// What came meanwhile.
    pub(crate) early: Vec<ToServer>,
    pub(crate) early_bytes: u64,
}

/// How far somebody has come.
#[derive(Debug)]
pub(crate) enum Stage {
    Fresh,
    LoggingIn(Box<Login>),
    In(Box<User>),
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Visitor {
    pub(crate) address: IpAddr,
    /// Password checks before the login.
    pub(crate) checks: u32,
    pub(crate) stage: Stage,
}

impl Visitor {
    /// The address as the wire writes it.
    pub(crate) fn ip(&self) -> Ip {
        match self.address {
            IpAddr::V4(ip) => Ip(ip),
            IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or(Ip::NONE, Ip),
        }
    }
}

/// All connections, and the names of those who are logged in.
#[derive(Debug, Default)]
pub(crate) struct Visitors {
    all: Map<ConnId, Visitor>,
    by_nick: Map<Text, ConnId>,
    by_address: Map<IpAddr, u32>,
}

impl Visitors {
    pub(crate) fn add(&mut self, conn: ConnId, address: IpAddr) {
        self.all.insert(conn, Visitor { address, checks: 0, stage: Stage::Fresh });
        *self.by_address.entry(address).or_insert(0) += 1;
    }

    pub(crate) fn remove(&mut self, conn: ConnId) -> Option<Visitor> {
        let visitor = self.all.remove(&conn)?;
        if let Some(count) = self.by_address.get_mut(&visitor.address) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&visitor.address);
            }
        }
        if let Stage::In(user) = &visitor.stage {
            let key = key_of(user.nick.bytes());
            if self.by_nick.get(&key) == Some(&conn) {
                self.by_nick.remove(&key);
            }
        }
        Some(visitor)
    }

    pub(crate) fn log_in(&mut self, conn: ConnId, user: User) {
        if let Some(visitor) = self.all.get_mut(&conn) {
            self.by_nick.insert(key_of(user.nick.bytes()), conn);
            visitor.stage = Stage::In(Box::new(user));
        }
    }

    /// How many connections there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// How many of them are logged in.
    pub(crate) fn users(&self) -> usize {
        self.by_nick.len()
    }

    pub(crate) fn count_from(&self, address: IpAddr) -> u32 {
        self.by_address.get(&address).copied().unwrap_or(0)
    }

    pub(crate) fn visitor(&self, conn: ConnId) -> Option<&Visitor> {
        self.all.get(&conn)
    }

    pub(crate) fn visitor_mut(&mut self, conn: ConnId) -> Option<&mut Visitor> {
        self.all.get_mut(&conn)
    }

    pub(crate) fn user(&self, conn: ConnId) -> Option<&User> {
        match &self.all.get(&conn)?.stage {
            Stage::In(user) => Some(user),
            _ => None,
        }
    }

    pub(crate) fn user_mut(&mut self, conn: ConnId) -> Option<&mut User> {
        match &mut self.all.get_mut(&conn)?.stage {
            Stage::In(user) => Some(user),
            _ => None,
        }
    }

    /// Who is logged in under that name.
    pub(crate) fn find(&self, nick: &[u8]) -> Option<ConnId> {
        self.by_nick.get(&key_of(nick)).copied()
    }

    /// Address and user of a connection that is logged in.
    pub(crate) fn known(&self, conn: ConnId) -> Option<(Ip, &User)> {
        let visitor = self.all.get(&conn)?;
        match &visitor.stage {
            Stage::In(user) => Some((visitor.ip(), user)),
            _ => None,
        }
    }

    pub(crate) fn conns(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.all.keys().copied()
    }

    /// The connections behind one, or all, in their order.
    pub(crate) fn conns_after(&self, conn: Option<ConnId>) -> impl Iterator<Item = ConnId> + '_ {
        self.all.range((conn.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)).map(|(&conn, _)| conn)
    }

    pub(crate) fn logged_in(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.by_nick.values().copied()
    }
}
