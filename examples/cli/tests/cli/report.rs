//! The output of `send --json`, checked against its schema.

use std::fs;
use std::net::UdpSocket;
use std::process::Output;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use starttls::lmtp::Lmtp;
use starttls_std::Mode;

use crate::common::{Server, scripted, starttls, text, tls_scripted, tls_scripted_as};

/// All objects of the output, each valid by the schema.
fn reports(output: &Output) -> Vec<Value> {
    let schema = include_str!("../../send.schema.json");
    let schema = serde_json::from_str(schema).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let parse = |line: &str| -> Value {
        let report = serde_json::from_str(line).expect("JSON");
        let faults: Vec<_> =
            validator.iter_errors(&report).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{report}: {faults:?}");
        report
    };
    text(&output.stdout).lines().map(parse).collect()
}

/// The only object, whose code is the command's.
fn report(output: &Output) -> Value {
    let reports = reports(output);
    let [report] = &reports[..] else { panic!("{reports:?} {}", text(&output.stderr)) };
    assert_eq!(report["exit_code"], output.status.code().expect("a code"), "{report}");
    assert_eq!(report["error"].is_null(), report["fate"] == "accepted", "{report}");
    report.clone()
}

#[test]
fn each_recipient_has_its_result() {
    const OK: &str = "250 2.1.5 ok\r\n";
    let (url, ca) = tls_scripted(&[
        &[
            OK,
            OK,
            OK,
            "550-5.1.1 no\r\n550 5.1.1 such user\r\n",
            "354 go\r\n",
            "250 2.0.0 queued\r\n",
        ],
        &[OK, OK, "550 5.1.1 no\r\n", "450 later\r\n"],
        &[OK, OK, OK, "550 5.1.1 no\r\n", "354 go\r\n", "552 5.3.4 too large\r\n"],
        &[OK, "550 5.7.1 not you\r\n"],
        &[OK, OK, OK, OK, "354 go\r\n"],
    ]);
    let ca = ca.path().to_str().expect("UTF-8");
    let arguments =
        ["send", "--json", "--server", &url, "--ca", ca, "--to", "a@b.test", "--to", "c@d.test"];
    let send = || starttls(&arguments, b"A: b\n\nx\n");

    let some = report(&send());
    assert_eq!((&some["fate"], &some["exit_code"]), (&json!("accepted"), &json!(6)));
    let [a, c] = &some["recipients"].as_array().expect("recipients")[..] else { panic!("{some}") };
    assert_eq!(
        (&a["accepted"], &a["code"], &a["status"]),
        (&json!(true), &json!(250), &json!("2.0.0"))
    );
    assert_eq!(
        (&c["accepted"], &c["code"], &c["status"]),
        (&json!(false), &json!(550), &json!("5.1.1"))
    );
    assert!(c["answer"].as_str().is_some_and(|answer| answer.starts_with("550 ")), "{some}");

    let none = report(&send());
    let codes = |report: &Value| [0, 1].map(|n| report["recipients"][n]["code"].clone());
    assert_eq!(codes(&none), [json!(550), json!(450)]);
    assert_eq!((&none["fate"], &none["last_answer"]["code"]), (&json!("not sent"), &json!(450)));

    let refused = report(&send());
    assert_eq!(codes(&refused), [json!(552), json!(550)]);
    assert_eq!(
        (&refused["fate"], &refused["last_answer"]["status"]),
        (&json!("not accepted"), &json!("5.3.4"))
    );

    let early = report(&send());
    assert_eq!(codes(&early), [Value::Null, Value::Null]);
    assert_eq!(early["last_answer"]["lines"][0], "5.7.1 not you");

    let unknown = report(&send());
    assert_eq!((&unknown["fate"], &unknown["safe_to_retry"]), (&json!("unknown"), &json!(false)));
}

/// A DNS server that always fails; it ends when no query arrives any more.
fn failing_dns() -> String {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a port");
    let address = socket.local_addr().expect("an address").to_string();
    socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    thread::spawn(move || {
        let mut query = [0; 1500];
        while let Ok((length, client)) = socket.recv_from(&mut query) {
            // A response (RFC 1035 section 4.1.1), SERVFAIL.
            (query[2], query[3]) = (query[2] | 0x80, 2);
            let _ = socket.send_to(&query[..length], client);
        }
    });
    address
}

