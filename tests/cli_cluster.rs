//! `rustbalance init`, `join`, `invite`, `tokens`, `revoke`, `leave` and `remove`, as an operator
//! meets them.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::thread;

use assert_cmd::Command;
use rustbalance::hs::address;
use rustbalance::hs::keys::MasterKey;
use rustbalance::ident::{ClusterId, PeerKey};
use rustbalance::message::Door;
use rustbalance::wire::Invitation;
use serde_json::Value;
use tempfile::TempDir;

/// What a command said and how it ended; `DIR` stands for the machine's directory.
struct Answer {
    out: String,
    err: String,
    code: i32,
}

/// A machine on which nothing is set up yet.
struct Machine {
    dir: TempDir,
}

impl Machine {
    fn new() -> Machine {
        Machine { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Answer {
        let mut command = Command::cargo_bin("rustbalance").unwrap();
        command.env_remove("RUSTBALANCE_CONFIG").env("NO_COLOR", "1");
        command.arg("--config").arg(self.path("config.toml")).args(arguments);
        let output = command.write_stdin(input).output().unwrap();
        let hidden = self.dir.path().display().to_string();
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(&hidden, "DIR");
        Answer {
            out: text(output.stdout),
            err: text(output.stderr),
            code: output.status.code().unwrap(),
        }
    }

    fn init(&self, more: &[&str], input: &[u8]) -> Answer {
        let state = self.path("state").display().to_string();
        let mut arguments = vec!["init", "--cluster", "newsroom", "--state-dir", &state];
        arguments.extend(more);
        self.run(&arguments, input)
    }

    /// Every file and what it holds.
    fn files(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut found = BTreeMap::new();
        let mut dirs = vec![self.dir.path().to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    dirs.push(path);
                } else {
                    let mode = path.metadata().unwrap().permissions().mode() & 0o777;
                    let content = std::fs::read(&path).unwrap();
                    found.insert(path, (mode, content));
                }
            }
        }
        found
    }

    /// A daemon that answers its next request so; gives that request.
    fn daemon(&self, answer: &'static str) -> thread::JoinHandle<Value> {
        let socket = self.path("socket");
        let config = format!("[control]\nsocket = \"{}\"\n", socket.display());
        std::fs::write(self.path("config.toml"), config).unwrap();
        let listener = UnixListener::bind(socket).unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            serde_json::from_str(&line).unwrap()
        })
    }
}

#[test]
fn init_with_a_key_makes_a_node_that_check_finds_valid_and_is_idempotent() {
    let (machine, key) = (Machine::new(), MasterKey::generate(&mut rand::rng()));
    let arguments = ["--name", "node-a", "--key-file", "-", "--endpoint", "192.0.2.1:51820"];
    let first = machine.init(&arguments, &key.to_tor_file());
    assert_eq!((first.code, first.err.as_str()), (0, ""), "{}", first.out);
    assert!(first.out.contains(&address::onion(&key.id())), "{}", first.out);
    let check = machine.run(&["check"], b"");
    assert_eq!((check.code, check.out.as_str()), (0, "ok: node-a, 1 service, 0 backends\n"));

    let before = machine.files();
    for (path, (mode, _)) in &before {
        let wanted = if path.ends_with("config.toml") { 0o640 } else { 0o600 };
        assert_eq!(*mode, wanted, "{}", path.display());
    }
    let again = machine.init(&arguments, &key.to_tor_file());
    assert_eq!(again.code, 0, "{}", again.err);
    assert_eq!(again.out, "DIR/config.toml says all that already: nothing to do.\n");
    assert_eq!(machine.files(), before);
}

