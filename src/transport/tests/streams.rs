//! The same sessions over onion streams, through the test's proxy.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::proxy::Proxy;
use super::*;
use crate::hs::address;

/// The address of an onion service that can exist: its key is a point of the curve.
fn onion() -> HsId {
    address::parse("25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid").unwrap()
}

/// Node 1 can dial node 2, which cannot dial back.
async fn pair(proxy: &Proxy) -> (Node, Node) {
    let mut only_tor = settings(1);
    only_tor.listen = None;
    let (a, b) = (Node::with(1, &only_tor, 100).await, Node::start(2).await);
    proxy.route(onion(), b.transport.stream_port());
    a.transport.set_socks(Some(proxy.port));
    a.knows(&b, Some(onion()));
    b.knows(&a, None);
    (a, b)
}

#[tokio::test]
async fn a_session_over_a_stream_serves_both_ways() {
    let proxy = Proxy::start().await;
    let (mut a, mut b) = pair(&proxy).await;
    a.reach(&mut b, Path::Tor, b"hello").await;
    b.reach(&mut a, Path::Tor, &[7; PAYLOAD_MAX_BYTES]).await;
    assert_eq!(proxy.targets(), [(address::onion(&onion()), ONION_PORT)]);
    assert_eq!(a.transport.local_endpoint(), None);
    assert_eq!(a.transport.counters().await.streams, 1);
}

#[tokio::test]
async fn a_cut_stream_is_reported_and_the_next_takes_another_circuit() {
    let proxy = Proxy::start().await;
    let (mut a, mut b) = pair(&proxy).await;
    a.reach(&mut b, Path::Tor, b"x").await;
    proxy.cut_streams();
    let down = Event::LinkChanged { peer: b.key, path: Path::Tor, up: false };
    while a.event().await != down {}
    a.reach(&mut b, Path::Tor, b"y").await;
    let logins = proxy.logins();
    assert!(logins.len() >= 2);
    for (user, password) in &logins {
        assert_eq!((user.len(), password.len()), (16, 16));
        assert_eq!(logins.iter().filter(|login| login.0 == *user).count(), 1);
    }
}

#[tokio::test]
async fn a_dead_socks_port_harms_nothing_and_works_when_it_is_back() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let dead = listener.local_addr().unwrap();
    drop(listener);
    let proxy = Proxy::start().await;
    let (mut a, mut b) = (Node::start(1).await, Node::start(2).await);
    proxy.route(onion(), b.transport.stream_port());
    a.transport.set_socks(Some(dead));
    a.knows(&b, Some(onion()));
    b.knows(&a, None);
    a.transport.send(Party::Peer(b.key), Path::Tor, b"x".to_vec());
    a.reach(&mut b, Path::WireGuard, b"over UDP").await;
    a.transport.set_socks(Some(proxy.port));
    a.reach(&mut b, Path::Tor, b"over Tor").await;
    b.reach(&mut a, Path::WireGuard, b"still over UDP").await;
}

#[tokio::test]
async fn a_socks_port_that_never_answers_harms_nothing() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (a, mut b) = (Node::start(1).await, Node::start(2).await);
    a.transport.set_socks(Some(silent.local_addr().unwrap()));
    a.knows(&b, Some(onion()));
    b.knows(&a, None);
    for _ in 0..10 {
        a.transport.send(Party::Peer(b.key), Path::Tor, b"x".to_vec());
    }
    let (asked, _) = timeout(PATIENCE, silent.accept()).await.unwrap().unwrap();
    a.reach(&mut b, Path::WireGuard, b"over UDP").await;
    let another = timeout(Duration::from_millis(200), silent.accept()).await;
    assert!(another.is_err(), "one dial at a time");
    drop(asked);
}

#[tokio::test]
async fn garbage_and_oversized_lengths_end_a_stream_and_no_other() {
    let proxy = Proxy::start().await;
    let (mut a, mut b) = pair(&proxy).await;
    a.reach(&mut b, Path::Tor, b"x").await;
    for bytes in [&[0, 0][..], &[0xFF, 0xFF, 1, 2], &[5, 221]] {
        let mut stream = TcpStream::connect(b.transport.stream_port().unwrap()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it is closed").ok();
        assert!(rest.is_empty(), "{rest:?}");
    }
    let mut stream = TcpStream::connect(b.transport.stream_port().unwrap()).await.unwrap();
    stream.write_all(b"\0\x07garbage").await.unwrap();
    let refused = (None, Path::Tor, Refusal::Unauthentic);
    b.counted(|counters| counters.refused.get(&refused) == Some(&1)).await;
    b.reach(&mut a, Path::Tor, b"y").await;
}

#[tokio::test]
async fn a_datagram_in_pieces_is_one_datagram() {
    let b = Node::start(2).await;
    let mut stream = TcpStream::connect(b.transport.stream_port().unwrap()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in b"\0\x04abcd\0\x01e" {
        stream.write_all(&[*byte]).await.unwrap();
    }
    let refused = (None, Path::Tor, Refusal::Unauthentic);
    b.counted(|counters| counters.refused.get(&refused) == Some(&2)).await;
}

#[tokio::test]
async fn streams_come_in_at_the_port_that_was_asked_for_or_the_taken_one_is_named() {
    let a = Node::start(1).await;
    let port = a.transport.stream_port().unwrap().port();
    let again = Settings { stream_port: Some(port), ..settings(2) };
    let taken = bind(again.clone(), mpsc::channel(1).0).await.unwrap_err();
    assert!(matches!(taken, BindError::Streams { port: named, .. } if named == port));
    drop(a);
    let b = loop {
        match bind(again.clone(), mpsc::channel(1).0).await {
            Ok(transport) => break transport,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(b.stream_port(), Some((Ipv4Addr::LOCALHOST, port).into()));
}

#[tokio::test]
async fn without_streams_nothing_is_accepted_or_dialled() {
    let proxy = Proxy::start().await;
    let mut off = settings(1);
    off.stream_port = None;
    let (a, b) = (Node::with(1, &off, 100).await, Node::start(2).await);
    a.transport.set_socks(Some(proxy.port));
    a.knows(&b, Some(onion()));
    assert_eq!(a.transport.stream_port(), None);
    a.transport.send(Party::Peer(b.key), Path::Tor, b"x".to_vec());
    assert_eq!(a.transport.counters().await.unsent, 1);
    assert_eq!(proxy.targets(), []);
}
