//! Made-up keys and introduction points, shared by tests and benches.

use curve25519_dalek::montgomery::MontgomeryPoint;
use ed25519_dalek::SigningKey;
use rustbalance::hs::descriptor::Content;
use rustbalance::hs::keys::MasterKey;
use rustbalance::ident::{IntroPoint, RelayId};
use rustbalance::time::TimePeriod;

/// A period of the public network in November 2026.
pub(crate) const PERIOD: TimePeriod =
    TimePeriod { number: 20_777, length_min: 1440, offset_s: 43_200 };

/// A master key.
pub(crate) fn master() -> MasterKey {
    let file = [&b"== ed25519v1-secret: type0 ==\0\0\0"[..], &[1; 64]].concat();
    MasterKey::parse(&file).expect("64 bytes that are not zero")
}

/// Points with the link specifiers of a relay that has IPv4 only: 65 bytes.
pub(crate) fn content(points: u8) -> Content {
    let points = (1..=points).map(point).collect();
    Content { points, flow_control: Some("1-2 31".to_owned()) }
}

fn point(i: u8) -> IntroPoint {
    let x25519 = |kind: u8| MontgomeryPoint::mul_base_clamped([i ^ kind; 32]).to_bytes();
    let mut link_specifiers = vec![3, 0, 6, 10, 0, 0, i, 0x23, 0x29, 2, 20];
    link_specifiers.extend_from_slice(&[i; 20]);
    link_specifiers.extend_from_slice(&[3, 32]);
    link_specifiers.extend_from_slice(&[i; 32]);
    IntroPoint {
        relay: RelayId([i; 20]),
        link_specifiers,
        onion_key: x25519(0x40),
        auth_key: SigningKey::from_bytes(&[i; 32]).verifying_key().to_bytes(),
        enc_key: x25519(0x80),
    }
}
