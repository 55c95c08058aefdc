//! 0x30, query routing: which words somebody has, as a table of hashes. Spec §7.

use bytes::{BufMut as _, Bytes, BytesMut};
use hexad_core::Malformed;

use super::reader::Reader;
use super::zlib;

/// Slots of the largest table that is taken.
pub const SLOTS_MAX: u32 = 1 << 21;
/// Slots of the smallest one.
pub const SLOTS_MIN: u32 = 8;
/// Bytes of a patch's data in one message.
const PATCH_BYTES: usize = 2048;

/// 0x30.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Qrp {
    /// The table has so many slots, all empty.
    Reset {
        /// A power of two.
        slots: u32,
        /// The number that means "nothing here".
        infinity: u8,
    },
    /// A part of what changes in the table.
    Patch {
        /// From 1 on.
        number: u8,
        /// How many parts there are.
        of: u8,
        /// 0: none, 1: zlib over all parts.
        compressor: u8,
        /// Bits of a slot: 8, 4, or 1.
        entry_bits: u8,
        /// This part of the data.
        data: Bytes,
    },
}

impl Qrp {
    /// Bytes of the payload.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Reset { .. } => 6,
            Self::Patch { data, .. } => 5 + data.len(),
        }
    }

    pub(crate) fn write(&self, out: &mut BytesMut) {
        match self {
            Self::Reset { slots, infinity } => {
                out.put_u8(0);
                out.put_u32_le(*slots);
                out.put_u8(*infinity);
            }
            Self::Patch { number, of, compressor, entry_bits, data } => {
                out.put_slice(&[1, *number, *of, *compressor, *entry_bits]);
                out.put_slice(data);
            }
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match reader.u8()? {
            0 => {
                let (slots, infinity) = (reader.u32_le()?, reader.u8()?);
                if !slots.is_power_of_two() || !(SLOTS_MIN..=SLOTS_MAX).contains(&slots) || infinity == 0 || reader.left() > 0 {
                    return Err(reader.wrong(format!("expected a reset to 8 to {SLOTS_MAX} slots, came {slots}")));
                }
                Ok(Self::Reset { slots, infinity })
            }
            1 => {
                let [number, of, compressor, entry_bits] = reader.array()?;
                if number == 0 || number > of || compressor > 1 || !matches!(entry_bits, 1 | 4 | 8) {
                    return Err(reader.wrong("expected a patch with a number, a known compressor and 1, 4 or 8 bits a slot"));
                }
                Ok(Self::Patch { number, of, compressor, entry_bits, data: Bytes::copy_from_slice(reader.rest()) })
            }
            other => Err(reader.wrong(format!("expected a reset or a patch, came variant {other}"))),
        }
    }
}

/// The 32-bit hash of a keyword; the slot in a table of 2^k is its highest k bits.
#[must_use]
pub fn hash(word: &str) -> u32 {
    let mut lanes = [0_u8; 4];
    for (place, unit) in word.chars().flat_map(char::to_lowercase).flat_map(units).enumerate() {
        lanes[place % 4] ^= unit.to_le_bytes()[0];
    }
    u32::from_le_bytes(lanes).wrapping_mul(0x4f1b_bcdc)
}

fn units(letter: char) -> impl Iterator<Item = u16> {
    let mut pair = [0; 2];
    let length = letter.encode_utf16(&mut pair).len();
    pair.into_iter().take(length)
}

/// A table of words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Table {
    bits: Vec<u64>,
    log2: u32,
    filled: u32,
}

impl Table {
    /// An empty table of `slots`, a power of two from [`SLOTS_MIN`] on.
    #[must_use]
    pub fn new(slots: u32) -> Self {
        let slots = slots.clamp(SLOTS_MIN, SLOTS_MAX).next_power_of_two();
        Self { bits: vec![0; usize::try_from(slots.div_ceil(64)).unwrap_or(1)], log2: slots.ilog2(), filled: 0 }
    }

    /// How many slots.
    #[must_use]
    pub fn slots(&self) -> u32 {
        1 << self.log2
    }

    /// How many of them are filled.
    #[must_use]
    pub fn filled(&self) -> u32 {
        self.filled
    }

    /// Whether a slot is filled.
    #[must_use]
    pub fn has(&self, slot: u32) -> bool {
        self.bits.get((slot / 64) as usize).is_some_and(|word| word >> (slot % 64) & 1 != 0)
    }

    fn set(&mut self, slot: u32, filled: bool) {
        let was = self.has(slot);
        let Some(word) = self.bits.get_mut((slot / 64) as usize).filter(|_| was != filled) else { return };
        *word ^= 1 << (slot % 64);
        self.filled = if filled { self.filled + 1 } else { self.filled - 1 };
    }

    /// The slot of a [`hash()`].
    #[must_use]
    pub fn slot(&self, hash: u32) -> u32 {
        hash >> (32 - self.log2)
    }

    /// Puts a keyword's hash in.
    pub fn insert(&mut self, hash: u32) {
        self.set(self.slot(hash), true);
    }

    /// Whether a keyword of that hash may be there.
    #[must_use]
    pub fn may_have(&self, hash: u32) -> bool {
        self.has(self.slot(hash))
    }

