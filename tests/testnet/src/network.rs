//! The network: who is in it, in which order it comes up, and how it is asked about.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::client::{Client, FetchError, Response};
use crate::clock;
use crate::front::Front;
use crate::ground::Ground;
use crate::options::{FrontOptions, Options};
use crate::process::TorProcess;
use crate::site::Site;
use crate::watcher::{WatchOptions, Watcher};

mod start;

/// A private Tor network that runs. Everything in it ends on drop.
#[derive(Debug)]
pub struct Network {
    relays: Vec<Relay>,
    clients: Vec<Arc<Client>>,
    options: Options,
    turn: AtomicUsize,
    fresh: Mutex<()>,
    took: Duration,
    site: Arc<Site>,
}

/// A relay, which is an HSDir too; the first ones are the authorities.
#[derive(Debug)]
pub struct Relay {
    tor: TorProcess,
    fingerprint: String,
    authority: bool,
}

impl Relay {
    /// Its tor.
    pub fn tor(&self) -> &TorProcess {
        &self.tor
    }

    /// Its RSA identity, 40 upper-case hexadecimal digits.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Whether it is a directory authority.
    pub fn is_authority(&self) -> bool {
        self.authority
    }
}

/// The shared random values in a consensus, in base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedRandom {
    /// The value of the run before.
    pub previous: Option<String>,
    /// The newest value.
    pub current: Option<String>,
}

/// A page fetched with a fresh view, and by whom.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// The client's number.
    pub client: usize,
    /// The page, or why it did not come.
    pub outcome: Result<Response, FetchError>,
}

impl Network {
    /// Starts a network and waits until every tor in it is bootstrapped; about a minute.
    ///
    /// `progress` is told in plain words what happens.
    ///
    /// # Errors
    /// Fails when no tor is found, when one ends, or when `options.deadline` passes; then the end of
    /// the guilty tor's log is in the message, and nothing is left running.
    pub fn start(options: Options, mut progress: impl FnMut(&str)) -> Result<Network> {
        start::start(options, &mut progress)
    }

    /// The directory with everybody's files.
    pub fn directory(&self) -> &std::path::Path {
        self.site.directory()
    }

    /// What it was started with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The version of tor, such as `0.4.9.11`.
    pub fn tor_version(&self) -> &str {
        &self.site.binaries.version
    }

    /// How long the start took.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// All relays, the authorities first.
    pub fn relays(&self) -> &[Relay] {
        &self.relays
    }

    /// Relay `number`; the authorities come first.
    ///
    /// # Panics
    /// When there is no such relay.
    pub fn relay(&self, number: usize) -> &Relay {
        &self.relays[number]
    }

    /// The relay with this RSA identity: 40 hexadecimal digits, a `$` and a `~nickname` may stand.
    pub fn relay_by_fingerprint(&self, fingerprint: &str) -> Option<&Relay> {
        let digits = fingerprint.trim_start_matches('$').split(['~', '=']).next()?;
        self.relays.iter().find(|relay| relay.fingerprint.eq_ignore_ascii_case(digits))
    }

    /// All clients.
    pub fn clients(&self) -> &[Arc<Client>] {
        &self.clients
    }

    /// Client `number`.
    ///
    /// # Panics
    /// When there is no such client.
    pub fn client(&self, number: usize) -> &Client {
        &self.clients[number]
    }

    /// Starts a front whose onion service is an Onionbalance instance of `masters` (`….onion`), and
    /// waits until its tor is bootstrapped.
    ///
    /// # Errors
    /// Fails without masters, and when its tor does not come up.
    pub fn add_front(&self, name: &str, masters: &[&str], options: FrontOptions) -> Result<Front> {
        if masters.is_empty() {
            bail!("{name}: an instance needs a master address; a plain service is add_service");
        }
        Front::start(&self.site, name, masters, &options)
    }

    /// Starts several such fronts at the same time.
    ///
    /// # Errors
    /// As [`add_front`](Self::add_front), with the first failure.
    pub fn add_fronts(
        &self,
        names: &[&str],
        masters: &[&str],
        options: &FrontOptions,
    ) -> Result<Vec<Front>> {
        let one = |name: &str| self.add_front(name, masters, options.clone());
        std::thread::scope(|scope| {
            let started: Vec<_> = names.iter().map(|name| scope.spawn(move || one(name))).collect();
            started.into_iter().map(|it| it.join().expect("a start does not panic")).collect()
        })
    }

    /// Starts a front with a plain onion service, to compare with.
    ///
    /// # Errors
    /// Fails when its tor does not come up.
    pub fn add_service(&self, name: &str, options: FrontOptions) -> Result<Front> {
        Front::start(&self.site, name, &[], &options)
    }

