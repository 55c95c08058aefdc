//! A keyword index without I/O: who offers which file, found by the words of its path.
//!
//! Made for owners who come and go: a leaving owner is out of every answer at once ([`Catalogue::begin_remove`]), and what he leaves behind is
//! cleared in slices ([`Catalogue::step`]) between searches. Work and memory are bounded by [`Config`]; nothing depends on a clock, and the same
//! calls give the same answers.

mod catalogue;
mod dictionary;
mod fuzzy;
mod owner;
mod postings;
mod query;
mod record;
mod words;

pub use catalogue::{Catalogue, Config, OwnerId, Refusal, Usage};
pub use query::{Filter, Outcome, Query};
pub use record::{File, Kind, NewFile};
pub use words::{WORD_BYTES_MAX, text_of, words_of};
