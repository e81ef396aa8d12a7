//! Long replies of servers, and the origin of an error.

use crate::common::{scripted, starttls, text, tls_scripted};

const HELLO: &str = "250 mx\r\n";
const OK: &str = "250 ok\r\n";
const GO: &str = "354 go\r\n";

fn send(replies: &[&str]) -> (Option<i32>, String) {
    let (url, ca) = tls_scripted(&[replies]);
    let ca = ca.path().to_str().expect("UTF-8");
    let output = starttls(
        &["send", "--server", &url, "--ca", ca, "--to", "a@b.test", "--timeout", "5"],
        b"x\r\n",
    );
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn a_long_line_is_a_reply() {
    let long = "x".repeat(600);
    let (code, shown) =
        send(&[HELLO, OK, OK, GO, &format!("250 2.0.0 queued {long}\r\n"), "221 bye\r\n"]);
    assert_eq!(code, Some(0), "{shown}");
    let (code, shown) = send(&[HELLO, OK, &format!("550 5.7.1 no {long}\r\n"), "221 bye\r\n"]);
    assert_eq!(code, Some(6), "{shown}");
    assert!(shown.contains(": 550 5.7.1 no xxx") && shown.contains("xxx..."), "{shown}");
    let (code, shown) =
        send(&[&format!("250-mx {long}\r\n{HELLO}"), OK, OK, GO, OK, "221 bye\r\n"]);
    assert_eq!(code, Some(0), "{shown}");
}

#[test]
fn all_lines_of_a_refusal_are_reported() {
    let refusal = "550-5.7.1 Your host\r\n550-5.7.1 is listed at\r\n550 5.7.1 list.example\r\n";
    let all = "550 5.7.1 Your host 5.7.1 is listed at 5.7.1 list.example";
    let mut dialogues =
        vec![vec![HELLO, OK, refusal, "221 bye\r\n"], vec![HELLO, refusal, "221 bye\r\n"]];
    dialogues.push(vec![HELLO, OK, OK, GO, refusal, "221 bye\r\n"]);
    for replies in dialogues {
        let (code, shown) = send(&replies);
        assert_eq!(code, Some(6), "{shown}");
        assert!(shown.contains(all), "{shown}");
    }
    let (url, ca) = tls_scripted(&[&[HELLO, OK, refusal, "221 bye\r\n"]]);
    let ca = ca.path().to_str().expect("UTF-8");
    let arguments = ["send", "--server", &url, "--ca", ca, "--to", "a@b.test", "--json"];
    let output = starttls(&arguments, b"x\r\n");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let lines = ["5.7.1 Your host", "5.7.1 is listed at", "5.7.1 list.example"];
    assert_eq!(report["recipients"][0]["lines"], serde_json::json!(lines), "{report}");
    let (url, server) = scripted(&["554-Your host\r\n554 is listed\r\n"]);
    let output = starttls(&["probe", &url, "--timeout", "5"], b"");
    let error = text(&output.stderr);
    assert!(error.contains("the peer said: 554-Your host 554 is listed"), "{error}");
    server.join().expect("no panic");
}

#[test]
fn the_decisive_reply_is_reported() {
    let leaves = "421 4.3.2 going down\r\n";
    for (replies, said) in [
        (&[HELLO, leaves][..], "421 4.3.2 going down"),
        (&[HELLO, OK, leaves], "421 4.3.2 going down"),
        (&[HELLO, OK, OK, GO, leaves], "421 4.3.2 going down"),
        (&[HELLO, "250-a\r\n550 b\r\n"], "550 b"),
        (&[HELLO, "what?\r\n"], "what?"),
        (&[HELLO, "250 ok\n"], "250 ok"),
        (&[HELLO, "250 ok\r\n250 and more\r\n"], "250 and more"),
    ] {
        let (code, shown) = send(replies);
        assert_ne!(code, Some(0), "{shown}");
        assert!(shown.contains(&format!("the peer said: {said}")), "{replies:?}: {shown}");
    }
}
