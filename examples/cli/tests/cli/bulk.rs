//! Many mails over one connection.

use std::fs;

use serde_json::Value;

use crate::common::{Server, starttls, text, tls_scripted};

fn mail(to: &str, bcc: &str, subject: &str) -> String {
    format!("From: me@a.test\nTo: {to}\nBcc: {bcc}\nSubject: {subject}\n\n.\n")
}

fn lines(output: &[u8]) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).expect("JSON");
    text(output).lines().map(parse).collect()
}

#[test]
fn directories_maildirs_and_mbox_files() {
    let place = tempfile::tempdir().expect("a directory");
    let path = |name: &str| place.path().join(name);
    for directory in ["eml", "maildir/new", "maildir/cur", "maildir/tmp"] {
        fs::create_dir_all(path(directory)).expect("a directory");
    }
    for (name, subject) in [
        ("eml/1.eml", "one"),
        ("eml/2.EML", "two"),
        ("eml/3.txt", "no mail"),
        ("maildir/new/2.host", "two"),
        ("maildir/cur/1.host:2,S", "one"),
        ("maildir/tmp/3.host", "unfinished"),
    ] {
        fs::write(path(name), mail("you@b.test", "them@c.test", subject)).expect("written");
    }
    let mails = ["one", "two"].map(|subject| {
        format!("From x Thu Jan  1 00:00:00 1970\n{}\n", mail("you@b.test", "them@c.test", subject))
    });
    fs::write(path("mbox"), mails.concat()).expect("written");

    for source in ["eml", "maildir", "mbox"] {
        let inbox = path(&format!("{source}-inbox"));
        let deliver = inbox.to_str().expect("UTF-8");
        let server = Server::start(&["smtp", "--require-tls", "--deliver", deliver]);
        let (url, source) = (server.url("smtp"), path(source));
        let source = source.to_str().expect("UTF-8");
        let arguments = ["send", "--server", &url, "--ca", &server.ca, source];
        let output = starttls(&arguments, b"");
        let shown = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{shown}{}", text(&output.stderr));
        assert_eq!(shown.matches("  sent ").count(), 2, "{shown}");
        assert!(shown.ends_with("  2 sent, 0 refused, 0 failed\n"), "{shown}");
        let mut arrived: Vec<_> = fs::read_dir(&inbox)
            .expect("a directory")
            .map(|entry| text(&fs::read(entry.expect("an entry").path()).expect("a mail")))
            .collect();
        arrived.sort();
        let expected = ["one", "two"].map(|subject| {
            let whole = mail("you@b.test", "", subject);
            whole.replace("Bcc: \n", "").replace('\n', "\r\n")
        });
        assert_eq!(arrived, expected);

        let to_others = [&arguments[..], &["--json", "--from", "x@y.test", "--to", "z@y.test"]];
        let output = starttls(&to_others.concat(), b"");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        for report in lines(&output.stdout) {
            assert_eq!(report["from"], "x@y.test");
            assert_eq!(report["recipients"].as_array().map(Vec::len), Some(1));
            assert_eq!(report["recipients"][0]["address"], "z@y.test");
            assert_eq!(report["recipients"][0]["accepted"], true);
            assert_eq!((&report["fate"], &report["error"]), (&"accepted".into(), &Value::Null));
        }
    }
}

#[test]
fn each_mail_has_its_fate() {
    const OK: &str = "250 ok\r\n";
    const GO: &str = "354 go\r\n";
    let place = tempfile::tempdir().expect("a directory");
    let mails: [(&str, &str); 7] = [
        ("1.eml", "To: a@b.test\n"),
        ("2.eml", "To: a@b.test, no@b.test\n"),
        ("3.eml", "To: no@b.test\n"),
        ("4.eml", "Subject: nobody\n"),
        ("5.eml", "To: a@b.test\n"),
        ("6.eml", "To: a@b.test\n"),
        ("7.eml", "To: a@b.test\n"),
    ];
    for (name, header) in mails {
        fs::write(place.path().join(name), format!("From: me@a.test\n{header}\nx\n"))
            .expect("written");
    }
    #[rustfmt::skip]
    let (url, ca) = tls_scripted(&[
        &[
            OK, // EHLO
            OK, OK, GO, OK, // 1: sent
            OK, OK, "550 no\r\n", GO, OK, // 2: to one of two
            OK, "450 later\r\n", // 3: refused
            OK, // RSET, and the server closes where 5 would begin
        ],
        &[OK, OK, OK, GO], // 5: again, and the server closes after its end
        &[OK, OK, OK, GO, "452 full\r\n", OK], // 6: refused; it closes before 7 is sent
        &[OK, OK, OK, GO, OK, "221 bye\r\n"], // 7: again, sent
    ]);
    let ca = ca.path().to_str().expect("UTF-8");
    let source = place.path().to_str().expect("UTF-8");
    let output = starttls(&["send", "--server", &url, "--ca", ca, "--json", source], b"");
    let reports = lines(&output.stdout);
    let found: Vec<_> = reports
        .iter()
        .map(|report| {
            let fate = report["fate"].as_str().expect("a word");
            let mail = report["mail"].as_str().expect("a name");
            (&mail[mail.len() - 5..], fate, report["safe_to_retry"] == true)
        })
        .collect();
    assert_eq!(
        found,
        [
            ("1.eml", "accepted", false),
            ("2.eml", "accepted", false),
            ("3.eml", "not sent", true),
            ("4.eml", "not sent", true),
            ("5.eml", "unknown", false),
            ("6.eml", "not accepted", true),
            ("7.eml", "accepted", false),
        ],
        "{}",
        text(&output.stderr)
    );
    assert_eq!(reports[1]["recipients"][0]["accepted"], true);
    assert_eq!(reports[1]["recipients"][1]["accepted"], false);
    assert_eq!(reports[1]["recipients"][1]["answer"], "550 no");
    assert_eq!(
        output.status.code(),
        Some(11),
        "one may arrive twice, which comes before a refusal"
    );
    let error = text(&output.stderr);
    let sum = "5 mails were not sent to every recipient; 1 of them may arrive twice if sent again";
    assert_eq!(error, format!("starttls: {sum}\n"));
}

#[test]
fn an_unreachable_server_ends_the_batch_at_once() {
    let place = tempfile::tempdir().expect("a directory");
    for name in ["1.eml", "2.eml"] {
        fs::write(place.path().join(name), "From: a@b\nTo: c@d\n\n").expect("written");
    }
    let source = place.path().to_str().expect("UTF-8");
    let output = starttls(&["send", "--server", "smtp://127.0.0.1:1", source], b"");
    assert_eq!(output.status.code(), Some(8));
    let shown = text(&output.stdout);
    assert_eq!(shown.matches("NOT SENT").count(), 1, "{shown}");
    assert!(shown.contains("(safe to send again)"), "{shown}");
    let error = text(&output.stderr);
    assert!(error.contains("1.eml; the remaining mails were not sent"), "{error}");

    fs::create_dir(place.path().join("empty")).expect("a directory");
    let empty = place.path().join("empty");
    let output = starttls(&["send", "--server", "smtp://x", empty.to_str().expect("UTF-8")], b"");
    assert!(text(&output.stderr).contains("no .eml file"), "{}", text(&output.stderr));
    let output = starttls(&["send", source], b"");
    assert!(text(&output.stderr).contains("--server"), "{}", text(&output.stderr));
}
