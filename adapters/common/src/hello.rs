//! The first flight of a client's handshake, in which a peer shows whether it speaks TLS at all.

use std::io::{Error as IoError, ErrorKind};
use std::sync::Arc;
use std::time::Instant;
use std::{error, fmt};

use rustls::{ClientConnection, OtherError};
use starttls::{Error as Rule, Untrusted};

use crate::{Doing, Error, Link, Opening, Runtime};

/// The limit of a plaintext reply in an error, in bytes.
const QUOTE: usize = 512;

/// Sends the ClientHello and feeds the first bytes of the reply to TLS.
///
/// # Errors
/// [`Error::Tls`]. If the peer answers in plaintext, the error [contains](Error::plaintext_answer) its words.
/// Those of the network.
pub async fn hello<R: Runtime<S>, S>(
    stream: &mut S,
    link: &mut Link<'_>,
    opening: &Opening,
) -> Result<ClientConnection, Error> {
    let mut tls = ClientConnection::new(opening.config_with_alpn(), opening.name.clone())?;
    let until = link.handshake_deadline(R::now());
    say::<R, S>(stream, &mut tls, until).await?;
    while link.unread().is_empty() {
        if R::read(stream, link, until).await.map_err(failed)? {
            if link.unread().is_empty() {
                return Err(failed(ErrorKind::UnexpectedEof.into()));
            }
        } else if R::now() >= until {
            return Err(Rule::TimedOut.into());
        }
    }
    let answer = link.unread().to_vec();
    link.discard_unread();
    if !is_tls(&answer) {
        return Err(NotTls::new(&answer).into());
    }
    let mut rest = &answer[..];
    while !rest.is_empty() {
        tls.read_tls(&mut rest).map_err(failed)?;
        if let Err(error) = tls.process_new_packets() {
            // Sends the alert that explains the failure. The handshake has failed already, so its error is
            // ignored.
            let _ = say::<R, S>(stream, &mut tls, until).await;
            return Err(error.into());
        }
    }
    Ok(tls)
}

/// Writes TLS's pending output.
async fn say<R: Runtime<S>, S>(
    stream: &mut S,
    tls: &mut ClientConnection,
    until: Instant,
) -> Result<(), Error> {
    let mut flight = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut flight).map_err(failed)?;
    }
    let mut rest = &flight[..];
    while !rest.is_empty() {
        match R::write(stream, rest, until).await.map_err(failed)? {
            Some(0) => return Err(failed(ErrorKind::WriteZero.into())),
            Some(n) => rest = rest.get(n..).unwrap_or_default(),
            None if R::now() >= until => return Err(Rule::TimedOut.into()),
            None => {}
        }
    }
    while !R::flush(stream, until).await.map_err(failed)? {
        if R::now() >= until {
            return Err(Rule::TimedOut.into());
        }
    }
    Ok(())
}

fn failed(error: IoError) -> Error {
    Error::io(Doing::Handshake)(error)
}

/// Whether the bytes start like a TLS record (RFC 8446 §5.1).
fn is_tls(answer: &[u8]) -> bool {
    matches!(answer, [20..=23] | [20..=23, 3, ..])
}

/// The peer answered the ClientHello with something other than TLS. Wrapped in a [`rustls::Error::Other`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotTls {
    /// The first line of the answer, escaped.
    pub(crate) said: String,
}

impl NotTls {
    fn new(answer: &[u8]) -> Self {
        let line = answer.split_inclusive(|octet| *octet == b'\n').next().unwrap_or_default();
        let line = line.get(..QUOTE).unwrap_or(line).trim_ascii_end();
        Self { said: Untrusted::new(line).to_string() }
    }
}

impl fmt::Display for NotTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the peer does not speak TLS here; it said: {}", self.said)
    }
}

impl error::Error for NotTls {}

impl From<NotTls> for Error {
    fn from(error: NotTls) -> Self {
        Self::Tls(rustls::Error::Other(OtherError(Arc::new(error))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_records_are_recognised() {
        for answer in [&b"\x15\x03\x01\x00\x02"[..], b"\x16\x03\x03", b"\x16"] {
            assert!(is_tls(answer), "{answer:?}");
        }
        for answer in [&b"220 mx\r\n"[..], b"* OK", b"\x15\x30", b"N", b"\n"] {
            assert!(!is_tls(answer), "{answer:?}");
        }
    }
}
