//! Somebody who wants to hear of new editions of a site: it is looked for them again and again, the more seldom the longer there was none.

use hexad_core::{Progress, Span};

use super::codec::Message;
use super::session::Effect;
use crate::keys::Uri;
use crate::node::{Reply, Request};

/// Between the first two looks; twice as long before each that follows, while there is nothing.
const WAIT: Span = Span::from_secs(5);
/// The same for who wants it to be seldom.
const WAIT_SPARSE: Span = Span::from_secs(60);
/// Never longer than this.
const WAIT_MAX: Span = Span::from_secs(600);

/// One subscription.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Subscription {
    /// The edition from which on it is looked.
    uri: Uri,
    known: Option<u64>,
    first_wait: Span,
    wait: Span,
}

impl Subscription {
    /// `None` for what has no editions.
    pub(super) fn of(uri: Uri, sparse: bool) -> Option<Self> {
        uri.edition?;
        let first_wait = if sparse { WAIT_SPARSE } else { WAIT };
        Some(Self { uri, known: None, first_wait, wait: first_wait })
    }

    pub(super) const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Looks for editions from the first on that is not known.
    pub(super) fn request(&self) -> Request {
        let from = self.known.map_or(self.uri.edition.unwrap_or(0).unsigned_abs(), |known| known + 1);
        Request::Newest { uri: self.uri.at_edition(from).to_string() }
    }

    /// The node has looked.
    pub(super) fn told(&mut self, number: u64, identifier: &str, progress: &Progress<Reply>) -> Vec<Effect> {
        match progress {
            Progress::Own(Reply::Edition(edition)) if self.known.is_none_or(|known| *edition > known) => {
                self.known = Some(*edition);
                self.wait = self.first_wait;
                let update = Message::new("SubscribedUSKUpdate").with("Identifier", identifier).with("Edition", edition);
                let update = update.with("URI", self.uri.at_edition(*edition)).with("NewKnownGood", true).with("NewSlotToo", true);
                vec![Effect::Say(update)]
            }
            // Nothing newer is no failure.
            Progress::Done | Progress::Failed(_) => {
                let finished = Message::new("SubscribedUSKRoundFinished").with("Identifier", identifier);
                let wait = self.wait;
                self.wait = (wait * 2).min(WAIT_MAX);
                vec![Effect::Say(finished), Effect::Later(number, wait)]
            }
            _ => Vec::new(),
        }
    }
}
