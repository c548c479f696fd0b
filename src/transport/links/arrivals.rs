//! What comes in: whose datagram it is, and what it may cost.

use std::net::IpAddr;
use std::time::Duration;

use boringtun::noise::handshake::parse_handshake_anon;
use boringtun::noise::{HandshakeInit, Packet, Tunn, TunnResult};

use super::{Link, Links, Output};
use crate::ident::PeerKey;
use crate::message::{Party, Path, Refusal};
use crate::time::{Bucket, Mono};
use crate::transport::Event;
use crate::transport::session::{Outcome, Remote, refusal};

/// The most strangers with a session.
pub(super) const STRANGERS_MAX: usize = 32;

/// Handshakes of strangers: so many at once, and one more for each refill time (8 per second).
const STRANGER_HANDSHAKES: u32 = 8;
const STRANGER_HANDSHAKE_REFILL: Duration = Duration::from_millis(125);

/// Payloads of a member: 400 at once, 100 per second.
const MEMBER_PAYLOADS: u32 = 400;
const MEMBER_PAYLOAD_REFILL: Duration = Duration::from_millis(10);

/// Payloads of a stranger or a newcomer: 40 at once, 20 per second.
const STRANGER_PAYLOADS: u32 = 40;
const STRANGER_PAYLOAD_REFILL: Duration = Duration::from_millis(50);

/// Handshakes from one address, which has proved itself where that was asked: 40 at once, 20 per
/// second.
const SOURCE_HANDSHAKES: u32 = 40;
const SOURCE_HANDSHAKE_REFILL: Duration = Duration::from_millis(50);

/// How many addresses are watched; then all are forgotten.
const SOURCES_MAX: usize = 1024;

/// A cookie reply has 64 bytes (whitepaper, section 5.4.7).
const COOKIE_REPLY_BYTES: usize = 64;

pub(super) fn strangers_bucket() -> Bucket {
    Bucket::new(STRANGER_HANDSHAKES, STRANGER_HANDSHAKE_REFILL)
}

pub(super) fn member_allowance() -> Bucket {
    Bucket::new(MEMBER_PAYLOADS, MEMBER_PAYLOAD_REFILL)
}

pub(super) fn stranger_allowance() -> Bucket {
    Bucket::new(STRANGER_PAYLOADS, STRANGER_PAYLOAD_REFILL)
}

/// What answers a handshake that is not worked on.
enum Rebuff {
    Cookie(Vec<u8>),
    Refusal(Refusal),
}

impl Links {
    /// Takes a datagram from wherever it came.
    pub(in crate::transport) fn receive(&mut self, from: Remote, datagram: &[u8], now: Mono) {
        if let Remote::Stream(id) = from
            && !self.may_carry(id, now)
        {
            return self.refuse(None, from, Refusal::Flood);
        }
        let index = match Tunn::parse_incoming_packet(datagram) {
            Ok(Packet::HandshakeInit(initiation)) => {
                return self.receive_initiation(from, datagram, &initiation, now);
            }
            Ok(Packet::HandshakeResponse(packet)) => packet.receiver_idx,
            Ok(Packet::PacketCookieReply(packet)) => packet.receiver_idx,
            Ok(Packet::PacketData(packet)) => packet.receiver_idx,
            Err(error) => return self.refuse(None, from, refusal(&error)),
        };
        let link = self.indices.get(&(index >> 8)).copied();
        let Some(link) = link.filter(|(_, path)| *path == from.path()) else {
            return self.refuse(None, from, Refusal::Unauthentic);
        };
        let session = self.sessions.get_mut(&link).expect("an index leads to a session");
        let outcome = session.receive(from, datagram, now);
        self.absorb(link, from, outcome, now);
    }

    /// The first message of a handshake, from anybody.
    fn receive_initiation(
        &mut self,
        from: Remote,
        datagram: &[u8],
        initiation: &HandshakeInit<'_>,
        now: Mono,
    ) {
        match self.check_load(from, datagram, now) {
            Ok(()) => {}
            Err(Rebuff::Cookie(cookie)) => return self.transmit(from, [cookie]),
            Err(Rebuff::Refusal(reason)) => return self.refuse(None, from, reason),
        }
        let parsed = parse_handshake_anon(&self.identity.secret, &self.identity.public, initiation);
        let key = match parsed {
            Ok(half) => PeerKey(half.peer_static_public),
            Err(error) => return self.refuse(None, from, refusal(&error)),
        };
        if self.banned.contains(&key) {
            return self.refuse(Some(key), from, Refusal::Removed);
        }
        let guest = self.guests.get(&key).map(|guest| Party::Token(guest.token));
        let party = guest.unwrap_or(Party::Peer(key));
        if self.is_stranger(party) && !self.strangers.take(now) {
            return self.refuse(Some(key), from, Refusal::Flood);
        }
        let link = (party, from.path());
        if let Some(session) = self.sessions.get_mut(&link) {
            let outcome = session.receive(from, datagram, now);
            return self.absorb(link, from, outcome, now);
        }
        self.receive_newcomer(link, from, datagram, now);
    }

