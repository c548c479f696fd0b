//! Garbage, floods, bans: refused, counted, and harmless to others.

use std::time::Duration;

use proptest::prelude::*;

use super::rig::{Flight, Net, address, key, peer, settings};
use crate::message::{Party, Path, Refusal};
use crate::transport::session::Remote;

fn throw(net: &mut Net, to: u8, datagram: Vec<u8>) {
    throw_from(net, 66, to, datagram);
}

fn throw_from(net: &mut Net, from: u8, to: u8, datagram: Vec<u8>) {
    let flight = Flight { sender: 0, from: address(from), to: Remote::Udp(address(to)), datagram };
    net.deliver(flight);
    net.run();
}

#[test]
fn a_flooding_member_is_cut_off_and_another_is_not() {
    let mut net = Net::pair();
    net.add(3);
    net.introduce(2, 3);
    net.send(1, 2, b"hello");
    net.send(3, 2, b"hello");
    net.node(2).payloads();
    for _ in 0..1000 {
        net.send(1, 2, b"flood");
    }
    assert_eq!(net.node(2).payloads().len(), 399, "the burst, less the greeting");
    for _ in 0..100 {
        net.send(3, 2, b"fine");
    }
    assert_eq!(net.node(2).payloads().len(), 100);
    let now = net.now;
    let refused = net.node(2).links.counters(now).refused;
    assert_eq!(refused[&(Some(key(1)), Path::WireGuard, Refusal::Flood)], 601);
    assert_eq!(refused.len(), 1);
    net.pass(Duration::from_secs(1));
    for _ in 0..200 {
        net.send(1, 2, b"again");
    }
    assert_eq!(net.node(2).payloads().len(), 100, "one second's worth");
}

#[test]
fn handshakes_in_masses_are_answered_with_cookies_and_cost_no_session() {
    let mut net = Net::pair();
    let now = net.now;
    let mut handshakes = Vec::new();
    for number in 10..250 {
        net.add(number);
        net.node(number).links.admit(peer(2));
        net.node(number).links.send(Party::Peer(key(2)), Path::WireGuard, b"x", now);
        let node = net.node(number);
        if let Some(super::super::Output::Transmit { datagram, .. }) = node.links.poll_output() {
            handshakes.push(datagram);
        }
        net.nodes.remove(&number);
    }
    assert_eq!(handshakes.len(), 240);
    net.log.clear();
    for (number, handshake) in (10..).zip(handshakes) {
        throw_from(&mut net, number, 2, handshake);
    }
    let cookies = net.log.iter().filter(|flight| flight.datagram.len() == 64).count();
    let answers = net.log.iter().filter(|flight| flight.datagram.len() == 92).count();
    assert_eq!(cookies, 240 - 150);
    assert_eq!(answers, 8, "one for each token of strangers");
    net.send(1, 2, b"x");
    net.pass(Duration::from_secs(3));
    net.send(1, 2, b"still here");
    assert!(!net.node(2).payloads().is_empty());
}

#[test]
fn one_address_may_not_take_all_handshakes() {
    let mut net = Net::pair();
    net.send(1, 2, b"x");
    let handshake = net.log[0].datagram.clone();
    for _ in 0..100 {
        throw(&mut net, 2, handshake.clone());
    }
    let refusals = net.node(2).refusals();
    let of = |reason| refusals.iter().filter(|refusal| refusal.1 == reason).count();
    assert_eq!((of(Refusal::Replayed), of(Refusal::Flood)), (40, 60));
    net.add(3);
    net.introduce(2, 3);
    net.send(3, 2, b"y");
    assert_eq!(net.node(2).payloads().len(), 2);
}

#[test]
fn a_banned_key_gets_no_answer_until_it_is_admitted_again() {
    let mut net = Net::pair();
    net.send(1, 2, b"x");
    net.node(2).payloads();
    net.node(2).links.dismiss(key(1), true);
    net.send(1, 2, b"in the old session");
    net.log.clear();
    net.pass(Duration::from_secs(5));
    assert_eq!(net.node(2).payloads(), []);
    assert!(net.log.iter().all(|flight| flight.sender == 1), "nothing is answered");
    let refusals = net.node(2).refusals();
    assert_eq!(refusals[0], (None, Refusal::Unauthentic));
    assert!(refusals.len() > 1);
    assert!(refusals[1..].iter().all(|refusal| *refusal == (Some(key(1)), Refusal::Removed)));
    let now = net.now;
    let refused = net.node(2).links.counters(now).refused;
    assert!(refused[&(Some(key(1)), Path::WireGuard, Refusal::Removed)] > 0);
    net.node(2).links.admit(peer(1));
    net.pass(Duration::from_secs(3));
    net.send(1, 2, b"back");
    assert_eq!(net.node(2).payloads().len(), 1);
}

#[test]
fn a_handshake_for_another_node_and_a_damaged_one_are_unauthentic() {
    let mut net = Net::pair();
    net.add(3);
    net.send(1, 2, b"x");
    let handshake = net.log[0].datagram.clone();
    assert_eq!(handshake.len(), 148);
    throw(&mut net, 3, handshake.clone());
    for position in [4, 8, 40, 90, 116, 140] {
        let mut damaged = handshake.clone();
        damaged[position] ^= 1;
        throw(&mut net, 3, damaged);
    }
    throw(&mut net, 3, handshake[..147].to_vec());
    throw(&mut net, 3, Vec::new());
    throw(&mut net, 3, vec![0xFF; 2000]);
    assert_eq!(net.node(3).refusals(), vec![(None, Refusal::Unauthentic); 10]);
    assert_eq!(net.node(3).links.sessions.len(), 0);
}

#[test]
fn a_payload_under_another_members_inner_address_is_unauthentic() {
    let mut net = Net::pair();
    let mut odd = settings(1);
    odd.cluster = crate::ident::ClusterId([2; 16]);
    net.add_with(1, &odd);
    net.node(1).links.admit(peer(2));
    net.send(1, 2, b"x");
    assert_eq!(net.node(2).payloads(), []);
    assert_eq!(net.node(2).refusals(), [(Some(key(1)), Refusal::Unauthentic)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_and_any_damage_leave_the_session_working(
        garbage in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..20),
        damage in proptest::collection::vec((any::<usize>(), any::<usize>(), 1..=255u8), 1..20),
    ) {
        let mut net = Net::pair();
        net.send(1, 2, b"x");
        net.send(2, 1, b"y");
        net.node(2).payloads();
        garbage.into_iter().for_each(|datagram| throw(&mut net, 2, datagram));
        for (which, position, change) in damage {
            let mut datagram = net.log[which % net.log.len()].datagram.clone();
            let position = position % datagram.len();
            datagram[position] ^= change;
            throw(&mut net, 2, datagram);
        }
        prop_assert_eq!(net.node(2).payloads(), []);
        net.send(1, 2, b"fine");
        prop_assert_eq!(net.node(2).payloads().len(), 1);
    }
}
