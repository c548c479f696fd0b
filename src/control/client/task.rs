//! The task: keeps a session, hands requests to it and events from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, OwnedPermit};
use tokio::time::{Instant, sleep, sleep_until};

use super::session::{Heard, Session, SessionError};
use super::{Request, RequestError, Settings};
use crate::control::codec::{Frame, Message};
use crate::control::command::Command;
use crate::control::endpoint::Dial;
use crate::control::event::Event;
use crate::control::words;
use crate::time::Backoff;

/// All that the task owns beside the session.
pub(super) struct Task<D> {
    dial: D,
    settings: Settings,
    inbox: mpsc::Receiver<Request>,
    events: mpsc::Sender<Event>,
    unparsed: Arc<AtomicU64>,
    backoff: Backoff,
}

/// Nobody is left to work for.
struct Abandoned;

/// How a session ended.
enum End {
    Lost(SessionError),
    Abandoned,
}

/// The command in work.
struct Pending {
    command: Command,
    /// Absent for our own sign of life.
    answer: Option<tokio::sync::oneshot::Sender<Result<Message, RequestError>>>,
    deadline: Instant,
}

impl<D: Dial> Task<D> {
    pub(super) fn new(
        dial: D,
        settings: Settings,
        inbox: mpsc::Receiver<Request>,
        events: mpsc::Sender<Event>,
        unparsed: Arc<AtomicU64>,
    ) -> Task<D> {
        let backoff = Backoff::new(settings.reconnect_min, settings.reconnect_max);
        Task { dial, settings, inbox, events, unparsed, backoff }
    }

    pub(super) async fn run(mut self) {
        while let Ok(()) = self.connect_and_serve().await {}
    }

    /// One attempt with all that follows, up to the pause before the next one.
    async fn connect_and_serve(&mut self) -> Result<(), Abandoned> {
        let reason = "connecting";
        let room = self.room(reason).await?;
        let open = Session::open(&mut self.dial, &self.settings);
        let error = match while_down(&mut self.inbox, reason, open).await? {
            Ok(mut session) => {
                room.send(Event::Up { version: std::mem::take(&mut session.version) });
                let since = Instant::now();
                let error = match self.serve(session).await {
                    End::Lost(error) => error,
                    End::Abandoned => return Err(Abandoned),
                };
                self.backoff.stood(since.elapsed());
                let room = self.room(&error.to_string()).await?;
                return self.pause(error, room).await;
            }
            Err(error) => error,
        };
        self.pause(error, room).await
    }

    /// Reports the failure and waits; requests fail meanwhile.
    async fn pause(
        &mut self,
        error: SessionError,
        room: OwnedPermit<Event>,
    ) -> Result<(), Abandoned> {
        let retry_in = self.backoff.pause(rand::random_range(0.0..=1.0));
        let error = error.to_string();
        room.send(Event::Down { error: error.clone(), retry_in });
        while_down(&mut self.inbox, &error, sleep(retry_in)).await
    }

    /// Waits for room for one more event; requests fail meanwhile.
    async fn room(&mut self, reason: &str) -> Result<OwnedPermit<Event>, Abandoned> {
        let room = self.events.clone().reserve_owned();
        while_down(&mut self.inbox, reason, room).await?.map_err(|_| Abandoned)
    }

    /// Works with one connection until it breaks; whoever waits for an answer then is told.
    async fn serve(&mut self, mut session: Session) -> End {
        let mut pending = None;
        let end = self.exchange(&mut session, &mut pending).await;
        if let (End::Lost(error), Some(pending)) = (&end, pending) {
            pending.fail(&error.to_string());
        }
        end
    }

