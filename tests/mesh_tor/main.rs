//! A cluster on a private Tor network: real tors, sessions over UDP and over onion services, made
//! as operators make it.
//!
//! All tests share one network and one cluster of three nodes, because both take a minute to
//! start; they take turns, and each leaves them as it found them.

#![expect(clippy::unwrap_used, reason = "a test may end where it fails")]

mod deaths;
mod figures;
#[path = "../support/kills.rs"]
mod kills;
mod machines;
mod newcomers;
mod paths;
mod serving;
mod tors;
#[path = "../support/yard.rs"]
mod yard;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use machines::{Machine, Ways, is_warm};
use rustbalance::hs::address;
use rustbalance::hs::keys::MasterKey;
use serde_json::Value;
use testnet::{FrontOptions, Network, Options};
use yard::Yard;

/// The first members, in the order in which they came and publish.
const MEMBERS: [&str; 3] = ["node-a", "node-b", "node-c"];

/// Those who come later and have no UDP.
const NEWCOMERS: [&str; 2] = ["node-d", "node-e"];

/// How long a change may take that needs a round of uploads or a new onion service.
const SOON: Duration = Duration::from_secs(60);

/// The same where a descriptor must be found that was not there a moment ago.
const LATER: Duration = Duration::from_secs(120);

/// The network and the cluster.
struct Stage {
    /// `….onion` of the master address.
    onion: String,
    /// In the order of [`MEMBERS`].
    members: Vec<Machine>,
    /// In the order of [`NEWCOMERS`]; not in the cluster yet.
    newcomers: Vec<Machine>,
    /// What the nodes run.
    binary: PathBuf,
    network: Network,
    _yard: Yard,
}

impl Stage {
    fn new() -> Stage {
        let network = Network::start(Options::default(), |line| eprintln!("{line}")).unwrap();
        let master = MasterKey::generate(&mut rand::rng());
        let onion = address::onion(&master.id());
        let names = [&MEMBERS[..], &NEWCOMERS[..]].concat();
        let fronts = network.add_fronts(&names, &[&onion], &FrontOptions::default()).unwrap();
        let (yard, binary) = (Yard::new(), binary());
        let mut machines: Vec<Machine> = fronts
            .into_iter()
            .map(|front| {
                let ways = match NEWCOMERS.contains(&front.name()) {
                    true => Ways::TorOnly,
                    false => Ways::Both,
                };
                Machine::new(&yard, front, &binary, ways)
            })
            .collect();
        let newcomers = machines.split_off(MEMBERS.len());
        let [first, others @ ..] = &machines[..] else { unreachable!("three were made") };
        first.init_with(&master.to_tor_file()).done();
        first.start();
        first.wait_ready();
        for other in others {
            other.join(&first.invite(&["--name", &other.name, "--publisher"])).done();
            other.start();
        }
        Stage { onion, members: machines, newcomers, binary, network, _yard: yard }
    }

    fn member(&self, name: &str) -> &Machine {
        self.members.iter().find(|machine| machine.name == name).expect("a member's name")
    }

    /// Each member with each other one.
    fn pairs(&self) -> impl Iterator<Item = (&Machine, &Machine)> {
        let others = |one: &Machine, other: &Machine| one.name != other.name;
        self.members.iter().flat_map(move |one| {
            let all = self.members.iter().filter(move |other| others(one, other));
            all.map(move |other| (one, other))
        })
    }

    /// Waits until all is well: everybody sees everybody over WireGuard, the ways over Tor stand
    /// ready, and the descriptor names all three fronts everywhere.
    fn settle(&self) {
        for (one, other) in self.pairs() {
            let well = |seen: &Value| seen["state"] == "alive" && seen["path"] == "wg";
            let well = |seen: &Value| well(seen) && is_warm(seen) && seen["tor"] == true;
            one.wait_peer(&other.name, "well", LATER, well);
        }
        let publisher = &self.member(MEMBERS[0]).node;
        publisher.wait_status(LATER, |status| names(status, &MEMBERS)).unwrap();
        publisher.wait_confirmed(SOON).unwrap();
    }

    /// How long each log is now.
    fn logged(&self) -> Vec<usize> {
        self.members.iter().map(|machine| machine.node.log().len()).collect()
    }

    /// Whether a member has written this since.
    fn wrote(&self, since: &[usize], text: &str) -> Option<&Machine> {
        let members = self.members.iter().zip(since);
        let wrote = |(machine, from): &(&Machine, &usize)| {
            machine.node.log().get(**from..).is_some_and(|news| news.contains(text))
        };
        members.into_iter().find(wrote).map(|(machine, _)| machine)
    }
}

/// Whether the descriptor that clients fetch names points of exactly these fronts.
fn names(status: &Value, fronts: &[&str]) -> bool {
    let named = |node: &&Value| node["intro_in_descriptor"].as_u64() > Some(0);
    let nodes = status["nodes"].as_array().into_iter().flatten();
    let mut found: Vec<&str> = nodes.filter(named).filter_map(|n| n["name"].as_str()).collect();
    found.sort_unstable();
    found == fronts
}

/// The program as people run it when it was built after the one under test, else that one.
fn binary() -> PathBuf {
    let tested = PathBuf::from(env!("CARGO_BIN_EXE_rustbalance"));
    let built = |path: &Path| std::fs::metadata(path).and_then(|found| found.modified()).ok();
    let release = tested.parent().unwrap().with_file_name("release").join("rustbalance");
    if built(&release) >= built(&tested) { release } else { tested }
}

/// Takes the stage, on which all is well.
fn stage() -> MutexGuard<'static, Stage> {
    static STAGE: OnceLock<Mutex<Stage>> = OnceLock::new();
    let stage = STAGE.get_or_init(|| Mutex::new(Stage::new()));
    let stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
    stage.settle();
    stage
}
