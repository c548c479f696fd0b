//! When a node presents its membership again, by what its heartbeats bring back.
//!
//! | a heartbeat brings | then |
//! |---|---|
//! | *known* | all is well, and what went wrong before is forgotten |
//! | *unknown* | present membership at once |
//! | *restarted* | the same |
//! | nothing | the watch tries the other path at once; with the next beat, present membership |
//! | *busy* | wait as told, present nothing |
//! | no good answer three times in a row | present it anew through any bootstrap node |
//!
//! And when fewer members are alive than there should be, [`Discovery`] asks around.

use std::time::Duration;

use super::super::action::Reregistration;
use crate::message::Verdict;
use crate::time::Mono;

/// So many failures in a row, of whatever kind, make a full registration.
const FULL_AFTER: u32 = 3;

/// The next full registration because of the same peer.
const FULL_EVERY: Duration = Duration::from_secs(60);

/// Answers to one heartbeat's tries must not make a presentation each.
const PRESENT_EVERY: Duration = Duration::from_secs(1);

/// The longest time that a peer may make us wait.
const BUSY_MAX: Duration = Duration::from_secs(300);

/// How we stand with one peer.
#[derive(Clone, Debug, Default)]
pub(super) struct Registration {
    failures: u32,
    with_next_beat: bool,
    presented: Option<Mono>,
    full: Option<Mono>,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    /// Present membership to this peer.
    Present(Reregistration),
    /// Do not come back for so long.
    Wait(Duration),
}

impl Registration {
    /// The peer answered a heartbeat.
    pub(super) fn answered(&mut self, verdict: Verdict, now: Mono) -> Step {
        match verdict {
            Verdict::Known => {
                *self = Registration { full: self.full, ..Registration::default() };
                Step::Nothing
            }
            Verdict::Unknown => self.failed(Reregistration::Unknown, now),
            Verdict::Restarted => self.failed(Reregistration::Restarted, now),
            Verdict::Busy { wait_s } => {
                self.with_next_beat = false;
                Step::Wait(BUSY_MAX.min(Duration::from_secs(wait_s.into())))
            }
        }
    }

    /// A heartbeat was not answered at all.
    pub(super) fn missed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.with_next_beat = true;
    }

    /// The next heartbeat goes out.
    pub(super) fn beat(&mut self, now: Mono) -> Step {
        if !std::mem::take(&mut self.with_next_beat) {
            return Step::Nothing;
        }
        self.present(Reregistration::Unreachable, now)
    }

    /// It is the first failure after a success: worth a word to the operator.
    pub(super) fn is_news(&self) -> bool {
        self.failures == 1
    }

    fn failed(&mut self, why: Reregistration, now: Mono) -> Step {
        if self.presented.is_some_and(|at| now - at < PRESENT_EVERY) {
            return Step::Nothing;
        }
        self.failures = self.failures.saturating_add(1);
        self.present(why, now)
    }

    fn present(&mut self, why: Reregistration, now: Mono) -> Step {
        self.presented = Some(now);
        let due = self.full.is_none_or(|at| now - at >= FULL_EVERY);
        if self.failures >= FULL_AFTER && due {
            self.full = Some(now);
            return Step::Present(Reregistration::Full);
        }
        Step::Present(why)
    }
}

/// So long fewer members than expected are alive until we ask around,
const SHORT_FOR: Duration = Duration::from_secs(10);

/// and again.
const DISCOVERY_EVERY: Duration = Duration::from_secs(60);

/// Rounds of asking around while somebody is missing.
#[derive(Clone, Debug, Default)]
pub(super) struct Discovery {
    due: Option<Mono>,
    told: bool,
}

/// A round of asking around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Round {
    /// It is the first since somebody is missing.
    pub(super) news: bool,
}

