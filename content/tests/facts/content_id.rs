use hexad_content::{ContentId, ContentIdError, PiecesRootHasher, Sha256Digest};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

const LEAF: usize = PiecesRootHasher::LEAF_BYTES;

fn root_of(bytes: &[u8]) -> String {
    let mut hasher = PiecesRootHasher::new();
    hasher.update(bytes);
    let id = hasher.finish();
    assert_eq!(id.size, bytes.len() as u64);
    id.root.to_string()
}

/// BEP 52 as it is written: all leaves, then level by level.
fn plain_root(bytes: &[u8]) -> [u8; 32] {
    let mut level: Vec<[u8; 32]> = bytes.chunks(LEAF).map(|leaf| Sha256::digest(leaf).into()).collect();
    level.resize(level.len().next_power_of_two(), [0; 32]);
    while level.len() > 1 {
        level = level.chunks(2).map(|pair| Sha256::digest(pair.concat()).into()).collect();
    }
    level[0]
}

#[test]
fn an_empty_file_has_a_root_of_zeros() {
    assert_eq!(root_of(b""), "00".repeat(32));
}

#[test]
fn a_file_of_one_leaf_has_its_sha256_as_root() {
    // FIPS 180-2, "abc".
    assert_eq!(root_of(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn missing_leaves_count_as_the_known_subtrees_of_zeros() {
    // The zero subtrees by height, computed from BEP 52's rule and checked against libtorrent's (bittorrent.md, 3.1).
    let zeros = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b",
        "db56114e00fdd4c1f85c892bf35ac9a89289aaecb1ebd0a96cde606a748b5d71",
        "c78009fdf07fc56a11f122370658a353aaa542ed63e44c4bc15ff4cd105ab33c",
        "536d98837f2dd165a55d5eeae91485954472d56f246df256bf3cae19352a123c",
    ];
    // 2^h + 1 leaves: the right half is one leaf and subtrees of zeros at heights 0 to h - 1.
    for height in 0..zeros.len() {
        let bytes = vec![b'x'; (1 << height) * LEAF + 1];
        let hash = |left: &[u8], right: &[u8]| -> [u8; 32] { Sha256::new().chain_update(left).chain_update(right).finalize().into() };
        let mut right: [u8; 32] = Sha256::digest(b"x").into();
        for zero in &zeros[..height] {
            right = hash(&right, &data_encoding::HEXLOWER.decode(zero.as_bytes()).unwrap());
        }
        let expected = hash(&plain_root(&bytes[..(1 << height) * LEAF]), &right);
        assert_eq!(root_of(&bytes), Sha256Digest(expected).to_string(), "height {height}");
    }
}

#[test]
fn the_text_of_an_id_can_be_read_back_and_nonsense_is_refused() {
    let id = ContentId { size: 1_234_567, root: Sha256Digest([0xab; 32]) };
    assert_eq!(id.to_string(), format!("{}-1234567", "ab".repeat(32)));
    assert_eq!(id.to_string().parse(), Ok(id));
    let root = "ab".repeat(32);
    assert!(matches!("".parse::<ContentId>(), Err(ContentIdError::Root(_))));
    assert!(matches!(format!("{}-1", &root[2..]).parse::<ContentId>(), Err(ContentIdError::Root(_))));
    for size in ["", "-1", "+1", "01", "18446744073709551616", "1 "] {
        assert!(matches!(format!("{root}-{size}").parse::<ContentId>(), Err(ContentIdError::Size(_))), "{size:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_cut_of_any_stream_gives_the_root_that_bep_52_describes(size in 1_usize..12 * LEAF, cuts in prop::collection::vec(1_usize..3 * LEAF, 1..8)) {
        let bytes: Vec<u8> = (0..size).map(|at| (at * 13 + at / 509) as u8).collect();
        let mut hasher = PiecesRootHasher::new();
        let mut rest = bytes.as_slice();
        for cut in cuts.iter().cycle() {
            let (here, after) = rest.split_at((*cut).min(rest.len()));
            hasher.update(here);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(hasher.finish(), ContentId { size: size as u64, root: Sha256Digest(plain_root(&bytes)) });
    }
}
