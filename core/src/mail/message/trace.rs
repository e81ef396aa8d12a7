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

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::String;

    use super::*;

    fn printed(received: &Received<'_>) -> String {
        let mut output = [0; 2048];
        let n = received.print(&mut output).expect("room");
        for room in 0..n {
            let too_small = Err(Error::OutputTooSmall { needed: n });
            assert_eq!(received.print(&mut output[..room]), too_small);
        }
        received.print(&mut output).expect("room");
        String::from_utf8(output[..n].to_vec()).expect("UTF-8")
    }

    fn from(hello: &str) -> Received<'_> {
        let by = Domain::new("mx.example.org").expect("a name");
        Received::new(hello, by, Date::utc(0).expect("a date"))
    }

    #[test]
    fn a_hello_cannot_forge_anything() {
        let address = Some([192, 0, 2, 1].into());
        for hello in [
            "",
            "a b",
            "a(",
            "a;b",
            "a\r\nX: y",
            "a\\",
            "\"a\"",
            "a@b",
            "é.example",
            "[192.0.2.1",
            "[]",
            "a..b",
            "-a.example",
            "a by b",
            "a\tb",
            "a\0",
        ] {
            let text = printed(&from(hello).with_address(address));
            assert!(
                text.starts_with(
                    "Received: from [192.0.2.1]\r\n\tby mx.example.org with SMTP;\r\n"
                )
            );
            assert!(printed(&from(hello)).starts_with("Received: from unknown\r\n\tby "));
        }
        for hello in
            ["a.example", "localhost", "[192.0.2.7]", "[IPv6:2001:db8::1]", "under_score.example"]
        {
            let text = printed(&from(hello).with_address(address));
            assert!(
                text.starts_with(&std::format!("Received: from {hello} ([192.0.2.1])\r\n")),
                "{text}"
            );
        }
    }

    #[test]
    fn address_literals() {
        for (address, literal) in [
            ("192.0.2.1", "[192.0.2.1]"),
            ("255.10.0.99", "[255.10.0.99]"),
            ("::ffff:192.0.2.1", "[192.0.2.1]"),
            ("2001:db8::a0:1", "[IPv6:2001:db8:0:0:0:0:a0:1]"),
        ] {
            let address = address.parse().expect("an address");
            let text = printed(&from("").with_address(Some(address)));
            assert!(text.starts_with(&std::format!("Received: from {literal}\r\n")), "{text}");
            assert!(is_host(literal.as_bytes()));
        }
    }

    /// The registered words are those of RFC 3848 and RFC 6531 §4.3.
    #[test]
    fn transmission_types() {
        let mut words = std::vec::Vec::new();
        for bits in 0..32 {
            let has = |bit: u8| bits >> bit & 1 == 1;
            let protocol = Protocol {
                lmtp: has(0),
                extended: has(1),
                international: has(2),
                tls: has(3),
                authenticated: has(4),
            };
            let text = printed(&from("a").with_protocol(protocol));
            let (_, word) = text.split_once(" with ").expect("a word");
            let word = word.split(';').next().expect("its end");
            words.push(String::from(word));
        }
        words.sort();
        words.dedup();
        assert_eq!(
            words,
            [
                "ESMTP",
                "ESMTPA",
                "ESMTPS",
                "ESMTPSA",
                "LMTP",
                "LMTPA",
                "LMTPS",
                "LMTPSA",
                "SMTP",
                "UTF8LMTP",
                "UTF8LMTPA",
                "UTF8LMTPS",
                "UTF8LMTPSA",
                "UTF8SMTP",
                "UTF8SMTPA",
                "UTF8SMTPS",
                "UTF8SMTPSA",
            ]
        );
    }

    #[test]
    fn ids_and_ciphers_are_atoms() {
        for id in ["", ".", "a..b", "a b", "a;b", "a\r\nb", "é"] {
            assert_eq!(from("a").with_id(id).err(), Some(ArgumentError::Forbidden), "{id:?}");
            assert_eq!(from("a").with_cipher(id).err(), Some(ArgumentError::Forbidden), "{id:?}");
        }
        let long = "a".repeat(79);
        assert_eq!(from("a").with_id(&long).err(), Some(ArgumentError::TooLong));
        assert!(printed(&from("a").with_id(&long[1..]).expect("an id")).contains(&long[1..]));
    }

    #[test]
    fn the_longest_lines_fit() {
        let name = [b'a'; 255];
        let name = core::str::from_utf8(&name).expect("ASCII");
        let (local, host) = ("a".repeat(64), std::format!("{}.b", "b".repeat(187)));
        let path = std::format!("{local}@{host}");
        let path = Address::new(&path).expect("an address");
        let received =
            Received::new(name, Domain::new(name).expect("a name"), Date::utc(0).expect("a date"))
                .with_address(Some([0xffff; 8].into()))
                .with_recipient(Some(path));
        assert!(printed(&received).lines().all(|line| line.len() < 998));
        let mut output = [0; 512];
        let n = return_path(Some(path), &mut output).expect("room");
        assert_eq!(output[..n], *std::format!("Return-Path: <{}>\r\n", path.as_str()).as_bytes());
        let n = return_path(None, &mut output).expect("room");
        assert_eq!(&output[..n], b"Return-Path: <>\r\n");
        assert_eq!(return_path(None, &mut output[..16]), Err(Error::OutputTooSmall { needed: 17 }));
    }
}
