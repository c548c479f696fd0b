//! The local socket of the commands: who is let in, and how many at once.

use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

mod exchange;

pub(super) use exchange::{Clients, Command, spawn};

/// Group members get in, nobody else.
const SOCKET_MODE: u32 = 0o660;

/// Clients that are served at once; more wait in the kernel's queue, which costs nothing here.
const CLIENTS_MAX: usize = 128;

/// How long nobody is accepted after that failed, as it does when descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// The open socket.
#[derive(Debug)]
pub(super) struct Listener {
    socket: UnixListener,
    places: Arc<Semaphore>,
    /// Accepting failed the last time, and is tried again then.
    failed: Option<Instant>,
}

/// A client with its place among [`CLIENTS_MAX`].
#[derive(Debug)]
pub(super) struct Client {
    stream: UnixStream,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    fn new(socket: UnixListener) -> Listener {
        Listener { socket, places: Arc::new(Semaphore::new(CLIENTS_MAX)), failed: None }
    }

    /// The next client, once there is a place for it. Never fails and never spins; says once that
    /// it cannot accept. Cancel-safe.
    pub(super) async fn accept(&mut self) -> Client {
        loop {
            if let Some(until) = self.failed {
                sleep_until(until).await;
            }
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
                unreachable!("nobody closes the semaphore");
            };
            let accepted = self.socket.accept().await;
            let again = Instant::now() + ACCEPT_PAUSE;
            match accepted {
                Ok((stream, _)) => {
                    self.failed = None;
                    return Client { stream, _place: place };
                }
                Err(error) => {
                    if self.failed.replace(again).is_none() {
                        tracing::warn!(
                            event = "socket",
                            "The local socket takes nobody in: {error}; trying again every second"
                        );
                    }
                }
            }
        }
    }
}

/// Opens the socket. A stale one of a process that is gone is replaced, any other file is not:
/// connecting to it is refused too.
pub(super) fn listen(path: &Path) -> anyhow::Result<Listener> {
    if std::fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
        anyhow::bail!("{} is not a socket: move it away, or set [control] socket", path.display());
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => anyhow::bail!(
            "another process listens on {} already, probably a rustbalance: stop it, or set \
             [control] socket",
            path.display()
        ),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
                .with_context(|| format!("cannot remove the stale socket {}", path.display()))?;
        }
        Err(_) => {}
    }
    let listener = UnixListener::bind(path).with_context(|| {
        format!("cannot open the local socket {} (does its directory exist?)", path.display())
    })?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))
        .with_context(|| format!("cannot set the mode of {}", path.display()))?;
    Ok(Listener::new(listener))
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use tokio::io::AsyncWriteExt as _;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_more_client_than_there_are_places_waits_until_another_has_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let mut listener = listen(&path).unwrap();
        let mut waiting = Vec::new();
        let mut served = Vec::new();
        for _ in 0..CLIENTS_MAX {
            waiting.push(UnixStream::connect(&path).await.unwrap());
            served.push(listener.accept().await);
        }
        waiting.push(UnixStream::connect(&path).await.unwrap());
        assert!(timeout(ACCEPT_PAUSE, listener.accept()).await.is_err());
        served.pop();
        assert!(timeout(ACCEPT_PAUSE, listener.accept()).await.is_ok());
    }

    /// Accepting fails at once and for ever on what is no listening socket.
    #[tokio::test(start_paused = true)]
    async fn a_socket_that_fails_is_tried_once_a_second_even_when_cancelled() {
        let (stream, mut peer) = UnixStream::pair().unwrap();
        peer.write_all(b"readable").await.unwrap();
        let socket: std::os::unix::net::UnixListener =
            OwnedFd::from(stream.into_std().unwrap()).into();
        let mut listener = Listener::new(UnixListener::from_std(socket).unwrap());
        let mut tries = 0;
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            let before = listener.failed;
            let cancelled = timeout(Duration::from_millis(100), listener.accept()).await;
            assert!(cancelled.is_err());
            tries += u32::from(listener.failed != before);
        }
        assert!((50..=61).contains(&tries), "{tries}");
    }
}