    /// Fetches `http://onion/` with the next client in turn, made to forget all it knew. Waits until
    /// tor allows that, which is once in eleven seconds and client.
    ///
    /// # Errors
    /// Fails when the client's tor does not answer on its control socket. A page that does not come
    /// is an outcome, not an error.
    pub fn fetch_fresh(&self, onion: &str, timeout: Duration) -> Result<Fresh> {
        let number = {
            let _one_at_a_time = self.fresh.lock().expect("nobody panics while holding it");
            let number = self.turn.fetch_add(1, Ordering::Relaxed) % self.clients.len();
            let client = &self.clients[number];
            if let Some(at) = client.forgets_again() {
                std::thread::sleep(clock::until(at));
            }
            client.forget()?;
            number
        };
        Ok(Fresh { client: number, outcome: self.clients[number].get(onion, "/", timeout) })
    }

    /// Fetches with fresh views until a page comes, for at most `within`.
    ///
    /// Asking again with the same view would not do: a client that found no descriptor asks none of
    /// the same HSDirs for a quarter of an hour.
    ///
    /// # Errors
    /// Fails when no page comes in time, with the last reason.
    pub fn wait_reachable(&self, onion: &str, within: Duration) -> Result<Response> {
        const ONE_TRY: Duration = Duration::from_secs(20);
        let deadline = clock::now() + within;
        loop {
            match self.fetch_fresh(onion, ONE_TRY.min(within))?.outcome {
                Ok(page) => return Ok(page),
                Err(error) if clock::until(deadline).is_zero() => {
                    let within_s = within.as_secs();
                    bail!("{onion} was not reached within {within_s} s, last: {error}");
                }
                Err(_) => {}
            }
        }
    }

    /// Fetches `http://onion/` in the background, with all clients in turn.
    pub fn watch(&self, onion: &str, options: WatchOptions) -> Watcher {
        Watcher::start(self.clients.clone(), onion, options)
    }

    /// Puts a process that is about to be started into the network's group: it dies with it.
    pub fn adopt<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        self.site.ground.adopt(command)
    }

    /// The shared random values that the first authority has in its consensus.
    ///
    /// # Errors
    /// Fails when that authority does not answer.
    pub fn shared_random(&self) -> Result<SharedRandom> {
        let mut control = self.relay(0).tor().control()?;
        let mut value = |key| control.getinfo(key).map(|text| Some(text).filter(|t| !t.is_empty()));
        Ok(SharedRandom { previous: value("sr/previous")?, current: value("sr/current")? })
    }

    /// How long until the next time period begins, by the wall clock.
    pub fn until_period_change(&self) -> Duration {
        let period_s = self.options.period_s();
        let since_s = (clock::unix_s() + period_s / 2) % period_s;
        Duration::from_secs(period_s - since_s)
    }

    /// How long until the next shared random value is in a consensus, by the wall clock.
    pub fn until_shared_random_change(&self) -> Duration {
        let period_s = self.options.period_s();
        Duration::from_secs(period_s - clock::unix_s() % period_s)
    }

    /// How long until the next of both, which alternate.
    pub fn until_boundary(&self) -> Duration {
        self.until_period_change().min(self.until_shared_random_change())
    }

    /// Comes back when the last boundary was `after` ago and none comes for `before`; together they
    /// must be less than half a period.
    pub fn keep_clear_of_boundaries(&self, before: Duration, after: Duration) {
        let half_period = Duration::from_secs(self.options.period_s() / 2);
        let left = self.until_boundary();
        let since = half_period.saturating_sub(left);
        let wait = if left < before { left + after } else { after.saturating_sub(since) };
        std::thread::sleep(wait);
    }

    /// The resident memory of all relays and clients, in bytes; shared pages count once each.
    pub fn resident_bytes(&self) -> u64 {
        self.tors().filter_map(TorProcess::resident_bytes).sum()
    }

    fn tors(&self) -> impl Iterator<Item = &TorProcess> {
        let clients = self.clients.iter().map(|client| client.tor());
        self.relays.iter().map(Relay::tor).chain(clients)
    }

    /// The relay's identity, read from the file that its tor wrote.
    fn relay_of(tor: TorProcess, authority: bool) -> Result<Relay> {
        let path = tor.directory().join("fingerprint");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let fingerprint = text.split_whitespace().nth(1).map(str::to_owned);
        let fingerprint =
            fingerprint.with_context(|| format!("{} holds no fingerprint", path.display()))?;
        Ok(Relay { tor, fingerprint, authority })
    }
}

impl AsRef<Ground> for Network {
    fn as_ref(&self) -> &Ground {
        &self.site.ground
    }
}

impl Drop for Network {
    /// Kills everything in the group at once, fronts included; the members then only wait.
    fn drop(&mut self) {
        self.site.ground.kill_all();
    }
}
