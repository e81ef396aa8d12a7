//! Every page is part of the documentation's manual, of the doc tests, and of the front page.

use std::collections::BTreeSet;
use std::fs;

use crate::source::{read, root};

/// The limit for the front page, in lines.
const MAX_FRONT_PAGE: usize = 200;

#[test]
fn the_front_page_is_short() {
    let lines = read("README.md").lines().count();
    assert!(lines <= MAX_FRONT_PAGE, "{lines} lines");
}

/// Each page is a module of the core's documentation, its code is compiled, and the index and the front page name it.
#[test]
fn every_page_of_the_manual_is_linked() {
    let folder = root().join("core/manual");
    let entries = fs::read_dir(folder).expect("the manual");
    let names =
        entries.map(|entry| entry.expect("a page").file_name().into_string().expect("UTF-8"));
    let names: Vec<String> =
        names.filter_map(|name| name.strip_suffix(".md").map(str::to_owned)).collect();
    assert!(names.len() > 10, "{names:?}");
    let (index, front) = (read("core/manual/README.md"), read("README.md"));
    let (modules, tests) = (read("core/src/manual.rs"), read("tests/src/lib.rs"));
    for name in names.iter().filter(|name| *name != "README") {
        assert!(index.contains(&format!("]: {name}.md")), "core/manual/README.md: no {name}");
        assert!(front.contains(&format!("(core/manual/{name}.md)")), "README.md: no {name}");
        assert!(modules.contains(&format!("\"{name}\"")), "core/src/manual.rs: no {name}");
        assert!(tests.contains(&format!("\"{name}\"")), "tests/src/lib.rs: no {name}");
    }
}

/// The rows that the page on attacks names.
#[test]
fn every_row_of_the_attacks_exists() {
    let page = read("core/manual/attacks.md");
    let tables = starttls_tests::table::names();
    let rows: BTreeSet<String> = tables
        .iter()
        .flat_map(|name| starttls_tests::table::rows(name))
        .map(|row| row.id)
        .collect();
    let named: Vec<&str> = page
        .split('`')
        .filter(|word| {
            ["-client-", "-server-", "-session-", "-receiver-"]
                .iter()
                .any(|role| word.contains(role))
        })
        .collect();
    assert!(named.len() > 15, "{named:?}");
    for row in named {
        assert!(rows.contains(row), "no row {row}");
    }
}
