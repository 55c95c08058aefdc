//! Searches that stay, and what they have found.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Problem;

/// A search to be begun.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSearch {
    /// All of them must occur.
    pub words: Vec<String>,
    /// On which networks; all that are joined and can search when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<String>,
    /// How many results are enough, 1 to 10,000; 200 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results_max: Option<usize>,
    /// The search ends after so many seconds, 1 to 3600, whoever has not answered; 30 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u64>,
    /// Only what has so many bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least_bytes: Option<u64>,
    /// Only what has no more bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most_bytes: Option<u64>,
}

/// How a search stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SearchState {
    /// Somebody has yet to answer.
    Running,
    /// It is over.
    Done,
    /// It is over, and nothing was found.
    Failed,
}

/// A search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Search {
    /// Its number.
    pub id: u64,
    /// Which words.
    pub words: Vec<String>,
    /// On which networks.
    pub on: Vec<String>,
    /// How it stands.
    pub state: SearchState,
    /// How many results there are.
    pub results: usize,
    /// Why it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// A search with a part of its results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchDetail {
    /// Its number.
    pub id: u64,
    /// Which words.
    pub words: Vec<String>,
    /// On which networks.
    pub on: Vec<String>,
    /// How it stands.
    pub state: SearchState,
    /// Why it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// How many results there are.
    pub total: usize,
    /// Which of them is the first here.
    pub offset: usize,
    /// The results, the best first.
    pub results: Vec<SearchResult>,
}

/// What a file is, by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// To listen to.
    Audio,
    /// To watch.
    Video,
    /// To look at.
    Image,
    /// To read.
    Text,
    /// Others in one.
    Archive,
    /// To run.
    Program,
    /// Something else.
    Other,
}

/// Answers that are one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchResult {
    /// Its number in this search, from 1 on; it stays the same.
    pub result: usize,
    /// Name of the file or folder.
    pub name: String,
    /// Bytes, when that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// What a download takes as its source.
    pub link: String,
    /// Whether what the link leads to is proven by it, whoever it comes from.
    pub proven: bool,
    /// Networks on which it was found.
    pub networks: Vec<String>,
    /// How many offer it, as far as that can be told apart.
    pub sources: usize,
    /// What it is, by the end of its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<MediaKind>,
    /// Of sound, as its sources say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bitrate_kbps: Option<u32>,
    /// How long it plays, as its sources say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
    /// Its place among the results when this was said, from 0 on; the best comes first.
    pub rank: usize,
}
