//! Filling the status document from what the engine knows and what tor said.

use std::time::Duration;

use super::checks::checks;
use super::report::blocked;
use super::signer::Signer;
use crate::config::Config;
use crate::control::event::ClientStatus;
use crate::engine::{DescriptorView, FrontView, HsDirView, PeerState, PeerView, Snapshot};
use crate::hs::address;
use crate::ident::{HsId, NodeId};
use crate::status::{
    Descriptor, Front, FrontKind, FrontState, HsDir, HsDirState, Service, SlotName, Status, Tor,
    TorState,
};
use crate::telemetry::redact_onion;
use crate::time::{Mono, Now, Slot, TimePeriod};

mod mesh;

/// What is known about the tor process.
#[derive(Debug)]
pub(super) struct TorFacts {
    started: Mono,
    state: TorState,
    since: Mono,
    version: Option<String>,
    bootstrap_percent: Option<u8>,
    pub(super) last_error: Option<String>,
    /// Why the last reading of the consensus failed; `None` when it did not.
    pub(super) consensus_error: Option<String>,
}

impl TorFacts {
    pub(super) fn new(now: Mono) -> TorFacts {
        TorFacts {
            started: now,
            state: TorState::Connecting,
            since: now,
            version: None,
            bootstrap_percent: None,
            last_error: None,
            consensus_error: None,
        }
    }

    pub(super) fn up(&mut self, version: String, now: Mono) {
        self.state = TorState::Up;
        self.since = now;
        self.version = Some(version);
        self.consensus_error = None;
    }

    /// The consensus was read, or could not be.
    pub(super) fn consensus_read(&mut self, error: Option<&str>) {
        self.consensus_error = error.map(str::to_owned);
    }

    /// The connection is gone, or could not be made; true when that is news.
    pub(super) fn down(&mut self, error: &str, now: Mono) -> bool {
        let news = self.state != TorState::Down;
        if news {
            self.state = TorState::Down;
            self.since = now;
        }
        self.bootstrap_percent = None;
        self.last_error = Some(error.to_owned());
        news
    }

    /// Whether the control connection stands.
    pub(super) fn is_up(&self) -> bool {
        self.state == TorState::Up
    }

    /// Whether it was ever reached.
    pub(super) fn was_up(&self) -> bool {
        self.version.is_some()
    }

    /// How long it has been down; `None` when it is not, or never was up.
    pub(super) fn down_for(&self, now: Mono) -> Option<Duration> {
        (self.state == TorState::Down && self.was_up()).then(|| now - self.since)
    }

    pub(super) fn status(&mut self, status: &ClientStatus) {
        if let ClientStatus::Bootstrap { progress_percent, .. } = status {
            self.bootstrap_percent = Some(*progress_percent);
        }
    }

    fn describe(&self, now: Mono) -> Tor {
        Tor {
            state: self.state,
            version: self.version.clone(),
            bootstrap_percent: self.bootstrap_percent,
            since_s: Some((now - self.since).as_secs()),
            last_error: self.last_error.clone(),
        }
    }
}

/// What the document says of this process.
pub(super) struct Node<'a> {
    pub(super) config: &'a Config,
    pub(super) version: &'a str,
    pub(super) tor: &'a TorFacts,
    /// Names that two nodes came in with lately.
    pub(super) clashes: Vec<&'a NodeId>,
}

/// One line for systemd.
pub(super) fn line(snapshot: &Snapshot) -> String {
    if let Some(why) = snapshot.blocked {
        return format!("not publishing: {}", blocked(why));
    }
    let hsdirs = || snapshot.services.iter().flat_map(|(_, d)| d).flat_map(|d| &d.hsdirs);
    let confirmed = hsdirs().filter(|hsdir| hsdir.confirmed).count();
    let serving = snapshot.fronts.iter().filter(|front| offers(front) > 0).count();
    let (fronts, hsdirs) = (snapshot.fronts.len(), hsdirs().count());
    let nodes = snapshot.mesh.as_ref().map_or_else(String::new, |mesh| {
        let there = |peer: &&PeerView| peer.state != PeerState::Left;
        let alive = mesh.peers.iter().filter(|peer| peer.state == PeerState::Alive).count();
        format!("{}/{} nodes up, ", alive + 1, mesh.peers.iter().filter(there).count() + 1)
    });
    format!(
        "publisher, {nodes}{serving}/{fronts} fronts, descriptor on {confirmed}/{hsdirs} HSDirs"
    )
}