    /// Puts in all that another table has, whatever its size: growing doubles slots, shrinking joins them.
    pub fn insert_all(&mut self, other: &Self) {
        if other.log2 == self.log2 {
            self.filled = 0;
            for (mine, theirs) in self.bits.iter_mut().zip(&other.bits) {
                *mine |= theirs;
                self.filled += mine.count_ones();
            }
            return;
        }
        for slot in (0..other.slots()).filter(|&slot| other.has(slot)) {
            if other.log2 > self.log2 {
                self.set(slot >> (other.log2 - self.log2), true);
            } else {
                let by = self.log2 - other.log2;
                (0..1 << by).for_each(|low| self.set(slot << by | low, true));
            }
        }
    }

    /// The messages that turn `before` into this: a reset where the size differs or nothing was sent, and a patch of four bits a slot, which every
    /// program applies rightly (gtk-gnutella misreads patches of one bit, spec §7).
    #[must_use]
    pub fn messages(&self, before: Option<&Self>) -> Vec<Qrp> {
        const INFINITY: u8 = 2;
        let (filled, emptied) = (0xf_u8, 0x1_u8);
        let before = before.filter(|before| before.log2 == self.log2);
        let mut messages = Vec::new();
        if before.is_none() {
            messages.push(Qrp::Reset { slots: self.slots(), infinity: INFINITY });
        }
        let delta = |slot: u32| match (before.is_some_and(|before| before.has(slot)), self.has(slot)) {
            (false, true) => filled,
            (true, false) => emptied,
            _ => 0,
        };
        let plain: Vec<u8> = (0..self.slots() / 2).map(|pair| delta(pair * 2) << 4 | delta(pair * 2 + 1)).collect();
        if before.is_some() && plain.iter().all(|&byte| byte == 0) {
            return messages;
        }
        let packed = zlib::deflate(&plain);
        let parts = packed.len().div_ceil(PATCH_BYTES).clamp(1, 255);
        let each = packed.len().div_ceil(parts).max(1);
        for (part, data) in packed.chunks(each).enumerate() {
            messages.push(Qrp::Patch {
                number: u8::try_from(part + 1).unwrap_or(u8::MAX),
                of: u8::try_from(packed.len().div_ceil(each)).unwrap_or(u8::MAX),
                compressor: 1,
                entry_bits: 4,
                data: Bytes::copy_from_slice(data),
            });
        }
        messages
    }
}

/// A table that somebody sends us, message by message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Receiver {
    table: Option<Table>,
    /// A whole patch has been applied since the reset.
    complete: bool,
    /// Of the patch under way: the next number, how many, compressor, bits.
    expected: Option<(u8, u8, u8, u8)>,
    data: Vec<u8>,
}

impl Receiver {
    /// The table, once a patch was applied.
    #[must_use]
    pub fn table(&self) -> Option<&Table> {
        self.table.as_ref().filter(|_| self.complete)
    }

    /// Takes the next message. Returns whether the table has changed.
    ///
    /// # Errors
    /// When it does not follow from the one before: the link is to be ended (Bye 413).
    pub fn take(&mut self, message: &Qrp) -> Result<bool, Malformed> {
        let wrong = |reason: &'static str| Err(Malformed::at(0, reason));
        match message {
            Qrp::Reset { slots, .. } => {
                *self = Self { table: Some(Table::new(*slots)), ..Self::default() };
                Ok(false)
            }
            Qrp::Patch { number, of, compressor, entry_bits, data } => {
                let Some(table) = &mut self.table else { return wrong("a patch before any reset") };
                let slots = table.slots() as usize;
                let expected = self.expected.unwrap_or((1, *of, *compressor, *entry_bits));
                if (*number, *of, *compressor, *entry_bits) != expected {
                    return wrong("a patch out of its sequence");
                }
                if self.data.len() + data.len() > slots + 1024 {
                    return wrong("a patch larger than its table");
                }
                self.data.extend_from_slice(data);
                if number < of {
                    self.expected = Some((number + 1, *of, *compressor, *entry_bits));
                    return Ok(false);
                }
                self.expected = None;
                let data = std::mem::take(&mut self.data);
                let wanted = slots * usize::from(*entry_bits) / 8;
                let plain = if *compressor == 1 { zlib::inflate(&data, wanted)? } else { data };
                if plain.len() != wanted {
                    return wrong("a patch of another size than its table");
                }
                for (place, &byte) in plain.iter().enumerate().filter(|&(_, &byte)| byte != 0) {
                    let place = u32::try_from(place).unwrap_or(0);
                    match entry_bits {
                        8 => table.set(place, byte >= 0x80),
                        4 => {
                            // The high half is the lower slot; a negative change brings a word nearer, so it is there.
                            for (slot, nibble) in [(place * 2, byte >> 4), (place * 2 + 1, byte & 15)] {
                                if nibble != 0 {
                                    table.set(slot, nibble >= 8);
                                }
                            }
                        }
                        _ => {
                            for bit in (0..8).filter(|bit| byte >> (7 - bit) & 1 != 0) {
                                let slot = place * 8 + bit;
                                table.set(slot, !table.has(slot));
                            }
                        }
                    }
                }
                self.complete = true;
                Ok(true)
            }
        }
    }
}
