//! The shell around the engine: the only place that reads clocks, opens files and sockets, and
//! performs what the engine decides.
//!
//! One loop (`shell`) waits for what happens next (tor, an answer, a timer, a signal), tells the
//! engine and performs its actions. It decides nothing itself.

pub mod api;
mod checks;
mod clock;
mod describe;
mod files;
mod hooks;
mod identity;
mod join;
mod keys;
mod network;
mod notify;
mod peers;
mod pending;
mod report;
#[cfg(test)]
mod samples;
pub mod setup;
mod shell;
mod signer;
mod socket;
mod store;
mod wishes;

use std::path::PathBuf;

use rand::RngExt as _;

use crate::config::{Auth, Config, ControlAddress, Instance, Service};
use crate::control;
use crate::engine;
use crate::hs::address;
use crate::ident::{HsId, NodeId};

pub use self::identity::IdentityError;
pub use self::join::{JoinError, Joined, Progress, join};
pub use self::keys::KeyFileError;
pub use self::peers::MembershipOver;

use self::peers::Member;

/// What kept the node from starting, or ended it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A master key cannot be used: somebody must change the file or the configuration.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The address of the own instance is not known: somebody must tell it.
    #[error("{0}")]
    OwnAddress(String),
    /// The local socket cannot be opened.
    #[error("{0:#}")]
    Socket(anyhow::Error),
    /// The node's own keys cannot be used.
    #[error(transparent)]
    Identity(#[from] identity::IdentityError),
    /// The certificate is not of the cluster in the configuration.
    #[error(
        "{path} is not of the cluster in [cluster] key ({why}): bring the right one back, or join"
    )]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        why: crate::wire::Untrusted,
    },
    /// The certificate is another node's.
    #[error(
        "{path} is of node {found} with its keys, not of this one: bring the right files back, \
         correct [node] name, or join"
    )]
    OtherCertificate {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: NodeId,
    },
    /// The node is no member any more.
    #[error(transparent)]
    Over(#[from] MembershipOver),
    /// The system refused what the loop needs, or the loop broke.
    #[error("{0:#}")]
    Runtime(anyhow::Error),
}

impl StartError {
    /// Whether only a change by the operator helps, and no restart.
    pub fn is_lasting(&self) -> bool {
        match self {
            StartError::Key(_)
            | StartError::OwnAddress(_)
            | StartError::Identity(_)
            | StartError::Certificate { .. }
            | StartError::OtherCertificate { .. }
            | StartError::Over(_) => true,
            StartError::Socket(_) | StartError::Runtime(_) => false,
        }
    }
}

/// Runs the node until it is told to stop by SIGTERM or SIGINT.
///
/// `version` is what the status document calls this program.
///
/// # Errors
/// What kept it from starting: a key that cannot be used, an own address that is not known, a
/// socket that is taken. Once it runs, it goes on whatever happens to tor.
pub fn run(config: Config, version: &str) -> Result<(), StartError> {
    let member = config.cluster.as_ref().map(|cluster| Member::load(&config, &cluster.key));
    let member = member.transpose()?;
    let keys = keys::load(&with_handed_over_keys(&config.services, member.as_ref()))?;
    let instance = own_instance(&config)?;
    let runtime = runtime()?;
    let version = version.to_owned();
    runtime.block_on(async move {
        let listener = socket::listen(&config.control.socket).map_err(StartError::Socket)?;
        let has_all = config.services.iter().all(|service| keys.contains_key(&service.onion));
        let has_master_keys = has_all && !keys.is_empty();
        let settled = match member {
            Some(member) => {
                Some(member.settle(&config, Some(instance), has_master_keys, &version).await?)
            }
            None => None,
        };
        let (mesh, peers) = settled.map(|s| (s.settings, (s.peers, s.events))).unzip();
        let (events_in, events) = tokio::sync::mpsc::channel(EVENTS_WAITING_MAX);
        let control = control::spawn(control_settings(&config), events_in);
        let engine = engine::Engine::new(engine_settings(&config, instance, mesh));
        let signer = signer::Signer::new(keys);
        shell::Shell::new(config, version, instance, engine, signer, control, peers)
            .run(events, socket::spawn(listener))
            .await
            .map_err(StartError::Runtime)
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, StartError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::Runtime(error.into()))
}

/// The services with the keys that other nodes handed over, where the configuration names none.
fn with_handed_over_keys(services: &[Service], member: Option<&Member>) -> Vec<Service> {
    let with_key = |service: &Service| {
        let handed_over = member.map(|member| member.master_file(&service.onion));
        let there = handed_over.filter(|path| !matches!(path.try_exists(), Ok(false)));
        Service { key_file: service.key_file.clone().or(there), ..service.clone() }
    };
    services.iter().map(with_key).collect()
}

/// How far the loop may lag behind tor's events.
const EVENTS_WAITING_MAX: usize = 1024;

fn own_instance(config: &Config) -> Result<HsId, StartError> {
    if let Instance::Address(id) = config.tor.instance {
        return Ok(id);
    }
    let places: Vec<PathBuf> =
        config.tor.service_dir.candidates().iter().map(|dir| dir.join("hostname")).collect();
    for place in &places {
        if let Ok(text) = std::fs::read_to_string(place) {
            return address::parse(text.trim()).map_err(|error| {
                let place = place.display();
                StartError::OwnAddress(format!("{place} holds no onion address: {error}"))
            });
        }
    }
    let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    Err(StartError::OwnAddress(format!(
        "the address of this front's own onion service is not known: cannot read {}. \
         Set [tor] instance = \"….onion\" (the content of that file), or service_dir",
        places.join(" or ")
    )))
}

fn control_settings(config: &Config) -> control::Settings {
    let endpoint = |address: ControlAddress| match address {
        ControlAddress::Unix(path) => Some(control::Endpoint::Unix(path)),
        ControlAddress::Tcp(address) => Some(control::Endpoint::Tcp(address)),
        ControlAddress::Auto => None,
    };
    let endpoints = config.tor.control.candidates().into_iter().filter_map(endpoint).collect();
    let password_file = match &config.tor.auth {
        Auth::PasswordFile(path) => Some(path.clone()),
        Auth::Auto => None,
    };
    control::Settings {
        credentials: control::Credentials { cookie_file: None, password_file },
        reconnect_max: config.tor.reconnect_max,
        request_timeout: config.tor.request_timeout,
        ..control::Settings::new(endpoints)
    }
}

fn engine_settings(
    config: &Config,
    instance: HsId,
    mesh: Option<engine::MeshSettings>,
) -> engine::Settings {
    engine::Settings {
        node: config.node.name.clone(),
        instance,
        services: config.services.iter().map(|service| service.onion).collect(),
        backends: config.backends.iter().map(|b| (b.name.clone(), b.onion)).collect(),
        poll: config.gather.poll,
        backend_poll: config.gather.backend_poll,
        refresh_min: config.publish.refresh_min,
        refresh_max: config.publish.refresh_max,
        burst: config.publish.burst,
        burst_refill: config.publish.burst_refill,
        debounce: config.publish.debounce,
        max_intro_points: config.publish.max_intro_points.map(usize::from),
        verify: config.publish.verify,
        quick_retries: config.resilience.hsdir_max_retries,
        upload_timeout: config.resilience.upload_timeout,
        seed: rand::rng().random(),
        mesh,
    }
}
