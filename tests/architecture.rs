//! The import rule of `src/lib.rs`: rooms use only the rooms below them, and the engine knows
//! neither clock, runtime, chance nor unordered collections.

#![expect(clippy::unwrap_used, reason = "a test may end where it fails")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Each room with the rooms that it may name, itself aside.
const RULE: [(&str, &[&str]); 14] = [
    ("ident", &[]),
    ("time", &[]),
    ("message", &["ident", "time"]),
    ("engine", &["ident", "message", "time"]),
    ("wire", &["ident", "message", "time"]),
    ("transport", &["hs", "ident", "message", "time", "wire"]),
    ("hs", &["ident", "time"]),
    ("control", &["hs", "ident", "time"]),
    ("status", &["ident", "time"]),
    ("telemetry", &["ident", "time"]),
    ("config", &["hs", "ident", "time"]),
    (
        "daemon",
        &[
            "config",
            "control",
            "engine",
            "hs",
            "ident",
            "message",
            "status",
            "telemetry",
            "time",
            "transport",
            "wire",
        ],
    ),
    ("cli", &["config", "daemon", "hs", "ident", "message", "status", "telemetry", "time", "wire"]),
    ("main", &["cli"]),
];

/// What the engine must not know.
const ENGINE_BANS: [&str; 9] = [
    "tokio",
    "rand::",
    "HashMap",
    "HashSet",
    "Instant",
    "SystemTime",
    "std::fs",
    "std::net",
    "std::thread",
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The code of every room: without comments, and without the tests, which may use anything.
fn rooms() -> BTreeMap<String, Vec<(PathBuf, String)>> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut rooms: BTreeMap<String, Vec<(PathBuf, String)>> = BTreeMap::new();
    for path in files {
        let relative = path.strip_prefix(&src).unwrap();
        let test = relative.components().any(|part| {
            ["tests", "tests.rs", "testing.rs"].contains(&part.as_os_str().to_str().unwrap())
        });
        if test {
            continue;
        }
        let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let room = first.trim_end_matches(".rs").to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let code: Vec<&str> =
            code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        rooms.entry(room).or_default().push((path, code.join("\n")));
    }
    rooms
}

#[test]
fn rooms_use_only_the_rooms_below_them() {
    let rule = BTreeMap::from(RULE);
    let names: Vec<&str> = rule.keys().copied().collect();
    for (room, files) in rooms() {
        if room == "lib" {
            continue;
        }
        let allowed = rule.get(room.as_str()).unwrap_or_else(|| panic!("{room} is in no rule"));
        for (path, code) in files {
            for other in names.iter().filter(|other| **other != room && !allowed.contains(other)) {
                let named = code.contains(&format!("crate::{other}::"))
                    || code.contains(&format!("crate::{other};"))
                    || code.contains(&format!("rustbalance::{other}::"));
                assert!(!named, "{}: {room} must not use {other}", path.display());
            }
            assert!(!code.contains("use crate::{"), "{}: name the room", path.display());
        }
    }
}

#[test]
fn the_engine_knows_no_clock_no_runtime_and_no_chance() {
    for (path, code) in &rooms()["engine"] {
        for ban in ENGINE_BANS {
            assert!(!code.contains(ban), "{}: {ban}", path.display());
        }
    }
}

#[test]
fn the_rule_names_every_room_and_every_room_is_found() {
    let found = rooms();
    for (room, _) in RULE {
        assert!(found.contains_key(room), "{room} has no source");
    }
    assert!(found["engine"].len() > 5);
}
