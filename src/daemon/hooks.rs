//! Running the operator's commands when something happens.
//!
//! The loop hands over what happened and goes on; a task of its own runs the commands, a few at a
//! time. What cannot wait in line is dropped and counted: a hook is a message, not a guarantee.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};

mod event;
mod run;

pub(super) use event::Happening;

use crate::config::{Config, Hook};

/// Commands that run at once.
const RUNNING_MAX: usize = 4;

/// Commands that wait until another has ended.
const WAITING_MAX: usize = 64;

/// The hooks, and the way to the task that runs them.
#[derive(Debug)]
pub(super) struct Hooks {
    hooks: Vec<Hook>,
    cluster: Option<String>,
    node: String,
    line: mpsc::Sender<Call>,
    dropped: u64,
}

/// One command and what it is told.
#[derive(Debug)]
struct Call {
    command: Vec<String>,
    event: &'static str,
    environment: Vec<(&'static str, String)>,
    /// JSON, for its standard input.
    input: Vec<u8>,
}

impl Hooks {
    /// Starts the task that runs the commands; it ends with this value.
    pub(super) fn new(config: &Config) -> Hooks {
        let (line, calls) = mpsc::channel(WAITING_MAX);
        if !config.hooks.hooks.is_empty() {
            tokio::spawn(work(calls, config.hooks.timeout));
        }
        Hooks {
            hooks: config.hooks.hooks.clone(),
            cluster: config.cluster.as_ref().map(|cluster| cluster.name.to_string()),
            node: config.node.name.to_string(),
            line,
            dropped: 0,
        }
    }

    /// Something happened: the commands that are meant for it get in line. Never waits.
    pub(super) fn call(&mut self, happening: &Happening) {
        let Happening { event, .. } = happening;
        for hook in self.hooks.iter().filter(|hook| hook.on.contains(event)) {
            let call = Call {
                command: hook.command.clone(),
                event: event.name(),
                environment: happening.environment(self.cluster.as_deref(), &self.node),
                input: happening.input(self.cluster.as_deref(), &self.node),
            };
            if self.line.try_send(call).is_ok() {
                continue;
            }
            self.dropped += 1;
            // A storm of events must not become a storm of lines.
            if self.dropped.is_power_of_two() {
                tracing::warn!(
                    event = "hook_dropped",
                    "Hook {} on {} was not run: {WAITING_MAX} commands wait already ({} dropped)",
                    hook.command.first().map_or("?", String::as_str),
                    event.name(),
                    self.dropped
                );
            }
        }
    }
}

async fn work(mut calls: mpsc::Receiver<Call>, timeout: Duration) {
    let places = Arc::new(Semaphore::new(RUNNING_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            unreachable!("nobody closes the semaphore");
        };
        let Some(call) = calls.recv().await else { return };
        tokio::spawn(async move {
            let _place = place;
            let command = call.command.first().map_or("?", String::as_str);
            match run::run(&call, timeout).await {
                Ok(took) => tracing::info!(
                    event = "hook_done",
                    "Hook {command} on {} done in {:.1}s",
                    call.event,
                    took.as_secs_f64()
                ),
                Err(error) => {
                    tracing::warn!(
                        event = "hook_failed",
                        "Hook {command} on {}: {error}",
                        call.event
                    );
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HookEvent;

    fn config(hooks: &str) -> Config {
        let text = format!(
            "[node]\nname = \"node-a\"\n[cluster]\nname = \"newsroom\"\nkey = \"{}=\"\n{hooks}",
            "A".repeat(43)
        );
        Config::parse(&text, std::path::Path::new("c")).unwrap().config
    }

    fn hook(on: &str, script: &str) -> String {
        format!("[[hook]]\non = [{on:?}]\ncommand = [\"/bin/sh\", \"-c\", {script:?}]\n")
    }

    fn fifo() -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo").display().to_string();
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        (dir, path)
    }

    /// What is written into the pipe until its last writer is gone.
    async fn all_of(path: String) -> String {
        tokio::task::spawn_blocking(move || std::fs::read_to_string(path).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn a_command_is_told_what_happened_and_nothing_of_our_environment_but_path() {
        let (_dir, path) = fifo();
        let script = format!("(env; cat) > {path}");
        let mut hooks = Hooks::new(&config(&hook("peer_dead", &script)));
        let peer = "node-c".parse().unwrap();
        hooks.call(&Happening::new(HookEvent::PeerDead, "it is dead").about(&peer));
        let told = all_of(path).await;
        let (environment, input) = told.split_at(told.find('{').unwrap());
        let mut names: Vec<&str> =
            environment.lines().filter_map(|line| line.split_once('=')).map(|(n, _)| n).collect();
        // A shell adds these itself.
        names.retain(|name| !["PWD", "SHLVL", "_", "OLDPWD"].contains(name));
        names.sort_unstable();
        let wanted = ["PATH", "RB_CLUSTER", "RB_EVENT", "RB_NODE", "RB_PEER", "RB_SEVERITY"];
        assert_eq!(names, wanted);
        assert!(environment.contains("RB_EVENT=peer_dead\n"), "{environment}");
        let input: serde_json::Value = serde_json::from_str(input).unwrap();
        assert_eq!(input["peer"], "node-c");
        assert_eq!(input["cluster"], "newsroom");
        assert_eq!(input["message"], "it is dead");
        assert_eq!(input["severity"], "warn");
    }

    #[tokio::test]
    async fn a_hook_for_something_else_is_not_run() {
        let mut hooks = Hooks::new(&config(&hook("tor_up", "true")));
        let free = hooks.line.capacity();
        hooks.call(&Happening::new(HookEvent::TorDown, "x"));
        assert_eq!(hooks.line.capacity(), free);
        hooks.call(&Happening::new(HookEvent::TorUp, "x"));
        assert_eq!(hooks.line.capacity(), free - 1);
    }

    #[tokio::test]
    async fn what_finds_no_place_in_line_is_dropped_and_the_loop_goes_on() {
        let mut hooks = Hooks::new(&config(&hook("*", "true")));
        for _ in 0..WAITING_MAX + 10 {
            hooks.call(&Happening::new(HookEvent::TorUp, "x"));
        }
        assert_eq!(hooks.dropped, 10);
    }

    #[tokio::test]
    async fn only_so_many_commands_run_at_once() {
        let (_dir, path) = fifo();
        let mut hooks = Hooks::new(&config(&hook("*", &format!("read x < {path}"))));
        for _ in 0..RUNNING_MAX + 1 {
            hooks.call(&Happening::new(HookEvent::TorUp, "x"));
        }
        while hooks.line.capacity() < WAITING_MAX - 1 {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(hooks.line.capacity(), WAITING_MAX - 1, "one waits until another has ended");
        let writes = "a\n".repeat(64);
        tokio::task::spawn_blocking(move || std::fs::write(path, writes)).await.unwrap().unwrap();
        while hooks.line.capacity() < WAITING_MAX {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_command_that_takes_too_long_is_killed_with_its_children() {
        let (_dir, path) = fifo();
        let script = format!("sleep 1000 > {path} & sleep 1000");
        let text = format!("[hooks]\ntimeout = 1\n{}", hook("*", &script));
        let mut hooks = Hooks::new(&config(&text));
        hooks.call(&Happening::new(HookEvent::TorUp, "x"));
        assert_eq!(all_of(path).await, "", "the child held the pipe until it was killed");
    }
}
