//! The master key of an onion service and the keys blinded from it for each time period.
//!
//! Knows the secret arithmetic and which bytes go into which hash. Does not know where a key file
//! lies: [`MasterKey::parse`] takes its content. Secrets are wiped when dropped and never printed.

mod blinding;
mod file;

pub(super) use blinding::blind_point;
pub use blinding::{BlindedKey, NotAnIdentity, blinded_id, subcredential};
pub use file::KeyError;

use std::fmt;

use curve25519_dalek::scalar::{Scalar, clamp_integer};
use ed25519_dalek::VerifyingKey;
use ed25519_dalek::hazmat::ExpandedSecretKey;
use rand::CryptoRng;
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use crate::ident::HsId;

/// The identity key pair of an onion service (KS_hs_id), which its address encodes.
///
/// Holds the expanded form: 32 bytes of scalar exactly as they were read and the 32 bytes that
/// prefix every nonce. Neither is clamped or derived again.
pub struct MasterKey {
    bytes: Zeroizing<[u8; 64]>,
    secret: ExpandedSecretKey,
    id: HsId,
}

impl MasterKey {
    /// A fresh key from `rng`.
    pub fn generate(rng: &mut impl CryptoRng) -> MasterKey {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        MasterKey::from_seed(&seed)
    }

    /// The key that an RFC 8032 seed stands for.
    pub fn from_seed(seed: &[u8; 32]) -> MasterKey {
        let mut bytes: Zeroizing<[u8; 64]> = Zeroizing::new(Sha512::digest(seed).into());
        let scalar = Zeroizing::new(clamp_integer(half(&bytes, 0)));
        bytes[..32].copy_from_slice(&*scalar);
        MasterKey::from_expanded(bytes).expect("a clamped scalar is not zero")
    }

    /// The key with this scalar and this nonce prefix; `None` when the scalar is zero.
    pub fn from_expanded(bytes: Zeroizing<[u8; 64]>) -> Option<MasterKey> {
        let scalar = Scalar::from_bytes_mod_order(half(&bytes, 0));
        if scalar == Scalar::ZERO {
            return None;
        }
        let secret = ExpandedSecretKey { scalar, hash_prefix: half(&bytes, 1) };
        let id = HsId(VerifyingKey::from(&secret).to_bytes());
        Some(MasterKey { bytes, secret, id })
    }

    /// The secret: 32 bytes of scalar, 32 bytes of nonce prefix.
    pub fn expanded(&self) -> &[u8; 64] {
        &self.bytes
    }

    /// The public half: what the address encodes.
    pub fn id(&self) -> HsId {
        self.id
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

fn half(bytes: &[u8; 64], which: usize) -> [u8; 32] {
    let (halves, _) = bytes.as_chunks::<32>();
    halves[which]
}
