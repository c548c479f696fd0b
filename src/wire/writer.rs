//! Appends fields to a buffer that never outgrows a frame.

use super::frame::{FRAME_MAX_BYTES, TooLarge};

/// A frame or record being written.
///
/// The buffer is allocated once and never moves: there is one copy of a secret to wipe. The first
/// thing that does not fit is remembered, and nothing is written after it.
pub(super) struct Writer {
    bytes: Vec<u8>,
    too_large: Option<TooLarge>,
}

impl Writer {
    pub(super) fn new() -> Writer {
        Writer { bytes: Vec::with_capacity(FRAME_MAX_BYTES), too_large: None }
    }

    /// Appends bytes as they are.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        if bytes.len() > FRAME_MAX_BYTES - self.bytes.len() {
            self.refuse("frame");
        } else if self.too_large.is_none() {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Appends how many there are, as one byte; `max` is below 256.
    pub(super) fn put_count(&mut self, count: usize, max: usize, what: &'static str) {
        match u8::try_from(count) {
            Ok(byte) if count <= max => self.put(&[byte]),
            _ => self.refuse(what),
        }
    }

    /// Appends bytes with their number before them.
    pub(super) fn put_prefixed(&mut self, bytes: &[u8], max: usize, what: &'static str) {
        self.put_count(bytes.len(), max, what);
        self.put(bytes);
    }

    /// What was written, unless something did not fit.
    pub(super) fn into_bytes(self) -> Result<Vec<u8>, TooLarge> {
        self.too_large.map_or(Ok(self.bytes), Err)
    }

    fn refuse(&mut self, what: &'static str) {
        self.too_large.get_or_insert(TooLarge(what));
    }
}
