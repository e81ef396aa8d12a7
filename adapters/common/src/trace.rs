use std::time::{SystemTime, UNIX_EPOCH};

use starttls::mail::Address;
use starttls::mail::message::{Date, Protocol, Received, return_path};
use starttls::smtp::Domain;

use crate::{Error, Mail};

/// Enough for any trace line, in bytes.
const LINE: usize = 2048;

impl Mail {
    /// The `Received` line to put in front of the message (RFC 5321 §4.4), with its CRLF. A server that
    /// passes a mail on, or delivers it, has to add one.
    ///
    /// `by` is the server's name, `id` its own id of the mail. The line names the client as it introduced
    /// itself and by its address, the transmission type (RFC 3848), TLS's cipher suite (RFC 8314 §4.3), and
    /// the recipient if there is only one. The client cannot forge a part of it.
    ///
    /// # Errors
    /// [`Error::Argument`] if `by` is no domain, `id` is no atoms with dots between them, or `now` is no time
    /// from 1970 to 9999.
    pub fn received(&self, by: &str, id: Option<&str>, now: SystemTime) -> Result<String, Error> {
        let by = Domain::new(by).map_err(Error::argument("the server's name"))?;
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let date = Date::utc(now).map_err(Error::argument("the time"))?;
        let protocol = Protocol {
            lmtp: self.peer.lmtp,
            extended: self.peer.extended,
            international: self.international,
            tls: self.peer.is_encrypted(),
            authenticated: self.peer.user.is_some(),
        };
        let recipient = match &self.to[..] {
            [one] => Address::international(&one.path).ok(),
            _ => None,
        };
        let cipher = self.peer.tls.as_ref().map(|tls| tls.cipher_name());
        let mut received = Received::new(self.peer.hello.as_deref().unwrap_or_default(), by, date)
            .with_address(self.peer.address.map(|address| address.ip()))
            .with_protocol(protocol)
            .with_recipient(recipient);
        if let Some(cipher) = &cipher {
            // A suite that rustls does not name is no atom.
            received = received.with_cipher(cipher).unwrap_or(received);
        }
        if let Some(id) = id {
            received = received.with_id(id).map_err(Error::argument("the mail's id"))?;
        }
        line(|output| received.print(output))
    }

    /// The `Return-Path` line to put in front of the message and of its `Received` lines at its final delivery
    /// (RFC 5321 §4.4), with its CRLF. A server that passes the mail on must not add it.
    ///
    /// # Errors
    /// [`Error::Argument`] if the application has changed `from` to an invalid address.
    pub fn return_path(&self) -> Result<String, Error> {
        // The only sender without a domain (RFC 5321 §4.1.1.3).
        let local = self.from.eq_ignore_ascii_case("postmaster");
        let from = if local { format!("{}@localhost", self.from) } else { self.from.clone() };
        let from = match &from[..] {
            "" => None,
            from => Some(Address::international(from).map_err(Error::argument("the sender"))?),
        };
        line(|output| return_path(from, output))
    }
}

fn line(print: impl FnOnce(&mut [u8]) -> Result<usize, starttls::Error>) -> Result<String, Error> {
    let mut output = [0; LINE];
    let n = print(&mut output)?;
    Ok(String::from_utf8_lossy(&output[..n]).into_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Recipient;

    #[test]
    fn trace_lines() {
        let now = UNIX_EPOCH + Duration::from_secs(1_795_262_400);
        let mut mail = Mail { from: "me@example.org".to_owned(), ..Mail::default() };
        mail.peer.hello = Some("client.example".to_owned());
        mail.peer.address = Some(([192, 0, 2, 1], 25).into());
        mail.peer.user = Some("me".to_owned());
        mail.peer.extended = true;
        let to = |path: &str| Recipient { path: path.to_owned(), ..Recipient::default() };
        mail.to = vec![to("ä@example.org")];
        let received = mail.received("mx.example", Some("a.7"), now).expect("a line");
        assert_eq!(
            received,
            "Received: from client.example ([192.0.2.1])\r\n\tby mx.example with ESMTPA\r\n\tid a.7 \
             for <ä@example.org>;\r\n\tSat, 21 Nov 2026 12:00:00 +0000\r\n"
        );
        // Neither of two recipients learns of the other.
        mail.to.push(to("c@d.example"));
        let received = mail.received("mx.example", None, now).expect("a line");
        assert!(!received.contains("for"), "{received}");
        for (by, id) in [("a b", None), ("a", Some("b c"))] {
            assert!(
                matches!(mail.received(by, id, now), Err(Error::Argument { .. })),
                "{by} {id:?}"
            );
        }
        for (from, line) in [
            ("me@example.org", "<me@example.org>"),
            ("", "<>"),
            ("Postmaster", "<Postmaster@localhost>"),
        ] {
            mail.from = from.to_owned();
            assert_eq!(mail.return_path().expect("a line"), format!("Return-Path: {line}\r\n"));
        }
        mail.from = "a\r\nb".to_owned();
        assert!(matches!(mail.return_path(), Err(Error::Argument { .. })));
    }
}
