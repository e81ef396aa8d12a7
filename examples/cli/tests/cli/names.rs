//! The command's name in EHLO, and the message if a server refuses it.

use std::fs;
use std::thread;

use starttls::smtp::Smtp;
use starttls_std::Mode;

use crate::common::{
    Server, every_scheme, scripted, starttls, text, tls_scripted, tls_scripted_for,
};
use crate::tls::failed;

const MAIL: &[u8] = b"A: b\n\nx\n";

fn said_name(seen: &[u8]) -> String {
    let seen = text(seen);
    let hello = seen.lines().find(|line| line.starts_with("EHLO ") || line.starts_with("LHLO "));
    hello.unwrap_or_else(|| panic!("{seen}"))[5..].to_owned()
}

/// The machine's full name, or the address of this end, and never a name like localhost.
fn is_good(name: &str) -> bool {
    name == "[127.0.0.1]"
        || name.contains('.') && !name.starts_with('[') && !name.contains("localhost")
}

#[test]
fn a_name_that_servers_accept() {
    let place = tempfile::tempdir().expect("a directory");
    fs::write(place.path().join("1.eml"), "From: a@b\nTo: c@d\n\nx\n").expect("written");
    let many = place.path().to_str().expect("UTF-8");
    for options in [
        &["send", "--to", "a@b", "--server"][..],
        &["send", many, "--server"],
        &["probe"],
        &["connect"],
    ] {
        let (url, server) = scripted(&["220 hi\r\n", "250 hi\r\n"]);
        starttls(&[options, &[&url]].concat(), MAIL);
        let name = said_name(&server.join().expect("no panic"));
        assert!(is_good(&name), "{options:?}: {name}");
    }
    let (url, server) = scripted(&["220 hi\r\n", "250 hi\r\n"]);
    starttls(&["send", "--to", "a@b", "--helo", "m\u{fc}ller.example", "--server", &url], MAIL);
    assert_eq!(said_name(&server.join().expect("no panic")), "xn--mller-kva.example");
}

#[test]
fn a_refused_name_does_not_mean_missing_tls() {
    let place = tempfile::tempdir().expect("a directory");
    fs::write(place.path().join("1.eml"), "From: a@b\nTo: c@d\n\nx\n").expect("written");
    let many = place.path().to_str().expect("UTF-8");
    let one = &["send", "--to", "a@b", "--server"][..];
    let two = &["send", "--to", "a@b", "--tls", "opportunistic", "--server"][..];
    for (options, names_helo) in [
        (one, true),
        (two, true),
        (&["send", many, "--server"], true),
        (&["probe"], false),
        (&["connect"], false),
    ] {
        for reply in [
            "504 5.5.2 need a full name\r\n",
            "550-not\r\n550 you\r\n",
            "501 what\r\n",
            "450 4.7.1 who\r\n",
        ] {
            let (url, server) = scripted(&["220 hi\r\n", reply]);
            let output = starttls(&[options, &[&url]].concat(), MAIL);
            let error = text(&output.stderr);
            assert_eq!(output.status.code(), Some(3), "{options:?} {reply}: {error}");
            assert_eq!(error.contains("--helo"), names_helo, "{options:?} {reply}: {error}");
            assert!((text(&output.stdout) + &error).contains(&reply[..3]), "{reply}: {error}");
            assert!(!error.contains("plaintext") && !error.contains("offer"), "{error}");
            let seen = text(&server.join().expect("no panic"));
            assert!(!seen.contains("HELO "), "{seen}");
        }
    }
}

/// Other refusals do not lead to the advice about the name.
#[test]
fn other_refusals_have_other_advice() {
    for (lines, code) in [
        (&["554 no service here\r\n"][..], 3),
        (&["220 hi\r\n", "250-hi\r\n250 STARTTLS\r\n", "454 not now\r\n"], 3),
        (&["220 hi\r\n", "421 full\r\n"], 3),
        (&["220 hi\r\n", "502 what\r\n"], 2),
        (&["220 hi\r\n", "250 hi\r\n"], 2),
    ] {
        let (url, server) = scripted(lines);
        let output = starttls(&["send", "--to", "a@b", "--server", &url], MAIL);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{lines:?}: {error}");
        let closing = lines.contains(&"421 full\r\n");
        assert!(!error.contains("--helo") || closing, "{lines:?}: {error}");
        assert_eq!(error.contains("plaintext"), code == 2, "{lines:?}: {error}");
        server.join().expect("no panic");
    }
    // Commands without the option do not advise it.
    for command in ["probe", "connect"] {
        let (url, server) = scripted(&["220 hi\r\n", "250 hi\r\n"]);
        let output = starttls(&[command, &url], b"");
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{command}: {error}");
        assert!(!error.contains("--tls") && !error.contains("plaintext"), "{command}: {error}");
        server.join().expect("no panic");
    }
}

