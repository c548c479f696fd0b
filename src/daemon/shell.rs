//! The loop: waits for what happens next, tells the engine, performs its actions.

mod mesh;
mod tor;

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::describe::{self, TorFacts};
use super::hooks::{Happening, Hooks};
use super::network;
use super::notify::Notify;
use super::peers::Peers;
use super::pending::Pending;
use super::report::Reporter;
use super::signer::Signer;
use super::wishes::Wishes;
use super::{api, clock, socket};
use crate::config::{Config, HookEvent};
use crate::control::event::ClientStatus;
use crate::control::{Client, Event, RequestError};
use crate::engine::{
    Action, ConsensusView, Engine, FetchId, Input, MeshReport, ReadError, Report, Upload,
    UploadError, UploadId,
};
use crate::hs::address;
use crate::ident::{HsId, RelayId};
use crate::status::Status;
use crate::transport;

/// The longest sleep. Tokio's timers stand still while the machine is suspended and the engine's
/// clock does not, so a wake after a suspend is at most this late.
const SLEEP_MAX: Duration = Duration::from_secs(5);

/// Something that a task has finished.
enum Done {
    Input(Input),
    Consensus(Result<ConsensusView, String>),
    /// The instance's descriptor, or why tor did not give it.
    Instance(Result<Bytes, RequestError>),
    /// Tor refused a fetch or an upload: no event will follow.
    FetchRefused(FetchId, String),
    UploadRefused(UploadId, UploadError),
    Bootstrap(ClientStatus),
    /// Tor's SOCKS port; `None`: it has none.
    Socks(Option<SocketAddr>),
    /// Tor was told about our onion services, all of it or not.
    OnionsTold(bool),
}

/// What a task has finished, and in which connection to tor it began.
type Answer = (u64, Option<Done>);

type Task = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Everything that the loop holds.
pub(super) struct Shell {
    config: Config,
    version: String,
    instance: HsId,
    engine: Engine,
    signer: Signer,
    control: Client,
    view: Option<ConsensusView>,
    /// Counts the connections to tor: an answer of an earlier one is worth nothing.
    connection: u64,
    pending: Pending,
    tor: TorFacts,
    reporter: Reporter,
    hooks: Hooks,
    tasks: JoinSet<Answer>,
    /// `None`: this node is alone.
    peers: Option<Peers>,
    peer_events: Option<mpsc::Receiver<transport::Event>>,
    /// The SOCKS port that tor has, if any; `None`: it has not said since it came up.
    socks: Option<Option<SocketAddr>>,
    wishes: Wishes,
    /// What the engine is told next.
    inputs: VecDeque<Input>,
    /// What the mesh reported in this turn.
    news: Vec<MeshReport>,
    /// We said goodbye, and everybody who is there knows.
    left: bool,
}

impl Shell {
    pub(super) fn new(
        config: Config,
        version: String,
        instance: HsId,
        engine: Engine,
        signer: Signer,
        control: Client,
        mesh: Option<(Peers, mpsc::Receiver<transport::Event>)>,
    ) -> Shell {
        let now = clock::now();
        let (peers, peer_events) = mesh.unzip();
        Shell {
            peers,
            peer_events,
            socks: None,
            wishes: Wishes::default(),
            inputs: VecDeque::new(),
            news: Vec::new(),
            left: false,
            reporter: Reporter::new(),
            hooks: Hooks::new(&config),
            tor: TorFacts::new(now.mono),
            pending: Pending::default(),
            view: None,
            connection: 0,
            tasks: JoinSet::new(),
            config,
            version,
            instance,
            engine,
            signer,
            control,
        }
    }

