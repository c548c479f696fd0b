//! Machines that die, and come back.

use std::time::Duration;

use crate::machines::Machine;
use crate::{LATER, MEMBERS, SOON, names, stage};

/// Dead after so long, without a word from anybody: three beats, and the other way asked.
const DEAD_WITHIN: Duration = Duration::from_secs(12);

/// Introduction points of the dead stay so long, and leave with the next round.
const GONE_WITHIN: Duration = Duration::from_secs(30 + 15);

#[test]
fn points_of_a_dead_front_leave_the_descriptor_and_come_back_with_it() {
    let stage = stage();
    let [a, b, c] = MEMBERS.map(|name| stage.member(name));
    let since = [a, b].map(|machine| machine.node.log().len());
    kill(c);
    for (machine, from) in [a, b].into_iter().zip(since) {
        let dead = "Peer node-c declared DEAD, removing 3 intro points in 30s unless it returns";
        machine.node.wait_log(from, dead, DEAD_WITHIN).unwrap();
    }
    a.node.wait_status(GONE_WITHIN, |status| names(status, &MEMBERS[..2])).unwrap();
    a.node.wait_confirmed(SOON).unwrap();

    revive(c);
    for (machine, from) in [a, b].into_iter().zip(since) {
        let back = machine.node.wait_log(from, "Peer node-c came back! Adding to mesh", SOON);
        back.unwrap();
    }
    a.node.wait_status(LATER, |status| names(status, &MEMBERS)).unwrap();
}

#[test]
fn the_next_in_rank_publishes_when_the_publisher_dies() {
    let stage = stage();
    let [a, b, c] = MEMBERS.map(|name| stage.member(name));
    let since = b.node.log().len();
    kill(a);
    b.node.wait_log(since, "Peer node-a declared DEAD", DEAD_WITHIN).unwrap();
    b.node.wait_status(GONE_WITHIN, |status| names(status, &MEMBERS[1..])).unwrap();
    b.node.wait_confirmed(SOON).unwrap();
    assert_eq!(c.node.status().unwrap()["services"][0]["publishing"], false);
    let page = stage.network.wait_reachable(&stage.onion, SOON).unwrap();
    assert!(page.front.as_deref().is_some_and(|front| front != MEMBERS[0]), "{page:?}");

    revive(a);
    let stands_by = |status: &serde_json::Value| status["services"][0]["publishing"] == false;
    b.node.wait_status(LATER, stands_by).unwrap();
    a.node.wait_status(LATER, |status| names(status, &MEMBERS)).unwrap();
}

/// As a power cut would.
fn kill(machine: &Machine) {
    machine.node.kill();
    machine.front.tor().kill();
}

fn revive(machine: &Machine) {
    machine.front.tor().restart().unwrap();
    machine.start();
}
