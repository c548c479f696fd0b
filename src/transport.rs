//! Sessions with peers: WireGuard over UDP, and the same datagrams over onion streams.
//!
//! | file | what it knows |
//! |---|---|
//! | `inner` | the packets inside a session: addresses, payloads, pings |
//! | `session` | one WireGuard session: handshake, silence, what waits |
//! | `links` | all sessions, who may have one, and the book of streams |
//! | `stream` | bytes of an onion stream to datagrams and back; dialling |
//! | `task` | the sockets, the clock, and the one task that owns everything |
//!
//! The room carries opaque payloads of at most [`PAYLOAD_MAX_BYTES`] and knows keys and addresses.
//! It never decides who is a member or alive. Payloads may get lost, and come at most once.
//!
//! - **Sending never blocks.** What finds no room is dropped and counted ([`Counters::unsent`]).
//! - **Receiving never stalls the sessions.** When the events' channel is full, payloads are dropped
//!   and counted ([`Counters::unheard`]); refusals are reported while it is at most half full, and
//!   counted always.
//! - **Nothing leaves over UDP** when [`Settings::listen`] is `None`, and nothing over streams when
//!   [`Settings::stream_port`] is `None`.
//! - The task ends when all handles are dropped.

mod inner;
mod links;
mod session;
mod stream;
mod task;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

pub use self::inner::{INNER_PORT, PAYLOAD_MAX_BYTES, inner_address};
use self::session::Identity;
use crate::ident::{ClusterId, HsId, PeerKey, TokenId};
use crate::message::{Door, Party, Path, Refusal};

/// The port of every coordination onion service.
pub const ONION_PORT: u16 = 51_820;

/// How many payloads may wait for the task.
const SENDS_WAITING_MAX: usize = 1024;

/// What a node's sessions are made of.
#[derive(Clone)]
pub struct Settings {
    /// Our static key (Curve25519).
    pub private_key: Zeroizing<[u8; 32]>,
    /// Mixed into the sessions between members, the same for all of a cluster.
    pub preshared_key: Option<Zeroizing<[u8; 32]>>,
    /// Makes the addresses inside the sessions.
    pub cluster: ClusterId,
    /// Where WireGuard listens; port 0 takes any. `None`: no WireGuard over UDP.
    pub listen: Option<SocketAddr>,
    /// The port on loopback where onion streams are accepted; 0 takes any. `None`: none are
    /// accepted, and none dialled.
    pub stream_port: Option<u16>,
    /// Send something to a member over UDP when nothing was sent for so long: keeps the doors of
    /// address translators open.
    pub keepalive: Duration,
}

/// A socket of ours could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// That of WireGuard.
    #[error("cannot open the UDP socket {address}: {cause}")]
    Udp {
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system says.
        cause: io::Error,
    },
    /// That to which our onion services lead.
    #[error("cannot open TCP port {port} on loopback: {cause}")]
    Streams {
        /// The port.
        port: u16,
        /// What the system says.
        cause: io::Error,
    },
}

/// Somebody with whom sessions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its static key.
    pub key: PeerKey,
    /// Its WireGuard socket, as far as it has told.
    pub endpoint: Option<SocketAddr>,
    /// Its coordination onion service.
    pub onion: Option<HsId>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A payload came, from the owner of the session's key and no other.
    Received {
        /// Whose session.
        from: Party,
        /// How it came.
        path: Path,
        /// 0 to [`PAYLOAD_MAX_BYTES`] bytes.
        payload: Bytes,
    },
    /// A session was established (`up`), or the other side has been silent in spite of new
    /// handshakes, or its stream has closed.
    LinkChanged {
        /// With whom.
        peer: PeerKey,
        /// Over which path.
        path: Path,
        /// It stands.
        up: bool,
    },
    /// A datagram was refused.
    Refused {
        /// Whose, where a session or a valid handshake tells.
        from: Option<PeerKey>,
        /// How it came.
        path: Path,
        /// Why.
        reason: Refusal,
    },
}

/// What was counted since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Sessions with peers, strangers included, since each was made.
    pub links: BTreeMap<(PeerKey, Path), LinkCounters>,
    /// Refused datagrams; `None` for whoever is neither a member nor banned.
    pub refused: BTreeMap<(Option<PeerKey>, Path, Refusal), u64>,
    /// Open onion streams.
    pub streams: usize,
    /// Payloads that could not be sent: no such party or path, too long, or too many waited.
    pub unsent: u64,
    /// Datagrams that the socket or a stream did not take.
    pub untransmitted: u64,
    /// Payloads and link changes that were dropped because the reader of the events was too slow.
    pub unheard: u64,
}

/// What was counted of one session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Payloads sent.
    pub sent: u64,
    /// Bytes of datagrams sent, handshakes included, headers of UDP and IP not.
    pub sent_bytes: u64,
    /// Payloads received.
    pub received: u64,
    /// Bytes of authentic datagrams received, as `sent_bytes`.
    pub received_bytes: u64,
    /// Handshakes completed.
    pub handshakes: u64,
    /// How long ago the last one was.
    pub handshake_age: Option<Duration>,
    /// How long ago the peer was heard.
    pub heard_age: Option<Duration>,
    /// The address that it was heard from, over UDP.
    pub remote: Option<SocketAddr>,
    /// As in [`Event::LinkChanged`].
    pub up: bool,
}