impl Discovery {
    /// Whether a round is due; `short`: fewer are alive than expected.
    pub(super) fn advance(&mut self, short: bool, now: Mono) -> Option<Round> {
        if !short {
            *self = Discovery::default();
            return None;
        }
        let due = *self.due.get_or_insert(now + SHORT_FOR);
        if due > now {
            return None;
        }
        self.due = Some(now + DISCOVERY_EVERY);
        Some(Round { news: !std::mem::replace(&mut self.told, true) })
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::at;
    use super::*;

    fn after(seconds: f64) -> Mono {
        at(seconds).mono
    }

    #[test]
    fn known_needs_nothing_and_forgets_failures() {
        let mut registration = Registration::default();
        registration.missed();
        registration.missed();
        assert_eq!(registration.answered(Verdict::Known, after(1.0)), Step::Nothing);
        registration.missed();
        let step = registration.beat(after(2.0));
        assert_eq!(step, Step::Present(Reregistration::Unreachable), "not the third in a row");
    }

    #[test]
    fn unknown_presents_at_once() {
        let mut registration = Registration::default();
        let step = registration.answered(Verdict::Unknown, after(0.0));
        assert_eq!(step, Step::Present(Reregistration::Unknown));
        let again = registration.answered(Verdict::Unknown, after(0.2));
        assert_eq!(again, Step::Nothing, "the answer to a try of the same beat");
    }

    #[test]
    fn restarted_presents_at_once() {
        let step = Registration::default().answered(Verdict::Restarted, after(0.0));
        assert_eq!(step, Step::Present(Reregistration::Restarted));
    }

    #[test]
    fn a_missed_beat_presents_with_the_next_one_and_once() {
        let mut registration = Registration::default();
        assert_eq!(registration.beat(after(0.0)), Step::Nothing);
        registration.missed();
        let step = registration.beat(after(2.0));
        assert_eq!(step, Step::Present(Reregistration::Unreachable));
        assert_eq!(registration.beat(after(2.5)), Step::Nothing);
    }

    #[test]
    fn busy_waits_as_told_within_reason_and_presents_nothing() {
        let mut registration = Registration::default();
        registration.missed();
        let step = registration.answered(Verdict::Busy { wait_s: 7 }, after(0.0));
        assert_eq!(step, Step::Wait(Duration::from_secs(7)));
        assert_eq!(registration.beat(after(7.0)), Step::Nothing);
        let step = registration.answered(Verdict::Busy { wait_s: u16::MAX }, after(8.0));
        assert_eq!(step, Step::Wait(BUSY_MAX));
    }

    #[test]
    fn three_in_a_row_of_any_kind_register_anew_and_not_again_for_a_while() {
        let mut registration = Registration::default();
        registration.missed();
        registration.beat(after(0.0));
        registration.answered(Verdict::Unknown, after(2.0));
        let third = registration.answered(Verdict::Restarted, after(4.0));
        assert_eq!(third, Step::Present(Reregistration::Full));
        let fourth = registration.answered(Verdict::Restarted, after(6.0));
        assert_eq!(fourth, Step::Present(Reregistration::Restarted));
        let later = registration.answered(Verdict::Restarted, after(65.0));
        assert_eq!(later, Step::Present(Reregistration::Full));
    }

    #[test]
    fn fewer_than_expected_for_a_while_make_rounds_until_all_are_there() {
        let mut discovery = Discovery::default();
        assert_eq!(discovery.advance(true, after(0.0)), None);
        assert_eq!(discovery.advance(false, after(9.0)), None);
        assert_eq!(discovery.advance(true, after(10.0)), None, "it begins anew");
        assert_eq!(discovery.advance(true, after(20.0)), Some(Round { news: true }));
        assert_eq!(discovery.advance(true, after(79.0)), None);
        assert_eq!(discovery.advance(true, after(80.0)), Some(Round { news: false }));
        assert_eq!(discovery.deadline(), Some(after(140.0)));
        discovery.advance(false, after(81.0));
        assert_eq!(discovery.deadline(), None);
    }
}
