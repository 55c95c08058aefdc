//! What comes as text: magnet links, queries to a tracker, and its answers.

use hexad_bittorrent::wire::http_tracker::{
    PEERS_MAX, SCRAPE_MAX, parse_announce, parse_scrape, read_announce, read_scrape, scrape_url, write_announce, write_scrape,
};
use hexad_content::Magnet;

/// A magnet link.
pub fn magnet(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(magnet) = text.parse::<Magnet>() else { return };
    assert!(magnet.trackers.len() <= Magnet::ADDRESSES_MAX && magnet.web_seeds.len() <= Magnet::ADDRESSES_MAX);
    assert!(magnet.peers.len() <= Magnet::ADDRESSES_MAX && magnet.selected.len() <= Magnet::SELECTED_MAX);
    assert!(magnet.selected.iter().all(|range| range.start() <= range.end()));
    let written = magnet.to_string();
    // Percent signs can make a link longer than what is read.
    if written.len() <= Magnet::TEXT_BYTES_MAX {
        assert_eq!(written.parse(), Ok(magnet), "{written}");
    }
}

/// What a client asks a tracker, or what a tracker answers: the first byte says which.
pub fn http_tracker(bytes: &[u8]) {
    let Some((&which, bytes)) = bytes.split_first() else { return };
    match which % 4 {
        0 => announce_answer(bytes),
        1 => scrape_answer(bytes),
        2 => {
            let text = String::from_utf8_lossy(bytes);
            let _ = parse_announce(&text);
            if let Ok(hashes) = parse_scrape(&text) {
                assert!(hashes.len() <= SCRAPE_MAX);
                let url = scrape_url("http://t/announce", &hashes).expect("a tracker that can be scraped");
                let (_, query) = url.split_once('?').expect("a query");
                assert_eq!(parse_scrape(query), Ok(hashes));
            }
        }
        _ => {
            let text = String::from_utf8_lossy(bytes);
            let _ = scrape_url(&text, &[[7; 20]]);
        }
    }
}

fn announce_answer(bytes: &[u8]) {
    let Ok(mut answer) = read_announce(bytes) else { return };
    assert!(answer.peers.len() <= PEERS_MAX);
    assert_eq!(read_announce(&write_announce(&answer, false)).as_ref(), Ok(&answer));
    // The compact form tells IPv4 first.
    answer.peers.sort_by_key(|peer| peer.is_ipv6());
    assert_eq!(read_announce(&write_announce(&answer, true)), Ok(answer));
}

fn scrape_answer(bytes: &[u8]) {
    let Ok(mut files) = read_scrape(bytes) else { return };
    assert!(files.len() <= SCRAPE_MAX);
    let written = write_scrape(&files);
    files.sort_by_key(|(hash, _)| *hash);
    files.dedup_by_key(|(hash, _)| *hash);
    assert_eq!(read_scrape(&written), Ok(files));
}
