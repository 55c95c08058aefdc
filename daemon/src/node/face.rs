//! What faces can ask of a node: everything is answered from its books.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use hexad_api::node::{
    Change, Changes, Daemon, Download, DownloadChange, DownloadDetail, DownloadFile, DownloadQuery, DownloadState, FileQuery, Folder,
    LibraryQuery, NetworkState, NetworkStatus, NewDownload, NewSearch, Page, Search, SearchDetail, Share, ShareChange, ShareDetail, Status,
    Totals, UpSettings,
};
use hexad_api::{Event, Own, Problem, ProblemKind, SearchRequest, TorrentVersion};

use super::files::check_named;
use super::scan::{stamp_of, unreadable};
use super::schedule::{check_schedule, limits_at, now};
use super::searches::RESULTS_MAX;
use super::store::{Keep, json};
use super::work::Turn;
use super::{House, Node, SETTINGS, SetBefore, State, up_settings};
use crate::listener::Listener;
use crate::networks::{NAMES, closed};
use crate::publish::way_of;
use crate::session::{Begin, Happening, check_own};
use crate::shelf::Key;

/// How long a network may take over what only it can do: less than whoever asks over HTTP waits.
const OWN_DEADLINE: Duration = Duration::from_secs(28);
/// Folders that are watched.
const FOLDERS_MAX: usize = 1000;

impl House {
    pub(super) fn totals(&self, state: &State) -> Totals {
        let (limits, timed) = limits_at(&state.settings, now(&self.given.wall));
        Totals {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: self.since.elapsed().as_secs(),
            down_bytes_per_s: state.downloads.down_bytes_per_s(),
            up_bytes_per_s: state.networks.iter().map(|book| book.news.up_bytes_per_s).sum(),
            limits,
            limits_by_schedule: timed.map(hexad_api::TimedLimits::when),
            downloads: state.downloads.counts(),
            library: {
                let mut counts = state.library.counts();
                counts.hashing += usize::from(state.hashing.is_some());
                counts
            },
            memory_bytes: memory_bytes(),
            download_dir: state.settings.download_dir.clone(),
        }
    }

    pub(super) fn hello(&self) -> Change {
        Change::Hello { version: env!("CARGO_PKG_VERSION").to_owned() }
    }

    fn number_of(&self, name: &str) -> Result<usize, Problem> {
        NAMES.iter().position(|known| *known == name).ok_or_else(|| {
            Problem::new(format!("there is no network '{name}'"))
                .hint(format!("there are {}", NAMES.join(", ")))
                .kind(ProblemKind::NotFound)
        })
    }

    /// Names of networks in a request.
    fn check_names(&self, on: &[String]) -> Result<(), Problem> {
        for name in on {
            self.number_of(name).map_err(|problem| problem.kind(ProblemKind::BadRequest))?;
        }
        Ok(())
    }

    /// Keeps what is set from now on.
    fn keep_settings(&self, state: &State) -> Result<(), Problem> {
        let set = SetBefore { given: up_settings(&self.given), holds: state.settings.clone() };
        self.store.keep(&[Keep::Setting(SETTINGS, json(&set))])
    }

    /// Watches these folders and no others.
    fn set_folders(&self, state: &mut State, folders: Vec<String>) {
        let paths: Vec<PathBuf> = folders.iter().map(PathBuf::from).collect();
        state.settings.shared_dirs = folders;
        state.library.set_folders(&paths);
        let _ = self.turns.send(Turn::Rescan);
    }

    fn want(&self, state: &mut State, network: usize, wanted: bool) {
        let book = &mut state.networks[network];
        let before = std::mem::replace(&mut book.wanted, wanted);
        let name = book.name.to_owned();
        let failed = book.news.state == NetworkState::Failed;
        state.settings.networks.insert(name, wanted);
        if wanted && (!before || failed) {
            self.join(state, network);
        } else if !wanted && before {
            state.networks[network].retry = None;
            self.tell(Happening::Leave(network));
        }
    }

    /// Somebody wants that network joined, or no longer, in later runs too.
    fn set_wanted(&self, name: &str, wanted: bool) -> Result<NetworkStatus, Problem> {
        let network = self.number_of(name)?;
        let mut state = self.state();
        self.want(&mut state, network, wanted);
        self.keep_settings(&state)?;
        Ok(state.networks[network].view(true))
    }

