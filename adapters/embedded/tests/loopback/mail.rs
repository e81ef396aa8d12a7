use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use ::rustls::SupportedProtocolVersion;
use ::rustls::pki_types::PrivateKeyDer;
use ::rustls::pki_types::pem::PemObject as _;
use ::rustls::version::{TLS12, TLS13};
use rand_core::OsRng;
use starttls::mail::message::{Attachment, Mailbox, Progress};
use starttls::mail::session::{Event, Fate};
use starttls::mail::{Credentials, Message};
use starttls::{server, smtp};
use starttls_embedded::embedded_tls::{ClientTls, P256Certificate, Records};
use starttls_embedded::{
    Buffers, Composed, Connect, Mailer, Mode, Receipt, Settings, Timer, Unbounded, Unreadable,
    accept, asynch, rustls, verify,
};

use test_identity::{Authority, hello_in_pieces};

use crate::common::{FROM, Identity, Net, TO, block_on, envelope, now};

const CSV: &[u8] = b"time,value\r\n0,21.5\r\n";

/// The TLS library.
#[derive(Clone, Copy, Debug)]
enum By {
    EmbeddedTls,
    Rustls(&'static SupportedProtocolVersion),
}

/// Sends a mail with a file.
fn send(mode: Mode, by: By, asynchronous: bool) {
    let identity = Identity::new();
    let (stream, server) = identity.serve(match mode {
        Mode::StartTls => starttls_std::Mode::StartTls,
        Mode::Implicit => starttls_std::Mode::Implicit,
    });
    let socket = Net(stream);
    match by {
        By::EmbeddedTls => {
            let anchors = [verify::anchor(identity.authority.der()).expect("an authority")];
            let mut records = Box::new(Records::<16640, 512>::new());
            let tls = ClientTls::new("localhost", &anchors, now, OsRng, &mut records);
            send_by(mode, socket, tls, asynchronous);
        }
        By::Rustls(version) => {
            let name = "localhost".try_into().expect("a name");
            let tls = rustls::ClientTls::new(name, identity.client(version));
            send_by(mode, socket, tls, asynchronous);
        }
    }
    let mails = server.join().expect("no panic");
    let [mail] = &mails[..] else { panic!("{} mails", mails.len()) };
    assert_eq!(mail.message.escape_ascii().to_string(), composed().escape_ascii().to_string());
    assert_eq!((mail.peer.is_encrypted(), mail.peer.user.as_deref()), (true, Some("user")));
}

fn send_by<T>(mode: Mode, mut socket: Net, mut tls: T, asynchronous: bool)
where
    T: Connect + asynch::Connect,
{
    let mut buffers = Buffers::<512, 128>::new();
    let credentials = Credentials::new("user", "secret").expect("credentials");
    let mut rest = CSV;
    let to = to();
    let message = message(&to);
    let composed = Composed::with_files(&message, |_: usize, buffer: &mut [u8]| {
        std::io::Read::read(&mut rest, &mut buffer[..7]).map_err(|_| Unreadable)
    });
    let mut codes = Vec::new();
    let mut watch = |event: &Event<'_>| {
        if let Event::Recipient { reply, .. } = event {
            codes.push(reply.code());
        }
    };
    let settings = Settings::new().with_credentials(&credentials).with_mode(mode);
    let mut mailer = Mailer::new(&mut socket, &mut tls, &mut buffers, Unbounded)
        .with(settings)
        .watched_by(&mut watch);
    let receipt = if asynchronous {
        block_on(mailer.send_async(&envelope(&TO), composed)).expect("sent")
    } else {
        mailer.send(&envelope(&TO), composed).expect("sent")
    };
    assert_eq!(receipt, Receipt { accepted: 1, refused: 1 });
    assert_eq!(mailer.fate(), Fate::Accepted);
    assert_eq!(codes, [250, 550]);
}

fn to() -> [Mailbox<'static>; 1] {
    [Mailbox::new(TO[0])]
}

const FILES: [Attachment<'_>; 1] = match Attachment::new("text/csv", "report.csv") {
    Ok(file) => [file],
    Err(_) => panic!("not a file"),
};

