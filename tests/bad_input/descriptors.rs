//! Descriptors of fronts that must not be believed: each is refused with its reason, its front is
//! named in the status, and the other front goes on being published.

use rustbalance::hs::keys::MasterKey;
use rustbalance::ident::IntroPoint;
use serde_json::Value;

use crate::fake_tor::world::network_at;
use crate::foreign;
use crate::points;
use crate::site::{BACKEND, OWN, POINTS, Site, check, instance, points_of};

/// Documents for a key, each with what must be said of it.
fn wrong(site: &Site, key: &MasterKey, points: &[IntroPoint]) -> Vec<(String, &'static str)> {
    let period = site.tor.world().current();
    let good = instance(key, &period, points);
    let at = good.rfind("signature ").expect("it is signed") + "signature ".len();
    let other_letter = if good[at..].starts_with('A') { "B" } else { "A" };
    let forged = format!("{}{other_letter}{}", &good[..at], &good[at + 1..]);
    let stranger = instance(&MasterKey::generate(&mut rand::rng()), &period, points);
    let old = instance(key, &period.previous().previous(), points);
    let many = points::content(25).points;
    vec![
        (forged, "signature is wrong: it is forged or damaged"),
        (stranger, "belongs to another address or time period"),
        (old, "belongs to another address or time period"),
        (foreign::descriptor(key, &period, &[]), EMPTY),
        (foreign::descriptor(key, &period, &many), "names 25 introduction points"),
        (good[..good.len() / 2].to_owned(), "breaks off before its signature"),
        ("hello\n".to_owned(), "no version 3 onion-service descriptor"),
        (format!("hs-descriptor 3\n{}", "x\n".repeat(30_000)), "the limit is below 50000"),
    ]
}

/// A backend's descriptor without points is wrong; the own tor shows one before its first circuit.
const EMPTY: &str = "names no introduction point";

fn front<'a>(status: &'a Value, name: &str) -> &'a Value {
    let fronts = status["fronts"].as_array().expect("a list");
    fronts.iter().find(|front| front["name"] == name).expect("it is listed")
}

fn refused(name: &str, why: &str) -> impl Fn(&Value) -> bool {
    move |status| front(status, name)["last_error"].as_str().is_some_and(|e| e.contains(why))
}

/// The client-facing descriptor stands on every HSDir and names this many points.
fn publishes(points: usize) -> impl Fn(&Value) -> bool {
    move |status| {
        let descriptors = status["services"][0]["descriptors"].as_array().expect("a list");
        descriptors.iter().filter(|d| d["client_facing"] == true).any(|d| {
            d["intro_points"] == points && d["hsdirs_confirmed"] == 8 && d["hsdirs_target"] == 8
        })
    }
}

#[test]
fn a_backend_s_wrong_descriptors_are_refused_and_the_others_are_published() {
    let site = Site::new();
    let id = site.backend.id();
    let good = site.tor.world().elsewhere[&id].clone();
    let cases = wrong(&site, &site.backend, &points_of(1));
    site.tor.world().elsewhere.insert(id, cases[0].0.clone());
    site.start();
    let status = site.wait_status("published without it", publishes(POINTS));
    assert_eq!(front(&status, BACKEND)["state"], "gone");
    assert!(check(&status, "FRONT_GONE").is_some_and(|m| m.contains(BACKEND)), "{status}");
    assert_eq!(status["health"], "warn", "{}", site.screen());
    for (document, why) in cases {
        site.tor.world().elsewhere.insert(id, document);
        site.wait_status(why, refused(BACKEND, why));
        site.wait_log(why);
    }
    site.tor.world().elsewhere.insert(id, good);
    let status = site.wait_healthy();
    assert!(publishes(2 * POINTS)(&status), "{status}");
}

#[test]
fn the_own_instance_s_wrong_descriptors_are_refused_and_the_backend_is_published() {
    let site = Site::new();
    let good = site.tor.world().instance.1.clone();
    let cases = wrong(&site, &site.own, &points_of(0));
    site.tor.world().instance.1 = Some(cases[0].0.clone());
    site.start();
    let status = site.wait_status("published without it", publishes(POINTS));
    assert_ne!(front(&status, OWN)["state"], "serving");
    assert!(check(&status, "OWN_FRONT_GONE").is_some_and(|m| m.contains(OWN)), "{status}");
    assert_eq!(status["health"], "warn", "{}", site.screen());
    for (document, why) in cases {
        site.tor.world().instance.1 = Some(document);
        site.tor.tell("650 SIGNAL RELOAD");
        if why == EMPTY {
            site.wait_status("not there yet", refused(OWN, "no descriptor there"));
            continue;
        }
        site.wait_status(why, refused(OWN, why));
        site.wait_log(why);
    }
    site.tor.world().instance.1 = good;
    let status = site.wait_healthy();
    assert!(publishes(2 * POINTS)(&status), "{status}");
}

/// A descriptor that turns bad takes away nothing that was read before.
#[test]
fn a_front_that_was_read_before_keeps_its_points() {
    let site = Site::healthy();
    let id = site.backend.id();
    let good = site.tor.world().elsewhere[&id].clone();
    for (document, why) in wrong(&site, &site.backend, &points_of(1)).into_iter().take(3) {
        site.tor.world().elsewhere.insert(id, document);
        let status = site.wait_status(why, refused(BACKEND, why));
        assert!(publishes(2 * POINTS)(&status), "{status}");
        assert_eq!(front(&status, BACKEND)["state"], "suspect");
        assert!(check(&status, "FRONT_STALE").is_some_and(|m| m.contains(BACKEND)), "{status}");
    }
    site.tor.world().elsewhere.insert(id, good);
    site.wait_healthy();
}

/// After noon the node reads its own instance from the HSDirs as well.
#[test]
fn a_forged_own_descriptor_at_the_hsdirs_falls_back_to_the_own_tor() {
    let site = Site::on(&network_at(15, 16));
    let own = site.own.id();
    let forged = wrong(&site, &site.own, &points_of(0)).swap_remove(0);
    site.tor.world().elsewhere.insert(own, forged.0);
    site.start();
    site.wait_status("published from GETINFO", publishes(2 * POINTS));
    site.wait_log(forged.1);
    let good = instance(&site.own, &site.tor.world().current(), &points_of(0));
    site.tor.world().elsewhere.insert(own, good);
    site.wait_healthy();
}
