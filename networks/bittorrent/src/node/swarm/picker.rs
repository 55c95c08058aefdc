//! Which blocks to ask for: random first pieces, then the rarest first, begun pieces before others, and an endgame.
//!
//! Remembers how many connected peers have each piece, which pieces are wanted, and who was asked for the blocks of those that are begun.
//! A piece that nobody has begun stands in the bucket of its number of copies, so that one more `have` costs one swap.

mod again;
mod elsewhere;
mod open;
mod order;
#[cfg(test)]
mod tests;

use hexad_content::Ranges;
use hexad_core::{Dice, Map};

pub(crate) use self::open::GiverId;
use self::open::{Open, Stage};
use self::order::Order;
use super::bits::Bits;
use super::geometry::Geometry;
use crate::node::config::Picking;

/// Which connection of a swarm.
pub(crate) type Slot = u16;

/// So many pieces are picked at random before the rarest come first (libtorrent's `initial_picker_threshold`).
const RANDOM_FIRST: u32 = 4;
/// Bytes of pieces that may be begun at a time: the engine keeps them in memory.
const OPEN_BYTES_MAX: u64 = 32 << 20;
/// Longer pieces are written as they come, and count as this much.
const OPEN_PIECE_BYTES: u64 = 1 << 20;
const OPEN_MIN: usize = 8;
const OPEN_MAX: usize = 4096;
/// Pieces of one bucket that are looked at before the peer's pieces are gone through instead.
const PROBES: usize = 64;
/// Blocks that are looked at for one endgame pick.
const ENDGAME_LOOKS: usize = 4096;
/// A block is under way from at most so many peers.
const ENDGAME_COPIES: u8 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not wanted, or good.
    Idle,
    /// Wanted, and not begun.
    Free,
    /// Wanted, not begun, and another network brings it.
    Elsewhere,
    /// Begun: blocks are asked for, or have come.
    Open,
    /// All blocks have come; the verdict is awaited.
    Awaiting,
}

/// Who picks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) slot: Slot,
    pub(crate) bits: &'a Bits,
    /// The piece it works on.
    pub(crate) current: Option<u32>,
    /// Slow or silent: it helps with begun pieces before it begins one.
    pub(crate) slow: bool,
    /// Under suspicion: it works on pieces of its own only, so that a bad one tells whose fault it is.
    pub(crate) alone: bool,
    /// What it suggested.
    pub(crate) suggested: &'a [u32],
    /// While choked: nothing but these.
    pub(crate) only: Option<&'a [u32]>,
}

/// What came of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// It was missing.
    Wanted {
        /// The piece is whole by it.
        whole: bool,
        /// Others were asked for it too.
        others: bool,
    },
    /// It is of no use (any more).
    Useless,
}

/// The order of pieces of one torrent.
#[derive(Debug)]
pub(crate) struct Picker {
    geometry: Geometry,
    picking: Picking,
    order: Order,
    /// Connected peers that have everything; they are not counted in `copies`.
    seeds: u32,
    copies: Vec<u16>,
    states: Vec<State>,
    /// Of a free piece, where it stands in its bucket.
    places: Vec<u32>,
    buckets: Vec<Vec<u32>>,
    free: Bits,
    /// Leased and not good.
    needed: Bits,
    /// What other networks bring.
    elsewhere: Bits,
    open: Map<u32, Open>,
    /// Blocks of open pieces that nobody is asked for.
    free_blocks: u64,
    /// Pieces whose verdict is awaited → who gave each of their blocks; of those that come from elsewhere, nobody.
    awaiting: Map<u32, Vec<GiverId>>,
    begun: u32,
    /// Those of them that nobody was told of.
    fresh: Vec<u32>,
    good: u32,
}

impl Picker {
    pub(crate) fn new(geometry: Geometry, picking: Picking) -> Self {
        let (count, pieces) = (geometry.pieces, geometry.pieces as usize);
        Self {
            geometry,
            picking,
            order: Order::default(),
            seeds: 0,
            copies: vec![0; pieces],
            states: vec![State::Idle; pieces],
            places: vec![0; pieces],
            buckets: Vec::new(),
            free: Bits::new(count),
            needed: Bits::new(count),
            elsewhere: Bits::new(count),
            open: Map::new(),
            free_blocks: 0,
            awaiting: Map::new(),
            begun: 0,
            fresh: Vec::new(),
            good: 0,
        }
    }

