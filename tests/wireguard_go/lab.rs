//! Two network namespaces with a cable between them; all of it goes when it is dropped.

use std::fs::File;
use std::io::Write;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

const OUR_ADDRESS: [u8; 4] = [192, 0, 2, 1];
const THEIR_ADDRESS: [u8; 4] = [192, 0, 2, 2];
const PORT: u16 = 51_820;

static LABS: AtomicU32 = AtomicU32::new(0);

/// The namespaces, by their names.
pub(crate) struct Lab {
    ours: String,
    theirs: String,
    wireguard: PathBuf,
    wg: PathBuf,
}

/// What wireguard-go shall be told.
pub(crate) struct Tunnel {
    pub(crate) private_key: [u8; 32],
    pub(crate) peer: [u8; 32],
    pub(crate) preshared_key: [u8; 32],
    pub(crate) endpoint: SocketAddr,
    pub(crate) address: Ipv6Addr,
    pub(crate) peer_address: Ipv6Addr,
}

/// A running wireguard-go, killed when dropped.
pub(crate) struct Wireguard {
    child: Child,
    namespace: String,
    device: String,
    wg: PathBuf,
    keys: tempfile::TempDir,
}

fn program(name: &str) -> Result<PathBuf, String> {
    let unpacked = concat!(env!("CARGO_MANIFEST_DIR"), "/target/wireguard/usr/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([unpacked, "/usr/bin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .ok_or_else(|| format!("there is no {name} here (tools/get-wireguard unpacks it)"))
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}

fn ip(words: &str) -> Result<String, String> {
    run(Command::new(program("ip")?).args(words.split(' ')))
}

impl Lab {
    /// Builds it; the error says what this machine lacks.
    pub(crate) fn build() -> Result<Lab, String> {
        let (wireguard, wg) = (program("wireguard-go")?, program("wg")?);
        if !Path::new("/dev/net/tun").exists() {
            return Err("there is no /dev/net/tun".to_owned());
        }
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let name = |side: char| format!("rb{side}{}-{number}", std::process::id());
        let (ours, theirs) = (name('a'), name('b'));
        let lab = Lab { ours, theirs, wireguard, wg };
        lab.connect()?;
        Ok(lab)
    }

    fn connect(&self) -> Result<(), String> {
        let Lab { ours, theirs, .. } = self;
        ip(&format!("netns add {ours}"))?;
        ip(&format!("netns add {theirs}"))?;
        ip(&format!("-n {ours} link add cable type veth peer name cable netns {theirs}"))?;
        for (namespace, [a, b, c, d]) in [(ours, OUR_ADDRESS), (theirs, THEIR_ADDRESS)] {
            ip(&format!("-n {namespace} addr add {a}.{b}.{c}.{d}/24 dev cable"))?;
            ip(&format!("-n {namespace} link set lo up"))?;
            ip(&format!("-n {namespace} link set cable up"))?;
        }
        Ok(())
    }

    /// Where our endpoint is to listen.
    pub(crate) fn our_socket(&self) -> SocketAddr {
        (OUR_ADDRESS, PORT).into()
    }

    /// Where wireguard-go listens.
    pub(crate) fn their_socket(&self) -> SocketAddr {
        (THEIR_ADDRESS, PORT).into()
    }

    pub(crate) fn thread_in_ours<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        thread_in(&self.ours, work)
    }

    pub(crate) fn thread_in_theirs<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        thread_in(&self.theirs, work)
    }

    /// Starts wireguard-go on the other side of the cable and tells it of us.
    pub(crate) fn start_wireguard(&self, tunnel: &Tunnel, patience: Duration) -> Wireguard {
        let namespace = &self.theirs;
        let device = namespace.replace('-', "x");
        let child = Command::new(program("ip").unwrap())
            .args(["netns", "exec", namespace])
            .arg(&self.wireguard)
            .args(["-f", &device])
            .env("LOG_LEVEL", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("wireguard-go starts");
        let keys = tempfile::tempdir().unwrap();
        let (wg, namespace) = (self.wg.clone(), namespace.clone());
        let wireguard = Wireguard { child, namespace, device, wg, keys };
        wireguard.wait(patience);
        wireguard.configure(tunnel);
        wireguard
    }
}

fn thread_in<T: Send + 'static>(
    namespace: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    let file = File::open(format!("/run/netns/{namespace}")).expect("the namespace exists");
    std::thread::spawn(move || {
        let network = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(file.as_fd(), network).expect("root may enter");
        work()
    })
}

impl Drop for Lab {
    fn drop(&mut self) {
        for namespace in [&self.ours, &self.theirs] {
            let exists = Path::new("/run/netns").join(namespace).exists();
            if exists && let Err(error) = ip(&format!("netns del {namespace}")) {
                println!("{error}");
            }
        }
    }
}

impl Wireguard {
    fn wg(&self, words: &[&str]) -> Result<String, String> {
        let mut command = Command::new(program("ip")?);
        run(command.args(["netns", "exec", &self.namespace]).arg(&self.wg).args(words))
    }

    #[expect(clippy::disallowed_methods, reason = "a test waits by the real clock")]
    fn wait(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while let Err(error) = self.wg(&["show", &self.device]) {
            assert!(Instant::now() < deadline, "wireguard-go does not answer: {error}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn key_file(&self, name: &str, key: &[u8; 32]) -> String {
        let path = self.keys.path().join(name);
        let text = Base64::encode_string(key);
        File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn configure(&self, tunnel: &Tunnel) {
        let private = self.key_file("private", &tunnel.private_key);
        let preshared = self.key_file("preshared", &tunnel.preshared_key);
        let peer = Base64::encode_string(&tunnel.peer);
        let (endpoint, port) = (tunnel.endpoint.to_string(), PORT.to_string());
        let allowed = format!("{}/128", tunnel.peer_address);
        #[rustfmt::skip]
        self.wg(&[
            "set", &self.device, "private-key", &private, "listen-port", &port,
            "peer", &peer, "preshared-key", &preshared, "endpoint", &endpoint,
            "allowed-ips", &allowed,
        ])
        .unwrap();
        let Wireguard { namespace, device, .. } = self;
        let address = tunnel.address;
        ip(&format!("-n {namespace} -6 addr add {address}/128 dev {device} nodad")).unwrap();
        ip(&format!("-n {namespace} link set {device} mtu 1280 up")).unwrap();
        ip(&format!("-n {namespace} -6 route add {allowed} dev {device}")).unwrap();
    }

    /// When the last handshake was, in seconds since 1970; 0 for none.
    pub(crate) fn latest_handshake_s(&self) -> u64 {
        let text = self.wg(&["show", &self.device, "latest-handshakes"]).unwrap();
        text.split_whitespace().last().unwrap().parse().unwrap()
    }
}

impl Drop for Wireguard {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(format!("/var/run/wireguard/{}.sock", self.device));
    }
}
