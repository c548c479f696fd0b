//! The hash functions of onion services over parts that are joined without copying.

use sha3::digest::{ExtendableOutput, Update, XofReader};
use sha3::{Digest, Sha3_256, Shake256};

/// SHA3-256 of all parts in a row: H(x) of rend-spec-v3.
pub(super) fn sha3_256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha3_256::new();
    parts.iter().for_each(|part| Update::update(&mut hash, part));
    hash.finalize().into()
}

/// Fills `output` with SHAKE-256 of all parts in a row: KDF(x) of rend-spec-v3.
pub(super) fn shake256(parts: &[&[u8]], output: &mut [u8]) {
    let mut hash = Shake256::default();
    parts.iter().for_each(|part| Update::update(&mut hash, part));
    hash.finalize_xof().read(output);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joining_parts_does_not_change_the_hash() {
        assert_eq!(sha3_256(&[b"ab", b"", b"c"]), sha3_256(&[b"abc"]));
        let expected = "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532";
        assert_eq!(crate::hs::curve::tests::hex(expected), sha3_256(&[b"abc"]));
    }
}
