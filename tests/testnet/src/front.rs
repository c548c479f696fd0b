//! A front: a machine with tor, an onion service and a web server behind it.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::backend::Backend;
use crate::clock;
use crate::options::FrontOptions;
use crate::ports;
use crate::process::{PORT_TAKEN, TorProcess};
use crate::site::Site;
use crate::torrc;

const START_TRIES: usize = 3;

/// A front with its own onion service. Its tor and its web server end on drop.
#[derive(Debug)]
pub struct Front {
    tor: TorProcess,
    backend: Backend,
    onion: String,
    socks_port: u16,
    control_port: Option<u16>,
}

impl Front {
    /// Starts a front; with `masters` its service is an Onionbalance instance of them.
    pub(crate) fn start(
        site: &Arc<Site>,
        name: &str,
        masters: &[&str],
        options: &FrontOptions,
    ) -> Result<Front> {
        let tor = TorProcess::new(site, name)?;
        let service_dir = service_dir(&tor);
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&service_dir)
            .with_context(|| format!("cannot make {}", service_dir.display()))?;
        if !masters.is_empty() {
            write_ob_config(&service_dir, masters)?;
        }
        let mut tries = 0;
        let (backend, socks_port, control_port) = loop {
            tries += 1;
            match start_once(site, &tor, !masters.is_empty(), options) {
                Err(error) if tries < START_TRIES && error.to_string().contains(PORT_TAKEN) => {}
                outcome => break outcome?,
            }
        };
        let hostname = service_dir.join("hostname");
        let onion = fs::read_to_string(&hostname)
            .with_context(|| format!("cannot read {}", hostname.display()))?
            .trim()
            .to_owned();
        let front = Front { tor, backend, onion, socks_port, control_port };
        front.tor.wait_bootstrapped(options.deadline)?;
        Ok(front)
    }

    /// Its name, which its web server answers with.
    pub fn name(&self) -> &str {
        self.tor.name()
    }

    /// The address of its own onion service, with `.onion`.
    pub fn onion(&self) -> &str {
        &self.onion
    }

    /// The same: the address of the instance, as opposed to the master address.
    pub fn instance_onion(&self) -> &str {
        &self.onion
    }

    /// Its tor.
    pub fn tor(&self) -> &TorProcess {
        &self.tor
    }

    /// Its web server.
    pub fn backend(&self) -> &Backend {
        &self.backend
    }

    /// The directory of its onion service: `hostname`, `hs_ed25519_secret_key`, `ob_config`.
    pub fn service_dir(&self) -> PathBuf {
        service_dir(&self.tor)
    }

    /// The path of its tor's control socket.
    pub fn control_socket(&self) -> PathBuf {
        self.tor.control_socket()
    }

    /// The path of its tor's control cookie.
    pub fn cookie_path(&self) -> PathBuf {
        self.tor.cookie_path()
    }

    /// The TCP control port on 127.0.0.1, if [`FrontOptions::control_port`] asked for one.
    pub fn control_port(&self) -> Option<u16> {
        self.control_port
    }

    /// Its tor's SOCKS port on 127.0.0.1, with extended errors.
    pub fn socks_port(&self) -> u16 {
        self.socks_port
    }

    /// Writes the instance's masters (`….onion`) anew and restarts tor, which reads them only then.
    ///
    /// # Errors
    /// Fails for a front that was not started as an instance, and when tor does not come back.
    pub fn set_masters(&self, masters: &[&str]) -> Result<()> {
        let service_dir = self.service_dir();
        if !service_dir.join("ob_config").exists() {
            bail!("{} is a plain service: it has no masters", self.name());
        }
        write_ob_config(&service_dir, masters)?;
        self.tor.restart()
    }

    /// Waits until its tor has a descriptor of the service to show, which is when it uploads it.
    ///
    /// # Errors
    /// Fails when that takes longer than `within`, with the end of tor's log.
    pub fn wait_published(&self, within: Duration) -> Result<()> {
        let address = self.onion.trim_end_matches(".onion");
        let key = format!("hs/service/desc/id/{address}");
        let shown = || self.tor.control().ok()?.getinfo(&key).ok().filter(|text| !text.is_empty());
        let found = clock::poll(clock::now() + within, Duration::from_millis(200), shown);
        found.map(drop).ok_or_else(|| {
            self.tor.failure(&format!("no descriptor made within {} s", within.as_secs()))
        })
    }
}

fn service_dir(tor: &TorProcess) -> PathBuf {
    tor.directory().join("hs")
}

fn start_once(
    site: &Arc<Site>,
    tor: &TorProcess,
    instance: bool,
    options: &FrontOptions,
) -> Result<(Backend, u16, Option<u16>)> {
    let ports = ports::free(3)?;
    let [socks_port, control_port, backend_port] = ports[..] else {
        bail!("three ports were asked for, {} came", ports.len());
    };
    let backend = Backend::new(tor.name(), backend_port)?;
    let mut text = torrc::common(site, tor.directory());
    text += &torrc::client(socks_port);
    text += &torrc::service(&service_dir(tor), backend_port, options.intro_points, instance);
    let control_port = options.control_port.then_some(control_port);
    if let Some(port) = control_port {
        text += &format!("ControlPort 127.0.0.1:{port}\n");
    }
    for line in &options.torrc {
        text += line;
        text.push('\n');
    }
    tor.start(&text)?;
    Ok((backend, socks_port, control_port))
}

fn write_ob_config(service_dir: &Path, masters: &[&str]) -> Result<()> {
    let mut text = String::new();
    for master in masters {
        if master.strip_suffix(".onion").is_none_or(|address| address.len() != 56) {
            bail!("{master:?} is no master address: 56 characters and `.onion` are");
        }
        text += &format!("MasterOnionAddress {master}\n");
    }
    let path = service_dir.join("ob_config");
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}
