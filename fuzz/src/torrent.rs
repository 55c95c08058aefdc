//! .torrent files, and the names in them.

use std::path::{Component, PathBuf};

use bytes::Bytes;
use hexad_bittorrent::wire::metainfo::{Info, Metainfo};
use hexad_content::{Magnet, safe_names};

/// A .torrent.
pub fn metainfo(bytes: &[u8]) {
    let Ok(torrent) = Metainfo::parse(&Bytes::copy_from_slice(bytes)) else { return };
    let info = &torrent.info;
    assert_eq!(info.layout.total_bytes().div_ceil(info.piece_bytes), u64::from(info.piece_count()));
    assert_eq!(Info::parse(info.bytes.clone()).as_ref(), Ok(info));
    assert!(torrent.tiers.iter().all(|tier| !tier.is_empty()));
    let again = Metainfo::parse(&torrent.encode().into()).unwrap_or_else(|wrong| panic!("{wrong}, reading {torrent:?} again"));
    assert_eq!(again, torrent);

    let magnet = torrent.magnet();
    let link = magnet.to_string();
    if link.len() <= Magnet::TEXT_BYTES_MAX && magnet.name.as_deref() != Some("") {
        assert_eq!(link.parse(), Ok(magnet));
    }

    let names = safe_names(&info.layout);
    let mut taken = std::collections::BTreeSet::new();
    for path in names.paths.iter().flatten() {
        let joined: PathBuf = path.iter().collect();
        assert!(joined.components().all(|component| matches!(component, Component::Normal(_))), "{joined:?}");
        assert!(path.iter().all(|element| element.len() <= 255) && path[0] == names.root);
        assert!(taken.insert(path.iter().map(|element| element.to_lowercase()).collect::<Vec<_>>()), "{joined:?} stands twice");
    }
}
