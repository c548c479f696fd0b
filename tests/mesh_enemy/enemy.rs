//! One end of a session with the victim, driven by hand.

use std::net::SocketAddr;
use std::time::Duration;

use rustbalance::ident::{ClusterId, Incarnation, PeerKey};
use rustbalance::message::{Announcement, Body, Frame, Heartbeat, Member, Party, Path, Vitals};
use rustbalance::transport::{self, Counters, Event, Peer, Settings, Transport};
use rustbalance::wire::{Content, Secret, decode, encode, encode_secret};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::loot::Loot;
use crate::scene::{Scene, VICTIM};
use crate::yard::{now, poll};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Enemy {
    runtime: Runtime,
    transport: Transport,
    events: mpsc::Receiver<Event>,
    pub(crate) victim: PeerKey,
    pub(crate) incarnation: Incarnation,
    pub(crate) sequence: u64,
}

/// With whom and as whom a session is opened.
pub(crate) struct Terms {
    pub(crate) private_key: [u8; 32],
    pub(crate) preshared_key: Option<[u8; 32]>,
    pub(crate) cluster: ClusterId,
    pub(crate) victim: PeerKey,
    pub(crate) endpoint: SocketAddr,
}

impl Terms {
    /// A stranger's.
    pub(crate) fn stranger(scene: &Scene) -> Terms {
        let known = Loot::of(&scene.victim);
        Terms {
            private_key: rand::random(),
            preshared_key: None,
            cluster: known.cluster(),
            victim: known.key(),
            endpoint: scene.victim.endpoint(),
        }
    }
}

impl Enemy {
    pub(crate) fn new(terms: Terms) -> Enemy {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let (sender, events) = mpsc::channel(4096);
        let settings = Settings {
            private_key: Zeroizing::new(terms.private_key),
            preshared_key: terms.preshared_key.map(Zeroizing::new),
            cluster: terms.cluster,
            listen: Some(SocketAddr::new([127, 0, 0, 66].into(), 0)),
            stream_port: None,
            keepalive: Duration::from_secs(25),
        };
        let transport = runtime.block_on(transport::bind(settings, sender)).unwrap();
        let (victim, endpoint) = (terms.victim, Some(terms.endpoint));
        transport.admit(Peer { key: victim, endpoint, onion: None });
        Enemy { runtime, transport, events, victim, incarnation: Incarnation(1), sequence: 0 }
    }

    pub(crate) fn stranger(scene: &Scene) -> Enemy {
        Enemy::new(Terms::stranger(scene))
    }

    /// With a member's keys, in an incarnation of its own, and heard by the victim.
    pub(crate) fn member(scene: &Scene, loot: &Loot) -> Enemy {
        let terms = Terms { private_key: loot.session_key, ..Terms::stranger(scene) };
        let mut enemy = Enemy::new(terms);
        enemy.incarnation = Incarnation(loot.incarnation.0 + 1);
        enemy.greet();
        enemy
    }

    /// Sends a heartbeat and waits for its answer.
    pub(crate) fn greet(&mut self) {
        self.say(heartbeat());
        self.hear("an answer", |frame| matches!(frame.body, Body::Answer(_)).then_some(()));
    }

    pub(crate) fn say(&mut self, body: Body) {
        self.sequence += 1;
        let frame = Frame { incarnation: self.incarnation, sequence: self.sequence, body };
        self.send(encode(&frame).unwrap());
    }

    pub(crate) fn say_all(&mut self, bodies: impl IntoIterator<Item = Body>) {
        bodies.into_iter().for_each(|body| self.say(body));
    }

    pub(crate) fn push(&mut self, what: rustbalance::wire::SecretKind, bytes: &[u8]) {
        let (incarnation, sequence) = (self.incarnation, self.sequence);
        let bytes = Zeroizing::new(bytes.to_vec());
        let secret = encode_secret(&Secret { incarnation, sequence, what, bytes });
        self.send(secret.unwrap().to_vec());
    }

    /// Sends any bytes as a payload of the session.
    pub(crate) fn send(&self, payload: Vec<u8>) {
        self.transport.send(Party::Peer(self.victim), Path::WireGuard, payload);
    }

    pub(crate) fn counters(&self) -> Counters {
        self.runtime.block_on(self.transport.counters())
    }

    /// The next frame in which `wanted` finds something.
    #[track_caller]
    pub(crate) fn hear<T>(&mut self, what: &str, wanted: impl Fn(&Frame) -> Option<T>) -> T {
        let found = poll(PATIENCE, || self.heard().iter().find_map(&wanted));
        found.unwrap_or_else(|| panic!("the victim did not say {what}"))
    }

    /// All frames that have come until now.
    pub(crate) fn heard(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            if let Event::Received { payload, .. } = event {
                match decode(&payload).unwrap() {
                    Content::Frame(frame) => frames.push(frame),
                    Content::Secret(secret) => panic!("the victim gave a secret away: {secret:?}"),
                }
            }
        }
        frames
    }

    /// Answers the victim's heartbeats so for a while.
    pub(crate) fn live(&mut self, within: Duration, answer: impl Fn(u64) -> Body) {
        let end = now() + within;
        poll(within, || {
            for frame in self.heard() {
                if let Body::Heartbeat(heartbeat) = frame.body {
                    self.say(answer(heartbeat.beat));
                }
            }
            (now() >= end).then_some(())
        });
    }
}

pub(crate) fn heartbeat() -> Body {
    Body::Heartbeat(Heartbeat { beat: 1, vitals: Vitals::default() })
}

/// The member's entry with something else in its announcement, signed by `loot`'s key.
pub(crate) fn announcing(
    entry: &Member,
    loot: &Loot,
    change: impl FnOnce(&mut Announcement),
) -> Member {
    let mut announcement = entry.announcement.clone().unwrap();
    change(&mut announcement);
    let announcement = loot.signer.sign_announcement(announcement).unwrap();
    Member { certificate: entry.certificate.clone(), announcement: Some(announcement) }
}

/// A name for tests' sake.
pub(crate) fn named(name: &str) -> rustbalance::ident::NodeId {
    name.parse().unwrap()
}

/// The victim's name.
pub(crate) fn victim() -> rustbalance::ident::NodeId {
    named(VICTIM)
}
