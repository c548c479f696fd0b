//! Whoever has the victim's public key can open a session, and say next to nothing in it.

use rustbalance::hs::keys::MasterKey;
use rustbalance::ident::{ClusterKey, Epoch, Incarnation, IntroPoint, NodeId, RelayId, TokenId};
use rustbalance::message::{
    Answer, Body, JoinRefusal, JoinRequest, Lease, Member, RosterPart, Succession, Token, Verdict,
    Vitals, Welcome,
};
use rustbalance::time::{TimePeriod, Wall};
use rustbalance::wire::{Certifier, NodeSigner, SecretKind};

use crate::enemy::{heartbeat, named};
use crate::loot::Loot;
use crate::scene::{Scene, TRAITOR, VICTIM, WITNESS, names};

pub(crate) const PERIOD: TimePeriod =
    TimePeriod { number: 20_777, length_min: 1440, offset_s: 43_200 };

pub(crate) fn point(number: u8) -> IntroPoint {
    IntroPoint {
        relay: RelayId([number; 20]),
        link_specifiers: vec![number; 60],
        onion_key: [number; 32],
        auth_key: [number; 32],
        enc_key: [number; 32],
    }
}

pub(crate) fn part(version: u64, (part, parts): (u8, u8), points: Vec<IntroPoint>) -> RosterPart {
    RosterPart { version, part, parts, period: PERIOD, flow_control: None, points }
}

/// A member of a cluster that only its certifier knows.
pub(crate) fn ghost(certifier: &Certifier, like: &Member) -> (Member, NodeSigner) {
    let signer = NodeSigner::generate(&mut rand::rng());
    let name: NodeId = named("ghost");
    let mut certificate = like.certificate.clone();
    certificate.name = name.clone();
    certificate.node_key = signer.key();
    certificate.key = rustbalance::transport::public_key(&rand::random());
    certificate.token = TokenId(rand::random());
    let mut announcement = like.announcement.clone().unwrap();
    announcement.name = name;
    let announcement = Some(signer.sign_announcement(announcement).unwrap());
    (Member { certificate: certifier.sign_certificate(certificate), announcement }, signer)
}

fn token(certifier: &Certifier) -> Token {
    certifier.sign_token(Token {
        id: TokenId([1; 16]),
        key: rustbalance::transport::public_key(&[2; 32]),
        issuer: named(VICTIM),
        invited: None,
        bootstrap: true,
        publisher: true,
        expires: Wall(u64::MAX >> 8),
        generation: 0,
        signature: [0; 64],
        used_by: None,
        revoked: false,
    })
}

/// One body of every kind that a stranger may not say, rightly made, as far as it can.
fn forbidden(known: &Loot) -> Vec<Body> {
    let (witness, epoch) = (known.entry(WITNESS), Epoch::default());
    let (ghost, signer) = ghost(&Certifier::generate(&mut rand::rng()), &witness);
    let request = JoinRequest {
        name: ghost.certificate.name.clone(),
        key: ghost.certificate.key,
        node_key: signer.key(),
        announcement: ghost.announcement.unwrap(),
    };
    let welcome = Welcome {
        certificate: witness.certificate.clone(),
        key: known.cluster_key,
        cluster: named("newsroom"),
        services: Vec::new(),
    };
    vec![
        Body::Answer(Answer { beat: 1, verdict: Verdict::Known, vitals: Vitals::default() }),
        Body::PullMembers,
        Body::Members(vec![witness.clone()]),
        Body::Successions(Vec::new()),
        Body::PullRoster,
        Body::Roster(part(1, (0, 1), vec![point(1)])),
        Body::AskSeen(named(WITNESS)),
        Body::Seen(named(WITNESS), None),
        Body::Dead(named(VICTIM), Incarnation(u64::MAX)),
        Body::LeaveSeen,
        Body::Leave(Box::new(witness)),
        Body::Join(Box::new(request)),
        Body::Welcome(Box::new(welcome)),
        Body::JoinRefused(JoinRefusal::Full),
        Body::Tokens(Vec::new()),
        Body::PullTokens,
        Body::PullSecrets,
        Body::Lease(Lease::Ask { epoch, number: 1 }),
        Body::Lease(Lease::Promise { epoch, number: 1 }),
        Body::Lease(Lease::Release { epoch }),
    ]
}

#[test]
fn a_stranger_learns_that_it_is_unknown_and_is_heard_in_nothing_else() {
    let scene = Scene::new();
    let known = Loot::of(&scene.victim);
    let mut enemy = scene.stranger();
    enemy.say(heartbeat());
    let verdict = enemy.hear("an answer", |frame| match &frame.body {
        Body::Answer(answer) => Some(answer.verdict),
        _ => None,
    });
    assert_eq!(verdict, Verdict::Unknown);

    let bodies = forbidden(&known);
    let count = bodies.len() as u64;
    enemy.say_all(bodies);
    scene.refused(None, "from no member", count);
    assert!(enemy.heard().is_empty(), "there is nothing to say to a stranger");

    let other = Certifier::generate(&mut rand::rng());
    let (ghost, _) = ghost(&other, &known.entry(WITNESS));
    let (succession, _) = other.succeed(&mut rand::rng());
    enemy.say(Body::Present(Box::new(ghost)));
    enemy.say(Body::Tokens(vec![token(&other)]));
    enemy.say(Body::Successions(vec![Succession { key: ClusterKey([1; 32]), ..succession }]));
    scene.refused(None, "not rightly signed", 2);

    enemy.push(SecretKind::ClusterKey { generation: 0 }, &[3; 32]);
    let master = MasterKey::generate(&mut rand::rng());
    enemy.push(SecretKind::MasterKey(master.id()), &master.expanded()[..]);
    let status = scene.refused(None, "from no member", count + 3);
    assert_eq!(names(&status), [VICTIM, WITNESS], "no {TRAITOR} and no ghost");
    scene.calm();
}
