use hexad_content::sha1_lanes::{BLOCK_BYTES, LANES, Sha1Lanes, sha1_many, sha1_one};
use proptest::prelude::*;
use sha1::{Digest as _, Sha1};

fn check(messages: &[Vec<u8>]) {
    let borrowed: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    let expected: Vec<[u8; 20]> = messages.iter().map(|message| Sha1::digest(message).into()).collect();
    let found: Vec<[u8; 20]> = sha1_many(&borrowed).into_iter().map(|digest| digest.0).collect();
    assert_eq!(found, expected);
}

/// Lane `lane` of 16 messages that all differ.
fn message(lane: usize, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 7 + lane * 31 + at / 251) as u8).collect()
}

#[test]
fn every_length_around_the_block_borders_is_hashed_right_in_the_lanes() {
    for bytes in (0..=200).chain([1_000, 16_384, 16_385]) {
        let messages: Vec<Vec<u8>> = (0..LANES).map(|lane| message(lane, bytes)).collect();
        let lanes = Sha1Lanes::new().finish(&std::array::from_fn(|lane| messages[lane].as_slice()));
        for (digest, message) in lanes.iter().zip(&messages) {
            assert_eq!(*digest, sha1_one(message), "{bytes} bytes");
        }
    }
}

#[test]
fn rows_give_the_same_digests_as_whole_messages() {
    let messages: Vec<Vec<u8>> = (0..LANES).map(|lane| message(lane, 1_000)).collect();
    let mut lanes = Sha1Lanes::new();
    for row in 0..5 {
        lanes.update(&std::array::from_fn(|lane| &messages[lane][row * 2 * BLOCK_BYTES..][..2 * BLOCK_BYTES]));
    }
    let digests = lanes.finish(&std::array::from_fn(|lane| &messages[lane][10 * BLOCK_BYTES..]));
    assert!(digests.iter().zip(&messages).all(|(digest, message)| *digest == sha1_one(message)));
}

#[test]
fn no_message_gives_no_digest() {
    check(&[]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_messages_hash_as_one_by_one(messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..40)) {
        check(&messages);
    }

    #[test]
    fn messages_of_equal_length_hash_as_one_by_one(count in 0_usize..50, bytes in 0_usize..2_000) {
        check(&(0..count).map(|lane| message(lane, bytes)).collect::<Vec<_>>());
    }
}
