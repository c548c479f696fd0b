//! A member's key, and frames that are none.

use rustbalance::message::{Body, Frame};
use rustbalance::wire::{FRAME_BYTES, encode};

use crate::enemy::{Enemy, heartbeat};
use crate::scene::{Scene, TRAITOR, refusals};

fn frame(enemy: &Enemy, body: Body) -> Vec<u8> {
    let (incarnation, sequence) = (enemy.incarnation, enemy.sequence + 1);
    encode(&Frame { incarnation, sequence, body }).unwrap()
}

fn malformed(good: &[u8]) -> Vec<Vec<u8>> {
    let cut = |length: usize| good[..length].to_vec();
    let with = |at: usize, byte: u8| {
        let mut bytes = good.to_vec();
        bytes[at] = byte;
        bytes
    };
    let longer = |length: usize| {
        let mut bytes = good.to_vec();
        bytes.resize(length, 0);
        bytes
    };
    let mut all = vec![Vec::new()];
    all.extend([1, 2, 4, 12, 19, 20, 21, 100, 255].map(cut));
    all.extend([257, 511, 513, 1151].map(longer));
    all.push(with(FRAME_BYTES[0] - 1, 1));
    all.push(with(2, 0xff));
    all.push(with(3, 1));
    all
}

#[test]
fn frames_that_are_cut_off_padded_wrongly_or_of_another_version_are_refused_by_name() {
    let scene = Scene::new();
    let (mut enemy, _) = scene.traitor(&[]);
    let good = frame(&enemy, heartbeat());
    let bad = malformed(&good);
    bad.iter().for_each(|bytes| enemy.send(bytes.clone()));
    scene.refused(Some(TRAITOR), "not well made", bad.len() as u64);

    for version in [0, 2, 255] {
        let mut bytes = good.clone();
        bytes[0] = version;
        enemy.send(bytes);
    }
    scene.refused(Some(TRAITOR), "of a version this program does not speak", 3);
    scene.blamed("of a version this program does not speak");

    let all = |status: &serde_json::Value| refusals(status, Some(TRAITOR), "");
    let before = all(&scene.victim.node.status().unwrap());
    for kind in [0, 21, 127, 129, 255] {
        let mut bytes = good.clone();
        bytes[1] = kind;
        enemy.send(bytes);
    }
    enemy.greet();
    let status = scene.victim.node.status().unwrap();
    assert_eq!(all(&status), before, "a kind that is not known yet is no fault: {status:#}");
    scene.calm();
}
