//! What can be set while a node runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Limits, TimedLimits};

/// What can be set while a node runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpSettings {
    /// Where downloads go that say nothing else.
    pub download_dir: String,
    /// Folders whose files are offered.
    pub shared_dirs: Vec<String>,
    /// Whether downloads that say nothing else go on seeding when complete.
    pub seed: bool,
    /// Which networks are joined.
    pub networks: BTreeMap<String, bool>,
    /// How fast bytes may come and go, on all networks together. Always in answers; what leaves it out changes nothing about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Limits that hold in their place at certain times; of several that fit the first does. Always in answers; what leaves it out changes nothing about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Vec<TimedLimits>>,
    /// How many downloads that are not complete may be active at a time; 0 has no limit. Always in answers; what leaves it out changes nothing about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_downloads: Option<u32>,
    /// How many complete ones may be given on at a time; 0 has no limit. Always in answers; what leaves it out changes nothing about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_seeds: Option<u32>,
    /// What of it holds only after a restart. Only in answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restart: Vec<String>,
}
