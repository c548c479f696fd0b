//! The one word for a whole status document. It only believes what was confirmed.

use super::{Descriptor, FrontState, Health, NodeState, SCHEMA, Service, Status, TorState};

/// From this age on, the last confirmation of a descriptor is late: refreshes come within 135
/// minutes at the latest, within 120 by default.
pub const DESCRIPTOR_AGE_WARN_S: u64 = 140 * 60;

/// From this age on, HSDirs are about to forget a descriptor: they remember 180 minutes.
pub const DESCRIPTOR_AGE_CRIT_S: u64 = 160 * 60;

/// For this long after its start, a node that confirmed nothing yet counts as starting.
pub const STARTING_S: u64 = 180;

/// The state of things in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Everything that should be confirmed is confirmed.
    Healthy,
    /// The daemon is young and not everything is confirmed yet.
    Starting,
    /// Something is amiss or not confirmed, but users are served as far as is known.
    Degraded,
    /// No other node is in sight: what they do is not known.
    Partitioned,
    /// Users of at least one service are probably not served, or soon will not be.
    Down,
}

impl Verdict {
    /// As `health` in the document.
    pub fn health(self) -> Health {
        match self {
            Verdict::Healthy => Health::Ok,
            Verdict::Starting | Verdict::Degraded => Health::Warn,
            Verdict::Partitioned | Verdict::Down => Health::Crit,
        }
    }

    /// As the verdict line says it.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Healthy => "HEALTHY",
            Verdict::Starting => "STARTING",
            Verdict::Degraded => "DEGRADED",
            Verdict::Partitioned => "PARTITIONED",
            Verdict::Down => "DOWN",
        }
    }
}

/// The code of the problem that no other node is in sight although tor works.
pub const PARTITION: &str = "PARTITION";

/// What `health` of a document must be. It ignores the field itself.
pub fn health(status: &Status) -> Health {
    verdict(status).health()
}

/// The state of things in one word.
pub fn verdict(status: &Status) -> Verdict {
    let mut grave = status.checks.iter().filter(|check| check.severity == Health::Crit);
    let partitioned = status.checks.iter().any(|check| check.code == PARTITION);
    if partitioned && grave.clone().all(|check| check.code == PARTITION) && is_served(status) {
        return Verdict::Partitioned;
    }
    let grave = grave.next().is_some();
    if !grave && is_served(status) {
        return if is_well(status) { Verdict::Healthy } else { Verdict::Degraded };
    }
    match !grave && status.uptime_s < STARTING_S {
        true => Verdict::Starting,
        false => Verdict::Down,
    }
}

/// Whether users of every service get through, as far as was confirmed. It ignores the problems:
/// how bad some of them are depends on this.
pub fn is_served(status: &Status) -> bool {
    let some_front_serves = status
        .fronts
        .iter()
        .any(|front| matches!(front.state, FrontState::Serving | FrontState::Suspect));
    some_front_serves && !status.services.is_empty() && status.services.iter().all(is_fetchable)
}

/// Whether clients find a descriptor with introduction points. While it is not known which of the
/// two they ask for, both must be there.
fn is_fetchable(service: &Service) -> bool {
    let stored = |descriptor: &Descriptor| {
        descriptor.age_s.is_some_and(|age_s| age_s < DESCRIPTOR_AGE_CRIT_S)
            && descriptor.intro_points != Some(0)
    };
    let mut asked_for = service.descriptors.iter().filter(|d| d.client_facing != Some(false));
    let some = service.descriptors.iter().any(|d| d.client_facing != Some(false));
    some && asked_for.all(stored)
}

fn is_well(status: &Status) -> bool {
    let descriptors = || status.services.iter().flat_map(|service| &service.descriptors);
    status.schema <= SCHEMA
        && status.tor.state == TorState::Up
        && status.tor.bootstrap_percent.is_none_or(|percent| percent == 100)
        && status.checks.iter().all(|check| check.severity == Health::Ok)
        && status.fronts.iter().all(|front| front.state == FrontState::Serving)
        && status.nodes.iter().all(|node| matches!(node.state, NodeState::Alive | NodeState::Left))
        && status.services.iter().all(|s| s.publishing && s.descriptors.len() == 2)
        && descriptors().all(is_complete)
}

fn is_complete(descriptor: &Descriptor) -> bool {
    descriptor.hsdirs_target > 0
        && descriptor.hsdirs_confirmed >= descriptor.hsdirs_target
        && descriptor.age_s.is_some_and(|age_s| age_s < DESCRIPTOR_AGE_WARN_S)
}

#[cfg(test)]
mod tests {
    use super::super::{Check, Front, FrontKind, Node, SlotName, Tor};
    use super::*;
    use crate::time::Wall;

    fn descriptor(slot: SlotName) -> Descriptor {
        Descriptor {
            client_facing: Some(slot == SlotName::First),
            age_s: Some(60),
            intro_points: Some(3),
            hsdirs_confirmed: 8,
            hsdirs_target: 8,
            ..Descriptor::new(slot, 1)
        }
    }

