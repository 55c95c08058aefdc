//! All connections of one UDP socket.

use std::net::SocketAddr;

use bytes::BytesMut;
use hexad_core::{Dice, Map, Set, Span, Time};

use crate::connection::stamp;
use crate::wire::{Header, Kind};
use crate::{Config, Connection, End, Seq};

/// How long the last words of a connection that nobody holds may take.
const LINGER: Span = Span::from_secs(10);
/// How long one that has ended in order goes on to acknowledge that.
const LINGER_IN_ORDER: Span = Span::from_secs(3);
/// How long a connection may be half open.
const HALF_OPEN: Span = Span::from_secs(10);
/// Answers to packets of connections that are not known, in a second: they tell peers of an earlier life of ours, and must not serve as an
/// amplifier.
const RESETS_PER_SECOND: u32 = 100;

/// A connection of a [`Hub`]; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u64);

/// A datagram that is to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// For whom.
    pub to: SocketAddr,
    /// All of it.
    pub bytes: &'a [u8],
    /// It was sent before and has not arrived, perhaps for its length: whoever carries it may do so in fragments. Of others it is to be found out whether so long ones
    /// arrive, which is seen only if nobody fragments them.
    pub may_fragment: bool,
}

#[derive(Debug)]
struct Seat {
    peer: SocketAddr,
    connection: Connection,
    /// What it is registered under in `wakes`.
    wake: Option<Time>,
    /// When it is forgotten, whatever it does.
    until: Option<Time>,
    /// Nobody holds it any more.
    dropped: bool,
    /// When it was seen that it had ended and nobody held it.
    ended: Option<Time>,
}

/// All connections of one socket.
#[derive(Debug)]
pub struct Hub {
    config: Config,
    dice: Dice,
    seats: Map<Key, Seat>,
    /// Peer and the number it uses for us.
    known: Map<(SocketAddr, u16), Key>,
    wakes: Set<(Time, Key)>,
    /// Those that may have something to send.
    touched: Set<Key>,
    /// Those of which something is new to whoever holds them.
    changed: Set<Key>,
    accepted: Vec<(Key, SocketAddr)>,
    half_open: usize,
    resets: Vec<(SocketAddr, Header)>,
    resets_since: Time,
    resets_said: u32,
    keys: u64,
    scratch: BytesMut,
}

impl Hub {
    /// No connections.
    #[must_use]
    pub fn new(config: Config, dice: Dice) -> Self {
        Self {
            config,
            dice,
            seats: Map::new(),
            known: Map::new(),
            wakes: Set::new(),
            touched: Set::new(),
            changed: Set::new(),
            accepted: Vec::new(),
            half_open: 0,
            resets: Vec::new(),
            resets_since: Time::ZERO,
            resets_said: 0,
            keys: 0,
            scratch: BytesMut::new(),
        }
    }

    /// Opens a connection; `None` when there are as many as may be.
    pub fn connect(&mut self, peer: SocketAddr, now: Time) -> Option<Key> {
        if self.seats.len() >= self.config.connections_max {
            return None;
        }
        // A few tries find one of 65,536 numbers that this peer does not use yet.
        let receives_as = (0..16).map(|_| u16::from_be_bytes(self.dice.bytes())).find(|&id| !self.known.contains_key(&(peer, id)))?;
        let connection = Connection::connect(receives_as, is_ipv6(peer), now, &self.config, &mut self.dice);
        Some(self.seat(peer, connection, None))
    }

