use std::collections::BTreeSet;

use super::*;

const EXAMPLE: &str = include_str!("../../config.example.toml");
const PLACEHOLDER: &str = "REPLACE-WITH-56-CHARACTERS.onion";

fn address(n: u8) -> String {
    let key = ed25519_dalek::SigningKey::from_bytes(&[n; 32]).verifying_key();
    address::onion(&HsId(key.to_bytes()))
}

fn minimal() -> String {
    let onion = address(1);
    format!("[node]\nname = \"a\"\n[[service]]\nonion = \"{onion}\"\nkey_file = \"/k\"\n")
}

fn parse(text: &str) -> Result<Loaded, ConfigErrors> {
    Config::parse(text, Path::new("config.toml"))
}

/// The messages for `text`, as the screen shows them.
fn screen_of(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

/// The section and name of every option that `toml` has.
fn options(toml: &str) -> BTreeSet<(String, String)> {
    let table: toml::Table = toml.parse().unwrap();
    let mut found = BTreeSet::new();
    for (section, value) in &table {
        let blocks = match value {
            toml::Value::Array(blocks) => blocks.clone(),
            block => vec![block.clone()],
        };
        for block in blocks {
            found.extend(block.as_table().unwrap().keys().map(|k| (section.clone(), k.clone())));
        }
    }
    found
}

const KEY_PLACEHOLDER: &str = "REPLACE-WITH-44-CHARACTERS-OF-BASE64";
const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// Whether a comment is an option or a section that is switched off.
fn is_switched_off(comment: &str) -> bool {
    let option = |(key, _): (&str, &str)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    comment.starts_with('[') || comment.split_once(" = ").is_some_and(option)
}

/// The example with its placeholders filled in and everything in it switched on.
fn full_example() -> String {
    let switched_on = EXAMPLE.lines().map(|line| match line.strip_prefix("# ") {
        Some(comment) if is_switched_off(comment) => format!("{comment}\n"),
        _ => format!("{line}\n"),
    });
    let mut text: String = switched_on.collect();
    for n in 1..4 {
        text = text.replacen(PLACEHOLDER, &address(n), 1);
    }
    text.replace(KEY_PLACEHOLDER, KEY).replace("auth = \"auto\"", "auth = \"password-file\"")
}

/// A cluster, as lines of the file.
fn cluster() -> String {
    format!("[cluster]\nname = \"newsroom\"\nkey = \"{KEY}\"\n")
}

#[test]
fn the_example_says_the_defaults_of_the_code() {
    let Loaded { mut config, warnings } =
        parse(&EXAMPLE.replace(PLACEHOLDER, &address(1))).unwrap();
    assert_eq!(warnings, []);
    let defaults = parse(&minimal()).unwrap().config;
    config.node.name = defaults.node.name.clone();
    config.services[0].key_file = defaults.services[0].key_file.clone();
    assert_eq!(config, defaults);
}

#[test]
fn the_example_has_every_option_of_the_code() {
    let loaded = parse(&full_example()).unwrap();
    assert_eq!(loaded.warnings, []);
    assert_eq!(options(&full_example()), options(&loaded.config.effective()));
}

#[test]
fn the_untouched_example_is_refused_with_advice() {
    let screen = screen_of(EXAMPLE);
    assert!(screen.contains("is still the example's; write the real address"), "{screen}");
}

#[test]
fn what_is_printed_as_effective_reads_back_as_the_same() {
    let mut odd = full_example();
    odd = odd.replace("control = \"auto\"", "control = \"[::1]:9051\"");
    odd = odd.replace("instance = \"auto\"", &format!("instance = \"{}\"", address(9)));
    odd = odd.replace("service_dir = \"auto\"", "service_dir = \"/a \\\"quoted\\\" path\"");
    odd = odd.replace("socks = \"auto\"", "socks = \"127.0.0.1:9050\"");
    odd = odd.replace("endpoint = \"\"", "endpoint = \"[2001:db8::1]:7\"");
    odd = odd.replace("\"peer_dead\", \"publish_failed\"", "\"*\"");
    odd = odd.replace("debounce = 0.3", "debounce = \"1s500ms\"");
    for text in [minimal(), full_example(), odd] {
        let config = parse(&text).unwrap().config;
        assert_eq!(parse(&config.effective()).unwrap().config, config);
    }
}

#[test]
fn all_problems_are_told_at_once_each_with_its_line() {
    let text = minimal()
        + "redact = true\n\
           [resilience]\n\
           hsdir_max_retrys = 3\n\
           socket = 1\n\
           [publish]\n\
           refresh_min = 9000\n\
           refresh_max = \"2h\"\n\
           max_intro_points = 9\n\
           [gahter]\n\
           poll = 1\n\
           [wiregrd]\n\
           enabled = true\n\
           [tor]\n\
           auth = \"password\"\n\
           control = \"10.0.0.1:9051\"\n\
           request_timeout = \"soon\"\n\
           reconnect_max = 0\n\
           instance = 5\n";
    insta::assert_snapshot!(screen_of(&text), @r#"
    config.toml: 11 errors, 1 warning
      line 6   error    [[service]] redact: no such option here. It belongs to [node]
      line 8   error    [resilience] hsdir_max_retrys: no such option. Did you mean hsdir_max_retries?
      line 9   error    [resilience] socket: no such option here. It belongs to [control]
      line 11  error    [publish] refresh_min = 9000 must not be more than refresh_max (7200)
      line 14  error    [gahter]: no such section. Did you mean [gather]?
      line 16  error    [wiregrd]: no such section. Did you mean [wireguard]?
      line 19  error    [tor] auth = "password" must be one of "auto", "password-file"
      line 20  error    [tor] control = "10.0.0.1:9051" must be a port on this machine, such as 127.0.0.1:9051 or [::1]:9051
      line 21  error    [tor] request_timeout = "soon" is not a time; write seconds (30, 0.3) or a text such as "300ms", "30s", "10m", "2h"
      line 22  error    [tor] reconnect_max = 0 must be between 1s and 10m
      line 23  error    [tor] instance = 5 must be a text in quotes
      line 13  warning  [publish] max_intro_points = 9: above 8 the descriptor is larger than ordinary ones
    "#);
}

#[test]
fn a_refresh_that_leaves_no_time_for_a_second_try_is_refused_with_the_reason() {
    let with = |refresh_max: &str| minimal() + &format!("[publish]\nrefresh_max = {refresh_max}\n");
    assert!(parse(&with("\"2h15m\"")).is_ok());
    insta::assert_snapshot!(screen_of(&with("8101")), @r#"
    config.toml: 1 error
      line 7  error    [publish] refresh_max must be at most 2h15m: HSDirs forget a descriptor after 3h, and a refresh that fails needs time to be tried again
    "#);
}

#[test]
fn missing_and_misplaced_things_are_named() {
    insta::assert_snapshot!(screen_of(""), @r#"
    config.toml: 2 errors
      error    [[service]]: at least one is required, with onion and key_file
      error    [node] name: missing, but required
    "#);
    insta::assert_snapshot!(screen_of("name = \"x\"\nnode = 3\n[service]\n[[tor]]\n"), @r#"
    config.toml: 5 errors
      line 1  error    name: no such option here. It belongs to [node]
      line 2  error    [node] name: missing, but required
      line 2  error    node is a section: write it as [node]
      line 3  error    [service] may exist several times: write it as [[service]]
      line 4  error    [[tor]] exists once: write it as [tor]
    "#);
    insta::assert_snapshot!(screen_of(&(minimal() + "[[service]]\n[tor]\nauth=\"password-file\"")), @r#"
    config.toml: 3 errors
      line 6  error    [[service]] key_file: missing, but required
      line 6  error    [[service]] onion: missing, but required
      line 7  error    [tor] password_file: missing, but auth = "password-file" requires it
    "#);
}

#[test]
fn broken_syntax_is_shown_with_its_line() {
    insta::assert_snapshot!(screen_of("[node]\nname = \"a\nredact = true\n[tor\n"), @r#"
    config.toml: 2 errors
      line 2  error    not valid TOML: invalid basic string, expected `"`
      line 4  error    not valid TOML: unclosed table, expected `]`
    "#);
    insta::assert_snapshot!(screen_of("[node]\nname = \"a\"\nname = \"b\"\n"), @r#"
    config.toml: 1 error
      line 3  error    not valid TOML: duplicate key
    "#);
}

#[test]
fn names_and_addresses_are_used_once() {
    let (own, public) = (address(5), address(1));
    let text = minimal()
        + &format!("[[service]]\nonion = \"{public}\"\nkey_file = \"/k2\"\n")
        + &format!("[tor]\ninstance = \"{own}\"\n")
        + &format!("[[backend]]\nname = \"a\"\nonion = \"{}\"\n", address(6))
        + &format!("[[backend]]\nname = \"b\"\nonion = \"{own}\"\n")
        + &format!("[[backend]]\nname = \"c\"\nonion = \"{public}\"\n")
        + &format!("[[backend]]\nname = \"d\"\nonion = \"{}\"\n", address(6));
    insta::assert_snapshot!(screen_of(&text), @r#"
    config.toml: 5 errors
      line 7   error    [[service]] onion is listed twice (first on line 4); remove one of the two
      line 12  error    [[backend]] name = "a" is taken on line 2; every name is unique
      line 15  error    [[backend]] onion is this node's own instance ([tor] on line 10); list only the others
      line 18  error    [[backend]] onion is the public address itself ([[service]] on line 4); write the address of that front's own onion service
      line 21  error    [[backend]] onion is listed twice (first on line 12); remove one of the two
    "#);
}

#[test]
fn too_many_blocks_are_refused() {
    let many: String = (0..65)
        .map(|n| format!("[[backend]]\nname = \"b{n}\"\nonion = \"{}\"\n", address(100 + n)))
        .collect();
    let screen = screen_of(&(minimal() + &many));
    assert!(screen.contains("[[backend]]: at most 64 are possible"), "{screen}");
}

#[test]
fn odd_but_working_settings_only_warn() {
    let text = minimal().replace("\"a\"\n", "\"a\"\nredact = false\n")
        + "[tor]\npassword_file = \"/p\"\n[publish]\nmax_intro_points = 9\n";
    let loaded = parse(&text).unwrap();
    assert_eq!(loaded.config.tor.auth, Auth::Auto);
    insta::assert_snapshot!(show_problems(Path::new("c"), &loaded.warnings), @r#"
    c: 3 warnings
      line 3   warning  [node] redact = false: the log will hold addresses; mind who reads it
      line 8   warning  [tor] password_file is not used while auth = "auto"; set auth = "password-file"
      line 10  warning  [publish] max_intro_points = 9: above 8 the descriptor is larger than ordinary ones
    "#);
}

#[test]
fn files_that_cannot_be_read_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let message = |name: &str| {
        let errors = Config::load(&dir.path().join(name)).unwrap_err();
        errors.problems[0].message.clone()
    };
    std::fs::write(dir.path().join("binary"), [b'[', 0xff, 0xfe]).unwrap();
    std::fs::write(dir.path().join("huge"), vec![b'#'; 1024 * 1024 + 1]).unwrap();
    insta::assert_snapshot!(message("absent"), @"the file cannot be read: there is no such file. Start from config.example.toml");
    insta::assert_snapshot!(message(""), @"the file is a directory; name the file in it");
    insta::assert_snapshot!(message("binary"), @"the file is not text: the byte at position 1 is not UTF-8. Save it as UTF-8");
    let fault = |path: &Path| Config::load(path).unwrap_err().fault;
    assert_eq!(fault(&dir.path().join("absent")), Fault::Content);
    assert_eq!(fault(Path::new("/proc/self/mem")), Fault::Io, "its first page is not mapped");
    let denied = file::FileError::from(std::io::Error::from(std::io::ErrorKind::PermissionDenied));
    assert_eq!(denied.fault(), Fault::Permission);
    insta::assert_snapshot!(message("huge"), @"the file is larger than 1 MiB, so it is hardly a configuration");
}

#[test]
fn the_socket_is_found_in_a_file_with_other_mistakes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, "[nodee]\n[control]\nsocket = \"/s\"\n").unwrap();
    assert_eq!(control_socket(&path), Some("/s".into()));
    std::fs::write(&path, "[control]\n").unwrap();
    assert_eq!(control_socket(&path), None);
}

proptest::proptest! {
    /// However the file is mangled, it is judged: no panic, and an error whenever it is refused.
    #[test]
    fn a_mangled_file_is_judged(
        from in 0_usize..12_000,
        length in 0_usize..40,
        insert in "\\PC{0,8}|[\\[\\]\"=\n.{}]{1,4}",
    ) {
        let mut text: Vec<char> = full_example().chars().collect();
        let from = from.min(text.len());
        let until = (from + length).min(text.len());
        text.splice(from..until, insert.chars());
        let text: String = text.into_iter().collect();
        if let Err(errors) = parse(&text) {
            let found = errors.problems.iter().any(|problem| problem.severity == Severity::Error);
            proptest::prop_assert!(found);
            let lines = text.lines().count() as u32 + 1;
            let inside = |line: u32| (1..=lines).contains(&line);
            proptest::prop_assert!(errors.problems.iter().all(|p| p.line.is_none_or(inside)));
        }
    }
}

#[test]
fn in_a_cluster_neither_service_nor_its_key_is_required() {
    let text = format!("[node]\nname = \"a\"\n{}", cluster());
    let config = parse(&text).unwrap().config;
    assert_eq!(config.services, []);
    assert_eq!(config.cluster.unwrap().expect, None);
    let text = text + &format!("[[service]]\nonion = \"{}\"\n", address(1));
    assert_eq!(parse(&text).unwrap().config.services[0].key_file, None);
}

#[test]
fn what_only_a_cluster_can_have_is_refused_without_one() {
    let text = minimal().replace("\"a\"\n", "\"a\"\nspare = true\n")
        + &format!("[[peer]]\npublic_key = \"{KEY}\"\nendpoint = \"192.0.2.1:51820\"\n");
    insta::assert_snapshot!(screen_of(&text), @r#"
    config.toml: 2 errors
      line 2  error    [node] spare = true: a node alone must serve; add [cluster] or remove it
      line 8  error    [[peer]] public_key: a node alone has no peers; add [cluster] or remove it
    "#);
}

#[test]
fn some_way_must_lead_to_the_others() {
    let tor_only = minimal() + &cluster() + "[wireguard]\nenabled = false\n";
    assert!(parse(&tor_only).is_ok());
    let no_fallback = tor_only.clone() + "[resilience]\ntor_fallback_enabled = false\n";
    insta::assert_snapshot!(screen_of(&no_fallback), @r#"
    config.toml: 1 error
      line 12  error    [resilience] tor_fallback_enabled = false and [wireguard] enabled = false leave no way to the other nodes; switch one of them on
    "#);
    insta::assert_snapshot!(screen_of(&(tor_only + "[tor]\nsocks = \"none\"\n")), @r#"
    config.toml: 1 error
      line 11  error    [tor] socks = "none" and [wireguard] enabled = false leave no way to the other nodes; change one of them
    "#);
}

#[test]
fn mistakes_about_the_other_nodes_are_named() {
    let text = minimal()
        + "[cluster]\nname = \"News Room\"\nkey = \"short\"\nexpect = 129\n"
        + &format!("[[peer]]\npublic_key = \"{KEY}\"\n")
        + &format!("[[peer]]\npublic_key = \"{KEY}\"\nendpoint = \"node-b.example.org:51820\"\n")
        + "[wireguard]\nlisten = 51820\nendpoint = \"0.0.0.0:1\"\n"
        + "[tor]\nsocks = \"192.0.2.1:9050\"\n"
        + "[[hook]]\non = [\"peer_ded\", \"frobnicated\"]\ncommand = [\"page-me\"]\n"
        + "[[hook]]\non = []\n";
    insta::assert_snapshot!(screen_of(&text), @r#"
    config.toml: 14 errors
      line 7   error    [cluster] name = "News Room" is not a name: a name has 1 to 32 characters of a-z, 0-9 and -
      line 8   error    [cluster] key = "short" is not a key: 44 characters of base64 are expected
      line 9   error    [cluster] expect = 129 must be a whole number from 0 to 128
      line 10  error    [[peer]] endpoint and onion are missing: one of them is required
      line 13  error    [[peer]] public_key is listed twice (first on line 11); remove one
      line 14  error    [[peer]] endpoint = "node-b.example.org:51820" must be an IP address and a port, such as 192.0.2.1:51820 (no host name: nothing here asks DNS)
      line 16  error    [wireguard] listen = 51820 must be a text in quotes
      line 17  error    [wireguard] endpoint = "0.0.0.0:1" must be an IP address and a port, such as 192.0.2.1:51820 (no host name: nothing here asks DNS)
      line 19  error    [tor] socks = "192.0.2.1:9050" must be a port on this machine, such as 127.0.0.1:9050
      line 21  error    [[hook]] on: there is no "frobnicated". Known are peer_suspect, peer_dead, peer_recovered, publisher_gained, publisher_lost, publish_ok, publish_failed, partition, split_publisher, tor_down, tor_up, clock_bad, app_down, app_up, node_joined, node_left
      line 21  error    [[hook]] on: there is no "peer_ded". Did you mean "peer_dead"?
      line 22  error    [[hook]] command: its first word must be an absolute path, starting with /
      line 23  error    [[hook]] command: missing, but required
      line 24  error    [[hook]] on = [] must be a list of 1 to 16 texts, such as ["a", "b"]
    "#);
}
