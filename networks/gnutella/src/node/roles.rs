//! Leaf or ultrapeer: who becomes what by himself. Spec §6.

use hexad_core::{ConnId, Context, Level, Span};

use super::settings::{Kind, Mode};
use super::{Node, Out};

/// An ultrapeer without leaves for so long is none.
const USELESS_AFTER: Span = Span::from_secs(3600);

impl Node {
    /// Looks whether the role still fits.
    pub(crate) fn consider_role(&mut self, cx: &mut Context<'_>, out: &mut Out) {
        if self.config.mode != Mode::Auto || self.bound.is_none() {
            return;
        }
        let alone_since = self.member.as_ref().filter(|member| member.begun).map(|member| member.alone_since);
        let Some(alone_since) = alone_since else { return };
        let in_role = cx.now.since(self.switched);
        match self.kind {
            Kind::Leaf => {
                // Whoever can be reached and finds no ultrapeer is needed as one; others may be waiting for it.
                let orphan = self.links.count(Kind::Ultrapeer) == 0 && cx.now.since(alone_since) >= self.config.orphan_after;
                let able = self.reached
                    && self.own().is_some()
                    && cx.now.since(self.started) >= self.config.election_uptime
                    && in_role >= self.config.switch_every
                    && self.config.speed_kbps >= self.config.election_speed_kbps;
                if orphan || able {
                    self.become_ultrapeer(cx, out);
                }
            }
            Kind::Ultrapeer => {
                let useless = self.links.count(Kind::Leaf) == 0 && self.links.count(Kind::Ultrapeer) > 1;
                if useless && in_role >= USELESS_AFTER.max(self.config.switch_every) {
                    self.become_leaf(None, cx, out);
                }
            }
            Kind::Flat => {}
        }
    }

    fn become_ultrapeer(&mut self, cx: &mut Context<'_>, out: &mut Out) {
        out.note(Level::Info, "became_ultrapeer", None, "");
        self.kind = Kind::Ultrapeer;
        self.switched = cx.now;
        // Those who lead us as a leaf have to meet us as an equal.
        self.part_from_all(None, 202, "Role has changed", cx, out);
        if let Some(member) = &mut self.member {
            member.alone_since = cx.now;
        }
        self.joined(out);
        self.seek(cx, out);
    }

    /// Becomes a leaf; `keep` is the link over which somebody has suggested it.
    pub(crate) fn become_leaf(&mut self, keep: Option<ConnId>, cx: &mut Context<'_>, out: &mut Out) {
        out.note(Level::Info, "became_leaf", None, "");
        self.kind = Kind::Leaf;
        self.switched = cx.now;
        self.part_from_all(keep, 203, "Becoming a leaf node", cx, out);
        self.seek(cx, out);
    }

    fn part_from_all(&mut self, keep: Option<ConnId>, code: u16, reason: &'static str, cx: &mut Context<'_>, out: &mut Out) {
        let conns: Vec<ConnId> = self.links.iter().map(|(conn, _)| conn).filter(|conn| Some(*conn) != keep).collect();
        for conn in conns {
            if self.links.get(conn).is_some_and(|neighbour| neighbour.is_up()) {
                self.send_away(conn, code, reason, cx, out);
            } else {
                out.push(hexad_core::Output::Close(conn, reason.into()));
                self.links.remove(conn);
                self.tick_later(cx, out);
            }
        }
    }
}
