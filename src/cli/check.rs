//! `rustbalance check`: the configuration, judged as a whole.

use std::io::ErrorKind;
use std::path::Path;

use super::exit::Exit;
use super::screen::{complain, print};
use crate::config::{Auth, Config, Problem, show_problems};

/// Check the configuration and name every problem in it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 valid, 78 not valid, 4 the file may not be read, 1 it cannot"
)]
pub(super) struct Arguments {
    /// Print nothing when the file is valid
    #[arg(long, short)]
    quiet: bool,
    /// Print the configuration with all defaults filled in
    #[arg(long, conflicts_with = "quiet")]
    effective: bool,
}

pub(super) fn run(arguments: &Arguments, path: &Path) -> Exit {
    let loaded = match Config::load(path) {
        Ok(loaded) => loaded,
        Err(errors) => match Exit::of(&errors) {
            Exit::ConfigInvalid => {
                print(&format!("{errors}\n"));
                return Exit::ConfigInvalid;
            }
            unread => return complain(&errors.to_string(), unread),
        },
    };
    if arguments.quiet {
        return Exit::Done;
    }
    if arguments.effective {
        let header = format!("# {}, with defaults\n\n", path.display());
        return print(&(header + &loaded.config.effective()));
    }
    let mut warnings = loaded.warnings;
    warnings.extend(absent_files(&loaded.config));
    let mut text = String::new();
    if !warnings.is_empty() {
        text.push_str(&show_problems(path, &warnings));
        text.push('\n');
    }
    text.push_str(&summary(&loaded.config));
    print(&text)
}

fn summary(config: &Config) -> String {
    let count = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let services = count(config.services.len(), "service");
    let backends = count(config.backends.len(), "backend");
    format!("ok: {}, {services}, {backends}\n", config.node.name)
}

/// Files that the configuration names and that are certainly not there. One that this user may
/// not see is left alone: the daemon's user may.
fn absent_files(config: &Config) -> Vec<Problem> {
    let key_files = config.services.iter().filter_map(|service| service.key_file.as_deref());
    let keys = key_files.map(|path| ("[[service]] key_file", path));
    let preshared = config.wireguard.preshared_key_file.as_deref();
    let preshared = preshared.map(|path| ("[wireguard] preshared_key_file", path));
    let password = match &config.tor.auth {
        Auth::PasswordFile(path) => Some(("[tor] password_file", path.as_path())),
        Auth::Auto => None,
    };
    let programs = config.hooks.hooks.iter().filter_map(|hook| hook.command.first());
    let programs = programs.map(|program| ("[[hook]] command", Path::new(program)));
    keys.chain(preshared)
        .chain(password)
        .chain(programs)
        .filter(|(_, path)| {
            std::fs::metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
        })
        .map(|(option, path)| {
            Problem::warning(None, format!("{option}: there is no file {}", path.display()))
        })
        .collect()
}
