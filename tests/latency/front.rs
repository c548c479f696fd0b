//! One front with its node, made to change an introduction point, and what was heard of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use chrono::DateTime;
use rustbalance::hs::keys::{MasterKey, blinded_id};
use rustbalance::hs::{address, descriptor};
use rustbalance::ident::{HsId, IntroPoint};
use rustbalance::time::{Slot, TimePeriod, Wall};
use testnet::{Control, Front, FrontOptions, Network, Node};

use crate::day::{self, Day};
use crate::figures::Change;
use crate::now;

const SOON: Duration = Duration::from_secs(60);

/// Tor changes its points within seconds after a visit, or it has used up its circuits.
const UNTIL_TOR_CHANGES: Duration = Duration::from_secs(20);

/// Time since the Unix epoch.
type Moment = Duration;

/// The front, its node, and a control connection of our own to its tor.
pub(crate) struct Solo<'a> {
    network: &'a Network,
    master: String,
    front: Front,
    node: Node,
    events: Control,
}

/// One publishing round, as the node's log tells of it.
struct Round {
    began: Moment,
    confirmed: Moment,
    revision: u64,
}

impl<'a> Solo<'a> {
    /// Starts front and node and waits until everything is confirmed.
    pub(crate) fn start(network: &'a Network) -> Result<Solo<'a>> {
        let key = MasterKey::generate(&mut rand::rng());
        let master = address::onion(&key.id());
        let options = FrontOptions { intro_points: 4, ..FrontOptions::default() };
        let front = network.add_front("front-a", &[&master], options)?;
        front.wait_published(SOON)?;
        let node = Node::new(network, "a", Path::new(env!("CARGO_BIN_EXE_rustbalance")))?;
        let key = node.write_secret("master.key", &key.to_tor_file())?;
        node.configure(&format!(
            "[node]\nname = \"front-a\"\nlog_level = \"debug\"\n\n\
             [[service]]\nonion = \"{master}\"\nkey_file = \"{key}\"\n\n\
             [tor]\ncontrol = \"unix:{control}\"\nservice_dir = \"{service}\"\n\n\
             [publish]\nburst = 100\nburst_refill = 1\n\n\
             [control]\nsocket = \"{socket}\"\n",
            key = key.display(),
            control = front.control_socket().display(),
            service = front.service_dir().display(),
            socket = node.socket_path().display(),
        ))?;
        node.start(network)?;
        node.wait_confirmed(SOON)?;
        let mut events = front.tor().control()?;
        events.subscribe(&["HS_DESC"])?;
        Ok(Solo { network, master, front, node, events })
    }

    /// The node's log.
    pub(crate) fn log(&self) -> String {
        self.node.log()
    }

    /// Visits the master address once and measures what follows; `None` when tor kept its points.
    pub(crate) fn change(&mut self, day: &Day) -> Result<Option<Change>> {
        self.node.wait_confirmed(SOON)?;
        while self.events.next_event(Duration::ZERO)?.is_some() {}
        let from = self.node.log().len();
        let (network, master) = (self.network, self.master.clone());
        let own_upload = std::thread::scope(|scope| {
            // What becomes of the visit does not matter: its introduction makes tor change.
            scope.spawn(move || network.fetch_fresh(&master, SOON));
            self.own_upload(day)
        })?;
        let Some((sent, stored)) = own_upload else { return Ok(None) };
        let counts_from = match day.window.client_facing() {
            Slot::First => sent,
            Slot::Second => stored,
        };
        let (rounds, last) = self.wait_for_the_round(from, day)?;
        Ok(Some(Change {
            own_upload: stored.saturating_sub(sent),
            gather: last.began.saturating_sub(counts_from),
            round: last.confirmed.saturating_sub(last.began.max(counts_from)),
            rounds,
        }))
    }

    /// When tor sent the changed client-facing descriptor of its own, and when an HSDir had it.
    fn own_upload(&mut self, day: &Day) -> Result<Option<(Moment, Moment)>> {
        let id = self.instance()?;
        let bare = address::bare(&id);
        let blinded = data_encoding::BASE64_NOPAD.encode(&blinded_id(&id, &day.client_facing())?.0);
        let deadline = now() + UNTIL_TOR_CHANGES;
        let mut sent = None;
        let mut hsdirs = BTreeSet::new();
        loop {
            let left = deadline.saturating_duration_since(now());
            let Some(event) = self.events.next_event(left)? else { return Ok(None) };
            let at = wall();
            let words = event.words();
            if words.get(2) != Some(&&*bare) {
                continue;
            }
            match (words.get(1), words.get(4)) {
                (Some(&"UPLOAD"), Some(hsdir)) if words.get(5) == Some(&&*blinded) => {
                    sent.get_or_insert(at);
                    hsdirs.insert((*hsdir).to_owned());
                }
                (Some(&"UPLOADED"), Some(hsdir)) if hsdirs.contains(*hsdir) => {
                    let sent = sent.context("an HSDir was named, so there was an upload")?;
                    return Ok(Some((sent, at)));
                }
                _ => {}
            }
        }
    }

    /// Waits until an HSDir gives a client the points that tor offers now, and finds the round
    /// that brought them there.
    fn wait_for_the_round(&self, from: usize, day: &Day) -> Result<(usize, Round)> {
        let deadline = now() + SOON;
        loop {
            self.node.wait_log(from, "Descriptor confirmed on", SOON)?;
            let offered = match day.window.client_facing() {
                Slot::First => self.offered(&day.client_facing())?,
                Slot::Second => set(day::fetch_any(self.network, self.front.onion())?.points),
            };
            let seen = day::fetch_any(self.network, &self.master)?;
            let log = self.node.log();
            let mut rounds = rounds(log.get(from..).unwrap_or_default());
            let found = rounds.iter().rposition(|round| round.revision <= seen.revision.0);
            if let Some(index) = found.filter(|_| set(seen.points) == offered) {
                return Ok((index + 1, rounds.swap_remove(index)));
            }
            if now() > deadline {
                bail!("the HSDirs do not have what tor offers:\n{log}");
            }
        }
    }

    /// What the front's own tor shows.
    fn offered(&self, period: &TimePeriod) -> Result<BTreeSet<IntroPoint>> {
        let id = self.instance()?;
        let key = format!("hs/service/desc/id/{}", address::bare(&id));
        let text = self.front.tor().control()?.getinfo(&key)?;
        let second = Wall(wall().as_secs());
        Ok(set(descriptor::read(text.as_bytes(), &id, &[*period], second)?.points))
    }

    fn instance(&self) -> Result<HsId> {
        Ok(address::parse(self.front.onion())?)
    }
}

fn set(points: Vec<IntroPoint>) -> BTreeSet<IntroPoint> {
    points.into_iter().collect()
}

/// The rounds that were confirmed, in the order of the log.
fn rounds(log: &str) -> Vec<Round> {
    let mut began = None;
    let mut rounds = Vec::new();
    for line in log.lines() {
        let at = line.split(' ').next().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        let Some(at) = at.and_then(|at| (at.to_utc() - DateTime::UNIX_EPOCH).to_std().ok()) else {
            continue;
        };
        if line.contains("Publishing updated descriptor") {
            began = Some(at);
        }
        let revision = line.split_once("revision ").map(|(_, rest)| rest);
        let digits = revision.and_then(|rest| rest.split(')').next()?.parse().ok());
        if let (Some(revision), Some(began)) = (digits, began) {
            rounds.push(Round { began, confirmed: at, revision });
        }
    }
    rounds
}

#[expect(clippy::disallowed_methods, reason = "the node's log has wall-clock times")]
fn wall() -> Moment {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.expect("the clock stands after 1970")
}
