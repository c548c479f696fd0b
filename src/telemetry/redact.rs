//! Keeps addresses out of what is written: one setting for the whole process, on unless it is
//! switched off.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

/// What stands in place of something hidden.
pub const HIDDEN: &str = "[hidden]";

/// The characters of an onion address before its end.
const ONION_LEN: usize = 56;

/// How many of them are shown from its start, and how many from its end.
const ONION_SHOWN: (usize, usize) = (12, 4);

const ONION_SUFFIX: &str = ".onion";

static REDACTING: AtomicBool = AtomicBool::new(true);

/// Whether [`Redacted`] values hide themselves.
pub fn is_redacting() -> bool {
    REDACTING.load(Ordering::Relaxed)
}

/// Switches redaction for the whole process.
pub fn set_redacting(on: bool) {
    REDACTING.store(on, Ordering::Relaxed);
}

/// A value that is written in a harmless form while redaction is on, and whole otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted {
    whole: String,
    harmless: String,
}

impl fmt::Display for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if is_redacting() { &self.harmless } else { &self.whole })
    }
}

/// An onion address, shortened by [`shorten`].
pub fn redact_onion(address: &str) -> Redacted {
    Redacted { whole: address.to_owned(), harmless: shorten(address) }
}

/// An onion address as an operator recognises it, and nobody can look it up:
/// `newsroomx4k2…q7ad.onion`. What is shortened already stays; anything else is hidden.
pub fn shorten(address: &str) -> String {
    let name = address.strip_suffix(ONION_SUFFIX).unwrap_or(address);
    let (start, end) = ONION_SHOWN;
    match name.split_once('…') {
        Some((a, b)) if a.chars().count() <= start && b.chars().count() <= end => {
            format!("{name}{ONION_SUFFIX}")
        }
        None if name.len() == ONION_LEN && name.is_ascii() => {
            format!("{}…{}{ONION_SUFFIX}", &name[..start], &name[ONION_LEN - end..])
        }
        _ => HIDDEN.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid.onion";

    #[test]
    fn an_onion_address_keeps_its_ends() {
        assert_eq!(shorten(ADDRESS), "25njqamcwefl…5sid.onion");
        assert_eq!(shorten(ADDRESS.trim_end_matches(".onion")), "25njqamcwefl…5sid.onion");
        assert_eq!(shorten(&shorten(ADDRESS)), shorten(ADDRESS));
    }

    #[test]
    fn what_is_no_onion_address_is_hidden() {
        let long_ends = format!("{}…{}", &ADDRESS[..40], &ADDRESS[40..56]);
        for text in ["", "secret", &ADDRESS[1..], &"é".repeat(28), &long_ends] {
            assert_eq!(shorten(text), HIDDEN, "{text}");
        }
    }

    #[test]
    fn redaction_is_on_until_it_is_switched_off() {
        let onion = redact_onion(ADDRESS);
        assert_eq!(format!("{onion:>24}"), " 25njqamcwefl…5sid.onion");
        set_redacting(false);
        let whole = onion.to_string();
        set_redacting(true);
        assert_eq!(whole, ADDRESS);
    }
}
