use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use super::*;

/// A group and a user that are neither ours nor root's.
const NOBODY: u32 = 65_534;

struct Fixture {
    dir: tempfile::TempDir,
    service: Service,
    path: PathBuf,
    key: MasterKey,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let key = MasterKey::generate(&mut rand::rng());
    let path = dir.path().join("master.key");
    std::fs::write(&path, &*key.to_tor_file()).unwrap();
    chmod(&path, 0o600);
    let service = Service { onion: key.id(), key_file: Some(path.clone()) };
    Fixture { service, path, key, dir }
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn refusal(service: &Service) -> String {
    load(std::slice::from_ref(service)).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn a_good_key_is_read() {
    let fixture = fixture();
    let keys = load(&[fixture.service]).unwrap();
    assert_eq!(keys[&fixture.key.id()].id(), fixture.key.id());
}

#[test]
fn a_key_that_others_can_read_is_refused_with_the_remedy() {
    let fixture = fixture();
    chmod(&fixture.path, 0o640);
    let text = refusal(&fixture.service);
    assert!(text.contains("mode 0640") && text.contains("chmod 0600"), "{text}");
}

#[test]
fn a_directory_that_others_can_write_is_refused_unless_only_owners_replace_files_there() {
    let fixture = fixture();
    let dir = fixture.dir.path();
    chmod(dir, 0o777);
    let text = refusal(&fixture.service);
    assert!(text.contains("changed by others") && text.contains("chmod o-w"), "{text}");
    chmod(dir, 0o1777);
    assert!(load(std::slice::from_ref(&fixture.service)).is_ok());
    chmod(dir, 0o770);
    assert!(load(std::slice::from_ref(&fixture.service)).is_ok(), "our own group");
    if is_root() {
        chown(dir, None, Some(NOBODY)).unwrap();
        let text = refusal(&fixture.service);
        assert!(text.contains("changed by others") && text.contains("chmod g-w"), "{text}");
    }
}

#[test]
fn the_directories_of_the_real_file_count_not_those_of_a_link_to_it() {
    let fixture = fixture();
    let links = tempfile::tempdir().unwrap();
    let link = links.path().join("link.key");
    symlink(&fixture.path, &link).unwrap();
    let service = Service { key_file: Some(link), ..fixture.service.clone() };
    assert!(load(std::slice::from_ref(&service)).is_ok());
    chmod(fixture.dir.path(), 0o777);
    let text = refusal(&service);
    let real = fixture.dir.path().canonicalize().unwrap();
    assert!(text.contains(&real.display().to_string()), "{text}");
}

#[test]
fn another_users_file_is_refused() {
    let fixture = fixture();
    if !is_root() {
        return;
    }
    chown(&fixture.path, Some(NOBODY), None).unwrap();
    let text = refusal(&fixture.service);
    assert!(text.contains("uid 65534") && text.contains("chown 0"), "{text}");
}

#[test]
fn a_pipe_without_writer_and_an_endless_device_are_refused_at_once() {
    let fixture = fixture();
    let path = &fixture.path;
    std::fs::remove_file(path).unwrap();
    let made = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(path).status().unwrap();
    assert!(made.success());
    assert!(refusal(&fixture.service).contains("no regular file"));
    let endless = Service { key_file: Some("/dev/zero".into()), ..fixture.service };
    assert!(refusal(&endless).contains("no regular file"));
}

#[test]
fn another_services_key_is_named_by_both_ends_of_its_address() {
    let mut fixture = fixture();
    fixture.service.onion = MasterKey::generate(&mut rand::rng()).id();
    let text = refusal(&fixture.service);
    for id in [fixture.key.id(), fixture.service.onion] {
        let whole = address::onion(&id);
        assert!(text.contains(&crate::telemetry::shorten(&whole)), "{text}");
        assert!(!text.contains(&whole), "{text}");
    }
}

#[test]
fn missing_truncated_and_huge_files_are_told_apart() {
    let fixture = fixture();
    let path = &fixture.path;
    std::fs::write(path, &fixture.key.to_tor_file()[..95]).unwrap();
    assert!(refusal(&fixture.service).contains("not a usable key"));
    std::fs::write(path, vec![0; 20_000]).unwrap();
    assert!(refusal(&fixture.service).contains("20000 bytes"));
    std::fs::remove_file(path).unwrap();
    assert!(refusal(&fixture.service).contains("cannot read the key"));
}

#[test]
fn a_service_without_key_file_has_no_key() {
    let fixture = fixture();
    let service = Service { key_file: None, ..fixture.service };
    assert!(load(&[service]).unwrap().is_empty());
}
