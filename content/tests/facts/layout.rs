use std::sync::Arc;

use hexad_content::{Digest, Digests, FileEntry, FileSpan, Layout, LayoutError, Proof, Sha1Digest};
use proptest::prelude::*;

fn layout(lengths: &[u64]) -> Layout {
    let files = lengths.iter().enumerate().map(|(index, &length)| FileEntry::plain(vec![index.to_string()], length)).collect();
    Layout::folder("folder".into(), files).unwrap()
}

#[test]
fn a_range_over_three_files_is_cut_at_their_borders() {
    let spans: Vec<FileSpan> = layout(&[4, 0, 3, 5]).spans(2..9).collect();
    let span = |file, offset, length| FileSpan { file, offset, length };
    assert_eq!(spans, [span(0, 2, 2), span(2, 0, 3), span(3, 0, 2)]);
}

#[test]
fn files_that_no_offset_can_hold_are_refused() {
    assert_eq!(Layout::single("x".into(), Layout::TOTAL_BYTES_MAX + 1), Err(LayoutError::TooLong));
    let entry = || FileEntry::plain(vec!["x".into()], u64::MAX);
    assert_eq!(Layout::folder("x".into(), vec![entry(), entry()]), Err(LayoutError::TooLong));
    assert_eq!(Layout::folder("x".into(), Vec::new()), Err(LayoutError::Empty));
}

#[test]
fn a_proof_covers_the_layout_without_gaps() {
    let hashes: Arc<[Sha1Digest]> = (0..4).map(|n| Sha1Digest([n; 20])).collect();
    let proof = Proof::V1Pieces { piece_bytes: 10, total_bytes: 35, hashes };
    assert_eq!((0..5).map(|part| proof.part_range(part)).collect::<Vec<_>>(), [0..10, 10..20, 20..30, 30..35, 35..35]);
    assert_eq!([0, 9, 10, 34].map(|position| proof.part_at(position)), [0, 0, 1, 3]);
    assert_eq!((proof.sha1(3), proof.sha1(4)), (Some(Sha1Digest([3; 20])), None));
}

#[test]
fn only_digests_that_prove_make_two_contents_the_same() {
    let (hint, sha1) = (Digest::Md5Prefix([1; 16]), Digest::Sha1(Sha1Digest([2; 20])));
    let one: Digests = [hint, sha1].into_iter().collect();
    assert!(one.same_content(&[sha1].into_iter().collect()));
    assert!(!one.same_content(&[hint].into_iter().collect()));
    assert_eq!([sha1, hint, sha1].into_iter().collect::<Digests>(), one);
}

proptest! {
    #[test]
    fn spans_are_the_bytes_of_the_range_one_by_one(lengths in prop::collection::vec(0_u64..6, 1..12), start in 0_u64..70, length in 0_u64..70) {
        let layout = layout(&lengths);
        let bytes: Vec<(usize, u64)> = lengths.iter().enumerate().flat_map(|(file, &length)| (0..length).map(move |offset| (file, offset))).collect();
        let expected: Vec<(usize, u64)> = bytes.iter().copied().skip(start as usize).take(length as usize).collect();
        let spans: Vec<FileSpan> = layout.spans(start..start + length).collect();
        prop_assert!(spans.iter().all(|span| span.length > 0));
        let found: Vec<(usize, u64)> = spans.iter().flat_map(|span| (0..span.length).map(|at| (span.file, span.offset + at))).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(layout.total_bytes(), bytes.len() as u64);
    }
}
