//! Reports of failed mails (RFC 3464, RFC 6522).

use std::fmt::Write as _;

use starttls::mail::message::Date;

use starttls::mail::dsn::{Return, Xtext};

use super::stored::Stored;
use crate::Recipient;

/// How much of a mail a report returns, in bytes. Every server takes a mail of this size (RFC 5321 §4.5.3.1.7).
const MAX_RETURNED: usize = 64 * 1024;

/// The longest line that mail can carry, without its end, in bytes (RFC 5322 §2.1.1).
const MAX_LINE: usize = 998;

/// The longest text of a reply in a report, in characters.
const MAX_SAID: usize = 500;

/// What a report tells about a recipient (RFC 3464 §2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Failed,
    /// A server has the mail that reports no further success.
    Relayed,
}

/// A recipient in a report.
#[derive(Clone, Debug)]
pub(super) struct Told<'a> {
    pub(super) to: &'a Recipient,
    pub(super) action: Action,
    /// The last reply or error.
    pub(super) said: String,
}

impl Action {
    const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Relayed => "relayed",
        }
    }

    const fn subject(self) -> &'static str {
        match self {
            Self::Failed => "Undelivered mail",
            Self::Relayed => "Relayed mail",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Failed => "was not delivered to these recipients:",
            Self::Relayed => {
                "is on its way to these recipients. The server that has it now\r\n\
                 does not report deliveries:"
            }
        }
    }
}

/// The message that tells the sender of `mail` about some of its recipients.
pub(super) fn report(name: &str, id: &str, mail: &Stored, told: &[Told<'_>], now: u64) -> Vec<u8> {
    let date = |unix| Date::utc(unix).map(|date| date.to_string()).unwrap_or_default();
    let has = |action| told.iter().any(|told| told.action == action);
    let subject = if has(Action::Failed) { Action::Failed } else { Action::Relayed }.subject();
    let boundary = format!("=_{id}_report");
    let mut text = format!(
        "From: Mail delivery <MAILER-DAEMON@{name}>\r\nTo: <{}>\r\nSubject: {subject}\r\n\
         Date: {}\r\nMessage-ID: <{id}@{name}>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"{boundary}\"\r\n\r\n\
         --{boundary}\r\nContent-Type: text/plain\r\n\r\n",
        ascii(&mail.from),
        date(now),
    );
    for action in [Action::Failed, Action::Relayed].into_iter().filter(|action| has(*action)) {
        let _ = write!(text, "Your mail of {}\r\n{}\r\n\r\n", date(mail.since), action.text());
        for Told { to, said, .. } in told.iter().filter(|told| told.action == action) {
            let _ = write!(text, "<{}>:\r\n    {}\r\n", ascii(&to.path), short(said));
        }
        text.push_str("\r\n");
    }
    let _ = write!(
        text,
        "--{boundary}\r\nContent-Type: message/delivery-status\r\n\r\n\
         Reporting-MTA: dns; {name}\r\n",
    );
    if let Some(id) = &mail.id {
        let _ = write!(text, "Original-Envelope-Id: {}\r\n", decoded(id));
    }
    let _ = write!(text, "Arrival-Date: {}\r\n", date(mail.since));
    for Told { to, action, said } in told {
        text.push_str("\r\n");
        if let Some((kind, address)) = to.original.as_ref().and_then(|of| of.split_once(';')) {
            let original = ascii(&format!("{kind}; {}", decoded(address)));
            let _ = write!(text, "Original-Recipient: {original}\r\n");
        }
        let kind = if to.path.is_ascii() { "rfc822" } else { "utf-8" };
        let (status, kind_of_said) = status(said, *action);
        let _ = write!(
            text,
            "Final-Recipient: {kind}; {}\r\nAction: {}\r\nStatus: {status}\r\n\
             Diagnostic-Code: {kind_of_said}; {}\r\n",
            ascii(&to.path),
            action.name(),
            short(said),
        );
    }
    let returned = (mail.returns == Some(Return::Full) && has(Action::Failed))
        .then(|| whole(&mail.message))
        .flatten();
    let kind = if returned.is_some() { "message/rfc822" } else { "text/rfc822-headers" };
    let _ = write!(text, "\r\n--{boundary}\r\nContent-Type: {kind}\r\n\r\n");
    match returned {
        Some(message) => message.lines().for_each(|line| text.extend([line, "\r\n"])),
        None => {
            let header = String::from_utf8_lossy(header(&mail.message));
            header.lines().for_each(|line| text.extend([&ascii(line), "\r\n"]));
        }
    }
    let _ = write!(text, "\r\n--{boundary}--\r\n");
    text.into_bytes()
}

/// The message, if a report can return it as it is.
fn whole(message: &[u8]) -> Option<&str> {
    let text = str::from_utf8(message).ok().filter(|text| text.len() <= MAX_RETURNED)?;
    let fits = |line: &str| {
        line.len() <= MAX_LINE && line.bytes().all(|octet| matches!(octet, b'\t' | b' '..=b'~'))
    };
    text.lines().all(fits).then_some(text)
}

/// The text that xtext encodes.
fn decoded(xtext: &str) -> String {
    // A damaged file may have another text, which is shown as it is.
    let octets = Xtext::international(xtext).map(|text| text.octets().collect::<Vec<_>>());
    ascii(&String::from_utf8_lossy(&octets.unwrap_or_else(|_| xtext.as_bytes().to_vec())))
}

/// The status of a reply (RFC 3463), and whether it is an SMTP reply.
fn status(said: &str, action: Action) -> (&str, &'static str) {
    let is_failed = action == Action::Failed;
    let mut words = said.split(' ');
    let code = words.next().unwrap_or_default();
    let is_reply = code.len() == 3 && code.bytes().all(|octet| octet.is_ascii_digit());
    if !is_reply {
        // A mail that was given up after temporary failures, or that was accepted before a failure.
        return (if is_failed { "4.4.7" } else { "2.0.0" }, "x-starttls");
    }
    let enhanced = words.next().filter(|word| {
        let mut parts = word.split('.');
        let starts = parts.next().is_some_and(|class| match class {
            "2" => !is_failed,
            "4" | "5" => is_failed,
            _ => false,
        });
        let is_number = |part: &str| {
            (1..=3).contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_digit())
        };
        starts && parts.clone().count() == 2 && parts.all(is_number)
    });
    let general = match code.as_bytes() {
        _ if !is_failed => "2.0.0",
        [b'4', ..] => "4.0.0",
        _ => "5.0.0",
    };
    (enhanced.unwrap_or(general), "smtp")
}

