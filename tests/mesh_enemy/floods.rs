//! More than anybody may send.

use std::time::Duration;

use rustbalance::message::{Body, Verdict};

use crate::enemy::{Enemy, Terms, heartbeat, victim};
use crate::scene::{Scene, TRAITOR};
use crate::yard::{now, poll};

const FLOOD: Duration = Duration::from_secs(10);
const PER_SECOND: u32 = 5_000;

/// Strangers at once: more than may have a session.
const CROWD: usize = 64;

/// Calls `send` so often within a second, for as long as a flood lasts.
fn pour(per_second: u32, mut send: impl FnMut(u32)) {
    let began = now();
    let mut sent = 0;
    poll(FLOOD + Duration::from_secs(1), || {
        let elapsed = now() - began;
        let due = elapsed.as_millis() * u128::from(per_second) / 1000;
        while u128::from(sent) < due {
            send(sent);
            sent += 1;
        }
        (elapsed >= FLOOD).then_some(())
    });
}

#[test]
fn a_member_that_floods_is_held_off_and_asked_to_wait() {
    let scene = Scene::new();
    let (mut enemy, _) = scene.traitor(&[]);
    let bodies = [heartbeat(), Body::PullMembers, Body::PullRoster, Body::AskSeen(victim())];
    pour(PER_SECOND, |n| enemy.say(bodies[n as usize % bodies.len()].clone()));
    let answers = enemy.heard();
    let busy =
        |body: &Body| matches!(body, Body::Answer(a) if matches!(a.verdict, Verdict::Busy { .. }));
    assert!(answers.iter().any(|frame| busy(&frame.body)), "it was never asked to wait");
    scene.refused(Some(TRAITOR), "too many", u64::from(PER_SECOND));
    scene.calm();
}

#[test]
fn strangers_that_knock_without_end_are_held_off() {
    let scene = Scene::new();
    let mut crowd: Vec<Enemy> = (0..CROWD).map(|_| Enemy::new(Terms::stranger(&scene))).collect();
    pour(1, |_| crowd.iter_mut().for_each(|enemy| enemy.say(heartbeat())));
    scene.refused(None, "too many", 1);
    scene.calm();
}
