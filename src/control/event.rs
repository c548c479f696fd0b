//! What tor tells by itself (control-spec, section "Asynchronous events"), and what the client
//! tells about the connection.
//!
//! Pure parsing. Whatever is not understood becomes [`Event::Unparsed`]: a tor that says something
//! new, or something wrong, loses one line and not the connection.

mod circuit;
mod hs_desc;
mod status;

use std::time::Duration;

pub use circuit::{Circuit, CircuitStatus, circuits};
pub use hs_desc::{HsDesc, HsDescAction, HsDescContent, HsDescReason};
pub use status::ClientStatus;

use super::codec::{Line, Message};
use super::words::{self, Words};

/// The most characters of an event that [`Event::Unparsed`] keeps.
const UNPARSED_MAX_CHARS: usize = 200;

/// One thing that happened at the control port, in the order in which it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The connection stands: authenticated and subscribed. What was known before is out of date.
    Up {
        /// Tor's version, as PROTOCOLINFO says it.
        version: String,
    },
    /// The connection is lost, or could not be made. Requests fail until the next `Up`.
    Down {
        /// What happened, for people.
        error: String,
        /// How long until the next attempt.
        retry_in: Duration,
    },
    /// `HS_DESC`: a descriptor was made, uploaded, asked for or received.
    HsDesc(HsDesc),
    /// `HS_DESC_CONTENT`: the text of a fetched descriptor.
    HsDescContent(HsDescContent),
    /// `CIRC` or `CIRC_MINOR`: a circuit changed.
    Circuit(Circuit),
    /// `STATUS_CLIENT`, and `NEWCONSENSUS` without its text.
    Status(ClientStatus),
    /// `NETWORK_LIVENESS`.
    NetworkLiveness {
        /// Whether tor believes to reach the network.
        up: bool,
    },
    /// `SIGNAL`: tor received one, such as `RELOAD`.
    Signal(String),
    /// An event of an unknown kind or shape.
    Unparsed {
        /// Its first line, shortened, and so the addresses in it.
        line: String,
    },
}

impl Event {
    /// Reads a 6xx message.
    pub fn parse(message: Message) -> Event {
        let mut lines = message.lines.into_iter();
        let Some(first) = lines.next() else { return Event::Unparsed { line: String::new() } };
        parse_line(&first).unwrap_or_else(|| Event::Unparsed {
            line: words::excerpt(&first.text, UNPARSED_MAX_CHARS),
        })
    }
}

fn parse_line(line: &Line) -> Option<Event> {
    let mut words = Words::new(&line.text);
    match words.next()? {
        "HS_DESC" => HsDesc::parse(words).map(Event::HsDesc),
        "HS_DESC_CONTENT" => {
            HsDescContent::parse(words, line.data.clone()?).map(Event::HsDescContent)
        }
        "CIRC" | "CIRC_MINOR" => Circuit::parse(words).map(Event::Circuit),
        "STATUS_CLIENT" => ClientStatus::parse(words).map(Event::Status),
        "NEWCONSENSUS" => Some(Event::Status(ClientStatus::ConsensusArrived)),
        "NETWORK_LIVENESS" => match words.next()? {
            "UP" => Some(Event::NetworkLiveness { up: true }),
            "DOWN" => Some(Event::NetworkLiveness { up: false }),
            _ => None,
        },
        "SIGNAL" => Some(Event::Signal(words.next()?.to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
