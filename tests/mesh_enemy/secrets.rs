//! Keys that nobody asked for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use rustbalance::hs::keys::MasterKey;
use rustbalance::wire::SecretKind;

use crate::loot::Loot;
use crate::scene::{Scene, TRAITOR};
use crate::yard::Machine;

/// Every key file, what it holds, and when it was written.
fn keys(machine: &Machine) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    let entries = std::fs::read_dir(machine.state_dir().join("keys")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let file = |path: PathBuf| {
        let written = path.metadata().unwrap().modified().unwrap();
        let content = std::fs::read(&path).unwrap();
        (path, (written, content))
    };
    paths.map(file).collect()
}

#[test]
fn wrong_keys_are_refused_and_right_ones_change_nothing() {
    let scene = Scene::new();
    let (mut enemy, _) = scene.traitor(&["--publisher", "--bootstrap"]);
    let before = keys(&scene.victim);
    let cluster_key = SecretKind::ClusterKey { generation: 0 };
    enemy.push(cluster_key, &[3; 32]);
    enemy.push(SecretKind::ClusterKey { generation: 7 }, &[3; 32]);
    scene.refused(Some(TRAITOR), "not rightly signed", 2);
    let master = MasterKey::generate(&mut rand::rng());
    enemy.push(SecretKind::MasterKey(master.id()), &master.expanded()[..]);
    scene.refused(Some(TRAITOR), "not for its sender to say", 1);

    let right = Loot::of(&scene.victim).certifier.unwrap();
    enemy.push(cluster_key, &right.seed()[..]);
    enemy.greet();
    assert_eq!(keys(&scene.victim), before);
    scene.calm();
}
