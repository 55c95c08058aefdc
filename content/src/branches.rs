//! The inner nodes of a file's Merkle tree: what proves some hashes of a layer by the root alone (BEP 52, *hash request*, *hashes*).

use crate::content_id::{height_of, parent};
use crate::{ContentId, Sha256Digest, TreeProof};

/// All layers of a tree from that of its [`TreeProof`] up to the root. Takes twice the memory of the proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeLayers {
    /// The lowest first; each without the nodes that lie wholly beyond the end of the file.
    layers: Vec<Vec<Sha256Digest>>,
    /// The node over nothing but zeros, for each layer.
    zeros: Vec<Sha256Digest>,
}

impl TreeLayers {
    /// Hashes the layers. Of a file of one part or less there is only the root.
    #[must_use]
    pub fn of(tree: &TreeProof) -> Self {
        let mut zeros = vec![zeros_over(tree.part_bytes())];
        let mut layers = vec![tree.hashes().to_vec()];
        while layers.last().is_some_and(|layer| layer.len() > 1) {
            let (below, zero) = (&layers[layers.len() - 1], zeros[zeros.len() - 1]);
            let above = below.chunks(2).map(|pair| both(&pair[0], pair.get(1).unwrap_or(&zero))).collect();
            layers.push(above);
            zeros.push(both(&zero, &zero));
        }
        Self { layers, zeros }
    }

    /// How many layers there are above the lowest.
    #[must_use]
    pub fn height(&self) -> u32 {
        u32::try_from(self.layers.len()).unwrap_or(u32::MAX).saturating_sub(1)
    }

    /// A node; `layer` 0 is that of the proof. Beyond the end of the file it is the one over zeros.
    pub(crate) fn node(&self, layer: u32, index: u64) -> Option<Sha256Digest> {
        let nodes = self.layers.get(layer as usize)?;
        let node = usize::try_from(index).ok().and_then(|index| nodes.get(index).copied());
        (index < 1 << (self.height() - layer)).then(|| node.unwrap_or(self.zeros[layer as usize]))
    }

    /// What answers a hash request: `length` hashes from `index` on, then the uncles that prove them as far up as `proof_layers` says, counted
    /// from the layer itself. `length` is a power of two of at least 2 and divides `index`.
    ///
    /// `None` when there is no such span, or the proof would go beyond the root.
    #[must_use]
    pub fn span(&self, layer: u32, index: u64, length: u64, proof_layers: u32) -> Option<Vec<Sha256Digest>> {
        let height = self.height().checked_sub(layer)?;
        let covered = span_height(index, length)?;
        if covered > height || index >= 1 << height || proof_layers >= height.max(1) {
            return None;
        }
        let mut hashes = (index..index + length).map(|index| self.node(layer, index)).collect::<Option<Vec<_>>>()?;
        // The layers below the root of the span follow from its hashes.
        let uncles = proof_layers.saturating_sub(covered - 1);
        let mut at = index >> covered;
        for above in 0..uncles {
            hashes.push(self.node(layer + covered + above, at ^ 1)?);
            at >>= 1;
        }
        Some(hashes)
    }
}

/// Over how many layers a span of so many hashes at `index` reaches, when it is the leaves of one node.
fn span_height(index: u64, length: u64) -> Option<u32> {
    (length.is_power_of_two() && length >= 2 && index.is_multiple_of(length)).then(|| length.ilog2())
}

/// How many layers a file's tree has above the one of `part_bytes`.
#[must_use]
pub fn layers_above(size: u64, part_bytes: u64) -> u32 {
    size.div_ceil(part_bytes.max(1)).max(1).next_power_of_two().ilog2()
}

/// Whether `hashes` are `length` nodes from `index` on of the layer of `part_bytes` of that content, followed by all uncles up to the root, and
/// what lies beyond the end of the file is as it must be.
#[must_use]
pub fn proves_span(content: ContentId, part_bytes: u64, index: u64, length: u64, hashes: &[Sha256Digest]) -> bool {
    let height = layers_above(content.size, part_bytes);
    let Some(covered) = span_height(index, length).filter(|&covered| covered <= height) else { return false };
    let Ok(length) = usize::try_from(length) else { return false };
    let uncles = (height - covered) as usize;
    if index >= 1 << height || hashes.len() != length + uncles {
        return false;
    }
    let (span, uncles) = hashes.split_at(length);
    let parts = content.size.div_ceil(part_bytes);
    let inside = usize::try_from(parts.saturating_sub(index)).unwrap_or(usize::MAX).min(length);
    let zeros = zeros_over(part_bytes);
    if span[inside..].iter().any(|hash| *hash != zeros) {
        return false;
    }
    let mut layer = span.to_vec();
    while layer.len() > 1 {
        layer = layer.chunks(2).map(|pair| both(&pair[0], &pair[1])).collect();
    }
    let mut node = layer[0];
    let mut at = index >> covered;
    for uncle in uncles {
        node = if at & 1 == 0 { both(&node, uncle) } else { both(uncle, &node) };
        at >>= 1;
    }
    node == content.root
}

fn zeros_over(part_bytes: u64) -> Sha256Digest {
    Sha256Digest((0..height_of(part_bytes)).fold([0; 32], |zeros, _| parent(&zeros, &zeros)))
}

fn both(left: &Sha256Digest, right: &Sha256Digest) -> Sha256Digest {
    Sha256Digest(parent(&left.0, &right.0))
}
