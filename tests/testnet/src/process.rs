//! One tor process: started, killed, frozen, thawed, started again.
//!
//! It does not know what its tor is for; that stands in the torrc it is given.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::clock;
use crate::control::Control;
use crate::site::Site;

/// How long a tor may take from its start until its control socket answers.
const CONTROL_DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
/// Tells a start that failed only because somebody took the port in between.
pub(crate) const PORT_TAKEN: &str = "another process took the port";

/// A tor process and its files. Killed on drop.
#[derive(Debug)]
pub struct TorProcess {
    name: String,
    directory: PathBuf,
    site: Arc<Site>,
    child: Mutex<Option<Child>>,
}

impl TorProcess {
    /// Makes the directory of a tor that is not started yet.
    pub(crate) fn new(site: &Arc<Site>, name: &str) -> Result<TorProcess> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if !(1..=40).contains(&name.len()) || !name.bytes().all(allowed) {
            bail!("{name:?} is no name for a tor: 1 to 40 letters, digits and `-` are");
        }
        let directory = site.directory().join(name);
        fs::DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(&directory)
            .with_context(|| format!("cannot make the directory {}", directory.display()))?;
        Ok(TorProcess {
            name: name.to_owned(),
            directory,
            site: Arc::clone(site),
            child: Mutex::new(None),
        })
    }

    /// Its name in the network, such as `relay4` or `front-a`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its data directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The path of its control socket.
    pub fn control_socket(&self) -> PathBuf {
        self.directory.join("control")
    }

    /// The path of its control cookie.
    pub fn cookie_path(&self) -> PathBuf {
        self.directory.join("cookie")
    }

    /// Its torrc; what is changed there counts from the next [`restart`](Self::restart).
    pub fn torrc_path(&self) -> PathBuf {
        self.directory.join("torrc")
    }

    /// Its process number while it runs.
    pub fn pid(&self) -> Option<u32> {
        let mut child = self.child();
        let running = child.as_mut()?;
        matches!(running.try_wait(), Ok(None)).then(|| running.id())
    }

    /// Whether the process exists; a frozen one does.
    pub fn is_running(&self) -> bool {
        self.pid().is_some()
    }

    /// Whether the kernel holds it stopped.
    pub fn is_frozen(&self) -> bool {
        let stat = self.pid().and_then(|pid| fs::read_to_string(format!("/proc/{pid}/stat")).ok());
        let state = stat.as_deref().and_then(|text| text.rsplit_once(") "));
        state.is_some_and(|(_, rest)| rest.starts_with('T'))
    }

    /// Its resident memory in bytes, `None` when it does not run.
    pub fn resident_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    }

    /// Ends it as a power cut would (SIGKILL), frozen or not, and waits for the end.
    pub fn kill(&self) {
        if let Some(mut running) = self.child().take() {
            // It may have ended by itself, which is as good.
            let _ = running.kill();
            let _ = running.wait();
        }
    }

    /// Stops it where it stands (SIGSTOP): its connections stay open and unanswered.
    ///
    /// # Errors
    /// Fails when it does not run, or does not stop within seconds.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)?;
        self.wait_until_frozen(true)
    }

    /// Lets a frozen one go on (SIGCONT).
    ///
    /// # Errors
    /// Fails when it does not run, or stays stopped.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)?;
        self.wait_until_frozen(false)
    }

    /// Kills it if it runs, starts it on the same files and ports, and waits for its control socket.
    /// It is not bootstrapped yet: see [`wait_bootstrapped`](Self::wait_bootstrapped).
    ///
    /// # Errors
    /// Fails when tor does not come up; the message holds the end of its log.
    pub fn restart(&self) -> Result<()> {
        self.kill();
        self.spawn()?;
        self.wait_control()
    }

    /// A new connection to its control socket, authenticated.
    ///
    /// # Errors
    /// Fails when it does not run or does not answer.
    pub fn control(&self) -> Result<Control> {
        Control::connect(&self.control_socket(), &self.cookie_path())
            .with_context(|| format!("{}: no control connection", self.name))
    }

    /// The last `lines` lines of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        const TAIL_BYTES: u64 = 64 * 1024;
        let mut bytes = Vec::new();
        if let Ok(mut file) = File::open(self.log_path()) {
            let len = file.metadata().map_or(0, |data| data.len());
            let seen = file.seek(SeekFrom::Start(len.saturating_sub(TAIL_BYTES)));
            if seen.and_then(|_| file.take(TAIL_BYTES).read_to_end(&mut bytes)).is_err() {
                return "(the log cannot be read)".to_owned();
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// The path of its log: all starts one after the other.
    pub fn log_path(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// Waits until tor says that it is bootstrapped, which means circuits can be built.
    ///
    /// # Errors
    /// Fails when it ends or does not get there in time, with the end of its log.
    pub fn wait_bootstrapped(&self, within: Duration) -> Result<()> {
        let mut phase = Bootstrap::new(self);
        let done = clock::poll(clock::now() + within, 4 * POLL, || match phase.poll() {
            Ok(true) => Some(Ok(())),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        });
        done.unwrap_or_else(|| Err(phase.too_late(within)))
    }

    /// Writes the torrc and starts it; comes back when the control socket answers.
    pub(crate) fn start(&self, torrc: &str) -> Result<()> {
        self.launch(torrc)?;
        self.wait_control()
    }

    /// Writes the torrc and starts it, without waiting for anything.
    pub(crate) fn launch(&self, torrc: &str) -> Result<()> {
        fs::write(self.torrc_path(), torrc)
            .with_context(|| format!("cannot write {}", self.torrc_path().display()))?;
        self.spawn()
    }

    /// An error with the end of the log.
    pub(crate) fn failure(&self, what: &str) -> anyhow::Error {
        let log = self.log_tail(15);
        anyhow!("{}: {what}\nThe end of its log ({}):\n{log}", self.name, self.log_path().display())
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().expect("nobody panics while holding it")
    }

    fn spawn(&self) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.log_path());
        let log = log.with_context(|| format!("cannot open {}", self.log_path().display()))?;
        let child = Command::new(&self.site.binaries.tor)
            .arg("--defaults-torrc")
            .arg(self.site.empty_file())
            .arg("-f")
            .arg(self.torrc_path())
            .current_dir(&self.directory)
            .env("MALLOC_ARENA_MAX", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("cannot duplicate the log's descriptor")?)
            .stderr(log)
            .process_group(self.site.group())
            .spawn()
            .with_context(|| format!("{}: cannot start tor in the network's group", self.name))?;
        *self.child() = Some(child);
        Ok(())
    }

    /// Waits until the control socket answers.
    pub(crate) fn wait_control(&self) -> Result<()> {
        let ready = clock::poll(clock::now() + CONTROL_DEADLINE, POLL, || {
            if !self.is_running() {
                return Some(Err(self.ended()));
            }
            self.control().is_ok().then_some(Ok(()))
        });
        ready.unwrap_or_else(|| {
            let within_s = CONTROL_DEADLINE.as_secs();
            Err(self.failure(&format!("its control socket did not answer within {within_s} s")))
        })
    }

    fn ended(&self) -> anyhow::Error {
        let taken = self.log_tail(15).contains("Address already in use");
        self.failure(if taken { PORT_TAKEN } else { "tor ended by itself" })
    }

    fn signal(&self, which: Signal) -> Result<()> {
        let Some(pid) = self.pid() else {
            bail!("{} does not run, so it cannot get {which}", self.name);
        };
        signal::kill(Pid::from_raw(pid.cast_signed()), which)
            .with_context(|| format!("{}: cannot send {which} to process {pid}", self.name))
    }

    fn wait_until_frozen(&self, wanted: bool) -> Result<()> {
        let within = clock::now() + Duration::from_secs(5);
        let seen = clock::poll(within, POLL / 10, || (self.is_frozen() == wanted).then_some(()));
        let state = if wanted { "stop" } else { "go on" };
        seen.with_context(|| format!("{} did not {state} within 5 s", self.name))
    }
}