    /// Goes round until a signal ends it.
    pub(super) async fn run(
        mut self,
        mut events: mpsc::Receiver<Event>,
        mut commands: socket::Commands,
    ) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut notify = Notify::ready();
        tracing::info!(
            event = "started",
            "Node {} {} started: {} services, {} plain backends",
            self.config.node.name,
            self.version,
            self.config.services.len(),
            self.config.backends.len()
        );
        loop {
            let sleep = self.until_deadline();
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.on_event(event),
                    None => anyhow::bail!("the control port's client has ended"),
                },
                Some(done) = self.tasks.join_next() => self.on_done(done?),
                () = tokio::time::sleep(sleep) => self.tell(Input::Woken),
                Some(event) = mesh::next(&mut self.peer_events) => self.on_peer(event),
                Some(command) = commands.recv() => self.on_command(command),
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => tracing::warn!(
                    event = "reload_unsupported",
                    "SIGHUP: a changed configuration needs a restart; nothing was changed"
                ),
            }
            self.news.clear();
            self.tell_tor_of_peers();
            notify.turn(clock::now().mono, || describe::line(&self.snapshot()));
            if self.left {
                break;
            }
        }
        notify.stopping();
        drop(self.wishes);
        tracing::info!(event = "stopping", "Stopping; what the HSDirs hold stays valid for hours");
        if let Err(error) = std::fs::remove_file(&self.config.control.socket) {
            tracing::debug!(event = "socket", "cannot remove the local socket: {error}");
        }
        commands.end().await;
        Ok(())
    }

    fn until_deadline(&self) -> Duration {
        let now = clock::now().mono;
        self.engine.next_deadline().map_or(SLEEP_MAX, |(at, _)| (at - now).min(SLEEP_MAX))
    }

    fn tell(&mut self, input: Input) {
        self.inputs.push_back(input);
        while let Some(input) = self.inputs.pop_front() {
            self.engine.handle(input, clock::now());
            while let Some(action) = self.engine.poll_action() {
                let answer = self.perform(action);
                self.inputs.extend(answer);
            }
        }
    }

    /// Some actions are answered at once.
    fn perform(&mut self, action: Action) -> Option<Input> {
        match action {
            Action::ReadConsensus => {
                let read = network::read(self.control.clone(), self.addresses());
                self.spawn(async move { Some(Done::Consensus(read.await)) });
            }
            Action::ReadInstance => {
                let key = format!("hs/service/desc/id/{}", address::bare(&self.instance));
                self.ask(
                    |control| async move { Some(Done::Instance(control.getinfo(&key).await)) },
                );
            }
            Action::ReadIntroCircuits => self.read_circuits(),
            Action::Fetch { id, address, from } => self.fetch(id, address, from),
            Action::Upload(upload) => self.upload(&upload),
            Action::Report(report) => {
                if let Some(happening) = Happening::of(&report) {
                    self.hooks.call(&happening);
                }
                self.reporter.say(&report, &mut self.signer, &self.engine, clock::now());
                if let Report::Mesh(report) = report {
                    self.on_mesh_report(report);
                }
            }
            Action::Reply(id, result) => self.left |= self.wishes.answer(id, result),
            other => return self.peers.as_mut()?.perform(other, &self.signer),
        }
        None
    }

    fn addresses(&self) -> Vec<HsId> {
        let services = self.config.services.iter().map(|service| service.onion);
        let backends = self.config.backends.iter().map(|backend| backend.onion);
        services.chain(backends).chain([self.instance]).collect()
    }

    fn spawn(&mut self, task: impl Future<Output = Option<Done>> + Send + 'static) {
        let connection = self.connection;
        let task: Task = Box::pin(async move { (connection, task.await) });
        self.tasks.spawn(task);
    }

    fn ask<F>(&mut self, request: impl FnOnce(Client) -> F)
    where
        F: Future<Output = Option<Done>> + Send + 'static,
    {
        let task = request(self.control.clone());
        self.spawn(task);
    }

    fn read_circuits(&mut self) {
        let own = address::bare(&self.instance);
        self.ask(|control| async move {
            let read = match control.circuits().await {
                Ok((circuits, _)) => {
                    let own = circuits.iter().filter(|c| c.address.as_deref() == Some(&own));
                    Ok(own.filter_map(|circuit| circuit.established_intro()).collect())
                }
                Err(error) => Err(error.to_string()),
            };
            Some(Done::Input(Input::IntroCircuitsRead(read)))
        });
    }

    fn fetch(&mut self, id: FetchId, of: HsId, from: RelayId) {
        self.pending.fetch(of, from, id);
        self.ask(|control| async move {
            let error = control.hsfetch(&address::bare(&of), from).await.err()?;
            Some(Done::FetchRefused(id, error.to_string()))
        });
    }

    fn upload(&mut self, upload: &Upload) {
        let (id, service, to) = (upload.id, upload.service, upload.to);
        let document = match self.signer.document(upload) {
            Ok(document) => document,
            Err(why) => {
                let refused = Done::UploadRefused(id, UploadError::Unusable(why));
                return self.spawn(async move { Some(refused) });
            }
        };
        self.pending.upload(service, to, id);
        self.ask(|control| async move {
            let error = control.hspost(&address::bare(&service), to, document).await.err()?;
            let error = match error {
                RequestError::Refused { status: 552, .. } => UploadError::UnknownHsDir,
                RequestError::Refused { .. } | RequestError::Argument(_) => {
                    UploadError::Unusable(error.to_string())
                }
                RequestError::Lost { .. } => UploadError::Unanswered,
                other => UploadError::Failed(other.to_string()),
            };
            Some(Done::UploadRefused(id, error))
        });
    }

    fn on_done(&mut self, (connection, done): Answer) {
        match done {
            None => {}
            Some(_) if connection != self.connection => {}
            Some(Done::Input(input)) => self.tell(input),
            Some(Done::Consensus(Ok(view))) => {
                self.tor.consensus_read(None);
                self.view = Some(view.clone());
                self.tell(Input::ConsensusRead(Ok(Box::new(view))));
            }
            Some(Done::Consensus(Err(why))) => {
                self.tor.consensus_read(Some(&why));
                self.tell(Input::ConsensusRead(Err(why)));
            }
            Some(Done::Instance(answer)) => {
                let read = self.read_instance(answer);
                self.tell(Input::InstanceRead(read));
            }
            Some(Done::FetchRefused(id, why)) => {
                self.pending.drop_fetch(id);
                self.tell(Input::FetchFinished(id, Err(ReadError::Failed(why))));
            }
            Some(Done::UploadRefused(id, error)) => {
                self.pending.drop_upload(id);
                self.tell(Input::UploadFinished(id, Err(error)));
            }
            Some(Done::Bootstrap(status)) => self.tor.status(&status),
            Some(Done::Socks(port)) => self.on_socks(port),
            Some(Done::OnionsTold(all)) => self.on_onions_told(all),
        }
    }

    fn on_event(&mut self, event: Event) {
        let now = clock::now().mono;
        match event {
            Event::Up { version } => {
                self.reporter.tor_up(&version, self.tor.down_for(now));
                self.hooks.call(&Happening::new(HookEvent::TorUp, format!("tor {version} is up")));
                self.tor.up(version, now);
                self.connection += 1;
                self.ask(|control| async move {
                    let phase = control.getinfo_text("status/bootstrap-phase").await.ok()?;
                    Some(Done::Bootstrap(ClientStatus::parse_bootstrap_phase(&phase)?))
                });
                self.tell(Input::TorConnected);
                self.find_socks();
            }
            Event::Down { error, retry_in } => {
                if self.tor.down(&error, now) {
                    self.hooks.call(&Happening::new(HookEvent::TorDown, error.clone()));
                    let longest = self.config.tor.reconnect_max;
                    self.reporter.tor_down(&error, self.tor.was_up(), longest);
                } else {
                    tracing::debug!(event = "tor_retry", "{error}; next try in {retry_in:?}");
                }
                self.connection += 1;
                self.pending.clear();
                self.tell(Input::TorLost);
                self.on_tor_lost();
            }
            Event::HsDesc(event) => self.on_hs_desc(&event),
            Event::HsDescContent(content) => self.on_content(&content),
            Event::Circuit(circuit) => {
                let own = circuit.address.as_deref() == Some(&*address::bare(&self.instance));
                if own && circuit.purpose.as_deref() == Some("HS_SERVICE_INTRO") {
                    self.tell(Input::InstanceTouched);
                }
            }
            Event::Status(status) => {
                self.tor.status(&status);
                let news = [ClientStatus::ConsensusArrived, ClientStatus::EnoughDirInfo];
                if news.contains(&status) {
                    self.tell(Input::ConsensusArrived);
                }
            }
            Event::Signal(name) if name == "RELOAD" => {
                self.tell(Input::InstanceTouched);
                self.find_socks();
            }
            Event::Signal(_) | Event::NetworkLiveness { .. } => {}
            Event::Unparsed { line } => {
                let keyword = line.split(' ').next().unwrap_or_default();
                tracing::debug!(event = "event_unparsed", keyword, "An event was not understood");
            }
        }
    }

    fn snapshot(&self) -> crate::engine::Snapshot {
        self.engine.snapshot(clock::now())
    }

    fn on_command(&mut self, command: socket::Command) {
        match command.request {
            api::Request::Status {} => command.answer(&self.status()),
            _ => self.on_wish(command),
        }
    }

    fn status(&mut self) -> Status {
        let node = describe::Node {
            config: &self.config,
            version: &self.version,
            tor: &self.tor,
            clashes: self.reporter.clashes(clock::now().mono),
        };
        describe::status(&node, &self.snapshot(), &mut self.signer, clock::now())
    }
}
