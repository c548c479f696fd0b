//! Rosters on their way: our own in parts to the peers, and theirs from parts.
//!
//! A peer's roster counts only when all its parts are there. Its points must be nobody else's.
//! Whether the relays that it names exist is not known here: the consensus view of the engine has
//! the HSDirs only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::merge::Offer;
use super::super::roster::Roster;
use crate::ident::{Incarnation, IntroPoint, NodeId};
use crate::message::{POINTS_PER_PART_MAX, RosterPart};
use crate::time::{Mono, Slot, TimePeriod};

/// The most parts of a roster: two periods of twenty points each.
const PARTS_MAX: u8 = 14;

/// A roster is asked for again after so long.
const PULL_EVERY: Duration = Duration::from_secs(1);

/// What this node offers, as its peers get it.
#[derive(Debug, Default)]
pub(super) struct OwnRoster {
    version: u64,
    rosters: Vec<Roster>,
}

impl OwnRoster {
    /// Compares with what is offered now, each with its period; whether that is something new.
    pub(super) fn update(&mut self, offers: &[(TimePeriod, Offer<'_>)]) -> bool {
        let same = |(roster, (period, offer)): (&Roster, &(TimePeriod, Offer<'_>))| {
            roster.period() == *period
                && roster.flow_control() == offer.flow_control
                && roster.points().iter().eq(offer.points.iter().copied())
        };
        let offers: Vec<_> = offers.iter().filter(|(_, offer)| !offer.points.is_empty()).collect();
        let unchanged = self.rosters.len() == offers.len()
            && self.rosters.iter().zip(offers.iter().copied()).all(same);
        if unchanged {
            return false;
        }
        let roster = |(period, offer): &&(TimePeriod, Offer<'_>)| {
            let points = offer.points.iter().map(|point| (*point).clone()).collect();
            Roster::new(*period, points, offer.flow_control.map(str::to_owned))
        };
        self.rosters = offers.iter().filter_map(roster).collect();
        self.version += 1;
        true
    }

    /// Zero when there is none.
    pub(super) fn version(&self) -> u64 {
        if self.rosters.is_empty() { 0 } else { self.version }
    }

    /// How many points, both periods together.
    pub(super) fn count(&self) -> u8 {
        let count: usize = self.rosters.iter().map(|roster| roster.points().len()).sum();
        u8::try_from(count).unwrap_or(u8::MAX)
    }

    pub(super) fn points(&self) -> impl Iterator<Item = &IntroPoint> {
        self.rosters.iter().flat_map(Roster::points)
    }

    pub(super) fn parts(&self) -> Vec<RosterPart> {
        let chunks = |roster: &Roster| roster.points().chunks(POINTS_PER_PART_MAX).count();
        let parts = self.rosters.iter().map(chunks).sum::<usize>();
        let parts = u8::try_from(parts).unwrap_or(PARTS_MAX).min(PARTS_MAX);
        let pieces = self.rosters.iter().flat_map(|roster| {
            roster.points().chunks(POINTS_PER_PART_MAX).map(move |points| (roster, points))
        });
        let part = |(part, (roster, points)): (u8, (&Roster, &[IntroPoint]))| RosterPart {
            version: self.version,
            part,
            parts,
            period: roster.period(),
            flow_control: roster.flow_control().map(str::to_owned),
            points: points.to_vec(),
        };
        (0..parts).zip(pieces).map(part).collect()
    }
}

/// Which of a peer's rosters: versions begin anew with an incarnation.
pub(super) type Edition = (Incarnation, u64);

/// What a peer offers.
#[derive(Clone, Debug, Default)]
pub(super) struct PeerRoster {
    held: Option<Held>,
    arriving: Option<Arriving>,
    pulled: Option<Mono>,
    /// Since when the peer, begun anew, says that it has none yet.
    restarted: Option<Mono>,
}

#[derive(Clone, Debug)]
struct Held {
    edition: Edition,
    rosters: Vec<Roster>,
    at: Mono,
}

#[derive(Clone, Debug)]
struct Arriving {
    edition: Edition,
    count: u8,
    parts: BTreeMap<u8, RosterPart>,
}

impl PeerRoster {
    /// Takes a part; all of the roster when it was the last one missing, or nothing when that is
    /// more than a front may offer.
    pub(super) fn take(&mut self, from: Incarnation, part: RosterPart) -> Option<Vec<Roster>> {
        let edition = (from, part.version);
        let known = self.held.as_ref().is_some_and(|held| held.edition >= edition);
        if known || part.version == 0 || part.parts > PARTS_MAX || part.part >= part.parts {
            return None;
        }
        let arriving = self.arriving.take().filter(|arriving| arriving.edition >= edition);
        let mut arriving = arriving.unwrap_or_else(|| Arriving {
            edition,
            count: part.parts,
            parts: BTreeMap::new(),
        });
        if arriving.edition == edition && arriving.count == part.parts {
            arriving.parts.insert(part.part, part);
        }
        let whole = arriving.parts.len() == usize::from(arriving.count);
        let rosters = whole.then(|| assemble(arriving.parts.values()));
        self.arriving = Some(arriving);
        rosters
    }

    /// The roster that was assembled last is good. Whether it says something new.
    pub(super) fn accept(&mut self, rosters: Vec<Roster>, now: Mono) -> bool {
        let Some(arrived) = self.arriving.take() else { return false };
        let news = self.held.as_ref().is_none_or(|held| held.rosters != rosters);
        self.restarted = None;
        self.pulled = None;
        self.held = Some(Held { edition: arrived.edition, rosters, at: now });
        news
    }

    /// It is not: it will not be asked for again.
    pub(super) fn refuse(&mut self, now: Mono) {
        if let Some(arrived) = self.arriving.take() {
            self.held = Some(Held { edition: arrived.edition, rosters: Vec::new(), at: now });
        }
    }

    /// The peer says which one it has; whether it should be asked for it now.
    ///
    /// A peer that has just begun anew says that it has none before it has read its tor: what it
    /// offered before stays for `grace`, as its circuits are tor's.
    pub(super) fn heard_of(&mut self, edition: Edition, now: Mono) -> bool {
        let held = self.held.as_ref().map(|held| held.edition);
        if edition.1 == 0 {
            match held {
                Some((incarnation, _)) if incarnation < edition.0 => {
                    self.restarted.get_or_insert(now);
                }
                _ => self.clear(),
            }
            return false;
        }
        if held == Some(edition) || self.pulled.is_some_and(|at| now - at < PULL_EVERY) {
            return false;
        }
        // What was pushed is on its way: it is asked for only when it stays away.
        let first = self.pulled.is_none();
        self.pulled = Some(now);
        !first || held.is_none()
    }

    /// Drops what a peer offered before it began anew, when it offers nothing for so long.
    pub(super) fn sweep(&mut self, grace: Duration, now: Mono) -> Option<Mono> {
        let ends = self.restarted? + grace;
        if ends > now {
            return Some(ends);
        }
        self.clear();
        None
    }

    pub(super) fn clear(&mut self) {
        *self = PeerRoster::default();
    }

    /// The roster of `period`, or else the peer's newest: its circuits stand as well.
    pub(super) fn serving(&self, period: TimePeriod) -> Option<&Roster> {
        let rosters = &self.held.as_ref()?.rosters;
        rosters.iter().find(|r| r.period() == period).or_else(|| rosters.last())
    }

    /// The most points that it offers in one period.
    pub(super) fn count(&self) -> usize {
        let rosters = self.held.iter().flat_map(|held| &held.rosters);
        rosters.map(|roster| roster.points().len()).max().unwrap_or(0)
    }

    pub(super) fn points(&self) -> impl Iterator<Item = &IntroPoint> {
        self.held.iter().flat_map(|held| &held.rosters).flat_map(Roster::points)
    }

    pub(super) fn is_known(&self) -> bool {
        self.held.is_some()
    }

    pub(super) fn read_at(&self) -> Option<Mono> {
        self.held.as_ref().map(|held| held.at)
    }
}

fn assemble<'a>(parts: impl Iterator<Item = &'a RosterPart>) -> Vec<Roster> {
    let mut periods: BTreeMap<TimePeriod, (Vec<IntroPoint>, Option<String>)> = BTreeMap::new();
    for part in parts {
        let (points, flow_control) = periods.entry(part.period).or_default();
        points.extend(part.points.iter().cloned());
        flow_control.clone_from(&part.flow_control);
    }
    if periods.len() > Slot::BOTH.len() {
        return Vec::new();
    }
    let roster = |(period, (points, flow_control))| Roster::new(period, points, flow_control);
    let rosters: Option<Vec<Roster>> = periods.into_iter().map(roster).collect();
    rosters.filter(|rosters| rosters.iter().all(names_each_point_once)).unwrap_or_default()
}

/// The points of a roster are in the order of their keys.
fn names_each_point_once(roster: &Roster) -> bool {
    roster.points().windows(2).all(|pair| pair[0].auth_key != pair[1].auth_key)
}

/// Whether the points are nobody else's: neither ours nor another front's.
pub(super) fn unclaimed<'a>(
    rosters: &[Roster],
    others: impl Iterator<Item = &'a IntroPoint>,
) -> bool {
    let claimed: BTreeSet<&[u8; 32]> = others.map(|point| &point.auth_key).collect();
    !rosters.iter().flat_map(Roster::points).any(|point| claimed.contains(&point.auth_key))
}

/// A peer's offer for a period.
pub(super) fn offer<'a>(
    front: &'a NodeId,
    roster: &'a PeerRoster,
    period: TimePeriod,
) -> Option<Offer<'a>> {
    let roster = roster.serving(period)?;
    Some(Offer {
        front,
        points: roster.points().iter().collect(),
        flow_control: roster.flow_control(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{at, front, period, point};
    use super::*;

    fn own(points: &[(u64, Vec<IntroPoint>)]) -> OwnRoster {
        let mut own = OwnRoster::default();
        let name = front("a");
        let offers: Vec<_> = points
            .iter()
            .map(|(number, points)| {
                let points = points.iter().collect();
                (period(*number), Offer { front: &name, points, flow_control: Some("1-2 31") })
            })
            .collect();
        assert!(own.update(&offers));
        assert!(!own.update(&offers), "the same is no news");
        own
    }

    fn points(from: u8, to: u8) -> Vec<IntroPoint> {
        (from..=to).map(|n| point(n, n)).collect()
    }

    #[test]
    fn a_roster_travels_in_parts_and_counts_only_whole_in_any_order() {
        let own = own(&[(5, points(1, 20)), (6, points(21, 40))]);
        let mut parts = own.parts();
        assert_eq!((parts.len(), own.count()), (14, 40));
        parts.reverse();
        let (last, others) = parts.split_last().unwrap();
        let mut peer = PeerRoster::default();
        for part in others.iter().chain(others) {
            assert_eq!(peer.take(Incarnation(1), part.clone()), None);
            assert!(peer.serving(period(5)).is_none());
        }
        let rosters = peer.take(Incarnation(1), last.clone()).unwrap();
        assert!(peer.accept(rosters.clone(), at(0.0).mono));
        assert_eq!(rosters, own.rosters);
        assert_eq!(peer.serving(period(5)).unwrap().points(), points(1, 20));
        assert_eq!(peer.serving(period(9)).unwrap().period(), period(6), "the newest stands in");
        assert!(!peer.heard_of((Incarnation(1), 1), at(1.0).mono));
    }

    #[test]
    fn parts_of_different_versions_do_not_mix() {
        let mut own = own(&[(5, points(1, 6))]);
        let old = own.parts();
        own.version += 1;
        let new = own.parts();
        let mut peer = PeerRoster::default();
        assert_eq!(peer.take(Incarnation(1), new[0].clone()), None);
        assert_eq!(peer.take(Incarnation(1), old[1].clone()), None);
        assert!(peer.take(Incarnation(1), new[1].clone()).is_some());
    }

    #[test]
    fn a_version_that_is_not_held_is_asked_for_and_none_clears_it() {
        let own = own(&[(5, points(1, 3))]);
        let mut peer = PeerRoster::default();
        assert!(peer.heard_of((Incarnation(1), 1), at(0.0).mono));
        assert!(!peer.heard_of((Incarnation(1), 1), at(0.5).mono), "not so often");
        let rosters = peer.take(Incarnation(1), own.parts()[0].clone()).unwrap();
        peer.accept(rosters, at(1.0).mono);
        assert!(!peer.heard_of((Incarnation(1), 0), at(2.0).mono));
        assert!(peer.serving(period(5)).is_none());
    }

    #[test]
    fn a_peer_that_began_anew_keeps_its_points_for_a_while() {
        let own = own(&[(5, points(1, 3))]);
        let mut peer = PeerRoster::default();
        let rosters = peer.take(Incarnation(1), own.parts()[0].clone()).unwrap();
        peer.accept(rosters, at(0.0).mono);
        peer.heard_of((Incarnation(2), 0), at(10.0).mono);
        let grace = Duration::from_secs(30);
        assert_eq!(peer.sweep(grace, at(39.0).mono), Some(at(40.0).mono));
        assert!(peer.serving(period(5)).is_some());
        assert_eq!(peer.sweep(grace, at(40.0).mono), None);
        assert!(peer.serving(period(5)).is_none());
    }

    #[test]
    fn what_no_front_can_offer_is_no_roster() {
        let part = |part, parts, number, points| {
            let period = period(number);
            RosterPart { version: 1, part, parts, period, flow_control: None, points }
        };
        let take = |parts: Vec<RosterPart>| {
            let mut peer = PeerRoster::default();
            let mut taken = parts.into_iter().filter_map(|part| peer.take(Incarnation(1), part));
            taken.next().unwrap()
        };
        let many = (0..7).map(|n| part(n, 7, 5, points(3 * n + 1, 3 * n + 3)));
        assert_eq!(take(many.collect()), [], "21 points");
        assert_eq!(take(vec![part(0, 2, 5, points(1, 3)), part(1, 2, 5, points(3, 5))]), []);
        let periods = (0..3).map(|n| part(n, 3, n.into(), points(n + 1, n + 1)));
        assert_eq!(take(periods.collect()), [], "three periods");
        assert_eq!(take(vec![part(0, 1, 5, points(1, 3))]).len(), 1);
    }

    #[test]
    fn points_of_others_are_not_taken() {
        let roster = Roster::new(period(5), points(1, 3), None).unwrap();
        let rosters = [roster];
        assert!(unclaimed(&rosters, points(4, 6).iter()));
        assert!(!unclaimed(&rosters, points(3, 6).iter()));
    }
}
