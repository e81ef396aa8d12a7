//! The sender and recipients of a mail, and its unchanged bytes.

use std::fs;
use std::io::BufRead as _;
use std::path::Path;

use crate::common::{Server, starttls, text, tls_scripted};

/// Sends `file` with the options to a server that stores mails. Returns the command's output and the stored mails.
fn sent(file: &Path, options: &[&str]) -> (Option<i32>, String, Vec<String>) {
    let inbox = tempfile::tempdir().expect("a directory");
    let deliver = inbox.path().to_str().expect("UTF-8");
    let server = Server::start(&["smtp", "--deliver", deliver]);
    let (url, file) = (server.url("smtp"), file.to_str().expect("UTF-8"));
    let arguments = ["send", "--server", &url, "--ca", &server.ca, file];
    let output = starttls(&[&arguments, options].concat(), b"");
    let mut arrived: Vec<_> = fs::read_dir(&inbox)
        .expect("a directory")
        .map(|entry| text(&fs::read(entry.expect("an entry").path()).expect("a mail")))
        .collect();
    arrived.sort();
    let said = text(&output.stdout) + &text(&output.stderr);
    (output.status.code(), said, arrived)
}

#[test]
fn no_recipient_is_dropped_silently() {
    let place = tempfile::tempdir().expect("a directory");
    for (to, named) in [
        ("root, b@b.test", "\"root\" has no domain"),
        ("b@b.test, c@d@e", "\"c@d@e\" is not an address"),
        ("b@b.test\nCc: =?utf-8?q?c=40d?=", "encoded word"),
    ] {
        let mail = format!("From: a@a.test\nTo: {to}\n\nx\n");
        fs::write(place.path().join("1.eml"), mail).expect("written");
        let (code, said, arrived) = sent(place.path(), &[]);
        assert_eq!((code, arrived), (Some(1), vec![]), "{said}");
        assert!(said.contains(named) && said.contains("--to"), "{said}");
        let (code, said, arrived) = sent(place.path(), &["--to", "b@b.test"]);
        assert_eq!((code, arrived.len()), (Some(0), 1), "{said}");
    }
    let to = "\"a b\"@b.test, c@[IPv6:2001:db8::1], <@x,@y:b@z.test>, d@b\u{fc}cher.test";
    let mail = format!("From: a@a.test\nTo: {to}\n\nx\n");
    fs::write(place.path().join("1.eml"), mail).expect("written");
    let (_, said, _) = sent(place.path(), &["--json"]);
    for address in
        ["\\\"a b\\\"@b.test", "c@[IPv6:2001:db8::1]", "b@z.test", "d@xn--bcher-kva.test"]
    {
        assert!(said.contains(&format!("\"address\":\"{address}\"")), "{address}: {said}");
    }
}

#[test]
fn a_message_is_never_truncated() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("mail");
    let header = "From: a@a.test\nTo: b@b.test\n";
    let body = "x\n\nFrom here on it gets worse\n\nFrom now on\n";
    let separator = "From a@a.test Thu Jan  1 00:00:00 1970\n";
    let expected = format!("{header}\n{body}").replace('\n', "\r\n");
    for (text, mails) in [
        (format!("{separator}{header}\n{body}\n{separator}{header}\n{body}\n"), 2),
        (format!("{separator}Content-Length: 1\n{header}\n{body}\n"), 1),
        (format!("{header}\n{body}"), 1),
    ] {
        fs::write(&file, &text).expect("written");
        let options = if mails == 1 && !text.starts_with("From a@") {
            &["--to", "b@b.test"][..]
        } else {
            &[]
        };
        let (code, said, arrived) = sent(&file, options);
        assert_eq!((code, arrived.len()), (Some(0), mails), "{said}");
        for mail in arrived {
            assert_eq!(mail.replace("Content-Length: 1\r\n", ""), expected, "{said}");
        }
    }
    // Standard input is always one message.
    let mbox = format!("{separator}{header}\n{body}\n");
    let output = starttls(&["send", "-"], mbox.as_bytes());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("is an mbox"), "{}", text(&output.stderr));
    // The name of a field, with an obsolete space.
    fs::write(&file, "From : A <a@a.test>\n\nx\n").expect("written");
    let (code, said, arrived) = sent(&file, &["--to", "b@b.test"]);
    assert_eq!((code, &arrived[0][..]), (Some(0), "From : A <a@a.test>\r\n\r\nx\r\n"), "{said}");
}

#[test]
fn line_ends_make_neither_fields_nor_lines() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("mail");
    for (message, expected) in [
        ("A: b\r\r\n\r\r\nx\r\r\n", "A: b\r\n\r\nx\r\n"),
        ("A: b\rBcc: c@d.test\r\n\r\nx\r\n", "A: b Bcc: c@d.test\r\n\r\nx\r\n"),
        ("A: b\r\n\r\nx\ry\r\n", "A: b\r\n\r\nx\r\ny\r\n"),
        ("A: b\n\r\r\r\nBcc: c@d.test\n\nx\n", "A: b\r\n \r\n\r\nx\r\n"),
    ] {
        fs::write(&file, message).expect("written");
        let (code, said, arrived) = sent(&file, &["--to", "b@b.test"]);
        assert_eq!((code, &arrived[..]), (Some(0), &[expected.to_owned()][..]), "{said}");
    }
}

