//! `rustbalance leave`: this node says goodbye.

use std::path::Path;
use std::time::Duration;

use super::answers::confirm;
use super::exit::Exit;
use super::screen::{complain, print};
use super::socket::{self, DaemonArguments};
use crate::daemon::api::{Done, Request};

/// How long saying goodbye may take.
const PATIENCE: Duration = Duration::from_secs(200);

/// Take this node out of its cluster
#[derive(Debug, clap::Args)]
#[command(
    after_help = "For a node that is dead or out of reach, run `rustbalance remove` on another one."
)]
pub(super) struct Arguments {
    /// Do not ask whether to go on
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    daemon: DaemonArguments,
}

pub(super) fn run(arguments: &Arguments, config: &Path) -> Exit {
    if !arguments.yes && !confirm("This node leaves its cluster. Go on?") {
        return complain("nothing was changed", Exit::Failed);
    }
    match socket::demand::<Done>(&arguments.daemon.path(config), &Request::Leave {}, PATIENCE) {
        Ok(_) => print(
            "The others know that this node goes, and it has stopped.\n\
             Its keys are still here. To come back: move its configuration away, then rustbalance\n\
             join with a new invitation.\n",
        ),
        Err(error) => complain(&error.to_string(), error.exit()),
    }
}
