//! One client: reads its request, hands it to the loop, writes the answer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader,
};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::{Client, Listener};
use crate::daemon::api::{REQUEST_MAX_BYTES, Refused, Request};

/// How long a client may take to ask.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a client may take to read the answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the loop may take to answer: saying goodbye waits for a descriptor.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);

/// How long the process waits, when it ends, for its last answers to be written.
const FINISH_TIMEOUT: Duration = Duration::from_secs(1);

/// Requests that wait for the loop. It answers them at its next turn.
const WAITING_MAX: usize = 32;

/// Requests other than for the status that are under way at once: those may take long, and must
/// not keep anybody from asking for the status.
const SLOW_MAX: usize = 8;

/// A client's request, and the way back.
#[derive(Debug)]
pub(in crate::daemon) struct Command {
    pub(in crate::daemon) request: Request,
    answer: oneshot::Sender<Vec<u8>>,
}

impl Command {
    /// Answers. A client that left meanwhile is no failure.
    pub(in crate::daemon) fn answer(self, document: &impl Serialize) {
        let document = serde_json::to_vec(document).unwrap_or_else(|error| {
            tracing::error!(event = "answer_failed", "no answer for a command: {error}");
            refused("failed", &format!("the answer has no form in JSON: {error}"))
        });
        let _ = self.answer.send(document);
    }
}

/// What clients ask for, one after the other.
#[derive(Debug)]
pub(in crate::daemon) struct Clients {
    commands: mpsc::Receiver<Command>,
    serving: JoinHandle<()>,
}

impl Clients {
    /// The next command. Cancel-safe.
    pub(in crate::daemon) async fn recv(&mut self) -> Option<Command> {
        self.commands.recv().await
    }

    /// Takes no more clients in, and waits until those that are there have their answers; whoever
    /// still waits for one hears that the node stops.
    pub(in crate::daemon) async fn finish(self) {
        drop(self.commands);
        if timeout(FINISH_TIMEOUT, self.serving).await.is_err() {
            tracing::debug!(event = "client_left", "a client did not read before the end");
        }
    }
}

/// Takes clients in until what this gives is dropped.
pub(in crate::daemon) fn spawn(mut listener: Listener) -> Clients {
    let (sender, commands) = mpsc::channel(WAITING_MAX);
    let slow = Arc::new(Semaphore::new(SLOW_MAX));
    let serving = tokio::spawn(async move {
        let mut clients = JoinSet::new();
        loop {
            tokio::select! {
                client = listener.accept() => {
                    clients.spawn(serve(client, sender.clone(), Arc::clone(&slow)));
                }
                Some(_) = clients.join_next() => {}
                () = sender.closed() => break,
            }
        }
        while clients.join_next().await.is_some() {}
    });
    Clients { commands, serving }
}

async fn serve(mut client: Client, commands: mpsc::Sender<Command>, slow: Arc<Semaphore>) {
    let (reader, mut writer) = client.stream.split();
    let answer = match timeout(READ_TIMEOUT, read_line(reader)).await {
        Err(_) => refused("timeout", "no request came within 5 s: one line of JSON is expected"),
        Ok(Ok(None)) => return,
        Ok(Ok(Some(line))) if line.len() > REQUEST_MAX_BYTES => {
            refused("too_long", &format!("a request has at most {REQUEST_MAX_BYTES} bytes"))
        }
        Ok(Ok(Some(line))) => match Request::parse(&line) {
            Ok(request) => ask(request, &commands, &slow).await,
            Err(error) => document(&error),
        },
        Ok(Err(error)) => {
            tracing::debug!(event = "client_left", "a client left: {error}");
            return;
        }
    };
    let write = async {
        writer.write_all(&answer).await?;
        writer.shutdown().await
    };
    match timeout(WRITE_TIMEOUT, write).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(event = "client_left", "a client left: {error}"),
        Err(_) => tracing::debug!(event = "client_left", "a client did not read"),
    }
}

/// One line without its newline; one byte more than allowed when it is longer. `None`: the client
/// left without a word.
async fn read_line(reader: impl AsyncRead + Unpin) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let limit = REQUEST_MAX_BYTES as u64 + 1;
    BufReader::new(reader.take(limit)).read_until(b'\n', &mut line).await?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.is_empty() {
        return Ok(None);
    }
    Ok(Some(line))
}

async fn ask(request: Request, commands: &mpsc::Sender<Command>, slow: &Semaphore) -> Vec<u8> {
    let _place = match (&request, slow.try_acquire()) {
        (Request::Status {}, _) => None,
        (_, Ok(place)) => Some(place),
        (_, Err(_)) => {
            return refused("busy", "too many commands are under way; try again in a minute");
        }
    };
    let (answer, answered) = oneshot::channel();
    let stopping = || refused("stopping", "the node is stopping");
    if commands.send(Command { request, answer }).await.is_err() {
        return stopping();
    }
    match timeout(ANSWER_TIMEOUT, answered).await {
        Ok(answer) => answer.unwrap_or_else(|_| stopping()),
        Err(_) => refused("timeout", "not done within 5 min; see rustbalance status"),
    }
}

