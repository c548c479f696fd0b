//! Onion streams as remotes: dialled when needed, recognised, given up.

use std::time::Duration;

use super::super::streams::UNKNOWN_MAX;
use super::rig::{Net, key, onion};
use crate::message::{Party, Path, Refusal};
use crate::transport::session::Remote;

const S: Duration = Duration::from_secs(1);

fn tor(net: &mut Net, from: u8, to: u8, payload: &[u8]) {
    net.send_over(from, to, Path::Tor, payload);
}

fn heard(number: u8, payload: &[u8]) -> Vec<(Party, Path, Vec<u8>)> {
    vec![(Party::Peer(key(number)), Path::Tor, payload.to_vec())]
}

#[test]
fn a_stream_is_dialled_once_when_there_is_something_to_send() {
    let mut net = Net::pair();
    net.pass(2 * S);
    assert_eq!(net.node(1).dials, []);
    tor(&mut net, 1, 2, b"x");
    tor(&mut net, 1, 2, b"y");
    assert_eq!(net.node(1).dials.len(), 1);
    assert_eq!(net.node(1).dials[0].1, onion(2));
    net.open_stream(1, 2);
    let got: Vec<Vec<u8>> = net.node(2).payloads().into_iter().map(|p| p.2).collect();
    assert_eq!(got, [b"x", b"y"]);
    tor(&mut net, 2, 1, b"back");
    assert_eq!(net.node(1).payloads(), heard(2, b"back"));
    assert_eq!(net.node(2).dials, [], "the stream serves both ways");
    assert!(net.log.is_empty(), "nothing over UDP");
}

#[test]
fn failed_dials_are_repeated_ever_more_slowly_and_only_on_demand() {
    let mut net = Net::pair();
    let mut tries = Vec::new();
    for step in 0..1200 {
        tor(&mut net, 1, 2, b"x");
        let now = net.now;
        for (id, _) in std::mem::take(&mut net.node(1).dials) {
            tries.push(step);
            net.node(1).links.dial_failed(id, 0.0, now);
        }
        net.pass(S / 4);
    }
    let pauses: Vec<i32> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses, [4, 8, 16, 32, 64, 128, 240, 240, 240], "in quarters of a second");
    net.pass(120 * S);
    assert_eq!(net.node(1).dials, []);
}

#[test]
fn without_a_socks_port_nothing_is_dialled() {
    let mut net = Net::pair();
    net.node(1).links.set_can_dial(false);
    tor(&mut net, 1, 2, b"x");
    assert_eq!(net.node(1).dials, []);
    net.node(1).links.set_can_dial(true);
    tor(&mut net, 1, 2, b"x");
    assert_eq!(net.node(1).dials.len(), 1);
}

#[test]
fn a_session_survives_its_stream_and_takes_the_next_one() {
    let mut net = Net::pair();
    tor(&mut net, 1, 2, b"x");
    let (id, _) = net.open_stream(1, 2);
    net.node(2).payloads();
    net.break_stream(1, id);
    net.run();
    assert_eq!(net.node(1).changes(), [(Path::Tor, true), (Path::Tor, false)]);
    assert_eq!(net.node(2).changes(), [(Path::Tor, true), (Path::Tor, false)]);
    tor(&mut net, 2, 1, b"from the other side");
    net.open_stream(2, 1);
    assert_eq!(net.node(1).payloads(), heard(2, b"from the other side"));
    tor(&mut net, 1, 2, b"y");
    assert_eq!(net.node(2).payloads(), heard(1, b"y"));
}

#[test]
fn a_stream_that_broke_is_not_dialled_again_at_once() {
    let mut net = Net::pair();
    tor(&mut net, 1, 2, b"x");
    let (id, _) = net.open_stream(1, 2);
    net.break_stream(1, id);
    tor(&mut net, 1, 2, b"y");
    assert_eq!(net.node(1).dials, []);
    net.pass(S);
    tor(&mut net, 1, 2, b"z");
    assert_eq!(net.node(1).dials.len(), 1);
}

