//! Datagrams that were seen on the way and are sent again.

use std::net::{SocketAddr, UdpSocket};

use rustbalance::message::Body;

use crate::scene::{Scene, WITNESS, refusals};
use crate::yard::poll;

#[test]
fn recorded_datagrams_are_refused_and_lead_nobody_astray() {
    let scene = Scene::relayed();
    let (mut enemy, _) = scene.traitor(&[]);
    let relay = scene.victim.relay.as_ref().unwrap();
    (0..20).for_each(|_| enemy.say(Body::AskSeen(crate::enemy::named(WITNESS))));
    let recorded = poll(crate::yard::PATIENCE, || {
        let recorded = relay.recorded();
        (recorded.len() >= 30).then_some(recorded)
    });
    let recorded = recorded.unwrap();
    let elsewhere = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 67], 0))).unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    for datagram in recorded.iter().chain(&recorded) {
        elsewhere.send_to(datagram, scene.victim.socket).unwrap();
    }
    let least = recorded.len() as u64;
    let status = scene.victim.wait("refusing replays", |status| {
        let of = |who| refusals(status, who, "seen before, or too old");
        of(Some(crate::scene::TRAITOR)) + of(Some(WITNESS)) + of(None) >= least
    });
    assert!(refusals(&status, Some(WITNESS), "seen before") > 0, "{status:#}");
    enemy.greet();
    let answered = elsewhere.recv_from(&mut [0; 2048]);
    assert!(answered.is_err(), "a copy made the victim answer to another address");
    scene.calm();
}
