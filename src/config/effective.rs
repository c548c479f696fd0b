//! Prints a configuration as TOML, every option with its value.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::{Auth, Config, ControlAddress, Instance, LogFormat, LogLevel, ServiceDir, address};

/// The whole configuration, in the order of the example file.
pub(super) fn print(config: &Config) -> String {
    let mut toml = Toml::default();
    let node = &config.node;
    toml.header("[node]");
    toml.text("name", node.name.as_str());
    toml.text("log_level", log_level(node.log_level));
    toml.text("log_format", log_format(node.log_format));
    toml.plain("redact", node.redact);
    for service in &config.services {
        toml.header("[[service]]");
        toml.text("onion", &address::onion(&service.onion));
        toml.path("key_file", &service.key_file);
    }
    tor(&mut toml, config);
    for backend in &config.backends {
        toml.header("[[backend]]");
        toml.text("name", backend.name.as_str());
        toml.text("onion", &address::onion(&backend.onion));
    }
    toml.header("[gather]");
    toml.duration("poll", config.gather.poll);
    toml.duration("backend_poll", config.gather.backend_poll);
    let publish = &config.publish;
    toml.header("[publish]");
    toml.duration("refresh_min", publish.refresh_min);
    toml.duration("refresh_max", publish.refresh_max);
    toml.plain("burst", publish.burst);
    toml.duration("burst_refill", publish.burst_refill);
    toml.duration("debounce", publish.debounce);
    toml.plain("max_intro_points", publish.max_intro_points.unwrap_or(0));
    toml.plain("verify", publish.verify);
    toml.header("[resilience]");
    toml.plain("hsdir_max_retries", config.resilience.hsdir_max_retries);
    toml.duration("upload_timeout", config.resilience.upload_timeout);
    toml.header("[control]");
    toml.path("socket", &config.control.socket);
    toml.text
}

fn tor(toml: &mut Toml, config: &Config) {
    let tor = &config.tor;
    toml.header("[tor]");
    match &tor.control {
        ControlAddress::Auto => toml.text("control", "auto"),
        ControlAddress::Unix(path) => toml.text("control", &format!("unix:{}", path.display())),
        ControlAddress::Tcp(address) => toml.text("control", &address.to_string()),
    }
    match &tor.auth {
        Auth::Auto => toml.text("auth", "auto"),
        Auth::PasswordFile(path) => {
            toml.text("auth", "password-file");
            toml.path("password_file", path);
        }
    }
    match &tor.instance {
        Instance::Auto => toml.text("instance", "auto"),
        Instance::Address(id) => toml.text("instance", &address::onion(id)),
    }
    match &tor.service_dir {
        ServiceDir::Auto => toml.text("service_dir", "auto"),
        ServiceDir::Path(path) => toml.path("service_dir", path),
    }
    toml.duration("reconnect_max", tor.reconnect_max);
    toml.duration("request_timeout", tor.request_timeout);
}

fn log_level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}

fn log_format(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Auto => "auto",
        LogFormat::Text => "text",
        LogFormat::Json => "json",
        LogFormat::Journald => "journald",
    }
}

/// TOML that grows line by line.
#[derive(Default)]
struct Toml {
    text: String,
}

impl Toml {
    fn header(&mut self, header: &str) {
        let gap = if self.text.is_empty() { "" } else { "\n" };
        self.line(format_args!("{gap}{header}"));
    }

    fn text(&mut self, key: &str, value: &str) {
        self.line(format_args!("{key} = {}", toml::Value::from(value)));
    }

    fn path(&mut self, key: &str, value: &Path) {
        self.text(key, &value.to_string_lossy());
    }

    fn plain(&mut self, key: &str, value: impl std::fmt::Display) {
        self.line(format_args!("{key} = {value}"));
    }

    fn duration(&mut self, key: &str, value: Duration) {
        self.plain(key, value.as_secs_f64());
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("a String takes any text");
    }
}
