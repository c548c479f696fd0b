//! A node beside a fake tor, as its operator meets it: configuration, log, status, exit code.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustbalance::hs::address;
use rustbalance::hs::descriptor::{self, Content};
use rustbalance::hs::keys::MasterKey;
use rustbalance::ident::IntroPoint;
use rustbalance::time::TimePeriod;
use serde_json::Value;
use tempfile::TempDir;

use super::fake_tor::FakeTor;
use super::fake_tor::synthetic::Network;
use super::fake_tor::world::{World, network_at, wall};
use super::points;

/// Longer than everything that a node waits for by itself, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// Introduction points of each front.
pub(crate) const POINTS: usize = 3;

/// The front beside the node.
pub(crate) const OWN: &str = "front-a";
/// The front that is a plain backend.
pub(crate) const BACKEND: &str = "front-b";

/// Everything of one operator.
pub(crate) struct Site {
    pub(crate) dir: TempDir,
    pub(crate) tor: FakeTor,
    pub(crate) master: MasterKey,
    pub(crate) own: MasterKey,
    pub(crate) backend: MasterKey,
    pub(crate) binary: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Site {
    /// A small network before noon, where both fronts are well; the node is not started.
    pub(crate) fn new() -> Site {
        Site::on(&network_at(3, 16))
    }

    /// The same on another network.
    pub(crate) fn on(network: &Network) -> Site {
        let key = || MasterKey::generate(&mut rand::rng());
        let (master, own, backend) = (key(), key(), key());
        let mut world = World::new(network, own.id());
        let periods = world.periods;
        world.instance.1 = Some(instance(&own, &periods[0], &points_of(0)));
        world.standing = points_of(0).iter().map(|point| point.relay).collect();
        let current = world.current();
        world.elsewhere.insert(backend.id(), instance(&backend, &current, &points_of(1)));
        let site = Site {
            dir: tempfile::tempdir().unwrap(),
            tor: FakeTor::new(world),
            binary: PathBuf::from(env!("CARGO_BIN_EXE_rustbalance")),
            child: Mutex::new(None),
            master,
            own,
            backend,
        };
        site.write_key(&site.master.to_tor_file());
        site.configure("");
        site
    }

    /// A started site.
    pub(crate) fn started() -> Site {
        let site = Site::new();
        site.start();
        site
    }

    /// A started site on which everything is confirmed.
    pub(crate) fn healthy() -> Site {
        let site = Site::started();
        site.wait_healthy();
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The file with the master key.
    pub(crate) fn write_key(&self, content: &[u8]) {
        use std::io::Write as _;
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(self.path("master.key")).unwrap().write_all(content).unwrap();
    }

    /// Writes the configuration: impatient, with `more` behind it.
    pub(crate) fn configure(&self, more: &str) {
        let text = format!(
            "[node]\nname = \"{OWN}\"\nredact = false\n\n\
             [[service]]\nonion = \"{}\"\nkey_file = \"{}\"\n\n\
             [[backend]]\nname = \"{BACKEND}\"\nonion = \"{}\"\n\n\
             [tor]\ncontrol = \"unix:{}\"\ninstance = \"{}\"\n\
             reconnect_max = 1\nrequest_timeout = 2\n\n\
             [gather]\nbackend_poll = 10\n\n[publish]\nburst = 100\n\n\
             [resilience]\nupload_timeout = 10\n\n[control]\nsocket = \"{}\"\n{more}",
            address::onion(&self.master.id()),
            self.path("master.key").display(),
            address::onion(&self.backend.id()),
            self.tor.socket().display(),
            address::onion(&self.own.id()),
            self.path("socket").display(),
        );
        std::fs::write(self.path("config.toml"), text).unwrap();
    }

    /// Replaces a piece of the configuration.
    pub(crate) fn reconfigure(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path("config.toml")).unwrap();
        assert!(text.contains(from), "{from:?} is not in {text}");
        std::fs::write(self.path("config.toml"), text.replace(from, to)).unwrap();
    }

    /// The program with this configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("--config").arg(self.path("config.toml")).args(arguments);
        command.env_remove("JOURNAL_STREAM").env_remove("NOTIFY_SOCKET").env("NO_COLOR", "1");
        command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
        command
    }

