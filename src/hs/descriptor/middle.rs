//! The middle layer: who may read the inner one (rend-spec-v3, section HS-DESC-FIRST-LAYER).
//!
//! Without authorised clients its keys and client lines are filler that looks like them.

use curve25519_dalek::montgomery::MontgomeryPoint;
use data_encoding::{BASE64, BASE64_NOPAD};
use zeroize::Zeroizing;

use super::error::{DescriptorError, Layer};
use super::items::{self, Item, Items, fixed, push_object};
use crate::hs::keys::BlindedKey;

/// C tor fills the number of client lines up to a multiple of this.
const CLIENTS: usize = 16;
/// Client identity, IV and encrypted cookie.
const CLIENT_BYTES: usize = 8 + 16 + 16;

fn malformed(what: &'static str) -> DescriptorError {
    DescriptorError::Malformed { layer: Layer::Middle, what }
}

/// The encrypted inner layer out of the padded plaintext of this one.
pub(super) fn read(plaintext: &[u8]) -> Result<Vec<u8>, DescriptorError> {
    let end = plaintext.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let text = std::str::from_utf8(&plaintext[..end]).map_err(|_| malformed("text"))?;
    let text = format!("{}\n", text.trim_end_matches('\n'));
    let items: Vec<Item<'_>> =
        Items::new(&text).collect::<Result<_, _>>().map_err(|_| malformed("a line"))?;
    let one = |keyword| items::unique(&items, keyword).ok_or(malformed(keyword));
    if one("desc-auth-type")?.words().next() != Some("x25519") {
        return Err(malformed("desc-auth-type"));
    }
    let word = one("desc-auth-ephemeral-key")?.words().next();
    word.and_then(|word| fixed::<32>(word).ok()).ok_or(malformed("desc-auth-ephemeral-key"))?;
    if !items.iter().any(|item| item.keyword == "auth-client") {
        return Err(malformed("auth-client"));
    }
    one("encrypted")?.object("MESSAGE").map_err(|_| malformed("encrypted"))
}

/// The filler of one service in one period: the same on every node and in every version of the
/// descriptor, as C tor keeps it.
pub(super) struct Filler {
    ephemeral: [u8; 32],
    clients: [[u8; CLIENT_BYTES]; CLIENTS],
}

impl Filler {
    /// The filler that belongs to a blinded key.
    pub(super) fn new(blinded: &BlindedKey) -> Filler {
        let mut secret = Zeroizing::new([0; 32]);
        blinded.derive(b"ephemeral key", &[], &mut *secret);
        let mut clients = [[0; CLIENT_BYTES]; CLIENTS];
        blinded.derive(b"clients", &[], clients.as_flattened_mut());
        Filler { ephemeral: MontgomeryPoint::mul_base_clamped(*secret).to_bytes(), clients }
    }
}

/// Writes the plaintext without padding. C tor ends it without a line end.
pub(super) fn write(filler: &Filler, encrypted: &[u8]) -> String {
    let mut text = String::with_capacity(encrypted.len() * 11 / 8 + 2000);
    text.push_str("desc-auth-type x25519\ndesc-auth-ephemeral-key ");
    BASE64.encode_append(&filler.ephemeral, &mut text);
    text.push('\n');
    for client in &filler.clients {
        let (id, rest) = client.split_at(8);
        let (iv, cookie) = rest.split_at(16);
        text.push_str("auth-client");
        for part in [id, iv, cookie] {
            text.push(' ');
            BASE64_NOPAD.encode_append(part, &mut text);
        }
        text.push('\n');
    }
    text.push_str("encrypted\n");
    push_object(&mut text, "MESSAGE", encrypted);
    text
}
