//! The runner for drivers judges as the tables' own runner does, and finds what a wrong driver does.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use starttls_tests::driver::{Process, VERSION, Verdict, rows};
use starttls_tests::run::Cut;
use starttls_tests::table::names;
use starttls_tests::weight::Level;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(300);

fn python() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("driver/python")
}

/// Every row of every second table, played with our own machines.
fn plays(odd: usize) {
    let command = vec![OsString::from(env!("CARGO_BIN_EXE_core_driver"))];
    let mut driver = Process::new(command, PATIENCE);
    let mut played = 0;
    for table in names().iter().skip(odd).step_by(2) {
        for row in rows(table) {
            // Each piece is a message: long lines come in larger ones.
            let mail = row.row.mail.iter().flat_map(|mail| &mail.turns);
            let bytes: usize =
                row.row.turns.iter().chain(mail).map(|turn| turn.input.0.len()).sum();
            let middle = |turn: usize| Cut::Before {
                turn,
                offset: row.row.turns.get(turn).map_or(0, |turn| turn.input.0.len() / 2),
            };
            for cut in [Cut::Whole, Cut::Every(1 + bytes / 300), middle(0), middle(1)] {
                let verdict = row.play(&mut driver, cut);
                assert_eq!(verdict, Verdict::Pass, "{}, {cut:?}", row.row.id);
            }
            played += 1;
        }
    }
    assert!(played > 2000, "{played}");
}

#[test]
fn our_machines_do_what_the_rows_show() {
    plays(0);
}

#[test]
fn our_machines_do_what_the_other_rows_show() {
    plays(1);
}

/// The ids of rows with each verdict, by the toy of this name.
fn toy(name: &str, fault: bool) -> (BTreeSet<String>, BTreeSet<String>, Vec<String>) {
    let mut command: Vec<OsString> =
        vec!["python3".into(), python().join("tests").join(name).into()];
    command.extend(fault.then(|| OsString::from("--fault")));
    let mut driver = Process::new(command, PATIENCE);
    let protocol = name.split('_').next().expect("a protocol");
    let tables = names().into_iter().filter(|table| table.starts_with(protocol));
    let (mut injections, mut failed, mut skipped) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for played in tables.flat_map(|table| rows(&table)) {
        let row = &played.row;
        if row.level == Level::Ours {
            continue;
        }
        let mut verdict = played.play(&mut driver, Cut::Whole);
        if !matches!(verdict, Verdict::Fail(_)) {
            verdict = played.play(&mut driver, Cut::Every(1));
        }
        let injects =
            row.error.as_deref().is_some_and(|error| error.starts_with("PlaintextAfterGoAhead"));
        match verdict {
            Verdict::Skipped(why) => skipped.push(format!("{}: {why}", row.id)),
            verdict => {
                if injects || !row.early.0.is_empty() {
                    injections.insert(row.id.clone());
                }
                if let Verdict::Fail(finding) = verdict {
                    assert!(fault, "{}: {finding:?}", row.id);
                    failed.insert(row.id.clone());
                }
            }
        }
    }
    (injections, failed, skipped)
}

/// A toy passes its rows; with its fault it fails those in which something follows the request or the go-ahead, and no others.
#[test]
fn toys_fail_where_they_are_wrong() {
    for (name, least) in [("smtp_server.py", 25), ("imap_client.py", 30)] {
        let (_, failed, skipped) = toy(name, false);
        assert!(failed.is_empty(), "{failed:?}");
        let unexplained = |why: &&String| {
            !["not this protocol and role", "receives no mail", "another dialogue"]
                .iter()
                .any(|known| why.contains(known))
        };
        assert_eq!(skipped.iter().find(unexplained), None);
        assert!(
            skipped.iter().filter(|why| why.contains("another dialogue")).count() < 10,
            "{skipped:?}"
        );
        let (injections, failed, _) = toy(name, true);
        assert_eq!(failed, injections, "{name}");
        assert!(failed.len() >= least, "{name}: {failed:?}");
    }
}

