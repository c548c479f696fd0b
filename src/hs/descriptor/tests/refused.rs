//! Documents that somebody forged, damaged or made against the rules.

use super::*;

#[test]
fn forged_foreign_and_cut_documents_are_told_apart() {
    let document = built(3);
    assert_eq!(read_it(&document.replacen("180", "181", 1)), Err(DescriptorError::Forged));
    let candidates = [PERIOD];
    let foreign = read(document.as_bytes(), &master(2).id(), &candidates, signed_at());
    assert_eq!(foreign, Err(DescriptorError::AnotherService));
    let other_period = [PERIOD.next(), PERIOD.previous()];
    let other = read(document.as_bytes(), &master(1).id(), &other_period, signed_at());
    assert_eq!(other, Err(DescriptorError::AnotherService));
    for length in [100, 5_000, document.len() - 150, document.len() - 20] {
        assert_eq!(read_it(&document[..length]), Err(DescriptorError::Truncated), "{length}");
    }
    assert_eq!(read_it(""), Err(DescriptorError::NotADescriptor));
    assert_eq!(read_it("404 Not found"), Err(DescriptorError::NotADescriptor));
    assert!(matches!(read_it(&format!("{document}x y\n")), Err(DescriptorError::Malformed { .. })));
    let long = format!("{document}{}", "x".repeat(50_000));
    assert!(matches!(read_it(&long), Err(DescriptorError::TooLarge(_))));
    let id = HsId([0; 32]);
    let nobody = read(document.as_bytes(), &id, &candidates, signed_at());
    assert!(matches!(nobody, Err(DescriptorError::NotAnIdentity(_))));
    assert!(read_it(document.trim_end()).is_ok());
}

/// Whoever runs an HSDir can sign with a key of his own; the blinded key does not vouch for it.
#[test]
fn a_signing_key_that_the_blinded_key_did_not_certify_is_refused() {
    let (real, mine) = (outer::read(&built(3)).unwrap(), SigningKey::from_bytes(&[66; 32]));
    let subject = mine.verifying_key().to_bytes();
    let signer = blinded().id().0;
    let certificate = certificate::make(Purpose::Signing, &subject, until(), &signer, |bytes| {
        use ed25519_dalek::Signer as _;
        mine.sign(bytes).to_bytes()
    });
    let forged = outer::write(&mine, &certificate, Revision(u64::MAX), &real.superencrypted);
    let of = CertifiedKey::Signing;
    let refused = DescriptorError::Certificate { of, cause: CertificateError::Signature };
    assert_eq!(read_it(&forged), Err(refused.clone()));
    let outer = read_outer(forged.as_bytes(), &master(1).id(), &[PERIOD]);
    assert_eq!(outer, Err(refused));
}

#[test]
fn numbers_of_points_outside_1_to_20_have_their_own_errors() {
    let with = |count: u8| {
        let points: Vec<IntroPoint> = (1..=count).map(|i| point(i, false)).collect();
        read_it(&with_inner(&inner_text(&points, until()))).map(|received| received.points.len())
    };
    assert_eq!(with(0), Err(DescriptorError::NoPoints));
    assert_eq!((with(1), with(20)), (Ok(1), Ok(20)));
    assert_eq!(with(21), Err(DescriptorError::TooManyPoints(21)));
    assert_eq!(with(25), Err(DescriptorError::TooManyPoints(25)));
}

#[test]
fn useless_keys_and_foreign_certificates_are_refused() {
    let read_points =
        |points: &[IntroPoint]| read_it(&with_inner(&inner_text(points, until()))).map(|_| ());
    let wrong_in = |change: fn(&mut IntroPoint)| {
        let mut second = point(2, false);
        change(&mut second);
        match read_points(&[point(1, false), second]) {
            Err(DescriptorError::Point { number: 2, .. }) => {}
            other => panic!("{other:?}"),
        }
    };
    wrong_in(|point| point.enc_key = [0; 32]);
    wrong_in(|point| point.onion_key = [0; 32]);
    wrong_in(|point| point.auth_key = [0; 32]);
    wrong_in(|point| point.link_specifiers = vec![0]);
    assert_eq!(read_points(&[point(1, false)]), Ok(()));

    let text = inner_text(&[point(1, false)], until());
    let other = inner_text(&[point(2, false)], until());
    let line = |text: &str, start: &str| {
        text.lines().find(|line| line.starts_with(start)).unwrap().to_owned()
    };
    let swapped = text.replace(&line(&text, "enc-key ntor"), &line(&other, "enc-key ntor"));
    assert!(matches!(read_it(&with_inner(&swapped)), Err(DescriptorError::Point { .. })));

    let built_inner = |document: &str| {
        let outer = outer::read(document).unwrap();
        let (id, subcredential) = (blinded().id(), blinded().subcredential());
        let secrets =
            Secrets { blinded: &id, subcredential: &subcredential, revision: outer.revision };
        let middle = secrets.decrypt(Encryption::Superencrypted, &outer.superencrypted).unwrap();
        secrets.decrypt(Encryption::Encrypted, &middle::read(&middle).unwrap()).unwrap()
    };
    let signed_by_another = String::from_utf8(built_inner(&built(1))).unwrap();
    let of = CertifiedKey::Auth(1);
    let cause = CertificateError::Signature;
    let refused = read_it(&with_inner(&signed_by_another));
    assert_eq!(refused, Err(DescriptorError::Certificate { of, cause }));

    let expired = inner_text(&[point(1, false)], Wall(signed_at().0 - 7200));
    let refused = read_it(&with_inner(&expired));
    let expired = matches!(
        refused,
        Err(DescriptorError::Certificate { cause: CertificateError::Expired(_), .. })
    );
    assert!(expired, "{refused:?}");
}

#[test]
fn header_lines_are_told_and_odd_ones_refused() {
    let text = inner_text(&[point(1, false)], until());
    let with_line = |line: &str| {
        let text = text.replacen("introduction-point", &format!("{line}introduction-point"), 1);
        read_it(&with_inner(&text))
    };
    let pow = with_line("pow-params v1 AAAA 0 2026-01-01T00:00:00\n").unwrap();
    assert!(pow.pow && !pow.single_onion);
    assert!(with_line("single-onion-service\n").unwrap().single_onion);
    assert!(with_line("from-the-future 1 2 3\n").is_ok());
    assert!(matches!(
        with_line("intro-auth-required ed25519\n"),
        Err(DescriptorError::Unsupported(_))
    ));
    assert!(matches!(with_line("flow-control 1 1\n"), Err(DescriptorError::Malformed { .. })));
    let none = read_it(&with_inner(&text.replace("flow-control 1-2 31\n", ""))).unwrap();
    assert_eq!(none.flow_control, None);
    let opaque = text.replace("flow-control 1-2 31", "flow-control 1-9 99 x=y");
    let opaque = read_it(&with_inner(&opaque)).unwrap();
    assert_eq!(opaque.flow_control.as_deref(), Some("1-9 99 x=y"));
    let formats = text.replace("create2-formats 2", "create2-formats 3");
    assert!(matches!(read_it(&with_inner(&formats)), Err(DescriptorError::Unsupported(_))));
}
