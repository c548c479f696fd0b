//! Values for the engine's tests.

use crate::ident::{HsId, Incarnation, IntroPoint, NodeId, NodeKey, PeerKey, RelayId, TokenId};
use crate::message::{Announcement, Certificate, Member};
use crate::time::{Mono, Now, TimePeriod, Wall};
use std::time::Duration;

/// A period of the public network's length.
pub(crate) fn period(number: u64) -> TimePeriod {
    TimePeriod { number, length_min: 1440, offset_s: 43_200 }
}

/// An introduction point at relay number `relay` with keys made from `key`.
pub(crate) fn point(relay: u8, key: u8) -> IntroPoint {
    IntroPoint {
        relay: RelayId([relay; 20]),
        link_specifiers: vec![relay; 65],
        onion_key: [relay; 32],
        auth_key: [key; 32],
        enc_key: [key; 32],
    }
}

/// A service's address, made from a number.
pub(crate) fn address(number: u8) -> HsId {
    HsId([number; 32])
}

/// A relay, made from a number.
pub(crate) fn relay(number: u8) -> RelayId {
    RelayId([number; 20])
}

/// A front's name.
pub(crate) fn front(name: &str) -> NodeId {
    name.parse().unwrap()
}

/// The moment `seconds` after the start of a test.
pub(crate) fn at(seconds: f64) -> Now {
    let mono = Mono(Duration::from_secs_f64(seconds));
    Now { mono, wall: Wall(1_800_000_000) + mono.0 }
}

/// A member with keys made from `number`, in this incarnation.
pub(crate) fn member(name: &str, number: u8, incarnation: u64) -> Member {
    let name = front(name);
    Member {
        certificate: Certificate {
            name: name.clone(),
            key: PeerKey([number; 32]),
            node_key: NodeKey([number; 32]),
            bootstrap: true,
            publisher: true,
            removed: false,
            serial: 1,
            issued: Wall(1_800_000_000),
            token: TokenId([0; 16]),
            generation: 0,
            signature: [1; 64],
        },
        announcement: Some(announcement(&name, incarnation)),
    }
}

/// What a node that nothing sets apart announces.
pub(crate) fn announcement(name: &NodeId, incarnation: u64) -> Announcement {
    Announcement {
        name: name.clone(),
        incarnation: Incarnation(incarnation),
        endpoint: Some(([10, 0, 0, 1], 51820).into()),
        onion: None,
        client_key: None,
        instance: None,
        priority: 100,
        weight: 1,
        spare: false,
        drained: false,
        left: false,
        version: "1.0.0".to_owned(),
        signature: [1; 64],
    }
}