fn drive(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drive"));
    command.args(arguments).env("PYTHONPATH", python()).output().expect("the runner")
}

fn outcome(driver: &str, options: &[&str]) -> (Option<i32>, Value) {
    let arguments = [options, &["--json", "--", "python3", "-c", driver]].concat();
    let output = drive(&arguments);
    (output.status.code(), serde_json::from_slice(&output.stdout).expect("JSON"))
}

const ROWS: [&str; 2] = ["--case", "smtp-server-upgrade*"];

/// All rows fail for this reason.
fn fails(driver: &str, case: &str, reason: &str) {
    let (code, report) = outcome(driver, &["--case", case, "--strict"]);
    assert_eq!(code, Some(1), "{report}");
    let rows = report["rows"].as_array().expect("rows");
    assert!(!rows.is_empty(), "{case}");
    for row in rows {
        let said = row["detail"]["reason"].as_str().unwrap_or_default();
        assert!(row["verdict"] == "fail" && said.contains(reason), "{row}");
    }
}

#[test]
fn a_side_that_acts_on_half_a_line_fails() {
    let driver = r#"
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    said = message["bytes"] if message["do"] == "in" else ""
    answer = {"out": ""}
    if message["do"] == "start":
        answer["out"] = "220 mx.example.org\r\n"
    elif said.startswith("EHLO"):
        answer["out"] = "250-mx.example.org\r\n250 STARTTLS\r\n"
    elif said.startswith("STARTTLS"):
        answer = {"out": "220 go\r\n", "state": "upgrade"}
    elif said and not said.endswith("\n"):
        answer["out"] = "500 what?\r\n"
    print(json.dumps(answer), flush=True)
"#;
    fails(driver, "smtp-server-upgrade", "half a line");
}

#[test]
fn a_client_that_logs_in_without_tls_fails_whether_it_closes_or_not() {
    for state in ["closed", "wait"] {
        let driver = r#"
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    said = message["bytes"] if message["do"] == "in" else ""
    answer = {"out": ""}
    if said.startswith("220"):
        answer["out"] = "EHLO client.example.org\r\n"
    elif said.startswith("250"):
        answer = {"out": "AUTH PLAIN AHUAcA==\r\n", "state": "STATE"}
    print(json.dumps(answer), flush=True)
"#;
        let driver = driver.replace("STATE", state);
        let (code, report) = outcome(&driver, &["--case", "smtp-client-stripped-*"]);
        assert_eq!(code, Some(1), "{report}");
        let rows = report["rows"].as_array().expect("rows");
        let counts = |verdict: &str| rows.iter().filter(|row| row["verdict"] == verdict).count();
        assert!(counts("fail") > 2 && counts("accepted") == 0, "{report}");
    }
}

/// The example on the page passes the row that the page names.
#[test]
fn the_example_passes() {
    let page = include_str!("../driver/README.md");
    let example = page.split("```python\n").nth(1).and_then(|rest| rest.split("```").next());
    let example = example.expect("an example");
    let (code, report) = outcome(example, &["--case", "smtp-server-upgrade"]);
    assert_eq!(code, Some(0), "{report}");
    assert!(report["rows"][0]["verdict"] == "pass", "{report}");
}

/// The driver sees the end of its input.
#[test]
fn a_driver_ends_by_itself() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let driver = format!(
        "import sys, time\nfor line in sys.stdin: print('{{}}', flush=True)\ntime.sleep(0.2)\n\
         open({:?}, 'w').write('ended')",
        file.path().to_str().expect("UTF-8")
    );
    outcome(&driver, &ROWS);
    assert_eq!(std::fs::read_to_string(file.path()).expect("read"), "ended");
}

