//! A tor control port that says what a test wants it to say.
//!
//! Threads on a unix socket in a directory of its own. Left alone it is honest: it shows a made-up
//! consensus, one instance with its circuits, and HSDirs that store what they are given and refuse
//! an older revision. A [script](FakeTor::script) may replace any answer: lie, garble, stall, or
//! close in the middle. It knows the control protocol and nothing of RustBalance but how it reads
//! a descriptor's outer layer.

#[path = "synthetic.rs"]
#[allow(dead_code, reason = "shared with tests and benches that use other parts")]
pub(crate) mod synthetic;
#[path = "fake_tor/world.rs"]
pub(crate) mod world;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use data_encoding::{HEXLOWER_PERMISSIVE, HEXUPPER};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use tempfile::TempDir;

use world::World;

/// What tor writes into its cookie file.
const COOKIE: [u8; 32] = [0xc0; 32];

/// One command as it came.
pub(crate) struct Request {
    /// The command line, without the `+` of a command with data.
    pub(crate) line: String,
    /// The data block: dots unstuffed, lines ending in LF.
    pub(crate) data: String,
}

impl Request {
    /// Whether the line begins so.
    pub(crate) fn is(&self, start: &str) -> bool {
        self.line.starts_with(start)
    }

    /// What follows `NAME=` in the line.
    pub(crate) fn word(&self, name: &str) -> Option<&str> {
        self.line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// The service that an HSPOST or HSFETCH is about.
    pub(crate) fn address(&self) -> &str {
        match self.word("HSADDRESS") {
            Some(address) => address,
            None => self.line.split(' ').nth(1).unwrap_or_default(),
        }
    }

    /// The event with which an HSDir refuses this upload or fetch, behind tor's consent.
    pub(crate) fn failed(&self, reason: &str) -> Answer {
        let (address, server) = (self.address(), self.word("SERVER").unwrap_or_default());
        Answer::Say(format!(
            "250 OK\r\n650 HS_DESC FAILED {address} NO_AUTH ${server}~fake REASON={reason}\r\n"
        ))
    }
}

/// What the port does with a command.
pub(crate) enum Answer {
    /// Says this, ends of line included.
    Say(String),
    /// Says this and closes the connection.
    Close(String),
    /// Says nothing and goes on listening.
    Silence,
}

type Script = Box<dyn FnMut(&Request) -> Option<Answer> + Send>;

/// The port, its world and the script.
pub(crate) struct FakeTor {
    dir: TempDir,
    shared: Arc<Shared>,
    listener: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    cookie: PathBuf,
    world: Mutex<World>,
    script: Mutex<Option<Script>>,
    connections: Mutex<Vec<UnixStream>>,
    listening: Mutex<bool>,
}

impl FakeTor {
    /// An honest port that listens.
    pub(crate) fn new(world: World) -> FakeTor {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let cookie = dir.path().join("cookie");
        std::fs::write(&cookie, COOKIE).unwrap();
        let shared = Shared {
            cookie,
            world: Mutex::new(world),
            script: Mutex::new(None),
            connections: Mutex::default(),
            listening: Mutex::new(false),
        };
        let tor = FakeTor { dir, shared: Arc::new(shared), listener: Mutex::new(None) };
        tor.appear();
        tor
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("control")
    }

    /// What it tells while it is honest.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.shared.world)
    }

    /// From now on this decides first; `None` leaves the answer to the honest tor.
    pub(crate) fn script(&self, script: impl FnMut(&Request) -> Option<Answer> + Send + 'static) {
        *lock(&self.shared.script) = Some(Box::new(script));
    }

    /// From now on it is honest.
    pub(crate) fn honest(&self) {
        *lock(&self.shared.script) = None;
    }

    /// Tells every connection something that was not asked for.
    pub(crate) fn tell(&self, event: &str) {
        for connection in lock(&self.shared.connections).iter_mut() {
            let _ = connection.write_all(format!("{event}\r\n").as_bytes());
        }
    }

