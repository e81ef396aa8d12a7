//! The failing call, and its error.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// The kinds of system calls, numbered as in `inject.c`, with realistic errors.
pub(crate) const KINDS: [(&str, &[(i32, Lasting)]); 10] = [
    ("receive", &[(ECONNRESET, Lasting::Once)]),
    ("send", &[(ECONNRESET, Lasting::Once)]),
    ("connect", &[(ECONNREFUSED, Lasting::Once)]),
    ("accept", &[(EMFILE, Lasting::Once), (ECONNABORTED, Lasting::Once)]),
    ("open", &[(EACCES, Lasting::Once), (EMFILE, Lasting::On)]),
    ("read", &[(EIO, Lasting::Once)]),
    ("write", &[(EIO, Lasting::Once), (ENOSPC, Lasting::On)]),
    ("sync", &[(EIO, Lasting::Once)]),
    ("name", &[(EIO, Lasting::Once), (ENOSPC, Lasting::On)]),
    ("print", &[(EPIPE, Lasting::Once), (ENOSPC, Lasting::On)]),
];

/// Whether the same call works the next time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasting {
    Once,
    /// Like a disk that stays full.
    On,
}

const EIO: i32 = 5;
const EACCES: i32 = 13;
const EMFILE: i32 = 24;
const ENOSPC: i32 = 28;
const EPIPE: i32 = 32;
const ECONNABORTED: i32 = 103;
const ECONNRESET: i32 = 104;
const ECONNREFUSED: i32 = 111;

/// More calls of one kind than any scenario has.
const ENDLESS: u64 = 2000;

/// A fault in a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// The index in [`KINDS`].
    kind: usize,
    error: i32,
    at: u64,
    lasting: Lasting,
}

impl Fault {
    /// Makes a fault by the name in [`KINDS`].
    pub(crate) fn is_of(self, kind: &str) -> bool {
        KINDS[self.kind].0 == kind
    }

    /// Whether the walk may end here.
    pub(crate) fn is_of_a_reader_who_left(self) -> bool {
        self.is_of("print") && self.error == EPIPE
    }
}

/// The file that counts the calls of a process.
#[derive(Debug)]
pub(crate) struct Page {
    path: PathBuf,
    root: PathBuf,
    _directory: TempDir,
}

impl Page {
    /// Counts calls on files in `root`.
    pub(crate) fn new(root: &Path) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("page");
        fs::write(&path, [0; 4096]).expect("written");
        Self { path, root: root.to_owned(), _directory: directory }
    }

    /// Injects the fault into a process.
    pub(crate) fn inject(&self, command: &mut Command, fault: Option<Fault>) {
        command
            .env("LD_PRELOAD", library())
            .env("FAULT_PAGE", &self.path)
            .env("FAULT_ROOT", &self.root);
        if let Some(Fault { kind, error, at, lasting }) = fault {
            command
                .env("FAULT_KIND", kind.to_string())
                .env("FAULT_AT", at.to_string())
                .env("FAULT_ERRNO", error.to_string());
            if lasting == Lasting::On {
                command.env("FAULT_ON", "");
            }
        }
    }

    /// The number of failed calls.
    pub(crate) fn faults(&self) -> u64 {
        let page = fs::read(&self.path).expect("a page");
        let (numbers, _) = page.as_chunks();
        numbers[KINDS.len()..].first().map_or(0, |number| u64::from_ne_bytes(*number))
    }
}

/// The library, compiled once per run.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = LIBRARY.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("inject.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/inject.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(&path)
            .args([source, "-ldl"])
            .status();
        assert!(built.expect("a C compiler, cc").success());
        (directory, path)
    });
    path
}

/// Runs a scenario with a fault at each call of each kind; `run` returns whether the call failed. Returns the number of
/// faults of each kind.
pub(crate) fn walk(kinds: &[&str], run: impl Fn(Fault) -> bool) -> Vec<(String, u64)> {
    let mut walked = Vec::new();
    for (kind, (name, errors)) in KINDS.iter().enumerate() {
        if !kinds.contains(name) {
            continue;
        }
        for &(error, lasting) in *errors {
            let mut at = 1;
            while at < ENDLESS && run(Fault { kind, error, at, lasting }) {
                at += 1;
            }
            assert!(at < ENDLESS, "{name} has no end");
            walked.push((format!("{name} {error}"), at - 1));
        }
    }
    walked
}