#[test]
fn every_outcome_prints_an_object() {
    let place = tempfile::tempdir().expect("a directory");
    let path = |name: &str| place.path().join(name).display().to_string();
    let (empty, directory, missing) = (path("empty"), path("directory"), path("missing"));
    fs::write(&empty, "").expect("written");
    fs::create_dir(&directory).expect("a directory");
    let server = ["--server", "smtp://127.0.0.1:1", "--to", "a@b.test"];
    let resolver = failing_dns();
    let dns = ["--mx", "--resolver", &resolver, "--to", "a@b.test"];
    for (arguments, code, said) in [
        (&[&server[..], &[&missing]].concat()[..], 1, "missing: "),
        (&[&server[..], &[&empty]].concat(), 1, "--allow-empty"),
        (&[&server[..], &["--allow-empty", &empty]].concat(), 8, "connecting"),
        (&[&server[..], &[&directory]].concat(), 1, "no .eml file"),
        (&[&server[..], &["--ca", &missing]].concat(), 1, "--ca /"),
        (&[&server[..], &["--tls", "perhaps"]].concat(), 1, "'--tls <TLS>'"),
        (&["--to", "nobody"], 1, "'--to <ADDRESS>'"),
        (&["--server", "gopher://x"], 1, "gopher"),
        (&["--server", "smtp://127.0.0.1:1"], 1, "--to"),
        (&dns, 10, "b.test"),
        (&[&dns[..], &[&empty]].concat(), 1, "--allow-empty"),
        (&[&dns[..], &[&missing]].concat(), 1, "missing: "),
        (&["--resolver", "127.0.0.1:9"], 1, "need --mx"),
    ] {
        let output = starttls(&[&["send", "--json"][..], arguments].concat(), b"A: b\n\nx\n");
        let report = report(&output);
        assert_eq!(report["exit_code"], code, "{arguments:?}: {report}");
        assert_eq!((&report["fate"], &report["safe_to_retry"]), (&json!("not sent"), &json!(true)));
        let error = report["error"].as_str().expect("a text");
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
    let (url, server) = scripted(&["220 hi\r\n", "250 no STARTTLS\r\n"]);
    let output =
        starttls(&["send", "--json", "--server", &url, "--to", "a@b.test"], b"A: b\n\nx\n");
    let report = report(&output);
    assert_eq!((&report["offered"], &report["exit_code"]), (&json!(false), &json!(2)));
    assert_eq!(report["last_answer"]["code"], 250);
    server.join().expect("no panic");
}

#[test]
fn abandoned_mails_are_reported() {
    let place = tempfile::tempdir().expect("a directory");
    for name in ["1.eml", "2.eml", "3.eml"] {
        let to = if name == "2.eml" { "root" } else { "c@d" };
        fs::write(place.path().join(name), format!("From: a@b\nTo: {to}\n\nx\n")).expect("written");
    }
    let source = place.path().to_str().expect("UTF-8");
    let output = starttls(&["send", "--json", "--server", "smtp://127.0.0.1:1", source], b"");
    let reports = reports(&output);
    let said = |n: usize| reports[n]["error"].as_str().expect("a text");
    assert_eq!(reports.len(), 3, "{reports:?}");
    assert!(said(0).contains("connecting") && said(1).contains("\"root\""), "{reports:?}");
    assert!(said(2).contains("gave up at"), "{reports:?}");
    assert_eq!(reports[2]["recipients"][0]["address"], "c@d");
}

#[test]
fn sent_mails_are_reported() {
    let server = Server::start(&["smtp"]);
    let url = server.url("smtp");
    let arguments = ["send", "--json", "--server", &url, "--ca", &server.ca, "--to", "a@b.test"];
    let sent = report(&starttls(&[&arguments[..], &["--from", "<>"]].concat(), b"A: b\n\nx\n"));
    assert_eq!((&sent["from"], &sent["verified"]), (&json!(""), &json!(true)));
    let ourselves = report(&starttls(&["send", "--json"], b""));
    assert_eq!(ourselves["recipients"][0]["accepted"], true);
}

/// If the server dies after the message, only the recipients without a reply are unknown.
#[test]
fn replies_before_the_server_died_are_kept() {
    const OK: &str = "250 ok\r\n";
    let (url, ca) = tls_scripted_as::<Lmtp>(
        Mode::StartTls,
        &[
            &[OK, OK, OK, "550 5.1.1 no\r\n", OK, "354 go\r\n", "250 2.0.0 taken\r\n"],
            &[OK, OK, OK, "354 go\r\n", OK],
        ],
    );
    let ca = ca.path().to_str().expect("UTF-8");
    let place = tempfile::tempdir().expect("a directory");
    let mail = "From: x@y.test\nTo: a@b.test, no@b.test, c@b.test\n\nx\n";
    fs::write(place.path().join("1.eml"), mail).expect("written");
    let source = place.path().to_str().expect("UTF-8");
    let arguments = ["send", "--json", "--server", &url, "--ca", ca, "--timeout", "3", source];
    let send = || starttls(&arguments, b"");
    let died = report(&send());
    assert_eq!((&died["fate"], &died["exit_code"]), (&json!("unknown"), &json!(11)));
    let results = |report: &Value| {
        let of = |to: &Value| (to["accepted"].clone(), to["code"].clone(), to["earlier"].clone());
        report["recipients"].as_array().expect("recipients").iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(
        results(&died),
        [
            (json!(true), json!(250), Value::Null),
            (json!(false), json!(550), Value::Null),
            (json!(false), Value::Null, Value::Null),
        ]
    );
    // Another run: to the refused recipients, and to the unknown ones.
    let again = reports(&send());
    let unknown = (json!(false), Value::Null, json!("unknown"));
    let accepted = (json!(true), Value::Null, json!("accepted"));
    let [_, ref second, ref earlier] = results(&again[0])[..] else { panic!("{again:?}") };
    assert_eq!((second, earlier), (&unknown, &accepted), "{again:?}");
}