#[test]
fn a_name_refused_inside_tls() {
    for json in [&[][..], &["--json"]] {
        let (url, ca) = tls_scripted(&[&["504 5.5.2 need a full name\r\n"]]);
        let ca = ca.path().to_str().expect("UTF-8");
        let arguments = ["send", "--server", &url, "--ca", ca, "--to", "a@b"];
        let output = starttls(&[&arguments[..], json].concat(), MAIL);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{error}");
        assert!(error.contains("--helo"), "{error}");
    }
}

/// Characters whose low byte is CR, LF or NUL, for programs that truncate characters to bytes.
const LOW: [char; 3] = ['\u{760d}', '\u{760a}', '\u{7600}'];

/// Text that would be a separate command.
const COMMAND: &str = "\r\nRCPT TO:<c@d>";

#[test]
fn no_argument_ends_a_line() {
    let server = "smtp://127.0.0.1:1";
    // A user name is sent in base64.
    let forms: [(&str, &[&str]); 8] = [
        ("--to", &["send", "--server", server, "--to", "?@b.example"]),
        ("--to", &["send", "--server", server, "--to", "\"a?\"@b.example"]),
        ("--to", &["send", "--server", server, "--to", "a@b?.example"]),
        ("--from", &["send", "--server", server, "--to", "a@b", "--from", "\"a?\"@b.example"]),
        ("--helo", &["send", "--server", server, "--to", "a@b", "--helo", "b?.example"]),
        ("subject", &["send", "--server", server, "--to", "a@b", "--subject", "?"]),
        ("<DOMAIN>", &["policy", "b?.example"]),
        ("<URL>", &["probe", "smtp://b?.example:1"]),
    ];
    for (named, arguments) in forms {
        for command in [COMMAND, "\r", "\n"] {
            let arguments = arguments.iter().map(|argument| argument.replace('?', command));
            let arguments: Vec<_> = arguments.collect();
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            let output = starttls(&arguments, MAIL);
            let error = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
            assert!(error.contains(named), "{arguments:?}: {error}");
        }
    }
}

#[test]
fn characters_are_not_truncated_to_bytes() {
    for low in LOW {
        let (url, server) = scripted(&[
            "220 hi\r\n",
            "250 hi\r\n",
            "250-hi\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
            "250 ok\r\n",
            "250 ok\r\n",
            "250 ok\r\n",
            "354 go\r\n",
        ]);
        let (from, to) = (format!("a{low}@b.example"), format!("\"a {low}\"@b.example"));
        let (domain, subject) = (format!("a@b{low}.example"), format!("a{low}b"));
        let helo = format!("b{low}.example");
        let arguments = [
            "send",
            "--tls",
            "opportunistic",
            "--server",
            &url,
            "--from",
            &from,
            "--to",
            &to,
            "--to",
            &domain,
            "--helo",
            &helo,
            "--subject",
            &subject,
        ];
        starttls(&arguments, MAIL);
        let seen = text(&server.join().expect("no panic"));
        let verbs: Vec<_> = seen.split("\r\n").map(|line| &line[..line.len().min(4)]).collect();
        assert_eq!(verbs[..6], ["EHLO", "EHLO", "MAIL", "RCPT", "RCPT", "DATA"], "{seen:?}");
        assert!(
            seen.contains(&from) && seen.contains(&to) && seen.contains("SMTPUTF8"),
            "{seen:?}"
        );
        assert!(seen.contains("<a@xn--b-"), "{seen:?}");
    }
}

