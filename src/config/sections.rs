//! The sections and options of the file: names, defaults, limits, and the rules between them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;

use super::duration::show_duration;
use super::problem::{Problem, Severity};
use super::reader::{At, Reader, Section, syntax_problems};
use super::{
    Auth, Backend, Config, Control, ControlAddress, DEFAULT_PRIORITY, DEFAULT_SOCKET,
    DEFAULT_STATE_DIR, Gather, Instance, LogFormat, LogLevel, Node, Publish, Resilience, Service,
    ServiceDir, Socks, Tor, address,
};
use crate::ident::{HsId, INTRO_POINTS_MAX, NodeId};

mod mesh;

const SERVICES_MAX: usize = 16;
const BACKENDS_MAX: usize = 64;

/// The longest path of a unix socket, in bytes (`sun_path` of unix(7), without the final zero).
const SOCKET_PATH_MAX: usize = 107;

/// From this many introduction points on, a descriptor is larger than an ordinary service's.
const INTRO_POINTS_ORDINARY: u8 = 8;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// How long HSDirs remember a descriptor at least.
const HSDIR_MEMORY: Duration = Duration::from_secs(180 * 60);

/// The latest refresh: `status` calls a descriptor late 140 minutes after it was confirmed, and a
/// refresh that fails needs time for tries before [`HSDIR_MEMORY`] is over.
const REFRESH_LATEST: Duration = Duration::from_secs(135 * 60);

/// The configuration, unless there are errors, and all problems.
pub(super) fn read(text: &str) -> (Option<Config>, Vec<Problem>) {
    let syntax = syntax_problems(text);
    let root = match DeTable::parse(text) {
        Ok(root) if syntax.is_empty() => root,
        _ => return (None, syntax),
    };
    let mut reader = Reader::new(text, root.get_ref());
    let node = node(&mut reader);
    let services = services(&mut reader);
    let tor = tor(&mut reader);
    let backends = backends(&mut reader);
    let gather = gather(&mut reader);
    let publish = publish(&mut reader);
    let (resilience, tor_fallback) = resilience(&mut reader);
    let control = control(&mut reader);
    let mesh = mesh::read(&mut reader);
    names_are_unique(&mut reader, node.as_ref(), &backends);
    addresses_are_unique(&mut reader, &services, &tor, &backends);
    let spare = node.as_ref().filter(|node| node.value.spare).map(|node| node.line);
    mesh::ways_lead_to_the_others(&mut reader, &mesh, spare, &tor_fallback, &tor);

    let problems = reader.finish();
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return (None, problems);
    }
    let config = node.map(|node| Config {
        node: node.value,
        cluster: mesh.cluster,
        services: services.into_iter().map(|at| at.value).collect(),
        tor: tor.value,
        backends: backends.into_iter().map(|at| at.value).collect(),
        peers: mesh.peers,
        wireguard: mesh.wireguard,
        coordination: mesh.coordination,
        gather,
        publish,
        resilience,
        control,
        hooks: mesh.hooks,
    });
    (config, problems)
}

fn node(reader: &mut Reader<'_>) -> Option<At<Node>> {
    let mut section = reader.section("node");
    let name = section.required("name", name);
    let state_dir = section.text("state_dir", absolute_path);
    let priority = section.integer("priority", DEFAULT_PRIORITY, 0..=u16::MAX);
    let weight = section.integer("weight", 1, 1..=100);
    let spare = section.boolean("spare", false);
    let levels = [
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];
    let log_level = section.word("log_level", LogLevel::Info, &levels);
    let formats = [
        ("auto", LogFormat::Auto),
        ("text", LogFormat::Text),
        ("json", LogFormat::Json),
        ("journald", LogFormat::Journald),
    ];
    let log_format = section.word("log_format", LogFormat::Auto, &formats);
    let redact = section.boolean("redact", true);
    if !redact {
        section.warning("redact", " = false: the log will hold addresses; mind who reads it");
    }
    reader.close(section);
    let At { line, value: name } = name?;
    let state_dir = state_dir.unwrap_or_else(|| DEFAULT_STATE_DIR.into());
    let value = Node { name, state_dir, priority, weight, spare, log_level, log_format, redact };
    Some(At { line, value })
}

fn services(reader: &mut Reader<'_>) -> Vec<At<Service>> {
    let blocks = reader.blocks("service", SERVICES_MAX);
    let alone = !reader.has("cluster");
    if alone && blocks.is_empty() && !reader.has("service") {
        let advice = "[[service]]: at least one is required, with onion and key_file";
        reader.problem(None, advice.to_owned());
    }
    let mut services = Vec::new();
    for mut section in blocks {
        let onion = section.required("onion", address);
        let key_file = match alone {
            true => section.required("key_file", absolute_path).map(|at| at.value),
            false => section.text("key_file", absolute_path),
        };
        reader.close(section);
        if let Some(At { line, value: onion }) = onion {
            services.push(At { line, value: Service { onion, key_file } });
        }
    }
    services
}

