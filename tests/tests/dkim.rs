//! Another implementation verifies our signatures.

use std::fs;
use std::path::Path;
use std::process::Command;

use starttls::mail::message::{Alternative, Header, Mailbox, Parts};
use starttls::mail::source::{Composed, Source as _};
use starttls::mail::{Address, Message};
use starttls_tokio::Dkim;

/// RSA only: for Ed25519 dkimpy needs another package. mail-auth's own verifier has both, in `starttls-common`.
const KEY: &str = include_str!("../../adapters/common/src/dkim/rsa.pem");
const RECORD: &str = include_str!("../../adapters/common/src/dkim/rsa.txt");

#[test]
#[ignore = "needs Python and dkimpy; `tests/interop/run` runs it"]
fn dkimpy_verifies() {
    let to = [Mailbox::new(Address::new("you@example.org").expect("an address"))];
    let html = [Alternative::html("<p>All  is wäll.</p> \n\n\n")];
    let parts = Parts::new().with_alternatives(&html).expect("one");
    let leave = format!("<https://example.org/{}>", "leave/".repeat(30));
    let headers = Header::unsubscribe(&leave).expect("a URL");
    let message = Message::new(to[0], &to).with_subject("21,5 °C").expect("a subject");
    let message = message.with_headers(&headers).with_text("All is well.").with_parts(&parts);
    let (mut composed, mut source) = (vec![0; 4096], Composed::new(&message));
    let mut length = 0;
    while let n @ 1.. = source.read(&mut composed[length..]).expect("no files") {
        length += n;
    }
    let dkim = Dkim::new("example.org", "a", KEY).expect("a key");
    let signed = dkim.sign(&composed[..length]).expect("a message");
    let signed = String::from_utf8(signed).expect("ASCII");
    let cases = [
        ("good", signed.clone()),
        ("bad", signed.replace("All is well", "All is ill")),
        ("bad", signed.replace("https://example.org", "https://example.com")),
        ("bad", signed.replace("\r\nFrom: ", "\r\nFrom: <a@b.example>\r\nFrom: ")),
    ];
    let directory = tempfile::tempdir().expect("a directory");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/signatures.py");
    let mut command = Command::new("python3");
    command.arg(script).arg(RECORD.trim_end());
    for (n, (_, message)) in cases.iter().enumerate() {
        let path = directory.path().join(n.to_string());
        fs::write(&path, message).expect("written");
        command.arg(path);
    }
    let output = command.output().expect("python3");
    let said = String::from_utf8_lossy(&output.stdout);
    let expected: Vec<&str> = cases.iter().map(|(expected, _)| *expected).collect();
    let why = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.lines().collect::<Vec<_>>(), expected, "{why}");
}
