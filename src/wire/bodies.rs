//! The layout of heartbeats, leases and rosters, and the number of each kind of body.

use crate::ident::{INTRO_POINTS_MAX, IntroPoint, LINK_SPECIFIERS_MAX_BYTES};
use crate::message::{
    Answer, Body, Heartbeat, Lease, LeaseView, POINTS_PER_PART_MAX, RosterPart, SIGNED_MAX,
    Verdict, Vitals,
};
use crate::time::{TimePeriod, Wall};

use super::field::{Field, Listed, read_text, record};
use super::frame::DecodeError;
use super::reader::Reader;
use super::writer::Writer;

/// The longest `flow-control` line of an instance.
const FLOW_CONTROL_MAX_BYTES: usize = 64;

/// The most parts of a roster: both periods' points, each period in parts of its own.
const PARTS_MAX: u8 = 2 * INTRO_POINTS_MAX.div_ceil(POINTS_PER_PART_MAX) as u8;

record!(Heartbeat { beat, vitals });
record!(Answer { beat, verdict, vitals });
record!(Vitals { wall, members, view, roster, points, alive, tor, app, eligible, lease, signed });
record!(LeaseView { epoch, holder, left_ms });
record!(TimePeriod { number, length_min, offset_s });
record!(RosterPart {
    version,
    part,
    parts,
    period,
    flow_control as FlowControl,
    points,
} where check_part);
record!(IntroPoint {
    relay,
    link_specifiers as LinkSpecifiers,
    onion_key as PointKey,
    auth_key as PointKey,
    enc_key as PointKey,
});

impl Listed for (u64, Wall) {
    const MAX: usize = SIGNED_MAX;
    const WHAT: &'static str = "signed periods";
}

impl Listed for IntroPoint {
    const MAX: usize = POINTS_PER_PART_MAX;
    const WHAT: &'static str = "introduction points";
}

fn check_part(roster: &RosterPart) -> Result<(), DecodeError> {
    if roster.parts > PARTS_MAX || roster.part >= roster.parts {
        return Err(DecodeError::Field("part"));
    }
    if roster.points.is_empty() { Err(DecodeError::Field("introduction points")) } else { Ok(()) }
}

/// The `flow-control` line without its keyword, if there is one.
struct FlowControl;

