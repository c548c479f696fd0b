//! The daily life of a connection: requests, events, tor going and coming.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::fake::{Stage, absent, settings};
use crate::control::client::RequestError;
use crate::control::command::{OnionService, Secret};
use crate::control::event::{ClientStatus, Event};
use crate::ident::RelayId;

const ADDRESS: &str = "25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid";

#[tokio::test(start_paused = true)]
async fn requests_are_answered_in_order() {
    let (stage, mut tor) = Stage::up().await;
    let (first, second, ()) =
        tokio::join!(stage.client.getinfo("version"), stage.client.getinfo("md/all"), async {
            tor.expect("GETINFO version").await;
            tor.say("250-version=0.4.9.11\r\n250 OK\r\n").await;
            tor.expect("GETINFO md/all").await;
            tor.say("250+md/all=\r\na\r\n..b\r\n.\r\n250 OK\r\n").await;
        });
    assert_eq!(first.unwrap(), "0.4.9.11");
    assert_eq!(second.unwrap(), "a\n.b\n");
}

#[tokio::test(start_paused = true)]
async fn every_command_reaches_tor_and_a_refusal_leaves_the_connection_up() {
    let (mut stage, mut tor) = Stage::up().await;
    let client = stage.client.clone();
    let server = RelayId([0xAB; 20]);
    let fingerprint = "AB".repeat(20);
    let script = async {
        tor.expect(&format!("+HSPOST SERVER={fingerprint} HSADDRESS={ADDRESS}")).await;
        for line in ["hs-descriptor 3", "..", "."] {
            tor.expect(line).await;
        }
        tor.say("250 OK\r\n").await;
        tor.expect(&format!("HSFETCH {ADDRESS} SERVER={fingerprint}")).await;
        tor.say("552 No such server\r\n").await;
        tor.expect("GETCONF HiddenServiceOptions").await;
        tor.say("250-HiddenServiceDir=\"/a b\"\r\n250-Log\r\n250 HiddenServicePort=80\r\n").await;
        tor.say("650 STATUS_CLIENT NOTICE ENOUGH_DIR_INFO\r\n").await;
    };
    let requests = async {
        let document = Bytes::from("hs-descriptor 3\n.\n");
        client.hspost(ADDRESS, server, document).await.unwrap();
        let refused = client.hsfetch(ADDRESS, server).await.unwrap_err();
        let text = "No such server".to_owned();
        assert_eq!(refused, RequestError::Refused { command: "HSFETCH", status: 552, text });
        let options = client.getconf("HiddenServiceOptions").await.unwrap();
        let pair = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        let expected = [
            pair("HiddenServiceDir", Some("/a b")),
            pair("Log", None),
            pair("HiddenServicePort", Some("80")),
        ];
        assert_eq!(options, expected);
    };
    tokio::join!(script, requests);
    assert_eq!(stage.event().await, Event::Status(ClientStatus::EnoughDirInfo));
}

#[tokio::test(start_paused = true)]
async fn services_are_added_visited_and_removed() {
    let (stage, mut tor) = Stage::up().await;
    let client = stage.client.clone();
    let script = async {
        assert!(tor.hear().await.starts_with("ADD_ONION ED25519-V3:"));
        tor.say(&format!("250-ServiceID={ADDRESS}\r\n250-ClientAuthV3=X\r\n250 OK\r\n")).await;
        assert!(tor.hear().await.starts_with("ADD_ONION ED25519-V3:"));
        tor.say("550 Onion address collision\r\n").await;
        assert!(tor.hear().await.starts_with("ADD_ONION ED25519-V3:"));
        tor.say("250 OK\r\n").await;
        assert!(tor.hear().await.starts_with("ONION_CLIENT_AUTH_ADD"));
        tor.say("251 Client for onion existed and replaced\r\n").await;
        tor.expect(&format!("ONION_CLIENT_AUTH_REMOVE {ADDRESS}")).await;
        tor.say("251 No credentials\r\n").await;
        tor.expect(&format!("DEL_ONION {ADDRESS}")).await;
        tor.say("250 OK\r\n").await;
        tor.expect("GETINFO net/listeners/socks").await;
        let listeners = r#""127.0.0.1:9050" "unix:/run/tor/socks" "[::1]:9150""#;
        tor.say(&format!("250-net/listeners/socks={listeners}\r\n250 OK\r\n")).await;
    };
    let requests = async {
        let service = OnionService {
            key: Secret::new([1; 64]),
            port: 51_820,
            target: "127.0.0.1:4000".parse().unwrap(),
            clients: vec![[2; 32]],
        };
        assert_eq!(client.add_onion(service.clone()).await.unwrap(), ADDRESS);
        let error = client.add_onion(service.clone()).await.unwrap_err();
        assert!(matches!(error, RequestError::Refused { status: 550, .. }), "{error:?}");
        let error = client.add_onion(service).await.unwrap_err();
        assert!(matches!(error, RequestError::Unreadable { .. }), "{error:?}");
        client.onion_client_auth_add(ADDRESS, Secret::new([3; 32])).await.unwrap();
        client.onion_client_auth_remove(ADDRESS).await.unwrap();
        client.del_onion(ADDRESS).await.unwrap();
        let ports = client.socks_listeners().await.unwrap();
        assert_eq!(ports, ["127.0.0.1:9050".parse().unwrap(), "[::1]:9150".parse().unwrap()]);
    };
    tokio::join!(script, requests);
}

