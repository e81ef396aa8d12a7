//! A queue on disk.

use std::fs;
use std::io::BufRead as _;
use std::path::Path;

use serde_json::Value;

use crate::common::{Server, command, signal, starttls, text, tls_scripted};

fn queue(directory: &Path, to: &[&str], message: &[u8]) -> String {
    let place = directory.to_str().expect("UTF-8");
    let to: Vec<_> = to.iter().flat_map(|to| ["--to", to]).collect();
    let arguments = [&["send", "--queue", place, "--from", "me@b.test"], &to[..]].concat();
    let output = starttls(&arguments, message);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout).trim().strip_prefix("queued as ").expect("an id").to_owned()
}

/// The objects that a command prints, and its exit code.
fn objects(arguments: &[&str]) -> (Vec<Value>, Option<i32>) {
    let output = starttls(&[arguments, &["--json"]].concat(), b"");
    let lines = text(&output.stdout);
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    (lines.lines().map(parse).collect(), output.status.code())
}

#[test]
fn a_queued_mail_is_sent_later() {
    let place = tempfile::tempdir().expect("a directory");
    let (spool, inbox) = (place.path().join("spool"), place.path().join("inbox"));
    let [directory, deliver] = [&spool, &inbox].map(|path| path.to_str().expect("UTF-8"));
    let id = queue(&spool, &["a@b.test", "c@b.test"], b"Subject: x\n\nbody\n");
    let (list, code) = objects(&["queue", "list", directory]);
    assert_eq!((list.len(), code), (1, Some(0)));
    assert_eq!(
        (list[0]["id"].as_str(), list[0]["from"].as_str()),
        (Some(&id[..]), Some("me@b.test"))
    );
    assert_eq!(list[0]["recipients"][1]["address"], "c@b.test");
    assert_eq!(list[0]["recipients"][1]["said"], Value::Null);

    let server = Server::start(&["smtp", "--require-tls", "--deliver", deliver]);
    let url = server.url("smtp");
    let (run, code) = objects(&["queue", "run", directory, "--server", &url, "--ca", &server.ca]);
    assert_eq!(code, Some(0), "{run:?}");
    assert_eq!((&run[0]["delivered"], &run[0]["waiting"]), (&2.into(), &0.into()));
    let files: Vec<_> = fs::read_dir(&inbox).expect("a directory").collect();
    assert_eq!(files.len(), 1);
    let file = files.into_iter().next().expect("a mail").expect("an entry").path();
    assert_eq!(fs::read(file).expect("a mail"), b"Subject: x\r\n\r\nbody\r\n");
    assert_eq!(objects(&["queue", "list", directory]), (Vec::new(), Some(0)));
}

#[test]
fn a_mail_waits_until_a_server_takes_it() {
    let place = tempfile::tempdir().expect("a directory");
    let directory = place.path().to_str().expect("UTF-8");
    queue(place.path(), &["a@b.test", "c@b.test", "d@b.test"], b"x\n");
    let (url, ca) = tls_scripted(&[&[
        "250 mx\r\n",
        "250 ok\r\n",
        "250 ok\r\n",
        "450 4.2.1 busy\r\n",
        "550 5.1.1 unknown\r\n",
        "354 go\r\n",
        "250 taken\r\n",
        "221 bye\r\n",
    ]]);
    let ca = ca.path().to_str().expect("UTF-8");
    let run = ["queue", "run", directory, "--server", &url, "--ca", ca, "--helo", "me.test"];
    let output = starttls(&run, b"");
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{error}");
    assert!(error.contains("1 recipient failed for good; the sender gets a report"), "{error}");
    assert_eq!(text(&output.stdout), "1 delivered, 1 failed (recipients); 2 mails wait\n");
    let output = starttls(&["queue", "list", directory], b"");
    let shown = text(&output.stdout);
    assert!(shown.contains("  <c@b.test>: 450 4.2.1 busy\n"), "{shown}");
    assert!(shown.contains("next in 30 min"), "{shown}");
    assert!(shown.contains("from <>, attempts: 0, due\n  <me@b.test>: not tried yet\n"), "{shown}");

    // The server is gone: the report waits, too.
    let output = starttls(&run, b"");
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(13), "{error}");
    assert!(error.contains("2 mails wait for a later attempt; `starttls queue list"), "{error}");
}

