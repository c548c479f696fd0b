//! Nodes on loopback that were made as an operator makes them: `init`, `invite`, `join`, `run`.
//!
//! Each has a directory and a loopback address of its own, so that nodes see each other as machines
//! on a network do. It knows commands, files, logs and the status document; nothing of the inside.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use rustbalance::hs::address;
use rustbalance::hs::keys::MasterKey;
use serde_json::Value;
use testnet::{Ground, Node, UdpRelay};

/// The UDP port of every node; their addresses differ.
const PORT: u16 = 51820;

/// Nothing listens there: a node whose tor does not run.
const DEAD_TOR: &str = "127.0.0.1:9";

/// Longer than anything takes on a busy machine, except what a test says the time of.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Over Tor alone, a newcomer may knock for minutes.
const JOIN_PATIENCE: Duration = Duration::from_secs(330);

/// A directory, a process group and a piece of 127.0.0.0/8.
pub(crate) struct Yard {
    ground: Arc<Ground>,
    net: [u8; 2],
    next: AtomicU8,
}

/// What an operator decides about a node before it is made.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    name: String,
    control: String,
    instance: Option<String>,
    tor: bool,
    wireguard: bool,
    relayed: bool,
    binary: PathBuf,
    lines: Vec<(String, String)>,
}

/// A node: its files, its process, and the relay in front of it if it has one.
pub(crate) struct Machine {
    pub(crate) name: String,
    pub(crate) node: Node,
    /// Its UDP socket.
    pub(crate) socket: SocketAddr,
    /// What stands between it and the others.
    pub(crate) relay: Option<UdpRelay>,
    ground: Arc<Ground>,
    plan: Plan,
    instance: String,
}

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Answer {
    /// What it printed, when it ended well.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }
}

impl Plan {
    /// A node without tor, reached directly over WireGuard.
    pub(crate) fn new(name: &str) -> Plan {
        Plan {
            name: name.to_owned(),
            control: DEAD_TOR.to_owned(),
            instance: None,
            tor: false,
            wireguard: true,
            relayed: false,
            binary: PathBuf::from(env!("CARGO_BIN_EXE_rustbalance")),
            lines: Vec::new(),
        }
    }

    /// Beside a tor with this control socket and this onion service.
    pub(crate) fn with_tor(mut self, control: &Path, instance: &str) -> Plan {
        self.control = format!("unix:{}", control.display());
        self.instance = Some(instance.to_owned());
        self.tor = true;
        self
    }

    /// It talks to the others over Tor only.
    pub(crate) fn without_wireguard(mut self) -> Plan {
        self.wireguard = false;
        self
    }

    /// The others are told the address of a relay.
    pub(crate) fn relayed(mut self) -> Plan {
        self.relayed = true;
        self
    }

    /// Another build of the program.
    pub(crate) fn binary(mut self, binary: &Path) -> Plan {
        self.binary = binary.to_owned();
        self
    }

    /// One more line for a section of its configuration, such as `[coordination]`.
    pub(crate) fn line(mut self, section: &str, line: &str) -> Plan {
        self.lines.push((section.to_owned(), line.to_owned()));
        self
    }

    /// A block at the end of its configuration, such as a whole `[[hook]]`.
    pub(crate) fn block(mut self, text: &str) -> Plan {
        self.lines.push((String::new(), text.to_owned()));
        self
    }
}

impl Yard {
    pub(crate) fn new() -> Yard {
        let ground = Arc::new(Ground::new().unwrap());
        let [x, y] = rand::random::<[u8; 2]>();
        Yard { ground, net: [x.clamp(1, 254), y], next: AtomicU8::new(1) }
    }

    /// A machine on which nothing is set up yet.
    pub(crate) fn machine(&self, plan: Plan) -> Machine {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let own = IpAddr::V4(Ipv4Addr::new(127, self.net[0], self.net[1], number));
        let socket = SocketAddr::new(own, PORT);
        // The directory is not called after the node: two may have one name.
        let node = Node::new(&self.ground, &format!("{number}"), &plan.binary).unwrap();
        let relay = plan.relayed.then(|| UdpRelay::start(socket).unwrap());
        let name = plan.name.clone();
        let fresh = || address::onion(&MasterKey::generate(&mut rand::rng()).id());
        let instance = plan.instance.clone().unwrap_or_else(fresh);
        Machine { name, node, socket, relay, ground: Arc::clone(&self.ground), plan, instance }
    }