#[test]
fn unused_streams_are_closed_and_so_are_those_of_nobody() {
    let mut net = Net::pair();
    tor(&mut net, 1, 2, b"x");
    net.open_stream(1, 2);
    let now = net.now;
    assert!(net.node(2).links.stream_accepted(now).is_some());
    assert_eq!(net.node(2).links.counters(now).streams, 2);
    net.pass(9 * S);
    assert_eq!(net.node(2).links.counters(now).streams, 2);
    net.pass(S);
    assert_eq!(net.node(2).links.counters(now).streams, 1, "nobody spoke on the other");
    tor(&mut net, 2, 1, b"answer");
    net.pass(59 * S);
    assert_eq!(net.node(2).links.counters(now).streams, 1);
    net.pass(2 * S);
    assert_eq!(net.node(2).links.counters(now).streams, 0);
}

#[test]
fn streams_of_nobody_are_few_and_leave_room_for_ours() {
    let mut net = Net::pair();
    let now = net.now;
    let accepted = (0..1000).filter(|_| net.node(2).links.stream_accepted(now).is_some());
    assert_eq!(accepted.count(), UNKNOWN_MAX);
    tor(&mut net, 2, 1, b"x");
    net.open_stream(2, 1);
    assert_eq!(net.node(1).payloads(), heard(2, b"x"));
}

#[test]
fn a_dead_stream_is_given_up_and_another_dialled() {
    let mut net = Net::pair();
    tor(&mut net, 1, 2, b"x");
    let (first, _) = net.open_stream(1, 2);
    tor(&mut net, 2, 1, b"y");
    net.streams.clear();
    for _ in 0..20 {
        tor(&mut net, 1, 2, b"into the void");
        net.pass(S);
    }
    assert_eq!(net.node(1).changes(), [(Path::Tor, true), (Path::Tor, false)]);
    let (second, _) = net.node(1).dials[0];
    assert!(second > first);
}

#[test]
fn a_datagram_of_the_other_path_finds_no_session() {
    let mut net = Net::pair();
    net.send(1, 2, b"x");
    net.node(2).payloads();
    net.send(1, 2, b"y");
    net.node(2).payloads();
    let copy = net.log.last().unwrap().datagram.clone();
    let now = net.now;
    let id = net.node(2).links.stream_accepted(now).unwrap();
    net.node(2).links.receive(Remote::Stream(id), &copy, now);
    net.run();
    assert_eq!(net.node(2).refusals(), [(None, Refusal::Unauthentic)]);
}

#[test]
fn a_stream_that_floods_is_closed_and_another_is_not() {
    let mut net = Net::pair();
    tor(&mut net, 1, 2, b"x");
    net.open_stream(1, 2);
    let now = net.now;
    let id = net.node(2).links.stream_accepted(now).unwrap();
    for _ in 0..800 {
        net.node(2).links.receive(Remote::Stream(id), b"garbage", now);
    }
    net.run();
    assert_eq!(net.node(2).links.counters(now).streams, 2);
    net.node(2).links.receive(Remote::Stream(id), b"garbage", now);
    net.run();
    assert_eq!(net.node(2).links.counters(now).streams, 1);
    net.node(2).payloads();
    tor(&mut net, 1, 2, b"y");
    assert_eq!(net.node(2).payloads(), heard(1, b"y"));
}

#[test]
fn handshakes_on_one_stream_are_few() {
    let mut net = Net::pair();
    tor(&mut net, 1, 2, b"x");
    let (_, other) = net.open_stream(1, 2);
    let now = net.now;
    for _ in 0..20 {
        net.node(2).links.receive(Remote::Stream(other), &handshake(), now);
    }
    net.run();
    let floods = net.node(2).refusals().into_iter().filter(|r| r.1 == Refusal::Flood);
    assert_eq!(floods.count(), 17, "four at once, one of them was good");
}

/// Something that looks like the first message of a handshake.
fn handshake() -> Vec<u8> {
    let mut datagram = vec![9; 148];
    datagram[..4].copy_from_slice(&[1, 0, 0, 0]);
    datagram
}
