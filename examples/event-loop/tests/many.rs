//! Runs the example as a user does, with each kind of I/O.

use std::process::{Command, Output};

/// What selects a kind of I/O.
const KINDS: &[&[&str]] = &[
    &[],
    #[cfg(feature = "io-uring")]
    &["--io-uring"],
];

fn event_loop(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_event-loop")).args(arguments).output().expect("it runs")
}

#[test]
fn a_thousand_connections_at_once() {
    for kind in KINDS {
        let output =
            event_loop(&[kind, &["--mails", "1000", "--connections", "1000"][..]].concat());
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said, "1000 of 1000 mails arrived unchanged, 1000 connections at once\n");
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn more_mails_than_connections_and_fewer() {
    for kind in KINDS {
        for (mails, connections) in [("100", "3"), ("1", "5"), ("0", "1")] {
            let arguments = ["--mails", mails, "--connections", connections];
            let output = event_loop(&[kind, &arguments[..]].concat());
            let said = String::from_utf8_lossy(&output.stdout);
            let expected = format!(
                "{mails} of {mails} mails arrived unchanged, {connections} connections at once\n"
            );
            assert_eq!(said, expected);
            assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        }
    }
}

/// No mail is lost: each client finishes the one that it has begun, and says goodbye.
#[test]
#[cfg(unix)]
fn a_signal_ends_it_in_good_order() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;

    for kind in KINDS {
        let mut child = Command::new(env!("CARGO_BIN_EXE_event-loop"))
            .args(
                [kind, &["--mails", "1000000000", "--connections", "20", "--say-begin"][..]]
                    .concat(),
            )
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let begun = lines.next().expect("a line").expect("text");
        assert_eq!(begun, "all are inside TLS");
        let killed = Command::new("kill").arg(child.id().to_string()).status();
        assert!(killed.expect("kill runs").success());
        let said = lines.next().expect("a line").expect("text");
        let output = child.wait_with_output().expect("it ends");
        assert!(
            said.starts_with("stopped: ") && said.ends_with("20 connections at once"),
            "{said}"
        );
        assert!(output.status.success() && output.stderr.is_empty(), "{said} {output:?}");
    }
}

#[test]
fn invalid_arguments_are_refused() {
    for arguments in [&["--connections", "0"][..], &["--mails", "x"], &["mails"]] {
        assert!(!event_loop(arguments).status.success());
    }
}