/// The header of a message, as far as the report returns it.
fn header(message: &[u8]) -> &[u8] {
    let ends = [&b"\r\n\r\n"[..], b"\n\n"];
    let end =
        ends.iter().filter_map(|end| message.windows(end.len()).position(|some| some == *end));
    let end = end.min().unwrap_or(message.len()).min(MAX_RETURNED);
    message.get(..end).unwrap_or_default()
}

/// One line of visible ASCII; other characters as RFC 6533 §3 writes them. Long lines are cut, with room for the name
/// of a field.
fn ascii(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars() {
        if c.is_ascii_graphic() || matches!(c, ' ' | '\t') {
            line.push(c);
        } else {
            let _ = write!(line, "\\x{{{:X}}}", u32::from(c));
        }
        if line.len() >= MAX_LINE - 60 {
            break;
        }
    }
    line
}

fn short(said: &str) -> String {
    ascii(&said.chars().take(MAX_SAID).collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    fn failed<'a>(mail: &'a Stored, said: &str) -> Told<'a> {
        Told { to: &mail.to[0], action: Action::Failed, said: said.to_owned() }
    }

    fn mail(lines: &str, message: &[u8]) -> Stored {
        let head = format!("starttls-queue 2\nsince 0\nneeds\nfrom a@b\n{lines}\n\n");
        Stored::parse(&[head.as_bytes(), message].concat()).expect("a mail")
    }

    fn text_of(mail: &Stored) -> String {
        let text = report("mx.test", "1", mail, &[failed(mail, "550 no")], 0);
        String::from_utf8(text).expect("ASCII")
    }

    #[test]
    fn a_report_returns_the_whole_mail_if_it_can() {
        let whole = |lines: &str, message: &[u8]| {
            let text = text_of(&mail(lines, message));
            let is_whole = text.contains("Content-Type: message/rfc822\r\n");
            assert!(is_whole || text.contains("Content-Type: text/rfc822-headers\r\n"), "{text}");
            assert_eq!(text.contains("\r\n\r\n.body\r\n"), is_whole, "{text}");
            assert!(text.contains("Subject: x\r\n"), "{text}");
            is_whole
        };
        let full = "returns full\nto c@d";
        assert!(whole(full, b"Subject: x\r\n\r\n.body\r\n"));
        assert!(whole(full, b"Subject: x\n\n.body"));
        assert!(!whole("to c@d", b"Subject: x\r\n\r\n.body\r\n"));
        assert!(!whole("returns headers\nto c@d", b"Subject: x\r\n\r\n.body\r\n"));
        for (rest, is_whole) in [
            ("x".repeat(998), true),
            ("x".repeat(999), false),
            ("\u{e4}".to_owned(), false),
            ("a\rb".to_owned(), false),
            ("\0".to_owned(), false),
            ("x\r\n".repeat(MAX_RETURNED / 3), false),
        ] {
            let message = format!("Subject: x\r\n\r\n.body\r\n{rest}\r\n");
            assert_eq!(whole(full, message.as_bytes()), is_whole, "{} bytes", message.len());
        }
    }

    /// A report of other outcomes returns the header (RFC 3461 §6.2).
    #[test]
    fn a_report_without_a_failure_returns_the_header() {
        let mail = mail("returns full\nto c@d", b"Subject: x\r\n\r\nbody\r\n");
        let relayed = Told { to: &mail.to[0], action: Action::Relayed, said: "250 Ok".to_owned() };
        let text = report("mx.test", "1", &mail, slice::from_ref(&relayed), 0);
        let text = String::from_utf8(text).expect("ASCII");
        assert!(text.contains("Subject: Relayed mail\r\n") && !text.contains("body"), "{text}");
        assert!(text.contains("Action: relayed\r\nStatus: 2.0.0\r\n"), "{text}");
        let text = report("mx.test", "1", &mail, &[relayed, failed(&mail, "550 no")], 0);
        let text = String::from_utf8(text).expect("ASCII");
        assert!(text.contains("Subject: Undelivered mail\r\n") && text.contains("body"), "{text}");
    }

    #[test]
    fn ids_and_original_addresses_are_decoded() {
        let text = text_of(&mail("id a+2Bb+20c\nto c@d\noriginal rfc822;x+2By@d", b"x"));
        assert!(text.contains("\r\nOriginal-Envelope-Id: a+b c\r\nArrival-Date: "), "{text}");
        let recipient =
            "\r\n\r\nOriginal-Recipient: rfc822; x+y@d\r\nFinal-Recipient: rfc822; c@d\r\n";
        assert!(text.contains(recipient), "{text}");
        let text = text_of(&mail("to c@d", b"x"));
        assert!(!text.contains("Original-"), "{text}");
        // Those of a damaged file break no line.
        let long = "\u{e4}".repeat(2000);
        let text =
            text_of(&mail(&format!("id {long}+0D+0A\nto c@d\noriginal {long};{long}"), b"x"));
        assert!(text.contains("\r\nOriginal-Recipient: \\x{E4}"), "{text}");
        assert!(text.split("\r\n").all(|line| line.len() <= MAX_LINE), "{text}");
    }

    #[test]
    fn the_status_is_the_reply_s() {
        for (said, expected) in [
            ("550 5.1.1 No such user", ("5.1.1", "smtp")),
            ("452 4.2.2 Full", ("4.2.2", "smtp")),
            ("550 No such user", ("5.0.0", "smtp")),
            ("550 2.1.1 No such user", ("5.0.0", "smtp")),
            ("450 4.busy", ("4.0.0", "smtp")),
            ("connecting: refused", ("4.4.7", "x-starttls")),
            ("", ("4.4.7", "x-starttls")),
        ] {
            assert_eq!(status(said, Action::Failed), expected, "{said}");
        }
        for (said, expected) in [
            ("250 2.1.5 Ok", ("2.1.5", "smtp")),
            ("250 Ok", ("2.0.0", "smtp")),
            ("250 5.1.1 Ok", ("2.0.0", "smtp")),
            ("closed", ("2.0.0", "x-starttls")),
        ] {
            assert_eq!(status(said, Action::Relayed), expected, "{said}");
        }
    }

    #[test]
    fn a_report_has_only_lines_that_mail_can_carry() {
        let mail = Stored::parse(
            &[
                "starttls-queue 1\nsince 0\nneeds\nfrom ä@b\nto ö@b\n\nSubject: ".as_bytes(),
                &[b'x'; 3000],
                b"\xff\r\0\n\n\nbody",
            ]
            .concat(),
        );
        let mail = mail.expect("a mail");
        let said = "\u{e4}".repeat(5000) + "\r\n.\r\n";
        let text = report("mx.test", "1", &mail, &[failed(&mail, &said)], 0);
        assert!(text.iter().all(|octet| matches!(octet, b'\r' | b'\n' | b'\t' | b' '..=b'~')));
        let text = String::from_utf8(text).expect("ASCII");
        assert!(text.split("\r\n").all(|line| line.len() < 998 && !line.contains(['\r', '\n'])));
        assert!(text.contains("Final-Recipient: utf-8; \\x{F6}@b\r\n"), "{text}");
        assert!(text.contains("Arrival-Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"));
        assert!(!text.contains("body"));
    }
}
