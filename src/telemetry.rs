//! The log: where it goes, what is kept out of it, and how often it may repeat itself.
//!
//! It knows the sinks (text, JSON, the journal), but none of the events that are logged.

use std::io::{self, IsTerminal as _};
use std::os::unix::fs::MetadataExt as _;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Layer, Registry, fmt as text};

mod redact;
mod throttle;

pub use redact::{HIDDEN, Redacted, is_redacting, redact_onion, set_redacting, shorten};
pub use throttle::{REPEAT_INTERVAL, Throttle};

/// What the journal puts before the name of each of our fields: `event` becomes `RB_EVENT`.
const FIELD_PREFIX: &str = "RB";

/// The program's name in the journal.
const IDENTIFIER: &str = "rustbalance";

/// Our own events; those of libraries are logged from WARN on.
const OWN_TARGET: &str = "rustbalance";

/// The WireGuard library calls a silent peer an error, several times a minute; the mesh has its own
/// words for that.
const WIREGUARD_TARGET: &str = "boringtun";

/// How the log is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The least serious of our own events that are logged.
    pub level: LevelFilter,
    /// Where they go.
    pub format: Format,
    /// Whether addresses are kept out, here and wherever [`Redacted`] is used.
    pub redact: bool,
}

/// Where events go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The journal when it reads our standard error, otherwise text.
    Auto,
    /// Lines of text on standard error, coloured on a terminal.
    Text,
    /// One JSON object per line on standard error.
    Json,
    /// The journal, with fields.
    Journald,
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `log_format = "journald"`, but there is no journal.
    #[error(
        "the log cannot go to the journal ({0}): is systemd-journald running? \
         Otherwise set [node] log_format = \"text\""
    )]
    Journal(io::Error),
    /// Somebody was faster in this process.
    #[error("the log is already set up in this process: {0}")]
    Twice(#[from] TryInitError),
}

/// Sets up the log of this process, once.
///
/// # Errors
/// When the journal was asked for and is not there, or when the log is set up already.
pub fn init(options: Options) -> Result<(), TelemetryError> {
    set_redacting(options.redact);
    let sink = sink(options.format)?;
    let levels = Targets::new()
        .with_target(OWN_TARGET, options.level)
        .with_target(WIREGUARD_TARGET, LevelFilter::OFF)
        .with_default(LevelFilter::WARN);
    tracing_subscriber::registry().with(sink.with_filter(levels)).try_init()?;
    Ok(())
}

type Sink = Box<dyn Layer<Registry> + Send + Sync>;

fn sink(format: Format) -> Result<Sink, TelemetryError> {
    match format {
        Format::Text => Ok(text_sink()),
        Format::Json => Ok(text::layer().json().with_writer(io::stderr).boxed()),
        Format::Journald => journal_sink().map_err(TelemetryError::Journal),
        Format::Auto if journal_reads_stderr() => {
            Ok(journal_sink().unwrap_or_else(|_| text_sink()))
        }
        Format::Auto => Ok(text_sink()),
    }
}

fn text_sink() -> Sink {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    text::layer().with_writer(io::stderr).with_ansi(colour).with_target(false).boxed()
}

fn journal_sink() -> io::Result<Sink> {
    let layer = tracing_journald::layer()?
        .with_field_prefix(Some(FIELD_PREFIX.to_owned()))
        .with_syslog_identifier(IDENTIFIER.to_owned());
    Ok(layer.boxed())
}

/// Whether standard error is the journal's stream, as systemd.exec(5) tells to find out.
fn journal_reads_stderr() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let stderr = std::fs::metadata("/proc/self/fd/2");
    stderr.is_ok_and(|stderr| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
}
