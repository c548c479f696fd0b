//! HSDirs that are dead, refuse, or hold somebody else's document.

use std::time::Duration;

use rustbalance::hs::descriptor::{self, Content};
use rustbalance::hs::keys::MasterKey;
use serde_json::Value;
use testnet::Relay;

use crate::observer::{Observer, client_facing, current_period, hsdirs, now};
use crate::{SOON, stage};

#[test]
fn a_rivals_later_document_is_noticed_and_overtaken() {
    let stage = stage();
    let node = &stage.cluster.node;
    let status = node.status().unwrap();
    let facing = client_facing(&status).unwrap();
    let current = current_period(&stage.network, now());
    let period = [current, current.previous(), current.next()]
        .into_iter()
        .find(|period| Some(period.number) == facing["period"].as_u64())
        .unwrap();
    let key = MasterKey::parse(&std::fs::read(&stage.cluster.key).unwrap()).unwrap();
    let mut observer = Observer::new(stage.network.client(0)).unwrap();
    let hsdir = hsdirs(facing).remove(0);
    let ours = observer.fetch(&stage.cluster.onion, &hsdir, &stage.network).unwrap();
    let content = Content {
        points: ours.content.points[..1].to_vec(),
        flow_control: ours.content.flow_control.clone(),
    };
    let ahead = now() + Duration::from_secs(45);
    let rival = descriptor::build(&key.blind(&period), &content, ahead).unwrap();
    observer.post(&stage.cluster.onion, &hsdir, &rival).unwrap();

    let from = node.log().len();
    node.stop().unwrap();
    node.start(&stage.network).unwrap();
    node.wait_log(from, "a second publisher", SOON).unwrap();
    let status = node.wait_confirmed(SOON).unwrap();
    let seen = observer.fetch(&stage.cluster.onion, &hsdir, &stage.network).unwrap();
    let points = client_facing(&status).unwrap()["intro_points"].as_u64();
    assert!(points > Some(1), "{points:?}");
    assert_eq!(Some(seen.content.points.len() as u64), points);
}

#[test]
fn a_dead_hsdir_is_named_and_holds_up_no_other() {
    let stage = stage();
    let node = &stage.cluster.node;
    let status = node.status().unwrap();
    let responsible = hsdirs(client_facing(&status).unwrap());
    let relay = responsible
        .iter()
        .filter_map(|id| stage.network.relay_by_fingerprint(id))
        .find(|relay| !relay.is_authority())
        .expect("not all HSDirs are authorities");
    let restart = RestartOnDrop(relay);
    relay.tor().kill();
    let from = node.log().len();
    node.stop().unwrap();
    node.start(&stage.network).unwrap();
    node.wait_log(from, "tried again every ten minutes", 2 * SOON).unwrap();
    let only_one_failed = |status: &Value| {
        let Ok(facing) = client_facing(status) else { return false };
        facing["hsdirs"].as_array().unwrap().iter().all(|hsdir| {
            let dead = hsdir["id"] == relay.fingerprint();
            hsdir["state"] == if dead { "failed" } else { "confirmed" }
        })
    };
    let status = node.wait_status(2 * SOON, only_one_failed).unwrap();
    assert_eq!(hsdirs(client_facing(&status).unwrap()), responsible);
    assert_eq!(status["health"], "warn");
    let codes: Vec<&str> =
        status["checks"].as_array().unwrap().iter().filter_map(|c| c["code"].as_str()).collect();
    assert!(codes.contains(&"HSDIRS_MISSING"), "{codes:?}");
    stage.network.wait_reachable(&stage.cluster.onion, SOON).unwrap();

    drop(restart);
    node.stop().unwrap();
    node.start(&stage.network).unwrap();
    node.wait_confirmed(2 * SOON).unwrap();
}

/// A relay that is there again for the next test, whatever becomes of this one.
struct RestartOnDrop<'a>(&'a Relay);

impl Drop for RestartOnDrop<'_> {
    fn drop(&mut self) {
        let restarted = self.0.tor().restart().and_then(|()| self.0.tor().wait_bootstrapped(SOON));
        if let Err(error) = restarted {
            eprintln!("the relay did not come back: {error:#}");
        }
    }
}
