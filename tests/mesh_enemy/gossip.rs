//! Rumours about who is dead.

use rustbalance::ident::Incarnation;
use rustbalance::message::Body;

use crate::enemy::{named, victim};
use crate::loot::Loot;
use crate::scene::{Scene, TRAITOR, VICTIM, WITNESS};
use crate::yard::entry;

#[test]
fn a_rumour_of_its_own_death_is_contradicted_and_one_of_anothers_only_looked_into() {
    let scene = Scene::new();
    let (mut enemy, loot) = scene.traitor(&[]);
    let said = loot.entry(VICTIM).announcement.unwrap().incarnation;
    enemy.say(Body::Dead(victim(), said));
    enemy.say(Body::Dead(named(WITNESS), Incarnation(u64::MAX)));
    scene.victim.wait_log(0, &format!("{TRAITOR} believes that this node is dead or gone"));
    let higher = |frame: &rustbalance::message::Frame| (frame.incarnation > said).then_some(());
    enemy.hear("anything in a higher incarnation", higher);
    let status = scene.witness.wait_sees(&scene.victim, "alive");
    assert_eq!(entry(&status, TRAITOR)["name"], TRAITOR);
    scene.calm();
}

#[test]
fn rumours_without_end_make_few_contradictions() {
    let scene = Scene::new();
    let (mut enemy, loot) = scene.traitor(&[]);
    let mut incarnation = loot.entry(VICTIM).announcement.unwrap().incarnation;
    for _ in 0..100 {
        incarnation.0 += 10;
        enemy.say(Body::Dead(victim(), incarnation));
    }
    enemy.greet();
    let highest = Loot::of(&scene.victim).incarnation;
    assert!(highest < incarnation, "every rumour moved it: {highest:?}");
    let told = scene.victims_news().matches("believes that this node is dead").count();
    assert_eq!(told, 1, "said once");
    scene.calm();
}
