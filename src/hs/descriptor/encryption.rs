//! The two layers of encryption (rend-spec-v3, section HS-DESC-ENCRYPTION-KEYS).

use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use zeroize::Zeroizing;

use crate::hs::digest::{sha3_256, shake256};
use crate::ident::{BlindedId, Revision};

pub(super) const SALT_BYTES: usize = 16;
const MAC_BYTES: usize = 32;

/// Which of the two layers: each has its own constant in the key derivation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encryption {
    /// The layer that everybody who knows the address can remove.
    Superencrypted,
    /// The layer that authorised clients can remove; all clients when none are authorised.
    Encrypted,
}

/// From what the keys of a descriptor are derived.
pub(super) struct Secrets<'a> {
    pub(super) blinded: &'a BlindedId,
    pub(super) subcredential: &'a [u8; 32],
    pub(super) revision: Revision,
}

/// The keys do not fit, or the text was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WrongKey;

struct Keys {
    cipher: Ctr128BE<Aes256>,
    mac: Zeroizing<[u8; 32]>,
}

impl Secrets<'_> {
    /// Salt, ciphertext and MAC of `plaintext`. A salt must never serve two plaintexts.
    pub(super) fn encrypt(
        &self,
        layer: Encryption,
        salt: &[u8; SALT_BYTES],
        plaintext: &[u8],
    ) -> Vec<u8> {
        let mut keys = self.keys(layer, salt);
        let mut text = Vec::with_capacity(SALT_BYTES + plaintext.len() + MAC_BYTES);
        text.extend_from_slice(salt);
        text.extend_from_slice(plaintext);
        keys.cipher.apply_keystream(&mut text[SALT_BYTES..]);
        let mac = keys.mac_of(salt, &text[SALT_BYTES..]);
        text.extend_from_slice(&mac);
        text
    }

    /// The plaintext of what [`Secrets::encrypt`], or any Tor, made.
    pub(super) fn decrypt(&self, layer: Encryption, text: &[u8]) -> Result<Vec<u8>, WrongKey> {
        let (salt, rest) = text.split_first_chunk::<SALT_BYTES>().ok_or(WrongKey)?;
        let (ciphertext, mac) = rest.split_last_chunk::<MAC_BYTES>().ok_or(WrongKey)?;
        let mut keys = self.keys(layer, salt);
        if keys.mac_of(salt, ciphertext) != *mac {
            return Err(WrongKey);
        }
        let mut plaintext = ciphertext.to_vec();
        keys.cipher.apply_keystream(&mut plaintext);
        Ok(plaintext)
    }

    fn keys(&self, layer: Encryption, salt: &[u8; SALT_BYTES]) -> Keys {
        let constant: &[u8] = match layer {
            Encryption::Superencrypted => b"hsdir-superencrypted-data",
            Encryption::Encrypted => b"hsdir-encrypted-data",
        };
        let revision = self.revision.0.to_be_bytes();
        let parts = [&self.blinded.0[..], self.subcredential, &revision, salt, constant];
        let mut output = Zeroizing::new([0; 80]);
        shake256(&parts, &mut *output);
        let (key, rest) = output.split_at(32);
        let (iv, mac) = rest.split_at(16);
        let cipher = Ctr128BE::new_from_slices(key, iv).expect("a key of 32 bytes and an IV of 16");
        Keys { cipher, mac: Zeroizing::new(mac.try_into().expect("80 - 32 - 16 = 32")) }
    }
}

impl Keys {
    fn mac_of(&self, salt: &[u8; SALT_BYTES], ciphertext: &[u8]) -> [u8; MAC_BYTES] {
        let (mac_length, salt_length) = (32u64.to_be_bytes(), (SALT_BYTES as u64).to_be_bytes());
        sha3_256(&[&mac_length, &*self.mac, &salt_length, salt, ciphertext])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(revision: u64) -> Secrets<'static> {
        Secrets {
            blinded: &BlindedId([1; 32]),
            subcredential: &[2; 32],
            revision: Revision(revision),
        }
    }

    #[test]
    fn layers_come_back_only_with_the_same_secrets() {
        let text = secrets(7).encrypt(Encryption::Encrypted, &[3; 16], b"points");
        assert_eq!(secrets(7).decrypt(Encryption::Encrypted, &text), Ok(b"points".to_vec()));
        assert_eq!(secrets(8).decrypt(Encryption::Encrypted, &text), Err(WrongKey));
        assert_eq!(secrets(7).decrypt(Encryption::Superencrypted, &text), Err(WrongKey));
        for at in 0..text.len() {
            let mut changed = text.clone();
            changed[at] ^= 0x80;
            assert_eq!(secrets(7).decrypt(Encryption::Encrypted, &changed), Err(WrongKey));
            assert_eq!(secrets(7).decrypt(Encryption::Encrypted, &text[..at]), Err(WrongKey));
        }
    }
}
