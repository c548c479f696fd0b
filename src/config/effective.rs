//! Prints a configuration as TOML, every option with its value.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use base64ct::{Base64, Encoding as _};

use super::{
    Auth, Config, ControlAddress, Instance, LogFormat, LogLevel, ServiceDir, Socks, address,
};

/// The whole configuration, in the order of the example file.
pub(super) fn print(config: &Config) -> String {
    let mut toml = Toml::default();
    let node = &config.node;
    toml.header("[node]");
    toml.text("name", node.name.as_str());
    toml.path("state_dir", &node.state_dir);
    toml.plain("priority", node.priority);
    toml.plain("weight", node.weight);
    toml.plain("spare", node.spare);
    toml.text("log_level", log_level(node.log_level));
    toml.text("log_format", log_format(node.log_format));
    toml.plain("redact", node.redact);
    if let Some(cluster) = &config.cluster {
        toml.header("[cluster]");
        toml.text("name", cluster.name.as_str());
        toml.key("key", &cluster.key.0);
        toml.plain("expect", cluster.expect.unwrap_or(0));
    }
    for service in &config.services {
        toml.header("[[service]]");
        toml.text("onion", &address::onion(&service.onion));
        if let Some(path) = &service.key_file {
            toml.path("key_file", path);
        }
    }
    tor(&mut toml, config);
    for backend in &config.backends {
        toml.header("[[backend]]");
        toml.text("name", backend.name.as_str());
        toml.text("onion", &address::onion(&backend.onion));
    }
    mesh(&mut toml, config);
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
    toml.plain("dead_threshold", config.resilience.dead_threshold);
    toml.duration("removal_grace_period", config.resilience.removal_grace_period);
    toml.plain("tor_fallback_enabled", config.resilience.tor_fallback_enabled);
    toml.header("[control]");
    toml.path("socket", &config.control.socket);
    hooks(&mut toml, config);
    toml.text
}

fn mesh(toml: &mut Toml, config: &Config) {
    for peer in &config.peers {
        toml.header("[[peer]]");
        toml.key("public_key", &peer.key.0);
        if let Some(endpoint) = peer.endpoint {
            toml.text("endpoint", &endpoint.to_string());
        }
        if let Some(onion) = &peer.onion {
            toml.text("onion", &address::onion(onion));
        }
    }
    let wireguard = &config.wireguard;
    toml.header("[wireguard]");
    toml.plain("enabled", wireguard.enabled);
    toml.text("listen", &wireguard.listen.to_string());
    let endpoint = wireguard.endpoint.map(|endpoint| endpoint.to_string());
    toml.text("endpoint", &endpoint.unwrap_or_default());
    if let Some(path) = &wireguard.preshared_key_file {
        toml.path("preshared_key_file", path);
    }
    toml.duration("keepalive", wireguard.keepalive);
    let coordination = &config.coordination;
    toml.header("[coordination]");
    toml.duration("heartbeat_interval", coordination.heartbeat_interval);
    toml.duration("clock_skew_tolerance", coordination.clock_skew_tolerance);
    toml.plain("stream_port", coordination.stream_port);
}

fn hooks(toml: &mut Toml, config: &Config) {
    toml.header("[hooks]");
    toml.duration("timeout", config.hooks.timeout);
    for hook in &config.hooks.hooks {
        toml.header("[[hook]]");
        let on: Vec<String> = hook.on.iter().map(|event| event.name().to_owned()).collect();
        toml.plain("on", toml::Value::from(on));
        toml.plain("command", toml::Value::from(hook.command.clone()));
    }
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
    match &tor.socks {
        Socks::Auto => toml.text("socks", "auto"),
        Socks::None => toml.text("socks", "none"),
        Socks::Port(port) => toml.text("socks", &port.to_string()),
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

    fn key(&mut self, key: &str, value: &[u8; 32]) {
        self.text(key, &Base64::encode_string(value));
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