    /// The first node of a new cluster, running.
    pub(crate) fn founder(&self, plan: Plan) -> Machine {
        let machine = self.machine(plan);
        machine.init().done();
        machine.start();
        machine.wait_ready();
        machine
    }

    /// A node that `inviter` invites with these arguments, running.
    pub(crate) fn joined(&self, inviter: &Machine, rights: &[&str], plan: Plan) -> Machine {
        let machine = self.machine(plan);
        machine.join(&inviter.invite(rights)).done();
        machine.start();
        machine.wait_ready();
        machine
    }

    /// A cluster of running nodes that all joined through the first; the others may publish and
    /// let others in.
    pub(crate) fn cluster(&self, plans: impl IntoIterator<Item = Plan>) -> Vec<Machine> {
        let mut plans = plans.into_iter();
        let mut all = vec![self.founder(plans.next().expect("at least one"))];
        for plan in plans {
            let machine = self.joined(&all[0], &["--publisher", "--bootstrap"], plan);
            all.push(machine);
        }
        wait_agreed(&all.iter().collect::<Vec<_>>());
        all
    }
}

impl Machine {
    /// `rustbalance init` with a new public address.
    pub(crate) fn init(&self) -> Answer {
        self.init_as(&["--new-key"], b"")
    }

    /// `rustbalance init` with the key of a public address.
    pub(crate) fn init_with(&self, key: &[u8]) -> Answer {
        self.init_as(&["--key-file", "-"], key)
    }

    fn init_as(&self, address: &[&str], input: &[u8]) -> Answer {
        let command = [&["init", "--cluster", "newsroom"], address].concat();
        let answer = self.set_up(&command, input, PATIENCE);
        self.complete(&answer);
        answer
    }

    /// `rustbalance join` with this invitation.
    pub(crate) fn join(&self, token: &str) -> Answer {
        self.join_for(token, JOIN_PATIENCE)
    }

    /// The same, ended by SIGTERM when it still knocks after that time.
    pub(crate) fn join_for(&self, token: &str, within: Duration) -> Answer {
        let before = self.node.config_path().exists();
        let answer = self.set_up(&["join"], token.as_bytes(), within);
        if !before {
            self.complete(&answer);
        }
        answer
    }

    fn set_up(&self, command: &[&str], input: &[u8], within: Duration) -> Answer {
        let (listen, endpoint) = (self.socket.to_string(), self.endpoint().to_string());
        let (state, local) = (text(&self.state_dir()), text(&self.node.socket_path()));
        let mut arguments = command.to_vec();
        arguments.extend(["--name", &self.name, "--listen", &listen, "--state-dir", &state]);
        arguments.extend(["--control", &self.plan.control, "--instance", &self.instance]);
        arguments.extend(["--socket", &local]);
        match self.plan.wireguard {
            true => arguments.extend(["--endpoint", &endpoint]),
            false => arguments.push("--no-wireguard"),
        }
        self.run_for(&arguments, input, within)
    }

    /// Adds the operator's own lines to the configuration that was written.
    fn complete(&self, answer: &Answer) {
        if answer.code != 0 {
            return;
        }
        if !self.plan.tor {
            self.configure("[resilience]", "tor_fallback_enabled = false");
        }
        for (section, line) in &self.plan.lines {
            self.configure(section, line);
        }
    }

    /// Adds a line to a section of the configuration, which is made where it is missing.
    pub(crate) fn configure(&self, section: &str, line: &str) {
        let old = std::fs::read_to_string(self.node.config_path()).unwrap();
        let header = format!("{section}\n");
        let new = match section {
            "" => format!("{old}\n{line}\n"),
            _ if old.contains(&header) => old.replacen(&header, &format!("{header}{line}\n"), 1),
            _ => format!("{old}\n{header}{line}\n"),
        };
        self.node.configure(&new).unwrap();
    }

    /// A command on this machine.
    pub(crate) fn run(&self, arguments: &[&str], input: &[u8]) -> Answer {
        self.run_for(arguments, input, PATIENCE)
    }

