//! `make demo`: a private Tor network on loopback, one master address, three fronts and one node.
//!
//! Ends with success only if ten fetches of the page through a real tor client worked.

#[path = "../../support/cluster.rs"]
mod cluster;
mod progress;

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use cluster::Cluster;
use testnet::{FrontOptions, Network, Options};

const FETCHES: usize = 10;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ndemo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let binary = program()?;
    title("1  A private Tor network on this machine (loopback only; takes about a minute)");
    let network = Network::start(Options::default(), |line| println!("   {line}"))?;
    println!("   tor {}, {} relays", network.tor_version(), network.relays().len());

    title("2  Three fronts, each with its own tor and web server, and one new master address");
    let starting = || "the fronts' tors to be ready".to_owned();
    let cluster =
        progress::during(starting, || Cluster::new(&network, &binary, &FrontOptions::default()))?;
    println!("   {}", cluster.onion);
    for front in &cluster.fronts {
        println!("   {}  its own tor service is {}", front.name(), front.onion());
    }
    println!("   the master key lies in {}", cluster.key.display());
    let points = || "the fronts to have introduction points of their own".to_owned();
    progress::during(points, || cluster.wait_instances(Duration::from_secs(60)))?;

    title("3  One RustBalance node beside front-a; the other two are plain Onionbalance backends");
    cluster.node.start(&network)?;
    let confirmed = || progress::of_publishing(cluster.node.status().ok().as_ref());
    progress::during(confirmed, || cluster.node.wait_confirmed(Duration::from_secs(90)))?;
    let log = cluster.node.log();
    for line in log.lines().filter_map(message) {
        println!("   {line}");
    }
    println!();
    show_status(&binary, &cluster)?;

    title("4  A tor client fetches the page ten times");
    let answered = fetch(&network, &cluster)?;
    let fronts: Vec<String> = answered.iter().map(|(name, n)| format!("{name} {n}")).collect();
    println!("\n   {FETCHES} of {FETCHES} fetches worked: {}", fronts.join(", "));
    if answered.len() < 2 {
        bail!("only one front answered");
    }
    if std::env::var_os("KEEP").is_some_and(|keep| keep == "1") {
        keep_running(&network, &cluster, &binary);
    }
    println!("\ndemo: all good. Everything that ran is stopped and removed now.");
    Ok(())
}

fn program() -> Result<PathBuf> {
    let path = match std::env::var_os("RUSTBALANCE") {
        Some(path) => PathBuf::from(path),
        None => std::env::current_exe()?.with_file_name("rustbalance"),
    };
    if !path.is_file() {
        bail!("there is no program at {}: start the demo with `make demo`", path.display());
    }
    path.canonicalize().context("cannot resolve the program's path")
}

fn title(text: &str) {
    if std::io::stdout().is_terminal() {
        println!("\n\x1b[1m{text}\x1b[0m");
    } else {
        println!("\n{text}");
    }
}

/// The message of a log line that is of interest here, without time stamp and fields.
fn message(line: &str) -> Option<&str> {
    let (_, message) = line.split_once(" INFO ")?;
    Some(message.split(" event=").next().unwrap_or(message))
}

fn show_status(binary: &std::path::Path, cluster: &Cluster) -> Result<()> {
    let mut command = Command::new(binary);
    command.arg("--config").arg(cluster.node.config_path()).arg("status");
    let status = command.status().context("cannot run rustbalance status")?;
    if !status.success() {
        bail!("rustbalance status ended with {status}");
    }
    Ok(())
}

fn fetch(network: &Network, cluster: &Cluster) -> Result<BTreeMap<String, usize>> {
    let mut answered = BTreeMap::new();
    for number in 1..=FETCHES {
        let client = network.client(number % network.clients().len());
        let page = client
            .get(&cluster.onion, "/", Duration::from_secs(60))
            .map_err(|error| anyhow::anyhow!("fetch {number}: {error}"))?;
        let front = page.front.context("the page names no front")?;
        println!("   {number:2}  {front} answered in {:.2} s", page.elapsed.as_secs_f32());
        *answered.entry(front).or_default() += 1;
    }
    Ok(answered)
}

fn keep_running(network: &Network, cluster: &Cluster, binary: &std::path::Path) {
    let interactive = std::io::stdin().is_terminal();
    let until = if interactive { "Enter or Ctrl-C" } else { "Ctrl-C" };
    println!("\nKEEP=1: everything goes on until {until}.");
    let config = cluster.node.config_path();
    println!("   {} --config {} status", binary.display(), config.display());
    let socks = network.client(0).socks_port();
    println!("   curl --socks5-hostname 127.0.0.1:{socks} http://{}/", cluster.onion);
    println!("   log: {}", cluster.node.log_path().display());
    if interactive {
        let _ = std::io::stdin().read(&mut [0; 1]);
    } else {
        loop {
            std::thread::sleep(Duration::from_secs(3600));
        }
    }
}
