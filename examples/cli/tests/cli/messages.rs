//! Each command's message for each cause: the sentence, the advice and the exit code, from one table.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::common::{scripted_as, starttls, text};
use crate::tls::Files;

#[derive(Deserialize)]
struct Table {
    row: Vec<Row>,
    run: Vec<Run>,
}

/// A command that fails before it reaches a peer.
#[derive(Deserialize)]
struct Run {
    cause: String,
    arguments: Vec<String>,
    /// The content of the file for the argument `FILE`.
    file: Option<String>,
    said: Said,
}

/// A peer, and each command's message about it.
#[derive(Deserialize)]
struct Row {
    cause: String,
    scheme: String,
    /// The peer's lines, each sent after one of the client.
    says: Vec<String>,
    said: BTreeMap<String, Said>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
struct Said {
    code: i32,
    /// All of standard error, with `PORT` for the port, `FILE` and `DIR` for a file and its directory.
    line: String,
}

fn table() -> Table {
    toml::from_str(include_str!("messages.toml")).expect("a table")
}

fn run(command: &str, row: &Row) -> Said {
    let says: Vec<&'static str> =
        row.says.iter().map(|line| &*Box::leak(line.clone().into_boxed_str())).collect();
    let (url, server) = scripted_as(&row.scheme, &says);
    let port = url.rsplit(':').next().expect("a port").to_owned();
    let mails = Files::new();
    let mbox = mails.with("mbox", "From x Thu Jan  1 00:00:00 1970\nFrom: me@example.test\n\nx\n");
    let mut arguments = vec![if command == "bulk" { "send" } else { command }];
    if matches!(command, "bulk" | "send") {
        arguments.extend(["--to", "you@example.test", "--helo", "client.example.test", "--server"]);
    }
    arguments.extend([&url[..], "--timeout", "1"]);
    if command == "bulk" {
        arguments.push(&mbox);
    }
    let output = starttls(&arguments, b"x\r\n");
    server.join().expect("no panic");
    let line = text(&output.stderr)
        .trim_end()
        .replace(&format!(":{port}"), ":PORT")
        .replace(&mbox, "FILE");
    Said { code: output.status.code().expect("an exit code"), line }
}

#[test]
fn every_cause_without_a_peer() {
    let mut wrong = Vec::new();
    for run in table().run {
        let files = Files::new();
        let file = files.with("file", run.file.as_deref().unwrap_or_default());
        let directory = file.strip_suffix("/file").expect("a directory");
        let put = |text: &String| text.replace("FILE", &file).replace("DIR", directory);
        let arguments: Vec<_> = run.arguments.iter().map(put).collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let output = starttls(&arguments, b"");
        let line = text(&output.stderr).trim_end().replace(&file, "FILE").replace(directory, "DIR");
        let said = Said { code: output.status.code().expect("an exit code"), line };
        if said != run.said {
            wrong.push(format!("{}: {said:#?}", run.cause));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_cause_in_every_command() {
    let mut wrong = Vec::new();
    for row in table().row {
        assert!(!row.said.is_empty(), "{}", row.cause);
        for (command, expected) in &row.said {
            let said = run(command, &row);
            if said != *expected {
                wrong.push(format!("{}, {command}: {said:#?}", row.cause));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
