//! Handshake, data, silence, restart, roaming.

use std::time::Duration;

use super::rig::{Net, address, key, peer, settings};
use crate::message::{Party, Path, Refusal};
use crate::transport::session::Remote;
use crate::transport::{Event, Peer};

const S: Duration = Duration::from_secs(1);

fn from(number: u8, payload: &[u8]) -> (Party, Path, Vec<u8>) {
    (Party::Peer(key(number)), Path::WireGuard, payload.to_vec())
}

#[test]
fn what_waits_for_the_handshake_arrives_after_it_in_order() {
    let mut net = Net::pair();
    let now = net.now;
    for payload in [b"a", b"b", b"c"] {
        net.node(1).links.send(Party::Peer(key(2)), Path::WireGuard, payload, now);
    }
    net.run();
    assert_eq!(net.node(2).payloads(), [from(1, b"a"), from(1, b"b"), from(1, b"c")]);
    net.send(2, 1, b"d");
    assert_eq!(net.node(1).payloads(), [from(2, b"d")]);
    for number in [1, 2] {
        let now = net.now;
        assert_eq!(net.node(number).changes(), [(Path::WireGuard, true)]);
        assert_eq!(net.node(number).refusals(), []);
        let counters = net.node(number).links.counters(now);
        let link = counters.links[&(key(3 - number), Path::WireGuard)];
        assert_eq!(link.handshakes, 1);
        assert_eq!((link.sent, link.received), if number == 1 { (3, 1) } else { (1, 3) });
        assert_eq!(link.remote, Some(address(3 - number)));
    }
}

#[test]
fn both_may_begin_at_once() {
    let mut net = Net::pair();
    let now = net.now;
    net.node(1).links.send(Party::Peer(key(2)), Path::WireGuard, b"one", now);
    net.node(2).links.send(Party::Peer(key(1)), Path::WireGuard, b"two", now);
    net.run();
    assert_eq!(net.node(2).payloads(), [from(1, b"one")]);
    assert_eq!(net.node(1).payloads(), [from(2, b"two")]);
}

#[test]
fn a_copied_datagram_is_refused_as_replayed_and_moves_nothing() {
    let mut net = Net::pair();
    net.send(1, 2, b"x");
    net.send(2, 1, b"y");
    assert_eq!(net.node(2).payloads().len(), 1);
    for mut copy in net.log.clone() {
        if copy.sender == 1 {
            copy.from = address(66);
            net.deliver(copy);
        }
    }
    net.run();
    assert_eq!(net.node(2).payloads(), []);
    let refusals = net.node(2).refusals();
    assert_eq!(refusals.len(), 3, "handshake, confirmation, payload: {refusals:?}");
    assert!(refusals.iter().all(|refusal| *refusal == (Some(key(1)), Refusal::Replayed)));
    net.log.clear();
    net.send(2, 1, b"z");
    assert!(net.log.iter().all(|flight| flight.to != Remote::Udp(address(66))));
}

#[test]
fn a_replayed_handshake_on_a_fresh_node_moves_nothing_and_opens_nothing() {
    let mut net = Net::pair();
    net.send(1, 2, b"x");
    let handshake = net.log[0].clone();
    net.add(2);
    net.node(2).links.admit(Peer { endpoint: None, ..peer(1) });
    net.deliver(super::rig::Flight { from: address(66), ..handshake });
    net.run();
    assert_eq!(net.node(2).changes(), []);
    let now = net.now;
    let link = net.node(2).links.counters(now).links[&(key(1), Path::WireGuard)];
    assert_eq!((link.remote, link.handshakes, link.up), (None, 0, false));
}

#[test]
fn the_last_authentic_source_is_where_we_send() {
    let mut net = Net::pair();
    net.send(1, 2, b"x");
    net.node(1).at = address(77);
    net.send(1, 2, b"moved");
    net.send(2, 1, b"found");
    assert_eq!(net.node(1).payloads(), [from(2, b"found")]);
    net.node(1).at = address(78);
    net.node(1).links.admit(peer(2));
    net.send(2, 1, b"lost");
    assert_eq!(net.node(1).payloads(), [], "nobody has told");
    net.send(1, 2, b"here");
    net.send(2, 1, b"again");
    assert_eq!(net.node(1).payloads(), [from(2, b"again")]);
}

