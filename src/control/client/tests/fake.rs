//! A tor that says what the test tells it to.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::control::client::{Client, Settings, spawn_with};
use crate::control::endpoint::{Dial, Endpoint, Stream};
use crate::control::event::Event;

/// Longer than every time-out and pause of the client together.
const PATIENCE: Duration = Duration::from_secs(600);

/// What `PROTOCOLINFO` and `AUTHENTICATE` need to hear.
const INTRODUCTION: &str =
    "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n";

/// Connects to the next stream that the test has put there; refused when there is none.
pub(super) struct Doors(mpsc::UnboundedReceiver<DuplexStream>);

impl Dial for Doors {
    async fn dial(&mut self, endpoint: &Endpoint) -> io::Result<Box<dyn Stream>> {
        match self.0.try_recv() {
            Ok(stream) if endpoint.to_string() != absent().to_string() => Ok(Box::new(stream)),
            _ => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }
}

/// An endpoint where nobody ever is.
pub(super) fn absent() -> Endpoint {
    Endpoint::Unix("/absent".into())
}

pub(super) fn settings() -> Settings {
    Settings::new(vec![Endpoint::Unix("/fake".into())])
}

/// A client with the places where its tor can appear.
pub(super) struct Stage {
    pub(super) client: Client,
    pub(super) events: mpsc::Receiver<Event>,
    doors: mpsc::UnboundedSender<DuplexStream>,
}

impl Stage {
    pub(super) fn new(settings: Settings, events_max: usize) -> Stage {
        let (doors, behind) = mpsc::unbounded_channel();
        let (sender, events) = mpsc::channel(events_max);
        let client = spawn_with(Doors(behind), settings, sender);
        Stage { client, events, doors }
    }

    /// A client whose tor has let it in.
    pub(super) async fn up() -> (Stage, Tor) {
        let mut stage = Stage::new(settings(), 100);
        let tor = stage.tor_appears().await;
        (stage, tor)
    }

    /// Lets a tor listen, without a word from it.
    pub(super) fn listen(&self) -> Tor {
        let (ours, theirs) = duplex(4096);
        self.doors.send(ours).expect("the client is there");
        Tor(BufReader::new(theirs))
    }

    /// Lets a tor listen and greet; takes the events up to `Up`.
    pub(super) async fn tor_appears(&mut self) -> Tor {
        let mut tor = self.listen();
        tor.greet().await;
        loop {
            match self.event().await {
                Event::Up { version } => {
                    assert_eq!(version, "0.4.9.11");
                    return tor;
                }
                Event::Down { .. } => {}
                other => panic!("{other:?} while there is no connection"),
            }
        }
    }

    pub(super) async fn event(&mut self) -> Event {
        let event = timeout(PATIENCE, self.events.recv()).await;
        event.expect("an event must come").expect("the client's task must live")
    }

    /// The text of the next event, which must be `Down`.
    pub(super) async fn down(&mut self) -> String {
        match self.event().await {
            Event::Down { error, .. } => error,
            other => panic!("{other:?} instead of Down"),
        }
    }
}

/// The tor's end of one connection.
pub(super) struct Tor(BufReader<DuplexStream>);

impl Tor {
    pub(super) async fn greet(&mut self) {
        self.expect("PROTOCOLINFO 1").await;
        self.say(INTRODUCTION).await;
        self.expect("AUTHENTICATE").await;
        self.say("250 OK\r\n").await;
        let subscription = self.hear().await;
        assert!(subscription.starts_with("SETEVENTS HS_DESC HS_DESC_CONTENT CIRC"));
        self.say("250 OK\r\n").await;
    }

    /// The next line, empty when the client has closed.
    pub(super) async fn hear(&mut self) -> String {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.0.read_line(&mut line)).await;
        read.expect("the client must say something").expect("the stream holds");
        line.trim_end().to_owned()
    }

    pub(super) async fn expect(&mut self, line: &str) {
        assert_eq!(self.hear().await, line);
    }

    pub(super) async fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).await.expect("the client reads");
    }

    /// Says something, as far as the client still wants to hear it.
    pub(super) async fn rant(&mut self, text: &str) {
        let _ = self.0.get_mut().write_all(text.as_bytes()).await;
    }

    /// Waits until the client has closed.
    pub(super) async fn until_left(mut self) {
        let mut rest = Vec::new();
        let read = timeout(PATIENCE, self.0.read_to_end(&mut rest)).await;
        read.expect("the client must close").expect("the stream holds");
    }
}
