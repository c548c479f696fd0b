//! One row per node of the cluster, and one per plain backend.

use super::text::{age, clean, or_unknown};
use crate::status::{Front, FrontKind, FrontState, Node, NodeState, PathName, Role, Status};

/// The columns; the first is a mark for the node that wrote the document.
const HEADER: [&str; 13] = [
    "", "NODE", "ROLE", "STATE", "SEEN", "PATH", "RTT", "INTRO", "IN DESC", "TOR", "APP", "CLOCK",
    "VERSION",
];

/// The table's rows, the header first.
pub(super) fn rows(status: &Status) -> Vec<Vec<String>> {
    let mut rows = vec![HEADER.map(str::to_owned).to_vec()];
    rows.extend(status.nodes.iter().map(|node| node_row(node, node.name == status.node)));
    let backends = status.fronts.iter().filter(|front| front.kind == FrontKind::Backend);
    rows.extend(backends.map(backend_row));
    rows
}

fn node_row(node: &Node, is_self: bool) -> Vec<String> {
    let gone = matches!(node.state, NodeState::Dead | NodeState::Left);
    let of_others = |shown: String| if is_self { "-".to_owned() } else { shown };
    let path = match (node.path, node.state) {
        (Some(PathName::Wg), _) => "wg",
        (Some(PathName::Tor), _) => "tor",
        (_, NodeState::Dead) => "none",
        (_, NodeState::Left) => "-",
        _ => "?",
    };
    let rtt = match node.rtt_s {
        Some(seconds) if seconds >= 1.0 => format!("{seconds:.1}s"),
        Some(seconds) => format!("{:.0}ms", seconds * 1000.0),
        None if gone => "-".to_owned(),
        None => "?".to_owned(),
    };
    vec![
        if is_self { "*" } else { "" }.to_owned(),
        clean(&node.name),
        if gone { "-" } else { role(node.role) }.to_owned(),
        state(node),
        of_others(node.seen_s.map_or("?".to_owned(), age)),
        of_others(path.to_owned()),
        of_others(rtt),
        intro(node),
        or_unknown(node.intro_in_descriptor),
        works(node.tor).to_owned(),
        works(node.app).to_owned(),
        of_others(node.clock_offset_s.map_or("?".to_owned(), |s| format!("{s:+}s"))),
        node.version.as_deref().map_or("?".to_owned(), clean),
    ]
}

fn role(role: Option<Role>) -> &'static str {
    match role {
        Some(Role::Publisher) => "publisher",
        Some(Role::Standby) => "standby",
        Some(Role::Front) => "front",
        Some(Role::Spare) => "spare",
        Some(Role::Drained) => "drained",
        Some(Role::Other) | None => "?",
    }
}

fn state(node: &Node) -> String {
    match node.state {
        NodeState::Joining => "joining".to_owned(),
        NodeState::Alive => "alive".to_owned(),
        NodeState::Suspect => format!("suspect {}/{}", node.missed, or_unknown(node.dead_at)),
        NodeState::Dead => "DEAD".to_owned(),
        NodeState::Left => "left".to_owned(),
        NodeState::Other => "?".to_owned(),
    }
}

fn intro(node: &Node) -> String {
    match (node.intro_established, node.intro_wanted) {
        (None, None) => "?".to_owned(),
        (Some(established), None) => established.to_string(),
        (established, wanted) => format!("{}/{}", or_unknown(established), or_unknown(wanted)),
    }
}

fn works(it: Option<bool>) -> &'static str {
    match it {
        Some(true) => "ok",
        Some(false) => "down",
        None => "?",
    }
}

fn backend_row(front: &Front) -> Vec<String> {
    let mut row = vec![
        String::new(),
        clean(&front.name),
        "backend".to_owned(),
        front_state(front.state).to_owned(),
        front.roster_age_s.map_or("?".to_owned(), age),
    ];
    row.extend(["-", "-"].map(str::to_owned));
    row.push(format!("-/{}", or_unknown(front.intro_wanted)));
    row.push(or_unknown(front.intro_in_descriptor));
    row.extend(["-", "-", "-", "-"].map(str::to_owned));
    row
}

/// Whether a front serves, in one word.
pub(super) fn front_state(state: FrontState) -> &'static str {
    match state {
        FrontState::Serving => "serving",
        FrontState::Suspect => "suspect",
        FrontState::Gone => "GONE",
        FrontState::Unknown | FrontState::Other => "?",
    }
}