    /// What comes before the rarest: the front first, these bytes before all others, those after all others.
    pub(crate) fn set_order(&mut self, sequential: bool, first: &Ranges, last: &Ranges) {
        self.order.set(sequential, first, last, &self.geometry);
    }

    /// Somebody reads there, and waits for the first of these bytes.
    pub(crate) fn set_reader(&mut self, bytes: Option<&std::ops::Range<u64>>) {
        self.order.set_reader(bytes, &self.geometry);
    }

    /// Copies of a piece at connected peers.
    pub(crate) fn copies(&self, piece: u32) -> u32 {
        self.copies.get(piece as usize).map_or(0, |&copies| u32::from(copies)) + self.seeds
    }

    /// Pieces that are leased and not good.
    pub(crate) const fn needed(&self) -> &Bits {
        &self.needed
    }

    /// Pieces that are wanted and that nobody has begun.
    pub(crate) const fn free(&self) -> &Bits {
        &self.free
    }

    /// A piece comes from elsewhere (a web seed); its verdict is awaited.
    pub(crate) fn lend(&mut self, piece: u32) {
        if self.states.get(piece as usize) == Some(&State::Free) {
            self.set_not_free(piece, State::Awaiting);
            self.awaiting.insert(piece, Vec::new());
            self.fresh.push(piece);
        }
    }

    /// A piece that was lent does not come.
    pub(crate) fn give_back(&mut self, piece: u32) {
        if self.states.get(piece as usize) == Some(&State::Awaiting) && self.awaiting.get(&piece).is_some_and(Vec::is_empty) {
            self.awaiting.remove(&piece);
            if self.needed.get(piece) { self.set_free(piece) } else { self.states[piece as usize] = State::Idle }
        }
    }

    /// Whether nothing is wanted and no verdict is awaited.
    pub(crate) fn is_done(&self) -> bool {
        self.needed.count() == 0 && self.awaiting.is_empty()
    }

    /// The lowest number of copies of any piece at connected peers.
    pub(crate) fn rarest_copies(&self) -> u32 {
        self.copies.iter().min().map_or(0, |&copies| u32::from(copies)) + self.seeds
    }

    /// A peer with these pieces is connected.
    pub(crate) fn peer_joined(&mut self, bits: &Bits) {
        if bits.is_full() {
            self.seeds += 1;
        } else {
            bits.iter().for_each(|piece| self.copied(piece));
        }
    }

    /// A peer with these pieces is gone.
    pub(crate) fn peer_left(&mut self, bits: &Bits) {
        if bits.is_full() {
            self.seeds = self.seeds.saturating_sub(1);
        } else {
            bits.iter().for_each(|piece| self.uncopied(piece));
        }
    }

    /// A connected peer has a piece no longer; `bits` says what it had before.
    pub(crate) fn peer_lost(&mut self, piece: u32, bits: &Bits) {
        if bits.is_full() {
            self.seeds = self.seeds.saturating_sub(1);
            bits.iter().filter(|&other| other != piece).for_each(|other| self.copied(other));
        } else {
            self.uncopied(piece);
        }
    }

    /// A connected peer has one more piece; `bits` says what it has by that.
    pub(crate) fn peer_has(&mut self, piece: u32, bits: &Bits) {
        if bits.is_full() {
            bits.iter().filter(|&other| other != piece).for_each(|other| self.uncopied(other));
            self.seeds += 1;
        } else {
            self.copied(piece);
        }
    }

    fn copied(&mut self, piece: u32) {
        let free = self.states[piece as usize] == State::Free;
        if free {
            self.take_from_bucket(piece);
        }
        self.copies[piece as usize] = self.copies[piece as usize].saturating_add(1);
        if free {
            self.put_into_bucket(piece);
        }
    }

    fn uncopied(&mut self, piece: u32) {
        let free = self.states[piece as usize] == State::Free;
        if free {
            self.take_from_bucket(piece);
        }
        self.copies[piece as usize] = self.copies[piece as usize].saturating_sub(1);
        if free {
            self.put_into_bucket(piece);
        }
    }

