//! Who answers how fast, and who does not answer at all.

use hexad_core::{Map, Span, Time, leavers};

use super::settings::Settings;

/// What is known of somebody's round trips, as TCP keeps it (RFC 6298), in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct RoundTrip {
    smooth: u64,
    variation: u64,
    seen: Time,
}

/// Somebody who did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Suspect {
    /// May be asked again then.
    until: Time,
    /// How often in a row.
    strikes: u32,
}

/// The failure detector of one host, shared by its virtual nodes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Detector<A> {
    round_trips: Map<A, RoundTrip>,
    suspects: Map<A, Suspect>,
}

impl<A: Ord + Clone> Detector<A> {
    pub(super) const NOTHING: Self = Self { round_trips: Map::new(), suspects: Map::new() };

    pub(super) fn is_empty(&self) -> bool {
        self.round_trips.is_empty() && self.suspects.is_empty()
    }

    /// Whose round trips are known, smoothed.
    pub(super) fn round_trips(&self) -> impl Iterator<Item = (&A, Span)> {
        self.round_trips.iter().map(|(peer, trip)| (peer, Span::from_micros(trip.smooth)))
    }

    /// How long to wait for an answer, the `tries`th time that one is asked.
    pub(super) fn patience(&self, peer: &A, tries: u8, settings: &Settings) -> Span {
        let base = match self.round_trips.get(peer) {
            Some(trip) => {
                let micros = trip.smooth + 4 * trip.variation;
                Span::from_micros(micros).clamp(settings.answer_min, settings.answer_max)
            }
            None => settings.answer_first,
        };
        (base * 2_u32.pow(u32::from(tries.min(4)))).min(settings.answer_max.max(settings.answer_first))
    }

    /// Somebody has answered.
    pub(super) fn answered(&mut self, peer: &A, after: Span, now: Time, settings: &Settings) {
        self.suspects.remove(peer);
        if settings.round_trips_max == 0 {
            return;
        }
        let micros = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        if let Some(trip) = self.round_trips.get_mut(peer) {
            trip.variation = (3 * trip.variation + trip.smooth.abs_diff(micros)) / 4;
            trip.smooth = (7 * trip.smooth + micros) / 8;
            trip.seen = now;
            return;
        }
        if self.round_trips.len() >= settings.round_trips_max {
            for oldest in leavers(&self.round_trips, |trip| trip.seen) {
                self.round_trips.remove(&oldest);
            }
        }
        self.round_trips.insert(peer.clone(), RoundTrip { smooth: micros, variation: micros / 2, seen: now });
    }

    /// Somebody did not answer, as often as he was asked.
    pub(super) fn silent(&mut self, peer: &A, now: Time, settings: &Settings) {
        self.round_trips.remove(peer);
        if settings.suspects_max == 0 {
            return;
        }
        let strikes = self.suspects.get(peer).map_or(0, |suspect| suspect.strikes) + 1;
        if self.suspects.len() >= settings.suspects_max && !self.suspects.contains_key(peer) {
            // Whoever has been silent most often is least worth remembering.
            for worst in leavers(&self.suspects, |suspect| std::cmp::Reverse((suspect.strikes, suspect.until))) {
                self.suspects.remove(&worst);
            }
        }
        let until = now + settings.suspect_for * 2_u32.pow((strikes - 1).min(4));
        self.suspects.insert(peer.clone(), Suspect { until, strikes });
    }

    /// Whether somebody counts as gone.
    pub(super) fn is_gone(&self, peer: &A) -> bool {
        !self.suspects.is_empty() && self.suspects.contains_key(peer)
    }

    /// Somebody who may be asked again by now; he counts as gone until he answers.
    pub(super) fn due(&mut self, now: Time, settings: &Settings) -> Option<A> {
        let (peer, suspect) = self.suspects.iter_mut().find(|(_, suspect)| suspect.until <= now)?;
        suspect.until = now + settings.suspect_for;
        Some(peer.clone())
    }

    /// Somebody has written to us by himself.
    pub(super) fn heard(&mut self, peer: &A) {
        if !self.suspects.is_empty() {
            self.suspects.remove(peer);
        }
    }

    /// Who counts as gone.
    pub(super) fn suspects(&self) -> impl Iterator<Item = &A> {
        self.suspects.keys()
    }
}
