//! What all processes of one network share: the directory, the group, the programs, the authorities.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result};

use crate::binaries::Binaries;
use crate::guardian::Guardian;

/// A unix socket's path has at most 107 bytes; this leaves room for `/front-name/control`.
const BASE_MAX_BYTES: usize = 50;

#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) directory: PathBuf,
    pub(crate) binaries: Binaries,
    pub(crate) voting_interval_s: u64,
    /// The `DirAuthority` lines, set once they are known.
    pub(crate) authorities: String,
    group: i32,
    keep: bool,
    guardian: Mutex<Guardian>,
}

impl Site {
    /// Makes the directory and starts the guardian. No tor runs yet.
    pub(crate) fn new(binaries: Binaries, voting_interval_s: u64) -> Result<Site> {
        let keep = std::env::var_os("TESTNET_KEEP").is_some_and(|value| value == "1");
        let directory = directory()?;
        std::fs::write(directory.join("empty"), "")
            .with_context(|| format!("cannot write into {}", directory.display()))?;
        let guardian = Guardian::start(&directory, keep)?;
        Ok(Site {
            binaries,
            voting_interval_s,
            authorities: String::new(),
            group: guardian.group(),
            keep,
            guardian: Mutex::new(guardian),
            directory,
        })
    }

    /// The process group of the network: whoever is started in it dies with it.
    pub(crate) fn group(&self) -> i32 {
        self.group
    }

    /// An empty file: stands in for torrc-defaults and for the country database.
    pub(crate) fn empty_file(&self) -> PathBuf {
        self.directory.join("empty")
    }

    /// What the authorities vote about the relays' bandwidths.
    pub(crate) fn bandwidth_file(&self) -> PathBuf {
        self.directory.join("bandwidths")
    }

    /// Kills everything in the group.
    pub(crate) fn kill_all(&self) {
        self.guardian.lock().expect("nobody panics while holding it").kill_group();
    }
}

impl Drop for Site {
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
