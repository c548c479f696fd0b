//! A standard WireGuard peer, Debian's wireguard-go, speaks with an endpoint of ours: handshake,
//! ping, one payload. Each in a network namespace of its own, with a cable between them.
//!
//! Needs root, /dev/net/tun, `ip`, and what `tools/get-wireguard` unpacks; where something is
//! missing it prints `SKIPPED:` with the reason.

#![allow(clippy::unwrap_used, reason = "a test may end where it fails")]

mod lab;
mod ping;

use std::io::Write;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::thread::JoinHandle;
use std::time::Duration;

use rustbalance::ident::{ClusterId, PeerKey};
use rustbalance::message::{Party, Path};
use rustbalance::transport::{self, Event, INNER_PORT, Peer, Settings, inner_address, public_key};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use lab::{Lab, Tunnel, Wireguard};

const OURS: [u8; 32] = [1; 32];
const THEIRS: [u8; 32] = [2; 32];
const PRESHARED: [u8; 32] = [3; 32];
const CLUSTER: ClusterId = ClusterId([4; 16]);
const PATIENCE: Duration = Duration::from_secs(30);

fn inner(key: PeerKey) -> Ipv6Addr {
    inner_address(CLUSTER, key)
}

/// What our side saw, in the end.
struct Seen {
    payload: Vec<u8>,
    handshakes: u64,
    remote: Option<SocketAddr>,
}

/// Runs our endpoint in the namespace of the calling thread; tells where it listens, and answers
/// the first payload with the same bytes.
fn endpoint(at: SocketAddr, ready: std::sync::mpsc::Sender<SocketAddr>) -> Seen {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let settings = Settings {
            private_key: Zeroizing::new(OURS),
            preshared_key: Some(Zeroizing::new(PRESHARED)),
            cluster: CLUSTER,
            listen: Some(at),
            stream_port: None,
            keepalive: Duration::from_secs(25),
        };
        let (sender, mut events) = mpsc::channel(100);
        let node = transport::bind(settings, sender).await.unwrap();
        let key = public_key(&THEIRS);
        node.admit(Peer { key, endpoint: None, onion: None });
        ready.send(node.local_endpoint().unwrap()).unwrap();
        let heard = async {
            loop {
                match events.recv().await.expect("the task lives") {
                    Event::Received { from, path, payload } => {
                        assert_eq!((from, path), (Party::Peer(key), Path::WireGuard));
                        return payload.to_vec();
                    }
                    Event::Refused { reason, .. } => panic!("refused: {reason:?}"),
                    Event::LinkChanged { .. } => {}
                }
            }
        };
        let payload = tokio::time::timeout(2 * PATIENCE, heard).await.expect("a payload comes");
        node.send(Party::Peer(key), Path::WireGuard, payload.clone());
        let link = node.counters().await.links[&(key, Path::WireGuard)];
        Seen { payload, handshakes: link.handshakes, remote: link.remote }
    })
}

/// Both ends at work; `None` where this machine lacks something, which is told.
fn both_ends() -> Option<(Lab, JoinHandle<Seen>, Wireguard)> {
    let lab = match Lab::build() {
        Ok(lab) => lab,
        Err(reason) => {
            // Not by a macro: the word is to be seen though the test counts as passed.
            let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
            return None;
        }
    };
    let (ready, listening) = std::sync::mpsc::channel();
    let at = lab.our_socket();
    let ours = lab.thread_in_ours(move || endpoint(at, ready));
    let tunnel = Tunnel {
        private_key: THEIRS,
        peer: public_key(&OURS).0,
        preshared_key: PRESHARED,
        endpoint: listening.recv_timeout(PATIENCE).expect("our endpoint starts"),
        address: inner(public_key(&THEIRS)),
        peer_address: inner(public_key(&OURS)),
    };
    let wireguard = lab.start_wireguard(&tunnel, PATIENCE);
    Some((lab, ours, wireguard))
}

#[test]
fn a_standard_wireguard_peer_shakes_hands_pings_and_is_heard() {
    let Some((lab, ours, wireguard)) = both_ends() else { return };
    let theirs = lab.thread_in_theirs(|| {
        let target = inner(public_key(&OURS));
        let trips = ping::ping(target, 3, PATIENCE);
        let socket = UdpSocket::bind((inner(public_key(&THEIRS)), 0)).unwrap();
        socket.send_to(b"from another program", (target, INNER_PORT)).unwrap();
        trips
    });
    let trips = theirs.join().unwrap();
    let seen = ours.join().unwrap();
    assert_eq!(seen.payload, b"from another program");
    assert!(seen.handshakes >= 1);
    assert_eq!(seen.remote, Some(lab.their_socket()), "learnt from its datagrams");
    assert!(wireguard.latest_handshake_s() > 0, "wg knows of the handshake too");
    println!("three pings through wireguard-go and our endpoint: {trips:?}");
}

#[test]
fn our_payloads_reach_a_standard_socket_behind_a_standard_peer() {
    let Some((lab, ours, _wireguard)) = both_ends() else { return };
    let theirs = lab.thread_in_theirs(|| {
        ping::ping(inner(public_key(&OURS)), 1, PATIENCE);
        let address = SocketAddrV6::new(inner(public_key(&THEIRS)), INNER_PORT, 0, 0);
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send_to(&[7; 1152], (inner(public_key(&OURS)), INNER_PORT)).unwrap();
        let mut buffer = [0; 2000];
        let (len, from) = socket.recv_from(&mut buffer).unwrap();
        (buffer[..len].to_vec(), from)
    });
    let seen = ours.join().unwrap();
    let (answer, from) = theirs.join().unwrap();
    assert_eq!(seen.payload, [7; 1152]);
    assert_eq!(answer, [7; 1152]);
    assert_eq!(from, SocketAddr::from((inner(public_key(&OURS)), INNER_PORT)));
}
