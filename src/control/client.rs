//! One task that owns the connection to tor, and a cheap handle to it.
//!
//! The task connects, authenticates and subscribes, and starts again whenever that breaks: tor
//! restarting or vanishing is normal life. It knows nothing of what the answers are for.
//!
//! - **Requests** are sent one at a time in the order in which they were made. While there is no
//!   connection they fail at once ([`RequestError::Down`]).
//! - **A stalled tor is a lost one.** No answer within [`Settings::request_timeout`] drops the
//!   connection; when nothing else was asked for [`Settings::keep_alive`], the task asks for the
//!   version.
//! - **Events** go through the caller's bounded channel in the order in which tor sent them, between
//!   [`Event::Up`] and [`Event::Down`]. A reader that is too slow never holds up requests: when the
//!   channel is full, the connection is dropped, because events were lost and an `Up` is the sign to
//!   read everything anew. There is no reconnection before the channel has room again.
//! - The task ends when all handles, or the receiver of the events, are dropped.

mod services;
mod session;
mod task;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::auth::Credentials;
use super::codec::{Limits, Message};
use super::command::{Command, InvalidArgument, Topic};
use super::endpoint::{Dial, Endpoint, Sockets};
use super::event::{self, Circuit, Event};
use super::words;
use crate::ident::RelayId;

/// How many requests may wait behind the one in work; further callers wait for room.
const REQUESTS_WAITING_MAX: usize = 64;

/// How to reach tor and how to behave there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the control port may be, tried in this order at each attempt.
    pub endpoints: Vec<Endpoint>,
    /// What the operator gives for authentication.
    pub credentials: Credentials,
    /// What tor shall report.
    pub topics: Vec<Topic>,
    /// The shortest pause before a new attempt; it doubles with each failure.
    pub reconnect_min: Duration,
    /// The longest pause. A connection that stood this long starts again with the shortest.
    pub reconnect_max: Duration,
    /// How long tor may take for one answer, and for everything up to the subscription.
    pub request_timeout: Duration,
    /// After how long without a request tor is asked for a sign of life.
    pub keep_alive: Duration,
    /// How much one message may hold.
    pub limits: Limits,
}

impl Settings {
    /// The usual behaviour, with every topic that costs little.
    pub fn new(endpoints: Vec<Endpoint>) -> Settings {
        Settings {
            endpoints,
            credentials: Credentials::default(),
            topics: vec![
                Topic::HsDesc,
                Topic::HsDescContent,
                Topic::Circ,
                Topic::CircMinor,
                Topic::StatusClient,
                Topic::NetworkLiveness,
                Topic::Signal,
            ],
            reconnect_min: Duration::from_millis(200),
            reconnect_max: Duration::from_secs(5),
            request_timeout: Duration::from_secs(15),
            keep_alive: Duration::from_secs(20),
            limits: Limits::default(),
        }
    }
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// There is no connection; nothing was sent.
    #[error("tor's control port is not connected: {reason}")]
    Down {
        /// Why.
        reason: String,
    },
    /// The connection was lost with the request under way: tor may have carried it out.
    #[error("tor's control port was lost before it answered {command}: {reason}")]
    Lost {
        /// The command's keyword.
        command: &'static str,
        /// Why.
        reason: String,
    },
    /// Tor said no.
    #[error("tor refused {command}: {status} {text}")]
    Refused {
        /// The command's keyword.
        command: &'static str,
        /// Tor's status code, such as 552.
        status: u16,
        /// Tor's words.
        text: String,
    },
    /// Tor said yes, but not in the shape that belongs to the command.
    #[error("tor's answer to {command} cannot be read: {excerpt:?}")]
    Unreadable {
        /// The command's keyword.
        command: &'static str,
        /// The start of the answer.
        excerpt: String,
    },
    /// The request cannot be written; nothing was sent.
    #[error(transparent)]
    Argument(#[from] InvalidArgument),
    /// The client's task has ended; nothing was sent.
    #[error("the control port's client has stopped")]
    Stopped,
}

/// A request on its way to the task.
struct Request {
    command: Command,
    answer: oneshot::Sender<Result<Message, RequestError>>,
}

/// A handle to the connection; clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    requests: mpsc::Sender<Request>,
    unparsed: Arc<AtomicU64>,
}

/// Starts the task on the current tokio runtime.
///
/// `events` is where they go; its capacity is how far the reader may lag behind.
pub fn spawn(settings: Settings, events: mpsc::Sender<Event>) -> Client {
    spawn_with(Sockets, settings, events)
}

