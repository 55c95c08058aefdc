//! Hits by datagram: offered, claimed, sent (LIME/12, LIME/11, query hits). Spec §13.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hexad_core::{Context, Endpoint, Level, Link, Span};

use super::answering::{Pending, indication};
use super::hosts::is_usable;
use super::{Node, Out};
use crate::doors;
use crate::wire::{Body, Guid, Packet, QueryHit, Vendor};

/// Queries whose hits wait.
const PENDING_MAX: usize = 256;
/// They wait so long.
const CLAIM_WITHIN: Span = Span::from_secs(80);

impl Node {
    /// Offers hits to whoever searches, at the address in the query's id. False where that is not possible; they go in band then.
    pub(crate) fn indicate(&mut self, muid: Guid, hits: &[Arc<QueryHit>], cx: &mut Context<'_>, out: &mut Out) -> bool {
        let to = muid.address();
        let teller = self.own().map(|own| std::net::IpAddr::V4(*own.ip()));
        if self.bound.is_none() || !self.config.datagrams || !is_usable(to, teller) {
            return false;
        }
        self.forget_unclaimed(cx.now, out);
        let at = Endpoint::Ip(SocketAddr::V4(to));
        if self.pending.len() >= PENDING_MAX || !self.may_answer(&at, cx, out) {
            return false;
        }
        self.pending.insert(muid, Pending { to, hits: hits.to_vec(), until: cx.now + CLAIM_WITHIN });
        out.send(Link::Datagram(doors::DATAGRAM, at), indication(muid, hits).into());
        true
    }

    /// Somebody has hits for a search of ours.
    pub(crate) fn on_indication(&mut self, from: &Endpoint, muid: Guid, data: &[u8], cx: &mut Context<'_>, out: &mut Out) {
        let Some(&count) = data.first().filter(|count| **count > 0) else { return };
        let Some(wanted) = self.wanted_of(&muid).or_else(|| self.left_of(&muid, count)) else {
            return out.note(Level::Drop, "hits_for_nobody", Some(from.clone()), "");
        };
        let claim = count.min(u8::try_from(wanted).unwrap_or(u8::MAX));
        if claim > 0 && self.may_answer(from, cx, out) {
            let vendor = Vendor::new(*b"LIME", 11, 2, Bytes::copy_from_slice(&[claim]));
            out.send(Link::Datagram(doors::DATAGRAM, from.clone()), Packet::new(muid, 1, Body::Vendor(Box::new(vendor))).into());
        }
    }

    /// Somebody wants the hits that we have offered.
    pub(crate) fn on_claim(&mut self, from: &Endpoint, muid: Guid, data: &[u8], _: &mut Context<'_>, out: &mut Out) {
        let Some(&claimed) = data.first() else { return };
        let same = |pending: &Pending| super::hosts::v4_of(from) == Some(pending.to);
        if !self.pending.get(&muid).is_some_and(same) {
            return out.note(Level::Drop, "claim_of_nothing", Some(from.clone()), "");
        }
        let Some(pending) = self.pending.remove(&muid) else { return };
        let mut left = usize::from(claimed);
        for hit in pending.hits {
            if left == 0 {
                break;
            }
            left = left.saturating_sub(hit.records.len());
            out.send(Link::Datagram(doors::DATAGRAM, from.clone()), Packet::new(muid, 1, Body::Hit(hit)).into());
        }
    }
}
