//! The words between a session and whoever looks at it: the command line in the same process, later the web page and other programs.
//!
//! Everything here can be written as JSON; what a session does is reached through [`Session`], [`Roles`] and [`Torrents`] only.

mod event;
mod how;
mod lab;
pub mod node;
mod problem;
mod request;
mod schedule;
mod selection;
mod settings;
mod torrent;

use std::sync::mpsc::Receiver;

pub use event::{Event, MutableItem};
pub use how::{How, Limits};
pub use lab::{
    LabCell, LabClaimsRequest, LabColumn, LabCompareRequest, LabComparison, LabEvent, LabParameter, LabPhase, LabReplay, LabReport,
    LabRequest, LabRun, LabRunState, LabScenario, LabTable, LabVerdict, Laboratory, NewLabRun,
};
pub use problem::{Problem, ProblemKind};
pub use request::{
    Bounds, FcpRequest, FetchRequest, JoinRequest, NapsterFilter, Own, PublishRequest, SearchRequest, StreamRequest, TrackerRequest,
};
pub use schedule::{Days, Hours, Moment, TimedLimits};
pub use selection::{Selection, SelectionError};
pub use settings::{
    BittorrentSettings, ChordSettings, Encryption, FreenetSettings, GnutellaMode, GnutellaSettings, KazaaSettings, NapsterServerSettings,
    NapsterSettings, NetworkSettings, SeedChoking, Settings, Supernode, Utp,
};
pub use torrent::{CheckReport, CreateRequest, FileLine, TorrentSummary, TorrentVersion};

/// Something that runs until it is done or stopped, and tells how it goes.
pub struct Task {
    /// What happens, in order. Ends after `Event::Complete` (unless it goes on seeding), `Event::Done`, `Event::Failed` or `Event::Stopped`.
    pub events: Receiver<Event>,
    /// Dropping it stops the task; what was verified stays.
    pub stop: Box<dyn Stop>,
}

/// Stops a task. Dropping it does the same.
pub trait Stop: Send {
    /// Stops in order: trackers are told, queued bytes go out. Returns when that is done or a few seconds have passed.
    fn stop(&mut self);
}

/// What a user can ask of a session that has joined its networks.
pub trait Session: Send + Sync {
    /// Brings something here.
    ///
    /// # Errors
    /// When the request cannot be begun; what fails later comes as `Event::Failed`.
    fn fetch(&self, request: FetchRequest) -> Result<Task, Problem>;

    /// Brings something here and serves it by HTTP from the first byte on: where somebody reads comes first. Goes on until stopped.
    ///
    /// # Errors
    /// When the request cannot be begun, or the address cannot be listened at.
    fn stream(&self, request: StreamRequest) -> Result<Task, Problem>;

    /// Sets how fast bytes may come and go on all networks together, from now on.
    fn set_limits(&self, limits: Limits);

    /// Offers files.
    ///
    /// # Errors
    /// When the request cannot be begun.
    fn publish(&self, request: PublishRequest) -> Result<Task, Problem>;

    /// Finds what others offer: `Event::Found` for each result and whenever more is known of it, then `Event::Done`.
    ///
    /// # Errors
    /// When the request cannot be begun.
    fn search(&self, request: SearchRequest) -> Result<Task, Problem>;

    /// Takes part in a network and says how it stands, until stopped; stopping it leaves the network.
    ///
    /// # Errors
    /// When the session has no such network.
    fn join(&self, request: JoinRequest) -> Result<Task, Problem>;

    /// What only one network can do: its answers, then `Event::Done`.
    ///
    /// # Errors
    /// When the request cannot be begun.
    fn own(&self, request: Own) -> Result<Task, Problem>;
}

/// Central roles that this process can play.
pub trait Roles: Send + Sync {
    /// Serves as a BitTorrent tracker.
    ///
    /// # Errors
    /// When an address cannot be bound.
    fn serve_tracker(&self, request: TrackerRequest) -> Result<Task, Problem>;

    /// Takes part in Freenet and lets programs use it by FCP 2.0.
    ///
    /// # Errors
    /// When the settings cannot be used, or the address cannot be bound.
    fn serve_fcp(&self, request: FcpRequest) -> Result<Task, Problem>;
}

/// Making, showing and checking .torrent files: needs no network.
pub trait Torrents: Send + Sync {
    /// Makes a .torrent of files; `progress` hears of bytes hashed and bytes in all.
    ///
    /// # Errors
    /// When files cannot be read, or the .torrent cannot be written.
    fn create_torrent(&self, request: CreateRequest, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<TorrentSummary, Problem>;

    /// What a .torrent says.
    ///
    /// # Errors
    /// When it cannot be read.
    fn show_torrent(&self, torrent: &std::path::Path) -> Result<TorrentSummary, Problem>;

    /// Compares files with a .torrent; `progress` hears of bytes read and bytes in all.
    ///
    /// # Errors
    /// When the .torrent cannot be read. Missing files are no error, see [`CheckReport`].
    fn check_torrent(
        &self,
        torrent: &std::path::Path,
        data: &std::path::Path,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<CheckReport, Problem>;
}

/// One word of this crate as a line of JSON, without its end.
///
/// # Errors
/// When it has no JSON, which none of them has.
pub fn json_line(word: &impl serde::Serialize) -> Result<String, Problem> {
    serde_json::to_string(word).map_err(|wrong| Problem::new(format!("this cannot be written as JSON: {wrong}")))
}
