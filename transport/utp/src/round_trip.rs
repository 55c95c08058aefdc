//! How long an answer takes, and how long to wait for one. BEP 29, "packet loss" and "timeouts".

use hexad_core::Span;

/// The longest wait between two tries.
const TIMEOUT_MAX: Span = Span::from_secs(60);

/// Round-trip times of one connection.
#[derive(Debug)]
pub struct RoundTrip {
    mean: Option<Span>,
    deviation: Span,
    timeout: Span,
    timeout_min: Span,
}

impl RoundTrip {
    /// Nothing is known but how long to wait at first.
    pub fn new(first_timeout: Span, timeout_min: Span) -> Self {
        Self { mean: None, deviation: Span::ZERO, timeout: first_timeout, timeout_min }
    }

    /// A packet that was sent once was acknowledged after `sample`.
    pub fn measured(&mut self, sample: Span) {
        self.mean = Some(match self.mean {
            None => {
                self.deviation = sample / 2;
                sample
            }
            Some(mean) => {
                self.deviation = (self.deviation * 3 + mean.abs_diff(sample)) / 4;
                (mean * 7 + sample) / 8
            }
        });
        self.settle();
    }

    /// There was an answer: waits are as long as measured, no matter how often they were doubled.
    pub fn settle(&mut self) {
        if let Some(mean) = self.mean {
            self.timeout = (mean + self.deviation * 4).clamp(self.timeout_min, TIMEOUT_MAX);
        }
    }

    /// There was none in time: the next wait is twice as long.
    pub fn back_off(&mut self) {
        self.timeout = (self.timeout * 2).min(TIMEOUT_MAX);
    }

    /// How long to wait for an answer.
    pub fn timeout(&self) -> Span {
        self.timeout
    }

    /// Whether anything was measured.
    pub fn is_measured(&self) -> bool {
        self.mean.is_some()
    }

    /// The mean; the first wait while nothing was measured.
    pub fn mean(&self) -> Span {
        self.mean.unwrap_or(self.timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_follow_what_was_measured_and_double_without_an_answer() {
        let mut trip = RoundTrip::new(Span::from_secs(1), Span::from_millis(500));
        assert_eq!(trip.timeout(), Span::from_secs(1));
        trip.back_off();
        assert_eq!(trip.timeout(), Span::from_secs(2));
        for _ in 0..50 {
            trip.measured(Span::from_millis(300));
        }
        assert_eq!(trip.mean(), Span::from_millis(300));
        assert_eq!(trip.timeout(), Span::from_millis(500), "never shorter than the floor");
        trip.back_off();
        trip.back_off();
        assert_eq!(trip.timeout(), Span::from_secs(2));
        trip.settle();
        assert_eq!(trip.timeout(), Span::from_millis(500));
        for _ in 0..20 {
            trip.back_off();
        }
        assert_eq!(trip.timeout(), TIMEOUT_MAX);
    }
}
