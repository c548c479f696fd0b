//! Strangers, who get little, and newcomers with an invitation.

use std::time::Duration;

use zeroize::Zeroizing;

use super::super::arrivals::STRANGERS_MAX;
use super::rig::{Net, address, key, onion, peer, secret};
use crate::ident::TokenId;
use crate::message::{Door, Party, Path, Refusal};

const S: Duration = Duration::from_secs(1);
const TOKEN: TokenId = TokenId([5; 16]);
/// The number that makes the secret of the invitation.
const INVITATION: u8 = 200;

fn door(number: u8) -> Door {
    Door { key: key(number), endpoint: Some(address(number)), onion: Some(onion(number)) }
}

fn open_door(net: &mut Net, node: u8, psk: u8) {
    let door = (TOKEN, key(INVITATION), Zeroizing::new([psk; 32]));
    net.node(node).links.open_doors(vec![door]);
}

fn knock(net: &mut Net, node: u8, at: u8, path: Path) {
    let (now, secret) = (net.now, secret(INVITATION));
    net.node(node).links.knock(0, door(at), &secret, Zeroizing::new([7; 32]), path, now);
    net.run();
}

/// A stranger that knows node 2, but whom node 2 does not know.
fn stranger(net: &mut Net, number: u8) {
    net.add(number);
    net.node(number).links.admit(peer(2));
    net.send(number, 2, b"let me in");
}

#[test]
fn a_stranger_is_heard_as_the_owner_of_its_key() {
    let mut net = Net::pair();
    stranger(&mut net, 10);
    let heard = net.node(2).payloads();
    assert_eq!(heard, [(Party::Peer(key(10)), Path::WireGuard, b"let me in".to_vec())]);
    net.send(2, 10, b"who are you");
    assert_eq!(net.node(10).payloads().len(), 1);
    net.pass(60 * S);
    let strangers = net.node(2).links.sessions.len();
    assert_eq!(strangers, 0, "a stranger that fell silent is forgotten");
}

#[test]
fn who_knocks_with_an_invitation_that_is_not_ours_is_counted_and_forgotten() {
    let mut net = Net::pair();
    net.add(10);
    knock(&mut net, 10, 2, Path::WireGuard);
    let now = net.now;
    net.node(10).links.send(Party::Door(0), Path::WireGuard, b"let me in", now);
    net.run();
    net.pass(8 * S);
    assert_eq!(net.node(2).refusals(), []);
    net.pass(3 * S);
    assert!(net.node(2).refusals().contains(&(None, Refusal::Unauthentic)));
    assert!(net.node(2).payloads().is_empty());
}

#[test]
fn strangers_push_out_strangers_only() {
    let mut net = Net::pair();
    net.send(1, 2, b"x");
    let max = u8::try_from(STRANGERS_MAX).unwrap();
    for number in 10..10 + max + 5 {
        stranger(&mut net, number);
        net.pass(S / 4);
    }
    let sessions = &net.node(2).links.sessions;
    assert_eq!(sessions.len(), STRANGERS_MAX + 1);
    assert!(sessions.contains_key(&(Party::Peer(key(1)), Path::WireGuard)));
    assert!(!sessions.contains_key(&(Party::Peer(key(10)), Path::WireGuard)), "the oldest");
    assert!(sessions.contains_key(&(Party::Peer(key(10 + max + 4)), Path::WireGuard)));
    net.node(2).payloads();
    net.send(1, 2, b"still here");
    assert_eq!(net.node(2).payloads().len(), 1);
}

#[test]
fn strangers_come_in_slowly_and_members_at_once() {
    let mut net = Net::pair();
    for number in 10..30 {
        stranger(&mut net, number);
    }
    assert_eq!(net.node(2).payloads().len(), 8);
    assert!(net.node(2).refusals().contains(&(Some(key(29)), Refusal::Flood)));
    let now = net.now;
    let refused = net.node(2).links.counters(now).refused;
    assert_eq!(refused[&(None, Path::WireGuard, Refusal::Flood)], 12, "not by foreign keys");
    net.send(1, 2, b"x");
    assert_eq!(net.node(2).payloads().len(), 1);
}

