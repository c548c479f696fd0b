//! An invitation as text: `RB1.` and base64url of its length, its fields and a checksum.

use std::fmt;
use std::str::FromStr;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use zeroize::{Zeroize as _, Zeroizing};

use crate::ident::ClusterId;
use crate::message::Door;
use crate::wire::digest::short_hash;
use crate::wire::field::{Field, Listed, record};
use crate::wire::frame::DecodeError;
use crate::wire::reader::Reader;
use crate::wire::writer::Writer;

use super::{DOORS_MAX, Invitation, SECRET_BYTES};

/// What every invitation begins with, its version after it.
const PREFIX: &str = "RB";
const VERSION: u32 = 1;

const CHECKSUM_BYTES: usize = 4;
const CHECKSUM_CONTEXT: &str = "rustbalance invitation checksum v1";

/// The length of all bytes, in front of them: tells a text that was cut off from a mistyped one.
const LENGTH_BYTES: usize = 2;

/// Longer than any invitation: the bytes of [`DOORS_MAX`] doors take 379.
const BYTES_MAX: usize = 512;
const CHARACTERS_MAX: usize = BYTES_MAX / 3 * 4 + 8;

record!(Door { key, endpoint, onion });

impl Listed for Door {
    const MAX: usize = DOORS_MAX;
    const WHAT: &'static str = "doors";
}

/// What is wrong with the text of an invitation, or with what one is to be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvitationError {
    /// It is something else.
    #[error("this is no invitation: one begins with RB1. (rustbalance invite prints it)")]
    NotAnInvitation,
    /// A later program made it.
    #[error(
        "this invitation has format {0} and this program knows {VERSION}: update rustbalance on \
         this machine"
    )]
    Newer(u32),
    /// Its end is missing.
    #[error("the invitation is cut off ({found} of {wanted} characters): copy all of it")]
    CutOff {
        /// Characters there are after `RB1.`.
        found: usize,
        /// Characters there should be.
        wanted: usize,
    },
    /// Something follows its end.
    #[error("something follows the invitation ({found} characters instead of {wanted})")]
    Added {
        /// Characters there are after `RB1.`.
        found: usize,
        /// Characters there should be.
        wanted: usize,
    },
    /// A character that no invitation has.
    #[error("the invitation is mistyped: {0:?} does not occur in one")]
    Character(char),
    /// The checksum does not fit.
    #[error("the invitation is mistyped: its checksum does not fit, copy it again")]
    Mistyped,
    /// It is whole but says what no invitation may.
    #[error("the invitation is whole but not well made ({0}): ask for a new one")]
    Malformed(DecodeError),
    /// Not 1 to [`DOORS_MAX`] doors, or one that leads nowhere.
    #[error("an invitation names 1 to {DOORS_MAX} bootstrap nodes, each with an address")]
    Doors,
}

impl fmt::Display for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = to_bytes(self);
        let text = Zeroizing::new(Base64UrlUnpadded::encode_string(&bytes));
        write!(f, "{PREFIX}{VERSION}.{}", *text)
    }
}

/// White space, as mail programs add it, is passed over.
impl FromStr for Invitation {
    type Err = InvitationError;

    fn from_str(text: &str) -> Result<Invitation, InvitationError> {
        let rest = text.trim_start().strip_prefix(PREFIX);
        let (version, payload) =
            rest.and_then(|rest| rest.split_once('.')).ok_or(InvitationError::NotAnInvitation)?;
        match version.parse() {
            Ok(VERSION) => {}
            Ok(newer) if newer > VERSION => return Err(InvitationError::Newer(newer)),
            _ => return Err(InvitationError::NotAnInvitation),
        }
        let bytes = payload_bytes(payload)?;
        let (content, checksum) =
            bytes.split_last_chunk().ok_or(InvitationError::NotAnInvitation)?;
        if *checksum != checksum_of(content) {
            return Err(InvitationError::Mistyped);
        }
        from_bytes(&content[LENGTH_BYTES..])
    }
}

