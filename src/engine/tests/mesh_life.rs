//! The life of a cluster: nodes die and return, leave, are removed, lose their state.

use super::super::testing::point;
use super::super::*;
use super::mesh_world::{MeshWorld, entry, name};
use crate::ident::IntroPoint;
use crate::message::{Body, Member, Path, Refusal};

const HEALING: f64 = 40.0;

fn dead(report: &MeshReport) -> bool {
    matches!(report, MeshReport::PeerDead { .. })
}

fn points(place: u8) -> Vec<IntroPoint> {
    (1..=3).map(|n| point(10 * place + n, 10 * place + n)).collect()
}

/// Three nodes whose tors have introduction points of their own.
fn serving() -> MeshWorld {
    let mut world = MeshWorld::of(3, 20);
    for place in 0..3 {
        world.give_tor(place, points(u8::try_from(place).unwrap() + 1));
    }
    world.run(30.0);
    world
}

/// How many points of each node the descriptor at `place` names.
fn listed(world: &MeshWorld, place: usize) -> Vec<usize> {
    let plan = world.nodes[place].plan.as_ref().expect("it published");
    (0..3).map(|of| plan.count_of(&name(of))).collect()
}

#[test]
fn any_one_and_any_two_of_five_die_and_return() {
    let mut victims: Vec<Vec<usize>> = (0..5).map(|a| vec![a]).collect();
    victims.extend((0..5).flat_map(|a| (0..a).map(move |b| vec![a, b])));
    let mut world = MeshWorld::of(5, 21);
    for gone in victims {
        for machine in &mut world.nodes {
            machine.reports.clear();
        }
        gone.iter().for_each(|&place| world.kill(place));
        world.run(15.0);
        for at in (0..5).filter(|at| !gone.contains(at)) {
            for &of in &gone {
                assert_eq!(world.state(of, at), Some(PeerState::Dead), "{gone:?} at {at}");
            }
            assert_eq!(world.nodes[at].said(dead), gone.len(), "{gone:?} at {at}");
        }
        gone.iter().for_each(|&place| world.start(place));
        world.run(HEALING);
        world.assert_agreed();
        let recovered = |report: &MeshReport| matches!(report, MeshReport::PeerRecovered { .. });
        let at = (0..5).find(|at| !gone.contains(at)).unwrap();
        assert_eq!(world.nodes[at].said(recovered), gone.len(), "{gone:?}");
    }
}

#[test]
fn a_quiet_cluster_says_and_writes_nothing_and_a_peer_costs_two_frames_a_beat() {
    let mut world = MeshWorld::of(5, 33);
    for machine in &mut world.nodes {
        machine.reports.clear();
        machine.writes = 0;
    }
    let before = world.sent;
    world.run(600.0);
    for machine in &world.nodes {
        assert_eq!((machine.reports.as_slice(), machine.writes), (&[][..], 0));
    }
    let links = 5 * 4;
    // A beat and its answer each 2 s, a beat and its answer over Tor each 25 s, and once a minute
    // a look at the invitations.
    let each_s = (world.sent - before) as f64 / 600.0 / f64::from(links);
    assert!((0.9..=1.2).contains(&each_s), "{each_s} frames per second and peer");
}

#[test]
fn thirty_nodes_join_and_agree() {
    let mut world = MeshWorld::new(34);
    for place in 1..30 {
        world.join(place, 10 + u8::try_from(place).unwrap());
    }
    let start = world.mono;
    while world.view(0).peers.len() < 29 {
        world.run(1.0);
    }
    println!("known to all after {:?}, {} frames", world.mono - start, world.sent);
    world.run(12.0);
    world.assert_agreed();
    let refused: Vec<_> = world.view(0).refused;
    let flood = refused.iter().any(|(_, _, why, _)| *why == Refusal::Flood);
    assert!(!flood, "{refused:?}");
}

#[test]
fn a_restart_without_the_file_finds_everybody_again() {
    let mut world = MeshWorld::of(4, 22);
    world.kill(2);
    world.lose_file(2);
    world.run(1.0);
    world.start(2);
    world.run(HEALING);
    world.assert_agreed();
}

#[test]
fn all_restart_without_their_files_and_find_each_other_through_one_configured_door() {
    let mut world = MeshWorld::of(4, 23);
    let door = world.nodes[1].mesh().doors.clone();
    for place in 0..4 {
        world.kill(place);
        world.lose_file(place);
        world.nodes[place].mesh().doors = door.clone();
    }
    world.run(30.0);
    for place in 0..4 {
        world.nodes[place].mesh().expect = Some(4);
        world.start(place);
    }
    world.run(HEALING);
    world.assert_agreed();
    assert_eq!(world.view(3).peers.len(), 3);
}

