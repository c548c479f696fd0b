//! Takes fields off bytes that anybody may have made.

use super::frame::DecodeError;

/// The rest of a body or record.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::CutOff)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next bytes, as many as the type says.
    pub(super) fn take_array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(DecodeError::CutOff)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A number of things, checked before room is made for them.
    pub(super) fn take_count(
        &mut self,
        max: usize,
        what: &'static str,
    ) -> Result<usize, DecodeError> {
        let [count] = self.take_array()?;
        let count = usize::from(count);
        if count <= max { Ok(count) } else { Err(DecodeError::Field(what)) }
    }

    /// Bytes with their number before them.
    pub(super) fn take_prefixed(
        &mut self,
        max: usize,
        what: &'static str,
    ) -> Result<&'a [u8], DecodeError> {
        let count = self.take_count(max, what)?;
        self.take(count)
    }

    /// Whether everything was taken.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}
