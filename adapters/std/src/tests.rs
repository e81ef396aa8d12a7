use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use starttls::Policy;
use starttls::mail::{Address, Envelope};
use starttls::smtp::{self, Domain, Smtp};
use starttls_common::{self as common, ClientTls, Settings, Silent, Timeouts, ready};

use crate::{Driver, Socket};

/// Answers each write with the next of its lines, and remembers the writes.
#[derive(Clone, Default)]
struct Script {
    acknowledged: Arc<AtomicBool>,
    answers: Arc<Mutex<VecDeque<&'static str>>>,
    writes: Arc<Mutex<Vec<String>>>,
}

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(
            self.acknowledged.swap(false, Ordering::Relaxed),
            "asked for at once before each read"
        );
        let answer = self.answers.lock().expect("a test").pop_front().unwrap_or_default();
        buffer[..answer.len()].copy_from_slice(answer.as_bytes());
        Ok(answer.len())
    }
}

impl Write for Script {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.writes.lock().expect("a test").push(String::from_utf8_lossy(octets).into_owned());
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket for Script {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.read(buffer).map(Some)
    }

    fn acknowledge(&self) {
        self.acknowledged.store(true, Ordering::Relaxed);
    }

    fn set_timeout(&mut self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn one_write_a_flight() {
    let script = Script::default();
    script.answers.lock().expect("a test").extend([
        "220 x\r\n",
        "250 x\r\n",
        "250 x\r\n",
        "250 ok\r\n",
        "250 ok\r\n",
        "354 go\r\n",
        "250 ok\r\n",
        "221 bye\r\n",
    ]);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let settings = Settings::new("x", ClientTls::from_config(Arc::new(config)))
        .with_policy(Policy::Opportunistic);
    let opening = settings.opening::<Smtp>().expect("settings");
    let driver = Driver::new(script.clone(), Timeouts::default(), Silent);
    let mut connection = ready(common::open(driver.0, opening, &settings)).expect("open");
    let to = [Address::new("a@b").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("recipients");
    let receipt = ready(connection.send(&envelope, &b"a\r\n.b"[..])).expect("sent");
    assert!(receipt.is_complete());
    ready(connection.quit()).expect("left");
    assert_eq!(
        *script.writes.lock().expect("a test"),
        [
            "EHLO [127.0.0.1]\r\n",
            "EHLO [127.0.0.1]\r\n",
            "MAIL FROM:<>\r\n",
            "RCPT TO:<a@b>\r\n",
            "DATA\r\n",
            "a\r\n..b\r\n.\r\n",
            "QUIT\r\n"
        ]
    );
}

#[test]
fn a_group_of_commands_gets_its_answers_in_one_write() {
    let script = Script::default();
    script.answers.lock().expect("a test").push_back("EHLO x\r\nNOOP\r\nNOOP\r\nQUIT\r\n");
    let mut driver = Driver::new(script.clone(), Timeouts::default(), Silent);
    let config = starttls::server::Config::default();
    let mut server = smtp::Server::new(Domain::LOCALHOST, config);
    let quit = driver.run(&mut server, |_, event, _| match event {
        starttls::server::Event::Quit => Ok(ControlFlow::Break(())),
        _ => Ok(ControlFlow::Continue(())),
    });
    assert_eq!(quit.expect("left"), Some(()));
    let writes = script.writes.lock().expect("a test");
    assert_eq!(writes.len(), 2, "the greeting, and the rest: {writes:?}");
    assert!(writes[1].ends_with("250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n221 2.0.0 Goodbye\r\n"));
}
