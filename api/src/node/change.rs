//! What changes in a node, told to whoever listens.
//!
//! A [`Feed`] never waits: who reads too slowly loses what came in between and hears [`Change::Hello`] once more, which means "load your lists again".

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use utoipa::ToSchema;

use super::{Download, NetworkStatus, Overlay, Search, SearchResult, Share, Totals};
use crate::LabEvent;

/// Something that has changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    /// The beginning, and again whenever something was lost: all lists are to be loaded.
    Hello {
        /// Of the program.
        version: String,
    },
    /// How the node stands; once a second while something changes.
    Status {
        /// All but the networks.
        status: Totals,
    },
    /// How a network stands.
    Network {
        /// Without its overlay.
        network: NetworkStatus,
    },
    /// Who is whose neighbour.
    Overlay {
        /// In which network.
        name: String,
        /// As it is.
        overlay: Overlay,
    },
    /// How a download stands; at most twice a second each.
    Download {
        /// As it is.
        download: Download,
    },
    /// A download was forgotten.
    DownloadRemoved {
        /// Which.
        id: u64,
    },
    /// How a search stands.
    Search {
        /// As it is.
        search: Search,
    },
    /// A result, or what more is known of it.
    Result {
        /// Of which search.
        search: u64,
        /// As it is.
        result: SearchResult,
    },
    /// How a share stands.
    Share {
        /// As it is.
        share: Share,
    },
    /// A share is no longer offered.
    ShareRemoved {
        /// Which.
        id: u64,
    },
    /// How a run of the lab goes.
    Lab {
        /// Which run.
        run: u64,
        /// What happens there.
        event: LabEvent,
    },
    /// Something the user should know.
    Warning {
        /// A sentence.
        message: String,
    },
}

impl Change {
    /// What it is called in JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::Status { .. } => "status",
            Self::Network { .. } => "network",
            Self::Overlay { .. } => "overlay",
            Self::Download { .. } => "download",
            Self::DownloadRemoved { .. } => "download_removed",
            Self::Search { .. } => "search",
            Self::Result { .. } => "result",
            Self::Share { .. } => "share",
            Self::ShareRemoved { .. } => "share_removed",
            Self::Lab { .. } => "lab",
            Self::Warning { .. } => "warning",
        }
    }
}

/// Where changes are told.
#[derive(Clone, Debug)]
pub struct Feed {
    to: broadcast::Sender<Arc<Change>>,
    hello: Arc<Change>,
}

impl Feed {
    /// A feed that keeps `kept` changes for slow readers.
    #[must_use]
    pub fn new(version: &str, kept: usize) -> Self {
        Self { to: broadcast::Sender::new(kept.max(1)), hello: Arc::new(Change::Hello { version: version.to_owned() }) }
    }

    /// Tells everybody who listens; never waits.
    pub fn tell(&self, change: Change) {
        let _ = self.to.send(Arc::new(change));
    }

    /// Whether anybody listens.
    #[must_use]
    pub fn has_listeners(&self) -> bool {
        self.to.receiver_count() > 0
    }

    /// What is told from here on, after [`Change::Hello`].
    #[must_use]
    pub fn changes(&self) -> Changes {
        Changes { from: self.to.subscribe(), hello: self.hello.clone(), greet: true }
    }
}

/// What changes, in order.
#[derive(Debug)]
pub struct Changes {
    from: broadcast::Receiver<Arc<Change>>,
    hello: Arc<Change>,
    greet: bool,
}

impl Changes {
    /// The next change; `None` when there will be none. Can be dropped while it waits without losing anything.
    pub async fn next(&mut self) -> Option<Arc<Change>> {
        if std::mem::take(&mut self.greet) {
            return Some(self.hello.clone());
        }
        match self.from.recv().await {
            Ok(change) => Some(change),
            Err(RecvError::Lagged(_)) => Some(self.load_again()),
            Err(RecvError::Closed) => None,
        }
    }

    /// The same on a thread that may wait, which no thread of an async runtime may.
    pub fn blocking_next(&mut self) -> Option<Arc<Change>> {
        if std::mem::take(&mut self.greet) {
            return Some(self.hello.clone());
        }
        match self.from.blocking_recv() {
            Ok(change) => Some(change),
            Err(RecvError::Lagged(_)) => Some(self.load_again()),
            Err(RecvError::Closed) => None,
        }
    }

    /// The next change, when there is one already.
    pub fn try_next(&mut self) -> Option<Arc<Change>> {
        if std::mem::take(&mut self.greet) {
            return Some(self.hello.clone());
        }
        match self.from.try_recv() {
            Ok(change) => Some(change),
            Err(TryRecvError::Lagged(_)) => Some(self.load_again()),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }

    /// What was kept is of no use to somebody who loads everything anyway.
    fn load_again(&mut self) -> Arc<Change> {
        self.from = self.from.resubscribe();
        self.hello.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_reader_is_told_to_load_again() {
        let feed = Feed::new("1.0", 2);
        let mut changes = feed.changes();
        (1..=5).for_each(|id| feed.tell(Change::ShareRemoved { id }));
        let hello = Change::Hello { version: "1.0".into() };
        assert_eq!(changes.try_next().as_deref(), Some(&hello), "the first is a greeting");
        assert_eq!(changes.try_next().as_deref(), Some(&hello), "three of five were lost");
        assert_eq!(changes.try_next(), None, "whoever loads again needs nothing of before");
        feed.tell(Change::ShareRemoved { id: 6 });
        assert_eq!(changes.try_next().as_deref(), Some(&Change::ShareRemoved { id: 6 }));
        drop(feed);
        assert_eq!(changes.blocking_next(), None);
    }

    #[test]
    fn a_change_is_called_in_json_what_its_name_says() {
        let change = Change::DownloadRemoved { id: 7 };
        assert_eq!(crate::json_line(&change).as_deref(), Ok(r#"{"kind":"download_removed","id":7}"#));
        assert_eq!(change.name(), "download_removed");
    }
}