#[test]
fn state_that_survives_is_enough_when_all_restart_at_once() {
    let mut world = MeshWorld::of(4, 24);
    (0..4).for_each(|place| world.kill(place));
    world.run(60.0);
    (0..4).for_each(|place| world.start(place));
    world.run(HEALING);
    world.assert_agreed();
}

#[test]
fn whoever_leaves_is_known_to_have_left_and_may_come_back() {
    let mut world = MeshWorld::of(4, 25);
    world.say(2, Input::Asked(RequestId(7), Request::Leave));
    world.run(5.0);
    assert_eq!(world.nodes[2].replies, [(RequestId(7), Ok(()))]);
    let farewell = |report: &MeshReport| matches!(report, MeshReport::Farewell { seen: 3, of: 3 });
    assert_eq!(world.nodes[2].said(farewell), 1);
    assert!(world.view(2).gone);
    for at in [0, 1, 3] {
        assert_eq!(world.state(2, at), Some(PeerState::Left));
        let left = |report: &MeshReport| *report == MeshReport::NodeLeft { peer: name(2) };
        assert_eq!(world.nodes[at].said(left), 1);
    }
    world.run(60.0);
    for at in [0, 1, 3] {
        assert_eq!(world.state(2, at), Some(PeerState::Left));
        assert_eq!(world.nodes[at].said(dead), 0, "who left is not dead");
    }
    let sent = world.sent;
    world.kill(2);
    world.run(20.0);
    assert!(world.sent > sent);
    world.start(2);
    world.run(HEALING);
    world.assert_agreed();
}

#[test]
fn a_goodbye_is_forgotten_after_a_day_and_not_learnt_again() {
    let mut world = MeshWorld::of(3, 25);
    world.say(2, Input::Asked(RequestId(7), Request::Leave));
    world.run(5.0);
    assert_eq!(world.state(2, 0), Some(PeerState::Left));
    let remembered = &world.nodes[0].file.members;
    let goodbye = remembered.iter().find(|entry| entry.certificate.name == name(2)).cloned();
    (0..3).for_each(|place| world.kill(place));
    world.run(23.0 * 3600.0);
    world.start(0);
    world.run(10.0);
    assert_eq!(world.state(2, 0), Some(PeerState::Left), "not a day yet");
    world.kill(0);
    world.run(3600.0);
    world.start(0);
    world.start(1);
    world.run(HEALING);
    for at in [0, 1] {
        assert_eq!(world.state(2, at), None, "{at}");
    }
    world.forge(0, 1, Body::Members(vec![goodbye.unwrap()]));
    world.run(10.0);
    assert_eq!(world.state(2, 0), None);
    let left = |report: &MeshReport| *report == MeshReport::NodeLeft { peer: name(2) };
    assert_eq!(world.nodes[0].said(left), 1, "the goodbye itself, and no other");
    assert_eq!(world.view(0).view, world.view(1).view);
}

#[test]
fn a_goodbye_that_nobody_hears_ends_in_time() {
    let mut world = MeshWorld::of(3, 26);
    world.cut(2, 0, &Path::BOTH);
    world.cut(2, 1, &Path::BOTH);
    world.say(2, Input::Asked(RequestId(7), Request::Leave));
    world.run(3.5);
    let farewell = |report: &MeshReport| matches!(report, MeshReport::Farewell { seen: 0, of: 2 });
    assert_eq!(world.nodes[2].said(farewell), 1);
    assert_eq!(world.nodes[2].replies, [(RequestId(7), Ok(()))]);
}

#[test]
fn only_the_dead_and_the_gone_are_removed_unless_forced() {
    let mut world = MeshWorld::of(3, 27);
    let ask = |name, force| Request::Remove { name, force };
    world.say(0, Input::Asked(RequestId(1), ask(name(2), false)));
    world.say(0, Input::Asked(RequestId(2), ask(name(0), true)));
    world.say(0, Input::Asked(RequestId(3), ask(name(9), true)));
    let refused = [RequestError::NotDead, RequestError::Oneself, RequestError::NoSuchMember];
    let expected: Vec<_> = (1..).map(RequestId).zip(refused.map(Err)).collect();
    assert_eq!(world.nodes[0].replies, expected);
    world.kill(2);
    world.run(15.0);
    world.say(0, Input::Asked(RequestId(4), ask(name(2), false)));
    world.run(5.0);
    assert_eq!(world.nodes[0].replies.last(), Some(&(RequestId(4), Ok(()))));
    assert_eq!(world.state(2, 0), None);
    assert_eq!(world.state(2, 1), None);
}

