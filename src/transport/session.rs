//! One WireGuard session with one party over one path, without sockets.
//!
//! Knows the handshake, what waits for it, when silence calls for a new one, and where the other
//! side was last heard. Does not know who else there is, nor who the party is to the cluster.
//!
//! The library underneath reads the clock itself (CLOCK_BOOTTIME); everything that is decided here
//! takes the time as an argument.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use boringtun::noise::errors::WireGuardError;
use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{Packet, Tunn, TunnResult};
use bytes::Bytes;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::inner::{Ends, Inner, MTU_BYTES};
use crate::ident::PeerKey;
use crate::message::{Path, Refusal};
use crate::time::{Bucket, Mono};

/// The most bytes of one datagram: a full packet, WireGuard's 32, and room to spare.
pub(super) const DATAGRAM_MAX_BYTES: usize = 1500;

/// How many payloads wait for a handshake.
const WAITING_MAX: usize = 32;

/// How long a payload waits for a handshake: older ones would say what is no longer so.
const WAITING_MAX_AGE: Duration = Duration::from_secs(10);

/// How many words must have gone unanswered to make a silence: every conversation has a last word.
const UNANSWERED_MIN: u32 = 2;

const _: () = assert!(MTU_BYTES + 32 <= DATAGRAM_MAX_BYTES);

/// Where datagrams come from and go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Remote {
    /// An address of UDP.
    Udp(SocketAddr),
    /// An onion stream, by its number.
    Stream(u64),
}

impl Remote {
    pub(super) fn path(self) -> Path {
        match self {
            Remote::Udp(_) => Path::WireGuard,
            Remote::Stream(_) => Path::Tor,
        }
    }

    /// What the cookies of WireGuard are bound to.
    pub(super) fn ip(self) -> Option<IpAddr> {
        match self {
            Remote::Udp(address) => Some(address.ip()),
            Remote::Stream(_) => None,
        }
    }
}

/// How patient a session is, by its path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// We have sent and nothing came for so long: a new handshake.
    pub(super) silence: Duration,
    /// The least time between two of them.
    pub(super) between: Duration,
}

impl Patience {
    pub(super) fn over(path: Path) -> Patience {
        match path {
            Path::WireGuard => {
                Patience { silence: Duration::from_millis(1500), between: Duration::from_secs(2) }
            }
            Path::Tor => {
                Patience { silence: Duration::from_secs(5), between: Duration::from_secs(5) }
            }
        }
    }
}

/// A key of our own, with which sessions are opened.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) secret: StaticSecret,
    pub(super) public: PublicKey,
    /// Lets everything through: the table holds floods off before a session is asked.
    pub(super) unlimited: Arc<RateLimiter>,
}

impl Identity {
    pub(super) fn new(secret: [u8; 32]) -> Identity {
        let secret = StaticSecret::from(secret);
        let public = PublicKey::from(&secret);
        let unlimited = Arc::new(RateLimiter::new(&public, u64::MAX));
        Identity { secret, public, unlimited }
    }

    pub(super) fn key(&self) -> PeerKey {
        PeerKey(self.public.to_bytes())
    }
}

/// What a session is made of.
pub(super) struct Terms<'a> {
    pub(super) identity: &'a Identity,
    pub(super) theirs: PeerKey,
    pub(super) preshared_key: Option<[u8; 32]>,
    pub(super) ends: Ends,
    pub(super) path: Path,
    /// 24 bits by which datagrams find this session.
    pub(super) index: u32,
    pub(super) allowance: Bucket,
}

/// What came of one datagram.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// To be sent back to where the datagram came from.
    pub(super) replies: Vec<Vec<u8>>,
    pub(super) payload: Option<Bytes>,
    /// A handshake was completed by it.
    pub(super) established: bool,
    /// It came from the other side, now: where it came from is where we send.
    pub(super) authentic: bool,
    pub(super) refused: Option<Refusal>,
}

/// What a session has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) sent: u64,
    pub(super) sent_bytes: u64,
    pub(super) received: u64,
    pub(super) received_bytes: u64,
    pub(super) handshakes: u64,
}

pub(super) struct Session {
    tunn: Tunn,
    ends: Ends,
    patience: Patience,
    /// How many payloads it may still bring us.
    pub(super) allowance: Bucket,
    /// Send something when nothing was sent for so long.
    pub(super) keepalive: Option<Duration>,
    waiting: VecDeque<(Mono, Zeroizing<Vec<u8>>)>,
    /// Where the other side was last heard, or is believed to be.
    pub(super) remote: Option<Remote>,
    pub(super) tally: Tally,
    pub(super) heard_at: Option<Mono>,
    pub(super) handshake_at: Option<Mono>,
    /// When a payload came; before the first one, when the session was made.
    pub(super) spoken_at: Mono,
    /// When the first word was sent since the other side was heard.
    unanswered_since: Option<Mono>,
    /// How many words were sent since then; a handshake is enough for a silence.
    unanswered: u32,
    forced_at: Option<Mono>,
    /// The index of the newest handshake that is known to be complete.
    confirmed: Option<u32>,
    sent_at: Mono,
    /// How many handshakes silence has called for since the other side was heard.
    pub(super) calls: u32,
    /// Whether the other side is believed to hear us: told to the engine when it changes.
    pub(super) up: bool,
}

