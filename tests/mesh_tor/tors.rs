//! A node whose tor is gone, or lends it no way to the others.

use std::fs;
use std::time::Instant;

use serde_json::Value;

use crate::machines::{Machine, heard_over_tor_since};
use crate::paths::{BACK_WITHIN, left, returned};
use crate::yard::now;
use crate::{LATER, MEMBERS, SOON, stage};

#[test]
fn without_its_tor_a_node_stays_in_the_mesh_and_others_see_that_tor_is_down() {
    let stage = stage();
    let [a, b, c] = MEMBERS.map(|name| stage.member(name));
    let since = stage.logged();
    c.front.tor().kill();
    for machine in [a, b] {
        let down = |seen: &Value| seen["tor"] == false && seen["state"] == "alive";
        machine.wait_peer(&c.name, "without tor", SOON, down);
        let gone = |seen: &Value| seen["intro_established"] == 0 && seen["path"] == "wg";
        machine.wait_peer(&c.name, "without points", SOON, gone);
    }
    let restarted = restart(c);
    for machine in [a, b] {
        let heard = heard_over_tor_since(restarted);
        let back = |seen: &Value| seen["tor"] == true && heard(seen) && seen["path"] == "wg";
        machine.wait_peer(&c.name, "with tor", LATER, back);
    }
    let killed = stage.wrote(&since, "declared DEAD").map(|machine| &machine.name);
    assert_eq!(killed, None, "nobody died");
}

#[test]
fn a_node_without_a_socks_port_calls_over_wireguard_and_is_called_over_tor() {
    let stage = stage();
    let [a, b, c] = MEMBERS.map(|name| stage.member(name));
    let socks = format!("SocksPort 127.0.0.1:{} ExtendedErrors\n", c.front.socks_port());
    let torrc = fs::read_to_string(c.front.tor().torrc_path()).unwrap();
    let without = torrc.replace(&socks, "SocksPort 0\n");
    assert_ne!(without, torrc);
    let since = stage.logged();
    fs::write(c.front.tor().torrc_path(), without).unwrap();
    let restarted = restart(c);
    c.node.wait_log(since[2], "Tor has no SOCKS port", SOON).unwrap();
    for machine in [a, b] {
        let heard = heard_over_tor_since(restarted);
        let called = |seen: &Value| seen["tor"] == true && heard(seen) && seen["path"] == "wg";
        machine.wait_peer(&c.name, "over both ways", LATER, called);
        let wireguard = |seen: &Value| seen["path"] == "wg" && seen["state"] == "alive";
        c.wait_peer(&machine.name, "over WireGuard", SOON, wireguard);
    }

    a.cut(c);
    a.node.wait_log(since[0], &left(&c.name), SOON).unwrap();
    let heard = |seen: &Value| seen["path"] == "tor" && seen["state"] == "alive";
    a.wait_peer(&c.name, "over Tor", SOON, heard);
    a.heal();
    c.heal();
    a.node.wait_log(since[0], &returned(&c.name), BACK_WITHIN).unwrap();
    let killed = stage.wrote(&since, "declared DEAD").map(|machine| &machine.name);
    assert_eq!(killed, None, "nobody died");

    let since = c.node.log().len();
    fs::write(c.front.tor().torrc_path(), torrc).unwrap();
    c.front.tor().control().unwrap().command("SIGNAL RELOAD").unwrap();
    c.node.wait_log(since, "Tor has a SOCKS port now", SOON).unwrap();
}

/// Starts its tor anew; gives when.
fn restart(machine: &Machine) -> Instant {
    let at = now();
    machine.front.tor().restart().unwrap();
    at
}
