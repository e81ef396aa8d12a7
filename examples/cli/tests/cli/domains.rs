//! Mail to domains: usage errors. The rest needs DNS, and `tests/interop` tests it.

use std::fs;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::common::{starttls, text};

#[test]
fn usage_errors() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = |name: &str| directory.path().join(name).display().to_string();
    let (anchor, missing) = (place("anchor"), place("missing"));
    fs::write(&anchor, "no records\n").expect("written");
    let dns = "127.0.0.1:9";
    let rows: [(&[&str], &str); 12] = [
        (&["policy"], "<DOMAIN>"),
        (&["policy", "192.0.2.1"], "it is an address"),
        (&["policy", "a..b"], "is not a domain"),
        (&["policy", "example.org", "--trust-anchor", &anchor], "--resolver"),
        (
            &["policy", "example.org", "--resolver", dns, "--trust-anchor", &anchor],
            "--trust-anchor /",
        ),
        (
            &["policy", "example.org", "--resolver", dns, "--trust-anchor", &missing],
            "--trust-anchor /",
        ),
        (&["policy", "example.org", "--resolver", "127.0.0.1:x"], "is not a port"),
        (&["policy", "example.org", "--resolver", dns, "--ca", &missing], "--ca /"),
        (&["send", "--mx"], "--to"),
        (&["send", "--mx", "--to", "you@[192.0.2]"], "write [192.0.2.1]"),
        (&["send", "--mx", "--to", "you@a.example", "--tls", "required"], "cannot be used with"),
        (&["send", "--resolver", dns], "need --mx"),
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
    // The message comes from standard input; it is not the demonstration's sample.
    let arguments = ["send", "--mx", "--to", "you@a.example", "--subject", "x", "--resolver", dns];
    let error = text(&starttls(&arguments, b"\xff").stderr);
    assert!(error.contains("not UTF-8"), "{error}");
}

/// A DNS server that never answers.
fn dead_resolver() -> (UdpSocket, String) {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a port");
    let address = socket.local_addr().expect("an address").to_string();
    (socket, address)
}

#[test]
fn lookups_are_within_the_timeout() {
    let (_socket, dns) = dead_resolver();
    let start = Instant::now();
    let arguments =
        ["send", "--mx", "--to", "you@a.example", "--resolver", &dns, "--timeout", "1", "--json"];
    let output = starttls(&arguments, b"Subject: x\n\nx\n");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(10), "{said}");
    assert!(said.contains("\"fate\":\"not sent\",\"safe_to_retry\":true"), "{said}");
    let output = starttls(&["policy", "a.example", "--resolver", &dns, "--timeout", "1"], b"");
    assert_eq!(output.status.code(), Some(10), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("--timeout"), "{}", text(&output.stderr));
}

/// No domain lookup is necessary.
#[test]
fn an_address_is_its_own_host() {
    let (_socket, dns) = dead_resolver();
    let to = "you@[127.83.77.84]";
    let arguments = ["send", "--mx", "--to", to, "--resolver", &dns, "--timeout", "5", "--json"];
    let output = starttls(&arguments, b"Subject: x\n\nx\n");
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(8), "{said}{}", text(&output.stderr));
    for part in ["\"domain\":\"[127.83.77.84]\"", "127.83.77.84:25", "\"exit_code\":8"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_a_warning() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let file = file.path().to_str().expect("UTF-8");
    for place in ["/proc/policies", file] {
        // The DNS server does not answer; this is the failure, not the cache.
        let arguments = [
            "policy",
            "example.org",
            "--cache",
            place,
            "--resolver",
            "127.0.0.1:9",
            "--timeout",
            "2",
        ];
        let output = starttls(&arguments, b"");
        let said = text(&output.stderr);
        assert!(
            said.starts_with(&format!("starttls: policies are not cached: --cache {place}")),
            "{said}"
        );
        assert_ne!(output.status.code(), Some(1), "{said}");
    }
}
