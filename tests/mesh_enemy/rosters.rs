//! Introduction points that cannot be the sender's, and rosters that are none.

use rustbalance::message::{Body, Frame, POINTS_PER_PART_MAX};
use rustbalance::wire::encode;
use rustbalance::wire::frame::HEADER_BYTES;

use crate::enemy::Enemy;
use crate::scene::{Scene, TRAITOR};
use crate::strangers::{part, point};

fn roster(enemy: &mut Enemy, version: u64, points: &[u8]) {
    let chunks = points.chunks(POINTS_PER_PART_MAX);
    let parts = u8::try_from(chunks.len()).unwrap();
    for (number, points) in (0..).zip(chunks) {
        let points = points.iter().copied().map(point).collect();
        enemy.say(Body::Roster(part(version, (number, parts), points)));
    }
}

fn points_of(scene: &Scene, name: &str) -> Option<u64> {
    let status = scene.victim.node.status().unwrap();
    let mut fronts = status["fronts"].as_array().into_iter().flatten();
    let front = fronts.find(|front| front["name"] == name)?;
    front["roster_age_s"].as_u64()
}

#[test]
fn a_roster_that_is_none_is_refused() {
    let scene = Scene::new();
    let (mut enemy, _) = scene.traitor(&[]);
    let frame = |body| Frame { incarnation: enemy.incarnation, sequence: 99, body };
    let good = encode(&frame(Body::Roster(part(1, (0, 1), vec![point(1)])))).unwrap();
    for parts in [0, 15, 255] {
        enemy.send(encode(&frame(Body::Roster(part(1, (0, parts), vec![point(1)])))).unwrap());
    }
    enemy.send(encode(&frame(Body::Roster(part(1, (3, 3), vec![point(1)])))).unwrap());
    enemy.send(encode(&frame(Body::Roster(part(1, (0, 1), vec![point(0)])))).unwrap());
    // Version, part, parts, period, no flow control: then the number of points.
    let count_at = HEADER_BYTES + 8 + 2 + 24 + 1;
    assert_eq!(good[count_at], 1);
    for count in [0, 4, 255] {
        let mut bytes = good.clone();
        bytes[count_at] = count;
        enemy.send(bytes);
    }
    scene.refused(Some(TRAITOR), "not well made", 8);

    let many: Vec<u8> = (1..=21).collect();
    roster(&mut enemy, 2, &many);
    scene.refused(Some(TRAITOR), "not for its sender to say", 1);
    roster(&mut enemy, 3, &[1, 2, 2]);
    scene.refused(Some(TRAITOR), "not for its sender to say", 2);
    scene.calm();
}

#[test]
fn points_of_another_front_are_refused() {
    let scene = Scene::new();
    let (mut enemy, _) = scene.traitor(&[]);
    let (mut honest, _) = scene.seized("honest", &[]);
    roster(&mut honest, 1, &[1, 2, 3]);
    honest.say(Body::AskSeen(crate::enemy::victim()));
    honest.hear("when", |frame| matches!(frame.body, Body::Seen(..)).then_some(()));
    roster(&mut enemy, 1, &[3, 4, 5]);
    scene.refused(Some(TRAITOR), "not for its sender to say", 1);
    assert!(points_of(&scene, "honest").is_some());
    scene.calm();
}
