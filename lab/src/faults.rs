//! What goes wrong on purpose, and how often it did.

use hexad_core::Span;

/// Faults of the whole network, each with its chance in a million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A datagram is lost. What is lost on a connection comes again, after [`Self::resend_after`].
    pub loss_ppm: u32,
    /// A datagram comes twice.
    pub duplicate_ppm: u32,
    /// A message travels longer, by up to [`Self::delay_max`].
    pub delay_ppm: u32,
    /// How much longer.
    pub delay_max: Span,
    /// How much longer what was lost on a connection takes.
    pub resend_after: Span,
    /// An `Ask` fails.
    pub ask_ppm: u32,
}

/// How a machine dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// The process ends: its machine closes the connections and refuses others.
    Crash,
    /// The machine is gone: nothing answers.
    Vanish,
}

/// What a machine that comes back still has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its disk: stored keys, files, verified ranges of downloads.
    Kept,
    /// Nothing.
    Lost,
}

/// How often each fault has struck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fired {
    /// Datagrams lost.
    pub lost: u64,
    /// Messages on connections that had to be sent again.
    pub resent: u64,
    /// Datagrams that came twice.
    pub duplicated: u64,
    /// Messages that travelled longer.
    pub delayed: u64,
    /// Messages that did not cross a partition.
    pub parted: u64,
    /// Messages of slow nodes.
    pub slowed: u64,
    /// Machines that crashed.
    pub crashed: u64,
    /// Machines that vanished.
    pub vanished: u64,
    /// Messages that did not cross a one-way cut.
    pub cut: u64,
    /// Machines that came back, with or without state.
    pub restarted: u64,
    /// Machines that came back without state.
    pub state_lost: u64,
    /// Blocks that were lies.
    pub lied: u64,
    /// Outputs that were forged by misbehaving nodes.
    pub forged: u64,
    /// Outputs that were withheld from misbehaving nodes.
    pub withheld: u64,
    /// Dials and datagrams that did not get through a network address translator.
    pub nat_blocked: u64,
    /// Asks that failed.
    pub asks_failed: u64,
    /// Messages that reached a machine that was down.
    pub into_the_void: u64,
}

impl Fired {
    /// All of them with their names.
    #[must_use]
    pub const fn named(&self) -> [(&'static str, u64); 17] {
        [
            ("lost", self.lost),
            ("resent", self.resent),
            ("duplicated", self.duplicated),
            ("delayed", self.delayed),
            ("parted", self.parted),
            ("cut", self.cut),
            ("slowed", self.slowed),
            ("crashed", self.crashed),
            ("vanished", self.vanished),
            ("restarted", self.restarted),
            ("state lost", self.state_lost),
            ("lied", self.lied),
            ("forged", self.forged),
            ("withheld", self.withheld),
            ("blocked by a translator", self.nat_blocked),
            ("asks failed", self.asks_failed),
            ("into the void", self.into_the_void),
        ]
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let Self { lost, resent, duplicated, delayed, parted, cut, slowed, crashed, vanished, restarted, state_lost, .. } = other;
        let Self { lied, forged, withheld, nat_blocked, asks_failed, into_the_void, .. } = other;
        self.lost += lost;
        self.resent += resent;
        self.duplicated += duplicated;
        self.delayed += delayed;
        self.parted += parted;
        self.cut += cut;
        self.slowed += slowed;
        self.crashed += crashed;
        self.vanished += vanished;
        self.restarted += restarted;
        self.state_lost += state_lost;
        self.lied += lied;
        self.forged += forged;
        self.withheld += withheld;
        self.nat_blocked += nat_blocked;
        self.asks_failed += asks_failed;
        self.into_the_void += into_the_void;
    }
}
