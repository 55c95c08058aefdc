//! How fast bytes may come and go: one limiter for all networks of a session, with a pace for everything and one for each share and lease.
//!
//! Nothing is dropped for a limit's sake. Whoever has moved bytes is told until when to wait before it moves more, so that those who share a
//! limit take turns, each in the order in which it came; what is not read meanwhile waits at the sender. Bytes count as they are on the wire of
//! connections; datagrams, which are few, do not count.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use hexad_core::{LeaseId, Map, ShareId};

/// What was not used up to so long ago may be used later.
const CREDIT: Duration = Duration::from_millis(50);
/// A second's bytes are moved in so many turns …
const TURNS_PER_S: u64 = 20;
/// … of at least and at most so many bytes.
const TURN_BYTES_MIN: u64 = 1 << 10;
const TURN_BYTES_MAX: u64 = 64 << 10;

/// Limits of a session. Shared by its hosts, and changed while they run.
#[derive(Debug, Default)]
pub struct Limits {
    down: Pace,
    up: Pace,
    shares: RwLock<Map<ShareId, Arc<Pace>>>,
    leases: RwLock<Map<LeaseId, Arc<Pace>>>,
    /// How many of these there are.
    own: AtomicU64,
    /// Counts changes: whoever waits by an older one need not wait on.
    version: AtomicU64,
}

/// How long to wait before more bytes are moved.
#[derive(Clone, Copy, Debug)]
pub struct Hold {
    until: Instant,
    version: u64,
}

/// How long somebody waits before he looks whether limits have changed.
const LOOK: Duration = Duration::from_secs(1);

impl Hold {
    /// Whichever holds longer.
    #[must_use]
    pub fn longer(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) => Some(if one.until >= other.until { one } else { other }),
            (one, other) => one.or(other),
        }
    }

    /// When to look at it again; `None` when it is over.
    #[must_use]
    pub fn look_at(&self, limits: &Limits, now: Instant) -> Option<Instant> {
        (self.until > now && self.version == limits.version.load(Ordering::Relaxed)).then(|| self.until.min(now + LOOK))
    }
}

impl Limits {
    /// No limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what all connections together may receive and send, in bytes a second; 0 has no limit.
    pub fn set(&self, down_bytes_per_s: u64, up_bytes_per_s: u64) {
        self.down.set(down_bytes_per_s);
        self.up.set(up_bytes_per_s);
        self.version.fetch_add(1, Ordering::Relaxed);
    }

    /// What all connections together may receive and send, in bytes a second; 0 has no limit.
    #[must_use]
    pub fn session(&self) -> (u64, u64) {
        (self.down.rate(), self.up.rate())
    }

    /// Sets what may be sent of a share in a second; 0 has no limit, and is what is forgotten.
    pub fn set_share(&self, share: ShareId, up_bytes_per_s: u64) {
        set_own(&self.shares, &self.own, share, up_bytes_per_s);
        self.version.fetch_add(1, Ordering::Relaxed);
    }

    /// Sets what may come under a lease in a second; 0 has no limit, and is what is forgotten.
    pub fn set_lease(&self, lease: LeaseId, down_bytes_per_s: u64) {
        set_own(&self.leases, &self.own, lease, down_bytes_per_s);
        self.version.fetch_add(1, Ordering::Relaxed);
    }

    /// How many bytes a connection that brought bytes of `lease` may read at a time; `None` where there is no limit.
    pub(crate) fn down_turn(&self, lease: Option<LeaseId>) -> Option<usize> {
        let own = lease.and_then(|lease| self.own_of(&self.leases, lease));
        smaller(self.down.turn(), own.and_then(|pace| pace.turn()))
    }

    /// How many bytes a connection that takes bytes of `share` may write at a time; `None` where there is no limit.
    pub(crate) fn up_turn(&self, share: Option<ShareId>) -> Option<usize> {
        let own = share.and_then(|share| self.own_of(&self.shares, share));
        smaller(self.up.turn(), own.and_then(|pace| pace.turn()))
    }

    /// So many bytes were received.
    pub(crate) fn received(&self, bytes: u64, now: Instant) -> Option<Hold> {
        self.hold(self.down.charge(bytes, now))
    }

    /// So many bytes have come under a lease.
    pub(crate) fn delivered(&self, lease: LeaseId, bytes: u64, now: Instant) -> Option<Hold> {
        let pace = self.own_of(&self.leases, lease)?;
        self.hold(pace.charge(bytes, now))
    }

    /// So many bytes were sent, some of them of that share.
    pub(crate) fn sent(&self, bytes: u64, share: Option<ShareId>, now: Instant) -> Option<Hold> {
        let all = self.hold(self.up.charge(bytes, now));
        let own = share.and_then(|share| self.own_of(&self.shares, share));
        Hold::longer(all, own.and_then(|pace| self.hold(pace.charge(bytes, now))))
    }

    fn hold(&self, until: Option<Instant>) -> Option<Hold> {
        Some(Hold { until: until?, version: self.version.load(Ordering::Relaxed) })
    }

    fn own_of<K: Ord>(&self, paces: &RwLock<Map<K, Arc<Pace>>>, key: K) -> Option<Arc<Pace>> {
        if self.own.load(Ordering::Relaxed) == 0 {
            return None;
        }
        paces.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }
}

