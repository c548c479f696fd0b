//! The hash behind names and derived keys, with a context that keeps the uses apart.

use sha3::{Digest as _, Sha3_256};
use zeroize::Zeroizing;

/// SHA3-256 of `context`, a zero byte and `content`. A context has no zero byte.
pub fn hash(context: &str, content: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut hash = Sha3_256::new();
    hash.update(context.as_bytes());
    hash.update([0]);
    hash.update(content);
    Zeroizing::new(hash.finalize().into())
}

/// The first bytes of [`hash`]: at most 32.
pub(super) fn short_hash<const N: usize>(context: &str, content: &[u8]) -> [u8; N] {
    let whole = hash(context, content);
    *whole.first_chunk().expect("nothing asks for more than 32 bytes")
}
