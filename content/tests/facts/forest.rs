use std::sync::Arc;

use hexad_content::{FileEntry, ForestError, ForestProof, Layout, PartVerdict, Proof, Sha1Digest, TreeProof};
use sha1::Digest as _;

const PART: u64 = 32 << 10;

fn bytes(size: u64, salt: u64) -> Vec<u8> {
    (0..size).map(|at| (at * 31 + at / 251 + salt) as u8).collect()
}

/// Files of these lengths, padded; their bytes laid end to end, and their trees.
fn files(lengths: &[u64]) -> (Layout, Vec<u8>, Arc<[TreeProof]>) {
    let entries = lengths.iter().zip(0..).map(|(&length, number)| FileEntry::plain(vec![format!("{number}")], length)).collect();
    let layout = Layout::folder("d".into(), entries).unwrap().aligned(PART, false).unwrap();
    let mut all = vec![0; layout.total_bytes() as usize];
    let mut trees = Vec::new();
    for (index, file) in layout.files().iter().enumerate().filter(|(_, file)| !file.padding && file.length > 0) {
        let range = layout.file_range(index);
        let here = bytes(file.length, index as u64);
        all[range.start as usize..range.end as usize].copy_from_slice(&here);
        let hashes: Vec<_> = here.chunks(PART as usize).map(|part| TreeProof::hash_of_part(file.length, PART, part)).collect();
        trees.push(TreeProof::of_layer(file.length, PART, hashes).unwrap());
    }
    (layout, all, trees.into())
}

const LENGTHS: [u64; 5] = [100_000, 1, 0, 65_536, 20_000];

#[test]
fn files_are_proven_part_by_part_and_padding_is_not() {
    let (layout, all, trees) = files(&LENGTHS);
    let proof = Proof::Forest(ForestProof::new(&layout, PART, trees, None).unwrap());
    assert!(proof.fits(&layout));
    assert_eq!((proof.part_count(), proof.total_bytes()), (8, layout.total_bytes()));
    let mut proven = 0;
    for part in 0..proof.part_count() {
        let range = proof.part_range(part);
        assert_eq!((range.start, proof.part_at(range.end - 1)), (part as u64 * PART, part));
        let mut bytes = all[range.start as usize..range.end as usize].to_vec();
        assert_eq!(proof.judge(part, &bytes), PartVerdict::Good);
        proven += bytes.len() as u64;
        bytes[0] ^= 1;
        assert_eq!(proof.judge(part, &bytes), PartVerdict::Bad);
    }
    assert_eq!(proven, LENGTHS.iter().sum::<u64>());
    assert_eq!(proof.judge(8, b""), PartVerdict::Bad);
    assert_eq!(proof.part_range(8), layout.total_bytes()..layout.total_bytes());
    assert!(!proof.fits(&Layout::single("f".into(), layout.total_bytes()).unwrap()));
}

#[test]
fn a_hybrid_part_must_be_what_both_say() {
    let (layout, all, trees) = files(&LENGTHS);
    let mut digests: Vec<_> = all.chunks(PART as usize).map(|part| Sha1Digest(sha1::Sha1::digest(part).into())).collect();
    digests[5] = Sha1Digest([1; 20]);
    let proof = Proof::Forest(ForestProof::new(&layout, PART, trees, Some(digests.into())).unwrap());
    for part in 0..proof.part_count() {
        let range = proof.part_range(part);
        let bytes = &all[range.start as usize..range.end as usize];
        let expected = if part == 5 { PartVerdict::Contradiction } else { PartVerdict::Good };
        assert_eq!(proof.judge(part, bytes), expected, "part {part}");
        assert_eq!(proof.judge(part, &vec![7; bytes.len()]), PartVerdict::Bad, "part {part}");
    }
}

#[test]
fn trees_that_are_not_the_files_are_refused() {
    let (layout, _, trees) = files(&LENGTHS);
    let refused = |trees: &[TreeProof], digests: usize| {
        let sha1 = (digests > 0).then(|| vec![Sha1Digest([0; 20]); digests].into());
        ForestProof::new(&layout, PART, trees.into(), sha1).unwrap_err()
    };
    assert_eq!(refused(&trees[..2], 0), ForestError::Tree { file: 5 });
    assert_eq!(refused(&[trees[0].clone(), trees[2].clone()], 0), ForestError::Tree { file: 2 });
    assert_eq!(refused(&[trees.to_vec(), vec![trees[0].clone()]].concat(), 0), ForestError::TooMany { expected: 4, found: 5 });
    assert_eq!(refused(&trees, 7), ForestError::Parts { expected: 8, found: 7 });
    let (other, _, trees) = files(&[1, 1]);
    let unaligned = Layout::folder("d".into(), other.files().iter().filter(|file| !file.padding).cloned().collect()).unwrap();
    let wrong = ForestProof::new(&unaligned, PART, trees, None).unwrap_err();
    assert_eq!(wrong, ForestError::Unaligned { file: 1, part_bytes: PART });
}

#[test]
fn padding_follows_every_file_that_does_not_end_with_a_piece() {
    let lengths = |layout: &Layout| layout.files().iter().map(|file| (file.length, file.padding)).collect::<Vec<_>>();
    let (layout, ..) = files(&LENGTHS);
    let expected = [(100_000, false), (31_072, true), (1, false), (32_767, true), (0, false), (65_536, false), (20_000, false)];
    assert_eq!(lengths(&layout), expected);
    assert_eq!(layout.files()[1].path, [".pad", "31072"]);
    let tailed = layout.aligned(PART, true).unwrap();
    assert_eq!(lengths(&tailed), [&expected[..], &[(12_768, true)]].concat());
    assert_eq!(tailed.aligned(PART, false).unwrap(), layout);
}
