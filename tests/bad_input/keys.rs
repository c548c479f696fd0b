//! Keys that cannot be used: the node does not start, and says what to do.

use std::os::unix::fs::PermissionsExt as _;

use rustbalance::hs::address;
use rustbalance::hs::keys::MasterKey;

use crate::site::Site;

/// An Onionbalance key of another service.
const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";

/// What the node says before it ends with 78, having left no socket behind.
fn refusal(site: &Site) -> String {
    site.start();
    let (code, log) = site.ended();
    assert_eq!(code, 78, "{log}");
    assert!(log.contains("ERROR") && !log.contains("panicked"), "{log}");
    assert!(log.contains(&site.path("master.key").display().to_string()), "{log}");
    assert!(!site.path("socket").exists(), "no socket without a node");
    log
}

#[test]
fn each_wrong_key_file_is_named_with_what_to_do() {
    let site = Site::new();
    let good = site.master.to_tor_file();
    let mixed = [&good[..], PEM.as_bytes()].concat();
    let mixed_the_other_way = [PEM.as_bytes(), &good[..]].concat();
    let long = [&good[..], b"\n"].concat();
    let public = [&b"== ed25519v1-public: type0 ==\0\0\0"[..], &[7; 32]].concat();
    let raw = [0x42; 64];
    let huge = vec![b'x'; 1 << 20];
    let cases: [(&[u8], &str); 10] = [
        (b"", "the key file is empty"),
        (&good[..95], "has 96 bytes and this one 95"),
        (&long, "has 96 bytes and this one 97"),
        (&mixed, "mixes tor's format and PEM"),
        (&mixed_the_other_way, "mixes tor's format and PEM"),
        (&public, "this is the public key"),
        (&raw, "no known key format"),
        (&PEM.as_bytes()[..60], "the PEM key cannot be read"),
        (b"-----BEGIN RSA PRIVATE KEY-----\nMIIC", "version 2 onion service"),
        (&huge, "has 1048576 bytes: that is no key file"),
    ];
    for (content, wanted) in cases {
        site.write_key(content);
        let _ = std::fs::remove_file(site.path("log"));
        let log = refusal(&site);
        assert!(log.contains(wanted), "{wanted:?} is not in {log}");
    }
    site.write_key(&good);
    site.start();
    site.wait_healthy();
}

#[test]
fn a_key_of_another_address_names_both() {
    let site = Site::new();
    site.write_key(PEM.as_bytes());
    let other = MasterKey::parse(PEM.as_bytes()).unwrap().id();
    let log = refusal(&site);
    assert!(log.contains(&address::onion(&other)), "redact is off here: {log}");
    assert!(log.contains(&address::onion(&site.master.id())), "{log}");
    assert!(log.contains("correct [[service]] onion or key_file"), "{log}");
}

#[test]
fn a_key_that_is_missing_exposed_or_no_file_is_refused() {
    let site = Site::new();
    let key = site.path("master.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let log = refusal(&site);
    assert!(log.contains("mode 0644") && log.contains("chmod 0600"), "{log}");
    std::fs::remove_file(&key).unwrap();
    let log = refusal(&site);
    assert!(log.contains("cannot read the key of") && log.contains("No such file"), "{log}");
    std::fs::create_dir(&key).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o700)).unwrap();
    let log = refusal(&site);
    assert!(log.contains("no regular file"), "{log}");
}
