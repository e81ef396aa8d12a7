//! Mail to domains: what is asked wrongly. The rest needs a DNS, and is tested with real ones.

use std::fs;

use crate::common::{starttls, text};

#[test]
fn mistakes() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = |name: &str| directory.path().join(name).display().to_string();
    let (anchor, missing) = (place("anchor"), place("missing"));
    fs::write(&anchor, "no records\n").expect("written");
    let dns = "127.0.0.1:9";
    let rows: [(&[&str], &str); 12] = [
        (&["policy"], "<DOMAIN>"),
        (&["policy", "192.0.2.1"], "it is an address"),
        (&["policy", "a..b"], "is no domain"),
        (&["policy", "example.org", "--trust-anchor", &anchor], "--resolver"),
        (
            &["policy", "example.org", "--resolver", dns, "--trust-anchor", &anchor],
            "the trust anchor",
        ),
        (
            &["policy", "example.org", "--resolver", dns, "--trust-anchor", &missing],
            "the trust anchor",
        ),
        (&["policy", "example.org", "--resolver", "127.0.0.1:x"], "invalid port"),
        (&["policy", "example.org", "--resolver", dns, "--ca", &missing], "the CA file"),
        (&["send", "--mx"], "--to"),
        (&["send", "--mx", "--to", "you@[192.0.2.1]"], "<you@[192.0.2.1]>"),
        (&["send", "--mx", "--to", "you@a.example", "--tls", "required"], "cannot be used with"),
        (&["send", "--resolver", dns], "without --mx"),
    ];
    for (arguments, said) in rows {
        let output = starttls(arguments, b"");
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(error.contains(said), "{arguments:?}: {error}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    let mails = directory.path().join("mails");
    fs::create_dir(&mails).expect("a directory");
    fs::write(mails.join("1.eml"), "Subject: x\r\n\r\nx\r\n").expect("written");
    let mails = mails.display().to_string();
    let output = starttls(&["send", "--mx", "--to", "you@a.example", &mails], b"");
    let error = text(&output.stderr);
    assert!(error.contains("--server") && output.status.code() == Some(1), "{error}");
    // The message is what is typed, not the sample that goes to a server of our own.
    let arguments = ["send", "--mx", "--to", "you@a.example", "--subject", "x", "--resolver", dns];
    let error = text(&starttls(&arguments, b"\xff").stderr);
    assert!(error.contains("not UTF-8"), "{error}");
}
