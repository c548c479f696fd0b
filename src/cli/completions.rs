//! `rustbalance completions`: what a shell needs to complete our commands.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::exit::Exit;
use super::screen;

/// Print the completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "For bash: rustbalance completions bash > \
                  /usr/share/bash-completion/completions/rustbalance")]
pub(super) struct Arguments {
    /// Which shell
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments) -> Exit {
    let mut script = Vec::new();
    let mut command = super::Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "rustbalance", &mut script);
    screen::print(&String::from_utf8_lossy(&script))
}
