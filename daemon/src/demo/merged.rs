//! All networks at once: each has somebody who offers the same film, and one session that takes part in all of them finds it by one search, as one
//! result, and fetches it from whoever has it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Instant;

use hexad_api::{
    BittorrentSettings, ChordSettings, Event, FetchRequest, FreenetSettings, GnutellaMode, GnutellaSettings, How, KazaaSettings, Limits,
    NapsterServerSettings, NapsterSettings, NetworkSettings, Problem, PublishRequest, SearchRequest, Selection, Session as _, Settings,
    Supernode, Task,
};

use super::{DEADLINE, Folder, await_event, joined, mib, same_file};
use crate::known::Known;
use crate::listener::{Listener, PartLook, Word};
use crate::session::{Begin, LocalSession, Manner};
use crate::source::{self, plain};

/// The file of the folder that is moved, and a word by which it is found.
const FILE: &str = "film.bin";
const WORD: &str = "film";
/// Networks that are searched by words.
const SEARCHED: usize = 4;
/// What each of those who offer it sends at most, so that no one of them has sent all of it before the others are asked.
const UP_BYTES_PER_S: u64 = 16 << 20;

/// Takes part in one network and offers the film there.
#[expect(dead_code, reason = "tasks go on for as long as they are held")]
struct Offerer {
    // In the order in which they end: tasks leave before their sessions do.
    offers: Option<Task>,
    takes_part: Task,
    session: LocalSession,
}

impl Offerer {
    /// Joins; returns the address by which others do.
    fn join(network: NetworkSettings) -> Result<(Self, String), Problem> {
        let (session, task, address) = joined(network)?;
        Ok((Self { offers: None, takes_part: task, session }, address))
    }

    /// Offers the film; a swarm wants a .torrent written.
    fn offer(&mut self, film: &Path, torrent: Option<PathBuf>) -> Result<(), Problem> {
        let how = How { limits: Limits { down_bytes_per_s: 0, up_bytes_per_s: UP_BYTES_PER_S }, ..How::default() };
        let request = PublishRequest { paths: vec![film.to_owned()], out: torrent, how, ..PublishRequest::default() };
        let task = self.session.publish(request)?;
        await_event(&task, "the film to be published", |event| matches!(event, Event::Seeding { .. }))?;
        self.offers = Some(task);
        Ok(())
    }
}

/// One search over all, one fetch from all.
pub(super) fn run(scratch: &Path, folder: &Folder) -> Result<String, Problem> {
    std::fs::create_dir_all(scratch).map_err(|wrong| Problem::new(format!("{}: {}", scratch.display(), plain(&wrong))))?;
    let film = folder.path().join(FILE);
    let (offerers, settings) = offered(scratch, &film)?;
    let asker = LocalSession::open(&Settings { networks: settings, ..Settings::default() })?;
    let began = Instant::now();
    let (link, networks, sources) = found(&asker)?;
    let searched = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let from = fetched(&asker, &link, scratch.join("fetched"))?;
    let took = began.elapsed().as_secs_f64();
    let copy = scratch.join("fetched").join(FILE);
    let same = same_file(&film, &copy).map_err(|wrong| Problem::new(format!("{}: {}", copy.display(), plain(&wrong))))?;
    if !same {
        return Err(Problem::new(format!("{} differs from {}", copy.display(), film.display())));
    }
    // Leaves first; then all at once, since each waits a moment for what it has to hand over.
    drop(asker);
    thread::scope(|scope| offerers.into_iter().for_each(|offerer| drop(scope.spawn(move || drop(offerer)))));
    let bytes: u64 = std::fs::metadata(&film).map_or(0, |found| found.len());
    let gave: Vec<String> = from.iter().map(|part| format!("{} {:.1}", part.network, mib(part.bytes))).collect();
    Ok(format!(
        "six networks at once: 1 result of {sources} sources on {} in {searched:.2} s, {:.1} MiB in {took:.2} s (MiB from {})",
        networks.join(", "),
        mib(bytes),
        gave.join(", ")
    ))
}

