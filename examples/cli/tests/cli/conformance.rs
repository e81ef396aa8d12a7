//! `check` and `test-client`: our own server and client pass, and what they cannot test they say.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;
#[cfg(target_os = "linux")]
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{Server, starttls, text};

/// The outcomes of a JSON document: the ids of the cases with this verdict.
fn with_verdict(document: &Value, verdict: &str) -> Vec<String> {
    let outcomes = document["outcomes"].as_array().expect("outcomes");
    let found = outcomes.iter().filter(|outcome| outcome["verdict"] == verdict);
    found.map(|outcome| outcome["id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn our_server_passes() {
    let inbox = tempfile::tempdir().expect("a directory");
    let deliver = inbox.path().to_str().expect("UTF-8");
    let server = Server::start(&["smtp", "--deliver", deliver]);
    let url = server.url("smtp");
    let place = tempfile::tempdir().expect("a directory");
    let page = place.path().join("report.html");
    let arguments = [
        "check",
        &url,
        "--ca",
        &server.ca,
        "--mail-to",
        "me@localhost",
        "--local-is-remote",
        "--patience",
        "4",
        "--json",
        "--html",
        page.to_str().expect("UTF-8"),
    ];
    let output = starttls(&arguments, b"");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for verdict in ["fail", "warning"] {
        assert_eq!(with_verdict(&document, verdict), [""; 0], "{document:#}");
    }
    // It waits for a ClientHello for longer than this test does.
    assert_eq!(with_verdict(&document, "inconclusive"), ["limit/silence-after-the-go-ahead"]);
    assert!(with_verdict(&document, "pass").contains(&"smuggling/end-of-data".to_owned()));
    let page = std::fs::read_to_string(page).expect("a page");
    assert!(page.contains("injection/same-segment"), "{page}");
}

#[cfg(unix)]
#[test]
fn our_client_passes() {
    let script = "umask 077; file=$(mktemp); printf %s \"$STARTTLS_PASSWORD\" >\"$file\"; \
                  \"$0\" send --server \"smtp://$STARTTLS_HOST:$STARTTLS_PORT\" --ca \"$STARTTLS_CA\" \
                  --user \"$STARTTLS_USER\" --password-file \"$file\" --to you@b.test --subject s </dev/null; \
                  code=$?; rm -f \"$file\"; exit $code";
    let program = env!("CARGO_BIN_EXE_starttls");
    let client = ["sh", "-c", script, program];
    let arguments = [&["test-client", "smtp", "--json", "--"][..], &client].concat();
    let output = starttls(&arguments, b"");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for verdict in ["fail", "warning"] {
        assert_eq!(with_verdict(&document, verdict), [""; 0], "{document:#}");
    }
    assert!(with_verdict(&document, "pass").len() > 20, "{document:#}");
}

/// A program that stays open after its mail, and a device: our own command in a loop.
#[cfg(unix)]
#[test]
fn clients_that_do_not_end_pass() {
    let place = tempfile::tempdir().expect("a directory");
    let password = place.path().join("password");
    std::fs::write(&password, "canary-b37e5d19").expect("written");
    let file = |name: &str| place.path().join(name).to_str().expect("UTF-8").to_owned();
    let ca = file("ca.pem");
    let program = env!("CARGO_BIN_EXE_starttls");
    let send = |host: &str, ca: &str| {
        let server = format!("smtp://{host}");
        let words = [program, "send", "--server", &server, "--ca", ca, "--user", "starttls-test"];
        let more = ["--password-file", &file("password"), "--to", "you@b.test", "--subject", "s"];
        [&words[..], &more].concat().join(" ")
    };
    let case = ["--case", "stripping/refused", "--case", "certificate/other-name"];

    let staying = format!("{} </dev/null; exec sleep 30", send("{host}:{port}", "{ca}"));
    let arguments = [
        &["test-client", "smtp", "--json", "--wait", "1"][..],
        &case,
        &["--", "sh", "-c", &staying],
    ];
    let passed = |output: &std::process::Output| {
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(with_verdict(&document, "pass").len(), 2, "{document:#}");
    };
    passed(&starttls(&arguments.concat(), b""));

    let free = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = free.local_addr().expect("an address").to_string();
    drop(free);
    let looping = format!(
        "while [ ! -e {} ]; do {} </dev/null; sleep 1.5; done",
        file("over"),
        send(&address.replace("127.0.0.1", "localhost"), &ca)
    );
    let mut device = std::process::Command::new("sh")
        .args(["-c", &looping])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("sh");
    let arguments = [
        &["test-client", "smtp", "--json", "--listen", &address, "--authority", &ca][..],
        &["--wait", "1"],
        &case,
    ];
    let output = starttls(&arguments.concat(), b"");
    std::fs::write(file("over"), "").expect("written");
    device.wait().expect("an end");
    passed(&output);
    let said = text(&output.stderr);
    assert!(said.contains("configure the device") && said.contains(&ca), "{said}");
    let key = std::fs::metadata(format!("{ca}.key")).expect("a key").permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&key) & 0o077, 0, "only for its owner");
}

