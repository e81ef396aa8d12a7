//! Every protocol, in each command.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use serde_json::Value;
use starttls::pop3::Pop3;
use starttls::sieve::Sieve;
use starttls_std::Mode;

use crate::backend::{plaintext as plain_backend, said_at_start, said_to};
use crate::common::{
    Server, at_start, scripted_as, scripted_backend, starttls, text, tls_scripted_as,
};
use crate::connect::Pipe;

/// The lines of a protocol's plaintext server, and of its client.
pub(crate) struct Dialogue {
    pub(crate) scheme: &'static str,
    greeting: &'static str,
    command: &'static str,
    answer: &'static str,
    goodbye: &'static str,
    farewell: &'static str,
    /// The dialogue that continues in plaintext, if possible, and the front's part before it.
    plaintext: Option<(&'static str, &'static str)>,
    /// A login, which is refused in plaintext.
    login: &'static str,
    down: &'static str,
}

pub(crate) const DIALOGUES: [Dialogue; 7] = [
    Dialogue {
        scheme: "imap",
        greeting: "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] behind\r\n",
        command: "a LOGIN me secret\r\n",
        answer: "a OK in\r\n",
        goodbye: "bye LOGOUT\r\n",
        farewell: "* BYE\r\nbye OK\r\n",
        plaintext: None,
        login: "a LOGIN me secret\r\n",
        down: "* BYE The backend server is not available\r\n",
    },
    Dialogue {
        scheme: "pop3",
        greeting: "+OK behind <1.2@there>\r\n",
        command: "USER me\r\n",
        answer: "+OK\r\n",
        goodbye: "QUIT\r\n",
        farewell: "+OK bye\r\n",
        plaintext: None,
        login: "PASS secret\r\n",
        down: "-ERR [SYS/TEMP] The backend server is not available\r\n",
    },
    Dialogue {
        scheme: "ftp",
        greeting: "220-welcome\r\n to it\r\n220 behind\r\n",
        command: "USER me\r\n",
        answer: "331 password\r\n",
        goodbye: "QUIT\r\n",
        farewell: "221 bye\r\n",
        plaintext: None,
        login: "PASS secret\r\n",
        down: "421 The backend server is not available, closing\r\n",
    },
    Dialogue {
        scheme: "nntp",
        greeting: "200 behind\r\n",
        command: "AUTHINFO USER me\r\n",
        answer: "381 password\r\n",
        goodbye: "QUIT\r\n",
        farewell: "205 bye\r\n",
        plaintext: Some(("CAPABILITIES\r\n", "GROUP a\r\n")),
        login: "AUTHINFO PASS secret\r\n",
        down: "400 The backend server is not available, closing\r\n",
    },
    Dialogue {
        scheme: "sieve",
        greeting: "\"SIEVE\" \"fileinto\"\r\n\"SASL\" \"PLAIN\"\r\nOK\r\n",
        command: "HAVESPACE \"a\" 1\r\n",
        answer: "OK\r\n",
        goodbye: "LOGOUT\r\n",
        farewell: "OK\r\n",
        plaintext: None,
        login: "AUTHENTICATE \"PLAIN\" \"secret\"\r\n",
        down: "BYE \"The backend server is not available\"\r\n",
    },
    Dialogue {
        scheme: "irc",
        greeting: "",
        command: "NICK me\r\n",
        answer: ":behind 001 me :hello\r\n",
        goodbye: "QUIT\r\n",
        farewell: "ERROR :bye\r\n",
        plaintext: Some(("CAP LS 302\r\n", "NICK me\r\n")),
        login: "PASS secret\r\n",
        down: "ERROR :The backend server is not available\r\n",
    },
    Dialogue {
        scheme: "nut",
        greeting: "",
        command: "USERNAME me\n",
        answer: "OK\n",
        goodbye: "LOGOUT\n",
        farewell: "OK Goodbye\n",
        plaintext: Some(("VER\n", "LIST UPS\n")),
        login: "PASSWORD secret\n",
        down: "",
    },
];

/// A plaintext server for this many connections after the one at the start; returns the input of each.
pub(crate) fn plaintext(
    dialogue: &'static Dialogue,
    connections: usize,
) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let serve = |listener: &TcpListener| {
        let (mut stream, _) = listener.accept().expect("a connection");
        let _ = stream.write_all(dialogue.greeting.as_bytes());
        let (mut heard, mut start, mut octet) = (Vec::new(), 0, [0]);
        while matches!(stream.read(&mut octet), Ok(1..)) {
            heard.push(octet[0]);
            if octet == *b"\n" {
                let leaves = &heard[start..] == dialogue.goodbye.as_bytes();
                let answer = if leaves { dialogue.farewell } else { dialogue.answer };
                let _ = stream.write_all(answer.as_bytes());
                if leaves {
                    break;
                }
                start = heard.len();
            }
        }
        text(&heard)
    };
    let serve_all = move || {
        at_start(&listener);
        (0..connections).map(|_| serve(&listener)).collect()
    };
    (address, thread::spawn(serve_all))
}

