//! The control room against a real tor that has no network: every way in, a restart under the
//! client, and answers and events as this tor writes them.
//!
//! Uses the tor of `$TESTNET_TOR`, of `tools/get-tor`, or of the system.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use rustbalance::control::{
    self, Client, Endpoint, Event, OnionService, RequestError, Secret, Settings,
};
use rustbalance::ident::RelayId;
use tokio::sync::mpsc;
use tokio::time::timeout;

const ADDRESS: &str = "25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid";
const PASSWORD: &str = "pass 1\"word";
const PATIENCE: Duration = Duration::from_secs(60);

/// A tor in a folder of its own, killed when dropped.
struct Tor {
    folder: tempfile::TempDir,
    program: PathBuf,
    child: Child,
}

impl Tor {
    /// Starts tor with these additional options.
    fn start(options: &str) -> Tor {
        let program = program();
        let folder = tempfile::Builder::new()
            .prefix("ctl")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .expect("a temporary folder");
        let path = folder.path().display();
        let torrc = format!(
            "TestingTorNetwork 1\nDisableNetwork 1\nAddress 127.0.0.1\nSocksPort 0\n\
             DirAuthority own orport=1 no-v2 v3ident={id} 127.0.0.1:1 {id}\n\
             DataDirectory {path}/data\nControlSocket {path}/control\n\
             __OwningControllerProcess {pid}\n{options}\n",
            id = "AB".repeat(20),
            pid = std::process::id(),
        );
        fs::write(folder.path().join("torrc"), torrc).expect("torrc is written");
        let child = launch(&program, folder.path());
        Tor { folder, program, child }
    }

    fn kill(&mut self) {
        self.child.kill().expect("tor is killed");
        self.child.wait().expect("tor has ended");
    }

    fn restart(&mut self) {
        self.child = launch(&self.program, self.folder.path());
    }

    fn settings(&self) -> Settings {
        Settings::new(vec![Endpoint::Unix(self.folder.path().join("control"))])
    }
}

impl Drop for Tor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking()
            && let Ok(log) = fs::read_to_string(self.folder.path().join("out"))
        {
            println!("{log}");
        }
    }
}

fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("TESTNET_TOR") {
        return path.into();
    }
    let unpacked = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tor/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::iter::once(PathBuf::from(unpacked))
        .chain(std::env::split_paths(&path))
        .chain(["/usr/bin", "/usr/sbin"].map(PathBuf::from))
        .map(|folder| folder.join("tor"))
        .find(|file| file.is_file())
        .expect("there is a tor: tools/get-tor unpacks one without starting it")
}

fn launch(program: &Path, folder: &Path) -> Child {
    Command::new(program)
        .args(["--defaults-torrc", "/dev/null", "-f"])
        .arg(folder.join("torrc"))
        .stdin(Stdio::null())
        .stdout(fs::File::create(folder.join("out")).expect("a file for its log"))
        .spawn()
        .expect("tor starts")
}

