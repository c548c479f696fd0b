//! What happens among the nodes, as lines of the log. Pure: a report goes in, lines come out.

use std::time::Duration;

use tracing::Level;

use crate::config::show_duration;
use crate::engine::{MeshReport, Reregistration};
use crate::ident::NodeId;
use crate::message::{JoinRefusal, Path, Refusal};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::daemon) struct Line {
    pub(super) level: Level,
    /// The event's name, for scripts.
    pub(super) event: &'static str,
    /// The peer, or whatever tells two of the same event apart.
    pub(super) subject: String,
    /// Said again within ten minutes it would be noise.
    pub(super) repeats: bool,
    pub(in crate::daemon) text: String,
}

impl Line {
    fn new(level: Level, event: &'static str, subject: impl ToString, text: String) -> Line {
        Line { level, event, subject: subject.to_string(), repeats: false, text }
    }

    fn repeating(self) -> Line {
        Line { repeats: true, ..self }
    }
}

/// The lines for a report, in their order.
pub(in crate::daemon) fn lines(report: &MeshReport) -> Vec<Line> {
    let line = match report {
        MeshReport::PeerRecovered { peer, away, refetch, damped } => {
            return recovered(peer, *away, *refetch, *damped);
        }
        MeshReport::PeerMissed { peer, missed, left } => missed_line(peer, *missed, *left),
        MeshReport::PeerDead { peer, points, grace } => {
            let text = format!("Peer {peer} declared DEAD, {}", leaving(*points, *grace));
            Line::new(Level::WARN, "peer_dead", peer, text)
        }
        MeshReport::PathChanged { peer, path: Path::Tor, silent } => {
            let silent = seconds(*silent);
            let text = format!("WireGuard to {peer} silent for {silent}, heartbeats go over Tor");
            Line::new(Level::WARN, "fallback_on", peer, text)
        }
        MeshReport::PathChanged { peer, path: Path::WireGuard, .. } => {
            let text = format!("WireGuard to {peer} works again");
            Line::new(Level::INFO, "fallback_off", peer, text)
        }
        MeshReport::Partition => {
            let text = "No peer in sight while Tor works: probably a partition".to_owned();
            Line::new(Level::WARN, "partition", "", text)
        }
        MeshReport::PartitionHealed { after } => {
            let text = format!("Partition healed after {}", seconds(*after));
            Line::new(Level::INFO, "partition_healed", "", text)
        }
        MeshReport::ClockSkew { peer, ahead_s } => {
            let (by, where_to) =
                (ahead_s.unsigned_abs(), if *ahead_s < 0 { "behind" } else { "ahead of" });
            let by = show_duration(Duration::from_secs(by));
            let text = format!(
                "The clock of {peer} is {by} {where_to} ours: it stays a member and does not \
                 publish until it is right"
            );
            Line::new(Level::WARN, "msg_skew", peer, text).repeating()
        }
        MeshReport::ClockAgrees { peer } => {
            let text = format!("The clock of {peer} is right again");
            Line::new(Level::INFO, "clock_ok", peer, text).repeating()
        }
        other => return vec![membership(other)],
    };
    vec![line]
}

fn missed_line(peer: &NodeId, missed: u32, left: u32) -> Line {
    let plural = if missed == 1 { "" } else { "s" };
    let text = format!("Peer {peer} missed {missed} heartbeat{plural}, {left} more until dead");
    match missed {
        0 | 1 => Line::new(Level::DEBUG, "peer_missed", peer, text),
        _ => Line::new(Level::INFO, "peer_suspect", peer, text).repeating(),
    }
}

fn leaving(points: usize, grace: Duration) -> String {
    let plural = if points == 1 { "" } else { "s" };
    match (points, grace) {
        (0, _) => "it had no intro points in the descriptor".to_owned(),
        (_, Duration::ZERO) => format!("removing {points} intro point{plural} now"),
        _ => {
            let grace = show_duration(grace);
            format!("removing {points} intro point{plural} in {grace} unless it returns")
        }
    }
}

fn recovered(peer: &NodeId, away: Duration, refetch: bool, damped: Duration) -> Vec<Line> {
    let away = seconds(away);
    let text = format!("Peer {peer} came back! Adding to mesh (away {away})");
    let back = Line::new(Level::INFO, "peer_recovered", peer, text);
    let points = match refetch {
        true if damped > Duration::ZERO => {
            let wait = seconds(damped);
            let text = format!(
                "Re-fetching intro points from recovered peer {peer} in {wait}: it comes and goes"
            );
            Line::new(Level::INFO, "peer_refetch", peer, text)
        }
        true => {
            let text = format!("Re-fetching intro points from recovered peer {peer}");
            Line::new(Level::INFO, "peer_refetch", peer, text)
        }
        false => {
            let text =
                format!("Peer {peer} came back within the grace period, its intro points stay");
            Line::new(Level::INFO, "peer_spared", peer, text)
        }
    };
    vec![back, points]
}