impl Session {
    pub(super) fn new(terms: Terms<'_>, now: Mono) -> Session {
        let tunn = Tunn::new(
            terms.identity.secret.clone(),
            PublicKey::from(terms.theirs.0),
            terms.preshared_key,
            None,
            terms.index,
            Some(Arc::clone(&terms.identity.unlimited)),
        );
        Session {
            tunn,
            ends: terms.ends,
            patience: Patience::over(terms.path),
            allowance: terms.allowance,
            keepalive: None,
            waiting: VecDeque::new(),
            remote: None,
            tally: Tally::default(),
            heard_at: None,
            handshake_at: None,
            spoken_at: now,
            unanswered_since: None,
            unanswered: 0,
            forced_at: None,
            confirmed: None,
            sent_at: now,
            calls: 0,
            up: false,
        }
    }

    /// Whether there are keys to send with.
    pub(super) fn is_open(&self) -> bool {
        self.tunn.time_since_last_handshake().is_some()
    }

    /// For how long the other side has owed us an answer.
    pub(super) fn silence(&self, now: Mono) -> Duration {
        let since = self.unanswered_since.filter(|_| self.unanswered >= UNANSWERED_MIN);
        since.map_or(Duration::ZERO, |since| now - since)
    }

    /// Takes a payload; returns the datagram to send now, if any. Without keys or without a remote
    /// it waits, and the oldest gives way.
    ///
    /// # Errors
    /// It is too long.
    pub(super) fn send(&mut self, payload: &[u8], now: Mono) -> Result<Option<Vec<u8>>, Oversized> {
        let packet = Zeroizing::new(self.ends.pack(payload).ok_or(Oversized)?);
        if self.remote.is_some() && self.is_open() {
            return Ok(self.transmit(&packet, now));
        }
        if self.waiting.len() == WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back((now, packet));
        Ok(if self.remote.is_some() { self.initiate(false, now) } else { None })
    }

    /// Begins a handshake; one that is under way goes on unless it is `forced`.
    pub(super) fn initiate(&mut self, forced: bool, now: Mono) -> Option<Vec<u8>> {
        let mut buffer = [0; DATAGRAM_MAX_BYTES];
        let datagram = written(self.tunn.format_handshake_initiation(&mut buffer, forced))?;
        self.forced_at = Some(now);
        self.await_answer(UNANSWERED_MIN, now);
        self.note_sent(&datagram, now);
        Some(datagram)
    }

    /// Takes a datagram that is for this session.
    pub(super) fn receive(&mut self, from: Remote, datagram: &[u8], now: Mono) -> Outcome {
        let mut outcome = Outcome::default();
        let (kind, index) = match Tunn::parse_incoming_packet(datagram) {
            Ok(_) if datagram.len() > DATAGRAM_MAX_BYTES => (Kind::Garbage, None),
            Ok(Packet::HandshakeInit(_)) => (Kind::Question, None),
            Ok(Packet::HandshakeResponse(p)) => (Kind::Answer, Some(p.receiver_idx)),
            Ok(Packet::PacketData(p)) => (Kind::Data, Some(p.receiver_idx)),
            Ok(Packet::PacketCookieReply(_)) => (Kind::Cookie, None),
            Err(_) => (Kind::Garbage, None),
        };
        if kind == Kind::Garbage {
            outcome.refused = Some(Refusal::Unauthentic);
            return outcome;
        }
        let mut buffer = [0; DATAGRAM_MAX_BYTES];
        match self.tunn.decapsulate(from.ip(), datagram, &mut buffer) {
            TunnResult::Done => {}
            TunnResult::Err(error) => {
                outcome.refused = Some(refusal(&error));
                return outcome;
            }
            TunnResult::WriteToNetwork(reply) => outcome.replies.push(reply.to_vec()),
            TunnResult::WriteToTunnelV4(..) => outcome.refused = Some(Refusal::Malformed),
            TunnResult::WriteToTunnelV6(packet, _) => self.open(packet, &mut outcome, now),
        }
        self.tally.received_bytes += datagram.len() as u64;
        if matches!(kind, Kind::Answer | Kind::Data) {
            self.hear(index, &mut outcome, now);
        }
        for reply in &outcome.replies {
            self.note_sent(reply, now);
        }
        outcome.replies.extend(if outcome.authentic { self.flush(now) } else { Vec::new() });
        outcome
    }

    /// Takes a packet out of an authentic datagram.
    fn open(&mut self, packet: &[u8], outcome: &mut Outcome, now: Mono) {
        if !self.allowance.take(now) {
            outcome.refused = Some(Refusal::Flood);
            return;
        }
        match self.ends.unpack(packet) {
            Ok(Inner::Payload(payload)) => {
                self.tally.received += 1;
                self.spoken_at = now;
                outcome.payload = Some(Bytes::copy_from_slice(payload));
            }
            Ok(Inner::Ping(answer)) => outcome.replies.extend(self.encapsulate(&answer)),
            Err(refusal) => outcome.refused = Some(refusal),
        }
    }

