//! What goes wrong between nodes: rumours, clashes, floods, clocks, stale frames, lost state.

use super::super::*;
use super::mesh_world::{MeshWorld, entry, heartbeat, key, name, token};
use crate::ident::{Incarnation, NodeId};
use crate::message::{Answer, Body, Frame, Party, Path, Refusal, Verdict, Vitals};

/// Seconds after which everything is as before.
const HEALED: f64 = 40.0;

fn reregistered(world: &MeshWorld, place: usize, wanted: Reregistration) -> usize {
    world.nodes[place]
        .said(|report| matches!(report, MeshReport::Reregistered { why, .. } if *why == wanted))
}

#[test]
fn a_rumour_of_our_death_is_contradicted_once_and_nobody_believes_it() {
    let mut world = MeshWorld::of(3, 40);
    let before = world.view(0).incarnation;
    for _ in 0..5 {
        world.forge(0, 1, Body::Dead(name(0), before));
    }
    world.forge(0, 1, Body::Dead(name(0), Incarnation(u64::MAX)));
    world.run(5.0);
    let contradicted = MeshReport::RumourContradicted { by: name(1) };
    assert_eq!(world.nodes[0].said(|report| *report == contradicted), 1);
    assert_eq!(world.view(0).incarnation, Incarnation(before.0 + 1));
    world.assert_agreed();
    let known = world.view(2).peers.iter().find(|peer| peer.name == name(0)).unwrap().incarnation;
    assert_eq!(known, Incarnation(before.0 + 1), "and it is said to all");
}

#[test]
fn rumours_without_end_are_contradicted_a_few_times_a_second() {
    let mut world = MeshWorld::of(3, 58);
    let (before, writes) = (world.view(0).incarnation.0, world.nodes[0].writes);
    for number in 0..100 {
        world.forge(0, 1, Body::Dead(name(0), Incarnation(before + number)));
        world.run(0.002);
    }
    let raised = world.view(0).incarnation.0 - before;
    assert!((1..=8).contains(&raised), "{raised}");
    assert!(world.nodes[0].writes - writes <= 20);
    world.run(HEALED);
    world.assert_agreed();
}

#[test]
fn an_entry_that_says_we_left_is_contradicted() {
    let mut world = MeshWorld::of(3, 41);
    let before = world.view(0).incarnation.0;
    let mut gone = entry(0, before + 7);
    gone.announcement.as_mut().unwrap().left = true;
    world.forge(1, 2, Body::Members(vec![gone.clone()]));
    world.forge(0, 1, Body::Members(vec![gone]));
    world.run(HEALED);
    world.assert_agreed();
    assert_eq!(world.view(0).incarnation, Incarnation(before + 8));
    let contradicted =
        |report: &MeshReport| matches!(report, MeshReport::RumourContradicted { .. });
    assert_eq!(world.nodes[0].said(contradicted), 1);
}

#[test]
fn a_rumour_about_another_makes_nobody_dead_who_is_heard() {
    let mut world = MeshWorld::of(3, 42);
    world.forge(0, 1, Body::Dead(name(2), Incarnation(u64::MAX)));
    world.run(10.0);
    world.assert_agreed();
    let dead = |report: &MeshReport| matches!(report, MeshReport::PeerDead { .. });
    assert_eq!(world.nodes[0].said(dead), 0);
}

#[test]
fn the_later_of_two_with_one_name_is_refused_and_named() {
    let mut world = MeshWorld::of(3, 43);
    let mut late = entry(9, 1);
    late.certificate.name = name(2);
    late.certificate.issued = world.now(0).wall;
    late.announcement.as_mut().unwrap().name = name(2);
    for _ in 0..3 {
        world.inject(0, Party::Peer(key(9)), 1, Body::Present(Box::new(late.clone())));
    }
    let clash = MeshReport::NameClash { name: name(2) };
    assert_eq!(world.nodes[0].said(|report| *report == clash), 1);
    world.run(5.0);
    world.assert_agreed();
}

