//! Made-up frames and clusters for this room's tests.

mod large;

use std::net::SocketAddr;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use zeroize::Zeroizing;

use crate::ident::{
    ClusterId, ClusterKey, Epoch, HsId, Incarnation, IntroPoint, LINK_SPECIFIERS_MAX_BYTES, NodeId,
    NodeKey, PeerKey, RelayId, TokenId,
};
use crate::message::*;
use crate::time::{TimePeriod, Wall};

use super::certify::{Certifier, NodeSigner};
use super::secret::{Secret, SecretKind};

pub(super) use large::{
    large_announcement, large_certificate, large_part, large_token, large_vitals, largest_bodies,
};

fn name() -> impl Strategy<Value = NodeId> {
    "[a-z0-9-]{1,32}".prop_map(|name| name.parse().unwrap())
}

fn address() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        any::<([u8; 4], u16)>().prop_map(SocketAddr::from),
        any::<([u8; 16], u16)>().prop_map(SocketAddr::from),
    ]
}

fn signature() -> impl Strategy<Value = [u8; 64]> {
    vec(any::<u8>(), 64).prop_map(|bytes| bytes.try_into().unwrap())
}

prop_compose! {
    fn lease_view()(epoch: u64, holder in name(), left_ms: u32) -> LeaseView {
        LeaseView { epoch: Epoch(epoch), holder, left_ms }
    }
}

prop_compose! {
    fn vitals()(
        (wall, members, view, roster) in any::<(u64, u64, u64, u64)>(),
        (points, alive, tor, app, eligible) in any::<(u8, u8, bool, Option<bool>, bool)>(),
        lease in option::of(lease_view()),
        signed in vec(any::<(u64, u64)>(), 0..=SIGNED_MAX),
    ) -> Vitals {
        let signed = signed.into_iter().map(|(period, at)| (period, Wall(at))).collect();
        let wall = Wall(wall);
        Vitals { wall, members, view, roster, points, alive, tor, app, eligible, lease, signed }
    }
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        Just(Verdict::Known),
        Just(Verdict::Unknown),
        Just(Verdict::Restarted),
        any::<u16>().prop_map(|wait_s| Verdict::Busy { wait_s }),
    ]
}

prop_compose! {
    pub(super) fn certificate()(
        name in name(),
        (key, node_key, token) in any::<([u8; 32], [u8; 32], [u8; 16])>(),
        (bootstrap, publisher, removed) in any::<(bool, bool, bool)>(),
        (serial, issued, generation) in any::<(u64, u64, u32)>(),
        signature in signature(),
    ) -> Certificate {
        Certificate {
            name,
            key: PeerKey(key),
            node_key: NodeKey(node_key),
            bootstrap,
            publisher,
            removed,
            serial,
            issued: Wall(issued),
            token: TokenId(token),
            generation,
            signature,
        }
    }
}

prop_compose! {
    pub(super) fn announcement()(
        (name, endpoint) in (name(), option::of(address())),
        incarnation: u64,
        (onion, client_key, instance) in any::<(Option<[u8; 32]>, Option<[u8; 32]>, Option<[u8; 32]>)>(),
        (priority, weight) in (any::<u16>(), 1..=100_u8),
        (spare, drained, left) in any::<(bool, bool, bool)>(),
        version in "[ -~]{0,32}",
        signature in signature(),
    ) -> Announcement {
        Announcement {
            name,
            incarnation: Incarnation(incarnation),
            endpoint,
            onion: onion.map(HsId),
            client_key,
            instance: instance.map(HsId),
            priority,
            weight,
            spare,
            drained,
            left,
            version,
            signature,
        }
    }
}

prop_compose! {
    fn member()(
        certificate in certificate(),
        announcement in option::of(announcement()),
    ) -> Member {
        Member { certificate, announcement }
    }
}

prop_compose! {
    fn succession()(generation: u32, key: [u8; 32], signature in signature()) -> Succession {
        Succession { generation, key: ClusterKey(key), signature }
    }
}

