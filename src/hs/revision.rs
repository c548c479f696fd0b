//! Revision counters: the same at the same second on every node and in a plain tor.
//!
//! C tor counts the seconds since the shared random protocol run of the period began and encrypts
//! that number in a way that keeps order, under a key from the blinded secret (rend-spec-v3,
//! appendix F; `crypto_ope.c`). So any number of publishers continue each other's counters.

use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use zeroize::Zeroizing;

use super::digest::sha3_256;
use super::keys::BlindedKey;
use crate::ident::Revision;
use crate::time::{TimePeriod, Wall};

/// The largest number that C tor encrypts (OPE_INPUT_MAX): three days in seconds.
const INPUT_MAX: u64 = 1 << 18;

/// Key stream bytes that are made at once.
const CHUNK_BYTES: usize = 4096;

/// The revision counters of one service in one time period.
pub struct RevisionScale {
    key: Zeroizing<[u8; 32]>,
    srv_start: Wall,
}

impl RevisionScale {
    /// The scale of `blinded`, counting from the shared random run of `period`.
    pub fn new(blinded: &BlindedKey, period: &TimePeriod) -> RevisionScale {
        let secret = blinded.secret_bytes();
        let key = Zeroizing::new(sha3_256(&[b"rev-counter-generation\0", &*secret]));
        RevisionScale { key, srv_start: period.srv_start() }
    }

    /// The counter of a descriptor signed at `second`; strictly increasing from the start of the
    /// shared random run on, and constant before it.
    ///
    /// Costs up to 0.3 ms: linear in the seconds since the start.
    pub fn at(&self, second: Wall) -> Revision {
        let since = second.0.saturating_sub(self.srv_start.0).saturating_add(1);
        let input = since.min(INPUT_MAX);
        let (_, encrypted) = self.walk(input, u64::MAX);
        Revision(encrypted.saturating_add(since - input))
    }

    /// The last second whose counter is not above `revision`; `None` when that lies before the
    /// start of the shared random run.
    pub fn second_of(&self, revision: Revision) -> Option<Wall> {
        let (input, encrypted) = self.walk(INPUT_MAX, revision.0);
        let beyond = if input == INPUT_MAX { revision.0.saturating_sub(encrypted) } else { 0 };
        let since = input.checked_sub(1)?.saturating_add(beyond);
        Some(Wall(self.srv_start.0.saturating_add(since)))
    }

    /// The last number that is not above `input_max` and whose encryption is not above
    /// `encrypted_max`, with its encryption; 0 when there is none.
    ///
    /// The encryption of n is n plus the sum of n little-endian 16-bit words of AES-256-CTR.
    fn walk(&self, input_max: u64, encrypted_max: u64) -> (u64, u64) {
        let mut cipher = Ctr128BE::<Aes256>::new((&*self.key).into(), &[0; 16].into());
        let (mut input, mut encrypted) = (0, 0);
        loop {
            let mut stream = [0; CHUNK_BYTES];
            cipher.apply_keystream(&mut stream);
            let words = stream.as_chunks::<2>().0;
            let steps = words.iter().map(|word| u64::from(u16::from_le_bytes(*word)) + 1);
            let (all, sum) = (words.len() as u64, steps.clone().sum::<u64>());
            if input + all <= input_max && encrypted + sum <= encrypted_max {
                (input, encrypted) = (input + all, encrypted + sum);
                continue;
            }
            for step in steps {
                if input == input_max || encrypted + step > encrypted_max {
                    break;
                }
                (input, encrypted) = (input + 1, encrypted + step);
            }
            return (input, encrypted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hs::curve::tests::hex;
    use crate::hs::keys::MasterKey;
    use proptest::prelude::*;
    use tor_hscrypto::ope::AesOpeKey;

    const PERIOD: TimePeriod = TimePeriod { number: 20_000, length_min: 1440, offset_s: 43_200 };

    fn blinded() -> BlindedKey {
        let seed = [&b"== ed25519v1-secret: type0 ==\0\0\0"[..], &[9; 64]].concat();
        MasterKey::parse(&seed).unwrap().blind(&PERIOD)
    }

    fn scale() -> RevisionScale {
        RevisionScale::new(&blinded(), &PERIOD)
    }

    fn second(since: u64) -> Wall {
        Wall(PERIOD.srv_start().0 + since)
    }

    /// tor, `test_crypto_ope.c`.
    #[test]
    fn the_published_vectors_hold() {
        let key = hex("19e05891d55232c08c2cad91d612fdb9cbd6691949a0742434a76c80bc6992fe");
        let scale = RevisionScale { key: Zeroizing::new(key), srv_start: Wall(1) };
        let vectors = [
            (121_132, 3_971_694_514),
            (82_283, 2_695_743_564),
            (7_110, 234_966_492),
            (57_720, 1_897_369_989),
            (123_569, 4_051_780_471),
        ];
        for (input, encrypted) in vectors {
            assert_eq!(scale.at(Wall(input)), Revision(encrypted));
            assert_eq!(scale.second_of(Revision(encrypted)), Some(Wall(input)));
        }
    }

    #[test]
    fn counters_are_those_of_the_tor_crates_with_c_tor_s_key() {
        let secret = blinded().secret_bytes();
        let theirs = AesOpeKey::from_secret(&[&[0][..], &*secret].concat());
        for since in [0, 1, 2, 43_200, 86_399, 172_800] {
            let expected = theirs.encrypt(u32::try_from(since).unwrap().into());
            assert_eq!(scale().at(second(since)), Revision(expected));
        }
    }

    #[test]
    fn beyond_the_limit_each_second_adds_one() {
        let limit = scale().at(second(INPUT_MAX - 1));
        assert_eq!(scale().at(second(INPUT_MAX)), Revision(limit.0 + 1));
        assert_eq!(scale().at(second(INPUT_MAX + 999)), Revision(limit.0 + 1_000));
        assert_eq!(scale().second_of(Revision(limit.0 + 1_000)), Some(second(INPUT_MAX + 999)));
        assert_eq!(scale().second_of(Revision(u64::MAX)).map(|s| s > second(1)), Some(true));
    }

    #[test]
    fn before_the_start_there_is_no_second() {
        let first = scale().at(second(0));
        assert_eq!(scale().at(Wall(0)), first);
        assert_eq!(scale().second_of(first), Some(second(0)));
        assert_eq!(scale().second_of(Revision(first.0 - 1)), None);
        assert_eq!(scale().second_of(Revision(0)), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn order_is_kept_and_seconds_come_back(since in 0..INPUT_MAX + 10) {
            let scale = scale();
            let (here, next) = (scale.at(second(since)), scale.at(second(since + 1)));
            prop_assert!(here < next);
            prop_assert_eq!(scale.second_of(here), Some(second(since)));
            prop_assert_eq!(scale.second_of(Revision(next.0 - 1)), Some(second(since)));
        }
    }
}
