//! When WireGuard is taken back after Tor had to carry the heartbeats.
//!
//! Knows probes of one peer's WireGuard path. Two answered in a row are enough, unless the path
//! failed again soon after it had come back: then it takes twice as many as the last time, so that
//! a bad path is not taken up every few seconds. With all probes 2 s apart and at most 15 s until
//! the first one, even the strictest is over in less than a minute.

use std::time::Duration;

use crate::time::Mono;

/// Between two probes while they are answered, and until the first one.
const PROBE: Duration = Duration::from_secs(2);

/// The longest time between two probes.
const PROBE_MAX: Duration = Duration::from_secs(15);

/// So many answers in a row are enough at first,
const ENOUGH: u32 = 2;

/// and in the worst case.
const ENOUGH_MAX: u32 = 16;

/// A path that fails so early after its return failed soon.
const SOON: Duration = Duration::from_secs(120);

/// Probes of WireGuard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comeback {
    enough: u32,
    answered: u32,
    wait: Duration,
    /// When the next probe goes out; `None`: WireGuard is in use.
    next: Option<Mono>,
    returned: Option<Mono>,
}

impl Comeback {
    pub(super) fn new() -> Comeback {
        Comeback { enough: ENOUGH, answered: 0, wait: PROBE, next: None, returned: None }
    }

    /// Tor carries the heartbeats from now on.
    pub(super) fn left(&mut self, now: Mono) {
        let soon = self.returned.is_some_and(|at| now - at < SOON);
        self.enough = if soon { (self.enough * 2).min(ENOUGH_MAX) } else { ENOUGH };
        self.answered = 0;
        self.wait = PROBE;
        self.next = Some(now + PROBE);
    }

    /// WireGuard carries them from now on.
    pub(super) fn returned(&mut self, now: Mono) {
        self.next = None;
        self.returned = Some(now);
    }

    /// A probe was sent.
    pub(super) fn probed(&mut self, now: Mono) {
        self.next = Some(now + self.wait);
    }

    /// A probe was answered: whether that is enough.
    pub(super) fn answered(&mut self, now: Mono) -> bool {
        let Some(next) = self.next else { return false };
        self.answered = self.answered.saturating_add(1);
        self.wait = PROBE;
        self.next = Some(next.min(now + PROBE));
        self.answered >= self.enough
    }

    /// A probe came to nothing.
    pub(super) fn failed(&mut self) {
        self.answered = 0;
        self.wait = (self.wait * 2).min(PROBE_MAX);
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Mono {
        Mono(Duration::from_secs(s))
    }

    /// How many answers in a row it took.
    fn answers(comeback: &mut Comeback, now: Mono) -> u32 {
        let mut answers = 1;
        while !comeback.answered(now) {
            answers += 1;
        }
        answers
    }

    #[test]
    fn probes_that_fail_become_rare() {
        let mut comeback = Comeback::new();
        comeback.left(at(0));
        assert_eq!(comeback.deadline(), Some(at(2)));
        let mut waits = Vec::new();
        for _ in 0..5 {
            comeback.probed(at(0));
            comeback.failed();
            waits.push(comeback.wait.as_secs());
        }
        assert_eq!(waits, [4, 8, 15, 15, 15]);
    }

    #[test]
    fn whoever_fails_soon_must_prove_more() {
        let mut comeback = Comeback::new();
        let mut needed = Vec::new();
        for round in 0..6 {
            comeback.left(at(round * 100));
            needed.push(answers(&mut comeback, at(round * 100)));
            comeback.returned(at(round * 100 + 50));
        }
        assert_eq!(needed, [2, 4, 8, 16, 16, 16]);
        comeback.left(at(5000));
        assert_eq!(answers(&mut comeback, at(5000)), 2);
    }

    #[test]
    fn a_failed_probe_begins_the_count_anew() {
        let mut comeback = Comeback::new();
        comeback.left(at(0));
        assert!(!comeback.answered(at(2)));
        comeback.failed();
        assert!(!comeback.answered(at(4)));
        assert!(comeback.answered(at(6)));
    }
}
