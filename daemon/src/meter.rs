//! Counts what arrives for each lease, on its way from hosts to the transfers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hexad_core::{LeaseId, Payload};
use hexad_driver::Deliveries;
use hexad_driver::transfers::Transfers;

/// The transfers as hosts see them.
pub(crate) struct Meter {
    transfers: Arc<Transfers>,
    arrived: Mutex<BTreeMap<LeaseId, u64>>,
}

impl Meter {
    pub(crate) fn new(transfers: Arc<Transfers>) -> Arc<Self> {
        Arc::new(Self { transfers, arrived: Mutex::default() })
    }

    /// Bytes that have come under a lease, good or not.
    pub(crate) fn arrived_bytes(&self, lease: LeaseId) -> u64 {
        self.arrived().get(&lease).copied().unwrap_or(0)
    }

    /// Stops counting for a lease that has ended.
    pub(crate) fn forget(&self, lease: LeaseId) {
        self.arrived().remove(&lease);
    }

    fn arrived(&self) -> MutexGuard<'_, BTreeMap<LeaseId, u64>> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deliveries for Meter {
    fn deliver(&self, lease: LeaseId, offset: u64, payload: &Payload) {
        *self.arrived().entry(lease).or_default() += payload.len();
        self.transfers.deliver(lease, offset, payload);
    }

    fn congested(&self) -> bool {
        self.transfers.congested()
    }
}