#[test]
fn a_driver_that_is_none_ends_the_run() {
    let hangs = "import time; time.sleep(1000)";
    let never = drive(&["--patience", "1", "--case", "smtp-*", "--", "python3", "-c", hangs]);
    let missing = drive(&["--", "/nonexistent/driver"]);
    let no_row = drive(&["--case", "none-*", "--", "python3"]);
    for (output, said) in
        [(never, "did not answer"), (missing, "cannot be started"), (no_row, "no row matches")]
    {
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(said), "{text}");
    }
}

/// A driver that ends, hangs or talks nonsense fails its rows, and is started again for the next.
#[test]
fn a_driver_that_breaks_fails_its_rows() {
    let ends = "import sys; sys.stdin.readline()";
    let hangs = "import sys, time\nfor line in sys.stdin: time.sleep(1000)";
    let nonsense = "import sys\nfor line in sys.stdin: print('{\"state\": \"tired\"}', flush=True)";
    for (driver, patience, reason) in [
        (ends, "300", "the driver ended"),
        (hangs, "1", "did not answer in time"),
        (nonsense, "300", "cannot be read"),
    ] {
        let (code, report) = outcome(driver, &[&ROWS[..], &["--patience", patience]].concat());
        assert_eq!(code, Some(1), "{report}");
        let rows = report["rows"].as_array().expect("rows");
        assert!(rows.len() >= 2, "{report}");
        for row in rows {
            assert_eq!(row["verdict"], "fail", "{row}");
            assert!(
                row["detail"]["reason"].as_str().is_some_and(|text| text.contains(reason)),
                "{row}"
            );
        }
    }
}

#[test]
fn the_exit_code_tells_whether_rows_fail() {
    let skips = "import starttls_driver; starttls_driver.run()";
    let (code, report) = outcome(skips, &ROWS);
    assert_eq!(code, Some(2), "nothing was decided: {report}");
    assert_eq!(report["rows"][0]["detail"], "not this protocol and role");
    assert_eq!(report["schema"], "starttls-driver");
    let core = env!("CARGO_BIN_EXE_core_driver");
    let output = drive(&[
        "--case",
        "smtp-server-*",
        "--level",
        "must",
        "--cut",
        "3",
        "--every-offset",
        "--",
        core,
    ]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.starts_with("must: ") && text.contains(" 0 failed"), "{text}");
    // A recommendation that is not followed is no failure, except where it is to be one.
    let deaf = "import starttls_driver as s\n\
                class Deaf(s.Connection):\n    def receive(self, data): return b''\n\
                s.run(servers={'smtp': Deaf})";
    let should = ["--case", "smtp-server-required-rset"];
    assert_eq!(outcome(deaf, &should).0, Some(0));
    assert_eq!(outcome(deaf, &[&should[..], &["--strict"]].concat()).0, Some(1));
    for wrong in
        [&["--level", "may", "--", "true"][..], &["--case"], &["--cut", "0", "--", "true"], &[]]
    {
        assert_eq!(drive(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

/// The page names every option, message, key and state.
#[test]
fn the_page_explains_the_protocol() {
    let page = include_str!("../driver/README.md");
    let usage = String::from_utf8(drive(&[]).stderr).expect("text");
    let options = usage.lines().filter_map(|line| line.trim().split(' ').next());
    for option in options.filter(|word| word.starts_with("--")) {
        assert!(page.contains(&format!("`{option}")), "{option}");
    }
    for word in [
        "start",
        "in",
        "eof",
        "silence",
        "tls",
        "version",
        "row",
        "bytes",
        "result",
        "out",
        "state",
        "early",
        "error",
        "knows",
        "skip",
        "wait",
        "upgrade",
        "plaintext",
        "closed",
        "verified",
        "unverified",
        "failed",
    ] {
        assert!(page.contains(&format!("`{word}`")), "{word}");
    }
    assert!(page.contains(&format!("version {VERSION}")), "{VERSION}");
    let python =
        std::fs::read_to_string(python().join("starttls_driver/__init__.py")).expect("the package");
    assert!(python.contains(&format!("VERSION = {VERSION}\n")));
    assert!(python.lines().count() < 200);
}
