//! The web server behind a front: every answer names the front.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};

const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);
const REQUEST_MAX_BYTES: usize = 16 * 1024;

/// A small HTTP server on loopback that can be switched off and on.
///
/// It answers every request with status 200, the header `X-Front` and a body that names the front.
#[derive(Debug)]
pub struct Backend {
    name: String,
    port: u16,
    answered: Arc<AtomicU64>,
    accepting: Mutex<Option<Accepting>>,
}

#[derive(Debug)]
struct Accepting {
    stopped: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Backend {
    /// Makes one on `port` and switches it on.
    pub(crate) fn new(name: &str, port: u16) -> Result<Backend> {
        let backend = Backend {
            name: name.to_owned(),
            port,
            answered: Arc::new(AtomicU64::new(0)),
            accepting: Mutex::new(None),
        };
        backend.start()?;
        Ok(backend)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many requests it has answered.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Switches it on, on the same port; nothing happens when it is on.
    ///
    /// # Errors
    /// Fails when the port is taken.
    pub fn start(&self) -> Result<()> {
        let mut accepting = self.accepting();
        if accepting.is_some() {
            return Ok(());
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).with_context(|| {
            format!("{}: the backend cannot take port {}", self.name, self.port)
        })?;
        let stopped = Arc::new(AtomicBool::new(false));
        let (name, answered, until) =
            (self.name.clone(), Arc::clone(&self.answered), Arc::clone(&stopped));
        let thread = std::thread::spawn(move || accept(&listener, &name, &answered, &until));
        *accepting = Some(Accepting { stopped, thread });
        Ok(())
    }

    /// Switches it off: from now on connections are refused.
    pub fn stop(&self) {
        let Some(accepting) = self.accepting().take() else { return };
        accepting.stopped.store(true, Ordering::Release);
        // A connection wakes the thread out of accept; it fails only when the thread is gone.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        let _ = accepting.thread.join();
    }

    fn accepting(&self) -> MutexGuard<'_, Option<Accepting>> {
        self.accepting.lock().expect("nobody panics while holding it")
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop();
    }
}

fn accept(listener: &TcpListener, name: &str, answered: &Arc<AtomicU64>, stopped: &AtomicBool) {
    while let Ok((stream, _)) = listener.accept() {
        if stopped.load(Ordering::Acquire) {
            return;
        }
        let (name, answered) = (name.to_owned(), Arc::clone(answered));
        std::thread::spawn(move || {
            if answer(stream, &name).is_ok() {
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
}

fn answer(mut stream: TcpStream, name: &str) -> std::io::Result<()> {
    stream.set_read_timeout(Some(CONNECTION_TIMEOUT))?;
    stream.set_write_timeout(Some(CONNECTION_TIMEOUT))?;
    let mut request = Vec::new();
    let mut chunk = [0; 2048];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        let len = stream.read(&mut chunk)?;
        if len == 0 || request.len() > REQUEST_MAX_BYTES {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        request.extend_from_slice(&chunk[..len]);
    }
    let body = format!("Hello from {name}.\n");
    let head = format!(
        "HTTP/1.1 200 OK\r\nX-Front: {name}\r\nContent-Type: text/plain\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetch(port: u16) -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn backend_answers_while_it_is_on() {
        let port = crate::ports::free(1).unwrap()[0];
        let backend = Backend::new("front-a", port).unwrap();
        assert!(fetch(port).unwrap().contains("X-Front: front-a\r\n"));
        backend.stop();
        assert!(fetch(port).is_err(), "a backend that is off refuses");
        backend.start().unwrap();
        assert!(fetch(port).unwrap().ends_with("Hello from front-a.\n"));
    }
}
