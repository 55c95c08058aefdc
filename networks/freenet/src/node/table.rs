//! What was learned on the way: whom to ask for keys that lie there (F12, F13). The entries longest out of use make room.

use hexad_core::Map;

use crate::keys::Location;

#[derive(Clone, Debug)]
struct Entry<A> {
    addr: A,
    used: u64,
}

/// The routing table.
#[derive(Clone, Debug)]
pub struct Table<A> {
    entries: Map<Location, Entry<A>>,
    by_use: Map<u64, Location>,
    clock: u64,
    capacity: usize,
}

impl<A: Clone + Ord> Table<A> {
    /// An empty table of so many entries.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self { entries: Map::new(), by_use: Map::new(), clock: 0, capacity }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = (Location, &A)> {
        self.entries.iter().map(|(location, entry)| (*location, &entry.addr))
    }

    /// Keys like this one are to be asked of `addr`.
    pub fn learn(&mut self, location: Location, addr: A) {
        if self.capacity == 0 {
            return;
        }
        self.clock += 1;
        if let Some(old) = self.entries.insert(location, Entry { addr, used: self.clock }) {
            self.by_use.remove(&old.used);
        }
        self.by_use.insert(self.clock, location);
        if self.entries.len() > self.capacity
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.entries.remove(&oldest);
        }
    }

    /// Nobody is there any more.
    pub fn forget(&mut self, addr: &A) {
        let by_use = &mut self.by_use;
        self.entries.retain(|_, entry| {
            let keep = entry.addr != *addr;
            if !keep {
                by_use.remove(&entry.used);
            }
            keep
        });
    }

    /// Entries from the nearest to the farthest.
    pub fn nearest(&self, key: Location) -> impl Iterator<Item = (u64, &A)> {
        let mut up = self.entries.range(key..).chain(self.entries.range(..key)).peekable();
        let mut down = self.entries.range(..key).rev().chain(self.entries.range(key..).rev()).peekable();
        let mut left = self.entries.len();
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let above = up.peek().map_or(u64::MAX, |(location, _)| location.0.wrapping_sub(key.0));
            let below = down.peek().map_or(u64::MAX, |(location, _)| key.0.wrapping_sub(location.0));
            let (distance, next) = if above <= below { (above, up.next()) } else { (below, down.next()) };
            next.map(|(_, entry)| (distance, &entry.addr))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_from_the_nearest_on_across_zero_too() {
        let mut table = Table::new(10);
        for (location, addr) in [(u64::MAX - 5, 1), (3, 2), (40, 3), (1 << 63, 4)] {
            table.learn(Location(location), addr);
        }
        let order: Vec<_> = table.nearest(Location(0)).map(|(_, addr)| *addr).collect();
        assert_eq!(order, [2, 1, 3, 4]);
        let order: Vec<_> = table.nearest(Location(41)).map(|(_, addr)| *addr).collect();
        assert_eq!(order, [3, 2, 1, 4]);
    }

    #[test]
    fn the_entry_longest_out_of_use_makes_room() {
        let mut table = Table::new(2);
        table.learn(Location(1), 1);
        table.learn(Location(2), 2);
        table.learn(Location(1), 3);
        table.learn(Location(9), 4);
        assert_eq!(table.iter().collect::<Vec<_>>(), [(Location(1), &3), (Location(9), &4)]);
        table.forget(&3);
        assert_eq!((table.len(), table.by_use.len()), (1, 1));
    }
}
