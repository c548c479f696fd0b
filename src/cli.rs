//! The commands: what an operator types, and what the program answers.
//!
//! One file per command. They know the configuration, the daemon's entry and its status document,
//! and nothing of how the node works.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueHint};

mod answers;
mod check;
mod completions;
mod exit;
mod init;
mod invite;
mod join;
mod leave;
mod remove;
mod render;
mod run;
mod screen;
mod socket;
mod status;
mod tokens;

/// What stands below the list of commands.
const AFTER_HELP: &str = "\
First steps:
  1. rustbalance init on the first machine, rustbalance join on every other one (or write
     /etc/rustbalance/config.toml by hand, from config.example.toml)
  2. rustbalance check
  3. rustbalance run, by hand or from a systemd unit of your own (Type=notify)
  4. rustbalance status

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the daemon is not running,
            4 no permission, 78 the configuration, or a key it names, is not valid";

/// Keeps an onion service reachable from several machines.
#[derive(Debug, Parser)]
#[command(
    name = "rustbalance",
    bin_name = "rustbalance",
    version,
    about = "Keeps a Tor onion service reachable from several machines",
    long_about = "Keeps a Tor onion service reachable from several machines.\n\n\
                  Each machine runs its own tor, the application and one RustBalance node. The \
                  node gathers the introduction points of all machines, signs one descriptor \
                  with them for the public address and uploads it to every HSDir.",
    after_help = AFTER_HELP,
    disable_help_subcommand = true
)]
struct Arguments {
    /// The configuration file
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "RUSTBALANCE_CONFIG",
        default_value = crate::config::DEFAULT_PATH,
        value_hint = ValueHint::FilePath
    )]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the node in the foreground (systemd does this)
    Run,
    /// Check the configuration and name every problem in it
    Check(check::Arguments),
    /// Show how the node, its fronts and its descriptors are
    Status(status::Arguments),
    /// Make this the first node of a new cluster
    Init(init::Arguments),
    /// Let one more node in: prints a secret text for `rustbalance join`
    Invite(invite::Arguments),
    /// List the invitations and whether they are still good
    Tokens(tokens::Arguments),
    /// Make an invitation good for nobody
    Revoke(tokens::Revocation),
    /// Get this node into a cluster, with an invitation
    Join(join::Arguments),
    /// Take this node out of its cluster
    Leave(leave::Arguments),
    /// Take a dead node out of the cluster, for ever
    Remove(remove::Arguments),
    /// Print the completions for a shell
    Completions(completions::Arguments),
}

/// Does what the command line says. The program's entry.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = arguments.config.as_path();
    let exit = match arguments.command {
        Command::Run => run::run(config),
        Command::Check(arguments) => check::run(&arguments, config),
        Command::Status(arguments) => status::run(&arguments, config),
        Command::Init(arguments) => init::run(&arguments, config),
        Command::Invite(arguments) => invite::run(&arguments, config),
        Command::Tokens(arguments) => tokens::run(&arguments, config),
        Command::Revoke(arguments) => tokens::revoke(&arguments, config),
        Command::Join(arguments) => join::run(&arguments, config),
        Command::Leave(arguments) => leave::run(&arguments, config),
        Command::Remove(arguments) => remove::run(&arguments, config),
        Command::Completions(arguments) => completions::run(&arguments),
    };
    exit.into()
}

/// Whether an environment variable is there and not empty.
fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| value != OsStr::new(""))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_and_option_is_explained() {
        for command in Arguments::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments().filter(|a| !a.is_hide_set()) {
                assert!(argument.get_help().is_some(), "{} {argument}", command.get_name());
            }
        }
    }
}