    fn take_from_bucket(&mut self, piece: u32) {
        let bucket = &mut self.buckets[self.copies[piece as usize] as usize];
        let place = self.places[piece as usize];
        bucket.swap_remove(place as usize);
        if let Some(&moved) = bucket.get(place as usize) {
            self.places[moved as usize] = place;
        }
    }

    fn put_into_bucket(&mut self, piece: u32) {
        let copies = self.copies[piece as usize] as usize;
        if self.buckets.len() <= copies {
            self.buckets.resize_with(copies + 1, Vec::new);
        }
        let bucket = &mut self.buckets[copies];
        self.places[piece as usize] = u32::try_from(bucket.len()).unwrap_or(u32::MAX);
        bucket.push(piece);
    }

    fn set_free(&mut self, piece: u32) {
        if self.elsewhere.get(piece) {
            self.states[piece as usize] = State::Elsewhere;
            return;
        }
        self.states[piece as usize] = State::Free;
        self.free.set(piece);
        self.put_into_bucket(piece);
    }

    fn set_not_free(&mut self, piece: u32, state: State) {
        self.take_from_bucket(piece);
        self.free.clear(piece);
        self.states[piece as usize] = state;
    }

    /// Wants these ranges in place of what was wanted before. What had come and is not judged may have been forgotten by the engine, and is
    /// wanted again; what is under way stays so.
    pub(crate) fn lease(&mut self, ranges: &Ranges) {
        let mut wanted = Bits::new(self.geometry.pieces);
        for span in ranges.iter() {
            for piece in self.geometry.piece_at(span.start)..self.geometry.pieces {
                if self.geometry.range(piece).start >= span.end {
                    break;
                }
                wanted.set(piece);
            }
        }
        for piece in 0..self.geometry.pieces {
            match (wanted.get(piece), self.states[piece as usize]) {
                (true, State::Idle) => self.set_free(piece),
                (false, State::Elsewhere) => self.states[piece as usize] = State::Idle,
                (true, State::Awaiting) => {
                    self.awaiting.remove(&piece);
                    self.set_free(piece);
                }
                (true, State::Open) => {
                    if let Some(open) = self.open.get_mut(&piece) {
                        self.free_blocks += u64::from(open.forget_what_came());
                    }
                }
                (false, State::Free) => self.set_not_free(piece, State::Idle),
                (false, State::Open) => {
                    if let Some(open) = self.open.remove(&piece) {
                        self.free_blocks -= u64::from(open.free());
                    }
                    self.states[piece as usize] = State::Idle;
                }
                (true, State::Free | State::Elsewhere) | (false, State::Idle | State::Awaiting) => {}
            }
        }
        self.needed = wanted;
    }

    /// Chooses up to `count` blocks for a peer, calls `ask` for each, and returns the piece it works on by that.
    pub(crate) fn pick(&mut self, asker: &Asker<'_>, count: u32, dice: &mut Dice, mut ask: impl FnMut(u32, u32)) -> Option<u32> {
        let mut current = asker.current;
        let mut left = count;
        while left > 0 {
            let Some(piece) = self.next_piece(asker, current, dice) else { break };
            if let Some(open) = self.open.get_mut(&piece) {
                let before = open.free();
                open.ask(left, |block| ask(piece, block));
                let asked = before - open.free();
                left -= asked;
                self.free_blocks -= u64::from(asked);
                if asked == 0 {
                    break;
                }
            }
            current = Some(piece);
        }
        current
    }

