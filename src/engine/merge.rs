//! Merging the fronts' rosters into the content of one master descriptor.
//!
//! Clients choose among the introduction points uniformly, so every front gets the same number of
//! them; and clients use only the first point at a relay, so a relay is named once. What was
//! listed stays listed while it stands: a republish costs, and a kept point costs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ident::{IntroPoint, NodeId, RelayId};

/// The decided content of a master descriptor, before signing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Each point with the front that it leads to, in the order of the authentication keys: the
    /// same on every node, and telling nothing.
    pub points: Vec<(NodeId, IntroPoint)>,
    /// The `flow-control` line, when all merged instances agree on one.
    pub flow_control: Option<String>,
}

impl Plan {
    /// How many of its points lead to `front`.
    pub fn count_of(&self, front: &NodeId) -> usize {
        self.points.iter().filter(|(owner, _)| owner == front).count()
    }

    /// Whether it names a point that its front does not offer any more: a dead one.
    pub(super) fn outlives(&self, offers: &[Offer<'_>]) -> bool {
        let offered = |(front, point): &(NodeId, IntroPoint)| {
            offers.iter().any(|offer| offer.front == front && offer.points.contains(&point))
        };
        !self.points.iter().all(offered)
    }
}

/// What a descriptor should say now, and how urgent that is.
#[derive(Clone, Debug)]
pub(super) struct Desired {
    pub(super) plan: Arc<Plan>,
    /// What is published names a point that is gone.
    pub(super) removes: bool,
}

/// What one front offers for one time period now.
#[derive(Clone, Debug)]
pub(super) struct Offer<'a> {
    pub(super) front: &'a NodeId,
    pub(super) points: Vec<&'a IntroPoint>,
    pub(super) flow_control: Option<&'a str>,
}

/// Sizes at which the padded descriptor grows by a class (tor-facts: 14, 27, 41 kB).
const SIZE_CLASSES: [usize; 3] = [8, 17, 20];

/// The number of points per front that is aimed at.
const POINTS_WANTED_PER_FRONT: usize = 2;