/// The bytes of the part after `RB1.`, as many as they say they are.
fn payload_bytes(payload: &str) -> Result<Zeroizing<Vec<u8>>, InvitationError> {
    let mut text = Zeroizing::new(String::with_capacity(CHARACTERS_MAX));
    for character in payload.chars().filter(|character| !character.is_whitespace()) {
        match character {
            'A'..='Z' | 'a'..='z' | '0'..='9' | '-' | '_' if text.len() < CHARACTERS_MAX => {
                text.push(character);
            }
            'A'..='Z' | 'a'..='z' | '0'..='9' | '-' | '_' => {
                return Err(InvitationError::NotAnInvitation);
            }
            other => return Err(InvitationError::Character(other)),
        }
    }
    let found = text.len();
    let mut start = [0; 3];
    let length = match text.get(..4).map(|four| Base64UrlUnpadded::decode(four, &mut start)) {
        Some(Ok(_)) => usize::from(u16::from_be_bytes([start[0], start[1]])),
        _ => return Err(InvitationError::CutOff { found, wanted: characters(SHORTEST_BYTES) }),
    };
    if !(SHORTEST_BYTES..=BYTES_MAX).contains(&length) {
        return Err(InvitationError::Mistyped);
    }
    let wanted = characters(length);
    if found < wanted {
        return Err(InvitationError::CutOff { found, wanted });
    }
    if found > wanted {
        return Err(InvitationError::Added { found, wanted });
    }
    let mut bytes = Zeroizing::new(vec![0; length]);
    Base64UrlUnpadded::decode(text.as_bytes(), &mut bytes)
        .map_err(|_| InvitationError::Mistyped)?;
    Ok(bytes)
}

/// Length, cluster, secret, the number of doors, one door with nothing but its key, checksum.
const SHORTEST_BYTES: usize = LENGTH_BYTES + 16 + SECRET_BYTES + 1 + 34 + CHECKSUM_BYTES;

