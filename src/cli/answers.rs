//! What `init` and `join` are told on the command line about the node, and asking back.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use zeroize::Zeroizing;

use crate::config::{DEFAULT_LISTEN, DEFAULT_STATE_DIR};
use crate::daemon::setup;
use crate::hs::address;
use crate::ident::{HsId, NodeId};

/// The largest secret that is read from a file or standard input.
const SECRET_MAX_BYTES: u64 = 16 << 10;

/// The node's part of the command line.
#[derive(Debug, clap::Args)]
pub(super) struct NodeArguments {
    /// This node's name: unique in the cluster; 1 to 32 of a-z, 0-9 and -
    #[arg(long, value_name = "NAME")]
    name: NodeId,
    /// What the other nodes are told: IP address and UDP port [default: they use what they see]
    #[arg(long, value_name = "IP:PORT", conflicts_with = "no_wireguard")]
    endpoint: Option<SocketAddr>,
    /// The UDP socket of this node
    #[arg(long, value_name = "IP:PORT", default_value_t = DEFAULT_LISTEN)]
    listen: SocketAddr,
    /// Talk to the other nodes over Tor only
    #[arg(long)]
    no_wireguard: bool,
    /// Where keys and state are kept
    #[arg(
        long,
        value_name = "PATH",
        default_value = DEFAULT_STATE_DIR,
        value_hint = ValueHint::DirPath,
        value_parser = absolute_path
    )]
    state_dir: PathBuf,
    /// Tor's control port: unix:/path or 127.0.0.1:9051 [default: the usual places]
    #[arg(long, value_name = "ADDRESS")]
    control: Option<String>,
    /// The address of this machine's own onion service [default: read from its directory]
    #[arg(long, value_name = "ONION", value_parser = onion)]
    instance: Option<HsId>,
    /// The local socket of the commands [default: /run/rustbalance/control.sock]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath, value_parser = absolute_path)]
    socket: Option<PathBuf>,
    /// Do not ask whether to go on
    #[arg(long, short)]
    pub(super) yes: bool,
}

impl NodeArguments {
    pub(super) fn answers(&self) -> setup::Answers {
        setup::Answers {
            wireguard: !self.no_wireguard,
            listen: self.listen,
            endpoint: self.endpoint,
            control: self.control.clone(),
            instance: self.instance,
            socket: self.socket.clone(),
            ..setup::Answers::new(self.name.clone(), self.state_dir.clone())
        }
    }
}

/// An onion address as an argument.
pub(super) fn onion(text: &str) -> Result<HsId, String> {
    address::parse(text).map_err(|error| error.to_string())
}

fn absolute_path(text: &str) -> Result<PathBuf, String> {
    match Path::new(text).is_absolute() {
        true => Ok(text.into()),
        false => Err("must be an absolute path, starting with /".to_owned()),
    }
}

/// Reads a secret from a file, or from standard input when `path` is `-`.
pub(super) fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut content = Zeroizing::new(Vec::with_capacity(SECRET_MAX_BYTES as usize + 2));
    let read = match path == Path::new("-") {
        true => io::stdin().lock().take(SECRET_MAX_BYTES + 1).read_to_end(&mut content),
        false => std::fs::File::open(path)
            .and_then(|file| file.take(SECRET_MAX_BYTES + 1).read_to_end(&mut content)),
    };
    let name = match path == Path::new("-") {
        true => "standard input".to_owned(),
        false => path.display().to_string(),
    };
    read.map_err(|error| format!("cannot read {name}: {error}"))?;
    match content.len() as u64 > SECRET_MAX_BYTES {
        true => Err(format!("{name} is larger than any key or invitation")),
        false => Ok(content),
    }
}

/// Whether a person says yes. Without a terminal nobody is asked, and the answer is yes: whoever
/// started the command from a script has decided.
pub(super) fn confirm(question: &str) -> bool {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return true;
    }
    // When the question cannot be shown, there is no answer either.
    let _ = write!(io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    let read = io::stdin().lock().take(64).read_line(&mut answer);
    read.is_ok() && ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str())
}
