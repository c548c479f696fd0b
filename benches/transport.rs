//! How long a frame of 256 bytes takes through a session; figures are in `docs/performance.md`.

#![allow(clippy::unwrap_used, reason = "a bench stops at the first surprise")]

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Duration;

use boringtun::noise::{Tunn, TunnResult};
use boringtun::x25519::{PublicKey, StaticSecret};
use criterion::{Criterion, criterion_group, criterion_main};
use etherparse::PacketBuilder;
use rustbalance::ident::{ClusterId, PeerKey};
use rustbalance::message::{Party, Path};
use rustbalance::transport::{self, Event, INNER_PORT, Peer, Settings, Transport, public_key};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::time::Instant;
use zeroize::Zeroizing;

const FRAME: [u8; 256] = [7; 256];

/// So many frames a peer may send at once.
const BURST: u64 = 300;

fn written<'a>(result: TunnResult<'a>) -> &'a [u8] {
    match result {
        TunnResult::WriteToNetwork(datagram) => datagram,
        other => panic!("{other:?}"),
    }
}

fn tunnels() -> (Tunn, Tunn) {
    let secrets = [1, 2].map(|number| StaticSecret::from([number; 32]));
    let [a, b] = [0, 1].map(|i| {
        let theirs = PublicKey::from(&secrets[1 - i]);
        Tunn::new(secrets[i].clone(), theirs, None, None, 0, None)
    });
    (a, b)
}

fn shake_hands(a: &mut Tunn, b: &mut Tunn) {
    let [mut one, mut two] = [[0; 2048]; 2];
    let question = written(a.format_handshake_initiation(&mut one, false)).to_vec();
    let answer = written(b.decapsulate(None, &question, &mut two)).to_vec();
    let confirmation = written(a.decapsulate(None, &answer, &mut one)).to_vec();
    assert!(matches!(b.decapsulate(None, &confirmation, &mut two), TunnResult::Done));
}

fn mathematics(c: &mut Criterion) {
    c.bench_function("make a session, both sides and the handshake", |bench| {
        bench.iter(|| {
            let (mut a, mut b) = tunnels();
            shake_hands(&mut a, &mut b);
        });
    });
    let (mut a, mut b) = tunnels();
    shake_hands(&mut a, &mut b);
    let mut packet = Vec::new();
    let builder = PacketBuilder::ipv6([0xFD; 16], [0xFD; 16], 64).udp(INNER_PORT, INNER_PORT);
    builder.write(&mut packet, &FRAME).unwrap();
    let [mut sealed, mut opened] = [[0; 2048]; 2];
    c.bench_function("encapsulate and decapsulate a frame", |bench| {
        bench.iter(|| {
            let datagram = written(a.encapsulate(black_box(&packet), &mut sealed));
            let result = b.decapsulate(None, datagram, &mut opened);
            assert!(matches!(result, TunnResult::WriteToTunnelV6(..)));
        });
    });
}

async fn node(number: u8) -> (Transport, mpsc::Receiver<Event>, PeerKey) {
    let (sender, events) = mpsc::channel(100);
    let settings = Settings {
        private_key: Zeroizing::new([number; 32]),
        preshared_key: None,
        cluster: ClusterId([1; 16]),
        listen: Some((Ipv4Addr::LOCALHOST, 0).into()),
        stream_port: None,
        keepalive: Duration::from_secs(25),
    };
    let transport = transport::bind(settings, sender).await.unwrap();
    (transport, events, public_key(&[number; 32]))
}

/// Sends frames one by one through two fresh nodes, and returns how long that took.
async fn exchange(frames: u64) -> Duration {
    let ((a, _a_events, a_key), (b, mut b_events, b_key)) = (node(1).await, node(2).await);
    let peer = |key, endpoint| Peer { key, endpoint, onion: None };
    b.admit(peer(a_key, None));
    a.admit(peer(b_key, b.local_endpoint()));
    let mut started = Instant::now();
    for number in 0..=frames {
        a.send(Party::Peer(b_key), Path::WireGuard, FRAME.to_vec());
        while !matches!(b_events.recv().await, Some(Event::Received { .. })) {}
        if number == 0 {
            started = Instant::now();
        }
    }
    started.elapsed()
}

fn loopback(c: &mut Criterion) {
    let runtime: Runtime = Builder::new_current_thread().enable_all().build().unwrap();
    c.bench_function("a frame from node to node over loopback", |bench| {
        bench.iter_custom(|frames| {
            let bursts = (0..frames).step_by(BURST as usize);
            let took = bursts.map(|done| runtime.block_on(exchange(BURST.min(frames - done))));
            took.sum()
        });
    });
}

criterion_group!(benches, mathematics, loopback);
criterion_main!(benches);
