//! `starttls serve --backend`: the TLS in front of a server that has none.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use starttls::Server;
use starttls::lmtp::Lmtp;
use starttls::smtp::{Dialect, Domain, ServerGrammar, Smtp};
use starttls_std::{
    Accepted, Driver, Error, Inbox, Mode, Observer, Timeouts, accept_implicit, accept_or_plaintext,
    connect,
};

use crate::relay::{relay, relay_plaintext};
use crate::url::Scheme;

/// How long the backend may take to be reached, and for each answer that is for us.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest reply that is for us: lines, and octets of each.
const MAX_LINES: usize = 100;
const MAX_LINE: u64 = 2048;

/// What a client is told whose backend is not there.
const DOWN: &[u8] = b"421 4.3.2 The server behind is not available, closing\r\n";

/// Serves one connection to its end. The backend is asked first, so that a client never gets
/// further than to a greeting of nobody.
pub(crate) fn connection(
    protocol: Scheme,
    inbox: &Inbox,
    backend: &str,
    client: TcpStream,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    client.set_nodelay(true).map_err(io("setting TCP_NODELAY"))?;
    let timeouts = Timeouts { connect: PATIENCE, ..Timeouts::default() };
    let reached = connect(backend, &timeouts).and_then(|stream| {
        stream.set_read_timeout(Some(PATIENCE)).map_err(io("setting a timeout"))?;
        Ok(Backend { stream: BufReader::new(stream) })
    });
    match (protocol.mode(), protocol) {
        (Mode::Implicit, _) => implicit(inbox, reached, client, observer),
        (Mode::StartTls, Scheme::Lmtp) => starttls::<Lmtp>(inbox, reached, client, observer),
        (Mode::StartTls, _) => starttls::<Smtp>(inbox, reached, client, observer),
    }
}

/// TLS first: the backend's greeting is the client's.
fn implicit(
    inbox: &Inbox,
    reached: Result<Backend, Error>,
    client: TcpStream,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    let driver = Driver::new(client, inbox.timeouts, observer);
    let (mut driver, _) = accept_implicit(driver, &inbox.tls)?;
    match reached {
        Ok(backend) => {
            let (stream, early) = backend.into_parts();
            relay(&stream, &early, driver.into_stream(), Duration::ZERO).map_err(io("forwarding"))
        }
        Err(error) => {
            driver.send(DOWN)?;
            driver.close()?;
            Err(behind(error))
        }
    }
}

fn starttls<D: Dialect>(
    inbox: &Inbox,
    reached: Result<Backend, Error>,
    mut client: TcpStream,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    let greeted = reached.and_then(|mut backend| Ok((backend.reply()?, backend)));
    let mut backend = match greeted {
        Ok((greeting, backend)) if greeting.starts_with(b"220") => backend,
        // What it has against us, it has against the client.
        Ok((refusal, _)) => return turn_away(&mut client, &refusal),
        Err(error) => {
            turn_away(&mut client, DOWN)?;
            return Err(behind(error));
        }
    };
    let domain = Domain::new(&inbox.domain)
        .map_err(|why| Error::Argument { what: "the server's name", why: why.to_string() })?;
    let server = Server::<ServerGrammar<'_, D>>::new(domain, inbox.config);
    let driver = Driver::new(client, inbox.timeouts, observer);
    match accept_or_plaintext(driver, server, &inbox.tls)? {
        Accepted::Quit => backend.stream.get_mut().write_all(b"QUIT\r\n").map_err(io("leaving")),
        Accepted::Tls(driver, _) => {
            let (stream, early) = backend.into_parts();
            relay(&stream, &early, driver.into_stream(), Duration::ZERO).map_err(io("forwarding"))
        }
        Accepted::Plaintext(driver, _) => {
            // The client said hello to us, and would not say it again.
            let hello = if D::IS_SMTP { "EHLO" } else { "LHLO" };
            let hello = format!("{hello} {}\r\n", inbox.domain);
            backend.stream.get_mut().write_all(hello.as_bytes()).map_err(io("forwarding"))?;
            let answer = backend.reply()?;
            let unread = driver.unread().to_vec();
            let mut client = driver.into_stream();
            if !answer.starts_with(b"250") {
                return turn_away(&mut client, &answer);
            }
            backend.stream.get_mut().write_all(&unread).map_err(io("forwarding"))?;
            let (stream, early) = backend.into_parts();
            relay_plaintext(&stream, &early, &client).map_err(io("forwarding"))
        }
    }
}

/// The server behind us.
#[derive(Debug)]
struct Backend {
    stream: BufReader<TcpStream>,
}

impl Backend {
    /// One reply, of one line or several (RFC 5321 §4.2.1).
    fn reply(&mut self) -> Result<Vec<u8>, Error> {
        let failed = |what: &'static str| io("the greeting")(std::io::Error::other(what));
        let mut reply = Vec::new();
        for _ in 0..MAX_LINES {
            let start = reply.len();
            let mut limited = self.stream.by_ref().take(MAX_LINE);
            limited.read_until(b'\n', &mut reply).map_err(io("the greeting"))?;
            match &reply[start..] {
                [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9', b'-', .., b'\n'] => {}
                [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9', .., b'\n'] => return Ok(reply),
                [] => return Err(failed("the connection ended")),
                _ => return Err(failed("not a reply")),
            }
        }
        Err(failed("too many lines"))
    }

    /// The stream, and what was read of it already.
    fn into_parts(self) -> (TcpStream, Vec<u8>) {
        let early = self.stream.buffer().to_vec();
        (self.stream.into_inner(), early)
    }
}

/// The last words to a client that said nothing yet.
fn turn_away(client: &mut TcpStream, reply: &[u8]) -> Result<(), Error> {
    client.write_all(reply).map_err(io("turning a client away"))?;
    client.shutdown(Shutdown::Write).map_err(io("turning a client away"))
}

fn io(doing: &'static str) -> impl Fn(std::io::Error) -> Error {
    move |error| Error::Io { doing, error }
}

fn behind(error: Error) -> Error {
    match error {
        Error::Io { error, .. } => Error::Io { doing: "the server behind (--backend)", error },
        other => other,
    }
}
