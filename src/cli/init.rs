//! `rustbalance init`: the first node of a new cluster.

use std::path::{Path, PathBuf};

use clap::ValueHint;

use super::answers::{NodeArguments, confirm, read_secret};
use super::exit::Exit;
use super::screen::{complain, print};
use crate::daemon::setup::{self, NewCluster};
use crate::hs::address;
use crate::hs::keys::MasterKey;
use crate::ident::NodeId;

/// Make this the first node of a new cluster
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("key").required(true).args(["key_file", "new_key"]),
    after_help = "Writes keys, certificate and configuration; keys that are there stay. The same \
                  answers again change\nnothing. Tor is not touched: its instance must run with \
                  HiddenServiceOnionBalanceInstance 1 already.\n\nExit codes: 0 done, 1 not done, \
                  78 the answers make no valid configuration"
)]
pub(super) struct Arguments {
    /// The cluster's name, for people; 1 to 32 of a-z, 0-9 and -
    #[arg(long, value_name = "NAME")]
    cluster: NodeId,
    /// The key of the public address: tor's hs_ed25519_secret_key or Onionbalance's PEM; "-" reads
    /// it from standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    key_file: Option<PathBuf>,
    /// Make a new public address
    #[arg(long)]
    new_key: bool,
    #[command(flatten)]
    node: NodeArguments,
}

pub(super) fn run(arguments: &Arguments, config: &Path) -> Exit {
    let answers = arguments.node.answers();
    let given = match arguments.key_file.as_deref().map(read_master) {
        Some(Err(error)) => return complain(&error, Exit::Failed),
        Some(Ok(key)) => Some(key),
        None => None,
    };
    let service = given.as_ref().map(MasterKey::id);
    match setup::is_done(config, &answers, Some(&arguments.cluster), service.as_ref()) {
        Ok(true) => return print(&done_already(config)),
        Ok(false) => {}
        Err(error) => return complain(&error.to_string(), Exit::Failed),
    }
    let made = given.is_none();
    let master = given.unwrap_or_else(|| MasterKey::generate(&mut rand::rng()));
    let plan = plan(arguments, config, &answers, &master, made);
    if let failed @ Exit::Failed = print(&plan) {
        return failed;
    }
    if !arguments.node.yes && !confirm("Is that the address you expect? Go on?") {
        return complain("nothing was changed", Exit::Failed);
    }
    let new = NewCluster { name: arguments.cluster.clone(), master };
    match setup::found(config, &answers, &new) {
        Ok(()) => print(&next(config)),
        Err(error @ setup::SetupError::Answers(_)) => {
            complain(&error.to_string(), Exit::ConfigInvalid)
        }
        Err(error) => complain(&error.to_string(), Exit::Failed),
    }
}

fn read_master(path: &Path) -> Result<MasterKey, String> {
    let content = read_secret(path)?;
    MasterKey::parse(&content).map_err(|error| format!("no usable key: {error}"))
}

fn done_already(config: &Path) -> String {
    format!("{} says all that already: nothing to do.\n", config.display())
}

fn plan(
    arguments: &Arguments,
    config: &Path,
    answers: &setup::Answers,
    master: &MasterKey,
    made: bool,
) -> String {
    let origin = if made { "new" } else { "of the key that was given" };
    format!(
        "New cluster {}, first node {}.\n\n  public address   {} ({origin})\n  keys and state   \
         {}\n  configuration    {}\n\n",
        arguments.cluster,
        answers.name,
        address::onion(&master.id()),
        answers.state_dir.display(),
        config.display(),
    )
}

fn next(config: &Path) -> String {
    format!(
        "Done. Next:\n  rustbalance check --config {}\n  systemctl restart rustbalance      (or: \
         rustbalance run)\n  rustbalance invite                  (a token for one more node)\nBack \
         up the keys: whoever loses them loses the address; whoever else has them is the service.\n",
        config.display()
    )
}
