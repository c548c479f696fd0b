//! Nodes without UDP: they join over the onion address of their invitation, and stay on Tor.

use crate::{LATER, MEMBERS, NEWCOMERS, SOON, names, stage};

#[test]
fn nodes_without_udp_join_over_tor_serve_and_leave() {
    let stage = stage();
    let first = stage.member(MEMBERS[0]);
    for newcomer in &stage.newcomers {
        let said = newcomer.join(&first.invite(&["--name", &newcomer.name])).done();
        assert!(said.contains("over Tor") && !said.contains("over WireGuard"), "{said}");
        newcomer.start();
    }
    let over_tor = |seen: &serde_json::Value| seen["state"] == "alive" && seen["path"] == "tor";
    for newcomer in &stage.newcomers {
        for member in &stage.members {
            member.wait_peer(&newcomer.name, "over Tor", LATER, over_tor);
            newcomer.wait_peer(&member.name, "over Tor", LATER, over_tor);
        }
        for other in stage.newcomers.iter().filter(|other| other.name != newcomer.name) {
            newcomer.wait_peer(&other.name, "over Tor", LATER, over_tor);
        }
    }
    let all = [&MEMBERS[..], &NEWCOMERS[..]].concat();
    first.node.wait_status(LATER, |status| names(status, &all)).unwrap();

    for newcomer in &stage.newcomers {
        newcomer.run(&["leave", "--yes"], b"").done();
        let left = |seen: &serde_json::Value| seen["state"] == "left";
        first.wait_peer(&newcomer.name, "gone", SOON, left);
    }
    first.node.wait_status(SOON, |status| names(status, &MEMBERS)).unwrap();
}