    /// The piece whose blocks are asked for next; it has a free block.
    fn next_piece(&mut self, asker: &Asker<'_>, current: Option<u32>, dice: &mut Dice) -> Option<u32> {
        let fits = |piece: u32, open: &Open| open.free() > 0 && asker.bits.get(piece);
        if let Some(only) = asker.only {
            return self.next_allowed(asker, only);
        }
        if let Some(piece) = self.next_for_reader(asker) {
            return Some(piece);
        }
        if let Some(piece) = current
            && self
                .open
                .get(&piece)
                .is_some_and(|open| fits(piece, open) && (open.owner() == Some(asker.slot) || !asker.alone || open.is_proven()))
        {
            return Some(piece);
        }
        let may_open = self.open.len() < self.open_max();
        if may_open && let Some(piece) = self.first_copy(asker) {
            self.begin(piece, asker);
            return Some(piece);
        }
        // Who is under suspicion works on what is his alone, or proven block by block.
        let may = |open: &Open| !asker.alone || open.is_proven();
        if self.free_blocks > 0 {
            let orphans = self.open.iter().filter(|(piece, open)| open.owner().is_none() && fits(**piece, open) && may(open));
            let best = orphans.max_by_key(|(_, open)| open.came()).map(|(&piece, _)| piece);
            if let Some(piece) = best {
                if let Some(open) = self.open.get_mut(&piece) {
                    open.set_owner(Some(asker.slot));
                }
                return Some(piece);
            }
        }
        if (asker.slow || !may_open) && self.free_blocks > 0 {
            let shared = self.open.iter().filter(|(piece, open)| fits(**piece, open) && !open.is_alone() && may(open));
            if let Some((&piece, _)) = shared.max_by_key(|(_, open)| open.came()) {
                return Some(piece);
            }
        }
        if may_open && let Some(piece) = self.fresh_piece(asker, dice) {
            self.begin(piece, asker);
            return Some(piece);
        }
        if self.free_blocks > 0 {
            let shared = self.open.iter().find(|(piece, open)| fits(**piece, open) && !open.is_alone() && may(open));
            return shared.map(|(&piece, _)| piece);
        }
        None
    }

    /// What a seed suggests of what nobody else has comes before what is begun: it is the seed's only as long as nobody takes it.
    fn first_copy(&self, asker: &Asker<'_>) -> Option<u32> {
        if asker.slow || self.picking == Picking::Random || !self.order.is_plain() || !asker.bits.is_full() {
            return None;
        }
        asker.suggested.iter().rev().copied().find(|&piece| self.free.get(piece) && self.copies[piece as usize] == 0)
    }

    /// The first piece that somebody waits for, and of which a block is free; who is slow, or works alone, would only hold it up.
    fn next_for_reader(&mut self, asker: &Asker<'_>) -> Option<u32> {
        if asker.slow || asker.alone {
            return None;
        }
        for piece in self.order.reader().filter(|&piece| asker.bits.get(piece)) {
            match self.states[piece as usize] {
                State::Free => {
                    self.begin(piece, asker);
                    return Some(piece);
                }
                State::Open if self.open.get(&piece).is_some_and(|open| open.free() > 0 && !open.is_alone()) => return Some(piece),
                _ => {}
            }
        }
        None
    }

    /// Up to `count` blocks of the very piece that somebody waits for and that others were asked for: one who is slow must not hold up a reader.
    pub(crate) fn pick_awaited(&mut self, asker: &Asker<'_>, count: u32, mine: impl Fn(u32, u32) -> bool, mut ask: impl FnMut(u32, u32)) {
        let piece = self.order.reader().start;
        if self.order.reader().is_empty() || asker.slow || asker.alone || asker.only.is_some() || !asker.bits.get(piece) {
            return;
        }
        let (mut left, mut looks) = (count, ENDGAME_LOOKS);
        if let Some(open) = self.open.get_mut(&piece).filter(|open| !open.is_alone() && open.free() == 0) {
            open.ask_again(1, &mut left, &mut looks, |block| !mine(piece, block), |block| ask(piece, block));
        }
    }

    fn next_allowed(&mut self, asker: &Asker<'_>, only: &[u32]) -> Option<u32> {
        let may_open = self.open.len() < self.open_max();
        for &piece in only.iter().filter(|&&piece| asker.bits.get(piece)) {
            match self.states.get(piece as usize) {
                Some(State::Free) if may_open => {
                    self.begin(piece, asker);
                    return Some(piece);
                }
                Some(State::Open) if self.open.get(&piece).is_some_and(|open| open.free() > 0 && !open.is_alone()) => return Some(piece),
                _ => {}
            }
        }
        None
    }

