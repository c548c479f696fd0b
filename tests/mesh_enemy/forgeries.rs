//! A member that says what others did not say, or what is not its own to say.

use rustbalance::ident::Incarnation;
use rustbalance::message::{Body, JoinRefusal, Lease, Member, Verdict, Welcome};
use rustbalance::wire::Certifier;

use crate::enemy::{announcing, heartbeat, named, victim};
use crate::loot::Loot;
use crate::scene::{Scene, TRAITOR, VICTIM, WITNESS, names};
use crate::strangers::ghost;
use crate::yard::entry;

/// Entries that are not what the cluster and the member said.
fn forged(loot: &Loot) -> Vec<Member> {
    let (own, witness) = (loot.entry(TRAITOR), loot.entry(WITNESS));
    let mut unsigned = own.clone();
    unsigned.announcement.as_mut().unwrap().weight = 100;
    let mut promoted = own.clone();
    promoted.certificate.bootstrap = true;
    promoted.certificate.serial += 1;
    let mut removed = witness.clone();
    removed.certificate.removed = true;
    let mut renamed = own.clone();
    renamed.announcement = witness.announcement.clone();
    let (ghost, _) = ghost(&Certifier::generate(&mut rand::rng()), &own);
    let later = |said: &mut rustbalance::message::Announcement| said.incarnation.0 += 1;
    let left = announcing(&witness, loot, |said| {
        later(said);
        said.left = true;
    });
    let victim_left = announcing(&loot.entry(VICTIM), loot, |said| {
        later(said);
        said.left = true;
    });
    vec![unsigned, promoted, removed, renamed, ghost, left, victim_left]
}

#[test]
fn entries_that_are_not_rightly_signed_change_nothing_and_name_who_said_them() {
    let scene = Scene::new();
    let (mut enemy, loot) = scene.traitor(&[]);
    let forged = forged(&loot);
    let count = forged.len() as u64;
    for entry in &forged {
        enemy.say(Body::Members(vec![entry.clone()]));
        enemy.say(Body::Present(Box::new(entry.clone())));
        enemy.say(Body::Leave(Box::new(entry.clone())));
    }
    let status = scene.refused(Some(TRAITOR), "not rightly signed", 3 * count);
    scene.blamed("not rightly signed");
    assert_eq!(names(&status).len(), 3, "{status:#}");
    assert_eq!(entry(&status, WITNESS)["state"], "alive");
    assert_eq!(entry(&status, TRAITOR)["bootstrap"], false);
    scene.calm();
}

#[test]
fn what_is_anothers_to_say_is_refused() {
    let scene = Scene::new();
    let (mut enemy, loot) = scene.traitor(&[]);
    let welcome = Welcome {
        certificate: loot.entry(TRAITOR).certificate,
        key: loot.cluster_key,
        cluster: named("newsroom"),
        services: Vec::new(),
    };
    let bodies = vec![
        Body::Present(Box::new(loot.entry(WITNESS))),
        Body::Present(Box::new(loot.entry(VICTIM))),
        Body::Leave(Box::new(loot.entry(WITNESS))),
        Body::Leave(Box::new(loot.entry(TRAITOR))),
        Body::Welcome(Box::new(welcome)),
        Body::JoinRefused(JoinRefusal::Full),
        Body::Tokens(Vec::new()),
        Body::PullTokens,
        Body::PullSecrets,
    ];
    let count = bodies.len() as u64;
    enemy.say_all(bodies);
    let status = scene.refused(Some(TRAITOR), "not for its sender to say", count);
    scene.blamed("not for its sender to say");
    assert_eq!(entry(&status, WITNESS)["state"], "alive");
    enemy.say(Body::Lease(Lease::Ask { epoch: Default::default(), number: 1 }));
    enemy.say(Body::Members(vec![loot.entry(WITNESS), loot.entry(TRAITOR)]));
    enemy.greet();
    scene.calm();
}

#[test]
fn a_frame_of_an_earlier_life_is_refused_and_told_how_high_to_go() {
    let scene = Scene::new();
    let (mut enemy, _) = scene.traitor(&[]);
    let newest = enemy.incarnation;
    enemy.incarnation = Incarnation(newest.0 - 1000);
    enemy.say(heartbeat());
    scene.refused(Some(TRAITOR), "from an earlier life of its sender", 1);
    let told = enemy.hear("how high to go", |frame| match &frame.body {
        Body::Dead(name, incarnation) if name.as_str() == TRAITOR => Some(*incarnation),
        _ => None,
    });
    assert_eq!(told, newest);
    scene.calm();
}

#[test]
fn vitals_of_a_frame_that_was_overtaken_do_not_count() {
    let scene = Scene::new();
    let (mut enemy, _) = scene.traitor(&[]);
    let vitals = |tor| rustbalance::message::Vitals { tor, ..Default::default() };
    let answer = |vitals| rustbalance::message::Answer { beat: 0, verdict: Verdict::Known, vitals };
    enemy.sequence = 1000;
    enemy.say(Body::Answer(answer(vitals(true))));
    let works = |status: &serde_json::Value| entry(status, TRAITOR)["tor"] == true;
    scene.victim.wait("told of a tor that works", works);
    enemy.sequence = 500;
    enemy.say(Body::Answer(answer(vitals(false))));
    enemy.say(Body::AskSeen(victim()));
    enemy.hear("when it was seen", |frame| matches!(frame.body, Body::Seen(..)).then_some(()));
    assert!(works(&scene.victim.node.status().unwrap()));
    scene.calm();
}
