//! The exit codes of all commands.

use std::process::ExitCode;

use crate::config::{ConfigErrors, Fault};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done.
    Done,
    /// It was tried and did not work.
    Failed,
    /// Nobody listens on the daemon's socket.
    NotRunning,
    /// A file or the socket may not be opened by this user.
    NoPermission,
    /// The configuration, or a key it names, is not valid (EX_CONFIG of sysexits(3)): the unit does
    /// not restart then, for it would not help.
    ConfigInvalid,
    /// A monitoring plugin's answer: 0 well, 1 warning, 2 critical, 3 unknown.
    Nagios(u8),
}

impl Exit {
    /// What a refused configuration ends with.
    pub(super) fn of(errors: &ConfigErrors) -> Exit {
        match errors.fault {
            Fault::Content => Exit::ConfigInvalid,
            Fault::Permission => Exit::NoPermission,
            Fault::Io => Exit::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::NotRunning => 3,
            Exit::NoPermission => 4,
            Exit::ConfigInvalid => 78,
            Exit::Nagios(code) => code,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_restart_or_sudo_mends_is_no_invalid_configuration() {
        let code =
            |fault| Exit::of(&ConfigErrors { path: "c".into(), problems: Vec::new(), fault });
        assert_eq!(code(Fault::Content), Exit::ConfigInvalid);
        assert_eq!(code(Fault::Permission), Exit::NoPermission);
        assert_eq!(code(Fault::Io), Exit::Failed);
    }
}
