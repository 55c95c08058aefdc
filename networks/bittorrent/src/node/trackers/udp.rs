//! What we have asked UDP trackers (BEP 15) and not yet heard, and the connection ids they gave us. One for all torrents: many share a tracker.

use std::net::SocketAddr;

use hexad_core::{BoundedMap, Dice, Endpoint, Link, Map, Outbox, Set, Span, Time};

use super::shortened;
use super::tiers::TrackerId;
use crate::doors;
use crate::node::Node;
use crate::wire::{Message, TrackerAnnounce, TrackerDatagram, compact};

/// Questions under way; what comes on top fails at once.
const PENDING_MAX: usize = 16_384;
/// Connection ids remembered.
const CONNECTIONS_MAX: usize = 512;
/// How long a client may use a connection id. BEP 15.
const CONNECTION_LIFE: Span = Span::from_secs(60);
/// BEP 15 waits 15·2^n s, up to an hour, before it gives a tracker up; deployed clients go to the next one after the first 15 s. Inside those
/// we repeat twice, so that one lost datagram costs 5 s and not a tracker.
const REPEAT_AFTER: Span = Span::from_secs(5);
/// When a tracker counts as dead.
const GIVE_UP_AFTER: Span = Span::from_secs(15);

/// What is asked of a tracker once there is a connection id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// An announce, of what [`Says`] tells when it leaves.
    Announce,
    /// An announce that we leave; there is nobody then who could say more.
    Farewell(Box<TrackerAnnounce>),
    /// Counts of the torrent.
    Scrape,
}

impl Question {
    /// It has come to nothing.
    fn failed(&self, why: String) -> Outcome {
        Outcome::Failed { announce: *self == Self::Announce, why }
    }
}

/// What is to be announced now; `None` when nothing is any more.
pub(super) type Says<'a> = &'a dyn Fn(Asker) -> Option<TrackerAnnounce>;

/// On whose behalf a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asker {
    /// The torrent.
    pub swarm: [u8; 20],
    /// The tracker among those of the torrent.
    pub tracker: TrackerId,
}

/// How a question ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Announced { interval_s: u32, leechers: u32, seeds: u32, peers: Vec<SocketAddr> },
    Counted { seeds: u32, completed: u32, leechers: u32 },
    Failed { announce: bool, why: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The connect request is out.
    Connecting,
    /// Another question's connect request to the same address is out.
    Waiting,
    /// The question itself is out.
    Asked,
}

#[derive(Debug)]
struct Transaction {
    to: Endpoint,
    asker: Asker,
    question: Question,
    stage: Stage,
    repeat: Time,
    give_up: Time,
}

impl Transaction {
    /// When something is to be done about it. Who waits for somebody else's connect request leaves its repetition to him.
    fn due(&self) -> Time {
        if self.stage == Stage::Waiting { self.give_up } else { self.repeat.min(self.give_up) }
    }
}

/// All questions to UDP trackers. Keyed by transaction id, which is random and never told to anybody but the tracker.
#[derive(Debug)]
pub(super) struct UdpTrackers {
    connections: BoundedMap<Endpoint, (u64, Time)>,
    pending: BoundedMap<u32, Transaction>,
    /// Those of `pending` by when they are due.
    agenda: Set<(Time, u32)>,
    /// Where a connect request of `pending` is out to, and who waits for it.
    connecting: Map<Endpoint, Set<u32>>,
}

impl UdpTrackers {
    pub fn new() -> Self {
        Self {
            connections: BoundedMap::new(CONNECTIONS_MAX),
            pending: BoundedMap::new(PENDING_MAX),
            agenda: Set::new(),
            connecting: Map::new(),
        }
    }

    /// Asks; the outcome comes from [`Self::heard`] or [`Self::pass`].
    ///
    /// # Errors
    /// When too many questions are under way.
    #[expect(clippy::too_many_arguments, reason = "what is asked, and the world")]
    pub fn ask(
        &mut self,
        to: Endpoint,
        asker: Asker,
        question: Question,
        patience: Span,
        says: Says<'_>,
        now: Time,
        dice: &mut Dice,
        out: &mut Outbox<Node>,
    ) -> Result<(), String> {
        if self.pending.is_full() {
            return Err(format!("more than {PENDING_MAX} questions to udp trackers at once"));
        }
        let give_up = now + patience.min(GIVE_UP_AFTER);
        let transaction = Transaction { to, asker, question, stage: Stage::Waiting, repeat: now + REPEAT_AFTER, give_up };
        self.send(transaction, says, now, dice, out);
        Ok(())
    }

