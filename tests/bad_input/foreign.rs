//! Descriptors that our own builder refuses to make, by the Tor Project's.

use std::time::{Duration, SystemTime};

use rustbalance::hs::keys::{MasterKey, subcredential};
use rustbalance::ident::{BlindedId, HsId, IntroPoint};
use rustbalance::time::TimePeriod;
use tor_hscrypto::pk::{HsBlindIdKey, HsIdKeypair};
use tor_linkspec::EncodedLinkSpec;
use tor_llcrypto::pk::{curve25519, ed25519};
use tor_netdoc::NetdocBuilder as _;
use tor_netdoc::doc::hsdesc::{
    HsDescBuilder, IntroPointDesc, IntroPointDescBuilder, create_desc_sign_key_cert,
};

use crate::fake_tor::world::wall;

/// A validly signed descriptor of `key` in `period` with any number of points.
pub(crate) fn descriptor(key: &MasterKey, period: &TimePeriod, points: &[IntroPoint]) -> String {
    let blinded = blinded(key, period);
    let public: HsBlindIdKey = (*blinded.public()).into();
    let id = BlindedId(blinded.public().to_bytes());
    let HsId(identity) = key.id();
    let signing = ed25519::Keypair::from_bytes(&[8; 32]);
    let expires = SystemTime::UNIX_EPOCH + Duration::from_secs(wall().0 + 7200);
    let certificate =
        create_desc_sign_key_cert(&signing.verifying_key(), &blinded.into(), expires).unwrap();
    let points: Vec<IntroPointDesc> = points.iter().map(theirs).collect();
    HsDescBuilder::default()
        .blinded_id(&public)
        .hs_desc_sign(&signing)
        .hs_desc_sign_cert(certificate)
        .create2_formats(&[tor_cell::chancell::msg::HandshakeType::NTOR])
        .auth_required(None)
        .is_single_onion_service(false)
        .intro_points(&points)
        .intro_auth_key_cert_expiry(expires)
        .intro_enc_key_cert_expiry(expires)
        .flow_control(Some(("FlowCtrl=1-2".parse().unwrap(), 31)))
        .auth_clients(None)
        .lifetime(180.into())
        .revision_counter(77.into())
        .subcredential(subcredential(&HsId(identity), &id).into())
        .build_sign(&mut rand::rng())
        .unwrap()
}

fn blinded(key: &MasterKey, period: &TimePeriod) -> ed25519::ExpandedKeypair {
    let secret: [u8; 64] = key.to_tor_file()[32..].try_into().unwrap();
    let pair = ed25519::ExpandedKeypair::from_secret_key_bytes(secret).unwrap();
    let length = Duration::from_secs(period.length_min * 60);
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(period.start().0);
    let offset = Duration::from_secs(period.offset_s);
    let period = tor_hscrypto::time::TimePeriod::new(length, start, offset).unwrap();
    let (_, blinded, _) = HsIdKeypair::from(pair).compute_blinded_key(period).unwrap();
    blinded.into()
}

fn theirs(point: &IntroPoint) -> IntroPointDesc {
    let mut rest = &point.link_specifiers[1..];
    let mut specifiers = Vec::new();
    while let [kind, length, after @ ..] = rest {
        let (body, next) = after.split_at(usize::from(*length));
        specifiers.push(EncodedLinkSpec::new((*kind).into(), body));
        rest = next;
    }
    IntroPointDescBuilder::default()
        .link_specifiers(specifiers)
        .ipt_kp_ntor(curve25519::PublicKey::from(point.onion_key))
        .kp_hs_ipt_sid(ed25519::PublicKey::from_bytes(&point.auth_key).unwrap().into())
        .kp_hss_ntor(curve25519::PublicKey::from(point.enc_key).into())
        .build()
        .unwrap()
}
