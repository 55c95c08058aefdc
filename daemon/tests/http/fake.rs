//! A node without networks: it keeps what it is told, and fails as it is asked to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use hexad_api::node::{
    AbilitiesOf, Changes, Daemon, Download, DownloadChange, DownloadCounts, DownloadDetail, DownloadFile, DownloadQuery, DownloadState,
    Feed, FileQuery, FileTurn, Folder, FreenetFriend, FreenetInvitation, LibraryCounts, LibraryQuery, Neighbour, NetworkState,
    NetworkStatus, NewDownload, NewSearch, Overlay, OverlayKind, Page, Search, SearchDetail, SearchResult, SearchState, Share, ShareChange,
    ShareDetail, ShareState, Status, Totals, UpSettings,
};
use hexad_api::{
    How, LabClaimsRequest, LabCompareRequest, LabComparison, LabEvent, LabReplay, LabReport, LabRequest, LabScenario, LabVerdict,
    Laboratory, Limits, Problem, ProblemKind, TorrentVersion,
};
use hexad_daemon::{HttpFace, HttpSettings};
use tempfile::TempDir;

/// A face over a fake node.
pub struct Scene {
    pub node: Arc<Fake>,
    pub face: HttpFace,
    pub folder: TempDir,
}

/// A face on a free port of loopback, with these settings.
pub fn scene_with(change: impl FnOnce(&mut HttpSettings)) -> Scene {
    let folder = TempDir::new().expect("a folder");
    let node = Arc::new(Fake::new(folder.path().to_owned()));
    let mut settings = HttpSettings { listen: ([127, 0, 0, 1], 0).into(), ..HttpSettings::default() };
    change(&mut settings);
    let face = HttpFace::open(node.clone(), Arc::new(FakeLab), &settings, None).expect("a face");
    Scene { node, face, folder }
}

/// The same with what is usual.
pub fn scene() -> Scene {
    scene_with(|_| {})
}

/// A node that only pretends.
pub struct Fake {
    pub feed: Feed,
    folder: PathBuf,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    last_id: u64,
    networks: BTreeMap<String, NetworkState>,
    searches: BTreeMap<u64, Search>,
    downloads: BTreeMap<u64, Download>,
    shares: BTreeMap<u64, Share>,
    folders: Vec<String>,
    settings: UpSettings,
}

impl Fake {
    fn new(folder: PathBuf) -> Self {
        let networks = [("chord".to_owned(), NetworkState::Joined), ("kazaa".to_owned(), NetworkState::Left)];
        let kept = Kept { networks: networks.into(), ..Kept::default() };
        Self { feed: Feed::new("1.2.3", 64), folder, kept: Mutex::new(kept) }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("nobody has panicked here")
    }

    /// Begins so many downloads.
    pub fn fill(&self, count: u64) {
        for number in 0..count {
            self.begin_download(NewDownload { source: format!("magnet:?{number}"), ..NewDownload::default() }).expect("begun");
        }
    }
}

fn missing(what: &str, id: impl std::fmt::Display) -> Problem {
    Problem::new(format!("there is no {what} {id}")).hint("list them").kind(ProblemKind::NotFound)
}

fn page<T>(all: Vec<T>, offset: usize, limit: usize) -> Page<T> {
    let total = all.len();
    Page { total, offset, items: all.into_iter().skip(offset).take(limit).collect() }
}

fn standing(name: &str, state: NetworkState) -> NetworkStatus {
    NetworkStatus {
        name: name.to_owned(),
        state,
        peers: 7,
        figures: BTreeMap::from([("fingers \"set\"".to_owned(), 3)]),
        doors: Vec::new(),
        problem: None,
        abilities: AbilitiesOf { search: true, lookup: true, publish: true, fetch: true },
        overlay: None,
    }
}

impl Daemon for Fake {
    fn status(&self) -> Status {
        let kept = self.kept();
        let totals = Totals {
            version: "1.2.3".into(),
            uptime_s: 5,
            downloads: DownloadCounts { total: kept.downloads.len(), ..DownloadCounts::default() },
            library: LibraryCounts { shares: kept.shares.len(), ..LibraryCounts::default() },
            ..Totals::default()
        };
        Status { totals, networks: kept.networks.iter().map(|(name, state)| standing(name, *state)).collect() }
    }

    fn networks(&self) -> Vec<NetworkStatus> {
        self.status().networks
    }