    /// Whether there is room for the work that a handshake makes.
    fn check_load(&mut self, from: Remote, datagram: &[u8], now: Mono) -> Result<(), Rebuff> {
        match from {
            Remote::Udp(address) => {
                let mut cookie = [0; COOKIE_REPLY_BYTES];
                match self.gate.verify_packet(Some(address.ip()), datagram, &mut cookie) {
                    Ok(_) if self.source_may_initiate(address.ip(), now) => Ok(()),
                    Ok(_) => Err(Rebuff::Refusal(Refusal::Flood)),
                    Err(TunnResult::WriteToNetwork(reply)) => Err(Rebuff::Cookie(reply.to_vec())),
                    Err(_) => Err(Rebuff::Refusal(Refusal::Unauthentic)),
                }
            }
            Remote::Stream(id) => {
                let stream = self.streams.get_mut(&id);
                let room = stream.is_some_and(|stream| stream.handshakes.take(now));
                if room { Ok(()) } else { Err(Rebuff::Refusal(Refusal::Flood)) }
            }
        }
    }

    fn source_may_initiate(&mut self, source: IpAddr, now: Mono) -> bool {
        if self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(&source) {
            self.sources.clear();
        }
        let bucket = || Bucket::new(SOURCE_HANDSHAKES, SOURCE_HANDSHAKE_REFILL);
        self.sources.entry(source).or_insert_with(bucket).take(now)
    }

    /// A handshake of somebody with whom there is no session yet.
    fn receive_newcomer(&mut self, link: Link, from: Remote, datagram: &[u8], now: Mono) {
        let Some((index, mut session)) = self.new_session(link, now) else { return };
        let outcome = session.receive(from, datagram, now);
        if outcome.refused.is_none() {
            if self.is_stranger(link.0) {
                self.make_room_for_stranger();
            }
            self.insert(link, index, session);
        }
        self.absorb(link, from, outcome, now);
    }

    /// Evicts the stranger that was silent for the longest time, when there are too many.
    fn make_room_for_stranger(&mut self) {
        let strangers = self.sessions.iter().filter(|(link, _)| self.is_stranger(link.0));
        let spoken: Vec<(Mono, Link)> =
            strangers.map(|(l, session)| (session.spoken_at, *l)).collect();
        if spoken.len() >= STRANGERS_MAX
            && let Some((_, oldest)) = spoken.into_iter().min()
        {
            self.end(oldest);
        }
    }

    /// Draws the consequences of what a session made of a datagram.
    fn absorb(&mut self, link: Link, from: Remote, outcome: Outcome, now: Mono) {
        let party = link.0;
        if let Some(reason) = outcome.refused {
            let key = if let Party::Peer(key) = party { Some(key) } else { None };
            self.refuse(key, from, reason);
        }
        if outcome.authentic {
            if let Some(session) = self.sessions.get_mut(&link) {
                session.remote = Some(from);
            }
            if let Remote::Stream(id) = from {
                self.recognise_stream(id, link, now);
            }
        }
        if outcome.established {
            self.set_up(link, true);
        }
        self.transmit(from, outcome.replies);
        if let Some(payload) = outcome.payload {
            let event = Event::Received { from: party, path: link.1, payload };
            self.outputs.push_back(Output::Event(event));
        }
    }

    /// Counts and reports a refusal. Only keys that were told to us are counted by themselves.
    fn refuse(&mut self, key: Option<PeerKey>, from: Remote, reason: Refusal) {
        self.count_refusal(key, from.path(), reason);
    }

    pub(super) fn count_refusal(&mut self, key: Option<PeerKey>, path: Path, reason: Refusal) {
        let told = |key: &PeerKey| self.members.contains_key(key) || self.banned.contains(key);
        *self.refused.entry((key.filter(told), path, reason)).or_default() += 1;
        self.outputs.push_back(Output::Event(Event::Refused { from: key, path, reason }));
    }
}