/// Who belongs to the cluster, and who does not.
fn membership(report: &MeshReport) -> Line {
    match report {
        MeshReport::NodeJoined { peer } => {
            let text = format!("Node {peer} joined the cluster");
            Line::new(Level::INFO, "node_joined", peer, text)
        }
        MeshReport::NodeLeft { peer } => {
            Line::new(Level::INFO, "node_left", peer, format!("Node {peer} left the cluster"))
        }
        MeshReport::NodeRemoved { peer } => {
            let text = format!("Node {peer} was removed from the cluster for ever");
            Line::new(Level::WARN, "node_removed", peer, text)
        }
        MeshReport::KeyChanged { generation } => {
            let text = format!(
                "Key number {generation} certifies members from now on: a node that had the one \
                 before was removed"
            );
            Line::new(Level::WARN, "key_changed", generation, text)
        }
        MeshReport::NameClash { name } => {
            let text = format!(
                "Two nodes came in as {name}, or by one invitation: the later one is refused; give \
                 it another name and a new invitation"
            );
            Line::new(Level::WARN, "name_clash", name, text).repeating()
        }
        MeshReport::IdentityTwice => {
            let text = "The identity of this node runs on another machine too: stop one of the two, \
                        and join again there with new keys and a new invitation";
            Line::new(Level::WARN, "identity_twice", "", text.to_owned()).repeating()
        }
        MeshReport::Refused { peer, path, reason } => {
            let who = peer.as_ref().map_or("a stranger", NodeId::as_str);
            let (path, why) = (path_word(*path), refusal(*reason));
            let text = format!("Refused a message from {who} over {path}: {why}");
            Line::new(Level::WARN, "frame_refused", format!("{who} {why}"), text).repeating()
        }
        MeshReport::Reregistered { peer, why } => {
            let why = match why {
                Reregistration::Unknown => "it did not know us",
                Reregistration::Restarted => "it has begun anew",
                Reregistration::Unreachable => "it could not be reached",
                Reregistration::Full => "three failures in a row",
            };
            let text = format!("Presented our membership to {peer} again: {why}");
            Line::new(Level::INFO, "reregistered", format!("{peer} {why}"), text).repeating()
        }
        MeshReport::PeerBusy { peer, wait } => {
            let text = format!("Peer {peer} is busy; coming back in {}", seconds(*wait));
            Line::new(Level::INFO, "peer_busy", peer, text).repeating()
        }
        MeshReport::Discovery { alive, expected } => {
            let text = format!("{alive} of {expected} expected nodes in sight: asking around");
            Line::new(Level::INFO, "discovery", "", text).repeating()
        }
        MeshReport::RumourContradicted { by } => {
            let text = format!("{by} believes that this node is dead or gone; contradicting");
            Line::new(Level::INFO, "rumour_contradicted", by, text).repeating()
        }
        other => own_way(other),
    }
}

/// This node's own way in and out.
fn own_way(report: &MeshReport) -> Line {
    match report {
        MeshReport::JoinRefused { name, why } => {
            let why = join_refusal(*why);
            let text = format!("Did not let node {name} in: {why}");
            Line::new(Level::WARN, "join_refused", format!("{name} {why}"), text).repeating()
        }
        MeshReport::Knocking { door, path, attempt, again } => {
            let text = format!(
                "Knocking at bootstrap node {} over {} (try {attempt}), again in {}",
                u32::from(*door) + 1,
                path_word(*path),
                seconds(*again)
            );
            Line::new(Level::INFO, "knocking", path_word(*path), text).repeating()
        }
        MeshReport::Joined { welcome, peers } => {
            let plural = if *peers == 1 { "" } else { "s" };
            let text = format!("Joined cluster {}: {peers} other node{plural}", welcome.cluster);
            Line::new(Level::INFO, "joined", "", text)
        }
        MeshReport::JoinFailed { why } => {
            let text = format!("Not let into the cluster: {}", join_refusal(*why));
            Line::new(Level::ERROR, "join_failed", join_refusal(*why), text).repeating()
        }
        MeshReport::WeAreRemoved => {
            let text = "This node was removed from the cluster: its keys are good for nothing any \
                        more; join again with new keys and a new invitation";
            Line::new(Level::ERROR, "we_are_removed", "", text.to_owned())
        }
        MeshReport::Farewell { seen, of } => {
            let text = format!("Said goodbye: {seen} of {of} nodes in sight know that we go");
            Line::new(Level::INFO, "farewell", "", text)
        }
        other => {
            Line::new(Level::DEBUG, "mesh", format!("{other:?}"), format!("{other:?}")).repeating()
        }
    }
}

