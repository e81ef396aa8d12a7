use ::rustls::SupportedProtocolVersion;
use ::rustls::version::{TLS12, TLS13};
use rand_core::OsRng;
use starttls::mail::message::{Attachment, Mailbox, Progress};
use starttls::mail::session::{Event, Fate};
use starttls::mail::{Credentials, Message};
use starttls_embedded::embedded_tls::{ClientTls, Records};
use starttls_embedded::{
    Buffers, Composed, Connect, Mailer, Mode, Receipt, Settings, Unbounded, Unreadable, asynch,
    rustls, verify,
};

use crate::common::{FROM, Identity, Net, TO, block_on, envelope, now};

const CSV: &[u8] = b"time,value\r\n0,21.5\r\n";

/// Which TLS.
#[derive(Clone, Copy, Debug)]
enum By {
    EmbeddedTls,
    Rustls(&'static SupportedProtocolVersion),
}

/// A mail with a file.
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
    assert_eq!((mail.encrypted, mail.user.as_deref()), (true, Some("user")));
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

/// What the server has to get.
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
