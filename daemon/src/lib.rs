//! The session over all networks: what `hexad` does, without its faces.
//!
//! One session owns one host per network and one set of transfers. Its loop is a thread of its own that hears what hosts and
//! transfers report and keeps the books of tasks; faces talk to it through `hexad_api` only.

mod books;
pub mod config;
mod demo;
mod description;
mod desk;
mod disk;
mod fcp;
mod fetch;
mod gateway;
mod http;
mod kept;
mod key_file;
mod known;
mod laboratory;
mod listener;
mod membership;
mod networks;
mod node;
mod owner;
mod pace;
mod part;
mod places;
mod publish;
pub mod remote;
mod reports;
mod search;
mod session;
mod session_loop;
mod shelf;
mod source;
mod stream;
mod tracker;
mod watch;
mod web;

use hexad_api::{Laboratory, Problem, Roles, Session, Settings, Torrents};

pub use demo::demo;
pub use http::{HttpFace, HttpSettings, kept_token};
pub use laboratory::{Apart, carry_out};
pub use node::{NodeSettings, open_node};
pub use publish::fits_one_link;

/// A fresh subspace of Freenet: the key that writes, which is nobody else's business, and the key that reads.
///
/// # Errors
/// When the system gives no randomness.
pub fn make_freenet_key() -> Result<(String, String), Problem> {
    networks::make_key()
}

/// A session in this process that takes part in the networks as `settings` say.
///
/// # Errors
/// When the settings cannot be used, or a thread cannot be started.
pub fn open(settings: &Settings) -> Result<impl Session + use<>, Problem> {
    session::LocalSession::open(settings)
}

/// Making, showing and checking .torrent files.
#[must_use]
pub fn torrents() -> impl Torrents {
    desk::Desk
}

/// The central roles.
#[must_use]
pub fn roles() -> impl Roles {
    tracker::TrackerRole
}

/// Networks under virtual time.
#[must_use]
pub fn laboratory() -> impl Laboratory {
    laboratory::Lab::default()
}

/// Networks under virtual time, where each run of several is carried out by somebody else: mostly a process that calls [`carry_out`].
#[must_use]
pub fn laboratory_apart(apart: Box<Apart>) -> impl Laboratory {
    laboratory::Lab { apart: Some(apart) }
}