/// Whole seconds, as people say it.
pub(in crate::daemon) fn seconds(duration: Duration) -> String {
    show_duration(Duration::from_secs(duration.as_secs()))
}

/// As the log calls a path.
pub(in crate::daemon) fn path_word(path: Path) -> &'static str {
    match path {
        Path::WireGuard => "WireGuard",
        Path::Tor => "Tor",
    }
}

/// Why something was refused.
pub(in crate::daemon) fn refusal(why: Refusal) -> &'static str {
    match why {
        Refusal::Unauthentic => "not authentic (wrong key, or garbage)",
        Refusal::Replayed => "seen before, or too old",
        Refusal::Malformed => "not well made",
        Refusal::Version => "of a version this program does not speak",
        Refusal::Stranger => "from no member",
        Refusal::Stale => "from an earlier life of its sender",
        Refusal::Flood => "too many",
        Refusal::Forged => "not rightly signed",
        Refusal::Removed => "from a member that was removed",
        Refusal::NotAllowed => "not for its sender to say",
    }
}

/// Why a newcomer is not let in, and what helps.
pub(in crate::daemon) fn join_refusal(why: JoinRefusal) -> &'static str {
    match why {
        JoinRefusal::TokenUsed => "another node has used this invitation; make a new one",
        JoinRefusal::TokenExpired => "the invitation has expired; make a new one",
        JoinRefusal::TokenRevoked => "the invitation was revoked; make a new one",
        JoinRefusal::InviterGone => {
            "the node that made the invitation may not invite any more; make one on another node"
        }
        JoinRefusal::OtherName => "the invitation is for a node of another name",
        JoinRefusal::NameTaken => "another member has this name; choose another one",
        JoinRefusal::KeyTaken => {
            "another member has this key, or a removed one had it: move wireguard.key and node.key \
             in keys/ of the state directory away, and new ones are made"
        }
        JoinRefusal::Full => "the cluster has as many members as there may be; remove one",
        JoinRefusal::NotBootstrap => "that node lacks the key to certify members",
        JoinRefusal::Malformed => "the request was not well made; are both programs up to date?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::ClusterKey;
    use crate::message::Welcome;

    fn peer() -> NodeId {
        "node-xyz".parse().unwrap()
    }

    fn shown(reports: &[MeshReport]) -> String {
        let lines = reports.iter().flat_map(lines);
        let text = lines
            .map(|line| format!("{:<5} {:<19} {}\n", line.level.as_str(), line.event, line.text));
        text.collect()
    }

    const MINUTES: Duration = Duration::from_millis(252_900);

    #[test]
    fn a_death_and_a_return_are_told_in_the_words_that_operators_look_for() {
        let missed = |missed| MeshReport::PeerMissed { peer: peer(), missed, left: 3 - missed };
        let dead = |points, grace_s| MeshReport::PeerDead {
            peer: peer(),
            points,
            grace: Duration::from_secs(grace_s),
        };
        let back = |refetch, damped_s| MeshReport::PeerRecovered {
            peer: peer(),
            away: MINUTES,
            refetch,
            damped: Duration::from_secs(damped_s),
        };
        let reports = [
            missed(1),
            missed(2),
            dead(3, 30),
            dead(1, 0),
            dead(0, 30),
            back(true, 0),
            back(true, 60),
            back(false, 0),
        ];
        insta::assert_snapshot!(shown(&reports), @r#"
        DEBUG peer_missed         Peer node-xyz missed 1 heartbeat, 2 more until dead
        INFO  peer_suspect        Peer node-xyz missed 2 heartbeats, 1 more until dead
        WARN  peer_dead           Peer node-xyz declared DEAD, removing 3 intro points in 30s unless it returns
        WARN  peer_dead           Peer node-xyz declared DEAD, removing 1 intro point now
        WARN  peer_dead           Peer node-xyz declared DEAD, it had no intro points in the descriptor
        INFO  peer_recovered      Peer node-xyz came back! Adding to mesh (away 4m12s)
        INFO  peer_refetch        Re-fetching intro points from recovered peer node-xyz
        INFO  peer_recovered      Peer node-xyz came back! Adding to mesh (away 4m12s)
        INFO  peer_refetch        Re-fetching intro points from recovered peer node-xyz in 1m: it comes and goes
        INFO  peer_recovered      Peer node-xyz came back! Adding to mesh (away 4m12s)
        INFO  peer_spared         Peer node-xyz came back within the grace period, its intro points stay
        "#);
    }

    #[test]
    fn ways_clocks_and_partitions_are_told() {
        let changed = |path| MeshReport::PathChanged {
            peer: "node-c".parse().unwrap(),
            path,
            silent: Duration::from_millis(25_400),
        };
        let reports = [
            changed(Path::Tor),
            changed(Path::WireGuard),
            MeshReport::Partition,
            MeshReport::PartitionHealed { after: MINUTES },
            MeshReport::ClockSkew { peer: peer(), ahead_s: 31 },
            MeshReport::ClockSkew { peer: peer(), ahead_s: -90 },
            MeshReport::ClockAgrees { peer: peer() },
        ];
        insta::assert_snapshot!(shown(&reports), @r#"
        WARN  fallback_on         WireGuard to node-c silent for 25s, heartbeats go over Tor
        INFO  fallback_off        WireGuard to node-c works again
        WARN  partition           No peer in sight while Tor works: probably a partition
        INFO  partition_healed    Partition healed after 4m12s
        WARN  msg_skew            The clock of node-xyz is 31s ahead of ours: it stays a member and does not publish until it is right
        WARN  msg_skew            The clock of node-xyz is 1m30s behind ours: it stays a member and does not publish until it is right
        INFO  clock_ok            The clock of node-xyz is right again
        "#);
    }

    #[test]
    fn coming_and_going_is_told() {
        let (second, name) = (Duration::from_secs(1), peer());
        let welcome = Welcome {
            certificate: crate::daemon::samples::certificate("node-b"),
            key: ClusterKey([1; 32]),
            cluster: "newsroom".parse().unwrap(),
            services: Vec::new(),
        };
        let reports = [
            MeshReport::NodeJoined { peer: peer() },
            MeshReport::NodeLeft { peer: peer() },
            MeshReport::NodeRemoved { peer: peer() },
            MeshReport::JoinRefused { name: name.clone(), why: JoinRefusal::NameTaken },
            MeshReport::Knocking { door: 0, path: Path::Tor, attempt: 2, again: second },
            MeshReport::Joined { welcome: Box::new(welcome), peers: 1 },
            MeshReport::JoinFailed { why: JoinRefusal::TokenUsed },
            MeshReport::Reregistered { peer: peer(), why: Reregistration::Full },
            MeshReport::PeerBusy { peer: peer(), wait: second },
            MeshReport::Discovery { alive: 2, expected: 3 },
            MeshReport::RumourContradicted { by: peer() },
            MeshReport::NameClash { name },
            MeshReport::Refused { peer: None, path: Path::Tor, reason: Refusal::Flood },
            MeshReport::WeAreRemoved,
            MeshReport::Farewell { seen: 2, of: 3 },
        ];
        insta::assert_snapshot!(shown(&reports), @r#"
        INFO  node_joined         Node node-xyz joined the cluster
        INFO  node_left           Node node-xyz left the cluster
        WARN  node_removed        Node node-xyz was removed from the cluster for ever
        WARN  join_refused        Did not let node node-xyz in: another member has this name; choose another one
        INFO  knocking            Knocking at bootstrap node 1 over Tor (try 2), again in 1s
        INFO  joined              Joined cluster newsroom: 1 other node
        ERROR join_failed         Not let into the cluster: another node has used this invitation; make a new one
        INFO  reregistered        Presented our membership to node-xyz again: three failures in a row
        INFO  peer_busy           Peer node-xyz is busy; coming back in 1s
        INFO  discovery           2 of 3 expected nodes in sight: asking around
        INFO  rumour_contradicted node-xyz believes that this node is dead or gone; contradicting
        WARN  name_clash          Two nodes came in as node-xyz, or by one invitation: the later one is refused; give it another name and a new invitation
        WARN  frame_refused       Refused a message from a stranger over Tor: too many
        ERROR we_are_removed      This node was removed from the cluster: its keys are good for nothing any more; join again with new keys and a new invitation
        INFO  farewell            Said goodbye: 2 of 3 nodes in sight know that we go
        "#);
    }
}
