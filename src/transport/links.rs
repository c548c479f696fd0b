//! All sessions of this node, and who may have one, without sockets.
//!
//! Knows members, banned keys, open doors and knocked-at doors by their keys and addresses, and
//! which session a datagram belongs to. Does not know what a payload says, who is a member for
//! which reason, or who is alive: that is told to it.
//!
//! What is to be done comes out of [`Links::poll_output`], in order. Time and chance are arguments.
//!
//! - **Members** have a session per path, made when there is something to say or to hear.
//! - **Strangers**, whose handshake is valid and whose key nobody has told us, get a session too, but
//!   few, briefly and slowly. They never cost a member its session.
//! - **Roaming**: the source of the last authentic datagram is where we send. A handshake's first
//!   message alone moves nothing, because it can be a copy.

mod arrivals;
mod streams;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use boringtun::noise::rate_limiter::RateLimiter;
use zeroize::Zeroizing;

use self::streams::{Dialling, Stream};
use super::inner::{Ends, inner_address};
use super::session::{Identity, Oversized, Patience, Remote, Session, Terms};
use super::{Counters, Event, LinkCounters, Peer, Settings};
use crate::ident::{ClusterId, HsId, PeerKey, TokenId};
use crate::message::{Door, MEMBERS_MAX, Party, Path, Refusal, TOKENS_MAX};
use crate::time::{Bucket, Mono};

/// The most banned keys that are remembered.
const BANNED_MAX: usize = 4 * MEMBERS_MAX;

/// Handshakes on UDP per second before initiators must prove their address by a cookie
/// (whitepaper, section 5.3): twice what a whole cluster needs that finds itself anew.
const HANDSHAKES_PER_S: u64 = 150;

/// How long a stranger's session lives without a payload.
const STRANGER_IDLE: Duration = Duration::from_secs(60);

/// How long it lives when it never proved its key: a handshake takes one round trip, over Tor 2 s.
const UNPROVEN_IDLE: Duration = Duration::from_secs(10);

/// After so many times its patience a silent session is said to be down.
const PATIENCES_UNTIL_DOWN: u32 = 3;

/// A session is with somebody over something.
pub(super) type Link = (Party, Path);

/// What the task around this is to do.
#[derive(Debug)]
pub(super) enum Output {
    Transmit {
        to: Remote,
        datagram: Vec<u8>,
    },
    /// Open a stream, which gets this number.
    Dial {
        stream: u64,
        onion: HsId,
    },
    /// Close this stream.
    Close(u64),
    Event(Event),
}

/// Somebody with whom we keep sessions.
#[derive(Clone, Copy, Debug)]
struct Address {
    endpoint: Option<SocketAddr>,
    onion: Option<HsId>,
}

/// A newcomer who may come in.
struct Guest {
    token: TokenId,
    preshared_key: Zeroizing<[u8; 32]>,
}

/// A bootstrap node that we ask to let us in.
struct Knocked {
    key: PeerKey,
    address: Address,
    identity: Identity,
    preshared_key: Zeroizing<[u8; 32]>,
}

pub(super) struct Links {
    identity: Identity,
    cluster: ClusterId,
    preshared_key: Option<Zeroizing<[u8; 32]>>,
    keepalive: Duration,
    paths: BTreeSet<Path>,
    /// Asks for cookies when handshakes come too fast.
    gate: RateLimiter,
    members: BTreeMap<PeerKey, Address>,
    banned: BTreeSet<PeerKey>,
    guests: BTreeMap<PeerKey, Guest>,
    knocked: BTreeMap<u8, Knocked>,
    /// Boxed, because the tree's nodes have room for eleven values, and one takes 11 kB.
    sessions: BTreeMap<Link, Box<Session>>,
    indices: BTreeMap<u32, Link>,
    next_index: u32,
    strangers: Bucket,
    /// Handshakes by the address they come from.
    sources: BTreeMap<IpAddr, Bucket>,
    streams: BTreeMap<u64, Stream>,
    next_stream: u64,
    dials: BTreeMap<Party, Dialling>,
    can_dial: bool,
    outputs: VecDeque<Output>,
    refused: BTreeMap<(Option<PeerKey>, Path, Refusal), u64>,
    unsent: u64,
}

