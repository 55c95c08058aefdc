//! Asking for hashes of a file's tree, and answering: messages 21 to 23 (BEP 52).

use bytes::{Buf as _, BufMut as _, BytesMut};
use hexad_content::Sha256Digest;
use hexad_core::Malformed;

use super::message::HashSpan;

/// What all three begin with, after the id.
pub(super) const HEAD_BYTES: usize = 48;
const HASH_BYTES: usize = 32;

/// Takes the head off a frame.
pub(super) fn read_head(frame: &mut BytesMut) -> Result<HashSpan, Malformed> {
    if frame.len() < HEAD_BYTES {
        return Err(Malformed::at(1, format!("expected at least {HEAD_BYTES} bytes about hashes, came {}", frame.len())));
    }
    let mut root = [0; HASH_BYTES];
    frame.copy_to_slice(&mut root);
    let [base_layer, index, length, proof_layers] = std::array::from_fn(|_| frame.get_u32());
    let layers = |what: &str, count: u32| {
        let fits = u8::try_from(count).ok().filter(|&count| count <= HashSpan::LAYERS_MAX);
        fits.ok_or_else(|| Malformed::at(33, format!("expected a {what} of at most {}, came {count}", HashSpan::LAYERS_MAX)))
    };
    if !length.is_power_of_two() || !(2..=HashSpan::LENGTH_MAX).contains(&length) {
        return Err(Malformed::at(41, format!("expected a power of two from 2 to {} hashes, came {length}", HashSpan::LENGTH_MAX)));
    }
    if !index.is_multiple_of(length) {
        return Err(Malformed::at(37, format!("expected hashes from a multiple of {length} on, came {index}")));
    }
    Ok(HashSpan {
        root: Sha256Digest(root),
        base_layer: layers("base layer", base_layer)?,
        index,
        length,
        proof_layers: layers("number of proof layers", proof_layers)?,
    })
}

/// The hashes that follow the head.
pub(super) fn read_hashes(bytes: &[u8], span: &HashSpan) -> Result<Vec<Sha256Digest>, Malformed> {
    let (hashes, rest) = bytes.as_chunks::<HASH_BYTES>();
    let most = span.length as usize + usize::from(HashSpan::LAYERS_MAX);
    if !rest.is_empty() || hashes.len() < span.length as usize || hashes.len() > most {
        return Err(Malformed::at(49, format!("expected {} hashes and a proof, came {} bytes", span.length, bytes.len())));
    }
    Ok(hashes.iter().map(|hash| Sha256Digest(*hash)).collect())
}

/// Appends one of the three.
pub(super) fn write(id: u8, span: &HashSpan, hashes: &[Sha256Digest], out: &mut BytesMut) {
    out.put_u32(u32::try_from(1 + HEAD_BYTES + hashes.len() * HASH_BYTES).unwrap_or(u32::MAX));
    out.put_u8(id);
    out.put_slice(&span.root.0);
    for number in [span.base_layer.into(), span.index, span.length, span.proof_layers.into()] {
        out.put_u32(number);
    }
    hashes.iter().for_each(|hash| out.put_slice(&hash.0));
}