#[test]
fn the_removed_is_told_and_does_not_come_back() {
    let mut world = MeshWorld::of(3, 28);
    let remove = Request::Remove { name: name(2), force: true };
    world.say(0, Input::Asked(RequestId(1), remove));
    world.run(5.0);
    let told = |report: &MeshReport| *report == MeshReport::WeAreRemoved;
    assert_eq!(world.nodes[2].said(told), 1);
    let removed = |report: &MeshReport| *report == MeshReport::NodeRemoved { peer: name(2) };
    assert_eq!([0, 1].map(|at| world.nodes[at].said(removed)), [1, 1]);
    world.kill(2);
    world.lose_file(2);
    world.start(2);
    world.run(30.0);
    assert_eq!([0, 1].map(|at| world.state(2, at)), [None, None]);
    let refused = world.view(0).refused;
    assert!(refused.iter().any(|(_, _, why, _)| *why == Refusal::Removed), "{refused:?}");
    world.kill(0);
    world.start(0);
    world.run(10.0);
    assert_eq!(world.state(2, 0), None, "it is remembered");
}

#[test]
fn who_comes_back_in_the_incarnation_of_its_goodbye_is_heard_again() {
    let mut world = MeshWorld::of(3, 30);
    world.kill(2);
    // Ahead of the clock, so that only what it remembers decides.
    world.nodes[2].file.incarnation.0 += 1000;
    world.start(2);
    world.run(10.0);
    world.say(2, Input::Asked(RequestId(1), Request::Leave));
    world.run(5.0);
    assert_eq!([0, 1].map(|at| world.state(2, at)), [Some(PeerState::Left); 2]);
    world.kill(2);
    world.nodes[2].file.incarnation.0 -= 1;
    world.start(2);
    world.run(60.0);
    assert_eq!([0, 1].map(|at| world.state(2, at)), [Some(PeerState::Alive); 2]);
}

#[test]
fn who_was_removed_while_it_was_away_is_told_when_it_knocks() {
    let mut world = MeshWorld::of(3, 29);
    world.kill(2);
    world.run(12.0);
    world.say(0, Input::Asked(RequestId(1), Request::Remove { name: name(2), force: false }));
    world.run(5.0);
    let told = |report: &MeshReport| *report == MeshReport::WeAreRemoved;
    assert_eq!(world.nodes[2].said(told), 0);
    world.start(2);
    world.run(20.0);
    assert_eq!(world.nodes[2].said(told), 1);
    assert_eq!([0, 1].map(|at| world.state(2, at)), [None, None]);
    let back = |report: &MeshReport| matches!(report, MeshReport::PeerRecovered { .. });
    assert_eq!([0, 1].map(|at| world.nodes[at].said(back)), [0, 0]);
}

#[test]
fn the_key_that_certifies_changes_when_somebody_who_had_it_is_removed() {
    let mut world = MeshWorld::of(4, 29);
    world.kill(3);
    world.run(15.0);
    let remove = Request::Remove { name: name(2), force: true };
    world.say(0, Input::Asked(RequestId(1), remove));
    world.run(40.0);
    assert_eq!(world.nodes[0].replies, [(RequestId(1), Ok(()))]);
    let told = |report: &MeshReport| *report == MeshReport::WeAreRemoved;
    assert_eq!(world.nodes[2].said(told), 1, "the removed learns the new key first");
    world.start(3);
    world.run(90.0);
    for at in [0, 1, 3] {
        let file = &world.nodes[at].file;
        assert_eq!(file.successions.len(), 1, "{at}");
        assert_eq!(world.nodes[at].mesh().certifier, Some(1), "{at}");
        let old = |member: &&Member| member.certificate.generation == 0;
        let file = &world.nodes[at].file;
        assert_eq!(file.members.iter().filter(old).count(), 0, "{at}: {:?}", file.members);
    }
    let (mut late, mut forged) = (entry(9, 1), entry(1, 9));
    late.certificate.token = crate::ident::TokenId([99; 16]);
    forged.certificate.serial = 99;
    let mut ousted = entry(1, 9);
    (ousted.certificate.serial, ousted.certificate.removed) = (99, true);
    for entry in [late, forged, ousted] {
        world.forge(0, 1, Body::Members(vec![entry]));
    }
    world.run(5.0);
    assert_eq!(world.state(9, 0), None, "the old key lets nobody in");
    assert_eq!(world.state(1, 0), Some(PeerState::Alive), "nor puts anybody out");
    world.join(4, 70);
    world.run(HEALING);
    assert_eq!(world.state(4, 0), Some(PeerState::Alive));
    assert_eq!(world.state(4, 3), Some(PeerState::Alive));
}

