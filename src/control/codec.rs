//! Bytes of the control port to messages and back (control-spec, section "Message format").
//!
//! No I/O, no clock: a state machine for any chunking. It reads every byte once, holds at most one
//! unfinished reply and one unfinished event, and one line that is not complete yet. All state is
//! in the decoder, so a read that is cancelled loses nothing.
//!
//! Events may come between replies and between the lines of one. *Inside* a data block they cannot:
//! there every line up to the lone dot belongs to the block, whatever it looks like.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::command::{Command, InvalidArgument};
use super::words;

/// How much one message may hold before the connection is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest line in bytes, its end included.
    pub line_bytes: usize,
    /// All text and data of one reply or event in bytes. `GETINFO md/all` has about ten million on
    /// the public network.
    pub reply_bytes: usize,
    /// The most lines of one reply or event, those of data blocks not counted.
    pub lines: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { line_bytes: 1 << 20, reply_bytes: 64 << 20, lines: 1 << 14 }
    }
}

/// What the decoder yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The answer to the oldest unanswered command.
    Reply(Message),
    /// Something tor tells by itself (status 6xx).
    Event(Message),
}

/// A complete reply or event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The status code, 0 to 999; the same on every line.
    pub status: u16,
    /// The lines in order; never empty. The last one is the end line, often `OK`.
    pub lines: Vec<Line>,
}

/// One line of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What follows status and separator; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// The data block of a `+` line: dots unstuffed, lines ending in LF, the last one too.
    pub data: Option<Bytes>,
}

/// Why the stream cannot be read any further; the connection is to be dropped.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// A line outgrew [`Limits::line_bytes`].
    #[error("tor's control port sent a line of more than {limit} bytes; connection given up")]
    LineTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// A message outgrew [`Limits::reply_bytes`].
    #[error("tor's control port sent an answer of more than {limit} bytes; raise the reply limit")]
    ReplyTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A message outgrew [`Limits::lines`].
    #[error("tor's control port sent an answer of more than {limit} lines; connection given up")]
    TooManyLines {
        /// The limit.
        limit: usize,
    },
    /// A line does not start with a status code and a separator.
    #[error("tor's control port sent something that is not a reply line: {excerpt:?}")]
    Garbled {
        /// The start of the line.
        excerpt: String,
    },
    /// The lines of one message disagree about the status.
    #[error("tor's control port changed the status of one answer from {first} to {then}")]
    StatusChanged {
        /// The status of the lines before.
        first: u16,
        /// The status of this line.
        then: u16,
    },
    /// The stream ended inside a line, a reply or an event.
    #[error("tor closed the control port in the middle of an answer")]
    ClosedMidReply,
    /// The stream failed.
    #[error("the control port cannot be read or written: {0}")]
    Io(#[from] std::io::Error),
}

/// Decoder and encoder of the control port, for one connection.
#[derive(Debug)]
pub struct Codec {
    limits: Limits,
    /// How many bytes of the read buffer are known to hold no end of line.
    scanned: usize,
    reply: Option<Assembly>,
    event: Option<Assembly>,
    /// Whose data block is open.
    open_data: Option<Lane>,
}

/// The two messages that may be unfinished at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    Reply,
    Event,
}

/// A message of which some lines have come.
#[derive(Debug)]
struct Assembly {
    message: Message,
    /// The open data block of the last line.
    data: Vec<u8>,
    bytes: usize,
}

impl Codec {
    /// A codec for a new connection.
    pub fn new(limits: Limits) -> Codec {
        Codec { limits, scanned: 0, reply: None, event: None, open_data: None }
    }

    /// The length of the first complete line in `src` with its LF, or `None` if there is none yet.
    fn line_length(&mut self, src: &BytesMut) -> Result<Option<usize>, CodecError> {
        let limit = self.limits.line_bytes;
        let found = src[self.scanned..].iter().position(|&b| b == b'\n');
        let length = found.map_or(src.len(), |at| self.scanned + at + 1);
        if length > limit {
            return Err(CodecError::LineTooLong { limit });
        }
        self.scanned = if found.is_some() { 0 } else { length };
        Ok(found.map(|_| length))
    }

    fn assembly(&mut self, lane: Lane) -> &mut Option<Assembly> {
        match lane {
            Lane::Reply => &mut self.reply,
            Lane::Event => &mut self.event,
        }
    }

