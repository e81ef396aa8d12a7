//! The exchange as a picture.

use std::fs;

use crate::common::{Server, starttls, text, tls_scripted};

#[test]
fn an_exchange_is_drawn() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("a.svg");
    let svg = file.to_str().expect("UTF-8");
    let server = Server::start(&["smtp"]);
    let stranger = Server::start(&["smtp"]);
    let url = server.url("smtp");
    for (arguments, code, seen) in [
        (
            &["send", "--to", "\"<>&\"@b", "--allow-empty", "--server", &url, "--ca", &server.ca][..],
            0,
            "&quot;&lt;&gt;&amp;",
        ),
        (
            &["send", "--to", "a@b", "--allow-empty", "--server", &url, "--ca", &stranger.ca],
            5,
            "NOT sent",
        ),
        (&["send", "--json"], 0, "sent to &lt;you@localhost&gt;"),
        (&["probe", &url, "--ca", &server.ca], 0, "upgraded and verified"),
        (&["probe", &url, "--ca", &stranger.ca], 5, "PEER NOT VERIFIED"),
        (&["connect", &url, "--ca", &server.ca, "--linger", "0"], 0, "plaintext ends here"),
        (&["probe", "smtp://127.0.0.1:1"], 8, "not reachable"),
    ] {
        let _ = fs::remove_file(&file);
        let output = starttls(&[arguments, &["--ladder-svg", svg]].concat(), b"");
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        let drawn = fs::read_to_string(&file).expect("a picture");
        roxmltree::Document::parse(&drawn).expect("XML");
        assert!(drawn.contains(seen), "{seen} in {drawn}");
    }
    let output = starttls(&["send", "--ladder-svg", "/no/such/place"], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("/no/such/place"), "{}", text(&output.stderr));
}

#[test]
fn a_password_is_not_drawn() {
    let place = tempfile::tempdir().expect("a directory");
    let (svg, password) = (place.path().join("a.svg"), place.path().join("password"));
    fs::write(&password, "a password\n").expect("written");
    let (url, ca) = tls_scripted(&[&[
        "250-x\r\n250 AUTH LOGIN\r\n",
        "334 VXNlcm5hbWU6\r\n",
        "334 UGFzc3dvcmQ6\r\n",
        "535 no\r\n",
    ]]);
    let arguments = [
        "send",
        "--server",
        &url,
        "--ca",
        ca.path().to_str().expect("UTF-8"),
        "--to",
        "a@b.test",
        "--user",
        "a-user",
        "--password-file",
        password.to_str().expect("UTF-8"),
        "--ladder-svg",
        svg.to_str().expect("UTF-8"),
    ];
    let output = starttls(&arguments, b"x");
    assert_eq!(output.status.code(), Some(6), "{}", text(&output.stderr));
    let drawn = fs::read_to_string(&svg).expect("a picture");
    assert!(drawn.contains("535 no"), "{drawn}");
    for secret in ["a password", "YSBwYXNzd29yZA", "a-user", "YS11c2Vy"] {
        assert!(!drawn.contains(secret), "{drawn}");
    }
}

#[test]
fn many_mails_are_one_picture() {
    let place = tempfile::tempdir().expect("a directory");
    let svg = place.path().join("a.svg");
    for name in ["1.eml", "2.eml", "3.eml"] {
        fs::write(place.path().join(name), "To: a@b.test\n\nx\n").expect("written");
    }
    // The server ends the first connection between two mails, and the rest goes over a second one.
    let (url, ca) = tls_scripted(&[
        &["250 x\r\n", "250 x\r\n", "250 x\r\n", "354 x\r\n", "250 first\r\n"],
        &[
            "250 x\r\n",
            "250 x\r\n",
            "250 x\r\n",
            "354 x\r\n",
            "250 second\r\n",
            "250 x\r\n",
            "250 x\r\n",
            "354 x\r\n",
            "250 third\r\n",
            "221 x\r\n",
        ],
    ]);
    let ca = ca.path().to_str().expect("UTF-8");
    let (directory, svg_name) =
        (place.path().to_str().expect("UTF-8"), svg.to_str().expect("UTF-8"));
    let arguments = [
        "send",
        "--server",
        &url,
        "--ca",
        ca,
        "--from",
        "c@d",
        "--ladder-svg",
        svg_name,
        directory,
    ];
    let output = starttls(&arguments, b"");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let drawn = fs::read_to_string(&svg).expect("a picture");
    roxmltree::Document::parse(&drawn).expect("XML");
    for (seen, times) in [
        ("250 first", 1),
        ("ANOTHER CONNECTION", 1),
        ("plaintext ends here", 2),
        ("PLAINTEXT", 2),
        ("250 second", 1),
        ("250 third", 1),
        ("3 sent, 0 refused, 0 failed", 1),
    ] {
        assert_eq!(drawn.matches(seen).count(), times, "{seen} in {drawn}");
    }
}

#[test]
fn a_server_draws_each_connection() {
    let place = tempfile::tempdir().expect("a directory");
    let path = |name: &str| place.path().join(name);
    fs::write(path("password"), "a password\n").expect("written");
    let (svg, password) = (path("a.svg"), path("password"));
    let (svg, password) = (svg.to_str().expect("UTF-8"), password.to_str().expect("UTF-8"));
    let login = ["--user", "a-user", "--password-file", password];
    let server = Server::start(&[&["smtp", "--ladder-svg", svg][..], &login].concat());
    let url = server.url("smtp");
    let common = ["send", "--server", &url, "--ca", &server.ca, "--to", "a@b.test"];
    let output = starttls(&[&common[..], &login].concat(), b"a line\n");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let output = starttls(&["probe", &url], b"");
    assert_eq!(output.status.code(), Some(5), "{}", text(&output.stderr));

    let drawn = ["a.svg", "a-2.svg"].map(|name| {
        // The server finishes a connection after its client.
        for _ in 0..1000 {
            match fs::read_to_string(path(name)) {
                Ok(drawn) if drawn.ends_with("</svg>\n") => return drawn,
                _ => std::thread::sleep(std::time::Duration::from_millis(10)),
            }
        }
        panic!("no {name}");
    });
    for (drawn, seen) in [
        (
            &drawn[0],
            &["EHLO", "220 2.0.0", "plaintext ends here", "AUTH SCRAM-SHA-256-PLUS ●●", "235 "][..],
        ),
        (&drawn[0], &["MAIL FROM", "a line", "250 2.0.0 Delivered", "ended cleanly"]),
        (&drawn[1], &["STARTTLS", "ended too early"]),
    ] {
        roxmltree::Document::parse(drawn).expect("XML");
        for seen in seen {
            assert!(drawn.contains(seen), "{seen} in {drawn}");
        }
    }
    for secret in ["a password", "YSBwYXNzd29yZA", "AGEtdXNlc"] {
        assert!(!drawn[0].contains(secret), "{}", drawn[0]);
    }
}
