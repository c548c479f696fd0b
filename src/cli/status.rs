//! `rustbalance status`: asks the daemon and shows its answer.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use super::exit::Exit;
use super::screen::{Screen, complain, print, write};
use super::socket::{self, DaemonArguments, SocketError};
use super::{is_set, render};
use crate::config::{DEFAULT_SOCKET, InvalidDuration, parse_duration};
use crate::daemon::api::Request;

/// Puts the cursor home and clears what is below.
const CLEAR: &str = "\x1b[H\x1b[J";

/// Show how the node, its fronts and its descriptors are
#[derive(Debug, clap::Args)]
#[command(after_help = "\"?\" means not known, \"-\" does not apply. INTRO: introduction points \
                  established / offered at that front;\nIN DESC: how many of them are in the \
                  confirmed descriptor.\n\nExit codes: 0 shown, 1 failed, 3 the daemon is not \
                  running, 4 no permission;\n            with --nagios 0 well, 1 warning, \
                  2 critical, 3 unknown")]
pub(super) struct Arguments {
    /// Print the status document as JSON, as the daemon sent it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArguments,
    /// Show it again and again, every 2s unless told otherwise, until Ctrl-C
    #[arg(
        long,
        short,
        value_name = "INTERVAL",
        num_args = 0..=1,
        default_missing_value = "2s",
        value_parser = interval,
        conflicts_with_all = ["json", "nagios"]
    )]
    watch: Option<Duration>,
    /// Print one line for a monitoring system, with its exit codes
    #[arg(long, conflicts_with = "json")]
    nagios: bool,
}

fn interval(text: &str) -> Result<Duration, String> {
    match parse_duration(text).map_err(|error: InvalidDuration| error.to_string())? {
        short if short < Duration::from_millis(200) => Err("at least 200ms".to_owned()),
        interval => Ok(interval),
    }
}

pub(super) fn run(arguments: &Arguments, config: &Path) -> Exit {
    let (path, guessed) = match arguments.daemon.known_path(config) {
        Some(path) => (path, false),
        None => (DEFAULT_SOCKET.into(), true),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("cannot start: {error}"), Exit::Failed),
    };
    let exit = runtime.block_on(async {
        match arguments.watch {
            Some(interval) => watch(&path, interval).await,
            None if arguments.nagios => nagios(&path).await,
            None if arguments.json => json(&path).await,
            None => once(&path).await,
        }
    });
    if exit == Exit::NotRunning && guessed && is_forbidden(config) {
        let text = format!(
            "{} may not be read by this user, so only the usual socket was tried: use sudo, or \
             --socket",
            config.display()
        );
        return complain(&text, exit);
    }
    exit
}

fn is_forbidden(path: &Path) -> bool {
    std::fs::File::open(path).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

async fn once(path: &Path) -> Exit {
    match screen(path, Screen::of_stdout()).await {
        Ok(text) => print(&text),
        Err(error) => complain(&error.to_string(), error.exit()),
    }
}

async fn json(path: &Path) -> Exit {
    let document = socket::ask(path, &Request::Status {}, socket::QUICK)
        .await
        .and_then(|answer| socket::json(answer, path));
    match document {
        Ok(text) => print(&text),
        Err(error) => complain(&error.to_string(), error.exit()),
    }
}

async fn nagios(path: &Path) -> Exit {
    let answer = socket::ask(path, &Request::Status {}, socket::QUICK)
        .await
        .and_then(|answer| socket::decode(&answer, path));
    let (line, code) = match answer {
        Ok(status) => render::nagios(&status),
        Err(error @ (SocketError::NotRunning(_) | SocketError::Stalled { .. })) => {
            (format!("RUSTBALANCE CRITICAL - {error}"), 2)
        }
        Err(error) => (format!("RUSTBALANCE UNKNOWN - {error}"), 3),
    };
    match print(&format!("{line}\n")) {
        Exit::Done => Exit::Nagios(code),
        failed => failed,
    }
}

/// Ends with the process only, or when nobody reads any more.
async fn watch(path: &Path, interval: Duration) -> Exit {
    let shown = Screen::of_stdout();
    let on_terminal = std::io::IsTerminal::is_terminal(&std::io::stdout()) && is_set("TERM");
    loop {
        let text = match screen(path, shown).await {
            Ok(text) => text,
            Err(error) => format!("rustbalance: {error}\n"),
        };
        let frame = if on_terminal { format!("{CLEAR}{text}") } else { format!("{text}\n") };
        if write(&frame).is_err() {
            return Exit::Done;
        }
        tokio::time::sleep(interval).await;
    }
}

async fn screen(path: &Path, shown: Screen) -> Result<String, SocketError> {
    let answer = socket::ask(path, &Request::Status {}, socket::QUICK).await?;
    Ok(render::status(&socket::decode(&answer, path)?, shown))
}
