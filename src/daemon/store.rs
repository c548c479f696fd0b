//! What the mesh must remember over a restart: `mesh.json` in the state directory.
//!
//! Nothing depends on the file: without it the node finds its peers again through the
//! configuration. So a damaged one is moved aside, never deleted and never a reason not to start,
//! and one that cannot be written is tried again later. Signatures are not checked here.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding as _};
use serde::{Deserialize, Serialize};

use super::files;
use crate::engine::MeshState;
use crate::ident::Incarnation;
use crate::message::{MEMBERS_MAX, SUCCESSIONS_MAX, TOKENS_MAX};
use crate::wire::Record;

/// The schema that this program writes and understands.
const SCHEMA: u32 = 1;

/// A larger file is something else.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// So many damaged files are kept beside each other.
const DAMAGED_MAX: u32 = 99;

/// The file, and what could not be written to it yet.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    unsaved: Option<MeshState>,
}

/// The file's content. Entries are base64 of their bytes as frames carry them.
#[derive(Serialize, Deserialize)]
struct Document {
    schema: u32,
    incarnation: u64,
    successions: Vec<String>,
    members: Vec<Entry>,
    tokens: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    /// For people: what counts stands in the entry.
    name: String,
    entry: String,
}

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
enum Damage {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("it is larger than {FILE_MAX_BYTES} bytes")]
    TooLarge,
    #[error("it is no such document, or cut off: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it has schema {0}, this program knows {SCHEMA}: a newer program wrote it")]
    Newer(u32),
    #[error("an entry is damaged: {0}")]
    Entry(String),
    #[error("it has more entries than there may be")]
    TooMany,
}

impl Store {
    pub(super) fn new(state_dir: &Path) -> Store {
        Store { path: state_dir.join("mesh.json"), unsaved: None }
    }

    /// What was written last; nothing when there is no file or it cannot be used, which is logged.
    pub(super) fn load(&self) -> MeshState {
        match read(&self.path) {
            Ok(state) => state,
            Err(Damage::Io(error)) if error.kind() == ErrorKind::NotFound => MeshState::default(),
            Err(Damage::Io(error)) => {
                let path = self.path.display();
                tracing::warn!(
                    event = "store_unreadable",
                    "Cannot read {path}: {error}. Starting without it: the other nodes are asked \
                     through [[peer]]"
                );
                MeshState::default()
            }
            Err(damage) => {
                self.put_aside(&damage);
                MeshState::default()
            }
        }
    }

    fn put_aside(&self, damage: &Damage) {
        let aside = (1..=DAMAGED_MAX)
            .map(|n| if n == 1 { ".damaged".to_owned() } else { format!(".damaged.{n}") })
            .map(|suffix| files::beside(&self.path, &suffix))
            .find(|path| std::fs::symlink_metadata(path).is_err());
        let aside =
            aside.unwrap_or_else(|| files::beside(&self.path, &format!(".damaged.{DAMAGED_MAX}")));
        let (path, moved) = (self.path.display(), aside.display());
        match std::fs::rename(&self.path, &aside) {
            Ok(()) => tracing::warn!(
                event = "store_damaged",
                "{path} is not used: {damage}. It was moved to {moved}; starting without it: the \
                 other nodes are asked through [[peer]], and tell what they know"
            ),
            Err(error) => tracing::warn!(
                event = "store_damaged",
                "{path} is not used: {damage}. It cannot be moved to {moved}: {error}"
            ),
        }
    }

    /// Writes it down. When that fails it is said once, and [`retry`](Self::retry) tries again.
    pub(super) fn save(&mut self, state: &MeshState) -> bool {
        let failed_before = self.unsaved.is_some();
        let path = self.path.display();
        match write(&self.path, state) {
            Ok(()) => {
                if failed_before {
                    tracing::info!(event = "store_written", "{path} can be written again");
                }
                self.unsaved = None;
                true
            }
            Err(error) => {
                if !failed_before {
                    tracing::warn!(
                        event = "store_unwritable",
                        "Cannot write {path}: {error}. Going on without; after a restart the other \
                         nodes have to be asked. Is the disk full, or the owner wrong?"
                    );
                }
                self.unsaved = Some(state.clone());
                false
            }
        }
    }

    /// Tries again what could not be written. Cheap when there is nothing.
    pub(super) fn retry(&mut self) {
        if let Some(state) = self.unsaved.clone() {
            self.save(&state);
        }
    }
}

fn read(path: &Path) -> Result<MeshState, Damage> {
    let mut content = Vec::new();
    File::open(path)?.take(FILE_MAX_BYTES + 1).read_to_end(&mut content)?;
    if content.len() as u64 > FILE_MAX_BYTES {
        return Err(Damage::TooLarge);
    }
    parse(&content)
}

fn parse(content: &[u8]) -> Result<MeshState, Damage> {
    #[derive(Deserialize)]
    struct Head {
        schema: u32,
    }
    let Head { schema } = serde_json::from_slice(content)?;
    if schema != SCHEMA {
        return Err(Damage::Newer(schema));
    }
    let document: Document = serde_json::from_slice(content)?;
    let Document { incarnation, successions, members, tokens, .. } = document;
    let fits = successions.len() <= SUCCESSIONS_MAX
        && members.len() <= 2 * MEMBERS_MAX
        && tokens.len() <= TOKENS_MAX;
    if !fits {
        return Err(Damage::TooMany);
    }
    Ok(MeshState {
        incarnation: Incarnation(incarnation),
        successions: entries(successions.iter())?,
        members: entries(members.iter().map(|member| &member.entry))?,
        tokens: entries(tokens.iter())?,
    })
}

