//! The whole room over real sockets on loopback, with a SOCKS proxy of the test's own.

mod proxy;
mod streams;
mod udp;

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::*;

/// Longer than every time-out of the room that these tests meet.
const PATIENCE: Duration = Duration::from_secs(30);

fn settings(number: u8) -> Settings {
    Settings {
        private_key: Zeroizing::new([number; 32]),
        preshared_key: None,
        cluster: ClusterId([1; 16]),
        listen: Some((Ipv4Addr::LOCALHOST, 0).into()),
        stream_port: Some(0),
        keepalive: Duration::from_secs(25),
    }
}

fn key(number: u8) -> PeerKey {
    public_key(&[number; 32])
}

struct Node {
    transport: Transport,
    events: mpsc::Receiver<Event>,
    key: PeerKey,
}

impl Node {
    async fn start(number: u8) -> Node {
        Node::with(number, &settings(number), 100).await
    }

    async fn with(number: u8, settings: &Settings, events_max: usize) -> Node {
        let (sender, events) = mpsc::channel(events_max);
        let transport = bind(settings.clone(), sender).await.unwrap();
        Node { transport, events, key: key(number) }
    }

    fn knows(&self, other: &Node, onion: Option<HsId>) {
        let endpoint = other.transport.local_endpoint();
        self.transport.admit(Peer { key: other.key, endpoint, onion });
    }

    /// Sends again and again until `other` hears it: a payload may get lost, or come late.
    async fn reach(&self, other: &mut Node, path: Path, payload: &[u8]) {
        let wanted = (Party::Peer(self.key), path, payload.to_vec());
        let attempts = async {
            loop {
                self.transport.send(Party::Peer(other.key), path, payload.to_vec());
                let heard = async { while other.payload().await != wanted {} };
                if timeout(Duration::from_millis(500), heard).await.is_ok() {
                    return;
                }
            }
        };
        timeout(PATIENCE, attempts).await.expect("it must arrive");
    }

    async fn payload(&mut self) -> (Party, Path, Vec<u8>) {
        loop {
            if let Event::Received { from, path, payload } = self.event().await {
                return (from, path, payload.to_vec());
            }
        }
    }

    async fn event(&mut self) -> Event {
        let event = timeout(PATIENCE, self.events.recv()).await;
        event.expect("an event must come").expect("the task lives")
    }

    /// Waits until the counters satisfy the test.
    async fn counted(&self, wanted: impl Fn(&Counters) -> bool) -> Counters {
        let search = async {
            loop {
                let counters = self.transport.counters().await;
                if wanted(&counters) {
                    return counters;
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, search).await.expect("the counters must come to it")
    }
}
