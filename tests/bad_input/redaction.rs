//! With `redact = true` the log never holds a whole onion address, whatever goes wrong.

use std::collections::BTreeMap;

use rustbalance::hs::address;
use rustbalance::hs::keys::MasterKey;

use crate::fake_tor::Answer;
use crate::site::Site;

/// A site whose log tells everything but addresses.
fn discreet() -> Site {
    let site = Site::new();
    site.reconfigure("redact = false", "redact = true\nlog_level = \"trace\"");
    site
}

fn assert_discreet(site: &Site) {
    let log = site.log();
    let is_address = |word: &&str| word.len() >= 56;
    let foreign = |c: char| !c.is_ascii_alphabetic() && !matches!(c, '2'..='7');
    let found: Vec<&str> = log.split(foreign).filter(is_address).collect();
    assert!(found.is_empty(), "{found:?} in:\n{log}");
    assert!(log.contains('…'), "addresses were to be mentioned:\n{log}");
}

#[test]
fn a_run_with_every_kind_of_trouble_mentions_addresses_by_their_ends_only() {
    let site = discreet();
    let (master, own) = (address::bare(&site.master.id()), address::bare(&site.own.id()));
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    site.tor.script(move |request| {
        let kinds = ["HSPOST", "HSFETCH", "GETINFO hs/"];
        let kind = kinds.into_iter().find(|kind| request.is(kind))?;
        let count = seen.entry(kind).or_default();
        *count += 1;
        match (kind, *count) {
            ("HSPOST", 1) => Some(request.failed("UPLOAD_REJECTED")),
            ("HSPOST", 2) => Some(Answer::Say(format!("554 Bad descriptor of {master}\r\n"))),
            ("HSFETCH", 1) => Some(Answer::Say(format!("551 Not {master} now\r\n"))),
            ("GETINFO hs/", 1) => {
                Some(Answer::Say(format!("551 Not about {own}\r\n650 MELTDOWN {own}\r\n")))
            }
            _ => None,
        }
    });
    site.start();
    site.wait_log("An event was not understood");
    site.wait_log("554 Bad descriptor of");
    assert_discreet(&site);
}

#[test]
fn an_answer_that_names_another_address_is_quoted_by_the_ends() {
    let site = discreet();
    let own = address::bare(&site.own.id());
    site.tor.script(move |request| {
        let lie = format!("250-hs/service/desc/id/{own}x=\r\n250 OK\r\n");
        request.is("GETINFO hs/").then_some(Answer::Say(lie))
    });
    site.start();
    site.wait_log("answered GETINFO with something else");
    assert_discreet(&site);
    let site = discreet();
    let own = address::bare(&site.own.id());
    site.tor.script(move |request| {
        let nonsense = format!("HS_DESC UPLOADED {own}\r\n");
        request.is("GETINFO hs/").then_some(Answer::Say(nonsense))
    });
    site.start();
    site.wait_log("not a reply line");
    assert_discreet(&site);
}

#[test]
fn errors_at_the_start_name_addresses_by_their_ends() {
    let other = MasterKey::generate(&mut rand::rng());
    let site = discreet();
    site.write_key(&other.to_tor_file());
    site.start();
    let (code, log) = site.ended();
    assert_eq!(code, 78, "{log}");
    assert!(log.contains("correct [[service]] onion or key_file"), "{log}");
    std::fs::remove_file(site.path("master.key")).unwrap();
    site.start();
    assert_eq!(site.ended().0, 78);
    let own = address::onion(&site.own.id());
    site.reconfigure(&own, &format!("{}aaaa{}", &own[..40], &own[44..]));
    site.start();
    assert_eq!(site.ended().0, 78);
    assert!(site.log().contains("checksum does not match"), "{}", site.log());
    assert_discreet(&site);
}
