use std::sync::Arc;

use hexad_content::{ContentId, Layout, PartVerdict, PiecesRootHasher, Proof, Sha1Digest, Sha256Digest, TreeError, TreeProof, WholeDigest};
use proptest::prelude::*;
use sha1::Digest as _;

const LEAF: u64 = PiecesRootHasher::LEAF_BYTES as u64;

fn bytes(size: u64) -> Vec<u8> {
    (0..size).map(|at| (at * 31 + at / 251) as u8).collect()
}

fn content(bytes: &[u8]) -> ContentId {
    let mut hasher = PiecesRootHasher::new();
    hasher.update(bytes);
    hasher.finish()
}

fn layer(bytes: &[u8], part_bytes: u64) -> Vec<Sha256Digest> {
    bytes.chunks(part_bytes as usize).map(|part| TreeProof::hash_of_part(bytes.len() as u64, part_bytes, part)).collect()
}

fn check(proof: &Proof, all: &[u8]) {
    assert!(proof.fits(&Layout::single("f".into(), all.len() as u64).unwrap()));
    let mut proven = 0;
    for part in 0..proof.part_count() {
        let range = proof.part_range(part);
        let mut bytes = all[range.start as usize..range.end as usize].to_vec();
        assert!(proof.proves(part, &bytes), "part {part}");
        proven += bytes.len();
        *bytes.last_mut().unwrap() ^= 1;
        assert!(!proof.proves(part, &bytes), "part {part} with a wrong byte");
    }
    assert_eq!(proven, all.len());
    assert!(!proof.proves(proof.part_count(), b""));
}

#[test]
fn every_part_of_a_tree_is_proven_and_a_wrong_byte_is_not() {
    for size in [1, LEAF - 1, LEAF, LEAF + 1, 4 * LEAF, 5 * LEAF + 3, 16 * LEAF + 1, 33 * LEAF] {
        let all = bytes(size);
        for part_bytes in [LEAF, 4 * LEAF, 64 * LEAF] {
            let tree = TreeProof::new(content(&all), part_bytes, layer(&all, part_bytes)).unwrap();
            assert_eq!(tree, TreeProof::of_layer(size, part_bytes, layer(&all, part_bytes)).unwrap());
            check(&Proof::Tree(tree), &all);
        }
    }
}

#[test]
fn a_digest_of_the_whole_proves_one_part() {
    let all = bytes(100_000);
    let sha1 = WholeDigest::Sha1(Sha1Digest(sha1::Sha1::digest(&all).into()));
    let sha256 = WholeDigest::Sha256(Sha256Digest(sha2::Sha256::digest(&all).into()));
    for digest in [sha1, sha256] {
        let proof = Proof::Whole { total_bytes: 100_000, digest };
        assert_eq!(proof.part_count(), 1);
        check(&proof, &all);
    }
}

#[test]
fn an_empty_file_has_no_parts_in_any_proof() {
    let tree = TreeProof::new(content(b""), LEAF, []).unwrap();
    let whole = Proof::Whole { total_bytes: 0, digest: WholeDigest::Sha1(Sha1Digest([0; 20])) };
    let pieces = Proof::V1Pieces { piece_bytes: 1, total_bytes: 0, hashes: Arc::new([]) };
    for proof in [Proof::Tree(tree), whole, pieces] {
        check(&proof, b"");
    }
}

#[test]
fn hashes_of_something_else_are_no_layer_of_a_content() {
    let all = bytes(5 * LEAF);
    let (id, hashes) = (content(&all), layer(&all, LEAF));
    assert_eq!(TreeProof::new(id, LEAF + 1, hashes.clone()), Err(TreeError::PartBytes(LEAF + 1)));
    assert_eq!(TreeProof::new(id, LEAF / 2, hashes.clone()), Err(TreeError::PartBytes(LEAF / 2)));
    assert_eq!(TreeProof::new(id, LEAF, &hashes[..4]), Err(TreeError::Count { expected: 5, found: 4 }));
    assert_eq!(TreeProof::new(id, 0, hashes.clone()), Err(TreeError::PartBytes(0)));
    let mut swapped = hashes.clone();
    swapped.swap(0, 1);
    assert_eq!(TreeProof::new(id, LEAF, swapped), Err(TreeError::Root));
    assert_eq!(TreeProof::new(ContentId { size: 5 * LEAF - 1, ..id }, 2 * LEAF, hashes), Err(TreeError::Count { expected: 3, found: 5 }));
}

#[test]
fn a_tree_proves_one_file_only() {
    let all = bytes(LEAF);
    let proof = Proof::Tree(TreeProof::new(content(&all), LEAF, layer(&all, LEAF)).unwrap());
    let entry = |name: &str, length| hexad_content::FileEntry::plain(vec![name.into()], length);
    assert!(!proof.fits(&Layout::folder("f".into(), vec![entry("a", LEAF / 2), entry("b", LEAF / 2)]).unwrap()));
    assert!(!proof.fits(&Layout::single("f".into(), LEAF + 1).unwrap()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_layer_of_a_file_folds_to_the_same_root(size in 1_u64..40 * LEAF, height in 0_u32..8) {
        let all = bytes(size);
        let part_bytes = LEAF << height;
        let tree = TreeProof::of_layer(size, part_bytes, layer(&all, part_bytes)).unwrap();
        prop_assert_eq!(tree.content(), content(&all));
    }
}

#[test]
fn what_nothing_proves_is_accepted_by_its_length_alone_and_proven_by_nothing() {
    let proof = Proof::Unproven { total_bytes: 600_000 };
    let part = usize::try_from(proof.part_bytes()).unwrap();
    assert_eq!((proof.part_count(), proof.part_range(2)), (3, 2 * part as u64..600_000));
    assert!(proof.fits(&Layout::single("x".into(), 600_000).unwrap()) && !proof.is_proof());
    let takes = |index, bytes: Vec<u8>| proof.judge(index, &bytes) == PartVerdict::Good;
    assert!(takes(0, vec![1; part]) && takes(2, vec![2; 600_000 - 2 * part]));
    assert!(!takes(0, vec![1; part - 1]) && !takes(3, Vec::new()) && !takes(2, vec![2; part]));
    assert!(!proof.proves(0, &vec![1; part]) && proof.check(0).is_none());
    assert_ne!(proof.identity(), Proof::Unproven { total_bytes: 600_001 }.identity());
}
