//! `testnet up`: a private Tor network to play with, until Ctrl-C.
//!
//! Ctrl-C needs no handling here: when this process is gone, the network's guardian clears up.

use std::io::Read;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use testnet::{Front, FrontOptions, Network, Options};

const USAGE: &str = "\
Starts a private Tor network on loopback and keeps it until Ctrl-C or the end of its input.

usage: testnet up [--authorities N] [--relays N] [--clients N] [--interval SECONDS]
                  [--no-shared-random] [--fronts N --master ADDRESS.onion] [--services N]

  --fronts N     fronts in Onionbalance instance mode, for the address given with --master
  --services N   plain onion services, to compare with
  --interval S   seconds between two consensuses; a time period lasts 24 of them (20: 8 minutes)

TESTNET_KEEP=1 keeps the files. TESTNET_TOR and TESTNET_TOR_GENCERT name the programs to use.
";

struct Wish {
    network: Options,
    fronts: usize,
    services: usize,
    master: Option<String>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((command, rest)) if command == "up" => parse(rest).and_then(up),
        Some((command, _)) if command == "--help" || command == "-h" => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("testnet: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: &[String]) -> Result<Wish> {
    let mut wish = Wish { network: Options::default(), fronts: 0, services: 0, master: None };
    let mut words = arguments.iter();
    while let Some(flag) = words.next() {
        if flag == "--no-shared-random" {
            wish.network.shared_random = false;
            continue;
        }
        let value = words.next().with_context(|| format!("{flag} needs a value, or is unknown"))?;
        let number = || {
            let parsed = value.parse::<usize>();
            parsed.with_context(|| format!("{flag} needs a number, not {value:?}"))
        };
        match flag.as_str() {
            "--authorities" => wish.network.authorities = number()?,
            "--relays" => wish.network.relays = number()?,
            "--clients" => wish.network.clients = number()?,
            "--interval" => wish.network.voting_interval_s = number()? as u64,
            "--fronts" => wish.fronts = number()?,
            "--services" => wish.services = number()?,
            "--master" => wish.master = Some(value.clone()),
            _ => bail!("{flag} is unknown; `testnet --help` lists what there is"),
        }
    }
    if wish.fronts > 0 && wish.master.is_none() {
        bail!("--fronts needs --master ADDRESS.onion");
    }
    Ok(wish)
}

fn up(wish: Wish) -> Result<()> {
    let net = Network::start(wish.network, |line| println!("  {line}"))?;
    println!("  the network stands after {:.0} s", net.took().as_secs_f32());
    let mut fronts = Vec::new();
    if let Some(master) = wish.master.filter(|_| wish.fronts > 0) {
        let names: Vec<String> = (1..=wish.fronts).map(|i| format!("front{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        fronts = net.add_fronts(&names, &[&master], &FrontOptions::default())?;
    }
    for number in 1..=wish.services {
        fronts.push(net.add_service(&format!("service{number}"), FrontOptions::default())?);
    }
    print_table(&net, &fronts);
    println!("Ctrl-C ends it.");
    let mut buffer = [0; 256];
    while std::io::stdin().read(&mut buffer).context("cannot read the input")? > 0 {}
    Ok(())
}

fn print_table(net: &Network, fronts: &[Front]) {
    println!();
    println!("  tor {}, {} MB resident", net.tor_version(), net.resident_bytes() >> 20);
    println!("  {:<12} {:<8} {:<6} control socket", "who", "pid", "SOCKS");
    let row = |tor: &testnet::TorProcess, socks: Option<u16>| {
        let socks = socks.map_or("-".to_owned(), |port| port.to_string());
        let pid = tor.pid().map_or("-".to_owned(), |pid| pid.to_string());
        println!("  {:<12} {pid:<8} {socks:<6} {}", tor.name(), tor.control_socket().display());
    };
    for relay in net.relays() {
        row(relay.tor(), None);
    }
    for client in net.clients() {
        row(client.tor(), Some(client.socks_port()));
    }
    for front in fronts {
        row(front.tor(), Some(front.socks_port()));
    }
    for front in fronts {
        println!("  {} is http://{}/", front.name(), front.onion());
    }
    let minutes = |time: std::time::Duration| time.as_secs_f32() / 60.0;
    println!(
        "  next time period in {:.1} min, next shared random value in {:.1} min",
        minutes(net.until_period_change()),
        minutes(net.until_shared_random_change())
    );
    println!();
}
