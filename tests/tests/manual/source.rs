//! Documentation comments, read from the sources.

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub(crate) fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The Rust files in a folder and its subfolders.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .collect()
}

/// The variants of an enum, each with its documentation. Variants stand at one level of indentation.
pub(crate) fn variants(file: &str, name: &str) -> Vec<(String, String)> {
    let text = read(file);
    let body = text
        .split_once(&format!("pub enum {name} {{\n"))
        .or_else(|| text.split_once(&format!("pub enum {name}<S, T> {{\n")))
        .or_else(|| text.split_once(&format!("pub enum {name}<E> {{\n")));
    let (_, body) = body.unwrap_or_else(|| panic!("{file}: no enum {name}"));
    let (body, _) = body.split_once("\n}").expect("its end");
    let mut variants = Vec::new();
    let mut doc = String::new();
    for line in body.lines() {
        let Some(line) =
            line.strip_prefix("    ").filter(|line| !line.starts_with([' ', '#', '}']))
        else {
            continue;
        };
        if let Some(words) = line.strip_prefix("///") {
            doc += words;
        } else {
            let end = line.find(|c: char| !c.is_alphanumeric()).unwrap_or(line.len());
            variants.push((line[..end].to_owned(), flat(std::mem::take(&mut doc).trim())));
        }
    }
    assert!(!variants.is_empty(), "{file}: {name} is empty");
    variants
}

/// The documentation of a constant of a crate: its first sentence.
pub(crate) fn constant(folder: &str, module: &str, name: &str) -> String {
    let wanted = format!("pub const {name}:");
    let found: Vec<PathBuf> = files(&root().join(folder))
        .into_iter()
        .filter(|file| {
            fs::read_to_string(file)
                .expect("a source")
                .lines()
                .any(|line| line.starts_with(&wanted))
        })
        .collect();
    let of_module = |file: &&PathBuf| {
        file.components().any(|part| {
            part.as_os_str().to_str().is_some_and(|part| part.trim_end_matches(".rs") == module)
        })
    };
    let file = found.iter().find(of_module).or_else(|| found.first());
    let file = file.unwrap_or_else(|| panic!("{folder}: no constant {name}"));
    let text = fs::read_to_string(file).expect("a source");
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| line.starts_with(&wanted)).expect("the constant");
    let docs: Vec<&str> =
        lines[..at].iter().rev().map_while(|line| line.strip_prefix("///")).collect();
    let doc: String = docs.into_iter().rev().collect();
    let doc = flat(doc.trim());
    doc.split_inclusive(". ").next().unwrap_or_default().trim().to_owned()
}

/// Formats the text as a table cell, without link targets that only rustdoc resolves.
fn flat(doc: &str) -> String {
    let mut text = String::new();
    let mut rest = doc;
    while let Some((before, after)) = rest.split_once('[') {
        text += before;
        let Some((label, after)) = after.split_once(']') else {
            text.push('[');
            rest = after;
            continue;
        };
        text += label;
        rest = match after.strip_prefix('(').and_then(|target| target.split_once(')')) {
            Some((_, after)) => after,
            None => after,
        };
    }
    text += rest;
    text.replace('|', "\\|").split_whitespace().collect::<Vec<_>>().join(" ")
}
