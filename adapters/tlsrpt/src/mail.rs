use std::io;

use mail_builder::MessageBuilder;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::raw::Raw;
use mail_builder::mime::{BodyPart, MimePart};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use starttls::mail::Address;
use starttls::mx::Domain;

use super::{Report, Sender};

/// A domain in the form for every mail header field.
pub(super) fn a_labels(domain: &str) -> Option<String> {
    let Ok(url::Host::Domain(name)) = url::Host::parse(domain) else { return None };
    Domain::new(&name).is_ok().then_some(name)
}

/// The maximum length of a report's id in a mail, in bytes. Each byte escaped, and with a domain, it fits
/// into a line.
const MAX_ID: usize = 200;

/// `dot-atom-text` (RFC 5322 §3.2.3).
fn is_dot_atom(text: &str) -> bool {
    let is_atext = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// The Message-ID of a mail (RFC 5322 §3.6.4), a different one for each report id.
fn message_id(id: &str, submitter: &str) -> String {
    if id.split_once('@').is_some_and(|(left, right)| is_dot_atom(left) && is_dot_atom(right)) {
        return id.to_owned();
    }
    // A `%` in the id could be taken for an escape, so it is escaped too.
    match is_dot_atom(id) && !id.contains('%') {
        true => format!("{id}@{submitter}"),
        false => format!("{}@{submitter}", utf8_percent_encode(id, NON_ALPHANUMERIC)),
    }
}

impl Report {
    /// The name of the report's file (RFC 8460 §5.1).
    #[must_use]
    pub fn file_name(&self, sender: &Sender) -> String {
        let [start, end] = [&self.date_range.start_datetime, &self.date_range.end_datetime]
            .map(|date| super::collector::seconds(date).unwrap_or_default());
        let [submitter, domain] = [sender.domain(), self.domain()]
            .map(|domain| a_labels(domain).unwrap_or_else(|| domain.to_owned()));
        format!("{submitter}!{domain}!{start}!{end}.json.gz")
    }

    /// The mail that carries the report to one of the domain's addresses (RFC 8460 §5.3), with CRLF line
    /// ends.
    ///
    /// It needs a DKIM signature of the domain of [`Sender::contact`]: send it through a submission server
    /// that signs. Its field `TLS-Required: No` (RFC 8689 §3) lets it reach a domain whose TLS fails, and
    /// keeps it out of the next report (RFC 8460 §3).
    ///
    /// The report's id is its `Message-ID` and part of its subject. An id that is not valid in a mail (RFC
    /// 5322 §3.6.4), as in reports of other senders, is escaped and gets the submitter's domain: `a b`
    /// becomes `a%20b@example.com`.
    ///
    /// `date` is in seconds of Unix time.
    ///
    /// # Errors
    /// An error of kind [`InvalidInput`](io::ErrorKind::InvalidInput) if `to` or [`Sender::contact`] is no
    /// address, if the domain is invalid, or if the id is not 1 to 200 printable ASCII characters. Those of
    /// the crate that composes the mail.
    pub fn mail(&self, sender: &Sender, to: &str, date: u64) -> io::Result<Vec<u8>> {
        // They are written into header fields unchanged, so a line break would inject a field.
        let are_addresses =
            [to, &sender.contact].iter().all(|address| Address::international(address).is_ok());
        let is_id = self.report_id.bytes().all(|octet| matches!(octet, b' '..=b'~'))
            && (1..=MAX_ID).contains(&self.report_id.len());
        let domains = [self.domain(), sender.domain()].map(a_labels);
        let ([Some(domain), Some(submitter)], true, true) = (domains, are_addresses, is_id) else {
            let problem = "a report needs valid addresses and a valid domain";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        };
        // Not an encoded text: receivers search for these words (RFC 8460 §5.3), and the line is folded at
        // its spaces.
        let id = message_id(&self.report_id, &submitter);
        let subject =
            Raw::new(format!("Report Domain: {domain} Submitter: {submitter} Report-ID: <{id}>"));
        let text = format!("This is an aggregate TLS report from {submitter}\r\n");
        let kind = ContentType::new("multipart/report").attribute("report-type", "tlsrpt");
        let parts = vec![
            MimePart::new("text/plain", text),
            MimePart::new("application/tlsrpt+gzip", BodyPart::Binary(self.to_gzip().into()))
                .attachment(self.file_name(sender)),
        ];
        MessageBuilder::new()
            .from(sender.contact.as_str())
            .to(to)
            .date(i64::try_from(date).unwrap_or(i64::MAX))
            .message_id(id)
            .header("Subject", subject)
            .header("TLS-Required", Raw::new("No"))
            .header("TLS-Report-Domain", Raw::new(domain))
            .header("TLS-Report-Submitter", Raw::new(submitter))
            .body(MimePart::new(kind, parts))
            .write_to_vec()
    }
}
