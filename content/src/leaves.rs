//! The tree over the blocks of one part: what lies below the layer of a [`TreeProof`]. BEP 52, *hash request* of a base layer below the pieces'.

use std::ops::Range;

use sha2::{Digest as _, Sha256};

use crate::content_id::{PiecesRootHasher, height_of, parent};
use crate::{Sha256Digest, TreeLayers, TreeProof};

/// SHA-256 of each block of 16 KiB, the last one as short as it is.
#[must_use]
pub fn leaf_hashes(bytes: &[u8]) -> Vec<Sha256Digest> {
    bytes.chunks(PiecesRootHasher::LEAF_BYTES).map(|block| Sha256Digest(Sha256::digest(block).into())).collect()
}

/// The hashes of the blocks of one part, and the nodes over them: a value of this type always folds to the hash that the part has in its tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartLeaves {
    /// The leaves first, with zeros for those beyond the end of the file; last the part itself.
    layers: Vec<Vec<Sha256Digest>>,
    /// Leaves that have bytes.
    blocks: usize,
}

impl PartLeaves {
    /// Of part `part` of that tree, where there is one hash for each block, or for each leaf of the part with zeros for those beyond the end of the
    /// file. `None` when they are not the part's.
    #[must_use]
    pub fn new(tree: &TreeProof, part: usize, mut leaves: Vec<Sha256Digest>) -> Option<Self> {
        let expected = tree.hashes().get(part)?;
        let start = tree.part_bytes().checked_mul(part as u64)?;
        let bytes = tree.content().size.checked_sub(start)?.min(tree.part_bytes());
        let blocks = usize::try_from(bytes.div_ceil(PiecesRootHasher::LEAF_BYTES as u64)).ok()?;
        let whole = 1_usize.checked_shl(Self::height(tree))?;
        let beyond_is_empty = leaves.iter().skip(blocks).all(|leaf| leaf.0 == [0; 32]);
        if (leaves.len() != blocks && leaves.len() != whole) || !beyond_is_empty {
            return None;
        }
        leaves.resize(whole, Sha256Digest([0; 32]));
        let mut layers = vec![leaves];
        while layers.last().is_some_and(|layer| layer.len() > 1) {
            let above = layers[layers.len() - 1].chunks(2).map(|pair| Sha256Digest(parent(&pair[0].0, &pair[1].0))).collect();
            layers.push(above);
        }
        (layers.last()?.first()? == expected).then_some(Self { layers, blocks })
    }

    /// How many layers the parts of a tree have below their own: 0 where a part is one block.
    #[must_use]
    pub fn height(tree: &TreeProof) -> u32 {
        match tree.hashes().len() {
            0 | 1 => tree.content().size.div_ceil(PiecesRootHasher::LEAF_BYTES as u64).max(1).next_power_of_two().ilog2(),
            _ => height_of(tree.part_bytes()),
        }
    }

    /// The hash of each block that has bytes.
    #[must_use]
    pub fn blocks(&self) -> &[Sha256Digest] {
        &self.layers[0][..self.blocks]
    }

    /// The parts whose leaves are needed for `length` hashes from `index` on, `layer` layers above the leaves; `None` when that is no span of a layer
    /// below the parts'.
    #[must_use]
    pub fn parts_under(tree: &TreeProof, layer: u32, index: u64, length: u64) -> Option<Range<usize>> {
        let below = Self::height(tree).checked_sub(layer).filter(|&below| below > 0)?;
        if !length.is_power_of_two() || length < 2 || !index.is_multiple_of(length) {
            return None;
        }
        let (first, end) = (index >> below, ((index.checked_add(length)? - 1) >> below) + 1);
        let parts = tree.hashes().len();
        let narrow = |part: u64| usize::try_from(part).unwrap_or(usize::MAX).min(parts);
        (narrow(first) < parts).then(|| narrow(first)..narrow(end))
    }
}

/// What answers a hash request below the layer of a [`TreeProof`] whose upper nodes are `above`: `length` hashes from `index` on, `layer` layers
/// above the leaves, then the uncles that prove them as far up as `proof_layers` says. `leaves` tells those of the parts that
/// [`PartLeaves::parts_under`] names.
///
/// `None` when there is no such span, the proof would go beyond the root, or leaves are missing.
#[must_use]
pub fn span_below<'a>(
    tree: &TreeProof,
    above: &TreeLayers,
    leaves: impl Fn(usize) -> Option<&'a PartLeaves>,
    (layer, index, length, proof_layers): (u32, u64, u64, u32),
) -> Option<Vec<Sha256Digest>> {
    PartLeaves::parts_under(tree, layer, index, length)?;
    let part_height = PartLeaves::height(tree);
    let height = part_height + above.height() - layer;
    let covered = length.ilog2();
    if covered > height || index >= 1 << height || proof_layers >= height.max(1) {
        return None;
    }
    let node = |layer: u32, index: u64| {
        if layer >= part_height {
            return above.node(layer - part_height, index);
        }
        let below = part_height - layer;
        let part = usize::try_from(index >> below).ok()?;
        if part >= tree.hashes().len() {
            let zeros = (0..layer).fold([0; 32], |zeros, _| parent(&zeros, &zeros));
            return Some(Sha256Digest(zeros));
        }
        let place = usize::try_from(index & ((1 << below) - 1)).ok()?;
        leaves(part)?.layers.get(layer as usize)?.get(place).copied()
    };
    let mut hashes = (index..index + length).map(|index| node(layer, index)).collect::<Option<Vec<_>>>()?;
    let mut at = index >> covered;
    for step in 0..proof_layers.saturating_sub(covered - 1) {
        hashes.push(node(layer + covered + step, at ^ 1)?);
        at >>= 1;
    }
    Some(hashes)
}
