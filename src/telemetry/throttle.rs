//! Holds back repetitions: the same event about the same subject at most once in a while, and
//! never a different one.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::time::Mono;

/// The same event about the same subject is logged at most this often.
pub const REPEAT_INTERVAL: Duration = Duration::from_secs(600);

/// The most pairs that are remembered; the oldest is forgotten for a new one.
const PAIRS_MAX: usize = 1024;

/// Remembers what was said when.
#[derive(Clone, Debug)]
pub struct Throttle {
    interval: Duration,
    said: BTreeMap<(String, String), Said>,
}

#[derive(Clone, Copy, Debug)]
struct Said {
    at: Mono,
    held_back: u64,
}

impl Default for Throttle {
    fn default() -> Throttle {
        Throttle::new(REPEAT_INTERVAL)
    }
}

impl Throttle {
    /// Nothing was said yet.
    pub fn new(interval: Duration) -> Throttle {
        Throttle { interval, said: BTreeMap::new() }
    }

    /// Whether `event` about `subject` may be said now: `Some` with the number of times that it
    /// was held back since the last time, or `None`.
    pub fn admit(&mut self, event: &str, subject: &str, now: Mono) -> Option<u64> {
        let pair = (event.to_owned(), subject.to_owned());
        let held_back = match self.said.get_mut(&pair) {
            Some(said) if now - said.at < self.interval => {
                said.held_back = said.held_back.saturating_add(1);
                return None;
            }
            Some(said) => said.held_back,
            None => 0,
        };
        if self.said.len() >= PAIRS_MAX && !self.said.contains_key(&pair) {
            self.forget_oldest();
        }
        self.said.insert(pair, Said { at: now, held_back: 0 });
        Some(held_back)
    }

    /// Lets `event` about `subject`, or about `subject` and further words, be said at once the next
    /// time: for a state that ended, whose return would be news.
    pub fn reset(&mut self, event: &str, subject: &str) {
        let about = |of: &str| {
            of.strip_prefix(subject).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        self.said.retain(|(said, of), _| said != event || !about(of));
    }

    fn forget_oldest(&mut self) {
        let oldest = self.said.iter().min_by_key(|(_, said)| said.at);
        if let Some(pair) = oldest.map(|(pair, _)| pair.clone()) {
            self.said.remove(&pair);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    #[test]
    fn a_repetition_waits_and_is_counted() {
        let mut throttle = Throttle::default();
        assert_eq!(throttle.admit("tor_down", "", at(0)), Some(0));
        assert_eq!(throttle.admit("tor_down", "", at(1)), None);
        assert_eq!(throttle.admit("tor_down", "", at(599)), None);
        assert_eq!(throttle.admit("tor_down", "", at(600)), Some(2));
        assert_eq!(throttle.admit("tor_down", "", at(601)), None);
    }

    #[test]
    fn a_different_event_or_subject_is_never_held_back() {
        let mut throttle = Throttle::default();
        assert_eq!(throttle.admit("gone", "a", at(0)), Some(0));
        assert_eq!(throttle.admit("gone", "b", at(0)), Some(0));
        assert_eq!(throttle.admit("back", "a", at(0)), Some(0));
    }

    #[test]
    fn what_ended_may_be_said_again_at_once() {
        let mut throttle = Throttle::default();
        let pairs = [("gone", "a"), ("gone", "a why"), ("gone", "ab"), ("lost", "a")];
        let admitted = |throttle: &mut Throttle, second| {
            pairs.map(|(event, subject)| throttle.admit(event, subject, at(second)).is_some())
        };
        assert_eq!(admitted(&mut throttle, 0), [true; 4]);
        throttle.reset("gone", "a");
        assert_eq!(admitted(&mut throttle, 1), [true, true, false, false]);
    }

    #[test]
    fn it_forgets_the_oldest_rather_than_growing_or_holding_back() {
        let mut throttle = Throttle::default();
        for n in 0..PAIRS_MAX as u64 + 10 {
            assert_eq!(throttle.admit("gone", &n.to_string(), at(n)), Some(0));
        }
        assert_eq!(throttle.said.len(), PAIRS_MAX);
        assert_eq!(throttle.admit("gone", "0", at(PAIRS_MAX as u64 + 10)), Some(0));
    }
}