    fn network(&self, name: &str) -> Result<NetworkStatus, Problem> {
        match name {
            "broken" => return Err(Problem::new("the disk is on fire").kind(ProblemKind::Internal)),
            "panic" => panic!("as the test wants it"),
            _ => {}
        }
        let state = *self.kept().networks.get(name).ok_or_else(|| missing("network", name))?;
        let me = Neighbour { id: "me".into(), role: "self".into(), place: Some(0.25), ..Neighbour::default() };
        Ok(NetworkStatus { overlay: Some(Overlay { kind: OverlayKind::Ring, me, peers: Vec::new() }), ..standing(name, state) })
    }

    fn own(&self, request: hexad_api::Own) -> Result<Vec<hexad_api::Event>, Problem> {
        use hexad_api::{Event, Own};
        let invitation = FreenetInvitation { id: 1, name: "bob".into(), until_s: 9, uses_left: 1, used: 0, invitation: None };
        let friend = FreenetFriend { key: "ab".into(), at: "ab@192.0.2.1:1".into(), name: "bob".into(), connected: true, met: true };
        match request {
            Own::FreenetInvite { name, uses, .. } => {
                Ok(vec![Event::Invitation(FreenetInvitation { name, uses_left: uses, invitation: Some("text".into()), ..invitation })])
            }
            Own::FreenetInvitations => Ok(vec![Event::Invitation(invitation)]),
            Own::FreenetRevoke { id: 1 } | Own::FreenetUnfriend { .. } => Ok(Vec::new()),
            Own::FreenetFriends | Own::FreenetAccept { .. } => Ok(vec![Event::Friend(friend)]),
            Own::BittorrentScrape { torrent } => Ok(vec![Event::Scraped { info_hash: torrent, seeds: 3, leechers: 2, nodes: 8 }]),
            Own::BittorrentSample { count } => {
                let one = |number: usize| Event::Sampled { info_hash: format!("{number:040x}"), link: "magnet:?xt=urn:btih:".into() };
                Ok((0..count).map(one).collect())
            }
            _ => Err(missing("such thing", "here")),
        }
    }

    fn join(&self, name: &str) -> Result<NetworkStatus, Problem> {
        *self.kept().networks.get_mut(name).ok_or_else(|| missing("network", name))? = NetworkState::Joined;
        Ok(standing(name, NetworkState::Joined))
    }

    fn leave(&self, name: &str) -> Result<NetworkStatus, Problem> {
        *self.kept().networks.get_mut(name).ok_or_else(|| missing("network", name))? = NetworkState::Left;
        Ok(standing(name, NetworkState::Left))
    }

    fn begin_search(&self, search: NewSearch) -> Result<Search, Problem> {
        if search.words.is_empty() {
            return Err(Problem::new("expected words, came none").hint("name some"));
        }
        if search.on.iter().any(|name| name == "kazaa") {
            return Err(Problem::new("kazaa is not joined").hint("join it").kind(ProblemKind::Unavailable));
        }
        let mut kept = self.kept();
        kept.last_id += 1;
        let id = kept.last_id;
        let search = Search { id, words: search.words, on: vec!["chord".into()], state: SearchState::Running, results: 1, problem: None };
        kept.searches.insert(id, search.clone());
        Ok(search)
    }

    fn searches(&self, offset: usize, limit: usize) -> Page<Search> {
        page(self.kept().searches.values().rev().cloned().collect(), offset, limit)
    }

    fn search(&self, id: u64, offset: usize, _: usize) -> Result<SearchDetail, Problem> {
        let Search { id, words, on, state, problem, .. } = self.kept().searches.get(&id).cloned().ok_or_else(|| missing("search", id))?;
        let result = SearchResult {
            result: 1,
            name: "blue.ogg".into(),
            size_bytes: Some(5),
            link: "magnet:?xt=urn:hexad:00".into(),
            proven: true,
            networks: on.clone(),
            sources: 2,
            kind: None,
            bitrate_kbps: None,
            seconds: None,
            rank: 0,
        };
        Ok(SearchDetail { id, words, on, state, problem, total: 1, offset, results: vec![result] })
    }

    fn search_more(&self, id: u64) -> Result<Search, Problem> {
        self.kept().searches.get(&id).cloned().ok_or_else(|| missing("search", id))
    }

    fn end_search(&self, id: u64) -> Result<(), Problem> {
        self.kept().searches.remove(&id).map(drop).ok_or_else(|| missing("search", id))
    }

