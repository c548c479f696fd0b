//! The problems of the mesh: who is away, cut off, not let in, off in time, or refused.

use std::time::Duration;

use crate::config::{Config, show_duration};
use crate::daemon::report::mesh::{join_refusal, path_word, refusal, seconds};
use crate::engine::{JoiningView, MeshView, PeerState, PeerView};
use crate::ident::NodeId;
use crate::message::{Path, Refusal};
use crate::status::{Check, Health, NodeState, PARTITION, Status};

/// From so many misses in a row on, a peer is a problem: single ones happen on every network.
const MISSED_MANY: u32 = 2;

/// The most problems about refused frames.
const REFUSED_MAX: usize = 5;

/// All of them; `status` has its nodes already.
pub(super) fn checks(
    mesh: &MeshView,
    config: &Config,
    clashes: &[&NodeId],
    status: &Status,
) -> Vec<Check> {
    let mut checks = Vec::new();
    checks.extend(partition(mesh, status));
    if mesh.gone {
        let text = "this node is no member any more: it said goodbye or was removed.";
        let check = Check::new(Health::Warn, "NOT_JOINED", text);
        checks.push(check.hint(
            "to come back: move wireguard.key, node.key and the configuration away, then \
             rustbalance join with a new invitation",
        ));
    }
    checks.extend(mesh.joining.as_ref().map(not_joined));
    for peer in &mesh.peers {
        checks.extend(peer_check(peer, config, status));
        checks.extend(fallback(peer, config));
        checks.extend(clock(peer));
    }
    checks.extend(clashes.iter().map(|name| name_clash(name)));
    checks.extend(mesh.twin.map(twin));
    checks.extend(refused(mesh));
    checks
}

fn partition(mesh: &MeshView, status: &Status) -> Option<Check> {
    let since = mesh.partitioned?;
    let bootstrap = status.tor.bootstrap_percent.map_or_else(
        || "works here".to_owned(),
        |percent| format!("works here (bootstrap {percent} %)"),
    );
    let text = format!(
        "no peer in sight but Tor {bootstrap}, so the others are probably alive. This is one \
         side's view; what they do is not known here."
    );
    let names: Vec<&str> = mesh.peers.iter().map(|peer| peer.name.as_str()).take(3).collect();
    let ask = format!("from another network: ask {} for their status", names.join(" and "));
    let check = Check::new(Health::Crit, PARTITION, text).since(since.as_secs());
    Some(check.hint(&ask).hint("here: is UDP let through, and does tor call others?"))
}

fn not_joined(joining: &JoiningView) -> Check {
    if let Some(why) = joining.refused {
        let text = format!("this node is not let into the cluster: {}.", join_refusal(why));
        return Check::new(Health::Crit, "NOT_JOINED", text)
            .hint("on a bootstrap node: rustbalance invite")
            .hint("then here: rustbalance join");
    }
    let (attempts, again) = (joining.attempts, seconds(joining.again));
    let text =
        format!("this node is not in the cluster yet: knocked {attempts} times, again in {again}.");
    Check::new(Health::Warn, "NOT_JOINED", text)
        .hint("is a bootstrap node of the invitation up, and its UDP port open?")
}

fn peer_check(peer: &PeerView, config: &Config, status: &Status) -> Option<Check> {
    let name = peer.name.as_str();
    let silent = peer.last_heard.map(seconds);
    match peer.state {
        PeerState::Dead => Some(dead(peer, silent.as_deref(), config, status)),
        PeerState::Suspect if peer.missed >= MISSED_MANY => {
            let threshold = config.resilience.dead_threshold;
            let vouched = peer.vouched_by.as_ref().map_or_else(String::new, |by| {
                format!(" {by} hears it: only the way from here to there may be broken.")
            });
            let text = format!(
                "{name}: missed {} heartbeats of {threshold} that make it dead.{vouched}",
                peer.missed
            );
            Some(Check::new(Health::Warn, "PEER_SUSPECT", text).about(name))
        }
        _ => None,
    }
}

fn dead(peer: &PeerView, silent: Option<&str>, config: &Config, status: &Status) -> Check {
    let name = peer.name.as_str();
    let on = match (config.wireguard.enabled, config.resilience.tor_fallback_enabled) {
        (true, true) => "on WireGuard and on Tor",
        (true, false) => "on WireGuard",
        (false, _) => "on Tor",
    };
    let mut text = match silent {
        Some(silent) => format!("{name}: silent for {silent} {on}."),
        None => format!("{name}: never heard {on} since this node started."),
    };
    let node = status.nodes.iter().find(|node| node.name == name);
    match node.and_then(|node| node.intro_in_descriptor) {
        Some(0) => text.push_str(" Its intro points are not in the descriptor."),
        Some(points) => text.push_str(&format!(
            " Its {points} intro points leave the descriptor within {} of its death.",
            show_duration(config.resilience.removal_grace_period)
        )),
        None => {}
    }
    if status.nodes.iter().any(|n| n.name != name && n.state == NodeState::Alive) {
        text.push_str(" Visitors are served by the other nodes.");
    }
    let check = Check::new(Health::Warn, "PEER_DEAD", text)
        .about(name)
        .hint(&format!("on {name}: systemctl status rustbalance tor@rustbalance"));
    let check = match &peer.vouched_by {
        Some(by) => check.hint(&format!("{by} hears it: look at the network between us")),
        None => check,
    };
    check.hint(&format!("never coming back: rustbalance remove {name}"))
}