/// Merges the offers; `None` when nobody offers anything.
///
/// `previous` is what is published now. `max` is the operator's cap; without one, the smallest
/// size class that gives every front two points is used.
pub(super) fn merge(
    offers: &[Offer<'_>],
    previous: Option<&Plan>,
    max: Option<usize>,
) -> Option<Arc<Plan>> {
    let mut offers: Vec<&Offer<'_>> = offers.iter().filter(|o| !o.points.is_empty()).collect();
    offers.sort_by_key(|offer| offer.front);
    let cap = max.unwrap_or_else(|| size_class(offers.len()));
    let quota = (cap / offers.len().max(1)).max(1);
    offers.truncate(cap);

    let mut matching = Matching::new(&offers, previous, quota);
    for round in 1..=quota {
        matching.fill(round);
    }
    let mut points = matching.into_points();
    points.sort_unstable_by_key(|(_, point)| point.auth_key);
    let flow_control = agreed_flow_control(&offers, &points);
    (!points.is_empty()).then(|| Arc::new(Plan { points, flow_control }))
}

fn size_class(fronts: usize) -> usize {
    let enough = |cap: &&usize| **cap / fronts.max(1) >= POINTS_WANTED_PER_FRONT;
    let [.., largest] = SIZE_CLASSES;
    SIZE_CLASSES.iter().find(enough).copied().unwrap_or(largest)
}

fn agreed_flow_control(offers: &[&Offer<'_>], points: &[(NodeId, IntroPoint)]) -> Option<String> {
    let merged = offers.iter().filter(|o| points.iter().any(|(front, _)| front == o.front));
    let lines: BTreeSet<Option<&str>> = merged.map(|offer| offer.flow_control).collect();
    match lines.into_iter().collect::<Vec<_>>().as_slice() {
        [Some(line)] => Some((*line).to_owned()),
        _ => None,
    }
}

/// Which relay serves which front: a bipartite matching that grows by augmenting paths, so that a
/// front with few alternatives gets its relay and the other front moves to its next point.
struct Matching<'a> {
    /// Per front: its candidates by relay.
    candidates: Vec<BTreeMap<RelayId, &'a IntroPoint>>,
    /// Per front: its relays in the order of preference.
    preference: Vec<Vec<RelayId>>,
    names: Vec<&'a NodeId>,
    taken: BTreeMap<RelayId, usize>,
}

impl<'a> Matching<'a> {
    fn new(offers: &[&Offer<'a>], previous: Option<&Plan>, quota: usize) -> Matching<'a> {
        let listed = |front: &NodeId, point: &IntroPoint| {
            previous.is_some_and(|p| p.points.iter().any(|(f, q)| f == front && q == point))
        };
        let mut matching = Matching {
            candidates: Vec::new(),
            preference: Vec::new(),
            names: offers.iter().map(|offer| offer.front).collect(),
            taken: BTreeMap::new(),
        };
        for (index, offer) in offers.iter().enumerate() {
            let mut points = offer.points.clone();
            points.sort_by_key(|p| (!listed(offer.front, p), p.auth_key));
            let mut candidates = BTreeMap::new();
            let mut preference = Vec::new();
            let mut kept = 0;
            for point in points {
                if candidates.contains_key(&point.relay) {
                    continue;
                }
                candidates.insert(point.relay, point);
                preference.push(point.relay);
                let free = !matching.taken.contains_key(&point.relay);
                if kept < quota && free && listed(offer.front, point) {
                    matching.taken.insert(point.relay, index);
                    kept += 1;
                }
            }
            matching.candidates.push(candidates);
            matching.preference.push(preference);
        }
        matching
    }

    /// Brings every front to `round` points where that is possible, those with the fewest
    /// alternatives first.
    fn fill(&mut self, round: usize) {
        let mut order: Vec<usize> = (0..self.names.len()).collect();
        order.sort_by_key(|&front| (self.candidates[front].len(), self.names[front]));
        for front in order {
            if self.count_of(front) < round {
                self.augment(front, round, &mut BTreeSet::new());
            }
        }
    }

    fn count_of(&self, front: usize) -> usize {
        self.taken.values().filter(|&&owner| owner == front).count()
    }

    /// One relay more for `front`: a free one, one of a front that has more than `round`, or one
    /// whose owner finds another in the same way.
    fn augment(&mut self, front: usize, round: usize, visited: &mut BTreeSet<RelayId>) -> bool {
        let relays = self.preference[front].clone();
        if let Some(&free) = relays.iter().find(|relay| !self.taken.contains_key(relay)) {
            self.taken.insert(free, front);
            return true;
        }
        for relay in relays {
            let owner = self.taken.get(&relay).copied();
            if owner == Some(front) || !visited.insert(relay) {
                continue;
            }
            let yields =
                |owner| self.count_of(owner) > round || self.augment(owner, round, visited);
            if owner.is_some_and(yields) {
                self.taken.insert(relay, front);
                return true;
            }
        }
        false
    }

    fn into_points(self) -> Vec<(NodeId, IntroPoint)> {
        let chosen = self.taken.iter().filter_map(|(relay, &front)| {
            let point = self.candidates[front].get(relay)?;
            Some((self.names[front].clone(), (*point).clone()))
        });
        chosen.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{front, point};
    use super::*;

    #[derive(Clone)]
    struct Front {
        name: NodeId,
        points: Vec<IntroPoint>,
        flow_control: Option<&'static str>,
    }

    fn offering(name: &str, points: &[(u8, u8)]) -> Front {
        let points = points.iter().map(|&(relay, key)| point(relay, key)).collect();
        Front { name: front(name), points, flow_control: Some("1-2 31") }
    }

    fn merged(fronts: &[Front], previous: Option<&Plan>, max: Option<usize>) -> Option<Arc<Plan>> {
        let offers: Vec<Offer<'_>> = fronts
            .iter()
            .map(|f| Offer {
                front: &f.name,
                points: f.points.iter().collect(),
                flow_control: f.flow_control,
            })
            .collect();
        merge(&offers, previous, max)
    }

    fn counts(plan: &Plan, names: &[&str]) -> Vec<usize> {
        names.iter().map(|name| plan.count_of(&front(name))).collect()
    }

    /// No front could have a relay of a front that has two more than it.
    fn assert_fair(fronts: &[Front], plan: &Plan, cap: Option<usize>) {
        let offering = fronts.iter().filter(|f| !f.points.is_empty());
        if offering.clone().count() > cap.unwrap_or(20) {
            return;
        }
        for front in offering {
            let has = plan.count_of(&front.name);
            for (owner, point) in &plan.points {
                let offered = front.points.iter().any(|p| p.relay == point.relay);
                assert!(!offered || plan.count_of(owner) < has + 2, "{plan:?}");
            }
        }
    }

    #[test]
    fn fronts_get_equal_shares_of_the_smallest_size_class() {
        let three = |n: u8| (0..3).map(|i| (n * 10 + i, n * 10 + i)).collect::<Vec<_>>();
        let fronts: Vec<Front> =
            ["a", "b", "c"].iter().zip(1..).map(|(name, n)| offering(name, &three(n))).collect();
        let plan = merged(&fronts, None, None).unwrap();
        assert_eq!(counts(&plan, &["a", "b", "c"]), [2, 2, 2]);
        assert_eq!(plan.flow_control.as_deref(), Some("1-2 31"));
        let five: Vec<Front> = ["a", "b", "c", "d", "e"]
            .iter()
            .zip(1..)
            .map(|(name, n)| offering(name, &three(n)))
            .collect();
        assert_eq!(merged(&five, None, None).unwrap().points.len(), 15);
        assert_eq!(merged(&five, None, Some(8)).unwrap().points.len(), 5);
    }

    #[test]
    fn a_relay_is_named_once_and_the_front_with_fewer_alternatives_keeps_it() {
        let fronts = [
            offering("a", &[(1, 1), (2, 2), (3, 3)]),
            offering("b", &[(1, 11)]),
            offering("c", &[(2, 21), (1, 22)]),
        ];
        let plan = merged(&fronts, None, None).unwrap();
        let relays: BTreeSet<_> = plan.points.iter().map(|(_, p)| p.relay).collect();
        assert_eq!(relays.len(), plan.points.len());
        assert_eq!(counts(&plan, &["a", "b", "c"]), [1, 1, 1]);
    }

    #[test]
    fn what_is_listed_stays_listed_when_others_come() {
        let before = [offering("a", &[(1, 9), (2, 8), (3, 7)])];
        let first = merged(&before, None, Some(2)).unwrap();
        let after = [offering("a", &[(1, 9), (2, 8), (3, 7), (4, 1), (5, 2)])];
        assert_eq!(merged(&after, Some(&first), Some(2)).unwrap(), first);
    }

    #[test]
    fn a_listed_relay_moves_when_another_front_would_have_none() {
        let a = offering("a", &[(1, 1), (2, 2)]);
        let first = merged(std::slice::from_ref(&a), None, Some(1)).unwrap();
        assert_eq!(first.points[0].1.relay, point(1, 1).relay);
        let plan = merged(&[a, offering("b", &[(1, 5)])], Some(&first), Some(2)).unwrap();
        assert_eq!(counts(&plan, &["a", "b"]), [1, 1]);
    }

    #[test]
    fn fronts_with_two_listed_points_give_one_up_for_a_front_that_has_none() {
        let b = offering("b", &[(1, 11), (2, 12)]);
        let c = offering("c", &[(3, 13), (4, 14)]);
        let first = merged(&[b.clone(), c.clone()], None, None).unwrap();
        assert_eq!(counts(&first, &["b", "c"]), [2, 2]);
        let a = offering("a", &[(1, 1), (3, 3)]);
        let plan = merged(&[a, b, c], Some(&first), None).unwrap();
        assert_eq!(counts(&plan, &["a", "b", "c"]), [1, 1, 2]);
    }

    #[test]
    fn flow_control_is_named_only_when_all_agree() {
        let mut fronts = [offering("a", &[(1, 1)]), offering("b", &[(2, 2)])];
        fronts[1].flow_control = None;
        assert_eq!(merged(&fronts, None, None).unwrap().flow_control, None);
        fronts[1].flow_control = Some("1-3 31");
        assert_eq!(merged(&fronts, None, None).unwrap().flow_control, None);
    }

    #[test]
    fn nobody_offering_makes_no_plan() {
        assert!(merged(&[], None, None).is_none());
        assert!(merged(&[offering("a", &[])], None, None).is_none());
    }

    #[test]
    fn more_fronts_than_points_still_make_a_plan_within_the_limit() {
        let fronts: Vec<Front> =
            (0..30).map(|n| offering(&format!("f{n:02}"), &[(n, n), (n + 100, n + 100)])).collect();
        let plan = merged(&fronts, None, None).unwrap();
        assert_eq!(plan.points.len(), 20);
    }

    proptest::proptest! {
        #[test]
        fn the_rules_hold_for_any_offers(
            offers in proptest::collection::vec(
                proptest::collection::vec((0u8..12, 0u8..), 0..6), 1..7),
            cap in proptest::option::of(1usize..=20),
        ) {
            let names = ["a", "b", "c", "d", "e", "f", "g"];
            let fronts: Vec<Front> =
                names.iter().zip(&offers).map(|(name, points)| offering(name, points)).collect();
            let Some(plan) = merged(&fronts, None, cap) else {
                assert!(offers.iter().all(Vec::is_empty));
                return Ok(());
            };
            let relays: BTreeSet<_> = plan.points.iter().map(|(_, p)| p.relay).collect();
            assert_eq!(relays.len(), plan.points.len(), "a relay is named once");
            assert!(plan.points.len() <= cap.unwrap_or(20));
            let again = merged(&fronts, Some(&plan), cap).unwrap();
            assert_eq!(again, plan, "unchanged offers leave the plan as it is");
            assert_fair(&fronts, &plan, cap);
        }

        #[test]
        fn what_was_listed_before_takes_nothing_from_a_front_that_has_less(
            before in proptest::collection::vec(
                proptest::collection::vec((0u8..6, 0u8..), 0..6), 3),
            after in proptest::collection::vec(
                proptest::collection::vec((0u8..6, 0u8..), 0..6), 3),
        ) {
            let fronts = |offers: &[Vec<(u8, u8)>]| -> Vec<Front> {
                ["a", "b", "c"].iter().zip(offers).map(|(n, points)| offering(n, points)).collect()
            };
            let first = merged(&fronts(&before), None, None);
            let kept: Vec<_> = before.iter().zip(&after).map(|(old, new)| {
                old.iter().take(2).chain(new).copied().collect()
            }).collect();
            let fronts = fronts(&kept);
            if let Some(plan) = merged(&fronts, first.as_deref(), None) {
                assert_fair(&fronts, &plan, None);
            }
        }
    }
}