/// The schemes of a protocol: STARTTLS and implicit TLS.
pub(crate) fn schemes(scheme: &str) -> Vec<String> {
    let implicit = !matches!(scheme, "sieve" | "nut");
    [scheme.to_owned()].into_iter().chain(implicit.then(|| format!("{scheme}s"))).collect()
}

#[test]
fn a_probe_and_a_pipe_through_a_front() {
    for dialogue in &DIALOGUES {
        let Dialogue { greeting, command, answer, goodbye, farewell, .. } = *dialogue;
        for scheme in schemes(dialogue.scheme) {
            let (address, backend) = plaintext(dialogue, 2);
            let server = Server::start(&[&scheme, "--backend", &address, "--require-tls"]);
            let url = server.url(&scheme);
            let output = starttls(&["probe", &url, "--ca", &server.ca, "--json"], b"");
            assert_eq!(output.status.code(), Some(0), "{scheme}: {}", text(&output.stderr));
            let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            let alpn = match dialogue.scheme {
                "sieve" => "managesieve".into(),
                "nut" => Value::Null,
                name => name.into(),
            };
            assert_eq!(report["protocol"], *scheme);
            assert_eq!(report["tls"]["alpn"], alpn, "{scheme}");
            let asked = scheme == dialogue.scheme;
            assert_eq!(report["offered"], if asked { true.into() } else { Value::Null });

            let arguments = ["connect", &url, "--ca", &server.ca, "--linger", "60"];
            let output = starttls(&arguments, format!("{command}{goodbye}").as_bytes());
            assert_eq!(output.status.code(), Some(0), "{scheme}: {}", text(&output.stderr));
            // After STARTTLS a server does not greet again, except in one protocol.
            let greets = !asked || dialogue.scheme == "sieve";
            let greeting = if greets { greeting } else { "" };
            assert_eq!(text(&output.stdout), format!("{greeting}{answer}{farewell}"), "{scheme}");
            // No byte of the plaintext phase reached the backend.
            let heard = backend.join().expect("no panic");
            assert_eq!(heard, [goodbye.to_owned(), format!("{command}{goodbye}")], "{scheme}");
        }
    }
}

#[test]
fn the_front_decides_the_policy() {
    for dialogue in &DIALOGUES {
        let Dialogue { scheme, login, goodbye, .. } = *dialogue;
        let (first, business) = dialogue.plaintext.unwrap_or_default();
        for policy in [&["--require-tls"][..], &[]] {
            let (address, backend) = plaintext(dialogue, 1);
            let server = Server::start(&[&[scheme, "--backend", &address][..], policy].concat());
            let said = said_to(&server.port, &[login, first, business, goodbye].concat());
            let open = policy.is_empty() && dialogue.plaintext.is_some();
            assert!(!said.contains("behind") || open, "{scheme}: {said}");
            let heard = backend.join().expect("no panic").concat();
            assert!(!heard.contains("secret"), "{scheme}: {heard}");
            let through = if open { business } else { "" };
            assert_eq!(heard, format!("{through}{goodbye}"), "{scheme}: {said}");
        }
    }
}

#[test]
fn an_unreachable_backend() {
    for dialogue in &DIALOGUES {
        let scheme = dialogue.scheme;
        let free = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = free.local_addr().expect("an address").to_string();
        drop(free);
        let server = Server::start(&[scheme, "--backend", &address]);
        assert_eq!(said_to(&server.port, ""), dialogue.down, "{scheme}");
        let pipe = Pipe::start(&server.url(scheme), &server.ca);
        assert_eq!(said_to(&pipe.1.to_string(), ""), dialogue.down, "{scheme}");
    }
    // A backend's refusal is passed on to the client; an invalid greeting is not
    // passed on.
    for (scheme, greeting, expected) in [
        ("imap", "* BYE full\r\n", "* BYE full\r\n"),
        ("imap", "* PREAUTH you are root\r\n", DIALOGUES[0].down),
        ("imap", "* OK\r\n+ go\r\n", DIALOGUES[0].down),
        ("pop3", "-ERR full\r\n", "-ERR full\r\n"),
        ("pop3", "220 mail\r\n", DIALOGUES[1].down),
        ("pop3", "+OK\r\n+OK in\r\n", DIALOGUES[1].down),
        ("ftp", "421-full\r\n421 later\r\n", "421-full\r\n421 later\r\n"),
        ("ftp", "230 you are in\r\n", DIALOGUES[2].down),
        ("nntp", "502 never\r\n", "502 never\r\n"),
        ("nntp", "400 later\r\n", "400 later\r\n"),
    ] {
        let (address, backend) = scripted_backend(&[greeting]);
        let server = Server::start(&[scheme, "--backend", &address]);
        assert_eq!(said_to(&server.port, ""), expected, "{scheme}: {greeting}");
        assert_eq!(backend.join().expect("no panic"), b"", "{scheme}: {greeting}");
    }
}

