#[cfg(test)]
mod tests;

use core::net::IpAddr;

use super::{Date, Sink};
use crate::mail::Address;
use crate::mail::address::{is_atom, is_host};
use crate::smtp::Domain;
use crate::{ArgumentError, Error};

/// The `Received` line that a server adds in front of a message that it accepts (RFC 5321 §4.4).
///
/// ```
/// use starttls::mail::Address;
/// use starttls::mail::message::{Date, Protocol, Received};
/// use starttls::smtp::Domain;
///
/// let by = Domain::new("mx.example.org")?;
/// let received = Received::new("client.example.org", by, Date::utc(1_795_262_400)?)
///     .with_address(Some([192, 0, 2, 1].into()))
///     .with_protocol(Protocol { extended: true, tls: true, ..Protocol::default() })
///     .with_cipher("TLS_AES_128_GCM_SHA256")?
///     .with_id("7.1")?
///     .with_recipient(Some(Address::new("you@example.org")?));
/// let mut output = [0; 512];
/// let n = received.print(&mut output)?;
/// assert_eq!(
///     &output[..n],
///     b"Received: from client.example.org ([192.0.2.1])\r\n\
///     \tby mx.example.org with ESMTPS tls TLS_AES_128_GCM_SHA256\r\n\
///     \tid 7.1 for <you@example.org>;\r\n\
///     \tSat, 21 Nov 2026 12:00:00 +0000\r\n"
/// );
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Received<'a> {
    hello: &'a str,
    #[cfg_attr(feature = "defmt", defmt(Debug2Format))]
    address: Option<IpAddr>,
    by: Domain<'a>,
    protocol: Protocol,
    cipher: Option<&'a str>,
    id: Option<&'a str>,
    recipient: Option<Address<'a>>,
    date: Date,
}

/// The transmission type of a mail, the registered word after `with` (RFC 3848, RFC 6531 §4.3).
///
/// The struct is exhaustive: the registry of these words has no other part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Protocol {
    /// Whether the protocol is LMTP instead of SMTP.
    pub lmtp: bool,
    /// Whether the client said `EHLO`. Without it there is only `SMTP`. LMTP has no other hello.
    pub extended: bool,
    /// Whether the mail needed `SMTPUTF8`.
    pub international: bool,
    /// Whether the mail arrived over TLS.
    pub tls: bool,
    /// Whether the client logged in.
    pub authenticated: bool,
}

impl Protocol {
    fn put(self, out: &mut Sink<'_>) {
        let extended = self.extended | self.lmtp;
        out.put(match (self.lmtp, extended, self.international) {
            (true, _, true) => b"UTF8LMTP",
            (true, _, false) => b"LMTP",
            (false, true, true) => b"UTF8SMTP",
            (false, true, false) => b"ESMTP",
            (false, false, _) => b"SMTP",
        });
        if extended {
            out.put(if self.tls { b"S" } else { b"" });
            out.put(if self.authenticated { b"A" } else { b"" });
        }
    }
}

impl<'a> Received<'a> {
    /// The line for a mail from the client that introduced itself as `hello` to the server `by`.
    ///
    /// `hello` may be anything. If it is no domain and no address literal, it is left out, since a client
    /// could forge the rest of the line with it: the line then names the client's address, or `unknown`.
    #[must_use]
    pub const fn new(hello: &'a str, by: Domain<'a>, date: Date) -> Self {
        Self {
            hello,
            address: None,
            by,
            protocol: Protocol {
                lmtp: false,
                extended: false,
                international: false,
                tls: false,
                authenticated: false,
            },
            cipher: None,
            id: None,
            recipient: None,
            date,
        }
    }

    /// Adds the client's address, as the server sees it.
    #[must_use]
    pub const fn with_address(mut self, address: Option<IpAddr>) -> Self {
        self.address = address;
        self
    }

    /// Sets the transmission type. The default is SMTP without extensions.
    #[must_use]
    pub const fn with_protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Adds the registered name of TLS's cipher suite (RFC 8314 §4.3).
    ///
    /// # Errors
    /// [`ArgumentError::Forbidden`] if it is no atom.
    pub const fn with_cipher(mut self, cipher: &'a str) -> Result<Self, ArgumentError> {
        if !is_atom(cipher.as_bytes()) {
            return Err(ArgumentError::Forbidden);
        }
        self.cipher = Some(cipher);
        Ok(self)
    }