prop_compose! {
    pub(super) fn token()(
        (id, key, used_by) in any::<([u8; 16], [u8; 32], Option<[u8; 32]>)>(),
        (issuer, invited) in (name(), option::of(name())),
        (bootstrap, publisher, revoked) in any::<(bool, bool, bool)>(),
        (expires, generation) in any::<(u64, u32)>(),
        signature in signature(),
    ) -> Token {
        Token {
            id: TokenId(id),
            key: PeerKey(key),
            issuer,
            invited,
            bootstrap,
            publisher,
            expires: Wall(expires),
            generation,
            signature,
            used_by: used_by.map(PeerKey),
            revoked,
        }
    }
}

prop_compose! {
    fn request()(
        name in name(),
        key: [u8; 32],
        node_key: [u8; 32],
        announcement in announcement(),
    ) -> JoinRequest {
        JoinRequest { name, key: PeerKey(key), node_key: NodeKey(node_key), announcement }
    }
}

prop_compose! {
    fn welcome()(
        certificate in certificate(),
        key: [u8; 32],
        cluster in name(),
        services in vec(any::<[u8; 32]>(), 0..=SERVICES_MAX),
    ) -> Welcome {
        let services = services.into_iter().map(HsId).collect();
        Welcome { certificate, key: ClusterKey(key), cluster, services }
    }
}

fn point_key() -> impl Strategy<Value = [u8; 32]> {
    any::<[u8; 32]>().prop_filter("keys are not zero", |key| *key != [0; 32])
}

prop_compose! {
    fn point()(
        relay: [u8; 20],
        link_specifiers in vec(any::<u8>(), 1..=LINK_SPECIFIERS_MAX_BYTES),
        (onion_key, auth_key, enc_key) in (point_key(), point_key(), point_key()),
    ) -> IntroPoint {
        IntroPoint { relay: RelayId(relay), link_specifiers, onion_key, auth_key, enc_key }
    }
}

prop_compose! {
    fn part()(
        version: u64,
        (part, parts) in (1..=14_u8).prop_flat_map(|parts| (0..parts, Just(parts))),
        (number, length_min, offset_s) in any::<(u64, u64, u64)>(),
        flow_control in option::of("[ -~]{0,64}"),
        points in vec(point(), 1..=POINTS_PER_PART_MAX),
    ) -> RosterPart {
        let period = TimePeriod { number, length_min, offset_s };
        RosterPart { version, part, parts, period, flow_control, points }
    }
}

fn refusal() -> impl Strategy<Value = JoinRefusal> {
    prop::sample::select(vec![
        JoinRefusal::TokenUsed,
        JoinRefusal::TokenExpired,
        JoinRefusal::TokenRevoked,
        JoinRefusal::InviterGone,
        JoinRefusal::OtherName,
        JoinRefusal::NameTaken,
        JoinRefusal::KeyTaken,
        JoinRefusal::Full,
        JoinRefusal::NotBootstrap,
        JoinRefusal::Malformed,
    ])
}

fn lease() -> impl Strategy<Value = Lease> {
    (any::<u64>(), any::<u64>(), 0..4_u8).prop_map(|(epoch, number, which)| {
        let epoch = Epoch(epoch);
        match which {
            0 => Lease::Ask { epoch, number },
            1 => Lease::Promise { epoch, number },
            2 => Lease::Refuse { epoch, number },
            _ => Lease::Release { epoch },
        }
    })
}