    pub(crate) fn start(&self) {
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = self.command(&["run"]);
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
    }

    /// Waits until the node has ended by itself; gives its exit code and its log.
    pub(crate) fn ended(&self) -> (i32, String) {
        let status = self.exit_status();
        (status.code().expect("an exit code, not a signal"), self.log())
    }

    fn exit_status(&self) -> ExitStatus {
        let ended = poll(|| {
            let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
            child.as_mut().expect("it was started").try_wait().unwrap()
        });
        ended.unwrap_or_else(|| panic!("it goes on:\n{}", self.log()))
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn signalled(&self, signal: &str) -> ExitStatus {
        self.signal(signal);
        self.exit_status()
    }

    /// Sends a signal. The shell has a `kill` of its own where a machine has no such program.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("sh").args(["-c", "kill \"$@\"", "kill", signal, &pid]).status();
        assert!(sent.unwrap().success());
    }

    pub(crate) fn pid(&self) -> u32 {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.as_ref().expect("it was started").id()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The status document; `None` while nobody listens.
    pub(crate) fn status(&self) -> Option<Value> {
        let output = self.command(&["status", "--json"]).output().unwrap();
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    /// What `rustbalance status` shows.
    pub(crate) fn screen(&self) -> String {
        let output = self.command(&["status"]).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    /// Waits until the log holds `text`.
    pub(crate) fn wait_log(&self, text: &str) {
        let found = poll(|| self.log().contains(text).then_some(()));
        found.unwrap_or_else(|| panic!("no {text:?} in:\n{}\n{}", self.log(), self.screen()));
    }

    /// Waits until the status document satisfies `wanted`.
    pub(crate) fn wait_status(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = poll(|| self.status().filter(|status| wanted(status)));
        found.unwrap_or_else(|| panic!("not {what}:\n{}\n{}", self.screen(), self.log()))
    }

    /// Waits until the status names this problem; gives what it says.
    pub(crate) fn wait_check(&self, code: &str, text: &str) -> Value {
        let wanted = |status: &Value| check(status, code).is_some_and(|said| said.contains(text));
        self.wait_status(&format!("{code} with {text:?}"), wanted)
    }

    /// Waits until everything is confirmed, and makes sure that nothing panicked on the way.
    pub(crate) fn wait_healthy(&self) -> Value {
        let status = self.wait_status("healthy", |status| status["health"] == "ok");
        let log = self.log();
        assert!(!log.contains("panicked"), "{log}");
        for slot in 0..2 {
            let descriptor = &status["services"][0]["descriptors"][slot];
            assert_eq!(descriptor["hsdirs_confirmed"], descriptor["hsdirs_target"]);
        }
        status
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(child) = child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The introduction points of the front with this number.
pub(crate) fn points_of(front: usize) -> Vec<IntroPoint> {
    points::content(20).points[front * POINTS..(front + 1) * POINTS].to_vec()
}

/// An instance's descriptor, as its tor would have made it now.
pub(crate) fn instance(key: &MasterKey, period: &TimePeriod, points: &[IntroPoint]) -> String {
    let content = Content { points: points.to_vec(), flow_control: Some("1-2 31".to_owned()) };
    descriptor::build(&key.blind(period), &content, wall()).unwrap()
}

/// What the status says of a problem of this kind, when it names one.
pub(crate) fn check<'a>(status: &'a Value, code: &str) -> Option<&'a str> {
    let checks = status["checks"].as_array().expect("a list");
    checks.iter().find(|check| check["code"] == code)?["message"].as_str()
}

/// Asks again and again until there is an answer or patience is over.
#[expect(clippy::disallowed_methods, reason = "a process under test lives in real time")]
pub(crate) fn poll<T>(mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        match ready() {
            None if Instant::now() < end => std::thread::sleep(Duration::from_millis(50)),
            found => return found,
        }
    }
}
