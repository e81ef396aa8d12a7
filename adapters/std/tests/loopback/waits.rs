//! Time limits for a peer, and the socket's own timeouts.

use std::io::Write as _;
use std::net::TcpStream;
use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use starttls::mail::{Address, Envelope};
use starttls::smtp::{self, Domain, Smtp};
use starttls::{Error as Rule, Policy, server};
use starttls_std::{
    Driver, Error, Mailer, Silent, Timeouts, accept, accept_or_plaintext, connect, upgrade,
};

use crate::common::{Identity, listen, quick, read_to, serve, until_starttls};

const WAIT: Duration = Duration::from_millis(300);

/// Sends `first`, then one byte after the other until the peer closes.
fn drip(stream: &mut TcpStream, first: &[u8], octet: u8) {
    let _ = stream.write_all(first);
    while stream.write_all(&[octet]).is_ok() {
        thread::sleep(Duration::from_millis(50));
    }
}

/// It ended by a timeout, and long before the peer had sent a hundred bytes.
fn took_too_long(begun: Instant, error: &Error) {
    assert_eq!(error.protocol(), Some(Rule::TimedOut), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

fn client() -> smtp::Client<'static> {
    smtp::Client::new(Domain::LOCALHOST, Policy::Required)
}

fn send(mailer: &Mailer) -> Result<(), Error> {
    let to = [Address::new("a@b.test").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("recipients");
    mailer.send(&envelope, &b"x\r\n"[..]).map(drop)
}

#[test]
fn a_slow_reply_is_one_wait() {
    let identity = Identity::new();
    let timeouts = Timeouts::new().with_wait(WAIT).with_handshake(WAIT);
    let mailer = |port| Mailer::new(identity.settings(port).with_timeouts(timeouts));

    // In plaintext, in the handshake, and in a TLS record that never ends.
    let (port, greeting) = listen(|mut stream| drip(&mut stream, b"220-mx\r\n220 ", b'x'));
    let begun = Instant::now();
    took_too_long(begun, &send(&mailer(port)).expect_err("no greeting"));
    greeting.join().expect("no panic");

    let (port, handshake) = listen(|mut stream| {
        until_starttls(&mut stream).expect("a client");
        stream.write_all(b"220 go\r\n").expect("written");
        read_to(&mut stream, b"\x16\x03\x01").expect("a hello of TLS");
        drip(&mut stream, b"\x16\x03\x03\x3f\xff\x02", 0);
    });
    let begun = Instant::now();
    took_too_long(begun, &send(&mailer(port)).expect_err("no handshake"));
    handshake.join().expect("no panic");

    let tls = identity.server.clone();
    let (port, record) = listen(move |stream| {
        let server = smtp::Server::new(Domain::LOCALHOST, server::Config::default());
        let mut stream = accept(stream, server, &tls).expect("upgraded");
        assert!(read_to(&mut stream, b"\n").expect("a hello").starts_with(b"EHLO "));
        drip(&mut stream.sock, &[23, 3, 3, 0x3f, 0xff], 0);
    });
    let begun = Instant::now();
    took_too_long(begun, &send(&mailer(port)).expect_err("no answer"));
    record.join().expect("no panic");
}

/// The total time is over, but the server still receives the goodbye.
#[test]
fn an_exhausted_total_leaves_time_for_goodbye() {
    let identity = Identity::new();
    let tls = identity.server.clone();
    let (port, server) = listen(move |stream| {
        let server = smtp::Server::new(Domain::LOCALHOST, server::Config::default());
        let mut stream = accept(stream, server, &tls).expect("upgraded");
        read_to(&mut stream, b"\n").expect("a hello");
        stream.write_all(b"250 mx\r\n").expect("written");
        let heard = read_to(&mut stream, b"\n").expect("a goodbye");
        stream.write_all(b"221 bye\r\n").expect("written");
        // And close_notify.
        let end = read_to(&mut stream, b"\n").expect("an end");
        (heard, end)
    });
    let total = Duration::from_secs(3);
    let settings = identity.settings(port).with_timeouts(quick().with_total(total));
    let begun = Instant::now();
    let connection = Mailer::new(settings).connect().expect("open");
    thread::sleep(total.saturating_sub(begun.elapsed()));
    connection.quit().expect("left");
    assert_eq!(server.join().expect("no panic"), (b"QUIT\r\n".to_vec(), Vec::new()));
}

/// A client that used up all the time is told so, in plaintext and inside TLS.
#[test]
fn an_exhausted_total_leaves_time_for_a_farewell() {
    let identity = Identity::new();
    let total = Duration::from_millis(500);
    let (port, server) = {
        let tls = identity.server.clone();
        listen(move |stream| {
            let server = smtp::Server::new(Domain::LOCALHOST, server::Config::default());
            let driver = Driver::new(stream, quick().with_total(total), Silent);
            accept_or_plaintext(driver, server, &tls).err().and_then(|error| error.protocol())
        })
    };
    let mut silent = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    let heard = read_to(&mut silent, b"\0").expect("an end");
    assert!(String::from_utf8_lossy(&heard).contains("\r\n421 "), "{heard:?}");
    drop(silent);
    assert_eq!(server.join().expect("no panic"), Some(Rule::TimedOut));

    let inbox = identity.inbox().with_timeouts(quick().with_total(total));
    let (port, server) = serve::<Smtp>(inbox);
    let stream = connect(("localhost", port), &quick()).expect("connected");
    let mut stream = upgrade(stream, client(), &identity.client, "localhost").expect("upgraded");
    // With close_notify after it.
    let heard = read_to(&mut stream, b"\0").expect("a clean end");
    assert!(String::from_utf8_lossy(&heard).contains("421 "), "{heard:?}");
    drop(stream);
    let (_, end) = server.join().expect("no panic");
    assert_eq!(end.expect_err("too long").protocol(), Some(Rule::TimedOut));
}

/// A caller gets its stream back with the timeouts that it had.
#[test]
fn timeouts_are_restored() {
    const OWN: [Option<Duration>; 2] = [Some(Duration::from_secs(77)), None];
    fn own(stream: &TcpStream) {
        stream.set_read_timeout(OWN[0]).expect("a socket");
        stream.set_write_timeout(OWN[1]).expect("a socket");
    }
    fn timeouts(stream: &TcpStream) -> [Option<Duration>; 2] {
        [stream.read_timeout().expect("a socket"), stream.write_timeout().expect("a socket")]
    }

    let identity = Identity::new();
    let tls = identity.server.clone();
    let (port, server) = listen(move |stream| {
        own(&stream);
        let server = smtp::Server::new(Domain::LOCALHOST, server::Config::default());
        timeouts(&accept(stream, server, &tls).expect("upgraded").sock)
    });
    let stream = connect(("localhost", port), &quick()).expect("connected");
    own(&stream);
    let stream = upgrade(stream, client(), &identity.client, "localhost").expect("upgraded");
    assert_eq!(timeouts(&stream.sock), OWN);
    assert_eq!(server.join().expect("no panic"), OWN);

    let (port, server) = listen(|mut stream| until_starttls(&mut stream).expect("a client"));
    let stream = connect(("localhost", port), &quick()).expect("connected");
    own(&stream);
    let mut driver = Driver::new(stream, quick(), Silent);
    let asked = driver.run(&mut client(), |_, event, _| {
        Ok(match event {
            starttls::client::Event::Received(_) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
    });
    assert_eq!(asked.expect("a greeting"), Some(()));
    assert_eq!(timeouts(&driver.into_stream()), OWN);
    drop(server);
}