impl Drop for TorProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How far a tor has come, asked over one control connection that is kept.
pub(crate) struct Bootstrap<'a> {
    tor: &'a TorProcess,
    control: Option<Control>,
    last: String,
}

impl<'a> Bootstrap<'a> {
    pub(crate) fn new(tor: &'a TorProcess) -> Bootstrap<'a> {
        Bootstrap { tor, control: None, last: "nothing said yet".to_owned() }
    }

    /// Whether it is there; fails when its process has ended.
    pub(crate) fn poll(&mut self) -> Result<bool> {
        if !self.tor.is_running() {
            return Err(self.tor.ended());
        }
        if self.control.is_none() {
            self.control = self.tor.control().ok();
        }
        let Some(control) = &mut self.control else { return Ok(false) };
        match control.getinfo("status/bootstrap-phase") {
            Ok(phase) => self.last = phase,
            Err(_) => self.control = None,
        }
        Ok(self.last.contains("PROGRESS=100 "))
    }

    pub(crate) fn too_late(&self, within: Duration) -> anyhow::Error {
        let within_s = within.as_secs();
        self.tor.failure(&format!("not bootstrapped within {within_s} s, last: {}", self.last))
    }
}

/// Waits for all of `tors`, telling after each step how many are there.
pub(crate) fn wait_all_bootstrapped(
    tors: &[&TorProcess],
    deadline: Instant,
    mut progress: impl FnMut(usize),
) -> Result<()> {
    let within = clock::until(deadline);
    let mut waiting: Vec<Bootstrap<'_>> = tors.iter().map(|tor| Bootstrap::new(tor)).collect();
    let mut told = 0;
    loop {
        let mut left = Vec::new();
        for mut tor in waiting {
            if !tor.poll()? {
                left.push(tor);
            }
        }
        waiting = left;
        let ready = tors.len() - waiting.len();
        if ready > told {
            told = ready;
            progress(ready);
        }
        let Some(slowest) = waiting.first() else { return Ok(()) };
        if clock::until(deadline).is_zero() {
            return Err(slowest.too_late(within));
        }
        std::thread::sleep(4 * POLL);
    }
}
