use std::io;

use mail_builder::MessageBuilder;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::raw::Raw;
use mail_builder::mime::{BodyPart, MimePart};
use starttls::mail::Address;
use starttls::mx::Domain;

use super::{Report, Sender};

impl Report {
    /// The name of its file (RFC 8460 §5.1).
    #[must_use]
    pub fn file_name(&self, sender: &Sender) -> String {
        let [start, end] = [&self.date_range.start_datetime, &self.date_range.end_datetime]
            .map(|date| super::collector::seconds(date).unwrap_or_default());
        format!("{}!{}!{start}!{end}.json.gz", sender.domain(), self.domain())
    }

    /// The mail that carries it to one of the domain's addresses (RFC 8460 §5.3), its lines ending with
    /// CRLF.
    ///
    /// It has to be signed by DKIM, for the domain of [`Sender::contact`]: hand it to a submission server that
    /// does so. It has the field `TLS-Required: No` (RFC 8689 §3), so that a domain hears of what keeps mail
    /// from it, and is not reported on itself (RFC 8460 §3).
    ///
    /// `date` is in seconds of Unix time.
    ///
    /// # Errors
    /// One of kind [`InvalidInput`](io::ErrorKind::InvalidInput) if `to` or [`Sender::contact`] is no address or
    /// the domain none, and those of the crate that composes it.
    pub fn mail(&self, sender: &Sender, to: &str, date: u64) -> io::Result<Vec<u8>> {
        // They are written into fields as they are.
        let are_addresses =
            [to, &sender.contact].iter().all(|address| Address::international(address).is_ok());
        let is_id = !self.report_id.chars().any(char::is_control);
        if !are_addresses || !is_id || Domain::new(self.domain()).is_err() {
            let problem = "no report goes from, to or about what is no address, or domain";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        let (domain, submitter) = (self.domain().to_owned(), sender.domain().to_owned());
        let subject = format!(
            "Report Domain: {domain} Submitter: {submitter} Report-ID: <{}>",
            self.report_id
        );
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
            .message_id(self.report_id.as_str())
            .subject(subject)
            .header("TLS-Required", Raw::new("No"))
            .header("TLS-Report-Domain", Raw::new(domain))
            .header("TLS-Report-Submitter", Raw::new(submitter))
            .body(MimePart::new(kind, parts))
            .write_to_vec()
    }
}