fn fallback(peer: &PeerView, config: &Config) -> Option<Check> {
    let alive = matches!(peer.state, PeerState::Alive | PeerState::Suspect);
    let without = peer.endpoint.is_none() && peer.heard_over[0].is_none();
    if !alive || without || !config.wireguard.enabled || peer.path != Some(Path::Tor) {
        return None;
    }
    let name = peer.name.as_str();
    let text = format!("{name}: WireGuard does not get through, heartbeats go over Tor.");
    let port = config.wireguard.listen.port();
    Some(
        Check::new(Health::Warn, "TOR_FALLBACK", text)
            .about(name)
            .hint(&format!("firewalls here and at {name}: UDP (here port {port}), both ways")),
    )
}

fn clock(peer: &PeerView) -> Option<Check> {
    if !peer.clock_bad {
        return None;
    }
    let name = peer.name.as_str();
    let off = peer.clock_ahead_s.map_or_else(
        || "off".to_owned(),
        |ahead_s| {
            let by = show_duration(Duration::from_secs(ahead_s.unsigned_abs()));
            format!("{by} {}", if ahead_s < 0 { "behind ours" } else { "ahead of ours" })
        },
    );
    let text = format!("{name}: its clock is {off}. It stays a member and does not publish.");
    let check = Check::new(Health::Warn, "CLOCK_SKEW", text).about(name);
    Some(check.hint(&format!("on {name}, and here: timedatectl status")))
}

fn name_clash(name: &NodeId) -> Check {
    let text = format!(
        "{name}: two nodes came in with this name, or by one invitation. The later one is refused."
    );
    Check::new(Health::Warn, "NAME_CLASH", text)
        .about(name.as_str())
        .hint("on the later one: rustbalance join with a new invitation and another --name")
}

fn twin(ago: Duration) -> Check {
    let text = format!(
        "the identity of this node runs on another machine too, which spoke {} ago. Each is heard \
         in turns.",
        seconds(ago)
    );
    Check::new(Health::Warn, "IDENTITY_TWICE", text)
        .hint("was the state directory copied? stop one of the two")
        .hint("there: remove its state directory, rustbalance join with a new invitation")
}

