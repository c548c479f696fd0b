//! The files that hold a cookie or a password.

use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// The length of tor's cookie in bytes.
const COOKIE_BYTES: usize = 32;
/// The longest password that is read, in bytes.
const PASSWORD_MAX_BYTES: usize = 1024;

/// Why the content of a secret file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretError {
    #[error("{} cannot be read ({source}); is this user in tor's group?", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} is not a regular file", path.display())]
    NotAFile { path: PathBuf },
    #[error("the cookie {} has {bytes} bytes instead of 32", path.display())]
    CookieLength { path: PathBuf, bytes: u64 },
    #[error("the password in {} has {bytes} bytes; 1 to 1024 are possible", path.display())]
    PasswordLength { path: PathBuf, bytes: u64 },
    #[error("tor names no cookie file")]
    NoCookieFile,
    #[error("no password file is configured")]
    NoPasswordFile,
}

/// Reads tor's cookie.
pub(super) async fn cookie(
    path: Option<&Path>,
) -> Result<(PathBuf, Zeroizing<Vec<u8>>), SecretError> {
    let path = path.ok_or(SecretError::NoCookieFile)?;
    let (cookie, bytes) = read_secret(path, COOKIE_BYTES).await?;
    if cookie.len() != COOKIE_BYTES {
        return Err(SecretError::CookieLength { path: path.to_owned(), bytes });
    }
    Ok((path.to_owned(), cookie))
}

/// Reads a password, without the ends of line behind it.
pub(super) async fn password(path: Option<&Path>) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let path = path.ok_or(SecretError::NoPasswordFile)?;
    let (mut password, bytes) = read_secret(path, PASSWORD_MAX_BYTES).await?;
    while let Some(b'\r' | b'\n') = password.last() {
        password.pop();
    }
    if password.is_empty() {
        return Err(SecretError::PasswordLength { path: path.to_owned(), bytes });
    }
    Ok(password)
}

/// Reads a regular file; one of more than `max_bytes` is given empty, with its length.
///
/// A control port that lies about its cookie must not make us open a pipe and wait for ever, or
/// send some other file's content.
async fn read_secret(
    path: &Path,
    max_bytes: usize,
) -> Result<(Zeroizing<Vec<u8>>, u64), SecretError> {
    let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
    let metadata = tokio::fs::metadata(path).await.map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(SecretError::NotAFile { path: path.to_owned() });
    }
    if metadata.len() > max_bytes as u64 {
        return Ok((Zeroizing::default(), metadata.len()));
    }
    let content = tokio::fs::read(path).await.map_err(unreadable)?;
    Ok((Zeroizing::new(content), metadata.len()))
}
