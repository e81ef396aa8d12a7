//! The login, and the composed message with its files.

use std::fs;

use mail_parser::{MessageParser, MimeHeaders as _};

use crate::common::{Server, starttls, text};

#[test]
fn by_one_mechanism_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let secret = directory.path().join("secret");
    fs::write(&secret, "secret\n").expect("written");
    let secret = secret.to_str().expect("UTF-8");
    let server = Server::start(&["smtp", "--user", "me", "--password-file", secret]);
    let url = server.url("smtp");
    for (mechanism, code, complaint) in [
        ("LOGIN", 0, ""),
        ("plain", 0, ""),
        ("SCRAM-SHA-256", 0, ""),
        ("SCRAM-SHA-256-PLUS", 0, ""),
        ("CRAM-MD5", 1, "does not offer"),
        ("XOAUTH2", 1, "does not offer"),
        ("MD5", 1, "one of SCRAM-SHA-256-PLUS"),
    ] {
        let output = starttls(
            &[
                "send",
                "--server",
                &url,
                "--ca",
                &server.ca,
                "--to",
                "c@d.test",
                "--user",
                "me",
                "--password-file",
                secret,
                "--auth",
                mechanism,
            ],
            b"x\r\n",
        );
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{mechanism}: {error}");
        assert!(error.contains(complaint), "{mechanism}: {error}");
        let shown = text(&output.stdout);
        for secret in ["AG1lAHNlY3JldA==", "c2VjcmV0"] {
            assert!(!shown.contains(secret), "a password is shown: {shown}");
        }
    }
}

#[test]
fn a_message_with_files() {
    let directory = tempfile::tempdir().expect("a directory");
    let inbox = directory.path().join("inbox");
    fs::create_dir(&inbox).expect("a directory");
    let octets: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let mut arguments = vec!["send".to_owned()];
    for (name, contents) in
        [("T\u{fc}r 1.jpg", &octets[..]), ("empty.csv", b""), ("noext", b"\n.\n")]
    {
        let path = directory.path().join(name);
        fs::write(&path, contents).expect("written");
        arguments.extend(["--attach".to_owned(), path.to_str().expect("UTF-8").to_owned()]);
    }
    let server = Server::start(&["smtp", "--deliver", inbox.to_str().expect("UTF-8")]);
    let url = server.url("smtp");
    let rest =
        ["--server", &url, "--ca", &server.ca, "--to", "c@d.test", "--subject", "Gr\u{fc}\u{df}e"];
    arguments.extend(rest.map(str::to_owned));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = starttls(&arguments, "21,5 \u{b0}C\n".as_bytes());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));

    let mut mails = fs::read_dir(&inbox).expect("a directory");
    let mail = fs::read(mails.next().expect("a mail").expect("a mail").path()).expect("a mail");
    let message = MessageParser::new().parse(&mail).expect("a message");
    assert_eq!(message.subject(), Some("Gr\u{fc}\u{df}e"));
    assert_eq!(message.body_text(0).as_deref(), Some("21,5 \u{b0}C\r\n"));
    let files: Vec<_> = message
        .attachments()
        .map(|part| (part.attachment_name(), part.contents().to_vec()))
        .collect();
    assert_eq!(
        files,
        [
            (Some("T\u{fc}r 1.jpg"), octets.clone()),
            (Some("empty.csv"), Vec::new()),
            (Some("noext"), b"\n.\n".to_vec()),
        ]
    );
    assert!(text(&mail).contains("Content-Type: image/jpeg"));
    assert!(text(&mail).contains("Content-Type: text/csv"));
}

#[test]
fn a_missing_file() {
    let output = starttls(&["send", "--subject", "x", "--attach", "/nowhere/at/all"], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("/nowhere/at/all: "), "{}", text(&output.stderr));
}

#[test]
fn a_line_that_is_too_long() {
    for (length, code) in [(998, 0), (999, 1)] {
        let line = [&b"Subject: x\n\n"[..], &vec![b'x'; length], b"\n"].concat();
        let whole = starttls(&["send", "-"], &line);
        let error = text(&whole.stderr);
        assert_eq!(whole.status.code(), Some(code), "{length}: {error}");
        assert_eq!(
            error.contains("with --subject, which encodes it"),
            code != 0,
            "{length}: {error}"
        );
        let as_text = starttls(&["send", "-", "--subject", "x"], &line);
        assert_eq!(as_text.status.code(), Some(0), "{length}: {}", text(&as_text.stderr));
    }
}