/// Strangers knock everywhere, and frames get lost and doubled on the way; a member that says what
/// it may not, or what nobody here understands, is a problem.
fn refused(mesh: &MeshView) -> Vec<Check> {
    let mut worst: Vec<_> = mesh.refused.iter().collect();
    worst.sort_by_key(|(peer, _, _, count)| (peer.is_none(), std::cmp::Reverse(*count)));
    let check =
        |(peer, path, why, count): &(Option<NodeId>, Path, Refusal, u64)| {
            let severity = match (peer, why) {
                (Some(_), Refusal::Version | Refusal::Forged | Refusal::NotAllowed) => Health::Warn,
                _ => Health::Ok,
            };
            let who = peer.as_ref().map_or("strangers", NodeId::as_str);
            let text = format!(
                "{who}: {count} messages over {} refused: {}.",
                path_word(*path),
                refusal(*why)
            );
            let check = Check::new(severity, "FRAMES_REFUSED", text).about(who);
            match (peer, why) {
                (Some(name), Refusal::Version) => check
                    .hint(&format!("upgrade {name}, or this node: rustbalance --version on both")),
                (Some(name), Refusal::Forged | Refusal::NotAllowed | Refusal::Flood) => check
                    .hint(&format!("look at {name}; seized? rustbalance remove --force {name}")),
                _ => check,
            }
        };
    worst.into_iter().take(REFUSED_MAX).map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::samples;
    use crate::message::JoinRefusal;
    use crate::time::Wall;

    fn config() -> Config {
        let text = format!(
            "[node]\nname = \"node-a\"\n[cluster]\nname = \"newsroom\"\nkey = \"{}=\"\n",
            "A".repeat(43)
        );
        Config::parse(&text, std::path::Path::new("c")).unwrap().config
    }

    fn shown(mesh: &MeshView, clashes: &[&NodeId]) -> String {
        let status = Status::new("node-a", "1.0.0", Wall(0), 1, 0);
        let checks = checks(mesh, &config(), clashes, &status);
        let line = |check: &Check| {
            let hints: String = check.hints.iter().map(|hint| format!("  -> {hint}\n")).collect();
            format!("{:?} {} {}\n{hints}", check.severity, check.code, check.message)
        };
        checks.iter().map(line).collect()
    }

    #[test]
    fn a_mesh_in_which_all_is_well_has_no_problem() {
        assert_eq!(shown(&samples::mesh(vec![samples::peer("node-b")]), &[]), "");
    }

    #[test]
    fn peers_that_are_away_or_off_are_named_with_what_helps() {
        let peer = samples::peer;
        let silent = Some(Duration::from_secs(134));
        let mesh = samples::mesh(vec![
            PeerView { state: PeerState::Dead, last_heard: silent, path: None, ..peer("dead") },
            PeerView { state: PeerState::Suspect, missed: 1, ..peer("once") },
            PeerView {
                state: PeerState::Suspect,
                missed: 2,
                vouched_by: Some("once".parse().unwrap()),
                ..peer("twice")
            },
            PeerView { path: Some(Path::Tor), ..peer("round-about") },
            PeerView {
                path: Some(Path::Tor),
                endpoint: None,
                heard_over: [None, silent],
                ..peer("tor-only")
            },
            PeerView { clock_bad: true, clock_ahead_s: Some(-31), ..peer("late") },
        ]);
        let clash: NodeId = "twin".parse().unwrap();
        insta::assert_snapshot!(shown(&mesh, &[&clash]), @r#"
        Warn PEER_DEAD dead: silent for 2m14s on WireGuard and on Tor.
          -> on dead: systemctl status rustbalance tor@rustbalance
          -> never coming back: rustbalance remove dead
        Warn PEER_SUSPECT twice: missed 2 heartbeats of 3 that make it dead. once hears it: only the way from here to there may be broken.
        Warn TOR_FALLBACK round-about: WireGuard does not get through, heartbeats go over Tor.
          -> firewalls here and at round-about: UDP (here port 51820), both ways
        Warn CLOCK_SKEW late: its clock is 31s behind ours. It stays a member and does not publish.
          -> on late, and here: timedatectl status
        Warn NAME_CLASH twin: two nodes came in with this name, or by one invitation. The later one is refused.
          -> on the later one: rustbalance join with a new invitation and another --name
        "#);
    }

    #[test]
    fn a_node_that_is_cut_off_or_not_let_in_says_so() {
        let mut mesh = samples::mesh(vec![samples::peer("node-b"), samples::peer("node-c")]);
        mesh.partitioned = Some(Duration::from_secs(182));
        insta::assert_snapshot!(shown(&mesh, &[]), @r#"
        Crit PARTITION no peer in sight but Tor works here, so the others are probably alive. This is one side's view; what they do is not known here.
          -> from another network: ask node-b and node-c for their status
          -> here: is UDP let through, and does tor call others?
        "#);
        let again = Duration::from_secs(4);
        mesh.partitioned = None;
        mesh.joining = Some(JoiningView { attempts: 3, again, refused: None });
        insta::assert_snapshot!(shown(&mesh, &[]), @r#"
        Warn NOT_JOINED this node is not in the cluster yet: knocked 3 times, again in 4s.
          -> is a bootstrap node of the invitation up, and its UDP port open?
        "#);
        let refused = Some(JoinRefusal::TokenExpired);
        mesh.joining = Some(JoiningView { attempts: 3, again, refused });
        insta::assert_snapshot!(shown(&mesh, &[]), @r#"
        Crit NOT_JOINED this node is not let into the cluster: the invitation has expired; make a new one.
          -> on a bootstrap node: rustbalance invite
          -> then here: rustbalance join
        "#);
    }

    #[test]
    fn what_was_refused_is_counted_and_only_members_are_a_problem() {
        let mut mesh = samples::mesh(Vec::new());
        let member: NodeId = "node-b".parse().unwrap();
        mesh.refused = vec![
            (None, Path::WireGuard, Refusal::Unauthentic, 1000),
            (Some(member.clone()), Path::Tor, Refusal::Forged, 2),
            (Some(member.clone()), Path::WireGuard, Refusal::Replayed, 3),
            (Some(member), Path::WireGuard, Refusal::Version, 40),
        ];
        insta::assert_snapshot!(shown(&mesh, &[]), @r#"
        Warn FRAMES_REFUSED node-b: 40 messages over WireGuard refused: of a version this program does not speak.
          -> upgrade node-b, or this node: rustbalance --version on both
        Ok FRAMES_REFUSED node-b: 3 messages over WireGuard refused: seen before, or too old.
        Warn FRAMES_REFUSED node-b: 2 messages over Tor refused: not rightly signed.
          -> look at node-b; seized? rustbalance remove --force node-b
        Ok FRAMES_REFUSED strangers: 1000 messages over WireGuard refused: not authentic (wrong key, or garbage).
        "#);
    }
}
