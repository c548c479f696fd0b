//! One authenticated connection: frames in, commands out, and at most one command in work.
//!
//! Knows neither reconnection nor who asked.

use std::future::pending;

use bytes::BytesMut;
use futures_util::StreamExt;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio_util::codec::{Encoder, FramedRead};

use super::Settings;
use crate::control::auth::{self, AuthError};
use crate::control::codec::{Codec, CodecError, EncodeError, Frame, Message};
use crate::control::command::Command;
use crate::control::endpoint::{Dial, Endpoint, Stream};
use crate::control::words;

/// The first size of the read buffer: also what one system call may bring, in bytes.
const READ_BUFFER_BYTES: usize = 32 << 10;
/// How many events may come before tor has confirmed the subscription.
const EARLY_EVENTS_MAX: usize = 64;

/// Why a connection cannot be used, or not any longer.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error("{endpoint} cannot be reached: {source}")]
    Unreachable { endpoint: Endpoint, source: std::io::Error },
    #[error("{endpoint}: {source}")]
    Auth { endpoint: Endpoint, source: AuthError },
    #[error("{endpoint}: tor did not let us in within {seconds} s")]
    Slow { endpoint: Endpoint, seconds: u64 },
    #[error("no control port is configured")]
    NoEndpoint,
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    All(Vec<SessionError>),
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error("tor closed the control port")]
    Closed,
    #[error("tor refused to report events: {status} {text}")]
    Unsubscribed { status: u16, text: String },
    #[error("tor answered without having been asked: {status} {text:?}")]
    Unasked { status: u16, text: String },
    #[error("tor answered {command} with something else: {text:?}")]
    Mismatched { command: &'static str, text: String },
    #[error("tor gave no answer to {command} within {seconds} s")]
    Stalled { command: &'static str, seconds: u64 },
    #[error("events came faster than they were read")]
    Overflow,
}

/// What happened on the connection.
pub(super) enum Heard {
    Frame(Frame),
    /// The last command has left our buffer.
    Written,
}

/// An authenticated and subscribed connection.
pub(super) struct Session {
    /// Tor's version.
    pub(super) version: String,
    /// Events that came before the subscription was confirmed.
    pub(super) early: Vec<Message>,
    reader: FramedRead<ReadHalf<Box<dyn Stream>>, Codec>,
    writer: WriteHalf<Box<dyn Stream>>,
    unwritten: BytesMut,
}

impl Session {
    /// Tries the endpoints in order until one lets us in and subscribes.
    ///
    /// # Errors
    /// All causes, one per endpoint.
    pub(super) async fn open(
        dial: &mut impl Dial,
        settings: &Settings,
    ) -> Result<Session, SessionError> {
        let mut causes = Vec::new();
        for endpoint in &settings.endpoints {
            let attempt = Session::open_at(dial, settings, endpoint);
            match tokio::time::timeout(settings.request_timeout, attempt).await {
                Ok(Ok(session)) => return Ok(session),
                Ok(Err(cause)) => causes.push(cause),
                Err(_) => {
                    let seconds = settings.request_timeout.as_secs();
                    causes.push(SessionError::Slow { endpoint: endpoint.clone(), seconds });
                }
            }
        }
        match causes.len() {
            0 => Err(SessionError::NoEndpoint),
            1 => Err(causes.remove(0)),
            _ => Err(SessionError::All(causes)),
        }
    }

    async fn open_at(
        dial: &mut impl Dial,
        settings: &Settings,
        endpoint: &Endpoint,
    ) -> Result<Session, SessionError> {
        let endpoint = || endpoint.clone();
        let mut stream = dial
            .dial(&endpoint())
            .await
            .map_err(|source| SessionError::Unreachable { endpoint: endpoint(), source })?;
        let version = auth::authenticate(&mut stream, &settings.credentials)
            .await
            .map_err(|source| SessionError::Auth { endpoint: endpoint(), source })?;
        let (reader, writer) = tokio::io::split(stream);
        let codec = Codec::new(settings.limits);
        let mut session = Session {
            version,
            early: Vec::new(),
            reader: FramedRead::with_capacity(reader, codec, READ_BUFFER_BYTES),
            writer,
            unwritten: BytesMut::new(),
        };
        session.subscribe(settings).await?;
        Ok(session)
    }

    async fn subscribe(&mut self, settings: &Settings) -> Result<(), SessionError> {
        self.write(&Command::SetEvents(settings.topics.clone()))?;
        loop {
            match self.hear().await? {
                Heard::Written => {}
                Heard::Frame(Frame::Event(event)) if self.early.len() < EARLY_EVENTS_MAX => {
                    self.early.push(event);
                }
                Heard::Frame(Frame::Event(_)) => return Err(SessionError::Overflow),
                Heard::Frame(Frame::Reply(reply)) if reply.status == 250 => return Ok(()),
                Heard::Frame(Frame::Reply(Message { status, lines })) => {
                    let text: String = lines.into_iter().map(|line| line.text).collect();
                    let text = words::excerpt(&text, 200);
                    return Err(SessionError::Unsubscribed { status, text });
                }
            }
        }
    }

    /// Puts a command into the buffer; [`Session::hear`] sends it.
    pub(super) fn write(&mut self, command: &Command) -> Result<(), SessionError> {
        self.reader.decoder_mut().encode(command, &mut self.unwritten)?;
        Ok(())
    }

    /// Waits for the next frame, and writes meanwhile. Cancel-safe.
    pub(super) async fn hear(&mut self) -> Result<Heard, SessionError> {
        let Session { reader, writer, unwritten, .. } = self;
        let write = async {
            if unwritten.is_empty() {
                return pending().await;
            }
            writer.write_all_buf(unwritten).await?;
            writer.flush().await
        };
        tokio::select! {
            frame = reader.next() => match frame {
                Some(frame) => Ok(Heard::Frame(frame?)),
                None => Err(SessionError::Closed),
            },
            written = write => {
                written.map_err(CodecError::Io)?;
                // A large descriptor must not keep its buffer for the life of the connection.
                *unwritten = BytesMut::new();
                Ok(Heard::Written)
            }
        }
    }
}