    /// Adds the server's id of the mail: atoms with dots between them, at most 78 bytes.
    ///
    /// # Errors
    /// [`ArgumentError::Forbidden`] or [`ArgumentError::TooLong`].
    pub fn with_id(mut self, id: &'a str) -> Result<Self, ArgumentError> {
        if !id.split('.').all(|atom| is_atom(atom.as_bytes())) {
            return Err(ArgumentError::Forbidden);
        }
        if id.len() > 78 {
            return Err(ArgumentError::TooLong);
        }
        self.id = Some(id);
        Ok(self)
    }

    /// Adds the recipient. Leave it out if the mail has several: each would learn of the others (RFC 5321
    /// §7.2).
    #[must_use]
    pub const fn with_recipient(mut self, recipient: Option<Address<'a>>) -> Self {
        self.recipient = recipient;
        self
    }

    /// Prints the line with its CRLF, and returns its length in bytes. 2,048 bytes are enough for any.
    ///
    /// # Errors
    /// [`Error::OutputTooSmall`] if it does not fit.
    pub fn print(&self, output: &mut [u8]) -> Result<usize, Error> {
        finish(output, |out| self.put(out))
    }

    fn put(&self, out: &mut Sink<'_>) {
        out.put(b"Received: from ");
        match (is_host(self.hello.as_bytes()), self.address) {
            (true, address) => {
                out.put(self.hello.as_bytes());
                if let Some(address) = address {
                    out.put(b" (");
                    put_literal(address, out);
                    out.put(b")");
                }
            }
            (false, Some(address)) => put_literal(address, out),
            (false, None) => out.put(b"unknown"),
        }
        out.put(b"\r\n\tby ");
        out.put(self.by.as_str().as_bytes());
        out.put(b" with ");
        self.protocol.put(out);
        for (name, value) in [(&b" tls "[..], self.cipher), (b"\r\n\tid ", self.id)] {
            if let Some(value) = value {
                out.put(name);
                out.put(value.as_bytes());
            }
        }
        if let Some(recipient) = self.recipient {
            out.put(if self.id.is_some() { b" for <" } else { b"\r\n\tfor <" });
            out.put(recipient.as_str().as_bytes());
            out.put(b">");
        }
        out.put(b";\r\n\t");
        self.date.put(out);
        out.put(b"\r\n");
    }
}

/// Prints the `Return-Path` line that the server of a mail's final delivery adds in front of it (RFC 5321
/// §4.4), with its CRLF, and returns its length in bytes. 512 bytes are enough for any. `None` is the null
/// path.
///
/// # Errors
/// [`Error::OutputTooSmall`] if it does not fit.
pub fn return_path(from: Option<Address<'_>>, output: &mut [u8]) -> Result<usize, Error> {
    finish(output, |out| {
        out.put(b"Return-Path: <");
        out.put(from.map_or("", |from| from.as_str()).as_bytes());
        out.put(b">\r\n");
    })
}

fn finish(output: &mut [u8], put: impl FnOnce(&mut Sink<'_>)) -> Result<usize, Error> {
    let mut out = Sink::new(output);
    put(&mut out);
    match out.taken() {
        None => Ok(out.printed()),
        Some(_) => Err(Error::OutputTooSmall { needed: out.printed() }),
    }
}

/// Prints an address literal (RFC 5321 §4.1.3).
fn put_literal(address: IpAddr, out: &mut Sink<'_>) {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            out.put(b"[");
            for (index, part) in address.octets().into_iter().enumerate() {
                if index > 0 {
                    out.put(b".");
                }
                let digits = [part / 100, part / 10 % 10, part % 10].map(|digit| digit | b'0');
                let skipped = if part >= 100 {
                    0
                } else if part >= 10 {
                    1
                } else {
                    2
                };
                out.put(digits.get(skipped..).unwrap_or_default());
            }
        }
        // `IPv6-full`: eight groups, which need no search for zeros.
        IpAddr::V6(address) => {
            out.put(b"[IPv6:");
            for (index, part) in address.segments().into_iter().enumerate() {
                if index > 0 {
                    out.put(b":");
                }
                let [high, low] = part.to_be_bytes();
                let digits =
                    [high >> 4, high & 15, low >> 4, low & 15].map(|nibble| match nibble {
                        0..=9 => nibble | b'0',
                        _ => nibble.wrapping_add(b'a' - 10),
                    });
                let zeros = digits.iter().take(3).take_while(|digit| **digit == b'0').count();
                out.put(digits.get(zeros..).unwrap_or_default());
            }
        }
    }
    out.put(b"]");
}