fn set_own<K: Ord>(paces: &RwLock<Map<K, Arc<Pace>>>, own: &AtomicU64, key: K, rate: u64) {
    let mut paces = paces.write().unwrap_or_else(PoisonError::into_inner);
    let before = paces.len() as u64;
    if rate == 0 {
        paces.remove(&key);
    } else {
        paces.entry(key).or_default().set(rate);
    }
    let after = paces.len() as u64;
    own.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
}

fn smaller(one: Option<usize>, other: Option<usize>) -> Option<usize> {
    one.into_iter().chain(other).min()
}

/// One limit: a line in which everybody stands who moves bytes.
#[derive(Debug, Default)]
struct Pace {
    /// Bytes a second; 0 has no limit.
    rate: AtomicU64,
    /// When all that was moved so far will have taken its time.
    free_at: Mutex<Option<Instant>>,
}

impl Pace {
    fn set(&self, rate: u64) {
        self.rate.store(rate, Ordering::Relaxed);
        *self.free_at.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn rate(&self) -> u64 {
        self.rate.load(Ordering::Relaxed)
    }

    fn turn(&self) -> Option<usize> {
        let rate = self.rate();
        (rate > 0).then(|| usize::try_from((rate / TURNS_PER_S).clamp(TURN_BYTES_MIN, TURN_BYTES_MAX)).unwrap_or(usize::MAX))
    }

    /// Until when whoever has moved so many bytes is to wait.
    fn charge(&self, bytes: u64, now: Instant) -> Option<Instant> {
        let rate = self.rate();
        if rate == 0 || bytes == 0 {
            return None;
        }
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = now.checked_sub(CREDIT).unwrap_or(now);
        let micros = u128::from(bytes) * 1_000_000 / u128::from(rate);
        let took = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX).min(u64::from(u32::MAX) * 1_000));
        let until = free_at.map_or(oldest, |free| free.max(oldest)) + took;
        *free_at = Some(until);
        (until > now).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Bytes that so many connections move in ten seconds, each as soon as it may, `turn` bytes at a time.
    fn moved(limits: &Limits, connections: usize, charge: impl Fn(usize, u64, Instant) -> Option<Hold>, turn: usize) -> Vec<u64> {
        let start = Instant::now();
        let mut free: Vec<Instant> = vec![start; connections];
        let mut moved = vec![0; connections];
        let mut now = start;
        while now < start + 10 * SECOND {
            for one in 0..connections {
                if free[one] <= now {
                    moved[one] += turn as u64;
                    free[one] = charge(one, turn as u64, now).map_or(now, |hold| hold.until);
                }
            }
            now += Duration::from_millis(1);
        }
        assert!(limits.session().0 + limits.session().1 + limits.own.load(Ordering::Relaxed) > 0);
        moved
    }

    #[test]
    fn all_together_move_what_is_allowed_and_share_it_evenly() {
        let limits = Limits::new();
        limits.set(100_000, 0);
        let turn = limits.down_turn(None).expect("there is a limit");
        let moved = moved(&limits, 5, |_, bytes, now| limits.received(bytes, now), turn);
        let sum: u64 = moved.iter().sum();
        assert!((990_000..1_050_000).contains(&sum), "{sum}");
        assert!(moved.iter().all(|one| one.abs_diff(sum / 5) <= turn as u64), "{moved:?}");
        assert_eq!(limits.up_turn(None), None, "what is sent has no limit");
        assert!(limits.sent(1 << 30, None, Instant::now()).is_none());
    }

    #[test]
    fn a_share_and_a_lease_have_limits_of_their_own_below_that_of_all() {
        let limits = Limits::new();
        limits.set_share(ShareId(1), 20_000);
        limits.set_lease(LeaseId(1), 20_000);
        limits.set(0, 100_000);
        let turn = limits.up_turn(Some(ShareId(1))).expect("there is a limit");
        let share = |one| ShareId(if one == 0 { 1 } else { 2 });
        let moved = moved(&limits, 2, |one, bytes, now| limits.sent(bytes, Some(share(one)), now), turn);
        assert!((198_000..205_000).contains(&moved[0]), "{moved:?}");
        assert!((790_000..830_000).contains(&moved[1]), "the other has what is left: {moved:?}");
        assert_eq!(limits.down_turn(Some(LeaseId(2))), None);
        assert_eq!(limits.down_turn(Some(LeaseId(1))), Some(1_024));
        limits.set_lease(LeaseId(1), 0);
        assert_eq!(limits.down_turn(Some(LeaseId(1))), None, "forgotten");
        assert!(limits.delivered(LeaseId(1), 1_000, Instant::now()).is_none());
    }

    #[test]
    fn whoever_waits_is_free_when_limits_change() {
        let limits = Limits::new();
        limits.set(1_000, 0);
        let now = Instant::now();
        let hold = limits.received(100_000, now).expect("it waits");
        assert_eq!(hold.look_at(&limits, now), Some(now + LOOK), "it looks again before its turn");
        assert_eq!(hold.look_at(&limits, now + 100 * SECOND), None);
        limits.set(0, 0);
        assert_eq!(hold.look_at(&limits, now), None);
    }
}
