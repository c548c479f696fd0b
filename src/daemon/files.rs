//! Files that matter: who else could change them, and writing them so that nothing is ever lost.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The user and group that may do everything.
pub(super) const ROOT: u32 = 0;

const STICKY: u32 = 0o1000;

/// A directory in which others can replace files.
#[derive(Debug)]
pub(super) struct Exposed {
    pub(super) path: PathBuf,
    pub(super) mode: u32,
    /// What chmod(1) must be told.
    pub(super) wanted: &'static str,
}

/// The first directory above the real file (symbolic links resolved) that lets others replace it.
///
/// Writable by everybody, or by a group, is allowed with the sticky bit (`/tmp`), where only owners
/// replace their files. A group's right to write is also allowed to root's group and to our own
/// effective group, which a directory made with umask 002 has. All that Debian has above
/// `/var/lib` and `/etc` passes; `/var/local`, which is writable for the group `staff`, does not.
pub(super) fn exposed_parent(real: &Path) -> Option<Exposed> {
    let ours = rustix::process::getegid().as_raw();
    for parent in real.ancestors().skip(1) {
        let Ok(metadata) = std::fs::metadata(parent) else { continue };
        let mode = metadata.mode() & 0o7777;
        let friends = [ROOT, ours].contains(&metadata.gid());
        let wanted = match mode {
            _ if mode & STICKY != 0 => continue,
            _ if mode & 0o002 != 0 => "o-w",
            _ if mode & 0o020 != 0 && !friends => "g-w",
            _ => continue,
        };
        return Some(Exposed { path: parent.to_owned(), mode, wanted });
    }
    None
}

/// Makes a directory, and those above it, for us alone.
pub(super) fn make_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).recursive(true).create(path)
}

/// Writes a file that must not be there yet, for us alone: a key is never overwritten.
pub(super) fn create_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a key is worse than none: the next try would take it for one.
        let _ = std::fs::remove_file(path);
    }
    written?;
    sync_dir(path)
}

/// Replaces a file's content at one stroke: whoever looks, even after a power cut, finds the old
/// or the new one, whole.
pub(super) fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let new = beside(path, ".new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    sync_dir(path)
}

/// The path of a file's companion.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A new or renamed file survives a power cut only once its directory is written too.
fn sync_dir(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}
