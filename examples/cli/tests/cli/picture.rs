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
        (&["send", "--to", "<>&\"@b", "--server", &url, "--ca", &server.ca][..], 1, "NOT sent"),
        (&["send", "--json"], 0, "sent to &lt;you@localhost&gt;"),
        (&["probe", &url, "--ca", &server.ca], 0, "upgraded and verified"),
        (&["probe", &url, "--ca", &stranger.ca], 5, "NOBODY KNOWS"),
        (&["connect", &url, "--ca", &server.ca, "--linger", "0"], 0, "plaintext ends here"),
        (&["probe", "smtp://127.0.0.1:1"], 1, "not safe to use"),
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
fn a_password_is_not() {
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
        "somebody",
        "--password-file",
        password.to_str().expect("UTF-8"),
        "--ladder-svg",
        svg.to_str().expect("UTF-8"),
    ];
    let output = starttls(&arguments, b"x");
    assert_eq!(output.status.code(), Some(6), "{}", text(&output.stderr));
    let drawn = fs::read_to_string(&svg).expect("a picture");
    assert!(drawn.contains("535 no"), "{drawn}");
    for secret in ["a password", "YSBwYXNzd29yZA", "somebody", "c29tZWJvZHk"] {
        assert!(!drawn.contains(secret), "{drawn}");
    }
}
