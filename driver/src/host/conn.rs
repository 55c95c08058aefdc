//! The life of one connection: dialled or accepted, read and written, closed.
//!
//! A connection's task reads until its wire is dry, lets the node hear all of it, and writes what the node has queued in one go.
//! Ranges of shares stay ranges until the wire takes bytes again.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use hexad_core::{
    Address as _, Codec as _, ConnId, Cue, Dial, Door, Endpoint, Input, LeaseId, Level, Malformed, Network, Role, ShareId, Via, Why,
};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::handle::MessageOf;
use super::line::{Fate, LineCell};
use super::outgoing::{Gap, Outgoing};
use super::pool::READ_BYTES;
use super::reach::{canonical, is_private};
use super::stage::{Aftermath, Seat, Stage};
use super::wire::{Ready, Wire};
use crate::limits::Hold;
use crate::proxy::Proxy;

/// A buffer is not filled up to its last byte: reads of a few bytes cost as much as large ones.
const READ_BYTES_MIN: usize = 16 << 10;
/// What is left of a batch and longer than this stays in a buffer of its own, so that it is not copied with each read.
const REST_BYTES_COPIED_MAX: usize = 64 << 10;
/// What a connection keeps for the next message to be encoded in.
const SCRATCH_BYTES_KEPT: usize = 64 << 10;
/// A message may be this long; codecs have narrower bounds of their own.
const REST_BYTES_MAX: usize = 64 << 20;
/// When nothing came for so long, [`Cue::Quiet`] is given.
const QUIET: Duration = Duration::from_millis(100);
/// A connection that the node closes is read this far, so that the system does not answer unread bytes with a reset that overtakes our last words.
const LAST_READS_MAX: usize = 4;

type Cell<N> = Rc<LineCell<MessageOf<N>>>;

/// Opens a connection and lives through it.
pub(super) async fn dial<N: Network>(stage: Rc<Stage<N>>, conn: ConnId, cell: Cell<N>, to: Endpoint, dial: Dial, seat: Seat<N>) {
    let reached = tokio::select! {
        biased;
        () = cell.ended() => return,
        reached = reach(&stage, &to, dial.deadline) => reached,
    };
    // The node may have closed it while the socket connected.
    if cell.fate().is_some() {
        return;
    }
    let (stream, peer) = match reached {
        Ok(reached) => reached,
        Err(why) => {
            stage.closed(conn, why);
            return stage.settle();
        }
    };
    let codec = stage.codec(Role::Dialler, Some(&dial));
    Talk::new(stage, conn, cell, codec, stream, seat).live(Endpoint::Ip(peer), Via::Dialled).await;
}

/// Takes a connection in that has come through a door.
pub(super) fn accept<N: Network>(stage: &Rc<Stage<N>>, door: Door, stream: TcpStream, peer: SocketAddr) {
    let peer = canonical(peer);
    let Some(seat) = stage.seat() else {
        let peer = <N::Node as hexad_core::Node>::Addr::of_socket(peer);
        return stage.note(Level::Drop, "no_room_for_connection", peer, "closed at once: as many connections are open as may be");
    };
    let (conn, cell) = stage.accept();
    let codec = stage.codec(Role::Acceptor, None);
    stage.spawn(Talk::new(stage.clone(), conn, cell, codec, stream, seat).live(Endpoint::Ip(peer), Via::Accepted(door)));
}

/// Waits for its turn, then connects within the deadline.
async fn reach<N: Network>(stage: &Stage<N>, to: &Endpoint, deadline: Duration) -> Result<(TcpStream, SocketAddr), Why> {
    let Ok(_turn) = stage.dials.acquire().await else { return Err(Why::NoRoom) };
    let connecting = async {
        if let Some(proxy) = &stage.config.proxy {
            return led(stage, proxy, to).await;
        }
        let addresses = match to {
            Endpoint::Name(name) => stage.asks.names.resolve(&name.host, name.port).await.map_err(|_| Why::NoSuchName)?,
            Endpoint::Ip(socket) | Endpoint::Key(_, socket) => vec![*socket],
        };
        let mut why = Why::Unreachable;
        for address in addresses {
            if !stage.config.outside && !is_private(address.ip()) {
                stage.note(Level::Debug, "outside_not_allowed", None, address.to_string());
                continue;
            }
            match connect(address, stage.config.source, stage.config.interface.as_deref()).await {
                Ok(stream) => return Ok((stream, address)),
                Err(error) => why = why_not(&error),
            }
        }
        Err(why)
    };
    timeout(deadline, connecting).await.unwrap_or(Err(Why::TimedOut))
}

