//! A control port that lies, garbles, stalls or asks for the impossible: each time a clear word
//! and a new attempt, and never a hang.

use bytes::Bytes;
use tokio::time::Instant;

use super::fake::{Stage, settings};
use crate::control::client::RequestError;
use crate::control::event::Event;
use crate::ident::RelayId;

const ADDRESS: &str = "25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid";

/// Has tor answer `GETINFO version` with `answer`; gives the caller's error and the `Down` text,
/// after tor was let in again.
async fn after_answer(answer: &str) -> (RequestError, String) {
    let (mut stage, mut tor) = Stage::up().await;
    let (result, ()) = tokio::join!(stage.client.getinfo("version"), async {
        tor.expect("GETINFO version").await;
        tor.rant(answer).await;
        tor.until_left().await;
    });
    let error = stage.down().await;
    stage.tor_appears().await;
    (result.expect_err("no honest answer came"), error)
}

#[tokio::test(start_paused = true)]
async fn lies_and_garbage_are_named_and_the_connection_is_made_anew() {
    let long = "x".repeat(2 << 20);
    let garbage = "250-\u{0}\u{ff}\r\n\u{1}\u{2}\r\n";
    for (answer, word) in [
        ("HTTP/1.1 400 Bad Request\r\n", "not a reply line"),
        ("\r\n", "not a reply line"),
        (garbage, "not a reply line"),
        (&long, "a line of more than 1048576 bytes"),
        ("250-version=1\r\n251 OK\r\n", "from 250 to 251"),
        ("250-md/all=1\r\n250 OK\r\n", "answered GETINFO with something else"),
        ("250 OK\r\n", "answered GETINFO with something else"),
        ("250-versions=1\r\n250 OK\r\n", "answered GETINFO with something else"),
    ] {
        let (request, down) = after_answer(answer).await;
        assert!(down.contains(word), "{down}");
        assert!(matches!(&request, RequestError::Lost { reason, .. } if reason.contains(word)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_answer_ends_after_the_time_out_and_a_dribbling_one_too() {
    let (mut stage, mut tor) = Stage::up().await;
    let before = Instant::now();
    let (result, ()) = tokio::join!(stage.client.getinfo("version"), async {
        tor.expect("GETINFO version").await;
        for _ in 0..20 {
            tor.rant("250-v").await;
            tokio::time::sleep(settings().request_timeout / 10).await;
        }
        tor.until_left().await;
    });
    let word = "no answer to GETINFO within 15 s";
    assert!(result.unwrap_err().to_string().contains(word));
    let Event::Down { error, .. } = stage.event().await else { panic!("tor stalled") };
    assert!(error.contains(word), "{error}");
    assert!(before.elapsed() >= settings().request_timeout);
    stage.tor_appears().await;
}

#[tokio::test(start_paused = true)]
async fn a_port_closed_in_the_middle_of_a_reply_says_so() {
    for part in ["25", "250-version=", "250-version=1\r\n", "250+version=\r\nx\r\n"] {
        let (mut stage, mut tor) = Stage::up().await;
        let (result, ()) = tokio::join!(stage.client.getinfo("version"), async {
            tor.expect("GETINFO version").await;
            tor.say(part).await;
            drop(tor);
        });
        assert!(matches!(result, Err(RequestError::Lost { .. })), "{part:?}: {result:?}");
        assert!(stage.down().await.contains("in the middle of an answer"));
        stage.tor_appears().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_question_ends_the_connection() {
    let (mut stage, mut tor) = Stage::up().await;
    tor.say("250 OK\r\n").await;
    tor.until_left().await;
    assert!(stage.down().await.contains("without having been asked"));
    stage.tor_appears().await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_way_in_is_named_and_tried_again_later() {
    let mut stage = Stage::new(settings(), 100);
    for _ in 0..3 {
        let mut tor = stage.listen();
        tor.expect("PROTOCOLINFO 1").await;
        tor.say("250-PROTOCOLINFO 1\r\n250-AUTH METHODS=RETINA\r\n250 OK\r\n").await;
        tor.until_left().await;
        let error = loop {
            let error = stage.down().await;
            if !error.contains("cannot be reached") {
                break error;
            }
        };
        assert!(error.contains("RETINA") && error.contains("CookieAuthentication"), "{error}");
    }
    stage.tor_appears().await;
}

#[tokio::test(start_paused = true)]
async fn a_port_that_accepts_and_says_nothing_is_left_after_the_time_out() {
    let mut stage = Stage::new(settings(), 100);
    let silent = stage.listen();
    let before = Instant::now();
    let error = stage.down().await;
    assert!(error.contains("did not let us in within 15 s"), "{error}");
    assert_eq!(before.elapsed(), settings().request_timeout);
    silent.until_left().await;
    stage.tor_appears().await;
}

#[tokio::test(start_paused = true)]
async fn a_tor_that_does_not_know_an_event_is_no_connection() {
    let mut stage = Stage::new(settings(), 100);
    let mut tor = stage.listen();
    tor.expect("PROTOCOLINFO 1").await;
    tor.say("250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250-VERSION Tor=\"0.3\"\r\n").await;
    tor.say("250 OK\r\n").await;
    tor.expect("AUTHENTICATE").await;
    tor.say("250 OK\r\n").await;
    assert!(tor.hear().await.starts_with("SETEVENTS "));
    tor.say("552 Unrecognized event \"HS_DESC\"\r\n").await;
    tor.until_left().await;
    let error = stage.down().await;
    assert!(error.contains("552 Unrecognized event"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_tor_that_does_not_read_loses_the_connection_but_no_event() {
    let (mut stage, mut tor) = Stage::up().await;
    let client = stage.client.clone();
    let document = Bytes::from(vec![b'x'; 40_000]);
    let post = client.hspost(ADDRESS, RelayId([1; 20]), document);
    let (result, ()) = tokio::join!(post, async {
        tor.say("650 SIGNAL RELOAD\r\n").await;
        assert_eq!(stage.event().await, Event::Signal("RELOAD".into()));
        let error = stage.down().await;
        assert!(error.contains("no answer to HSPOST"), "{error}");
    });
    assert!(matches!(result, Err(RequestError::Lost { command: "HSPOST", .. })), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn events_that_make_no_sense_are_counted_and_cost_nothing() {
    let (mut stage, mut tor) = Stage::up().await;
    tor.say("650 MELTDOWN NOW\r\n699 CIRC\r\n650-HS_DESC\r\n650 OK\r\n650 SIGNAL HUP\r\n").await;
    for line in ["MELTDOWN NOW", "CIRC", "HS_DESC"] {
        assert_eq!(stage.event().await, Event::Unparsed { line: line.into() });
    }
    assert_eq!(stage.event().await, Event::Signal("HUP".into()));
    assert_eq!(stage.client.unparsed_events(), 3);
}
