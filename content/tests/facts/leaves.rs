use hexad_content::{PartLeaves, Sha256Digest, TreeLayers, TreeProof, leaf_hashes, span_below};
use proptest::prelude::*;

const LEAF: u64 = 16 << 10;

/// A file of that size, with the hashes of its blocks.
fn file(size: u64) -> (Vec<u8>, Vec<Sha256Digest>) {
    let bytes: Vec<u8> = (0..size).map(|at| (at / 7 + at / LEAF * 3) as u8).collect();
    let leaves = leaf_hashes(&bytes);
    (bytes, leaves)
}

/// The layer of parts of so many bytes, and the leaves of each of them.
fn planted(size: u64, part_bytes: u64) -> (TreeProof, Vec<PartLeaves>) {
    let (bytes, _) = file(size);
    let parts: Vec<&[u8]> = bytes.chunks(part_bytes as usize).collect();
    let hashes: Vec<Sha256Digest> = parts.iter().map(|part| TreeProof::hash_of_part(size, part_bytes, part)).collect();
    let tree = TreeProof::of_layer(size, part_bytes, hashes).unwrap();
    let leaves = parts.iter().enumerate().map(|(number, part)| PartLeaves::new(&tree, number, leaf_hashes(part)).unwrap()).collect();
    (tree, leaves)
}

#[test]
fn leaves_are_sha_256_of_blocks() {
    // SHA-256 of 16,384 zeros, and of "abc" (FIPS 180-4); by hand: `head -c 16384 /dev/zero | sha256sum`.
    let bytes = [vec![0; 16 << 10], b"abc".to_vec()].concat();
    let told: Vec<String> = leaf_hashes(&bytes).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "4fe7b59af6de3b665b67788cc2f99892ab827efae3a467342b3bb4e3bc8e5bfe",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        ]
    );
}

#[test]
fn only_the_leaves_of_a_part_are_its_leaves() {
    let (tree, _) = planted(11 * LEAF + 5, 4 * LEAF);
    let (_, all) = file(11 * LEAF + 5);
    let last = all[8..].to_vec();
    assert!(PartLeaves::new(&tree, 2, last.clone()).is_some());
    let short = planted(9 * LEAF, 4 * LEAF).0;
    let (_, nine) = file(9 * LEAF);
    let padded = [nine[8..].to_vec(), vec![Sha256Digest([0; 32]); 3]].concat();
    assert_eq!(PartLeaves::new(&short, 2, padded.clone()).unwrap().blocks(), &nine[8..]);
    let mut dirty = padded;
    dirty[3].0[0] = 1;
    for (part, wrong) in [(2, dirty), (1, nine[8..].to_vec()), (3, Vec::new()), (usize::MAX, Vec::new()), (0, nine[..3].to_vec())] {
        assert_eq!(PartLeaves::new(&short, part, wrong), None, "{part}");
    }
    let mut other = last;
    other[0].0[0] ^= 1;
    assert_eq!(PartLeaves::new(&tree, 2, other), None);
}

#[test]
fn a_file_of_one_part_has_a_tree_as_high_as_it_needs() {
    let (tree, leaves) = planted(3 * LEAF, 64 * LEAF);
    assert_eq!((PartLeaves::height(&tree), leaves[0].blocks().len()), (2, 3));
    let above = TreeLayers::of(&tree);
    let all = span_below(&tree, &above, |part| leaves.get(part), (0, 0, 4, 0)).unwrap();
    assert_eq!(all[..3], *leaves[0].blocks());
    assert_eq!(span_below(&tree, &above, |part| leaves.get(part), (0, 4, 4, 0)), None);
    let (one, _) = planted(100, 64 * LEAF);
    assert_eq!(PartLeaves::parts_under(&one, 0, 0, 2), None);
}

proptest! {
    /// The whole tree of leaves, as if there were no parts, is the reference.
    #[test]
    fn a_span_below_the_parts_is_that_of_the_whole_tree(blocks in 1_u64..40, rest in 0_u64..2, whole in 0_u32..4, layer in 0_u32..4, place in 0_u64..64, power in 0_u32..7, proofs in 0_u32..8) {
        let size = blocks * LEAF - rest * 100;
        let (tree, leaves) = planted(size, LEAF << whole);
        let reference = TreeLayers::of(&TreeProof::of_layer(size, LEAF, file(size).1).unwrap());
        let above = TreeLayers::of(&tree);
        let length = 1 << power;
        let index = place / length * length;
        let found = span_below(&tree, &above, |part| leaves.get(part), (layer, index, length, proofs));
        if layer < PartLeaves::height(&tree) && PartLeaves::parts_under(&tree, layer, index, length).is_some() {
            prop_assert_eq!(&found, &reference.span(layer, index, length, proofs));
            let needed = PartLeaves::parts_under(&tree, layer, index, length).unwrap();
            let few = span_below(&tree, &above, |part| leaves.get(part).filter(|_| needed.contains(&part)), (layer, index, length, proofs));
            prop_assert_eq!(few, found);
        } else {
            prop_assert_eq!(found, None);
        }
    }
}
