//! `rustbalance join`: getting into a cluster with an invitation.

use std::path::{Path, PathBuf};

use clap::ValueHint;

use super::answers::{NodeArguments, read_secret};
use super::exit::Exit;
use super::screen::{complain, print};
use crate::daemon::setup;
use crate::daemon::{self, JoinError, Progress};
use crate::message;
use crate::wire::Invitation;

/// Get this node into a cluster, with an invitation
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The invitation comes from `rustbalance invite` on a node of the cluster. It is a \
                  secret and good for one node:\nit is read from a file or from standard input, \
                  never from the command line.\n\nExit codes: 0 done, 1 not done, 78 the answers \
                  make no valid configuration"
)]
pub(super) struct Arguments {
    /// The file with the invitation; "-" reads it from standard input
    #[arg(long, value_name = "FILE", default_value = "-", value_hint = ValueHint::FilePath)]
    token_file: PathBuf,
    #[command(flatten)]
    node: NodeArguments,
}

pub(super) fn run(arguments: &Arguments, path: &Path) -> Exit {
    let answers = arguments.node.answers();
    match setup::is_done(path, &answers, None, None) {
        Ok(true) => {
            let text = format!(
                "{} says that this node is in a cluster already: nothing to do.\n",
                path.display()
            );
            return print(&text);
        }
        Ok(false) => {}
        Err(error) => return complain(&error.to_string(), Exit::Failed),
    }
    let invitation = match read_invitation(&arguments.token_file) {
        Ok(invitation) => invitation,
        Err(error) => return complain(&error, Exit::Failed),
    };
    let config = match setup::newcomer(path, &answers) {
        Ok(config) => config,
        Err(error) => return complain(&error.to_string(), Exit::ConfigInvalid),
    };
    let mut show = |progress: &Progress| {
        // The join goes on although nobody reads what it says.
        let _ = print(&line(progress));
    };
    let joined = match daemon::join(config, super::run::VERSION, invitation, &mut show) {
        Ok(joined) => joined,
        Err(JoinError::NoKeys(joined)) => {
            let text = JoinError::NoKeys(joined.clone()).to_string();
            return match setup::settle(path, &answers, &joined) {
                Ok(()) => complain(&text, Exit::Failed),
                Err(error) => complain(&error.to_string(), Exit::Failed),
            };
        }
        Err(error @ JoinError::Start(_)) => return complain(&error.to_string(), Exit::Failed),
        Err(error) => {
            let text = format!("{error}\nNothing but keys was written; try again.");
            return complain(&text, Exit::Failed);
        }
    };
    if let Err(error) = setup::settle(path, &answers, &joined) {
        return complain(&error.to_string(), Exit::Failed);
    }
    print(&format!(
        "Done: {} is in cluster {}. Next:\n  systemctl restart rustbalance      (or: rustbalance \
         run)\n  rustbalance status\n",
        answers.name, joined.cluster
    ))
}

fn read_invitation(path: &Path) -> Result<Invitation, String> {
    let content = read_secret(path)?;
    let text = std::str::from_utf8(&content).map_err(|_| "the invitation is not text")?;
    text.trim().parse().map_err(|error| format!("no usable invitation: {error}"))
}

fn line(progress: &Progress) -> String {
    match progress {
        Progress::Knocking { door, path, attempt } => {
            let path = match path {
                message::Path::WireGuard => "WireGuard",
                message::Path::Tor => "Tor",
            };
            format!("  knocking      bootstrap node {} over {path}, try {attempt}\n", door + 1)
        }
        Progress::Welcomed { cluster } => {
            format!("  let in        cluster {cluster}, its key is that of the invitation\n")
        }
        Progress::KeysReceived { certifier, master_keys } => {
            let certifier = if *certifier { ", the key to let others in" } else { "" };
            let plural = if *master_keys == 1 { "" } else { "s" };
            format!("  keys          {master_keys} master key{plural}{certifier}\n")
        }
        Progress::Members(0) => "  others        none yet\n".to_owned(),
        Progress::Members(count) => format!("  others        {count} known\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_screen_says_how_far_it_is() {
        let progress = [
            Progress::Knocking { door: 0, path: message::Path::WireGuard, attempt: 1 },
            Progress::Knocking { door: 1, path: message::Path::Tor, attempt: 2 },
            Progress::Welcomed { cluster: "newsroom".parse().unwrap() },
            Progress::KeysReceived { certifier: true, master_keys: 1 },
            Progress::Members(2),
        ];
        let screen: String = progress.iter().map(line).collect();
        insta::assert_snapshot!(screen, @r#"
        knocking      bootstrap node 1 over WireGuard, try 1
        knocking      bootstrap node 2 over Tor, try 2
        let in        cluster newsroom, its key is that of the invitation
        keys          1 master key, the key to let others in
        others        2 known
        "#);
    }
}
