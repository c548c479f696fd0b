//! Flap damping: whoever dies often comes back later.
//!
//! Knows how often one peer died; the delay is applied elsewhere.

use std::time::Duration;

use crate::time::Mono;

/// The delay after the second death.
const FIRST: Duration = Duration::from_secs(10);

/// The longest delay.
const LONGEST: Duration = Duration::from_secs(300);

/// So long without a death halves the delay.
const QUIET: Duration = Duration::from_secs(3600);

/// The delay of one peer's re-entry: none for the first death, then 10, 20, 40 … 300 s.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Damping {
    delay: Duration,
    died: Option<Mono>,
}

impl Damping {
    /// The peer died. What quiet hours had halved is doubled.
    pub(super) fn died(&mut self, now: Mono) {
        let halved = self.delay(now);
        let flaps = self.died.is_some_and(|died| now - died < QUIET);
        self.delay = match halved {
            Duration::ZERO if !flaps => Duration::ZERO,
            _ => (halved * 2).clamp(FIRST, LONGEST),
        };
        self.died = Some(now);
    }

    /// How long its re-entry is put off now.
    pub(super) fn delay(&self, now: Mono) -> Duration {
        let quiet = self.died.map_or(Duration::ZERO, |died| now - died);
        let hours = u32::try_from(quiet.as_secs() / QUIET.as_secs()).unwrap_or(u32::MAX);
        let halved = self.delay / 2_u32.saturating_pow(hours);
        if halved < FIRST { Duration::ZERO } else { halved }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Mono {
        Mono(Duration::from_secs(s))
    }

    fn delays(deaths: &[u64]) -> Vec<u64> {
        let mut damping = Damping::default();
        let delay = |s: &u64| {
            damping.died(at(*s));
            damping.delay(at(*s)).as_secs()
        };
        deaths.iter().map(delay).collect()
    }

    #[test]
    fn every_death_within_the_hour_doubles_the_delay() {
        let often: Vec<u64> = (1..=8).map(|n| n * 60).collect();
        assert_eq!(delays(&often), [0, 10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn quiet_hours_halve_it() {
        assert_eq!(delays(&[0, 3600, 7200]), [0, 0, 0]);
        assert_eq!(delays(&[0, 60, 120, 180, 180 + 2 * 3600]), [0, 10, 20, 40, 20]);
        let mut damping = Damping::default();
        (1..=4).for_each(|n| damping.died(at(n)));
        assert_eq!(damping.delay(at(4 + 3600)), Duration::from_secs(20));
        assert_eq!(damping.delay(at(4 + 3 * 3600)), Duration::ZERO);
    }
}