    fn begin_download(&self, download: NewDownload) -> Result<Download, Problem> {
        if download.source.is_empty() {
            return Err(Problem::new("expected a source, came none"));
        }
        let mut kept = self.kept();
        kept.last_id += 1;
        let download = Download {
            id: kept.last_id,
            name: format!("file {:05}", kept.last_id),
            state: DownloadState::Fetching,
            source: download.source,
            on: vec!["bittorrent".into(), "chord".into()],
            into: download.into.unwrap_or_else(|| "/downloads".into()),
            wanted_bytes: 1 << 30,
            verified_bytes: 1 << 20,
            down_bytes_per_s: 0,
            up_bytes_per_s: 0,
            limits: Limits::default(),
            downloaded_bytes: 1 << 20,
            uploaded_bytes: 0,
            peers: Some(4),
            seeds: None,
            moving_to: None,
            eta_s: None,
            place: 1,
            added_s: 1_700_000_000,
            completed_s: None,
            path: None,
            seq: None,
            newer: None,
            unproven: false,
            problem: None,
        };
        kept.downloads.insert(download.id, download.clone());
        Ok(download)
    }

    fn downloads(&self, query: &DownloadQuery) -> Page<Download> {
        let kept = self.kept();
        let is_meant = |download: &&Download| {
            query.state.is_none_or(|state| state == download.state) && query.q.as_ref().is_none_or(|q| download.name.contains(q))
        };
        let found: Vec<&Download> = kept.downloads.values().filter(is_meant).collect();
        let total = found.len();
        let items = found.into_iter().skip(query.offset).take(query.limit.unwrap_or(100)).cloned().collect();
        Page { total, offset: query.offset, items }
    }

    fn download(&self, id: u64) -> Result<DownloadDetail, Problem> {
        let download = self.kept().downloads.get(&id).cloned().ok_or_else(|| missing("download", id))?;
        Ok(DownloadDetail {
            download,
            files: 1,
            wanted_files: 1,
            select: Vec::new(),
            seed: true,
            how: How::default(),
            by_network: Vec::new(),
            blocks: vec![0, 50, 100],
            rates: Vec::new(),
            warnings: Vec::new(),
        })
    }

    fn download_files(&self, id: u64, query: &FileQuery) -> Result<Page<DownloadFile>, Problem> {
        let download = self.kept().downloads.get(&id).cloned().ok_or_else(|| missing("download", id))?;
        let (path, length_bytes) = (download.name, download.wanted_bytes);
        let file = DownloadFile { index: 0, path, length_bytes, verified_bytes: None, wanted: true, turn: FileTurn::Usual };
        Ok(page(vec![file], query.offset, query.limit.unwrap_or(100)))
    }

    fn change_download(&self, id: u64, change: DownloadChange) -> Result<Download, Problem> {
        if change.select.is_some_and(|select| select.iter().any(|pattern| pattern != "0")) {
            return Err(Problem::new("it selects none of the 1 file"));
        }
        self.kept().downloads.get(&id).cloned().ok_or_else(|| missing("download", id))
    }

    fn pause(&self, id: u64) -> Result<Download, Problem> {
        let mut kept = self.kept();
        let download = kept.downloads.get_mut(&id).ok_or_else(|| missing("download", id))?;
        if download.state == DownloadState::Paused {
            return Err(Problem::new("it rests already").kind(ProblemKind::Conflict));
        }
        download.state = DownloadState::Paused;
        Ok(download.clone())
    }

    fn resume(&self, id: u64) -> Result<Download, Problem> {
        let mut kept = self.kept();
        let download = kept.downloads.get_mut(&id).ok_or_else(|| missing("download", id))?;
        download.state = DownloadState::Fetching;
        Ok(download.clone())
    }

    fn remove(&self, id: u64) -> Result<(), Problem> {
        self.kept().downloads.remove(&id).map(drop).ok_or_else(|| missing("download", id))
    }

    fn library(&self, query: &LibraryQuery) -> Page<Share> {
        page(self.kept().shares.values().cloned().collect(), query.offset, query.limit.unwrap_or(100))
    }

    fn share(&self, path: &Path, _: Option<TorrentVersion>) -> Result<Share, Problem> {
        let bytes = std::fs::metadata(path).map_err(|_| missing("file", path.display()))?.len();
        let mut kept = self.kept();
        kept.last_id += 1;
        let share = Share {
            id: kept.last_id,
            name: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            path: path.display().to_string(),
            bytes,
            files: 1,
            state: ShareState::Hashing,
            hashed_bytes: 0,
            link: None,
            mutable_link: None,
            networks: Vec::new(),
            moving_to: None,
            moved_bytes: 0,
            problem: None,
        };
        kept.shares.insert(share.id, share.clone());
        Ok(share)
    }

