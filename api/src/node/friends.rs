//! Friends on Freenet, and how they are invited.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an invitation is to be like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInvitation {
    /// What whoever uses it is called here.
    #[serde(default)]
    pub name: String,
    /// How long it is good, in seconds; a week when nothing is said.
    #[serde(default = "week")]
    pub lasts_s: u64,
    /// How many may use it; one when nothing is said.
    #[serde(default = "one")]
    pub uses: u16,
    /// `IP:PORT` where the node is reached beside the address that it knows itself: at a router, say.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<SocketAddr>,
}

fn week() -> u64 {
    NewInvitation::WEEK_S
}

fn one() -> u16 {
    1
}

impl NewInvitation {
    /// How long an invitation is good when nobody says it.
    pub const WEEK_S: u64 = 7 * 86_400;
}

/// An invitation that was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FreenetInvitation {
    /// By which it is taken back.
    pub id: u64,
    /// What whoever uses it is called here.
    pub name: String,
    /// It is good until then.
    pub until_s: u64,
    /// How many may still use it.
    pub uses_left: u16,
    /// How many have used it.
    pub used: u16,
    /// The invitation itself: whoever has it can use it. Said once, when it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation: Option<String>,
}

/// An invitation of somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UsedInvitation {
    /// As it was given.
    pub invitation: String,
}

/// A friend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FreenetFriend {
    /// His public key, hex.
    pub key: String,
    /// `KEY@IP:PORT`, where he was last reached.
    pub at: String,
    /// What he is called here.
    pub name: String,
    /// A link to him is open.
    pub connected: bool,
    /// One ever was.
    pub met: bool,
}
