//! Running one command: its file is looked at first, its time and its output are bounded.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::Call;
use crate::daemon::{clock, files};

/// How much of its output goes to the log, in bytes for each of the two streams.
const OUTPUT_MAX: u64 = 4096;

/// Where commands are looked for when we do not know ourselves.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum HookError {
    #[error("there is no command")]
    Empty,
    #[error("not run: cannot look at {path}: {error}")]
    Unseen { path: PathBuf, error: io::Error },
    #[error("not run: {0} is no regular file")]
    NotAFile(PathBuf),
    #[error(
        "not run: {path} can be changed by others (mode {mode:04o}). Run: chmod {wanted} {path}"
    )]
    Exposed { path: PathBuf, mode: u32, wanted: &'static str },
    #[error("not run: {path} belongs to uid {owner}. Run: chown root {path}")]
    Foreign { path: PathBuf, owner: u32 },
    #[error("cannot be run: {0}")]
    Spawn(io::Error),
    #[error("failed: {0}")]
    Failed(ExitStatus),
    #[error("killed after {} s ([hooks] timeout)", .0.as_secs())]
    Timeout(Duration),
}

/// Runs it in a process group of its own; gives how long it took.
pub(super) async fn run(call: &Call, timeout: Duration) -> Result<Duration, HookError> {
    let program = Path::new(call.command.first().ok_or(HookError::Empty)?);
    check(program)?;
    let started = clock::now().mono;
    let mut command = Command::new(program);
    command.args(&call.command[1..]).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_else(|| PATH.into()));
    command.envs(call.environment.iter().map(|(name, value)| (name, value)));
    command.current_dir("/").process_group(0).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(HookError::Spawn)?;
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    match tokio::time::timeout(timeout, attend(&mut child, call)).await {
        Ok(Ok(status)) if status.success() => Ok(clock::now().mono - started),
        Ok(Ok(status)) => Err(HookError::Failed(status)),
        Ok(Err(error)) => Err(HookError::Spawn(error)),
        Err(_) => {
            if let Some(Err(error)) = group.map(|pid| kill_process_group(pid, Signal::KILL)) {
                tracing::debug!(event = "hook_kill", "cannot kill a hook: {error}");
            }
            let _ = child.wait().await;
            Err(HookError::Timeout(timeout))
        }
    }
}

/// Feeds it, listens to it and waits until it has ended. What runs on in the background is not
/// waited for.
async fn attend(child: &mut Child, call: &Call) -> io::Result<ExitStatus> {
    let (input, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut input) = input {
            // A command need not read.
            let _ = input.write_all(&call.input).await;
        }
        std::future::pending::<()>().await;
    };
    let listen = async {
        tokio::join!(log(out, call.event), log(err, call.event));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        status = child.wait() => status,
        () = feed => unreachable!("it waits for ever"),
        () = listen => unreachable!("it waits for ever"),
    }
}

/// The beginning of a stream goes to the log, the rest nowhere.
async fn log(stream: Option<impl AsyncRead + Unpin>, event: &'static str) {
    let Some(mut stream) = stream else { return };
    let mut text = Vec::new();
    let _ = (&mut stream).take(OUTPUT_MAX).read_to_end(&mut text).await;
    if !text.is_empty() {
        let text = String::from_utf8_lossy(&text);
        tracing::debug!(event = "hook_output", "Hook on {event} says: {}", text.trim_end());
    }
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

/// Nobody but root and us may be able to change what is run.
fn check(program: &Path) -> Result<(), HookError> {
    let unseen = |error| HookError::Unseen { path: program.to_owned(), error };
    let real = program.canonicalize().map_err(unseen)?;
    let metadata = std::fs::metadata(&real).map_err(unseen)?;
    if !metadata.is_file() {
        return Err(HookError::NotAFile(real));
    }
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    if owner != files::ROOT && owner != rustix::process::geteuid().as_raw() {
        return Err(HookError::Foreign { path: real, owner });
    }
    if mode & 0o022 != 0 {
        return Err(HookError::Exposed { path: real, mode, wanted: "go-w" });
    }
    match files::exposed_parent(&real) {
        Some(files::Exposed { path, mode, wanted }) => {
            Err(HookError::Exposed { path, mode, wanted })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn call(command: &[&str]) -> Call {
        Call {
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            event: "tor_up",
            environment: Vec::new(),
            input: b"{}\n".to_vec(),
        }
    }

    #[test]
    fn a_file_that_others_can_change_is_not_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hook");
        std::fs::write(&path, "").unwrap();
        let chmod = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        for (mode, fine) in [(0o700, true), (0o755, true), (0o775, false), (0o757, false)] {
            chmod(&path, mode);
            assert_eq!(check(&path).is_ok(), fine, "{mode:o}");
        }
        chmod(&path, 0o755);
        chmod(dir.path(), 0o777);
        let text = check(&path).unwrap_err().to_string();
        assert!(text.contains("can be changed by others") && text.contains("chmod o-w"), "{text}");
    }

    #[test]
    fn what_is_no_file_or_not_ours_is_not_run() {
        assert!(matches!(check(Path::new("/tmp")), Err(HookError::NotAFile(_))));
        assert!(matches!(check(Path::new("/absent")), Err(HookError::Unseen { .. })));
        if rustix::process::geteuid().is_root() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("hook");
            std::fs::write(&path, "").unwrap();
            std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
            assert!(matches!(check(&path), Err(HookError::Foreign { .. })));
        }
    }

    #[tokio::test]
    async fn how_it_ended_is_told() {
        let minute = Duration::from_secs(60);
        let ended = async |script| run(&call(&["/bin/sh", "-c", script]), minute).await;
        assert!(ended("true").await.is_ok());
        let text = ended("exit 3").await.unwrap_err().to_string();
        assert_eq!(text, "failed: exit status: 3");
        assert!(ended("yes | head -c 1000000").await.is_ok(), "much output does not block it");
        assert!(ended("sleep 1000 & true").await.is_ok(), "the background is not waited for");
        assert!(matches!(run(&call(&[]), minute).await, Err(HookError::Empty)));
    }
}