#[test]
fn every_front_is_in_the_one_descriptor_that_the_first_in_rank_publishes() {
    let world = serving();
    assert_eq!(listed(&world, 0), [2, 2, 2]);
    assert_eq!([1, 2].map(|place| world.nodes[place].uploads), [0, 0]);
}

#[test]
fn the_next_in_rank_publishes_when_the_first_dies_and_points_leave_after_the_grace() {
    let mut world = serving();
    world.kill(0);
    world.run(25.0);
    assert_eq!(world.nodes[2].uploads, 0);
    assert_eq!(listed(&world, 1), [2, 2, 2], "in its grace");
    world.run(25.0);
    assert_eq!(listed(&world, 1), [0, 3, 3]);
}

#[test]
fn points_of_a_front_that_returns_in_time_stay_and_later_ones_are_fetched_anew() {
    let mut world = serving();
    world.kill(2);
    world.run(15.0);
    world.start(2);
    world.run(15.0);
    assert_eq!(listed(&world, 0), [2, 2, 2]);
    world.kill(2);
    world.run(60.0);
    assert_eq!(listed(&world, 0), [3, 3, 0]);
    world.start(2);
    world.run(30.0);
    assert_eq!(listed(&world, 0), [2, 2, 2]);
    let refetched: Vec<bool> = world.nodes[0]
        .reports
        .iter()
        .filter_map(|(_, report)| match report {
            MeshReport::PeerRecovered { refetch, .. } => Some(*refetch),
            _ => None,
        })
        .collect();
    assert_eq!(refetched, [false, true]);
}

#[test]
fn the_points_of_whoever_leaves_leave_with_it() {
    let mut world = serving();
    world.say(2, Input::Asked(RequestId(1), Request::Leave));
    world.run(10.0);
    assert_eq!(listed(&world, 0), [3, 3, 0]);
}

#[test]
fn a_changed_roster_is_in_the_descriptor_at_once() {
    let mut world = serving();
    world.nodes[2].points = vec![point(91, 91), point(92, 92), point(33, 33)];
    world.say(2, Input::InstanceTouched);
    world.run(2.0);
    let plan = world.nodes[0].plan.as_ref().unwrap();
    let new = |n: u8| plan.points.iter().any(|(_, p)| *p == point(n, n));
    assert!(new(91) || new(92), "{plan:?}");
}

#[test]
fn points_that_are_another_fronts_are_refused() {
    let mut world = serving();
    world.nodes[2].points = points(1);
    world.say(2, Input::InstanceTouched);
    world.run(10.0);
    assert_eq!(listed(&world, 0), [3, 3, 0]);
    let refused = world.view(0).refused;
    assert!(refused.contains(&(Some(name(2)), Path::WireGuard, Refusal::NotAllowed, 1)));
}

#[test]
fn a_newcomer_and_a_plain_front_publish_nothing() {
    let mut world = MeshWorld::of(2, 29);
    world.nodes[1].mesh().has_master_keys = false;
    world.kill(1);
    world.start(1);
    world.kill(0);
    world.give_tor(1, points(2));
    world.run(40.0);
    assert_eq!(world.nodes[1].uploads, 0);
    let blocked = world.nodes[1].engine.as_ref().unwrap().snapshot(world.now(1)).blocked;
    assert_eq!(blocked, Some(Blocked::Standby));
}

#[test]
fn equal_seeds_give_equal_lives() {
    let life = |seed| {
        let mut world = MeshWorld::of(3, seed);
        world.loss = 100;
        world.trace = Some(0);
        world.run(60.0);
        world.kill(1);
        world.run(20.0);
        world.start(1);
        world.run(60.0);
        (world.trace, world.sent)
    };
    assert_eq!(life(30), life(30));
    assert_ne!(life(30), life(31));
}

#[test]
fn the_address_of_a_member_that_moved_reaches_the_transport() {
    let mut world = MeshWorld::of(3, 32);
    let moved = Some(([10, 9, 9, 9], 51820).into());
    world.nodes[2].mesh().announcement.endpoint = moved;
    world.kill(2);
    world.start(2);
    world.run(5.0);
    for at in [0, 1] {
        assert_eq!(world.endpoint(2, at), moved);
    }
}
