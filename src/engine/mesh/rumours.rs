//! What others say of ourselves that we never said: how often it is contradicted, and when it means
//! that our keys are on another machine too.
//!
//! A contradiction costs everybody: it is written down, signed and passed on. Rumours that do not
//! end are therefore contradicted ever more rarely. None gets lost by that: whoever holds it says it
//! again as long as its table differs from ours.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::ident::Incarnation;
use crate::time::Mono;

/// Between two contradictions, doubled from the first to the second while rumours go on.
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(60);

/// So long without a contradiction, and the next rumour is the first again.
const QUIET: Duration = Duration::from_secs(120);

/// Our earlier life may have said one thing after we lost our memory, and another before. A third
/// can only come from somebody who has our keys now.
const STRANGE_WORDS: u32 = 3;

/// How long somebody who has our keys is remembered.
const TWIN_MEMORY: Duration = Duration::from_secs(600);

/// So many of our own incarnations are remembered.
const MADE_MAX: usize = 64;

/// Rumours about this node.
#[derive(Debug, Default)]
pub(super) struct Rumours {
    contradicted: Option<Mono>,
    wait: Duration,
    /// In which we have spoken since we began.
    made: BTreeSet<Incarnation>,
    newest: Incarnation,
    strange: u32,
    twin: Option<Mono>,
}

impl Rumours {
    /// Whether a rumour may be contradicted now; then that is remembered.
    pub(super) fn may_contradict(&mut self, now: Mono) -> bool {
        let since = self.contradicted.map(|at| now - at);
        if since.is_some_and(|since| since < self.wait) {
            return false;
        }
        let first = since.is_none_or(|since| since >= QUIET);
        self.wait = if first { WAIT_MIN } else { WAIT_MAX.min(self.wait * 2) };
        self.contradicted = Some(now);
        true
    }

    /// We have announced ourselves in this incarnation.
    pub(super) fn announced(&mut self, incarnation: Incarnation) {
        self.made.insert(incarnation);
        if self.made.len() > MADE_MAX {
            self.made.pop_first();
        }
    }

    /// Whether we have spoken in this incarnation, or may have in an earlier life.
    pub(super) fn made(&self, incarnation: Incarnation) -> bool {
        let before = self.made.first().is_none_or(|first| incarnation < *first);
        before || self.made.contains(&incarnation)
    }

    /// An announcement with our signature came that we did not make in this life. Whether it has
    /// just become clear that somebody else has our keys.
    pub(super) fn strange_word(&mut self, incarnation: Incarnation, now: Mono) -> bool {
        if incarnation <= self.newest {
            return false;
        }
        self.newest = incarnation;
        self.strange = self.strange.saturating_add(1);
        let news = self.strange >= STRANGE_WORDS && self.twin(now).is_none();
        if self.strange >= STRANGE_WORDS {
            self.twin = Some(now);
        }
        news
    }

    /// How long ago somebody else who has our keys spoke; `None`: nobody does, as far as is known.
    pub(super) fn twin(&self, now: Mono) -> Option<Duration> {
        self.twin.map(|at| now - at).filter(|ago| *ago < TWIN_MEMORY)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::at;
    use super::*;

    fn contradictions(rumours: &mut Rumours, seconds: std::ops::Range<u32>) -> usize {
        seconds.filter(|s| rumours.may_contradict(at(f64::from(*s)).mono)).count()
    }

    #[test]
    fn a_rumour_is_contradicted_at_once_and_endless_ones_ever_more_rarely() {
        let mut rumours = Rumours::default();
        assert!(rumours.may_contradict(at(1.0).mono));
        assert!(!rumours.may_contradict(at(1.9).mono));
        assert!(contradictions(&mut rumours, 2..62) <= 6);
        assert!(contradictions(&mut rumours, 62..662) <= 10);
        assert_eq!(contradictions(&mut rumours, 800..803), 2, "it was quiet: as the first again");
    }

    #[test]
    fn what_an_earlier_life_may_have_said_is_no_strange_word() {
        let mut rumours = Rumours::default();
        assert!(rumours.made(Incarnation(7)), "we have not begun");
        rumours.announced(Incarnation(5));
        rumours.announced(Incarnation(9));
        let made = [4, 5, 6, 9, 10].map(|n| rumours.made(Incarnation(n)));
        assert_eq!(made, [true, true, false, true, false]);
        (10..1000).for_each(|n| rumours.announced(Incarnation(n)));
        assert_eq!(rumours.made.len(), MADE_MAX);
    }

    #[test]
    fn three_words_that_we_never_said_mean_a_twin_and_that_is_told_once() {
        let mut rumours = Rumours::default();
        let word = |rumours: &mut Rumours, n, s| rumours.strange_word(Incarnation(n), at(s).mono);
        assert!(!word(&mut rumours, 5, 1.0));
        assert!(!word(&mut rumours, 5, 2.0), "the same, passed on");
        assert!(!word(&mut rumours, 7, 3.0));
        assert_eq!(rumours.twin(at(3.0).mono), None);
        assert!(word(&mut rumours, 9, 4.0));
        assert!(!word(&mut rumours, 11, 5.0));
        assert_eq!(rumours.twin(at(65.0).mono), Some(Duration::from_secs(60)));
        assert_eq!(rumours.twin(at(605.0).mono), None);
        assert!(word(&mut rumours, 13, 606.0), "it is still there");
    }
}
