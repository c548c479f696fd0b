//! The problems that the status document names: what is wrong, how bad it is, what helps.

use super::describe::{Node, TorFacts, offers, slot_of};
use super::report::blocked;
use crate::engine::{Blocked, DescriptorView, FrontView, Snapshot};
use crate::hs::address;
use crate::status::{Check, Health, STARTING_S, Status, is_served};
use crate::telemetry::redact_onion;

mod mesh;

/// Introduction points that a front must offer to survive the loss of one.
const POINTS_WANTED: usize = 2;

/// All problems; `status` is finished but for them.
pub(super) fn checks(node: &Node<'_>, snapshot: &Snapshot, status: &Status) -> Vec<Check> {
    let tor = node.tor;
    let mut checks = Vec::new();
    if let Some(mesh) = &snapshot.mesh {
        checks.extend(mesh::checks(mesh, node.config, &node.clashes, status));
    }
    if let Some(why) = snapshot.blocked {
        checks.extend(blocked_check(tor, why, status));
    }
    checks.extend(consensus_check(tor, snapshot));
    for front in &snapshot.fronts {
        checks.extend(front_check(front, snapshot));
    }
    for (id, views) in &snapshot.services {
        let onion = redact_onion(&address::onion(id)).to_string();
        checks.extend(views.iter().filter_map(|view| hsdirs_check(&onion, view, snapshot)));
    }
    checks
}

/// A node that cannot publish harms nobody while HSDirs hold what it, or another, published.
fn blocked_check(tor: &TorFacts, why: Blocked, status: &Status) -> Option<Check> {
    let grave = if is_served(status) { Health::Warn } else { Health::Crit };
    let check = match why {
        Blocked::NoTor => {
            let cause = tor.last_error.as_deref().unwrap_or("not connected yet");
            let text = format!(
                "tor cannot be used ({cause}). Nothing can be published; what the HSDirs hold \
                 stays there for up to 3 hours after its upload."
            );
            let young = !tor.was_up() && status.uptime_s < STARTING_S;
            Check::new(if young { Health::Warn } else { grave }, "TOR_DOWN", text)
                .hint("systemctl status tor@rustbalance tor@default")
                .hint("check [tor] control and the group membership of this user")
        }
        Blocked::NoConsensus => {
            let cause = tor.consensus_error.as_deref().unwrap_or("it was not read yet");
            let text = format!("tor has no usable consensus yet ({cause}). Nothing is published.");
            Check::new(Health::Warn, "TOR_NOT_READY", text)
                .hint("while tor bootstraps this is normal; journalctl -u tor@rustbalance")
        }
        Blocked::ConsensusExpired | Blocked::ClockBehind => {
            let text = format!("not publishing: {}.", blocked(why));
            Check::new(grave, "CLOCK_WRONG", text)
                .hint("timedatectl status")
                .hint("clock right? then tor gets no new consensus: journalctl -u tor@rustbalance")
        }
        Blocked::NoPoints => Check::new(
            Health::Crit,
            "NO_INTRO_POINTS",
            "no front offers an introduction point, so there is nothing to publish.",
        )
        .hint("check that tor on each front runs with HiddenServiceOnionbalanceInstance 1"),
        Blocked::Gathering | Blocked::Standby => return None,
    };
    Some(check)
}

/// The one that was read before is still used.
fn consensus_check(tor: &TorFacts, snapshot: &Snapshot) -> Option<Check> {
    let cause = tor.consensus_error.as_deref().filter(|_| snapshot.tor_up)?;
    if snapshot.blocked == Some(Blocked::NoConsensus) {
        return None;
    }
    let text = format!(
        "tor's consensus could not be read again ({cause}). The one read before is still used."
    );
    Some(Check::new(Health::Warn, "CONSENSUS_UNREADABLE", text))
}

