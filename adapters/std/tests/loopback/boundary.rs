//! The end of the plaintext, over loopback.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use crate::common::{Identity, listen, quick, read_to, send, serve, until_starttls};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use starttls::smtp::{self, Domain, Smtp};
use starttls::{Error as Rule, Policy, server};
use starttls_std::{Error, accept, connect, upgrade};
use test_identity::hello_in_pieces;

#[test]
fn a_stream_for_each_side() {
    let identity = Identity::new();
    let tls = Arc::clone(&identity.server);
    let (port, thread) = listen(move |stream| {
        let server = smtp::Server::new(Domain::LOCALHOST, server::Config::default());
        let mut stream = accept(stream, server, &tls).expect("upgraded");
        let ping = read_to(&mut stream, b"\n").expect("a line");
        stream.write_all(b"pong\n").expect("written");
        ping
    });
    let stream = connect(("localhost", port), &quick()).expect("connected");
    assert!(stream.nodelay().expect("an option"));
    let client = smtp::Client::new(Domain::LOCALHOST, Policy::Required);
    let mut stream = upgrade(stream, client, &identity.client, "localhost").expect("upgraded");
    stream.write_all(b"ping\n").expect("written");
    assert_eq!(read_to(&mut stream, b"\n").expect("a line"), b"pong\n");
    assert_eq!(thread.join().expect("no panic"), b"ping\n");
}

#[test]
fn a_client_hello_in_pieces() {
    let identity = Identity::new();
    // No early bytes, the first one, most of a segment.
    for early in [0, 1, 1400] {
        let tls = Arc::clone(&identity.server);
        let (port, thread) = listen(move |stream| {
            let server = smtp::Server::new(Domain::LOCALHOST, server::Config::default());
            let mut stream = accept(stream, server, &tls).expect("upgraded");
            read_to(&mut stream, b"\n").expect("a line")
        });
        let stream = TcpStream::connect(("localhost", port)).expect("connected");
        stream.set_nodelay(true).expect("an option");
        let config = ClientConfig::clone(&identity.client.rustls());
        let mut stream = hello_in_pieces(stream, config, early);
        stream.write_all(b"ping\n").expect("written");
        assert_eq!(thread.join().expect("no panic"), b"ping\n");
    }
}

#[test]
fn bytes_after_the_go_ahead_end_it() {
    let identity = Identity::new();
    for garbage in [&b"250 forged\r\n"[..], b"250-AUTH PLAIN", b"\x16"] {
        let (port, thread) = listen(move |mut stream| {
            until_starttls(&mut stream).expect("a client");
            stream.write_all(&[b"220 go\r\n", garbage].concat()).expect("written");
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).map(|_| rest)
        });
        let failed = send(&identity.settings(port), &["a@b.test"], b"x").expect_err("injected");
        let unread = garbage.len();
        assert_eq!(failed.protocol(), Some(Rule::PlaintextAfterGoAhead { unread }));
        // The client closes silently. The unread bytes may turn the close into a reset.
        assert!(thread.join().expect("no panic").unwrap_or_default().is_empty());
    }
}

#[test]
fn later_plaintext_is_not_tls() {
    let identity = Identity::new();
    let (port, thread) = listen(|mut stream| {
        until_starttls(&mut stream).expect("a client");
        stream.write_all(b"220 go\r\n").expect("written");
        let mut first = [0];
        stream.read_exact(&mut first).expect("a ClientHello");
        let _ = stream.write_all(b"250 forged answer\r\n");
        first
    });
    let failed = send(&identity.settings(port), &["a@b.test"], b"x").expect_err("injected");
    assert!(matches!(failed, Error::Tls(_)), "{failed}");
    assert_eq!(thread.join().expect("no panic"), [0x16]);
}

#[test]
fn silence_times_out() {
    let identity = Identity::new();
    for (silent_after_go_ahead, drip) in [(false, false), (true, false), (false, true)] {
        let (port, thread) = listen(move |mut stream| {
            if silent_after_go_ahead {
                until_starttls(&mut stream).expect("a client");
                stream.write_all(b"220 go\r\n").expect("written");
            }
            // Single bytes keep each wait short, but not the whole.
            while drip && stream.write_all(b"2").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest);
        });
        let mailer =
            identity.settings(port).with_timeouts(quick().with_total(Duration::from_millis(300)));
        let failed = send(&mailer, &["a@b.test"], b"x").expect_err("no server answers");
        assert_eq!(failed.protocol(), Some(Rule::TimedOut));
        thread.join().expect("no panic");
    }
}

