//! Checks the certificates of many servers at once, in one thread: mio tells which sockets are ready, and `starttls-rustls`
//! does the plaintext dialogue and TLS, whatever the protocol.

use std::env;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use starttls::{Error as Rule, Introduction, Policy, Roles, client};
use starttls_rustls::{Client, ClientTls as Config, Event, Step};
use starttls_std::rustls::{CommonState, ProtocolVersion, pki_types::ServerName};
use starttls_std::{ClientTls, Doing, Error};
use url::Url;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many days a certificate has to be valid.
const DAYS: i64 = 14;

type Failure = Box<dyn std::error::Error>;

/// The version of TLS and the days until the certificate expires, or `None` while the socket would block.
type Outcome = Result<Option<(ProtocolVersion, i64)>, Error>;

/// A connection: its name, its socket, and what moves its bytes.
type Check<'a> = (String, TcpStream, Box<dyn FnMut(&mut TcpStream) -> Outcome + 'a>);

/// Calls [`open()`] for the protocol of a URL.
macro_rules! open {
    ([$url:ident $tls:ident] $($module:ident::$Type:ident,)*) => {
        match Some($url.scheme()) {
            $(scheme if scheme == Some(starttls::$module::$Type::PROTOCOL.name)
                || scheme == starttls::$module::$Type::PROTOCOL.implicit_name =>
                open::<starttls::$module::$Type>($url, &$tls),)*
            _ => Err("the scheme is not known".into()),
        }
    };
}

fn main() -> Result<(), Failure> {
    let urls = env::args().skip(1).map(|url| url.parse()).collect::<Result<Vec<Url>, _>>()?;
    let (tls, mut checks, mut all_good) = (ClientTls::system()?, Vec::new(), true);
    let mut report = |line: String, is_good: bool| {
        println!("{line}");
        all_good &= is_good;
    };
    for url in &urls {
        match starttls::for_each_protocol!(open [url tls]) {
            Ok(opened) => checks.extend(opened.into_iter().map(Some)),
            Err(error) => report(format!("{url}: {error}"), false),
        }
    }
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(256));
    for (key, (_, socket, _)) in checks.iter_mut().flatten().enumerate() {
        poll.registry().register(socket, Token(key), Interest::READABLE | Interest::WRITABLE)?;
    }
    let (end, mut left) = (Instant::now() + PATIENCE, checks.len());
    while left > 0 {
        let wait = end.saturating_duration_since(Instant::now());
        match poll.poll(&mut events, Some(wait)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        let late = if wait.is_zero() { 0..checks.len() } else { 0..0 };
        for key in events.iter().map(|event| event.token().0).chain(late) {
            let Some((name, socket, advance)) = &mut checks[key] else { continue };
            match advance(socket) {
                Ok(None) if !wait.is_zero() => continue,
                Ok(Some((version, days))) => {
                    report(format!("{name}: {version:?}, {days} days left"), days >= DAYS);
                }
                failed => {
                    let error = failed.err().unwrap_or_else(|| Rule::TimedOut.into());
                    report(format!("{name}: {error} ({:?})", error.advice()), false);
                }
            }
            (checks[key], left) = (None, left - 1);
        }
    }
    if all_good { Ok(()) } else { Err("not all servers are as they should be".into()) }
}

/// Opens a connection to each address of a host, because each may show another certificate. The lookup blocks.
fn open<'a, P: Roles>(url: &'a Url, tls: &ClientTls) -> Result<Vec<Check<'a>>, Failure> {
    let is_plain = url.scheme() == P::PROTOCOL.name;
    let port = || if is_plain { Some(P::PROTOCOL.port) } else { P::PROTOCOL.implicit_port };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let (name, config) = (ServerName::try_from(host)?, Config::new(tls.rustls()));
    let mut checks = Vec::new();
    for address in url.socket_addrs(port)? {
        let mut random = [0; 20];
        tls.fill_random(&mut random)?;
        let machine = P::client(&Introduction::new(host, random), Policy::Required)?;
        let mut connection = match is_plain {
            true => Client::new(machine, &config, name.to_owned()),
            false => Client::implicit(Policy::Required, &config, name.to_owned()),
        };
        let advance = Box::new(move |socket: &mut TcpStream| drive(&mut connection, socket));
        checks.push((format!("{url} at {address}"), TcpStream::connect(address)?, advance as _));
    }
    Ok(checks)
}

/// Moves bytes until TLS is established or the socket would block.
fn drive<G: client::Grammar>(connection: &mut Client<G>, socket: &mut TcpStream) -> Outcome {
    loop {
        let step = connection.step().map(Step::event::<()>);
        let step = step.map(|step| step.map(|event| matches!(event, Event::Established(_))));
        // Even after a failure: TLS's alert tells the server why.
        while !connection.to_send().is_empty()
            && let Some(n) = unless_blocked(socket.write(connection.to_send()))?
        {
            connection.sent(n);
        }
        match step? {
            Ok(true) => return Ok(connection.tls().and_then(seen)),
            Ok(false) => {}
            Err(Step::Write) if connection.to_send().is_empty() => {}
            Err(Step::Read) => match unless_blocked(socket.read(connection.receive_buffer()))? {
                Some(0) => connection.end_of_input(),
                Some(n) => connection.received(n),
                None => return Ok(None),
            },
            Err(Step::End) => return Err(Rule::Closed.into()),
            Err(_) => return Ok(None),
        }
    }
}

fn seen(tls: &CommonState) -> Option<(ProtocolVersion, i64)> {
    let (_, certificate) = X509Certificate::from_der(tls.peer_certificates()?.first()?).ok()?;
    Some((tls.protocol_version()?, certificate.validity().time_to_expiration()?.whole_days()))
}

/// `None` if the socket would block.
fn unless_blocked<T>(result: io::Result<T>) -> Result<Option<T>, Error> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {
            Err(Error::io(Doing::Receiving)(error))
        }
        result => result.map(Some).map_err(Error::io(Doing::Connecting)),
    }
}