fn front_check(front: &FrontView, snapshot: &Snapshot) -> Option<Check> {
    let asked = !matches!(snapshot.blocked, Some(Blocked::Gathering | Blocked::NoConsensus));
    if !snapshot.tor_up || !asked {
        return None;
    }
    let name = front.name.as_str();
    let cause = front.last_error.as_deref().unwrap_or("nothing was read from it yet");
    let others = snapshot.fronts.iter().any(|other| other.name != front.name && offers(other) > 0);
    let served = if others { " Visitors are served by the others." } else { "" };
    let check = match (offers(front), front.backend, &front.last_error) {
        (0, true, _) => Check::new(
            Health::Warn,
            "FRONT_GONE",
            format!("{name}: no introduction points ({cause}).{served}"),
        )
        .hint("on that machine: systemctl status tor"),
        (0, false, _) => Check::new(
            Health::Warn,
            "OWN_FRONT_GONE",
            format!("{name} (this node): its tor offers no introduction points ({cause}).{served}"),
        )
        .hint("journalctl -u tor@rustbalance"),
        (_, _, Some(cause)) => Check::new(
            Health::Warn,
            "FRONT_STALE",
            format!(
                "{name}: its descriptor could not be read lately ({cause}); the last one is \
                     still used."
            ),
        ),
        _ if front.pow => Check::new(
            Health::Warn,
            "POW_IGNORED",
            format!(
                "{name}: its tor asks clients for proof of work, which cannot work behind a master \
                 address; it is left out of the descriptor."
            ),
        )
        .hint("on that machine: HiddenServicePoWDefensesEnabled 0 in torrc"),
        (points, _, _) if points < POINTS_WANTED => Check::new(
            Health::Warn,
            "INTRO_POINTS_LOW",
            format!("{name}: only {points} introduction point stands."),
        ),
        _ => return None,
    };
    let check = check.about(name);
    Some(match front.age {
        Some(age) => check.since(age.as_secs()),
        None => check,
    })
}

fn hsdirs_check(onion: &str, view: &DescriptorView, snapshot: &Snapshot) -> Option<Check> {
    let (slot, facing) = slot_of(view.period, snapshot)?;
    let failed: Vec<_> = view.hsdirs.iter().filter(|h| !h.confirmed && h.tries > 0).collect();
    let last = failed.iter().find_map(|hsdir| hsdir.last_error.as_deref())?;
    let (failed, all) = (failed.len(), view.hsdirs.len());
    if facing && failed == all && view.confirmed_age.is_none() {
        let text = format!(
            "no HSDir has taken the {slot} descriptor, which clients fetch (last: {last}). Unless \
             an older one is still there, visitors do not find the service."
        );
        return Some(Check::new(Health::Crit, "PUBLISH_FAILED", text).about(onion));
    }
    let text = format!(
        "{failed} of {all} HSDirs have not taken the {slot} descriptor (last: {last}); each is \
         tried again."
    );
    Some(Check::new(Health::Warn, "HSDIRS_MISSING", text).about(onion))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{Descriptor, Front, FrontKind, FrontState, Service, SlotName};
    use crate::time::{Mono, Wall};

    /// A document of a node that has run for long, with a descriptor confirmed so long ago.
    fn confirmed(age_s: u64) -> Status {
        let mut status = Status::new("a", "1.0.0", Wall(0), 1, 100_000);
        let descriptor = Descriptor {
            client_facing: Some(true),
            age_s: Some(age_s),
            intro_points: Some(3),
            ..Descriptor::new(SlotName::First, 1)
        };
        status.services =
            vec![Service { descriptors: vec![descriptor], ..Service::new("x.onion", false) }];
        let state = FrontState::Suspect;
        status.fronts = vec![Front { state, ..Front::new("b", FrontKind::Backend) }];
        status
    }

    fn severity(tor: &TorFacts, why: Blocked, status: &Status) -> Health {
        blocked_check(tor, why, status).unwrap().severity
    }

    #[test]
    fn what_keeps_us_from_publishing_is_grave_once_the_descriptor_has_lapsed() {
        let (fresh, lapsed) = (confirmed(159 * 60), confirmed(160 * 60));
        let mut tor = TorFacts::new(Mono::default());
        tor.down("refused", Mono::default());
        for why in [Blocked::NoTor, Blocked::ConsensusExpired, Blocked::ClockBehind] {
            assert_eq!(severity(&tor, why, &fresh), Health::Warn, "{why:?}");
            assert_eq!(severity(&tor, why, &lapsed), Health::Crit, "{why:?}");
        }
    }

    #[test]
    fn a_tor_that_starts_after_us_is_no_grave_problem_at_first() {
        let mut young = confirmed(0);
        young.services[0].descriptors.clear();
        young.uptime_s = STARTING_S - 1;
        let mut tor = TorFacts::new(Mono::default());
        tor.down("refused", Mono::default());
        assert_eq!(severity(&tor, Blocked::NoTor, &young), Health::Warn);
        young.uptime_s = STARTING_S;
        assert_eq!(severity(&tor, Blocked::NoTor, &young), Health::Crit);
        young.uptime_s = STARTING_S - 1;
        tor.up("0.4.9.11".to_owned(), Mono::default());
        tor.down("closed", Mono::default());
        assert_eq!(severity(&tor, Blocked::NoTor, &young), Health::Crit);
    }
}
