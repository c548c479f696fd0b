//! A peer's clock against ours, from the wall times in its answers.
//!
//! Both sides count whole seconds, and an answer was made somewhere within its round trip, so
//! only what is further off than the tolerance for sure counts.

use std::time::Duration;

use crate::time::{Now, Wall};

/// So many answers in a row change the verdict.
const IN_A_ROW: u32 = 3;

/// What whole seconds on both sides can hide.
const ROUNDING_S: i64 = 1;

/// One peer's clock.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    ahead_s: Option<i64>,
    bad: bool,
    against: u32,
}

/// The verdict on a clock changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is off by so many seconds, theirs minus ours.
    Skewed(i64),
    Agrees,
}

impl Clock {
    /// The peer's clock showed `theirs` in an answer that came `now`, `rtt` after its question.
    pub(super) fn compared(
        &mut self,
        theirs: Wall,
        now: Now,
        rtt: Duration,
        tolerance: Duration,
    ) -> Option<Turn> {
        let seconds = |of: Duration| i64::try_from(of.as_secs()).unwrap_or(i64::MAX);
        let ahead_s = theirs.seconds_since(now.wall).saturating_add(seconds(rtt / 2));
        self.ahead_s = Some(ahead_s);
        let slack_s = ROUNDING_S.saturating_add(seconds(rtt / 2));
        let off = ahead_s.saturating_abs() > seconds(tolerance).saturating_add(slack_s);
        self.against = if off == self.bad { 0 } else { self.against + 1 };
        if self.against < IN_A_ROW {
            return None;
        }
        self.against = 0;
        self.bad = off;
        Some(if off { Turn::Skewed(ahead_s) } else { Turn::Agrees })
    }

    /// Theirs minus ours.
    pub(super) fn ahead_s(&self) -> Option<i64> {
        self.ahead_s
    }

    pub(super) fn bad(&self) -> bool {
        self.bad
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::at;
    use super::*;

    const TOLERANCE: Duration = Duration::from_secs(5);

    fn compare(clock: &mut Clock, ahead_s: i64, rtt_s: u64) -> Option<Turn> {
        let now = at(1000.0);
        let theirs = Wall(now.wall.0.saturating_add_signed(ahead_s));
        clock.compared(theirs, now, Duration::from_secs(rtt_s), TOLERANCE)
    }

    #[test]
    fn three_answers_in_a_row_prove_a_clock_wrong_and_right_again() {
        let mut clock = Clock::default();
        assert_eq!(compare(&mut clock, 31, 0), None);
        assert_eq!(compare(&mut clock, 31, 0), None);
        assert_eq!(compare(&mut clock, 0, 0), None, "one good answer in between");
        assert_eq!([31, 31, 31].map(|s| compare(&mut clock, s, 0))[2], Some(Turn::Skewed(31)));
        assert_eq!(compare(&mut clock, 31, 0), None, "said once");
        assert!(clock.bad());
        assert_eq!([0, 0, 0].map(|s| compare(&mut clock, s, 0))[2], Some(Turn::Agrees));
        assert!(!clock.bad());
    }

    #[test]
    fn a_long_way_proves_nothing() {
        let mut clock = Clock::default();
        assert!((0..10).all(|_| compare(&mut clock, -8, 8).is_none()));
        assert!((0..10).all(|_| compare(&mut clock, 6, 0).is_none()), "rounding");
        assert!((0..3).any(|_| compare(&mut clock, -7, 0).is_some()));
    }
}
