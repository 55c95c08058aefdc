//! What waits to be sent, by connection. Messages wait as messages, ranges of shares as ranges.

use std::borrow::Cow;
use std::cell::{Cell, Ref, RefCell, RefMut};
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

use hexad_core::{ConnId, Map, Message, Network, Rooms, ShareId};
use tokio::sync::Notify;

use super::handle::MessageOf;

/// One thing that waits.
pub(super) enum Item<M> {
    /// A message.
    Plain { message: M, bytes: u64 },
    /// A range of a share; the message goes before it, and is `None` when it has gone.
    Share { message: Option<M>, bytes: u64, share: ShareId, range: Range<u64> },
}

impl<M> Item<M> {
    /// What counts against the bound: bytes of the message, and what the item takes in memory.
    const fn held_bytes(&self) -> u64 {
        let (Self::Plain { bytes, .. } | Self::Share { bytes, .. }) = self;
        *bytes + size_of::<Self>() as u64
    }

    /// What counts against the mark: bytes that are still to go out.
    fn queued_bytes(&self) -> u64 {
        match self {
            Self::Plain { bytes, .. } => *bytes,
            Self::Share { message, bytes, range, .. } => range.end - range.start + if message.is_some() { *bytes } else { 0 },
        }
    }
}

/// Why the host lets go of a connection that the node hears nothing more of.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    /// The node closed it, because of this.
    Closed(Cow<'static, str>),
    /// The queue was overrun.
    Overrun,
}

/// The queue of one connection.
pub(super) struct Line<M> {
    queue: VecDeque<Item<M>>,
    held_bytes: u64,
    queued_bytes: u64,
    over: bool,
    opened: bool,
    fate: Option<Fate>,
}

impl<M> Line<M> {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn front_mut(&mut self) -> Option<&mut Item<M>> {
        self.queue.front_mut()
    }

    /// The first share of which something waits.
    pub(super) fn share(&self) -> Option<ShareId> {
        self.queue.iter().find_map(|item| match item {
            Item::Share { share, .. } => Some(*share),
            Item::Plain { .. } => None,
        })
    }

    /// Takes the first item out.
    pub(super) fn pop(&mut self) {
        if let Some(item) = self.queue.pop_front() {
            self.held_bytes -= item.held_bytes();
        }
    }

    /// So many bytes of the first item have gone on their way.
    pub(super) fn gone(&mut self, bytes: u64) {
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes);
    }

    /// Keeps only the messages before the first range.
    pub(super) fn cut_at_share(&mut self) {
        let plain = self.queue.iter().position(|item| matches!(item, Item::Share { .. })).unwrap_or(self.queue.len());
        self.queue.truncate(plain);
        self.count();
    }

    fn unsend(&mut self) {
        self.queue.retain(|item| !matches!(item, Item::Share { message: Some(_), .. }));
        self.count();
    }

    fn count(&mut self) {
        self.held_bytes = self.queue.iter().map(Item::held_bytes).sum();
        self.queued_bytes = self.queue.iter().map(Item::queued_bytes).sum();
    }
}

/// The queue of one connection, shared between the stage and the connection's task.
pub(super) struct LineCell<M> {
    line: RefCell<Line<M>>,
    /// Rung when the task must look at its line again.
    pub(super) bell: Notify,
    /// The task is at work and looks at its line before it waits.
    pub(super) busy: Cell<bool>,
    /// The task holds something that has not left yet.
    pub(super) pending: Cell<bool>,
    mark_bytes: u64,
}

impl<M> LineCell<M> {
    pub(super) fn line(&self) -> Ref<'_, Line<M>> {
        self.line.borrow()
    }

    pub(super) fn line_mut(&self) -> RefMut<'_, Line<M>> {
        self.line.borrow_mut()
    }

    pub(super) fn fate(&self) -> Option<Fate> {
        self.line.borrow().fate.clone()
    }

    /// Waits until the node or the host lets go of the connection.
    pub(super) async fn ended(&self) {
        while self.fate().is_none() {
            self.bell.notified().await;
        }
    }

    pub(super) fn set_opened(&self) {
        self.line.borrow_mut().opened = true;
    }

    /// Whether the node must be told that there is room again. Says so once.
    pub(super) fn room_again(&self) -> bool {
        let mut line = self.line.borrow_mut();
        let again = line.over && line.queued_bytes <= self.mark_bytes / 2;
        line.over &= !again;
        again
    }

    fn ring(&self) {
        if !self.busy.get() {
            self.bell.notify_one();
        }
    }
}

