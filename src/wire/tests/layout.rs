//! The layout itself, byte by byte: what `docs/protocol.md` promises to other programs.

use proptest::prelude::*;

use super::framed;
use crate::message::{Announcement, Body, Certificate, Lease, Member, Succession, Token};
use crate::wire::testing::{Signers, announcement, certificate, largest_bodies, token};
use crate::wire::{Certifier, DecodeError, Record, encode};

#[test]
fn a_frame_is_header_body_and_zeros() {
    let body = Body::Seen("ab".parse().unwrap(), Some(0x0102_0304));
    let bytes = encode(&framed(body)).unwrap();
    #[rustfmt::skip]
    let expected = [
        1, 10, 0, 8,
        0, 0, 0, 0, 0, 0, 0, 7,
        0, 0, 0, 0, 0, 0, 0, 9,
        2, b'a', b'b', 1, 1, 2, 3, 4,
    ];
    assert_eq!(bytes[..expected.len()], expected);
    assert!(bytes[expected.len()..].iter().all(|byte| *byte == 0));
}

#[test]
fn bodies_without_content_differ_in_their_kind_only() {
    let mute = [
        (3, Body::PullMembers),
        (7, Body::PullRoster),
        (13, Body::LeaveSeen),
        (18, Body::PullTokens),
        (19, Body::PullSecrets),
    ];
    for (kind, body) in mute {
        let bytes = encode(&framed(body)).unwrap();
        assert_eq!(bytes[..4], [1, kind, 0, 0]);
    }
}

#[test]
fn a_lease_question_has_17_bytes() {
    let ask = Lease::Ask { epoch: crate::ident::Epoch(2), number: 3 };
    let bytes = encode(&framed(Body::Lease(ask))).unwrap();
    assert_eq!(bytes[..4], [1, 20, 0, 17]);
    assert_eq!(bytes[20..37], [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3]);
}

fn kept_whole<T: Record + PartialEq + std::fmt::Debug>(entry: &T) -> Result<(), TestCaseError> {
    let bytes = entry.to_bytes().unwrap();
    prop_assert_eq!(&T::from_bytes(&bytes).unwrap(), entry);
    for cut in 0..bytes.len() {
        prop_assert!(T::from_bytes(&bytes[..cut]).is_err());
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    prop_assert_eq!(T::from_bytes(&longer), Err(DecodeError::Field("end of the record")));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_record_is_kept_whole_or_not_at_all(
        certificate in certificate(),
        announcement in announcement(),
        token in token(),
    ) {
        kept_whole::<Certificate>(&certificate)?;
        kept_whole::<Announcement>(&announcement)?;
        kept_whole::<Token>(&token)?;
        let (key, signature) = (crate::ident::ClusterKey([1; 32]), [2; 64]);
        kept_whole::<Succession>(&Succession { generation: 1, key, signature })?;
        kept_whole::<Member>(&Member { certificate, announcement: Some(announcement) })?;
    }
}

fn lines(bytes: &[u8]) -> String {
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let line = |bytes: &[u8]| format!("  {}\n", data_encoding::HEXLOWER.encode(bytes));
    bytes[..used].chunks(40).map(line).collect()
}

/// A difference here means that other nodes no longer understand us: it takes a new version.
#[test]
fn what_was_sent_yesterday_is_sent_today() {
    let mut text = String::new();
    for (what, body) in largest_bodies() {
        let bytes = encode(&framed(body)).unwrap();
        text += &format!("{what}, {} bytes\n{}", bytes.len(), lines(&bytes));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn what_was_signed_yesterday_is_signed_today() {
    let signers = Signers::new();
    let Member { certificate, announcement } = signers.member(&signers.certifier);
    let next = Certifier::from_seed(&[0x53; 32], 1).key();
    let succession = signers.certifier.introduce(1, next);
    let signatures = [
        ("certificate", certificate.signature),
        ("announcement", announcement.unwrap().signature),
        ("record of an invitation", signers.token().signature),
        ("succession", succession.signature),
    ];
    let text: String =
        signatures.iter().map(|(what, bytes)| format!("{what}\n{}", lines(bytes))).collect();
    insta::assert_snapshot!(text);
}
