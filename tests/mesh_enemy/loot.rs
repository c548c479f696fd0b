//! What whoever gets hold of a machine's files knows: its keys and the table of members.

use std::path::Path;

use base64ct::{Base64, Encoding as _};
use rustbalance::ident::{ClusterId, ClusterKey, Incarnation, PeerKey};
use rustbalance::message::Member;
use rustbalance::transport::public_key;
use rustbalance::wire::{Certifier, NodeSigner, Record, cluster_id};
use serde_json::Value;

use crate::yard::Machine;

/// The files of one machine, read.
pub(crate) struct Loot {
    pub(crate) session_key: [u8; 32],
    pub(crate) signer: NodeSigner,
    /// `None`: it may not let others in.
    pub(crate) certifier: Option<Certifier>,
    pub(crate) cluster_key: ClusterKey,
    pub(crate) incarnation: Incarnation,
    members: Vec<Member>,
}

impl Loot {
    pub(crate) fn of(machine: &Machine) -> Loot {
        let state = machine.state_dir();
        let mesh = std::fs::read(state.join("mesh.json")).unwrap();
        let mesh: Value = serde_json::from_slice(&mesh).unwrap();
        let entry = |entry: &Value| {
            let bytes = Base64::decode_vec(entry["entry"].as_str().unwrap()).unwrap();
            Member::from_bytes(&bytes).unwrap()
        };
        let config = std::fs::read_to_string(machine.node.config_path()).unwrap();
        let config: toml::Table = config.parse().unwrap();
        let key = Base64::decode_vec(config["cluster"]["key"].as_str().unwrap()).unwrap();
        let keys = state.join("keys");
        let certifier = keys.join("cluster.key");
        Loot {
            session_key: secret(&keys.join("wireguard.key")),
            signer: NodeSigner::from_seed(&secret(&keys.join("node.key"))),
            certifier: certifier.exists().then(|| Certifier::from_seed(&secret(&certifier), 0)),
            cluster_key: ClusterKey(key.try_into().unwrap()),
            incarnation: Incarnation(mesh["incarnation"].as_u64().unwrap()),
            members: mesh["members"].as_array().unwrap().iter().map(entry).collect(),
        }
    }

    pub(crate) fn cluster(&self) -> ClusterId {
        cluster_id(&self.cluster_key)
    }

    pub(crate) fn key(&self) -> PeerKey {
        public_key(&self.session_key)
    }

    /// A member's entry.
    pub(crate) fn entry(&self, name: &str) -> Member {
        let found = self.members.iter().find(|m| m.certificate.name.as_str() == name);
        found.unwrap().clone()
    }
}

/// The second line of a key file.
fn secret(path: &Path) -> [u8; 32] {
    let text = std::fs::read_to_string(path).unwrap();
    Base64::decode_vec(text.lines().nth(1).unwrap()).unwrap().try_into().unwrap()
}
