//! `rustbalance remove`: another node is no member any more.

use std::path::Path;

use super::answers::confirm;
use super::exit::Exit;
use super::screen::{complain, print};
use super::socket::{self, DaemonArguments};
use crate::daemon::api::{Done, Request};
use crate::ident::NodeId;

/// Take a dead node out of the cluster, for ever
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A removed node cannot come back with its keys; the same machine can join again \
                  with new ones.\nAfter a seizure this is the command. A node that could publish \
                  had the master keys: whoever seized it\nhas them, and only a new public address \
                  ends that. When it could let others in, another key\n\
                  certifies members from then on."
)]
pub(super) struct Arguments {
    /// Which node
    name: NodeId,
    /// Although it is not dead
    #[arg(long)]
    force: bool,
    /// Do not ask whether to go on
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    daemon: DaemonArguments,
}

pub(super) fn run(arguments: &Arguments, config: &Path) -> Exit {
    let name = &arguments.name;
    if !arguments.yes && !confirm(&format!("{name} can never come back with its keys. Go on?")) {
        return complain("nothing was changed", Exit::Failed);
    }
    let request = Request::Remove { name: name.to_string(), force: arguments.force };
    match socket::demand::<Done>(&arguments.daemon.path(config), &request, socket::SLOW) {
        Ok(_) => print(&format!(
            "{name} is removed for ever. If it could publish, the master keys were on it, and stay \
             good. If it\ncould let others in, another key certifies members from now on.\n"
        )),
        Err(error) => complain(&error.to_string(), error.exit()),
    }
}
