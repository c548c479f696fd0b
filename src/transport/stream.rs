//! Onion streams: each datagram behind its length in 16 bits, big-endian.
//!
//! Knows how a stream is opened through tor's SOCKS port, and how datagrams go through it. Does not
//! know whose it is.
//!
//! Every dialling has a user name and a password of its own: tor never lets streams of different
//! users share a circuit, so a new try takes a new way.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_socks::tcp::Socks5Stream;

use super::ONION_PORT;
use super::session::DATAGRAM_MAX_BYTES;
use crate::hs::address;
use crate::ident::HsId;

/// How long tor may take to open a stream.
const DIAL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a write may take before the stream is given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How many datagrams may wait for a stream.
const WAITING_MAX: usize = 64;

const READ_BUFFER_BYTES: usize = 4096;

/// What comes from the streams, each with its number.
#[derive(Debug)]
pub(super) enum Heard {
    Datagram(u64, Bytes),
    Closed(u64),
    Dialled(u64, TcpStream),
    DialFailed(u64),
}

/// Our end of an open stream: closed when dropped, after what waits has been written.
#[derive(Debug)]
pub(super) struct Writer {
    waiting: mpsc::Sender<Vec<u8>>,
    reader: AbortHandle,
}

impl Writer {
    /// Takes a datagram; false when too many wait.
    pub(super) fn send(&self, datagram: Vec<u8>) -> bool {
        self.waiting.try_send(datagram).is_ok()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Lets datagrams flow through a stream.
pub(super) fn run(id: u64, stream: TcpStream, heard: mpsc::Sender<Heard>) -> Writer {
    // A stream that cannot be told to hurry still works.
    let _ = stream.set_nodelay(true);
    let (read, write) = stream.into_split();
    let (waiting, outbox) = mpsc::channel(WAITING_MAX);
    let ended = heard.clone();
    let reader = tokio::spawn(async move {
        let _ = read_all(id, read, &heard).await;
        let _ = heard.send(Heard::Closed(id)).await;
    });
    tokio::spawn(async move {
        if write_all(write, outbox).await.is_err() {
            let _ = ended.send(Heard::Closed(id)).await;
        }
    });
    Writer { waiting, reader: reader.abort_handle() }
}

async fn read_all(id: u64, read: OwnedReadHalf, heard: &mpsc::Sender<Heard>) -> io::Result<()> {
    let mut read = BufReader::with_capacity(READ_BUFFER_BYTES, read);
    loop {
        let len = usize::from(read.read_u16().await?);
        if len == 0 || len > DATAGRAM_MAX_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut datagram = BytesMut::zeroed(len);
        read.read_exact(&mut datagram).await?;
        if heard.send(Heard::Datagram(id, datagram.freeze())).await.is_err() {
            return Ok(());
        }
    }
}

async fn write_all(
    mut write: OwnedWriteHalf,
    mut outbox: mpsc::Receiver<Vec<u8>>,
) -> io::Result<()> {
    while let Some(datagram) = outbox.recv().await {
        let Ok(len) = u16::try_from(datagram.len()) else { continue };
        let mut frame = Vec::with_capacity(2 + datagram.len());
        frame.extend(len.to_be_bytes());
        frame.extend(datagram);
        timeout(WRITE_TIMEOUT, write.write_all(&frame)).await??;
    }
    Ok(())
}

/// Opens a stream to the coordination service at `onion`, and tells how it went.
pub(super) fn dial(id: u64, socks: SocketAddr, onion: HsId, heard: mpsc::Sender<Heard>) {
    tokio::spawn(async move {
        let outcome = match timeout(DIAL_TIMEOUT, connect(socks, onion)).await {
            Ok(Ok(stream)) => Heard::Dialled(id, stream),
            Ok(Err(_)) | Err(_) => Heard::DialFailed(id),
        };
        let _ = heard.send(outcome).await;
    });
}

async fn connect(socks: SocketAddr, onion: HsId) -> Result<TcpStream, tokio_socks::Error> {
    let isolation: [u64; 2] = rand::random();
    let [user, password] = isolation.map(|half| format!("{half:016x}"));
    let target = (address::onion(&onion), ONION_PORT);
    let stream = Socks5Stream::connect_with_password(socks, target, &user, &password).await?;
    Ok(stream.into_inner())
}
