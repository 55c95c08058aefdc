//! Names of content as Gnutella writes them (HUGE, spec §11), and how Hexad's own names go beside them.

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use hexad_content::{ContentId, Digest, Digests, Sha1Digest, Sha256Digest};

/// A digest as `urn:…`. `urn:sha1:` and `urn:tree:tiger:` are everybody's, `urn:btih:`, `urn:btmh:`, `urn:sha256:` and `urn:hexad:` are known to
/// programs like ours.
#[must_use]
pub fn urn_of(digest: &Digest) -> String {
    let base32 = |bytes: &[u8]| BASE32_NOPAD.encode(bytes);
    match digest {
        Digest::Sha1(hash) => format!("urn:sha1:{}", base32(&hash.0)),
        Digest::TigerTree(root) => format!("urn:tree:tiger/:{}", base32(root)),
        Digest::Content(id) => format!("urn:hexad:{}-{}", base32(&id.root.0), id.size),
        Digest::Sha256(hash) => format!("urn:sha256:{}", base32(&hash.0)),
        Digest::TorrentV1(hash) => format!("urn:btih:{}", base32(&hash.0)),
        Digest::TorrentV2(hash) => format!("urn:btmh:{}", base32(&hash.0)),
        Digest::Md5Prefix(hash) => format!("urn:md5-prefix:{}", HEXLOWER.encode(hash)),
    }
}

/// All digests that a urn stands for: a bitprint stands for two. None when nobody knows it.
#[must_use]
pub fn digests_of(urn: &str) -> Digests {
    let read = || -> Option<Vec<Digest>> {
        let lower = urn.get(..4).filter(|begin| begin.eq_ignore_ascii_case("urn:"))?;
        let rest = &urn[lower.len()..];
        let (kind, value) = rest.rsplit_once(':')?;
        let base32 = |text: &str| BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok();
        Some(match &*kind.to_ascii_lowercase() {
            "sha1" => vec![Digest::Sha1(Sha1Digest(base32(value)?.try_into().ok()?))],
            "bitprint" => {
                let (sha1, tiger) = value.split_once('.').unwrap_or((value, ""));
                let mut digests = vec![Digest::Sha1(Sha1Digest(base32(sha1)?.try_into().ok()?))];
                if !tiger.is_empty() {
                    digests.push(Digest::TigerTree(base32(tiger)?.try_into().ok()?));
                }
                digests
            }
            "tree:tiger" | "tree:tiger/" | "ttroot" => vec![Digest::TigerTree(base32(value)?.try_into().ok()?)],
            "hexad" => {
                let (root, size) = value.split_once('-')?;
                vec![Digest::Content(ContentId { size: size.parse().ok()?, root: Sha256Digest(base32(root)?.try_into().ok()?) })]
            }
            "sha256" => vec![Digest::Sha256(Sha256Digest(base32(value)?.try_into().ok()?))],
            "btih" => vec![Digest::TorrentV1(Sha1Digest(base32(value)?.try_into().ok()?))],
            "btmh" => vec![Digest::TorrentV2(Sha256Digest(base32(value)?.try_into().ok()?))],
            "md5-prefix" => vec![Digest::Md5Prefix(data_encoding::HEXLOWER_PERMISSIVE.decode(value.as_bytes()).ok()?.try_into().ok()?)],
            _ => return None,
        })
    };
    read().unwrap_or_default().into_iter().collect()
}