/// What a handle asks of the task.
enum Command {
    Admit(Peer),
    Dismiss(PeerKey, bool),
    OpenDoors(Vec<(TokenId, PeerKey, Zeroizing<[u8; 32]>)>),
    Knock {
        place: u8,
        door: Door,
        secret: Zeroizing<[u8; 32]>,
        preshared_key: Zeroizing<[u8; 32]>,
        path: Path,
    },
    Send(Party, Path, Zeroizing<Vec<u8>>),
    SetSocks(Option<SocketAddr>),
    Counters(oneshot::Sender<Counters>),
}

/// What handles and task share.
#[derive(Debug, Default)]
struct Shared {
    sends_waiting: AtomicUsize,
    sends_dropped: AtomicU64,
}

/// A handle to the sessions; clones share them.
#[derive(Clone, Debug)]
pub struct Transport {
    /// Unbounded, because a change of membership must not get lost: payloads are bounded by
    /// `Shared::sends_waiting`, and all else follows from our own decisions.
    commands: mpsc::UnboundedSender<Command>,
    shared: Arc<Shared>,
    local_endpoint: Option<SocketAddr>,
    stream_port: Option<SocketAddr>,
}

/// The public key that belongs to a static key.
pub fn public_key(private_key: &[u8; 32]) -> PeerKey {
    Identity::new(*private_key).key()
}

/// Binds the sockets and starts the task on the current tokio runtime.
///
/// # Errors
/// When a socket cannot be bound.
pub async fn bind(settings: Settings, events: mpsc::Sender<Event>) -> Result<Transport, BindError> {
    let (commands, inbox) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared::default());
    let sockets = task::Sockets::bind(&settings).await?;
    let transport = Transport {
        commands,
        shared: Arc::clone(&shared),
        local_endpoint: sockets.local_endpoint(),
        stream_port: sockets.stream_port(),
    };
    tokio::spawn(task::Task::new(&settings, sockets, inbox, events, shared).run());
    Ok(transport)
}

impl Transport {
    /// Adds a member, or takes its new addresses.
    pub fn admit(&self, peer: Peer) {
        self.tell(Command::Admit(peer));
    }

    /// Ends the sessions with a peer; a banned one gets no other until it is admitted again.
    pub fn dismiss(&self, key: PeerKey, banned: bool) {
        self.tell(Command::Dismiss(key, banned));
    }

    /// Lets in the newcomers who have the secret that belongs to one of these keys, each with the
    /// preshared key of its invitation, and nobody else. At most
    /// [`TOKENS_MAX`](crate::message::TOKENS_MAX).
    pub fn open_doors(&self, doors: Vec<(TokenId, PeerKey, Zeroizing<[u8; 32]>)>) {
        self.tell(Command::OpenDoors(doors));
    }

    /// Opens a session with a bootstrap node as [`Party::Door`], with the static key of our
    /// invitation; over Tor with a stream of its own. An earlier one over this path ends.
    pub fn knock(
        &self,
        place: u8,
        door: Door,
        secret: Zeroizing<[u8; 32]>,
        preshared_key: Zeroizing<[u8; 32]>,
        path: Path,
    ) {
        self.tell(Command::Knock { place, door, secret, preshared_key, path });
    }

    /// Sends a payload of at most [`PAYLOAD_MAX_BYTES`], once, with no promise that it arrives. Its
    /// bytes are wiped afterwards.
    pub fn send(&self, to: Party, path: Path, payload: impl Into<Zeroizing<Vec<u8>>>) {
        let waiting = self.shared.sends_waiting.fetch_add(1, Ordering::Relaxed);
        if waiting < SENDS_WAITING_MAX {
            self.tell(Command::Send(to, path, payload.into()));
        } else {
            self.shared.sends_waiting.fetch_sub(1, Ordering::Relaxed);
            self.shared.sends_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Tor's SOCKS port; `None`: no stream can be dialled.
    pub fn set_socks(&self, port: Option<SocketAddr>) {
        self.tell(Command::SetSocks(port));
    }

    /// Where the coordination onion service must lead, on loopback.
    pub fn stream_port(&self) -> Option<SocketAddr> {
        self.stream_port
    }

    /// Where WireGuard listens.
    pub fn local_endpoint(&self) -> Option<SocketAddr> {
        self.local_endpoint
    }

    /// What was counted so far.
    pub async fn counters(&self) -> Counters {
        let (answer, counters) = oneshot::channel();
        self.tell(Command::Counters(answer));
        let mut counters = counters.await.unwrap_or_default();
        counters.unsent += self.shared.sends_dropped.load(Ordering::Relaxed);
        counters
    }

    /// The task lives as long as a handle does, or has ended with its runtime.
    fn tell(&self, command: Command) {
        let _ = self.commands.send(command);
    }
}

#[cfg(test)]
mod tests;
