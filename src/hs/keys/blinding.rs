//! Key blinding per time period (rend-spec-v3, appendix A.2) and subcredentials.

use std::fmt;

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use ed25519_dalek::VerifyingKey;
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use super::{HsId, MasterKey};
use crate::hs::curve;
use crate::hs::digest::{sha3_256, shake256};
use crate::ident::BlindedId;
use crate::time::TimePeriod;

/// The base point as rend-spec-v3 writes it into the hash: with the digits, as text.
const BASE_POINT: &[u8] = b"(1511222134953540077250115140958853151145401269304185720604611328\
    3949847762202, 46316835694926478169428394003475163141307993866256225615783033603165251855960)";

/// The key is not the identity key of any onion service: not a curve point of prime order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not an Ed25519 identity key: check the address")]
pub struct NotAnIdentity(pub HsId);

/// The master key blinded for one time period (KS_hs_blind_id).
pub struct BlindedKey {
    secret: ExpandedSecretKey,
    public: VerifyingKey,
    id: HsId,
    period: TimePeriod,
}

impl MasterKey {
    /// The key of `period`, as C tor derives it: the scalar times the blinding factor, and the
    /// nonce prefix hashed anew, for a reused prefix gives the master key away.
    pub fn blind(&self, period: &TimePeriod) -> BlindedKey {
        let prefix: Zeroizing<[u8; 64]> = Zeroizing::new(
            Sha512::new()
                .chain_update(b"Derive temporary signing key hash input")
                .chain_update(self.secret.hash_prefix)
                .finalize()
                .into(),
        );
        let secret = ExpandedSecretKey {
            scalar: self.secret.scalar * factor(&self.id, period),
            hash_prefix: super::half(&prefix, 0),
        };
        let public = VerifyingKey::from(&secret);
        BlindedKey { secret, public, id: self.id, period: *period }
    }
}

impl BlindedKey {
    /// The public half: what names the descriptor on the hash ring.
    pub fn id(&self) -> BlindedId {
        BlindedId(self.public.to_bytes())
    }

    /// The service that it belongs to.
    pub fn service(&self) -> HsId {
        self.id
    }

    /// The time period that it belongs to.
    pub fn period(&self) -> TimePeriod {
        self.period
    }

    /// The subcredential of the service in this period.
    pub fn subcredential(&self) -> [u8; 32] {
        subcredential(&self.id, &self.id())
    }

    /// An Ed25519 signature under the blinded key.
    pub(in crate::hs) fn sign(&self, message: &[u8]) -> [u8; 64] {
        raw_sign::<Sha512>(&self.secret, message, &self.public).to_bytes()
    }

    /// The secret as C tor keeps it: reduced scalar and nonce prefix.
    pub(in crate::hs) fn secret_bytes(&self) -> Zeroizing<[u8; 64]> {
        let mut bytes = Zeroizing::new([0; 64]);
        bytes[..32].copy_from_slice(self.secret.scalar.as_bytes());
        bytes[32..].copy_from_slice(&self.secret.hash_prefix);
        bytes
    }

    /// Fills `output` with bytes that only holders of this key know, the same for all of them.
    ///
    /// `purpose` keeps uses apart; `parts` are joined as they are, so that callers must make them
    /// unambiguous.
    pub(in crate::hs) fn derive(&self, purpose: &[u8], parts: &[&[u8]], output: &mut [u8]) {
        let secret = self.secret_bytes();
        let length = (purpose.len() as u64).to_be_bytes();
        let head: [&[u8]; 4] = [b"rustbalance descriptor v1", &length, purpose, &*secret];
        shake256(&[&head[..], parts].concat(), output);
    }
}

impl fmt::Debug for BlindedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlindedKey({} in period {})", self.id(), self.period)
    }
}

/// The public key of `id` in `period`, without any secret.
pub fn blinded_id(id: &HsId, period: &TimePeriod) -> Result<BlindedId, NotAnIdentity> {
    let point = curve::identity_point(&id.0).ok_or(NotAnIdentity(*id))?;
    Ok(blind_point(id, &point, period))
}

/// The same for a key whose point is at hand: checking it costs more than blinding it.
pub(in crate::hs) fn blind_point(
    id: &HsId,
    point: &EdwardsPoint,
    period: &TimePeriod,
) -> BlindedId {
    BlindedId((factor(id, period) * point).compress().to_bytes())
}

/// What clients who know the address, and nobody else, can compute (section SUBCRED).
pub fn subcredential(id: &HsId, blinded: &BlindedId) -> [u8; 32] {
    let credential = sha3_256(&[b"credential", &id.0]);
    sha3_256(&[b"subcredential", &credential, &blinded.0])
}

