//! uTP (BEP 29) at the sockets of a datagram door: what the state machine of `transport/utp` says leaves through them, and its streams carry
//! connections as TCP's do.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use hexad_core::{Address as _, ConnId, Dial, Dice, Door, Endpoint, Level, Map, Network, Role, Time, Via, Why};
use hexad_utp::wire::is_utp;
use hexad_utp::{Config, Datagram, End, Hub, Key};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::conn::Talk;
use super::doors::Sockets;
use super::handle::{AddrOf, MessageOf};
use super::letters::Letters;
use super::line::LineCell;
use super::reach::{canonical, is_private};
use super::stage::{Seat, Stage};
use super::wire::{Ready, Wire};

/// How long last words may take to be acknowledged.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// All uTP of one door.
pub(super) struct UtpDoor {
    door: Door,
    hub: RefCell<Hub>,
    sockets: Vec<Rc<Letters>>,
    /// Connections' tasks that wait for something to come or to leave.
    waiting: RefCell<Map<Key, Waker>>,
    /// Rung when there may be something to send, or another time to wake.
    bell: Notify,
    start: Instant,
    /// Nobody comes in any more.
    closed: Cell<bool>,
}

impl UtpDoor {
    pub(super) fn new(door: Door, sockets: Vec<Rc<Letters>>, dice: Dice) -> Self {
        let hub = RefCell::new(Hub::new(Config::default(), dice));
        Self { door, hub, sockets, waiting: RefCell::default(), bell: Notify::new(), start: Instant::now(), closed: Cell::new(false) }
    }

