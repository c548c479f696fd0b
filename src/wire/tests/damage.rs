//! Frames that are cut off, too long, mistaken or malicious.

use proptest::prelude::*;
use proptest::sample::Index;

use super::framed;
use crate::ident::NodeId;
use crate::message::{Announcement, Body, Certificate, Heartbeat, Member, Refusal, RosterPart};
use crate::wire::frame::{HEADER_BYTES, VERSION, VERSION_OLDEST};
use crate::wire::testing::{
    frame, large_announcement, large_certificate, large_part, large_vitals, largest_bodies,
};
use crate::wire::{Content, DecodeError, FRAME_BYTES, FRAME_MAX_BYTES, Record, decode, encode};

const VERSION_AT: usize = 0;
const KIND_AT: usize = 1;
const LENGTH_AT: usize = 2;

fn length(bytes: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([bytes[LENGTH_AT], bytes[LENGTH_AT + 1]]))
}

fn with_length(mut bytes: Vec<u8>, length: usize) -> Vec<u8> {
    let length = u16::try_from(length).unwrap().to_be_bytes();
    bytes[LENGTH_AT..LENGTH_AT + 2].copy_from_slice(&length);
    bytes
}

fn heartbeat() -> Vec<u8> {
    let body = Body::Heartbeat(Heartbeat { beat: 1, vitals: large_vitals() });
    encode(&framed(body)).unwrap()
}

/// Whatever is taken can be sent on unchanged in meaning.
fn taken_means_legal(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(Content::Frame(frame)) = decode(bytes) {
        let again = encode(&frame);
        prop_assert!(again.is_ok(), "{frame:?}");
        prop_assert_eq!(decode(&again.unwrap()), Ok(Content::Frame(frame)));
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_a_legal_frame_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..=1400),
    ) {
        taken_means_legal(&bytes)?;
    }

    #[test]
    fn any_body_of_any_kind_is_legal_or_an_error(
        kind in 0..=130_u8,
        body in prop::collection::vec(any::<u8>(), 0..=FRAME_MAX_BYTES - HEADER_BYTES),
    ) {
        let mut bytes = vec![VERSION, kind];
        bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend([0; 16]);
        bytes.extend(body);
        bytes.resize(FRAME_BYTES.into_iter().find(|size| *size >= bytes.len()).unwrap(), 0);
        taken_means_legal(&bytes)?;
    }

    #[test]
    fn a_changed_frame_is_legal_or_an_error(
        frame in frame(),
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = encode(&frame).unwrap();
        let used = HEADER_BYTES + length(&bytes);
        for (place, byte) in changes {
            bytes[place.index(used)] = byte;
        }
        taken_means_legal(&bytes)?;
    }

    #[test]
    fn a_body_that_ends_early_is_refused(frame in frame(), cut: Index) {
        let bytes = encode(&frame).unwrap();
        let whole = length(&bytes);
        prop_assume!(whole > 0);
        let kept = cut.index(whole);
        let mut bytes = with_length(bytes, kept);
        bytes[HEADER_BYTES + kept..].fill(0);
        prop_assert_eq!(decode(&bytes), Err(DecodeError::CutOff));
    }
}

#[test]
fn a_frame_of_any_other_length_is_refused() {
    for (what, body) in largest_bodies() {
        let mut bytes = encode(&framed(body)).unwrap();
        bytes.resize(FRAME_MAX_BYTES + 300, 0);
        let others = (0..bytes.len()).filter(|length| !FRAME_BYTES.contains(length));
        for length in others {
            let refused = decode(&bytes[..length]);
            assert_eq!(refused, Err(DecodeError::Length(length)), "{what}");
        }
    }
}

#[test]
fn a_body_cut_at_any_length_is_refused() {
    for (what, body) in largest_bodies() {
        let bytes = encode(&framed(body)).unwrap();
        for kept in 0..length(&bytes) {
            let mut bytes = with_length(bytes.clone(), kept);
            bytes[HEADER_BYTES + kept..].fill(0);
            assert_eq!(decode(&bytes), Err(DecodeError::CutOff), "{what} cut at {kept}");
        }
    }
}

#[test]
fn a_length_beyond_the_frame_is_refused() {
    let bytes = heartbeat();
    let room = bytes.len() - HEADER_BYTES;
    assert!(decode(&with_length(bytes.clone(), room)).is_ok());
    for length in [room + 1, usize::from(u16::MAX)] {
        let refused = decode(&with_length(bytes.clone(), length));
        assert_eq!(refused, Err(DecodeError::Field("length")));
    }
}

#[test]
fn every_other_version_is_refused_as_such_whatever_its_size() {
    for version in (0..=u8::MAX).filter(|v| !(VERSION_OLDEST..=VERSION).contains(v)) {
        for size in [1, 256, 300, 1152, 4000] {
            let mut bytes = heartbeat();
            bytes.resize(size, 0);
            bytes[VERSION_AT] = version;
            let error = decode(&bytes).unwrap_err();
            assert_eq!(error, DecodeError::Version(version));
            assert_eq!(error.refusal(), Some(Refusal::Version));
        }
    }
}

