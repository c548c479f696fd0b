//! Three fronts of one master address on a private Tor network, and one node: what the end-to-end
//! tests and the demo have in common.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use rustbalance::hs::address;
use rustbalance::hs::keys::MasterKey;
use testnet::{Front, FrontOptions, Network, Node};

/// The fronts' names; the node runs beside the first.
pub(crate) const FRONTS: [&str; 3] = ["front-a", "front-b", "front-c"];

/// A master address with its fronts and its node.
pub(crate) struct Cluster {
    /// The file with the master key.
    pub(crate) key: PathBuf,
    /// `….onion` of the master address.
    pub(crate) onion: String,
    /// The fronts, in the order of [`FRONTS`].
    pub(crate) fronts: Vec<Front>,
    /// The node beside the first front; the others are plain backends.
    pub(crate) node: Node,
}

impl Cluster {
    /// Starts the fronts and configures the node, which is not started yet.
    ///
    /// # Errors
    /// Fails when a tor does not come up.
    pub(crate) fn new(network: &Network, binary: &Path, options: &FrontOptions) -> Result<Cluster> {
        let master = MasterKey::generate(&mut rand::rng());
        let onion = address::onion(&master.id());
        let fronts = network.add_fronts(&FRONTS, &[&onion], options)?;
        let node = Node::new(network, "a", binary)?;
        let key = node.write_secret("master.key", &master.to_tor_file())?;
        let cluster = Cluster { key, onion, fronts, node };
        cluster.node.configure(&cluster.config("", ""))?;
        Ok(cluster)
    }

    /// The node's configuration, with further lines for `[publish]` and `[resilience]`.
    pub(crate) fn config(&self, publish: &str, resilience: &str) -> String {
        let [own, b, c] = [&self.fronts[0], &self.fronts[1], &self.fronts[2]];
        format!(
            "[node]\nname = \"{name}\"\nlog_level = \"debug\"\n\n\
             [[service]]\nonion = \"{onion}\"\nkey_file = \"{key}\"\n\n\
             [tor]\ncontrol = \"unix:{control}\"\nservice_dir = \"{service}\"\nreconnect_max = 1\n\n\
             [[backend]]\nname = \"{b_name}\"\nonion = \"{b}\"\n\n\
             [[backend]]\nname = \"{c_name}\"\nonion = \"{c}\"\n\n\
             [gather]\nbackend_poll = 10\n\n\
             [publish]\n{publish}\n\n[resilience]\n{resilience}\n\n\
             [control]\nsocket = \"{socket}\"\n",
            name = own.name(),
            onion = self.onion,
            key = self.key.display(),
            control = own.control_socket().display(),
            service = own.service_dir().display(),
            b_name = b.name(),
            b = b.onion(),
            c_name = c.name(),
            c = c.onion(),
            socket = self.node.socket_path().display(),
        )
    }

    /// Waits until each front has published its own descriptor, so that backends can be fetched.
    ///
    /// # Errors
    /// Fails when one does not in time.
    pub(crate) fn wait_instances(&self, within: Duration) -> Result<()> {
        self.fronts.iter().try_for_each(|front| front.wait_published(within))
    }
}
