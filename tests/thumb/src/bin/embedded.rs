//! The whole blocking side of the adapter, over a socket and a TLS that are opaque to the compiler.
//!
//! It links only if no panic is reachable.

#![no_std]
#![no_main]

use core::time::Duration;

use embedded_hal::delay::DelayNs;
use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use starttls::mail::message::{Attachment, Mailbox};
use starttls::mail::session::Event;
use starttls::mail::{self, Address, Credentials, Envelope, Message};
use starttls::smtp::{self, Domain};
use starttls::{Policy, Verification, lmtp, server};
use starttls_embedded::{
    Accept, Buffers, Clock, Composed, Connect, Error, Mailer, Mode, Reader, Settings, Source,
    Stream, Timer, Unbounded, Unreadable, Upgraded, accept, upgrade,
};
use starttls_thumb::{opaque, receive, send};

/// The registers of a device.
struct Uart;

impl ErrorType for Uart {
    type Error = ErrorKind;
}

fn octets<E>(n: usize, error: E) -> Result<usize, E> {
    if opaque(true) { Ok(opaque(n)) } else { Err(error) }
}

impl Read for Uart {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        octets(receive(buf), opaque(ErrorKind::Other))
    }
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(opaque(true))
    }
}

impl Write for Uart {
    fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        send(buf);
        octets(buf.len(), opaque(ErrorKind::Other))
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        octets(0, ErrorKind::Other).map(drop)
    }
}

impl WriteReady for Uart {
    fn write_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(opaque(true))
    }
}

/// A timer of the device.
#[derive(Clone, Copy)]
struct Delay;

impl DelayNs for Delay {
    fn delay_ns(&mut self, ns: u32) {
        for _ in 0..opaque(ns) {
            core::hint::spin_loop();
        }
    }
}

/// Passes the socket through unchanged. A real TLS library may panic, so none is in the image.
struct Through;

struct Passed<S>(S);

impl<S: ErrorType> ErrorType for Passed<S> {
    type Error = ErrorKind;
}

impl<S: Read> Read for Passed<S> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        self.0.read(buf).map_err(|error| embedded_io::Error::kind(&error))
    }
}

impl<S: Write> Write for Passed<S> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        self.0.write(buf).map_err(|error| embedded_io::Error::kind(&error))
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        self.0.flush().map_err(|error| embedded_io::Error::kind(&error))
    }
}

impl<S: Read + Write> Stream for Passed<S> {
    fn close(mut self) -> Result<(), ErrorKind> {
        self.flush()
    }
}

impl Connect for Through {
    type Error = ErrorKind;
    type Stream<'t, S: Read + Write + 't> = Passed<S>;

    fn connect<'t, S: Read + Write + 't>(
        &'t mut self,
        socket: S,
        _: Option<&'static [u8]>,
    ) -> Result<(Passed<S>, Verification), ErrorKind> {
        let verification =
            if opaque(true) { Verification::Verified } else { Verification::Unverified };
        Ok((Passed(socket), verification))
    }
}

impl Accept for Through {
    type Error = ErrorKind;
    type Stream<'t, S: Read + Write + 't> = Passed<S>;

    fn accept<'t, S: Read + Write + 't>(
        &'t mut self,
        socket: S,
        early: &[u8],
    ) -> Result<Passed<S>, ErrorKind> {
        send(early);
        Ok(Passed(socket))
    }
}

type Failed = Error<ErrorKind, ErrorKind>;

const NAME: Domain<'_> = match Domain::new("sensor.example.org") {
    Ok(name) => name,
    Err(_) => panic!("not a name"),
};
const CREDENTIALS: Credentials<'_> = match Credentials::new("sensor", "secret") {
    Ok(credentials) => credentials,
    Err(_) => panic!("no credentials"),
};
const YOU: Address<'_> = match Address::new("you@example.org") {
    Ok(address) => address,
    Err(_) => panic!("not an address"),
};
const FILES: [Attachment<'_>; 1] = match Attachment::new("text/csv", "report.csv") {
    Ok(file) => [file],
    Err(_) => panic!("not a file"),
};