    fn begin(&mut self, piece: u32, asker: &Asker<'_>) {
        self.set_not_free(piece, State::Open);
        let blocks = self.geometry.blocks(piece);
        self.free_blocks += u64::from(blocks);
        self.open.insert(piece, Open::new(blocks, asker.slot, asker.alone));
        self.begun += 1;
        self.fresh.push(piece);
    }

    fn open_max(&self) -> usize {
        let weight = self.geometry.piece_bytes.clamp(1, OPEN_PIECE_BYTES);
        usize::try_from(OPEN_BYTES_MAX / weight).unwrap_or(OPEN_MAX).clamp(OPEN_MIN, OPEN_MAX)
    }

    /// A piece that nobody has begun and the peer has.
    fn fresh_piece(&self, asker: &Asker<'_>, dice: &mut Dice) -> Option<u32> {
        if self.free.count() == 0 {
            return None;
        }
        if !self.order.is_plain() {
            return self.ordered_piece(asker, dice);
        }
        if self.picking == Picking::Random {
            return self.random_piece(asker.bits, dice);
        }
        if let Some(&piece) = asker.suggested.iter().rev().find(|&&piece| self.free.get(piece) && asker.bits.get(piece)) {
            return Some(piece);
        }
        if self.good + u32::try_from(self.awaiting.len()).unwrap_or(u32::MAX) < RANDOM_FIRST && self.begun < RANDOM_FIRST {
            return self.random_piece(asker.bits, dice);
        }
        let seed = asker.bits.is_full();
        let mut probes = PROBES;
        // Nobody but a seed has what has no copies.
        for bucket in self.buckets.iter().skip(usize::from(!seed)) {
            let Some(first) = dice.index(bucket.len().max(1)).filter(|_| !bucket.is_empty()) else { continue };
            for step in 0..bucket.len() {
                let piece = bucket[(first + step) % bucket.len()];
                if asker.bits.get(piece) {
                    return Some(piece);
                }
                probes -= 1;
                if probes == 0 {
                    return self.rarest_of(asker.bits, dice);
                }
            }
        }
        None
    }

    /// A piece of the highest rank: the first of those, or the rarest.
    fn ordered_piece(&self, asker: &Asker<'_>, dice: &mut Dice) -> Option<u32> {
        let reader = self.order.reader();
        let mut best: Option<((bool, u8), u16, u32)> = None;
        let mut equals = 0_u64;
        for piece in self.free.both(asker.bits) {
            // Who is slow leaves what somebody waits for to others.
            let rank = (reader.contains(&piece) == asker.slow, u8::MAX - self.order.rank(piece));
            let copies = if self.order.is_sequential() { 0 } else { self.copies[piece as usize] };
            equals = match best {
                Some((other, fewest, _)) if (other, fewest) < (rank, copies) => continue,
                Some((other, fewest, _)) if (other, fewest) == (rank, copies) => equals + 1,
                _ => 1,
            };
            if equals == 1 || (!self.order.is_sequential() && dice.below(equals) == 0) {
                best = Some((rank, copies, piece));
            }
        }
        best.map(|(_, _, piece)| piece)
    }

    /// The rarest of a peer's pieces by going through them: for a peer that has few of what is wanted.
    fn rarest_of(&self, bits: &Bits, dice: &mut Dice) -> Option<u32> {
        let (mut best, mut copies, mut equals) = (None, u16::MAX, 0_u64);
        for piece in self.free.both(bits) {
            let here = self.copies[piece as usize];
            if best.is_none() || here < copies {
                (best, copies, equals) = (Some(piece), here, 1);
            } else if here == copies {
                equals += 1;
                if dice.below(equals) == 0 {
                    best = Some(piece);
                }
            }
        }
        best
    }

    fn random_piece(&self, bits: &Bits, dice: &mut Dice) -> Option<u32> {
        for _ in 0..PROBES {
            let piece = u32::try_from(dice.below(self.geometry.pieces.into())).unwrap_or(0);
            if self.free.get(piece) && bits.get(piece) {
                return Some(piece);
            }
        }
        let common = self.free.count_with(bits);
        let chosen = dice.index(common as usize)?;
        self.free.both(bits).nth(chosen)
    }

