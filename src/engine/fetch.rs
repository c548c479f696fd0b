//! Asking the HSDirs for one address's descriptor: one of them at a time, until one has it.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::action::{Action, FetchId, ReadError};
use super::rng::Rng;
use crate::ident::{HsId, RelayId};
use crate::time::Mono;

/// How long one HSDir may take: tor's own directory time-out is longer than we can wait.
const FETCH_TIMEOUT: Duration = Duration::from_secs(30);

/// Between one HSDir that failed and the next one.
const NEXT_HSDIR: Duration = Duration::from_millis(500);

/// Between two rounds over all HSDirs that failed.
const RETRY: Duration = Duration::from_secs(30);

/// Hints are a burst of one upload: as many as there are HSDirs for a descriptor.
const HINTS_MAX: usize = 16;

/// What a failed answer means for the whole cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// Others are still to be asked.
    OthersLeft,
    /// All were asked: nobody has it, every one of them says so.
    NowhereFound,
    /// All were asked, not all have answered.
    Exhausted,
}

/// The cycle of fetches for one address.
#[derive(Clone, Debug)]
pub(super) struct FetchCycle {
    address: HsId,
    poll: Duration,
    due: Option<Mono>,
    /// HSDirs that have just got a new document.
    hints: VecDeque<RelayId>,
    in_flight: Option<InFlight>,
    asked: BTreeSet<RelayId>,
    not_found: usize,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    id: FetchId,
    from: RelayId,
    until: Mono,
}

impl FetchCycle {
    pub(super) fn new(address: HsId, poll: Duration) -> FetchCycle {
        FetchCycle {
            address,
            poll,
            due: None,
            hints: VecDeque::new(),
            in_flight: None,
            asked: BTreeSet::new(),
            not_found: 0,
        }
    }

    /// Whose descriptor is asked for.
    pub(super) fn address(&self) -> &HsId {
        &self.address
    }

    /// Starts a cycle now.
    pub(super) fn start(&mut self, now: Mono) {
        self.due = Some(now);
        self.asked.clear();
        self.not_found = 0;
    }

    /// Asks nobody until the next [`start`](Self::start); an answer on its way is dropped.
    pub(super) fn stop(&mut self) {
        *self = FetchCycle::new(self.address, self.poll);
    }

    /// This HSDir has just got a new document: ask it first.
    pub(super) fn hint(&mut self, hsdir: RelayId) {
        if self.hints.len() < HINTS_MAX && !self.hints.contains(&hsdir) {
            self.hints.push_back(hsdir);
        }
    }

    /// The next fetch, when it is time for one.
    pub(super) fn advance(
        &mut self,
        now: Mono,
        ring: &[RelayId],
        next_id: &mut u64,
        rng: &mut Rng,
    ) -> Option<Action> {
        if self.in_flight.is_some() {
            return None;
        }
        let from = match self.hints.pop_front() {
            Some(hinted) => hinted,
            None if self.due.is_some_and(|due| due <= now) => match self.draw(ring, rng) {
                Some(drawn) => drawn,
                None => {
                    self.start(now + RETRY);
                    return None;
                }
            },
            None => return None,
        };
        *next_id += 1;
        let id = FetchId(*next_id);
        self.in_flight = Some(InFlight { id, from, until: now + FETCH_TIMEOUT });
        Some(Action::Fetch { id, address: self.address, from })
    }

    fn draw(&mut self, ring: &[RelayId], rng: &mut Rng) -> Option<RelayId> {
        let left: Vec<RelayId> = ring.iter().filter(|r| !self.asked.contains(r)).copied().collect();
        left.get(rng.below(left.len())).copied()
    }

    /// Whether this answer is the one that is waited for.
    pub(super) fn expects(&self, id: FetchId) -> bool {
        self.in_flight.is_some_and(|fetch| fetch.id == id)
    }

    /// The answer that was waited for was good. `newer`: it told something new.
    pub(super) fn succeeded(&mut self, now: Mono, newer: bool, rng: &mut Rng) {
        self.in_flight = None;
        if newer {
            self.hints.clear();
        }
        self.start(now);
        self.due = Some(now + rng.around(self.poll));
    }

