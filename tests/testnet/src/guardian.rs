//! The shell that outlives us for a moment and cleans up.
//!
//! It leads the process group that all tors join, and waits for the end of its standard input,
//! whose other end only we hold. What ends us, whatever it be, closes that pipe.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// `$1` is the directory, `$2` says `keep` or `remove`. The directory goes after the processes that
/// write into it, so the remover leaves the group before the group dies.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
while read -r _; do :; done
case "$2:$1" in
remove:/*/testnet-*)
    setsid sh -c '
        kill -KILL -- "-$0"
        for try in 1 2 3 4 5 6 7 8 9; do rm -rf -- "$1" && break; sleep 0.2; done
    ' "$$" "$1"
    rm -rf -- "$1"
    ;;
esac
kill -KILL 0
"#;

/// The guardian of one network.
#[derive(Debug)]
pub(crate) struct Guardian {
    child: Child,
}

impl Guardian {
    /// Starts it for `directory`, which it removes at the end unless `keep`.
    pub(crate) fn start(directory: &Path, keep: bool) -> Result<Guardian> {
        let child = Command::new("sh")
            .args(["-c", SCRIPT, "testnet-guardian"])
            .arg(directory)
            .arg(if keep { "keep" } else { "remove" })
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start the guardian shell of the private network")?;
        Ok(Guardian { child })
    }

    /// The process group that dies with the guardian.
    pub(crate) fn group(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Kills the whole group, the guardian included, and waits for the guardian.
    ///
    /// The guardian is not waited for before, so its number cannot belong to anybody else.
    pub(crate) fn kill_group(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // The group may be gone already, which is what was wanted.
            let _ = killpg(Pid::from_raw(self.group()), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}
