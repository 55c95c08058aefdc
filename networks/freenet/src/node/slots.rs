//! The slots of one shelf: found by name, and in the order in which they were last asked for.
//!
//! A full store has hundreds of thousands, so that a slot is 48 bytes and all about it is in it: its neighbours in the order are numbers of
//! slots, and whatever finds it by name holds its number and nothing else.

use hashbrown::HashTable;

use crate::keys::{Block, Location};

/// A salted hash of a key.
pub(super) type Name = [u8; 16];

/// The number of no slot.
const NOWHERE: u32 = u32::MAX;

/// What is known of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) name: Name,
    pub(super) location: Location,
    /// The clock when it was last asked for; zero for a slot that is free.
    pub(super) used: u64,
    pub(super) hits: u32,
    before: u32,
    after: u32,
}

impl Slot {
    const FREE: Self = Self { name: [0; 16], location: Location(0), used: 0, hits: 0, before: NOWHERE, after: NOWHERE };
}

/// The ends of a row of slots that name each other.
#[derive(Clone, Copy, Debug)]
struct Row {
    first: u32,
    last: u32,
}

/// All slots of a shelf.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    by_name: HashTable<u32>,
    /// What is held, from what was not asked for for longest on.
    held: Row,
    free: Row,
    /// Whether what is held stands in that order: what was read from the disk does not.
    is_ordered: bool,
    capacity: u32,
    /// What is not on the disk, by slots. Elsewhere, so that an index of blocks that are there is small.
    blocks: Vec<Option<Box<Block>>>,
}

impl Slots {
    /// No slot is made before it is needed.
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = u32::try_from(capacity).unwrap_or(NOWHERE).min(NOWHERE - 1);
        let row = Row { first: NOWHERE, last: NOWHERE };
        let (slots, blocks) = (Vec::new(), Vec::new());
        Self { slots, by_name: HashTable::new(), held: row, free: row, is_ordered: true, capacity, blocks }
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// The slot of that number, if something is in it.
    pub(super) fn slot(&self, at: u32) -> Option<&Slot> {
        self.slots.get(at as usize).filter(|slot| slot.used != 0)
    }

    /// What is in any slot.
    pub(super) fn all(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| slot.used != 0)
    }

    /// In which slot something of that name is.
    pub(super) fn find(&self, name: &Name) -> Option<u32> {
        self.by_name.find(hash(name), |&at| self.slots[at as usize].name == *name).copied()
    }

    /// What is in a slot was asked for; returns the block, where that is in memory.
    pub(super) fn ask(&mut self, at: u32, clock: u64) -> Option<&Block> {
        self.unlink(at);
        let slot = &mut self.slots[at as usize];
        slot.used = clock;
        slot.hits = slot.hits.saturating_add(1);
        self.link(at);
        self.blocks.get(at as usize).and_then(Option::as_deref)
    }

    /// Puts something of a name that is not here into a slot, where it counts as just asked for. What was not asked for for longest makes room.
    /// `None` where there is no room at all.
    pub(super) fn put(&mut self, name: Name, location: Location, clock: u64, block: Option<Box<Block>>) -> Option<u32> {
        if self.capacity == 0 {
            return None;
        }
        if self.len() >= self.capacity as usize {
            self.order();
            self.remove(self.held.first);
        }
        if self.free.first == NOWHERE {
            self.grow(u32::try_from(self.slots.len()).unwrap_or(NOWHERE));
        }
        let at = self.free.first;
        self.fill(at, name, location, clock);
        if let Some(block) = block {
            let needed = self.blocks.len().max(at as usize + 1);
            self.blocks.resize(needed, None);
            self.blocks[at as usize] = Some(block);
        }
        Some(at)
    }

    /// Takes in what the disk says of a slot. False where that cannot be.
    pub(super) fn load(&mut self, at: u32, name: Name, location: Location, used: u64) -> bool {
        let is_taken = self.slot(at).is_some() || self.find(&name).is_some();
        if at >= self.capacity || used == 0 || is_taken {
            return false;
        }
        if at as usize >= self.slots.len() {
            self.grow(at);
        }
        self.fill(at, name, location, used);
        self.is_ordered = false;
        true
    }

    /// Empties a slot.
    pub(super) fn remove(&mut self, at: u32) {
        let Some(&Slot { name, .. }) = self.slot(at) else { return };
        if let Ok(entry) = self.by_name.find_entry(hash(&name), |&other| other == at) {
            entry.remove();
        }
        self.unlink(at);
        self.slots[at as usize] = Slot::FREE;
        self.link(at);
        if let Some(block) = self.blocks.get_mut(at as usize) {
            *block = None;
        }
    }

    /// Fills a slot that is free.
    fn fill(&mut self, at: u32, name: Name, location: Location, used: u64) {
        self.unlink(at);
        self.slots[at as usize] = Slot { name, location, used, ..Slot::FREE };
        self.link(at);
        let slots = &self.slots;
        self.by_name.insert_unique(hash(&name), at, |&other| hash(&slots[other as usize].name));
    }

    /// Makes slots up to that one.
    fn grow(&mut self, upto: u32) {
        if self.slots.len() == self.slots.capacity() {
            // Half as much again, and never more than there will be.
            let (has, wanted) = (self.slots.len(), upto as usize + 1);
            let room = wanted.max(has + has / 2).max(16).min(self.capacity as usize);
            self.slots.reserve_exact(room.max(wanted) - has);
        }
        while self.slots.len() <= upto as usize {
            let at = u32::try_from(self.slots.len()).unwrap_or(NOWHERE);
            self.slots.push(Slot::FREE);
            self.link(at);
        }
    }

    /// Puts what is held in the order of its use, if it is not.
    fn order(&mut self) {
        if std::mem::replace(&mut self.is_ordered, true) {
            return;
        }
        let number = |at: usize| u32::try_from(at).unwrap_or(NOWHERE);
        let mut held: Vec<u32> = (0..self.slots.len()).map(number).filter(|&at| self.slot(at).is_some()).collect();
        held.sort_unstable_by_key(|&at| (self.slots[at as usize].used, at));
        self.held = Row { first: NOWHERE, last: NOWHERE };
        held.into_iter().for_each(|at| self.link(at));
    }

    /// The row in which a slot stands.
    fn row(&mut self, at: u32) -> &mut Row {
        if self.slots[at as usize].used == 0 { &mut self.free } else { &mut self.held }
    }

    /// Puts a slot at the end of its row.
    fn link(&mut self, at: u32) {
        let row = self.row(at);
        let before = std::mem::replace(&mut row.last, at);
        if before == NOWHERE {
            row.first = at;
        } else {
            self.slots[before as usize].after = at;
        }
        let slot = &mut self.slots[at as usize];
        (slot.before, slot.after) = (before, NOWHERE);
    }

    /// Takes a slot out of its row.
    fn unlink(&mut self, at: u32) {
        let Slot { before, after, .. } = self.slots[at as usize];
        if before == NOWHERE {
            self.row(at).first = after;
        } else {
            self.slots[before as usize].after = after;
        }
        if after == NOWHERE {
            self.row(at).last = before;
        } else {
            self.slots[after as usize].before = before;
        }
    }
}

/// Names are hashes, and salted, so that nobody chooses where they fall.
fn hash(name: &Name) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&name[..8]);
    u64::from_le_bytes(first)
}
