//! Two shelves of blocks, the store and the cache: each forgets what nobody has asked for for longest.
//!
//! The index is in memory under salted hashes, so that neither it nor what is on the disk tells which keys are there to somebody who does not
//! ask for one of them. On the disk a block is enciphered under its routing key, which is not written anywhere.

use bytes::{BufMut as _, Bytes, BytesMut};
use hexad_core::{Payload, Set};

use super::slots::{Name, Slots};
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
        let shelves = [store_blocks, cache_blocks].map(Slots::new);
        Self { shelves, salt: [0; 32], clock: 0, on_disk, dirty: Set::new() }
    }

    /// What salts the names; to be set before anything is stored.
    pub fn set_salt(&mut self, salt: [u8; 32]) {
        self.salt = salt;
    }

    /// Blocks held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shelves.iter().map(Slots::len).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where on the circle lies what is held, in the store and in the cache.
    pub fn locations(&self) -> impl Iterator<Item = Location> {
        self.shelves.iter().flat_map(Slots::all).map(|slot| slot.location)
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
        self.shelves.iter().any(|shelf| shelf.find(&name).is_some())
    }

    /// How often a block was asked for while it was held.
    #[must_use]
    pub fn popularity(&self, key: &NodeKey) -> u32 {
        let name = self.name(key);
        let of = |shelf: &Slots| shelf.find(&name).and_then(|at| shelf.slot(at)).map_or(0, |slot| slot.hits);
        self.shelves.iter().map(of).max().unwrap_or(0)
    }

    /// A block, which by this counts as the last one asked for.
    pub fn ask(&mut self, key: &NodeKey) -> Option<Held> {
        let name = self.name(key);
        self.clock += 1;
        for (number, shelf) in self.shelves.iter_mut().enumerate() {
            let Some(at) = shelf.find(&name) else { continue };
            return Some(match shelf.ask(at, self.clock) {
                Some(block) => Held::Memory(block.clone()),
                None => Held::Disk(disk_key(number, at)),
            });
        }
        None
    }

    /// Puts a block on a shelf; returns what is to be written. What is on any shelf is not put on another.
    pub fn put(&mut self, shelf: Shelf, block: &Block) -> Writes {
        let name = self.name(&block.key);
        if self.shelves.iter().any(|shelf| shelf.find(&name).is_some()) {
            return Vec::new();
        }
        let number = shelf as usize;
        self.clock += 1;
        let kept = (!self.on_disk).then(|| Box::new(block.clone()));
        let Some(at) = self.shelves[number].put(name, block.key.location(), self.clock, kept) else { return Vec::new() };
        if !self.on_disk {
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
            let Some(at) = shelf.find(&name) else { continue };
            shelf.remove(at);
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
            let Some(slot) = self.shelves[number].slot(at) else { continue };
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
            if shelf.load(at, name, Location(location), used) {
                self.clock = self.clock.max(used);
            }
        }
    }

    /// How many pages a shelf of that size has at the most.
    #[must_use]
    pub fn pages(&self, shelf: Shelf) -> u32 {
        self.shelves[shelf as usize].capacity().div_ceil(PAGE_SLOTS)
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
    use hexad_core::Map;

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

    /// What is held, by numbers of blocks.
    fn held(store: &Store, upto: u8) -> Vec<u8> {
        (0..upto).filter(|&number| store.holds(&block(number).key)).collect()
    }

    #[test]
    fn the_order_of_use_outlives_the_process() {
        let mut store = Store::new(4, 0, true);
        for number in 0..4 {
            store.put(Shelf::Store, &block(number));
        }
        for number in [2, 0, 3] {
            store.ask(&block(number).key);
        }
        // The page says what is so when it is written.
        let page = store.page(0, 0).2;
        let mut fresh = Store::new(4, 0, true);
        fresh.load_page(Shelf::Store, &page);
        fresh.ask(&block(2).key);
        for (number, left) in [(4, [0, 2, 3, 4]), (5, [2, 3, 4, 5]), (6, [2, 4, 5, 6]), (7, [4, 5, 6, 7])] {
            fresh.put(Shelf::Store, &block(number));
            assert_eq!(held(&fresh, 8), left);
        }
    }

    #[test]
    fn a_page_that_says_what_cannot_be_changes_nothing() {
        let mut store = Store::new(2, 0, true);
        store.put(Shelf::Store, &block(1));
        let entry = |at: u32, name: u8, used: u64| [&at.to_be_bytes()[..], &[name; 16], &[0; 8], &used.to_be_bytes()].concat();
        // A slot that is taken, one that there is not, one that was never used, and one name twice.
        let page = [entry(0, 1, 9), entry(2, 2, 9), entry(u32::MAX, 3, 9), entry(1, 4, 0), entry(1, 5, 9), entry(1, 5, 10)].concat();
        store.load_page(Shelf::Store, &page);
        assert_eq!((store.len(), held(&store, 3)), (2, vec![1]));
        store.put(Shelf::Store, &block(2));
        assert_eq!((store.len(), held(&store, 3)), (2, vec![2]), "what was asked for before makes room first");
    }
}