impl FlowControl {
    fn write(line: &Option<String>, to: &mut Writer) {
        line.is_some().write(to);
        if let Some(line) = line {
            to.put_prefixed(line.as_bytes(), FLOW_CONTROL_MAX_BYTES, "flow-control");
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Option<String>, DecodeError> {
        let there = bool::read(from)?;
        there.then(|| read_text(from, FLOW_CONTROL_MAX_BYTES, "flow-control")).transpose()
    }
}

/// How a relay is reached, as tor encodes it: never nothing.
struct LinkSpecifiers;

impl LinkSpecifiers {
    fn write(bytes: &[u8], to: &mut Writer) {
        to.put_prefixed(bytes, LINK_SPECIFIERS_MAX_BYTES, "link specifiers");
    }

    fn read(from: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
        match from.take_prefixed(LINK_SPECIFIERS_MAX_BYTES, "link specifiers")? {
            [] => Err(DecodeError::Field("link specifiers")),
            bytes => Ok(bytes.to_vec()),
        }
    }
}

/// A key of an introduction point: never zero, which would make tor refuse the whole descriptor.
struct PointKey;

impl PointKey {
    fn write(key: &[u8; 32], to: &mut Writer) {
        key.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<[u8; 32], DecodeError> {
        match from.take_array()? {
            key if key == [0; 32] => Err(DecodeError::Field("key of an introduction point")),
            key => Ok(key),
        }
    }
}

impl Field for Verdict {
    fn write(&self, to: &mut Writer) {
        match self {
            Verdict::Known => 1_u8.write(to),
            Verdict::Unknown => 2_u8.write(to),
            Verdict::Restarted => 3_u8.write(to),
            Verdict::Busy { wait_s } => (4_u8, *wait_s).write(to),
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Verdict, DecodeError> {
        match u8::read(from)? {
            1 => Ok(Verdict::Known),
            2 => Ok(Verdict::Unknown),
            3 => Ok(Verdict::Restarted),
            4 => Ok(Verdict::Busy { wait_s: Field::read(from)? }),
            _ => Err(DecodeError::Field("verdict")),
        }
    }
}

impl Field for Lease {
    fn write(&self, to: &mut Writer) {
        match self {
            Lease::Ask { epoch, number } => (1_u8, (*epoch, *number)).write(to),
            Lease::Promise { epoch, number } => (2_u8, (*epoch, *number)).write(to),
            Lease::Refuse { epoch, number } => (3_u8, (*epoch, *number)).write(to),
            Lease::Release { epoch } => (4_u8, *epoch).write(to),
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Lease, DecodeError> {
        let (what, epoch) = Field::read(from)?;
        Ok(match what {
            1_u8 => Lease::Ask { epoch, number: Field::read(from)? },
            2 => Lease::Promise { epoch, number: Field::read(from)? },
            3 => Lease::Refuse { epoch, number: Field::read(from)? },
            4 => Lease::Release { epoch },
            _ => return Err(DecodeError::Field("lease")),
        })
    }
}

/// The kind of a body: its number in a frame's second byte. Numbers are never used again.
pub(super) fn kind(body: &Body) -> u8 {
    match body {
        Body::Heartbeat(_) => 1,
        Body::Answer(_) => 2,
        Body::PullMembers => 3,
        Body::Members(_) => 4,
        Body::Successions(_) => 5,
        Body::Present(_) => 6,
        Body::PullRoster => 7,
        Body::Roster(_) => 8,
        Body::AskSeen(_) => 9,
        Body::Seen(..) => 10,
        Body::Dead(..) => 11,
        Body::Leave(_) => 12,
        Body::LeaveSeen => 13,
        Body::Join(_) => 14,
        Body::Welcome(_) => 15,
        Body::JoinRefused(_) => 16,
        Body::Tokens(_) => 17,
        Body::PullTokens => 18,
        Body::PullSecrets => 19,
        Body::Lease(_) => 20,
    }
}

/// Writes a body without its kind.
pub(super) fn write(body: &Body, to: &mut Writer) {
    match body {
        Body::PullMembers
        | Body::PullRoster
        | Body::LeaveSeen
        | Body::PullTokens
        | Body::PullSecrets => {}
        Body::Heartbeat(heartbeat) => heartbeat.write(to),
        Body::Answer(answer) => answer.write(to),
        Body::Members(members) => members.write(to),
        Body::Successions(successions) => successions.write(to),
        Body::Present(member) | Body::Leave(member) => member.write(to),
        Body::Roster(part) => part.write(to),
        Body::AskSeen(name) => name.write(to),
        Body::Seen(name, ago_ms) => {
            name.write(to);
            ago_ms.write(to);
        }
        Body::Dead(name, incarnation) => {
            name.write(to);
            incarnation.write(to);
        }
        Body::Join(request) => request.write(to),
        Body::Welcome(welcome) => welcome.write(to),
        Body::JoinRefused(refusal) => refusal.write(to),
        Body::Tokens(tokens) => tokens.write(to),
        Body::Lease(lease) => lease.write(to),
    }
}

/// Reads a body of this kind.
pub(super) fn read(kind: u8, from: &mut Reader<'_>) -> Result<Body, DecodeError> {
    Ok(match kind {
        1 => Body::Heartbeat(Field::read(from)?),
        2 => Body::Answer(Field::read(from)?),
        3 => Body::PullMembers,
        4 => Body::Members(Field::read(from)?),
        5 => Body::Successions(Field::read(from)?),
        6 => Body::Present(Field::read(from)?),
        7 => Body::PullRoster,
        8 => Body::Roster(Field::read(from)?),
        9 => Body::AskSeen(Field::read(from)?),
        10 => Body::Seen(Field::read(from)?, Field::read(from)?),
        11 => Body::Dead(Field::read(from)?, Field::read(from)?),
        12 => Body::Leave(Field::read(from)?),
        13 => Body::LeaveSeen,
        14 => Body::Join(Field::read(from)?),
        15 => Body::Welcome(Field::read(from)?),
        16 => Body::JoinRefused(Field::read(from)?),
        17 => Body::Tokens(Field::read(from)?),
        18 => Body::PullTokens,
        19 => Body::PullSecrets,
        20 => Body::Lease(Field::read(from)?),
        _ => return Err(DecodeError::Kind(kind)),
    })
}
