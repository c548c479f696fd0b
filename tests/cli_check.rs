//! `rustbalance check`, `run` and the command line as a whole, as an operator meets them.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use tempfile::TempDir;

const ONION: &str = "25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid.onion";

/// A directory with a configuration and the key it names.
struct Site {
    dir: TempDir,
}

impl Site {
    fn new(more: &str) -> Site {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("master.key");
        std::fs::write(&key, "").unwrap();
        let key = key.display();
        let text = format!(
            "[node]\nname = \"node-a\"\n\n[[service]]\nonion = \"{ONION}\"\n\
             key_file = \"{key}\"\n\n{more}"
        );
        std::fs::write(dir.path().join("config.toml"), text).unwrap();
        Site { dir }
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("config.toml")
    }

    /// What `rustbalance <arguments>` said, with the site's directory left out.
    fn run(&self, arguments: &[&str]) -> (String, i32) {
        run_with(&self.config(), arguments, self.dir.path())
    }
}

fn rustbalance() -> Command {
    let mut command = Command::cargo_bin("rustbalance").unwrap();
    command.env_remove("RUSTBALANCE_CONFIG").env_remove("JOURNAL_STREAM").env("NO_COLOR", "1");
    command
}

fn run_with(config: &Path, arguments: &[&str], hide: &Path) -> (String, i32) {
    let output = rustbalance().arg("--config").arg(config).args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap().replace(&hide.display().to_string(), "DIR");
    (text, output.status.code().unwrap())
}

#[test]
fn a_good_file_is_ok() {
    let (screen, code) = Site::new("").run(&["check"]);
    assert_eq!((screen.as_str(), code), ("ok: node-a, 1 service, 0 backends\n", 0));
}

#[test]
fn a_good_file_is_not_worth_a_word_when_quiet() {
    let (screen, code) = Site::new("").run(&["check", "--quiet"]);
    assert_eq!((screen.as_str(), code), ("", 0));
}

#[test]
fn warnings_are_shown_and_do_not_fail() {
    let site = Site::new("[publish]\nmax_intro_points = 20\n");
    std::fs::remove_file(site.dir.path().join("master.key")).unwrap();
    let (screen, code) = site.run(&["check"]);
    insta::assert_snapshot!(screen, @r#"
    DIR/config.toml: 2 warnings
      line 9  warning  [publish] max_intro_points = 20: above 8 the descriptor is larger than ordinary ones
              warning  [[service]] key_file: there is no file DIR/master.key
    ok: node-a, 1 service, 0 backends
    "#);
    assert_eq!(code, 0);
}

#[test]
fn all_errors_are_shown_with_their_lines() {
    let site = Site::new(
        "[publish]\nrefresh_min = 7201\nmax_intro_points = 12\n\n\
         [resilience]\nhsdir_max_retires = 3\n",
    );
    for arguments in [&["check"][..], &["check", "--quiet"], &["check", "--effective"]] {
        let (screen, code) = site.run(arguments);
        insta::allow_duplicates! { insta::assert_snapshot!(screen, @r#"
    DIR/config.toml: 2 errors, 1 warning
      line 9   error    [publish] refresh_min = 7201 must not be more than refresh_max (7200)
      line 13  error    [resilience] hsdir_max_retires: no such option. Did you mean hsdir_max_retries?
      line 10  warning  [publish] max_intro_points = 12: above 8 the descriptor is larger than ordinary ones
    "#) };
        assert_eq!(code, 78);
    }
}

#[test]
fn broken_syntax_is_shown_with_its_line() {
    let (screen, code) = Site::new("[publish\nburst = 4\n").run(&["check"]);
    insta::assert_snapshot!(screen, @r#"
    DIR/config.toml: 1 error
      line 8  error    not valid TOML: unclosed table, expected `]`
    "#);
    assert_eq!(code, 78);
}

#[test]
fn a_missing_file_is_said_so() {
    let site = Site::new("");
    std::fs::remove_file(site.config()).unwrap();
    let (screen, code) = site.run(&["check"]);
    insta::assert_snapshot!(screen, @r#"
    DIR/config.toml: 1 error
      error    the file cannot be read: there is no such file. Start from config.example.toml
    "#);
    assert_eq!(code, 78);
}

#[test]
fn the_path_may_come_from_the_environment() {
    let site = Site::new("");
    let output =
        rustbalance().env("RUSTBALANCE_CONFIG", site.config()).arg("check").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let elsewhere = site.dir.path().join("elsewhere.toml");
    let output = rustbalance().env("RUSTBALANCE_CONFIG", elsewhere).arg("check").output().unwrap();
    assert_eq!(output.status.code(), Some(78));
}

#[test]
fn the_effective_configuration_is_a_valid_configuration() {
    let site = Site::new("[gather]\npoll = \"2m\"\n");
    let (effective, code) = site.run(&["check", "--effective"]);
    assert_eq!(code, 0);
    assert!(effective.contains("poll = 120\n"), "{effective}");
    assert!(effective.contains("burst = 4\n"), "{effective}");
    let again = site.dir.path().join("again.toml");
    let whole = effective.replace("DIR", &site.dir.path().display().to_string());
    std::fs::write(&again, &whole).unwrap();
    let (second, code) = run_with(&again, &["check", "--effective"], site.dir.path());
    assert_eq!(code, 0);
    let without_header = |text: &str| text.split_once('\n').unwrap().1.to_owned();
    assert_eq!(without_header(&second), without_header(&effective));
}

#[test]
fn running_with_an_invalid_file_ends_with_78_and_says_why() {
    let (screen, code) = Site::new("[nodes]\n").run(&["run"]);
    insta::assert_snapshot!(screen, @r#"
    rustbalance: DIR/config.toml: 1 error
      line 8  error    [nodes]: no such section. Did you mean [node]?
    "#);
    assert_eq!(code, 78);
}

#[test]
fn a_file_that_cannot_be_read_ends_with_1_since_another_time_it_may() {
    for command in ["check", "run"] {
        let mem = Path::new("/proc/self/mem");
        let (screen, code) = run_with(mem, &[command], mem);
        assert!(screen.contains("the file cannot be read: "), "{screen}");
        assert_eq!(code, 1, "{screen}");
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    for arguments in [&["frobnicate"][..], &["check", "--loud"], &["status", "--watch=0s"], &[]] {
        let output = rustbalance().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn help_names_every_command_and_the_exit_codes() {
    let output = rustbalance().arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for word in ["run", "check", "status", "completions", "--config", "Exit codes"] {
        assert!(help.contains(word), "{word} is not in {help}");
    }
}

#[test]
fn every_shell_gets_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let output = rustbalance().args(["completions", shell]).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8(output.stdout).unwrap().contains("nagios"), "{shell}");
    }
}

#[test]
fn files_that_are_named_and_absent_are_warned_of() {
    let more = "[wireguard]\npreshared_key_file = \"/absent/psk\"\n[[hook]]\non = [\"*\"]\n\
                command = [\"/absent/page-me\"]\n";
    let (screen, code) = Site::new(more).run(&["check"]);
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("preshared_key_file: there is no file /absent/psk"), "{screen}");
    assert!(screen.contains("[[hook]] command: there is no file /absent/page-me"), "{screen}");
}