    /// A datagram came. Fails with the reason for which it was dropped, a code for logs and counters.
    ///
    /// # Errors
    /// When it is not uTP, is of no connection, or says what cannot be.
    pub fn hear(&mut self, peer: SocketAddr, datagram: &[u8], now: Time) -> Result<(), &'static str> {
        let (header, payload) = Header::parse(datagram).map_err(|_| "utp_malformed")?;
        let key = match header.kind {
            Kind::Syn => self.known.get(&(peer, header.conn.wrapping_add(1))),
            // libutp resets by either number.
            Kind::Reset => [0, 1, u16::MAX].iter().find_map(|&step| {
                let key = self.known.get(&(peer, header.conn.wrapping_add(step)))?;
                let connection = &self.seats.get(key)?.connection;
                (connection.receives_as() == header.conn || connection.sends_as() == header.conn).then_some(key)
            }),
            _ => self.known.get(&(peer, header.conn)),
        };
        let Some(&key) = key else {
            return match header.kind {
                Kind::Syn => self.syn(peer, &header, now),
                Kind::Reset => Err("utp_unknown"),
                _ => {
                    self.reset(peer, &header, now);
                    Err("utp_unknown")
                }
            };
        };
        let Some(seat) = self.seats.get_mut(&key) else { return Err("utp_unknown") };
        let half_open = seat.connection.is_half_open();
        let heard = seat.connection.hear(&header, payload, now);
        if half_open && !seat.connection.is_half_open() {
            self.half_open -= 1;
            seat.until = None;
            self.accepted.push((key, peer));
        }
        self.touched.insert(key);
        self.changed.insert(key);
        heard
    }

    /// A connection that a peer has opened.
    pub fn accept(&mut self) -> Option<(Key, SocketAddr)> {
        (!self.accepted.is_empty()).then(|| self.accepted.remove(0))
    }

    /// One connection, to look at.
    #[must_use]
    pub fn connection(&self, key: Key) -> Option<&Connection> {
        Some(&self.seats.get(&key)?.connection)
    }

    /// Moves what came into the free capacity of `into`, at most so many bytes.
    pub fn read(&mut self, key: Key, into: &mut BytesMut, most: usize) -> usize {
        let Some(seat) = self.seats.get_mut(&key) else { return 0 };
        self.touched.insert(key);
        seat.connection.read(into, most, &self.config)
    }

    /// Takes what there is room for.
    pub fn write(&mut self, key: Key, bytes: &[u8]) -> usize {
        let Some(seat) = self.seats.get_mut(&key) else { return 0 };
        self.touched.insert(key);
        seat.connection.write(bytes, &self.config)
    }

    /// Bytes that would be taken by [`Self::write`].
    #[must_use]
    pub fn room(&self, key: Key) -> usize {
        self.seats.get(&key).map_or(0, |seat| seat.connection.writable_bytes(&self.config))
    }

    /// Ends our half of the stream behind what was written.
    pub fn finish(&mut self, key: Key) {
        if let Some(seat) = self.seats.get_mut(&key) {
            seat.connection.finish();
            self.touched.insert(key);
        }
    }

    /// Nobody holds the connection any more: what was written still leaves, for ten seconds at most.
    pub fn release(&mut self, key: Key, now: Time) {
        if let Some(seat) = self.seats.get_mut(&key) {
            seat.dropped = true;
            seat.until = Some(now + LINGER);
            seat.connection.discard();
            self.touched.insert(key);
        }
    }

    /// Those of which something is new: bytes to be read, room to write, opened, ended.
    pub fn take_changed(&mut self) -> Set<Key> {
        std::mem::take(&mut self.changed)
    }

    /// How many connections there are, lingering ones included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.seats.len()
    }

    /// When [`Self::transmit`] is to be called though nothing has happened.
    #[must_use]
    pub fn wake(&self) -> Option<Time> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// Hands out the datagrams that are to leave at this moment.
    pub fn transmit(&mut self, now: Time, mut leave: impl FnMut(Datagram<'_>)) {
        for (peer, reset) in std::mem::take(&mut self.resets) {
            self.scratch.clear();
            reset.encode(&mut self.scratch);
            leave(Datagram { to: peer, bytes: &self.scratch, may_fragment: false });
        }
        while let Some(&(at, key)) = self.wakes.first()
            && at <= now
        {
            self.wakes.remove(&(at, key));
            if let Some(seat) = self.seats.get_mut(&key) {
                seat.wake = None;
            }
            self.touched.insert(key);
        }
        for key in std::mem::take(&mut self.touched) {
            let Some(seat) = self.seats.get_mut(&key) else { continue };
            let ended = seat.connection.end();
            seat.connection.transmit(now, &self.config, &mut self.scratch, &mut |bytes, may_fragment| {
                leave(Datagram { to: seat.peer, bytes, may_fragment });
            });
            if seat.connection.end() != ended {
                self.changed.insert(key);
            }
            let over = match seat.connection.end() {
                None => seat.until.is_some_and(|until| until <= now),
                Some(End::InOrder) if seat.dropped => {
                    let ended = *seat.ended.get_or_insert(now);
                    seat.until = Some(ended + LINGER_IN_ORDER);
                    ended + LINGER_IN_ORDER <= now
                }
                Some(_) => seat.dropped || seat.connection.is_half_open(),
            };
            if over {
                self.forget(key);
                continue;
            }
            let wake = match (seat.connection.wake(&self.config), seat.until) {
                (Some(wake), Some(until)) => Some(wake.min(until)),
                (wake, until) => wake.or(until),
            };
            if wake != seat.wake {
                if let Some(old) = seat.wake.take() {
                    self.wakes.remove(&(old, key));
                }
                seat.wake = wake;
                self.wakes.extend(wake.map(|wake| (wake, key)));
            }
        }
    }

    fn syn(&mut self, peer: SocketAddr, header: &Header, now: Time) -> Result<(), &'static str> {
        if self.seats.len() >= self.config.connections_max || self.half_open >= self.config.half_open_max {
            return Err("utp_no_room_for_connection");
        }
        let connection = Connection::accept(header, is_ipv6(peer), now, &self.config, &mut self.dice);
        self.seat(peer, connection, Some(now + HALF_OPEN));
        self.half_open += 1;
        Ok(())
    }

    fn seat(&mut self, peer: SocketAddr, connection: Connection, until: Option<Time>) -> Key {
        let key = Key(self.keys);
        self.keys += 1;
        self.known.insert((peer, connection.receives_as()), key);
        self.seats.insert(key, Seat { peer, connection, wake: None, until, dropped: false, ended: None });
        self.touched.insert(key);
        key
    }

    fn forget(&mut self, key: Key) {
        let Some(seat) = self.seats.remove(&key) else { return };
        self.known.remove(&(seat.peer, seat.connection.receives_as()));
        if let Some(wake) = seat.wake {
            self.wakes.remove(&(wake, key));
        }
        if seat.connection.is_half_open() {
            self.half_open -= 1;
        }
    }

    fn reset(&mut self, peer: SocketAddr, header: &Header, now: Time) {
        if now.since(self.resets_since) >= Span::from_secs(1) {
            (self.resets_since, self.resets_said) = (now, 0);
        }
        if self.resets_said >= RESETS_PER_SECOND {
            return;
        }
        self.resets_said += 1;
        let reset = Header {
            kind: Kind::Reset,
            conn: header.conn,
            stamp_us: stamp(now),
            lag_us: stamp(now).wrapping_sub(header.stamp_us),
            window_bytes: 0,
            seq: Seq(u16::from_be_bytes(self.dice.bytes())),
            ack: header.seq,
            sack: Vec::new(),
            filler_bytes: 0,
        };
        self.resets.push((peer, reset));
    }
}

/// Whether what goes to it has the longer header.
fn is_ipv6(peer: SocketAddr) -> bool {
    peer.ip().to_canonical().is_ipv6()
}
