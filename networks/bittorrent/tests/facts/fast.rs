//! The canonical allowed fast set of BEP 6.

use std::net::Ipv4Addr;

use hexad_bittorrent::wire::allowed_fast_set;

#[test]
fn the_set_is_that_of_the_specification() {
    let (hash, ip) = ([0xaa; 20], Ipv4Addr::new(80, 4, 4, 200));
    assert_eq!(allowed_fast_set(&hash, ip, 1313, 7), [1059, 431, 808, 1217, 287, 376, 1188]);
    assert_eq!(allowed_fast_set(&hash, ip, 1313, 9), [1059, 431, 808, 1217, 287, 376, 1188, 353, 508]);
    assert_eq!(allowed_fast_set(&hash, Ipv4Addr::new(80, 4, 4, 1), 1313, 7)[0], 1059, "the last byte of the address does not count");
}

#[test]
fn there_are_no_more_than_there_are_pieces() {
    let set = |pieces, count| allowed_fast_set(&[1; 20], Ipv4Addr::LOCALHOST, pieces, count);
    assert_eq!((set(0, 10), set(1, 10), set(5, 0)), (vec![], vec![0], vec![]));
    let mut all = set(10, 100);
    all.sort_unstable();
    assert_eq!(all, (0..10).collect::<Vec<u32>>());
}
