//! Freenet in the common world: nodes that announce themselves, blocks that are inserted, and training by requests.

use std::net::SocketAddr;

use bytes::Bytes;
use hexad_core::{Message as _, Operation, Output, Payload, Progress, Span, Token};
use hexad_freenet::keys::{Block, NodeKey};
use hexad_freenet::{Freenet, Reply, Request, Settings};

use super::settled::{Answer, FILE_BYTES, Settled, State};
use super::society::Society;
use crate::{Lab, NodeIndex, Purpose, Watched, dice};

/// A public key, an address, a port; and where it stands on the circle.
const CONTACT_BYTES: usize = 46;
/// A block as it lies on the disk, its headers included.
const BLOCK_BYTES: usize = 33 << 10;
/// Hops-to-live of everything.
const HTL: u16 = 18;

impl Settled for Freenet<u32> {
    const HOW: &'static str = "The shipping node: everybody announces himself by four who came before. A file is one block and is inserted once, by the \
        first of its owners; before anything is measured, everybody has asked for some files (`training`). Stores are in memory: who restarts has \
        lost his.";
    const ASKED: &'static str = "by key";
    const SEARCHING: &'static [&'static str] =
        &["request", "accepted", "rejected", "found", "not_found", "route_not_found", "recently_failed", "offer"];
    const CONSULTING: &'static [&'static str] = &["accepted"];
    const PATIENCE: Span = Span::from_secs(70);
    const ALL_PUBLISH: bool = false;

    fn populate(society: &Society, lab: &mut Lab<Self>) {
        let settings = Settings {
            listen: Some(SocketAddr::from(([0, 0, 0, 0], 6881))),
            on_disk: false,
            store_blocks: 64,
            cache_blocks: 64,
            ..Settings::default()
        };
        lab.add_nodes(society.users + society.newcomers, settings.into());
        for node in 0..society.users + society.newcomers {
            Self::begin(lab, NodeIndex(node));
        }
    }

    fn begin(lab: &mut Lab<Self>, node: NodeIndex) {
        // The first of all has nobody who could tell him where he is.
        lab.touch(node, |node_of, _, _| node_of.is_at(node.0));
    }

    fn publish(society: &Society, file: u32) -> Option<Operation<Request>> {
        let key = key_of(society, file);
        let data = Payload::Token(Token { content: key.number(), range: 0..FILE_BYTES, honest: true });
        Some(Operation::Own(Request::PutBlock(Box::new(Block { key, header: Bytes::new(), data }), HTL)))
    }

    fn search(society: &Society, file: u32) -> Operation<Request> {
        Operation::Own(Request::GetBlock(key_of(society, file), HTL))
    }

    fn answer(progress: &Progress<Reply>) -> Option<Answer<'_>> {
        matches!(progress, Progress::Own(Reply::Block(_))).then_some(Answer::Thing)
    }

    fn handles(watched: &Watched<'_, Self>) -> bool {
        // Whoever takes a request on says so; the others have not looked for the block.
        matches!(watched, Watched::Said(Output::Send(_, message)) if Self::CONSULTING.contains(&message.kind()))
    }

    fn state(lab: &Lab<Self>, node: NodeIndex) -> State {
        let Some(node) = lab.node(node) else { return State::default() };
        let contacts = node.links().open().count() + node.table().len();
        let blocks = node.store().len();
        State { routing: contacts as u64, kept: blocks as u64, bytes: (contacts * CONTACT_BYTES + blocks * BLOCK_BYTES) as u64 }
    }
}

fn key_of(society: &Society, file: u32) -> NodeKey {
    NodeKey::Chk(dice(society.seed, Purpose::Workload, 0x5200_0000, file.into()).bytes())
}