/// The blinding factor, clamped.
fn factor(id: &HsId, period: &TimePeriod) -> Scalar {
    Scalar::from_bytes_mod_order(clamp_integer(parameter(id, period)))
}

/// The hash from which the blinding factor comes; no secret of the service's own goes in.
fn parameter(id: &HsId, period: &TimePeriod) -> [u8; 32] {
    sha3_256(&[
        b"Derive temporary signing key\0",
        &id.0,
        BASE_POINT,
        b"key-blind",
        &period.number.to_be_bytes(),
        &period.length_min.to_be_bytes(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hs::curve::tests::hex;
    use ed25519_dalek::{Signature, Verifier};
    use tor_llcrypto::pk::ed25519::{ExpandedKeypair, PublicKey};
    use tor_llcrypto::pk::keymanip;

    fn period(number: u64) -> TimePeriod {
        TimePeriod { number, length_min: 1440, offset_s: 43_200 }
    }

    fn key(i: u8) -> MasterKey {
        MasterKey::from_seed(&[i; 32])
    }

    /// tor, `test_hs_common.c`.
    #[test]
    fn the_published_vector_holds() {
        let id = HsId(hex("833990B085C1A688C1D4C8B1F6B56AFAF5A2ECA674449E1D704F83765CCB7BC6"));
        let param = "379E50DB31FEE6775ABD0AF6FB7C371E060308F4F847DB09FE4CFE13AF602287";
        let blinded = "3A50BF210E8F9EE955AE0014F7A6917FB65EBF098A86305ABB508D1A7291B6D5";
        let credential = "635D55907816E8D76398A675A50B1C2F3E36B42A5CA77BA3A0441285161AE07D";
        assert_eq!(parameter(&id, &period(1234)), hex::<32>(param));
        let found = blinded_id(&id, &period(1234)).unwrap();
        assert_eq!(found.0, hex::<32>(blinded));
        assert_eq!(subcredential(&id, &found), hex::<32>(credential));
    }

    #[test]
    fn secret_scalar_prefix_and_signature_are_those_of_the_tor_crates() {
        for i in 0..8 {
            let (key, period) = (key(i), period(20_000 + u64::from(i)));
            let theirs = ExpandedKeypair::from_secret_key_bytes(*key.bytes).unwrap();
            let theirs = keymanip::blind_keypair(&theirs, parameter(&key.id(), &period)).unwrap();
            let ours = key.blind(&period);
            assert_eq!(*ours.secret_bytes(), theirs.to_secret_key_bytes());
            assert_eq!(ours.id().0, theirs.public().to_bytes());
            assert_eq!(ours.sign(b"message"), theirs.sign(b"message").to_bytes());
            let public = PublicKey::from_bytes(&key.id().0).unwrap();
            let public = keymanip::blind_pubkey(&public, parameter(&key.id(), &period)).unwrap();
            assert_eq!(ours.id().0, public.to_bytes());
            assert_eq!(blinded_id(&key.id(), &period), Ok(ours.id()));
            assert_eq!(ours.subcredential(), subcredential(&key.id(), &ours.id()));
        }
    }

    #[test]
    fn the_blinded_nonce_prefix_differs_from_the_master_s() {
        let master = key(1);
        let blinded = master.blind(&period(1));
        assert_ne!(blinded.secret.hash_prefix, master.secret.hash_prefix);
        assert_ne!(blinded.secret.hash_prefix, [0; 32]);
        let signature = Signature::from_bytes(&blinded.sign(b"x"));
        blinded.public.verify(b"x", &signature).unwrap();
    }

    #[test]
    fn derived_bytes_depend_on_key_period_purpose_and_parts() {
        let derive = |key: &MasterKey, number, purpose: &[u8], part: &[u8]| {
            let mut out = [0; 32];
            key.blind(&period(number)).derive(purpose, &[part], &mut out);
            out
        };
        let one = derive(&key(1), 1, b"a", b"b");
        assert_eq!(one, derive(&key(1), 1, b"a", b"b"));
        assert_ne!(one, derive(&key(2), 1, b"a", b"b"));
        assert_ne!(one, derive(&key(1), 2, b"a", b"b"));
        assert_ne!(one, derive(&key(1), 1, b"ab", b""));
        assert_ne!(one, derive(&key(1), 1, b"a", b"c"));
    }

    #[test]
    fn what_is_no_identity_key_is_not_blinded() {
        assert_eq!(blinded_id(&HsId([0; 32]), &period(1)), Err(NotAnIdentity(HsId([0; 32]))));
    }

    #[test]
    fn debug_shows_only_public_values() {
        let key = key(3).blind(&period(9));
        assert_eq!(format!("{key:?}"), format!("BlindedKey({} in period 9)", key.id()));
    }
}