#[tokio::test(start_paused = true)]
async fn an_event_inside_a_reply_goes_its_way_even_byte_by_byte() {
    let (mut stage, mut tor) = Stage::up().await;
    let answer = "250+ns/all=\r\nr relay\r\n.\r\n650 SIGNAL RELOAD\r\n250 OK\r\n";
    let (value, ()) = tokio::join!(stage.client.getinfo("ns/all"), async {
        tor.expect("GETINFO ns/all").await;
        for byte in answer.chars() {
            tor.say(&byte.to_string()).await;
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(value.unwrap(), "r relay\n");
    assert_eq!(stage.event().await, Event::Signal("RELOAD".into()));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_went_away_does_not_leave_its_answer_to_the_next() {
    let (stage, mut tor) = Stage::up().await;
    let client = stage.client.clone();
    let gone = tokio::spawn(async move { client.getinfo("md/all").await });
    tor.expect("GETINFO md/all").await;
    gone.abort();
    let (value, ()) = tokio::join!(stage.client.getinfo("version"), async {
        tor.say("250+md/all=\r\nx\r\n.\r\n250 OK\r\n").await;
        tor.expect("GETINFO version").await;
        tor.say("250-version=2\r\n250 OK\r\n").await;
    });
    assert_eq!(value.unwrap(), "2");
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_caller_went_away_in_the_queue_is_not_sent() {
    let (stage, mut tor) = Stage::up().await;
    let ask = |key: &'static str| {
        let client = stage.client.clone();
        tokio::spawn(async move { client.getinfo(key).await })
    };
    let first = ask("first");
    tor.expect("GETINFO first").await;
    let gone = ask("gone");
    tokio::task::yield_now().await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    let last = ask("last");
    tor.say("250-first=1\r\n250 OK\r\n").await;
    tor.expect("GETINFO last").await;
    tor.say("250-last=2\r\n250 OK\r\n").await;
    assert_eq!(first.await.unwrap().unwrap(), "1");
    assert_eq!(last.await.unwrap().unwrap(), "2");
}

#[tokio::test(start_paused = true)]
async fn without_a_connection_requests_fail_at_once() {
    let mut stage = Stage::new(settings(), 100);
    stage.down().await;
    let before = Instant::now();
    let error = stage.client.getinfo("version").await.unwrap_err();
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert!(matches!(&error, RequestError::Down { reason } if reason.contains("refused")));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_is_refused_before_it_reaches_the_task() {
    let stage = Stage::new(settings(), 100);
    let error = stage.client.getinfo("a\r\nSIGNAL HALT").await.unwrap_err();
    assert!(matches!(error, RequestError::Argument(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn tor_vanishes_and_comes_back_under_requests_in_flight() {
    let (mut stage, mut tor) = Stage::up().await;
    let client = stage.client.clone();
    let (lost, down, ()) = tokio::join!(client.getinfo("a"), client.getinfo("b"), async {
        tor.expect("GETINFO a").await;
        tor.say("650 SIGNAL RELOAD\r\n").await;
        drop(tor);
    });
    let lost = lost.unwrap_err();
    assert!(matches!(lost, RequestError::Lost { command: "GETINFO", .. }), "{lost:?}");
    assert!(matches!(down.unwrap_err(), RequestError::Down { .. }));
    assert_eq!(stage.event().await, Event::Signal("RELOAD".into()));
    assert_eq!(stage.down().await, "tor closed the control port");
    let mut tor = stage.tor_appears().await;
    let (value, ()) = tokio::join!(client.getinfo("a"), async {
        tor.expect("GETINFO a").await;
        tor.say("250-a=1\r\n250 OK\r\n").await;
    });
    assert_eq!(value.unwrap(), "1");
}

#[tokio::test(start_paused = true)]
async fn pauses_between_attempts_grow_to_their_limit_and_are_kept() {
    let settings = settings();
    let (min, max) = (settings.reconnect_min, settings.reconnect_max);
    let mut stage = Stage::new(settings, 100);
    let mut expected = min;
    for _ in 0..10 {
        let Event::Down { retry_in, .. } = stage.event().await else { panic!("nobody is there") };
        assert!(retry_in >= expected / 2 && retry_in <= expected, "{retry_in:?} of {expected:?}");
        expected = (expected * 2).min(max);
        let before = Instant::now();
        let queued = stage.events.recv();
        assert!(tokio::time::timeout(retry_in / 2, queued).await.is_err(), "too early");
        assert!(before.elapsed() < retry_in);
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_endpoint_is_tried_and_all_causes_are_told() {
    let mut settings = settings();
    settings.endpoints.insert(0, absent());
    let mut stage = Stage::new(settings, 100);
    let error = stage.down().await;
    assert!(error.contains("unix:/absent cannot be reached"), "{error}");
    assert!(error.contains("unix:/fake cannot be reached"), "{error}");

    let mut settings = super::fake::settings();
    settings.endpoints.clear();
    assert!(Stage::new(settings, 100).down().await.contains("no control port is configured"));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_asked_for_a_sign_of_life() {
    let (mut stage, mut tor) = Stage::up().await;
    let before = Instant::now();
    tor.expect("GETINFO version").await;
    assert_eq!(before.elapsed(), settings().keep_alive);
    tor.say("250-version=1\r\n250 OK\r\n").await;
    tor.expect("GETINFO version").await;
    assert_eq!(before.elapsed(), settings().keep_alive * 2);
    let error = stage.down().await;
    assert_eq!(error, "tor gave no answer to GETINFO within 15 s");
    tor.until_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_of_events_costs_the_connection_and_never_a_request() {
    let mut stage = Stage::new(settings(), 3);
    let mut tor = stage.tor_appears().await;
    tor.say(&"650 SIGNAL RELOAD\r\n".repeat(4)).await;
    tor.until_left().await;
    let listening = stage.listen();
    let request = stage.client.getinfo("version");
    let answer = tokio::time::timeout(Duration::from_secs(1), request).await;
    let error = answer.expect("fails at once").unwrap_err();
    assert!(matches!(error, RequestError::Down { .. }), "{error:?}");
    for _ in 0..3 {
        assert_eq!(stage.event().await, Event::Signal("RELOAD".into()));
    }
    assert_eq!(stage.down().await, "events came faster than they were read");
    let mut tor = listening;
    tor.greet().await;
    assert!(matches!(stage.event().await, Event::Up { .. }));
}

#[tokio::test(start_paused = true)]
async fn there_is_no_new_connection_before_the_events_have_room() {
    let mut stage = Stage::new(settings(), 1);
    let mut tor = stage.tor_appears().await;
    tor.say("650 SIGNAL RELOAD\r\n650 SIGNAL HUP\r\n").await;
    tor.until_left().await;
    let mut tor = stage.listen();
    let quiet = tokio::time::timeout(Duration::from_secs(60), tor.hear()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    assert_eq!(stage.event().await, Event::Signal("RELOAD".into()));
    stage.down().await;
    tor.greet().await;
    assert!(matches!(stage.event().await, Event::Up { .. }));
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_when_nobody_is_left_on_either_side() {
    let (stage, tor) = Stage::up().await;
    let Stage { client, events, .. } = stage;
    drop(client);
    tor.until_left().await;
    drop(events);

    let (stage, tor) = Stage::up().await;
    drop(stage.events);
    let before = Instant::now();
    tor.until_left().await;
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(stage.client.getinfo("version").await, Err(RequestError::Stopped));
}
