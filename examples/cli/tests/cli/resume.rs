//! Many mails, interrupted and sent again.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{Server, command, signal, starttls, text, tls_scripted};

const OK: &str = "250 ok\r\n";
const GO: &str = "354 go\r\n";

/// Mails to two recipients; the last two are byte-identical.
fn mails(count: usize) -> TempDir {
    let place = tempfile::tempdir().expect("a directory");
    for number in 1..=count {
        let subject = number.min(count - 1);
        let mail = format!("From: me@a.test\nTo: a@b.test, c@b.test\nSubject: {subject}\n\nx\n");
        fs::write(place.path().join(format!("{number}.eml")), mail).expect("written");
    }
    place
}

fn send(url: &str, ca: &str, source: &Path, more: &[&str]) -> Output {
    let source = source.to_str().expect("UTF-8");
    starttls(&[&["send", "--server", url, "--ca", ca, source], more].concat(), b"")
}

fn reports(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// For each mail its fate and exit code, and for each recipient the result of an earlier run.
fn fates(output: &Output) -> Vec<(String, u64, Vec<Option<String>>)> {
    let word = |value: &Value| value.as_str().map(str::to_owned);
    reports(output)
        .iter()
        .map(|report| {
            let to = report["recipients"].as_array().expect("recipients");
            let earlier = to.iter().map(|to| word(&to["earlier"])).collect();
            (
                word(&report["fate"]).expect("a fate"),
                report["exit_code"].as_u64().expect("a code"),
                earlier,
            )
        })
        .collect()
}

#[test]
fn a_repeated_batch_sends_the_remaining_mails() {
    let place = mails(3);
    let inbox = tempfile::tempdir().expect("a directory");
    let count = || fs::read_dir(inbox.path()).expect("a directory").count();
    let deliver = inbox.path().to_str().expect("UTF-8");
    let server = Server::start(&["smtp", "--deliver", deliver]);
    let (url, ca) = (server.url("smtp"), &server.ca);

    let first = send(&url, ca, place.path(), &[]);
    assert!(text(&first.stdout).ends_with("3 sent, 0 refused, 0 failed\n"), "{first:?}");
    assert_eq!(count(), 3);
    fs::write(place.path().join("4.eml"), "To: c@d.test\nFrom: a@b.test\n\nnew\n").expect("mail");
    let second = send(&url, ca, place.path(), &[]);
    let shown = text(&second.stdout);
    assert_eq!(second.status.code(), Some(0), "{shown}");
    assert!(shown.contains("1 sent, 0 refused, 0 failed, 3 sent before, by "), "{shown}");
    assert!(shown.contains("--again") && shown.matches("sent by an earlier run").count() == 3);
    assert_eq!(count(), 4);

    let third = send(&url, ca, place.path(), &["--json"]);
    let accepted = Some("accepted".to_owned());
    let both = ("accepted".to_owned(), 0, vec![accepted.clone(), accepted.clone()]);
    let one = ("accepted".to_owned(), 0, vec![accepted]);
    assert_eq!(fates(&third), [both.clone(), both.clone(), both, one]);
    assert!(reports(&third).iter().all(|report| report["safe_to_retry"] == false));
    assert_eq!(count(), 4);

    // Another record does not know the mails, and --again discards the record.
    let state = inbox.path().join("state");
    let state = ["--state", state.to_str().expect("UTF-8")];
    assert_eq!(send(&url, ca, place.path(), &state).status.code(), Some(0));
    assert_eq!(count(), 8 + 1);
    assert_eq!(send(&url, ca, place.path(), &["--again"]).status.code(), Some(0));
    assert_eq!(count(), 12 + 1);
}

#[test]
fn only_the_remaining_recipients_get_it() {
    let place = mails(1);
    fs::remove_file(place.path().join("1.eml")).expect("removed");
    let mail = "From: me@a.test\nTo: a@b.test, c@b.test\nMessage-ID:\n <1@a.test>\n\nx\n";
    let mbox = place.path().join("mbox");
    fs::write(&mbox, format!("From x Thu Jan  1 00:00:00 1970\n{mail}")).expect("written");
    #[rustfmt::skip]
    let (url, ca) = tls_scripted(&[
        &[OK, OK, OK, "450 later\r\n", GO, OK, "221 bye\r\n"],
        &[OK, OK, OK, GO], // to the second one; no reply to the message
        &[OK, OK, OK, GO, "450 later\r\n", "221 bye\r\n"],
        &[OK, OK, OK, GO, OK, "221 bye\r\n"],
    ]);
    let ca = ca.path().to_str().expect("UTF-8");
    let run = || send(&url, ca, &mbox, &["--json"]);
    let word = |word: &str| Some(word.to_owned());
    for (fate, code, earlier) in [
        ("accepted", 6, vec![None, None]),
        ("unknown", 11, vec![None, word("accepted")]),
        ("not accepted", 6, vec![word("unknown"), word("accepted")]),
        ("accepted", 0, vec![word("unknown"), word("accepted")]),
        ("accepted", 0, vec![word("accepted"), word("accepted")]),
    ] {
        let output = run();
        assert_eq!(fates(&output), [(fate.to_owned(), code, earlier)], "{output:?}");
        assert_eq!(output.status.code(), Some(i32::try_from(code).expect("a code")));
    }
    let record = fs::read_to_string(place.path().join("mbox.starttls-state")).expect("a record");
    assert!(record.contains("\"message_id\":\"<1@a.test>\""), "{record}");
}

/// The user is told that a mail is sent again although it may have arrived.
#[test]
fn a_second_try_of_an_unknown_fate_is_reported() {
    let place = mails(1);
    #[rustfmt::skip]
    let (url, ca) = tls_scripted(&[
        &[OK, OK, OK, OK, GO],
        &[OK, OK, OK, OK, GO, OK, "221 bye\r\n"],
    ]);
    let ca = ca.path().to_str().expect("UTF-8");
    let first = send(&url, ca, place.path(), &[]);
    assert_eq!(first.status.code(), Some(11));
    let second = send(&url, ca, place.path(), &[]);
    let shown = text(&second.stdout);
    assert!(shown.contains("AGAIN") && shown.contains("it may arrive twice"), "{shown}");
    assert_eq!(second.status.code(), Some(0), "{shown}");
}

/// A plaintext server for one client. At a line, given by its start and by the number of mails so far, it waits for
/// `go` and answers, or closes.
fn slow_server(
    (waits_at, mail, hangs_up): (&'static str, usize, bool),
    go: Receiver<()>,
    came: Sender<()>,
) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        stream.write_all(b"220 hi\r\n").expect("written");
        let mut lines = BufReader::new(stream.try_clone().expect("a stream")).lines();
        let (mut in_mail, mut mails) = (false, 0);
        while let Some(Ok(line)) = lines.next() {
            if in_mail && line != "." {
                continue;
            }
            in_mail = line == "DATA";
            mails += usize::from(line.starts_with("MAIL"));
            if mails == mail && line.starts_with(waits_at) {
                came.send(()).expect("heard");
                if go.recv_timeout(Duration::from_secs(20)).is_err() || hangs_up {
                    return;
                }
            }
            let answer = if in_mail { GO } else { OK };
            stream.write_all(answer.as_bytes()).expect("written");
        }
    });
    format!("smtp://127.0.0.1:{port}")
}