/// A signal ends the client and what it has started.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_ends_the_client() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("pid");
    let script = format!("sleep 600 & echo $! >{0}.new; mv {0}.new {0}; wait", file.display());
    let command = ["test-client", "smtp", "--patience", "60", "--", "sh", "-c", &script];
    let test = std::process::Command::new(env!("CARGO_BIN_EXE_starttls"))
        .args(command)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the command");
    let until = Instant::now() + Duration::from_secs(30);
    let wait = |is_done: &dyn Fn() -> bool| {
        while !is_done() {
            assert!(Instant::now() < until, "it takes too long");
            thread::sleep(Duration::from_millis(20));
        }
    };
    wait(&|| file.exists());
    let started = std::fs::read_to_string(&file).expect("written");
    let ended = std::process::Command::new("kill").arg(test.id().to_string()).status();
    assert!(ended.expect("kill").success());
    let output = test.wait_with_output().expect("an end");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("ending the client") && said.contains("stopped"), "{said}");
    // The system may still keep its exit status.
    let status = format!("/proc/{}/stat", started.trim());
    wait(&|| std::fs::read_to_string(&status).map_or(true, |text| text.contains(") Z ")));
}

#[test]
fn what_cannot_be_tested_is_said() {
    let not_ours = ["check", "smtp://192.0.2.1:25"];
    let implicit = ["check", "smtps://127.0.0.1:465"];
    let no_server = ["check", "smtp://127.0.0.1:1"];
    let no_case = ["check", "smtp://127.0.0.1:1", "--case", "none/*"];
    let idle = ["test-client", "smtp", "--", "true"];
    let missing = ["test-client", "smtp", "--", "/nonexistent/client"];
    let keyless = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let no_key = ["test-client", "smtp", "--listen", "127.0.0.1:0", "--authority", keyless];
    let foreign = ["test-client", "smtp", "--listen", "192.0.2.1:25", "--authority", keyless];
    for (arguments, expected) in [
        (&not_ours[..], "--i-am-allowed"),
        (&no_key, "Cargo.toml.key"),
        (&foreign, "listening on 192.0.2.1:25"),
        (&implicit, "Use smtp://"),
        (&no_server, "connecting"),
        (&no_case, "--list"),
        (&idle, "did not connect"),
        (&missing, "starting the command"),
    ] {
        let output = starttls(arguments, b"");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

/// A server that offers no TLS, and a client that never asks for it, do not pass.
#[test]
fn a_run_without_a_decision_does_not_pass() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("smtp://{}", listener.local_addr().expect("an address"));
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        for reply in ["220 a\r\n", "250 a\r\n", "221 a\r\n"] {
            stream.write_all(reply.as_bytes()).expect("written");
            let _ = stream.read(&mut [0; 512]);
        }
    });
    let output = starttls(&["check", &url], b"");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("the server does not offer TLS"), "{said}");
    server.join().expect("no panic");
}

#[test]
fn the_cases_are_listed() {
    for (arguments, case) in [
        (["check", "smtp://127.0.0.1", "--list"], "injection/same-segment"),
        (["test-client", "smtp", "--list"], "greeting/logged-in"),
    ] {
        let output = starttls(&arguments, b"");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains(case), "{}", text(&output.stdout));
    }
}