fn spawn_with(dial: impl Dial, settings: Settings, events: mpsc::Sender<Event>) -> Client {
    let (requests, inbox) = mpsc::channel(REQUESTS_WAITING_MAX);
    let unparsed = Arc::new(AtomicU64::new(0));
    let task = task::Task::new(dial, settings, inbox, events, Arc::clone(&unparsed));
    tokio::spawn(task.run());
    Client { requests, unparsed }
}

impl Client {
    /// `GETINFO` of one key. Lines of a long value end in LF.
    ///
    /// # Errors
    /// [`RequestError::Refused`] for a key that tor does not know or has no value for (552, 551).
    pub async fn getinfo(&self, key: &str) -> Result<Bytes, RequestError> {
        let reply = self.ask(Command::GetInfo(key.to_owned())).await?;
        let mut lines = reply.lines.into_iter();
        let line = lines.next().expect("a message has lines");
        let value = match line.text.split_once('=') {
            Some((name, value)) if name == key => value.len(),
            _ => return Err(unreadable("GETINFO", &line.text)),
        };
        Ok(line.data.unwrap_or_else(|| {
            let text = Bytes::from(line.text);
            text.slice(text.len() - value..)
        }))
    }

    /// `GETINFO` of one key, as text; bytes that are not UTF-8 are replaced.
    ///
    /// # Errors
    /// As [`Client::getinfo`].
    pub async fn getinfo_text(&self, key: &str) -> Result<String, RequestError> {
        let value = self.getinfo(key).await?;
        Ok(String::from_utf8_lossy(&value).into_owned())
    }

    /// `GETINFO circuit-status`, with the number of lines that were not understood.
    ///
    /// # Errors
    /// As [`Client::getinfo`].
    pub async fn circuits(&self) -> Result<(Vec<Circuit>, usize), RequestError> {
        let value = self.getinfo_text("circuit-status").await?;
        Ok(event::circuits(&value))
    }

    /// `GETCONF` of one option: the option's name on each line and its value, which is absent where
    /// tor's default holds. Several lines for list options; other names for `HiddenServiceOptions`.
    ///
    /// # Errors
    /// [`RequestError::Refused`] for an unknown option (552).
    pub async fn getconf(
        &self,
        option: &str,
    ) -> Result<Vec<(String, Option<String>)>, RequestError> {
        let reply = self.ask(Command::GetConf(option.to_owned())).await?;
        let line = |text: &str| match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(words::unquote(value).into_owned())),
            None => (text.to_owned(), None),
        };
        Ok(reply.lines.iter().map(|l| line(&l.text)).collect())
    }

    /// `+HSPOST` of `document` to one HSDir; `address` has 56 characters, without `.onion`.
    ///
    /// Success means that tor took it; whether the HSDir did, comes as [`Event::HsDesc`], or not at
    /// all when the HSDir is dead.
    ///
    /// # Errors
    /// [`RequestError::Refused`] with 552 for an HSDir that tor does not know, 554 for a document
    /// that is invalid or too large.
    pub async fn hspost(
        &self,
        address: &str,
        server: RelayId,
        document: Bytes,
    ) -> Result<(), RequestError> {
        let address = address.to_owned();
        self.ask(Command::HsPost { server, address, document }).await.map(drop)
    }

    /// `HSFETCH` from one HSDir; `address` has 56 characters, without `.onion`. The descriptor comes
    /// as [`Event::HsDescContent`]; after a failure tor tries other HSDirs by itself.
    ///
    /// # Errors
    /// [`RequestError::Refused`] with 552 for an HSDir that tor does not know.
    pub async fn hsfetch(&self, address: &str, server: RelayId) -> Result<(), RequestError> {
        let address = address.to_owned();
        self.ask(Command::HsFetch { address, server }).await.map(drop)
    }

    /// How many events were not understood since the start.
    pub fn unparsed_events(&self) -> u64 {
        self.unparsed.load(Ordering::Relaxed)
    }

    async fn ask(&self, command: Command) -> Result<Message, RequestError> {
        command.line()?;
        let (answer, reply) = oneshot::channel();
        let request = Request { command, answer };
        self.requests.send(request).await.map_err(|_| RequestError::Stopped)?;
        reply.await.map_err(|_| RequestError::Stopped)?
    }
}

fn unreadable(command: &'static str, text: &str) -> RequestError {
    RequestError::Unreadable { command, excerpt: words::excerpt(text, 80) }
}

#[cfg(test)]
mod tests;
