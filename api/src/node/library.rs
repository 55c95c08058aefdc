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
    /// The folder to which it is being moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving_to: Option<String>,
    /// Bytes of it that are there already, where it has to be copied; 0 while it is not moved.
    #[serde(default)]
    pub moved_bytes: u64,
    /// Why it is not offered; or, of one that is, why it could not be moved.
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
    /// The folder it is moved to, by its full path on the node's machine; made when it is not there. It is renamed, or copied, compared and then taken away from where
    /// it was, and is offered meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
}

/// What a mutable link leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LinkVersion {
    /// Its sequence number: milliseconds since 1970 when it was named, where Hexad has named it.
    pub seq: i64,
    /// The torrent: its info hash (of v2 the first 20 bytes), hex.
    pub info_hash: String,
}

/// Where the mutable link (BEP 46) of a share stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MutableLink {
    /// The link: `magnet:?xs=urn:btpk:` and the owner's key.
    pub link: String,
    /// What this node has it lead to: the share.
    pub now: LinkVersion,
    /// What the DHT has it lead to instead, since somebody else has the same key and has named it later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newer: Option<LinkVersion>,
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
    /// Where its mutable link stands, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutable: Option<MutableLink>,
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
