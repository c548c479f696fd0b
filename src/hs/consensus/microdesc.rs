//! Microdescriptors: only their digests and the Ed25519 identities in them.

use data_encoding::BASE64_NOPAD;
use memchr::memmem;
use sha2::{Digest, Sha256};

/// How a microdescriptor begins, after the end of the one before.
const NEXT: &[u8] = b"\nonion-key\n";
const IDENTITY: &[u8] = b"\nid ed25519 ";
const IDENTITY_CHARS: usize = 43;

/// Calls `found(digest, identity)` for each microdescriptor of the text that has an identity.
pub(super) fn for_each_identity(text: &[u8], mut found: impl FnMut([u8; 32], [u8; 32])) {
    let identity = memmem::Finder::new(IDENTITY);
    let starts = memmem::find_iter(text, NEXT).map(|newline| newline + 1);
    let mut begin = 0;
    for end in starts.chain([text.len()]) {
        let (document, at) = (&text[begin..end], begin);
        begin = end;
        let Some(key) = identity.find(document).and_then(|line| read_identity(document, line))
        else {
            continue;
        };
        let mut hash = Sha256::new_with_prefix(document);
        if at + document.len() == text.len() && !document.ends_with(b"\n") {
            hash.update(b"\n");
        }
        found(hash.finalize().into(), key);
    }
}

/// The key in the `id ed25519` line that begins after `newline`.
fn read_identity(document: &[u8], newline: usize) -> Option<[u8; 32]> {
    let rest = document.get(newline + IDENTITY.len()..)?;
    let text = rest.get(..IDENTITY_CHARS)?;
    let mut key = [0; 32];
    (BASE64_NOPAD.decode_mut(text, &mut key) == Ok(32)).then_some(key)
}
