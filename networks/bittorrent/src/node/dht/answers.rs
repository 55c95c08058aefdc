//! What we answer to others. BEP 5, 32, 33, 42, 44, 51.

use std::net::SocketAddr;

use bytes::Bytes;
use hexad_core::{Dice, Level, Outbox, Time};

use super::contacts::{Contact, Spot};
use super::id::{NodeId, is_local};
use super::items::target_of;
use super::table::K;
use super::{Dht, DhtNews, Node, family, is_plausible, send};
use crate::node::hearsay::may_be_dialled;
use crate::wire::{Krpc, KrpcAnswer, KrpcBody, KrpcMore, KrpcQuery, NodeContact, Want};

/// Peers in one answer: with eight nodes of each family it stays below the 1024 bytes of BEP 32.
const PEERS_V4_MAX: usize = 50;
const PEERS_V6_MAX: usize = 18;
/// The same beside two filters.
const PEERS_SCRAPED_MAX: usize = 6;
/// A stored value that is longer ...
const LONG_VALUE_BYTES: usize = 400;
/// ... stands beside so many nodes, so that the packet is not cut on its way.
const NODES_BESIDE_MAX: usize = 4;

impl Dht {
    /// Somebody asks. Whoever asks too much is not heard.
    #[expect(clippy::too_many_arguments, reason = "the parts of one packet, and the world")]
    pub(super) fn on_query(
        &mut self,
        from: SocketAddr,
        krpc: &Krpc,
        id: NodeId,
        query: &KrpcQuery,
        read_only: bool,
        now: Time,
        dice: &mut Dice,
        out: &mut Outbox<Node>,
        news: &mut Vec<DhtNews>,
    ) {
        if self.config.read_only || from.port() == 0 {
            return;
        }
        if !self.flood.admits(from, now) {
            out.note(Level::Drop, "dht_flood", Some(from.into()), "");
            return;
        }
        if !self.flood.answers(now) {
            out.note(Level::Drop, "dht_too_many_answers", Some(from.into()), "");
            return;
        }
        let Some(side) = self.sides[family(from.ip())].as_mut() else { return };
        let own = side.table.own().0;
        let unknown = !read_only && side.table.asked(id, from, now);
        let body = match self.answer_to(from, query, now, dice, news) {
            Ok(answer) => KrpcBody::Answer { id: own, answer },
            Err((code, text)) => {
                out.note(Level::Drop, "dht_refused", Some(from.into()), text);
                KrpcBody::Error { code, text: text.to_owned() }
            }
        };
        // A copy costs less than sharing two bytes.
        send(from, Bytes::copy_from_slice(&krpc.transaction), body, Some(from), out);
        // Asking proves no address, so it is pinged before it enters the table.
        if unknown {
            self.ping(from, now, dice, out);
            self.wake_for_next(now, out);
        }
    }

