//! SIGHUP: a server's certificate, and the CAs of its clients, are read again.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use test_identity::Authority;

use crate::common::{signal, starttls};

#[test]
fn certificates_are_reloaded() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).to_str().expect("UTF-8").to_owned();
    let (cert, key, ca) = (path("cert.pem"), path("key.pem"), path("ca.pem"));
    let renew = |name: &str| {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("made");
        fs::write(&ca, made.cert.pem()).expect("written");
        fs::write(&cert, made.cert.pem()).expect("written");
        fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    };
    renew("localhost");
    let child = std::process::Command::new(env!("CARGO_BIN_EXE_starttls"))
        .args(["serve", "smtp", "--cert", &cert, "--key", &key])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut told = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let listening = lines.next().expect("a line").expect("text");
    let port = listening.rsplit(' ').next().expect("a port").to_owned();
    let probe = |ca: &str| {
        let url = format!("smtp://localhost:{port}");
        starttls(&["probe", &url, "--ca", ca], b"").status.code()
    };
    assert_eq!(probe(&ca), Some(0));
    let old = path("old.pem");
    fs::copy(&ca, &old).expect("copied");
    renew("localhost");
    // Not yet.
    assert_eq!((probe(&old), probe(&ca)), (Some(0), Some(5)));
    signal(&child, "HUP");
    let said = told.by_ref().map_while(Result::ok).find(|line| line.contains("reloaded"));
    assert_eq!(said.as_deref(), Some("starttls: the certificate was reloaded"));
    assert_eq!((probe(&old), probe(&ca)), (Some(5), Some(0)));
    // An unusable one changes nothing.
    fs::write(&cert, "none").expect("written");
    signal(&child, "HUP");
    let said = told
        .by_ref()
        .map_while(Result::ok)
        .find(|line| line.contains("previous certificate stays"));
    assert!(said.is_some());
    assert_eq!(probe(&ca), Some(0));
    child.kill().expect("killed");
    child.wait().expect("it ends");
}

/// SIGHUP, and the line that `serve` writes about it.
fn reloaded(child: &std::process::Child, told: &mut impl Iterator<Item = String>) -> String {
    signal(child, "HUP");
    told.find(|line| line.contains("CAs")).expect("a line")
}

#[test]
fn client_cas_are_reloaded() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).to_str().expect("UTF-8").to_owned();
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let (cas, cert, key) = (path("clients.pem"), path("me.pem"), path("me.key"));
    let me = new.identity(["me.example"]);
    fs::write(&cas, old.pem()).expect("written");
    fs::write(&cert, me.pem()).expect("written");
    fs::write(&key, me.key_pem()).expect("written");
    let child = std::process::Command::new(env!("CARGO_BIN_EXE_starttls"))
        .args(["serve", "smtp", "--client-ca", &cas])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("it starts");
    let mut lines =
        BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let mut told =
        BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let ca = lines.next().expect("a line");
    let ca = ca.strip_prefix("ca ").expect("a file").to_owned();
    let port = lines.next().expect("a line").rsplit(' ').next().expect("a port").to_owned();
    let probe = || {
        let url = format!("smtp://localhost:{port}");
        let options = ["--ca", &ca, "--client-cert", &cert, "--client-key", &key];
        starttls(&[&["probe", &url][..], &options].concat(), b"").status.code()
    };
    assert_eq!(probe(), Some(5));
    fs::write(&cas, new.pem()).expect("written");
    let said = reloaded(&child, &mut told);
    assert_eq!(said, "starttls: the CAs of --client-ca were reloaded");
    assert_eq!(probe(), Some(0));
    fs::write(&cas, "none").expect("written");
    let said = reloaded(&child, &mut told);
    assert!(said.contains("has no PEM certificate in it"), "{said}");
    assert!(said.ends_with("; the previous CAs stay in use"), "{said}");
    assert_eq!(probe(), Some(0));
    child.kill().expect("killed");
    child.wait().expect("it ends");
}
