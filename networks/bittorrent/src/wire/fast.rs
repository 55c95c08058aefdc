//! Which pieces a choked peer may ask for. BEP 6.

use std::net::Ipv4Addr;

use sha1::{Digest as _, Sha1};

/// The canonical allowed fast set: up to `count` different piece indices below `pieces`, in the order in which they are generated. Both sides can
/// compute it, so a peer cannot get more by coming again. Defined for IPv4 only.
#[must_use]
pub fn allowed_fast_set(info_hash: &[u8; 20], ip: Ipv4Addr, pieces: u32, count: usize) -> Vec<u32> {
    let count = count.min(pieces as usize);
    let mut set = Vec::with_capacity(count);
    let [a, b, c, _] = ip.octets();
    let mut sha1 = Sha1::new();
    sha1.update([a, b, c, 0]);
    sha1.update(info_hash);
    let mut hash: [u8; 20] = sha1.finalize().into();
    while set.len() < count {
        for word in hash.chunks_exact(4) {
            let index = u32::from_be_bytes([word[0], word[1], word[2], word[3]]) % pieces;
            if set.len() < count && !set.contains(&index) {
                set.push(index);
            }
        }
        hash = Sha1::digest(hash).into();
    }
    set
}
