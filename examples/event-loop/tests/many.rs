//! Runs the example as a user does.

use std::process::{Command, Output};

fn event_loop(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_event-loop")).args(arguments).output().expect("it runs")
}

#[test]
fn a_thousand_connections_at_once() {
    let output = event_loop(&["--mails", "1000", "--connections", "1000"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "1000 of 1000 mails arrived unchanged, 1000 connections at once\n");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn more_mails_than_connections_and_fewer() {
    for (mails, connections) in [("100", "3"), ("1", "5"), ("0", "1")] {
        let output = event_loop(&["--mails", mails, "--connections", connections]);
        let said = String::from_utf8_lossy(&output.stdout);
        let expected = format!(
            "{mails} of {mails} mails arrived unchanged, {connections} connections at once\n"
        );
        assert_eq!(said, expected);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn invalid_arguments_are_refused() {
    for arguments in [&["--connections", "0"][..], &["--mails", "x"], &["mails"]] {
        assert!(!event_loop(arguments).status.success());
    }
}
