//! Giving our shares to those who fetch them (C6): described, then range by range, as fast as the connection takes them.

use std::collections::VecDeque;

use hexad_content::{Digest, Proof};
use hexad_core::{ConnId, Context, Level, Output, Payload, Share, ShareId};

use super::publishing::digests_of;
use super::{Node, Out};
use crate::place::Place;
use crate::wire::{Block, Body, Body64, Message, NAME_BYTES_MAX, Reason, Tree};
use hexad_content::info;

/// Requests of one peer that wait.
const WAITING_MAX: usize = 256;
/// Bytes of one request.
const REQUEST_BYTES_MAX: u32 = 1 << 20;

/// One who fetches from us.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upload {
    share: ShareId,
    waiting: VecDeque<(u64, u32)>,
}

/// What proves a share, for one who knows a digest of it.
fn describe<A: Place>(share: &Share) -> Option<Body<A>> {
    let Some(Proof::Tree(tree)) = &share.proof else { return share.info().map(Body::Description) };
    if tree.hashes().len() * 32 > info::INFO_BYTES_MAX {
        return None;
    }
    let name = share.layout.name();
    let name = name[..name.floor_char_boundary(NAME_BYTES_MAX)].to_owned();
    let hashes = tree.hashes().to_vec();
    Some(Body::Tree(Box::new(Tree { content: tree.content(), part_bytes: tree.part_bytes(), name, hashes })))
}

impl<A: Place> Node<A> {
    /// What belongs to a transfer is dealt with here; everything else is given back.
    pub(super) fn on_bulk(&mut self, conn: ConnId, message: Message<A>, cx: &mut Context<'_>, out: &mut Out<A>) -> Option<Message<A>> {
        self.busy().roads.used(conn, cx.now);
        match message.body {
            Body::Describe(digest) => self.on_describe(conn, &digest, cx, out),
            Body::Request(offset, bytes) => self.on_request(conn, offset, bytes, cx, out),
            Body::Description(_) | Body::Tree(_) => self.on_description(conn, &message.body, cx, out),
            Body::Block(block) => self.on_block(conn, block.offset, block.body.0, cx, out),
            Body::Gone(offset, bytes) => self.on_source_gone(conn, offset, bytes, cx, out),
            Body::Refused(reason) if self.is_source(conn) => self.on_source_refuses(conn, reason, cx, out),
            _ => return Some(message),
        }
        None
    }

    fn on_describe(&mut self, conn: ConnId, digest: &Digest, cx: &mut Context<'_>, out: &mut Out<A>) {
        let published = |share: &ShareId| {
            let named = |share: &Share| digests_of(share).is_some_and(|digests| digests.contains(digest));
            cx.shares.share(*share).is_some_and(|share| named(share))
        };
        let max = self.config.0.uploads_max;
        let busy = self.busy();
        let share = busy.publishings.values().map(|publishing| publishing.share).find(published);
        let description = share.and_then(|share| cx.shares.share(share)).and_then(|share| describe(share));
        let body = match (share, description) {
            (Some(_), _) if busy.uploads.len() >= max && !busy.uploads.contains_key(&conn) => Body::Refused(Reason::Full),
            (Some(share), Some(description)) => {
                busy.uploads.insert(conn, Upload { share, waiting: VecDeque::new() });
                description
            }
            _ => Body::Refused(Reason::Unknown),
        };
        out.send_to(conn, Message { from: 0, to: 0, query: 0, body });
    }

    fn on_request(&mut self, conn: ConnId, offset: u64, bytes: u32, cx: &mut Context<'_>, out: &mut Out<A>) {
        let busy = self.busy();
        let Some(upload) = busy.uploads.get_mut(&conn).filter(|upload| upload.waiting.len() < WAITING_MAX && bytes <= REQUEST_BYTES_MAX)
        else {
            busy.uploads.remove(&conn);
            busy.roads.closed(conn);
            out.note(Level::Drop, "request_refused", None, "more than anybody may ask for, or of nothing in particular");
            return Self::close(conn, "asks too much", out);
        };
        upload.waiting.push_back((offset, bytes));
        self.serve_more(conn, cx, out);
    }

    /// Gives what was asked for, while there is room.
    pub(super) fn serve_more(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(busy) = self.busy.as_mut().and_then(|busy| busy.seldom()) else { return };
        let Some(upload) = busy.uploads.get_mut(&conn) else { return };
        let mut room = cx.room(conn);
        while let Some(&(offset, bytes)) = upload.waiting.front() {
            // Up to over the mark: only then does the host say when there is room again.
            if room == 0 {
                return;
            }
            upload.waiting.pop_front();
            let range = offset..offset.saturating_add(bytes.into());
            let later = busy.publishings.values().filter(|publishing| publishing.share == upload.share);
            let held = cx.shares.share(upload.share).is_some_and(|share| {
                let mut held = share.held.clone();
                later.clone().for_each(|publishing| held.insert_all(&publishing.held));
                held.covers(range.clone())
            });
            let (from, to, query) = (0, 0, 0);
            if held {
                room = room.saturating_sub(bytes.into());
                let body = Body::Block(Box::new(Block { offset, body: Body64(Payload::EMPTY) }));
                out.push(Output::SendShare(conn, Message { from, to, query, body }, upload.share, range));
            } else {
                out.send_to(conn, Message { from, to, query, body: Body::Gone(offset, bytes) });
            }
        }
    }
}
