//! Futures that are dropped at any moment: the reported fate matches the bytes that the peer received.

use std::future::poll_fn;
use std::task::Poll;

use embedded_io::{ErrorKind, ErrorType};
use starttls::mail::session::Fate;
use starttls::{Policy, server, smtp};
use starttls_embedded::{Buffers, Mailer, Settings, Timer, Unbounded, asynch};
use test_dropped::drop_after;

use crate::common::{Peer, Turn, envelope, hears, says};
use crate::mails::{MESSAGE, TO, credentials, good, opening};
use crate::roles::{GO_AHEAD, client_of};
use crate::through::Through;

/// A peer that is pending at every other poll.
struct Halting {
    peer: Peer,
    goes: bool,
}

impl Halting {
    fn new(script: &[Turn]) -> Self {
        // In pieces, so that a message takes many writes.
        Self { peer: Peer::new(script, 7), goes: false }
    }

    async fn halt(&mut self) {
        poll_fn(|_| {
            self.goes = !self.goes;
            if self.goes { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }
}

impl ErrorType for Halting {
    type Error = ErrorKind;
}

impl embedded_io_async::Read for Halting {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        self.halt().await;
        embedded_io_async::Read::read(&mut self.peer, buf).await
    }
}

impl embedded_io_async::Write for Halting {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        // A write that was polled once may have been sent, even if its future is dropped.
        let written = embedded_io_async::Write::write(&mut self.peer, buf).await;
        self.halt().await;
        written
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        self.halt().await;
        Ok(())
    }
}

fn heard(peer: &Peer) -> String {
    peer.heard.escape_ascii().to_string()
}

/// Checks the fate against the bytes that the peer received.
fn check(fate: Fate, peer: &Peer, polls: usize) {
    let heard = heard(peer);
    let ended = heard.contains("All is well.\\r\\n.\\r\\n");
    assert!(!(ended && fate.is_safe_to_retry()), "{fate:?} after {polls} polls: {heard}");
    // Before the mail is started, its fate must be certain.
    let begun = heard.contains("DATA\\r\\n");
    assert!(begun || fate == Fate::NotSent, "{fate:?} after {polls} polls: {heard}");
}

#[test]
fn a_mail() {
    let credentials = credentials();
    let settings = Settings::new().with_credentials(&credentials);
    let mut seen = Vec::new();
    for polls in 0.. {
        let (mut socket, mut tls) = (Halting::new(&good()), Through::verified());
        // Too small for the message and its end together.
        let mut buffers = Buffers::<512, 40>::new();
        let mut mailer = Mailer::new(&mut socket, &mut tls, &mut buffers, Unbounded).with(settings);
        let done = drop_after(polls, mailer.send_async(&envelope(&TO[..1]), MESSAGE));
        let fate = mailer.fate();
        seen.push(fate);
        check(fate, &socket.peer, polls);
        if let Some(outcome) = done {
            assert!(outcome.is_ok());
            break;
        }
    }
    seen.dedup();
    assert_eq!(seen, [Fate::NotSent, Fate::NotAccepted, Fate::Unknown, Fate::Accepted]);
}

/// A dropped mail ends the connection. The connection and its mailer know the fate.
#[test]
fn a_connection() {
    let credentials = credentials();
    let settings = Settings::new().with_credentials(&credentials);
    let mut ends = 0;
    for polls in 0.. {
        let (mut socket, mut tls) = (Halting::new(&good()), Through::verified());
        let mut buffers = Buffers::<512, 512>::new();
        let mut mailer = Mailer::new(&mut socket, &mut tls, &mut buffers, Unbounded).with(settings);
        let Some(opened) = drop_after(usize::MAX, mailer.connect_async()) else { continue };
        let mut connection = opened.expect("open");
        let to = envelope(&TO[..1]);
        let done = drop_after(polls, connection.send_async(&to, MESSAGE));
        let fate = connection.fate();
        assert_eq!(connection.is_open(), done.is_some() || polls == 0);
        if done.is_some() {
            ends += 1;
            let left = drop_after(ends - 1, connection.quit_async()).is_some();
            assert_eq!(mailer.fate(), Fate::Accepted, "a goodbye does not change the fate");
            if left {
                break;
            }
            continue;
        }
        assert_eq!(mailer.fate(), fate);
        // The mailer is used up, whatever the result was.
        assert!(drop_after(1, mailer.connect_async()).expect("at once").is_err());
        check(fate, &socket.peer, polls);
    }
    assert!(ends > 3, "{ends}");
}

/// A connection that is not open yet has sent no mail.
#[test]
fn an_opening() {
    let credentials = credentials();
    let settings = Settings::new().with_credentials(&credentials);
    for polls in 0.. {
        let (mut socket, mut tls) = (Halting::new(&good()), Through::verified());
        let mut buffers = Buffers::<512, 512>::new();
        let mut mailer = Mailer::new(&mut socket, &mut tls, &mut buffers, Unbounded).with(settings);
        let opened = drop_after(polls, mailer.connect_async()).is_some();
        assert_eq!(mailer.fate(), Fate::NotSent);
        if polls > 0 {
            let again = drop_after(usize::MAX, mailer.connect_async()).expect("at once");
            assert!(again.is_err(), "an interrupted opening cannot continue");
        }
        if opened {
            break;
        }
    }
}

/// After a dropped upgrade nothing more is sent, and after the go-ahead nothing in plaintext.
#[test]
fn upgrades() {
    for polls in 0.. {
        let (mut socket, mut tls) = (Halting::new(&opening()), Through::verified());
        let (mut buffers, mut timer) = (Buffers::<512, 512>::new(), Timer::new(Unbounded));
        let client = smtp::Client::new(smtp::Domain::LOCALHOST, Policy::Required);
        let upgrade = asynch::upgrade(&mut socket, client, &mut tls, &mut buffers, &mut timer);
        let done = drop_after(polls, upgrade).is_some();
        let all = "EHLO [127.0.0.1]\\r\\nSTARTTLS\\r\\nTLS";
        assert!(all.starts_with(&heard(&socket.peer)));
        if done {
            break;
        }
    }
    let script = client_of(&[says("STARTTLS\r\n\x16\x03"), hears(GO_AHEAD), hears("\x16\x03")]);
    for polls in 0.. {
        let (mut socket, mut tls) = (Halting::new(&script), Through::verified());
        let (mut buffers, mut timer) = (Buffers::<1200, 600>::new(), Timer::new(Unbounded));
        let server = smtp::Server::new(smtp::Domain::LOCALHOST, server::Config::default());
        let accept = asynch::accept(&mut socket, server, &mut tls, &mut buffers, &mut timer);
        let done = drop_after(polls, accept).is_some();
        if let Some((_, after)) = heard(&socket.peer).split_once("Ready to start TLS\\r\\n") {
            assert!("\\x16\\x03".starts_with(after), "{after}");
        }
        if done {
            break;
        }
    }
}
