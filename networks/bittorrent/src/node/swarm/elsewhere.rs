//! Other networks feed the same download: what they bring is not asked for here, and they are told what is.

use hexad_content::Ranges;

use super::Swarm;
use super::peer::Peer;
use crate::node::home::{News, Turn};
use crate::wire::Message;

impl Swarm {
    /// Others bring these ranges of the lease.
    pub(crate) fn on_elsewhere(&mut self, ranges: Ranges, t: &mut Turn<'_, '_>) {
        let Some(fetch) = self.fetch else { return };
        if self.torrent.is_none() {
            return;
        }
        self.picker.bring_elsewhere(&ranges);
        let first = self.others.bring(ranges);
        self.take_requests_back(t);
        if first {
            let under_way = self.picker.under_way();
            self.picker.take_fresh();
            self.others.claim(fetch.lease, under_way, t.out);
        }
        t.home.news.push(News::Leased(self.info_hash));
        self.stir(t);
    }

    /// Peers need not send what is not wanted of this swarm any more.
    pub(super) fn take_requests_back(&mut self, t: &mut Turn<'_, '_>) {
        let Some(geometry) = self.torrent.as_ref().map(|torrent| torrent.geometry.clone()) else { return };
        let Self { peers, picker, .. } = self;
        for peer in peers.iter_mut().flatten() {
            let gone: Vec<_> = peer.requests.iter().filter(|asked| !picker.lacks(asked.piece, asked.block)).collect();
            for asked in gone {
                peer.requests.forgive(asked.piece, asked.block);
                peer.say(Message::Cancel(geometry.block(asked.piece, asked.block)), t);
            }
        }
    }

    /// Says which pieces were begun; where a peer could give more, and there is nothing left for it but what others bring, says that.
    pub(super) fn claim(&mut self, could_give: Option<super::Slot>, t: &mut Turn<'_, '_>) {
        let fresh = self.picker.take_fresh();
        let Some(fetch) = &self.fetch else { return };
        self.others.claim(fetch.lease, fresh, t.out);
        let peer: Option<&Peer> = could_give.and_then(|slot| self.peers.get(slot as usize)).and_then(Option::as_deref);
        if !self.others.is_empty() && peer.is_some_and(|peer| self.picker.brings_elsewhere(&peer.bits)) {
            self.others.starve(fetch.lease, t.out);
        }
    }
}
