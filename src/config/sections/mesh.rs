//! The sections about the other nodes and the hooks, and the rules between them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use base64ct::{Base64, Encoding as _};

use super::{At, HOUR, MINUTE, Reader, SECOND, absolute_path, address, name, place};
use crate::config::mesh::{DEFAULT_LISTEN, Hooks};
use crate::config::reader::Section;
use crate::config::{
    Cluster, Coordination, Hook, HookEvent, PEERS_MAX, Peer, Socks, Tor, Wireguard,
};
use crate::ident::{ClusterKey, PeerKey};

const HOOKS_MAX: usize = 16;
const HOOK_WORDS_MAX: usize = 32;

/// The most members of a cluster.
const MEMBERS_MAX: u16 = 128;

/// What the file says of the other nodes and of the hooks.
pub(super) struct Mesh {
    pub(super) cluster: Option<Cluster>,
    pub(super) peers: Vec<Peer>,
    pub(super) wireguard: Wireguard,
    pub(super) coordination: Coordination,
    pub(super) hooks: Hooks,
}

/// Reads all of it. The cluster may be missing where there were problems.
pub(super) fn read(reader: &mut Reader<'_>) -> Mesh {
    Mesh {
        cluster: cluster(reader),
        peers: peers(reader),
        wireguard: wireguard(reader),
        coordination: coordination(reader),
        hooks: hooks(reader),
    }
}

fn cluster(reader: &mut Reader<'_>) -> Option<Cluster> {
    let mut section = reader.section("cluster");
    if !reader.has("cluster") {
        return None;
    }
    let named = section.required("name", name);
    let keyed = section.required("key", |text| key(text).map(ClusterKey));
    let expect = Some(usize::from(section.integer("expect", 0, 0..=MEMBERS_MAX)));
    reader.close(section);
    let expect = expect.filter(|nodes| *nodes > 0);
    Some(Cluster { name: named?.value, key: keyed?.value, expect })
}

fn peers(reader: &mut Reader<'_>) -> Vec<Peer> {
    let mut peers = Vec::new();
    let mut first: BTreeMap<PeerKey, Option<u32>> = BTreeMap::new();
    for mut section in reader.blocks("peer", PEERS_MAX) {
        let public = section.required("public_key", |text| key(text).map(PeerKey));
        let endpoint = section.text("endpoint", endpoint);
        let onion = section.text("onion", address);
        if endpoint.is_none() && onion.is_none() && section.is_sound() {
            section.error("endpoint", " and onion are missing: one of them is required");
        }
        if !reader.has("cluster") {
            section.error("public_key", ": a node alone has no peers; add [cluster] or remove it");
        }
        if let Some(At { line, value: key }) = public {
            if let Some(other) = first.get(&key) {
                let rest = format!(" is listed twice (first{}); remove one", place(*other));
                section.error("public_key", &rest);
            }
            first.entry(key).or_insert(line);
            peers.push(Peer { key, endpoint, onion });
        }
        reader.close(section);
    }
    peers
}

fn wireguard(reader: &mut Reader<'_>) -> Wireguard {
    let mut section = reader.section("wireguard");
    let optional = |text: &str| match text {
        "" => Ok(None),
        text => endpoint(text).map(Some),
    };
    let wireguard = Wireguard {
        enabled: section.boolean("enabled", true),
        listen: section.text("listen", listen).unwrap_or(DEFAULT_LISTEN),
        endpoint: section.text("endpoint", optional).flatten(),
        preshared_key_file: section.text("preshared_key_file", absolute_path),
        keepalive: section.duration("keepalive", 25 * SECOND, SECOND..=10 * MINUTE),
    };
    reader.close(section);
    wireguard
}

fn coordination(reader: &mut Reader<'_>) -> Coordination {
    let mut section = reader.section("coordination");
    let shortest = Duration::from_millis(200);
    let coordination = Coordination {
        heartbeat_interval: section.duration("heartbeat_interval", 2 * SECOND, shortest..=MINUTE),
        clock_skew_tolerance: section.duration(
            "clock_skew_tolerance",
            5 * SECOND,
            SECOND..=10 * MINUTE,
        ),
        stream_port: section.integer("stream_port", 0, 0..=u16::MAX),
    };
    reader.close(section);
    coordination
}