fn tor(reader: &mut Reader<'_>) -> At<Tor> {
    let mut section = reader.section("tor");
    let control = section.text("control", control_address).unwrap_or(ControlAddress::Auto);
    let auth = auth(&mut section);
    let instance = section
        .text("instance", |text| match text {
            "auto" => Ok(Instance::Auto),
            text => address(text).map(Instance::Address),
        })
        .unwrap_or(Instance::Auto);
    let service_dir = section
        .text("service_dir", |text| match text {
            "auto" => Ok(ServiceDir::Auto),
            text => absolute_path(text).map(ServiceDir::Path),
        })
        .unwrap_or(ServiceDir::Auto);
    let reconnect_max = section.duration("reconnect_max", 30 * SECOND, SECOND..=10 * MINUTE);
    let request_timeout = section.duration("request_timeout", 10 * SECOND, SECOND..=5 * MINUTE);
    let socks = section.text("socks", mesh::socks).unwrap_or(Socks::Auto);
    let line = section.line_of("instance");
    reader.close(section);
    let value = Tor { control, auth, instance, service_dir, socks, reconnect_max, request_timeout };
    At { line, value }
}

fn auth(section: &mut Section<'_>) -> Auth {
    let by_password = section.word("auth", false, &[("auto", false), ("password-file", true)]);
    match (by_password, section.text("password_file", absolute_path)) {
        (true, Some(path)) => Auth::PasswordFile(path),
        (true, None) if section.is_sound() => {
            section.error("password_file", ": missing, but auth = \"password-file\" requires it");
            Auth::Auto
        }
        (false, Some(_)) if section.is_sound() => {
            let advice = " is not used while auth = \"auto\"; set auth = \"password-file\"";
            section.warning("password_file", advice);
            Auth::Auto
        }
        _ => Auth::Auto,
    }
}

fn backends(reader: &mut Reader<'_>) -> Vec<At<Backend>> {
    let mut backends = Vec::new();
    for mut section in reader.blocks("backend", BACKENDS_MAX) {
        let name = section.required("name", name);
        let onion = section.required("onion", address);
        reader.close(section);
        if let (Some(At { line, value: name }), Some(At { value: onion, .. })) = (name, onion) {
            backends.push(At { line, value: Backend { name, onion } });
        }
    }
    backends
}

fn gather(reader: &mut Reader<'_>) -> Gather {
    let mut section = reader.section("gather");
    let poll = section.duration("poll", MINUTE, SECOND..=HOUR);
    let backend_poll = section.duration("backend_poll", 5 * MINUTE, 10 * SECOND..=HOUR);
    reader.close(section);
    Gather { poll, backend_poll }
}

fn publish(reader: &mut Reader<'_>) -> Publish {
    let mut section = reader.section("publish");
    let longest = HSDIR_MEMORY - SECOND;
    let publish = Publish {
        refresh_min: section.duration("refresh_min", HOUR, 10 * SECOND..=longest),
        refresh_max: section.duration("refresh_max", 2 * HOUR, 10 * SECOND..=longest),
        burst: section.integer("burst", 4, 1..=100),
        burst_refill: section.duration("burst_refill", MINUTE, SECOND..=HOUR),
        debounce: section.duration(
            "debounce",
            Duration::from_millis(300),
            Duration::ZERO..=30 * SECOND,
        ),
        max_intro_points: Some(section.integer("max_intro_points", 0, 0..=INTRO_POINTS_MAX as u8))
            .filter(|most| *most > 0),
        verify: section.boolean("verify", true),
    };
    let (min, max) = (publish.refresh_min, publish.refresh_max);
    if section.is_sound() && min > max {
        let seconds = |duration: Duration| duration.as_secs_f64();
        let rest =
            format!(" = {} must not be more than refresh_max ({})", seconds(min), seconds(max));
        section.error("refresh_min", &rest);
    } else if section.is_sound() && max > REFRESH_LATEST {
        let rest = format!(
            " must be at most {}: HSDirs forget a descriptor after {}, and a refresh that fails \
             needs time to be tried again",
            show_duration(REFRESH_LATEST),
            show_duration(HSDIR_MEMORY)
        );
        section.error("refresh_max", &rest);
    }
    if let Some(most) = publish.max_intro_points.filter(|most| *most > INTRO_POINTS_ORDINARY) {
        let rest = format!(
            " = {most}: above {INTRO_POINTS_ORDINARY} the descriptor is larger than ordinary ones"
        );
        section.warning("max_intro_points", &rest);
    }
    reader.close(section);
    publish
}