#[test]
fn frames_of_an_earlier_life_are_refused_and_counted() {
    let mut world = MeshWorld::of(2, 44);
    let old = world.view(1).incarnation.0 - 1;
    world.inject(0, Party::Peer(key(1)), old, heartbeat(1));
    world.inject(0, Party::Peer(key(1)), old, Body::Dead(name(0), Incarnation(u64::MAX - 1)));
    let stale = (Some(name(1)), Path::WireGuard, Refusal::Stale, 2);
    assert!(world.view(0).refused.contains(&stale));
    let told =
        |report: &MeshReport| matches!(report, MeshReport::Refused { reason: Refusal::Stale, .. });
    assert_eq!(world.nodes[0].said(told), 1, "said once");
}

#[test]
fn a_node_whose_clock_went_back_while_its_file_was_lost_is_heard_again() {
    let mut world = MeshWorld::of(3, 45);
    world.kill(2);
    world.lose_file(2);
    world.nodes[2].clock_ahead_s = -100_000;
    world.run(3.0);
    world.start(2);
    world.run(HEALED);
    assert_eq!([0, 1].map(|at| world.state(2, at)), [Some(PeerState::Alive); 2]);
    assert_eq!([0, 1].map(|of| world.state(of, 2)), [Some(PeerState::Alive); 2]);
}

#[test]
fn a_clock_that_is_off_is_named_and_makes_nobody_dead() {
    let mut world = MeshWorld::of(3, 46);
    world.nodes[2].clock_ahead_s = 31;
    world.run(60.0);
    let skew = |report: &MeshReport| {
        matches!(report, MeshReport::ClockSkew { peer, ahead_s } if *peer == name(2)
            && (30..=32).contains(ahead_s))
    };
    assert_eq!([0, 1].map(|at| world.nodes[at].said(skew)), [1, 1]);
    let view = world.view(0);
    let peer = view.peers.iter().find(|peer| peer.name == name(2)).unwrap();
    assert!(peer.clock_bad && peer.state == PeerState::Alive, "{peer:?}");
    world.nodes[2].clock_ahead_s = 0;
    world.run(60.0);
    let agrees = MeshReport::ClockAgrees { peer: name(2) };
    assert_eq!(world.nodes[0].said(|report| *report == agrees), 1);
}

#[test]
fn a_peer_that_floods_is_told_to_wait_and_hinders_nobody() {
    let mut world = MeshWorld::of(3, 47);
    for second in 0..20 {
        for beat in 0..200 {
            world.forge(0, 1, heartbeat(100_000 + 200 * second + beat));
        }
        world.run(1.0);
    }
    let flood = |(peer, _, why, count): &(Option<NodeId>, Path, Refusal, u64)| {
        *peer == Some(name(1)) && *why == Refusal::Flood && *count > 500
    };
    assert!(world.view(0).refused.iter().any(flood), "{:?}", world.view(0).refused);
    assert!(world.busy > 500, "{}", world.busy);
    assert_eq!(world.state(2, 0), Some(PeerState::Alive));
    assert_eq!(world.state(0, 2), Some(PeerState::Alive));
    let dead = |report: &MeshReport| matches!(report, MeshReport::PeerDead { .. });
    assert_eq!([0, 1, 2].map(|at| world.nodes[at].said(dead)), [0, 0, 0]);
    world.run(HEALED);
    world.assert_agreed();
}

#[test]
fn whoever_floods_keeps_nobody_else_waiting() {
    let mut world = MeshWorld::of(3, 56);
    let stranger = Party::Peer(key(9));
    for second in 0..20 {
        for beat in 0..150 {
            world.forge(0, 1, heartbeat(100_000 + 200 * second + beat));
            world.inject(0, stranger, 1, heartbeat(1 + beat));
        }
        world.run(1.0);
    }
    let told_to_wait = |report: &MeshReport| matches!(report, MeshReport::PeerBusy { .. });
    assert!(world.busy > 500, "{}", world.busy);
    assert_eq!(world.nodes[2].said(told_to_wait), 0, "{:?}", world.nodes[2].reports);
}