/// Connects by way of the proxy, and no other way. The peer of a name has the proxy's address: nobody tells another.
async fn led<N: Network>(stage: &Stage<N>, proxy: &Proxy, to: &Endpoint) -> Result<(TcpStream, SocketAddr), Why> {
    let to = match to {
        Endpoint::Key(_, socket) => Endpoint::Ip(*socket),
        Endpoint::Name(name) => match name.host.trim_matches(['[', ']']).parse() {
            Ok(ip) => Endpoint::Ip(SocketAddr::new(ip, name.port)),
            Err(_) => to.clone(),
        },
        Endpoint::Ip(_) => to.clone(),
    };
    let peer = if let Endpoint::Ip(socket) = to { Some(socket) } else { None };
    // Where a name leads is not known here.
    if !stage.config.outside && !peer.is_some_and(|peer| is_private(peer.ip())) {
        stage.note(Level::Debug, "outside_not_allowed", None, format!("{to:?}"));
        return Err(Why::Unreachable);
    }
    let leading = async {
        let mut stream = connect(proxy.address(), None, stage.config.interface.as_deref()).await?;
        proxy.lead(&mut stream, &to).await?;
        Ok(stream)
    };
    match leading.await {
        Ok(stream) => Ok((stream, peer.unwrap_or_else(|| proxy.address()))),
        Err(error) => {
            stage.note(Level::Debug, "proxy_did_not_lead", None, format!("{to:?}: {error}"));
            Err(why_not(&error))
        }
    }
}

/// A connection from `source` and over `interface`, where those are given.
pub(crate) async fn connect(to: SocketAddr, source: Option<IpAddr>, interface: Option<&str>) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_nodelay(true)?;
    if interface.is_some() {
        socket2::SockRef::from(&socket).bind_device(interface.map(str::as_bytes))?;
    }
    if let Some(source) = source.filter(|source| source.is_ipv4() == to.is_ipv4()) {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    socket.connect(to).await
}

fn why_not(error: &io::Error) -> Why {
    if out_of_descriptors(error) {
        return Why::NoRoom;
    }
    match error.kind() {
        io::ErrorKind::TimedOut => Why::TimedOut,
        _ => Why::Unreachable,
    }
}