#[test]
fn domains_are_sent_in_ascii() {
    let hello = "250-hi\r\n250 8BITMIME\r\n";
    let lines = ["220 hi\r\n", hello, hello, "250 ok\r\n", "250 ok\r\n", "354 go\r\n"];
    let bodies: [(&[&str], &[u8], bool); 4] = [
        (&["--to", "b@b\u{fc}cher.example"], MAIL, true),
        (&["--to", "b@b", "--from", "me@m\u{fc}ller.example", "--subject", "x"], MAIL, true),
        (&["--to", "\u{fc}@b"], MAIL, false),
        (&["--to", "b@b"], "To: \u{fc} <\u{fc}@b>\n\nx\n".as_bytes(), false),
    ];
    for (options, mail, taken) in bodies {
        // A client without service closes after EHLO.
        let (url, server) = scripted(if taken { &lines[..] } else { &lines[..3] });
        let arguments = ["send", "--tls", "opportunistic", "--server", &url];
        let output = starttls(&[&arguments[..], options].concat(), mail);
        let (seen, error) = (text(&server.join().expect("no panic")), text(&output.stderr));
        assert!(seen.is_ascii(), "{options:?}: {seen}");
        assert_eq!(seen.contains("RCPT"), taken, "{options:?}: {seen} {error}");
        assert_eq!(error.contains("does not offer SMTPUTF8"), !taken, "{options:?}: {error}");
    }
    // A composed message has the A-label in its Message-ID, and the local part unchanged.
    for from in ["me@m\u{fc}ller.example", "m\u{fc}@m\u{fc}ller.example"] {
        let output = starttls(&["send", "--from", from, "--subject", "x", "-"], b"x\n");
        let shown = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{shown}{}", text(&output.stderr));
        assert!(shown.contains("@xn--mller-kva.example>"), "{shown}");
    }
}

/// Without a name the command sends an address, both before and inside TLS.
#[test]
fn the_same_name_before_tls_and_inside() {
    let (url, ca) = tls_scripted(&[&["250 mx\r\n", "221 bye\r\n"]]);
    let output = starttls(&["probe", &url, "--ca", ca.path().to_str().expect("UTF-8")], b"");
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    let names: Vec<_> = said
        .lines()
        .filter_map(|line| line.split_once("EHLO ")?.1.split_whitespace().next())
        .collect();
    assert!(matches!(names[..], [before, inside] if before == inside), "{names:?}: {said}");
}

/// In every command that connects.
#[test]
fn a_certificate_for_another_name() {
    let ok = "250 ok\r\n";
    let mail: &[&str] = &["250 mx\r\n", ok, ok, "354 go\r\n", ok, "221 bye\r\n"];
    let short: &[&str] = &["250 mx\r\n", "221 bye\r\n"];
    let (url, ca) =
        tls_scripted_for::<Smtp>("mx.test", Mode::StartTls, &[mail, short, short, short]);
    let ca = ca.path().to_str().expect("UTF-8");
    let send = ["send", "--server", &url, "--to", "a@b.test"];
    for arguments in [&send[..], &["probe", &url], &["connect", &url]] {
        let named = [arguments, &["--ca", ca, "--name", "mx.test"]].concat();
        let input = if arguments[0] == "connect" { "EHLO a\r\nQUIT\r\n" } else { "A: b\n\nx\n" };
        let output = starttls(&named, input.as_bytes());
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
    }
    let output = starttls(&["probe", &url, "--ca", ca, "--json"], b"");
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("\"host\":\"localhost\",\"name\":\"localhost\""), "{said}");
}

/// In every protocol a certificate is for the name that is given, and not for the host that is connected to.
#[test]
fn another_name_in_every_protocol() {
    thread::scope(|scope| {
        for (scheme, backend) in every_scheme() {
            scope.spawn(move || {
                let mut arguments = vec![&scheme[..], "--require-tls"];
                arguments.extend(backend.iter().flat_map(|address| ["--backend", address]));
                let server = Server::start(&arguments);
                // The certificate is not for this way to write the address.
                let url = format!("{scheme}://[::ffff:127.0.0.1]:{}", server.port);
                for (command, more) in [("probe", &[][..]), ("connect", &["--linger", "1"])] {
                    let unnamed = [&[command, &url, "--ca", &server.ca], more].concat();
                    let error = failed(&starttls(&unnamed, b""), 5);
                    assert!(error.contains("::ffff:"), "{scheme} {command}: {error}");
                    let named = [&unnamed[..], &["--name", "localhost"]].concat();
                    let output = starttls(&named, b"");
                    let error = text(&output.stderr);
                    assert_eq!(output.status.code(), Some(0), "{scheme} {command}: {error}");
                }
            });
        }
    });
}