/// The queues of all connections that the node knows of.
pub(super) struct Lines<N: Network> {
    by_conn: Map<ConnId, Rc<LineCell<MessageOf<N>>>>,
    held_bytes_max: u64,
    mark_bytes: u64,
}

impl<N: Network> Rooms for Lines<N> {
    fn room(&self, conn: ConnId) -> u64 {
        let Some(cell) = self.by_conn.get(&conn) else { return 0 };
        let line = cell.line.borrow();
        if line.opened { self.mark_bytes.saturating_sub(line.queued_bytes) } else { 0 }
    }
}

impl<N: Network> Lines<N> {
    pub(super) const fn new(held_bytes_max: u64, mark_bytes: u64) -> Self {
        Self { by_conn: Map::new(), held_bytes_max, mark_bytes }
    }

    /// Adds the line of a connection.
    pub(super) fn add(&mut self, conn: ConnId) -> Rc<LineCell<MessageOf<N>>> {
        let line = Line { queue: VecDeque::new(), held_bytes: 0, queued_bytes: 0, over: false, opened: false, fate: None };
        let cell = Rc::new(LineCell {
            line: RefCell::new(line),
            bell: Notify::new(),
            busy: Cell::new(false),
            pending: Cell::new(false),
            mark_bytes: self.mark_bytes,
        });
        self.by_conn.insert(conn, cell.clone());
        cell
    }

    /// Forgets a connection; false when it was not known, so that the node need not hear of its end.
    pub(super) fn remove(&mut self, conn: ConnId) -> bool {
        self.by_conn.remove(&conn).is_some()
    }

    /// Forgets a connection and lets its task know why; false when it was not known.
    pub(super) fn end(&mut self, conn: ConnId, fate: Fate) -> bool {
        let Some(cell) = self.by_conn.remove(&conn) else { return false };
        cell.line.borrow_mut().fate = Some(fate);
        cell.ring();
        true
    }

    /// Queues a message, with a range of a share behind it or without.
    ///
    /// # Errors
    /// When the queue holds more than the host allows.
    pub(super) fn send(&self, conn: ConnId, message: MessageOf<N>, share: Option<(ShareId, Range<u64>)>) -> Result<(), ()> {
        let Some(cell) = self.by_conn.get(&conn) else { return Ok(()) };
        let bytes = message.wire_bytes();
        let item = match share {
            Some((share, range)) => Item::Share { message: Some(message), bytes, share, range: range.start..range.end.max(range.start) },
            None => Item::Plain { message, bytes },
        };
        let mut line = cell.line.borrow_mut();
        line.held_bytes += item.held_bytes();
        line.queued_bytes += item.queued_bytes();
        line.over |= line.queued_bytes > self.mark_bytes;
        line.queue.push_back(item);
        if line.held_bytes > self.held_bytes_max {
            return Err(());
        }
        cell.ring();
        Ok(())
    }

    /// Takes back every range that has not begun to leave.
    pub(super) fn unsend(&self, conn: ConnId) {
        if let Some(cell) = self.by_conn.get(&conn) {
            cell.line.borrow_mut().unsend();
            // There may be room again.
            cell.ring();
        }
    }

    /// Lets go of every connection.
    pub(super) fn end_all(&mut self, reason: &'static str) {
        while let Some(conn) = self.by_conn.keys().next().copied() {
            self.end(conn, Fate::Closed(Cow::Borrowed(reason)));
        }
    }

    /// Whether nothing waits to be sent on open connections.
    pub(super) fn is_idle(&self) -> bool {
        self.by_conn.values().all(|cell| {
            let line = cell.line.borrow();
            !line.opened || (line.queue.is_empty() && !cell.pending.get())
        })
    }

    /// Lets every task look at its line.
    pub(super) fn ring_all(&self) {
        self.by_conn.values().for_each(|cell| cell.bell.notify_one());
    }
}
