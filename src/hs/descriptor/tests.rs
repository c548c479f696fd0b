use std::time::{Duration, SystemTime};

use curve25519_dalek::montgomery::MontgomeryPoint;
use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use tor_checkable::TimeBound as _;
use tor_netdoc::doc::hsdesc::HsDesc;

use super::certificate::{CertificateError, Purpose};
use super::encryption::{Encryption, Secrets};
use super::error::CertifiedKey;
use super::*;
use crate::hs::keys::{BlindedKey, MasterKey};
use crate::hs::revision::RevisionScale;
use crate::ident::{HsId, IntroPoint, RelayId, Revision};
use crate::time::{TimePeriod, Wall};

mod judge;
mod refused;

const PERIOD: TimePeriod = TimePeriod { number: 20_777, length_min: 1440, offset_s: 43_200 };
const FLOW: &str = "1-2 31";

/// 30 hours 17 minutes after the shared random run of the period began.
fn signed_at() -> Wall {
    Wall(PERIOD.srv_start().0 + 30 * 3600 + 17 * 60 + 5)
}

fn master(i: u8) -> MasterKey {
    let file = [&b"== ed25519v1-secret: type0 ==\0\0\0"[..], &[i; 64]].concat();
    MasterKey::parse(&file).unwrap()
}

fn blinded() -> BlindedKey {
    master(1).blind(&PERIOD)
}

/// IPv4, RSA and Ed25519 identity, as C tor writes them: 65 bytes; with IPv6 85.
fn link_specifiers(i: u8, with_ipv6: bool) -> Vec<u8> {
    let mut bytes = vec![3 + u8::from(with_ipv6), 0, 6, 10, 0, 0, i, 0x23, 0x29, 2, 20];
    bytes.extend_from_slice(&[i; 20]);
    bytes.extend_from_slice(&[3, 32]);
    bytes.extend_from_slice(&[i; 32]);
    if with_ipv6 {
        bytes.extend_from_slice(&[1, 18]);
        bytes.extend_from_slice(&[i; 18]);
    }
    bytes
}

fn point(i: u8, with_ipv6: bool) -> IntroPoint {
    let x25519 = |kind| MontgomeryPoint::mul_base_clamped([i ^ kind; 32]).to_bytes();
    IntroPoint {
        relay: RelayId([i; 20]),
        link_specifiers: link_specifiers(i, with_ipv6),
        onion_key: x25519(0x40),
        auth_key: SigningKey::from_bytes(&[i; 32]).verifying_key().to_bytes(),
        enc_key: x25519(0x80),
    }
}

fn content(points: u8) -> Content {
    let points = (1..=points).map(|i| point(i, false)).collect();
    Content { points, flow_control: Some(FLOW.to_owned()) }
}

fn sorted(mut points: Vec<IntroPoint>) -> Vec<IntroPoint> {
    points.sort();
    points
}

fn built(points: u8) -> String {
    build(&blinded(), &content(points), signed_at()).unwrap()
}

fn read_it(document: &str) -> Result<Received, DescriptorError> {
    let candidates = [PERIOD.previous(), PERIOD, PERIOD.next()];
    read(document.as_bytes(), &master(1).id(), &candidates, signed_at())
}

/// A document with this inner layer, signed and encrypted as any service could.
fn with_inner(inner: &str) -> String {
    let (blinded, key) = (blinded(), SigningKey::from_bytes(&[7; 32]));
    let (id, subcredential) = (blinded.id(), blinded.subcredential());
    let secrets = Secrets { blinded: &id, subcredential: &subcredential, revision: Revision(5) };
    let encrypted = secrets.encrypt(Encryption::Encrypted, &[1; 16], inner.as_bytes());
    let mut middle = middle::write(&middle::Filler::new(&blinded), &encrypted).into_bytes();
    middle.resize(middle.len().next_multiple_of(PADDING_BYTES), 0);
    let superencrypted = secrets.encrypt(Encryption::Superencrypted, &[2; 16], &middle);
    let subject = key.verifying_key().to_bytes();
    let expires = Wall(signed_at().0 + CERTIFICATE_LIFETIME_S);
    let certificate =
        certificate::make(Purpose::Signing, &subject, expires, &id.0, |bytes| blinded.sign(bytes));
    outer::write(&key, &certificate, Revision(5), &superencrypted)
}

/// An inner layer whose points the key of [`with_inner`] certifies until `expires`.
fn inner_text(points: &[IntroPoint], expires: Wall) -> String {
    let key = SigningKey::from_bytes(&[7; 32]);
    let certified: Vec<_> = points
        .iter()
        .map(|point| {
            let enc = crate::hs::curve::ed25519_of_x25519(&point.enc_key).unwrap_or([3; 32]);
            let make = |purpose, subject| certificate::make_with(&key, purpose, subject, expires);
            inner::Certified {
                point,
                auth_key: make(Purpose::Auth, &point.auth_key),
                enc_key: make(Purpose::Enc, &enc),
            }
        })
        .collect();
    inner::write(&certified, Some(FLOW))
}

fn until() -> Wall {
    Wall(signed_at().0 + 3600)
}

