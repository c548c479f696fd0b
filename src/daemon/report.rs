//! What the engine reports, in an operator's words.
//!
//! Each event has a name (`event`, in the journal `RB_EVENT`) that scripts can rely on. The same
//! event about the same subject is not repeated within ten minutes, unless it is news by nature.

use std::collections::BTreeMap;
use std::time::Duration;

use super::clock;
use super::signer::Signer;
use crate::config::show_duration;
use crate::engine::{Blocked, Engine, MeshReport, Report};
use crate::hs::address;
use crate::ident::{HsId, NodeId};
use crate::telemetry::{Redacted, Throttle, redact_onion};
use crate::time::{Mono, Now, Slot};

pub(super) mod mesh;

/// The most names that are remembered as taken twice.
const CLASHES_MAX: usize = 16;

/// How long such a name is a problem after it was met last.
const CLASH_MEMORY: Duration = Duration::from_secs(3600);

/// Words reports and holds back repetitions.
#[derive(Debug)]
pub(super) struct Reporter {
    throttle: Throttle,
    /// The last loss of tor's control port was held back, and so is the line that it is back.
    loss_held_back: bool,
    /// Names that two nodes came in with, and when the last time.
    clashes: BTreeMap<NodeId, Mono>,
}

impl Reporter {
    pub(super) fn new() -> Reporter {
        Reporter { throttle: Throttle::default(), loss_held_back: false, clashes: BTreeMap::new() }
    }

    /// The names that two nodes came in with in the last hour.
    pub(super) fn clashes(&self, now: Mono) -> Vec<&NodeId> {
        let recent = self.clashes.iter().filter(|(_, at)| now - **at < CLASH_MEMORY);
        recent.map(|(name, _)| name).collect()
    }

    /// A port that comes and goes is said to be back only as often as it is said to be lost.
    pub(super) fn tor_up(&mut self, version: &str, down_for: Option<Duration>) {
        match down_for {
            Some(_) if self.loss_held_back => {
                tracing::debug!(event = "tor_up", "Tor {version} is back");
            }
            Some(time) => tracing::info!(
                event = "tor_up",
                "Tor {version} is back after {}",
                show_duration(Duration::from_secs(time.as_secs()))
            ),
            None => tracing::info!(event = "tor_up", "Connected to tor {version}"),
        }
    }

    /// `was_up`: it had been reached before.
    pub(super) fn tor_down(&mut self, error: &str, was_up: bool, reconnect_max: Duration) {
        let what = match was_up {
            true => "Tor control connection lost",
            false => "Tor cannot be used yet",
        };
        let admitted = self.throttle.admit("tor_down", what, clock::now().mono);
        self.loss_held_back = admitted.is_none();
        let longest = show_duration(reconnect_max);
        match admitted {
            None => tracing::debug!(event = "tor_down", "{what} again ({error})"),
            Some(held_back) => tracing::warn!(
                event = "tor_down",
                "{what} ({error}); trying again, longest wait {longest}{}",
                more(held_back)
            ),
        }
    }

    pub(super) fn say(&mut self, report: &Report, signer: &mut Signer, engine: &Engine, now: Now) {
        match report {
            Report::RosterChanged { front, points } => {
                self.throttle.reset("reading_refused", front.as_str());
                tracing::info!(
                    event = "roster_changed",
                    peer = %front,
                    "Front {front} offers {points} introduction points"
                );
            }
            Report::FrontGone { front } => tracing::warn!(
                event = "front_gone",
                peer = %front,
                "No HSDir has a descriptor of front {front} any more, removing its intro points"
            ),
            Report::PublishStarted { service, points, was, why } => {
                let was = was.map_or_else(|| "first".to_owned(), |was| format!("was {was}"));
                tracing::info!(
                    event = "publish_start",
                    service = %shown(service),
                    reason = ?why,
                    "Publishing updated descriptor with {points} intro points ({was})"
                );
            }
            Report::PublishConfirmed { service, confirmed, took } => {
                for ended in ["publish_partial", "publish_failed"] {
                    self.throttle.reset(ended, &shown(service).to_string());
                }
                confirmed_line(service, *confirmed, *took, signer, engine, now);
            }
            Report::Blocked(Some(why @ (Blocked::ClockBehind | Blocked::ConsensusExpired))) => {
                tracing::error!(event = "clock_bad", "Not publishing: {}", blocked(*why));
            }
            Report::Blocked(Some(why)) => {
                tracing::info!(event = "publish_held", "Not publishing: {}", blocked(*why));
            }
            Report::Blocked(None) => {
                tracing::debug!(event = "publish_free", "Publishing is possible");
            }
            Report::Mesh(report) => self.mesh(report, now),
            repeated => self.warn(repeated, now),
        }
    }