#[test]
fn unknown_kinds_are_ignored_and_not_refused() {
    for kind in [0].into_iter().chain(21..=127).chain(129..=u8::MAX) {
        let mut bytes = heartbeat();
        bytes[KIND_AT] = kind;
        let error = decode(&bytes).unwrap_err();
        assert_eq!(error, DecodeError::Kind(kind));
        assert_eq!(error.refusal(), None);
    }
}

#[test]
fn what_a_newer_program_adds_at_the_end_of_a_body_is_skipped() {
    for (what, body) in largest_bodies() {
        let frame = framed(body);
        let bytes = encode(&frame).unwrap();
        let (used, room) = (length(&bytes), bytes.len() - HEADER_BYTES);
        assert!(room > used, "{what} fills its frame");
        let mut bytes = with_length(bytes, room);
        bytes[HEADER_BYTES + used..].fill(0xee);
        assert_eq!(decode(&bytes), Ok(Content::Frame(frame)), "{what}");
    }
}

#[test]
fn padding_carries_nothing() {
    let mut bytes = heartbeat();
    *bytes.last_mut().unwrap() = 1;
    assert_eq!(decode(&bytes), Err(DecodeError::Padding));
}

#[test]
fn everything_but_version_and_kind_is_refused_as_malformed() {
    let errors = [
        DecodeError::Length(3),
        DecodeError::CutOff,
        DecodeError::Field("weight"),
        DecodeError::Padding,
    ];
    assert!(errors.into_iter().all(|error| error.refusal() == Some(Refusal::Malformed)));
}

/// Refused for the field, after `change` to what we would send ourselves.
fn refused_announcement(field: &'static str, change: impl Fn(&mut Announcement)) {
    let mut announcement = large_announcement();
    change(&mut announcement);
    let certificate = large_certificate();
    let member = Member { certificate, announcement: Some(announcement) };
    let bytes = encode(&framed(Body::Present(Box::new(member)))).unwrap();
    assert_eq!(decode(&bytes), Err(DecodeError::Field(field)));
}

fn refused_part(field: &'static str, change: impl Fn(&mut RosterPart)) {
    let mut part = large_part();
    change(&mut part);
    let bytes = encode(&framed(Body::Roster(part))).unwrap();
    assert_eq!(decode(&bytes), Err(DecodeError::Field(field)));
}

#[test]
fn an_announcement_keeps_its_bounds() {
    refused_announcement("weight", |announcement| announcement.weight = 0);
    refused_announcement("weight", |announcement| announcement.weight = 101);
    for version in ["1\n", "\u{1b}[2J", "\0", "\u{7f}", "ü"] {
        refused_announcement("version", |announcement| announcement.version = version.to_owned());
    }
}

#[test]
fn a_part_of_a_roster_keeps_its_bounds() {
    refused_part("part", |part| part.part = part.parts);
    refused_part("part", |part| part.parts = 0);
    refused_part("part", |part| part.parts = 15);
    refused_part("introduction points", |part| part.points.clear());
    refused_part("link specifiers", |part| part.points[0].link_specifiers.clear());
    refused_part("flow-control", |part| part.flow_control = Some("1-2\n31".to_owned()));
    let zero = "key of an introduction point";
    refused_part(zero, |part| part.points[0].onion_key = [0; 32]);
    refused_part(zero, |part| part.points[1].auth_key = [0; 32]);
    refused_part(zero, |part| part.points[2].enc_key = [0; 32]);
}

#[test]
fn a_name_is_one_that_a_node_may_have() {
    let name: NodeId = "abc".parse().unwrap();
    let bytes = encode(&framed(Body::AskSeen(name))).unwrap();
    for bad in [&b"ABC"[..], b"a.c", b"a\0c", b"\xc3\xa4c"] {
        let mut bytes = bytes.clone();
        bytes[HEADER_BYTES + 1..][..3].copy_from_slice(bad);
        assert_eq!(decode(&bytes), Err(DecodeError::Field("name")));
    }
    for length in [0, 33, 255] {
        let mut bytes = bytes.clone();
        bytes[HEADER_BYTES] = length;
        assert_eq!(decode(&bytes), Err(DecodeError::Field("name")));
    }
}

#[test]
fn a_count_above_its_bound_is_refused_before_the_entries_are_read() {
    for (kind, bound, what) in
        [(4, 2, "entries"), (5, 8, "certifying keys"), (17, 3, "records of invitations")]
    {
        let mut bytes = vec![0; FRAME_BYTES[0]];
        bytes[VERSION_AT] = VERSION;
        bytes[KIND_AT] = kind;
        let mut bytes = with_length(bytes, 1);
        for count in [bound + 1, u8::MAX] {
            bytes[HEADER_BYTES] = count;
            assert_eq!(decode(&bytes), Err(DecodeError::Field(what)));
        }
        bytes[HEADER_BYTES] = bound;
        assert_eq!(decode(&bytes), Err(DecodeError::CutOff));
    }
}

#[test]
fn flags_are_zero_or_one() {
    let bytes = large_certificate().to_bytes().unwrap();
    let bootstrap = 1 + 32 + 32 + 32;
    assert_eq!(bytes[bootstrap], 1);
    for flag in 2..=u8::MAX {
        let mut bytes = bytes.clone();
        bytes[bootstrap] = flag;
        assert_eq!(Certificate::from_bytes(&bytes), Err(DecodeError::Field("flag")));
    }
}
