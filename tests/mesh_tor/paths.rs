//! WireGuard blocked between nodes: Tor takes over, and WireGuard is taken back.

use std::time::Duration;

use serde_json::Value;

use crate::machines::Machine;
use crate::{MEMBERS, Stage, stage};

/// Heartbeats go over Tor so soon after a block.
const TOR_WITHIN: Duration = Duration::from_secs(5);

/// Heartbeats go over WireGuard again so soon after a block is over.
pub(crate) const BACK_WITHIN: Duration = Duration::from_secs(60);

/// Slack for a test that looks from outside on a busy machine.
const SLACK: Duration = Duration::from_secs(1);

/// What a node writes when it leaves WireGuard.
pub(crate) fn left(other: &str) -> String {
    format!("WireGuard to {other} silent for ")
}

/// What a node writes when it takes WireGuard back.
pub(crate) fn returned(other: &str) -> String {
    format!("WireGuard to {other} works again")
}

#[test]
fn a_pair_without_udp_talks_over_tor_until_udp_is_back() {
    let stage = stage();
    let [_, b, c] = MEMBERS.map(|name| stage.member(name));
    block_and_heal(&stage, &[(b, c)], || b.cut(c));
}

#[test]
fn a_node_without_udp_talks_over_tor_with_everybody_until_udp_is_back() {
    let stage = stage();
    let [a, b, c] = MEMBERS.map(|name| stage.member(name));
    block_and_heal(&stage, &[(a, c), (b, c)], || {
        a.cut(c);
        b.cut(c);
    });
}

/// Both ends of each pair go over to Tor and come back; nobody is missed so often as to be dead,
/// and nobody else changes the way.
fn block_and_heal(stage: &Stage, pairs: &[(&Machine, &Machine)], block: impl FnOnce()) {
    let since = stage.logged();
    let from = |machine: &Machine| {
        let place = stage.members.iter().position(|other| other.name == machine.name);
        since[place.expect("a member")]
    };
    let ends = || pairs.iter().flat_map(|&(one, other)| [(one, other), (other, one)]);
    block();
    for (one, other) in ends() {
        let within = TOR_WITHIN + SLACK;
        one.node.wait_log(from(one), &left(&other.name), within).unwrap();
        one.wait_peer(&other.name, "over Tor", SLACK, |seen| seen["path"] == "tor");
    }
    for (one, other) in stage.pairs() {
        let blocked = ends().any(|(x, y)| (&x.name, &y.name) == (&one.name, &other.name));
        let seen = one.sees(&other.name);
        assert_eq!(seen["path"], if blocked { "tor" } else { "wg" }, "{} {seen}", one.name);
    }
    stage.members.iter().for_each(Machine::heal);
    for (one, other) in ends() {
        one.node.wait_log(from(one), &returned(&other.name), BACK_WITHIN).unwrap();
        let back = |seen: &Value| seen["path"] == "wg" && seen["state"] == "alive";
        one.wait_peer(&other.name, "over WireGuard", SLACK, back);
    }
    let killed = stage.wrote(&since, "declared DEAD").map(|machine| &machine.name);
    assert_eq!(killed, None, "nobody died");
}
