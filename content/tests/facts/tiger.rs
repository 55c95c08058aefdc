use data_encoding::BASE32_NOPAD;
use hexad_content::{Layout, Proof, TigerError, TigerHasher, TigerProof};
use proptest::prelude::*;

fn root(bytes: &[u8]) -> [u8; 24] {
    TigerProof::hash_of_part(bytes)
}

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 31 + at / 251) as u8).collect()
}

fn layer(bytes: &[u8], part_bytes: u64) -> Vec<[u8; 24]> {
    bytes.chunks(part_bytes as usize).map(root).collect()
}

/// From the specification, section 25, where they were checked with rhash.
#[test]
fn roots_are_those_of_other_programs() {
    let check = |bytes: &[u8], expected: &str| assert_eq!(BASE32_NOPAD.encode(&root(bytes)), expected);
    check(b"", "LWPNACQDBZRYXW3VHJVCJ64QBZNGHOHHHZWCLNQ");
    check(&[0], "VK54ZIEEVTWNAUI5D5RDFIL37LX2IQNSTAXFKSA");
    check(b"sextant", "HVGJS6PMBT64HUU5VNLKT7VS62TECE2CWAE6TOQ");
    check(&[b'A'; 1024], "L66Q4YVNAFWVS23X2HJIRA5ZJ7WXR3F26RSASFA");
    check(&[b'A'; 1025], "PZMRYHGY6LTBEH63ZWAHDORHSYTLO4LEFUIKHWY");
}

#[test]
fn every_part_is_proven_and_a_wrong_byte_is_not() {
    for size in [1, 1023, 1024, 1025, 5 * 1024, 70_000, 300_001] {
        let all = bytes(size);
        for part_bytes in [1024, 4096, 64 << 10] {
            let tree = TigerProof::of_layer(size as u64, part_bytes, layer(&all, part_bytes)).unwrap();
            assert_eq!(tree.root(), root(&all));
            let proof = Proof::Tiger(tree);
            assert!(proof.fits(&Layout::single("f".into(), size as u64).unwrap()));
            for part in 0..proof.part_count() {
                let range = proof.part_range(part);
                let mut bytes = all[range.start as usize..range.end as usize].to_vec();
                assert!(proof.proves(part, &bytes));
                *bytes.last_mut().unwrap() ^= 1;
                assert!(!proof.proves(part, &bytes));
            }
        }
    }
}

#[test]
fn an_empty_file_has_a_root_and_no_parts() {
    let tree = TigerProof::of_layer(0, 64 << 10, []).unwrap();
    assert_eq!((tree.root(), tree.levels()), (root(b""), vec![vec![root(b"")]]));
    assert_eq!(TigerProof::of_levels(root(b""), 0, &[root(b"")]).unwrap().hashes().len(), 0);
    assert_eq!(TigerProof::of_levels(root(b"a"), 0, &[root(b"")]), Err(TigerError::Root));
}

#[test]
fn levels_that_are_not_whole_or_of_another_file_are_refused() {
    let all = bytes(300_000);
    let tree = TigerProof::of_layer(300_000, 1024, layer(&all, 1024)).unwrap();
    let nodes = tree.levels().concat();
    assert_eq!(TigerProof::of_levels(tree.root(), 300_000, &nodes[..nodes.len() - 1]), Err(TigerError::Count(nodes.len() - 1)));
    assert_eq!(TigerProof::of_levels(tree.root(), 300_000, &[]), Err(TigerError::Count(0)));
    assert!(TigerProof::of_levels(tree.root(), 100_000, &nodes).is_err());
    assert!(TigerProof::of_levels([7; 24], 300_000, &nodes).is_err());
    let mut bent = nodes.clone();
    *bent.last_mut().unwrap() = [7; 24];
    assert_eq!(TigerProof::of_levels(tree.root(), 300_000, &bent), Err(TigerError::Root));
    assert_eq!(TigerProof::of_layer(300_000, 1000, layer(&all, 1000)), Err(TigerError::PartBytes(1000)));
    let more = [nodes, vec![[0; 24]; 7]].concat();
    assert!(TigerProof::of_levels(tree.root(), 300_000, &more).is_err());
    assert!(TigerProof::of_levels([0; 24], u64::MAX, &more).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_layer_of_any_file_is_found_again_in_its_levels(size in 1_usize..200_000, height in 0_u32..9, cut in 0_usize..3000) {
        let all = bytes(size);
        let tree = TigerProof::of_layer(size as u64, 1024 << height, layer(&all, 1024 << height)).unwrap();
        prop_assert_eq!(tree.root(), root(&all));
        let again = TigerProof::of_levels(tree.root(), size as u64, &tree.levels().concat()).unwrap();
        prop_assert!(again.part_bytes() >= TigerProof::PART_BYTES_MIN || again.hashes().len() == 1);
        prop_assert_eq!(again.root(), tree.root());
        let mut hasher = TigerHasher::new();
        let cut = cut.min(size);
        hasher.update(&all[..cut]);
        hasher.update(&all[cut..]);
        prop_assert_eq!(hasher.finish(), tree.root());
    }
}
