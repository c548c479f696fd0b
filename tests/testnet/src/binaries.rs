//! Finding `tor` and `tor-gencert`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Onionbalance instance mode and its fixes, and the options used here.
const OLDEST: (u32, u32, u32) = (0, 4, 8);

/// The two programs, found and looked at.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    pub(crate) tor: PathBuf,
    pub(crate) gencert: PathBuf,
    /// As tor prints it, such as `0.4.9.11`.
    pub(crate) version: String,
}

impl Binaries {
    /// Looks in `$TESTNET_TOR` and `$TESTNET_TOR_GENCERT`, then where `tools/get-tor` unpacks, then
    /// on the PATH.
    ///
    /// # Errors
    /// Fails when one is missing, does not run or is too old; the message says what to do.
    pub(crate) fn find() -> Result<Binaries> {
        let tor = find("TESTNET_TOR", "tor")?;
        let gencert = find("TESTNET_TOR_GENCERT", "tor-gencert")?;
        let version = version(&tor)?;
        Ok(Binaries { tor, gencert, version })
    }
}

fn find(variable: &str, name: &str) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!("{variable} names {}, which is no file", path.display());
        }
        return Ok(path);
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let unpacked = workspace.join("target/tor/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/bin", "/usr/sbin"].map(PathBuf::from);
    std::iter::once(unpacked)
        .chain(std::env::split_paths(&path))
        .chain(system)
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
        .with_context(|| {
            format!(
                "no `{name}` here: run tools/get-tor, which unpacks one without starting it, \
                 or name it in {variable}"
            )
        })
}

fn version(tor: &Path) -> Result<String> {
    let output = Command::new(tor)
        .arg("--version")
        .output()
        .with_context(|| format!("cannot run {}", tor.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let Some(version) = parse_version(&text) else {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} does not say its version: {}{}", tor.display(), text.trim(), said.trim());
    };
    let numbers: Vec<u32> = version.split(['.', '-']).map_while(|n| n.parse().ok()).collect();
    let [major, minor, micro, ..] = numbers[..] else {
        bail!("{} has a version that is not understood: {version}", tor.display());
    };
    if (major, minor, micro) < OLDEST {
        bail!("{} is tor {version}; 0.4.8 or newer is needed: run tools/get-tor", tor.display());
    }
    Ok(version)
}

fn parse_version(text: &str) -> Option<String> {
    let rest = text.split_once("Tor version ")?.1;
    let word = rest.split_whitespace().next()?;
    Some(word.trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::parse_version;

    #[test]
    fn version_is_read_from_the_first_line() {
        let text = "Tor version 0.4.9.11.\nThis build of Tor is covered by the licence\n";
        assert_eq!(parse_version(text).as_deref(), Some("0.4.9.11"));
        assert_eq!(parse_version("Tor version 0.4.8.1-alpha (git-1).").unwrap(), "0.4.8.1-alpha");
        assert_eq!(parse_version("error while loading shared libraries"), None);
    }
}
