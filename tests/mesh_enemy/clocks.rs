//! A member whose clock is off.

use std::time::Duration;

use rustbalance::message::{Answer, Body, Verdict, Vitals};
use rustbalance::time::Wall;

use crate::scene::{Scene, TRAITOR};
use crate::yard::entry;

/// The tolerance is 5 s.
const AHEAD_S: u64 = 90;

fn wall() -> Wall {
    #[expect(clippy::disallowed_methods, reason = "the enemy reads its own clock")]
    let now = std::time::SystemTime::now();
    Wall(now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs())
}

#[test]
fn a_clock_that_is_off_is_named_and_its_owner_stays_a_member() {
    let scene = Scene::new();
    let (mut enemy, _) = scene.traitor(&[]);
    let answer = |beat| {
        let vitals = Vitals { wall: Wall(wall().0 + AHEAD_S), eligible: true, ..Vitals::default() };
        Body::Answer(Answer { beat, verdict: Verdict::Known, vitals })
    };
    enemy.live(Duration::from_secs(10), answer);
    let line = format!("The clock of {TRAITOR} is 1m30s ahead of ours: it stays a member");
    let line = scene.victims_news().lines().find(|l| l.contains(&line)).map(str::to_owned);
    assert!(line.is_some_and(|line| line.contains("does not publish")), "{}", scene.victims_news());
    let status = scene.victim.node.status().unwrap();
    let node = entry(&status, TRAITOR);
    assert_eq!(node["state"], "alive", "{status:#}");
    assert!((88..=92).contains(&node["clock_offset_s"].as_i64().unwrap()), "{node}");
    let mut checks = status["checks"].as_array().unwrap().iter();
    assert!(checks.any(|c| c["code"] == "CLOCK_SKEW" && c["subject"] == TRAITOR), "{status:#}");
    scene.calm();
}
