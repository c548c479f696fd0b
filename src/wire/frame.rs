//! Frames: a header, one body, and zeros up to one of three sizes.
//!
//! All frames of a size look alike from outside the session. A body may have grown at its end since
//! this program was made: what follows the fields known here is skipped.

use crate::ident::Incarnation;
use crate::message::{Frame, Refusal};

use super::bodies;
use super::field::Field;
use super::reader::Reader;
use super::secret::{self, Secret};
use super::writer::Writer;

/// The version that is written.
pub const VERSION: u8 = 1;

/// The oldest version that is read.
pub const VERSION_OLDEST: u8 = 1;

/// The largest frame: what one datagram of an inner MTU of 1200 holds after its IPv6 and UDP
/// headers.
pub const FRAME_MAX_BYTES: usize = 1152;

/// The sizes of frames. A frame has the smallest that its body fits into.
pub const FRAME_BYTES: [usize; 3] = [256, 512, FRAME_MAX_BYTES];

/// Version, kind, length of the body, incarnation, sequence.
pub const HEADER_BYTES: usize = 20;

/// Where the length of the body stands in the header.
const LENGTH_AT: usize = 2;

/// What came in one frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    /// Something for the engine.
    Frame(Frame),
    /// A secret for the key store, which the engine never sees.
    Secret(Secret),
}

/// Something is longer or more than the protocol allows, so no frame was made. Names what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}: more than a frame may hold")]
pub struct TooLarge(pub &'static str);

/// Why bytes are no frame for this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The number of bytes is none of [`FRAME_BYTES`].
    #[error("a frame of {0} bytes: frames have 256, 512 or 1152")]
    Length(usize),
    /// A version outside [`VERSION_OLDEST`] to [`VERSION`].
    #[error("version {0} of the protocol is not spoken here")]
    Version(u8),
    /// A kind that a newer program knows. To be ignored: the sender is no worse for it.
    #[error("kind {0} is not known here")]
    Kind(u8),
    /// It ends within a field.
    #[error("it ends within a field")]
    CutOff,
    /// The named field is out of bounds.
    #[error("out of bounds: {0}")]
    Field(&'static str),
    /// What should be zeros is not.
    #[error("the padding is not zero")]
    Padding,
}

impl DecodeError {
    /// As what the frame is refused; `None`: it is not refused but ignored.
    pub fn refusal(self) -> Option<Refusal> {
        match self {
            DecodeError::Kind(_) => None,
            DecodeError::Version(_) => Some(Refusal::Version),
            DecodeError::Length(_)
            | DecodeError::CutOff
            | DecodeError::Field(_)
            | DecodeError::Padding => Some(Refusal::Malformed),
        }
    }
}

/// The bytes of a frame, one of [`FRAME_BYTES`] many.
///
/// # Errors
///
/// [`TooLarge`] when a list or text exceeds its bound. Other bounds are the receiver's to check.
pub fn encode(frame: &Frame) -> Result<Vec<u8>, TooLarge> {
    let kind = bodies::kind(&frame.body);
    seal(kind, frame.incarnation, frame.sequence, |to| bodies::write(&frame.body, to))
}

/// What the bytes say.
///
/// # Errors
///
/// [`DecodeError`] for everything that is not exactly a frame of a version spoken here. Nothing
/// that the sender chose decides how much memory is taken.
pub fn decode(bytes: &[u8]) -> Result<Content, DecodeError> {
    match bytes.first() {
        Some(&version) if !(VERSION_OLDEST..=VERSION).contains(&version) => {
            return Err(DecodeError::Version(version));
        }
        _ if !FRAME_BYTES.contains(&bytes.len()) => return Err(DecodeError::Length(bytes.len())),
        _ => {}
    }
    let mut rest = Reader::new(&bytes[1..]);
    let (kind, length) = <(u8, u16)>::read(&mut rest)?;
    let (incarnation, sequence) = <(Incarnation, u64)>::read(&mut rest)?;
    let (body, padding) = bytes[HEADER_BYTES..]
        .split_at_checked(usize::from(length))
        .ok_or(DecodeError::Field("length"))?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(DecodeError::Padding);
    }
    let mut body = Reader::new(body);
    if kind == secret::KIND {
        let (what, bytes) = secret::read(&mut body)?;
        return Ok(Content::Secret(Secret { incarnation, sequence, what, bytes }));
    }
    let body = bodies::read(kind, &mut body)?;
    Ok(Content::Frame(Frame { incarnation, sequence, body }))
}

/// A padded frame around what `write_body` writes.
pub(super) fn seal(
    kind: u8,
    incarnation: Incarnation,
    sequence: u64,
    write_body: impl FnOnce(&mut Writer),
) -> Result<Vec<u8>, TooLarge> {
    let mut to = Writer::new();
    (VERSION, kind).write(&mut to);
    0_u16.write(&mut to);
    (incarnation, sequence).write(&mut to);
    write_body(&mut to);
    let mut bytes = to.into_bytes()?;
    let length = u16::try_from(bytes.len() - HEADER_BYTES).expect("the writer is bounded");
    bytes[LENGTH_AT..LENGTH_AT + 2].copy_from_slice(&length.to_be_bytes());
    let size = FRAME_BYTES.into_iter().find(|size| *size >= bytes.len());
    bytes.resize(size.expect("the writer is bounded"), 0);
    Ok(bytes)
}