    /// Takes one line of the open data block.
    fn data_line(&mut self, lane: Lane, line: &[u8]) -> Result<(), CodecError> {
        let limit = self.limits.reply_bytes;
        let assembly =
            self.assembly(lane).as_mut().expect("a data block is open only in a message begun");
        if line == b"." {
            let data = Bytes::from(std::mem::take(&mut assembly.data));
            let last = assembly.message.lines.last_mut().expect("its `+` line is there");
            last.data = Some(data);
            self.open_data = None;
            return Ok(());
        }
        let line = line.strip_prefix(b".").unwrap_or(line);
        assembly.count(line.len() + 1, limit)?;
        assembly.data.extend_from_slice(line);
        assembly.data.push(b'\n');
        Ok(())
    }

    /// Takes one line outside data blocks; gives the message that it ends.
    fn status_line(&mut self, line: &[u8]) -> Result<Option<Frame>, CodecError> {
        let Limits { reply_bytes, lines, .. } = self.limits;
        let (status, separator, text) = split_status(line)?;
        let lane = if status / 100 == 6 { Lane::Event } else { Lane::Reply };
        let slot = self.assembly(lane);
        let assembly = slot.get_or_insert_with(|| Assembly {
            message: Message { status, lines: Vec::new() },
            data: Vec::new(),
            bytes: 0,
        });
        if assembly.message.status != status {
            let first = assembly.message.status;
            return Err(CodecError::StatusChanged { first, then: status });
        }
        if assembly.message.lines.len() >= lines {
            return Err(CodecError::TooManyLines { limit: lines });
        }
        assembly.count(text.len(), reply_bytes)?;
        let text = String::from_utf8_lossy(text).into_owned();
        assembly.message.lines.push(Line { text, data: None });
        match separator {
            b' ' => Ok(slot.take().map(|done| lane.frame(done.message))),
            b'+' => {
                self.open_data = Some(lane);
                Ok(None)
            }
            _ => Ok(None),
        }
    }
}

impl Lane {
    fn frame(self, message: Message) -> Frame {
        match self {
            Lane::Reply => Frame::Reply(message),
            Lane::Event => Frame::Event(message),
        }
    }
}

impl Assembly {
    fn count(&mut self, bytes: usize, limit: usize) -> Result<(), CodecError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > limit { Err(CodecError::ReplyTooLarge { limit }) } else { Ok(()) }
    }
}

/// Cuts a line into status code, separator (`-`, `+` or a space) and the rest.
fn split_status(line: &[u8]) -> Result<(u16, u8, &[u8]), CodecError> {
    if let [a, b, c, separator @ (b'-' | b'+' | b' '), text @ ..] = line
        && [a, b, c].iter().all(|d| d.is_ascii_digit())
    {
        let digit = |d: &u8| u16::from(*d - b'0');
        return Ok((digit(a) * 100 + digit(b) * 10 + digit(c), *separator, text));
    }
    let excerpt = words::excerpt(&String::from_utf8_lossy(line), 60);
    Err(CodecError::Garbled { excerpt })
}

impl Decoder for Codec {
    type Item = Frame;
    type Error = CodecError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, CodecError> {
        while let Some(length) = self.line_length(src)? {
            let line = &src[..length - 1];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let done = match self.open_data {
                Some(lane) => self.data_line(lane, line).map(|()| None)?,
                None => self.status_line(line)?,
            };
            src.advance(length);
            if done.is_some() {
                return Ok(done);
            }
        }
        Ok(None)
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, CodecError> {
        if let Some(frame) = self.decode(src)? {
            return Ok(Some(frame));
        }
        if src.is_empty() && self.reply.is_none() && self.event.is_none() {
            return Ok(None);
        }
        Err(CodecError::ClosedMidReply)
    }
}

/// Why a command was not written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The command would not say what it is meant to say.
    #[error(transparent)]
    Argument(#[from] InvalidArgument),
    /// The stream failed.
    #[error("the control port cannot be written: {0}")]
    Io(#[from] std::io::Error),
}

impl Encoder<&Command> for Codec {
    type Error = EncodeError;

    /// Appends `command`; on an error `dst` is as before.
    fn encode(&mut self, command: &Command, dst: &mut BytesMut) -> Result<(), EncodeError> {
        let line = command.line()?;
        dst.put_slice(line.as_bytes());
        dst.put_slice(b"\r\n");
        if let Some(document) = command.data() {
            put_data(dst, document);
        }
        Ok(())
    }
}

/// Appends a data block with its closing dot (control-spec, "CmdData").
///
/// Lines of `data` end in LF or CRLF and are read back with LF; a missing last end of line is
/// added.
pub fn put_data(dst: &mut BytesMut, data: &[u8]) {
    dst.reserve(data.len() + data.len() / 32 + 16);
    for line in data.split_inclusive(|&b| b == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(b".") {
            dst.put_u8(b'.');
        }
        dst.put_slice(line);
        dst.put_slice(b"\r\n");
    }
    dst.put_slice(b".\r\n");
}

#[cfg(test)]
mod tests;
