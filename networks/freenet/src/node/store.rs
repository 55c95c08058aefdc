//! Two shelves of blocks, the store and the cache: each forgets what nobody has asked for for longest.
//!
//! The index is in memory under salted hashes, so that neither it nor what is on the disk tells which keys are there to somebody who does not
//! ask for one of them. On the disk a block is enciphered under its routing key, which is not written anywhere.

use bytes::{BufMut as _, Bytes, BytesMut};
use hexad_core::{Map, Payload, Set};

use crate::keys::{Block, Location, NodeKey, Stream, hmac, sha256};
use crate::wire::Fields;

/// Slots that one page of the index on the disk describes.
pub const PAGE_SLOTS: u32 = 64;
/// Bucket of blocks, and bucket of pages.
pub const BLOCKS: &str = "freenet-blocks";
/// See [`BLOCKS`].
pub const INDEX: &str = "freenet-index";

/// Which shelf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shelf {
    /// What belongs here.
    Store,
    /// What came by.
    Cache,
}

/// A salted hash of a key.
type Name = [u8; 16];

#[derive(Clone, Debug)]
struct Slot {
    name: Name,
    location: Location,
    used: u64,
    hits: u32,
    /// What is not on the disk. Elsewhere, so that an index of blocks that are there is small.
    block: Option<Box<Block>>,
}

#[derive(Clone, Debug)]
struct Slots {
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    by_name: Map<Name, u32>,
    by_use: Map<u64, u32>,
    capacity: usize,
}

/// Where a block is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// Here it is.
    Memory(Block),
    /// On the disk, under this key of [`BLOCKS`].
    Disk(Vec<u8>),
}

