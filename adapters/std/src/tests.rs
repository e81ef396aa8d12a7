use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::crypto::ring;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use starttls::Policy;
use starttls::mail::{Address, Envelope};
use starttls::smtp::{self, Domain, Smtp};
use starttls_common::{self as common, ClientTls, Settings, Silent, Timeouts, ready};

use crate::{Blocking, Driver, Socket};

/// Answers each write with its next line, and records the writes.
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
            "acknowledgement requested before each read"
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

    fn timeouts(&self) -> io::Result<[Option<Duration>; 2]> {
        Ok([None; 2])
    }

    fn set_timeouts(&mut self, _: [Option<Duration>; 2]) -> io::Result<()> {
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
    let opening = settings.opening::<Smtp>("[127.0.0.1]").expect("settings");
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
    assert_eq!(writes.len(), 2, "the greeting, then all replies: {writes:?}");
    assert!(writes[1].ends_with("250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n221 2.0.0 Goodbye\r\n"));
}

/// Accepts two bytes of every other write, and nothing of the others.
#[derive(Default)]
struct Slow {
    taken: Vec<u8>,
    writes: usize,
}

impl Read for Slow {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }
}

impl Write for Slow {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        if self.writes.is_multiple_of(2) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let octets = &octets[..octets.len().min(2)];
        self.taken.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket for Slow {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.read(buffer).map(Some)
    }

    fn timeouts(&self) -> io::Result<[Option<Duration>; 2]> {
        Ok([None; 2])
    }

    fn set_timeouts(&mut self, _: [Option<Duration>; 2]) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A flush that fails half way continues where it stopped.
#[test]
fn sent_bytes_are_not_sent_again() {
    const SAID: &[u8] = b"0123456789";
    let timeouts = Timeouts::new().with_total(Duration::ZERO);
    let mut driver = common::Driver::<Slow, Blocking>::new(Slow::default(), timeouts, Silent);
    ready(driver.send(SAID)).expect_err("there is no time");
    let (stream, mut link) = driver.into_parts();
    assert!(!stream.taken.is_empty() && stream.taken.len() < SAID.len());
    let mut driver = common::Driver::<Slow, Blocking>::over(stream, {
        link.restart_total(Instant::now() + Duration::from_secs(60));
        link
    });
    while ready(driver.flush()).is_err() {}
    assert_eq!(driver.stream().taken, SAID);
}

/// The caller can check the time after each write, however slowly a record leaves.
#[test]
fn a_record_leaves_write_by_write() {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = "localhost".try_into().expect("a name");
    let tls = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut stream = StreamOwned::new(tls, Slow::default());
    assert!(!stream.push().expect("written"), "more is pending");
    assert_eq!(stream.sock.writes, 1);
    assert!(stream.push().is_err(), "blocked");
    assert_eq!(stream.send(b"x").expect("written"), None, "earlier bytes have to leave first");
    assert_eq!((stream.sock.writes, stream.sock.taken.len()), (3, 4));
}