    /// The other side has spoken, now, with the keys of the handshake `index`.
    fn hear(&mut self, index: Option<u32>, outcome: &mut Outcome, now: Mono) {
        outcome.authentic = true;
        self.heard_at = Some(now);
        self.await_nothing();
        self.calls = 0;
        if self.confirmed != index {
            self.confirmed = index;
            self.handshake_at = Some(now);
            self.tally.handshakes += 1;
            outcome.established = true;
        }
    }

    /// What has waited for keys and a remote, as datagrams.
    fn flush(&mut self, now: Mono) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        if !self.is_open() {
            return datagrams;
        }
        self.drop_stale(now);
        for (_, packet) in std::mem::take(&mut self.waiting) {
            datagrams.extend(self.transmit(&packet, now));
        }
        datagrams
    }

    /// Points the session at a new remote; returns what to send there now: a handshake, so that
    /// the other side learns of it, and what waited.
    pub(super) fn attach(&mut self, remote: Remote, now: Mono) -> Vec<Vec<u8>> {
        self.remote = Some(remote);
        self.await_nothing();
        let mut datagrams: Vec<Vec<u8>> = self.initiate(true, now).into_iter().collect();
        datagrams.extend(self.flush(now));
        datagrams
    }

    /// To be called every 250 ms or so: repeats handshakes, keeps the session alive, renews its
    /// keys, and answers silence with a new handshake.
    pub(super) fn tick(&mut self, now: Mono) -> Ticked {
        let mut ticked = Ticked::default();
        self.drop_stale(now);
        let mut buffer = [0; DATAGRAM_MAX_BYTES];
        let result = self.tunn.update_timers(&mut buffer);
        if matches!(result, TunnResult::Err(_)) {
            self.await_nothing();
            ticked.expired = true;
        }
        ticked.datagram = written(result);
        if ticked.datagram.is_none() && self.is_open() && self.keepalive_is_due(now) {
            ticked.datagram = self.encapsulate(&[]);
        }
        if let Some(datagram) = &ticked.datagram {
            self.note_sent(datagram, now);
        } else if self.call_is_due(now) {
            ticked.datagram = self.initiate(true, now);
            ticked.forced = true;
            self.calls = self.calls.saturating_add(1);
        }
        ticked
    }

    fn keepalive_is_due(&self, now: Mono) -> bool {
        self.keepalive.is_some_and(|keepalive| now - self.sent_at >= keepalive)
    }

    /// Whether silence has lasted so long that the keys may be good no longer.
    fn call_is_due(&self, now: Mono) -> bool {
        let rested = self.forced_at.is_none_or(|at| now - at >= self.patience.between);
        rested && self.remote.is_some() && self.silence(now) >= self.patience.silence
    }

    fn drop_stale(&mut self, now: Mono) {
        self.waiting.retain(|(since, _)| now - *since <= WAITING_MAX_AGE);
    }

    /// Encapsulates something that is answered.
    fn transmit(&mut self, packet: &[u8], now: Mono) -> Option<Vec<u8>> {
        let datagram = self.encapsulate(packet)?;
        self.await_answer(1, now);
        self.tally.sent += 1;
        self.note_sent(&datagram, now);
        Some(datagram)
    }

    fn encapsulate(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let mut buffer = [0; DATAGRAM_MAX_BYTES];
        written(self.tunn.encapsulate(packet, &mut buffer))
    }

    fn await_answer(&mut self, words: u32, now: Mono) {
        self.unanswered_since.get_or_insert(now);
        self.unanswered = self.unanswered.saturating_add(words);
    }

    fn await_nothing(&mut self) {
        self.unanswered_since = None;
        self.unanswered = 0;
    }

    fn note_sent(&mut self, datagram: &[u8], now: Mono) {
        self.tally.sent_bytes += datagram.len() as u64;
        self.sent_at = now;
    }
}

/// What a tick asks for.
#[derive(Debug, Default)]
pub(super) struct Ticked {
    pub(super) datagram: Option<Vec<u8>>,
    /// It is a handshake after silence: the remote may have moved.
    pub(super) forced: bool,
    /// The library has given up: the session has no keys and no handshake under way.
    pub(super) expired: bool,
}

/// A payload is longer than a packet may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Oversized;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A handshake's first message.
    Question,
    /// Its second.
    Answer,
    Data,
    Cookie,
    Garbage,
}

fn written(result: TunnResult<'_>) -> Option<Vec<u8>> {
    match result {
        TunnResult::WriteToNetwork(datagram) => Some(datagram.to_vec()),
        _ => None,
    }
}

/// What the library's refusal means to us.
pub(super) fn refusal(error: &WireGuardError) -> Refusal {
    match error {
        WireGuardError::WrongTai64nTimestamp
        | WireGuardError::DuplicateCounter
        | WireGuardError::InvalidCounter => Refusal::Replayed,
        WireGuardError::UnderLoad => Refusal::Flood,
        _ => Refusal::Unauthentic,
    }
}

#[cfg(test)]
mod tests;