    /// A folder that can be watched, by its full name.
    fn folder(&self, path: &Path) -> Result<PathBuf, Problem> {
        let full = fs::canonicalize(path).map_err(|wrong| unreadable(path, &wrong))?;
        if full.to_str().is_none() {
            return Err(Problem::new(format!("the name of {} is no text", path.display())).hint("rename it"));
        }
        fs::read_dir(&full).map_err(|wrong| unreadable(&full, &wrong))?;
        Ok(full)
    }
}

impl Daemon for Node {
    fn status(&self) -> Status {
        let state = self.house.state();
        Status { totals: self.house.totals(&state), networks: state.networks.iter().map(|book| book.view(false)).collect() }
    }

    fn networks(&self) -> Vec<NetworkStatus> {
        self.house.state().networks.iter().map(|book| book.view(false)).collect()
    }

    fn network(&self, name: &str) -> Result<NetworkStatus, Problem> {
        let network = self.house.number_of(name)?;
        Ok(self.house.state().networks[network].view(true))
    }

    fn join(&self, name: &str) -> Result<NetworkStatus, Problem> {
        self.house.set_wanted(name, true)
    }

    fn leave(&self, name: &str) -> Result<NetworkStatus, Problem> {
        self.house.set_wanted(name, false)
    }

    fn own(&self, request: Own) -> Result<Vec<Event>, Problem> {
        check_own(&request)?;
        let network = self.house.number_of(request.network())?;
        // What has come of these by then is as good as all of it.
        let may_be_fewer = matches!(request, Own::BittorrentSample { .. });
        if !self.house.state().networks[network].wanted {
            return Err(Problem::new(format!("the node is not in {}", request.network()))
                .hint(format!("hexad networks join {}", request.network()))
                .kind(ProblemKind::Unavailable));
        }
        let (to, heard) = mpsc::channel();
        let op = self.house.with(|session| session.begin_heard(Begin::Own(request, network), to.into())).and_then(|begun| begun)?;
        let until = Instant::now() + OWN_DEADLINE;
        let mut answers = Vec::new();
        let outcome = loop {
            match heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Event::Done) => break Ok(()),
                Ok(Event::Failed { message, hint }) => break Err(Problem { hint, ..Problem::new(message) }),
                Ok(
                    Event::Listening { .. }
                    | Event::Joined { .. }
                    | Event::Standing { .. }
                    | Event::Reachable { .. }
                    | Event::Warning { .. },
                ) => {}
                Ok(answer) => answers.push(answer),
                Err(_) if may_be_fewer && !answers.is_empty() => break Ok(()),
                Err(_) => {
                    let problem = Problem::new(format!("no answer within {} s", OWN_DEADLINE.as_secs()));
                    break Err(problem.hint("is the network joined? hexad networks says it").kind(ProblemKind::Unavailable));
                }
            }
        };
        self.house.stop_task(Some(op));
        outcome.map(|()| answers)
    }

    fn begin_search(&self, search: NewSearch) -> Result<Search, Problem> {
        let house = &self.house;
        house.check_names(&search.on)?;
        let mut state = house.state();
        let can = |network: &usize| closed(state.networks[*network].name).is_some_and(|opening| opening.abilities.search_words);
        let mut on = house.chosen(&state, &search.on);
        if search.on.is_empty() {
            on.retain(|network| can(network) && state.networks[*network].news.state != NetworkState::Failed);
        } else if let Some(name) = search.on.iter().find(|name| !on.iter().any(|network| NAMES[*network] == name.as_str())) {
            return Err(Problem::new(format!("{name} is not joined")).hint("join it first").kind(ProblemKind::Unavailable));
        }
        if on.is_empty() {
            let problem = Problem::new("no network is joined that can search by words").hint("join one first");
            return Err(problem.kind(ProblemKind::Unavailable));
        }
        let names = on.iter().map(|network| NAMES[*network].to_owned()).collect();
        let id = state.searches.add(search, names)?;
        let asked = state.searches.find(id)?;
        let request = SearchRequest {
            words: asked.request.words.clone(),
            on: asked.on.clone(),
            results_max: asked.results_max(),
            timeout_s: asked.timeout_s(),
        };
        let turns = house.turns.clone();
        let listener = Listener::new(move |word| drop(turns.send(Turn::Search(id, word))));
        let begun = house.with(|session| session.begin_heard(Begin::Search(request, on), listener)).and_then(|begun| begun);
        match begun {
            Ok(op) => state.searches.find(id)?.op = Some(op),
            Err(problem) => {
                drop(state.searches.remove(id));
                return Err(problem);
            }
        }
        state.searches.view(id)
    }

    fn searches(&self, offset: usize, limit: usize) -> Page<Search> {
        self.house.state().searches.page(offset, limit)
    }

    fn search(&self, id: u64, offset: usize, limit: usize) -> Result<SearchDetail, Problem> {
        self.house.state().searches.detail(id, offset, limit)
    }

    fn search_more(&self, id: u64) -> Result<Search, Problem> {
        let mut state = self.house.state();
        state.searches.view(id)?;
        if state.searches.is_running(id) {
            return Err(Problem::new("the search is still running").hint("wait until it is over").kind(ProblemKind::Conflict));
        }
        let asked = state.searches.again(id)?;
        if let Some(op) = asked.op {
            let (results_max, timeout_s) = (asked.results_max().min(RESULTS_MAX), asked.timeout_s());
            self.house.tell(Happening::More { op, results_max, timeout_s });
        }
        state.searches.view(id)
    }

    fn end_search(&self, id: u64) -> Result<(), Problem> {
        let asked = self.house.state().searches.remove(id)?;
        self.house.stop_task(asked.op);
        Ok(())
    }

    fn begin_download(&self, download: NewDownload) -> Result<Download, Problem> {
        let house = &self.house;
        house.check_names(&download.on)?;
        check_named(&download)?;
        if download.source.len() > 1 << 20 {
            return Err(Problem::new("expected a source of at most a mebibyte, came more").hint("a path of the node's machine will do"));
        }
        house.enter(download)
    }

    fn downloads(&self, query: &DownloadQuery) -> Page<Download> {
        self.house.state().downloads.page(query)
    }

    fn download(&self, id: u64) -> Result<DownloadDetail, Problem> {
        let mut state = self.house.state();
        let held = self.house.held(&mut state, id)?;
        let files = self.house.holding(&mut state, id)?.map_or((0, 0), |holding| holding.counts());
        state.downloads.detail(id, held.as_ref(), files)
    }

    fn download_files(&self, id: u64, query: &FileQuery) -> Result<Page<DownloadFile>, Problem> {
        self.house.files(id, query)
    }

    fn change_download(&self, id: u64, mut change: DownloadChange) -> Result<Download, Problem> {
        let (into, queue) = (change.into.take(), change.queue.take());
        let mut view = None;
        if change != DownloadChange::default() {
            view = Some(self.house.change(id, change)?);
        }
        if let Some(into) = into {
            view = Some(self.house.begin_moving(id, &into)?);
        }
        if let Some(to) = queue {
            self.house.queue(id, to)?;
            view = None;
        }
        self.house.flush();
        view.map_or_else(|| self.house.state().downloads.view(id), Ok)
    }

    fn pause(&self, id: u64) -> Result<Download, Problem> {
        let house = &self.house;
        let mut state = house.state();
        let item = state.downloads.find_still(id)?;
        if item.state() == DownloadState::Failed {
            return Err(Problem::new("it has failed, and does nothing").hint("resume it, or remove it").kind(ProblemKind::Conflict));
        }
        if item.state() == DownloadState::Complete || item.state() == DownloadState::Paused {
            return state.downloads.view(id);
        }
        item.kept.now = false;
        house.rest(&mut state, id)?;
        let view = state.downloads.view(id);
        drop(state);
        house.flush();
        view
    }

    fn resume(&self, id: u64) -> Result<Download, Problem> {
        let house = &self.house;
        let mut state = house.state();
        let item = state.downloads.find_still(id)?;
        if item.op.is_some() || item.shelved || item.state() == DownloadState::Complete && !item.seeds() {
            return state.downloads.view(id);
        }
        if let Err(problem) = house.begin_download(&mut state, id) {
            state.downloads.fail(id, problem);
        }
        let view = state.downloads.view(id);
        drop(state);
        house.flush();
        view
    }

    fn remove(&self, id: u64) -> Result<(), Problem> {
        let house = &self.house;
        let mut state = house.state();
        state.downloads.find_still(id)?;
        let item = state.downloads.remove(id)?;
        house.stop_task(item.op);
        if item.shelved {
            house.tell(Happening::Withdraw(vec![Key::Download(id)]));
        }
        state.keep.push(Keep::ForgetDownload(id));
        state.moved = true;
        drop(state);
        house.feed.tell(Change::DownloadRemoved { id });
        house.flush();
        Ok(())
    }

    fn library(&self, query: &LibraryQuery) -> Page<Share> {
        self.house.state().library.page(query)
    }

    fn share(&self, path: &Path, version: Option<TorrentVersion>) -> Result<Share, Problem> {
        let house = &self.house;
        if path.is_relative() {
            return Err(Problem::new(format!("expected a full path, came '{}'", path.display())).hint("begin it with /"));
        }
        let full = fs::canonicalize(path).map_err(|wrong| unreadable(path, &wrong).kind(ProblemKind::NotFound))?;
        if full.to_str().is_none() || full.file_name().is_none() {
            return Err(Problem::new(format!("{} has no name that could be told to others", path.display())).hint("rename it"));
        }
        let stamp =
            stamp_of(&full).ok_or_else(|| Problem::new(format!("{} cannot be read", path.display())).hint("may this program read it?"))?;
        let mut state = house.state();
        let id = match state.library.at(&full) {
            Some(id) if version.is_some() && state.library.item(id).is_some_and(|item| item.version != version) => {
                return Err(Problem::new(format!("{} is offered already, as another torrent", path.display()))
                    .hint("take it out of the library first")
                    .kind(ProblemKind::Conflict));
            }
            Some(id) => id,
            None => {
                let watched = full.is_file() && state.library.is_watched(&full);
                let id = state.library.add(full.clone(), stamp, watched, version)?;
                if !watched {
                    // What is watched is found again by itself.
                    let keep = state.library.keep(id, Vec::new(), None);
                    state.keep.extend(keep);
                }
                state.moved = true;
                let _ = house.turns.send(Turn::Rescan);
                id
            }
        };
        let view = state.library.view(id);
        drop(state);
        // Whoever is told that it is shared can rely on it.
        house.flush();
        view
    }

    fn shared(&self, id: u64) -> Result<ShareDetail, Problem> {
        let link;
        let (share, given) = {
            let library = &self.house.state().library;
            let share = library.view(id)?;
            link = library.item(id).and_then(super::library::Item::link);
            let given: Vec<Option<String>> = share.networks.iter().map(|on| library.name_on(id, on).map(str::to_owned)).collect();
            (share, given)
        };
        let content = self.house.store.content_of_share(id);
        let way = |(network, given): (&String, Option<String>)| {
            let content = content.as_ref()?;
            way_of(&content.torrent, &content.shape.layout, &content.shape.digests, network, given)
        };
        Ok(ShareDetail { how: share.networks.iter().zip(given).filter_map(way).collect(), share, mutable: link })
    }

    fn change_share(&self, id: u64, change: ShareChange) -> Result<Share, Problem> {
        let ShareChange { mutable, into } = change;
        let mut view = None;
        if let Some(name) = mutable {
            view = Some(self.house.name_share(id, name)?);
        }
        if let Some(into) = into {
            view = Some(self.house.begin_moving_share(id, &into)?);
        }
        view.map_or_else(|| self.house.state().library.view(id), Ok)
    }

    fn unshare(&self, id: u64) -> Result<(), Problem> {
        let house = &self.house;
        let mut state = house.state();
        let item = state.library.still(id)?;
        if item.watched {
            return Err(Problem::new(format!("{} stands in a watched folder, and would come back", item.path.display()))
                .hint("watch the folder no longer, or move the file")
                .kind(ProblemKind::Conflict));
        }
        state.library.forget(id);
        if let Some(hashing) = state.hashing.as_ref().filter(|hashing| hashing.share == id) {
            hashing.cancel.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        state.keep.push(Keep::ForgetShare(id));
        state.moved = true;
        house.tell(Happening::Withdraw(vec![Key::Share(id)]));
        drop(state);
        house.flush();
        Ok(())
    }

    fn place_for(&self, name: &str) -> Result<PathBuf, Problem> {
        let mut parts = Path::new(name).components();
        let single = matches!((parts.next(), parts.next()), (Some(Component::Normal(only)), None) if only == name);
        if !single || name.starts_with('.') || name.len() > 255 || name.chars().any(char::is_control) {
            return Err(Problem::new(format!("expected the name of a file, came '{}'", name.escape_debug())).hint("leave folders away"));
        }
        let state = self.house.state();
        let Some(folder) = state.settings.shared_dirs.first() else {
            return Err(Problem::new("there is no shared folder for it").hint("share a folder first").kind(ProblemKind::Unavailable));
        };
        let place = Path::new(folder).join(name);
        if fs::symlink_metadata(&place).is_ok() {
            return Err(Problem::new(format!("{} is already there", place.display()))
                .hint("choose another name")
                .kind(ProblemKind::Conflict));
        }
        Ok(place)
    }

    fn folders(&self) -> Vec<Folder> {
        self.house.state().library.folder_views()
    }

    fn add_folder(&self, path: &Path) -> Result<Folder, Problem> {
        if path.is_relative() {
            return Err(Problem::new(format!("expected a full path, came '{}'", path.display())).hint("begin it with /"));
        }
        let full = self.house.folder(path)?.display().to_string();
        let mut state = self.house.state();
        let mut folders = state.settings.shared_dirs.clone();
        if !folders.contains(&full) {
            if folders.len() >= FOLDERS_MAX {
                return Err(Problem::new(format!("{FOLDERS_MAX} folders are watched already")).hint("watch one above them"));
            }
            folders.push(full.clone());
            self.house.set_folders(&mut state, folders);
            self.house.keep_settings(&state)?;
        }
        let views = state.library.folder_views();
        views.into_iter().find(|folder| folder.path == full).ok_or_else(|| Problem::new("the folder is gone").kind(ProblemKind::Internal))
    }

    fn remove_folder(&self, path: &Path) -> Result<(), Problem> {
        let mut state = self.house.state();
        let text = path.display().to_string();
        let full = fs::canonicalize(path).map(|full| full.display().to_string()).unwrap_or_else(|_| text.clone());
        let mut folders = state.settings.shared_dirs.clone();
        let before = folders.len();
        folders.retain(|folder| *folder != full && *folder != text);
        if folders.len() == before {
            return Err(Problem::new(format!("{text} is not watched")).kind(ProblemKind::NotFound));
        }
        self.house.set_folders(&mut state, folders);
        self.house.keep_settings(&state)
    }

    fn settings(&self) -> UpSettings {
        self.house.state().settings.clone()
    }

    fn set_settings(&self, settings: UpSettings) -> Result<UpSettings, Problem> {
        let house = &self.house;
        let UpSettings { download_dir, shared_dirs, seed, networks, limits, schedule, active_downloads, active_seeds, .. } = settings;
        for name in networks.keys() {
            house.number_of(name).map_err(|problem| problem.kind(ProblemKind::BadRequest))?;
        }
        if !Path::new(&download_dir).is_absolute() {
            return Err(Problem::new(format!("expected a full path for downloads, came '{download_dir}'")).hint("begin it with /"));
        }
        if shared_dirs.len() > FOLDERS_MAX {
            return Err(
                Problem::new(format!("expected at most {FOLDERS_MAX} folders, came {}", shared_dirs.len())).hint("watch one above them")
            );
        }
        let known = house.state().settings.shared_dirs.clone();
        let mut folders: Vec<String> = Vec::new();
        for folder in shared_dirs {
            // One that is watched may be away for a while.
            let full = if known.contains(&folder) { folder } else { house.folder(Path::new(&folder))?.display().to_string() };
            if !folders.contains(&full) {
                folders.push(full);
            }
        }
        if let Some(schedule) = &schedule {
            check_schedule(schedule)?;
        }
        let mut state = house.state();
        (state.settings.download_dir, state.settings.seed) = (download_dir, seed);
        state.settings.limits = limits.or(state.settings.limits);
        state.settings.schedule = schedule.or(state.settings.schedule.take());
        state.settings.active_downloads = active_downloads.or(state.settings.active_downloads);
        state.settings.active_seeds = active_seeds.or(state.settings.active_seeds);
        house.look_at_the_clock(&state);
        house.arrange(&mut state);
        if folders != state.settings.shared_dirs {
            house.set_folders(&mut state, folders);
        }
        let networks: BTreeMap<String, bool> = networks;
        for (name, wanted) in networks {
            let network = house.number_of(&name)?;
            if state.networks[network].wanted != wanted {
                house.want(&mut state, network, wanted);
            }
        }
        state.moved = true;
        house.keep_settings(&state)?;
        Ok(state.settings.clone())
    }

    fn changes(&self) -> Changes {
        self.house.feed.changes()
    }

    fn close(&self) {
        self.end();
    }
}

/// Memory that this process has.
fn memory_bytes() -> u64 {
    const PAGE_BYTES: u64 = 4096;
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).map_or(0, |pages| pages * PAGE_BYTES)
}