/// The whole document.
pub(super) fn status(
    node: &Node<'_>,
    snapshot: &Snapshot,
    signer: &mut Signer,
    now: Now,
) -> Status {
    let uptime_s = (now.mono - node.tor.started).as_secs();
    let name = node.config.node.name.as_str();
    let mut status = Status::new(name, node.version, now.wall, std::process::id(), uptime_s);
    status.tor = node.tor.describe(now.mono);
    let publishing = snapshot.blocked.is_none();
    for (id, views) in &snapshot.services {
        let mut service = Service::new(&redact_onion(&address::onion(id)).to_string(), publishing);
        service.descriptors =
            views.iter().filter_map(|view| descriptor(id, view, snapshot, signer, now)).collect();
        status.services.push(service);
    }
    status.fronts = snapshot.fronts.iter().map(|front| describe_front(front, snapshot)).collect();
    if let Some(mesh) = &snapshot.mesh {
        mesh::fill(&mut status, node, mesh, snapshot);
    }
    status.checks = checks(node, snapshot, &status);
    status.conclude()
}

/// Which descriptor a period's is, and whether clients fetch it.
pub(super) fn slot_of(period: TimePeriod, snapshot: &Snapshot) -> Option<(Slot, bool)> {
    let (first, second, facing) = snapshot.view?;
    let slot = [(first, Slot::First), (second, Slot::Second)];
    let (_, slot) = slot.into_iter().find(|(of, _)| *of == period)?;
    Some((slot, slot == facing))
}

fn descriptor(
    id: &HsId,
    view: &DescriptorView,
    snapshot: &Snapshot,
    signer: &mut Signer,
    now: Now,
) -> Option<Descriptor> {
    let (slot, facing) = slot_of(view.period, snapshot)?;
    let name = match slot {
        Slot::First => SlotName::First,
        Slot::Second => SlotName::Second,
    };
    let revision = view.signed_at.and_then(|at| signer.revision(id, &view.period, at));
    let verified = view.hsdirs.iter().filter_map(|hsdir| hsdir.verified_age).min();
    let descriptor = Descriptor {
        client_facing: Some(facing),
        revision: revision.map(|revision| revision.0),
        signed_at: view.signed_at.map(|at| at.0),
        age_s: view.confirmed_age.map(|age| age.as_secs()),
        size_bytes: signer.size(id, &view.period).map(|size| size as u64),
        intro_points: view.plan.as_ref().map(|plan| count(plan.points.len())),
        verified_at_s: verified.map(|age| now.wall.0.saturating_sub(age.as_secs())),
        next_refresh_s: view.refresh_in.map(|time| time.as_secs()),
        ..Descriptor::new(name, view.period.number)
    };
    Some(descriptor.with_hsdirs(view.hsdirs.iter().map(hsdir).collect()))
}

fn hsdir(view: &HsDirView) -> HsDir {
    let state = match view {
        HsDirView { confirmed: true, .. } => HsDirState::Confirmed,
        HsDirView { uploading: true, .. } => HsDirState::Uploading,
        HsDirView { tries: 0, .. } => HsDirState::Waiting,
        _ => HsDirState::Failed,
    };
    let ok = view.confirmed.then(|| "ok".to_owned());
    HsDir {
        tries: view.tries,
        last_result: ok.or_else(|| view.last_error.clone()),
        confirmed_age_s: view.confirmed_age.map(|age| age.as_secs()),
        next_try_s: view.next_try_in.map(|time| time.as_secs()),
        ..HsDir::new(view.relay, state)
    }
}

/// How many introduction points a front offers.
pub(super) fn offers(front: &FrontView) -> usize {
    front.offered.unwrap_or(0)
}

