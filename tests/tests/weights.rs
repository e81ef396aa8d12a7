//! Every row has a weight, a source and the alternatives that others have.

use std::collections::{BTreeMap, BTreeSet};

use starttls::Protocol;
use starttls_check::{ClientTest, ServerTest};
use starttls_tests::accept::Alternative;
use starttls_tests::rules::RULES;
use starttls_tests::table::{Demand, Role, Row, names, rows};
use starttls_tests::weight::{Level, is_clause};

fn all() -> Vec<Row> {
    names().iter().flat_map(|name| rows(name)).collect()
}

fn is_injected(row: &Row) -> bool {
    row.error.as_deref().is_some_and(|error| error.starts_with("PlaintextAfterGoAhead"))
}

/// The words and sources are those of the conformance tests, and one more word.
#[test]
fn weights_are_those_of_the_conformance_tests() {
    let names: Vec<&str> = Level::ALL[1..].iter().map(|level| level.name()).collect();
    assert_eq!(names, starttls_check::Level::ALL.map(starttls_check::Level::name));
    for protocol in Protocol::ALL {
        let lists = [ServerTest::cases(protocol), ClientTest::cases(protocol)];
        for case in lists.into_iter().flat_map(|cases| cases.expect("a protocol with tests")) {
            assert!(is_clause(case.clause), "{}: {}", case.id, case.clause);
        }
    }
    for clause in [
        "",
        "rfc",
        "rfc3207",
        "rfc3207/",
        "rfc3207/a",
        "RFC3207/4",
        "cve-1",
        "class/",
        "ours/whim",
        "a b/c",
    ] {
        assert_eq!(is_clause(clause), clause == "rfc3207", "{clause}");
    }
}

#[test]
fn every_row_has_a_weight() {
    for row in all() {
        assert!(is_clause(&row.clause), "{}: {}", row.id, row.clause);
        assert_eq!(row.level == Level::Ours, row.clause.starts_with("ours/"), "{}", row.id);
        let unique: BTreeSet<_> = row.accept.iter().collect();
        assert_eq!(unique.len(), row.accept.len(), "{}: {:?}", row.id, row.accept);
    }
    // A property of every row gives none a weight.
    for (id, rule) in &*RULES {
        assert_eq!(rule.weight.is_none(), matches!(&id[..], "I13" | "I14"), "{id}");
    }
}

/// What an attacker wants is never an alternative.
#[test]
fn no_row_accepts_its_attack() {
    let mut attacks = 0;
    for row in all() {
        let accepts = |word| row.accept.contains(&word);
        for word in [Alternative::Quit, Alternative::Request, Alternative::Plaintext] {
            assert!(row.role == Role::Client || !accepts(word), "{}: {word:?}", row.id);
        }
        assert!(row.role == Role::Server || !accepts(Alternative::Refusal), "{}", row.id);
        // TLS is never an alternative, only TLS that forgets: after an injection, or with a ClientHello in advance.
        let forgets = is_injected(&row) || !row.early.0.is_empty();
        assert!(forgets || !accepts(Alternative::Discard), "{}", row.id);
        // A client goes on in plaintext only where it may, and never after the go-ahead.
        let may = row.policy == Demand::Opportunistic && row.end.as_deref() != Some("upgrade");
        assert!(may && !is_injected(&row) || !accepts(Alternative::Plaintext), "{}", row.id);
        if is_injected(&row) {
            attacks += 1;
            assert_eq!(row.level, Level::Must, "{}: {}", row.id, row.clause);
            assert!(accepts(Alternative::Close) && !accepts(Alternative::Wait), "{}", row.id);
        }
        // A client that must have TLS, and was denied it, has no way on.
        if row.role == Role::Client
            && matches!(row.error.as_deref(), Some("NotOffered" | "Refused"))
        {
            assert!(accepts(Alternative::Close), "{}", row.id);
        }
    }
    assert!(attacks > 500, "{attacks}");
}

/// The page of the format counts the rows of each weight.
#[test]
fn the_page_counts_the_rows() {
    let mut counts = BTreeMap::new();
    for row in all() {
        *counts.entry(row.level).or_insert(0) += 1;
    }
    println!("{counts:?}");
    let page = include_str!("../vectors/README.md");
    for (level, count) in counts {
        let line = page.lines().find(|line| line.starts_with(&format!("| `{}` |", level.name())));
        let line = line.unwrap_or_else(|| panic!("no line on {}", level.name()));
        assert!(line.ends_with(&format!(" | {count} |")), "{count} rows: {line}");
    }
}
