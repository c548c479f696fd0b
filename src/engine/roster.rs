//! Rosters: the introduction points that one front offers, per time period.
//!
//! Knows which roster stands in for which; does not know how rosters are read.

use std::collections::BTreeMap;

use crate::ident::{INTRO_POINTS_MAX, IntroPoint, Revision};
use crate::time::{Mono, TimePeriod};

/// The introduction points that one instance offers in one time period: 1 to 20 of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    period: TimePeriod,
    points: Vec<IntroPoint>,
    flow_control: Option<String>,
}

impl Roster {
    /// A roster of `points` in an order that depends on them alone; `None` unless 1 to 20.
    ///
    /// `flow_control` is the instance's `flow-control` line without its keyword.
    pub fn new(
        period: TimePeriod,
        mut points: Vec<IntroPoint>,
        flow_control: Option<String>,
    ) -> Option<Roster> {
        points.sort_unstable_by_key(|point| point.auth_key);
        (1..=INTRO_POINTS_MAX).contains(&points.len()).then_some(Roster {
            period,
            points,
            flow_control,
        })
    }

    /// The period whose blinded key signed the descriptor that named the points.
    pub fn period(&self) -> TimePeriod {
        self.period
    }

    /// The points, in the order of their authentication keys.
    pub fn points(&self) -> &[IntroPoint] {
        &self.points
    }

    /// The instance's `flow-control` line without its keyword.
    pub fn flow_control(&self) -> Option<&str> {
        self.flow_control.as_deref()
    }
}

/// A roster with the revision of the descriptor that it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What was read.
    pub roster: Roster,
    /// The revision counter of the descriptor.
    pub revision: Revision,
    /// The descriptor asks clients for proof of work.
    pub pow: bool,
}

/// What became of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Learned {
    Changed,
    Unchanged,
    /// A lower revision than one that was seen before: an HSDir is behind, or lies.
    Stale,
}

/// The rosters of one front: at most two periods at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct Rosters {
    held: BTreeMap<TimePeriod, Held>,
    /// Earlier periods are over.
    oldest: Option<TimePeriod>,
}

#[derive(Clone, Debug)]
struct Held {
    reading: Reading,
    at: Mono,
}

const PERIODS_HELD_MAX: usize = 2;

impl Rosters {
    /// Takes a reading from an HSDir, which may be behind the newest one.
    pub(super) fn learn(&mut self, reading: Reading, at: Mono) -> Learned {
        match self.held.get(&reading.roster.period) {
            Some(held) if reading.revision < held.reading.revision => Learned::Stale,
            _ => self.replace(reading, at),
        }
    }

    /// Takes a reading from the tor that makes the descriptor: it is always the newest.
    pub(super) fn replace(&mut self, reading: Reading, at: Mono) -> Learned {
        let period = reading.roster.period;
        let same = self.held.get(&period).is_some_and(|h| h.reading.roster == reading.roster);
        self.held.insert(period, Held { reading, at });
        self.prune();
        if same { Learned::Unchanged } else { Learned::Changed }
    }

    /// Drops rosters of periods before `oldest`, now and later, unless nothing newer is known.
    pub(super) fn retain_from(&mut self, oldest: TimePeriod) {
        self.oldest = Some(oldest);
        self.prune();
    }

    fn prune(&mut self) {
        while self.held.len() > 1 {
            let over = |period: &TimePeriod| self.oldest.is_some_and(|oldest| *period < oldest);
            if self.held.len() <= PERIODS_HELD_MAX && !self.held.keys().next().is_some_and(over) {
                break;
            }
            self.held.pop_first();
        }
    }

    pub(super) fn clear(&mut self) {
        self.held.clear();
    }

    /// The roster of `period`, or else the front's other one: its circuits stand as well.
    pub(super) fn serving(&self, period: TimePeriod) -> Option<&Roster> {
        let held = self.held.get(&period).or_else(|| self.held.values().next_back());
        held.map(|held| &held.reading.roster)
    }

    /// Whether the newest descriptor asks clients for proof of work.
    pub(super) fn pow(&self) -> bool {
        self.held.values().next_back().is_some_and(|held| held.reading.pow)
    }

    /// All points that are held, of both periods.
    pub(super) fn points(&self) -> impl Iterator<Item = &IntroPoint> {
        self.held.values().flat_map(|held| held.reading.roster.points())
    }

    /// When the newest reading came.
    pub(super) fn last_read(&self) -> Option<Mono> {
        self.held.values().map(|held| held.at).max()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{period, point};
    use super::*;

    fn reading(number: u64, points: &[u8], revision: u64) -> Reading {
        let points = points.iter().map(|&n| point(n, n)).collect();
        let roster = Roster::new(period(number), points, None).unwrap();
        Reading { roster, revision: Revision(revision), pow: false }
    }

    #[test]
    fn a_roster_has_one_to_twenty_points() {
        let many = |n: u8| (0..n).map(|i| point(i, i)).collect::<Vec<_>>();
        assert!(Roster::new(period(1), many(0), None).is_none());
        assert!(Roster::new(period(1), many(20), None).is_some());
        assert!(Roster::new(period(1), many(21), None).is_none());
    }

    #[test]
    fn a_lower_revision_of_the_same_period_is_refused() {
        let mut rosters = Rosters::default();
        assert_eq!(rosters.learn(reading(5, &[1, 2], 10), Mono::default()), Learned::Changed);
        assert_eq!(rosters.learn(reading(5, &[1, 2], 11), Mono::default()), Learned::Unchanged);
        assert_eq!(rosters.learn(reading(5, &[3], 10), Mono::default()), Learned::Stale);
        assert_eq!(rosters.serving(period(5)).unwrap().points().len(), 2);
        assert_eq!(rosters.learn(reading(6, &[3], 1), Mono::default()), Learned::Changed);
    }

    #[test]
    fn the_other_period_stands_in_and_old_ones_go_once_there_is_a_newer() {
        let mut rosters = Rosters::default();
        rosters.learn(reading(5, &[1], 1), Mono::default());
        rosters.retain_from(period(6));
        assert_eq!(rosters.serving(period(6)).unwrap().period(), period(5));
        rosters.learn(reading(6, &[2], 1), Mono::default());
        rosters.retain_from(period(6));
        assert_eq!(rosters.serving(period(5)).unwrap().period(), period(6));
        rosters.replace(reading(5, &[1], 9), Mono::default());
        assert_eq!(rosters.points().count(), 1, "what is over stays out");
        rosters.learn(reading(7, &[2], 1), Mono::default());
        rosters.learn(reading(8, &[2], 1), Mono::default());
        assert_eq!(rosters.serving(period(6)).unwrap().period(), period(8));
    }
}
