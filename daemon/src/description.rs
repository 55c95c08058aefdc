//! What networks say that a download is of: whether two of them mean the same, what it is called in its folder, and its files as selections see them.

use hexad_content::{Digest, Digests, Layout, Proof};
use hexad_core::Description;

use crate::source;

/// Whether a network describes what is known already. The proof that came first judges whatever comes, so another one of a single file, or none,
/// takes nothing away: who has something else is found out by his first bytes.
pub(crate) fn is_same(known: &Description, other: &Description) -> bool {
    let proven = known.proof.as_ref().is_some_and(Proof::is_proof);
    let same_proof = known.proof == other.proof || !proven && other.proof.is_none();
    if known.layout == other.layout && same_proof {
        return true;
    }
    let alike = known.layout.is_single() && other.layout.is_single() && known.layout.total_bytes() == other.layout.total_bytes();
    let kind = std::mem::discriminant::<Digest>;
    let contradicts = |digest: &Digest| known.digests.iter().any(|own| kind(own) == kind(digest) && own != digest && is_of_content(digest));
    proven && alike && !other.digests.iter().any(contradicts)
}

/// Whether one content has only one of these: torrents of the same file differ by their names and piece lengths.
fn is_of_content(digest: &Digest) -> bool {
    !matches!(digest, Digest::TorrentV1(_) | Digest::TorrentV2(_))
}

/// How to see what can be selected.
pub(crate) fn listing(layout: &Layout) -> String {
    let first = layout.files().iter().enumerate().filter(|(_, file)| !file.padding).take(3);
    let first: Vec<String> = first.map(|(index, file)| format!("{index} is '{}'", file.path.join("/"))).collect();
    format!("{}; hexad torrent show lists all files of a .torrent", first.join(", "))
}

/// The raw paths of a layout, as selections see them.
pub(crate) fn paths(layout: &Layout) -> Vec<Option<String>> {
    layout.files().iter().map(|file| (!file.padding).then(|| file.path.join("/"))).collect()
}

/// What names a download in its target folder: by what proves it, so that another proof of the same files does not take its books for its own.
pub(crate) fn identity_in_folder(digests: &Digests, proof: &Proof) -> String {
    match proof {
        Proof::Tree(tree) => tree.content().root.to_string(),
        Proof::Tiger(tree) => tree.root().iter().map(|byte| format!("{byte:02x}")).collect(),
        _ => source::info_hash_of(digests).unwrap_or_default(),
    }
}
