//! The other nodes in the status document.

use super::{Node, offers};
use crate::daemon::report::mesh::refusal;
use crate::engine::{FrontView, MeshView, PeerState, PeerView, Snapshot};
use crate::ident::NodeId;
use crate::message::Path;
use crate::status::{self, NodeState, PathName, RefusedFrames, Role, Status, TorState};

/// Puts in what is known of the nodes; `status` has its fronts already.
pub(super) fn fill(status: &mut Status, node: &Node<'_>, mesh: &MeshView, snapshot: &Snapshot) {
    status.cluster = node.config.cluster.as_ref().map(|cluster| cluster.name.to_string());
    status.view_hash = Some(format!("{:016x}", mesh.view));
    let own = own_node(status, node, mesh, snapshot);
    let peers = mesh.peers.iter().map(|peer| peer_node(status, node, peer));
    let peers: Vec<status::Node> = peers.collect();
    status.nodes = [own].into_iter().chain(peers).collect();
    status.refused = mesh
        .refused
        .iter()
        .map(|(peer, path, reason, count)| RefusedFrames {
            peer: peer.as_ref().map(NodeId::to_string),
            path: path_name(*path),
            reason: refusal(*reason).to_owned(),
            count: *count,
        })
        .collect();
}

fn own_node(
    status: &Status,
    node: &Node<'_>,
    mesh: &MeshView,
    snapshot: &Snapshot,
) -> status::Node {
    let config = node.config;
    let may_publish = config.services.iter().any(|service| service.key_file.is_some());
    let publishes = status.services.iter().any(|service| service.publishing);
    let role = match () {
        () if !may_publish && config.node.spare => Role::Spare,
        () if !may_publish => Role::Front,
        () if publishes => Role::Publisher,
        () if config.node.spare => Role::Spare,
        () => Role::Standby,
    };
    let state = match (mesh.gone, &mesh.joining) {
        (true, _) => NodeState::Left,
        (false, Some(_)) => NodeState::Joining,
        (false, None) => NodeState::Alive,
    };
    let name = config.node.name.as_str();
    let own = |front: &&FrontView| !front.backend && front.name.as_str() == name;
    let front = status.fronts.iter().find(|front| front.name == name);
    status::Node {
        role: Some(role),
        intro_established: snapshot.fronts.iter().find(own).map(|f| super::count(offers(f))),
        intro_wanted: front.and_then(|front| front.intro_wanted),
        intro_in_descriptor: front.and_then(|front| front.intro_in_descriptor),
        tor: match status.tor.state {
            TorState::Up => Some(true),
            TorState::Down => Some(false),
            _ => None,
        },
        version: Some(node.version.to_owned()),
        publisher: may_publish,
        ..status::Node::new(name, state)
    }
}

fn peer_node(status: &Status, node: &Node<'_>, peer: &PeerView) -> status::Node {
    let state = match peer.state {
        PeerState::Joining => NodeState::Joining,
        PeerState::Alive => NodeState::Alive,
        PeerState::Suspect => NodeState::Suspect,
        PeerState::Dead => NodeState::Dead,
        PeerState::Left => NodeState::Left,
    };
    let there = matches!(peer.state, PeerState::Alive | PeerState::Suspect);
    let role = match () {
        () if peer.drained => Some(Role::Drained),
        () if peer.spare => Some(Role::Spare),
        () if !peer.publisher => Some(Role::Front),
        () => None,
    };
    let front = status.fronts.iter().find(|front| front.name == peer.name.as_str());
    status::Node {
        role,
        missed: peer.missed,
        dead_at: Some(node.config.resilience.dead_threshold),
        seen_s: peer.last_heard.map(|ago| ago.as_secs()),
        seen_wg_s: peer.heard_over[0].map(|ago| ago.as_secs()),
        seen_tor_s: peer.heard_over[1].map(|ago| ago.as_secs()),
        path: peer.path.filter(|_| there).map(path_name),
        rtt_s: peer.rtt.filter(|_| there).map(|rtt| rtt.as_secs_f64()),
        intro_established: there.then_some(u32::from(peer.points)),
        intro_wanted: front.and_then(|front| front.intro_wanted).filter(|_| there),
        intro_in_descriptor: front.and_then(|front| front.intro_in_descriptor),
        tor: peer.tor.filter(|_| there),
        app: peer.app.filter(|_| there),
        clock_offset_s: peer.clock_ahead_s.filter(|_| there),
        version: peer.version.clone(),
        vouched_by: peer.vouched_by.as_ref().map(NodeId::to_string),
        bootstrap: peer.bootstrap,
        publisher: peer.publisher,
        ..status::Node::new(peer.name.as_str(), state)
    }
}

fn path_name(path: Path) -> PathName {
    match path {
        Path::WireGuard => PathName::Wg,
        Path::Tor => PathName::Tor,
    }
}
