//! `rustbalance status` against sockets that serve, refuse, stall and talk nonsense.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use assert_cmd::Command;
use rustbalance::status::{
    Descriptor, Front, FrontKind, FrontState, HsDir, HsDirState, Service, SlotName, Status, Tor,
    TorState,
};
use rustbalance::time::Wall;
use tempfile::TempDir;

/// What a command said and how it ended.
struct Answer {
    out: String,
    err: String,
    code: i32,
}

fn status(socket: &Path, arguments: &[&str]) -> Answer {
    let mut command = Command::cargo_bin("rustbalance").unwrap();
    command.env_remove("RUSTBALANCE_CONFIG").env("LC_ALL", "C.UTF-8");
    let output =
        command.arg("status").arg("--socket").arg(socket).args(arguments).output().unwrap();
    Answer {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap(),
    }
}

/// A socket whose next connection is handled by `serve` in a thread of its own, once it has asked
/// for the status.
struct FakeDaemon {
    _dir: TempDir,
    socket: PathBuf,
    thread: JoinHandle<()>,
}

impl FakeDaemon {
    fn new(serve: impl FnOnce(UnixStream) + Send + 'static) -> FakeDaemon {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("control.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let thread = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            assert_eq!(line, "{\"request\":\"status\"}\n");
            serve(stream);
        });
        FakeDaemon { _dir: dir, socket, thread }
    }

    fn saying(answer: impl Into<Vec<u8>>) -> FakeDaemon {
        let answer = answer.into();
        // The reader may have gone away in the middle; that is its business.
        FakeDaemon::new(move |mut stream| drop(stream.write_all(&answer)))
    }

    /// What `rustbalance status` makes of it.
    fn asked(self, arguments: &[&str]) -> Answer {
        let answer = status(&self.socket, arguments);
        self.thread.join().unwrap();
        answer
    }
}

fn document() -> Status {
    let dirs =
        || vec![HsDir::new("AA", HsDirState::Confirmed), HsDir::new("BB", HsDirState::Confirmed)];
    let descriptor = |slot| Descriptor {
        client_facing: Some(slot == SlotName::First),
        age_s: Some(41),
        intro_points: Some(3),
        ..Descriptor::new(slot, 7).with_hsdirs(dirs())
    };
    let mut status = Status::new("node-a", "1.0.0", Wall(0), 1, 4000);
    status.tor = Tor { bootstrap_percent: Some(100), ..Tor::new(TorState::Up) };
    status.services = vec![Service {
        descriptors: vec![descriptor(SlotName::First), descriptor(SlotName::Second)],
        ..Service::new("aaaaaaaaaaaa…bbbb.onion", true)
    }];
    let front = Front { state: FrontState::Serving, ..Front::new("node-a", FrontKind::Node) };
    status.fronts = vec![front];
    status.conclude()
}

fn json() -> String {
    serde_json::to_string(&document()).unwrap()
}

#[test]
fn a_document_is_shown() {
    let answer = FakeDaemon::saying(json()).asked(&[]);
    assert_eq!((answer.code, answer.err.as_str()), (0, ""));
    assert!(answer.out.starts_with("● node-a  HEALTHY   1 of 1 fronts serving"), "{}", answer.out);
}

#[test]
fn json_is_passed_on_as_it_came() {
    let answer = FakeDaemon::saying(json()).asked(&["--json"]);
    assert_eq!((answer.code, answer.out), (0, json() + "\n"));
}

#[test]
fn json_of_a_later_schema_is_passed_on_too() {
    let answer = FakeDaemon::saying("{\"schema\": 9}").asked(&["--json"]);
    assert_eq!((answer.code, answer.out.as_str()), (0, "{\"schema\": 9}\n"));
    let answer = FakeDaemon::saying("{\"schema\": 9}").asked(&[]);
    assert_eq!(answer.code, 1);
    assert!(answer.err.contains("schema 9"), "{}", answer.err);
}