    fn healthy() -> Status {
        let mut status = Status::new("a", "1.0.0", Wall(0), 1, 4000);
        status.tor = Tor { bootstrap_percent: Some(100), ..Tor::new(TorState::Up) };
        let descriptors = vec![descriptor(SlotName::First), descriptor(SlotName::Second)];
        status.services = vec![Service { descriptors, ..Service::new("x.onion", true) }];
        let front = |name, kind| Front { state: FrontState::Serving, ..Front::new(name, kind) };
        status.fronts = vec![front("a", FrontKind::Node), front("b", FrontKind::Backend)];
        status
    }

    /// The verdict after `change` to a healthy document.
    fn after(change: impl FnOnce(&mut Status)) -> Verdict {
        let mut status = healthy();
        change(&mut status);
        verdict(&status)
    }

    #[test]
    fn all_confirmed_is_healthy() {
        assert_eq!(after(|_| ()), Verdict::Healthy);
        assert_eq!(health(&healthy()), Health::Ok);
    }

    #[test]
    fn whatever_is_not_confirmed_is_not_healthy() {
        let changes: [fn(&mut Status); 16] = [
            |s| s.schema = SCHEMA + 1,
            |s| s.tor.state = TorState::Down,
            |s| s.tor.state = TorState::Other,
            |s| s.tor.bootstrap_percent = Some(95),
            |s| s.fronts[1].state = FrontState::Gone,
            |s| s.fronts[1].state = FrontState::Unknown,
            |s| s.fronts[0].state = FrontState::Other,
            |s| s.services[0].publishing = false,
            |s| s.services[0].descriptors[1].hsdirs_confirmed = 7,
            |s| s.services[0].descriptors[1].age_s = None,
            |s| s.services[0].descriptors[0].hsdirs_target = 0,
            |s| s.services[0].descriptors[0].age_s = Some(DESCRIPTOR_AGE_WARN_S),
            |s| s.checks.push(Check::new(Health::Warn, "X", "x")),
            |s| s.nodes.push(Node::new("b", NodeState::Dead)),
            |s| s.nodes.push(Node::new("b", NodeState::Joining)),
            |s| s.nodes.push(Node::new("b", NodeState::Other)),
        ];
        for (n, change) in changes.into_iter().enumerate() {
            assert_eq!(after(change), Verdict::Degraded, "change {n}");
        }
    }

    #[test]
    fn whatever_keeps_users_out_is_down() {
        let changes: [fn(&mut Status); 8] = [
            |s| s.fronts.iter_mut().for_each(|f| f.state = FrontState::Gone),
            |s| s.fronts.clear(),
            |s| s.services.clear(),
            |s| s.services[0].descriptors.clear(),
            |s| s.services[0].descriptors[0].age_s = Some(DESCRIPTOR_AGE_CRIT_S),
            |s| s.services[0].descriptors[0].age_s = None,
            |s| s.services[0].descriptors[0].intro_points = Some(0),
            |s| s.checks.push(Check::new(Health::Crit, "X", "x")),
        ];
        for (n, change) in changes.into_iter().enumerate() {
            assert_eq!(after(change), Verdict::Down, "change {n}");
        }
    }

    #[test]
    fn one_service_without_a_descriptor_is_enough_to_be_down() {
        assert_eq!(after(|s| s.services.push(Service::new("y.onion", true))), Verdict::Down);
    }

    #[test]
    fn both_descriptors_count_while_it_is_unknown_which_one_clients_fetch() {
        let verdict = after(|s| {
            s.services[0].descriptors.iter_mut().for_each(|d| d.client_facing = None);
            s.services[0].descriptors[1].age_s = None;
        });
        assert_eq!(verdict, Verdict::Down);
    }

    #[test]
    fn a_node_that_said_goodbye_is_not_missed() {
        assert_eq!(after(|s| s.nodes.push(Node::new("b", NodeState::Left))), Verdict::Healthy);
    }

    #[test]
    fn a_partition_is_grave_but_users_of_this_side_are_served() {
        let partition = |s: &mut Status| s.checks.push(Check::new(Health::Crit, PARTITION, "x"));
        assert_eq!(after(partition), Verdict::Partitioned);
        assert_eq!(Verdict::Partitioned.health(), Health::Crit);
        let without_front = |s: &mut Status| {
            partition(s);
            s.fronts.clear();
        };
        assert_eq!(after(without_front), Verdict::Down);
    }

    #[test]
    fn a_young_node_is_starting_but_not_for_ever_and_not_with_a_grave_problem() {
        let young = |s: &mut Status| {
            s.uptime_s = STARTING_S - 1;
            s.services[0].descriptors.clear();
        };
        assert_eq!(after(young), Verdict::Starting);
        assert_eq!(Verdict::Starting.health(), Health::Warn);
        let later = |s: &mut Status| {
            young(s);
            s.uptime_s = STARTING_S;
        };
        assert_eq!(after(later), Verdict::Down);
        let grave = |s: &mut Status| {
            young(s);
            s.checks.push(Check::new(Health::Crit, "X", "x"));
        };
        assert_eq!(after(grave), Verdict::Down);
    }
}
