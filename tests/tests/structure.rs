//! The core is cut as its design says: engines know no protocol, protocols know no other,
//! and mail stands on SMTP alone.

use std::fs;
use std::path::{Path, PathBuf};

/// Protocols, and the folder or file of each; LMTP is a parameter of SMTP's grammar.
const PROTOCOLS: [&str; 15] = [
    "smtp", "imap", "pop3", "ftp", "nntp", "sieve", "irc", "nut", "postgres", "mysql", "nbd",
    "ldap", "xmpp", "vnc", "rdp",
];

fn core() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src")
}

fn sources(path: &Path) -> Vec<(PathBuf, String)> {
    if path.is_file() {
        return vec![(path.to_owned(), fs::read_to_string(path).expect("a source"))];
    }
    let entries = fs::read_dir(path).expect("a folder");
    entries.flat_map(|entry| sources(&entry.expect("an entry").path())).collect()
}

/// The words of a source, in lower case.
fn words(source: &str) -> impl Iterator<Item = String> {
    source
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
}

#[test]
fn engines_name_no_protocol() {
    for engine in ["client/mod.rs", "client/state.rs", "server/mod.rs", "server/state.rs"] {
        let source = fs::read_to_string(core().join(engine)).expect("an engine");
        for word in words(&source) {
            assert!(!PROTOCOLS.contains(&&word[..]) && word != "lmtp", "{engine} names {word}");
        }
    }
}

#[test]
fn protocols_know_no_other() {
    for protocol in PROTOCOLS {
        let sources = sources(&core().join(protocol));
        assert!(sources.len() >= 3, "{protocol}: client, server and what they share");
        for (path, source) in sources {
            for other in PROTOCOLS.iter().filter(|other| **other != protocol) {
                let foreign = format!("crate::{other}");
                assert!(!source.contains(&foreign), "{} uses {foreign}", path.display());
            }
            assert!(!source.contains("crate::mail"), "{} uses mail", path.display());
        }
    }
}

#[test]
fn mail_knows_only_smtp() {
    for (path, source) in sources(&core().join("mail")) {
        for protocol in PROTOCOLS.iter().filter(|protocol| **protocol != "smtp") {
            let foreign = format!("crate::{protocol}");
            assert!(!source.contains(&foreign), "{} uses {foreign}", path.display());
        }
    }
}

#[test]
fn nothing_below_knows_a_protocol() {
    for (path, source) in sources(&core().join("wire")) {
        for protocol in PROTOCOLS.into_iter().chain(["mail"]) {
            let upward = format!("crate::{protocol}");
            assert!(!source.contains(&upward), "{} uses {upward}", path.display());
        }
    }
}