/// Sends single bytes, so that each wait is short and the whole is not.
fn drip(mut stream: TcpStream, record: u8) {
    // A TLS record of 16 KiB that takes more than five minutes.
    let begun = stream.write_all(&[record, 3, 3, 0x40, 0]);
    while begun.is_ok() && stream.write_all(&[0]).is_ok() {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_total_counts_inside_tls_too() {
    let identity = Identity::new();
    let tls = Arc::clone(&identity.server);
    let (in_handshake, first) = listen(move |mut stream| {
        until_starttls(&mut stream).expect("a client");
        stream.write_all(b"220 go\r\n").expect("written");
        stream.read_exact(&mut [0]).expect("a ClientHello");
        drip(stream, 22);
    });
    let (in_session, second) = listen(move |stream| {
        let server = smtp::Server::new(Domain::LOCALHOST, server::Config::default());
        let stream = accept(stream, server, &tls).expect("upgraded");
        drip(stream.sock, 23);
    });
    for port in [in_handshake, in_session] {
        let mailer =
            identity.settings(port).with_timeouts(quick().with_total(Duration::from_millis(500)));
        let failed = send(&mailer, &["a@b.test"], b"x").expect_err("no server answers");
        assert_eq!(failed.protocol(), Some(Rule::TimedOut), "{failed}");
    }
    first.join().expect("no panic");
    second.join().expect("no panic");
}

#[test]
fn commands_after_starttls_are_never_obeyed() {
    let identity = Identity::new();
    let (port, thread) = serve::<Smtp>(identity.inbox());
    let mut stream = TcpStream::connect(("localhost", port)).expect("connected");
    read_to(&mut stream, b"\r\n").expect("a greeting");
    stream.write_all(b"EHLO x\r\nSTARTTLS\r\nRSET\r\nNOOP\r\n").expect("written");
    let said = read_to(&mut stream, b"nothing more").unwrap_or_default();
    assert!(said.ends_with(b"220 2.0.0 Ready to start TLS\r\n"), "{}", said.escape_ascii());
    let (_, end) = thread.join().expect("no panic");
    let unread = b"RSET\r\nNOOP\r\n".len();
    assert_eq!(end.expect_err("injected").protocol(), Some(Rule::PlaintextAfterGoAhead { unread }));
}

#[test]
fn a_rejected_client_is_told_why() {
    let identity = Identity::new();
    for (said, answer) in [
        (&b"x".repeat(2000)[..], &b"500 5.5.2 Line too long, closing\r\n"[..]),
        (b"EHLO x\nNOOP\r\n", b"500 5.5.2 Not a command, closing\r\n"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"500 5.5.2 Not a command, closing\r\n"),
    ] {
        let (port, thread) = serve::<Smtp>(identity.inbox());
        let mut stream = TcpStream::connect(("localhost", port)).expect("connected");
        read_to(&mut stream, b"\r\n").expect("a greeting");
        stream.write_all(said).expect("written");
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).expect("closed, not reset");
        assert_eq!(heard, answer, "{}", heard.escape_ascii());
        drop(stream);
        thread.join().expect("no panic").1.expect_err("rejected");
    }
}

#[test]
fn an_early_client_hello_is_handed_to_tls() {
    let identity = Identity::new();
    let (port, thread) = serve::<Smtp>(identity.inbox());
    let mut stream = TcpStream::connect(("localhost", port)).expect("connected");
    read_to(&mut stream, b"\r\n").expect("a greeting");
    stream.write_all(b"EHLO x\r\n").expect("written");
    read_to(&mut stream, b"250 ENHANCEDSTATUSCODES\r\n").expect("capabilities");
    let config: Arc<ClientConfig> = identity.client.rustls();
    let name = ServerName::try_from("localhost").expect("a name");
    let mut tls = ClientConnection::new(config, name).expect("a configuration");
    let mut flight = b"STARTTLS\r\n".to_vec();
    tls.write_tls(&mut flight).expect("a ClientHello");
    stream.write_all(&flight).expect("written");
    assert_eq!(
        read_to(&mut stream, b"\r\n").expect("a go-ahead"),
        b"220 2.0.0 Ready to start TLS\r\n"
    );
    let mut stream = StreamOwned::new(tls, stream);
    stream.write_all(b"QUIT\r\n").expect("TLS is up");
    assert_eq!(read_to(&mut stream, b"\r\n").expect("a goodbye"), b"221 2.0.0 Goodbye\r\n");
    thread.join().expect("no panic").1.expect("a clean end");
}
