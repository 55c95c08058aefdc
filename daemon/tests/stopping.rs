//! What a stopped task leaves to those that come after it in the same session.

use std::fs::File;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use hexad_api::{
    BittorrentSettings, CreateRequest, Event, FetchRequest, NetworkSettings, Selection, Session as _, Settings, Torrents as _,
};
use tempfile::TempDir;

/// Tries go on this long at most.
const DEADLINE: Duration = Duration::from_secs(60);

#[test]
fn a_fetch_stopped_while_its_folder_is_prepared_leaves_the_folder_to_the_next() {
    let home = TempDir::new().expect("a temporary folder");
    let (film, torrent) = (home.path().join("film"), home.path().join("film.torrent"));
    // Long enough that comparing it takes longer than stopping does.
    File::create(&film).and_then(|file| file.set_len(256 << 20)).expect("a file of zeros");
    let create = CreateRequest { path: film.clone(), out: torrent.clone(), piece_bytes: Some(16 << 10), ..CreateRequest::default() };
    hexad_daemon::torrents().create_torrent(create, &|_, _| {}).expect("a .torrent");
    // One byte too few, so that there is something to fetch and the folder stays taken.
    File::options().write(true).open(&film).and_then(|file| file.set_len((256 << 20) - 1)).expect("a shorter file");

    let listen = Some((Ipv4Addr::LOCALHOST, 0).into());
    let network = BittorrentSettings { listen, dht: false, pex: false, lsd: false, ..BittorrentSettings::default() };
    let settings = Settings { networks: vec![NetworkSettings::Bittorrent(network)], ..Settings::default() };
    let session = hexad_daemon::open(&settings).expect("a session");
    let request = FetchRequest {
        source: torrent.display().to_string(),
        on: Vec::new(),
        into: home.path().to_owned(),
        peers: Vec::new(),
        select: Selection::default(),
        seed: false,
        how: hexad_api::How::default(),
    };
    let mut first = session.fetch(request.clone()).expect("a fetch");
    first.events.iter().find(|event| matches!(event, Event::Started { .. })).expect("it starts");
    first.stop.stop();
    // The first may be comparing still; it must let go when it is done.
    let until = Instant::now() + DEADLINE;
    loop {
        let next = session.fetch(request.clone()).expect("a fetch");
        match next.events.iter().find(|event| matches!(event, Event::Verified { .. } | Event::Failed { .. })) {
            Some(Event::Verified { .. }) => break,
            other => assert!(Instant::now() < until, "the folder is never free again: {other:?}"),
        }
    }
}
