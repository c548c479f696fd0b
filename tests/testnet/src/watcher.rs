//! A page fetched again and again in the background, as a user who keeps reloading would.

use std::fmt;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::client::{Client, FetchError, FetchErrorKind, Response};
use crate::clock;

/// How long after a failure a retry counts as having mended it.
pub const MENDED_WITHIN: Duration = Duration::from_secs(10);
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// What and how often a [`Watcher`] fetches.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// From one fetch to the next, whatever becomes of the earlier ones.
    pub every: Duration,
    /// When one fetch is given up.
    pub timeout: Duration,
}

impl Default for WatchOptions {
    fn default() -> WatchOptions {
        WatchOptions { every: Duration::from_secs(1), timeout: Duration::from_secs(30) }
    }
}

/// One fetch.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When it began, since the watcher's start.
    pub at: Duration,
    /// Which client, by its number in the network.
    pub client: usize,
    /// Whether the client had just forgotten what it knew.
    pub fresh: bool,
    /// What became of it: the front that answered, or why none did.
    pub outcome: Result<String, FetchError>,
    /// For a failed one: how long after the failure a retry by the same client got the page.
    pub mended_after: Option<Duration>,
}

impl Sample {
    /// Whether it failed and no retry within ten seconds mended it.
    pub fn is_lost(&self) -> bool {
        self.outcome.is_err() && self.mended_after.is_none()
    }
}

/// What a watcher saw, in the order of the fetches' beginnings.
#[derive(Clone, Debug, Default)]
pub struct Samples(pub Vec<Sample>);

impl Samples {
    /// The longest time from the beginning of a failed fetch to that of the next good one.
    pub fn longest_outage(&self) -> Duration {
        let mut longest = Duration::ZERO;
        let mut since: Option<Duration> = None;
        for sample in &self.0 {
            if let Some(began) = since {
                longest = longest.max(sample.at - began);
            }
            since = match &sample.outcome {
                Ok(_) => None,
                Err(error) => {
                    longest = longest.max(error.elapsed);
                    since.or(Some(sample.at))
                }
            };
        }
        longest
    }

    /// The fetches that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Sample> {
        self.0.iter().filter(|sample| sample.outcome.is_err())
    }

    /// The failed fetches that no retry within ten seconds mended.
    pub fn lost(&self) -> Vec<&Sample> {
        self.0.iter().filter(|sample| sample.is_lost()).collect()
    }

    /// How many fetches each front answered, by name.
    pub fn by_front(&self) -> std::collections::BTreeMap<&str, usize> {
        let mut counts = std::collections::BTreeMap::new();
        for front in self.0.iter().filter_map(|sample| sample.outcome.as_deref().ok()) {
            *counts.entry(front).or_default() += 1;
        }
        counts
    }
}

/// One line each: time, client, view, outcome.
impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for sample in &self.0 {
            let view = if sample.fresh { "fresh " } else { "cached" };
            write!(f, "{:7.1} s  client {}  {view}  ", sample.at.as_secs_f32(), sample.client)?;
            match (&sample.outcome, sample.mended_after) {
                (Ok(front), _) => writeln!(f, "{front}")?,
                (Err(error), None) => writeln!(f, "LOST: {error}")?,
                (Err(error), Some(after)) => {
                    writeln!(f, "{error}; a retry came {:.1} s later", after.as_secs_f32())?;
                }
            }
        }
        Ok(())
    }
}

/// A background thread that fetches one page, with several clients in turn.
#[derive(Debug)]
pub struct Watcher {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
    samples: Arc<Mutex<Vec<Sample>>>,
}

impl Watcher {
    /// Starts fetching `http://onion/` with `clients`, each of which forgets what it knows whenever
    /// it is its turn and tor allows it.
    pub(crate) fn start(clients: Vec<Arc<Client>>, onion: &str, options: WatchOptions) -> Watcher {
        let samples = Arc::default();
        let (stop, stopped) = mpsc::channel();
        let watch = Watch {
            clients,
            onion: onion.to_owned(),
            options,
            began: clock::now(),
            samples: Arc::clone(&samples),
        };
        let thread = std::thread::spawn(move || Arc::new(watch).run(&stopped));
        Watcher { stop, thread, samples }
    }

