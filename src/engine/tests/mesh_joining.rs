//! Coming in, as whole engines do it.

use super::super::*;
use super::mesh_world::{MeshWorld, entry, heartbeat, key, name, token};
use crate::ident::Incarnation;
use crate::message::{Body, JoinRefusal, Party, Path, Refusal};

fn failed(world: &MeshWorld, place: usize) -> Option<JoinRefusal> {
    world.nodes[place].reports.iter().find_map(|(_, report)| match report {
        MeshReport::JoinFailed { why } => Some(*why),
        _ => None,
    })
}

/// What a newcomer hears whose invitation was changed so.
fn refused(change: impl FnOnce(&mut MeshWorld)) -> Option<JoinRefusal> {
    let mut world = MeshWorld::of(2, 3);
    world.say(0, Input::TokenIssued(Box::new(token(50, 0))));
    world.add_newcomer(2, 50);
    change(&mut world);
    world.start(2);
    world.run(30.0);
    assert_eq!(world.state(2, 0), None);
    let told = world.nodes[0].said(|report| matches!(report, MeshReport::JoinRefused { .. }));
    assert_eq!(told, 1, "said once");
    failed(&world, 2)
}

#[test]
fn five_nodes_join_through_one_address_and_agree() {
    let mut world = MeshWorld::new(1);
    for place in 1..5 {
        world.join(place, 10 + u8::try_from(place).unwrap());
    }
    world.run(15.0);
    world.assert_agreed();
    for place in 1..5 {
        let joined = |report: &MeshReport| matches!(report, MeshReport::Joined { .. });
        assert_eq!(world.nodes[place].said(joined), 1);
        assert_eq!(world.view(place).peers.len(), 4);
        assert_eq!(world.view(place).joining, None);
    }
    let joined = |report: &MeshReport| matches!(report, MeshReport::NodeJoined { .. });
    assert_eq!(world.nodes[0].said(joined), 4);
}

#[test]
fn they_join_over_a_bad_network_too() {
    for seed in 0..5 {
        let mut world = MeshWorld::new(seed);
        world.loss = 200;
        for place in 1..5 {
            world.join(place, 10 + u8::try_from(place).unwrap());
        }
        world.run(60.0);
        world.loss = 0;
        world.run(20.0);
        world.assert_agreed();
    }
}

#[test]
fn a_newcomer_gets_in_over_tor_when_udp_is_blocked() {
    let mut world = MeshWorld::of(2, 4);
    world.say(0, Input::TokenIssued(Box::new(token(50, 0))));
    world.add_newcomer(2, 50);
    world.cut(2, 0, &[Path::WireGuard]);
    world.cut(2, 1, &[Path::WireGuard]);
    world.start(2);
    world.run(60.0);
    world.assert_agreed();
    let knocks: Vec<Path> = world.nodes[2]
        .reports
        .iter()
        .filter_map(|(_, report)| match report {
            MeshReport::Knocking { path, .. } => Some(*path),
            _ => None,
        })
        .collect();
    assert_eq!(knocks, [Path::WireGuard, Path::Tor]);
}

#[test]
fn an_invitation_is_good_once() {
    let why = refused(|world| {
        let mut used = token(50, 0);
        used.used_by = Some(key(9));
        world.forge(0, 1, Body::Tokens(vec![used]));
    });
    assert_eq!(why, Some(JoinRefusal::TokenUsed));
}

#[test]
fn two_newcomers_with_one_invitation_are_not_both_let_in() {
    let mut world = MeshWorld::of(2, 5);
    world.join(2, 50);
    world.run(10.0);
    world.add_newcomer(3, 50);
    world.start(3);
    world.run(10.0);
    assert_eq!(failed(&world, 3), Some(JoinRefusal::TokenUsed));
    assert_eq!(world.state(3, 0), None);
    assert_eq!(world.state(2, 0), Some(PeerState::Alive));
    assert_eq!(world.nodes[3].said(|report| matches!(report, MeshReport::Knocking { .. })), 1);
}

#[test]
fn an_invitation_that_ran_out_lets_nobody_in() {
    let why = refused(|world| world.run(86_400.0));
    assert_eq!(why, Some(JoinRefusal::TokenExpired));
}

#[test]
fn a_revoked_invitation_lets_nobody_in() {
    let why = refused(|world| {
        let revoke = Request::Revoke(token(50, 0).id);
        world.say(1, Input::Asked(RequestId(1), Request::Revoke(token(51, 0).id)));
        world.say(0, Input::Asked(RequestId(2), revoke));
        assert_eq!(world.nodes[1].replies, [(RequestId(1), Err(RequestError::NoSuchToken))]);
        assert_eq!(world.nodes[0].replies, [(RequestId(2), Ok(()))]);
    });
    assert_eq!(why, Some(JoinRefusal::TokenRevoked));
}

