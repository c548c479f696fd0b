//! A session over a private Tor network: a coordination service for authorised clients, reached
//! through tor's SOCKS port, all by our own control port and transport.

#![expect(clippy::unwrap_used, reason = "a test may end where it fails")]

use std::net::Ipv4Addr;
use std::time::Duration;

use rustbalance::control::{self, Client, Endpoint, OnionService, Secret};
use rustbalance::hs::address;
use rustbalance::ident::ClusterId;
use rustbalance::message::{Party, Path};
use rustbalance::transport::{self, Event, ONION_PORT, Peer, Settings, Transport, public_key};
use testnet::{Front, FrontOptions, Network, Options};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

/// Longer than a descriptor takes to be published and found on a slow machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// The secret key (X25519) of the one client that may come.
const VISITOR: [u8; 32] = [77; 32];

async fn control_of(front: &Front) -> (Client, mpsc::Receiver<control::Event>) {
    let (sender, mut events) = mpsc::channel(1000);
    let endpoints = vec![Endpoint::Unix(front.control_socket())];
    let client = control::spawn(control::Settings::new(endpoints), sender);
    while !matches!(events.recv().await, Some(control::Event::Up { .. })) {}
    (client, events)
}

async fn node(number: u8) -> (Transport, mpsc::Receiver<Event>) {
    let (sender, events) = mpsc::channel(100);
    let settings = Settings {
        private_key: Zeroizing::new([number; 32]),
        preshared_key: None,
        cluster: ClusterId([1; 16]),
        listen: None,
        stream_port: Some(0),
        keepalive: Duration::from_secs(25),
    };
    (transport::bind(settings, sender).await.unwrap(), events)
}

fn service(leads_to: &Transport) -> OnionService {
    let mut key = [0x5A; 64];
    key[0] &= 248;
    key[31] = key[31] & 63 | 64;
    OnionService {
        key: Secret::new(key),
        port: ONION_PORT,
        target: leads_to.stream_port().unwrap(),
        clients: vec![public_key(&VISITOR).0],
    }
}

async fn payload(events: &mut mpsc::Receiver<Event>) -> Vec<u8> {
    loop {
        if let Some(Event::Received { payload, path: Path::Tor, .. }) = events.recv().await {
            return payload.to_vec();
        }
    }
}

#[tokio::test]
#[ignore = "a private Tor network takes a minute"]
async fn a_session_runs_over_an_onion_service_for_authorised_clients() {
    let network = Network::start(Options::default(), |line| eprintln!("{line}")).unwrap();
    let fronts =
        ["one", "two"].map(|name| network.add_service(name, FrontOptions::default()).unwrap());
    let [(one, _one), (two, _two)] = [control_of(&fronts[0]).await, control_of(&fronts[1]).await];
    let ((a, mut a_events), (b, mut b_events)) = (node(1).await, node(2).await);
    let (a_key, b_key) = (public_key(&[1; 32]), public_key(&[2; 32]));

    let onion = two.add_onion(service(&b)).await.unwrap();
    one.onion_client_auth_add(&onion, Secret::new(VISITOR)).await.unwrap();
    let socks = (Ipv4Addr::LOCALHOST, fronts[0].socks_port()).into();
    assert!(one.socks_listeners().await.unwrap().contains(&socks));
    a.set_socks(Some(socks));
    a.admit(Peer { key: b_key, endpoint: None, onion: Some(address::parse(&onion).unwrap()) });
    b.admit(Peer { key: a_key, endpoint: None, onion: None });

    let started = Instant::now();
    let heard = async {
        loop {
            a.send(Party::Peer(b_key), Path::Tor, b"hello".to_vec());
            if let Ok(heard) = timeout(Duration::from_secs(2), payload(&mut b_events)).await {
                return heard;
            }
        }
    };
    assert_eq!(timeout(PATIENCE, heard).await.expect("it arrives"), b"hello");
    println!("first payload after {:?}", started.elapsed());

    let mut trips = Vec::new();
    for number in 0..20u8 {
        let sent = Instant::now();
        a.send(Party::Peer(b_key), Path::Tor, vec![number; 256]);
        while timeout(PATIENCE, payload(&mut b_events)).await.unwrap() != [number; 256] {}
        b.send(Party::Peer(a_key), Path::Tor, vec![number; 256]);
        while timeout(PATIENCE, payload(&mut a_events)).await.unwrap() != [number; 256] {}
        trips.push(sent.elapsed());
    }
    trips.sort();
    println!("round trips of 256 bytes: median {:?}, longest {:?}", trips[10], trips[19]);

    let stranger = network.client(0).get(&format!("{onion}.onion"), "/", Duration::from_secs(20));
    assert!(stranger.is_err(), "whoever has no key does not come in: {stranger:?}");
}
