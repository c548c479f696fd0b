//! The private network does what it says. One network serves all steps: its start is the cost.

#![expect(clippy::unwrap_used, reason = "it is how a test fails")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testnet::watcher::WatchOptions;
use testnet::{FetchErrorKind, FrontOptions, Network, Options};

/// An address with a right checksum that nobody serves (the one of the specification's examples).
const UNSERVED: &str = "25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid.onion";
const PATIENCE: Duration = Duration::from_secs(90);

#[test]
fn private_network_does_what_it_says() {
    let net = Network::start(Options::default(), |line| eprintln!("{line}")).unwrap();
    let megabytes = net.resident_bytes() >> 20;
    eprintln!("up after {:.1} s, {megabytes} MB resident", net.took().as_secs_f32());
    assert!(megabytes < 1_200, "{megabytes} MB for 15 tors");

    authorities_agree_on_shared_random_values(&net);
    service_answers_and_names_the_front(&net);
    instance_answers_at_its_own_address(&net);
    watcher_sees_a_service_come_and_go(&net);
    relay_comes_back_as_itself(&net);

    let directory = net.directory().to_owned();
    assert!(!processes_of(&directory).is_empty());
    drop(net);
    assert_eq!(processes_of(&directory), [], "no process outlives the network");
    assert!(!directory.exists(), "no file outlives the network");
}

fn authorities_agree_on_shared_random_values(net: &Network) {
    let values = net.shared_random().unwrap();
    assert!(values.current.is_some() && values.previous.is_some(), "{values:?}");
    assert_ne!(values.current, values.previous);
}

fn service_answers_and_names_the_front(net: &Network) {
    let nobody = net.client(0).get(UNSERVED, "/", PATIENCE).unwrap_err();
    assert_eq!(nobody.kind, FetchErrorKind::Socks(0xF0), "{nobody}");

    let shop = net.add_service("shop", FrontOptions::default()).unwrap();
    shop.wait_published(PATIENCE).unwrap();
    let page = net.wait_reachable(shop.onion(), PATIENCE).unwrap();
    assert_eq!((page.status, page.front.as_deref()), (200, Some("shop")));
    assert_eq!(page.body, "Hello from shop.\n");
    assert_eq!(shop.backend().answered(), 1);
    let secret = std::fs::read(shop.service_dir().join("hs_ed25519_secret_key")).unwrap();
    assert_eq!(secret.len(), 96);

    let mut events = net.client(1).tor().control().unwrap();
    events.subscribe(&["HS_DESC"]).unwrap();
    net.client(1).get(shop.onion(), "/", PATIENCE).unwrap();
    let address = shop.onion().trim_end_matches(".onion");
    let of_shop = |event: &testnet::control::Message| event.words().get(2) == Some(&address);
    let event = events.wait_event(PATIENCE, of_shop).unwrap();
    assert_eq!((event.code, event.words()[0]), (650, "HS_DESC"));

    shop.backend().stop();
    net.client(0).get(shop.onion(), "/", PATIENCE).unwrap_err();
    shop.backend().start().unwrap();
    net.client(0).get(shop.onion(), "/", PATIENCE).unwrap();

    shop.tor().freeze().unwrap();
    assert!(shop.tor().is_frozen() && shop.tor().is_running());
    let hangs = net.client(0).get(shop.onion(), "/", Duration::from_secs(5)).unwrap_err();
    assert_eq!(hangs.kind, FetchErrorKind::Timeout, "{hangs}");
    shop.tor().thaw().unwrap();
    assert!(!shop.tor().is_frozen());
    net.client(0).get(shop.onion(), "/", PATIENCE).unwrap();
}

fn instance_answers_at_its_own_address(net: &Network) {
    let options = FrontOptions { control_port: true, ..FrontOptions::default() };
    let fronts = net.add_fronts(&["front-a", "front-b"], &[UNSERVED], &options).unwrap();
    for front in &fronts {
        let masters = std::fs::read_to_string(front.service_dir().join("ob_config")).unwrap();
        assert_eq!(masters, format!("MasterOnionAddress {UNSERVED}\n"));
        let port = front.control_port().expect("it was asked for");
        std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let page = net.wait_reachable(front.instance_onion(), PATIENCE).unwrap();
        assert_eq!(page.front.as_deref(), Some(front.name()));
    }
    let [a, b] = &fronts[..] else { panic!("two fronts were started, not {}", fronts.len()) };
    let from_a = testnet::client::fetch(a.socks_port(), b.instance_onion(), "/", PATIENCE);
    assert_eq!(from_a.unwrap().front.as_deref(), Some("front-b"));
}