impl Links {
    /// `first_index` is any number: from there sessions are numbered.
    pub(super) fn new(settings: &Settings, first_index: u32) -> Links {
        let identity = Identity::new(*settings.private_key);
        let gate = RateLimiter::new(&identity.public, HANDSHAKES_PER_S);
        let udp = settings.listen.is_some().then_some(Path::WireGuard);
        let tor = settings.stream_port.map(|_| Path::Tor);
        Links {
            identity,
            cluster: settings.cluster,
            preshared_key: settings.preshared_key.clone(),
            keepalive: settings.keepalive,
            paths: udp.into_iter().chain(tor).collect(),
            gate,
            members: BTreeMap::new(),
            banned: BTreeSet::new(),
            guests: BTreeMap::new(),
            knocked: BTreeMap::new(),
            sessions: BTreeMap::new(),
            indices: BTreeMap::new(),
            next_index: first_index,
            strangers: arrivals::strangers_bucket(),
            sources: BTreeMap::new(),
            streams: BTreeMap::new(),
            next_stream: 1,
            dials: BTreeMap::new(),
            can_dial: false,
            outputs: VecDeque::new(),
            refused: BTreeMap::new(),
            unsent: 0,
        }
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Adds a member or takes its new addresses; beyond [`MEMBERS_MAX`] nothing happens.
    pub(super) fn admit(&mut self, peer: Peer) {
        let key = peer.key;
        let room = self.members.len() < MEMBERS_MAX || self.members.contains_key(&key);
        if !room || key == self.identity.key() {
            return;
        }
        self.banned.remove(&key);
        let address = Address { endpoint: peer.endpoint, onion: peer.onion };
        let before = self.members.insert(key, address);
        for path in Path::BOTH {
            let Some(session) = self.sessions.get_mut(&(Party::Peer(key), path)) else { continue };
            if before.is_none() {
                session.allowance = arrivals::member_allowance();
            }
            let moved = before.is_some_and(|before| before.endpoint != peer.endpoint);
            if path == Path::WireGuard {
                session.keepalive = Some(self.keepalive);
                if let Some(endpoint) = peer.endpoint.filter(|_| moved || session.remote.is_none())
                {
                    session.remote = Some(Remote::Udp(endpoint));
                }
            }
        }
    }

    /// Ends the sessions with this key; a banned one gets no other.
    pub(super) fn dismiss(&mut self, key: PeerKey, banned: bool) {
        self.members.remove(&key);
        for path in Path::BOTH {
            self.end((Party::Peer(key), path));
        }
        if banned {
            self.banned.insert(key);
            if self.banned.len() > BANNED_MAX {
                self.banned.pop_first();
            }
        }
    }

    /// Opens these doors and closes all others.
    pub(super) fn open_doors(&mut self, doors: Vec<(TokenId, PeerKey, Zeroizing<[u8; 32]>)>) {
        let guest = |(token, key, preshared_key)| (key, Guest { token, preshared_key });
        self.guests = doors.into_iter().take(TOKENS_MAX).map(guest).collect();
        let open: BTreeSet<TokenId> = self.guests.values().map(|guest| guest.token).collect();
        let closed = |link: &&Link| matches!(link.0, Party::Token(id) if !open.contains(&id));
        let ended: Vec<Link> = self.sessions.keys().filter(closed).copied().collect();
        ended.into_iter().for_each(|link| self.end(link));
    }

    /// Begins a session with a bootstrap node anew, with the key of our invitation.
    pub(super) fn knock(
        &mut self,
        place: u8,
        door: Door,
        secret: &[u8; 32],
        preshared_key: Zeroizing<[u8; 32]>,
        path: Path,
        now: Mono,
    ) {
        let party = Party::Door(place);
        let identity = Identity::new(*secret);
        let address = Address { endpoint: door.endpoint, onion: door.onion };
        let other = self.knocked.get(&place).is_some_and(|before| before.key != door.key);
        self.end((party, path));
        if other {
            self.end((party, path.other()));
        }
        self.knocked.insert(place, Knocked { key: door.key, address, identity, preshared_key });
        let Some(session) = self.session(party, path, now) else { return };
        match session.remote {
            Some(to) => {
                let datagram = session.initiate(true, now);
                self.transmit(to, datagram);
            }
            None => self.want_stream(party, now),
        }
    }

    /// Sends a payload, or lets it wait for keys or a stream; what cannot be sent is counted.
    pub(super) fn send(&mut self, party: Party, path: Path, payload: &[u8], now: Mono) {
        let Some(session) = self.session(party, path, now) else {
            self.unsent += 1;
            return;
        };
        let remote = session.remote;
        match (session.send(payload, now), remote) {
            (Err(Oversized), _) => self.unsent += 1,
            (Ok(datagram), Some(to)) => self.transmit(to, datagram),
            (Ok(_), None) => self.want_stream(party, now),
        }
        if let Some(Remote::Stream(id)) = remote {
            self.touch_stream(id, now);
        }
    }

    /// To be called every 250 ms.
    pub(super) fn tick(&mut self, now: Mono) {
        self.gate.reset_count();
        let links: Vec<Link> = self.sessions.keys().copied().collect();
        for link in links {
            self.tick_session(link, now);
        }
        self.sweep_streams(now);
    }

    fn tick_session(&mut self, link: Link, now: Mono) {
        let (party, path) = link;
        let endpoint = self.address(party).and_then(|address| address.endpoint);
        let transient = self.is_stranger(party) || matches!(party, Party::Token(_));
        let session = self.sessions.get_mut(&link).expect("its key was read from the table");
        let ticked = session.tick(now);
        let mut to = session.remote;
        if let (true, Path::WireGuard, Some(endpoint)) = (ticked.forced, path, endpoint)
            && session.calls.is_multiple_of(2)
        {
            to = Some(Remote::Udp(endpoint));
        }
        let limit = Patience::over(path).silence * PATIENCES_UNTIL_DOWN;
        let lost = ticked.expired || session.silence(now) >= limit;
        let idle = now - session.spoken_at;
        let unproven = session.tally.handshakes == 0;
        if let Some(to) = to {
            self.transmit(to, ticked.datagram);
        }
        if transient && unproven && idle >= UNPROVEN_IDLE {
            // Such as the bearer of an invitation that is not ours.
            self.count_refusal(None, path, Refusal::Unauthentic);
            self.end(link);
        } else if transient && idle >= STRANGER_IDLE {
            self.end(link);
        } else if lost {
            self.lose(link);
        }
    }

    /// The other side does not hear us, or we not it: says so once, and gives up a dead stream.
    fn lose(&mut self, link: Link) {
        self.set_up(link, false);
        let Some(session) = self.sessions.get_mut(&link) else { return };
        if let Some(Remote::Stream(id)) = session.remote {
            self.outputs.push_back(Output::Close(id));
        }
    }

    fn set_up(&mut self, link: Link, up: bool) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        if session.up != up {
            session.up = up;
            if let (Party::Peer(peer), path) = link {
                self.outputs.push_back(Output::Event(Event::LinkChanged { peer, path, up }));
            }
        }
    }

