//! Reading the configuration file, within limits. It does not look at the content.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::problem::Fault;

/// The largest file that is read.
const MAX_BYTES: u64 = 1024 * 1024;

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("cannot be read: there is no such file. Start from config.example.toml")]
    Absent,
    #[error("cannot be read: no permission (use sudo, or join the group that owns it)")]
    Permission,
    #[error("is a directory; name the file in it")]
    Directory,
    #[error("is larger than 1 MiB, so it is hardly a configuration")]
    TooLarge,
    #[error("is not text: the byte at position {position} is not UTF-8. Save it as UTF-8")]
    NotUtf8 { position: usize },
    #[error("cannot be read: {0}")]
    Io(io::Error),
}

impl FileError {
    pub(super) fn fault(&self) -> Fault {
        match self {
            FileError::Permission => Fault::Permission,
            FileError::Io(_) => Fault::Io,
            _ => Fault::Content,
        }
    }
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> FileError {
        match error.kind() {
            io::ErrorKind::NotFound => FileError::Absent,
            io::ErrorKind::PermissionDenied => FileError::Permission,
            io::ErrorKind::IsADirectory => FileError::Directory,
            _ => FileError::Io(error),
        }
    }
}

/// The text of the file, at most [`MAX_BYTES`].
pub(super) fn read(path: &Path) -> Result<String, FileError> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(FileError::TooLarge);
    }
    String::from_utf8(bytes)
        .map_err(|e| FileError::NotUtf8 { position: e.utf8_error().valid_up_to() })
}