#[test]
fn a_monitoring_system_gets_its_codes() {
    let answer = FakeDaemon::saying(json()).asked(&["--nagios"]);
    assert_eq!(answer.code, 0);
    assert!(answer.out.starts_with("RUSTBALANCE OK - node-a: 1/1 fronts"), "{}", answer.out);
    let down = Status { services: Vec::new(), ..document() }.conclude();
    let answer = FakeDaemon::saying(serde_json::to_vec(&down).unwrap()).asked(&["--nagios"]);
    assert_eq!(answer.code, 2);
    let answer = FakeDaemon::saying("nonsense").asked(&["--nagios"]);
    assert_eq!(answer.code, 3);
}

#[test]
fn no_socket_means_not_running() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control.sock");
    let answer = status(&socket, &[]);
    assert_eq!(answer.code, 3);
    let advice = "rustbalance: the daemon is not running (systemctl start rustbalance)";
    assert!(answer.err.starts_with(advice), "{}", answer.err);
    assert_eq!(status(&socket, &["--nagios"]).code, 2);
}

#[test]
fn a_socket_that_was_left_behind_means_not_running() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control.sock");
    drop(UnixListener::bind(&socket).unwrap());
    assert_eq!(status(&socket, &["--json"]).code, 3);
}

#[test]
fn a_socket_without_permission_ends_with_4() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o000)).unwrap();
    if UnixStream::connect(&socket).is_ok() {
        eprintln!("skipped: this user may open everything");
        return;
    }
    let answer = status(&socket, &[]);
    assert_eq!(answer.code, 4);
    let advice = format!(
        "rustbalance: cannot open {}: use sudo, or: adduser $USER rustbalance\n",
        socket.display()
    );
    assert_eq!(answer.err, advice);
}

#[test]
fn a_configuration_without_permission_is_named_when_nobody_listens() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.toml");
    std::fs::write(&config, "").unwrap();
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::File::open(&config).is_ok() {
        eprintln!("skipped: this user may open everything");
        return;
    }
    let mut command = Command::cargo_bin("rustbalance").unwrap();
    let output = command.args(["status", "--config"]).arg(&config).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains("only the usual socket was tried"), "{err}");
}

#[test]
fn nonsense_is_refused() {
    let cut_off = &json()[..40];
    for nonsense in ["", "nonsense", "{}", "[]", "{\"schema\": 1}", cut_off] {
        let answer = FakeDaemon::saying(nonsense).asked(&[]);
        assert_eq!(answer.code, 1, "{nonsense:?}");
        assert!(answer.err.contains("is not what was asked for"), "{}", answer.err);
        assert_eq!(answer.out, "");
    }
    let answer = FakeDaemon::saying([0xff; 10]).asked(&["--json"]);
    assert_eq!(answer.code, 1);
}

#[test]
fn an_endless_answer_is_cut_off() {
    let daemon = FakeDaemon::new(|mut stream| while stream.write_all(&[b' '; 65_536]).is_ok() {});
    let answer = daemon.asked(&[]);
    assert_eq!(answer.code, 1);
    assert!(answer.err.contains("larger than 4 MiB"), "{}", answer.err);
}

#[test]
fn a_stalled_daemon_is_given_up() {
    let (done, wait) = mpsc::channel::<()>();
    let daemon = FakeDaemon::new(move |mut stream| {
        stream.write_all(b"{\"schema\":").unwrap();
        // Holds the connection open until the command has ended.
        wait.recv().unwrap_err();
    });
    let answer = status(&daemon.socket, &[]);
    drop(done);
    daemon.thread.join().unwrap();
    assert_eq!(answer.code, 1);
    assert!(answer.err.contains("did not answer within 2s"), "{}", answer.err);
}

#[test]
fn the_configuration_says_where_the_socket_is() {
    let daemon = FakeDaemon::saying(json());
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.toml");
    let text = format!("[control]\nsocket = \"{}\"\n", daemon.socket.display());
    std::fs::write(&config, text).unwrap();
    let mut command = Command::cargo_bin("rustbalance").unwrap();
    let output = command.args(["status", "--json", "--config"]).arg(&config).output().unwrap();
    daemon.thread.join().unwrap();
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn watching_ends_when_nobody_reads_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_rustbalance"))
        .args(["status", "--watch", "200ms", "--socket"])
        .arg(dir.path().join("control.sock"))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}
