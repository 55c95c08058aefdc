//! The BitTorrent v1 name of a share, so that a magnet link finds here what others know by it: SHA-1 over the info dictionary of BEP 3.

use hexad_content::{Layout, Sha1Digest};
use sha1::{Digest as _, Sha1};

/// The info hash of files that are proven by pieces.
#[must_use]
pub fn hash(layout: &Layout, piece_bytes: u64, hashes: &[Sha1Digest]) -> Sha1Digest {
    let mut dictionary: Vec<u8> = Vec::with_capacity(128 + 20 * hashes.len());
    let put = |dictionary: &mut Vec<u8>, bytes: &[u8]| {
        dictionary.extend_from_slice(bytes.len().to_string().as_bytes());
        dictionary.push(b':');
        dictionary.extend_from_slice(bytes);
    };
    let number = |dictionary: &mut Vec<u8>, number: u64| dictionary.extend_from_slice(format!("i{number}e").as_bytes());
    dictionary.push(b'd');
    let single = layout.is_single();
    if !single {
        put(&mut dictionary, b"files");
        dictionary.push(b'l');
    }
    for file in layout.files() {
        if !single {
            dictionary.push(b'd');
        }
        let attributes = [(file.padding, 'p'), (file.executable, 'x')].iter().filter(|(has, _)| *has).map(|(_, a)| *a).collect::<String>();
        if !attributes.is_empty() {
            put(&mut dictionary, b"attr");
            put(&mut dictionary, attributes.as_bytes());
        }
        put(&mut dictionary, b"length");
        number(&mut dictionary, file.length);
        if !single {
            put(&mut dictionary, b"path");
            dictionary.push(b'l');
            file.path.iter().for_each(|element| put(&mut dictionary, element.as_bytes()));
            dictionary.extend_from_slice(b"ee");
        }
    }
    if !single {
        dictionary.push(b'e');
    }
    put(&mut dictionary, b"name");
    put(&mut dictionary, layout.name().as_bytes());
    put(&mut dictionary, b"piece length");
    number(&mut dictionary, piece_bytes);
    put(&mut dictionary, b"pieces");
    dictionary.extend_from_slice(format!("{}:", hashes.len() * 20).as_bytes());
    hashes.iter().for_each(|hash| dictionary.extend_from_slice(&hash.0));
    dictionary.push(b'e');
    Sha1Digest(Sha1::digest(&dictionary).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dictionary_is_what_bep_3_writes() {
        let layout = Layout::single("a".into(), 3).expect("a small file");
        let expected = b"d6:lengthi3e4:name1:a12:piece lengthi4e6:pieces20:\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01e";
        assert_eq!(hash(&layout, 4, &[Sha1Digest([1; 20])]).0, <[u8; 20]>::from(Sha1::digest(expected)));
    }
}