    /// Takes in a datagram from `from`. `None` when it answers nothing we asked at that address.
    pub fn heard(
        &mut self,
        from: SocketAddr,
        datagram: &TrackerDatagram,
        says: Says<'_>,
        now: Time,
        dice: &mut Dice,
        out: &mut Outbox<Node>,
    ) -> Option<Vec<(Asker, Option<SocketAddr>, Outcome)>> {
        let id = match datagram {
            TrackerDatagram::ConnectAnswer { transaction, .. }
            | TrackerDatagram::AnnounceAnswer { transaction, .. }
            | TrackerDatagram::ScrapeAnswer { transaction, .. }
            | TrackerDatagram::Error { transaction, .. } => *transaction,
            _ => return None,
        };
        // A datagram's source is the only proof of who speaks; an answer counts when both it and the random id fit. Of whom was asked by name, only
        // the proxy knows where he is, and nobody but the proxy is heard.
        let fits = |asked: &&Transaction| asked.to == Endpoint::Ip(from) || matches!(asked.to, Endpoint::Name(_));
        let asked = self.pending.get(&id).filter(fits)?;
        let outcome = match (asked.stage, &asked.question, datagram) {
            (Stage::Connecting, _, TrackerDatagram::ConnectAnswer { connection, .. }) => {
                self.connected(id, *connection, says, now, dice, out);
                return Some(Vec::new());
            }
            (
                Stage::Asked,
                Question::Announce | Question::Farewell(_),
                TrackerDatagram::AnnounceAnswer { interval_s, leechers, seeders, peers, .. },
            ) => Outcome::Announced { interval_s: *interval_s, leechers: *leechers, seeds: *seeders, peers: peers_of(from, peers) },
            (Stage::Asked, Question::Scrape, TrackerDatagram::ScrapeAnswer { counts, .. }) => match counts.first() {
                Some(counts) => Outcome::Counted { seeds: counts.seeders, completed: counts.completed, leechers: counts.leechers },
                None => Outcome::Failed { announce: false, why: "an empty answer to a scrape".into() },
            },
            (_, question, TrackerDatagram::Error { message, .. }) => {
                // Among other things, this is how a tracker that was restarted says that it does not know the connection id.
                self.connections.remove(&asked.to);
                question.failed(shortened(message))
            }
            _ => return None,
        };
        let asked = self.take(id)?;
        let others = match (asked.stage, &outcome) {
            // What a tracker says to one who asks for a connection id, it says to all who wait for it.
            (Stage::Connecting, Outcome::Failed { why, .. }) => {
                let failed = |other: Transaction| (other.asker, Some(from), other.question.failed(why.clone()));
                self.waiting_for(&asked.to).into_iter().map(failed).collect()
            }
            _ => Vec::new(),
        };
        Some(std::iter::once((asked.asker, Some(from), outcome)).chain(others).collect())
    }

