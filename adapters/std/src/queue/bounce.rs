//! Reports of failed mails (RFC 3464, RFC 6522).

use std::fmt::Write as _;

use starttls::mail::message::Date;

use super::stored::Stored;

/// How much of the failed mail's header a report returns, in bytes.
const MAX_HEADER: usize = 64 * 1024;

/// The longest text of a reply in a report, in characters.
const MAX_SAID: usize = 500;

/// A recipient that failed, and the last reply or error.
pub(super) type Failed<'a> = (&'a str, &'a str);

/// The message that tells the sender of `mail` about its failed recipients.
pub(super) fn report(
    name: &str,
    id: &str,
    mail: &Stored,
    failed: &[Failed<'_>],
    now: u64,
) -> Vec<u8> {
    let date = |unix| Date::utc(unix).map(|date| date.to_string()).unwrap_or_default();
    let boundary = format!("=_{id}_report");
    let mut text = format!(
        "From: Mail delivery <MAILER-DAEMON@{name}>\r\nTo: <{}>\r\nSubject: Undelivered mail\r\n\
         Date: {}\r\nMessage-ID: <{id}@{name}>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"{boundary}\"\r\n\r\n\
         --{boundary}\r\nContent-Type: text/plain\r\n\r\n\
         Your mail of {}\r\nwas not delivered to these recipients:\r\n\r\n",
        ascii(&mail.from),
        date(now),
        date(mail.since),
    );
    for (to, said) in failed {
        let _ = write!(text, "<{}>:\r\n    {}\r\n", ascii(to), short(said));
    }
    let _ = write!(
        text,
        "\r\n--{boundary}\r\nContent-Type: message/delivery-status\r\n\r\n\
         Reporting-MTA: dns; {name}\r\nArrival-Date: {}\r\n",
        date(mail.since),
    );
    for (to, said) in failed {
        let kind = if to.is_ascii() { "rfc822" } else { "utf-8" };
        let (status, kind_of_said) = status(said);
        let _ = write!(
            text,
            "\r\nFinal-Recipient: {kind}; {}\r\nAction: failed\r\nStatus: {status}\r\n\
             Diagnostic-Code: {kind_of_said}; {}\r\n",
            ascii(to),
            short(said),
        );
    }
    let _ = write!(text, "\r\n--{boundary}\r\nContent-Type: text/rfc822-headers\r\n\r\n");
    let header = String::from_utf8_lossy(header(&mail.message));
    header.lines().for_each(|line| text.extend([&ascii(line), "\r\n"]));
    let _ = write!(text, "\r\n--{boundary}--\r\n");
    text.into_bytes()
}

/// The status of a reply (RFC 3463), and whether it is an SMTP reply.
fn status(said: &str) -> (&str, &'static str) {
    let mut words = said.split(' ');
    let code = words.next().unwrap_or_default();
    let is_reply = code.len() == 3 && code.bytes().all(|octet| octet.is_ascii_digit());
    if !is_reply {
        // A mail that was given up after temporary failures.
        return ("4.4.7", "x-starttls");
    }
    let enhanced = words.next().filter(|word| {
        let mut parts = word.split('.');
        let starts = parts.next().is_some_and(|class| matches!(class, "4" | "5"));
        let is_number = |part: &str| {
            (1..=3).contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_digit())
        };
        starts && parts.clone().count() == 2 && parts.all(is_number)
    });
    (enhanced.unwrap_or(if code.starts_with('4') { "4.0.0" } else { "5.0.0" }), "smtp")
}

/// The header of a message, as far as the report returns it.
fn header(message: &[u8]) -> &[u8] {
    let ends = [&b"\r\n\r\n"[..], b"\n\n"];
    let end =
        ends.iter().filter_map(|end| message.windows(end.len()).position(|some| some == *end));
    let end = end.min().unwrap_or(message.len()).min(MAX_HEADER);
    message.get(..end).unwrap_or_default()
}

/// One line of visible ASCII; other characters as RFC 6533 §3 writes them. Long lines are cut.
fn ascii(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars() {
        if c.is_ascii_graphic() || matches!(c, ' ' | '\t') {
            line.push(c);
        } else {
            let _ = write!(line, "\\x{{{:X}}}", u32::from(c));
        }
        if line.len() >= 2 * MAX_SAID - 24 {
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
    use super::*;

    #[test]
    fn the_status_is_the_reply_s() {
        for (said, expected) in [
            ("550 5.1.1 No such user", ("5.1.1", "smtp")),
            ("452 4.2.2 Full", ("4.2.2", "smtp")),
            ("550 No such user", ("5.0.0", "smtp")),
            ("450 4.busy", ("4.0.0", "smtp")),
            ("connecting: refused", ("4.4.7", "x-starttls")),
            ("", ("4.4.7", "x-starttls")),
        ] {
            assert_eq!(status(said), expected, "{said}");
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
        let said = "x".repeat(5000) + "\r\n.\r\n";
        let text = report("mx.test", "1", &mail, &[("ö@b", &said)], 0);
        assert!(text.iter().all(|octet| matches!(octet, b'\r' | b'\n' | b'\t' | b' '..=b'~')));
        let text = String::from_utf8(text).expect("ASCII");
        assert!(text.split("\r\n").all(|line| line.len() < 998 && !line.contains(['\r', '\n'])));
        assert!(text.contains("Final-Recipient: utf-8; \\x{F6}@b\r\n"), "{text}");
        assert!(text.contains("Arrival-Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"));
        assert!(!text.contains("body"));
    }
}
