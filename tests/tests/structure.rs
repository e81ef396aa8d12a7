//! The core's layers: engines know no protocol, protocols do not know each other,
//! and mail depends on SMTP alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use starttls::Protocol;

macro_rules! modules {
    ([] $($module:ident::$Type:ident,)*) => {
        [$(stringify!($module)),*]
    };
}

/// The modules of all protocols, in the order of the list.
fn modules() -> Vec<&'static str> {
    let mut modules = starttls::for_each_protocol!(modules []).to_vec();
    modules.dedup();
    modules
}

/// The protocols with their own grammar; LMTP is a parameter of SMTP's.
fn grammars() -> Vec<&'static str> {
    modules().into_iter().filter(|module| *module != "lmtp").collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn core() -> PathBuf {
    root().join("core/src")
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
    for engine in [
        "client/mod.rs",
        "client/state.rs",
        "server/mod.rs",
        "server/grammar.rs",
        "server/state.rs",
    ] {
        let source = fs::read_to_string(core().join(engine)).expect("an engine");
        for word in words(&source) {
            assert!(!modules().contains(&&word[..]), "{engine} names {word}");
        }
    }
}

#[test]
fn protocols_do_not_know_each_other() {
    for protocol in grammars() {
        let sources = sources(&core().join(protocol));
        assert!(sources.len() >= 3, "{protocol}: client, server and their common part");
        for (path, source) in sources {
            for other in grammars().into_iter().filter(|other| *other != protocol) {
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
        for protocol in grammars().into_iter().filter(|protocol| *protocol != "smtp") {
            let foreign = format!("crate::{protocol}");
            assert!(!source.contains(&foreign), "{} uses {foreign}", path.display());
        }
    }
}

#[test]
fn lower_layers_know_no_protocol() {
    for (path, source) in sources(&core().join("wire")) {
        for protocol in grammars().into_iter().chain(["mail"]) {
            let upward = format!("crate::{protocol}");
            assert!(!source.contains(&upward), "{} uses {upward}", path.display());
        }
    }
}

/// The most files that may name a protocol besides its own, so that adding a protocol stays a small change. Among them are
/// three lists of modules: of the core, of the conformance tests and of the machines of these tests.
const MAX_FILES: usize = 13;

/// Whether a file belongs to a protocol or is about single protocols, so that adding one does not touch it:
/// - its module, and files prefixed with its name, such as its sweeps, its dictionary and its fuzz targets;
/// - the folders with its name, and the tables of answers of the conformance tests;
/// - the tables, including that of the command's messages, which pits protocols against each other, and the parts of `interop` with their servers;
/// - generated files (lock files, the API listings) and history (the change log);
/// - the examples of the protocol inside TLS, each with one protocol's client crate, other whole programs, and the
///   measurements, which compare with such crates;
/// - the manual, which uses protocols as examples; its tests list the public constants, and the API listings check
///   that.
fn is_own(file: &str, protocol: &str) -> bool {
    let is_mail = matches!(protocol, "smtp" | "lmtp");
    let name = file.rsplit('/').next().unwrap_or_default();
    name.split(|c: char| !c.is_ascii_alphanumeric()).next() == Some(protocol)
        || file.contains(&format!("/src/{protocol}/"))
        || file.contains(&format!("/dialect/{protocol}/"))
        || file.starts_with("adapters/check/src/dialect/tests/")
        || is_mail && (file.starts_with("core/src/smtp/") || file.starts_with("core/src/mail/"))
        || file.starts_with("tests/vectors/") && file.ends_with(".toml")
        || file.starts_with("examples/cli/tests/cli/") && file.ends_with(".toml")
        || file.starts_with("tests/interop/") && file != "tests/interop/run"
        || file.starts_with("examples/programs/")
        || file.starts_with("examples/tokio/")
        || file.starts_with("tests/measure/")
        || file.starts_with("core/manual/")
        || file.starts_with("tests/tests/manual/")
        || name.ends_with(".lock")
        || file.starts_with("tests/api/")
        || file == "CHANGELOG.md"
}

/// Counts the text files under version control that contain the name of a protocol's module as a word, in
/// any case, and are not [its own](is_own). SMTP and LMTP occur wherever there is mail; for
/// them only files count that name two other protocols, too, as in a list.
#[test]
fn few_files_name_a_protocol() {
    let listed = Command::new("git").arg("ls-files").current_dir(root()).output().expect("git");
    assert!(listed.status.success(), "not a clone");
    let listed = String::from_utf8(listed.stdout).expect("names in UTF-8");
    let texts: Vec<(&str, BTreeSet<String>)> = listed
        .lines()
        .filter_map(|file| Some((file, fs::read_to_string(root().join(file)).ok()?)))
        .map(|(file, text)| {
            let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            (file, words.map(str::to_ascii_lowercase).collect())
        })
        .collect();
    assert!(texts.len() > 100, "{} files", texts.len());
    let mut crowded = Vec::new();
    for module in modules() {
        let others = |words: &BTreeSet<String>| {
            modules().iter().skip(2).filter(|other| words.contains(**other)).count()
        };
        let is_list = |words| !matches!(module, "smtp" | "lmtp") || others(words) >= 2;
        let files: Vec<&str> = texts
            .iter()
            .filter(|(file, words)| {
                words.contains(module) && is_list(words) && !is_own(file, module)
            })
            .map(|(file, _)| *file)
            .collect();
        println!("{module}: {} files", files.len());
        if files.len() > MAX_FILES {
            crowded.push((module, files));
        }
    }
    assert!(crowded.is_empty(), "in more than {MAX_FILES} files: {crowded:#?}");
}

#[test]
fn the_front_page_lists_every_protocol_with_its_ports() {
    let page = fs::read_to_string(root().join("README.md")).expect("the front page");
    let count = format!("{} protocols", Protocol::ALL.len());
    assert!(page.contains(&count), "README.md: no {count}");
    for protocol in Protocol::ALL {
        let asked = Some(format!("`{}://` {}", protocol.name, protocol.port));
        let first = protocol.implicit_name.zip(protocol.implicit_port);
        let first = first.map(|(name, port)| format!("`{name}://` {port}"));
        for scheme in asked.into_iter().chain(first) {
            assert!(page.contains(&scheme), "README.md: no {scheme}");
        }
    }
}

/// CI and the measurements read the list of features, which must equal the list of protocols.
#[test]
fn every_protocol_is_a_feature() {
    let manifest = fs::read_to_string(root().join("core/Cargo.toml")).expect("a manifest");
    let manifest: toml::Table = toml::from_str(&manifest).expect("a manifest");
    let features = manifest["features"]["protocols"].as_array().expect("a list");
    let features: Vec<&str> = features.iter().filter_map(toml::Value::as_str).collect();
    assert_eq!(features, grammars());
}