    /// A state that changed is always said; what only goes on is held back.
    fn mesh(&mut self, report: &MeshReport, now: Now) {
        match report {
            MeshReport::NameClash { name } => {
                if self.clashes.len() < CLASHES_MAX || self.clashes.contains_key(name) {
                    self.clashes.insert(name.clone(), now.mono);
                }
                self.clashes.retain(|_, at| now.mono - *at < CLASH_MEMORY);
            }
            MeshReport::PeerDead { peer, .. } | MeshReport::PeerRecovered { peer, .. } => {
                self.throttle.reset("peer_suspect", peer.as_str());
            }
            MeshReport::ClockAgrees { peer } => self.throttle.reset("msg_skew", peer.as_str()),
            _ => {}
        }
        for line in mesh::lines(report) {
            let held_back = match line.repeats {
                true => self.throttle.admit(line.event, &line.subject, now.mono),
                false => Some(0),
            };
            if let Some(held_back) = held_back {
                write(&line, &more(held_back));
            }
        }
    }

    /// Warnings, of which a lasting trouble would make many.
    fn warn(&mut self, report: &Report, now: Now) {
        let (event, subject, text) = match report {
            Report::ReadingRefused { front, why } => (
                "reading_refused",
                front.to_string(),
                format!("Refused a descriptor of front {front}: {why}"),
            ),
            Report::ConsensusUnusable { why } => (
                "consensus_unusable",
                String::new(),
                format!("Tor's consensus cannot be used yet: {why}; asking again"),
            ),
            Report::PublishPartial { service, confirmed, target, last } => {
                let event = if *confirmed == 0 { "publish_failed" } else { "publish_partial" };
                let rest = target - confirmed;
                let text = format!(
                    "Descriptor confirmed on {confirmed}/{target} HSDirs; {rest} did not take it \
                     (last: {last}) and will be tried again every ten minutes"
                );
                (event, shown(service).to_string(), text)
            }
            Report::DescriptorLapsing { service, period, age } => (
                "publish_failed",
                format!("{} {period}", shown(service)),
                format!(
                    "No HSDir has confirmed the descriptor of period {period} for {} min; they \
                     forget it after 180",
                    age.as_secs() / 60
                ),
            ),
            Report::RivalDescriptor { service, hsdir, signed_at } => (
                "split_publisher",
                shown(service).to_string(),
                format!(
                    "HSDir {hsdir} holds a descriptor this node did not sign (signed at {}): a \
                     second publisher",
                    signed_at.0
                ),
            ),
            Report::SigningAhead { service, ahead } => (
                "signing_ahead",
                shown(service).to_string(),
                format!(
                    "HSDirs refuse a descriptor that cannot be read back: somebody signed a later \
                     one, so this node signs {} ahead of its clock",
                    show_duration(*ahead)
                ),
            ),
            Report::PowIgnored { front } => (
                "pow_ignored",
                front.to_string(),
                format!(
                    "Front {front} asks clients for proof of work: that cannot work behind a \
                     master address and is left out; set HiddenServicePoWDefensesEnabled 0 there"
                ),
            ),
            Report::VerifyFailed { service, hsdir, why } => (
                "verify_failed",
                format!("{} {hsdir}", shown(service)),
                format!("HSDir {hsdir} confirmed the descriptor but {why}; uploading it again"),
            ),
            Report::UploadUnusable { service, why } => (
                "upload_unusable",
                shown(service).to_string(),
                format!("The descriptor could not be uploaded: {why}"),
            ),
            _ => return,
        };
        // A front or a consensus can be wrong in several ways, and each is news.
        let told_apart_by = match report {
            Report::ReadingRefused { why, .. } | Report::ConsensusUnusable { why } => {
                format!("{subject} {why}")
            }
            _ => subject.clone(),
        };
        let Some(held_back) = self.throttle.admit(event, &told_apart_by, now.mono) else { return };
        let more = more(held_back);
        if event == "publish_failed" || event == "upload_unusable" {
            tracing::error!(event, subject, "{text}{more}");
        } else {
            tracing::warn!(event, subject, "{text}{more}");
        }
    }
}

fn write(line: &mesh::Line, more: &str) {
    let mesh::Line { event, subject: peer, text, .. } = line;
    match line.level {
        tracing::Level::ERROR => tracing::error!(event, peer, "{text}{more}"),
        tracing::Level::WARN => tracing::warn!(event, peer, "{text}{more}"),
        tracing::Level::INFO => tracing::info!(event, peer, "{text}{more}"),
        _ => tracing::debug!(event, peer, "{text}{more}"),
    }
}

fn more(held_back: u64) -> String {
    match held_back {
        0 => String::new(),
        count => format!(" ({count} more since the last time this was said)"),
    }
}

fn shown(service: &HsId) -> Redacted {
    redact_onion(&address::onion(service))
}

fn confirmed_line(
    service: &HsId,
    confirmed: [usize; 2],
    took: Duration,
    signer: &mut Signer,
    engine: &Engine,
    now: Now,
) {
    let snapshot = engine.snapshot(now);
    let facing = snapshot.view.map(|(first, second, slot)| match slot {
        Slot::First => first,
        Slot::Second => second,
    });
    let views = snapshot.services.iter().find(|(id, _)| id == service).map(|(_, views)| views);
    let current = views.and_then(|views| views.iter().find(|view| Some(view.period) == facing));
    let revision = current.and_then(|view| signer.revision(service, &view.period, view.signed_at?));
    let [first, second] = confirmed;
    let total = first + second;
    let seconds = took.as_secs_f64();
    let revision = revision.map_or_else(|| "?".to_owned(), |revision| revision.to_string());
    tracing::info!(
        event = "publish_ok",
        service = %shown(service),
        "Descriptor confirmed on {total}/{total} HSDirs in {seconds:.1}s (first {first}/{first}, \
         second {second}/{second}, revision {revision})"
    );
}