#[test]
fn what_is_built_is_read() {
    for points in [1, 3, 8, 9, 20] {
        let received = read_it(&built(points)).unwrap();
        assert_eq!(sorted(received.points), sorted(content(points).points));
        assert_eq!(received.period, PERIOD);
        assert_eq!(received.blinded, blinded().id());
        assert_eq!(received.revision, RevisionScale::new(&blinded(), &PERIOD).at(signed_at()));
        assert_eq!(received.lifetime_min, 180);
        assert_eq!(received.flow_control.as_deref(), Some(FLOW));
        assert!(!received.pow && !received.single_onion);
        let expires = (signed_at().0 + 54 * 3600).next_multiple_of(3600);
        assert_eq!(received.signing_cert_expires, Wall(expires));
    }
}

#[test]
fn the_document_has_the_form_of_c_tor_s() {
    let document = built(3);
    let lines: Vec<&str> = document.lines().collect();
    assert_eq!(
        &lines[..4],
        [
            "hs-descriptor 3",
            "descriptor-lifetime 180",
            "descriptor-signing-key-cert",
            "-----BEGIN ED25519 CERT-----"
        ]
    );
    assert_eq!(lines[4..7].iter().map(|line| line.len()).collect::<Vec<_>>(), [64, 64, 60]);
    assert_eq!(lines[7], "-----END ED25519 CERT-----");
    assert!(lines[8].starts_with("revision-counter "));
    assert_eq!(&lines[9..11], ["superencrypted", "-----BEGIN MESSAGE-----"]);
    let [.., end, signature] = lines[..] else { panic!() };
    assert_eq!(end, "-----END MESSAGE-----");
    assert_eq!((&signature[..10], signature.len()), ("signature ", 96));
    assert!(document.ends_with('\n') && !document.ends_with("\n\n"));

    let outer = outer::read(&document).unwrap();
    let (id, subcredential) = (blinded().id(), blinded().subcredential());
    let secrets = Secrets { blinded: &id, subcredential: &subcredential, revision: outer.revision };
    let middle = secrets.decrypt(Encryption::Superencrypted, &outer.superencrypted).unwrap();
    assert_eq!(middle.len() % 10_000, 0);
    let text = String::from_utf8(middle.clone()).unwrap();
    let text = text.trim_end_matches('\0');
    assert!(text.ends_with("-----END MESSAGE-----"), "no line end before the padding");
    let clients: Vec<&str> = text.lines().filter(|l| l.starts_with("auth-client ")).collect();
    assert_eq!(clients.len(), 16);
    for client in clients {
        let lengths: Vec<usize> = client.split(' ').skip(1).map(str::len).collect();
        assert_eq!(lengths, [11, 22, 22]);
    }
    let inner = secrets.decrypt(Encryption::Encrypted, &middle::read(&middle).unwrap()).unwrap();
    let inner = String::from_utf8(inner).unwrap();
    let keywords: Vec<&str> = inner
        .lines()
        .filter(|line| line.chars().next().is_some_and(|c| c.is_ascii_lowercase()))
        .filter(|line| line.contains(['-']) && line.len() != 64 && line.len() != 60)
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        &keywords[..7],
        [
            "create2-formats",
            "flow-control",
            "introduction-point",
            "onion-key",
            "auth-key",
            "enc-key",
            "enc-key-cert"
        ]
    );
    assert!(inner.starts_with("create2-formats 2\nflow-control 1-2 31\nintroduction-point "));
}

#[test]
fn sizes_are_those_of_a_plain_tor_service() {
    let size = |points: u8| {
        let document = built(points);
        let revision = read_it(&document).unwrap().revision.to_string().len();
        document.len() - revision
    };
    let sizes: Vec<usize> = (1..=20).map(size).collect();
    assert!(sizes[..8].iter().all(|size| *size == 14_101), "{sizes:?}");
    assert!(sizes[8..17].iter().all(|size| *size == sizes[8]), "{sizes:?}");
    assert!((27_600..27_700).contains(&sizes[8]), "{sizes:?}");
    assert!(sizes[18..].iter().all(|size| (41_100..41_200).contains(size)), "{sizes:?}");
}

#[test]
fn eight_points_with_ipv6_link_specifiers_are_no_larger() {
    let points = (1..=8).map(|i| point(i, true)).collect();
    let content = Content { points, flow_control: Some(FLOW.to_owned()) };
    let document = build(&blinded(), &content, signed_at()).unwrap();
    let received = read_it(&document).unwrap();
    assert_eq!(document.len() - received.revision.to_string().len(), 14_101);
    assert_eq!(sorted(received.points), content.points);
}

#[test]
fn every_node_builds_the_same_and_each_second_another() {
    let mut reversed = content(5);
    reversed.points.reverse();
    let first = build(&blinded(), &reversed, signed_at()).unwrap();
    assert_eq!(first, built(5));
    let later = build(&blinded(), &content(5), Wall(signed_at().0 + 1)).unwrap();
    let (first, later) = (outer::read(&first).unwrap(), outer::read(&later).unwrap());
    assert_eq!(first.certificate.subject, later.certificate.subject);
    assert_ne!(first.superencrypted[..16], later.superencrypted[..16], "a salt came twice");
    let other = outer::read(&built(6)).unwrap();
    assert_ne!(first.superencrypted[..16], other.superencrypted[..16], "a salt came twice");
    let other_period = master(1).blind(&PERIOD.next());
    let next = build(&other_period, &content(5), signed_at()).unwrap();
    assert_ne!(outer::read(&next).unwrap().certificate.subject, first.certificate.subject);
}

