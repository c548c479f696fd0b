//! The configuration file: read once, checked as a whole, and from then on typed values that hold
//! their rules.
//!
//! It knows the sections, options, defaults and limits of the file, and finds every problem in one
//! pass, each with its line. It does not know what the options do, and it opens no file but the
//! configuration itself.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ident::{HsId, NodeId};

use crate::hs::address;
mod duration;
mod effective;
mod file;
mod mesh;
mod problem;
mod reader;
mod sections;

pub use duration::{InvalidDuration, parse_duration, show_duration};
pub use mesh::{
    Cluster, Coordination, DEFAULT_LISTEN, DEFAULT_PORT, Hook, HookEvent, Hooks, PEERS_MAX, Peer,
    Wireguard,
};
pub use problem::{ConfigErrors, Fault, Problem, Severity, show_problems};

#[cfg(test)]
mod tests;

/// Where the configuration is looked for when nobody says otherwise.
pub const DEFAULT_PATH: &str = "/etc/rustbalance/config.toml";

/// Where the daemon's local socket is when the configuration does not say.
pub const DEFAULT_SOCKET: &str = "/run/rustbalance/control.sock";

/// Where keys and state are kept when the configuration does not say.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/rustbalance";

/// `[node] priority` of a node that does not say.
pub const DEFAULT_PRIORITY: u16 = 100;

/// A configuration file whose every rule holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `[node]`
    pub node: Node,
    /// `[cluster]`; `None`: this node is alone.
    pub cluster: Option<Cluster>,
    /// `[[service]]`, in the order of the file: at most 16, no address twice; of a node alone at
    /// least 1.
    pub services: Vec<Service>,
    /// `[tor]`
    pub tor: Tor,
    /// `[[backend]]`, in the order of the file: at most 64, no name or address twice.
    pub backends: Vec<Backend>,
    /// `[[peer]]`, in the order of the file: at most 8, no key twice; none without a cluster.
    pub peers: Vec<Peer>,
    /// `[wireguard]`
    pub wireguard: Wireguard,
    /// `[coordination]`
    pub coordination: Coordination,
    /// `[gather]`
    pub gather: Gather,
    /// `[publish]`
    pub publish: Publish,
    /// `[resilience]`
    pub resilience: Resilience,
    /// `[control]`
    pub control: Control,
    /// `[hooks]` and `[[hook]]`
    pub hooks: Hooks,
}

/// `[node]`: this node and its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Unique among all fronts.
    pub name: NodeId,
    /// Where keys and state are kept: an absolute path.
    pub state_dir: PathBuf,
    /// Who publishes first: lower wins.
    pub priority: u16,
    /// The share of this front's introduction points: 1 to 100.
    pub weight: u8,
    /// Whether it serves only when others do not.
    pub spare: bool,
    /// The least serious messages that are logged.
    pub log_level: LogLevel,
    /// How they are written.
    pub log_format: LogFormat,
    /// Whether addresses are kept out of the log.
    pub redact: bool,
}

/// `[node] log_level`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// What stops the node from doing its work.
    Error,
    /// And what an operator should look at.
    Warn,
    /// And what changed.
    Info,
    /// And every step.
    Debug,
    /// And every byte's worth.
    Trace,
}

/// `[node] log_format`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// The journal when it reads our standard error, otherwise text.
    Auto,
    /// One line of text each.
    Text,
    /// One JSON object each.
    Json,
    /// The journal's own protocol, with fields.
    Journald,
}

/// `[[service]]`: one master address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The address that users know.
    pub onion: HsId,
    /// Its secret key: an absolute path. `None`, only in a cluster: this node does not publish.
    pub key_file: Option<PathBuf>,
}

/// `[tor]`: this front's own tor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tor {
    /// Where its control port is.
    pub control: ControlAddress,
    /// How to authenticate there.
    pub auth: Auth,
    /// The address of this front's own onion service.
    pub instance: Instance,
    /// That service's directory.
    pub service_dir: ServiceDir,
    /// The longest wait between two tries to reach a tor that went away.
    pub reconnect_max: Duration,
    /// How the other nodes are called over Tor.
    pub socks: Socks,
    /// How long a command may go unanswered before the connection counts as lost.
    pub request_timeout: Duration,
}

/// `[tor] control`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlAddress {
    /// The usual places, in turn.
    Auto,
    /// A unix socket: an absolute path.
    Unix(PathBuf),
    /// A TCP port on a loopback address.
    Tcp(SocketAddr),
}

impl ControlAddress {
    /// The places to try, in order; never empty and never [`ControlAddress::Auto`].
    pub fn candidates(&self) -> Vec<ControlAddress> {
        match self {
            ControlAddress::Auto => vec![
                ControlAddress::Unix("/run/tor-instances/rustbalance/control".into()),
                ControlAddress::Unix("/run/tor/control".into()),
                ControlAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 9051))),
            ],
            given => vec![given.clone()],
        }
    }
}

