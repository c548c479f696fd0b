//! The node's own socket, its end, and how it answers signals.

use std::io::Read as _;
use std::os::unix::net::{UnixListener, UnixStream};

use crate::site::Site;

#[test]
fn sigterm_and_sigint_end_it_with_success_and_remove_the_socket() {
    for signal in ["-TERM", "-INT"] {
        let site = Site::healthy();
        assert!(site.path("socket").exists());
        assert_eq!(site.signalled(signal).code(), Some(0), "{}", site.log());
        assert!(!site.path("socket").exists());
        assert!(site.log().contains("Stopping"), "{}", site.log());
    }
}

/// A node that cannot reach its tor, or waits for an answer, must still end at once.
#[test]
fn it_ends_on_sigterm_whatever_tor_does() {
    let site = Site::new();
    site.tor.script(|_| Some(crate::fake_tor::Answer::Silence));
    site.start();
    site.wait_status("started", |_| true);
    assert_eq!(site.signalled("-TERM").code(), Some(0), "{}", site.log());
}

#[test]
fn a_reload_is_answered_and_changes_nothing() {
    let site = Site::healthy();
    site.signal("-HUP");
    site.wait_log("SIGHUP: a changed configuration needs a restart");
    site.wait_healthy();
}

#[test]
fn a_second_node_is_refused_and_the_first_stays() {
    let site = Site::healthy();
    let output = site.command(&["run"]).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("another process listens on"), "{text}");
    site.wait_healthy();
}

#[test]
fn a_socket_of_another_program_is_left_alone() {
    let site = Site::new();
    let _other = UnixListener::bind(site.path("socket")).unwrap();
    site.start();
    let (code, log) = site.ended();
    assert_eq!(code, 1, "{log}");
    assert!(log.contains(&site.path("socket").display().to_string()), "{log}");
    assert!(UnixStream::connect(site.path("socket")).is_ok(), "the other one still listens");
}

#[test]
fn a_file_in_the_place_of_the_socket_is_left_alone() {
    let site = Site::new();
    std::fs::write(site.path("socket"), "precious").unwrap();
    site.start();
    let (code, log) = site.ended();
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("is not a socket"), "{log}");
    assert_eq!(std::fs::read_to_string(site.path("socket")).unwrap(), "precious");
}

#[test]
fn a_socket_that_a_killed_node_left_is_taken_over() {
    let site = Site::healthy();
    site.signalled("-KILL");
    assert!(site.path("socket").exists());
    site.start();
    site.wait_healthy();
}

#[test]
fn a_missing_directory_for_the_socket_is_named() {
    let site = Site::new();
    let elsewhere = site.path("absent/socket").display().to_string();
    site.reconfigure(&site.path("socket").display().to_string(), &elsewhere);
    site.start();
    let (code, log) = site.ended();
    assert_eq!(code, 1, "{log}");
    assert!(log.contains(&elsewhere) && log.contains("directory"), "{log}");
}

#[test]
fn an_own_address_that_nobody_told_ends_it_for_good() {
    let site = Site::new();
    let own = rustbalance::hs::address::onion(&site.own.id());
    let nowhere = site.path("nowhere").display().to_string();
    site.reconfigure(
        &format!("instance = \"{own}\""),
        &format!("instance = \"auto\"\nservice_dir = \"{nowhere}\""),
    );
    site.start();
    let (code, log) = site.ended();
    assert_eq!(code, 78, "{log}");
    assert!(log.contains(&nowhere) && log.contains("Set [tor] instance"), "{log}");
    std::fs::create_dir(site.path("nowhere")).unwrap();
    std::fs::write(site.path("nowhere/hostname"), "soon\n").unwrap();
    site.start();
    let (code, log) = site.ended();
    assert_eq!(code, 78, "{log}");
    assert!(log.contains("holds no onion address"), "{log}");
    std::fs::write(site.path("nowhere/hostname"), format!("{own}\n")).unwrap();
    site.start();
    site.wait_healthy();
}

#[test]
fn clients_that_say_nothing_hold_nothing_up() {
    let site = Site::healthy();
    let idle: Vec<UnixStream> =
        (0..50).map(|_| UnixStream::connect(site.path("socket")).unwrap()).collect();
    site.wait_healthy();
    for mut stream in idle {
        let mut document = String::new();
        stream.read_to_string(&mut document).unwrap();
        assert!(document.starts_with("{\"error\":\"timeout\""), "{document}");
    }
}