/// Every kind of body.
pub(super) fn body() -> impl Strategy<Value = Body> {
    let heartbeat = (any::<u64>(), vitals()).prop_map(|(beat, vitals)| Heartbeat { beat, vitals });
    let answer = (any::<u64>(), verdict(), vitals());
    let answer = answer.prop_map(|(beat, verdict, vitals)| Answer { beat, verdict, vitals });
    let dead = (name(), any::<u64>()).prop_map(|(who, n)| Body::Dead(who, Incarnation(n)));
    let mute = vec![
        Body::PullMembers,
        Body::PullRoster,
        Body::LeaveSeen,
        Body::PullTokens,
        Body::PullSecrets,
    ];
    prop_oneof![
        4 => prop::sample::select(mute),
        1 => heartbeat.prop_map(Body::Heartbeat),
        1 => answer.prop_map(Body::Answer),
        1 => vec(member(), 0..=MEMBERS_PER_FRAME_MAX).prop_map(Body::Members),
        1 => vec(succession(), 0..=SUCCESSIONS_MAX).prop_map(Body::Successions),
        1 => member().prop_map(|member| Body::Present(Box::new(member))),
        1 => part().prop_map(Body::Roster),
        1 => name().prop_map(Body::AskSeen),
        1 => (name(), any::<Option<u32>>()).prop_map(|(who, ago)| Body::Seen(who, ago)),
        1 => dead,
        1 => member().prop_map(|member| Body::Leave(Box::new(member))),
        1 => request().prop_map(|request| Body::Join(Box::new(request))),
        1 => welcome().prop_map(|welcome| Body::Welcome(Box::new(welcome))),
        1 => refusal().prop_map(Body::JoinRefused),
        1 => vec(token(), 0..=TOKENS_PER_FRAME_MAX).prop_map(Body::Tokens),
        1 => lease().prop_map(Body::Lease),
    ]
}

prop_compose! {
    /// Any frame that may be sent.
    pub(super) fn frame()(incarnation: u64, sequence: u64, body in body()) -> Frame {
        Frame { incarnation: Incarnation(incarnation), sequence, body }
    }
}

prop_compose! {
    /// Any secret that may be sent.
    pub(super) fn secret()(
        (incarnation, sequence, generation) in any::<(u64, u64, u32)>(),
        onion in option::of(any::<[u8; 32]>()),
        bytes in vec(any::<u8>(), 64),
    ) -> Secret {
        let what = onion.map_or(SecretKind::ClusterKey { generation }, |onion| {
            SecretKind::MasterKey(HsId(onion))
        });
        let bytes = Zeroizing::new(bytes[..what.bytes()].to_vec());
        Secret { incarnation: Incarnation(incarnation), sequence, what, bytes }
    }
}

prop_compose! {
    /// Any list of doors that an invitation may name.
    pub(super) fn doors()(
        doors in vec((any::<[u8; 32]>(), address(), any::<[u8; 32]>(), 0..3_u8), 1..=4),
    ) -> Vec<Door> {
        let door = |(key, endpoint, onion, ways)| Door {
            key: PeerKey(key),
            endpoint: (ways != 0).then_some(endpoint),
            onion: (ways != 1).then_some(HsId(onion)),
        };
        doors.into_iter().map(door).collect()
    }
}

/// A cluster with one member, everything signed.
pub(super) struct Signers {
    pub(super) certifier: Certifier,
    pub(super) node: NodeSigner,
}

impl Signers {
    pub(super) fn new() -> Signers {
        Signers {
            certifier: Certifier::from_seed(&[0x51; 32], 0),
            node: NodeSigner::from_seed(&[0x52; 32]),
        }
    }

    /// The node's entry, certified by `certifier`.
    pub(super) fn member(&self, certifier: &Certifier) -> Member {
        let mut certificate = large_certificate();
        certificate.node_key = self.node.key();
        let announcement = self.node.sign_announcement(large_announcement()).unwrap();
        let certificate = certifier.sign_certificate(certificate);
        Member { certificate, announcement: Some(announcement) }
    }

    /// The record of an invitation.
    pub(super) fn token(&self) -> Token {
        self.certifier.sign_token(large_token())
    }
}

/// A name for a cluster.
pub(super) const CLUSTER: ClusterId = ClusterId([0xc1; 16]);
