//! What all processes of one network share: the ground, the programs, the authorities.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::binaries::Binaries;
use crate::ground::Ground;

#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) ground: Ground,
    pub(crate) binaries: Binaries,
    pub(crate) voting_interval_s: u64,
    /// The `DirAuthority` lines, set once they are known.
    pub(crate) authorities: String,
}

impl Site {
    /// Makes the ground. No tor runs yet.
    pub(crate) fn new(binaries: Binaries, voting_interval_s: u64) -> Result<Site> {
        let ground = Ground::new()?;
        let site = Site { ground, binaries, voting_interval_s, authorities: String::new() };
        std::fs::write(site.empty_file(), "")
            .with_context(|| format!("cannot write into {}", site.directory().display()))?;
        Ok(site)
    }

    /// The directory with everybody's files.
    pub(crate) fn directory(&self) -> &Path {
        self.ground.directory()
    }

    /// The process group of the network: whoever is started in it dies with it.
    pub(crate) fn group(&self) -> i32 {
        self.ground.group()
    }

    /// An empty file: stands in for torrc-defaults and for the country database.
    pub(crate) fn empty_file(&self) -> PathBuf {
        self.directory().join("empty")
    }

    /// What the authorities vote about the relays' bandwidths.
    pub(crate) fn bandwidth_file(&self) -> PathBuf {
        self.directory().join("bandwidths")
    }
}
