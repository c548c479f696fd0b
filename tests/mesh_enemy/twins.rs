//! Two nodes with one name, one identity on two machines, and a memory that somebody has changed.

use std::path::Path;
use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use rustbalance::message::Body;
use rustbalance::wire::{Certifier, Record as _};
use serde_json::{Value, json};

use crate::enemy::named;
use crate::loot::Loot;
use crate::scene::{Scene, TRAITOR, WITNESS, names};
use crate::strangers::ghost;
use crate::yard::{Machine, Plan, entry, poll, wait_agreed};

#[test]
fn of_two_with_one_name_the_later_is_refused_and_named() {
    let scene = Scene::new();
    let (mut enemy, loot) = scene.traitor(&["--bootstrap"]);
    let witness = loot.entry(WITNESS);
    let certifier = loot.certifier.as_ref().unwrap();
    let (second, signer) = ghost(certifier, &witness);
    let mut certificate = second.certificate;
    certificate.name = named(WITNESS);
    certificate.issued.0 += 1;
    let mut announcement = witness.announcement.clone().unwrap();
    announcement.incarnation.0 += 100;
    let announcement = Some(signer.sign_announcement(announcement).unwrap());
    let certificate = certifier.sign_certificate(certificate);
    let second = rustbalance::message::Member { certificate, announcement };
    enemy.say(Body::Members(vec![second]));
    scene.victim.wait_log(0, &format!("Two nodes came in as {WITNESS}, or by one invitation"));
    let clash = |check: &Value| check["code"] == "NAME_CLASH" && check["subject"] == WITNESS;
    let status = scene.victim.wait("naming the clash", |status| {
        status["checks"].as_array().is_some_and(|checks| checks.iter().any(clash))
    });
    assert_eq!(names(&status).len(), 3, "{status:#}");
    scene.calm();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let (path, to) = (file.as_ref().unwrap().path(), to.join(file.unwrap().file_name()));
        if path.is_dir() {
            copy(&path, &to)
        } else {
            std::fs::copy(&path, &to).map(|_| ()).unwrap()
        }
    }
}

/// The same keys and memory on another machine, with its own address and local socket.
fn cloned(scene: &Scene, from: &Machine) -> Machine {
    let twin = scene.yard.machine(Plan::new(&from.name));
    copy(&from.state_dir(), &twin.state_dir());
    let config = std::fs::read_to_string(from.node.config_path()).unwrap();
    let (old, new) = (from.node.directory().display(), twin.node.directory().display());
    let config = config.replace(&old.to_string(), &new.to_string());
    let config = config.replace(&from.socket.to_string(), &twin.socket.to_string());
    twin.node.configure(&config).unwrap();
    for dir in [twin.state_dir(), twin.state_dir().join("keys")] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(dir, mode).unwrap();
    }
    twin
}

const TWINS_LIVE: Duration = Duration::from_secs(20);

#[test]
fn one_identity_on_two_machines_is_named_and_does_not_stir_up_the_cluster() {
    let scene = Scene::new();
    let machine = scene.member(TRAITOR, &[]);
    let twin = cloned(&scene, &machine);
    twin.start();
    twin.wait_ready();
    let said = "runs on another machine too";
    let named = |machine: &Machine| {
        let status = machine.node.status().ok()?;
        let checks = status["checks"].as_array()?;
        checks.iter().any(|check| check["code"] == "IDENTITY_TWICE").then_some(())
    };
    let found = poll(crate::yard::PATIENCE, || named(&machine).or_else(|| named(&twin)));
    assert!(found.is_some(), "nobody says it:\n{}\n{}", machine.news(0), twin.news(0));
    let before = Loot::of(&twin).incarnation.0;
    // What would be stirred up shows over time, and nothing marks its end.
    poll(TWINS_LIVE, || None::<()>);
    let risen = Loot::of(&twin).incarnation.0.saturating_sub(before);
    assert!(risen <= 20, "the incarnation rose by {risen}");
    for one in [&machine, &twin] {
        assert!(one.news(0).matches(said).count() <= 1, "{}", one.news(0));
    }
    scene.calm();
    twin.node.kill();
    machine.node.kill();
    machine.start();
    wait_agreed(&[&scene.victim, &scene.witness, &machine]);
}

#[test]
fn an_entry_of_another_cluster_in_the_state_file_is_left_out_and_told() {
    let scene = Scene::new();
    let machine = scene.member(TRAITOR, &[]);
    machine.node.kill();
    let (ghost, _) =
        ghost(&Certifier::generate(&mut rand::rng()), &Loot::of(&machine).entry(TRAITOR));
    let path = machine.state_dir().join("mesh.json");
    let mut mesh: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let bytes = Base64::encode_string(&ghost.to_bytes().unwrap());
    mesh["members"].as_array_mut().unwrap().push(json!({"name": "ghost", "entry": bytes}));
    std::fs::write(&path, mesh.to_string()).unwrap();
    let mark = machine.mark();
    machine.start();
    machine.wait_log(mark, "1 entries of mesh.json are not rightly signed and were left out");
    wait_agreed(&[&scene.victim, &scene.witness, &machine]);
    let status = machine.node.status().unwrap();
    assert_eq!(entry(&status, "ghost"), Value::Null);
    scene.calm();
}