/// And where and how `tor_fallback_enabled` is set.
fn resilience(reader: &mut Reader<'_>) -> (Resilience, At<bool>) {
    let mut section = reader.section("resilience");
    let resilience = Resilience {
        hsdir_max_retries: section.integer("hsdir_max_retries", 3, 0..=10),
        upload_timeout: section.duration("upload_timeout", MINUTE, SECOND..=10 * MINUTE),
        dead_threshold: section.integer("dead_threshold", 3, 1..=20),
        removal_grace_period: section.duration(
            "removal_grace_period",
            30 * SECOND,
            Duration::ZERO..=HOUR,
        ),
        tor_fallback_enabled: section.boolean("tor_fallback_enabled", true),
    };
    let line = section.line_of("tor_fallback_enabled");
    reader.close(section);
    let value = resilience.tor_fallback_enabled;
    (resilience, At { line, value })
}

fn control(reader: &mut Reader<'_>) -> Control {
    let mut section = reader.section("control");
    let socket = section.text("socket", socket_path).unwrap_or_else(|| DEFAULT_SOCKET.into());
    reader.close(section);
    Control { socket }
}

fn names_are_unique(reader: &mut Reader<'_>, node: Option<&At<Node>>, backends: &[At<Backend>]) {
    let mut first: BTreeMap<&NodeId, Option<u32>> = BTreeMap::new();
    if let Some(node) = node {
        first.insert(&node.value.name, node.line);
    }
    for At { line, value: backend } in backends {
        if let Some(other) = first.get(&backend.name) {
            let place = place(*other);
            let name = &backend.name;
            let message =
                format!("[[backend]] name = \"{name}\" is taken{place}; every name is unique");
            reader.problem(*line, message);
        } else {
            first.insert(&backend.name, *line);
        }
    }
}

fn addresses_are_unique(
    reader: &mut Reader<'_>,
    services: &[At<Service>],
    tor: &At<Tor>,
    backends: &[At<Backend>],
) {
    let mut first: BTreeMap<HsId, (&str, Option<u32>)> = BTreeMap::new();
    let services = services.iter().map(|at| ("[[service]] onion", at.value.onion, at.line));
    let instance = match tor.value.instance {
        Instance::Address(id) => Some(("[tor] instance", id, tor.line)),
        Instance::Auto => None,
    };
    let backends = backends.iter().map(|at| ("[[backend]] onion", at.value.onion, at.line));
    for (option, id, line) in services.chain(instance).chain(backends) {
        let Some((other, other_line)) = first.get(&id) else {
            first.insert(id, (option, line));
            continue;
        };
        let place = place(*other_line);
        let message = match *other {
            "[[service]] onion" if option != *other => format!(
                "{option} is the public address itself ([[service]]{place}); write the address \
                 of that front's own onion service"
            ),
            "[tor] instance" => {
                format!("{option} is this node's own instance ([tor]{place}); list only the others")
            }
            _ => format!("{option} is listed twice (first{place}); remove one of the two"),
        };
        reader.problem(line, message);
    }
}

fn place(line: Option<u32>) -> String {
    line.map_or_else(String::new, |line| format!(" on line {line}"))
}

fn name(text: &str) -> Result<NodeId, String> {
    text.parse().map_err(|error| format!("is not a name: {error}"))
}

fn address(text: &str) -> Result<HsId, String> {
    if text.starts_with("REPLACE") {
        return Err("is still the example's; write the real address".to_owned());
    }
    address::parse(text).map_err(|error| format!("is not an onion address: {error}"))
}

fn absolute_path(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    match path.is_absolute() && !text.contains('\0') {
        true => Ok(path.to_owned()),
        false => Err("must be an absolute path, starting with /".to_owned()),
    }
}

fn socket_path(text: &str) -> Result<PathBuf, String> {
    if text.len() > SOCKET_PATH_MAX {
        return Err(format!("is too long: a socket's path has at most {SOCKET_PATH_MAX} bytes"));
    }
    absolute_path(text)
}

fn control_address(text: &str) -> Result<ControlAddress, String> {
    if text == "auto" {
        return Ok(ControlAddress::Auto);
    }
    if let Some(path) = text.strip_prefix("unix:") {
        return socket_path(path).map(ControlAddress::Unix);
    }
    let address: SocketAddr = text.parse().map_err(
        |_| "must be \"auto\", \"unix:/path\" or an address and port such as \"127.0.0.1:9051\"",
    )?;
    match address.ip().is_loopback() && address.port() != 0 {
        true => Ok(ControlAddress::Tcp(address)),
        false => {
            Err("must be a port on this machine, such as 127.0.0.1:9051 or [::1]:9051".to_owned())
        }
    }
}
