//! A small seeded generator (SplitMix64), so that equal seeds give equal runs.
//!
//! It spreads timers. Nothing secret may come from it.

use std::time::Duration;

/// The generator; its whole state is one number.
#[derive(Clone, Debug)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from zero up to and without `bound`; zero when `bound` is zero.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        match u64::try_from(bound) {
            Ok(bound) if bound > 0 => usize::try_from(self.next() % bound).unwrap_or(0),
            _ => 0,
        }
    }

    /// A duration between the two, in whole milliseconds.
    pub(super) fn between(&mut self, min: Duration, max: Duration) -> Duration {
        let span_ms = max.saturating_sub(min).as_millis();
        let span_ms = u64::try_from(span_ms).unwrap_or(u64::MAX - 1);
        min + Duration::from_millis(self.next() % (span_ms + 1))
    }

    /// `duration` plus or minus a fifth of it.
    pub(super) fn around(&mut self, duration: Duration) -> Duration {
        self.between(duration * 4 / 5, duration * 6 / 5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_runs_and_bounds_hold() {
        let (mut a, mut b) = (Rng::new(7), Rng::new(7));
        let mut seen = [false; 3];
        for _ in 0..200 {
            let min = Duration::from_secs(1);
            let max = Duration::from_secs(2);
            let drawn = a.between(min, max);
            assert_eq!(drawn, b.between(min, max));
            assert!((min..=max).contains(&drawn));
            seen[a.below(3)] = true;
            b.below(3);
        }
        assert_eq!(seen, [true; 3]);
        assert_eq!(a.below(0), 0);
    }
}
