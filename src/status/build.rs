//! Building a document piece by piece: what is not set stays unknown.

use super::{
    Check, Descriptor, Front, FrontKind, FrontState, Health, HsDir, HsDirState, SCHEMA, Service,
    SlotName, Status, Tor, TorState, health, rfc3339,
};
use crate::time::Wall;

impl Status {
    /// A document without services, fronts and problems, of a node whose tor is not reached yet.
    pub fn new(node: &str, version: &str, as_of: Wall, pid: u32, uptime_s: u64) -> Status {
        Status {
            schema: SCHEMA,
            cluster: None,
            node: node.to_owned(),
            version: version.to_owned(),
            as_of: rfc3339(as_of),
            pid,
            uptime_s,
            health: Health::Warn,
            tor: Tor::new(TorState::Connecting),
            services: Vec::new(),
            fronts: Vec::new(),
            nodes: Vec::new(),
            view_hash: None,
            refused: Vec::new(),
            checks: Vec::new(),
        }
    }

    /// Puts the worst problem first and sets `health`: the last step of filling a document.
    pub fn conclude(mut self) -> Status {
        self.checks.sort_by_key(|check| std::cmp::Reverse(check.severity));
        self.health = health(&self);
        self
    }
}

impl Tor {
    /// A tor of which only the state is known.
    pub fn new(state: TorState) -> Tor {
        Tor { state, version: None, bootstrap_percent: None, since_s: None, last_error: None }
    }
}

impl Service {
    /// A service without descriptors.
    pub fn new(onion: &str, publishing: bool) -> Service {
        Service { onion: onion.to_owned(), publishing, descriptors: Vec::new() }
    }
}

impl Descriptor {
    /// A descriptor that was not signed yet.
    pub fn new(slot: SlotName, period: u64) -> Descriptor {
        Descriptor {
            slot,
            client_facing: None,
            period,
            revision: None,
            signed_at: None,
            age_s: None,
            size_bytes: None,
            intro_points: None,
            hsdirs_confirmed: 0,
            hsdirs_target: 0,
            verified_at_s: None,
            next_refresh_s: None,
            hsdirs: Vec::new(),
        }
    }

    /// Takes the HSDirs in, and counts the confirmed ones.
    pub fn with_hsdirs(mut self, hsdirs: Vec<HsDir>) -> Descriptor {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let confirmed = hsdirs.iter().filter(|dir| dir.state == HsDirState::Confirmed).count();
        self.hsdirs_confirmed = count(confirmed);
        self.hsdirs_target = count(hsdirs.len());
        self.hsdirs = hsdirs;
        self
    }
}

impl HsDir {
    /// An HSDir without history.
    pub fn new(id: impl ToString, state: HsDirState) -> HsDir {
        let id = id.to_string();
        HsDir { id, state, tries: 0, last_result: None, confirmed_age_s: None, next_try_s: None }
    }
}

impl Front {
    /// A front of which nothing is known yet.
    pub fn new(name: &str, kind: FrontKind) -> Front {
        Front {
            name: name.to_owned(),
            kind,
            onion: None,
            state: FrontState::Unknown,
            intro_established: None,
            intro_wanted: None,
            intro_in_descriptor: None,
            roster_age_s: None,
            last_error: None,
        }
    }
}

impl Check {
    /// A problem of the node as a whole, without hints.
    pub fn new(severity: Health, code: &str, message: impl Into<String>) -> Check {
        Check {
            code: code.to_owned(),
            severity,
            subject: None,
            since_s: None,
            message: message.into(),
            hints: Vec::new(),
        }
    }

    /// Names the front or service that has the problem.
    pub fn about(mut self, subject: &str) -> Check {
        self.subject = Some(subject.to_owned());
        self
    }

    /// Adds how long it has been so.
    pub fn since(mut self, seconds: u64) -> Check {
        self.since_s = Some(seconds);
        self
    }

    /// Adds a command or an action that helps.
    pub fn hint(mut self, hint: &str) -> Check {
        self.hints.push(hint.to_owned());
        self
    }
}
