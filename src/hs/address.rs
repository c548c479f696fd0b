//! Onion addresses: `….onion` text to identity key and back (rend-spec-v3, section ONIONADDRESS).

use data_encoding::BASE32_NOPAD;

use super::curve;
use super::digest::sha3_256;
use crate::ident::HsId;

const SUFFIX: &str = ".onion";
const LENGTH: usize = 56;
const VERSION: u8 = 3;

/// Why a text is not the address of an onion service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It has another length than 56 characters without the suffix.
    #[error(
        "the address has {0} characters before .onion where version 3 has 56: copy it whole from \
         the file hostname"
    )]
    Length(usize),
    /// It is a version 2 address, which the network no longer serves.
    #[error("this is a version 2 address (16 characters): only version 3 (56) is served today")]
    VersionTwo,
    /// It has a character other than a-z and 2-7.
    #[error("the address has the character {0:?}: only a-z and 2-7 may stand there")]
    Character(char),
    /// Its version byte is not 3.
    #[error("the address says version {0}: only version 3 is known")]
    Version(u8),
    /// Its checksum does not match: a typing error.
    #[error("the address's checksum does not match: one or more characters are wrong")]
    Checksum,
    /// Its key is no point of the curve, or not of prime order.
    #[error("the address's key is not a valid Ed25519 key: no service can have this address")]
    Key,
}

/// Reads an address of any case, with or without `.onion`; nothing else may stand around it.
pub fn parse(text: &str) -> Result<HsId, AddressError> {
    let lower = text.to_ascii_lowercase();
    let bare = lower.strip_suffix(SUFFIX).unwrap_or(&lower);
    match bare.chars().count() {
        LENGTH => {}
        16 => return Err(AddressError::VersionTwo),
        other => return Err(AddressError::Length(other)),
    }
    if let Some(wrong) = bare.chars().find(|c| !matches!(c, 'a'..='z' | '2'..='7')) {
        return Err(AddressError::Character(wrong));
    }
    let bytes = BASE32_NOPAD
        .decode(bare.to_ascii_uppercase().as_bytes())
        .expect("56 characters of the alphabet are 35 bytes");
    let (key, rest) = bytes.split_first_chunk::<32>().expect("35 bytes hold 32");
    let [check_0, check_1, version] = *rest else { unreachable!("35 - 32 = 3") };
    if version != VERSION {
        return Err(AddressError::Version(version));
    }
    if checksum(key) != [check_0, check_1] {
        return Err(AddressError::Checksum);
    }
    curve::identity_point(key).ok_or(AddressError::Key)?;
    Ok(HsId(*key))
}

/// The address with `.onion`, in lower case.
pub fn onion(id: &HsId) -> String {
    bare(id) + SUFFIX
}

/// The 56 characters of the address without `.onion`, as the control port wants them.
pub fn bare(id: &HsId) -> String {
    let mut bytes = [VERSION; 35];
    bytes[..32].copy_from_slice(&id.0);
    bytes[32..34].copy_from_slice(&checksum(&id.0));
    BASE32_NOPAD.encode(&bytes).to_ascii_lowercase()
}

/// The text with the middle of every address in it left out: for what quotes a stranger's words,
/// and may end up in a log.
pub fn shorten_all(text: &str) -> String {
    let in_alphabet = |c: char| c.is_ascii_alphabetic() || matches!(c, '2'..='7');
    let mut short = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(in_alphabet) {
        let (before, after) = rest.split_at(start);
        let (word, next) = after.split_at(after.find(|c| !in_alphabet(c)).unwrap_or(after.len()));
        short.push_str(before);
        if word.len() < LENGTH {
            short.push_str(word);
        } else {
            short.push_str(&format!("{}…{}", &word[..12], &word[word.len() - 4..]));
        }
        rest = next;
    }
    short + rest
}

fn checksum(key: &[u8; 32]) -> [u8; 2] {
    let [a, b, ..] = sha3_256(&[b".onion checksum", key, &[VERSION]]);
    [a, b]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hs::curve::tests::hex;

    const ADDRESS: &str = "25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid";

    fn id() -> HsId {
        HsId(hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"))
    }

    #[test]
    fn the_published_vector_holds_in_both_directions() {
        assert_eq!(bare(&id()), ADDRESS);
        assert_eq!(onion(&id()), format!("{ADDRESS}.onion"));
        assert_eq!(parse(ADDRESS), Ok(id()));
        assert_eq!(parse(&format!("{ADDRESS}.onion")), Ok(id()));
        assert_eq!(parse(&format!("{ADDRESS}.ONION").to_uppercase()), Ok(id()));
    }

    #[test]
    fn each_fault_has_its_own_error() {
        assert_eq!(parse(""), Err(AddressError::Length(0)));
        assert_eq!(parse(&ADDRESS[1..]), Err(AddressError::Length(55)));
        assert_eq!(parse("expyuzz4wqqyqhjn.onion"), Err(AddressError::VersionTwo));
        assert_eq!(parse(&ADDRESS.replace('2', "1")), Err(AddressError::Character('1')));
        assert_eq!(parse(&ADDRESS.replace('2', "ü")), Err(AddressError::Character('ü')));
        assert_eq!(parse(&ADDRESS.replacen('q', "r", 1)), Err(AddressError::Checksum));
        assert_eq!(parse(&format!("{}e", &ADDRESS[..55])), Err(AddressError::Version(4)));
        assert!(matches!(parse(&format!(" {ADDRESS}")), Err(AddressError::Length(57))));
    }

    #[test]
    fn a_text_keeps_the_ends_of_its_addresses_and_everything_else() {
        let short = "25njqamcwefl…5sid";
        for (text, expected) in [
            (String::new(), String::new()),
            ("250-version=ü 0.4.9".to_owned(), "250-version=ü 0.4.9".to_owned()),
            (ADDRESS.to_owned(), short.to_owned()),
            (format!("a {ADDRESS}.onion,{ADDRESS}!"), format!("a {short}.onion,{short}!")),
            (ADDRESS.to_uppercase(), "25NJQAMCWEFL…5SID".to_owned()),
            (ADDRESS[1..].to_owned(), ADDRESS[1..].to_owned()),
        ] {
            assert_eq!(shorten_all(&text), expected);
        }
    }

    #[test]
    fn a_key_off_the_curve_or_with_torsion_is_refused() {
        let off_curve = (0..=255u8).map(|i| [i; 32]).find(|key| !curve::is_usable_ed25519(key));
        assert_eq!(parse(&bare(&HsId(off_curve.unwrap()))), Err(AddressError::Key));
        assert_eq!(parse(&bare(&HsId([0; 32]))), Err(AddressError::Key));
    }
}
