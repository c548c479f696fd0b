//! WireGuard over UDP on loopback.

use std::io::Write;
use std::net::Ipv6Addr;

use tokio::net::UdpSocket;

use super::*;

#[tokio::test]
async fn payloads_go_both_ways_and_are_counted() {
    let (mut a, mut b) = (Node::start(1).await, Node::start(2).await);
    a.knows(&b, None);
    b.knows(&a, None);
    a.reach(&mut b, Path::WireGuard, b"hello").await;
    b.reach(&mut a, Path::WireGuard, &[7; PAYLOAD_MAX_BYTES]).await;
    let counters = a.transport.counters().await;
    let link = counters.links[&(b.key, Path::WireGuard)];
    assert_eq!((link.sent, link.received, link.up), (1, 1, true));
    assert_eq!(link.remote, b.transport.local_endpoint());
    assert!(link.handshake_age.is_some_and(|age| age < PATIENCE));
    assert_eq!((counters.unsent, counters.untransmitted, counters.unheard), (0, 0, 0));
}

#[tokio::test]
async fn a_frame_of_256_bytes_is_336_on_the_wire() {
    let (a, mut b) = (Node::start(1).await, Node::start(2).await);
    a.knows(&b, None);
    b.knows(&a, None);
    a.reach(&mut b, Path::WireGuard, b"x").await;
    let bytes = |counters: &Counters| counters.links[&(b.key, Path::WireGuard)].sent_bytes;
    let before = bytes(&a.transport.counters().await);
    a.transport.send(Party::Peer(b.key), Path::WireGuard, vec![0; 256]);
    let after = bytes(&a.transport.counters().await);
    assert_eq!(after - before, 336);
}

#[tokio::test]
async fn an_ipv6_socket_speaks_with_ipv4_addresses() {
    let mut both = settings(1);
    both.listen = Some((Ipv6Addr::UNSPECIFIED, 0).into());
    let Ok(probe) = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).await else {
        let _ = writeln!(std::io::stderr(), "SKIPPED: this machine has no IPv6");
        return;
    };
    drop(probe);
    let (mut a, mut b) = (Node::with(1, &both, 100).await, Node::start(2).await);
    a.knows(&b, None);
    let port = a.transport.local_endpoint().unwrap().port();
    let endpoint = Some((Ipv4Addr::LOCALHOST, port).into());
    b.transport.admit(Peer { key: a.key, endpoint, onion: None });
    a.reach(&mut b, Path::WireGuard, b"x").await;
    b.reach(&mut a, Path::WireGuard, b"y").await;
    let remote = a.transport.counters().await.links[&(b.key, Path::WireGuard)].remote;
    assert_eq!(remote, b.transport.local_endpoint(), "IPv4, not mapped");
}

#[tokio::test]
async fn a_restarted_peer_is_reached_again_soon() {
    let (mut a, mut b) = (Node::start(1).await, Node::start(2).await);
    a.knows(&b, None);
    b.knows(&a, None);
    a.reach(&mut b, Path::WireGuard, b"x").await;
    b.reach(&mut a, Path::WireGuard, b"y").await;
    let mut again = settings(2);
    again.listen = b.transport.local_endpoint();
    drop(b);
    let mut b = loop {
        let (sender, events) = mpsc::channel(100);
        if let Ok(transport) = bind(again.clone(), sender).await {
            break Node { transport, events, key: key(2) };
        }
        tokio::task::yield_now().await;
    };
    b.knows(&a, None);
    let before = tokio::time::Instant::now();
    a.reach(&mut b, Path::WireGuard, b"z").await;
    assert!(before.elapsed() < Duration::from_secs(4), "{:?}", before.elapsed());
}

#[tokio::test]
async fn a_reader_that_sleeps_loses_payloads_and_garbage_does_not_push_them_out() {
    let (a, mut b) = (Node::start(1).await, Node::with(2, &settings(2), 10).await);
    a.knows(&b, None);
    b.knows(&a, None);
    a.reach(&mut b, Path::WireGuard, b"x").await;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let target = b.transport.local_endpoint().unwrap();
    for _ in 0..50 {
        socket.send_to(b"garbage", target).await.unwrap();
    }
    let garbage = (None, Path::WireGuard, Refusal::Unauthentic);
    b.counted(|counters| counters.refused.get(&garbage) == Some(&50)).await;
    for _ in 0..20 {
        a.transport.send(Party::Peer(b.key), Path::WireGuard, b"y".to_vec());
    }
    let received = |counters: &Counters| counters.links[&(a.key, Path::WireGuard)].received;
    let unheard = b.counted(|counters| received(counters) == 21).await.unheard;
    assert!((10..=16).contains(&unheard), "{unheard}");
    let heard = std::iter::from_fn(|| b.events.try_recv().ok());
    let payloads = heard.filter(|event| matches!(event, Event::Received { .. })).count();
    assert!(payloads >= 4, "{payloads}");
}

#[tokio::test]
async fn the_task_ends_with_its_last_handle_and_frees_the_port() {
    let mut a = Node::start(1).await;
    let address = a.transport.local_endpoint().unwrap();
    let clone = a.transport.clone();
    drop(a.transport);
    assert_eq!(clone.counters().await, Counters::default());
    drop(clone);
    assert_eq!(timeout(PATIENCE, a.events.recv()).await, Ok(None));
    UdpSocket::bind(address).await.unwrap();
}

#[tokio::test]
async fn too_many_sends_at_once_are_dropped_and_counted() {
    let a = Node::start(1).await;
    for _ in 0..SENDS_WAITING_MAX + 10 {
        a.transport.send(Party::Peer(key(2)), Path::WireGuard, b"x".to_vec());
    }
    let unsent = a.transport.counters().await.unsent;
    assert_eq!(unsent, SENDS_WAITING_MAX as u64 + 10, "nobody is known, and ten found no room");
    assert_eq!(a.transport.shared.sends_dropped.load(Ordering::Relaxed), 10);
}
