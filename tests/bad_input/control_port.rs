//! A control port that lies, garbles, stalls, closes or asks for the impossible.

use serde_json::Value;

use crate::fake_tor::{Answer, Request};
use crate::site::{Site, check};

/// Until `wrong` says otherwise the port is honest; the node must name the trouble and be well
/// again once it is over.
fn trouble(said: &str, wrong: impl FnMut(&Request) -> Option<Answer> + Send + 'static) {
    let site = Site::new();
    site.tor.script(wrong);
    site.start();
    site.wait_log(said);
    let status = site.status().unwrap();
    assert_ne!(status["health"], "ok", "{status}");
    assert_eq!(status["checks"].as_array().map(Vec::is_empty), Some(false), "{status}");
    site.tor.honest();
    site.wait_healthy();
}

/// The same answer to every command that begins so.
fn always(
    start: &'static str,
    answer: impl Fn() -> Answer,
) -> impl FnMut(&Request) -> Option<Answer> {
    move |request| request.is(start).then(&answer)
}

fn say(text: &str) -> Answer {
    Answer::Say(text.to_owned())
}

#[test]
fn an_unknown_way_in_is_named() {
    let methods = "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=RETINA\r\n250 OK\r\n";
    trouble(
        "tor offers the authentication methods RETINA",
        always("PROTOCOLINFO", || say(methods)),
    );
}

#[test]
fn a_port_that_does_not_know_its_own_cookie_gets_nothing() {
    let hash = "00".repeat(32);
    let answer = format!("250 AUTHCHALLENGE SERVERHASH={hash} SERVERNONCE={hash}\r\n");
    trouble(
        "this is not the tor that wrote the cookie",
        always("AUTHCHALLENGE", move || say(&answer)),
    );
}

#[test]
fn a_port_that_lets_nobody_in_is_quoted() {
    let refused = "515 Authentication failed: nobody today\r\n";
    trouble("nobody today", always("AUTHENTICATE", move || Answer::Close(refused.to_owned())));
}

#[test]
fn something_that_is_no_tor_is_named() {
    let http = "HTTP/1.1 400 Bad Request\r\n\r\n";
    trouble("is this a tor control port?", always("", || say(http)));
}

#[test]
fn a_port_that_says_nothing_is_left_and_tried_again() {
    trouble("tor did not let us in within 2 s", always("", || Answer::Silence));
}

#[test]
fn a_tor_without_our_events_is_named() {
    let refused = "552 Unrecognized event \"HS_DESC\"\r\n";
    trouble("552 Unrecognized event", always("SETEVENTS", || say(refused)));
}

#[test]
fn an_answer_to_another_question_ends_the_connection() {
    let lie = "250-version=0.4.9.11\r\n250 OK\r\n";
    trouble("answered GETINFO with something else", always("GETINFO dir/", || say(lie)));
}

#[test]
fn a_garbled_answer_ends_the_connection() {
    trouble(
        "something that is not a reply line",
        always("GETINFO md/all", || say("\u{1}\u{2}\r\n")),
    );
}

#[test]
fn a_port_that_stalls_in_the_middle_of_an_answer_is_left() {
    let begun = "250+md/all=\r\nonion-key\r\n";
    trouble("no answer to GETINFO within 2 s", always("GETINFO md/all", || say(begun)));
}

#[test]
fn a_port_that_closes_in_the_middle_of_an_answer_is_named() {
    let begun = || Answer::Close("250+md/all=\r\nonion-key\r\n".to_owned());
    trouble("in the middle of an answer", always("GETINFO md/all", begun));
}

/// An HSPOST under way when the port closes may or may not have reached tor: it is sent again.
#[test]
fn a_port_that_closes_during_uploads_loses_none() {
    let mut closings = 3;
    let site = Site::new();
    site.tor.script(move |request| {
        let close = request.is("HSPOST") && closings > 0;
        closings -= i32::from(close);
        close.then(|| Answer::Close(String::new()))
    });
    site.start();
    site.wait_log("Tor control connection lost");
    site.wait_healthy();
    let world = site.tor.world();
    for period in world.periods {
        assert_eq!(world.holders(site.master.id(), period), 8);
    }
}

#[test]
fn a_flood_of_nonsense_between_the_answers_changes_nothing() {
    let site = Site::healthy();
    for _ in 0..200 {
        site.tor.tell("650 HS_DESC UPLOADED nonsense");
        site.tor.tell("650 HS_DESC FAILED UNKNOWN NO_AUTH UNKNOWN UNKNOWN REASON=UNEXPECTED");
        site.tor.tell("650 CIRC \u{fffd}");
        site.tor.tell("650 MELTDOWN");
    }
    site.tor.tell("650 SIGNAL RELOAD");
    let status = site.wait_healthy();
    assert_eq!(status["tor"]["state"], "up");
}

/// While the last confirmed descriptor is fresh, the other fronts go on serving: worse than well,
/// but not down.
#[test]
fn a_tor_that_vanishes_is_a_degradation_while_the_descriptor_is_fresh() {
    let site = Site::healthy();
    site.tor.vanish();
    let degraded = |status: &Value| check(status, "TOR_DOWN").is_some();
    let status = site.wait_status("without tor", degraded);
    assert_eq!(status["health"], "warn", "{}", site.screen());
    assert_eq!(status["tor"]["state"], "down");
    assert_eq!(status["services"][0]["publishing"], false);
    assert!(site.screen().contains("DEGRADED"), "{}", site.screen());
    site.tor.appear();
    site.wait_healthy();
}

#[test]
fn a_tor_that_was_never_there_is_named_with_its_socket() {
    let site = Site::new();
    site.tor.vanish();
    site.start();
    site.wait_log("cannot be reached");
    let status = site.wait_check("TOR_DOWN", "control cannot be reached");
    assert_ne!(status["health"], "ok");
    site.tor.appear();
    site.wait_healthy();
}

#[test]
fn a_port_that_comes_and_goes_is_said_to_do_so_once() {
    let site = Site::healthy();
    for _ in 0..3 {
        site.tor.vanish();
        site.wait_status("down", |status| status["tor"]["state"] == "down");
        site.tor.appear();
        site.wait_healthy();
    }
    let log = site.log();
    assert_eq!(log.matches("Tor control connection lost").count(), 1, "{log}");
    assert_eq!(log.matches("is back after").count(), 1, "{log}");
}
