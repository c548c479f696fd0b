//! Datagrams that are no session's, and sessions with keys that do not fit.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use rustbalance::ident::PeerKey;

use crate::enemy::{Enemy, Terms, heartbeat};
use crate::scene::Scene;

/// The largest that UDP carries over loopback.
const UDP_MAX_BYTES: usize = 65_507;

/// Lengths of WireGuard's messages, by their types (whitepaper, section 5.4).
const LENGTHS: [(u8, usize); 4] = [(1, 148), (2, 92), (3, 64), (4, 96)];

fn random(length: usize) -> Vec<u8> {
    (0..length).map(|_| rand::random()).collect()
}

/// Garbage of many lengths, and messages that are right but for what counts.
fn garbage() -> Vec<Vec<u8>> {
    let lengths = [1, 3, 4, 31, 32, 147, 149, 1200, 1500, 1501, 9000, UDP_MAX_BYTES];
    let mut all: Vec<Vec<u8>> = lengths.map(random).to_vec();
    for (kind, length) in LENGTHS {
        for length in [length - 1, length, length + 1, 4, 1400] {
            let mut message = random(length);
            message[..4].copy_from_slice(&[kind, 0, 0, 0]);
            all.push(message);
        }
    }
    all.extend((0..200).map(|n| random(n * 7 + 1)));
    all
}

#[test]
fn garbage_is_counted_as_a_strangers_and_troubles_nobody() {
    let scene = Scene::new();
    let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 66], 0))).unwrap();
    let all = garbage();
    for datagram in &all {
        socket.send_to(datagram, scene.victim.endpoint()).unwrap();
    }
    scene.refused(None, "not authentic", all.len() as u64 / 2);
    scene.calm();
}

#[test]
fn a_handshake_for_another_key_or_with_another_preshared_key_opens_nothing() {
    let scene = Scene::new();
    let other_key = Terms { victim: PeerKey([9; 32]), ..Terms::stranger(&scene) };
    let preshared = Terms { preshared_key: Some([7; 32]), ..Terms::stranger(&scene) };
    let mut enemies = [other_key, preshared].map(Enemy::new);
    for enemy in &mut enemies {
        enemy.say(heartbeat());
    }
    scene.refused(None, "not authentic", 1);
    for enemy in &mut enemies {
        enemy.live(Duration::from_secs(4), |_| heartbeat());
        let links = enemy.counters().links;
        assert!(links.values().all(|link| !link.up && link.received == 0), "{links:?}");
    }
    scene.calm();
}