#[test]
fn a_stranger_learns_nothing_but_that_it_is_unknown() {
    let mut world = MeshWorld::of(2, 57);
    let now = world.now(0);
    let engine = world.nodes[0].engine.as_mut().unwrap();
    let frame = Frame { incarnation: Incarnation(1), sequence: 1, body: heartbeat(7) };
    let (from, path) = (Party::Peer(key(9)), Path::WireGuard);
    engine.handle(Input::FrameReceived { from, path, frame: Box::new(frame) }, now);
    let said = std::iter::from_fn(|| engine.poll_action()).find_map(|action| match action {
        Action::Send { to, frame, .. } if to == from => Some(frame.body),
        _ => None,
    });
    let (verdict, vitals) = (Verdict::Unknown, Vitals::default());
    assert_eq!(said, Some(Body::Answer(Answer { beat: 7, verdict, vitals })));
}

#[test]
fn a_busy_peer_is_left_alone_as_long_as_it_asks() {
    let mut world = MeshWorld::of(2, 48);
    let answer = |verdict| {
        let vitals = Vitals::default();
        Body::Answer(Answer { beat: 1, verdict, vitals })
    };
    world.nodes[0].reports.clear();
    world.forge(0, 1, answer(Verdict::Busy { wait_s: 20 }));
    let before = world.view(0).peers[0].sent;
    world.run(19.0);
    assert_eq!(world.view(0).peers[0].sent, before);
    let busy = |report: &MeshReport| matches!(report, MeshReport::PeerBusy { wait, .. } if wait.as_secs() == 20);
    assert_eq!(world.nodes[0].said(busy), 1);
    assert_eq!(reregistered(&world, 0, Reregistration::Unknown), 0);
    world.run(20.0);
    world.assert_agreed();
}

#[test]
fn a_peer_that_forgot_us_is_told_at_once_who_we_are() {
    let mut world = MeshWorld::of(2, 49);
    world.kill(0);
    world.lose_file(0);
    world.start(0);
    world.run(3.0);
    assert_eq!(reregistered(&world, 1, Reregistration::Unknown), 1);
    assert_eq!(world.state(1, 0), Some(PeerState::Alive));
}

#[test]
fn a_peer_that_knows_only_our_certificate_is_told_the_rest() {
    let mut world = MeshWorld::of(2, 50);
    world.kill(0);
    for member in &mut world.nodes[0].file.members {
        member.announcement = None;
    }
    world.start(0);
    world.run(3.0);
    assert_eq!(reregistered(&world, 1, Reregistration::Restarted), 1);
    world.run(5.0);
    world.assert_agreed();
    assert!(world.endpoint(1, 0).is_some());
}

#[test]
fn a_peer_that_was_out_of_reach_is_told_again_who_we_are() {
    let mut world = MeshWorld::of(3, 51);
    world.cut(0, 2, &Path::BOTH);
    world.run(30.0);
    assert!(reregistered(&world, 2, Reregistration::Unreachable) >= 1);
    assert!(reregistered(&world, 2, Reregistration::Full) >= 1, "three in a row");
    world.heal();
    world.run(60.0);
    world.assert_agreed();
}

#[test]
fn whoever_misses_members_asks_around() {
    let mut world = MeshWorld::of(3, 52);
    world.nodes[0].reports.clear();
    world.kill(2);
    world.run(60.0);
    let discovery = MeshReport::Discovery { alive: 2, expected: 3 };
    assert_eq!(world.nodes[0].said(|report| *report == discovery), 1);
    world.start(2);
    world.run(60.0);
    world.assert_agreed();
}

#[test]
fn a_node_that_stood_still_accuses_nobody() {
    let mut world = MeshWorld::of(3, 53);
    for _ in 0..10 {
        world.nodes[1].paused = true;
        world.run(3.0);
        world.nodes[1].paused = false;
        world.run(27.0);
    }
    let accused = |report: &MeshReport| {
        matches!(report, MeshReport::PeerMissed { .. } | MeshReport::PeerDead { .. })
    };
    assert_eq!(world.nodes[1].said(accused), 0, "{:?}", world.nodes[1].reports);
    let dead = |report: &MeshReport| matches!(report, MeshReport::PeerDead { .. });
    assert_eq!([0, 2].map(|at| world.nodes[at].said(dead)), [0, 0]);
}

