//! The largest values that are legal, for the question what fits a frame.

use std::net::SocketAddr;

use crate::ident::{
    ClusterKey, Epoch, HsId, INTRO_POINTS_MAX, Incarnation, IntroPoint, LINK_SPECIFIERS_MAX_BYTES,
    NodeId, NodeKey, PeerKey, RelayId, TokenId,
};
use crate::message::*;
use crate::time::{TimePeriod, Wall};

fn longest_name() -> NodeId {
    "n".repeat(32).parse().unwrap()
}

/// A certificate with the longest name.
pub(in crate::wire) fn large_certificate() -> Certificate {
    Certificate {
        name: longest_name(),
        key: PeerKey([1; 32]),
        node_key: NodeKey([2; 32]),
        bootstrap: true,
        publisher: true,
        removed: false,
        serial: u64::MAX,
        issued: Wall(u64::MAX),
        token: TokenId([3; 16]),
        generation: u32::MAX,
        signature: [4; 64],
    }
}

/// An announcement with everything in it.
pub(in crate::wire) fn large_announcement() -> Announcement {
    Announcement {
        name: longest_name(),
        incarnation: Incarnation(u64::MAX),
        endpoint: Some(SocketAddr::from(([5; 16], 51_820))),
        onion: Some(HsId([6; 32])),
        client_key: Some([7; 32]),
        instance: Some(HsId([8; 32])),
        priority: u16::MAX,
        weight: 100,
        spare: true,
        drained: true,
        left: false,
        version: "v".repeat(VERSION_MAX_BYTES),
        signature: [9; 64],
    }
}

/// A roster's part with everything in it.
pub(in crate::wire) fn large_part() -> RosterPart {
    let point = IntroPoint {
        relay: RelayId([1; 20]),
        link_specifiers: vec![2; LINK_SPECIFIERS_MAX_BYTES],
        onion_key: [3; 32],
        auth_key: [4; 32],
        enc_key: [5; 32],
    };
    let parts = u8::try_from(2 * INTRO_POINTS_MAX.div_ceil(POINTS_PER_PART_MAX)).unwrap();
    RosterPart {
        version: u64::MAX,
        part: parts - 1,
        parts,
        period: TimePeriod { number: u64::MAX, length_min: u64::MAX, offset_s: u64::MAX },
        flow_control: Some("f".repeat(64)),
        points: vec![point; POINTS_PER_PART_MAX],
    }
}

/// Vitals with everything in them.
pub(in crate::wire) fn large_vitals() -> Vitals {
    let lease = LeaseView { epoch: Epoch(u64::MAX), holder: longest_name(), left_ms: u32::MAX };
    Vitals {
        points: u8::MAX,
        app: Some(true),
        lease: Some(lease),
        signed: vec![(u64::MAX, Wall(u64::MAX)); SIGNED_MAX],
        ..Vitals::default()
    }
}

/// The record of an invitation with everything in it.
pub(in crate::wire) fn large_token() -> Token {
    Token {
        id: TokenId([1; 16]),
        key: PeerKey([2; 32]),
        issuer: longest_name(),
        invited: Some(longest_name()),
        bootstrap: true,
        publisher: true,
        expires: Wall(u64::MAX),
        generation: u32::MAX,
        signature: [3; 64],
        used_by: Some(PeerKey([4; 32])),
        revoked: true,
    }
}

/// The largest legal body of each kind that varies in size, with its name.
pub(in crate::wire) fn largest_bodies() -> Vec<(&'static str, Body)> {
    let certificate = large_certificate();
    let announcement = large_announcement();
    let (name, key) = (longest_name(), PeerKey([1; 32]));
    let node_key = NodeKey([2; 32]);
    let member =
        Member { certificate: certificate.clone(), announcement: Some(announcement.clone()) };
    let entry = Box::new(member.clone());
    let succession = Succession { generation: 1, key: ClusterKey([1; 32]), signature: [2; 64] };
    let verdict = Verdict::Busy { wait_s: u16::MAX };
    let answer = Answer { beat: 1, verdict, vitals: large_vitals() };
    let request = JoinRequest { name: name.clone(), key, node_key, announcement };
    let welcome = Welcome {
        certificate,
        key: ClusterKey([1; 32]),
        cluster: name.clone(),
        services: vec![HsId([2; 32]); SERVICES_MAX],
    };
    vec![
        ("heartbeat", Body::Heartbeat(Heartbeat { beat: 1, vitals: large_vitals() })),
        ("answer", Body::Answer(answer)),
        ("members", Body::Members(vec![member; MEMBERS_PER_FRAME_MAX])),
        ("successions", Body::Successions(vec![succession; SUCCESSIONS_MAX])),
        ("present", Body::Present(entry.clone())),
        ("roster", Body::Roster(large_part())),
        ("seen", Body::Seen(name.clone(), Some(u32::MAX))),
        ("dead", Body::Dead(name, Incarnation(u64::MAX))),
        ("leave", Body::Leave(entry)),
        ("join", Body::Join(Box::new(request))),
        ("welcome", Body::Welcome(Box::new(welcome))),
        ("tokens", Body::Tokens(vec![large_token(); TOKENS_PER_FRAME_MAX])),
        ("lease", Body::Lease(Lease::Ask { epoch: Epoch(u64::MAX), number: u64::MAX })),
    ]
}