    async fn exchange(&mut self, session: &mut Session, pending: &mut Option<Pending>) -> End {
        for event in std::mem::take(&mut session.early) {
            if let Err(end) = self.report(event) {
                return end;
            }
        }
        let mut idle_until = Instant::now() + self.settings.keep_alive;
        loop {
            let wake = pending.as_ref().map_or(idle_until, |pending| pending.deadline);
            let step = tokio::select! {
                heard = session.hear() => match heard {
                    Ok(Heard::Written) => Ok(()),
                    Ok(Heard::Frame(Frame::Event(event))) => self.report(event),
                    Ok(Heard::Frame(Frame::Reply(reply))) => {
                        idle_until = Instant::now() + self.settings.keep_alive;
                        settle(pending, reply)
                    }
                    Err(error) => Err(End::Lost(error)),
                },
                request = self.inbox.recv(), if pending.is_none() => match request {
                    Some(request) => self.start(session, pending, request),
                    None => Err(End::Abandoned),
                },
                () = self.events.closed() => Err(End::Abandoned),
                () = sleep_until(wake) => self.woken(session, pending),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    fn start(
        &self,
        session: &mut Session,
        pending: &mut Option<Pending>,
        request: Request,
    ) -> Result<(), End> {
        let Request { command, answer } = request;
        if answer.is_closed() {
            return Ok(());
        }
        session.write(&command).map_err(End::Lost)?;
        *pending = Some(self.pending(command, Some(answer)));
        Ok(())
    }

    /// The time for an answer is over, or nothing was asked for long.
    fn woken(&self, session: &mut Session, pending: &mut Option<Pending>) -> Result<(), End> {
        if let Some(stalled) = pending {
            let (command, seconds) =
                (stalled.command.keyword(), self.settings.request_timeout.as_secs());
            return Err(End::Lost(SessionError::Stalled { command, seconds }));
        }
        let command = Command::GetInfo("version".to_owned());
        session.write(&command).map_err(End::Lost)?;
        *pending = Some(self.pending(command, None));
        Ok(())
    }

    fn pending(
        &self,
        command: Command,
        answer: Option<tokio::sync::oneshot::Sender<Result<Message, RequestError>>>,
    ) -> Pending {
        Pending { command, answer, deadline: Instant::now() + self.settings.request_timeout }
    }

    fn report(&self, message: Message) -> Result<(), End> {
        let event = Event::parse(message);
        if let Event::Unparsed { .. } = event {
            self.unparsed.fetch_add(1, Ordering::Relaxed);
        }
        self.events.try_send(event).map_err(|error| match error {
            TrySendError::Full(_) => End::Lost(SessionError::Overflow),
            TrySendError::Closed(_) => End::Abandoned,
        })
    }
}

impl Pending {
    fn fail(self, reason: &str) {
        let command = self.command.keyword();
        if let Some(answer) = self.answer {
            let _ = answer.send(Err(RequestError::Lost { command, reason: reason.to_owned() }));
        }
    }
}

/// Gives a reply to whoever waits for it; one that cannot belong to the command means that we and
/// tor have lost step.
fn settle(pending: &mut Option<Pending>, reply: Message) -> Result<(), End> {
    let text = reply.lines.first().map_or("", |line| line.text.as_str());
    let excerpt = || words::excerpt(text, 80);
    let Some(asked) = pending.take() else {
        return Err(End::Lost(SessionError::Unasked { status: reply.status, text: excerpt() }));
    };
    let command = asked.command.keyword();
    let answer = match (reply.status / 100, &asked.command) {
        (2, Command::GetInfo(key)) if !is_value_of(text, key) => {
            let error = SessionError::Mismatched { command, text: excerpt() };
            *pending = Some(asked);
            return Err(End::Lost(error));
        }
        (2, _) => Ok(reply),
        _ => {
            let (status, text) = (reply.status, excerpt());
            Err(RequestError::Refused { command, status, text })
        }
    };
    if let Some(waiting) = asked.answer {
        let _ = waiting.send(answer);
    }
    Ok(())
}

fn is_value_of(text: &str, key: &str) -> bool {
    text.strip_prefix(key).is_some_and(|rest| rest.starts_with('='))
}

/// Does `work` while every request fails at once.
async fn while_down<T>(
    inbox: &mut mpsc::Receiver<Request>,
    reason: &str,
    work: impl Future<Output = T>,
) -> Result<T, Abandoned> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Ok(done),
            request = inbox.recv() => match request {
                Some(request) => {
                    let error = RequestError::Down { reason: reason.to_owned() };
                    let _ = request.answer.send(Err(error));
                }
                None => return Err(Abandoned),
            },
        }
    }
}