/// How many characters of base64 without padding so many bytes take.
const fn characters(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

fn checksum_of(content: &[u8]) -> [u8; CHECKSUM_BYTES] {
    short_hash(CHECKSUM_CONTEXT, content)
}

fn to_bytes(invitation: &Invitation) -> Zeroizing<Vec<u8>> {
    let mut to = Writer::new();
    0_u16.write(&mut to);
    invitation.cluster.write(&mut to);
    invitation.secret.write(&mut to);
    invitation.doors.write(&mut to);
    let mut bytes = Zeroizing::new(to.into_bytes().expect("there are at most DOORS_MAX doors"));
    let length = u16::try_from(bytes.len() + CHECKSUM_BYTES).expect("a frame is shorter");
    bytes[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    let checksum = checksum_of(&bytes);
    bytes.extend_from_slice(&checksum);
    bytes
}

fn from_bytes(content: &[u8]) -> Result<Invitation, InvitationError> {
    let mut from = Reader::new(content);
    let fields = |from: &mut Reader<'_>| {
        let cluster = ClusterId::read(from)?;
        let mut bytes = <[u8; SECRET_BYTES]>::read(from)?;
        let secret = Zeroizing::new(bytes);
        bytes.zeroize();
        Ok((cluster, secret, Field::read(from)?))
    };
    let (cluster, secret, doors) = fields(&mut from).map_err(InvitationError::Malformed)?;
    if !from.is_empty() {
        return Err(InvitationError::Malformed(DecodeError::Field("length")));
    }
    Invitation::new(cluster, secret, doors)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;

    use super::*;
    use crate::wire::testing::{CLUSTER, doors};

    fn invitation(doors: Vec<Door>) -> Invitation {
        Invitation::generate(CLUSTER, doors, &mut rand::rngs::StdRng::seed_from_u64(5)).unwrap()
    }

    fn sample() -> String {
        let endpoint = Some(([192, 0, 2, 1], 51_820).into());
        let key = crate::ident::PeerKey([7; 32]);
        invitation(vec![Door { key, endpoint, onion: None }]).to_string()
    }

    fn read(text: &str) -> Result<Invitation, InvitationError> {
        text.parse()
    }

    /// The text of bytes whose length and checksum fit.
    fn sealed(fields: &[u8]) -> String {
        let length = u16::try_from(LENGTH_BYTES + fields.len() + CHECKSUM_BYTES).unwrap();
        let mut bytes = [&length.to_be_bytes(), fields].concat();
        let checksum = checksum_of(&bytes);
        bytes.extend_from_slice(&checksum);
        format!("RB1.{}", Base64UrlUnpadded::encode_string(&bytes))
    }

    proptest! {
        #[test]
        fn what_was_printed_is_what_is_read(doors in doors()) {
            let invitation = invitation(doors);
            let text = invitation.to_string();
            prop_assert!(text.len() <= CHARACTERS_MAX);
            prop_assert_eq!(text.parse(), Ok(invitation));
        }

        #[test]
        fn any_text_is_an_invitation_or_an_error(text in "(RB1\\.)?[!-z]{0,600}") {
            prop_assert!(read(&text).is_err());
        }

        #[test]
        fn any_sealed_bytes_are_an_invitation_or_an_error(
            fields in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            if let Ok(invitation) = read(&sealed(&fields)) {
                prop_assert_eq!(invitation.to_string(), sealed(&fields));
            }
        }

        #[test]
        fn white_space_does_no_harm(places in prop::collection::vec(4..100_usize, 0..5)) {
            let mut text = sample();
            for place in places {
                text.insert_str(place, "\r\n ");
            }
            prop_assert_eq!(read(&format!("  {text}\n")), read(&sample()));
            prop_assert!(read(&text).is_ok());
        }
    }

    #[test]
    fn one_wrong_character_is_told_from_a_wrong_invitation() {
        let text = sample();
        for place in "RB1.".len()..text.len() {
            let wrong = if &text[place..=place] == "A" { "B" } else { "A" };
            let mut mistyped = text.clone();
            mistyped.replace_range(place..=place, wrong);
            let error = read(&mistyped).unwrap_err();
            let length_changed = place < "RB1.".len() + 3;
            assert!(error == InvitationError::Mistyped || length_changed, "{place}: {error}");
        }
    }

    #[test]
    fn swapped_neighbours_are_noticed() {
        let text = sample();
        for place in "RB1.".len()..text.len() - 1 {
            let (left, right) = (&text[place..=place], &text[place + 1..=place + 1]);
            if left != right {
                let mut swapped = text.clone();
                swapped.replace_range(place..=place + 1, &format!("{right}{left}"));
                assert!(read(&swapped).is_err(), "{place}");
            }
        }
    }

    #[test]
    fn a_text_that_was_cut_off_says_so() {
        let text = sample();
        for end in "RB1.".len()..text.len() {
            let error = read(&text[..end]).unwrap_err();
            assert!(matches!(error, InvitationError::CutOff { .. }), "{end}: {error}");
        }
        let added = read(&format!("{text}{text}")).unwrap_err();
        assert_eq!(added, InvitationError::Character('.'));
        let added = read(&format!("{text}AA")).unwrap_err();
        assert!(matches!(added, InvitationError::Added { .. }), "{added}");
    }

    #[test]
    fn something_else_is_named_as_such() {
        for text in ["", "hello", "RB", "RB.abc", "RBx.abc", "RB0.abc", "q3m8xk7d", "rb1.AAAA"] {
            assert_eq!(read(text), Err(InvitationError::NotAnInvitation), "{text}");
        }
        assert_eq!(read("RB2.anything at all"), Err(InvitationError::Newer(2)));
        assert_eq!(read("RB1.ab=d"), Err(InvitationError::Character('=')));
        let endless = format!("RB1.{}", "A".repeat(1 << 20));
        assert_eq!(read(&endless), Err(InvitationError::NotAnInvitation));
    }

    #[test]
    fn a_door_leads_somewhere() {
        let key = crate::ident::PeerKey([7; 32]);
        let nowhere = Door { key, endpoint: None, onion: None };
        let somewhere = Door { onion: Some(crate::ident::HsId([1; 32])), ..nowhere.clone() };
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        for doors in [vec![], vec![nowhere], vec![somewhere; DOORS_MAX + 1]] {
            let refused = Invitation::generate(CLUSTER, doors, &mut rng);
            assert_eq!(refused, Err(InvitationError::Doors));
        }
        let fields = [[0xc1; 16].as_slice(), &[1; 16], &[1], &[7; 32], &[0, 0]].concat();
        assert_eq!(read(&sealed(&fields)), Err(InvitationError::Doors));
    }

    #[test]
    fn a_whole_text_with_wrong_fields_is_not_called_mistyped() {
        let fields = [[0xc1; 16].as_slice(), &[1; 16], &[5], &[7; 40]].concat();
        let refused = read(&sealed(&fields)).unwrap_err();
        assert_eq!(refused, InvitationError::Malformed(DecodeError::Field("doors")));
    }
}
