//! `rustbalance tokens` and `revoke`: the invitations that were made.

use std::path::Path;

use super::exit::Exit;
use super::render;
use super::screen::{complain, print};
use super::socket::{self, DaemonArguments};
use crate::daemon::api::{Done, Request, Tokens};

/// List the invitations and whether they are still good
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print them as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArguments,
}

/// Make an invitation good for nobody
#[derive(Debug, clap::Args)]
pub(super) struct Revocation {
    /// Its id, or at least the first 6 characters of it (see `rustbalance tokens`)
    id: String,
    #[command(flatten)]
    daemon: DaemonArguments,
}

pub(super) fn run(arguments: &Arguments, config: &Path) -> Exit {
    let path = arguments.daemon.path(config);
    match socket::demand::<Tokens>(&path, &Request::Tokens {}, socket::QUICK) {
        Ok(tokens) if arguments.json => socket::print_json(&tokens),
        Ok(tokens) => print(&render::tokens(&tokens)),
        Err(error) => complain(&error.to_string(), error.exit()),
    }
}

pub(super) fn revoke(arguments: &Revocation, config: &Path) -> Exit {
    let request = Request::Revoke { id: arguments.id.clone() };
    match socket::demand::<Done>(&arguments.daemon.path(config), &request, socket::SLOW) {
        Ok(_) => print("Revoked: nobody can come in by it any more.\n"),
        Err(error) => complain(&error.to_string(), error.exit()),
    }
}