fn hooks(reader: &mut Reader<'_>) -> Hooks {
    let mut section = reader.section("hooks");
    let timeout = section.duration("timeout", 30 * SECOND, SECOND..=HOUR);
    reader.close(section);
    let mut hooks = Vec::new();
    for mut section in reader.blocks("hook", HOOKS_MAX) {
        let on = events(&mut section);
        let command = section.texts("command", HOOK_WORDS_MAX);
        if let Some(program) = command.first()
            && !Path::new(program).is_absolute()
        {
            section.error("command", ": its first word must be an absolute path, starting with /");
        }
        if command.iter().any(|word| word.contains('\0')) {
            section.error("command", " has a zero byte, which no argument can have");
        }
        reader.close(section);
        hooks.push(Hook { on, command });
    }
    Hooks { timeout, hooks }
}

fn events(section: &mut Section<'_>) -> Vec<HookEvent> {
    let mut on = Vec::new();
    for word in section.texts("on", HookEvent::ALL.len()) {
        if word == "*" {
            on.extend(HookEvent::ALL.iter().map(|(_, event)| *event));
        } else if let Some((_, event)) = HookEvent::ALL.iter().find(|(name, _)| *name == word) {
            on.push(*event);
        } else {
            section.no_such_word("on", &word, HookEvent::ALL.iter().map(|(name, _)| *name));
        }
    }
    on.sort_unstable();
    on.dedup();
    on
}

/// What only a node in a cluster may say, and that some way leads to the others.
pub(super) fn ways_lead_to_the_others(
    reader: &mut Reader<'_>,
    mesh: &Mesh,
    spare_line: Option<Option<u32>>,
    tor_fallback: &At<bool>,
    tor: &At<Tor>,
) {
    let in_cluster = reader.has("cluster");
    if let Some(line) = spare_line.filter(|_| !in_cluster) {
        let message = "[node] spare = true: a node alone must serve; add [cluster] or remove it";
        reader.problem(line, message.to_owned());
    }
    if !in_cluster || mesh.wireguard.enabled {
        return;
    }
    if !tor_fallback.value {
        let message = "[resilience] tor_fallback_enabled = false and [wireguard] enabled = false \
                       leave no way to the other nodes; switch one of them on";
        reader.problem(tor_fallback.line, message.to_owned());
    } else if tor.value.socks == Socks::None {
        let message = "[tor] socks = \"none\" and [wireguard] enabled = false leave no way to the \
                       other nodes; change one of them";
        reader.problem(tor.line, message.to_owned());
    }
}

/// A key of 32 bytes.
fn key(text: &str) -> Result<[u8; 32], String> {
    if text.starts_with("REPLACE") {
        return Err("is still the example's; write the real key".to_owned());
    }
    let mut bytes = [0; 32];
    match Base64::decode(text, &mut bytes) {
        Ok(all) if all.len() == 32 => Ok(bytes),
        _ => Err("is not a key: 44 characters of base64 are expected".to_owned()),
    }
}

fn endpoint(text: &str) -> Result<SocketAddr, String> {
    let advice = "must be an IP address and a port, such as 192.0.2.1:51820 (no host name: \
                  nothing here asks DNS)";
    let address: SocketAddr = text.parse().map_err(|_| advice.to_owned())?;
    match address.port() != 0 && !address.ip().is_unspecified() {
        true => Ok(address),
        false => Err(advice.to_owned()),
    }
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "must be an IP address and a port, such as 0.0.0.0:51820 or [::]:51820".to_owned()
    })
}

/// `[tor] socks`
pub(super) fn socks(text: &str) -> Result<Socks, String> {
    match text {
        "auto" => return Ok(Socks::Auto),
        "none" => return Ok(Socks::None),
        _ => {}
    }
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "must be \"auto\", \"none\" or an address such as \"127.0.0.1:9050\"")?;
    match address.ip().is_loopback() && address.port() != 0 {
        true => Ok(Socks::Port(address)),
        false => Err("must be a port on this machine, such as 127.0.0.1:9050".to_owned()),
    }
}
