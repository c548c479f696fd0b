//! How many times something may happen: a bucket of tokens that fills again.

use std::time::Duration;

use super::Mono;

/// So many at once, and one more for each refill time.
#[derive(Clone, Debug)]
pub struct Bucket {
    size: u32,
    refill: Duration,
    tokens: u32,
    /// When the last token came back; counts from the first one taken.
    filled_at: Mono,
}

impl Bucket {
    /// A full one of `size` tokens.
    pub fn new(size: u32, refill: Duration) -> Bucket {
        Bucket { size, refill, tokens: size, filled_at: Mono::default() }
    }

    fn fill(&mut self, now: Mono) {
        while self.tokens < self.size && self.filled_at + self.refill <= now {
            self.tokens += 1;
            self.filled_at = self.filled_at + self.refill;
        }
    }

    /// Tokens at hand.
    pub fn tokens(&mut self, now: Mono) -> u32 {
        self.fill(now);
        self.tokens
    }

    /// Takes one; false when there is none.
    pub fn take(&mut self, now: Mono) -> bool {
        self.fill(now);
        if self.tokens == self.size {
            self.filled_at = now;
        }
        let taken = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        taken
    }

    /// When the next token comes back.
    pub fn next_token(&self) -> Option<Mono> {
        (self.tokens < self.size).then_some(self.filled_at + self.refill)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Mono {
        Mono(Duration::from_secs_f64(seconds))
    }

    #[test]
    fn a_burst_is_followed_by_the_refill_rhythm() {
        let mut bucket = Bucket::new(4, Duration::from_secs(60));
        let taken = (0..6).filter(|_| bucket.take(at(10.0))).count();
        assert_eq!(taken, 4);
        assert_eq!(bucket.next_token(), Some(at(70.0)));
        assert!(!bucket.take(at(69.9)));
        assert!(bucket.take(at(70.0)));
        assert!(!bucket.take(at(70.1)));
        assert_eq!(bucket.tokens(at(1000.0)), 4);
        assert_eq!(bucket.next_token(), None);
    }
}