fn describe_front(view: &FrontView, snapshot: &Snapshot) -> Front {
    let kind = if view.backend { FrontKind::Backend } else { FrontKind::Node };
    let state = match (view.offered, &view.last_error) {
        (Some(1..), None) if snapshot.tor_up => FrontState::Serving,
        (Some(1..), _) => FrontState::Suspect,
        (Some(0), _) => FrontState::Gone,
        (None, Some(_)) if view.backend => FrontState::Gone,
        (None, _) => FrontState::Unknown,
    };
    Front {
        onion: Some(redact_onion(&address::onion(&view.address)).to_string()),
        state,
        intro_established: view.offered.filter(|_| !view.backend).map(count),
        intro_wanted: view.named.map(count),
        intro_in_descriptor: in_descriptor(view, snapshot),
        roster_age_s: view.age.map(|age| age.as_secs()),
        last_error: view.last_error.clone(),
        ..Front::new(view.name.as_str(), kind)
    }
}

/// The front's points in the client-facing descriptor of the service that has the fewest of them;
/// unknown while it is unknown for one service.
fn in_descriptor(front: &FrontView, snapshot: &Snapshot) -> Option<u32> {
    let counts: Option<Vec<u32>> =
        snapshot.services.iter().map(|(_, views)| in_service(front, views, snapshot)).collect();
    counts?.into_iter().min()
}

/// Once most HSDirs have confirmed the descriptor: some are dead for hours.
fn in_service(front: &FrontView, views: &[DescriptorView], snapshot: &Snapshot) -> Option<u32> {
    let facing = |view: &&DescriptorView| {
        slot_of(view.period, snapshot).is_some_and(|(_, client_facing)| client_facing)
    };
    let view = views.iter().find(facing)?;
    let confirmed = view.hsdirs.iter().filter(|hsdir| hsdir.confirmed).count();
    let plan = view.plan.as_ref().filter(|_| confirmed * 2 > view.hsdirs.len())?;
    Some(count(plan.count_of(&front.name)))
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::Plan;
    use crate::ident::{IntroPoint, NodeId, RelayId};
    use crate::time::Wall;

    const FIRST: TimePeriod = TimePeriod { number: 1, length_min: 1440, offset_s: 43_200 };

    fn front() -> FrontView {
        FrontView {
            name: "b".parse().unwrap(),
            address: HsId([1; 32]),
            backend: true,
            named: Some(3),
            offered: Some(3),
            pow: false,
            age: None,
            last_error: None,
        }
    }

    fn point() -> IntroPoint {
        IntroPoint {
            relay: RelayId([0; 20]),
            link_specifiers: Vec::new(),
            onion_key: [0; 32],
            auth_key: [0; 32],
            enc_key: [0; 32],
        }
    }

    /// A service whose client-facing descriptor names so many points of the front `b`.
    fn service(number: u8, points: usize, confirmed: bool) -> (HsId, Vec<DescriptorView>) {
        let name: NodeId = "b".parse().unwrap();
        let points = vec![(name, point()); points];
        let hsdir = HsDirView {
            relay: RelayId([7; 20]),
            confirmed,
            uploading: false,
            tries: 0,
            last_error: None,
            confirmed_age: None,
            verified_age: None,
            next_try_in: None,
        };
        let view = DescriptorView {
            period: FIRST,
            plan: Some(Arc::new(Plan { points, flow_control: None })),
            signed_at: Some(Wall(0)),
            confirmed_age: None,
            refresh_in: None,
            hsdirs: vec![hsdir],
        };
        (HsId([number; 32]), vec![view])
    }

    #[test]
    fn a_front_is_as_well_represented_as_in_the_service_that_names_it_least() {
        let of = |services| {
            let snapshot = Snapshot {
                tor_up: true,
                blocked: None,
                view: Some((FIRST, FIRST.next(), Slot::First)),
                fronts: vec![front()],
                services,
                mesh: None,
            };
            in_descriptor(&front(), &snapshot)
        };
        assert_eq!(of(vec![service(2, 3, true)]), Some(3));
        assert_eq!(of(vec![service(2, 3, true), service(3, 0, true)]), Some(0));
        assert_eq!(of(vec![service(2, 3, true), service(3, 2, false)]), None);
    }
}
