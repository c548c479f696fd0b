//! Single entries as bytes, for files: the same layout as in frames, without header and padding.

use crate::message::{Announcement, Certificate, Member, Succession, Token};

use super::field::Field;
use super::frame::{DecodeError, TooLarge};
use super::reader::Reader;
use super::writer::Writer;

/// An entry that is kept.
pub trait Record: Sized {
    /// Its bytes, at most a frame's.
    ///
    /// # Errors
    ///
    /// [`TooLarge`] when a text exceeds its bound.
    fn to_bytes(&self) -> Result<Vec<u8>, TooLarge>;

    /// The entry that the bytes are, no more and no less. Signatures are not checked.
    ///
    /// # Errors
    ///
    /// [`DecodeError::CutOff`] or [`DecodeError::Field`].
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError>;
}

macro_rules! kept {
    ($($name:ident),+) => {
        $(impl Record for $name {
            fn to_bytes(&self) -> Result<Vec<u8>, TooLarge> {
                bytes_of(self)
            }
            fn from_bytes(bytes: &[u8]) -> Result<$name, DecodeError> {
                whole(bytes)
            }
        })+
    };
}

kept!(Certificate, Announcement, Member, Succession, Token);

fn bytes_of(value: &impl Field) -> Result<Vec<u8>, TooLarge> {
    let mut to = Writer::new();
    value.write(&mut to);
    to.into_bytes()
}

fn whole<T: Field>(bytes: &[u8]) -> Result<T, DecodeError> {
    let mut from = Reader::new(bytes);
    let value = T::read(&mut from)?;
    if from.is_empty() { Ok(value) } else { Err(DecodeError::Field("end of the record")) }
}