/// Whether the process or the system has no descriptor left.
pub(super) fn out_of_descriptors(error: &io::Error) -> bool {
    [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// A cold read: the buffer comes back with what was read, or why it could not be.
type Cold = JoinHandle<(Outgoing, io::Result<()>)>;

/// One open connection.
pub(super) struct Talk<N: Network, W> {
    stage: Rc<Stage<N>>,
    conn: ConnId,
    cell: Cell<N>,
    codec: N::Codec,
    wire: W,
    /// What has been read and not understood yet.
    rest: BytesMut,
    reply: BytesMut,
    scratch: BytesMut,
    out: Outgoing,
    /// A write waits for a disk: where what is not sealed yet begins, and the read.
    cold: Option<(usize, Cold)>,
    /// What the codec itself had to say while a write waited for a disk.
    late: Vec<u8>,
    /// The wire took less than it was given.
    blocked: bool,
    quiet_at: Option<Instant>,
    /// Under which lease it last brought bytes.
    lease: Option<LeaseId>,
    /// The share of which it last took bytes.
    share: Option<ShareId>,
    /// Limits have it wait before it reads, and before it writes.
    reads: Option<Hold>,
    writes: Option<Hold>,
    _seat: Seat<N>,
}

impl<N: Network, W: Wire> Talk<N, W> {
    pub(super) fn new(stage: Rc<Stage<N>>, conn: ConnId, cell: Cell<N>, codec: N::Codec, wire: W, seat: Seat<N>) -> Self {
        Self {
            stage,
            conn,
            cell,
            codec,
            wire,
            rest: BytesMut::new(),
            reply: BytesMut::new(),
            scratch: BytesMut::new(),
            out: Outgoing::new(),
            cold: None,
            late: Vec::new(),
            blocked: false,
            quiet_at: None,
            lease: None,
            share: None,
            reads: None,
            writes: None,
            _seat: seat,
        }
    }

    /// Lives through the connection from its opening to its end.
    pub(super) async fn live(mut self, peer: Endpoint, via: Via) {
        // The host may have ended before this task's first turn.
        if self.cell.fate().is_some() {
            return;
        }
        self.cell.set_opened();
        self.cell.busy.set(true);
        let Some(peer) = hexad_core::Address::of_endpoint(peer) else { return self.end(Why::Unreachable) };
        // What a codec has to say first leaves before anything that the node says.
        let mut nothing = BytesMut::new();
        let first = self.codec.decode(Cue::Opened, &mut nothing, &mut self.reply);
        self.take_reply();
        self.stage.opened(self.conn, peer, via);
        self.stage.settle();
        let started = match first {
            Ok(None) => Ok(()),
            Ok(Some(message)) => {
                if self.cell.fate().is_none() {
                    let aftermath = self.stage.hear_message(self.stage.now(), self.conn, message);
                    self.account(aftermath);
                    self.stage.settle();
                }
                Ok(())
            }
            Err(malformed) => Err(why_malformed(malformed)),
        };
        let lived = match started {
            Ok(()) => self.go_on().await,
            Err(why) => Err(why),
        };
        let in_order = matches!(lived, Ok(()) | Err(Why::PeerClosed));
        if let Err(why) = lived {
            self.end(why);
        }
        if in_order {
            self.wire.linger().await;
        }
    }

    fn end(&self, why: Why) {
        self.stage.closed(self.conn, why);
        self.stage.settle();
    }

    /// Returns when the node has closed the connection; fails when something else has ended it.
    async fn go_on(&mut self) -> Result<(), Why> {
        loop {
            self.cell.busy.set(true);
            match self.cell.fate() {
                Some(Fate::Closed(reason)) => {
                    tracing::debug!(network = N::NAME, conn = self.conn.0, %reason, "closed");
                    self.part();
                    return Ok(());
                }
                Some(Fate::Overrun) => return Ok(()),
                None => {
                    self.push_out()?;
                    self.make_room();
                }
            }
            if self.cell.fate().is_some() {
                continue;
            }
            let waiting = self.is_anything_to_write();
            self.cell.pending.set(waiting || self.cold.is_some());
            self.cell.busy.set(false);
            let held = [self.look(|talk| &mut talk.reads), self.look(|talk| &mut talk.writes)];
            let reads = !self.stage.is_paused() && held[0].is_none();
            let writes = (waiting && held[1].is_none()) || self.wire.holds_back();
            let held_until = held.into_iter().flatten().min();
            let (wire, cold) = (&mut self.wire, &mut self.cold);
            let quiet_at = self.quiet_at;
            tokio::select! {
                biased;
                (outgoing, read) = async {
                    match cold {
                        Some((_, read)) => read.await.unwrap_or_else(|_| (Outgoing::new(), Err(io::ErrorKind::Interrupted.into()))),
                        None => std::future::pending().await,
                    }
                } => self.thaw(outgoing, read)?,
                ready = std::future::poll_fn(|cx| wire.poll_ready(cx, reads, writes)) => {
                    let Ready { read, write } = ready;
                    self.blocked &= !write;
                    if read {
                        self.cell.busy.set(true);
                        self.pull_in()?;
                    }
                }
                () = self.cell.bell.notified() => {}
                () = until(held_until) => {}
                () = until(quiet_at) => {
                    self.quiet_at = None;
                    self.cell.busy.set(true);
                    let mut input = std::mem::take(&mut self.rest);
                    let heard = self.decode(Cue::Quiet, &mut input);
                    self.rest = input;
                    heard?;
                }
            }
        }
    }

    fn is_anything_to_write(&self) -> bool {
        !self.out.is_empty() || (self.cold.is_none() && !self.cell.line().is_empty())
    }

    /// Reads until the wire is dry or the buffer is full, and lets the node hear it.
    fn pull_in(&mut self) -> Result<(), Why> {
        let mut input = if self.rest.len() > REST_BYTES_COPIED_MAX {
            let mut input = std::mem::take(&mut self.rest);
            // As much again, so that a long message is copied a few times at most and holds not much more than what has come of it.
            input.reserve(input.len().min(READ_BYTES));
            input
        } else {
            let mut input = self.stage.pool.borrow_mut().take_read();
            input.extend_from_slice(&self.rest);
            self.rest.clear();
            input
        };
        let before = input.len();
        let mut over = None;
        let turn = self.stage.config.limits.down_turn(self.lease);
        while input.capacity() - input.len() >= READ_BYTES_MIN {
            match self.wire.try_read(&mut input, turn.unwrap_or(usize::MAX)) {
                Ok(0) => {
                    over = Some(Why::PeerClosed);
                    break;
                }
                Ok(_) if turn.is_some() => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    over = Some(Why::Broken);
                    break;
                }
            }
        }
        let came = input.len() > before;
        if came {
            let limits = &self.stage.config.limits;
            self.reads = Hold::longer(self.reads, limits.received((input.len() - before) as u64, Instant::now().into()));
        }
        let mut heard = if came { self.decode(Cue::Bytes, &mut input) } else { Ok(()) };
        if heard.is_ok() && over == Some(Why::PeerClosed) && self.cell.fate().is_none() {
            heard = self.decode(Cue::Eof, &mut input);
        }
        if came && N::WANTS_QUIET {
            self.quiet_at = Some(Instant::now() + QUIET);
        }
        self.keep_rest(input)?;
        heard?;
        match over {
            Some(why) if self.cell.fate().is_none() => {
                // The peer may still read what it was answered.
                if why == Why::PeerClosed {
                    self.part();
                }
                Err(why)
            }
            _ => Ok(()),
        }
    }

    fn keep_rest(&mut self, input: BytesMut) -> Result<(), Why> {
        if input.len() > REST_BYTES_MAX {
            return Err(Why::Malformed(format!("a message is over {REST_BYTES_MAX} bytes").into()));
        }
        if input.len() > REST_BYTES_COPIED_MAX && input.capacity() <= 4 * input.len() {
            self.rest = input;
        } else {
            self.rest = BytesMut::from(&input[..]);
            self.stage.pool.borrow_mut().give_read(input);
        }
        Ok(())
    }

    /// Decodes all that can be, and lets the node hear it.
    fn decode(&mut self, cue: Cue, input: &mut BytesMut) -> Result<(), Why> {
        let now = self.stage.now();
        let done = loop {
            match self.codec.decode(cue, input, &mut self.reply) {
                Ok(Some(message)) => {
                    let aftermath = self.stage.hear_message(now, self.conn, message);
                    self.account(aftermath);
                    if aftermath.closed {
                        break Ok(());
                    }
                }
                Ok(None) => break Ok(()),
                Err(malformed) => break Err(why_malformed(malformed)),
            }
        };
        self.take_reply();
        self.stage.settle();
        // Whoever closed it in time need not hear what came after.
        if self.cell.fate().is_some() { Ok(()) } else { done }
    }

    /// What came under a lease has a limit of its own.
    fn account(&mut self, aftermath: Aftermath) {
        let Some(lease) = aftermath.lease else { return };
        self.lease = Some(lease);
        let hold = self.stage.config.limits.delivered(lease, aftermath.delivered, Instant::now().into());
        self.reads = Hold::longer(self.reads, hold);
    }

    /// When a hold is to be looked at again; one that is over is forgotten.
    fn look(&mut self, hold: impl Fn(&mut Self) -> &mut Option<Hold>) -> Option<Instant> {
        let now = hold(self).is_some().then(Instant::now)?;
        let at = (*hold(self))?.look_at(&self.stage.config.limits, now.into());
        if at.is_none() {
            *hold(self) = None;
        }
        at.map(Instant::from)
    }

    fn take_reply(&mut self) {
        if self.reply.is_empty() {
            return;
        }
        // Behind a write that waits for a disk: that was encoded earlier.
        if self.cold.is_some() {
            self.late.extend_from_slice(&self.reply);
        } else {
            self.out.append(&self.reply, &mut self.stage.pool.borrow_mut());
        }
        self.reply.clear();
    }

    /// Puts one write together and gives it to the wire.
    fn push_out(&mut self) -> Result<(), Why> {
        if self.blocked || self.look(|talk| &mut talk.writes).is_some() {
            return Ok(());
        }
        if self.cold.is_none() && self.out.is_light() && !self.cell.line().is_empty() {
            self.compose()?;
        }
        self.write()
    }

    fn compose(&mut self) -> Result<(), Why> {
        let (start, gaps) = {
            let mut line = self.cell.line_mut();
            self.share = line.share().or(self.share);
            self.out.compose(&mut line, &mut self.codec, &mut self.scratch, &mut self.stage.pool.borrow_mut())
        };
        if self.scratch.capacity() > SCRATCH_BYTES_KEPT {
            self.scratch = BytesMut::new();
        }
        match self.out.fill(&gaps, &*self.stage.read_share, true) {
            (_, Ok(())) => self.out.seal(start, &mut self.codec),
            (filled, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => self.freeze(start, gaps, filled),
            (_, Err(error)) => return Err(self.unreadable(&error)),
        }
        Ok(())
    }

    /// Lets a blocking thread read what is not in memory.
    fn freeze(&mut self, start: usize, gaps: Vec<Gap>, filled: usize) {
        let mut out = std::mem::replace(&mut self.out, Outgoing::new());
        let source = self.stage.read_share.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let (_, read) = out.fill(&gaps[filled..], &*source, false);
            (out, read)
        });
        self.cold = Some((start, reading));
    }

    /// Goes on with a write that waited for a disk.
    fn thaw(&mut self, out: Outgoing, read: io::Result<()>) -> Result<(), Why> {
        let start = self.cold.take().map_or(0, |(start, _)| start);
        read.map_err(|error| self.unreadable(&error))?;
        self.out = out;
        self.out.seal(start, &mut self.codec);
        let late = std::mem::take(&mut self.late);
        if !late.is_empty() {
            self.out.append(&late, &mut self.stage.pool.borrow_mut());
        }
        Ok(())
    }

    fn unreadable(&self, error: &io::Error) -> Why {
        self.stage.note(Level::Warn, "share_unreadable", None, format!("a share cannot be read: {error}"));
        Why::Ours(format!("share unreadable: {error}").into())
    }

    /// Gives the wire what it takes.
    fn write(&mut self) -> Result<(), Why> {
        let (mut taken, mut of_shares) = (0, 0);
        let mut broken = false;
        // A few words about what is moved count, and wait for nobody.
        let turn = if self.out.is_light() { None } else { self.stage.config.limits.up_turn(self.share) };
        while !self.out.is_empty() {
            let unsent = self.out.unsent();
            let bytes = turn.map_or(unsent, |turn| &unsent[..unsent.len().min(turn.saturating_sub(taken))]);
            if bytes.is_empty() {
                break;
            }
            match self.wire.try_write(bytes) {
                Ok(bytes) => {
                    taken += bytes;
                    of_shares += self.out.sent(bytes, &mut self.stage.pool.borrow_mut());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = true;
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    broken = true;
                    break;
                }
            }
        }
        let hold =
            (taken > 0).then(|| self.stage.config.limits.sent(taken as u64, self.share.filter(|_| of_shares > 0), Instant::now().into()));
        if turn.is_some() {
            self.writes = hold.flatten();
        }
        if taken > 0 {
            self.out.adapt(self.blocked.then_some(taken));
        }
        self.out.slim(&mut self.stage.pool.borrow_mut());
        if of_shares > 0 && self.cell.fate().is_none() {
            self.stage.hear(Input::Sent(self.conn, of_shares));
            self.stage.settle();
        }
        if broken { Err(Why::Broken) } else { Ok(()) }
    }

    fn make_room(&self) {
        if self.cell.fate().is_none() && self.cell.room_again() {
            self.stage.hear(Input::Room(self.conn));
            self.stage.settle();
        }
    }

    /// Sends what the wire takes at once, and says that this was all.
    fn part(&mut self) {
        if self.cold.is_none() {
            let mut line = self.cell.line_mut();
            line.cut_at_share();
            if !line.is_empty() {
                let (start, _) = self.out.compose(&mut line, &mut self.codec, &mut self.scratch, &mut self.stage.pool.borrow_mut());
                self.out.seal(start, &mut self.codec);
            }
        }
        while !self.out.is_empty()
            && let Ok(bytes) = self.wire.try_write(self.out.unsent())
        {
            self.out.sent(bytes, &mut self.stage.pool.borrow_mut());
        }
        self.wire.finish();
        let mut unread = self.stage.pool.borrow_mut().take_read();
        for _ in 0..LAST_READS_MAX {
            unread.clear();
            if !matches!(self.wire.try_read(&mut unread, usize::MAX), Ok(1..)) {
                break;
            }
        }
        self.stage.pool.borrow_mut().give_read(unread);
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

fn why_malformed(malformed: Malformed) -> Why {
    Why::Malformed(match malformed.offset {
        0 => malformed.reason,
        _ => malformed.to_string().into(),
    })
}