    /// The answer that was waited for was not good.
    pub(super) fn failed(
        &mut self,
        now: Mono,
        ring: &[RelayId],
        why: &ReadError,
        rng: &mut Rng,
    ) -> Failed {
        let Some(fetch) = self.in_flight.take() else { return Failed::OthersLeft };
        if self.asked.insert(fetch.from) && *why == ReadError::NotFound {
            self.not_found += 1;
        }
        if ring.iter().any(|hsdir| !self.asked.contains(hsdir)) {
            self.due = Some(now + rng.around(NEXT_HSDIR));
            return Failed::OthersLeft;
        }
        let nowhere = self.not_found >= ring.len();
        self.start(now);
        self.due = Some(now + rng.around(RETRY.min(self.poll)));
        if nowhere { Failed::NowhereFound } else { Failed::Exhausted }
    }

    /// Whether the fetch in flight has taken too long.
    pub(super) fn timed_out(&self, now: Mono) -> bool {
        self.in_flight.is_some_and(|fetch| fetch.until <= now)
    }

    /// When there is something to do next.
    pub(super) fn deadline(&self) -> Option<Mono> {
        match self.in_flight {
            Some(fetch) => Some(fetch.until),
            None => self.due,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{address, at, relay};
    use super::*;

    struct Harness {
        cycle: FetchCycle,
        ring: Vec<RelayId>,
        next_id: u64,
        rng: Rng,
    }

    impl Harness {
        fn new(ring: u8) -> Harness {
            let mut cycle = FetchCycle::new(address(1), Duration::from_secs(300));
            cycle.start(at(0.0).mono);
            let ring = (1..=ring).map(relay).collect();
            Harness { cycle, ring, next_id: 0, rng: Rng::new(1) }
        }

        fn ask(&mut self, seconds: f64) -> Option<RelayId> {
            let now = at(seconds).mono;
            match self.cycle.advance(now, &self.ring, &mut self.next_id, &mut self.rng)? {
                Action::Fetch { from, .. } => Some(from),
                other => panic!("not a fetch: {other:?}"),
            }
        }

        fn fail(&mut self, seconds: f64, why: &ReadError) -> Failed {
            self.cycle.failed(at(seconds).mono, &self.ring, why, &mut self.rng)
        }
    }

    #[test]
    fn every_hsdir_is_asked_once_before_it_counts_as_nowhere() {
        let mut h = Harness::new(3);
        let mut asked = BTreeSet::new();
        for n in 0..3 {
            asked.insert(h.ask(f64::from(n)).unwrap());
            assert!(h.ask(f64::from(n)).is_none(), "one at a time");
            let outcome = h.fail(f64::from(n), &ReadError::NotFound);
            assert_eq!(outcome == Failed::NowhereFound, n == 2);
        }
        assert_eq!(asked.len(), 3);
        assert!(h.ask(4.0).is_none(), "a rest after a failed cycle");
        assert!(h.ask(60.0).is_some());
    }

    #[test]
    fn silence_is_not_the_same_as_nowhere_found() {
        let mut h = Harness::new(2);
        h.ask(0.0).unwrap();
        assert!(h.cycle.timed_out(at(30.0).mono));
        h.fail(30.0, &ReadError::Failed("timed out".into()));
        h.ask(31.0).unwrap();
        assert_eq!(h.fail(31.0, &ReadError::NotFound), Failed::Exhausted);
    }

    #[test]
    fn a_hint_is_followed_at_once_and_success_rests_until_the_next_poll() {
        let mut h = Harness::new(3);
        h.ask(0.0).unwrap();
        h.cycle.succeeded(at(0.1).mono, true, &mut h.rng);
        assert!(h.ask(1.0).is_none());
        h.cycle.hint(relay(9));
        h.cycle.hint(relay(8));
        assert_eq!(h.ask(1.0), Some(relay(9)));
        h.cycle.succeeded(at(1.1).mono, true, &mut h.rng);
        assert!(h.ask(1.2).is_none(), "hints of the same upload are spent");
        assert!(h.ask(1.1 + 360.0).is_some());
    }

    #[test]
    fn no_ring_asks_nobody() {
        assert_eq!(Harness::new(0).ask(1.0), None);
    }
}