fn entries<'a, T: Record>(texts: impl Iterator<Item = &'a String>) -> Result<Vec<T>, Damage> {
    let entry = |text: &String| {
        let bytes = Base64::decode_vec(text).map_err(|error| Damage::Entry(error.to_string()))?;
        T::from_bytes(&bytes).map_err(|error| Damage::Entry(error.to_string()))
    };
    texts.map(entry).collect()
}

fn write(path: &Path, state: &MeshState) -> io::Result<()> {
    let successions: io::Result<Vec<String>> = state.successions.iter().map(text).collect();
    let tokens: io::Result<Vec<String>> = state.tokens.iter().map(text).collect();
    let members: io::Result<Vec<Entry>> = state
        .members
        .iter()
        .map(|member| Ok(Entry { name: member.certificate.name.to_string(), entry: text(member)? }))
        .collect();
    let document = Document {
        schema: SCHEMA,
        incarnation: state.incarnation.0,
        successions: successions?,
        members: members?,
        tokens: tokens?,
    };
    let mut content = serde_json::to_vec_pretty(&document)?;
    content.push(b'\n');
    files::replace(path, &content, 0o600)
}

fn text(entry: &impl Record) -> io::Result<String> {
    entry.to_bytes().map(|bytes| Base64::encode_string(&bytes)).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::daemon::samples;
    use crate::ident::ClusterKey;
    use crate::message::{Member, Succession};

    fn state() -> MeshState {
        let member = |name: &str, announced: bool| Member {
            certificate: samples::certificate(name),
            announcement: announced.then(|| samples::announcement(name)),
        };
        let succession = Succession { generation: 1, key: ClusterKey([3; 32]), signature: [4; 64] };
        MeshState {
            incarnation: Incarnation(u64::MAX),
            successions: vec![succession],
            members: vec![member("node-a", true), member("node-b", false)],
            tokens: vec![samples::token()],
        }
    }

    fn files_in(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_written_is_read_back_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::new(dir.path());
        assert_eq!(store.load(), MeshState::default());
        assert!(store.save(&MeshState::default()));
        assert!(store.save(&state()));
        assert_eq!(Store::new(dir.path()).load(), state());
        assert_eq!(files_in(dir.path()), ["mesh.json"]);
        let mode = std::fs::metadata(&store.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn the_largest_state_that_there_may_be_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let small = state();
        let members = (0..2 * MEMBERS_MAX).map(|_| small.members[0].clone()).collect();
        let tokens = (0..TOKENS_MAX).map(|_| small.tokens[0].clone()).collect();
        let state = MeshState { members, tokens, ..small };
        Store::new(dir.path()).save(&state);
        assert_eq!(Store::new(dir.path()).load(), state);
    }

    #[test]
    fn a_file_cut_off_anywhere_is_moved_aside_and_nothing_half_is_believed() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::new(dir.path());
        store.save(&state());
        let whole = std::fs::read(&store.path).unwrap();
        let aside = files::beside(&store.path, ".damaged");
        for length in 0..whole.len() - 1 {
            std::fs::write(&store.path, &whole[..length]).unwrap();
            assert_eq!(store.load(), MeshState::default(), "{length}");
            assert_eq!(std::fs::read(&aside).unwrap(), &whole[..length]);
            assert!(!store.path.exists());
            std::fs::remove_file(&aside).unwrap();
        }
    }

    #[test]
    fn garbage_a_later_schema_and_broken_entries_are_moved_aside_one_beside_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::new(dir.path());
        store.save(&state());
        let good = std::fs::read_to_string(&store.path).unwrap();
        let later = good.replace("\"schema\": 1", "\"schema\": 2");
        let broken = good.replacen("\"entry\": \"", "\"entry\": \"AAAA", 1);
        let huge = " ".repeat(FILE_MAX_BYTES as usize + 1);
        for bad in ["\u{0}garbage", &later, &broken, &huge] {
            std::fs::write(&store.path, bad).unwrap();
            assert_eq!(store.load(), MeshState::default());
        }
        let names = files_in(dir.path());
        let wanted = ["", ".2", ".3", ".4"].map(|n| format!("mesh.json.damaged{n}"));
        assert_eq!(names, wanted);
        assert_eq!(std::fs::read_to_string(dir.path().join(&wanted[1])).unwrap(), later);
    }

    #[test]
    fn what_cannot_be_written_is_written_once_it_can() {
        let dir = tempfile::tempdir().unwrap();
        let state_dir = dir.path().join("absent");
        let mut store = Store::new(&state_dir);
        assert!(!store.save(&state()));
        store.retry();
        assert!(store.unsaved.is_some());
        std::fs::create_dir(&state_dir).unwrap();
        store.retry();
        assert_eq!(store.unsaved, None);
        assert_eq!(store.load(), state());
    }

    #[test]
    fn a_power_cut_while_writing_leaves_the_old_content() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::new(dir.path());
        store.save(&state());
        std::fs::write(files::beside(&store.path, ".new"), "half").unwrap();
        assert_eq!(store.load(), state());
        assert!(store.save(&MeshState::default()), "the rest of an earlier try does no harm");
        assert_eq!(store.load(), MeshState::default());
    }
}
