//! Reading the master keys from their files, once, at start.
//!
//! A key file that others can read is refused: whoever has it is the service. So is one that others
//! can replace, which could stop the service.

use std::collections::BTreeMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::files;
use crate::config::Service;
use crate::hs::address;
use crate::hs::keys::{KeyError, MasterKey};
use crate::ident::HsId;
use crate::telemetry::{Redacted, redact_onion};

/// Longer than any key file: what is larger is something else.
const KEY_FILE_MAX_BYTES: u64 = 16 << 10;

/// Why a master key cannot be used. None of it mends itself.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be opened or read.
    #[error("cannot read {what} from {path}: {cause}")]
    Unreadable {
        /// What it should hold.
        what: String,
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// A directory, a pipe, a device.
    #[error("{path} is no regular file: the configuration must name the file with the key")]
    NotAFile {
        /// What was opened.
        path: PathBuf,
    },
    /// Others can read the file, or replace it.
    #[error(
        "{path} can be {verb} by others (mode {mode:04o}): whoever has the key is the service. \
         Run: chmod {wanted} {path}"
    )]
    Exposed {
        /// The file, or a directory above it.
        path: PathBuf,
        /// What others can do.
        verb: &'static str,
        /// Its permission bits.
        mode: u32,
        /// What chmod(1) must be told.
        wanted: &'static str,
    },
    /// The file is another user's, who can change it at will.
    #[error("{path} belongs to another user (uid {owner}). Run: chown {ours} {path}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// This process's user.
        ours: u32,
    },
    /// Larger than any key.
    #[error("{path} has {size} bytes: that is no key file")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes, as far as it was looked at.
        size: u64,
    },
    /// The content is no secret key.
    #[error("{path} is not a usable key: {cause}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: KeyError,
    },
    /// A good key of another service.
    #[error(
        "the key in {path} belongs to {found}, but the configuration names {wanted}: \
         correct [[service]] onion or key_file"
    )]
    OtherAddress {
        /// The file.
        path: PathBuf,
        /// Whose key it is.
        found: Redacted,
        /// Whose it should be.
        wanted: Redacted,
    },
}

/// Reads the key of every service.
pub(super) fn load(services: &[Service]) -> Result<BTreeMap<HsId, MasterKey>, KeyFileError> {
    let with_key = services.iter().filter_map(|s| Some((s.onion, s.key_file.as_deref()?)));
    with_key.map(|(onion, path)| Ok((onion, load_one(onion, path)?))).collect()
}

fn load_one(onion: HsId, path: &Path) -> Result<MasterKey, KeyFileError> {
    let content = read_secret(path, &format!("the key of {}", shown(&onion)))?;
    let path = path.to_owned();
    let key = MasterKey::parse(&content)
        .map_err(|cause| KeyFileError::Invalid { path: path.clone(), cause })?;
    if key.id() != onion {
        let (found, wanted) = (shown(&key.id()), shown(&onion));
        return Err(KeyFileError::OtherAddress { path, found, wanted });
    }
    Ok(key)
}

/// The content of a file that holds a secret (`what`, in messages), once nobody else can read or
/// replace it.
pub(super) fn read_secret(path: &Path, what: &str) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let unreadable =
        |cause| KeyFileError::Unreadable { what: what.to_owned(), path: path.to_owned(), cause };
    let file = open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    check_file(path, &metadata)?;
    check_parents(&path.canonicalize().map_err(unreadable)?)?;
    let content = read(file).map_err(unreadable)?;
    let size = metadata.len().max(content.len() as u64);
    if size > KEY_FILE_MAX_BYTES {
        return Err(KeyFileError::TooLarge { path: path.to_owned(), size });
    }
    Ok(content)
}

/// Without waiting: opening a pipe that nobody writes to would take for ever.
fn open(path: &Path) -> std::io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// At most one byte more than a key file may have.
fn read(file: File) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let limit = KEY_FILE_MAX_BYTES + 1;
    // With room for everything from the start, no copy is left where a smaller buffer was.
    let mut content = Zeroizing::new(Vec::with_capacity(limit as usize + 1));
    file.take(limit).read_to_end(&mut content)?;
    Ok(content)
}

/// What was opened must be a file that its owner alone can read, and that owner us or root.
fn check_file(path: &Path, metadata: &Metadata) -> Result<(), KeyFileError> {
    if !metadata.is_file() {
        return Err(KeyFileError::NotAFile { path: path.to_owned() });
    }
    let (owner, ours) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != ours && owner != files::ROOT {
        return Err(KeyFileError::Foreign { path: path.to_owned(), owner, ours });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let path = path.to_owned();
        return Err(KeyFileError::Exposed { path, verb: "read", mode, wanted: "0600" });
    }
    Ok(())
}

fn check_parents(real: &Path) -> Result<(), KeyFileError> {
    match files::exposed_parent(real) {
        Some(files::Exposed { path, mode, wanted }) => {
            Err(KeyFileError::Exposed { path, verb: "changed", mode, wanted })
        }
        None => Ok(()),
    }
}

fn shown(service: &HsId) -> Redacted {
    redact_onion(&address::onion(service))
}

#[cfg(test)]
mod tests;
