//! A consensus that is old, from the future, cut off, or good for nothing.

use crate::fake_tor::synthetic::Network;
use crate::fake_tor::world::{network_at, wall};
use crate::site::Site;

const CONSENSUS: &str = "GETINFO dir/status-vote/current/consensus-microdesc";
const HOUR_S: u64 = 3600;

/// What the node reads at first; then everything is well.
fn recovers(site: &Site, bad: &Network, said: &str, code: &str, health: &str) {
    let good = {
        let mut world = site.tor.world();
        std::mem::replace(&mut world.consensus, bad.consensus())
    };
    site.start();
    site.wait_log(said);
    let status = site.wait_check(code, said);
    assert_eq!(status["health"], health, "{}", site.screen());
    assert_eq!(status["services"][0]["publishing"], false);
    assert!(site.tor.world().uploads.is_empty(), "nothing was published");
    site.tor.world().consensus = good;
    site.tor.tell("650 STATUS_CLIENT NOTICE CONSENSUS_ARRIVED");
    site.wait_healthy();
}

#[test]
fn one_that_ran_out_more_than_a_day_ago_stops_publishing() {
    let network = network_at(3, 16);
    let valid_after = wall().0 / HOUR_S * HOUR_S - 29 * HOUR_S;
    let said = "tor's consensus ran out more than a day ago, or the clock is ahead";
    recovers(&Site::on(&network), &Network { valid_after, ..network }, said, "CLOCK_WRONG", "crit");
}

#[test]
fn one_from_the_future_stops_publishing() {
    let network = network_at(3, 16);
    let valid_after = (wall().0 / HOUR_S + 2) * HOUR_S;
    let said = "the clock is behind tor's consensus";
    recovers(&Site::on(&network), &Network { valid_after, ..network }, said, "CLOCK_WRONG", "crit");
}

#[test]
fn one_without_hsdirs_is_named() {
    let network = network_at(3, 16);
    let mut without = network.clone();
    without.relays.iter_mut().for_each(|relay| relay.flags = "Fast Running Valid");
    let said = "lists 16 relays but no HSDir";
    recovers(&Site::on(&network), &without, said, "TOR_NOT_READY", "warn");
}

#[test]
fn one_that_breaks_off_is_named() {
    let site = Site::new();
    let whole = site.tor.world().consensus.clone();
    site.tor.world().consensus = whole[..whole.len() / 2].to_owned();
    site.start();
    site.wait_log("the consensus breaks off before its signatures");
    let status = site.wait_check("TOR_NOT_READY", "breaks off before its signatures");
    assert_ne!(status["health"], "ok");
    site.tor.world().consensus = whole;
    site.wait_healthy();
}

#[test]
fn one_with_a_garbled_line_names_the_line() {
    let site = Site::new();
    let whole = site.tor.world().consensus.clone();
    site.tor.world().consensus = whole.replace("valid-after 20", "valid-after MM");
    site.start();
    site.wait_check("TOR_NOT_READY", "cannot be read at line 4");
    site.tor.world().consensus = whole;
    site.wait_healthy();
}

#[test]
fn a_tor_that_has_none_yet_is_waited_for() {
    let site = Site::new();
    site.tor.script(|request| {
        let bootstrapping = request.is(CONSENSUS).then(|| "551 Not available\r\n".to_owned());
        bootstrapping.map(crate::fake_tor::Answer::Say)
    });
    site.start();
    site.wait_check("TOR_NOT_READY", "551 Not available");
    site.tor.honest();
    site.wait_healthy();
}

/// Tor fetches microdescriptors after the consensus: too few would make a wrong ring.
#[test]
fn one_whose_microdescriptors_are_missing_is_waited_for() {
    let site = Site::new();
    let all = std::mem::take(&mut site.tor.world().microdescs);
    site.start();
    site.wait_check("TOR_NOT_READY", "microdescriptors of 16 of 16 HSDirs are missing");
    site.tor.world().microdescs = all;
    site.wait_healthy();
}

/// Once a good one was read, a bad one replaces nothing: the old one is used, and the status says
/// that it could not be renewed.
#[test]
fn a_bad_one_after_a_good_one_is_named_and_stops_nothing() {
    let site = Site::healthy();
    let whole = site.tor.world().consensus.clone();
    site.tor.world().consensus = whole[..whole.len() / 2].to_owned();
    site.tor.tell("650 STATUS_CLIENT NOTICE CONSENSUS_ARRIVED");
    let status = site.wait_check("CONSENSUS_UNREADABLE", "breaks off before its signatures");
    assert_eq!(status["health"], "warn", "{}", site.screen());
    assert_eq!(status["services"][0]["publishing"], true);
    site.tor.world().consensus = whole;
    site.wait_healthy();
}
