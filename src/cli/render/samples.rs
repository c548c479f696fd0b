//! Documents of a node with two backends in several states, for tests.

use crate::status::{
    Check, Descriptor, Front, FrontKind, FrontState, Health, HsDir, HsDirState, Node, NodeState,
    PARTITION, PathName, Role, Service, SlotName, Status, Tor, TorState,
};
use crate::time::Wall;

const ONION: &str = "newsroomx4k27vw3rwckyecdqyqkvqk3zh5vxqdfh6zifyhkq4zhq7ad.onion";

fn hsdirs(states: [HsDirState; 8]) -> Vec<HsDir> {
    states.into_iter().enumerate().map(|(n, state)| HsDir::new(format!("{n:040}"), state)).collect()
}

fn descriptor(slot: SlotName, age_s: u64, next_refresh_s: u64) -> Descriptor {
    Descriptor {
        client_facing: Some(slot == SlotName::First),
        age_s: Some(age_s),
        intro_points: Some(6),
        next_refresh_s: Some(next_refresh_s),
        ..Descriptor::new(slot, 20_777).with_hsdirs(hsdirs([HsDirState::Confirmed; 8]))
    }
}

fn backend(name: &str, roster_age_s: u64) -> Front {
    Front {
        state: FrontState::Serving,
        intro_wanted: Some(3),
        intro_in_descriptor: Some(2),
        roster_age_s: Some(roster_age_s),
        ..Front::new(name, FrontKind::Backend)
    }
}

pub(super) fn healthy() -> Status {
    let mut status = Status::new("node-a", "1.0.0", Wall(1_795_183_503), 4242, 86_000);
    status.tor = Tor {
        version: Some("0.4.9.11".to_owned()),
        bootstrap_percent: Some(100),
        since_s: Some(85_990),
        ..Tor::new(TorState::Up)
    };
    status.services = vec![Service {
        descriptors: vec![
            descriptor(SlotName::First, 241, 3250),
            descriptor(SlotName::Second, 253, 4330),
        ],
        ..Service::new(ONION, true)
    }];
    let own = Front {
        state: FrontState::Serving,
        intro_established: Some(3),
        intro_wanted: Some(3),
        intro_in_descriptor: Some(2),
        roster_age_s: Some(3),
        ..Front::new("node-a", FrontKind::Node)
    };
    status.fronts = vec![own, backend("old-web1", 41), backend("old-web2", 250)];
    status.conclude()
}

pub(super) fn starting() -> Status {
    let mut status = healthy();
    status.uptime_s = 3;
    status.tor =
        Tor { since_s: Some(2), bootstrap_percent: Some(45), ..Tor::new(TorState::Connecting) };
    status.services[0].descriptors.clear();
    for front in &mut status.fronts {
        *front = Front::new(&front.name, front.kind);
    }
    status.conclude()
}

pub(super) fn tor_down() -> Status {
    let mut status = healthy();
    let error = "/run/tor/control: connection refused".to_owned();
    status.tor = Tor { since_s: Some(134), last_error: Some(error), ..Tor::new(TorState::Down) };
    status.fronts[0].state = FrontState::Gone;
    status.fronts[0].intro_established = Some(0);
    status.checks = vec![
        Check::new(
            Health::Warn,
            "TOR_DOWN",
            "tor's control port does not answer, so nothing can be published. Visitors are served \
             by the other fronts while the descriptor lives.",
        )
        .since(134)
        .hint("systemctl status tor@rustbalance tor@default"),
    ];
    status.conclude()
}

pub(super) fn backend_gone() -> Status {
    let mut status = healthy();
    let gone = &mut status.fronts[2];
    gone.state = FrontState::Gone;
    gone.intro_wanted = Some(0);
    gone.intro_in_descriptor = Some(0);
    gone.roster_age_s = Some(1900);
    status.checks = vec![
        Check::new(
            Health::Warn,
            "BACKEND_GONE",
            "no HSDir has its descriptor any more; its 2 introduction points left ours.",
        )
        .about("old-web2")
        .since(1300)
        .hint("on old-web2: systemctl status tor@default")
        .hint("never coming back: remove its [[backend]] and restart rustbalance"),
    ];
    status.conclude()
}

