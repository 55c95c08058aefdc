//! What went wrong, for a person.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What kind of problem it is, by which a face over HTTP chooses its status. It is not written as JSON: the status says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProblemKind {
    /// What was asked for is written wrongly or cannot be meant.
    #[default]
    BadRequest,
    /// There is no such thing.
    NotFound,
    /// It does not go with how things stand.
    Conflict,
    /// It cannot be done at present: a network is not joined, a bound is reached.
    Unavailable,
    /// A mistake of ours, or of this machine.
    Internal,
}

/// One sentence that names what was expected and what came, and something to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The sentence.
    pub message: String,
    /// What the user can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What kind of problem it is.
    #[serde(skip)]
    pub kind: ProblemKind,
}

impl Problem {
    /// A problem without a hint, and of what was asked for.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, kind: ProblemKind::default() }
    }

    /// The same problem with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same problem as one of that kind.
    #[must_use]
    pub fn kind(mut self, kind: ProblemKind) -> Self {
        self.kind = kind;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}