/// What has to be written to the disk.
pub type Writes = Vec<(&'static str, Vec<u8>, Bytes)>;

/// Both shelves.
#[derive(Clone, Debug)]
pub struct Store {
    shelves: [Slots; 2],
    salt: [u8; 32],
    clock: u64,
    on_disk: bool,
    /// Pages of the index that are not on the disk as they are here.
    dirty: Set<(usize, u32)>,
}

impl Store {
    /// Empty shelves.
    #[must_use]
    pub fn new(store_blocks: usize, cache_blocks: usize, on_disk: bool) -> Self {
        let slots = |capacity| Slots { slots: Vec::new(), free: Vec::new(), by_name: Map::new(), by_use: Map::new(), capacity };
        Self { shelves: [slots(store_blocks), slots(cache_blocks)], salt: [0; 32], clock: 0, on_disk, dirty: Set::new() }
    }

    /// What salts the names; to be set before anything is stored.
    pub fn set_salt(&mut self, salt: [u8; 32]) {
        self.salt = salt;
    }

    /// Blocks held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shelves.iter().map(|shelf| shelf.by_name.len()).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where on the circle lies what is held, in the store and in the cache.
    pub fn locations(&self) -> impl Iterator<Item = Location> {
        self.shelves.iter().flat_map(|shelf| shelf.slots.iter().flatten()).map(|slot| slot.location)
    }

    fn name(&self, key: &NodeKey) -> Name {
        let hash = sha256(&[&self.salt, &key.routing()]);
        let mut name = [0; 16];
        name.copy_from_slice(&hash[..16]);
        name
    }

    /// Whether a block is held.
    #[must_use]
    pub fn holds(&self, key: &NodeKey) -> bool {
        let name = self.name(key);
        self.shelves.iter().any(|shelf| shelf.by_name.contains_key(&name))
    }

    /// How often a block was asked for while it was held.
    #[must_use]
    pub fn popularity(&self, key: &NodeKey) -> u32 {
        let name = self.name(key);
        let of = |shelf: &Slots| shelf.by_name.get(&name).and_then(|&at| shelf.slots[at as usize].as_ref()).map_or(0, |slot| slot.hits);
        self.shelves.iter().map(of).max().unwrap_or(0)
    }

    /// A block, which by this counts as the last one asked for.
    pub fn ask(&mut self, key: &NodeKey) -> Option<Held> {
        let name = self.name(key);
        self.clock += 1;
        let clock = self.clock;
        for (number, shelf) in self.shelves.iter_mut().enumerate() {
            let Some(&at) = shelf.by_name.get(&name) else { continue };
            let Some(slot) = &mut shelf.slots[at as usize] else { continue };
            shelf.by_use.remove(&slot.used);
            slot.used = clock;
            slot.hits = slot.hits.saturating_add(1);
            shelf.by_use.insert(clock, at);
            return Some(match &slot.block {
                Some(block) => Held::Memory(Block::clone(block)),
                None => Held::Disk(disk_key(number, at)),
            });
        }
        None
    }

    /// Puts a block on a shelf; returns what is to be written. What is on any shelf is not put on another.
    pub fn put(&mut self, shelf: Shelf, block: &Block) -> Writes {
        let name = self.name(&block.key);
        if self.shelves.iter().any(|shelf| shelf.by_name.contains_key(&name)) {
            return Vec::new();
        }
        let number = shelf as usize;
        self.clock += 1;
        let (clock, on_disk) = (self.clock, self.on_disk);
        let shelf = &mut self.shelves[number];
        if shelf.capacity == 0 {
            return Vec::new();
        }
        if shelf.by_name.len() >= shelf.capacity
            && let Some((_, oldest)) = shelf.by_use.pop_first()
            && let Some(gone) = shelf.slots[oldest as usize].take()
        {
            shelf.by_name.remove(&gone.name);
            shelf.free.push(oldest);
        }
        let at = shelf.free.pop().unwrap_or_else(|| {
            shelf.slots.push(None);
            u32::try_from(shelf.slots.len() - 1).unwrap_or(0)
        });
        let slot = Slot { name, location: block.key.location(), used: clock, hits: 0, block: (!on_disk).then(|| Box::new(block.clone())) };
        shelf.slots[at as usize] = Some(slot);
        shelf.by_name.insert(name, at);
        shelf.by_use.insert(clock, at);
        if !on_disk {
            return Vec::new();
        }
        // The block first: a page never names what is not there yet.
        self.dirty.insert((number, at / PAGE_SLOTS));
        vec![(BLOCKS, disk_key(number, at), seal(block, &self.salt))]
    }

    /// Drops a block that could not be read back.
    pub fn drop_bad(&mut self, key: &NodeKey) {
        let name = self.name(key);
        for (number, shelf) in self.shelves.iter_mut().enumerate() {
            let Some(at) = shelf.by_name.remove(&name) else { continue };
            if let Some(slot) = shelf.slots[at as usize].take() {
                shelf.by_use.remove(&slot.used);
                shelf.free.push(at);
            }
            if self.on_disk {
                self.dirty.insert((number, at / PAGE_SLOTS));
            }
        }
    }

    /// Whether the index on the disk is behind.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// The pages of the index that have changed since this was last called.
    pub fn flush(&mut self) -> Writes {
        let dirty = std::mem::take(&mut self.dirty);
        dirty.into_iter().map(|(number, page)| self.page(number, page)).collect()
    }

    fn page(&self, number: usize, page: u32) -> (&'static str, Vec<u8>, Bytes) {
        let mut out = BytesMut::new();
        let first = page * PAGE_SLOTS;
        for at in first..first + PAGE_SLOTS {
            let Some(slot) = self.shelves[number].slots.get(at as usize).and_then(Option::as_ref) else { continue };
            out.put_u32(at);
            out.put_slice(&slot.name);
            out.put_u64(slot.location.0);
            out.put_u64(slot.used);
        }
        (INDEX, page_key(number, page), out.freeze())
    }

    /// Takes in what a page says. Pages are read when the process begins.
    pub fn load_page(&mut self, shelf: Shelf, bytes: &[u8]) {
        let shelf = &mut self.shelves[shelf as usize];
        let mut fields = Fields::new(bytes);
        while !fields.is_empty() {
            let (Ok(at), Ok(name), Ok(location), Ok(used)) = (fields.u32(), fields.array(), fields.u64(), fields.u64()) else { return };
            let fits = (at as usize) < shelf.capacity && shelf.by_name.len() < shelf.capacity;
            if !fits || shelf.by_name.contains_key(&name) || shelf.by_use.contains_key(&used) {
                continue;
            }
            while shelf.slots.len() <= at as usize {
                shelf.free.push(u32::try_from(shelf.slots.len()).unwrap_or(0));
                shelf.slots.push(None);
            }
            if shelf.slots[at as usize].is_some() {
                continue;
            }
            if let Some(free) = shelf.free.iter().rposition(|&free| free == at) {
                shelf.free.swap_remove(free);
            }
            shelf.slots[at as usize] = Some(Slot { name, location: Location(location), used, hits: 0, block: None });
            shelf.by_name.insert(name, at);
            shelf.by_use.insert(used, at);
            self.clock = self.clock.max(used);
        }
    }

    /// How many pages a shelf of that size has at the most.
    #[must_use]
    pub fn pages(&self, shelf: Shelf) -> u32 {
        u32::try_from(self.shelves[shelf as usize].capacity).unwrap_or(u32::MAX).div_ceil(PAGE_SLOTS)
    }

    /// The block that was read from the disk for `key`; `None` when it is not it.
    #[must_use]
    pub fn unseal(&self, key: &NodeKey, bytes: &Bytes) -> Option<Block> {
        let mut plain = bytes.to_vec();
        disk_stream(key, &self.salt).apply(&mut plain);
        let plain = Bytes::from(plain);
        let (header_bytes, data_bytes) = Block::lengths(key);
        if plain.len() != header_bytes + data_bytes {
            return None;
        }
        let block = Block { key: *key, header: plain.slice(..header_bytes), data: Payload::Bytes(plain.slice(header_bytes..)) };
        block.is_genuine().then_some(block)
    }
}

fn disk_stream(key: &NodeKey, salt: &[u8; 32]) -> Stream {
    Stream::new(&hmac(salt, &[&key.routing()]), &[0; 16])
}

fn seal(block: &Block, salt: &[u8; 32]) -> Bytes {
    let mut bytes = block.header.to_vec();
    if let Payload::Bytes(data) = &block.data {
        bytes.extend_from_slice(data);
    }
    disk_stream(&block.key, salt).apply(&mut bytes);
    bytes.into()
}

fn disk_key(shelf: usize, at: u32) -> Vec<u8> {
    [&[u8::try_from(shelf).unwrap_or(0)][..], &at.to_be_bytes()].concat()
}

/// The key of a page in [`INDEX`].
#[must_use]
pub fn page_key(shelf: usize, page: u32) -> Vec<u8> {
    [&[b'p', u8::try_from(shelf).unwrap_or(0)][..], &page.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::ClientChk;

    fn block(number: u8) -> Block {
        ClientChk::encode(&[number], false).expect("it fits a block").1
    }

    #[test]
    fn what_nobody_asks_for_makes_room() {
        let mut store = Store::new(2, 0, false);
        store.put(Shelf::Store, &block(1));
        store.put(Shelf::Store, &block(2));
        assert_eq!(store.ask(&block(1).key), Some(Held::Memory(block(1))));
        store.put(Shelf::Store, &block(3));
        assert!(store.holds(&block(1).key) && !store.holds(&block(2).key) && store.holds(&block(3).key));
        assert_eq!((store.len(), store.popularity(&block(1).key)), (2, 1));
        assert!(store.put(Shelf::Cache, &block(4)).is_empty() && !store.holds(&block(4).key));
    }

    #[test]
    fn the_disk_holds_all_that_a_fresh_process_needs_and_nothing_that_an_operator_could_read() {
        let mut store = Store::new(4, 4, true);
        store.set_salt([5; 32]);
        let mut disk: Map<(&str, Vec<u8>), Bytes> = Map::new();
        for number in 0..6 {
            let writes = store.put(Shelf::Store, &block(number)).into_iter().chain(store.flush());
            disk.extend(writes.map(|(bucket, key, value)| ((bucket, key), value)));
        }
        assert!(!store.is_dirty());
        let mut fresh = Store::new(4, 4, true);
        fresh.set_salt([5; 32]);
        fresh.load_page(Shelf::Store, &disk[&(INDEX, page_key(0, 0))]);
        assert_eq!(fresh.len(), 4);
        assert!(!fresh.holds(&block(0).key) && !fresh.holds(&block(1).key));
        let Some(Held::Disk(at)) = fresh.ask(&block(5).key) else { panic!("it is on the disk") };
        let sealed = &disk[&(BLOCKS, at)];
        assert_eq!(fresh.unseal(&block(5).key, sealed), Some(block(5)));
        assert_eq!(fresh.unseal(&block(4).key, sealed), None, "under another key it is noise");
        assert!(!sealed.windows(34).any(|window| *window == block(5).header[..34]));
        fresh.drop_bad(&block(5).key);
        assert!(!fresh.holds(&block(5).key));
        fresh.load_page(Shelf::Store, &[1, 2, 3]);
    }
}
