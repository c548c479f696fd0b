//! The main job: one address, three fronts.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cluster::FRONTS;
use crate::observer::{Observer, client_facing, hsdirs};
use crate::{SOON, stage};

/// Fetches after which each of three fronts has answered, but for one run in a hundred million.
const FETCHES_MAX: usize = 50;

#[test]
fn the_master_address_answers_from_all_three_fronts() {
    let stage = stage();
    let mut answered = BTreeSet::new();
    for number in 0..FETCHES_MAX {
        let client = stage.network.client(number % stage.network.clients().len());
        let page = client.get(&stage.cluster.onion, "/", Duration::from_secs(60)).unwrap();
        assert_eq!(page.status, 200);
        answered.extend(page.front);
        if answered.len() == FRONTS.len() {
            break;
        }
    }
    assert_eq!(answered, FRONTS.map(str::to_owned).into());
}

#[test]
fn every_hsdir_returns_the_same_document_and_the_node_has_verified_it() {
    let stage = stage();
    let status = stage
        .cluster
        .node
        .wait_status(SOON, |status| {
            let verified = |d: &serde_json::Value| d["verified_at_s"].as_u64().is_some();
            client_facing(status).is_ok_and(verified)
        })
        .unwrap();
    let facing = client_facing(&status).unwrap();
    let mut observer = Observer::new(stage.network.client(0)).unwrap();
    let mut documents = BTreeSet::new();
    for hsdir in hsdirs(facing) {
        let seen = observer.fetch(&stage.cluster.onion, &hsdir, &stage.network).unwrap();
        assert_eq!(Some(seen.content.revision.0), facing["revision"].as_u64());
        assert_eq!(Some(seen.content.points.len() as u64), facing["intro_points"].as_u64());
        documents.insert(seen.text);
    }
    assert_eq!(documents.len(), 1, "one round, one document");
}

#[test]
fn tor_killed_and_started_again_goes_unnoticed_but_for_the_log() {
    let stage = stage();
    let (node, front) = (&stage.cluster.node, &stage.cluster.fronts[0]);
    let pid = node.pid();
    let from = node.log().len();
    front.tor().kill();
    node.wait_log(from, "Tor control connection lost", SOON).unwrap();
    let status = node.wait_status(SOON, |status| status["tor"]["state"] == "down").unwrap();
    assert_ne!(status["health"], "ok");
    front.tor().restart().unwrap();
    let from = node.wait_log(from, "is back after", SOON).unwrap();
    node.wait_log(from, "Descriptor confirmed on 16/16", 2 * SOON).unwrap();
    node.wait_status(2 * SOON, |status| {
        let listed = status["fronts"][0]["intro_in_descriptor"].as_u64();
        status["health"] == "ok" && listed >= Some(1)
    })
    .unwrap();
    assert_eq!(node.pid(), pid, "the same process all along");
    stage.network.wait_reachable(&stage.cluster.onion, SOON).unwrap();
}

#[test]
fn a_restarted_node_publishes_again_and_the_hsdirs_take_it() {
    let stage = stage();
    let node = &stage.cluster.node;
    let revision = |status: &serde_json::Value| client_facing(status).unwrap()["revision"].as_u64();
    let before = revision(&node.status().unwrap());
    assert!(node.stop().unwrap(), "it ends with success");
    assert!(!node.socket_path().exists());
    node.start(&stage.network).unwrap();
    let after = revision(&node.wait_confirmed(SOON).unwrap());
    assert!(after > before, "{after:?} after {before:?}");
}

#[test]
fn the_node_is_small() {
    let stage = stage();
    // Without its code, which is several times as large in a test build.
    let taken = stage.cluster.node.memory_bytes("RssAnon").unwrap();
    println!("taken: {:.1} MiB", taken as f64 / f64::from(1 << 20));
    assert!(taken <= 10_000_000, "{taken} bytes");
}
