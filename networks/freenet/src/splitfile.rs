//! How a file that is larger than a block falls into segments, and how many check blocks make each of them survive losses.

use std::ops::Range;

use crate::keys::CHK_DATA_BYTES;

/// One segment: any `data` of its `data + check` blocks restore it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Blocks of the file.
    pub data: usize,
    /// Blocks that Reed–Solomon adds.
    pub check: usize,
}

/// How many data blocks a file of so many bytes has.
#[must_use]
pub fn block_count(bytes: u64) -> usize {
    usize::try_from(bytes.div_ceil(CHK_DATA_BYTES as u64)).unwrap_or(usize::MAX)
}

/// The segments of a file with so many data blocks, as Hyphanet cuts them: about 128 data blocks each, evenly, the last ones one block shorter where
/// it does not come out even.
#[must_use]
pub fn segments(blocks: usize) -> Vec<Shape> {
    if blocks == 0 {
        return Vec::new();
    }
    let count = match blocks {
        0..=136 => 1,
        137..=266 => 2,
        267..=393 => 3,
        394..=520 => 4,
        more => more.div_ceil(128),
    };
    let size = blocks.div_ceil(count);
    let short = size * count - blocks;
    (0..count)
        .map(|segment| {
            let data = if segment >= count - short { size - 1 } else { size };
            Shape { data, check: check_blocks(data) }
        })
        .collect()
}

/// As many check blocks as data blocks, and one; at most 256 blocks in all.
#[must_use]
pub const fn check_blocks(data: usize) -> usize {
    let wanted = if data < 128 { data + 1 } else { 129 };
    if data + wanted > 256 { 256usize.saturating_sub(data) } else { wanted }
}

/// The bytes of the file that data block `index` holds.
#[must_use]
pub fn block_range(index: usize, file_bytes: u64) -> Range<u64> {
    let start = (index as u64).saturating_mul(CHK_DATA_BYTES as u64).min(file_bytes);
    start..start.saturating_add(CHK_DATA_BYTES as u64).min(file_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_cut_as_hyphanet_cuts_them() {
        let shape = |data, check| Shape { data, check };
        assert_eq!(segments(0), []);
        assert_eq!(segments(1), [shape(1, 2)]);
        assert_eq!(segments(127), [shape(127, 128)]);
        assert_eq!(segments(128), [shape(128, 128)]);
        assert_eq!(segments(136), [shape(136, 120)]);
        assert_eq!(segments(137), [shape(69, 70), shape(68, 69)]);
        assert_eq!(segments(640), [shape(128, 128); 5]);
        for blocks in 1..3000 {
            let segments = segments(blocks);
            assert_eq!(segments.iter().map(|segment| segment.data).sum::<usize>(), blocks);
            assert!(segments.iter().all(|segment| segment.data + segment.check <= 256 && segment.check >= 120.min(segment.data)));
        }
    }
}