#[test]
fn a_stranger_that_is_admitted_keeps_its_session_and_gets_a_members_room() {
    let mut net = Net::pair();
    stranger(&mut net, 10);
    for _ in 0..100 {
        net.send(10, 2, b"x");
    }
    assert_eq!(net.node(2).payloads().len(), 40);
    net.node(2).links.admit(peer(10));
    net.log.clear();
    for _ in 0..100 {
        net.send(10, 2, b"x");
    }
    assert_eq!(net.node(2).payloads().len(), 100);
    assert!(net.log.iter().all(|flight| flight.datagram.len() != 148), "no new handshake");
}

#[test]
fn a_newcomer_knocks_and_both_sides_know_it_by_the_invitation() {
    let mut net = Net::pair();
    net.add(20);
    open_door(&mut net, 2, 7);
    knock(&mut net, 20, 2, Path::WireGuard);
    let now = net.now;
    net.node(20).links.send(Party::Door(0), Path::WireGuard, b"join", now);
    net.run();
    let heard = net.node(2).payloads();
    assert_eq!(heard, [(Party::Token(TOKEN), Path::WireGuard, b"join".to_vec())]);
    net.node(2).links.send(Party::Token(TOKEN), Path::WireGuard, b"welcome", now);
    net.run();
    let heard = net.node(20).payloads();
    assert_eq!(heard, [(Party::Door(0), Path::WireGuard, b"welcome".to_vec())]);
}

#[test]
fn a_newcomer_comes_in_over_a_stream_and_each_knock_takes_a_new_one() {
    let mut net = Net::pair();
    net.add(20);
    open_door(&mut net, 2, 7);
    knock(&mut net, 20, 2, Path::Tor);
    assert_eq!(net.node(20).dials[0].1, onion(2));
    let (first, _) = net.open_stream(20, 2);
    knock(&mut net, 20, 2, Path::Tor);
    assert!(!net.streams.contains_key(&(20, first)));
    net.open_stream(20, 2);
    let now = net.now;
    net.node(20).links.send(Party::Door(0), Path::Tor, b"join", now);
    net.run();
    assert_eq!(net.node(2).payloads(), [(Party::Token(TOKEN), Path::Tor, b"join".to_vec())]);
}

#[test]
fn a_closed_door_makes_a_stranger_of_the_invitation_and_ends_its_session() {
    let mut net = Net::pair();
    net.add(20);
    open_door(&mut net, 2, 7);
    knock(&mut net, 20, 2, Path::WireGuard);
    assert!(net.node(2).links.sessions.contains_key(&(Party::Token(TOKEN), Path::WireGuard)));
    net.node(2).links.open_doors(Vec::new());
    assert!(!net.node(2).links.sessions.contains_key(&(Party::Token(TOKEN), Path::WireGuard)));
    knock(&mut net, 20, 2, Path::WireGuard);
    let now = net.now;
    net.node(20).links.send(Party::Door(0), Path::WireGuard, b"join", now);
    net.run();
    assert_eq!(net.node(2).payloads(), [], "the cluster's preshared key is not the invitation's");
}

#[test]
fn an_invitation_with_another_preshared_key_opens_nothing() {
    let mut net = Net::pair();
    net.add(20);
    open_door(&mut net, 2, 8);
    knock(&mut net, 20, 2, Path::WireGuard);
    let now = net.now;
    net.node(20).links.send(Party::Door(0), Path::WireGuard, b"join", now);
    net.run();
    assert_eq!(net.node(2).payloads(), []);
    assert_eq!(net.node(20).refusals()[0], (None, Refusal::Unauthentic));
}
