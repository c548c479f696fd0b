//! The ground that processes stand on: a directory of their own, and a group that dies with us.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result};

use crate::guardian::Guardian;

/// A unix socket's path has at most 107 bytes; this leaves room for `/front-name/control`.
const BASE_MAX_BYTES: usize = 50;

/// A directory and a process group. On drop the group is killed and the directory removed.
#[derive(Debug)]
pub struct Ground {
    directory: PathBuf,
    group: i32,
    keep: bool,
    guardian: Mutex<Guardian>,
}

impl Ground {
    /// Makes the directory and starts the guardian.
    ///
    /// # Errors
    /// Fails when the directory cannot be made or the guardian not be started.
    pub fn new() -> Result<Ground> {
        let keep = std::env::var_os("TESTNET_KEEP").is_some_and(|value| value == "1");
        let directory = directory()?;
        let guardian = Guardian::start(&directory, keep)?;
        Ok(Ground { group: guardian.group(), keep, guardian: Mutex::new(guardian), directory })
    }

    /// The directory with everybody's files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Puts a process that is about to be started into the group: it dies with it.
    pub fn adopt<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.process_group(self.group)
    }

    /// The process group: whoever is started in it dies with it.
    pub(crate) fn group(&self) -> i32 {
        self.group
    }

    /// Kills everything in the group.
    pub(crate) fn kill_all(&self) {
        self.guardian.lock().expect("nobody panics while holding it").kill_group();
    }
}

impl AsRef<Ground> for Ground {
    fn as_ref(&self) -> &Ground {
        self
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.kill_all();
        if self.keep {
            eprintln!("testnet: the files are kept in {}", self.directory.display());
        } else if let Err(error) = std::fs::remove_dir_all(&self.directory) {
            eprintln!("testnet: cannot remove {}: {error}", self.directory.display());
        }
    }
}

fn directory() -> Result<PathBuf> {
    let usual = std::env::temp_dir();
    let text = usual.to_string_lossy();
    let fits = usual.is_absolute()
        && text.len() <= BASE_MAX_BYTES
        && !text.contains(|c: char| c.is_whitespace() || c == '"' || c == '#');
    let base = if fits { usual.as_path() } else { Path::new("/tmp") };
    let made = tempfile::Builder::new()
        .prefix("testnet-")
        .rand_bytes(6)
        .tempdir_in(base)
        .with_context(|| format!("cannot make a directory in {}", base.display()))?;
    Ok(made.keep())
}