fn message<'a>(to: &'a [Mailbox<'a>]) -> Message<'a> {
    Message::new(Mailbox::new(FROM.expect("a sender")), to)
        .with_subject("21,5 °C")
        .expect("a subject")
        .with_text(".\nAll is well.\n")
        .with_attachments(&FILES)
}

/// The expected message.
fn composed() -> Vec<u8> {
    let (to, mut octets) = (to(), Vec::new());
    let message = message(&to);
    let mut composer = message.compose();
    loop {
        let mut output = [0; 4096];
        match composer.step(&mut output).expect("room") {
            Progress::Write(n) => octets.extend_from_slice(&output[..n]),
            Progress::Attachment(_) => {
                let n = composer.attach(&mut &*CSV, &mut output).expect("room");
                octets.extend_from_slice(&output[..n]);
                composer.end_attachment().expect("asked");
            }
            Progress::Done => return octets,
        }
    }
}

#[test]
fn a_mail_with_a_file() {
    for mode in [Mode::StartTls, Mode::Implicit] {
        for by in [By::EmbeddedTls, By::Rustls(&TLS12), By::Rustls(&TLS13)] {
            for asynchronous in [false, true] {
                println!("{mode:?} {by:?} {asynchronous}");
                send(mode, by, asynchronous);
            }
        }
    }
}

/// The bytes of a P-256 key in PKCS #8: an OCTET STRING of 32 bytes (RFC 5915 §3).
fn scalar(pem: &str) -> Vec<u8> {
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).expect("a key");
    let der = key.secret_der();
    let start = der.windows(2).position(|front| front == [4, 32]).expect("a scalar") + 2;
    der[start..start + 32].to_vec()
}

#[test]
fn a_client_certificate() {
    let (authority, clients) = (Authority::default(), Authority::new("an authority for clients"));
    let me = clients.identity(["me.example"]);
    let (certificate, key) = (me.der().to_vec(), scalar(&me.key_pem()));
    let server = authority.localhost().server_demanding(&clients, &[&TLS13]);
    let identity = Identity { server: Arc::new(server), authority };
    let anchors = [verify::anchor(identity.authority.der()).expect("an authority")];
    for asynchronous in [false, true] {
        let (stream, server) = identity.serve(starttls_std::Mode::StartTls);
        let mut records = Box::new(Records::<16640, 512>::new());
        let shown = P256Certificate::new(&certificate, &key).expect("a key");
        let tls = ClientTls::new("localhost", &anchors, now, OsRng, &mut records);
        send_by(Mode::StartTls, Net(stream), tls.with_certificate(shown), asynchronous);
        let mails = server.join().expect("no panic");
        let shown = mails[0].peer.certificate().expect("a certificate");
        assert_eq!(shown.names(), ["me.example"]);
    }
    assert!(P256Certificate::new(&certificate, &[0; 32]).is_none());
    assert!(P256Certificate::new(&certificate, b"short").is_none());

    // Without a certificate the server rejects the client, which notices at its next read.
    let (stream, server) = identity.serve(starttls_std::Mode::StartTls);
    let mut records = Box::new(Records::<16640, 512>::new());
    let mut tls = ClientTls::new("localhost", &anchors, now, OsRng, &mut records);
    let (mut socket, mut buffers) = (Net(stream), Buffers::<512, 128>::new());
    let mut mailer = Mailer::new(&mut socket, &mut tls, &mut buffers, Unbounded);
    let sent = mailer.send(&envelope(&TO), &b"x\r\n"[..]);
    assert!(sent.is_err(), "{sent:?}");
    drop(socket);
    assert!(server.join().expect("no panic").is_empty());
}

#[test]
fn a_client_hello_in_pieces() {
    let identity = Identity::new();
    for early in [0, 1, 1400] {
        let listener = TcpListener::bind(("localhost", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let config = identity.authority.client(&[&TLS13]);
        let client = thread::spawn(move || {
            let stream = TcpStream::connect(address).expect("connected");
            stream.set_nodelay(true).expect("an option");
            let mut stream = hello_in_pieces(stream, config, early);
            stream.write_all(b"hello").expect("written");
            stream
        });
        let mut socket = Net(listener.accept().expect("a client").0);
        let server = smtp::Server::new(smtp::Domain::LOCALHOST, server::Config::default());
        let mut tls = rustls::ServerTls::new(Arc::clone(&identity.server));
        // Smaller than the early bytes.
        let mut buffers = Buffers::<1200, 600>::new();
        let mut timer = Timer::new(Unbounded);
        let upgraded = accept(&mut socket, server, &mut tls, &mut buffers, &mut timer);
        let mut octets = [0; 5];
        let mut stream = upgraded.expect("TLS").stream;
        embedded_io::Read::read_exact(&mut stream, &mut octets).expect("bytes");
        assert_eq!(&octets, b"hello", "with {early} bytes of it early");
        client.join().expect("no panic");
    }
}