    /// Ends as a killed tor does: no connection, no socket.
    pub(crate) fn vanish(&self) {
        let Some(thread) = lock(&self.listener).take() else { return };
        *lock(&self.shared.listening) = false;
        let _ = UnixStream::connect(self.socket());
        thread.join().expect("the listening thread has no reason to panic");
        let _ = std::fs::remove_file(self.socket());
        for connection in lock(&self.shared.connections).drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Listens again after [`vanish`](Self::vanish).
    pub(crate) fn appear(&self) {
        let listener = UnixListener::bind(self.socket()).unwrap();
        *lock(&self.shared.listening) = true;
        let shared = Arc::clone(&self.shared);
        let listen = move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                if !*lock(&shared.listening) {
                    return;
                }
                lock(&shared.connections).push(stream.try_clone().unwrap());
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.serve(&stream));
            }
        };
        *lock(&self.listener) = Some(std::thread::spawn(listen));
    }
}

impl Drop for FakeTor {
    fn drop(&mut self) {
        self.vanish();
    }
}

impl Shared {
    /// Answers one connection until either side closes it.
    fn serve(&self, mut stream: &UnixStream) {
        let mut reader = BufReader::new(stream);
        while let Some(request) = read_request(&mut reader) {
            let scripted = lock(&self.script).as_mut().and_then(|script| script(&request));
            let written = match scripted.unwrap_or_else(|| self.honest(&request)) {
                Answer::Say(text) => stream.write_all(text.as_bytes()),
                Answer::Silence => Ok(()),
                Answer::Close(text) => {
                    let _ = stream.write_all(text.as_bytes());
                    break;
                }
            };
            if written.is_err() {
                break;
            }
        }
        let _ = stream.shutdown(Shutdown::Both);
    }

    fn honest(&self, request: &Request) -> Answer {
        let command = request.line.split(' ').next().unwrap_or_default();
        Answer::Say(match command {
            "PROTOCOLINFO" => format!(
                "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=COOKIE,SAFECOOKIE COOKIEFILE=\"{}\"\r\n\
                 250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n",
                self.cookie.display()
            ),
            "AUTHCHALLENGE" => challenge(&request.line),
            "AUTHENTICATE" | "SETEVENTS" => "250 OK\r\n".to_owned(),
            _ => lock(&self.world).answer(request),
        })
    }
}

/// The server's half of SAFECOOKIE (control-spec, "AUTHCHALLENGE").
fn challenge(line: &str) -> String {
    let nonce = line.rsplit(' ').next().unwrap_or_default();
    let nonce = HEXLOWER_PERMISSIVE.decode(nonce.as_bytes()).unwrap_or_default();
    let server_nonce = [0x5e; 32];
    let key = b"Tor safe cookie authentication server-to-controller hash";
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    let mac = mac.chain_update(COOKIE).chain_update(nonce).chain_update(server_nonce);
    format!(
        "250 AUTHCHALLENGE SERVERHASH={} SERVERNONCE={}\r\n",
        HEXUPPER.encode(&mac.finalize().into_bytes()),
        HEXUPPER.encode(&server_nonce)
    )
}

fn read_request(reader: &mut BufReader<&UnixStream>) -> Option<Request> {
    let line = read_line(reader)?;
    let Some(line) = line.strip_prefix('+') else {
        return Some(Request { line, data: String::new() });
    };
    let mut data = String::new();
    loop {
        let next = read_line(reader)?;
        if next == "." {
            return Some(Request { line: line.to_owned(), data });
        }
        data.push_str(next.strip_prefix('.').unwrap_or(&next));
        data.push('\n');
    }
}

fn read_line(reader: &mut BufReader<&UnixStream>) -> Option<String> {
    let mut line = String::new();
    match reader.read_line(&mut line) {
        Ok(1..) => Some(line.trim_end_matches(['\r', '\n']).to_owned()),
        Ok(0) | Err(_) => None,
    }
}

/// A failed test must not fail the others with a poisoned lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
