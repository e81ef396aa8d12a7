//! Runs each command as a user does.

use std::fs;
use std::io::BufRead as _;
#[cfg(target_os = "linux")]
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::common::{Server, scripted, starttls, text};

#[test]
fn the_demonstration() {
    let output = starttls(&["send"], b"");
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{shown}{}", text(&output.stderr));
    let place = |what: &str| shown.find(what).unwrap_or_else(|| panic!("{what} in {shown}"));
    let order = [
        place("220 localhost ESMTP"),
        place("STARTTLS"),
        place("plaintext ends here"),
        place("forgotten  all 7 lines"),
        place("TLS13_AES_256_GCM_SHA384"),
        place("yes, as 127.0.0.1"),
        place("MAIL FROM:<sender@localhost>"),
        place("sent to <you@localhost>"),
        place("byte for byte what was sent"),
        place("21.5 degrees"),
    ];
    assert!(order.is_sorted(), "{order:?} in {shown}");
    assert_eq!(output.stderr, b"");
}

#[test]
fn mail_to_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let deliver = directory.path().to_str().expect("UTF-8");
    let message = b"Subject: dots\n\n.\n..a\nno end";
    for (protocol, scheme) in [("smtp", "smtp"), ("smtps", "smtps"), ("lmtp", "lmtp")] {
        let mut server = Server::start(&[protocol, "--require-tls", "--deliver", deliver]);
        let url = server.url(scheme);
        let arguments = [
            "send", "--server", &url, "--ca", &server.ca, "--from", "a@b.test", "--to", "c@d.test",
        ];
        let output = starttls(&arguments, message);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let mut line = String::new();
        server.output.read_line(&mut line).expect("a line");
        let line = line.trim_end().strip_prefix("mail in=").expect("a mail");
        let (file, said) = line.split_once(' ').expect("a file");
        assert_eq!(said, "octets=33 channel=tls by=DATA from=\"a@b.test\" to=\"c@d.test\"");
        let file = fs::read(directory.path().join(file)).expect("a mail");
        assert_eq!(text(&file), "Subject: dots\r\n\r\n.\r\n..a\r\nno end\r\n");
    }
}

#[test]
fn mail_from_a_user() {
    let secrets = tempfile::tempdir().expect("a directory");
    let file = |name: &str| {
        let path = secrets.path().join(name);
        fs::write(&path, format!("{name}\n")).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let (right, wrong) = (file("right"), file("wrong"));
    let mut server = Server::start(&["smtp", "--user", "me", "--password-file", &right]);
    let url = server.url("smtp");
    let send = |login: &[&str]| {
        let arguments = ["send", "--server", &url, "--ca", &server.ca, "--to", "c@d.test"];
        starttls(&[&arguments[..], login].concat(), b"x\r\n")
    };
    for (login, code, complaint) in [
        (&["--user", "me", "--password-file", &wrong][..], 6, "535 5.7.8"),
        (&["--user", "you", "--password-file", &right], 6, "535 5.7.8"),
        (&[], 6, "530 5.7.0"),
        (&["--user", "me", "--password-file", &right], 0, ""),
    ] {
        let output = send(login);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{login:?}: {error}");
        assert!(error.contains(complaint), "{login:?}: {error}");
    }
    let mut line = String::new();
    server.output.read_line(&mut line).expect("a line");
    assert!(line.contains(" channel=tls by=DATA user=\"me\" from="), "{line}");
}

#[test]
fn a_subject_composes_a_message() {
    let mut server = Server::start(&["smtp"]);
    let url = server.url("smtp");
    let arguments =
        ["send", "--server", &url, "--ca", &server.ca, "--to", "c@d.test", "--subject", "Grüße"];
    let output = starttls(&arguments, "21.5 °C\n".as_bytes());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let mut received = String::new();
    while !received.ends_with("\n\n") {
        assert_ne!(server.output.read_line(&mut received).expect("a line"), 0);
    }
    assert!(received.contains("\nSubject: =?utf-8?"), "{received}");
    assert!(received.contains("To: <c@d.test>"), "{received}");
}

#[test]
fn a_probe_prints_json() {
    let server = Server::start(&["smtp"]);
    let url = server.url("smtp");
    let output = starttls(&["probe", &url, "--ca", &server.ca, "--json"], b"");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["protocol"], "smtp");
    assert_eq!(report["offered"], true);
    assert_eq!(report["upgraded"], true);
    assert_eq!(report["verified"], true);
    assert_eq!(report["tls"]["version"], "1.3");
    assert_eq!(report["certificate"]["names"][0], "localhost");
    assert_eq!(report["violation"], Value::Null);
    assert_eq!(report["error"], Value::Null);

    let output = starttls(&["probe", &url, "--ca", &server.ca], b"");
    assert!(text(&output.stdout).contains("verdict: upgraded and verified"));

    // An untrusted CA: the handshake is displayed, and fails.
    let stranger = Server::start(&["smtp"]);
    let output = starttls(&["probe", &url, "--ca", &stranger.ca, "--json"], b"");
    assert_eq!(output.status.code(), Some(5));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&report["upgraded"], &report["verified"]), (&true.into(), &false.into()));
    assert_eq!(report["certificate"]["names"][0], "localhost");
    assert!(text(&output.stderr).contains("pass it with --ca"), "{}", text(&output.stderr));
}

