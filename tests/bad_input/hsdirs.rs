//! HSDirs that are dead, unknown to tor, or refuse: every upload is tried again, the others do not
//! suffer, and the status counts what is missing.

use std::sync::{Arc, Mutex};

use rustbalance::hs::descriptor::{self, Content};
use rustbalance::ident::RelayId;
use rustbalance::time::{Slot, Wall};
use serde_json::Value;

use crate::fake_tor::world::wall;
use crate::fake_tor::{Answer, Request};
use crate::site::{Site, check, points_of};

/// One HSDir answers uploads like this; the node must name it and serve with the rest. After tor
/// has come back, and the HSDir with it, everything is well.
fn one_bad_hsdir(
    code: &str,
    said: &str,
    logged: &str,
    answer: impl Fn(&Request) -> Answer + Send + 'static,
) {
    let site = Site::new();
    let victim: Arc<Mutex<Option<String>>> = Arc::default();
    site.tor.script(move |request| {
        if !request.is("HSPOST") {
            return None;
        }
        let mut victim = victim.lock().unwrap();
        let server = request.word("SERVER")?;
        let chosen = victim.get_or_insert_with(|| server.to_owned());
        (*chosen == server).then(|| answer(request))
    });
    site.start();
    site.wait_log(logged);
    let one_is_missing = |status: &Value| {
        let missing: u64 = descriptors(status).iter().map(missing).sum();
        // The same relay may be responsible in both periods.
        (1..=2).contains(&missing) && check(status, code).is_some_and(|text| text.contains(said))
    };
    let status = site.wait_status("published on all others", one_is_missing);
    assert_eq!(status["health"], "warn", "{}", site.screen());
    site.tor.honest();
    site.tor.vanish();
    site.tor.appear();
    site.wait_healthy();
}

fn descriptors(status: &Value) -> &Vec<Value> {
    status["services"][0]["descriptors"].as_array().expect("a list")
}

fn missing(descriptor: &Value) -> u64 {
    let number = |name: &str| descriptor[name].as_u64().expect("a number");
    number("hsdirs_target") - number("hsdirs_confirmed")
}

#[test]
fn a_dead_one_gives_no_event_and_is_counted_by_our_own_clock() {
    one_bad_hsdir("HSDIRS_MISSING", "no answer in time", "no answer in time", |_| {
        Answer::Say("250 OK\r\n".to_owned())
    });
}

#[test]
fn one_that_tor_does_not_know_is_named() {
    one_bad_hsdir(
        "HSDIRS_MISSING",
        "tor does not know this HSDir",
        "does not know this HSDir",
        |_| Answer::Say("552 Server not found\r\n".to_owned()),
    );
}

#[test]
fn one_that_refuses_always_is_named() {
    one_bad_hsdir(
        "HSDIRS_MISSING",
        "refused (revision not greater)",
        "refused (revision not greater)",
        |request| request.failed("UPLOAD_REJECTED"),
    );
}

#[test]
fn one_that_fails_in_an_unknown_way_is_named() {
    one_bad_hsdir("HSDIRS_MISSING", "tor says UNEXPECTED", "tor says UNEXPECTED", |r| {
        r.failed("UNEXPECTED")
    });
}

#[test]
fn a_document_that_tor_finds_invalid_is_an_error_in_the_log() {
    one_bad_hsdir("HSDIRS_MISSING", "554 Invalid descriptor", "could not be uploaded", |_| {
        Answer::Say("554 Invalid descriptor\r\n".to_owned())
    });
}

#[test]
fn a_command_that_tor_finds_malformed_is_an_error_in_the_log() {
    one_bad_hsdir("HSDIRS_MISSING", "512 Bad arguments", "could not be uploaded", |_| {
        Answer::Say("512 Bad arguments\r\n".to_owned())
    });
}

#[test]
fn one_that_refuses_once_gets_it_soon_after() {
    let site = Site::new();
    let mut refused = std::collections::BTreeSet::new();
    site.tor.script(move |request| {
        let once = request.is("HSPOST") && refused.insert(request.word("SERVER")?.to_owned());
        once.then(|| request.failed("UPLOAD_REJECTED"))
    });
    site.start();
    site.wait_healthy();
}

#[test]
fn no_hsdir_at_all_is_down_and_nothing_is_claimed() {
    let site = Site::new();
    site.tor.script(|request| request.is("HSPOST").then(|| request.failed("UPLOAD_REJECTED")));
    site.start();
    site.wait_log("Descriptor confirmed on 0/16 HSDirs");
    let status = site.wait_check("PUBLISH_FAILED", "no HSDir has taken the first descriptor");
    assert_eq!(status["health"], "crit", "{}", site.screen());
    assert!(check(&status, "HSDIRS_MISSING").is_some_and(|text| text.contains("8 of 8")));
    assert!(descriptors(&status).iter().all(|d| d["age_s"].is_null()), "{status}");
    assert!(status["fronts"][0]["intro_in_descriptor"].is_null(), "{status}");
    assert!(site.screen().contains("not confirmed"), "{}", site.screen());
}

/// A document that another holder of the master key signed `ahead_s` from now lies on all HSDirs.
fn rival(site: &Site, slot: Slot, ahead_s: u64) -> Vec<RelayId> {
    let mut world = site.tor.world();
    let period = match slot {
        Slot::First => world.periods[0],
        Slot::Second => world.periods[1],
    };
    let content = Content { points: points_of(4), flow_control: None };
    let signed_at = Wall(wall().0 + ahead_s);
    let document = descriptor::build(&site.master.blind(&period), &content, signed_at).unwrap();
    let everywhere: Vec<RelayId> = world.hsdirs.clone();
    for hsdir in &everywhere {
        assert!(world.store(site.master.id(), *hsdir, document.clone()));
    }
    world.uploads.clear();
    everywhere
}

#[test]
fn a_newer_document_of_a_rival_is_read_named_and_overtaken() {
    let site = Site::new();
    rival(&site, Slot::First, 45);
    site.start();
    site.wait_log("a second publisher");
    site.wait_healthy();
    let world = site.tor.world();
    let rejected = world.uploads.iter().filter(|upload| !upload.taken).count();
    assert!(rejected > 0, "the rival's document was in the way");
}

#[test]
fn a_newer_document_that_cannot_be_fetched_is_overtaken_too() {
    let site = Site::new();
    rival(&site, Slot::Second, 45);
    site.start();
    site.wait_healthy();
    let world = site.tor.world();
    let of_second = world.uploads.iter().filter(|u| u.period == world.periods[1]);
    assert!(of_second.filter(|upload| !upload.taken).count() > 0, "it was in the way");
}

#[test]
fn fetch_backs_that_return_nonsense_are_reported_and_repaired() {
    let site = Site::new();
    let master = rustbalance::hs::address::bare(&site.master.id()).to_string();
    let mut lies = 2;
    site.tor.script(move |request| {
        if lies == 0 || !request.is("HSFETCH") || request.address() != master {
            return None;
        }
        lies -= 1;
        let server = request.word("SERVER")?;
        Some(Answer::Say(format!(
            "250 OK\r\n650+HS_DESC_CONTENT {master} UNKNOWN ${server}~fake\r\nnonsense\r\n.\r\n\
             650 OK\r\n"
        )))
    });
    site.start();
    site.wait_log("returns a bad document");
    let status = site.wait_healthy();
    assert!(check(&status, "HSDIRS_MISSING").is_none(), "{status}");
}
