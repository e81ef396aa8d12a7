//! Spans and events: what happened, and no content.
//!
//! A program of its own: the subscriber is the process's, and would hear other tests too.

#[path = "../loopback/common.rs"]
#[expect(dead_code, reason = "one test uses a part")]
mod common;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use starttls::mail::receiver::{self, Authentication};
use starttls::smtp::Smtp;
use tracing_subscriber::fmt::MakeWriter;

use crate::common::{Identity, send, serve};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Everything that is logged by the client and the server while `act` runs.
fn logged(act: impl FnOnce()) -> String {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .without_time()
        .with_writer(log.clone())
        .finish();
    // For all threads: the server has one of its own.
    tracing::subscriber::set_global_default(subscriber).expect("the only one");
    act();
    let bytes = log.0.lock().expect("no panic").clone();
    String::from_utf8(bytes).expect("text")
}

#[test]
fn events_say_what_happened_and_show_no_content() {
    let identity = Identity::new();
    let receiver = receiver::Config::default().with_authentication(Authentication::Required);
    let log = logged(|| {
        for password in ["secret", "not-the-secret"] {
            let (port, server) = serve::<Smtp>(identity.inbox().with_receiver(receiver));
            let settings = identity.settings(port).with_login(("user", password));
            let sent =
                send(&settings, &["a@b.test", "no@b.test"], b"Subject: private\r\n\r\nx\r\n");
            assert_eq!(sent.is_ok(), password == "secret");
            server.join().expect("no panic").1.expect("a goodbye");
        }
    });
    let lines: Vec<_> = log.lines().filter(|line| line.contains("starttls_common")).collect();
    for (part, count) in [
        ("connection{protocol=\"smtp\" host=\"localhost\"", 4),
        ("encrypted version=Some(TLSv1_3)", 4),
        ("mail{recipients=2}: starttls_common::spans: sent accepted=1 refused=1", 1),
        ("received size=23 recipients=1 encrypted=true code=250", 1),
        ("failed code=535", 1),
        ("advice=CheckLogin", 1),
    ] {
        let found = lines.iter().filter(|line| line.contains(part)).count();
        assert_eq!(found, count, "{part}\n{log}");
    }
    // The password, its forms in SASL, the users, the addresses and the message.
    for secret in [
        "secret",
        "c2VjcmV0",
        "AHVzZXIAc2VjcmV0",
        "user",
        "dXNlcg",
        "a@b.test",
        "me@example",
        "private",
        "AUTH",
        "RCPT",
    ] {
        assert!(!log.contains(secret), "{secret}\n{log}");
    }
}
