use embedded_io::ErrorKind;
use rand_core::OsRng;
use starttls::smtp::Credentials;
use starttls::smtp::message::Attachment;
use starttls::smtp::session::{Event, Fate};
use starttls::smtp::{Message, message::Mailbox};
use starttls_embedded::embedded_tls::{ClientTls, Error as TlsError, Records};
use starttls_embedded::{
    Buffers, Composed, Error, Mailer, Mode, Receipt, Settings, Unbounded, Unreadable, verify,
};
use starttls_std::Mail;

use crate::common::{FROM, Identity, Net, TO, block_on, envelope, now};

const CSV: &[u8] = b"time,value\r\n0,21.5\r\n";

/// A mail with a file, sent by one side of the crate or the other.
fn send(
    mode: Mode,
    asynchronous: bool,
) -> (Result<Receipt, Error<ErrorKind, TlsError>>, Fate, Vec<Mail>) {
    let identity = Identity::new();
    let anchors = [verify::anchor(&identity.authority).expect("an authority")];
    let (stream, server) = identity.serve(match mode {
        Mode::StartTls => starttls_std::Mode::StartTls,
        Mode::Implicit => starttls_std::Mode::Implicit,
    });
    let mut socket = Net(stream);
    let mut records = Box::new(Records::<16640, 512>::new());
    let mut tls = ClientTls::new("localhost", &anchors, now, OsRng, &mut records);
    let mut buffers = Buffers::<512, 128>::new();
    let credentials = Credentials::new("user", "secret").expect("credentials");
    let to = [Mailbox::new(TO[0])];
    let files = [Attachment::new("text/csv", "report.csv").expect("a file")];
    let message = Message::new(Mailbox::new(FROM.expect("a sender")), &to)
        .with_subject("21,5 °C")
        .expect("a subject")
        .with_text(".\nAll is well.\n")
        .with_attachments(&files);
    let mut rest = CSV;
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
    let outcome = if asynchronous {
        block_on(mailer.send_async(&envelope(&TO), composed))
    } else {
        mailer.send(&envelope(&TO), composed)
    };
    let fate = mailer.fate();
    drop(socket);
    let mails = server.join().expect("no panic");
    assert_eq!(codes, [250, 550]);
    let mut expected = Vec::new();
    let mut composer = message.compose();
    loop {
        let mut output = [0; 4096];
        match composer.step(&mut output).expect("room") {
            starttls::smtp::message::Progress::Write(n) => expected.extend_from_slice(&output[..n]),
            starttls::smtp::message::Progress::Attachment(_) => {
                let n = composer.attach(&mut &*CSV, &mut output).expect("room");
                expected.extend_from_slice(&output[..n]);
                composer.end_attachment().expect("asked");
            }
            starttls::smtp::message::Progress::Done => break,
        }
    }
    assert_eq!(mails[0].message.escape_ascii().to_string(), expected.escape_ascii().to_string());
    (outcome, fate, mails)
}

#[test]
fn a_mail_with_a_file() {
    for mode in [Mode::StartTls, Mode::Implicit] {
        for asynchronous in [false, true] {
            let (outcome, fate, mails) = send(mode, asynchronous);
            assert_eq!(outcome.expect("sent"), Receipt { accepted: 1, refused: 1 });
            assert_eq!(fate, Fate::Accepted);
            assert_eq!(mails.len(), 1);
        }
    }
}