#[cfg(unix)]
#[test]
fn watching_sends_what_is_queued_meanwhile() {
    let place = tempfile::tempdir().expect("a directory");
    let (spool, inbox) = (place.path().join("spool"), place.path().join("inbox"));
    let [directory, deliver] = [&spool, &inbox].map(|path| path.to_str().expect("UTF-8"));
    queue(&spool, &["a@b.test"], b"x\n");
    let server = Server::start(&["lmtp", "--require-tls", "--deliver", deliver]);
    let url = server.url("lmtp");
    let run = ["queue", "run", directory, "--server", &url, "--ca", &server.ca, "--watch"];
    let mut child = command(&run).spawn().expect("it starts");
    let mut lines = std::io::BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let one = "1 delivered, 0 failed (recipients); 0 mails wait";
    assert_eq!(lines.next().expect("a line").expect("text"), one);
    queue(&spool, &["c@b.test"], b"y\n");
    assert_eq!(lines.next().expect("a line").expect("text"), one);
    signal(&child, "TERM");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert_eq!(fs::read_dir(&inbox).expect("a directory").count(), 2);
}

/// A damaged file hides no mail, and is not hidden.
#[test]
fn a_damaged_mail_is_named() {
    let place = tempfile::tempdir().expect("a directory");
    let spool = place.path().join("spool");
    let directory = spool.to_str().expect("UTF-8");
    queue(&spool, &["a@b.test"], b"x\n");
    queue(&spool, &["c@b.test"], b"y\n");
    // Nothing is due after this attempt.
    let run = ["queue", "run", directory, "--server", "smtp://127.0.0.1:1"];
    assert_eq!(starttls(&run, b"").status.code(), Some(13));
    let mails = fs::read_dir(spool.join("mails")).expect("a directory");
    let mails = mails.map(|entry| entry.expect("a file").path());
    let damaged = mails.filter(|path| path.extension().is_some_and(|end| end == "mail")).min();
    let damaged = damaged.expect("a mail");
    fs::write(&damaged, "x").expect("written");
    let output = starttls(&["queue", "list", directory], b"");
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    let path = damaged.to_str().expect("UTF-8");
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(
        lines,
        [
            format!("starttls: {path}: not of this version, or damaged"),
            "starttls: 1 mail cannot be read, and will not be sent. Repair the file, or remove it."
                .to_owned(),
        ]
    );
    assert!(text(&output.stdout).contains("  <c@b.test>: "));
    let output = starttls(&run, b"");
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("1 mail cannot be read; `starttls queue list"), "{error}");
    assert_eq!(text(&output.stdout), "0 delivered, 0 failed (recipients); 1 mail waits\n");
}

#[test]
fn what_a_queue_does_not_take() {
    let place = tempfile::tempdir().expect("a directory");
    let directory = place.path().to_str().expect("UTF-8");
    let many = tempfile::tempdir().expect("a directory");
    fs::write(many.path().join("1.eml"), "x\n").expect("written");
    let mails = many.path().to_str().expect("UTF-8");
    for (arguments, complaint) in [
        (&["send", "--queue", directory][..], "--to"),
        (&["send", "--queue", directory, "--to", "a@b.test", "--server", "smtp://x"], "--server"),
        (&["send", "--queue", directory, "--to", "a@b.test", "--json"], "--json"),
        (&["send", "--queue", directory, "--to", "a@b.test", "--ca", "x"], "--ca needs --server"),
        (&["send", "--queue", directory, "--to", "a@b.test", mails], "one mail at a time"),
        (&["queue", "list", directory], "is not a queue; `starttls send --queue` makes one"),
        (&["queue", "run", directory], "--server"),
        (&["queue", "run", directory, "--server", "smtp://localhost"], "is not a queue"),
    ] {
        let output = starttls(arguments, b"x\n");
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(error.contains(complaint), "{arguments:?}: {error}");
    }
    assert_eq!(fs::read_dir(place.path()).expect("a directory").count(), 0);
}
