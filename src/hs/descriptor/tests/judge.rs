//! The Tor Project's own parser and builder as the judge of ours.

use tor_hscrypto::pk::{HsBlindId, HsBlindIdKey};
use tor_linkspec::EncodedLinkSpec;
use tor_llcrypto::pk::{curve25519, ed25519};
use tor_netdoc::NetdocBuilder as _;
use tor_netdoc::doc::hsdesc::{
    HsDescBuilder, IntroPointDesc, IntroPointDescBuilder, create_desc_sign_key_cert,
};

use super::*;

fn moment(wall: Wall) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(wall.0)
}

fn specifiers_of(encoded: &[u8]) -> Vec<EncodedLinkSpec> {
    let mut rest = &encoded[1..];
    let mut found = Vec::new();
    while let [kind, length, after @ ..] = rest {
        let (body, next) = after.split_at(usize::from(*length));
        found.push(EncodedLinkSpec::new((*kind).into(), body));
        rest = next;
    }
    found
}

/// Ours as theirs.
fn theirs(point: &IntroPoint) -> IntroPointDesc {
    IntroPointDescBuilder::default()
        .link_specifiers(specifiers_of(&point.link_specifiers))
        .ipt_kp_ntor(curve25519::PublicKey::from(point.onion_key))
        .kp_hs_ipt_sid(ed25519::PublicKey::from_bytes(&point.auth_key).unwrap().into())
        .kp_hss_ntor(curve25519::PublicKey::from(point.enc_key).into())
        .build()
        .unwrap()
}

fn judged(document: &str) -> HsDesc {
    HsDesc::parse_decrypt_validate(
        document,
        &HsBlindId::from(blinded().id().0),
        &blinded().subcredential().into(),
        None,
    )
    .unwrap()
    .if_valid_at(&moment(signed_at()))
    .unwrap()
}

#[test]
fn the_tor_project_s_parser_reads_what_we_build() {
    for count in [1, 2, 8, 13, 20] {
        let judged = judged(&built(count));
        assert_eq!(u64::from(judged.revision()), read_it(&built(count)).unwrap().revision.0);
        let (protocols, increment) = judged.flow_control().unwrap();
        assert_eq!((protocols.to_string(), increment.get()), ("FlowCtrl=1-2".to_owned(), 31));
        assert!(!judged.is_single_onion_service());
        let content = content(count);
        assert_eq!(judged.intro_points().len(), content.points.len());
        for point in &content.points {
            let expected = theirs(point);
            let found = judged
                .intro_points()
                .iter()
                .find(|found| found.ipt_sid_key() == expected.ipt_sid_key());
            let found = found.unwrap();
            assert_eq!(found.link_specifiers(), expected.link_specifiers());
            assert_eq!(found.ipt_ntor_key(), expected.ipt_ntor_key());
            assert_eq!(found.svc_ntor_key(), expected.svc_ntor_key());
        }
    }
}

/// A document from the Tor Project's builder, which C tor accepts too.
fn made_by_them(points: &[IntroPoint], clients: Option<&[curve25519::PublicKey]>) -> String {
    let blinded = blinded();
    let pair = ed25519::ExpandedKeypair::from_secret_key_bytes(*blinded.secret_bytes()).unwrap();
    let public: HsBlindIdKey = (*pair.public()).into();
    let signing = ed25519::Keypair::from_bytes(&[8; 32]);
    let expires = moment(Wall(signed_at().0 + 3600));
    let certificate =
        create_desc_sign_key_cert(&signing.verifying_key(), &pair.into(), expires).unwrap();
    let points: Vec<IntroPointDesc> = points.iter().map(theirs).collect();
    HsDescBuilder::default()
        .blinded_id(&public)
        .hs_desc_sign(&signing)
        .hs_desc_sign_cert(certificate)
        .create2_formats(&[tor_cell::chancell::msg::HandshakeType::NTOR])
        .auth_required(None)
        .is_single_onion_service(true)
        .intro_points(&points)
        .intro_auth_key_cert_expiry(expires)
        .intro_enc_key_cert_expiry(expires)
        .flow_control(Some(("FlowCtrl=1-2".parse().unwrap(), 31)))
        .auth_clients(clients)
        .lifetime(180.into())
        .revision_counter(77.into())
        .subcredential(blinded.subcredential().into())
        .build_sign(&mut rand::rng())
        .unwrap()
}

#[test]
fn we_read_what_the_tor_project_s_builder_makes() {
    let received = read_it(&made_by_them(&content(4).points, None)).unwrap();
    assert_eq!(sorted(received.points), sorted(content(4).points));
    assert_eq!(received.revision, Revision(77));
    assert_eq!(received.flow_control.as_deref(), Some(FLOW));
    assert!(received.single_onion && !received.pow);
}

#[test]
fn their_documents_with_0_or_25_points_are_refused() {
    let twenty_five: Vec<IntroPoint> = (1..=25).map(|i| point(i, false)).collect();
    let refused = read_it(&made_by_them(&twenty_five, None));
    assert_eq!(refused, Err(DescriptorError::TooManyPoints(25)));
    assert_eq!(read_it(&made_by_them(&[], None)), Err(DescriptorError::NoPoints));
}

#[test]
fn a_document_for_authorised_clients_says_so() {
    let client = curve25519::PublicKey::from(MontgomeryPoint::mul_base_clamped([3; 32]).0);
    let restricted = made_by_them(&content(2).points, Some(&[client]));
    assert_eq!(read_it(&restricted), Err(DescriptorError::Restricted));
}
