//! Looking at descriptors on the HSDirs from outside: through a client's tor, without the node.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustbalance::hs::address;
use rustbalance::hs::descriptor::{self, Received};
use rustbalance::ident::HsId;
use rustbalance::time::{TimePeriod, Wall};
use serde_json::Value;
use testnet::{Client, Control, Network};

const FETCH_TIMEOUT: Duration = Duration::from_secs(40);

/// A control connection that fetches descriptors from HSDirs of choice.
pub(crate) struct Observer {
    control: Control,
}

/// A descriptor as an HSDir gave it out.
pub(crate) struct Seen {
    /// The document.
    pub(crate) text: String,
    /// What stands in it, all signatures verified.
    pub(crate) content: Received,
}

impl Observer {
    /// Listens at this client's tor.
    ///
    /// # Errors
    /// Fails when its control socket does not answer.
    pub(crate) fn new(client: &Client) -> Result<Observer> {
        let mut control = client.tor().control()?;
        control.subscribe(&["HS_DESC", "HS_DESC_CONTENT"])?;
        Ok(Observer { control })
    }

    /// Fetches the current period's descriptor of `onion` from one HSDir, and nobody else.
    ///
    /// # Errors
    /// Fails when the HSDir does not have it, does not answer, or returns something unusable.
    pub(crate) fn fetch(&mut self, onion: &str, hsdir: &str, network: &Network) -> Result<Seen> {
        let id = address::parse(onion)?;
        self.control.command(&format!("HSFETCH {} SERVER={hsdir}", address::bare(&id)))?;
        let event = self.control.wait_event(FETCH_TIMEOUT, |event| {
            let words = event.words();
            words.first() == Some(&"HS_DESC_CONTENT")
                && words.get(3).is_some_and(|name| name.contains(hsdir))
        })?;
        let text = event.data().unwrap_or_default().to_owned();
        if text.is_empty() {
            bail!("{hsdir} has no descriptor of {onion}");
        }
        let content = read(&text, &id, network)?;
        Ok(Seen { text, content })
    }

    /// Uploads a document to one HSDir and waits for its answer.
    ///
    /// # Errors
    /// Fails when the HSDir refuses it or does not answer.
    pub(crate) fn post(&mut self, onion: &str, hsdir: &str, document: &str) -> Result<()> {
        let bare = onion.trim_end_matches(".onion");
        let body = document.replace('\n', "\r\n");
        let command = format!("+HSPOST SERVER={hsdir} HSADDRESS={bare}\r\n{body}.");
        self.control.command(&command)?;
        let event = self.control.wait_event(FETCH_TIMEOUT, |event| {
            let words = event.words();
            matches!(words.get(1), Some(&"UPLOADED" | &"FAILED"))
                && words.get(4).is_some_and(|name| name.contains(hsdir))
        })?;
        if event.words().get(1) != Some(&"UPLOADED") {
            bail!("{hsdir}: {}", event.text());
        }
        Ok(())
    }
}

fn read(text: &str, id: &HsId, network: &Network) -> Result<Received> {
    let now = now();
    let periods: Vec<TimePeriod> = {
        let current = current_period(network, now);
        vec![current, current.previous(), current.next()]
    };
    descriptor::read(text.as_bytes(), id, &periods, now).context("a bad descriptor")
}

/// The time period of `now` in this network.
pub(crate) fn current_period(network: &Network, now: Wall) -> TimePeriod {
    let length_s = network.options().period_s();
    let offset_s = length_s / 2;
    TimePeriod { number: (now.0 - offset_s) / length_s, length_min: length_s / 60, offset_s }
}

/// The wall clock.
#[expect(clippy::disallowed_methods, reason = "a test of real processes lives in real time")]
pub(crate) fn now() -> Wall {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Wall(since_epoch.expect("the clock stands after 1970").as_secs())
}

/// The descriptor that clients fetch now, in a status document.
pub(crate) fn client_facing(status: &Value) -> Result<&Value> {
    let descriptors = status["services"][0]["descriptors"].as_array().context("no descriptors")?;
    descriptors.iter().find(|d| d["client_facing"] == true).context("none is client-facing")
}

/// The fingerprints of a descriptor's HSDirs, in a status document.
pub(crate) fn hsdirs(descriptor: &Value) -> Vec<String> {
    let hsdirs = descriptor["hsdirs"].as_array().into_iter().flatten();
    hsdirs.filter_map(|hsdir| Some(hsdir["id"].as_str()?.to_owned())).collect()
}
