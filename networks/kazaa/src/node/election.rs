//! Who is a supernode. Supernodes tell each other how many leaves they have; where that is more than it should be, some of them ask their
//! fittest leaf to be one too, and where it is less, some of them become leaves. Each acts with a chance that follows from how much is missing,
//! so that together they make good about what is missing, and nobody has to count them.

use hexad_core::{ConnId, Context, Level, Span, Time};

use super::index::Index;
use super::lines::{Kind, Line};
use super::{Node, Out, Role, Switch, close};
use crate::place::Place;
use crate::wire::{Message, Purpose};

/// A leaf that was asked to be a supernode is not asked again for so long.
const ASK_AGAIN: Span = Span::from_secs(300);
/// Whoever refuses newcomers looks whether there are too few at least so often.
const PRESSED_EVERY: Span = Span::from_secs(5);
/// A supernode becomes a leaf only when it knows so many others with less to do.
const OTHERS_MIN: usize = 3;
/// Supernodes that are named to leaves that have to go.
const NAMED: usize = 8;
/// Heirs of a supernode.
const HEIRS: usize = 4;

impl<A: Place> Node<A> {
    /// Whether we would be a supernode.
    pub(super) fn is_willing(&self) -> bool {
        let settings = &self.config.0;
        match self.switch {
            Switch::Never => false,
            Switch::Always => true,
            Switch::Auto => {
                !settings.metered && settings.uplink_kbps >= settings.uplink_kbps_min && settings.memory_bytes >= settings.memory_bytes_min
            }
        }
    }

    /// The user has said something else about being a supernode.
    pub(super) fn on_switched(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        match self.switch {
            Switch::Always if self.role == Role::Leaf && self.member.is_some() => self.become_supernode(cx, out),
            Switch::Never if self.role == Role::Supernode => self.begin_demotion(cx, out),
            _ => {}
        }
    }

    /// Looks whether there are too few supernodes or too many, as far as we can see.
    pub(super) fn elect(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        let settings = self.settings();
        let since = cx.now.since(self.elected_at);
        if since < settings.election_every && !(self.pressed && since >= PRESSED_EVERY) {
            return;
        }
        let pressed = std::mem::take(&mut self.pressed);
        self.elected_at = cx.now;
        let own = self.status(cx.now);
        let links: Vec<ConnId> = self.lines.of(|kind| matches!(kind, Kind::Peer(_)));
        for &conn in &links {
            out.send_to(conn, Message::Load(own));
        }
        if self.home.demoting {
            return self.seek(cx, out);
        }
        let others: Vec<(u32, u32)> =
            links.iter().filter_map(|&conn| self.lines.peer_mut(conn).map(|peer| (peer.status.leaves, peer.status.leaves_max))).collect();
        let all: u64 = others.iter().map(|(leaves, _)| u64::from(*leaves)).sum::<u64>() + u64::from(own.leaves);
        let count = others.len() as u64 + 1;
        let target = (settings.leaves_target as u64).max(1);
        // Percent of what supernodes should have, by what we see of them.
        let ratio = all * 100 / (count * target);
        let (band, gain) = (u64::from(settings.hysteresis_percent), u64::from(settings.election_gain_percent));
        let alone = links.is_empty() && own.leaves as usize >= settings.backup_leaves;
        let urgent = pressed || alone || ratio >= 150;
        if ratio > 100 + band || pressed || alone {
            let missing = ratio.saturating_sub(100).max(if pressed { 20 } else { 0 });
            if alone || cx.dice.chance(missing * gain, 10_000) {
                self.promote_somebody(urgent, cx, out);
            }
        } else if ratio + band < 100 && self.switch != Switch::Always && cx.now.since(self.turned_at) >= settings.supernode_min {
            let less = others.iter().filter(|(leaves, max)| *leaves < own.leaves.max(1) && leaves < max).count();
            let light = others.iter().filter(|(leaves, max)| u64::from(*leaves) * 2 < u64::from(*max)).count();
            if less.max(light) >= OTHERS_MIN && cx.dice.chance((100 - ratio) * gain, 10_000) {
                return self.begin_demotion(cx, out);
            }
        }
        self.share_out(all / count, cx, out);
    }

    /// The leaf that is fittest to be a supernode, among those that have been there for so long.
    fn fittest(&self, uptime_min: Span, now: Time) -> Option<ConnId> {
        let uplink_min = self.config.0.uplink_kbps_min;
        let fit = |(conn, line): (ConnId, &Line<A>)| -> Option<(u64, ConnId)> {
            let Kind::Leaf(leaf) = &line.kind else { return None };
            let here = u32::try_from(now.since(line.since).as_secs()).unwrap_or(u32::MAX);
            let uptime_s = leaf.card.uptime_s.saturating_add(here);
            let able = leaf.card.willing && leaf.card.uplink_kbps >= uplink_min && leaf.tested == Some(true);
            let settled = u64::from(uptime_s) >= uptime_min.as_secs() && leaf.promote_at <= now;
            (able && settled).then(|| (u64::from(leaf.card.uplink_kbps) * u64::from(uptime_s.clamp(60, 4 * 3600)), conn))
        };
        self.lines.iter().filter_map(fit).max().map(|(_, conn)| conn)
    }

