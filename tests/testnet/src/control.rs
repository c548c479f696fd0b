//! A small blocking control-port client, for observing tor from the outside.
//!
//! It shares no code with the product, on purpose (control-spec, sections 2.3 and 4.1).

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::clock;

mod message;

pub use message::{Line, Message};

const REPLY_DEADLINE: Duration = Duration::from_secs(10);
const MESSAGE_MAX_BYTES: usize = 64 << 20;

/// An authenticated control connection.
#[derive(Debug)]
pub struct Control {
    stream: UnixStream,
    unread: Vec<u8>,
    events: VecDeque<Message>,
}

impl Control {
    /// Connects to the unix socket `socket` and shows the cookie in `cookie`.
    ///
    /// # Errors
    /// Fails when nobody listens, tor refuses, or an answer takes more than ten seconds.
    pub fn connect(socket: &Path, cookie: &Path) -> Result<Control> {
        let stream = UnixStream::connect(socket)
            .with_context(|| format!("cannot connect to {}", socket.display()))?;
        stream.set_write_timeout(Some(REPLY_DEADLINE)).context("cannot set a time-out")?;
        let cookie = std::fs::read(cookie)
            .with_context(|| format!("cannot read the cookie {}", cookie.display()))?;
        let hex: String = cookie.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut control = Control { stream, unread: Vec::new(), events: VecDeque::new() };
        control.command(&format!("AUTHENTICATE {hex}"))?;
        Ok(control)
    }

    /// Sends one command (a line without its end, or with a dot-terminated body) and reads the
    /// reply. Events that come in between are kept for [`next_event`](Self::next_event).
    ///
    /// # Errors
    /// Fails when tor refuses (a code of 400 or more), or after ten seconds without an answer.
    pub fn command(&mut self, command: &str) -> Result<Message> {
        let name = command.split([' ', '\r', '\n']).next().unwrap_or_default();
        self.stream
            .write_all(format!("{command}\r\n").as_bytes())
            .with_context(|| format!("cannot send {name}"))?;
        let deadline = clock::now() + REPLY_DEADLINE;
        loop {
            let Some(message) = self.read_message(deadline)? else {
                bail!("no reply to {name} within {} s", REPLY_DEADLINE.as_secs());
            };
            match message.code {
                600.. => self.events.push_back(message),
                400.. => bail!("tor refused {name}: {} {}", message.code, message.text()),
                _ => return Ok(message),
            }
        }
    }

    /// The value of one GETINFO key, of any length.
    ///
    /// # Errors
    /// As [`command`](Self::command), and when the reply is not about `key`.
    pub fn getinfo(&mut self, key: &str) -> Result<String> {
        let reply = self.command(&format!("GETINFO {key}"))?;
        let line = reply.lines.into_iter().next().unwrap_or_default();
        let Some(value) = line.text.strip_prefix(key).and_then(|rest| rest.strip_prefix('='))
        else {
            bail!("GETINFO {key} was answered with {:?}", line.text);
        };
        Ok(line.data.unwrap_or_else(|| value.to_owned()))
    }

    /// Asks for the events of these kinds, such as `["HS_DESC", "CIRC"]`, instead of earlier ones.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub fn subscribe(&mut self, kinds: &[&str]) -> Result<()> {
        self.command(&format!("SETEVENTS {}", kinds.join(" "))).map(drop)
    }

    /// The next event, waiting at most `timeout` for it.
    ///
    /// # Errors
    /// Fails when the connection ends; a time-out is `None`.
    pub fn next_event(&mut self, timeout: Duration) -> Result<Option<Message>> {
        match self.events.pop_front() {
            Some(event) => Ok(Some(event)),
            None => self.read_message(clock::now() + timeout),
        }
    }

    /// The first event that `wanted` accepts, dropping the others, within `timeout`.
    ///
    /// # Errors
    /// Fails when the connection ends or no such event comes in time.
    pub fn wait_event(
        &mut self,
        timeout: Duration,
        mut wanted: impl FnMut(&Message) -> bool,
    ) -> Result<Message> {
        let deadline = clock::now() + timeout;
        while let Some(event) = self.next_event(clock::until(deadline))? {
            if wanted(&event) {
                return Ok(event);
            }
        }
        bail!("the awaited event did not come within {} s", timeout.as_secs_f32());
    }

    fn read_message(&mut self, deadline: Instant) -> Result<Option<Message>> {
        let mut chunk = vec![0; 64 * 1024];
        loop {
            if let Some((message, used)) = Message::parse(&self.unread)? {
                self.unread.drain(..used);
                return Ok(Some(message));
            }
            if self.unread.len() > MESSAGE_MAX_BYTES {
                bail!("tor sent a message of more than {MESSAGE_MAX_BYTES} bytes");
            }
            let left = clock::until(deadline);
            if left.is_zero() {
                return Ok(None);
            }
            self.stream.set_read_timeout(Some(left)).context("cannot set a time-out")?;
            match self.stream.read(&mut chunk) {
                Ok(0) => bail!("tor closed the control connection"),
                Ok(len) => self.unread.extend_from_slice(&chunk[..len]),
                Err(error) if is_retry(error.kind()) => {}
                Err(error) => return Err(error).context("cannot read from the control socket"),
            }
        }
    }
}

fn is_retry(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
