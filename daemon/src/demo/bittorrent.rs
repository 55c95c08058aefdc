//! A swarm: sessions as users have them, that find each other through a tracker.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use hexad_api::{
    BittorrentSettings, CreateRequest, Event, FetchRequest, NetworkSettings, Problem, PublishRequest, Roles as _, Selection, Session as _,
    Settings, Torrents as _, TrackerRequest,
};

use super::{Folder, await_event};
use crate::session::LocalSession;
use crate::source::plain;

const LEECHERS: usize = 4;

/// A tracker, a seed and several leechers.
pub(super) fn run(scratch: &Path, folder: &Folder) -> Result<String, Problem> {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let tracker =
        crate::roles().serve_tracker(TrackerRequest { http: Some(loopback), udp: None, interval_s: 1800, requests_per_minute_max: 600 })?;
    let Event::Listening { address, .. } =
        await_event(&tracker, "the tracker to listen", |event| matches!(event, Event::Listening { .. }))?
    else {
        return Err(Problem::new("the tracker does not say where it listens"));
    };

    std::fs::create_dir_all(scratch).map_err(|wrong| Problem::new(format!("{}: {}", scratch.display(), plain(&wrong))))?;
    let torrent = scratch.join("album.torrent");
    let request = CreateRequest {
        path: folder.path(),
        out: torrent.clone(),
        tiers: vec![vec![format!("http://{address}/announce")]],
        ..CreateRequest::default()
    };
    crate::torrents().create_torrent(request, &|_, _| {})?;

    let network =
        NetworkSettings::Bittorrent(BittorrentSettings { listen: Some(loopback), dht: false, lsd: false, ..BittorrentSettings::default() });
    let settings = Settings { networks: vec![network], ..Settings::default() };
    let seed = LocalSession::open(&settings)?;
    let seeding =
        seed.publish(PublishRequest { torrent: Some(torrent.clone()), data: Some(folder.data.clone()), ..PublishRequest::default() })?;
    await_event(&seeding, "the seed to be ready", |event| matches!(event, Event::Seeding { .. }))?;

    let began = Instant::now();
    let mut leechers = Vec::new();
    for number in 1..=LEECHERS {
        let session = LocalSession::open(&settings)?;
        let into = scratch.join(format!("leecher-{number}"));
        let request = FetchRequest {
            source: torrent.display().to_string(),
            on: Vec::new(),
            into: into.clone(),
            peers: Vec::new(),
            select: Selection::default(),
            seed: true,
            how: hexad_api::How::default(),
        };
        let task = session.fetch(request)?;
        leechers.push((session, task, into));
    }
    for (_, task, _) in &leechers {
        await_event(task, "a leecher to complete", |event| matches!(event, Event::Complete { .. }))?;
    }
    let told = folder.told(LEECHERS, began);
    for (_, _, into) in &leechers {
        folder.arrived(into)?;
    }
    Ok(format!("1 tracker, 1 seed, {LEECHERS} leechers: {told}"))
}
