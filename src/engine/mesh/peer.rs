//! What this node knows of one peer beyond its entry and its liveness.

use std::collections::BTreeMap;
use std::time::Duration;

use super::clock::Clock;
use super::refusals::Load;
use super::registration::Registration;
use super::rosters::PeerRoster;
use crate::ident::Incarnation;
use crate::message::Vitals;
use crate::time::{Bucket, Mono, Now};

/// Heartbeats whose moment is remembered, for the round trip of their answers.
const BEATS_MAX: usize = 8;

#[derive(Clone, Debug, Default)]
pub(super) struct Peer {
    /// The highest of its frames.
    pub(super) incarnation: Incarnation,
    /// Its newest word on how it is, and of which of its frames.
    pub(super) vitals: Option<Vitals>,
    stamped: (Incarnation, u64),
    pub(super) clock: Clock,
    pub(super) registration: Registration,
    pub(super) roster: PeerRoster,
    /// Frames over WireGuard and over Tor.
    pub(super) received: [u64; 2],
    pub(super) load: Load,
    /// Heartbeats that came.
    pub(super) beats_heard: Load,
    pub(super) rosters_sent: Load,
    pub(super) secrets_sent: Load,
    /// New words of it on itself that may still be taken.
    pub(super) news: News,
    beats: BTreeMap<u64, Mono>,
    /// When it was declared dead; `None`: it is not.
    pub(super) died: Option<Mono>,
    /// Its points have left because it died.
    pub(super) withdrawn: bool,
    /// It comes and goes: its points wait until then.
    pub(super) damped_until: Option<Mono>,
    /// When it said goodbye.
    pub(super) left: Option<Mono>,
    /// Its points may stand in the descriptor.
    pub(super) offering: bool,
}

/// How often a member may say something new of itself: everybody writes it down and passes it on.
/// What comes too early is said again later, because the tables differ.
#[derive(Clone, Debug)]
pub(super) struct News(Bucket);

/// So many at once, and one more each time.
const NEWS_AT_ONCE: u32 = 8;
const NEWS_EVERY: Duration = Duration::from_secs(5);

impl Default for News {
    fn default() -> News {
        News(Bucket::new(NEWS_AT_ONCE, NEWS_EVERY))
    }
}

impl News {
    pub(super) fn admit(&mut self, now: Mono) -> bool {
        self.0.take(now)
    }
}

impl Peer {
    /// Takes its vitals, unless a newer frame brought some before.
    pub(super) fn take_vitals(&mut self, vitals: Vitals, stamp: (Incarnation, u64)) -> bool {
        let news = stamp > self.stamped;
        if news {
            self.stamped = stamp;
            self.vitals = Some(vitals);
        }
        news
    }

    pub(super) fn beat_sent(&mut self, beat: u64, now: Mono) {
        self.beats.entry(beat).or_insert(now);
        while self.beats.len() > BEATS_MAX {
            self.beats.pop_first();
        }
    }

    /// How long an answer to this heartbeat was under way at most.
    pub(super) fn round_trip(&self, beat: u64, now: Now) -> Option<Duration> {
        self.beats.get(&beat).map(|sent| now.mono - *sent)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::at;
    use super::*;

    #[test]
    fn vitals_of_an_older_frame_are_not_taken() {
        let mut peer = Peer::default();
        let vitals = |alive| Vitals { alive, ..Vitals::default() };
        assert!(peer.take_vitals(vitals(1), (Incarnation(1), 9)));
        assert!(!peer.take_vitals(vitals(2), (Incarnation(1), 8)));
        assert!(peer.take_vitals(vitals(3), (Incarnation(2), 1)));
        assert_eq!(peer.vitals.map(|vitals| vitals.alive), Some(3));
    }

    #[test]
    fn the_moments_of_the_last_beats_are_kept() {
        let mut peer = Peer::default();
        (0..20u32).for_each(|n| peer.beat_sent(n.into(), at(n.into()).mono));
        assert_eq!(peer.round_trip(19, at(19.5)), Some(Duration::from_millis(500)));
        assert_eq!(peer.round_trip(2, at(20.0)), None);
    }
}
