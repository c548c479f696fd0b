//! A SOCKS5 proxy on loopback, as far as tor's clients need one (RFC 1928, RFC 1929).

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::hs::address;
use crate::ident::HsId;

/// What the proxy knows and has seen.
#[derive(Debug, Default)]
struct Book {
    routes: BTreeMap<String, SocketAddr>,
    /// Who asked: user names with passwords.
    logins: Vec<(String, String)>,
    targets: Vec<(String, u16)>,
}

/// A running proxy; its streams are cut when it is dropped.
pub(super) struct Proxy {
    pub(super) port: SocketAddr,
    book: Arc<Mutex<Book>>,
    streams: Arc<Mutex<Vec<AbortHandle>>>,
    listening: AbortHandle,
}

impl Proxy {
    pub(super) async fn start() -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap();
        let book = Arc::new(Mutex::new(Book::default()));
        let streams = Arc::new(Mutex::new(Vec::new()));
        let (shared_book, shared_streams) = (Arc::clone(&book), Arc::clone(&streams));
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let served = tokio::spawn(serve(stream, Arc::clone(&shared_book)));
                shared_streams.lock().unwrap().push(served.abort_handle());
            }
        });
        Proxy { port, book, streams, listening: listening.abort_handle() }
    }

    pub(super) fn route(&self, onion: HsId, to: Option<SocketAddr>) {
        let name = address::onion(&onion);
        self.book.lock().unwrap().routes.insert(name, to.expect("streams are on"));
    }

    pub(super) fn cut_streams(&self) {
        self.streams.lock().unwrap().drain(..).for_each(|stream| stream.abort());
    }

    pub(super) fn logins(&self) -> Vec<(String, String)> {
        self.book.lock().unwrap().logins.clone()
    }

    pub(super) fn targets(&self) -> Vec<(String, u16)> {
        self.book.lock().unwrap().targets.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut_streams();
    }
}

async fn text(stream: &mut TcpStream) -> io::Result<String> {
    let mut bytes = vec![0; usize::from(stream.read_u8().await?)];
    stream.read_exact(&mut bytes).await?;
    Ok(String::from_utf8(bytes).unwrap())
}

async fn serve(mut stream: TcpStream, book: Arc<Mutex<Book>>) -> io::Result<()> {
    const VERSION: u8 = 5;
    const NAME_AND_PASSWORD: u8 = 2;
    assert_eq!(stream.read_u8().await?, VERSION);
    let mut methods = vec![0; usize::from(stream.read_u8().await?)];
    stream.read_exact(&mut methods).await?;
    assert!(methods.contains(&NAME_AND_PASSWORD), "streams are isolated by name");
    stream.write_all(&[VERSION, NAME_AND_PASSWORD]).await?;
    assert_eq!(stream.read_u8().await?, 1);
    let login = (text(&mut stream).await?, text(&mut stream).await?);
    stream.write_all(&[1, 0]).await?;

    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    assert_eq!(head, [VERSION, 1, 0, 3], "connect, by name");
    let target = (text(&mut stream).await?, stream.read_u16().await?);
    let route = {
        let mut book = book.lock().unwrap();
        book.logins.push(login);
        book.targets.push(target.clone());
        book.routes.get(&target.0).copied()
    };
    let mut reply = [VERSION, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let Some(route) = route else {
        const INTRODUCTION_FAILED: u8 = 0xF2;
        reply[1] = INTRODUCTION_FAILED;
        return stream.write_all(&reply).await;
    };
    let mut onward = TcpStream::connect(route).await?;
    stream.write_all(&reply).await?;
    copy_bidirectional(&mut stream, &mut onward).await?;
    Ok(())
}