    /// What was seen until now; fetches under way are not in it.
    pub fn so_far(&self) -> Samples {
        let mut seen = self.samples.lock().expect("nobody panics while holding it").clone();
        seen.sort_by_key(|sample| sample.at);
        Samples(seen)
    }

    /// Begins no more fetches, waits for those under way and returns all.
    pub fn stop(self) -> Samples {
        // The thread may have ended already, which is what is wanted.
        let _ = self.stop.send(());
        self.thread.join().expect("the watcher does not panic");
        let mut seen = self.samples.lock().expect("nobody panics while holding it").clone();
        seen.sort_by_key(|sample| sample.at);
        Samples(seen)
    }
}

struct Watch {
    clients: Vec<Arc<Client>>,
    onion: String,
    options: WatchOptions,
    began: Instant,
    samples: Arc<Mutex<Vec<Sample>>>,
}

impl Watch {
    fn run(self: Arc<Self>, stopped: &mpsc::Receiver<()>) {
        let mut fetches = Vec::new();
        let mut turn = 0;
        loop {
            let watch = Arc::clone(&self);
            let client = turn % self.clients.len();
            fetches.push(std::thread::spawn(move || watch.fetch(client)));
            fetches.retain(|fetch| !fetch.is_finished());
            turn += 1;
            let next = self.began + self.options.every * turn as u32;
            match stopped.recv_timeout(clock::until(next)) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        for fetch in fetches {
            fetch.join().expect("a fetch does not panic");
        }
    }

    fn fetch(&self, number: usize) {
        let client = &self.clients[number];
        let at = clock::now() - self.began;
        let fresh = client.forget().unwrap_or(false);
        let outcome = named(client.get(&self.onion, "/", self.options.timeout));
        let mended_after = if outcome.is_err() { self.retry(client) } else { None };
        let sample = Sample { at, client: number, fresh, outcome, mended_after };
        self.samples.lock().expect("nobody panics while holding it").push(sample);
    }

    fn retry(&self, client: &Client) -> Option<Duration> {
        let failed = clock::now();
        let deadline = failed + MENDED_WITHIN;
        clock::poll(deadline, RETRY_PAUSE, || {
            let _ = client.forget();
            let answer = named(client.get(&self.onion, "/", clock::until(deadline)));
            answer.is_ok().then(|| clock::now() - failed)
        })
    }
}

fn named(outcome: Result<Response, FetchError>) -> Result<String, FetchError> {
    let page = outcome?;
    let elapsed = page.elapsed;
    let wrong = |what: String| FetchError { kind: FetchErrorKind::Http(what), elapsed };
    match (page.status, page.front) {
        (200, Some(front)) => Ok(front),
        (200, None) => Err(wrong("no front is named in the answer".to_owned())),
        (status, _) => Err(wrong(format!("status {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_s: u64, failed_after_s: Option<u64>) -> Sample {
        let outcome = match failed_after_s {
            None => Ok("a".to_owned()),
            Some(after_s) => Err(FetchError {
                kind: FetchErrorKind::Timeout,
                elapsed: Duration::from_secs(after_s),
            }),
        };
        Sample {
            at: Duration::from_secs(at_s),
            client: 0,
            fresh: true,
            outcome,
            mended_after: None,
        }
    }

    fn longest_s(samples: &[Sample]) -> u64 {
        Samples(samples.to_vec()).longest_outage().as_secs()
    }

    #[test]
    fn outage_lasts_from_the_first_failure_to_the_next_page() {
        assert_eq!(longest_s(&[]), 0);
        assert_eq!(longest_s(&[sample(0, None), sample(1, None)]), 0);
        let two = [sample(0, Some(0)), sample(1, None), sample(2, Some(1)), sample(5, None)];
        assert_eq!(longest_s(&two), 3);
        let run = [sample(0, None), sample(1, Some(1)), sample(2, Some(1)), sample(6, None)];
        assert_eq!(longest_s(&run), 5);
    }

    #[test]
    fn outage_at_the_end_lasts_as_long_as_it_was_seen() {
        assert_eq!(longest_s(&[sample(0, None), sample(1, Some(30))]), 30);
        assert_eq!(longest_s(&[sample(1, Some(0)), sample(9, Some(0))]), 8);
    }
}