/// `[tor] auth`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// What PROTOCOLINFO offers and needs no secret from the operator.
    Auto,
    /// The password in this file (`password_file`): an absolute path.
    PasswordFile(PathBuf),
}

/// `[tor] instance`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instance {
    /// What the file `hostname` in the service directory says.
    Auto,
    /// This address.
    Address(HsId),
}

/// `[tor] service_dir`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceDir {
    /// The usual places, in turn.
    Auto,
    /// An absolute path.
    Path(PathBuf),
}

impl ServiceDir {
    /// The places to look at, in order; never empty.
    pub fn candidates(&self) -> Vec<PathBuf> {
        match self {
            ServiceDir::Auto => vec![
                "/var/lib/tor-instances/rustbalance/service".into(),
                "/var/lib/tor/rustbalance".into(),
            ],
            ServiceDir::Path(path) => vec![path.clone()],
        }
    }
}

/// `[tor] socks`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Socks {
    /// What tor says over its control port.
    Auto,
    /// Not at all: tor has no such port, or it must not be used.
    None,
    /// This port on loopback.
    Port(SocketAddr),
}

/// `[[backend]]`: a front without RustBalance, whose descriptor is fetched from the HSDirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Unique among all fronts.
    pub name: NodeId,
    /// The address of its own onion service.
    pub onion: HsId,
}

/// `[gather]`: how introduction points are learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gather {
    /// How often our own tor is asked although no event called for it.
    pub poll: Duration,
    /// How often the descriptor of each backend is fetched.
    pub backend_poll: Duration,
}

/// `[publish]`: when and what is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The earliest moment of a refresh, counted from the last round.
    pub refresh_min: Duration,
    /// The latest; not less than `refresh_min`, at most 135 minutes, since HSDirs remember 180.
    pub refresh_max: Duration,
    /// Rounds that may follow each other at once: 1 to 100.
    pub burst: u32,
    /// How long until one of them is given back.
    pub burst_refill: Duration,
    /// How long changes are gathered before a round.
    pub debounce: Duration,
    /// The most introduction points a descriptor names: 1 to 20. `None` (in the file 0): as few as
    /// give every front two, and no more than an ordinary descriptor's size holds while that works.
    pub max_intro_points: Option<u8>,
    /// Whether an uploaded descriptor is fetched back and compared.
    pub verify: bool,
}

/// `[resilience]`: what is done about failures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resilience {
    /// Quick tries again after a failed upload to one HSDir, before the slow rhythm: 0 to 10. With
    /// the first one that makes one more.
    pub hsdir_max_retries: u32,
    /// How long an HSDir may leave an upload unanswered.
    pub upload_timeout: Duration,
    /// How many heartbeats missed in a row, on every path, make a peer dead: 1 to 20.
    pub dead_threshold: u32,
    /// How long the introduction points of the dead stay when nobody could confirm the death.
    pub removal_grace_period: Duration,
    /// Whether the other nodes are called over Tor when WireGuard fails.
    pub tor_fallback_enabled: bool,
}

/// `[control]`: the local socket that the commands speak to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// An absolute path, at most 107 bytes (the limit of a unix socket's address).
    pub socket: PathBuf,
}

/// A valid configuration, and what is odd about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Warnings, by line. No errors.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// Reads and checks the file at `path`, of at most 1 MiB.
    ///
    /// # Errors
    /// All problems of the file at once, or why it could not be read.
    pub fn load(path: &Path) -> Result<Loaded, ConfigErrors> {
        let text = file::read(path).map_err(|error| ConfigErrors::unreadable(path, &error))?;
        Config::parse(&text, path)
    }

    /// Checks `text` as if it had been read from `path`, which appears in messages only.
    ///
    /// # Errors
    /// All problems of the text at once.
    pub fn parse(text: &str, path: &Path) -> Result<Loaded, ConfigErrors> {
        let (config, problems) = sections::read(text);
        match config {
            Some(config) => Ok(Loaded { config, warnings: problems }),
            None => Err(ConfigErrors::new(path, problems)),
        }
    }

    /// The whole configuration as TOML, defaults filled in.
    pub fn effective(&self) -> String {
        effective::print(self)
    }
}

/// The `[control] socket` of the file at `path`, whatever else may be wrong with it.
///
/// For commands that only want to reach the daemon. `None` when the file cannot be read or does
/// not say.
pub fn control_socket(path: &Path) -> Option<PathBuf> {
    let table: toml::Table = file::read(path).ok()?.parse().ok()?;
    Some(table.get("control")?.get("socket")?.as_str()?.into())
}