    /// Repeats what is due, and gives up what has waited too long.
    pub fn pass(
        &mut self,
        says: Says<'_>,
        now: Time,
        dice: &mut Dice,
        out: &mut Outbox<Node>,
    ) -> Vec<(Asker, Option<SocketAddr>, Outcome)> {
        let mut failed = Vec::new();
        while self.agenda.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, id)) = self.agenda.pop_first()
        {
            let Some(asked) = self.take(id) else { continue };
            let waiting = if asked.stage == Stage::Connecting { self.connecting.remove(&asked.to).unwrap_or_default() } else { Set::new() };
            if now >= asked.give_up {
                // Somebody who waits, and has more patience, asks in its place.
                let patient = waiting.iter().find(|id| self.pending.get(id).is_some_and(|asked| now < asked.give_up)).copied();
                if let Some(next) = patient.and_then(|id| self.take(id)) {
                    self.ask_again(next, waiting, says, now, dice, out);
                }
                failed.push((asked.asker, None, asked.question.failed("no answer".into())));
            } else {
                // The connection id may be what the tracker does not like, so the repetition asks for another one.
                self.connections.remove(&asked.to);
                self.ask_again(asked, waiting, says, now, dice, out);
            }
        }
        failed
    }

    /// When [`Self::pass`] has something to do next.
    pub fn next_look(&self) -> Option<Time> {
        self.agenda.first().map(|&(at, _)| at)
    }

    /// Sends once more; those who were `waiting` wait on, but for the one who asks now.
    fn ask_again(&mut self, mut asked: Transaction, waiting: Set<u32>, says: Says<'_>, now: Time, dice: &mut Dice, out: &mut Outbox<Node>) {
        let to = asked.to.clone();
        asked.repeat = now + REPEAT_AFTER;
        self.send(asked, says, now, dice, out);
        if let Some(all) = self.connecting.get_mut(&to) {
            all.extend(waiting.into_iter().filter(|id| self.pending.contains_key(id)));
        }
    }

    fn connected(&mut self, id: u32, connection: u64, says: Says<'_>, now: Time, dice: &mut Dice, out: &mut Outbox<Node>) {
        let Some(first) = self.take(id) else { return };
        self.connections.retain(|_, (_, until)| now < *until);
        // Without room to remember the id, it serves at least the questions that have waited for it.
        let _ = self.connections.insert(first.to.clone(), (connection, now + CONNECTION_LIFE));
        let waiting = self.waiting_for(&first.to);
        for mut asked in std::iter::once(first).chain(waiting) {
            asked.repeat = now + REPEAT_AFTER;
            self.put(asked, connection, says, dice, out);
        }
    }

    /// The connect request to that address is over: takes out all who have waited for it.
    fn waiting_for(&mut self, to: &Endpoint) -> Vec<Transaction> {
        let waiting = self.connecting.remove(to).unwrap_or_default();
        waiting.into_iter().filter_map(|id| self.take(id)).collect()
    }

    fn send(&mut self, mut asked: Transaction, says: Says<'_>, now: Time, dice: &mut Dice, out: &mut Outbox<Node>) {
        if let Some(&(connection, until)) = self.connections.get(&asked.to)
            && now < until
        {
            self.put(asked, connection, says, dice, out);
            return;
        }
        let id = self.fresh_id(dice);
        if let Some(waiting) = self.connecting.get_mut(&asked.to) {
            asked.stage = Stage::Waiting;
            waiting.insert(id);
        } else {
            asked.stage = Stage::Connecting;
            self.connecting.insert(asked.to.clone(), Set::new());
            let connect = TrackerDatagram::ConnectRequest { transaction: id };
            out.send(Link::Datagram(doors::DATAGRAMS, asked.to.clone()), Message::Tracker(Box::new(connect)));
        }
        self.keep(id, asked);
    }

    fn put(&mut self, mut asked: Transaction, connection: u64, says: Says<'_>, dice: &mut Dice, out: &mut Outbox<Node>) {
        let transaction = self.fresh_id(dice);
        asked.stage = Stage::Asked;
        let announces = |announce| TrackerDatagram::AnnounceRequest { connection, transaction, announce };
        let datagram = match &asked.question {
            Question::Announce => says(asked.asker).map(announces),
            Question::Farewell(announce) => Some(announces((**announce).clone())),
            Question::Scrape => Some(TrackerDatagram::ScrapeRequest { connection, transaction, info_hashes: vec![asked.asker.swarm] }),
        };
        let Some(datagram) = datagram else { return };
        out.send(Link::Datagram(doors::DATAGRAMS, asked.to.clone()), Message::Tracker(Box::new(datagram)));
        self.keep(transaction, asked);
    }

    fn keep(&mut self, id: u32, asked: Transaction) {
        self.agenda.insert((asked.due(), id));
        let kept = self.pending.insert(id, asked);
        debug_assert!(kept.is_ok(), "room was made, or asked for, before");
    }

    fn take(&mut self, id: u32) -> Option<Transaction> {
        let asked = self.pending.remove(&id)?;
        self.agenda.remove(&(asked.due(), id));
        if let (Stage::Waiting, Some(waiting)) = (asked.stage, self.connecting.get_mut(&asked.to)) {
            waiting.remove(&id);
        }
        Some(asked)
    }

    fn fresh_id(&self, dice: &mut Dice) -> u32 {
        loop {
            let id = u32::from_be_bytes(dice.bytes());
            if !self.pending.contains_key(&id) {
                return id;
            }
        }
    }
}

/// Peers of the family of the tracker's address. BEP 15.
fn peers_of(from: SocketAddr, bytes: &[u8]) -> Vec<SocketAddr> {
    compact::peers(bytes, compact::Family::of(from.ip())).collect()
}
