//! The words between a node that runs on, which is what `hexad up` is, and whoever looks at it: the web page, the command line, other programs.
//!
//! A node is reached through [`Daemon`], in this process or over HTTP. What it says is JSON with names in snake case; bytes and rates are whole
//! numbers, times are seconds since 1970, and what is not known is left out.

mod change;
mod dht;
mod download;
mod friends;
mod library;
mod search;
mod settings;
mod status;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use change::{Change, Changes, Feed};
pub use dht::{Sample, SampleQuery, Scrape, ScrapeQuery};
pub use download::{
    ByNetwork, Download, DownloadChange, DownloadDetail, DownloadFile, DownloadQuery, DownloadSort, DownloadState, FileQuery, FileTurn,
    NewDownload, QueueMove, RateAt,
};
pub use friends::{FreenetFriend, FreenetInvitation, NewInvitation, UsedInvitation};
pub use library::{Folder, LibraryQuery, LinkVersion, MutableLink, Share, ShareChange, ShareDetail, ShareState, ShareWay};
pub use search::{MediaKind, NewSearch, Search, SearchDetail, SearchResult, SearchState};
pub use settings::UpSettings;
pub use status::{
    AbilitiesOf, DoorOf, DownloadCounts, LibraryCounts, Neighbour, NetworkState, NetworkStatus, Overlay, OverlayKind, Status, Totals,
};

use crate::{Event, Own, Problem, TorrentVersion};

/// Items of a page at most.
pub const PAGE_MAX: usize = 1000;

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// How many items the whole list has.
    pub total: usize,
    /// Which of them is the first here, from 0 on.
    pub offset: usize,
    /// The items, in order.
    pub items: Vec<T>,
}

/// A node that runs on: what `hexad up` is, in this process or reached over HTTP. Every method answers at once from what is known; what follows
/// is told by [`Daemon::changes`].
pub trait Daemon: Send + Sync {
    /// How it stands as a whole.
    fn status(&self) -> Status;

    /// How each of its networks stands, without overlays; those that were left, too.
    fn networks(&self) -> Vec<NetworkStatus>;

    /// How one network stands, with its overlay where that is known.
    ///
    /// # Errors
    /// When there is no such network.
    fn network(&self, name: &str) -> Result<NetworkStatus, Problem>;

    /// Begins to join a network; joining one that is joined does nothing.
    ///
    /// # Errors
    /// When there is no such network, or its settings cannot be used.
    fn join(&self, name: &str) -> Result<NetworkStatus, Problem>;

    /// Begins to leave a network; leaving one that is left does nothing.
    ///
    /// # Errors
    /// When there is no such network.
    fn leave(&self, name: &str) -> Result<NetworkStatus, Problem>;

    /// Does what only one network can do, and returns what that network has answered; the only question for whose answer others are waited for, half a
    /// minute at the most.
    ///
    /// # Errors
    /// When the network is not joined, does not do it, or does not answer.
    fn own(&self, request: Own) -> Result<Vec<Event>, Problem>;

    /// Begins a search, which stays until it is ended.
    ///
    /// # Errors
    /// When the request cannot be begun.
    fn begin_search(&self, search: NewSearch) -> Result<Search, Problem>;

    /// All searches, the latest first.
    fn searches(&self, offset: usize, limit: usize) -> Page<Search>;

    /// One search with a part of its results, the best first.
    ///
    /// # Errors
    /// When there is no such search.
    fn search(&self, id: u64, offset: usize, limit: usize) -> Result<SearchDetail, Problem>;

    /// Asks again, and for more; what was found stays.
    ///
    /// # Errors
    /// When there is no such search, or it is running.
    fn search_more(&self, id: u64) -> Result<Search, Problem>;

    /// Forgets a search.
    ///
    /// # Errors
    /// When there is no such search.
    fn end_search(&self, id: u64) -> Result<(), Problem>;

    /// Begins a download, which stays until it is removed.
    ///
    /// # Errors
    /// When the request cannot be begun.
    fn begin_download(&self, download: NewDownload) -> Result<Download, Problem>;

    /// Downloads.
    fn downloads(&self, query: &DownloadQuery) -> Page<Download>;

    /// One download and all that is known of it.
    ///
    /// # Errors
    /// When there is no such download.
    fn download(&self, id: u64) -> Result<DownloadDetail, Problem>;

    /// The files of a download, in its own order; none until they are known.
    ///
    /// # Errors
    /// When there is no such download.
    fn download_files(&self, id: u64, query: &FileQuery) -> Result<Page<DownloadFile>, Problem>;

    /// Changes how a download is carried out, and which of its files are fetched.
    ///
    /// # Errors
    /// When there is no such download, or a selection names no file of it; nothing is changed then.
    fn change_download(&self, id: u64, change: DownloadChange) -> Result<Download, Problem>;

    /// Lets a download rest; what was verified stays.
    ///
    /// # Errors
    /// When there is no such download, or it has failed.
    fn pause(&self, id: u64) -> Result<Download, Problem>;

    /// Goes on with a download that rests or has failed.
    ///
    /// # Errors
    /// When there is no such download.
    fn resume(&self, id: u64) -> Result<Download, Problem>;

    /// Forgets a download; its files stay where they are.
    ///
    /// # Errors
    /// When there is no such download.
    fn remove(&self, id: u64) -> Result<(), Problem>;

    /// What we offer.
    fn library(&self, query: &LibraryQuery) -> Page<Share>;

    /// One of them, and how others reach it.
    ///
    /// # Errors
    /// When there is no such share.
    fn shared(&self, id: u64) -> Result<ShareDetail, Problem>;

    /// Offers a file or a folder; on BitTorrent as a torrent of `version`, or as the settings say.
    ///
    /// # Errors
    /// When it is not there or cannot be offered, or is offered already as a torrent of another version.
    fn share(&self, path: &Path, version: Option<TorrentVersion>) -> Result<Share, Problem>;

    /// Changes what belongs to a share.
    ///
    /// # Errors
    /// When there is no such share, or it cannot be so; nothing is changed then.
    fn change_share(&self, id: u64, change: ShareChange) -> Result<Share, Problem>;

    /// Offers it no longer. No file is deleted.
    ///
    /// # Errors
    /// When there is no such share, or it stands in a watched folder, from which it would come back.
    fn unshare(&self, id: u64) -> Result<(), Problem>;

    /// Where a file of that name that somebody sends us is to be put before it is shared: nothing stands there.
    ///
    /// # Errors
    /// When the name cannot be a file's, or there is no folder for it.
    fn place_for(&self, name: &str) -> Result<PathBuf, Problem>;

    /// Watched folders.
    fn folders(&self) -> Vec<Folder>;

    /// Watches a folder: every file in it is offered.
    ///
    /// # Errors
    /// When it is no folder that can be read.
    fn add_folder(&self, path: &Path) -> Result<Folder, Problem>;

    /// Watches it no longer, and offers its files no longer. No file is deleted.
    ///
    /// # Errors
    /// When it is not watched.
    fn remove_folder(&self, path: &Path) -> Result<(), Problem>;

    /// What can be set while it runs.
    fn settings(&self) -> UpSettings;

    /// Sets it.
    ///
    /// # Errors
    /// When something in it cannot be used; nothing is changed then.
    fn set_settings(&self, settings: UpSettings) -> Result<UpSettings, Problem>;

    /// What changes from here on.
    fn changes(&self) -> Changes;

    /// Ends it in order: networks are left, and what is to be kept is written. Returns when that is done or a few seconds have passed.
    fn close(&self);
}
