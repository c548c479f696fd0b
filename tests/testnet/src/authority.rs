//! What an authority has before it first starts: keys, a certificate, shared random values.

use std::fs;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::clock;
use crate::site::Site;

/// Makes the identity, the signing key and the certificate, and returns the authority's line for
/// everybody's torrc.
pub(crate) fn make_keys(site: &Site, name: &str, or_port: u16, dir_port: u16) -> Result<String> {
    let directory = site.directory().join(name);
    make_certificate(site, &directory)
        .with_context(|| format!("{name}: no authority certificate"))?;
    let certificate = directory.join("keys/authority_certificate");
    let text = fs::read_to_string(&certificate)
        .with_context(|| format!("cannot read {}", certificate.display()))?;
    let v3ident = text
        .lines()
        .find_map(|line| line.strip_prefix("fingerprint "))
        .with_context(|| format!("{} names no fingerprint", certificate.display()))?;
    let fingerprint = relay_fingerprint(site, name, or_port)?;
    Ok(format!(
        "DirAuthority {name} orport={or_port} no-v2 v3ident={v3ident} \
         127.0.0.1:{dir_port} {fingerprint}\n"
    ))
}

/// Writes a state file as an authority has it that has run for days.
///
/// All authorities must get the same values, or they will not agree on them in their votes.
pub(crate) fn write_shared_random(site: &Site, directory: &Path) -> Result<()> {
    const SPARE_S: u64 = 15;
    const PREVIOUS: &str = "dGVzdG5ldCBwcmV2aW91cyBzaGFyZWQgcmFuZG9tISE=";
    const CURRENT: &str = "dGVzdG5ldCBjdXJyZW50IHNoYXJlZCByYW5kb20hISE=";
    let run_s = 24 * site.voting_interval_s;
    let now = clock::unix_s();
    let valid_after = now - now % run_s;
    let mut valid_until = valid_after + run_s;
    if valid_until - now < SPARE_S {
        valid_until += run_s;
    }
    let text = format!(
        "Version 1\nTorVersion Tor {}\nValidAfter {}\nValidUntil {}\n\
         SharedRandPreviousValue 3 {PREVIOUS}\nSharedRandCurrentValue 3 {CURRENT}\n",
        site.binaries.version,
        calendar(valid_after),
        calendar(valid_until),
    );
    let path = directory.join("sr-state");
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Has the authorities measure the same bandwidth for every relay.
///
/// New relays advertise zero, which clients take as equal chances, until one of them has seen its
/// first kilobytes: then it is chosen for every hop, and no circuit can be built. (Measurements
/// count with three authorities or more; dir-spec, section 3.8.)
pub(crate) fn write_bandwidths(site: &Site, fingerprints: &[&str]) -> Result<()> {
    let mut text = format!("{}\n", clock::unix_s());
    for fingerprint in fingerprints {
        text += &format!("node_id=${fingerprint} bw=1000\n");
    }
    let path = site.bandwidth_file();
    let whole = path.with_extension("new");
    fs::write(&whole, text)
        .and_then(|()| fs::rename(&whole, &path))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn make_certificate(site: &Site, directory: &Path) -> Result<()> {
    let keys = directory.join("keys");
    fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(&keys)
        .context("cannot make the keys directory")?;
    let mut gencert = Command::new(&site.binaries.gencert)
        .args(["--create-identity-key", "-m", "12", "--passphrase-fd", "0"])
        .current_dir(&keys)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(site.group())
        .spawn()
        .with_context(|| format!("cannot run {}", site.binaries.gencert.display()))?;
    let mut passphrase = gencert.stdin.take().expect("it was asked for");
    // A gencert that fails early closes its end; its exit status says why.
    let _ = passphrase.write_all(b"testnet\n");
    drop(passphrase);
    let output = gencert.wait_with_output().context("cannot wait for tor-gencert")?;
    if !output.status.success() {
        bail!("tor-gencert failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn relay_fingerprint(site: &Site, name: &str, or_port: u16) -> Result<String> {
    const NOBODY: &str = "nobody 127.0.0.1:1 FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF";
    let output = Command::new(&site.binaries.tor)
        .args(["--quiet", "--list-fingerprint", "--defaults-torrc"])
        .arg(site.empty_file())
        .arg("-f")
        .arg(site.empty_file())
        .args(["--TestingTorNetwork", "1", "--DirAuthority", NOBODY])
        .args(["--Address", "127.0.0.1", "--Nickname", name])
        .args(["--ORPort", &format!("127.0.0.1:{or_port}"), "--DataDirectory"])
        .arg(site.directory().join(name))
        .stdin(Stdio::null())
        .process_group(site.group())
        .output()
        .context("cannot run tor --list-fingerprint")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let words: Vec<&str> = text.lines().last().unwrap_or_default().split(' ').skip(1).collect();
    let fingerprint = words.concat();
    if fingerprint.len() != 40 || !fingerprint.bytes().all(|b| b.is_ascii_hexdigit()) {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("tor --list-fingerprint said {:?} {:?}", text.trim(), said.trim());
    }
    Ok(fingerprint)
}

/// `YYYY-MM-DD HH:MM:SS` in UTC, by Howard Hinnant's civil-from-days method.
fn calendar(unix_s: u64) -> String {
    let (days, second) = (unix_s / 86_400, unix_s % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::calendar;

    #[test]
    fn calendar_knows_leap_days_and_centuries() {
        assert_eq!(calendar(0), "1970-01-01 00:00:00");
        assert_eq!(calendar(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(calendar(1_460_545_200), "2016-04-13 11:00:00");
        assert_eq!(calendar(4_107_542_399), "2100-02-28 23:59:59");
        assert_eq!(calendar(4_107_542_400), "2100-03-01 00:00:00");
    }
}
