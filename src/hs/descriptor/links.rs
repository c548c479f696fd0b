//! Link specifiers: how a client finds and recognises an introduction point's relay (tor-spec,
//! EXTEND2). They travel as the bytes they are; here they are only checked.

use crate::ident::{LINK_SPECIFIERS_MAX_BYTES, RelayId};

const IPV4: u8 = 0;
const IPV6: u8 = 1;
const RSA_IDENTITY: u8 = 2;
const ED25519_IDENTITY: u8 = 3;

/// The relay's RSA identity, from specifiers with which C tor's clients can extend a circuit: one
/// RSA identity, at most one Ed25519 identity, at least one address, nothing left over.
pub(super) fn relay(encoded: &[u8]) -> Result<RelayId, &'static str> {
    if encoded.len() > LINK_SPECIFIERS_MAX_BYTES {
        return Err("link specifiers of more than 200 bytes");
    }
    let (count, mut rest) = encoded.split_first().ok_or("no link specifiers")?;
    let (mut identity, mut addresses, mut ed25519) = (None, 0, 0);
    for _ in 0..*count {
        let [kind, length, after @ ..] = rest else {
            return Err("link specifiers that break off");
        };
        let (body, next) =
            after.split_at_checked(usize::from(*length)).ok_or("link specifiers that break off")?;
        match (*kind, body.len()) {
            (IPV4, 6) | (IPV6, 18) => addresses += 1,
            (RSA_IDENTITY, 20) if identity.is_none() => identity = body.try_into().ok(),
            (ED25519_IDENTITY, 32) if ed25519 == 0 => ed25519 += 1,
            (IPV4 | IPV6 | RSA_IDENTITY | ED25519_IDENTITY, _) => {
                return Err("a link specifier of wrong length, or twice");
            }
            _ => {}
        }
        rest = next;
    }
    match identity {
        _ if !rest.is_empty() => Err("bytes after its link specifiers"),
        _ if addresses == 0 => Err("no address among its link specifiers"),
        Some(identity) => Ok(RelayId(identity)),
        None => Err("no RSA identity among its link specifiers"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(kind: u8, length: u8) -> Vec<u8> {
        [vec![kind, length], vec![kind; usize::from(length)]].concat()
    }

    fn encoded(specs: &[(u8, u8)]) -> Vec<u8> {
        let count = u8::try_from(specs.len()).unwrap();
        let bodies = specs.iter().flat_map(|(kind, length)| spec(*kind, *length));
        [count].into_iter().chain(bodies).collect()
    }

    #[test]
    fn what_c_tor_writes_is_accepted() {
        for specs in [
            &[(0, 6), (2, 20), (3, 32)][..],
            &[(0, 6), (2, 20), (3, 32), (1, 18)],
            &[(1, 18), (2, 20)],
            &[(0, 6), (2, 20), (77, 5)],
        ] {
            assert_eq!(relay(&encoded(specs)), Ok(RelayId([2; 20])), "{specs:?}");
        }
    }

    #[test]
    fn what_no_client_can_use_is_refused() {
        for specs in [
            &[][..],
            &[(2, 20), (3, 32)],
            &[(0, 6), (3, 32)],
            &[(0, 6), (2, 19)],
            &[(0, 5), (2, 20)],
            &[(0, 6), (2, 20), (2, 20)],
            &[(0, 6), (2, 20), (99, 180)],
        ] {
            assert!(relay(&encoded(specs)).is_err(), "{specs:?}");
        }
        let good = encoded(&[(0, 6), (2, 20), (3, 32)]);
        assert_eq!(good.len(), 65);
        for length in 0..good.len() {
            assert!(relay(&good[..length]).is_err());
        }
        assert!(relay(&[&good[..], &[0]].concat()).is_err());
    }
}