pub(super) fn partial() -> Status {
    use HsDirState::{Confirmed, Failed, Uploading, Waiting};
    let mut status = healthy();
    let states = [Confirmed, Confirmed, Confirmed, Confirmed, Uploading, Waiting, Failed, Failed];
    let mut dirs = hsdirs(states);
    for dir in dirs.iter_mut().filter(|dir| dir.state == Failed) {
        dir.last_result = Some("timeout".to_owned());
        dir.next_try_s = Some(180);
    }
    let first = status.services[0].descriptors.remove(0);
    status.services[0].descriptors.insert(0, first.with_hsdirs(dirs));
    status.conclude()
}

pub(super) fn nothing_confirmed() -> Status {
    let mut status = healthy();
    for descriptor in &mut status.services[0].descriptors {
        let dirs = hsdirs([HsDirState::Failed; 8]);
        *descriptor = descriptor.clone().with_hsdirs(dirs);
        descriptor.age_s = None;
        descriptor.next_refresh_s = None;
    }
    for front in &mut status.fronts {
        front.intro_in_descriptor = Some(0);
    }
    status.checks = vec![Check::new(
        Health::Crit,
        "PUBLISH_FAILED",
        "no HSDir took the descriptor: visitors cannot find the service.",
    )];
    status.conclude()
}

fn node(name: &str, seen_s: u64, rtt_s: f64) -> Node {
    Node {
        role: None,
        dead_at: Some(3),
        seen_s: Some(seen_s),
        path: Some(PathName::Wg),
        rtt_s: Some(rtt_s),
        intro_established: Some(3),
        intro_wanted: Some(3),
        intro_in_descriptor: Some(2),
        tor: Some(true),
        app: Some(true),
        clock_offset_s: Some(0),
        version: Some("1.0.0".to_owned()),
        ..Node::new(name, NodeState::Alive)
    }
}

fn dead(name: &str, seen_s: u64) -> Node {
    Node {
        seen_s: Some(seen_s),
        dead_at: Some(3),
        missed: 67,
        intro_in_descriptor: Some(0),
        version: Some("1.0.0".to_owned()),
        ..Node::new(name, NodeState::Dead)
    }
}

/// Three nodes and a backend, all well.
pub(super) fn cluster() -> Status {
    let mut status = healthy();
    status.cluster = Some("newsroom".to_owned());
    let own = Node {
        role: Some(Role::Publisher),
        seen_s: None,
        path: None,
        rtt_s: None,
        app: None,
        clock_offset_s: None,
        ..node("node-a", 0, 0.0)
    };
    let front = Node { role: Some(Role::Front), ..node("node-c", 6, 0.038) };
    status.nodes = vec![own, node("node-b", 2, 0.0144), front];
    status.fronts.truncate(2);
    status.conclude()
}

/// One node is dead, one suspect and reached over Tor.
pub(super) fn cluster_in_trouble() -> Status {
    let mut status = cluster();
    let by_tor = Node {
        state: NodeState::Suspect,
        missed: 2,
        path: Some(PathName::Tor),
        rtt_s: Some(1.94),
        clock_offset_s: Some(-31),
        ..node("node-b", 5, 0.0)
    };
    status.nodes = vec![status.nodes[0].clone(), by_tor, dead("node-c", 134)];
    status.nodes.push(Node::new("node-d", NodeState::Left));
    status.checks = vec![
        Check::new(
            Health::Warn,
            "PEER_DEAD",
            "node-c: silent for 2m14s on WireGuard and on Tor. Its intro points are not in the \
             descriptor. Visitors are served by the other nodes.",
        )
        .about("node-c")
        .hint("on node-c: systemctl status rustbalance tor@rustbalance")
        .hint("never coming back: rustbalance remove node-c"),
    ];
    status.conclude()
}

/// No other node is in sight.
pub(super) fn partitioned() -> Status {
    let mut status = cluster();
    status.nodes = vec![status.nodes[0].clone(), dead("node-b", 182), dead("node-c", 185)];
    status.checks = vec![
        Check::new(
            Health::Crit,
            PARTITION,
            "no peer in sight but Tor works here (bootstrap 100 %), so the others are probably \
             alive.",
        )
        .since(182)
        .hint("from another network: ask node-b and node-c for their status"),
    ];
    status.conclude()
}