#[test]
fn what_a_removed_inviter_issued_lets_nobody_in() {
    let why = refused(|world| {
        let other = token(52, 1);
        world.say(1, Input::TokenIssued(Box::new(other)));
        world.run(2.0);
        let remove = Request::Remove { name: name(1), force: true };
        world.say(0, Input::Asked(RequestId(1), remove));
        world.run(1.0);
        world.nodes.pop();
        world.add_newcomer(2, 52);
    });
    assert_eq!(why, Some(JoinRefusal::InviterGone));
}

#[test]
fn an_invitation_for_another_name_and_a_taken_name_are_refused() {
    let why = refused(|world| {
        let mut named = token(53, 0);
        named.invited = Some("somebody".parse().unwrap());
        world.say(0, Input::TokenIssued(Box::new(named)));
        world.nodes.pop();
        world.add_newcomer(2, 53);
    });
    assert_eq!(why, Some(JoinRefusal::OtherName));
    let why = refused(|world| {
        let machine = &mut world.nodes[2];
        machine.settings.node = name(1);
        machine.mesh().announcement.name = name(1);
    });
    assert_eq!(why, Some(JoinRefusal::NameTaken));
}

#[test]
fn a_full_cluster_refuses_and_the_newcomer_goes_on_asking() {
    let mut world = MeshWorld::of(2, 6);
    let others: Vec<_> =
        (0..126u8).map(|n| super::super::testing::member(&format!("n{n}"), 100 + n, 1)).collect();
    for pair in others.chunks(2) {
        world.forge(0, 1, Body::Members(pair.to_vec()));
        world.run(0.1);
    }
    world.say(0, Input::TokenIssued(Box::new(token(50, 0))));
    world.add_newcomer(2, 50);
    world.start(2);
    world.run(200.0);
    assert_eq!(failed(&world, 2), None);
    assert_eq!(world.state(2, 0), None);
    let knocks = world.nodes[2].said(|report| matches!(report, MeshReport::Knocking { .. }));
    assert!(knocks > 4, "{knocks}");
}

#[test]
fn a_lost_welcome_is_said_again() {
    let mut world = MeshWorld::of(2, 7);
    world.say(0, Input::TokenIssued(Box::new(token(50, 0))));
    world.add_newcomer(2, 50);
    world.loss = 700;
    world.start(2);
    world.run(60.0);
    world.loss = 0;
    world.run(60.0);
    world.assert_agreed();
    assert_eq!(failed(&world, 2), None);
}

#[test]
fn a_member_that_nobody_announced_presents_itself() {
    let mut world = MeshWorld::of(3, 8);
    // The third has never heard of the newcomer: everything between the two and from the
    // founder to the third is lost while it comes in.
    world.cut(0, 2, &Path::BOTH);
    world.cut(1, 2, &Path::BOTH);
    world.join(3, 60);
    world.run(3.0);
    assert_eq!(world.state(3, 2), Some(PeerState::Alive), "it told itself");
    let presented = |report: &MeshReport| {
        matches!(report, MeshReport::Reregistered { why: Reregistration::Unknown, .. })
    };
    assert_eq!(world.nodes[3].said(presented), 1);
}

#[test]
fn strangers_may_only_knock_and_prove_their_membership() {
    let mut world = MeshWorld::of(2, 9);
    let stranger = Party::Peer(key(7));
    for body in [Body::PullMembers, Body::PullSecrets, Body::PullRoster, Body::PullTokens] {
        world.inject(0, stranger, 1, body);
    }
    world.inject(0, stranger, 1, Body::Members(vec![entry(7, 1)]));
    world.inject(0, stranger, 1, Body::Dead(name(1), Incarnation(u64::MAX)));
    let view = world.view(0);
    assert!(view.refused.contains(&(None, Path::WireGuard, Refusal::Stranger, 6)), "{view:?}");
    assert_eq!(world.state(7, 0), None);
    world.inject(0, Party::Peer(key(8)), 1, Body::Present(Box::new(entry(7, 1))));
    assert_eq!(world.state(7, 0), None, "another's entry proves nothing");
    world.nodes[0].reports.clear();
    world.inject(0, stranger, 1, Body::Present(Box::new(entry(7, 1))));
    assert_eq!(world.state(7, 0), Some(PeerState::Joining));
    world.inject(0, stranger, 1, heartbeat(1));
    assert_eq!(world.state(7, 0), Some(PeerState::Alive));
}

#[test]
fn the_secrets_come_to_whom_the_certificate_entitles() {
    let mut world = MeshWorld::of(2, 10);
    let answers = |world: &MeshWorld| world.view(1).peers[0].clone();
    assert_eq!(answers(&world).state, PeerState::Alive);
    let mut plain = token(70, 0);
    (plain.bootstrap, plain.publisher) = (false, false);
    world.say(0, Input::TokenIssued(Box::new(plain)));
    world.add_newcomer(2, 70);
    world.start(2);
    world.run(20.0);
    world.assert_agreed();
    world.forge(0, 2, Body::PullSecrets);
    let refused = (Some(name(2)), Path::WireGuard, Refusal::NotAllowed, 1);
    assert!(world.view(0).refused.contains(&refused));
}
