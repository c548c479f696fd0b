//! The main job of a cluster: one publisher, points of everybody.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::{MEMBERS, SOON, Stage, names, stage};

/// Fetches after which each of three fronts has answered, but for one run in a hundred million.
const FETCHES_MAX: usize = 50;

/// A front's new points are in the descriptor of another node's making so soon after they stand:
/// a reading, the roster's way, and a round of uploads.
const FOLLOWED: Duration = Duration::from_secs(30);

#[test]
fn one_node_publishes_the_points_of_all_and_clients_reach_every_front() {
    let stage = stage();
    for name in MEMBERS {
        let status = stage.member(name).node.status().unwrap();
        let publishing = status["services"][0]["publishing"] == true;
        assert_eq!(publishing, name == MEMBERS[0], "{name}: {status}");
    }
    assert_eq!(answering(&stage, MEMBERS.len()), MEMBERS.map(str::to_owned).into());
}

#[test]
fn the_publisher_follows_when_the_points_of_another_front_change() {
    let stage = stage();
    let [publisher, other] = [stage.member(MEMBERS[0]), stage.member(MEMBERS[1])];
    let (from, others_from) = (publisher.node.log().len(), other.node.log().len());
    other.front.tor().restart().unwrap();
    let offers = format!("Front {} offers 3 introduction points", other.name);
    other.node.wait_log(others_from, &offers, SOON).unwrap();
    publisher.node.wait_log(from, &offers, FOLLOWED).unwrap();
    publisher.node.wait_status(FOLLOWED, |status| names(status, &MEMBERS)).unwrap();
    publisher.node.wait_confirmed(FOLLOWED).unwrap();
    assert_eq!(answering(&stage, MEMBERS.len()), MEMBERS.map(str::to_owned).into());
}

/// Who answers when clients that knew nothing come again and again, until `enough` have.
fn answering(stage: &Stage, enough: usize) -> BTreeSet<String> {
    let mut answered = BTreeSet::new();
    let clients = stage.network.clients();
    for number in 0..FETCHES_MAX {
        let page = match number < clients.len() {
            true => stage.network.fetch_fresh(&stage.onion, SOON).unwrap().outcome,
            false => clients[number % clients.len()].get(&stage.onion, "/", SOON),
        };
        let page = page.unwrap();
        assert_eq!(page.status, 200);
        answered.extend(page.front);
        if answered.len() >= enough {
            break;
        }
    }
    answered
}