    /// Whether every wanted block is under way or here.
    pub(crate) fn is_endgame(&self) -> bool {
        self.free.count() == 0 && self.free_blocks == 0 && !self.open.is_empty() && !self.brings_elsewhere(&self.needed)
    }

    /// In the endgame: up to `count` blocks that others were asked for and `mine` says the peer was not.
    pub(crate) fn pick_busy(&mut self, bits: &Bits, count: u32, mine: impl Fn(u32, u32) -> bool, mut ask: impl FnMut(u32, u32)) {
        if !self.is_endgame() {
            return;
        }
        let (mut left, mut looks) = (count, ENDGAME_LOOKS);
        // Those that are under way once come before those that are under way twice.
        for copies in 1..ENDGAME_COPIES {
            for (&piece, open) in self.open.iter_mut().filter(|(piece, open)| bits.get(**piece) && !open.is_alone()) {
                open.ask_again(copies, &mut left, &mut looks, |block| !mine(piece, block), |block| ask(piece, block));
                if left == 0 || looks == 0 {
                    return;
                }
            }
        }
    }

    /// A block that a peer was asked for does not come from it.
    pub(crate) fn returned(&mut self, slot: Slot, piece: u32, block: u32) {
        if let Some(open) = self.open.get_mut(&piece) {
            let before = open.free();
            open.returned(block);
            self.free_blocks += u64::from(open.free() - before);
            if open.owner() == Some(slot) {
                open.set_owner(None);
            }
            self.close_if_untouched(piece);
        }
    }

    /// A peer stops working on its piece: others may go on with it.
    pub(crate) fn disown(&mut self, slot: Slot, piece: u32) {
        if let Some(open) = self.open.get_mut(&piece)
            && open.owner() == Some(slot)
        {
            open.set_owner(None);
            self.close_if_untouched(piece);
        }
    }

    /// A piece of which nothing has come and nothing is asked for is as if it had not been begun.
    fn close_if_untouched(&mut self, piece: u32) {
        if self.open.get(&piece).is_some_and(|open| open.free() == open.len() && open.owner().is_none()) {
            self.free_blocks -= u64::from(self.geometry.blocks(piece));
            self.open.remove(&piece);
            self.set_free(piece);
        }
    }

    /// Whether a block is still to come.
    pub(crate) fn lacks(&self, piece: u32, block: u32) -> bool {
        self.open.get(&piece).is_some_and(|open| open.stage(block).is_some_and(|stage| stage != Stage::Came))
    }

    /// A block has come; `asked` says whether it counted as under way from that peer.
    pub(crate) fn received(&mut self, piece: u32, block: u32, giver: GiverId, asked: bool) -> Came {
        let Some(open) = self.open.get_mut(&piece) else { return Came::Useless };
        let before = open.free();
        let Some(others) = open.received(block, giver, asked) else { return Came::Useless };
        self.free_blocks -= u64::from(before - open.free());
        let whole = open.came() == open.len();
        if whole {
            let givers = open.givers();
            self.open.remove(&piece);
            self.states[piece as usize] = State::Awaiting;
            self.awaiting.insert(piece, givers);
        }
        Came::Wanted { whole, others }
    }

    /// A piece is judged. Returns who gave each of its blocks, as far as that is known.
    pub(crate) fn judged(&mut self, piece: u32, good: bool) -> Vec<GiverId> {
        if piece >= self.geometry.pieces {
            return Vec::new();
        }
        let givers = self.awaiting.remove(&piece);
        match (good, self.states[piece as usize]) {
            (true, state) => {
                match state {
                    State::Free => self.set_not_free(piece, State::Idle),
                    State::Open => {
                        if let Some(open) = self.open.remove(&piece) {
                            self.free_blocks -= u64::from(open.free());
                        }
                    }
                    State::Idle | State::Elsewhere | State::Awaiting => {}
                }
                self.states[piece as usize] = State::Idle;
                self.good += u32::from(self.needed.clear(piece));
            }
            (false, State::Awaiting) if self.needed.get(piece) => self.set_free(piece),
            (false, State::Awaiting) => self.states[piece as usize] = State::Idle,
            (false, _) => {}
        }
        givers.unwrap_or_default()
    }
}
