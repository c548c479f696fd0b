//! The words that control-port lines are made of: pairs, quoted strings, relays, addresses.

use std::borrow::Cow;

use base64ct::{Base64Unpadded, Encoding};
use data_encoding::HEXUPPER_PERMISSIVE;

use crate::hs::address;
use crate::ident::{BlindedId, RelayId};

/// The beginning of what tor said, for people: at most so many characters, addresses shortened.
pub(super) fn excerpt(text: &str, chars_max: usize) -> String {
    address::shorten_all(text).chars().take(chars_max).collect()
}

/// The words of a line: parted by spaces, those in double quotes kept together.
pub(super) struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    pub(super) fn new(line: &'a str) -> Words<'a> {
        Words { rest: line }
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest.trim_start_matches(' ');
        let (mut quoted, mut escaped) = (false, false);
        let end = rest.bytes().position(|b| {
            let ends = b == b' ' && !quoted;
            quoted ^= b == b'"' && !escaped;
            escaped = quoted && b == b'\\' && !escaped;
            ends
        });
        let (word, rest) = rest.split_at(end.unwrap_or(rest.len()));
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }
}

/// Cuts `KEY=value`, with the value as it stands on the line.
pub(super) fn pair(word: &str) -> Option<(&str, &str)> {
    word.split_once('=').filter(|(key, _)| !key.is_empty() && !key.starts_with('$'))
}

/// The content of a quoted string (control-spec, "QuotedString", with C escapes); other text as it
/// is.
pub(super) fn unquote(value: &str) -> Cow<'_, str> {
    let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    let Some(inner) = inner else { return Cow::Borrowed(value) };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut plain = Vec::with_capacity(inner.len());
    let mut bytes = inner.bytes().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            plain.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'n') => plain.push(b'\n'),
            Some(b't') => plain.push(b'\t'),
            Some(b'r') => plain.push(b'\r'),
            Some(first @ b'0'..=b'7') => {
                let mut code = u32::from(first - b'0');
                for _ in 0..2 {
                    let Some(digit) = bytes.next_if(|b| (b'0'..=b'7').contains(b)) else { break };
                    code = code * 8 + u32::from(digit - b'0');
                }
                plain.push(u8::try_from(code & 0xFF).expect("masked to one byte"));
            }
            Some(other) => plain.push(other),
            None => {}
        }
    }
    Cow::Owned(String::from_utf8_lossy(&plain).into_owned())
}

/// Whether this is an onion address as commands and events write it.
pub(super) fn is_address(text: &str) -> bool {
    text.len() == 56 && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
}

/// Reads `$FP`, `$FP~nickname` or `$FP=nickname` (control-spec, "LongName").
pub(super) fn relay(text: &str) -> Option<RelayId> {
    let text = text.strip_prefix('$').unwrap_or(text);
    let digits = text.split(['~', '=']).next()?;
    fixed_hex(digits).map(RelayId)
}

/// Reads exactly `N` bytes of hexadecimal.
pub(super) fn fixed_hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let bytes = HEXUPPER_PERMISSIVE.decode(digits.as_bytes()).ok()?;
    bytes.try_into().ok()
}

/// Reads a blinded key in base64 without padding, which is what v3 descriptor ids are.
pub(super) fn blinded(text: &str) -> Option<BlindedId> {
    let mut key = [0; 32];
    let decoded = Base64Unpadded::decode(text, &mut key).ok()?;
    if decoded.len() == 32 { Some(BlindedId(key)) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_values_keep_their_spaces_and_lose_their_escapes() {
        let line = r#"NOTICE  BOOTSTRAP SUMMARY="a \"b\" \\" TAG=x"#;
        let words: Vec<&str> = Words::new(line).collect();
        assert_eq!(words, ["NOTICE", "BOOTSTRAP", r#"SUMMARY="a \"b\" \\""#, "TAG=x"]);
        let (key, value) = pair(words[2]).unwrap();
        assert_eq!((key, unquote(value).as_ref()), ("SUMMARY", r#"a "b" \"#));
        assert_eq!(unquote(r#""\101\n\303\251\7x""#), "A\né\u{7}x");
        assert_eq!(unquote(r#""open"#), r#""open"#);
        assert_eq!(unquote(r#""\"#), r#""\"#);
    }

    #[test]
    fn relays_are_read_with_both_separators_and_nothing_else() {
        let fingerprint = "0123456789ABCDEF0123456789abcdef01234567";
        let id = relay(&format!("${fingerprint}~nick")).unwrap();
        assert_eq!(id.to_string(), fingerprint.to_uppercase());
        assert_eq!(relay(&format!("${fingerprint}=nick")), Some(id));
        assert_eq!(relay(fingerprint), Some(id));
        for wrong in ["", "$", "UNKNOWN", "$0123~nick", "$ÿ", &fingerprint[1..]] {
            assert_eq!(relay(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_path_entry_is_not_a_pair() {
        assert_eq!(pair("$0123=nick"), None);
        assert_eq!(pair("=x"), None);
    }
}