#[test]
fn a_peer_that_went_back_to_its_known_address_is_found_there() {
    let mut net = Net::pair();
    net.node(1).at = address(77);
    net.send(1, 2, b"x");
    net.node(1).at = address(1);
    net.send(2, 1, b"to 77");
    net.send(2, 1, b"tried again");
    net.pass(8 * S);
    net.node(1).payloads();
    net.send(2, 1, b"found");
    assert_eq!(net.node(1).payloads(), [from(2, b"found")]);
}

#[test]
fn a_restart_is_healed_within_two_seconds_of_the_first_unanswered_word() {
    for restarted in [1, 2] {
        let mut net = Net::pair();
        net.send(1, 2, b"x");
        net.send(2, 1, b"x");
        net.add(restarted);
        net.node(restarted).links.admit(peer(3 - restarted));
        let other = 3 - restarted;
        net.send(other, restarted, b"lost");
        net.send(other, restarted, b"tried again");
        assert_eq!(net.node(restarted).payloads(), []);
        net.pass(2 * S);
        net.send(other, restarted, b"healed");
        assert_eq!(net.node(restarted).payloads(), [from(other, b"healed")]);
    }
}

#[test]
fn a_session_that_hears_nothing_is_reported_down_once_and_up_again() {
    let mut net = Net::pair();
    net.send(1, 2, b"x");
    net.send(2, 1, b"x");
    net.lost = true;
    net.log.clear();
    net.send(1, 2, b"lost");
    net.send(1, 2, b"tried again");
    net.pass(10 * S);
    assert_eq!(net.node(1).changes(), [(Path::WireGuard, true), (Path::WireGuard, false)]);
    let calls = net.log.iter().filter(|flight| flight.datagram.len() == 148).count();
    assert!((4..=7).contains(&calls), "{calls} handshakes in 10 s");
    net.lost = false;
    net.pass(3 * S);
    assert_eq!(net.node(1).changes().last(), Some(&(Path::WireGuard, true)));
    assert_eq!(net.node(1).changes().len(), 3);
}

#[test]
fn payloads_that_waited_too_long_are_not_sent() {
    let mut net = Net::pair();
    net.lost = true;
    net.send(1, 2, b"old");
    net.pass(11 * S);
    net.lost = false;
    net.send(1, 2, b"new");
    net.pass(3 * S);
    assert_eq!(net.node(2).payloads(), [from(1, b"new")]);
}

#[test]
fn a_quiet_session_is_kept_alive_and_does_not_call_for_answers() {
    let mut net = Net::pair();
    net.send(1, 2, b"x");
    net.send(2, 1, b"y");
    net.log.clear();
    net.pass(60 * S);
    let sizes: Vec<usize> = net.log.iter().map(|flight| flight.datagram.len()).collect();
    assert_eq!(sizes, [32; 4], "two empty packets from each");
}

#[test]
fn a_session_without_the_preshared_key_never_opens() {
    let mut net = Net::pair();
    let mut odd = settings(2);
    odd.preshared_key = None;
    net.add_with(2, &odd);
    net.introduce(1, 2);
    net.send(1, 2, b"x");
    assert_eq!(net.node(2).payloads(), []);
    assert_eq!(net.node(1).refusals(), [(Some(key(2)), Refusal::Unauthentic)]);
    assert_eq!((net.node(1).changes(), net.node(2).changes()), (vec![], vec![]));
}

#[test]
fn a_path_that_is_off_carries_nothing() {
    let mut net = Net::new();
    let mut quiet = settings(1);
    quiet.listen = None;
    net.add_with(1, &quiet);
    net.add(2);
    net.introduce(1, 2);
    net.send(1, 2, b"x");
    assert!(net.log.is_empty());
    let now = net.now;
    assert_eq!(net.node(1).links.counters(now).unsent, 1);
}

#[test]
fn oversized_payloads_and_unknown_parties_are_counted() {
    let mut net = Net::pair();
    net.send(1, 2, &[0; 1153]);
    net.send(1, 9, b"who");
    let now = net.now;
    net.node(1).links.send(Party::Door(0), Path::WireGuard, b"x", now);
    assert_eq!(net.node(1).links.counters(now).unsent, 3);
    net.send(1, 2, &[7; 1152]);
    let largest = net.log.iter().map(|flight| flight.datagram.len()).max();
    assert_eq!(largest, Some(1232));
    assert!(matches!(net.node(2).events.last(), Some(Event::Received { payload, .. })
        if payload.len() == 1152));
}
