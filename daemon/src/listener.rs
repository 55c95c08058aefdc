//! Who hears how a task goes: a face with a channel of events, or the running node, which wants to know a little more.

use std::sync::mpsc::Sender;

use hexad_api::{Event, Problem};
use hexad_core::{Description, ShareId};

/// What a task says.
pub(crate) enum Word {
    /// What every face can hear.
    Event(Event),
    /// What a fetch turned out to be.
    Described(ShareId, Box<Description>),
    /// What has come of a fetch from where; twice a second.
    Parts(Vec<PartLook>),
    /// A result of a search, beside what [`Event::Found`] says of it.
    Sounds { result: usize, bitrate_kbps: u32, seconds: u32 },
}

/// What has come from one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartLook {
    pub(crate) network: &'static str,
    /// Since the task began.
    pub(crate) bytes: u64,
    /// Of those, in parts that turned out to be wrong.
    pub(crate) bad_bytes: u64,
    pub(crate) peers: Option<usize>,
    pub(crate) problem: Option<Problem>,
}

/// Whoever listens.
pub(crate) struct Listener(Box<dyn Fn(Word) + Send>);

impl Listener {
    pub(crate) fn new(hear: impl Fn(Word) + Send + 'static) -> Self {
        Self(Box::new(hear))
    }

    /// Tells an event; nobody may listen.
    pub(crate) fn send(&self, event: Event) {
        (self.0)(Word::Event(event));
    }

    /// Tells anything.
    pub(crate) fn say(&self, word: Word) {
        (self.0)(word);
    }
}

impl From<Sender<Event>> for Listener {
    fn from(events: Sender<Event>) -> Self {
        Self::new(move |word| {
            if let Word::Event(event) = word {
                let _ = events.send(event);
            }
        })
    }
}
