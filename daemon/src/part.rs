//! One network's part in a fetch: what is asked of it, what has come from it, and what is wrong with it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hexad_api::Problem;
use hexad_core::{LeaseId, OpId, Source};
use hexad_driver::limits::Limits;
use hexad_driver::transfers::Transfers;

/// One network's part in a fetch.
pub(crate) struct Part {
    pub(crate) network: usize,
    pub(crate) network_name: &'static str,
    /// Who takes part there does so by the .torrent.
    pub(crate) is_swarm: bool,
    /// Who has it is being looked up.
    pub(crate) lookup: Option<OpId>,
    /// It is being fetched.
    pub(crate) fetch: Option<OpId>,
    /// What is delivered under it.
    pub(crate) lease: LeaseId,
    /// What has arrived is given on; goes on after the fetch when seeding.
    pub(crate) publishing: Option<OpId>,
    /// What a lookup has found, and was not tried.
    pub(crate) untried: VecDeque<Source>,
    /// The network has described what the download is of.
    pub(crate) described: bool,
    /// The lease under which what is missing was lent.
    pub(crate) lent: Option<LeaseId>,
    /// Nothing more comes from there.
    pub(crate) problem: Option<Problem>,
    /// That is so because the network is not joined, which may change.
    pub(crate) down: bool,
    /// What came under leases that have ended, and what of it was wrong.
    pub(crate) settled_bytes: u64,
    pub(crate) settled_bad_bytes: u64,
    /// Peers connected, where the network says it.
    pub(crate) peers: Option<usize>,
    /// Since when the network thinks that it has done its part.
    pub(crate) idle_since: Option<Instant>,
    /// When a part that has failed is tried again, and how long the pause after that is.
    pub(crate) retry: Option<(Instant, Duration)>,
    /// Wrong bytes that the user has been told of.
    pub(crate) warned_bad_bytes: u64,
}

impl Part {
    /// Nothing has come from there yet.
    pub(crate) fn new(network: usize, network_name: &'static str, is_swarm: bool, lease: LeaseId) -> Self {
        Self {
            network,
            network_name,
            is_swarm,
            lookup: None,
            fetch: None,
            lease,
            publishing: None,
            untried: VecDeque::new(),
            described: false,
            lent: None,
            problem: None,
            down: false,
            settled_bytes: 0,
            settled_bad_bytes: 0,
            peers: None,
            idle_since: None,
            retry: None,
            warned_bad_bytes: 0,
        }
    }

    /// The operations that go on.
    pub(crate) fn ops(&self) -> impl Iterator<Item = OpId> {
        [self.lookup, self.fetch, self.publishing].into_iter().flatten()
    }

    /// What comes from here on comes under a fresh lease; the one before has served.
    pub(crate) fn renew_lease(&mut self, fresh: LeaseId, transfers: &Transfers, limits: &Limits) {
        let spent = std::mem::replace(&mut self.lease, fresh);
        self.settled_bytes += transfers.arrived_bytes(spent);
        self.settled_bad_bytes += transfers.bad_bytes(spent);
        transfers.end(spent);
        limits.set_lease(spent, 0);
    }

    /// Whether something may come from there.
    pub(crate) fn is_on(&self) -> bool {
        self.problem.is_none()
    }
}
