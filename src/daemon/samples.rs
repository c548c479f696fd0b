//! Members, peers and views for tests.

use std::time::Duration;

use crate::engine::{MeshView, PeerState, PeerView};
use crate::ident::{HsId, Incarnation, NodeKey, PeerKey, TokenId};
use crate::message::{Announcement, Certificate, Path, Token};
use crate::time::Wall;

/// A certificate that nobody signed.
pub(crate) fn certificate(name: &str) -> Certificate {
    Certificate {
        name: name.parse().unwrap(),
        key: PeerKey([1; 32]),
        node_key: NodeKey([2; 32]),
        bootstrap: true,
        publisher: false,
        removed: false,
        serial: 7,
        issued: Wall(1_795_176_000),
        token: TokenId([3; 16]),
        generation: 1,
        signature: [4; 64],
    }
}

/// An announcement that nobody signed.
pub(crate) fn announcement(name: &str) -> Announcement {
    Announcement {
        name: name.parse().unwrap(),
        incarnation: Incarnation(u64::MAX),
        endpoint: Some(([192, 0, 2, 1], 51820).into()),
        onion: Some(HsId([5; 32])),
        client_key: Some([6; 32]),
        instance: None,
        priority: 100,
        weight: 1,
        spare: false,
        drained: true,
        left: false,
        version: "1.0.0".to_owned(),
        signature: [7; 64],
    }
}

/// The record of an unused invitation that nobody signed.
pub(crate) fn token() -> Token {
    Token {
        id: TokenId([8; 16]),
        key: PeerKey([9; 32]),
        issuer: "node-a".parse().unwrap(),
        invited: Some("node-b".parse().unwrap()),
        bootstrap: false,
        publisher: true,
        expires: Wall(1_795_262_400),
        generation: 0,
        signature: [10; 64],
        used_by: None,
        revoked: false,
    }
}

/// A peer that is well, over WireGuard.
pub(crate) fn peer(name: &str) -> PeerView {
    PeerView {
        name: name.parse().unwrap(),
        key: PeerKey([1; 32]),
        endpoint: Some(([192, 0, 2, 2], 51820).into()),
        onion: None,
        state: PeerState::Alive,
        missed: 0,
        last_heard: Some(Duration::from_millis(2100)),
        heard_over: [Some(Duration::from_millis(2100)), None],
        path: Some(Path::WireGuard),
        rtt: Some(Duration::from_millis(14)),
        vouched_by: None,
        points: 3,
        tor: Some(true),
        app: Some(true),
        clock_ahead_s: Some(0),
        clock_bad: false,
        version: Some("1.0.0".to_owned()),
        incarnation: Incarnation(1),
        bootstrap: true,
        publisher: true,
        spare: false,
        drained: false,
        disagrees: false,
        damped: None,
        busy: None,
        sent: [1, 0],
        received: [1, 0],
        deaths: 0,
    }
}

/// A mesh in which nothing is amiss.
pub(crate) fn mesh(peers: Vec<PeerView>) -> MeshView {
    MeshView {
        incarnation: Incarnation(1),
        joining: None,
        gone: false,
        view: 0x9f31_c2aa,
        partitioned: None,
        expected: peers.len() + 1,
        endpoint: None,
        peers,
        refused: Vec::new(),
        twin: None,
        tokens: Vec::new(),
    }
}
