//! The tables, the list of rules and the core agree on the ids.

use std::collections::BTreeSet;
use std::path::Path;

use starttls_tests::ERRORS;
use starttls_tests::rules::RULES;
use starttls_tests::table::{Row, names, rows};

fn all() -> Vec<Row> {
    names().iter().flat_map(|name| rows(name)).collect()
}

/// The rules that the policy rows cite.
fn policies() -> impl Iterator<Item = String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let entries = std::fs::read_dir(folder).expect("the tables");
    let paths = entries.map(|entry| entry.expect("a file").path());
    let tables = paths.filter(|path| path.extension().is_some_and(|end| end == "toml"));
    tables.flat_map(|path| {
        let text = std::fs::read_to_string(path).expect("a table");
        let table: toml::Table = toml::from_str(&text).expect("a table");
        let rules = table["row"].as_array().expect("rows").iter().flat_map(|row| {
            row["rules"].as_array().expect("rules").iter().map(|rule| rule.as_str().expect("an id"))
        });
        rules.map(str::to_owned).collect::<Vec<_>>()
    })
}

#[test]
fn ids_are_unique() {
    let mut seen = BTreeSet::new();
    for row in all() {
        let clean =
            |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
        assert!(row.id.bytes().all(clean), "{}", row.id);
        assert!(!row.source.is_empty() && !row.rules.is_empty(), "{}: why?", row.id);
        assert!(seen.insert(row.id.clone()), "{} twice", row.id);
    }
}

#[test]
fn every_rule_has_a_row() {
    let cited: BTreeSet<String> =
        all().into_iter().flat_map(|row| row.rules).chain(policies()).collect();
    let groups = [
        ("I", 18),
        ("SM", 20),
        ("MR", 9),
        ("IM", 20),
        ("PO", 8),
        ("FT", 16),
        ("NN", 11),
        ("MS", 7),
        ("IR", 6),
        ("NU", 3),
        ("PG", 10),
        ("MY", 9),
        ("NB", 7),
        ("LD", 12),
        ("VN", 6),
        ("RD", 6),
        ("XM", 18),
        ("PL", 31),
        ("N", 25),
        ("AD", 10),
    ];
    let expected: BTreeSet<String> = groups
        .into_iter()
        .flat_map(|(group, last)| (1..=last).map(move |n| format!("{group}{n}")))
        .collect();
    assert_eq!(RULES.keys().cloned().collect::<BTreeSet<_>>(), expected);
    assert!(cited.is_subset(&expected), "{:?}", cited.difference(&expected));
    for (id, rule) in &*RULES {
        let shown = &rule.shown;
        let rows = shown.contains("rows") || shown.contains(".toml");
        assert!(cited.contains(id) || !rows && !shown.is_empty(), "{id}: no row, {shown}");
    }
}

#[test]
fn every_file_that_shows_a_rule_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tests = root.join("tests");
    let tables = names();
    for (id, rule) in &*RULES {
        for name in rule.shown.split('`').skip(1).step_by(2) {
            let found = match name.split_once('*') {
                Some((_, end)) if end.ends_with(".toml") => {
                    tables.iter().any(|table| table.ends_with(end))
                }
                Some((start, _)) => tables.iter().any(|table| table.starts_with(start)),
                None if name.starts_with("../") => root.join(name).is_file(),
                None if name.ends_with(".rs") => tests.join(name).is_file(),
                None => continue,
            };
            assert!(found, "{id}: {name}");
        }
    }
}

#[test]
fn every_error_names_a_rule() {
    for error in ERRORS {
        assert!(RULES.contains_key(error.rule()), "{error:?}: {}", error.rule());
    }
    // Every rule named in the core's source is in the list.
    let source =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src/error.rs"))
            .expect("the core's errors");
    let body = source.split("fn rule(").nth(1).expect("the method");
    let body = body.split("\n    }\n").next().expect("its end");
    let named: Vec<&str> = body.split('"').skip(1).step_by(2).collect();
    assert!(named.len() > 5);
    for rule in named {
        assert!(RULES.contains_key(rule), "{rule}");
    }
}

#[test]
fn every_error_of_a_row_exists() {
    let known = include_str!("../../core/src/error.rs");
    for row in all() {
        let mail = row.mail.as_ref().and_then(|mail| mail.error.as_ref());
        for error in row.error.iter().chain(mail) {
            let name = error.split('(').next().expect("a name");
            assert!(known.contains(&format!("Self::{name}")), "{}: {error}", row.id);
        }
    }
}