/// Why nothing is published, in words.
pub(super) fn blocked(why: Blocked) -> &'static str {
    match why {
        Blocked::NoTor => "tor's control port is not connected",
        Blocked::NoConsensus => "tor has no usable consensus yet",
        Blocked::ConsensusExpired => {
            "tor's consensus ran out more than a day ago, or the clock is ahead"
        }
        Blocked::ClockBehind => "the clock is behind tor's consensus",
        Blocked::Gathering => "waiting for the fronts' introduction points",
        Blocked::NoPoints => "no front offers an introduction point",
        Blocked::Standby => "another node publishes",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Settings;
    use crate::time::{Mono, Wall};

    const NOW: Now = Now { mono: Mono(Duration::ZERO), wall: Wall(1_795_176_000) };

    fn engine() -> Engine {
        let minute = Duration::from_secs(60);
        Engine::new(Settings {
            node: "a".parse().unwrap(),
            instance: HsId([1; 32]),
            services: vec![HsId([2; 32])],
            backends: Vec::new(),
            poll: minute,
            backend_poll: minute,
            refresh_min: minute,
            refresh_max: minute,
            burst: 4,
            burst_refill: minute,
            debounce: Duration::ZERO,
            max_intro_points: None,
            verify: true,
            quick_retries: 3,
            upload_timeout: minute,
            seed: 1,
            mesh: None,
        })
    }

    /// Whether a trouble is said again at once, after what was reported in between.
    fn is_news_after(trouble: &Report, between: &Report) -> bool {
        let (mut signer, engine) = (Signer::new(Default::default()), engine());
        let mut reporter = Reporter::new();
        reporter.say(trouble, &mut signer, &engine, NOW);
        let said = reporter.throttle.clone();
        reporter.say(between, &mut signer, &engine, NOW);
        let [before, after] = [said, reporter.throttle].map(|mut throttle| match trouble {
            Report::PublishPartial { service, .. } => {
                throttle.admit("publish_partial", &shown(service).to_string(), NOW.mono)
            }
            Report::ReadingRefused { front, why } => {
                throttle.admit("reading_refused", &format!("{front} {why}"), NOW.mono)
            }
            other => panic!("no trouble: {other:?}"),
        });
        assert_eq!(before, None, "it was said");
        after.is_some()
    }

    #[test]
    fn a_trouble_that_returns_after_it_was_over_is_said_at_once() {
        let partial = |service| Report::PublishPartial {
            service: HsId([service; 32]),
            confirmed: 15,
            target: 16,
            last: "refused".to_owned(),
        };
        let confirmed = |service| Report::PublishConfirmed {
            service: HsId([service; 32]),
            confirmed: [8, 8],
            took: Duration::ZERO,
        };
        assert!(is_news_after(&partial(2), &confirmed(2)));
        assert!(!is_news_after(&partial(2), &confirmed(3)));
        let refused =
            |front: &str| Report::ReadingRefused { front: front.parse().unwrap(), why: "x".into() };
        let read = |front: &str| Report::RosterChanged { front: front.parse().unwrap(), points: 3 };
        assert!(is_news_after(&refused("b"), &read("b")));
        assert!(!is_news_after(&refused("bb"), &read("b")));
    }

    #[test]
    fn a_clock_that_is_wrong_again_and_a_name_that_clashes_are_remembered() {
        let (mut signer, engine) = (Signer::new(Default::default()), engine());
        let mut reporter = Reporter::new();
        let name: NodeId = "node-b".parse().unwrap();
        let mut say = |report: MeshReport, at_s: u64| {
            let now = Now { mono: Mono(Duration::from_secs(at_s)), ..NOW };
            reporter.say(&Report::Mesh(report), &mut signer, &engine, now);
            (reporter.clashes(now.mono).len(), reporter.throttle.clone())
        };
        let skew = MeshReport::ClockSkew { peer: name.clone(), ahead_s: 31 };
        let (_, mut said) = say(skew, 0);
        assert_eq!(said.admit("msg_skew", "node-b", NOW.mono), None);
        let (_, mut said) = say(MeshReport::ClockAgrees { peer: name.clone() }, 1);
        assert_eq!(said.admit("msg_skew", "node-b", NOW.mono), Some(0));
        assert_eq!(say(MeshReport::NameClash { name }, 2).0, 1);
        assert_eq!(say(MeshReport::Partition, 3700).0, 0);
        for n in 0..40 {
            let name = format!("n{n}").parse().unwrap();
            assert!(say(MeshReport::NameClash { name }, 3700).0 <= CLASHES_MAX);
        }
    }
}
