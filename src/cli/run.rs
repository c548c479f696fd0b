//! `rustbalance run`: the configuration, the log, and then the daemon.

use std::path::Path;

use super::exit::Exit;
use super::screen::complain;
use crate::config::{Config, Loaded, LogFormat, LogLevel, Node};
use crate::daemon;
use crate::hs::address;
use crate::telemetry::{self, Format, Options};

/// What the program calls its own version.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn run(path: &Path) -> Exit {
    let Loaded { config, warnings } = match Config::load(path) {
        Ok(loaded) => loaded,
        Err(errors) => {
            // What it may show is not known yet.
            let text = address::shorten_all(&errors.to_string());
            return complain(&text, Exit::of(&errors));
        }
    };
    if let Err(error) = telemetry::init(options(&config.node)) {
        return complain(&error.to_string(), Exit::Failed);
    }
    for warning in warnings {
        let line = warning.line.unwrap_or_default();
        tracing::warn!(event = "config_warning", line, "{}", warning.message);
    }
    match daemon::run(config, VERSION) {
        Ok(()) => Exit::Done,
        Err(error) => {
            tracing::error!(event = "stopped", "{error}");
            if error.is_lasting() { Exit::ConfigInvalid } else { Exit::Failed }
        }
    }
}

fn options(node: &Node) -> Options {
    let level = match node.log_level {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
        LogLevel::Trace => tracing::Level::TRACE,
    };
    let format = match node.log_format {
        LogFormat::Auto => Format::Auto,
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
        LogFormat::Journald => Format::Journald,
    };
    Options { level: level.into(), format, redact: node.redact }
}