#[test]
fn certificates_of_points_count_from_the_full_hour() {
    let hour = signed_at().0 / 3600 * 3600;
    let expiring = |seconds: u64| {
        read(built(2).as_bytes(), &master(1).id(), &[PERIOD], Wall(hour + 54 * 3600 + seconds))
    };
    let expired = CertificateError::Expired(Wall(hour + 54 * 3600));
    assert_eq!(
        expiring(0).map(|_| ()),
        Err(DescriptorError::Certificate { of: CertifiedKey::Auth(1), cause: expired })
    );
    let signing = CertificateError::Expired(Wall(hour + 55 * 3600));
    assert_eq!(
        expiring(3600).map(|_| ()),
        Err(DescriptorError::Certificate { of: CertifiedKey::Signing, cause: signing })
    );
    let before = Wall(hour + 54 * 3600 - 1);
    assert!(read(built(2).as_bytes(), &master(1).id(), &[PERIOD], before).is_ok());
}

#[test]
fn what_must_not_be_published_is_not_built() {
    let refused = |content: &Content| build(&blinded(), content, signed_at()).map(|_| ());
    assert_eq!(refused(&content(0)), Err(BuildError::NoPoints));
    assert_eq!(refused(&content(21)), Err(BuildError::TooManyPoints(21)));
    let with = |change: fn(&mut IntroPoint)| {
        let mut content = content(3);
        change(&mut content.points[1]);
        match refused(&content) {
            Err(BuildError::Point { number: 2, .. }) => {}
            other => panic!("{other:?}"),
        }
        assert!(check_point(&content.points[1]).is_err());
        assert!(check_point(&content.points[0]).is_ok());
    };
    with(|point| point.enc_key = [0; 32]);
    with(|point| point.auth_key = [0; 32]);
    with(|point| point.onion_key = [0; 32]);
    with(|point| point.relay = RelayId([99; 20]));
    with(|point| point.link_specifiers.truncate(50));
    for line in ["", "a\nb", " 1-2", &"x".repeat(65), "ü"] {
        let content = Content { flow_control: Some(line.to_owned()), ..content(1) };
        assert_eq!(refused(&content), Err(BuildError::FlowControl(line.to_owned())));
    }
    let early = Wall(PERIOD.srv_start().0 - 1);
    let early = build(&blinded(), &content(1), early).map(|_| ());
    assert_eq!(early, Err(BuildError::TooEarly { period: PERIOD.number }));
}

#[test]
fn the_largest_allowed_content_stays_below_the_limit() {
    let mut large = Content { flow_control: Some("x".repeat(64)), ..content(20) };
    for point in &mut large.points {
        point.link_specifiers[0] += 1;
        point.link_specifiers.extend_from_slice(&[200, 133]);
        point.link_specifiers.extend_from_slice(&[1; 133]);
        assert_eq!(point.link_specifiers.len(), crate::ident::LINK_SPECIFIERS_MAX_BYTES);
    }
    let document = build(&blinded(), &large, signed_at()).unwrap();
    assert!(document.len() < DOCUMENT_MAX_BYTES);
    assert_eq!(sorted(read_it(&document).unwrap().points), large.points);
}

#[test]
fn the_outer_layer_alone_tells_period_key_and_revision() {
    let outer = read_outer(built(3).as_bytes(), &master(1).id(), &[PERIOD.next(), PERIOD]);
    let revision = RevisionScale::new(&blinded(), &PERIOD).at(signed_at());
    assert_eq!(outer, Ok(Outer { period: PERIOD, blinded: blinded().id(), revision }));
    let forged = built(3).replacen("180", "181", 1);
    let forged = read_outer(forged.as_bytes(), &master(1).id(), &[PERIOD]);
    assert_eq!(forged, Err(DescriptorError::Forged));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damaged_documents_never_panic_and_never_pass(
        at in any::<prop::sample::Index>(), byte: u8, cut: bool
    ) {
        let document = built(2);
        let mut bytes = document.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }
        let same = bytes.trim_ascii_end() == document.as_bytes().trim_ascii_end();
        let result = read(&bytes, &master(1).id(), &[PERIOD], signed_at());
        prop_assert_eq!(result.is_ok(), same);
    }

    #[test]
    fn damaged_inner_layers_never_panic(
        at in any::<prop::sample::Index>(), byte in 0u8..128, cut: bool
    ) {
        let mut bytes = inner_text(&[point(1, true), point(2, false)], until()).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }
        let key = SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes();
        let _ = inner::read(&bytes, &key, signed_at());
        let _ = read_it(&with_inner(std::str::from_utf8(&bytes).unwrap()));
        let _ = middle::read(&bytes);
    }
}
