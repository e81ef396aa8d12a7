//! Mails whose future is dropped at any moment: the reported fate matches the bytes that the server received.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_lite::{AsyncRead, AsyncWrite};
use starttls::Policy;
use starttls::mail::session::Fate;
use starttls::mail::{Address, Envelope};
use starttls::smtp::Smtp;
use starttls_futures::{ClientTls, Connection, Driver, Futures, Settings, Silent, Timeouts, open};
use test_dropped::{Scenarios, drop_after};
use test_identity::{Authority, provider};

/// A server that replies to each line, accepts two bytes at a time, and is pending at every other poll.
struct Server {
    heard: Arc<Mutex<Vec<u8>>>,
    answers: &'static [(&'static str, &'static str)],
    goes: bool,
}

const ANSWERS: &[(&str, &str)] = &[
    ("", "220 mx\r\n"),
    ("EHLO [127.0.0.1]\r\n", "250 mx\r\n"),
    ("EHLO [127.0.0.1]\r\n", "250 mx\r\n"),
    ("MAIL FROM:<>\r\n", "250 ok\r\n"),
    ("RCPT TO:<a@b>\r\n", "250 ok\r\n"),
    ("RCPT TO:<c@d>\r\n", "452 4.5.3 too many\r\n"),
    ("DATA\r\n", "354 go\r\n"),
    ("\r\n.\r\n", "250 taken\r\n"),
    ("MAIL FROM:<>\r\n", "250 ok\r\n"),
    ("RCPT TO:<c@d>\r\n", "250 ok\r\n"),
    ("DATA\r\n", "354 go\r\n"),
    ("\r\n.\r\n", "250 taken\r\n"),
    ("QUIT\r\n", "221 bye\r\n"),
];

impl Server {
    fn halts(&mut self) -> bool {
        self.goes = !self.goes;
        self.goes
    }
}

impl AsyncRead for Server {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Some((asked, answer)) = self.answers.first() else { return Poll::Ready(Ok(0)) };
        if self.halts() || !self.heard.lock().expect("a test").ends_with(asked.as_bytes()) {
            return Poll::Pending;
        }
        self.answers = &self.answers[1..];
        buffer[..answer.len()].copy_from_slice(answer.as_bytes());
        Poll::Ready(Ok(answer.len()))
    }
}

impl AsyncWrite for Server {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.halts() {
            return Poll::Pending;
        }
        let octets = &octets[..octets.len().min(2)];
        self.heard.lock().expect("a test").extend_from_slice(octets);
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.halts() { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

/// Client and server, in all their operations.
#[test]
fn every_future() {
    Scenarios::<Futures>::default().run();
}

#[test]
fn a_mail_in_two_transactions() {
    let tls = ClientTls::trusting(Authority::default().roots(), provider()).expect("roots");
    let settings = Settings::new("mx", tls).with_policy(Policy::Opportunistic);
    let to = ["a@b", "c@d"].map(|address| Address::new(address).expect("an address"));
    let envelope = Envelope::new(None, &to).expect("recipients");
    let mut seen = Vec::new();
    for polls in 0.. {
        let heard = Arc::default();
        let server = Server { heard: Arc::clone(&heard), answers: ANSWERS, goes: false };
        let driver = Driver::new(server, Timeouts::default(), Silent);
        let opening = settings.opening::<Smtp>("[127.0.0.1]").expect("settings");
        let opened = drop_after(1000, open(driver, opening, &settings));
        let mut connection: Connection<'_, Smtp, Server> =
            opened.expect("done").expect("an open connection");
        let sent = drop_after(polls, connection.send_to_all(&envelope, || &b"a\r\n"[..]));
        let fate = connection.fate();
        let text = String::from_utf8(heard.lock().expect("a test").clone()).expect("text");
        let ended = text.contains("\r\n.\r\n");
        assert!(!(ended && fate.is_safe_to_retry()), "{fate:?} after {polls} polls: {text}");
        assert!(text.contains("DATA\r\n") || fate == Fate::NotSent, "{fate:?}: {text}");
        assert_eq!(connection.is_open(), sent.is_some() || polls == 0);
        seen.push(fate);
        if let Some(receipt) = sent {
            assert!(receipt.expect("sent").is_complete());
            break;
        }
    }
    seen.dedup();
    // A short message leaves with its end. In the second transaction the first recipient has the mail
    // already.
    let expected = [Fate::NotSent, Fate::Unknown, Fate::Accepted, Fate::Unknown, Fate::Accepted];
    assert_eq!(seen, expected);
}