fn refused(error: &str, message: &str) -> Vec<u8> {
    document(&Refused::new(error, message))
}

fn document(refused: &Refused) -> Vec<u8> {
    serde_json::to_vec(refused).expect("texts have a form in JSON")
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;

    use super::super::listen;
    use super::*;
    use crate::daemon::api::Done;

    struct Fixture {
        dir: tempfile::TempDir,
        commands: Clients,
    }

    fn fixture() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let commands = spawn(listen(&dir.path().join("socket")).unwrap());
        Fixture { dir, commands }
    }

    impl Fixture {
        async fn connected(&self) -> UnixStream {
            UnixStream::connect(self.dir.path().join("socket")).await.unwrap()
        }

        async fn asking(&self, line: &[u8]) -> UnixStream {
            let mut stream = self.connected().await;
            stream.write_all(line).await.unwrap();
            stream
        }
    }

    async fn answer_on(mut stream: UnixStream) -> String {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_request_reaches_the_loop_and_its_answer_the_client() {
        let mut fixture = fixture();
        let stream = fixture.asking(b"{\"request\":\"leave\"}\n").await;
        let command = fixture.commands.recv().await.unwrap();
        assert_eq!(command.request, Request::Leave {});
        command.answer(&Done::new());
        assert_eq!(answer_on(stream).await, "{\"done\":true}");
    }

    /// What was written to it already.
    fn written(stream: UnixStream) -> String {
        use std::io::Read as _;
        let mut stream = stream.into_std().unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    #[tokio::test]
    async fn the_last_answer_is_written_before_the_end_and_others_hear_of_it() {
        let mut fixture = fixture();
        let answered = fixture.asking(b"{\"request\":\"leave\"}\n").await;
        fixture.commands.recv().await.unwrap().answer(&Done::new());
        let waiting = fixture.asking(b"{\"request\":\"tokens\"}\n").await;
        let command = fixture.commands.recv().await.unwrap();
        assert_eq!(command.request, Request::Tokens {});
        drop(command);
        fixture.commands.finish().await;
        // Nothing of the runtime goes on while these block.
        assert_eq!(written(answered), "{\"done\":true}");
        assert!(written(waiting).contains("stopping"));
    }

    #[tokio::test]
    async fn what_is_no_request_is_refused_with_a_reason() {
        let fixture = fixture();
        let nonsense = fixture.asking(b"GET / HTTP/1.1\n").await;
        assert!(answer_on(nonsense).await.starts_with("{\"error\":\"bad_request\""));
        let endless = fixture.asking(&[b'x'; REQUEST_MAX_BYTES + 1]).await;
        assert!(answer_on(endless).await.starts_with("{\"error\":\"too_long\""));
        let mut fits = br#"{"request":"status"}"#.to_vec();
        fits.resize(REQUEST_MAX_BYTES - 1, b' ');
        fits.push(b'\n');
        let mut fixture = fixture;
        let _stream = fixture.asking(&fits).await;
        assert_eq!(fixture.commands.recv().await.unwrap().request, Request::Status {});
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_nothing_is_told_so_in_time() {
        let fixture = fixture();
        let silent = fixture.connected().await;
        assert!(answer_on(silent).await.starts_with("{\"error\":\"timeout\""));
    }

    #[tokio::test]
    async fn the_status_is_answered_while_commands_hang() {
        let mut fixture = fixture();
        let (mut streams, mut hanging) = (Vec::new(), Vec::new());
        for _ in 0..SLOW_MAX {
            streams.push(fixture.asking(b"{\"request\":\"leave\"}\n").await);
            hanging.push(fixture.commands.recv().await.unwrap());
        }
        let one_more = fixture.asking(b"{\"request\":\"tokens\"}\n").await;
        assert!(answer_on(one_more).await.starts_with("{\"error\":\"busy\""));
        let status = fixture.asking(b"{\"request\":\"status\"}\n").await;
        fixture.commands.recv().await.unwrap().answer(&"well");
        assert_eq!(answer_on(status).await, "\"well\"");
        hanging.pop().unwrap().answer(&Done::new());
        assert_eq!(answer_on(streams.pop().unwrap()).await, "{\"done\":true}");
    }

    #[tokio::test]
    async fn a_command_that_the_loop_drops_is_told_that_the_node_stops() {
        let mut fixture = fixture();
        let stream = fixture.asking(b"{\"request\":\"leave\"}\n").await;
        drop(fixture.commands.recv().await.unwrap());
        assert!(answer_on(stream).await.starts_with("{\"error\":\"stopping\""));
    }
}
