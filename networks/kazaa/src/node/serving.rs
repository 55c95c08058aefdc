//! Giving our shares to those who fetch them: described, then range by range, as fast as the connection takes them.

use std::collections::VecDeque;

use hexad_content::{Digest, Proof};
use hexad_core::{ConnId, Context, Level, Output, Payload, Share, ShareId};

use super::lines::Kind;
use super::{Node, Out};
use crate::place::Place;
use crate::wire::{Block, Body, MESSAGE_BYTES_MAX, Message, NAME_BYTES_MAX, Reason, Tree};

/// Requests of one peer that wait.
const WAITING_MAX: usize = 256;
/// Bytes of one request.
const REQUEST_BYTES_MAX: u32 = 1 << 20;
/// Bytes of a description.
const DESCRIPTION_BYTES_MAX: usize = MESSAGE_BYTES_MAX - 1024;

/// One who fetches from us.
#[derive(Debug)]
pub(super) struct Upload {
    share: ShareId,
    waiting: VecDeque<(u64, u32)>,
}

/// What proves a share, for one who knows a digest of it.
fn describe<A: Place>(share: &Share) -> Option<Message<A>> {
    let Some(Proof::Tree(tree)) = &share.proof else {
        return share.info().filter(|info| info.len() <= DESCRIPTION_BYTES_MAX).map(Message::Description);
    };
    if tree.hashes().len() * 32 > DESCRIPTION_BYTES_MAX {
        return None;
    }
    let name = share.layout.name();
    let name = name[..name.floor_char_boundary(NAME_BYTES_MAX)].to_owned();
    let hashes = tree.hashes().to_vec();
    Some(Message::Tree(Box::new(Tree { content: tree.content(), part_bytes: tree.part_bytes(), name, hashes })))
}

impl<A: Place> Node<A> {
    /// Somebody has come to fetch.
    pub(super) fn become_client(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out<A>) {
        // Some come and ask for nothing we have: they do not count among those who fetch.
        if self.lines.count(|kind| matches!(kind, Kind::Client)) >= 2 * self.config.0.uploads_max {
            out.note(Level::Drop, "too_many_clients", self.lines.get(conn).map(|line| line.peer.clone()), "");
            return self.refuse(conn, Reason::TooMany, cx, out);
        }
        self.lines.turn(conn, Kind::Client);
    }

    /// What somebody wants who fetches from us.
    pub(super) fn on_client(&mut self, conn: ConnId, message: Message<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        match message {
            Message::Describe(digest) => self.on_describe(conn, &digest, cx, out),
            Message::Request(offset, bytes) => self.on_request(conn, offset, bytes, cx, out),
            other => {
                let Some(peer) = self.lines.get(conn).map(|line| line.peer.clone()) else { return };
                self.unexpected(&peer, &other, out);
            }
        }
    }

    fn on_describe(&mut self, conn: ConnId, digest: &Digest, cx: &mut Context<'_>, out: &mut Out<A>) {
        let max = self.config.0.uploads_max;
        let share = self.ours.share_of(digest);
        let description = share.and_then(|share| cx.shares.share(share)).and_then(|share| describe(share));
        let answer = match (share, description) {
            (Some(_), _) if self.uploads.len() >= max && !self.uploads.contains_key(&conn) => Message::Refused(Reason::Full, Vec::new()),
            (Some(share), Some(description)) => {
                self.uploads.insert(conn, Upload { share, waiting: VecDeque::new() });
                description
            }
            _ => Message::Refused(Reason::Unknown, Vec::new()),
        };
        out.send_to(conn, answer);
    }

    fn on_request(&mut self, conn: ConnId, offset: u64, bytes: u32, cx: &mut Context<'_>, out: &mut Out<A>) {
        let fits = |upload: &&mut Upload| upload.waiting.len() < WAITING_MAX && bytes <= REQUEST_BYTES_MAX;
        let Some(upload) = self.uploads.get_mut(&conn).filter(fits) else {
            out.note(Level::Drop, "request_refused", None, "more than anybody may ask for, or of nothing in particular");
            return self.drop_line(conn, "asks too much", cx, out);
        };
        upload.waiting.push_back((offset, bytes));
        self.serve_more(conn, cx, out);
    }

    /// Gives what was asked for, while there is room.
    pub(super) fn serve_more(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(upload) = self.uploads.get_mut(&conn) else { return };
        let mut room = cx.room(conn);
        while let Some(&(offset, bytes)) = upload.waiting.front() {
            // Up to over the mark: only then does the host say when there is room again.
            if room == 0 {
                return;
            }
            upload.waiting.pop_front();
            let range = offset..offset.saturating_add(bytes.into());
            let held = cx.shares.share(upload.share).is_some_and(|share| {
                let mut held = share.held.clone();
                self.ours.held_since(upload.share).for_each(|since| held.insert_all(since));
                held.covers(range.clone())
            });
            if held {
                room = room.saturating_sub(bytes.into());
                let block = Message::Block(Box::new(Block { offset, body: Body(Payload::EMPTY) }));
                out.push(Output::SendShare(conn, block, upload.share, range));
            } else {
                out.send_to(conn, Message::Gone(offset, bytes));
            }
        }
    }
}
