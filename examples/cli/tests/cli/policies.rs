//! The output of `policy` for each cause, on standard output and error, with the exit code, from one table.

use serde::Deserialize;
use test_names::World;

use crate::common::{starttls, text};

#[derive(Deserialize)]
struct Table {
    row: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    cause: String,
    domain: String,
    #[serde(default)]
    options: Vec<String>,
    /// Records below the root, which is signed.
    #[serde(default)]
    secure: String,
    /// Records in `insecure.test`.
    #[serde(default)]
    insecure: String,
    /// Records in `bogus.test`, whose signatures are wrong.
    #[serde(default)]
    bogus: String,
    code: i32,
    /// Lines of standard output, trimmed.
    shows: Vec<String>,
    /// All of standard error.
    #[serde(default)]
    line: String,
    /// In `--json`: whether to try again later.
    temporary: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cause() {
    let table: Table = toml::from_str(include_str!("policies.toml")).expect("a table");
    let zone = |of: fn(&Row) -> &str| table.row.iter().map(of).collect::<String>();
    let world =
        World::new(&zone(|row| &row.secure), &zone(|row| &row.insecure), &zone(|row| &row.bogus))
            .await;
    let (dns, anchor) = (world.address().to_string(), world.anchor().display().to_string());
    let mut wrong = Vec::new();
    for row in &table.row {
        let mut arguments =
            vec!["policy", &row.domain, "--resolver", &dns, "--trust-anchor", &anchor];
        arguments.extend(row.options.iter().map(String::as_str));
        let output = tokio::task::block_in_place(|| starttls(&arguments, b""));
        let (out, error) = (text(&output.stdout), text(&output.stderr));
        let shows = |wanted: &&String| !out.lines().any(|line| line.trim() == **wanted);
        let missing: Vec<_> = row.shows.iter().filter(shows).collect();
        if !missing.is_empty()
            || error.trim_end() != row.line
            || output.status.code() != Some(row.code)
        {
            let code = output.status.code();
            wrong.push(format!(
                "{}: lacks {missing:?}, ends with {code:?}\n{out}{error}",
                row.cause
            ));
        }
        arguments.push("--json");
        let output = tokio::task::block_in_place(|| starttls(&arguments, b""));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        if report["temporary"] != row.temporary || output.status.code() != Some(row.code) {
            wrong.push(format!("{}, --json: {report}", row.cause));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