/// The line for torrc that lets [`PASSWORD`] in.
fn hashed_password() -> String {
    let mut tor = Command::new(program());
    let output = tor.args(["--quiet", "--hash-password", PASSWORD]).output().expect("tor runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let hash = text.lines().find(|line| line.starts_with("16:")).expect("tor hashes it");
    format!("HashedControlPassword {hash}")
}

/// Waits for the next event that `wanted` takes.
async fn until<T>(events: &mut mpsc::Receiver<Event>, wanted: impl Fn(&Event) -> Option<T>) -> T {
    let mut seen = Vec::new();
    let search = async {
        loop {
            let event = events.recv().await.expect("the client's task lives");
            match wanted(&event) {
                Some(found) => return found,
                None => seen.push(event),
            }
        }
    };
    let found = timeout(PATIENCE, search).await;
    found.unwrap_or_else(|_| panic!("the event did not come, but {seen:#?}"))
}

fn up(event: &Event) -> Option<String> {
    match event {
        Event::Up { version } => Some(version.clone()),
        _ => None,
    }
}

fn down(event: &Event) -> Option<String> {
    match event {
        Event::Down { error, .. } => Some(error.clone()),
        _ => None,
    }
}

async fn answers(client: &Client, version: &str) {
    let told = client.getinfo_text("version").await.expect("tor answers");
    assert!(told.starts_with(version), "{told} and {version}");
}

#[tokio::test]
async fn a_restart_goes_unnoticed_but_for_two_events() {
    let mut tor = Tor::start("CookieAuthentication 1");
    let (sender, mut events) = mpsc::channel(100);
    let client = control::spawn(tor.settings(), sender);
    let version = until(&mut events, up).await;
    answers(&client, &version).await;
    for _ in 0..2 {
        tor.kill();
        until(&mut events, down).await;
        let error = client.getinfo("version").await.unwrap_err();
        assert!(matches!(error, RequestError::Down { .. }), "{error:?}");
        tor.restart();
        until(&mut events, up).await;
        answers(&client, &version).await;
    }
    assert_eq!(client.unparsed_events(), 0);
}

#[tokio::test]
async fn every_way_in_works() {
    let hashed = hashed_password();
    for (options, password) in [
        ("CookieAuthentication 0", None),
        (hashed.as_str(), Some(PASSWORD)),
        (&format!("CookieAuthentication 1\n{hashed}"), None),
    ] {
        let tor = Tor::start(options);
        let mut settings = tor.settings();
        if let Some(password) = password {
            let file = tor.folder.path().join("password");
            fs::write(&file, format!("{password}\n")).unwrap();
            settings.credentials.password_file = Some(file);
        }
        let (sender, mut events) = mpsc::channel(100);
        let client = control::spawn(settings, sender);
        let version = until(&mut events, up).await;
        answers(&client, &version).await;
    }
}

#[tokio::test]
async fn another_tors_cookie_and_a_wrong_password_are_named() {
    let hashed = hashed_password();
    let options = format!("CookieAuthentication 1\n{hashed}");
    let tor = Tor::start(&options);
    let wrong = tor.folder.path().join("wrong");
    fs::write(&wrong, [7; 32]).unwrap();

    let mut settings = tor.settings();
    settings.credentials.cookie_file = Some(wrong.clone());
    let (sender, mut events) = mpsc::channel(100);
    let _client = control::spawn(settings, sender);
    let named = |text: &'static str| move |e: &Event| down(e).filter(|error| error.contains(text));
    until(&mut events, named("not the tor that wrote the cookie")).await;

    let mut settings = tor.settings();
    settings.credentials.cookie_file = Some("/nonexistent".into());
    settings.credentials.password_file = Some(wrong);
    let (sender, mut events) = mpsc::channel(100);
    let _client = control::spawn(settings, sender);
    until(&mut events, named("tor refused HASHEDPASSWORD: 515")).await;
}

#[tokio::test]
async fn commands_and_events_are_those_of_this_tor() {
    let tor = Tor::start("CookieAuthentication 1");
    let (sender, mut events) = mpsc::channel(100);
    let client = control::spawn(tor.settings(), sender);
    until(&mut events, up).await;

    let names = client.getinfo_text("info/names").await.unwrap();
    assert!(names.lines().count() > 50, "a data reply of many lines: {names}");
    assert!(names.ends_with('\n') && !names.contains('\r'));
    assert_eq!(client.circuits().await.unwrap(), (vec![], 0));
    let phase = client.getinfo_text("status/bootstrap-phase").await.unwrap();
    assert!(
        control::event::ClientStatus::parse_bootstrap_phase(&phase).is_some(),
        "{phase} is a bootstrap phase"
    );
    let option = client.getconf("disablenetwork").await.unwrap();
    assert_eq!(option, [("DisableNetwork".to_owned(), Some("1".to_owned()))]);
    let unset = client.getconf("HiddenServiceOptions").await.unwrap();
    assert_eq!(unset, [("HiddenServiceOptions".to_owned(), None)]);

    let refused = |result| match result {
        Err(RequestError::Refused { status, .. }) => status,
        other => panic!("{other:?} instead of a refusal"),
    };
    assert_eq!(refused(client.getinfo("no/such/key").await.map(drop)), 552);
    let nobody = RelayId([0xCD; 20]);
    let document = Bytes::from("hs-descriptor 3\n.dot\n");
    assert_eq!(refused(client.hspost(ADDRESS, nobody, document).await), 552);
    assert_eq!(refused(client.hsfetch(ADDRESS, nobody).await), 552);

    let pid = tor.child.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    until(&mut events, |event| (*event == Event::Signal("RELOAD".into())).then_some(())).await;
    answers(&client, "0.").await;
    assert_eq!(client.unparsed_events(), 0);
}

#[tokio::test]
async fn services_live_as_long_as_the_connection_and_visits_have_keys() {
    let tor = Tor::start("CookieAuthentication 1");
    let (sender, mut events) = mpsc::channel(100);
    let client = control::spawn(tor.settings(), sender);
    until(&mut events, up).await;
    // Any clamped scalar with any prefix is an expanded key.
    let mut key = [0x5A; 64];
    key[0] &= 248;
    key[31] = key[31] & 63 | 64;
    let service = OnionService {
        key: Secret::new(key),
        port: 51_820,
        target: "127.0.0.1:1".parse().unwrap(),
        clients: vec![[9; 32], [7; 32]],
    };
    let address = client.add_onion(service.clone()).await.unwrap();
    assert_eq!(client.getinfo_text("onions/current").await.unwrap(), address);
    assert_eq!(client.getinfo_text("onions/detached").await.unwrap(), "");
    let again = client.add_onion(service.clone()).await.unwrap_err();
    assert!(matches!(again, RequestError::Refused { status: 550, .. }), "{again:?}");
    client.del_onion(&address).await.unwrap();
    assert_eq!(client.getinfo_text("onions/current").await.unwrap(), "");
    let gone = client.del_onion(&address).await.unwrap_err();
    assert!(matches!(gone, RequestError::Refused { status: 552, .. }), "{gone:?}");
    let everybody = OnionService { clients: vec![], ..service };
    assert_eq!(client.add_onion(everybody).await.unwrap(), address);

    for _ in 0..2 {
        client.onion_client_auth_add(ADDRESS, Secret::new([8; 32])).await.unwrap();
    }
    for _ in 0..2 {
        client.onion_client_auth_remove(ADDRESS).await.unwrap();
    }
    assert_eq!(client.socks_listeners().await.unwrap(), []);
    assert_eq!(client.unparsed_events(), 0);
}
