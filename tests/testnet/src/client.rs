//! A tor client that fetches pages of onion services and says which front answered.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::clock;
use crate::process::TorProcess;
use crate::socks::{self, SocksError, Timed};

/// Tor takes a NEWNYM at most every ten whole seconds of the wall clock.
const FORGET_EVERY: Duration = Duration::from_secs(11);
const ANSWER_MAX_BYTES: u64 = 1 << 20;

/// A tor client.
#[derive(Debug)]
pub struct Client {
    tor: TorProcess,
    socks_port: u16,
    forgotten: Mutex<Option<Instant>>,
}

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The front that answered, by its `X-Front` header.
    pub front: Option<String>,
    /// The body as text.
    pub body: String,
    /// From the connection to the SOCKS port until the last byte.
    pub elapsed: Duration,
}

/// A page that did not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchError {
    /// Why.
    pub kind: FetchErrorKind,
    /// How long it took to fail.
    pub elapsed: Duration,
}

/// Why a page did not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchErrorKind {
    /// Tor's SOCKS reply, extended codes included: 0xF0 no descriptor, 0xF2 introduction failed,
    /// 0xF3 rendezvous failed, 0xF7 introduction timed out.
    Socks(u8),
    /// Nothing within the caller's time-out.
    Timeout,
    /// The stream opened or not, and then broke.
    Io(String),
    /// The answer was not HTTP, or was cut short.
    Http(String),
}

impl fmt::Display for FetchErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = match self {
            FetchErrorKind::Timeout => return f.write_str("no answer in time"),
            FetchErrorKind::Io(what) => return write!(f, "the connection broke: {what}"),
            FetchErrorKind::Http(what) => return write!(f, "no proper HTTP answer: {what}"),
            FetchErrorKind::Socks(code) => *code,
        };
        let meaning = match code {
            0xF0 => "the descriptor was not found",
            0xF1 => "the descriptor is invalid",
            0xF2 => "the introduction failed",
            0xF3 => "the rendezvous failed",
            0xF4 => "client authorisation is missing",
            0xF5 => "client authorisation is wrong",
            0xF6 => "the onion address is invalid",
            0xF7 => "the introduction timed out",
            1 => "general failure",
            4 => "host unreachable",
            5 => "connection refused",
            6 => "time to live expired",
            _ => "no meaning known",
        };
        write!(f, "SOCKS reply {code:#04X}: {meaning}")
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (after {:.1} s)", self.kind, self.elapsed.as_secs_f32())
    }
}

impl std::error::Error for FetchError {}

impl Client {
    pub(crate) fn new(tor: TorProcess, socks_port: u16) -> Client {
        Client { tor, socks_port, forgotten: Mutex::new(None) }
    }

    /// Its tor.
    pub fn tor(&self) -> &TorProcess {
        &self.tor
    }

    /// Its SOCKS port on 127.0.0.1, with extended errors.
    pub fn socks_port(&self) -> u16 {
        self.socks_port
    }

    /// Fetches `http://onion/path` over circuits of its own.
    ///
    /// `onion` ends in `.onion`, `path` begins with `/`. The descriptor may come from tor's cache:
    /// see [`forget`](Self::forget).
    ///
    /// # Errors
    /// See [`FetchErrorKind`]. Any HTTP status is a success here.
    pub fn get(&self, onion: &str, path: &str, timeout: Duration) -> Result<Response, FetchError> {
        fetch(self.socks_port, onion, path, timeout)
    }

    /// Makes tor forget descriptors, failed introduction points and circuits (`SIGNAL NEWNYM`).
    ///
    /// Tor does so at most every ten seconds; until it may, nothing is sent and `false` comes back.
    ///
    /// # Errors
    /// Fails when tor does not answer on its control socket.
    pub fn forget(&self) -> Result<bool> {
        let mut forgotten = self.forgotten.lock().expect("nobody panics while holding it");
        if forgotten.is_some_and(|at| clock::now() < at + FORGET_EVERY) {
            return Ok(false);
        }
        self.tor.control()?.command("SIGNAL NEWNYM")?;
        *forgotten = Some(clock::now());
        Ok(true)
    }

    /// When [`forget`](Self::forget) will do something again; `None` is at once.
    pub(crate) fn forgets_again(&self) -> Option<Instant> {
        let forgotten = *self.forgotten.lock().expect("nobody panics while holding it");
        forgotten.map(|at| at + FORGET_EVERY)
    }
}

/// Fetches a page of an onion service through any SOCKS port of tor on 127.0.0.1.
///
/// # Errors
/// As [`Client::get`].
pub fn fetch(
    socks_port: u16,
    onion: &str,
    path: &str,
    timeout: Duration,
) -> Result<Response, FetchError> {
    let started = clock::now();
    let outcome = exchange(socks_port, onion, path, started + timeout)
        .and_then(|answer| parse(&answer).map_err(FetchErrorKind::Http));
    let elapsed = clock::now() - started;
    match outcome {
        Ok((status, front, body)) => Ok(Response { status, front, body, elapsed }),
        Err(kind) => Err(FetchError { kind, elapsed }),
    }
}

fn exchange(
    socks_port: u16,
    onion: &str,
    path: &str,
    deadline: Instant,
) -> Result<Vec<u8>, FetchErrorKind> {
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
    let user = format!("{}-{number}", std::process::id());
    let mut stream = Timed::connect(socks_port, deadline).map_err(io_kind)?;
    socks::open(&mut stream, &user, onion, 80).map_err(|error| match error {
        SocksError::Refused(code) => FetchErrorKind::Socks(code),
        SocksError::Io(error) => io_kind(error),
    })?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {onion}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(io_kind)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX_BYTES).read_to_end(&mut answer).map_err(io_kind)?;
    Ok(answer)
}

fn io_kind(error: std::io::Error) -> FetchErrorKind {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => FetchErrorKind::Timeout,
        _ => FetchErrorKind::Io(error.to_string()),
    }
}

fn parse(answer: &[u8]) -> Result<(u16, Option<String>, String), String> {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Err(format!("{} bytes without an end of the headers", answer.len()));
    };
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default();
    let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
    let status = status.ok_or_else(|| format!("the first line is {first:?}"))?;
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(':')).collect();
    let header = |name: &str| {
        let found = headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    };
    let promised = header("content-length").and_then(|len| len.parse().ok());
    if promised.is_some_and(|len: usize| len > body.len()) {
        return Err(format!("{} bytes of a body instead of {promised:?}", body.len()));
    }
    Ok((status, header("x-front").map(str::to_owned), body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_is_read_from_the_answer() {
        let answer = b"HTTP/1.1 200 OK\r\nx-front: b\r\nContent-Length: 2\r\n\r\nhi";
        assert_eq!(parse(answer).unwrap(), (200, Some("b".to_owned()), "hi".to_owned()));
        let plain = b"HTTP/1.0 404 Not Found\r\n\r\n";
        assert_eq!(parse(plain).unwrap(), (404, None, String::new()));
    }

    #[test]
    fn answer_that_is_cut_short_is_no_answer() {
        assert!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\n").is_err());
        assert!(parse(b"SSH-2.0-x\r\n\r\n").is_err());
        assert!(parse(b"").is_err());
    }

    #[test]
    fn refused_connection_is_no_timeout() {
        let port = crate::ports::free(1).unwrap()[0];
        let error = fetch(port, "a.onion", "/", Duration::from_secs(5)).unwrap_err();
        assert!(matches!(error.kind, FetchErrorKind::Io(_)), "{error}");
    }
}