fn policy() -> Policy {
    if opaque(true) { Policy::Required } else { Policy::Opportunistic }
}

fn client<C: Clock<Uart>>(clock: C) -> Result<(), Failed> {
    let (mut socket, mut tls, mut buffers) = (Uart, Through, Buffers::<512, 128>::new());
    let mut timer = Timer::new(clock).at_most(opaque(Duration::from_secs(5)));
    let client = smtp::Client::new(NAME, policy());
    let Upgraded { mut stream, budget, .. } =
        upgrade(&mut socket, client, &mut tls, &mut buffers, &mut timer)?;
    budget.start(opaque(Some(Duration::from_secs(1))));
    let _ = stream.write(b"NOOP\r\n");
    let _ = stream.close();
    Ok(())
}

fn server<C: Clock<Uart>>(clock: C) -> Result<(), Failed> {
    let (mut socket, mut tls) = (Uart, Through);
    let mut buffers = Buffers::<{ mail::MAX_COMMAND }, 600>::new();
    let mut timer = Timer::new(clock);
    let server = lmtp::Server::new(NAME, server::Config::default().with_policy(policy()));
    let Upgraded { mut stream, .. } =
        accept(&mut socket, server, &mut tls, &mut buffers, &mut timer)?;
    let mut early = [0; 16];
    let _ = stream.read(&mut early);
    Ok(())
}

fn mails<C: Clock<Uart>>(clock: C, message: impl Source) -> Result<(), Failed> {
    let recipients = [YOU];
    let Ok(envelope) = Envelope::new(Some(YOU), &recipients) else { return Ok(()) };
    let mode = if opaque(true) { Mode::StartTls } else { Mode::Implicit };
    let mut settings = Settings::new().with_domain(NAME).with_credentials(&CREDENTIALS);
    if opaque(false) {
        settings = settings.dangerous_accept_unverified().with_max_wait(Duration::from_secs(9));
    }
    let (mut socket, mut tls, mut buffers) = (Uart, Through, Buffers::<512, 128>::new());
    let mut watch = |event: &Event<'_>| {
        if let Event::Recipient { reply, .. } = event {
            send(&[opaque(reply.is_last() as u8)]);
        }
    };
    let mut mailer = Mailer::new(&mut socket, &mut tls, &mut buffers, clock)
        .with(settings.with_mode(mode))
        .watched_by(&mut watch);
    if opaque(true) {
        mailer.send(&envelope, message)?;
    } else {
        let mut connection = mailer.connect()?;
        connection.send(&envelope, message)?;
        connection.send(&envelope, &b"Subject: 21.5 C\r\n\r\nAll is well.\r\n"[..])?;
        let _ = (connection.is_open(), connection.extensions(), connection.fate());
        connection.quit()?;
    }
    if mailer.fate().is_safe_to_retry() {
        send(b"again");
    }
    Ok(())
}

#[inline(never)]
fn run<C: Clock<Uart> + Copy>(clock: C) -> Result<(), Failed> {
    client(clock)?;
    server(clock)?;
    let to = [Mailbox::new(YOU)];
    let message = Message::new(Mailbox::new(YOU), &to).with_text("21.5 C\n");
    mails(clock, Composed::new(&message))?;
    mails(clock, Reader(Uart))?;
    let message = message.with_attachments(&FILES);
    mails(
        clock,
        Composed::with_files(&message, |_: usize, buffer: &mut [u8]| {
            octets(receive(buffer), Unreadable)
        }),
    )
}

#[unsafe(no_mangle)]
extern "C" fn reset() -> ! {
    let _ = if opaque(true) { run(Delay) } else { run(Unbounded) };
    loop {
        core::hint::spin_loop();
    }
}