#[test]
fn a_plaintext_client_through_a_pipe() {
    for dialogue in &DIALOGUES {
        let Dialogue { scheme, command, goodbye, .. } = *dialogue;
        let (address, _backend) = plaintext(dialogue, 1);
        let server = Server::start(&[scheme, "--backend", &address, "--require-tls"]);
        let pipe = Pipe::start(&server.url(scheme), &server.ca);
        let said = said_to(&pipe.1.to_string(), &[command, goodbye].concat());
        let greeting = match scheme {
            "imap" => "* OK localhost is connected over TLS\r\n",
            "pop3" => "+OK localhost is connected over TLS\r\n",
            "ftp" => "220 localhost is connected over TLS\r\n",
            "nntp" => "200 localhost is connected over TLS\r\n",
            _ => dialogue.greeting,
        };
        assert_eq!(said, format!("{greeting}{}{}", dialogue.answer, dialogue.farewell));
    }
}

#[test]
fn each_outcome_has_its_exit_code() {
    for (scheme, lines, code, line) in [
        ("imap", &["* OK x\r\n", "* CAPABILITY IMAP4rev1\r\n"][..], 9, "too slow"),
        ("imap", &["* PREAUTH in\r\n"], 2, "does not offer TLS"),
        ("imap", &["* BYE no\r\n"], 3, "the peer said: * BYE no"),
        ("imap", &["* OK [CAPABILITY STARTTLS]\r\n", "x2 OK\r\n"], 4, "(rule I4)"),
        ("ftp", &["+OK ready\r\n"], 4, "looks like pop3: try pop3://127.0.0.1:"),
        ("pop3", &["+OK\r\n", "+OK\r\nUSER\r\n.\r\n"], 2, "does not offer TLS"),
        ("pop3", &["+OK\r\n", "+OK\r\nSTLS\r\n.\r\n", "-ERR no\r\n"], 3, "said: -ERR no"),
        ("pop3", &["+OK\r\n", "+OK\r\nSTLS\r\n.\r\n", "+OK\r\n+OK\r\n"], 4, "(rule I2)"),
        ("ftp", &["220 x\r\n", "211 x\r\n"], 2, "does not offer TLS"),
        ("ftp", &["220 x\r\n", "500 x\r\n", "504 x\r\n"], 3, "said: 504 x"),
        ("ftp", &["220 x\r\n", "500 x\r\n", "334 x\r\n"], 4, "(rule I4)"),
        ("nntp", &["200 x\r\n", "500 x\r\n", "580 x\r\n"], 3, "said: 580 x"),
        ("nntp", &["200 x\r\n", "500 x\r\n", "200 x\r\n"], 4, "(rule I4)"),
        ("sieve", &["\"SIEVE\" \"\"\r\nOK\r\n", "\"SIEVE\" \"\"\r\nOK\r\n"], 2, "not offer TLS"),
        ("sieve", &["\"STARTTLS\"\r\nOK\r\n", "NO \"no\"\r\n"], 3, "said: NO \"no\""),
        ("irc", &["", ":x 421 * CAP :no\r\n", ":x 691 * :no\r\n"], 3, "said: :x 691"),
        ("irc", &["", ":x 670 * :go\r\n"], 4, "(rule I6)"),
        ("nut", &["", "ERR FEATURE-NOT-CONFIGURED\n"], 3, "FEATURE-NOT-CONFIGURED"),
        ("nut", &["", "OK STARTTLS\nOK\n"], 4, "(rule I2)"),
        ("nut", &["", "OK STARTTLS\n", "no TLS at all"], 5, "it said: no TLS at all"),
        ("imaps", &["", "* OK no TLS"], 5, "try imap://127.0.0.1:"),
        (
            "imaps",
            &["", "220 mx ESMTP\r\n"],
            5,
            "it said: 220 mx ESMTP. This port does not use implicit TLS: try smtp://",
        ),
        ("ftp", &["220 mx ESMTP\r\n", "502 what\r\n", "502 what\r\n"], 3, "try smtp://127.0.0.1:"),
        ("ldap", &["", "\x15\x03\x03\0\x02\x02\x0a"], 4, "try ldaps://127.0.0.1:"),
        ("irc", &["", "\x15\x03\x03\0\x02\x02\x0a"], 4, "try ircs://127.0.0.1:"),
    ] {
        let (url, server) = scripted_as(scheme, lines);
        let output = starttls(&["probe", &url, "--timeout", "1"], b"");
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{scheme} {lines:?}: {error}");
        assert!(error.contains(line), "{scheme} {lines:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        server.join().expect("no panic");
    }
}

#[test]
fn pictures_without_credentials() {
    let place = tempfile::tempdir().expect("a directory");
    for dialogue in &DIALOGUES {
        let Dialogue { scheme, login, command, goodbye, .. } = *dialogue;
        let (address, backend) = plaintext(dialogue, 2);
        let (ours, theirs) = (place.path().join(scheme), place.path().join("server"));
        let [ours, theirs] = [&ours, &theirs].map(|path| path.to_str().expect("UTF-8"));
        let server = Server::start(&[scheme, "--backend", &address, "--ladder-svg", theirs]);
        // After a plaintext login, lines that might be its continuation are not drawn.
        let end = if scheme == "nut" { "\n" } else { "\r\n" };
        said_to(&server.port, &format!("{login}c2VjcmV0{end}{goodbye}"));
        let url = server.url(scheme);
        let arguments = ["connect", &url, "--ca", &server.ca, "--linger", "60"];
        let output = starttls(
            &[&arguments[..], &["--ladder-svg", ours]].concat(),
            format!("{command}{goodbye}").as_bytes(),
        );
        assert_eq!(output.status.code(), Some(0), "{scheme}: {}", text(&output.stderr));
        backend.join().expect("no panic");
        for (file, seen) in
            [(ours, "plaintext ends here"), (theirs, "●●"), (&format!("{theirs}-2"), "ends here")]
        {
            let drawn = (0..1000).find_map(|_| match fs::read_to_string(file) {
                Ok(drawn) if drawn.ends_with("</svg>\n") => Some(drawn),
                _ => {
                    thread::sleep(std::time::Duration::from_millis(10));
                    None
                }
            });
            let drawn = drawn.unwrap_or_else(|| panic!("no {file}"));
            roxmltree::Document::parse(&drawn).expect("XML");
            assert!(drawn.contains(seen), "{scheme}: {seen} in {drawn}");
            assert!(!drawn.contains("secret") && !drawn.contains("c2VjcmV0"), "{scheme}: {drawn}");
            fs::remove_file(file).expect("removed");
        }
    }
}

/// The reply to the goodbye shows that the server has finished the handshake.
#[test]
fn a_silent_server_is_verified_by_its_goodbye() {
    let servers = [
        tls_scripted_as::<Sieve>(Mode::StartTls, &[&["OK\r\n"], &["OK\r\n"]]),
        tls_scripted_as::<Pop3>(Mode::Implicit, &[&["+OK\r\n"], &["+OK\r\n"]]),
    ];
    for (url, ca) in servers {
        let arguments =
            ["probe", &url, "--ca", ca.path().to_str().expect("UTF-8"), "--timeout", "2"];
        let output = starttls(&arguments, b"");
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{url}: {}", text(&output.stderr));
        assert!(said.contains("verified, but the server did not speak first"), "{said}");
        let output = starttls(&[&arguments[..], &["--json"]].concat(), b"");
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{url}: {}", text(&output.stderr));
        assert!(said.contains("\"missing\":\"the server did not speak first"), "{said}");
    }
}

/// The backend of FTP has no TLS, so none on its data connections.
#[test]
fn features_missing_in_the_backend_are_not_listed() {
    let (address, _backend) = plain_backend("220 behind\r\n", "");
    let server = Server::start(&["ftp", "--backend", &address, "--require-tls"]);
    let said = said_to(&server.port, "FEAT\r\nQUIT\r\n");
    assert!(said.contains("211-Features:\r\n AUTH TLS\r\n UTF8\r\n211 End\r\n"), "{said}");
}

#[test]
fn a_front_as_backend_causes_a_warning() {
    for dialogue in &DIALOGUES {
        let scheme = dialogue.scheme;
        let (address, _backend) = plaintext(dialogue, 1);
        let inner = Server::start(&[scheme, "--backend", &address, "--require-tls"]);
        let place = format!("127.0.0.1:{}", inner.port);
        let said = said_at_start(&[scheme, "--backend", &place]);
        assert!(
            said.contains(&format!("{place}, offers an upgrade to TLS itself.")),
            "{scheme}: {said}"
        );
    }
}