    fn run_for(&self, arguments: &[&str], input: &[u8], within: Duration) -> Answer {
        let mut command = Command::new(&self.plan.binary);
        command.arg("--config").arg(self.node.config_path()).args(arguments);
        command.env_remove("JOURNAL_STREAM").env_remove("NOTIFY_SOCKET").env("NO_COLOR", "1");
        command.env("LC_ALL", "C.UTF-8");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.ground.adopt(&mut command).spawn().unwrap();
        // A command that reads nothing may be gone already.
        let _ = child.stdin.take().expect("it is piped").write_all(input);
        if poll(within, || child.try_wait().unwrap()).is_none() {
            terminate(&child);
        }
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Answer {
            code: output.status.code().expect("no signal ended it"),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// An invitation.
    pub(crate) fn invite(&self, rights: &[&str]) -> String {
        let arguments = [&["invite"], rights].concat();
        self.run(&arguments, b"").done().trim().to_owned()
    }

    pub(crate) fn start(&self) {
        self.node.start(&self.ground).unwrap();
    }

    /// Waits until its local socket answers.
    pub(crate) fn wait_ready(&self) {
        self.wait("answers", |_| true);
    }

    /// What the others are told.
    pub(crate) fn endpoint(&self) -> SocketAddr {
        self.relay.as_ref().map_or(self.socket, UdpRelay::address)
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.node.directory().join("state")
    }

    /// Waits until its status document satisfies `wanted`.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        match self.node.wait_status(PATIENCE, wanted) {
            Ok(status) => status,
            Err(error) => panic!("{}: not {what}: {error:#}", self.name),
        }
    }

    /// Waits until it says that this node is in that state.
    #[track_caller]
    pub(crate) fn wait_sees(&self, peer: &Machine, state: &str) -> Value {
        let what = format!("{} {state}", peer.name);
        self.wait(&what, |status| entry(status, &peer.name)["state"] == state)
    }

    /// Where its log ends now: what comes later is news.
    pub(crate) fn mark(&self) -> usize {
        self.node.log().len()
    }

    /// Waits until its log says `text` after `mark`.
    #[track_caller]
    pub(crate) fn wait_log(&self, mark: usize, text: &str) {
        if let Err(error) = self.node.wait_log(mark, text, PATIENCE) {
            panic!("{}: {error:#}", self.name);
        }
    }

    /// What its log says after `mark`.
    pub(crate) fn news(&self, mark: usize) -> String {
        self.node.log()[mark..].to_owned()
    }
}

/// What a status document says of a node; null when it does not name it.
pub(crate) fn entry(status: &Value, name: &str) -> Value {
    let nodes = status["nodes"].as_array().into_iter().flatten();
    { nodes }.find(|node| node["name"] == name).cloned().unwrap_or(Value::Null)
}

/// Waits until all of these see nobody but each other, all alive, and have the same view.
#[track_caller]
pub(crate) fn wait_agreed(machines: &[&Machine]) {
    let mut seen = Vec::new();
    let agreed = poll(PATIENCE, || {
        seen = machines.iter().map(|machine| machine.node.status().ok()).collect();
        let hash = |status: &Option<Value>| {
            let status = status.as_ref()?;
            let nodes = status["nodes"].as_array()?;
            let all = nodes.len() == machines.len();
            let alive = nodes.iter().all(|node| node["state"] == "alive");
            (all && alive).then(|| status["view_hash"].as_str().map(str::to_owned)).flatten()
        };
        let first = hash(&seen[0])?;
        seen.iter().all(|status| hash(status).as_ref() == Some(&first)).then_some(())
    });
    assert!(agreed.is_some(), "they do not agree: {seen:#?}");
}

/// Asks a node for its status until this time has passed: it answers all the while.
#[track_caller]
pub(crate) fn watch(machine: &Machine, for_at_least: Duration) {
    let from = now();
    machine.wait("up for longer", |_| now() - from >= for_at_least);
}

/// Asks again and again until there is an answer or the time is over.
pub(crate) fn poll<T>(within: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let end = now() + within;
    loop {
        match ready() {
            None if now() < end => std::thread::sleep(Duration::from_millis(50)),
            found => return found,
        }
    }
}

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "processes under test live in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Sends SIGTERM. The shell has a `kill` of its own where a machine has no such program.
fn terminate(child: &Child) {
    let pid = child.id().to_string();
    let sent = Command::new("sh").args(["-c", "kill \"$1\"", "kill", &pid]).status();
    assert!(sent.unwrap().success());
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
