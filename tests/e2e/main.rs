//! End to end on a private Tor network: real tors, real HSDirs, a real client, one node.
//!
//! All tests share one network, because it takes a minute to start; they take turns on it.

#![expect(clippy::unwrap_used, reason = "a test may end where it fails")]

#[path = "../support/cluster.rs"]
mod cluster;
#[path = "../support/observer.rs"]
mod observer;

mod document;
mod serving;
mod trouble;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use cluster::Cluster;
use testnet::{FrontOptions, Network, Options};

/// The network, the fronts and the node, started once.
struct Stage {
    network: Network,
    cluster: Cluster,
}

/// How long the node may take to bring a change to every HSDir on a slow machine.
const SOON: Duration = Duration::from_secs(60);

/// The longest test takes less, and starts only where no boundary comes so soon.
const QUIET: Duration = Duration::from_secs(70);

/// So long after a boundary every tor in the network has a consensus from beyond it: three voting
/// intervals, for which a consensus is valid.
const SETTLED: Duration = Duration::from_secs(60);

/// Takes the stage: a node that runs and has everything confirmed, and no boundary near: these
/// tests name HSDirs, and a boundary changes them. Crossing is the subject of `boundary`.
fn stage() -> MutexGuard<'static, Stage> {
    static STAGE: OnceLock<Mutex<Stage>> = OnceLock::new();
    let stage = STAGE.get_or_init(|| {
        let network = Network::start(Options::default(), |line| eprintln!("{line}")).unwrap();
        let binary = Path::new(env!("CARGO_BIN_EXE_rustbalance"));
        let cluster = Cluster::new(&network, binary, &FrontOptions::default()).unwrap();
        cluster.wait_instances(SOON).unwrap();
        cluster.node.configure(&cluster.config("", "upload_timeout = 5")).unwrap();
        cluster.node.start(&network).unwrap();
        Mutex::new(Stage { network, cluster })
    });
    let stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
    stage.network.keep_clear_of_boundaries(QUIET, SETTLED);
    stage.cluster.node.wait_confirmed(SOON).unwrap();
    stage
}
