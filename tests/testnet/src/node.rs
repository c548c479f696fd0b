//! A process of the program under test: a node beside a front's tor.
//!
//! It knows the program only as an operator does: a configuration file, a log, a local socket.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use serde_json::Value;

use crate::clock;
use crate::ground::Ground;

/// Fields of `/proc/<pid>/stat` (proc(5)), counted from the one after the name.
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;

/// The unit of both: Linux counts a hundredth of a second, whatever its own ticks are.
const TICK_MS: u64 = 10;

const POLL: Duration = Duration::from_millis(50);
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// A running node and its files. Killed on drop.
#[derive(Debug)]
pub struct Node {
    binary: PathBuf,
    directory: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Node {
    /// Makes the directory of a node that is not started yet, inside the ground's own.
    ///
    /// # Errors
    /// Fails when the directory cannot be made.
    pub fn new(ground: &impl AsRef<Ground>, name: &str, binary: &Path) -> Result<Node> {
        let directory = ground.as_ref().directory().join(format!("node-{name}"));
        fs::DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        Ok(Node { binary: binary.to_owned(), directory, child: Mutex::new(None) })
    }

    /// Its directory, for further files such as keys.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where its configuration is.
    pub fn config_path(&self) -> PathBuf {
        self.directory.join("config.toml")
    }

    /// Where its local socket belongs; the configuration has to say so.
    pub fn socket_path(&self) -> PathBuf {
        self.directory.join("socket")
    }

    /// Where its log goes: all starts one after the other.
    pub fn log_path(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// Writes a file that only its owner can read, such as a key.
    ///
    /// # Errors
    /// Fails when it cannot be written.
    pub fn write_secret(&self, name: &str, content: &[u8]) -> Result<PathBuf> {
        use std::io::Write;
        let path = self.directory.join(name);
        let mut file =
            File::options().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        file.write_all(content)?;
        Ok(path)
    }

    /// Writes the configuration.
    ///
    /// # Errors
    /// Fails when it cannot be written.
    pub fn configure(&self, config: &str) -> Result<()> {
        fs::write(self.config_path(), config).context("cannot write the configuration")
    }

    /// Starts the process; it need not be ready when this comes back.
    ///
    /// # Errors
    /// Fails when the program cannot be started.
    pub fn start(&self, ground: &impl AsRef<Ground>) -> Result<()> {
        self.kill();
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let mut command = Command::new(&self.binary);
        command.arg("--config").arg(self.config_path()).arg("run");
        command.env_remove("JOURNAL_STREAM").env_remove("NOTIFY_SOCKET").env("NO_COLOR", "1");
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = ground
            .as_ref()
            .adopt(&mut command)
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        *self.child() = Some(child);
        Ok(())
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        let mut child = self.child();
        let running = child.as_mut()?;
        matches!(running.try_wait(), Ok(None)).then(|| running.id())
    }

    /// Ends it as a power cut would (SIGKILL).
    pub fn kill(&self) {
        if let Some(mut running) = self.child().take() {
            let _ = running.kill();
            let _ = running.wait();
        }
    }

    /// Asks it to end (SIGTERM) and waits; true when it ended with success.
    ///
    /// # Errors
    /// Fails when it does not run or does not end in time.
    pub fn stop(&self) -> Result<bool> {
        self.signal(Signal::SIGTERM)?;
        let mut child = self.child();
        let running = child.as_mut().context("the node does not run")?;
        let ended = clock::poll(clock::now() + STOP_DEADLINE, POLL, || running.try_wait().ok()?);
        *child = None;
        Ok(ended.context("the node did not end after SIGTERM")?.success())
    }

    /// Stops it as a machine that swaps or is suspended does (SIGSTOP).
    ///
    /// # Errors
    /// Fails when it does not run.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets a frozen one go on (SIGCONT).
    ///
    /// # Errors
    /// Fails when it does not run.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Waits until it has ended by itself; gives its exit code.
    ///
    /// # Errors
    /// Fails when it was not started, goes on after `within`, or was ended by a signal.
    pub fn wait_exit(&self, within: Duration) -> Result<i32> {
        let mut child = self.child();
        let running = child.as_mut().context("the node was not started")?;
        let ended = clock::poll(clock::now() + within, POLL, || running.try_wait().ok()?);
        ended.context("the node goes on")?.code().context("a signal ended the node")
    }

    /// A figure of `/proc/<pid>/status` in bytes, such as `VmRSS` or `VmHWM` (the peak).
    pub fn memory_bytes(&self, field: &str) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?)).ok()?;
        let wanted = format!("{field}:");
        let line = status.lines().find_map(|line| line.strip_prefix(&wanted))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    }

    /// How long processors have worked for it since its start.
    pub fn cpu_time(&self) -> Option<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()?)).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let ticks = |place: usize| fields.get(place)?.parse::<u64>().ok();
        Some(Duration::from_millis((ticks(USER_TIME)? + ticks(SYSTEM_TIME)?) * TICK_MS))
    }

    /// Its status document, read from the local socket as any program would.
    ///
    /// # Errors
    /// Fails when nobody answers, or not with JSON.
    pub fn status(&self) -> Result<Value> {
        self.ask(&serde_json::json!({"request": "status"}))
    }

    /// Asks it something over the local socket, and gives its answer, a refusal too.
    ///
    /// # Errors
    /// Fails when nobody answers within a minute, or not with JSON.
    pub fn ask(&self, request: &Value) -> Result<Value> {
        let mut stream = UnixStream::connect(self.socket_path()).context("no local socket")?;
        stream.set_read_timeout(Some(ANSWER_DEADLINE))?;
        stream.write_all(format!("{request}\n").as_bytes())?;
        let mut document = Vec::new();
        stream.read_to_end(&mut document)?;
        serde_json::from_slice(&document).context("the answer is not JSON")
    }

    /// Waits until the status document satisfies `wanted`.
    ///
    /// # Errors
    /// Fails after `within`, with the last document and the end of the log.
    pub fn wait_status(&self, within: Duration, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = None;
        let found = clock::poll(clock::now() + within, POLL, || {
            last = self.status().ok();
            last.clone().filter(|status| wanted(status))
        });
        let Some(found) = found else {
            bail!("not within {within:?}: {last:?}\nlog:\n{}", self.log_tail(30));
        };
        Ok(found)
    }

    /// Waits until every HSDir of both descriptors of every service has confirmed.
    ///
    /// # Errors
    /// As [`wait_status`](Self::wait_status).
    pub fn wait_confirmed(&self, within: Duration) -> Result<Value> {
        self.wait_status(within, |status| {
            let services = status["services"].as_array().into_iter().flatten();
            let descriptors: Vec<&Value> = services
                .filter_map(|service| service["descriptors"].as_array())
                .flatten()
                .collect();
            let full = |d: &&Value| {
                d["hsdirs_target"].as_u64() > Some(0) && d["hsdirs_confirmed"] == d["hsdirs_target"]
            };
            descriptors.len() >= 2 && descriptors.iter().all(full)
        })
    }

    /// The whole log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The last lines of the log.
    pub fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Waits until the log holds `text` after the first `from` bytes; gives the log's length then.
    ///
    /// # Errors
    /// Fails after `within`, with the end of the log.
    pub fn wait_log(&self, from: usize, text: &str, within: Duration) -> Result<usize> {
        let found = clock::poll(clock::now() + within, POLL, || {
            let log = self.log();
            log.get(from..).is_some_and(|news| news.contains(text)).then_some(log.len())
        });
        found.with_context(|| format!("no {text:?} within {within:?}:\n{}", self.log_tail(30)))
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.pid().context("the node does not run")?;
        Ok(signal::kill(Pid::from_raw(i32::try_from(pid)?), signal)?)
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