/// A mail that was begun but certainly not sent is not unknown to the next run.
#[test]
fn an_unsent_mail_is_not_unknown() {
    let place = mails(2);
    let (go, wait) = channel();
    let (came, comes) = channel();
    let url = slow_server(("MAIL", 2, true), wait, came);
    let source = place.path().to_str().expect("UTF-8");
    let arguments = ["send", "--server", &url, "--tls", "opportunistic", source];
    let mut child = command(&arguments).spawn().expect("it starts");
    comes.recv().expect("a mail");
    signal(&child, "TERM");
    let mut line = String::new();
    let mut said = BufReader::new(child.stderr.take().expect("piped"));
    said.read_line(&mut line).expect("a line");
    go.send(()).expect("a server");
    assert_eq!(child.wait().expect("it ends").code(), Some(12));
    let record = fs::read_to_string(place.path().join(".starttls-state")).expect("a record");
    let last: Value = serde_json::from_str(record.lines().last().expect("a line")).expect("JSON");
    assert!(last["mail"].as_str().expect("a name").ends_with("2.eml"), "{record}");
    assert_eq!(last["unknown"].as_array().map(Vec::len), Some(0), "{record}");
}

#[test]
fn a_signal_stops_the_batch_after_the_current_mail() {
    for (name, json) in [("TERM", true), ("INT", false), ("HUP", false)] {
        let place = mails(3);
        let (go, wait) = channel();
        let (came, comes) = channel();
        let url = slow_server((".", 1, false), wait, came);
        let source = place.path().to_str().expect("UTF-8");
        let arguments = ["send", "--server", &url, "--tls", "opportunistic", source, "--json"];
        let mut child = command(&arguments[..6 + usize::from(json)]).spawn().expect("it starts");
        comes.recv().expect("a mail");
        signal(&child, name);
        let mut said = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        said.read_line(&mut line).expect("a line");
        assert!(line.contains("a second signal ends it at once"), "{line}");
        go.send(()).expect("a server");
        let mut rest = String::new();
        said.read_to_string(&mut rest).expect("text");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(12), "{name}: {rest}");
        assert!(rest.contains("stopped by a signal; the remaining mails were not sent"), "{rest}");
        if json {
            let fates: Vec<_> =
                fates(&output).into_iter().map(|(fate, code, _)| (fate, code)).collect();
            let not = ("not sent".to_owned(), 12);
            assert_eq!(fates, [("accepted".to_owned(), 0), not.clone(), not]);
        } else {
            let shown = text(&output.stdout);
            assert!(shown.ends_with("1 sent, 0 refused, 0 failed, 2 not tried\n"), "{shown}");
        }
        drop(go);
    }
}

#[test]
fn an_invalid_record_is_refused() {
    let place = mails(2);
    let run = |more: &[&str]| {
        let source = place.path().to_str().expect("UTF-8");
        let arguments = ["send", "--server", "smtp://127.0.0.1:1", source];
        let output = starttls(&[&arguments, more].concat(), b"");
        (output.status.code(), text(&output.stderr))
    };
    let mail = place.path().join("1.eml").display().to_string();
    for more in [&["--state", &mail][..], &["--state", &mail, "--again"]] {
        let (code, error) = run(more);
        assert_eq!(code, Some(1));
        assert!(error.contains("1.eml: line 1 is not a record of mails"), "{error}");
    }
    assert!(fs::read_to_string(&mail).expect("a mail").starts_with("From: me@"));
    for option in ["--state=x", "--again"] {
        let output =
            starttls(&["send", "--server", "smtp://x", "--to", "a@b.test", &mail, option], b"");
        let error = text(&output.stderr);
        assert!(error.contains("is for many mails"), "{error}");
    }
}