/// One offerer in each network that can be offered to, and how a session takes part in all six.
fn offered(scratch: &Path, film: &Path) -> Result<(Vec<Offerer>, Vec<NetworkSettings>), Problem> {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let listen = Some(loopback);
    let bittorrent = |bootstrap: &str| BittorrentSettings {
        listen,
        lsd: false,
        dht_bootstrap: vec![bootstrap.to_owned()],
        ..BittorrentSettings::default()
    };
    // Nobody is at port 9: the first node of the hash table has nobody to ask.
    let (table, in_table) = Offerer::join(NetworkSettings::Bittorrent(bittorrent("127.0.0.1:9")))?;
    let (seed, _) = Offerer::join(NetworkSettings::Bittorrent(bittorrent(&in_table)))?;
    let chord = |bootstrap: Vec<String>| ChordSettings { listen, found: bootstrap.is_empty(), bootstrap };
    let (ring, in_ring) = Offerer::join(NetworkSettings::Chord(chord(Vec::new())))?;
    let freenet = |bootstrap: Vec<String>| FreenetSettings { listen, found: bootstrap.is_empty(), bootstrap, ..FreenetSettings::default() };
    let (store, in_store) = Offerer::join(NetworkSettings::Freenet(freenet(Vec::new())))?;
    let gnutella = |bootstrap| GnutellaSettings { listen, bootstrap, mode: GnutellaMode::Ultrapeer, ..GnutellaSettings::default() };
    let (servent, in_mesh) = Offerer::join(NetworkSettings::Gnutella(gnutella(Vec::new())))?;
    let kazaa = |bootstrap: Vec<String>, supernode| KazaaSettings {
        listen,
        found: bootstrap.is_empty(),
        bootstrap,
        supernode,
        ..KazaaSettings::default()
    };
    let (supernode, in_tiers) = Offerer::join(NetworkSettings::Kazaa(kazaa(Vec::new(), Supernode::Always)))?;
    let server = NapsterServerSettings { listen: loopback, ..NapsterServerSettings::default() };
    let (index, at_index) = Offerer::join(NetworkSettings::NapsterServer(server))?;
    let napster = || NapsterSettings { servers: vec![at_index.clone()], listen, ..NapsterSettings::default() };
    let (client, _) = Offerer::join(NetworkSettings::Napster(napster()))?;

    let mut offerers = vec![seed, ring, servent, supernode, client];
    for (offerer, torrent) in offerers.iter_mut().zip([Some(scratch.join("film.torrent")), None, None, None, None]) {
        offerer.offer(film, torrent)?;
    }
    offerers.extend([table, store, index]);
    let settings = vec![
        NetworkSettings::Bittorrent(bittorrent(&in_table)),
        NetworkSettings::Chord(chord(vec![in_ring])),
        NetworkSettings::Freenet(freenet(vec![in_store])),
        NetworkSettings::Gnutella(gnutella(vec![in_mesh])),
        NetworkSettings::Kazaa(kazaa(vec![in_tiers], Supernode::Never)),
        NetworkSettings::Napster(napster()),
    ];
    Ok((offerers, settings))
}

/// The link to the one result that all networks have which search by words, those networks, and how many sources it has. Networks learn of a
/// share in their own time, so it is searched until all of them have.
fn found(asker: &LocalSession) -> Result<(String, Vec<String>, usize), Problem> {
    let until = Instant::now() + DEADLINE;
    loop {
        let timeout_s = until.saturating_duration_since(Instant::now()).as_secs().clamp(1, 5);
        let request = SearchRequest { words: vec![WORD.to_owned()], on: Vec::new(), results_max: 10, timeout_s };
        let task = asker.search(request)?;
        let is_enough = |event: &Event| match event {
            Event::Found { networks, .. } => networks.len() >= SEARCHED,
            Event::Done => true,
            _ => false,
        };
        match await_event(&task, "a search over all networks", is_enough) {
            Ok(Event::Found { link, networks, sources, .. }) => return Ok((link, networks, sources)),
            Err(problem) if Instant::now() >= until => return Err(problem),
            Ok(_) if Instant::now() >= until => {
                return Err(Problem::new(format!("a search for '{WORD}' is not answered by all of the {SEARCHED} networks that search")));
            }
            _ => {}
        }
    }
}

/// Fetches what a link leads to; returns what came from where.
fn fetched(asker: &LocalSession, link: &str, into: PathBuf) -> Result<Vec<PartLook>, Problem> {
    let on: Vec<usize> = (0..6).collect();
    let names = ["bittorrent", "chord", "freenet", "gnutella", "kazaa", "napster"];
    let found = source::find(link, &[], &names, &asker.outside)?;
    let request = FetchRequest {
        source: link.to_owned(),
        on: Vec::new(),
        into,
        peers: Vec::new(),
        select: Selection::default(),
        seed: false,
        how: How::default(),
    };
    let (says, heard) = mpsc::channel();
    let listener = Listener::new(move |word| drop(says.send(word)));
    asker.begin_heard(Begin::Fetch { request, found, on, manner: Manner::Once, streaming: None, known: Known::default() }, listener)?;
    await_complete(&heard)
}

fn await_complete(heard: &Receiver<Word>) -> Result<Vec<PartLook>, Problem> {
    let until = Instant::now() + DEADLINE;
    let mut parts = Vec::new();
    loop {
        match heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Word::Parts(looks)) => parts = looks,
            Ok(Word::Event(Event::Complete { .. })) => break,
            Ok(Word::Event(Event::Failed { message, hint })) => return Err(Problem { hint, ..Problem::new(message) }),
            Ok(_) => {}
            Err(_) => return Err(Problem::new(format!("waited {} s in vain for a fetch from all networks", DEADLINE.as_secs()))),
        }
    }
    parts.retain(|part| part.bytes > 0);
    Ok(parts)
}