    /// Removes a session, its stream and its dialling.
    fn end(&mut self, link: Link) {
        if let Some(session) = self.sessions.remove(&link) {
            self.indices.retain(|_, other| *other != link);
            if let Some(Remote::Stream(id)) = session.remote {
                self.outputs.push_back(Output::Close(id));
            }
        }
        if link.1 == Path::Tor {
            self.dials.remove(&link.0);
        }
    }

    /// The session with this party over this path, made when there is none; `None` when there
    /// cannot be one.
    fn session(&mut self, party: Party, path: Path, now: Mono) -> Option<&mut Session> {
        let link = (party, path);
        if !self.sessions.contains_key(&link) {
            let known = self.address(party).is_some() && self.paths.contains(&path);
            let (index, mut session) = known.then(|| self.new_session(link, now)).flatten()?;
            let endpoint = self.address(party).and_then(|address| address.endpoint);
            if path == Path::WireGuard {
                session.remote = endpoint.map(Remote::Udp);
            }
            self.insert(link, index, session);
        }
        self.sessions.get_mut(&link).map(Box::as_mut)
    }

    fn insert(&mut self, link: Link, index: u32, session: Session) {
        self.indices.insert(index, link);
        self.sessions.insert(link, Box::new(session));
    }

    /// A session that is not in the table yet, with its index.
    fn new_session(&mut self, link: Link, now: Mono) -> Option<(u32, Session)> {
        let index = self.free_index();
        let (party, path) = link;
        let member = matches!(party, Party::Peer(key) if self.members.contains_key(&key));
        let (identity, theirs, preshared_key) = match party {
            Party::Peer(key) => (&self.identity, key, self.preshared_key.as_ref()),
            Party::Token(id) => {
                let (key, guest) = self.guests.iter().find(|(_, guest)| guest.token == id)?;
                (&self.identity, *key, Some(&guest.preshared_key))
            }
            Party::Door(place) => {
                let knocked = self.knocked.get(&place)?;
                (&knocked.identity, knocked.key, Some(&knocked.preshared_key))
            }
        };
        let trusted = member || matches!(party, Party::Door(_));
        let allowance =
            if trusted { arrivals::member_allowance() } else { arrivals::stranger_allowance() };
        let ours = inner_address(self.cluster, identity.key());
        let ends = Ends { ours, theirs: inner_address(self.cluster, theirs) };
        let preshared_key = preshared_key.map(|key| **key);
        let terms = Terms { identity, theirs, preshared_key, ends, path, index, allowance };
        let mut session = Session::new(terms, now);
        session.keepalive = (member && path == Path::WireGuard).then_some(self.keepalive);
        Some((index, session))
    }

