//! Nodes that are known by name only, where names are looked up by whoever carries our datagrams (a proxy): they are asked once by name, and known by
//! the address from which they answer.

use std::net::SocketAddr;

use bytes::Bytes;
use hexad_core::{BoundedQueue, Dice, Endpoint, Name, Outbox};

use super::{Dht, send};
use crate::node::Node;
use crate::wire::{KrpcBody, KrpcQuery};

/// Questions by name that may be out at a time; the oldest leaves.
const NAMED_MAX: usize = 64;

/// Questions that were put by name. Their ids are longer than those of others, and random: an answer counts by them alone.
#[derive(Debug)]
pub(super) struct Named {
    out: BoundedQueue<[u8; 8]>,
}

impl Named {
    pub(super) fn new() -> Self {
        Self { out: BoundedQueue::new(NAMED_MAX) }
    }

    /// Takes the question that is answered by that; false when it was none.
    pub(super) fn close(&mut self, transaction: &[u8]) -> bool {
        let before = self.out.len();
        self.out.retain(|id| id != transaction);
        self.out.len() < before
    }
}

impl Dht {
    /// Pings whoever has that name.
    pub(super) fn ping_by_name(&mut self, name: Name, dice: &mut Dice, out: &mut Outbox<Node>) {
        let Some(side) = self.sides.iter().flatten().next() else { return };
        let id = side.table.own().0;
        let transaction: [u8; 8] = dice.bytes();
        self.named.out.push_out(transaction);
        let body = KrpcBody::Query { id, query: KrpcQuery::Ping, read_only: self.config.read_only };
        send(Endpoint::Name(name), Bytes::copy_from_slice(&transaction), body, None, out);
    }

    /// Somebody whom we have asked by name answers: that is where it is.
    pub(super) fn named_answered(&mut self, from: SocketAddr, now: hexad_core::Time) {
        self.bootstrap.resolved(from.port(), &[from.ip()]);
        self.bootstrap.plan(now);
    }
}
