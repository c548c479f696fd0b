//! What the fake tor knows and tells while it is honest: consensus, own instance, HSDirs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use rustbalance::hs::address;
use rustbalance::hs::consensus::Consensus;
use rustbalance::hs::descriptor::read_outer;
use rustbalance::ident::{HsId, RelayId};
use rustbalance::time::{Slot, TimePeriod, Wall};

use super::Request;
use super::synthetic::Network;

const HOUR_S: u64 = 3600;
const DAY_S: u64 = 24 * HOUR_S;

/// The moment now; tests of a process live in real time.
#[expect(clippy::disallowed_methods, reason = "a process under test reads the same clock")]
pub(crate) fn wall() -> Wall {
    Wall(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs())
}

/// A network of `relays` HSDirs whose last consensus was made at hour `hour` (UTC): before noon
/// clients fetch the first descriptor, after noon the second.
pub(crate) fn network_at(hour: u64, relays: u32) -> Network {
    let before = wall().0 - hour * HOUR_S;
    let valid_after = before / DAY_S * DAY_S + hour * HOUR_S;
    Network { valid_after, ..Network::public(relays) }
}

/// A descriptor at an HSDir.
#[derive(Clone)]
struct Stored {
    period: TimePeriod,
    revision: u64,
    document: String,
}

/// An upload that reached an HSDir.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upload {
    pub(crate) to: RelayId,
    pub(crate) period: TimePeriod,
    pub(crate) revision: u64,
    pub(crate) taken: bool,
}

/// Everything that tor knows.
pub(crate) struct World {
    /// The text of the consensus.
    pub(crate) consensus: String,
    /// The text of all microdescriptors.
    pub(crate) microdescs: String,
    /// The first descriptor's period and the second's.
    pub(crate) periods: [TimePeriod; 2],
    /// Which one clients fetch.
    pub(crate) facing: Slot,
    /// All HSDirs.
    pub(crate) hsdirs: Vec<RelayId>,
    /// The own instance's address and its current descriptor.
    pub(crate) instance: (HsId, Option<String>),
    /// The relays at which it has an introduction circuit.
    pub(crate) standing: Vec<RelayId>,
    /// What every HSDir answers for these addresses.
    pub(crate) elsewhere: BTreeMap<HsId, String>,
    /// All uploads in their order.
    pub(crate) uploads: Vec<Upload>,
    stored: BTreeMap<(RelayId, HsId), Vec<Stored>>,
}

impl World {
    /// A world with this consensus and an instance that has no descriptor yet.
    pub(crate) fn new(network: &Network, instance: HsId) -> World {
        let (consensus, microdescs) = (network.consensus(), network.microdescs());
        let parsed = Consensus::parse(consensus.as_bytes(), microdescs.as_bytes(), false);
        let parsed = parsed.expect("the made-up consensus is a good one");
        World {
            periods: Slot::BOTH.map(|slot| parsed.period(slot)),
            facing: parsed.window().client_facing(),
            hsdirs: parsed.hsdirs.iter().map(|hsdir| hsdir.relay).collect(),
            consensus,
            microdescs,
            instance: (instance, None),
            standing: Vec::new(),
            elsewhere: BTreeMap::new(),
            uploads: Vec::new(),
            stored: BTreeMap::new(),
        }
    }

    /// The period of the descriptor that clients fetch.
    pub(crate) fn current(&self) -> TimePeriod {
        match self.facing {
            Slot::First => self.periods[0],
            Slot::Second => self.periods[1],
        }
    }

    /// What it says to `request`.
    pub(crate) fn answer(&mut self, request: &Request) -> String {
        let mut words = request.line.split(' ');
        match (words.next().unwrap_or_default(), words.next().unwrap_or_default()) {
            ("GETCONF", "TestingTorNetwork") => "250 TestingTorNetwork=0\r\n".to_owned(),
            ("GETINFO", key) => self.getinfo(key),
            ("HSPOST", _) => self.hspost(request),
            ("HSFETCH", _) => self.hsfetch(request),
            _ => "510 Unrecognized command\r\n".to_owned(),
        }
    }

    fn getinfo(&self, key: &str) -> String {
        let instance = address::bare(&self.instance.0);
        let line = |value: &str| format!("250-{key}={value}\r\n250 OK\r\n");
        let descriptor_of = key.strip_prefix("hs/service/desc/id/");
        match (key, &self.instance.1) {
            ("version", _) => line("0.4.9.11"),
            ("status/bootstrap-phase", _) => {
                line("NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\"")
            }
            ("dir/status-vote/current/consensus-microdesc", _) => data(key, &self.consensus),
            ("md/all", _) => data(key, &self.microdescs),
            ("circuit-status", _) => data(key, &self.circuits()),
            (_, Some(document)) if descriptor_of == Some(&*instance) => data(key, document),
            _ => format!("552 Unrecognized key \"{key}\"\r\n"),
        }
    }