#[test]
fn bcc_is_removed() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("mail");
    let message = "bcc : c@d.test,\n e@f.test\nSubject: x\nResent-Bcc: c@d.test\n\nBcc: a text\n";
    fs::write(&file, message).expect("written");
    let (code, said, arrived) = sent(&file, &["--to", "b@b.test"]);
    assert_eq!(
        (code, &arrived[..]),
        (Some(0), &["Subject: x\r\n\r\nBcc: a text\r\n".to_owned()][..]),
        "{said}"
    );
    let output = starttls(&["send", file.to_str().expect("UTF-8")], b"");
    let said = text(&output.stdout);
    assert!(output.status.success() && !said.contains("c@d.test"), "{said}");
    assert!(said.contains("byte for byte") || said.contains("each line ended by CRLF"), "{said}");
}

#[test]
fn a_report_has_no_sender() {
    let mut server = Server::start(&["smtp"]);
    let url = server.url("smtp");
    let arguments =
        ["send", "--server", &url, "--ca", &server.ca, "--to", "b@b.test", "--from", "<>"];
    let output = starttls(&arguments, b"A: b\n\nx\n");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let mut line = String::new();
    server.output.read_line(&mut line).expect("a line");
    assert!(line.trim_end().ends_with(" from=\"\" to=\"b@b.test\""), "{line}");
    let place = tempfile::tempdir().expect("a directory");
    fs::write(place.path().join("1.eml"), "From: a@b\nTo: b@b.test\n\nx\n").expect("written");
    let many = starttls(&[&arguments[..], &[place.path().to_str().expect("UTF-8")]].concat(), b"");
    assert_eq!(many.status.code(), Some(0), "{}", text(&many.stderr));
    let mut shown = String::new();
    while !shown.contains(" from=\"\" ") {
        assert_ne!(server.output.read_line(&mut shown).expect("a line"), 0, "{shown}");
    }
    let output = starttls(&[&arguments[..], &["--subject", "x"]].concat(), b"x\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("--from '<>'"), "{}", text(&output.stderr));
}

#[test]
fn an_empty_message_is_an_error() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("1.eml");
    for message in ["", "\r\n\n", "Bcc: c@d.test\n"] {
        fs::write(&file, message).expect("written");
        for source in [file.as_path(), place.path()] {
            let options = ["--from", "a@b.test", "--to", "b@b.test"];
            let (code, said, arrived) = sent(source, &options);
            assert_eq!((code, arrived.len()), (Some(1), 0), "{said}");
            assert!(said.contains("--allow-empty"), "{said}");
            let (code, said, arrived) = sent(source, &[&options[..], &["--allow-empty"]].concat());
            assert_eq!((code, arrived.len()), (Some(0), 1), "{said}");
        }
        // Without its Bcc, the next one equals this one.
        fs::remove_file(place.path().join(".starttls-state")).expect("removed");
    }
}

#[test]
fn no_mail_has_a_nul() {
    let output = starttls(&["send", "-"], b"A: b\n\nx\0y\n");
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("NUL") && error.contains("--subject"), "{error}");
    let output = starttls(&["send", "-", "--subject", "x"], b"x\0y\n");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

/// Our server accepts 1,000.
#[test]
fn more_recipients_than_a_server_accepts_at_once() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("1.eml");
    fs::write(&file, "From: a@a.test\n\nx\n").expect("written");
    let to: Vec<_> = (0..1100).flat_map(|n| ["--to".to_owned(), format!("{n}@b.test")]).collect();
    let to: Vec<_> = to.iter().map(String::as_str).chain(["--json"]).collect();
    for source in [&file, place.path()] {
        let (code, said, arrived) = sent(source, &to);
        assert_eq!((code, arrived.len()), (Some(0), 2), "{said}");
        assert_eq!(said.matches("\"accepted\":true").count(), 1100, "{said}");
        assert!(said.contains("\"address\":\"1099@b.test\",\"accepted\":true"), "{said}");
    }
}

/// The user must learn that the server may have a mail.
#[test]
fn possible_duplicates_are_always_reported() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("1.eml");
    fs::write(&file, "From: a@a.test\n\nx\n").expect("written");
    for (source, shown) in
        [(file.as_path(), "the server may have the mail"), (place.path(), "UNKNOWN ")]
    {
        for json in [false, true] {
            let ok = "250 ok\r\n";
            let (url, ca) = tls_scripted(&[&["250 mx\r\n", ok, ok, "354 go\r\n"]]);
            let (ca, source) =
                (ca.path().to_str().expect("UTF-8"), source.to_str().expect("UTF-8"));
            let arguments = ["send", "--server", &url, "--ca", ca, "--to", "b@b.test", source];
            let more: &[&str] = if json { &["--json"] } else { &[] };
            let output = starttls(&[&arguments[..], more].concat(), b"");
            let (said, error) = (text(&output.stdout), text(&output.stderr));
            let shown = if json { "\"fate\":\"unknown\",\"safe_to_retry\":false" } else { shown };
            assert!((said.clone() + &error).contains(shown), "{said}{error}");
            assert!(
                json || (said + &error).to_lowercase().contains("it may arrive twice"),
                "{error}"
            );
        }
    }
}
