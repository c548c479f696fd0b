//! The book of onion streams: whose they are, how long they may idle, and when to dial.

use std::time::Duration;

use super::{Link, Links, Output};
use crate::message::{Party, Path};
use crate::time::{Backoff, Bucket, Mono};
use crate::transport::session::Remote;

/// The most streams, dialled ones included.
const STREAMS_MAX: usize = 256;

/// The most accepted streams on which nobody has spoken authentically.
pub(super) const UNKNOWN_MAX: usize = 64;

/// How long such a stream may stay so.
const UNKNOWN_MAX_AGE: Duration = Duration::from_secs(10);

/// How long a stream may go unused.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Handshakes on one stream: four at once, one per second.
const HANDSHAKES: u32 = 4;
const HANDSHAKE_REFILL: Duration = Duration::from_secs(1);

/// Datagrams on one stream: 800 at once, 200 per second, twice what a member may say. More ends it.
const DATAGRAMS: u32 = 800;
const DATAGRAM_REFILL: Duration = Duration::from_millis(5);

const REDIAL_MIN: Duration = Duration::from_secs(1);
const REDIAL_MAX: Duration = Duration::from_secs(60);

/// An open stream.
#[derive(Debug)]
pub(super) struct Stream {
    opened_at: Mono,
    used_at: Mono,
    /// Whom it leads to: known when we dialled, learnt by the first authentic datagram otherwise.
    link: Option<Link>,
    dialled: bool,
    pub(super) handshakes: Bucket,
    datagrams: Bucket,
}

/// Our attempts to reach somebody.
#[derive(Debug)]
pub(super) struct Dialling {
    backoff: Backoff,
    retry_at: Mono,
    /// The number that the stream will have.
    under_way: Option<u64>,
}

impl Links {
    /// Whether tor can be asked for streams.
    pub(in crate::transport) fn set_can_dial(&mut self, can_dial: bool) {
        self.can_dial = can_dial;
    }

    /// Asks for a stream to this party, unless one is being opened or the last try was just now.
    pub(super) fn want_stream(&mut self, party: Party, now: Mono) {
        let Some(onion) = self.address(party).and_then(|address| address.onion) else { return };
        let possible = self.can_dial && self.paths.contains(&Path::Tor);
        if !possible || self.streams.len() + self.dials_under_way() >= STREAMS_MAX {
            return;
        }
        let dialling = self.dials.entry(party).or_insert_with(|| Dialling {
            backoff: Backoff::new(REDIAL_MIN, REDIAL_MAX),
            retry_at: now,
            under_way: None,
        });
        if dialling.under_way.is_some() || now < dialling.retry_at {
            return;
        }
        let stream = self.next_stream;
        self.next_stream += 1;
        dialling.under_way = Some(stream);
        self.outputs.push_back(Output::Dial { stream, onion });
    }

    fn dials_under_way(&self) -> usize {
        self.dials.values().filter(|dialling| dialling.under_way.is_some()).count()
    }

    /// A stream that we asked for stands.
    pub(in crate::transport) fn stream_dialled(&mut self, id: u64, now: Mono) {
        let wanted = self.dials.iter_mut().find(|(_, d)| d.under_way == Some(id));
        let Some((&party, dialling)) = wanted else {
            self.outputs.push_back(Output::Close(id));
            return;
        };
        dialling.under_way = None;
        let link = (party, Path::Tor);
        self.open_stream(id, Some(link), now);
        if let Some(session) = self.sessions.get_mut(&link) {
            let datagrams = session.attach(Remote::Stream(id), now);
            self.transmit(Remote::Stream(id), datagrams);
        }
    }

    /// A stream that we asked for did not come about; `chance` in 0..=1 spreads the next try.
    pub(in crate::transport) fn dial_failed(&mut self, id: u64, chance: f64, now: Mono) {
        let failed = self.dials.values_mut().find(|d| d.under_way == Some(id));
        if let Some(dialling) = failed {
            dialling.under_way = None;
            dialling.retry_at = now + dialling.backoff.pause(chance);
        }
    }

    /// Somebody has opened a stream; returns its number, or `None` when there is no room.
    pub(in crate::transport) fn stream_accepted(&mut self, now: Mono) -> Option<u64> {
        let unknown = self.streams.values().filter(|stream| stream.link.is_none()).count();
        if unknown >= UNKNOWN_MAX || self.streams.len() + self.dials_under_way() >= STREAMS_MAX {
            return None;
        }
        let id = self.next_stream;
        self.next_stream += 1;
        self.open_stream(id, None, now);
        Some(id)
    }

    fn open_stream(&mut self, id: u64, link: Option<Link>, now: Mono) {
        let dialled = link.is_some();
        let handshakes = Bucket::new(HANDSHAKES, HANDSHAKE_REFILL);
        let datagrams = Bucket::new(DATAGRAMS, DATAGRAM_REFILL);
        let stream = Stream { opened_at: now, used_at: now, link, dialled, handshakes, datagrams };
        self.streams.insert(id, stream);
    }

    /// A stream has ended, on whichever side.
    pub(in crate::transport) fn stream_closed(&mut self, id: u64, chance: f64, now: Mono) {
        let Some(stream) = self.streams.remove(&id) else { return };
        let Some(link) = stream.link else { return };
        if let Some(dialling) = self.dials.get_mut(&link.0).filter(|_| stream.dialled) {
            dialling.backoff.stood(now - stream.opened_at);
            dialling.retry_at = now + dialling.backoff.pause(chance);
        }
        let session = self.sessions.get_mut(&link);
        if let Some(session) = session.filter(|s| s.remote == Some(Remote::Stream(id))) {
            session.remote = None;
            self.set_up(link, false);
        }
    }

    /// Whether one more datagram may come over the stream; a flooding one is closed.
    pub(super) fn may_carry(&mut self, id: u64, now: Mono) -> bool {
        let Some(stream) = self.streams.get_mut(&id) else { return false };
        let room = stream.datagrams.take(now);
        if !room {
            self.outputs.push_back(Output::Close(id));
        }
        room
    }

    /// Authentic words of this party came over the stream.
    pub(super) fn recognise_stream(&mut self, id: u64, link: Link, now: Mono) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.link = Some(link);
            stream.used_at = now;
        }
    }

    pub(super) fn touch_stream(&mut self, id: u64, now: Mono) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.used_at = now;
        }
    }

    /// Closes streams that nobody uses, and those that nobody has proved to be behind.
    pub(super) fn sweep_streams(&mut self, now: Mono) {
        let over = self.streams.iter().filter(|(_, stream)| {
            let unknown = stream.link.is_none() && now - stream.opened_at >= UNKNOWN_MAX_AGE;
            unknown || now - stream.used_at >= IDLE_MAX
        });
        let over: Vec<u64> = over.map(|(id, _)| *id).collect();
        self.outputs.extend(over.into_iter().map(Output::Close));
    }
}