    fn circuits(&self) -> String {
        let address = address::bare(&self.instance.0);
        let mut text = String::new();
        for (id, relay) in self.standing.iter().enumerate() {
            writeln!(
                text,
                "{id} BUILT ${relay}~fake PURPOSE=HS_SERVICE_INTRO HS_STATE=HSSI_ESTABLISHED \
                 REND_QUERY={address}"
            )
            .unwrap();
        }
        text
    }

    /// As C tor and an HSDir do: the event comes behind the answer.
    fn hspost(&mut self, request: &Request) -> String {
        let (bare, Some((of, hsdir))) = (request.address(), parties(request)) else {
            return "512 Wrong arguments\r\n".to_owned();
        };
        if self.store(of, hsdir, request.data.clone()) {
            format!("250 OK\r\n650 HS_DESC UPLOADED {bare} UNKNOWN ${hsdir}~fake\r\n")
        } else {
            format!(
                "250 OK\r\n650 HS_DESC FAILED {bare} NO_AUTH ${hsdir}~fake \
                 REASON=UPLOAD_REJECTED\r\n"
            )
        }
    }

    /// Offers a document to an HSDir, which refuses a revision that is not greater.
    pub(crate) fn store(&mut self, of: HsId, hsdir: RelayId, document: String) -> bool {
        let outer = read_outer(document.as_bytes(), &of, &self.periods).expect("what HSDirs take");
        let (period, revision) = (outer.period, outer.revision.0);
        let shelf = self.stored.entry((hsdir, of)).or_default();
        let newest = shelf.iter().filter(|s| s.period == period).map(|s| s.revision).max();
        let taken = newest.is_none_or(|newest| revision > newest);
        if taken {
            shelf.retain(|stored| stored.period != period);
            shelf.push(Stored { period, revision, document });
        }
        self.uploads.push(Upload { to: hsdir, period, revision, taken });
        taken
    }

    /// How many HSDirs hold a descriptor of this period.
    pub(crate) fn holders(&self, of: HsId, period: TimePeriod) -> usize {
        let holds = |(key, shelf): &(&(RelayId, HsId), &Vec<Stored>)| {
            key.1 == of && shelf.iter().any(|stored| stored.period == period)
        };
        self.stored.iter().filter(holds).count()
    }

    fn hsfetch(&self, request: &Request) -> String {
        let (bare, Some((of, hsdir))) = (request.address(), parties(request)) else {
            return "512 Wrong arguments\r\n".to_owned();
        };
        let here = |shelf: &Vec<Stored>| {
            let mut found = shelf.iter().filter(|stored| stored.period == self.current());
            found.next().map(|stored| stored.document.clone())
        };
        let stored = self.stored.get(&(hsdir, of)).and_then(here);
        let Some(document) = self.elsewhere.get(&of).cloned().or(stored) else {
            return format!(
                "250 OK\r\n650 HS_DESC FAILED {bare} NO_AUTH ${hsdir}~fake REASON=NOT_FOUND\r\n\
                 650+HS_DESC_CONTENT {bare} UNKNOWN ${hsdir}~fake\r\n\r\n.\r\n650 OK\r\n"
            );
        };
        format!(
            "250 OK\r\n650 HS_DESC RECEIVED {bare} NO_AUTH ${hsdir}~fake\r\n\
             650+HS_DESC_CONTENT {bare} UNKNOWN ${hsdir}~fake\r\n{}.\r\n650 OK\r\n",
            stuffed(&document)
        )
    }
}

/// Whom an HSPOST or HSFETCH is about, and which HSDir.
fn parties(request: &Request) -> Option<(HsId, RelayId)> {
    let hex = data_encoding::HEXUPPER.decode(request.word("SERVER")?.as_bytes()).ok()?;
    Some((address::parse(request.address()).ok()?, RelayId(hex.try_into().ok()?)))
}

/// The answer to GETINFO with a long value.
pub(crate) fn data(key: &str, text: &str) -> String {
    format!("250+{key}=\r\n{}.\r\n250 OK\r\n", stuffed(text))
}

fn stuffed(text: &str) -> String {
    let mut wire = String::with_capacity(text.len() + text.len() / 16);
    for line in text.lines() {
        if line.starts_with('.') {
            wire.push('.');
        }
        wire.push_str(line);
        wire.push_str("\r\n");
    }
    wire
}
