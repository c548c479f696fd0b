//! Asking the daemon: one connection to its local socket, one line there, one document back.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueHint;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::exit::Exit;
use super::screen::{complain, print};
use crate::config::{self, DEFAULT_SOCKET, show_duration};
use crate::daemon::api::{Refused, Request};
use crate::status::{SCHEMA, Status};

/// How long the whole exchange may take when the daemon answers from memory.
pub(super) const QUICK: Duration = Duration::from_secs(2);

/// How long it may take when the daemon has something to do, such as signing and telling others.
pub(super) const SLOW: Duration = Duration::from_secs(30);

/// The largest document that is read.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Why there is no status document.
#[derive(Debug, thiserror::Error)]
pub(super) enum SocketError {
    #[error(
        "the daemon is not running (systemctl start rustbalance): nothing listens on {}",
        .0.display()
    )]
    NotRunning(PathBuf),
    #[error("cannot open {}: use sudo, or: adduser $USER rustbalance", .0.display())]
    NoPermission(PathBuf),
    #[error("cannot talk to the daemon on {}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error(
        "the daemon took the connection on {} but did not answer within {}: it hangs or is \
         overloaded (journalctl -u rustbalance)",
        path.display(), show_duration(*within)
    )]
    Stalled { path: PathBuf, within: Duration },
    #[error("{0}")]
    Refused(Refused),
    #[error(
        "the answer on {} is larger than 4 MiB: is that socket really RustBalance's?",
        .0.display()
    )]
    TooLarge(PathBuf),
    #[error(
        "the answer on {} is not what was asked for ({error}): is that socket RustBalance's, and of \
         this version?",
        path.display()
    )]
    Garbage { path: PathBuf, error: serde_json::Error },
    #[error(
        "the daemon speaks schema {found}, this program knows {SCHEMA} and cannot read it: use \
         the program that belongs to the daemon, or --json"
    )]
    Future { found: u32 },
}

impl SocketError {
    pub(super) fn exit(&self) -> Exit {
        match self {
            SocketError::NotRunning(_) => Exit::NotRunning,
            SocketError::NoPermission(_) => Exit::NoPermission,
            _ => Exit::Failed,
        }
    }
}

/// Where the daemon is, on the command line.
#[derive(Debug, clap::Args)]
pub(super) struct DaemonArguments {
    /// The daemon's socket [default: what the configuration says]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    socket: Option<PathBuf>,
}

impl DaemonArguments {
    /// As given or as the configuration says; `None`: neither.
    pub(super) fn known_path(&self, config: &Path) -> Option<PathBuf> {
        self.socket.clone().or_else(|| config::control_socket(config))
    }

    /// The same, or else the usual place.
    pub(super) fn path(&self, config: &Path) -> PathBuf {
        self.known_path(config).unwrap_or_else(|| DEFAULT_SOCKET.into())
    }
}

/// Prints an answer as JSON.
pub(super) fn print_json(answer: &impl Serialize) -> Exit {
    match serde_json::to_string(answer) {
        Ok(text) => print(&format!("{text}\n")),
        Err(error) => complain(&format!("the answer has no form in JSON: {error}"), Exit::Failed),
    }
}

/// What the daemon answered: a document of at most [`MAX_BYTES`], and no refusal.
pub(super) async fn ask(
    path: &Path,
    request: &Request,
    within: Duration,
) -> Result<Vec<u8>, SocketError> {
    let exchange = async {
        let mut stream = UnixStream::connect(path).await?;
        stream.write_all(&request.to_line()).await?;
        let mut answer = Vec::new();
        stream.take(MAX_BYTES + 1).read_to_end(&mut answer).await?;
        Ok(answer)
    };
    let answer = match tokio::time::timeout(within, exchange).await {
        Err(_) => return Err(SocketError::Stalled { path: path.to_owned(), within }),
        Ok(answer) => answer.map_err(|error| failure(path, error))?,
    };
    if answer.len() as u64 > MAX_BYTES {
        return Err(SocketError::TooLarge(path.to_owned()));
    }
    match serde_json::from_slice(&answer) {
        Ok(refused) => Err(SocketError::Refused(refused)),
        Err(_) => Ok(answer),
    }
}

/// As [`ask`], from a command that does nothing else meanwhile; reads the answer.
pub(super) fn demand<T: DeserializeOwned>(
    path: &Path,
    request: &Request,
    within: Duration,
) -> Result<T, SocketError> {
    let io = |error| SocketError::Io { path: path.to_owned(), error };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io)?;
    let answer = runtime.block_on(ask(path, request, within))?;
    serde_json::from_slice(&answer)
        .map_err(|error| SocketError::Garbage { path: path.to_owned(), error })
}

/// Reads a document. One of a later schema is read as far as this program understands it.
pub(super) fn decode(answer: &[u8], path: &Path) -> Result<Status, SocketError> {
    #[derive(Deserialize)]
    struct Head {
        schema: u32,
    }
    let garbage = |error| SocketError::Garbage { path: path.to_owned(), error };
    let head: Head = serde_json::from_slice(answer).map_err(garbage)?;
    serde_json::from_slice(answer).map_err(|error| match head.schema {
        0..=SCHEMA => garbage(error),
        found => SocketError::Future { found },
    })
}

/// The document as the daemon wrote it, with a newline at its end, once it is seen to be JSON.
pub(super) fn json(answer: Vec<u8>, path: &Path) -> Result<String, SocketError> {
    let garbage = |error| SocketError::Garbage { path: path.to_owned(), error };
    let _: IgnoredAny = serde_json::from_slice(&answer).map_err(garbage)?;
    let text = String::from_utf8_lossy(&answer);
    Ok(format!("{}\n", text.trim_end()))
}

fn failure(path: &Path, error: io::Error) -> SocketError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => SocketError::NotRunning(path),
        io::ErrorKind::PermissionDenied => SocketError::NoPermission(path),
        _ => SocketError::Io { path, error },
    }
}
