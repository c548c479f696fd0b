//! The figures of the verdict line, over all services, fronts and nodes.

use crate::status::{FrontState, NodeState, Status};

/// Sums over a document.
pub(super) struct Sums {
    pub(super) fronts: usize,
    pub(super) fronts_serving: usize,
    /// Nodes that did not say goodbye; 0 without a cluster.
    pub(super) nodes: usize,
    /// Those that are heard.
    pub(super) nodes_up: usize,
    pub(super) descriptors: usize,
    pub(super) hsdirs_confirmed: u32,
    /// 0 while it is not known.
    pub(super) hsdirs_target: u32,
    /// The age of the descriptor that was confirmed longest ago; `None` unless all were.
    pub(super) oldest_s: Option<u64>,
    /// Whether at least one descriptor was confirmed.
    pub(super) confirmed_any: bool,
    /// Introduction points in the confirmed descriptors that clients fetch; `None` when one of
    /// them is not known.
    pub(super) intro_points: Option<u32>,
}

impl Sums {
    pub(super) fn of(status: &Status) -> Sums {
        let descriptors = || status.services.iter().flat_map(|service| &service.descriptors);
        let facing = status.services.iter().map(|service| {
            let facing = service.descriptors.iter().find(|d| d.client_facing == Some(true));
            facing.filter(|d| d.age_s.is_some()).and_then(|d| d.intro_points)
        });
        let ages: Option<Vec<u64>> = descriptors().map(|descriptor| descriptor.age_s).collect();
        let serving = status.fronts.iter().filter(|front| front.state == FrontState::Serving);
        Sums {
            fronts: status.fronts.len(),
            fronts_serving: serving.count(),
            nodes: status.nodes.iter().filter(|node| node.state != NodeState::Left).count(),
            nodes_up: status.nodes.iter().filter(|node| node.state == NodeState::Alive).count(),
            descriptors: descriptors().count(),
            hsdirs_confirmed: total(descriptors().map(|d| d.hsdirs_confirmed)),
            hsdirs_target: total(descriptors().map(|d| d.hsdirs_target)),
            oldest_s: ages.and_then(|ages| ages.into_iter().max()),
            confirmed_any: descriptors().any(|descriptor| descriptor.age_s.is_some()),
            intro_points: facing
                .collect::<Option<Vec<u32>>>()
                .map(|points| total(points.into_iter())),
        }
    }
}

fn total(numbers: impl Iterator<Item = u32>) -> u32 {
    numbers.fold(0, u32::saturating_add)
}
