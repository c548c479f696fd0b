//! One machine of the world: who it is, what survives its restarts, what it said.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::super::testing::{address, announcement, front, member};
use super::super::super::*;
use super::super::world;
use crate::ident::{ClusterKey, IntroPoint, NodeId, PeerKey, TokenId};
use crate::message::{Body, Certificate, Door, Heartbeat, Member, Token, Vitals};
use crate::time::Wall;

/// A node of the world, by its place.
pub(in super::super) type Place = usize;

/// One machine: what survives a restart, and the engine while it runs.
pub(in super::super) struct Machine {
    pub(in super::super) settings: Settings,
    pub(in super::super) engine: Option<Engine>,
    /// What was written down last.
    pub(in super::super) file: MeshState,
    /// Its clock minus the world's.
    pub(in super::super) clock_ahead_s: i64,
    pub(in super::super) reports: Vec<(Mono, MeshReport)>,
    pub(in super::super) replies: Vec<(RequestId, Result<(), RequestError>)>,
    pub(in super::super) points: Vec<IntroPoint>,
    /// The points of the last descriptor that it uploaded, by front.
    pub(in super::super) plan: Option<Arc<Plan>>,
    pub(in super::super) uploads: usize,
    /// How often it wrote its state down.
    pub(in super::super) writes: usize,
    /// It sends and receives nothing; its clock and its engine stand still.
    pub(in super::super) paused: bool,
    pub(super) invitation: Option<TokenId>,
    pub(super) admitted: BTreeMap<PeerKey, PeerLink>,
    pub(super) spoken: BTreeSet<PeerKey>,
    pub(super) banned: BTreeSet<PeerKey>,
    pub(in super::super) doors: Vec<(TokenId, PeerKey)>,
    /// How often secrets were sent to it.
    pub(in super::super) secrets: usize,
    pub(super) tor: bool,
    pub(super) idle_wakes: u32,
    pub(super) woken: Mono,
    pub(super) life: u32,
}

pub(in super::super) fn key(place: Place) -> PeerKey {
    PeerKey([u8::try_from(place).unwrap() + 1; 32])
}

pub(in super::super) fn name(place: Place) -> NodeId {
    match u8::try_from(place).unwrap() {
        letter @ 0..26 => front(&format!("node-{}", char::from(b'a' + letter))),
        number => front(&format!("node-{number}")),
    }
}

pub(super) fn door(place: Place) -> Door {
    let number = u8::try_from(place).unwrap();
    Door {
        key: key(place),
        endpoint: Some(([10, 0, 0, number], 1).into()),
        onion: Some(address(number)),
    }
}

pub(in super::super) fn token(number: u8, issuer: Place) -> Token {
    Token {
        id: TokenId([number; 16]),
        key: PeerKey([number ^ 0x80; 32]),
        issuer: name(issuer),
        invited: None,
        bootstrap: true,
        publisher: true,
        expires: Wall(1_800_000_000 + 86_400),
        generation: 0,
        signature: [1; 64],
        used_by: None,
        revoked: false,
    }
}

pub(super) fn mesh_settings(place: Place, certificate: Option<Certificate>) -> MeshSettings {
    let number = u8::try_from(place).unwrap() + 1;
    let template = member(name(place).as_str(), number, 0);
    let mut said = announcement(&name(place), 0);
    said.instance = Some(address(number));
    MeshSettings {
        cluster: front("newsroom"),
        cluster_key: ClusterKey([9; 32]),
        key: key(place),
        node_key: template.certificate.node_key,
        announcement: said,
        certifier: certificate.is_some().then_some(0),
        has_master_keys: certificate.is_some(),
        certificate,
        state: MeshState::default(),
        doors: Vec::new(),
        heartbeat_interval: Duration::from_secs(2),
        dead_threshold: 3,
        removal_grace: Duration::from_secs(30),
        wireguard: true,
        tor_fallback: true,
        clock_tolerance: Duration::from_secs(5),
        expect: None,
    }
}

impl Machine {
    pub(super) fn new(place: Place, mesh: MeshSettings, seed: u64) -> Machine {
        let settings = Settings {
            node: name(place),
            backends: Vec::new(),
            verify: false,
            seed: seed + u64::try_from(place).unwrap(),
            mesh: Some(mesh),
            ..world::settings()
        };
        Machine {
            settings,
            engine: None,
            file: MeshState::default(),
            clock_ahead_s: 0,
            reports: Vec::new(),
            replies: Vec::new(),
            points: Vec::new(),
            plan: None,
            uploads: 0,
            writes: 0,
            paused: false,
            invitation: None,
            admitted: BTreeMap::new(),
            spoken: BTreeSet::new(),
            banned: BTreeSet::new(),
            doors: Vec::new(),
            secrets: 0,
            tor: false,
            idle_wakes: 0,
            woken: Mono::default(),
            life: 0,
        }
    }

    pub(in super::super) fn mesh(&mut self) -> &mut MeshSettings {
        self.settings.mesh.as_mut().unwrap()
    }

    pub(in super::super) fn said(&self, wanted: impl Fn(&MeshReport) -> bool) -> usize {
        self.reports.iter().filter(|(_, report)| wanted(report)).count()
    }
}

/// A heartbeat with nothing in it.
pub(in super::super) fn heartbeat(beat: u64) -> Body {
    Body::Heartbeat(Heartbeat { beat, vitals: Vitals::default() })
}

/// The entry of a node as the founder would have certified it.
pub(in super::super) fn entry(place: Place, incarnation: u64) -> Member {
    member(name(place).as_str(), u8::try_from(place).unwrap() + 1, incarnation)
}