#[test]
fn of_a_member_without_wireguard_nobody_says_that_it_is_silent() {
    for (endpoint, said) in [(None, false), (Some(([192, 0, 2, 9], 1).into()), true)] {
        let mut world = MeshWorld::of(2, 59);
        world.say(0, Input::TokenIssued(Box::new(token(30, 0))));
        world.add_newcomer(2, 30);
        let mesh = world.nodes[2].mesh();
        mesh.wireguard = false;
        mesh.announcement.endpoint = endpoint;
        for other in [0, 1] {
            world.cut(2, other, &[Path::WireGuard]);
        }
        world.start(2);
        world.run(60.0);
        world.assert_agreed();
        let changed = |report: &MeshReport| matches!(report, MeshReport::PathChanged { silent, .. } if !silent.is_zero());
        assert_eq!([0, 1].map(|at| world.nodes[at].said(changed) > 0), [said; 2]);
    }
}

#[test]
fn blocked_udp_moves_heartbeats_to_tor_and_back_without_a_death() {
    let mut world = MeshWorld::of(3, 54);
    world.cut(0, 1, &[Path::WireGuard]);
    world.run(20.0);
    let moved = |at: usize, to: Path| {
        let changed = |report: &MeshReport| matches!(report, MeshReport::PathChanged { path, .. } if *path == to);
        world.nodes[at].said(changed)
    };
    assert_eq!((moved(0, Path::Tor), moved(1, Path::Tor)), (1, 1));
    world.heal();
    world.run(60.0);
    world.assert_agreed();
    let dead = |report: &MeshReport| matches!(report, MeshReport::PeerDead { .. });
    assert_eq!([0, 1, 2].map(|at| world.nodes[at].said(dead)), [0, 0, 0]);
}

#[test]
fn invitations_are_known_to_every_bootstrap_node() {
    let mut world = MeshWorld::of(3, 55);
    world.cut(0, 2, &Path::BOTH);
    world.say(0, Input::TokenIssued(Box::new(token(80, 0))));
    world.run(5.0);
    let knows = |world: &MeshWorld, at| {
        world.view(at).tokens.iter().any(|known| known.id == token(80, 0).id)
    };
    assert!(knows(&world, 1) && knows(&world, 2));
    world.kill(1);
    world.lose_file(1);
    world.heal();
    world.start(1);
    world.run(70.0);
    assert!(knows(&world, 1), "once a minute they are compared");
}

/// Kills, restarts with and without the file, cuts and losses, drawn by the seed.
fn trouble(seed: u64, rounds: u32) {
    let mut world = MeshWorld::of(5, seed);
    let door = world.nodes[1].mesh().doors.clone();
    world.nodes.iter_mut().for_each(|machine| machine.mesh().doors.clone_from(&door));
    let mut rng = super::super::rng::Rng::new(seed);
    for _ in 0..rounds {
        let (place, other) = (rng.below(5), rng.below(5));
        match rng.below(7) {
            0 => world.kill(place),
            1 => {
                world.kill(place);
                world.lose_file(place);
            }
            2 | 3 if world.nodes[place].engine.is_none() => world.start(place),
            4 if place != other => world.cut(place, other, &[Path::BOTH[rng.below(2)]]),
            5 => world.loss = rng.below(300),
            6 => world.heal(),
            _ => {}
        }
        world.run(f64::from(u32::try_from(rng.below(12)).unwrap()));
    }
    world.heal();
    world.loss = 0;
    for place in (0..5).filter(|&place| world.nodes[place].engine.is_none()).collect::<Vec<_>>() {
        world.start(place);
    }
    world.run(120.0);
    println!("seed {seed}");
    world.assert_agreed();
    assert!((0..5).all(|place| world.view(place).peers.len() == 4));
}

#[test]
fn whatever_happened_all_agree_when_it_is_over() {
    (100..130).for_each(|seed| trouble(seed, 30));
}