fn watcher_sees_a_service_come_and_go(net: &Network) {
    let shop = net.add_service("stall", FrontOptions::default()).unwrap();
    net.wait_reachable(shop.onion(), PATIENCE).unwrap();
    let watcher = net.watch(shop.onion(), WatchOptions::default());
    wait_for("good fetches", || watcher.so_far().by_front().get("stall") >= Some(&5));
    shop.tor().kill();
    assert!(!shop.tor().is_running());
    wait_for("lost fetches", || watcher.so_far().lost().len() >= 2);
    let outage = watcher.so_far().longest_outage();
    assert!(outage > Duration::ZERO);

    let address = shop.onion().to_owned();
    shop.tor().restart().unwrap();
    shop.tor().wait_bootstrapped(PATIENCE).unwrap();
    shop.wait_published(PATIENCE).unwrap();
    let before = watcher.so_far().by_front().get("stall").copied();
    wait_for("good fetches again", || watcher.so_far().by_front().get("stall").copied() > before);
    assert_eq!(shop.onion(), address);
    let samples = watcher.stop();
    eprintln!("{samples}longest outage {:.1} s", samples.longest_outage().as_secs_f32());
    assert!(samples.longest_outage() >= outage);
}

fn relay_comes_back_as_itself(net: &Network) {
    let relay = net.relay(5);
    let fingerprint = relay.fingerprint().to_owned();
    let found = net.relay_by_fingerprint(&format!("${fingerprint}~relay2")).unwrap();
    assert_eq!(found.tor().name(), relay.tor().name());
    let first_pid = relay.tor().pid();
    relay.tor().freeze().unwrap();
    relay.tor().kill();
    assert_eq!(relay.tor().pid(), None, "a frozen relay dies too");
    relay.tor().restart().unwrap();
    relay.tor().wait_bootstrapped(PATIENCE).unwrap();
    assert_ne!(relay.tor().pid(), first_pid);
    let said = relay.tor().control().unwrap().getinfo("fingerprint").unwrap();
    assert_eq!(said, fingerprint);
    assert!(relay.tor().log_tail(50).contains("Bootstrapped 100%"));
}

/// What C tor alone manages: the measure for every service that is tried here.
#[test]
#[ignore = "takes ten minutes"]
fn plain_service_stays_up_across_both_boundaries() {
    let options = Options { clients: 4, ..Options::default() };
    let net = Network::start(options, |line| eprintln!("{line}")).unwrap();
    let shop = net.add_service("shop", FrontOptions::default()).unwrap();
    net.wait_reachable(shop.onion(), PATIENCE).unwrap();
    let seen = net.shared_random().unwrap();
    let watcher = net.watch(shop.onion(), WatchOptions::default());
    let both = net.until_period_change().max(net.until_shared_random_change());
    std::thread::sleep(both + Duration::from_secs(60));
    let samples = watcher.stop();
    let fresh = samples.0.iter().filter(|sample| sample.fresh).count();
    eprintln!(
        "{} fetches, {fresh} with a fresh view, {} failed, {} lost, longest outage {:.1} s",
        samples.0.len(),
        samples.failed().count(),
        samples.lost().len(),
        samples.longest_outage().as_secs_f32()
    );
    for failed in samples.failed() {
        eprintln!("{failed:?}");
    }
    let values = net.shared_random().unwrap();
    assert_eq!(values.previous, seen.current, "a shared random value was crossed");
    assert!(samples.lost().is_empty(), "{samples}");
}

#[test]
fn owner_that_is_killed_leaves_nothing() {
    let mut owner = Command::new(env!("CARGO_BIN_EXE_testnet"))
        .args(["up", "--authorities", "1", "--relays", "2", "--clients", "0"])
        .env_remove("TESTNET_KEEP")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(owner.stdout.take().unwrap()).lines();
    let first = said.next().unwrap().unwrap();
    let (_, directory) = first.rsplit_once(' ').unwrap();
    let directory = Path::new(directory);
    assert!(directory.is_dir(), "{first}");
    let tors = || {
        let all = processes_of(directory);
        all.into_iter().filter(|(_, command)| command.contains("torrc")).collect::<Vec<_>>()
    };
    wait_for("three tors", || tors().len() == 3);
    let frozen = Pid::from_raw(tors()[1].0);
    kill(frozen, Signal::SIGSTOP).unwrap();

    owner.kill().unwrap();
    owner.wait().unwrap();
    wait_for("all processes to end", || processes_of(directory).is_empty());
    wait_for("the files to go", || !directory.exists());
}

/// The processes whose command line names the directory.
fn processes_of(directory: &Path) -> Vec<(i32, String)> {
    let directory = directory.to_str().unwrap();
    let all = std::fs::read_dir("/proc").unwrap();
    let pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let with_command = pids.filter_map(|pid| {
        let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        Some((pid, String::from_utf8_lossy(&bytes).replace('\0', " ")))
    });
    with_command.filter(|(_, command)| command.contains(directory)).collect()
}

#[expect(clippy::disallowed_methods, reason = "real processes live in real time")]
fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let began = Instant::now();
    while !happened() {
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