    /// Those of our leaves around whom the others are to gather when we are lost, the fittest first; those that can be reached, as far as is known,
    /// before those of which it is not known.
    pub(super) fn succession(&self, now: Time) -> Vec<A> {
        let uplink_min = self.config.0.uplink_kbps_min;
        let able = |line: &Line<A>| -> Option<(bool, u64)> {
            let Kind::Leaf(leaf) = &line.kind else { return None };
            let fit = leaf.card.willing && leaf.card.uplink_kbps >= uplink_min && leaf.tested != Some(false);
            let here = u32::try_from(now.since(line.since).as_secs()).unwrap_or(u32::MAX);
            let minutes = u64::from(leaf.card.uptime_s.saturating_add(here).clamp(60, 4 * 3600) / 60);
            fit.then(|| (leaf.tested == Some(true), u64::from(leaf.card.uplink_kbps) * minutes))
        };
        let mut able: Vec<_> = self.lines.iter().filter_map(|(conn, line)| able(line).map(|fitness| (fitness, conn, &line.peer))).collect();
        able.sort_by_key(|(fitness, conn, _)| (std::cmp::Reverse(*fitness), *conn));
        able.into_iter().take(HEIRS).map(|(.., peer)| peer.clone()).collect()
    }

    /// Asks the fittest leaf to be a supernode.
    fn promote_somebody(&mut self, urgent: bool, cx: &mut Context<'_>, out: &mut Out<A>) {
        let uptime_min = if urgent { Span::ZERO } else { self.config.0.uptime_min };
        let Some(conn) = self.fittest(uptime_min, cx.now) else { return out.note(Level::Debug, "nobody_to_promote", None, "") };
        if let Some(leaf) = self.lines.leaf_mut(conn) {
            leaf.promote_at = cx.now + ASK_AGAIN;
        }
        out.send_to(conn, Message::Promote);
    }

    /// A supernode of ours asks us to be one too.
    pub(super) fn on_promote(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let yes = self.is_willing() && self.role == Role::Leaf;
        out.send_to(conn, Message::Promoted(yes));
        if yes {
            self.become_supernode(cx, out);
        }
    }

    /// A leaf has answered.
    pub(super) fn on_promoted(&mut self, conn: ConnId, peer: &A, yes: bool, cx: &mut Context<'_>, out: &mut Out<A>) {
        if yes {
            out.note(Level::Debug, "promoted", Some(peer.clone()), "");
            self.known.answered(peer, 0, None, cx.now);
            self.lines.remove(conn);
            close(conn, "became a supernode", out);
            if let Some(index) = &mut self.index {
                index.remove(&peer.name());
            }
        }
    }

    /// Has some leaves go to supernodes with less to do.
    fn share_out(&mut self, mean: u64, cx: &mut Context<'_>, out: &mut Out<A>) {
        let own = self.lines.leaves() as u64;
        if own <= mean + mean / 5 + 4 || self.lines.peers() == 0 {
            return;
        }
        let others = self.known.list(NAMED, true, cx.now, cx);
        let mut leaves = self.lines.of(|kind| matches!(kind, Kind::Leaf(_)));
        cx.dice.shuffle(&mut leaves);
        for conn in leaves.into_iter().take(usize::try_from((own - mean).div_ceil(4)).unwrap_or(0)) {
            out.send_to(conn, Message::Move(others.clone()));
        }
    }

    /// Is a supernode from here on.
    pub(super) fn become_supernode(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        if self.role == Role::Supernode {
            self.home.demoting = false;
            return;
        }
        out.note(Level::Info, "supernode", None, "");
        self.role = Role::Supernode;
        self.turned_at = cx.now;
        self.elected_at = cx.now;
        self.shuffle_at = Time::ZERO;
        self.pressed = false;
        self.home.demoting = false;
        let mut index = Box::new(Index::new(&self.config.0, cx.dice.bits()));
        self.ours.file_all(&mut index);
        self.index = Some(index);
        // Searches that went through our supernodes go on among supernodes.
        for conn in self.lines.of(|kind| matches!(kind, Kind::Parent(_) | Kind::AskedLeaf | Kind::Opening(Purpose::Leaf(_)))) {
            let Some(line) = self.lines.remove(conn) else { continue };
            if matches!(line.kind, Kind::Parent(_)) {
                out.send_to(conn, Message::Leave(Vec::new()));
            }
            close(conn, "became a supernode", out);
            self.on_asked_lost(conn, cx, out);
        }
        self.ours.forget_parents();
        self.publications_are_ours(out);
        self.open_door(out);
        self.look_after_peers(cx, out);
    }

    /// Looks for a supernode to be a leaf of; until it has one it goes on as it is.
    pub(super) fn begin_demotion(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        if !self.home.demoting {
            out.note(Level::Info, "demotion", None, "");
            self.home.demoting = true;
            self.seek(cx, out);
        }
    }

    /// Is a leaf from here on; its leaves are told where to go.
    pub(super) fn become_leaf(&mut self, cx: &mut Context<'_>, out: &mut Out<A>) {
        self.role = Role::Leaf;
        self.turned_at = cx.now;
        self.home.demoting = false;
        let others = self.known.list(NAMED, true, cx.now, cx);
        for conn in self.lines.of(|kind| matches!(kind, Kind::Leaf(_) | Kind::Peer(_))) {
            out.send_to(conn, Message::Leave(others.clone()));
            self.lines.remove(conn);
            close(conn, "a leaf again", out);
        }
        self.heirs.clear();
        self.end_floods(out);
        self.close_door(out);
        self.index = None;
    }
}
