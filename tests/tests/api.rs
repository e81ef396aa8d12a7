//! The traits of every public type, by the listings in `api/`, which `.ci/api` compares with the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Crates for firmware, whose types have `defmt::Format`.
const CRATES: [&str; 3] = ["starttls", "starttls-embedded", "starttls-rustls"];

/// Types in the error position of a `Result` that are not errors: steps other than events.
const NO_ERROR: &str = "starttls_rustls::Step";

struct Api(String);

impl Api {
    fn of(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("api/{name}.txt"));
        Self(fs::read_to_string(path).expect("a listing"))
    }

    /// The types of the crate, by every public path.
    fn types(&self) -> BTreeSet<&str> {
        let declared = |line: &'_ str, kind: &str| line.find(kind).map(|at| at + kind.len());
        let lines =
            self.0.lines().filter(|line| line.starts_with("pub ") || line.starts_with("#["));
        lines
            .filter_map(|line| {
                let kinds = ["pub struct ", "pub enum ", "pub union "];
                let at = kinds.iter().find_map(|kind| declared(line, kind))?;
                Some(path(&line[at..]))
            })
            .collect()
    }

    /// The types that implement a trait.
    fn having(&self, wanted: &str) -> BTreeSet<&str> {
        let wanted = format!(" {wanted} for ");
        let lines = self.0.lines().filter(|line| line.starts_with("impl"));
        lines.filter_map(|line| Some(path(line.split_once(&wanted)?.1))).collect()
    }

    /// The error types of functions.
    fn errors(&self) -> BTreeSet<&str> {
        let functions = self.0.lines().filter(|line| line.contains(" fn "));
        functions
            .flat_map(|line| line.split("::result::Result<").skip(1).filter_map(error))
            .collect()
    }
}

/// The leading path, without generic arguments.
fn path(text: &str) -> &str {
    let text = text.trim_start_matches('&');
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    &text[..end.unwrap_or(text.len())]
}

/// The second argument of a `Result<` that ends right before `text`.
fn error(text: &str) -> Option<&str> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' | ')' | ']' if depth == 0 => return None,
            '>' | ')' | ']' => depth -= 1,
            ',' if depth == 0 => return Some(path(text[at + 1..].trim_start())),
            _ => {}
        }
    }
    None
}

#[test]
fn types_implement_defmt_format() {
    for name in CRATES {
        let api = Api::of(name);
        // The compiler checks that each implements Debug.
        let (shown, formatted) =
            (api.having("core::fmt::Debug"), api.having("defmt::traits::Format"));
        assert!(shown.len() >= 5, "{name}: {shown:?}");
        let missing: Vec<_> = shown.difference(&formatted).collect();
        assert!(missing.is_empty(), "{name}: no defmt::Format for {missing:?}");
    }
}

#[test]
fn error_types_implement_error() {
    for name in CRATES {
        let api = Api::of(name);
        let (types, errors) = (api.types(), api.having("core::error::Error"));
        let failing = api.errors();
        let ours: BTreeSet<_> = failing.intersection(&types).copied().collect();
        assert!(!ours.is_empty(), "{name}: {failing:?}");
        let missing: Vec<_> =
            ours.difference(&errors).filter(|error| **error != NO_ERROR).collect();
        assert!(missing.is_empty(), "{name}: no Error for {missing:?}");
    }
}
