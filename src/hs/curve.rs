//! Points of the curve: which 32 bytes are usable as a key, and Tor's conversion between forms.

mod field;

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::traits::IsIdentity;

/// The point of an Ed25519 identity key: on the curve, of prime order and not the identity.
///
/// Anything else would let one service have several addresses (rend-spec-v3, section
/// SUBCRED and the note on torsion in section ONIONADDRESS).
pub(super) fn identity_point(key: &[u8; 32]) -> Option<EdwardsPoint> {
    let point = CompressedEdwardsY(*key).decompress()?;
    (point.is_torsion_free() && !point.is_identity()).then_some(point)
}

/// Whether an Ed25519 key is a point of the curve that is not of small order.
pub(super) fn is_usable_ed25519(key: &[u8; 32]) -> bool {
    CompressedEdwardsY(*key).decompress().is_some_and(|point| !point.is_small_order())
}

/// The Ed25519 form of a Curve25519 key with sign bit 0, as in `enc-key-cert` (proposal 228).
///
/// `None` when the key lies on the twist or has a small order, zero among them: with such a key
/// there is no secret to agree on.
pub(super) fn ed25519_of_x25519(key: &[u8; 32]) -> Option<[u8; 32]> {
    let point = MontgomeryPoint(*key).to_edwards(0)?;
    (!point.is_small_order()).then(|| point.compress().to_bytes())
}

/// The y coordinates of the points of small order. The identity's is 1, which no key leads to.
const SMALL_ORDER: [[u8; 32]; 4] = {
    let mut minus_one = [0xff; 32];
    minus_one[0] = 0xec;
    minus_one[31] = 0x7f;
    let eighth = *b"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\
        \x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a";
    let other = *b"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\
        \xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05";
    [[0; 32], minus_one, eighth, other]
};

/// The same as [`ed25519_of_x25519`] for keys that are known to lie on the curve, at a tenth of the
/// cost; for a key on the twist it gives bytes that are no point, and notices only a small order.
pub(super) fn ed25519_of_known_x25519(keys: &[[u8; 32]]) -> Vec<Option<[u8; 32]>> {
    let ys = field::edwards_y(keys).into_iter();
    ys.map(|y| y.filter(|y| !SMALL_ORDER.contains(y))).collect()
}

/// Whether a Curve25519 key leads to a shared secret: on the curve and not of small order.
pub(super) fn is_usable_x25519(key: &[u8; 32]) -> bool {
    MontgomeryPoint(*key).to_edwards(0).is_some_and(|point| !point.is_small_order())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
    use tor_llcrypto::pk::{curve25519, keymanip};

    /// Bytes from hexadecimal text of either case.
    pub(in crate::hs) fn hex<const N: usize>(text: &str) -> [u8; N] {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).unwrap();
        bytes.try_into().unwrap()
    }

    #[test]
    fn points_with_torsion_are_no_identity_keys() {
        let base = ED25519_BASEPOINT_POINT;
        assert!(identity_point(&base.compress().to_bytes()).is_some());
        for torsion in EIGHT_TORSION {
            assert!(identity_point(&torsion.compress().to_bytes()).is_none());
            assert!(!is_usable_ed25519(&torsion.compress().to_bytes()));
            assert!(!is_usable_x25519(&torsion.to_montgomery().to_bytes()));
        }
        let mixed = (base + EIGHT_TORSION[1]).compress().to_bytes();
        assert!(identity_point(&mixed).is_none());
        assert!(is_usable_ed25519(&mixed));
    }

    #[test]
    fn conversion_is_that_of_the_tor_crates() {
        for i in 1..20u8 {
            let key = MontgomeryPoint::mul_base_clamped([i; 32]).to_bytes();
            let theirs = keymanip::convert_curve25519_to_ed25519_public(
                &curve25519::PublicKey::from(key),
                0,
            );
            assert_eq!(ed25519_of_x25519(&key), Some(*theirs.unwrap().as_bytes()));
        }
        assert_eq!(ed25519_of_x25519(&[0; 32]), None);
    }

    #[test]
    fn many_conversions_at_once_are_the_same_as_each_alone() {
        let mut keys: Vec<[u8; 32]> =
            (0..60u8).map(|i| MontgomeryPoint::mul_base_clamped([i; 32]).to_bytes()).collect();
        keys.extend(EIGHT_TORSION.map(|torsion| torsion.to_montgomery().to_bytes()));
        for low in [0xeb, 0xec, 0xed, 0xee, 0xef, 0xff] {
            keys.push([[low].as_slice(), &[0xff; 30], &[0x7f]].concat().try_into().unwrap());
        }
        let mut compared = 0;
        for (key, found) in keys.iter().zip(ed25519_of_known_x25519(&keys)) {
            let lies_on_curve = MontgomeryPoint(*key).to_edwards(0).is_some();
            if lies_on_curve || found.is_none() {
                assert_eq!(found, ed25519_of_x25519(key), "{key:?}");
                compared += 1;
            }
        }
        assert!(compared >= 68);
        assert_eq!(ed25519_of_known_x25519(&[]), []);
    }

    proptest::proptest! {
        #[test]
        fn any_key_on_the_curve_converts_alike(key: [u8; 32]) {
            if let Some(alone) = ed25519_of_x25519(&key) {
                proptest::prop_assert_eq!(ed25519_of_known_x25519(&[key, key]), [Some(alone); 2]);
            }
        }
    }
}
