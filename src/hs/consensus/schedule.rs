//! Time periods and the two windows of a day, computed as C tor does (`hs_common.c`).

use crate::time::{Slot, TimePeriod, Wall, Window};

/// Voting rounds in one phase of the shared random protocol.
const PHASE_ROUNDS: u64 = 12;
/// Voting rounds in one run of the protocol: commit and reveal.
pub(super) const RUN_ROUNDS: u64 = 2 * PHASE_ROUNDS;

/// The clockwork of one network at the moment of one consensus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    pub(super) valid_after: Wall,
    pub(super) voting_interval_s: u64,
    pub(super) length_min: u64,
}

impl Schedule {
    /// The window that valid-after lies in.
    pub(super) fn window(&self) -> Window {
        let round = self.valid_after.0 / self.voting_interval_s % RUN_ROUNDS;
        let run_start = Wall(self.valid_after.0 - round * self.voting_interval_s);
        let next_period_start = self.period_at(run_start).next().start();
        if self.valid_after < next_period_start { Window::SrvToPeriod } else { Window::PeriodToSrv }
    }

    /// The period of a descriptor: the current and the next in the first window, the previous and
    /// the current in the second.
    pub(super) fn period(&self, slot: Slot) -> TimePeriod {
        let current = self.period_at(self.valid_after);
        match (self.window(), slot) {
            (Window::SrvToPeriod, Slot::First) | (Window::PeriodToSrv, Slot::Second) => current,
            (Window::SrvToPeriod, Slot::Second) => current.next(),
            (Window::PeriodToSrv, Slot::First) => current.previous(),
        }
    }

    /// The period that a moment lies in; C tor counts whole minutes.
    fn period_at(&self, moment: Wall) -> TimePeriod {
        let offset_s = PHASE_ROUNDS * self.voting_interval_s;
        let minutes = (moment.0 / 60).saturating_sub(offset_s / 60);
        TimePeriod { number: minutes / self.length_min, length_min: self.length_min, offset_s }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2016-04-13 00:00 UTC.
    const DAY: u64 = 1_460_505_600;

    fn public(hours: u64) -> Schedule {
        Schedule {
            valid_after: Wall(DAY + hours * 3600),
            voting_interval_s: 3600,
            length_min: 1440,
        }
    }

    /// rend-spec-v3, section TIME-PERIODS, and tor, `test_hs_common.c`.
    #[test]
    fn the_published_vector_holds() {
        let number = |hours| {
            let schedule = public(hours);
            schedule.period(schedule.window().client_facing()).number
        };
        assert_eq!(number(11), 16_903);
        assert_eq!(number(12), 16_904);
        let period = public(12).period(Slot::Second);
        assert_eq!((period.start(), period.srv_start()), (Wall(DAY + 43_200), Wall(DAY)));
    }

    #[test]
    fn the_public_network_has_its_windows_at_midnight_and_noon() {
        for hours in 0..48 {
            let schedule = public(hours);
            let first_half = hours % 24 < 12;
            let window = if first_half { Window::SrvToPeriod } else { Window::PeriodToSrv };
            assert_eq!(schedule.window(), window, "hour {hours}");
            let current = 16_903 + (hours + 12) / 24;
            let (first, second) =
                if first_half { (current, current + 1) } else { (current - 1, current) };
            assert_eq!(schedule.period(Slot::First).number, first, "hour {hours}");
            assert_eq!(schedule.period(Slot::Second).number, second, "hour {hours}");
        }
    }

    #[test]
    fn a_testing_network_turns_every_24_rounds() {
        let at = |round: u64| Schedule {
            valid_after: Wall(DAY + round * 20),
            voting_interval_s: 20,
            length_min: 8,
        };
        for round in 0..48 {
            let first_half = round % 24 < 12;
            let window = if first_half { Window::SrvToPeriod } else { Window::PeriodToSrv };
            assert_eq!(at(round).window(), window, "round {round}");
        }
        let change = at(24).period(Slot::First);
        assert_eq!(change, at(23).period(Slot::Second));
        assert_eq!(change.offset_s, 240);
        assert_eq!(change.start(), Wall(DAY + 240));
    }

    #[test]
    fn the_client_facing_period_always_contains_the_moment() {
        for round in 0..100 {
            for interval in [10, 20, 300, 1800, 3600] {
                let schedule = Schedule {
                    valid_after: Wall(DAY + round * interval),
                    voting_interval_s: interval,
                    length_min: RUN_ROUNDS * interval / 60,
                };
                let period = schedule.period(schedule.window().client_facing());
                let moment = schedule.valid_after;
                assert!(period.start() <= moment && moment < period.end(), "{schedule:?}");
            }
        }
    }
}