    /// # Errors
    /// Code and text of the error that is answered.
    fn answer_to(
        &mut self,
        from: SocketAddr,
        query: &KrpcQuery,
        now: Time,
        dice: &mut Dice,
        news: &mut Vec<DhtNews>,
    ) -> Result<KrpcAnswer, (i64, &'static str)> {
        match query {
            KrpcQuery::Ping => Ok(KrpcAnswer::default()),
            KrpcQuery::FindNode { target, want } => Ok(self.nodes_near(from, *target, *want)),
            KrpcQuery::GetPeers { info_hash, want, no_seeds, scrape } => {
                let token = self.tokens.give(from.ip(), info_hash, now);
                let mut peers = self.peers_for(from, info_hash, *no_seeds, now, dice);
                let token = Some(Bytes::copy_from_slice(&token));
                let more = scrape.then(|| {
                    peers.truncate(PEERS_SCRAPED_MAX);
                    Box::new(KrpcMore { scrape: Some(Box::new(self.store.scrape(info_hash, now))), ..KrpcMore::default() })
                });
                Ok(KrpcAnswer { peers, token, more, ..self.nodes_near(from, *info_hash, *want) })
            }
            KrpcQuery::Get { target, want, seq } => {
                let token = Some(Bytes::copy_from_slice(&self.tokens.give(from.ip(), target, now)));
                let mut answer = KrpcAnswer { token, ..self.nodes_near(from, *target, *want) };
                if let Some(item) = self.items.at(target, now) {
                    let stored = item.signed.as_ref().map(|signed| signed.seq);
                    let newer = stored.is_none_or(|stored| seq.is_none_or(|seq| stored > seq));
                    // A long value leaves room in a packet for its nearest nodes only.
                    answer.nodes.truncate(if newer && item.value.len() > LONG_VALUE_BYTES { NODES_BESIDE_MAX } else { usize::MAX });
                    answer.more = Some(Box::new(KrpcMore {
                        value: newer.then(|| item.value.clone()),
                        seq: stored,
                        signed: item.signed.as_ref().filter(|_| newer).map(|signed| Box::new((signed.key, signed.signature))),
                        ..KrpcMore::default()
                    }));
                }
                Ok(answer)
            }
            KrpcQuery::Put { token, value, signed, cas } => {
                if !self.tokens.holds(token, from.ip(), &target_of(value, signed.as_deref()), now) {
                    return Err((203, "bad token"));
                }
                self.items.put(value, signed.as_deref(), *cas, from.ip(), now)?;
                Ok(KrpcAnswer::default())
            }
            KrpcQuery::SampleInfohashes { target, want } => {
                let samples = Some(self.store.sample(now, dice));
                let more = Some(Box::new(KrpcMore { samples, ..KrpcMore::default() }));
                Ok(KrpcAnswer { more, ..self.nodes_near(from, *target, *want) })
            }
            KrpcQuery::AnnouncePeer { info_hash, port, implied_port, token, seed } => {
                if !self.tokens.holds(token, from.ip(), info_hash, now) {
                    return Err((203, "bad token"));
                }
                let peer = SocketAddr::new(from.ip(), if *implied_port { from.port() } else { *port });
                if peer.port() == 0 {
                    return Err((203, "port 0"));
                }
                self.store.put(*info_hash, peer, *seed, now);
                // A peer that looks for a torrent of ours needs not be looked for; seeds have nothing to say to each other.
                let of_use = self.announces.get(info_hash).is_some_and(|(_, we_seed)| !(we_seed && *seed));
                if of_use && may_be_dialled(peer, is_local(from.ip())) {
                    news.push(DhtNews::Peers(*info_hash, vec![peer]));
                }
                Ok(KrpcAnswer::default())
            }
            KrpcQuery::Unknown { target: Some(target), .. } => Ok(self.nodes_near(from, *target, None)),
            KrpcQuery::Unknown { target: None, .. } => Err((204, "method unknown")),
        }
    }

    fn nodes_near(&self, from: SocketAddr, target: [u8; 20], want: Option<Want>) -> KrpcAnswer {
        let v4 = family(from.ip()) == 0;
        let want = want.unwrap_or(Want { v4, v6: !v4 });
        let mut nodes = Vec::new();
        let asker = Spot::of(from);
        for (side, wanted) in self.sides.iter().zip([want.v4, want.v6]) {
            let Some(side) = side.as_ref().filter(|_| wanted) else { continue };
            // The asker itself is no news to it, and addresses of our site mean nothing elsewhere.
            let useful = |node: &Contact| node.fails == 0 && node.spot != asker && is_plausible(node.address(), from);
            let near = side.table.closest_of(NodeId(target), K, useful);
            nodes.extend(near.into_iter().map(|node| NodeContact { id: node.id.0, address: node.address() }));
        }
        KrpcAnswer { nodes, ..KrpcAnswer::default() }
    }

    /// Peers that were announced to us, and ourselves when we are in that swarm and know where the asker would reach us.
    fn peers_for(&self, from: SocketAddr, info_hash: &[u8; 20], no_seeds: bool, now: Time, dice: &mut Dice) -> Vec<SocketAddr> {
        let v4 = family(from.ip()) == 0;
        let mut peers = self.store.draw(info_hash, v4, no_seeds, if v4 { PEERS_V4_MAX } else { PEERS_V6_MAX }, now, dice);
        let decided = self.sides[family(from.ip())].as_ref().and_then(|side| side.votes.decided());
        let bound = self.bound.map(|bound| bound.ip()).filter(|ip| !ip.is_unspecified());
        let ours =
            [bound, decided].into_iter().flatten().find(|ip| family(*ip) == family(from.ip()) && is_local(*ip) == is_local(from.ip()));
        if let (Some(ip), Some((port, _))) = (ours, self.announces.get(info_hash).filter(|(port, seed)| *port != 0 && !(no_seeds && *seed)))
        {
            let ours = SocketAddr::new(ip, port);
            if !peers.contains(&ours) {
                peers.truncate(peers.len().min(if v4 { PEERS_V4_MAX } else { PEERS_V6_MAX } - 1));
                peers.push(ours);
            }
        }
        peers
    }
}