#[test]
fn init_again_with_other_answers_says_what_differs_and_changes_nothing() {
    let machine = Machine::new();
    assert_eq!(machine.init(&["--name", "node-a", "--new-key"], b"").code, 0);
    let before = machine.files();
    let same = machine.init(&["--name", "node-a", "--new-key"], b"");
    assert_eq!(same.code, 0, "{}", same.err);
    let other = machine.init(&["--name", "node-b", "--new-key", "--no-wireguard"], b"");
    assert_eq!(other.code, 1);
    insta::assert_snapshot!(other.err, @r#"
    rustbalance: DIR/config.toml is there already and says something else; nothing was changed:
      [node] name is "node-a", not "node-b"
      [wireguard] enabled is "true", not "false"
    "#);
    let key = MasterKey::generate(&mut rand::rng()).to_tor_file();
    let other_key = machine.init(&["--name", "node-a", "--key-file", "-"], &key);
    assert_eq!(other_key.code, 1);
    assert!(other_key.err.contains("[[service]] onion is another address"), "{}", other_key.err);
    assert_eq!(machine.files(), before);
}

#[test]
fn init_refuses_what_is_no_key_and_writes_nothing() {
    let machine = Machine::new();
    for (input, wanted) in
        [(&b""[..], "empty"), (b"nonsense", "no known key format"), (&[0; 20_000], "larger than")]
    {
        let answer = machine.init(&["--name", "node-a", "--key-file", "-"], input);
        assert_eq!(answer.code, 1);
        assert!(answer.err.contains(wanted), "{}", answer.err);
    }
    let absent = machine.init(&["--name", "node-a", "--key-file", "/absent"], b"");
    assert!(absent.err.contains("cannot read /absent"), "{}", absent.err);
    assert!(machine.files().is_empty());
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    let machine = Machine::new();
    for arguments in [
        &["init", "--cluster", "newsroom", "--name", "node-a"][..],
        &["init", "--cluster", "News Room", "--name", "node-a", "--new-key"],
        &["init", "--cluster", "n", "--name", "a", "--new-key", "--endpoint", "example.org:1"],
        &["init", "--cluster", "n", "--name", "a", "--new-key", "--state-dir", "relative"],
        &["join"],
        &["invite", "--ttl", "1s"],
        &["invite", "--name", "no name"],
        &["remove"],
        &["revoke"],
    ] {
        let answer = machine.run(arguments, b"");
        assert_eq!(answer.code, 2, "{arguments:?}: {}", answer.err);
    }
    assert!(machine.files().is_empty());
}

#[test]
fn an_address_that_cannot_be_configured_ends_with_78_and_writes_nothing() {
    let machine = Machine::new();
    let answer =
        machine.init(&["--name", "node-a", "--new-key", "--control", "192.0.2.1:9051"], b"");
    assert_eq!(answer.code, 78, "{}", answer.err);
    assert!(answer.err.contains("must be a port on this machine"), "{}", answer.err);
    assert!(machine.files().is_empty());
}

#[test]
fn join_tells_what_is_wrong_with_an_invitation_and_never_repeats_it() {
    let machine = Machine::new();
    let endpoint = Some("192.0.2.1:51820".parse().unwrap());
    let door = Door { key: PeerKey([7; 32]), endpoint, onion: None };
    let invitation =
        Invitation::generate(ClusterId([1; 16]), vec![door], &mut rand::rng()).unwrap();
    let whole = invitation.to_string();
    let state = machine.path("state").display().to_string();
    let arguments = ["join", "--name", "node-b", "--state-dir", &state];
    for text in ["", "hello", "RB1.", &whole[..whole.len() - 3], &whole.replacen("RB1.", "RB9.", 1)]
    {
        let answer = machine.run(&arguments, text.as_bytes());
        assert_eq!(answer.code, 1, "{text}");
        assert!(answer.err.contains("no usable invitation: "), "{}", answer.err);
        assert!(!answer.err.contains(&whole[4..20]), "{}", answer.err);
    }
    assert!(machine.files().is_empty());
}

#[test]
fn an_invitation_stands_alone_on_standard_output() {
    let machine = Machine::new();
    let daemon = machine.daemon(
        r#"{"token":"RB1.secret","id":"0809","name":"node-b","publisher":true,"bootstrap":false,"until":"2026-11-21T14:05:00Z"}"#,
    );
    let answer = machine.run(&["invite", "--name", "node-b", "--publisher"], b"");
    assert_eq!((answer.code, answer.out.as_str()), (0, "RB1.secret\n"), "{}", answer.err);
    assert!(answer.err.starts_with("For node node-b, which may publish"), "{}", answer.err);
    let wanted = serde_json::json!({
        "request": "invite", "name": "node-b", "publisher": true, "bootstrap": false,
        "ttl_s": 86_400
    });
    assert_eq!(daemon.join().unwrap(), wanted);
}

#[test]
fn what_the_daemon_refuses_is_said_and_ends_with_1() {
    for arguments in
        [&["remove", "node-c"][..], &["revoke", "080808"], &["leave"], &["tokens"], &["invite"]]
    {
        let machine = Machine::new();
        let daemon = machine.daemon(r#"{"error":"no_cluster","message":"this node is alone"}"#);
        let answer = machine.run(arguments, b"");
        assert_eq!(answer.code, 1, "{arguments:?}");
        assert_eq!(answer.err, "rustbalance: this node is alone\n");
        assert_eq!(daemon.join().unwrap()["request"], arguments[0]);
    }
}

#[test]
fn what_is_done_is_said() {
    for (arguments, word) in [
        (&["remove", "node-c", "--force"][..], "removed for ever"),
        (&["revoke", "080808"], "Revoked"),
        (&["leave"], "know that this node goes"),
    ] {
        let machine = Machine::new();
        let daemon = machine.daemon(r#"{"done":true}"#);
        let answer = machine.run(arguments, b"");
        assert_eq!((answer.code, answer.err.as_str()), (0, ""), "{arguments:?}");
        assert!(answer.out.contains(word), "{}", answer.out);
        daemon.join().unwrap();
    }
}

#[test]
fn without_a_daemon_commands_end_with_3() {
    for arguments in [&["invite"][..], &["tokens"], &["leave"], &["remove", "node-c"]] {
        let machine = Machine::new();
        let socket = machine.path("absent").display().to_string();
        let answer = machine.run(&[arguments, &["--socket", &socket]].concat(), b"");
        assert_eq!(answer.code, 3, "{arguments:?}: {}", answer.err);
    }
}
