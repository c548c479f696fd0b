//! Digests that tell two tables or two views apart, equal on every node for equal content.
//!
//! They guard against nothing but chance: whoever may be heard at all is a member.

/// A digest in the making; the order of what goes in matters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digest(u64);

impl Digest {
    pub(super) fn new() -> Digest {
        Digest(0xcbf2_9ce4_8422_2325)
    }

    pub(super) fn word(self, word: u64) -> Digest {
        self.bytes(&word.to_be_bytes())
    }

    /// Its length goes in too, so that neighbours cannot run into each other.
    pub(super) fn text(self, text: &str) -> Digest {
        self.word(u64::try_from(text.len()).unwrap_or(u64::MAX)).bytes(text.as_bytes())
    }

    /// FNV-1a.
    pub(super) fn bytes(self, bytes: &[u8]) -> Digest {
        let step =
            |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        Digest(bytes.iter().fold(self.0, step))
    }

    pub(super) fn finish(self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 29)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_do_not_run_into_each_other() {
        let of = |a: &str, b: &str| Digest::new().text(a).text(b).finish();
        assert_ne!(of("ab", "c"), of("a", "bc"));
        assert_ne!(of("a", "b"), of("b", "a"));
        assert_eq!(of("a", "b"), of("a", "b"));
    }
}