    /// A number of 24 bits that no session has.
    fn free_index(&mut self) -> u32 {
        loop {
            self.next_index = self.next_index.wrapping_add(1) & 0x00FF_FFFF;
            if !self.indices.contains_key(&self.next_index) {
                return self.next_index;
            }
        }
    }

    fn address(&self, party: Party) -> Option<Address> {
        match party {
            Party::Peer(key) => self.members.get(&key).copied(),
            Party::Door(place) => self.knocked.get(&place).map(|knocked| knocked.address),
            Party::Token(_) => None,
        }
    }

    fn is_stranger(&self, party: Party) -> bool {
        matches!(party, Party::Peer(key) if !self.members.contains_key(&key))
    }

    fn transmit(&mut self, to: Remote, datagrams: impl IntoIterator<Item = Vec<u8>>) {
        let output = |datagram| Output::Transmit { to, datagram };
        self.outputs.extend(datagrams.into_iter().map(output));
    }

    /// What was counted so far; ages are as of `now`.
    pub(super) fn counters(&self, now: Mono) -> Counters {
        let links = self.sessions.iter().filter_map(|(link, session)| {
            let (Party::Peer(key), path) = *link else { return None };
            let tally = session.tally;
            let counters = LinkCounters {
                sent: tally.sent,
                sent_bytes: tally.sent_bytes,
                received: tally.received,
                received_bytes: tally.received_bytes,
                handshakes: tally.handshakes,
                handshake_age: session.handshake_at.map(|at| now - at),
                heard_age: session.heard_at.map(|at| now - at),
                remote: match session.remote {
                    Some(Remote::Udp(address)) => Some(address),
                    _ => None,
                },
                up: session.up,
            };
            Some(((key, path), counters))
        });
        Counters {
            links: links.collect(),
            refused: self.refused.clone(),
            streams: self.streams.len(),
            unsent: self.unsent,
            ..Counters::default()
        }
    }
}

#[cfg(test)]
mod tests;
