//! What must hold for bytes from anybody, and for every frame that we make.

mod damage;
mod layout;
mod trust;

use proptest::prelude::*;

use super::testing::{frame, large_announcement, large_certificate, largest_bodies, secret};
use super::*;
use crate::ident::Incarnation;
use crate::message::{Body, Frame, Member, VERSION_MAX_BYTES};

fn framed(body: Body) -> Frame {
    Frame { incarnation: Incarnation(7), sequence: 9, body }
}

proptest! {
    #[test]
    fn what_was_encoded_is_what_is_decoded(frame in frame()) {
        let bytes = encode(&frame).unwrap();
        prop_assert!(FRAME_BYTES.contains(&bytes.len()));
        prop_assert_eq!(decode(&bytes), Ok(Content::Frame(frame)));
    }

    #[test]
    fn secrets_come_out_as_they_went_in(secret in secret()) {
        let bytes = encode_secret(&secret).unwrap();
        prop_assert_eq!(bytes.len(), FRAME_BYTES[0]);
        prop_assert_eq!(decode(&bytes), Ok(Content::Secret(secret)));
    }
}

#[test]
fn the_largest_body_of_each_kind_fits_a_frame() {
    let sizes: Vec<(&str, usize)> = largest_bodies()
        .into_iter()
        .map(|(what, body)| (what, encode(&framed(body)).unwrap().len()))
        .collect();
    let expected = [
        ("heartbeat", 256),
        ("answer", 256),
        ("members", 1152),
        ("successions", 1152),
        ("present", 512),
        ("roster", 1152),
        ("seen", 256),
        ("dead", 256),
        ("leave", 512),
        ("join", 512),
        ("welcome", 1152),
        ("tokens", 1152),
        ("lease", 256),
    ];
    assert_eq!(sizes, expected);
}

#[test]
fn what_exceeds_a_bound_is_not_sent() {
    let (certificate, mut announcement) = (large_certificate(), large_announcement());
    let member = Member { certificate: certificate.clone(), announcement: None };
    let too_many = framed(Body::Members(vec![member; 3]));
    assert_eq!(encode(&too_many), Err(TooLarge("entries")));
    announcement.version = "v".repeat(VERSION_MAX_BYTES + 1);
    let member = Member { certificate, announcement: Some(announcement) };
    let too_long = framed(Body::Present(Box::new(member)));
    assert_eq!(encode(&too_long), Err(TooLarge("version")));
}

#[test]
fn a_secret_is_never_printed() {
    let bytes = zeroize::Zeroizing::new(vec![0xab; 32]);
    let what = SecretKind::ClusterKey { generation: 3 };
    let secret = Secret { incarnation: Incarnation(1), sequence: 1, what, bytes };
    let text = format!("{secret:?} {:#?}", Content::Secret(secret.clone()));
    assert!(text.contains("generation: 3"), "{text}");
    assert!(!text.contains("171") && !text.to_lowercase().contains("ab"), "{text}");
}

#[test]
fn a_secret_of_another_length_than_its_kind_is_neither_sent_nor_taken() {
    let what = SecretKind::ClusterKey { generation: 0 };
    let of = |bytes: usize| Secret {
        incarnation: Incarnation(1),
        sequence: 1,
        what,
        bytes: zeroize::Zeroizing::new(vec![1; bytes]),
    };
    assert_eq!(encode_secret(&of(33)), Err(TooLarge("secret")));
    let short = encode_secret(&of(31)).unwrap();
    assert_eq!(decode(&short), Err(DecodeError::Field("secret")));
}
