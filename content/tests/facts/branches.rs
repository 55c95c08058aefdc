use hexad_content::{ContentId, Sha256Digest, TreeLayers, TreeProof, layers_above, proves_span};
use proptest::prelude::*;

const LEAF: u64 = 16 << 10;

/// A tree whose leaves need not be hashed.
fn tree(parts: u64, part_bytes: u64) -> TreeProof {
    let hashes: Vec<Sha256Digest> = (0..parts).map(|part| Sha256Digest([part as u8 + 1; 32])).collect();
    TreeProof::of_layer((parts - 1) * part_bytes + 1, part_bytes, hashes).unwrap()
}

/// The hashes that prove `length` parts from `index` on up to the root, as BEP 52 has it.
fn whole_span(tree: &TreeProof, index: u64, length: u64) -> Option<Vec<Sha256Digest>> {
    let layers = TreeLayers::of(tree);
    layers.span(0, index, length, layers.height().saturating_sub(1))
}

#[test]
fn the_highest_layer_is_the_root() {
    for parts in [1, 2, 3, 5, 8, 9] {
        let tree = tree(parts, 4 * LEAF);
        let layers = TreeLayers::of(&tree);
        assert_eq!(layers.height(), layers_above(tree.content().size, tree.part_bytes()));
        if parts > 1 {
            let top = layers.span(layers.height() - 1, 0, 2, 0).unwrap();
            let above = TreeProof::new(tree.content(), (4 * LEAF) << (layers.height() - 1), top).unwrap();
            assert_eq!(above.content(), tree.content());
        }
    }
}

#[test]
fn no_span_is_given_that_does_not_exist() {
    let layers = TreeLayers::of(&tree(5, LEAF));
    assert!(layers.span(0, 0, 8, 2).is_some());
    for (layer, index, length, proofs) in
        [(0, 0, 1, 0), (0, 0, 3, 0), (0, 1, 2, 0), (0, 8, 2, 0), (0, 0, 16, 0), (0, 0, 2, 3), (3, 0, 2, 0), (9, 0, 2, 0), (0, 0, 0, 0)]
    {
        assert_eq!(layers.span(layer, index, length, proofs), None, "{layer} {index} {length} {proofs}");
    }
    assert_eq!(TreeLayers::of(&tree(1, LEAF)).span(0, 0, 2, 0), None);
}

#[test]
fn layers_below_the_root_of_a_span_are_not_sent() {
    let layers = TreeLayers::of(&tree(16, LEAF));
    let lengths: Vec<usize> = (0..4).map(|proofs| layers.span(0, 4, 4, proofs).unwrap().len()).collect();
    assert_eq!(lengths, [4, 4, 5, 6]);
}

proptest! {
    #[test]
    fn a_span_is_proven_and_one_with_a_wrong_hash_is_not(parts in 2_u64..40, power in 1_u32..6, place in 0_u64..40, wrong in 0_usize..64, whole in 0_u32..3) {
        let part_bytes = LEAF << whole;
        let tree = tree(parts, part_bytes);
        let length = 1 << power.min(layers_above(tree.content().size, part_bytes));
        let index = place % parts / length * length;
        let mut hashes = whole_span(&tree, index, length).unwrap();
        prop_assert!(proves_span(tree.content(), part_bytes, index, length, &hashes));
        let other = ContentId { size: tree.content().size + 64 * part_bytes, ..tree.content() };
        prop_assert!(!proves_span(other, part_bytes, index, length, &hashes));
        let wrong = wrong % hashes.len();
        hashes[wrong].0[7] ^= 1;
        prop_assert!(!proves_span(tree.content(), part_bytes, index, length, &hashes));
        hashes[wrong].0[7] ^= 1;
        hashes.pop();
        prop_assert!(!proves_span(tree.content(), part_bytes, index, length, &hashes));
    }
}