    fn shared(&self, id: u64) -> Result<ShareDetail, Problem> {
        let share = self.kept().shares.get(&id).cloned().ok_or_else(|| missing("share", id))?;
        Ok(ShareDetail { share, how: Vec::new(), mutable: None })
    }

    fn change_share(&self, id: u64, change: ShareChange) -> Result<Share, Problem> {
        let mut kept = self.kept();
        let share = kept.shares.get_mut(&id).ok_or_else(|| missing("share", id))?;
        share.moving_to = change.into;
        share.mutable_link = change.mutable.or(share.mutable_link.take());
        Ok(share.clone())
    }

    fn unshare(&self, id: u64) -> Result<(), Problem> {
        self.kept().shares.remove(&id).map(drop).ok_or_else(|| missing("share", id))
    }

    fn place_for(&self, name: &str) -> Result<PathBuf, Problem> {
        if name.contains('/') || name.starts_with('.') || name.contains('\0') {
            return Err(Problem::new(format!("'{name}' is no name of a file")));
        }
        Ok(self.folder.join(name))
    }

    fn folders(&self) -> Vec<Folder> {
        self.kept().folders.iter().map(|path| Folder { path: path.clone(), shares: 0, problem: None }).collect()
    }

    fn add_folder(&self, path: &Path) -> Result<Folder, Problem> {
        if !path.is_dir() {
            return Err(missing("folder", path.display()));
        }
        let path = path.display().to_string();
        self.kept().folders.push(path.clone());
        Ok(Folder { path, shares: 0, problem: None })
    }

    fn remove_folder(&self, path: &Path) -> Result<(), Problem> {
        let path = path.display().to_string();
        let mut kept = self.kept();
        let at = kept.folders.iter().position(|folder| *folder == path).ok_or_else(|| missing("folder", path))?;
        kept.folders.remove(at);
        Ok(())
    }

    fn settings(&self) -> UpSettings {
        self.kept().settings.clone()
    }

    fn set_settings(&self, settings: UpSettings) -> Result<UpSettings, Problem> {
        self.kept().settings = settings.clone();
        Ok(UpSettings { restart: vec!["download_dir".into()], ..settings })
    }

    fn changes(&self) -> Changes {
        self.feed.changes()
    }

    fn close(&self) {}
}

/// A lab whose only scenario takes no time.
pub struct FakeLab;

impl Laboratory for FakeLab {
    fn scenarios(&self) -> Vec<LabScenario> {
        let scenario = |name: &str| LabScenario { name: name.into(), about: "Nothing.".into(), parameters: Vec::new(), claims: Vec::new() };
        vec![scenario("lab/quick"), scenario("lab/panic")]
    }

    fn run(&self, request: LabRequest, hear: &mut dyn FnMut(LabEvent)) -> Result<LabReport, Problem> {
        assert!(request.scenario != "lab/panic", "as the test wants it");
        if request.set.contains_key("unknown") {
            return Err(Problem::new("there is no parameter 'unknown'"));
        }
        hear(LabEvent::Phase { name: "walk".into() });
        hear(LabEvent::Step { done: 0.5, events: 3 });
        Ok(LabReport {
            line: "lab/quick seed=1 #00".into(),
            scenario: request.scenario,
            seed: 1,
            nodes: 2,
            events: 3,
            virtual_s: 1.5,
            wall_s: 0.0,
            cpu_s: 0.0,
            events_per_cpu_s: 0.0,
            peak_memory_bytes: 0,
            memory_before_bytes: 0,
            digest: "00".into(),
            phases: Vec::new(),
            tables: Vec::new(),
            findings: Vec::new(),
            remarks: Vec::new(),
            written: Vec::new(),
            same: None,
        })
    }

    fn replay(&self, _: LabReplay, _: &mut dyn FnMut(LabEvent)) -> Result<LabReport, Problem> {
        Err(Problem::new("not here"))
    }

    fn test_claims(&self, _: LabClaimsRequest, _: &mut dyn FnMut(LabEvent)) -> Result<Vec<LabVerdict>, Problem> {
        Err(Problem::new("not here"))
    }

    fn compare(&self, _: LabCompareRequest, _: &mut dyn FnMut(LabEvent)) -> Result<LabComparison, Problem> {
        Err(Problem::new("not here"))
    }

    fn report(&self, _: &Path) -> Result<Vec<PathBuf>, Problem> {
        Err(Problem::new("not here"))
    }

    fn merge(&self, _: &[PathBuf], _: &Path) -> Result<usize, Problem> {
        Err(Problem::new("not here"))
    }
}
