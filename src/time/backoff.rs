//! How long to wait before the next attempt.

use std::time::Duration;

/// Pauses that double up to a limit, each shortened by chance so that clients spread.
#[derive(Debug)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    /// From `min` on, never more than `max`.
    pub fn new(min: Duration, max: Duration) -> Backoff {
        Backoff { min, max, next: min.min(max) }
    }

    /// The pause after one more failure. `chance` in 0..=1 takes away up to half of it.
    pub fn pause(&mut self, chance: f64) -> Duration {
        let pause = self.next.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0);
        self.next = self.next.saturating_mul(2).min(self.max);
        pause
    }

    /// Tells how long the connection stood: long enough, and the next failure counts as the first.
    pub fn stood(&mut self, duration: Duration) {
        if duration >= self.max {
            self.next = self.min.min(self.max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_the_limit_and_start_again_after_a_connection_that_stood() {
        let s = Duration::from_secs;
        let mut backoff = Backoff::new(s(1), s(5));
        let pauses: Vec<_> = (0..4).map(|_| backoff.pause(0.0)).collect();
        assert_eq!(pauses, [s(1), s(2), s(4), s(5)]);
        assert_eq!(backoff.pause(1.0), Duration::from_millis(2500));
        backoff.stood(s(4));
        assert_eq!(backoff.pause(0.0), s(5));
        backoff.stood(s(5));
        assert_eq!(backoff.pause(0.0), s(1));
    }
}