    fn now(&self) -> Time {
        Time::from_micros(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// Lets nobody in any more; connections go on.
    pub(super) fn close(&self) {
        self.closed.set(true);
    }

    /// Whether there are no connections.
    pub(super) fn is_deserted(&self) -> bool {
        self.hub.borrow().connections() == 0
    }

    /// Takes a datagram in, if it is of uTP; what it brings about waits for [`settle`].
    pub(super) fn hear<N: Network>(&self, stage: &Stage<N>, from: SocketAddr, datagram: &[u8]) -> bool {
        if !is_utp(datagram) {
            return self.closed.get();
        }
        if !stage.config.outside && !is_private(from.ip()) {
            stage.note(Level::Drop, "outside_not_allowed", AddrOf::<N>::of_socket(from), "");
        } else if let Err(why) = self.hub.borrow_mut().hear(from, datagram, self.now()) {
            stage.note(Level::Drop, why, AddrOf::<N>::of_socket(from), "");
        }
        true
    }

    /// Sends what is to leave, and wakes whoever waited for what has happened.
    fn pump(&self) {
        let now = self.now();
        self.hub.borrow_mut().transmit(now, |Datagram { to, bytes, may_fragment }| {
            if let Some(socket) = self.sockets.iter().find(|socket| socket.reaches(to)) {
                // What the system does not take is lost, and sent again as everything that is.
                let _ = if may_fragment { socket.send_in_fragments(bytes, to) } else { socket.send_to(bytes, to) };
            }
        });
        let changed = self.hub.borrow_mut().take_changed();
        let mut waiting = self.waiting.borrow_mut();
        changed.iter().filter_map(|key| waiting.remove(key)).for_each(Waker::wake);
    }

    fn wait(&self, key: Key, cx: &Context<'_>) {
        self.waiting.borrow_mut().insert(key, cx.waker().clone());
    }
}

/// Sends what is to leave after datagrams were heard, and takes connections in.
pub(super) fn settle<N: Network>(stage: &Rc<Stage<N>>, utp: &Rc<UtpDoor>) {
    utp.pump();
    loop {
        let Some((key, peer)) = utp.hub.borrow_mut().accept() else { break };
        let stream = Stream { utp: utp.clone(), key };
        if utp.closed.get() {
            continue;
        }
        let Some(seat) = stage.seat() else {
            let peer = AddrOf::<N>::of_socket(peer);
            stage.note(Level::Drop, "no_room_for_connection", peer, "closed at once: as many connections are open as may be");
            continue;
        };
        let (conn, cell) = stage.accept();
        let codec = stage.codec(Role::Acceptor, None);
        let talk = Talk::new(stage.clone(), conn, cell, codec, stream, seat);
        stage.spawn(talk.live(Endpoint::Ip(peer), Via::Accepted(utp.door)));
    }
    utp.bell.notify_one();
}

/// Looks at the clock for all connections, as long as the door is open.
pub(super) async fn tend(utp: Rc<UtpDoor>) {
    loop {
        let wake = utp.hub.borrow().wake().map(|at| utp.start + Duration::from_micros(at.as_micros()));
        tokio::select! {
            () = utp.bell.notified() => {}
            () = async {
                match wake {
                    Some(wake) => tokio::time::sleep_until(wake).await,
                    None => std::future::pending().await,
                }
            } => {}
        }
        utp.pump();
    }
}

/// Opens a connection and lives through it.
pub(super) async fn dial<N: Network>(
    stage: Rc<Stage<N>>,
    conn: ConnId,
    cell: Rc<LineCell<MessageOf<N>>>,
    (door, to): (Door, SocketAddr),
    dial: Dial,
    seat: Seat<N>,
) {
    let opened = tokio::select! {
        biased;
        () = cell.ended() => return,
        opened = open(&stage, door, canonical(to), dial.deadline) => opened,
    };
    if cell.fate().is_some() {
        return;
    }
    match opened {
        Ok(stream) => {
            let codec = stage.codec(Role::Dialler, Some(&dial));
            Talk::new(stage, conn, cell, codec, stream, seat).live(Endpoint::Ip(canonical(to)), Via::Dialled).await;
        }
        Err(why) => {
            stage.closed(conn, why);
            stage.settle();
        }
    }
}

async fn open<N: Network>(stage: &Stage<N>, door: Door, to: SocketAddr, deadline: Duration) -> Result<Stream, Why> {
    let Ok(_turn) = stage.dials.acquire().await else { return Err(Why::NoRoom) };
    if !stage.config.outside && !is_private(to.ip()) {
        stage.note(Level::Debug, "outside_not_allowed", None, to.to_string());
        return Err(Why::Unreachable);
    }
    let utp = match stage.doors.borrow().sockets(door) {
        Some(Sockets::Datagrams(_, Some(utp))) if utp.sockets.iter().any(|socket| socket.reaches(to)) => utp.clone(),
        _ => return Err(Why::Unreachable),
    };
    let now = utp.now();
    let Some(key) = utp.hub.borrow_mut().connect(to, now) else { return Err(Why::NoRoom) };
    let stream = Stream { utp: utp.clone(), key };
    utp.pump();
    utp.bell.notify_one();
    let opening = poll_fn(|cx| {
        let hub = utp.hub.borrow();
        match hub.connection(key) {
            Some(connection) if connection.is_open() => Poll::Ready(Ok(())),
            Some(connection) => match connection.end() {
                Some(End::TimedOut) => Poll::Ready(Err(Why::TimedOut)),
                Some(_) => Poll::Ready(Err(Why::Unreachable)),
                None => {
                    utp.wait(key, cx);
                    Poll::Pending
                }
            },
            None => Poll::Ready(Err(Why::Unreachable)),
        }
    });
    timeout(deadline, opening).await.unwrap_or(Err(Why::TimedOut))?;
    Ok(stream)
}

/// One connection; let go of when dropped.
pub(super) struct Stream {
    utp: Rc<UtpDoor>,
    key: Key,
}

impl Stream {
    /// How it has ended, if it has; as what reading or writing then fails.
    fn end(&self) -> Option<End> {
        self.utp.hub.borrow().connection(self.key).map_or(Some(End::Reset), hexad_utp::Connection::end)
    }
}

impl Wire for Stream {
    fn poll_ready(&mut self, cx: &mut Context<'_>, read: bool, write: bool) -> Poll<Ready> {
        let over = self.end().is_some();
        let hub = self.utp.hub.borrow();
        let has_come = hub.connection(self.key).is_none_or(|connection| connection.readable_bytes() > 0 || connection.is_read_out());
        let ready = Ready { read: read && (over || has_come), write: write && (over || hub.room(self.key) > 0) };
        if ready.read || ready.write {
            return Poll::Ready(ready);
        }
        self.utp.wait(self.key, cx);
        Poll::Pending
    }

    fn try_read(&mut self, into: &mut BytesMut, most: usize) -> io::Result<usize> {
        let length = self.utp.hub.borrow_mut().read(self.key, into, most);
        if length > 0 {
            // The peer may wait to hear that there is room again.
            self.utp.bell.notify_one();
            return Ok(length);
        }
        let is_read_out = self.utp.hub.borrow().connection(self.key).is_some_and(hexad_utp::Connection::is_read_out);
        match self.end() {
            _ if is_read_out => Ok(0),
            None => Err(io::ErrorKind::WouldBlock.into()),
            Some(End::InOrder) => Ok(0),
            Some(End::Reset) => Err(io::ErrorKind::ConnectionReset.into()),
            Some(End::TimedOut) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.end().is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let length = self.utp.hub.borrow_mut().write(self.key, bytes);
        if length == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.utp.pump();
        self.utp.bell.notify_one();
        Ok(length)
    }

    fn finish(&mut self) {
        self.utp.hub.borrow_mut().finish(self.key);
        self.utp.pump();
        self.utp.bell.notify_one();
    }

    async fn linger(&mut self) {
        let heard = poll_fn(|cx| {
            let hub = self.utp.hub.borrow();
            let gone = hub.connection(self.key).is_none_or(|connection| connection.has_said_all() || connection.end().is_some());
            if gone {
                return Poll::Ready(());
            }
            self.utp.wait(self.key, cx);
            Poll::Pending
        });
        self.utp.hub.borrow_mut().finish(self.key);
        self.utp.pump();
        self.utp.bell.notify_one();
        let _ = timeout(LAST_WORDS, heard).await;
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let now = self.utp.now();
        self.utp.waiting.borrow_mut().remove(&self.key);
        self.utp.hub.borrow_mut().release(self.key, now);
        self.utp.bell.notify_one();
    }
}
