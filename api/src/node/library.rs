//! What we offer.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Problem;

/// How a share stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShareState {
    /// It is being hashed, or waits for it.
    Hashing,
    /// Others can fetch it.
    Offered,
    /// It is no longer where it stood.
    Missing,
    /// It cannot be offered.
    Failed,
}

/// A file or folder that we offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Share {
    /// Its number; it stays the same over restarts.
    pub id: u64,
    /// Name of the file or folder.
    pub name: String,
    /// Where it stands.
    pub path: String,
    /// All of its bytes.
    pub bytes: u64,
    /// How many files.
    pub files: usize,
    /// How it stands.
    pub state: ShareState,
    /// How many bytes are hashed.
    pub hashed_bytes: u64,
    /// The link that leads to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The link that leads to it now, and to what its owner puts in its place (BEP 46).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutable_link: Option<String>,
    /// On which networks it is offered.
    pub networks: Vec<String>,
    /// Why it is not offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// What is to be different about a share. What is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ShareChange {
    /// A name of the node's own, of 64 bytes at most, under which a mutable link (BEP 46) leads to it, in place of what it led to before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutable: Option<String>,
}

/// How others reach a share on one network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShareWay {
    /// On which network.
    pub network: String,
    /// By which names it is looked up there: URNs, and the network's own keys.
    pub names: Vec<String>,
    /// The link that leads to it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Whether it is found there by words of its name.
    pub by_words: bool,
}

/// Everything about a share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShareDetail {
    /// The share.
    #[serde(flatten)]
    pub share: Share,
    /// How others reach it, for each network on which it is offered.
    pub how: Vec<ShareWay>,
}

/// A watched folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Folder {
    /// Where.
    pub path: String,
    /// How many shares stand in it.
    pub shares: usize,
    /// Why it cannot be watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// Which shares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct LibraryQuery {
    /// The first one, from 0 on.
    pub offset: usize,
    /// How many at most; 100 when absent.
    pub limit: Option<usize>,
    /// Only with this in the path, in whatever case.
    pub q: Option<String>,
}
