//! Connections: for messages that are too large for datagrams, and for those who fetch from us.

use bytes::Bytes;
use hexad_core::{ConnId, Context, Dial, Level, Map, Output, Span, Time, Transport};

use super::queries::same_host;
use super::{Node, Out, Timer};
use crate::place::Place;
use crate::wire::Message;

/// A connection that nobody has used for so long is closed by who has opened it.
const IDLE: Span = Span::from_secs(30);
/// And after so long by the other end too.
const IDLE_ACCEPTED: Span = Span::from_secs(180);
/// Connecting may take so long.
const DIAL_DEADLINE: Span = Span::from_secs(5);
/// Messages that wait for a connection.
const WAITING_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Road<A: Place> {
    peer: A,
    dialled: bool,
    open: bool,
    used: Time,
    waiting: Vec<Message<A>>,
}

/// All connections but those over which we fetch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Roads<A: Place>(Map<ConnId, Road<A>>);

impl<A: Place> Roads<A> {
    pub(super) const NOTHING: Self = Self(Map::new());

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who is at the other end.
    pub(super) fn peer(&self, conn: ConnId) -> Option<&A> {
        self.0.get(&conn).map(|road| &road.peer)
    }

    pub(super) fn closed(&mut self, conn: ConnId) {
        self.0.remove(&conn);
    }

    pub(super) fn used(&mut self, conn: ConnId, now: Time) {
        if let Some(road) = self.0.get_mut(&conn) {
            road.used = now;
        }
    }
}

/// How our connections are opened.
pub fn dial() -> Dial {
    Dial { transport: Transport::Quic, deadline: DIAL_DEADLINE, manner: 0, secret: Bytes::new() }
}

impl<A: Place> Node<A> {
    /// Sends what is too large for a datagram, over a connection that is there or is opened for it.
    pub(super) fn send_large(&mut self, to: &A, message: Message<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let config = self.config.clone();
        let roads = &mut self.busy().roads;
        if let Some((conn, road)) = roads.0.iter_mut().find(|(_, road)| road.dialled && same_host(&road.peer, to)) {
            road.used = cx.now;
            if road.open {
                out.send_to(*conn, message);
            } else if road.waiting.len() < WAITING_MAX {
                road.waiting.push(message);
            } else {
                out.note(Level::Drop, "road_overrun", Some(to.clone()), "");
            }
            return;
        }
        if roads.0.values().filter(|road| road.dialled).count() >= config.0.roads_max {
            return out.note(Level::Drop, "too_many_roads", Some(to.clone()), "");
        }
        let conn = cx.new_conn();
        roads.0.insert(conn, Road { peer: to.clone(), dialled: true, open: false, used: cx.now, waiting: vec![message] });
        out.push(Output::Open(conn, to.clone(), dial()));
    }

    pub(super) fn on_opened(&mut self, conn: ConnId, peer: A, accepted: bool, cx: &mut Context<'_>, out: &mut Out<A>) {
        if !accepted {
            if let Some(road) = self.busy().roads.0.get_mut(&conn) {
                road.open = true;
                for message in std::mem::take(&mut road.waiting) {
                    out.send_to(conn, message);
                }
                out.wake(cx.now + IDLE, Timer::Road(conn));
                return;
            }
            return self.on_source_opened(conn, cx, out);
        }
        let config = self.config.clone();
        let roads = &mut self.busy().roads;
        let accepted = roads.0.values().filter(|road| !road.dialled);
        let (all, his) = accepted.fold((0, 0), |(all, his), road| (all + 1, his + usize::from(same_host(&road.peer, &peer))));
        if all >= config.0.roads_max + config.0.uploads_max || his >= 8 {
            out.note(Level::Drop, "too_many_connections", Some(peer), "");
            return Self::close(conn, "too many connections", out);
        }
        roads.0.insert(conn, Road { peer, dialled: false, open: true, used: cx.now, waiting: Vec::new() });
        out.wake(cx.now + IDLE_ACCEPTED, Timer::Road(conn));
    }

    /// Closes a connection that nobody uses.
    pub(super) fn on_road_idle(&mut self, conn: ConnId, cx: &mut Context<'_>, out: &mut Out<A>) {
        let Some(busy) = self.busy.as_mut().and_then(|busy| busy.seldom()) else { return };
        let Some(road) = busy.roads.0.get(&conn) else { return };
        let end = road.used + if road.dialled { IDLE } else { IDLE_ACCEPTED };
        if cx.now < end {
            return out.wake(end, Timer::Road(conn));
        }
        busy.roads.0.remove(&conn);
        busy.uploads.remove(&conn);
        Self::close(conn, "idle", out);
    }
}
