//! What an operator says of a node before it runs, as lines of its configuration.

use std::fmt::{Display, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;

use base64ct::{Base64, Encoding as _};

use crate::config::{Config, ControlAddress, DEFAULT_LISTEN, Instance};
use crate::hs::address;
use crate::ident::{ClusterKey, HsId, NodeId};
use crate::message::Door;

/// The answers; what is not said stays at the configuration's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// The node's name.
    pub name: NodeId,
    /// Where keys and state are kept.
    pub state_dir: PathBuf,
    /// Whether WireGuard is used.
    pub wireguard: bool,
    /// Its UDP socket.
    pub listen: SocketAddr,
    /// What the others are told.
    pub endpoint: Option<SocketAddr>,
    /// Tor's control port, as the configuration writes it.
    pub control: Option<String>,
    /// The address of the own instance.
    pub instance: Option<HsId>,
    /// The local socket of the commands.
    pub socket: Option<PathBuf>,
}

impl Answers {
    /// Those that have no default.
    pub fn new(name: NodeId, state_dir: PathBuf) -> Answers {
        Answers {
            name,
            state_dir,
            wireguard: true,
            listen: DEFAULT_LISTEN,
            endpoint: None,
            control: None,
            instance: None,
            socket: None,
        }
    }

    /// The configuration's text, for a node of this cluster with these services and their key
    /// files.
    pub(super) fn text(
        &self,
        cluster: Option<(&NodeId, ClusterKey)>,
        services: &[(HsId, Option<PathBuf>)],
        doors: &[Door],
    ) -> String {
        let mut lines = Lines(
            "# Written by rustbalance. config.example.toml explains every option and its default;\n\
             # `rustbalance check --effective` prints them all. Check a change with `rustbalance \
             check`,\n# and restart the node to apply it.\n"
                .to_owned(),
        );
        lines.header("[node]");
        lines.text("name", self.name.as_str());
        lines.text("state_dir", self.state_dir.display());
        if let Some((name, key)) = cluster {
            lines.header("[cluster]");
            lines.text("name", name.as_str());
            lines.text("key", Base64::encode_string(&key.0));
        }
        for door in doors {
            lines.header("[[peer]]");
            lines.text("public_key", Base64::encode_string(&door.key.0));
            if let Some(endpoint) = door.endpoint {
                lines.text("endpoint", endpoint);
            }
            if let Some(onion) = &door.onion {
                lines.text("onion", address::onion(onion));
            }
        }
        for (onion, key_file) in services {
            lines.header("[[service]]");
            lines.text("onion", address::onion(onion));
            if let Some(path) = key_file {
                lines.text("key_file", path.display());
            }
        }
        if self.control.is_some() || self.instance.is_some() {
            lines.header("[tor]");
        }
        if let Some(control) = &self.control {
            lines.text("control", control);
        }
        if let Some(instance) = &self.instance {
            lines.text("instance", address::onion(instance));
        }
        lines.header("[wireguard]");
        lines.line(format_args!("enabled = {}", self.wireguard));
        lines.text("listen", self.listen);
        if let Some(endpoint) = self.endpoint {
            lines.text("endpoint", endpoint);
        }
        if let Some(socket) = &self.socket {
            lines.header("[control]");
            lines.text("socket", socket.display());
        }
        lines.0
    }

    /// Where a configuration says something else, one line each. What was not answered is not
    /// compared.
    pub(super) fn differences(&self, config: &Config) -> Vec<String> {
        let mut found = Vec::new();
        let mut compare = |option: &str, is: String, wanted: String| {
            if is != wanted {
                found.push(format!("{option} is \"{is}\", not \"{wanted}\""));
            }
        };
        let show = |address: Option<SocketAddr>| address.map(|a| a.to_string()).unwrap_or_default();
        let (node, wireguard) = (&config.node, &config.wireguard);
        compare("[node] name", node.name.to_string(), self.name.to_string());
        let dir = |path: &PathBuf| path.display().to_string();
        compare("[node] state_dir", dir(&node.state_dir), dir(&self.state_dir));
        compare("[wireguard] enabled", wireguard.enabled.to_string(), self.wireguard.to_string());
        compare("[wireguard] listen", wireguard.listen.to_string(), self.listen.to_string());
        compare("[wireguard] endpoint", show(wireguard.endpoint), show(self.endpoint));
        if let Some(wanted) = &self.control {
            let is = match &config.tor.control {
                ControlAddress::Auto => "auto".to_owned(),
                ControlAddress::Unix(path) => format!("unix:{}", path.display()),
                ControlAddress::Tcp(address) => address.to_string(),
            };
            compare("[tor] control", is, wanted.clone());
        }
        if let Some(wanted) = self.instance
            && config.tor.instance != Instance::Address(wanted)
        {
            found.push("[tor] instance is another address".to_owned());
        }
        found
    }
}

/// TOML that grows line by line.
struct Lines(String);

impl Lines {
    fn header(&mut self, header: &str) {
        self.line(format_args!("\n{header}"));
    }

    fn text(&mut self, key: &str, value: impl Display) {
        self.line(format_args!("{key} = {}", toml::Value::from(value.to_string())));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{line}").expect("a String takes any text");
    }
}