#[test]
fn each_outcome_has_an_exit_code_and_one_line_of_advice() {
    const HELLO: &str = "250-x\r\n250 STARTTLS\r\n";
    for (lines, code, line) in [
        (&["220 x\r\n", "250 x\r\n"][..], 2, "does not offer TLS"),
        (&["220 x\r\n", HELLO, "454 not now\r\n"], 3, "the peer said: 454 not now"),
        (&["554 no\r\n"], 3, "the peer said: 554 no"),
        (&["220 x\r\n", HELLO, "250 ok\r\n"], 4, "(rule I4)"),
        (&["220 x\r\n", HELLO, "220 go\r\n250 forged\r\n"], 4, "(rule I2)"),
        (&["220 x\n"], 4, "(rule I11)"),
        (&["220 x\r\n", HELLO, "220 go\r\n", "no TLS at all"], 5, "TLS: "),
        (&["220"], 9, "too slow"),
        (&[""], 9, "if this port uses implicit TLS, try smtps://127.0.0.1:"),
        (&["\x15\x03\x03\x00\x02\x02\x0a"], 4, "uses implicit TLS: try smtps://127.0.0.1:"),
    ] {
        let (url, server) = scripted(lines);
        let output = starttls(&["probe", &url, "--timeout", "1"], b"");
        let error = text(&output.stderr);
        let verdict = if code == 5 { "verdict: not verified: " } else { "verdict: not upgraded: " };
        assert!(text(&output.stdout).contains(verdict), "{lines:?}");
        assert_eq!(output.status.code(), Some(code), "{lines:?}: {error}");
        assert!(error.contains(line), "{lines:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        server.join().expect("no panic");
    }
}

#[test]
fn a_rejected_mail() {
    let server = Server::start(&["smtp"]);
    let url = server.url("smtp");
    let secret = tempfile::NamedTempFile::new().expect("a file");
    fs::write(secret.path(), "a password\n").expect("written");
    let password = secret.path().to_str().expect("UTF-8");
    let arguments = ["send", "--server", &url, "--ca", &server.ca, "--to", "c@d.test"];
    let with_user = [&arguments[..], &["--user", "u", "--password-file", password]].concat();
    let output = starttls(&with_user, b"x\r\n");
    assert_eq!(output.status.code(), Some(1), "the server offers no AUTH");
    assert!(text(&output.stderr).contains("accepts no login here"));
    assert!(!text(&output.stdout).contains("a password"));
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_output_is_an_error_without_a_panic() {
    for arguments in [&["send"][..], &["probe", "smtp://127.0.0.1:1", "--json"], &["serve", "smtp"]]
    {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("a device");
        let output = Command::new(env!("CARGO_BIN_EXE_starttls"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(full)
            .output()
            .expect("it ends");
        let error = text(&output.stderr);
        // The failure counts more than the failure to print it, and an accepted mail stays accepted.
        let code = match arguments[0] {
            "probe" => 8,
            "send" => 0,
            _ => 1,
        };
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn usage_errors_are_reported_at_once() {
    for (arguments, complaint) in [
        (&["send", "--server", "mail.example.org", "--to", "a@b"][..], "SCHEME://HOST"),
        (&["send", "--server", "smtp://localhost"], "--to"),
        (&["send", "--to", "nobody"], "'--to <ADDRESS>'"),
        (
            &["send", "--to", "a@b.test", "--server", "smtp://localhost", "--user", "u"],
            "--password-file",
        ),
        (
            &["send", "--to", "a@b.test", "--server", "smtp://localhost", "--auth", "plain"],
            "--user and --password-file",
        ),
        (
            &["send", "--to", "a@b.test", "--server", "smtp://localhost", "--auth", "external"],
            "--client-cert",
        ),
        (&["send", "--auth", "external"], "--server"),
        (&["send", "/no/such/file"], "/no/such/file"),
        (&["serve", "gopher"], "gopher"),
        (&["serve", "nntp"], "--backend HOST:PORT"),
        (&["serve", "nntp", "--deliver", "x"], "--backend HOST:PORT"),
        (&["send", "--server", "nntp://localhost", "--to", "a@b"], "nntp does not carry mail"),
        (&["probe", "gopher://localhost"], "known are smtp, smtps, lmtp"),
        (&["serve", "smtp", "--cert", "x"], "--key"),
        (&["serve", "smtp", "--user", "x"], "--password-file"),
        (&["serve", "smtp", "--user", "x", "--password-file", "/no/such/file"], "/no/such/file"),
        (&["probe", "smtp://localhost", "--ca", "/no/such/file"], "--ca /no/such/file: "),
        (&["probe", "smtp://[::1"], "invalid IPv6 address"),
        (&["probe", "smtp://localhost", "--pin", "/no/such/file"], "--pin /no/such/file: "),
        (&["probe", "smtp://localhost", "--client-cert", "x"], "--client-key"),
        (&["probe", "postgress://localhost", "--no-alpn"], "demands ALPN"),
        (&["send", "--pin", "x"], "--pin needs --server"),
        (&["serve", "smtp", "--backend", "nobody"], "--backend"),
        (&["probe", "smtp://localhost", "--timeout", "0"], "at least 1"),
    ] {
        let output = starttls(arguments, b"");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let error = text(&output.stderr);
        assert!(error.contains(complaint), "{arguments:?}: {error}");
        assert!(!error.contains("operator"), "no server has said anything: {error}");
    }
    assert_eq!(starttls(&["--help"], b"").status.code(), Some(0));
}

#[test]
fn an_unreachable_server() {
    for url in ["smtp://127.0.0.1:1", "imaps://[::1]:1", "smtp://no-such-host.invalid"] {
        let output = starttls(&["probe", url], b"");
        let (shown, error) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(8), "{error}");
        assert!(shown.contains(url) && shown.contains("verdict: not reachable: "), "{shown}");
        assert!(error.contains("Check the host"), "{error}");
    }
}

#[test]
fn each_command_lists_its_exit_codes() {
    for (command, codes) in [
        ("probe", "0 1 2 3 4 5 8 9"),
        ("connect", "0 1 2 3 4 5 8 9"),
        ("send", "0 1 2 3 4 5 6 7 8 9 10 11 12"),
        ("policy", "0 1 7 10"),
        ("check", "0 1 2"),
        ("test-client", "0 1 2"),
    ] {
        let help = text(&starttls(&[command, "--help"], b"").stdout);
        let (_, listed) = help.split_once("Exit codes:\n").expect("codes");
        let listed: Vec<_> =
            listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(listed.join(" "), codes, "{help}");
    }
}
