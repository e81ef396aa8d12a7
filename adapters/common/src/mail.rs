use starttls::mail::dsn::{Notify, Return};
use starttls::mail::receiver;

/// A mail that was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mail {
    /// The reverse path; empty for reports about failures.
    pub from: String,
    /// The accepted recipients.
    pub to: Vec<Recipient>,
    /// The message, its lines ended by CRLF; the last one may have no end.
    pub message: Vec<u8>,
    /// Whether it came over TLS.
    pub encrypted: bool,
    /// Whether it came in chunks (`BDAT`).
    pub chunked: bool,
    /// Who sent it, if the client logged in.
    pub user: Option<String>,
    /// Whether it needs servers that take UTF-8 (`SMTPUTF8`).
    pub international: bool,
    /// Whether it may go nowhere without verified TLS (`REQUIRETLS`).
    pub require_tls: bool,
    /// What a report of failure is to bring back.
    pub returns: Option<Return>,
    /// What a report is to call the mail, encoded as it came (xtext).
    pub envelope_id: Option<String>,
}

/// A recipient of a mail that was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recipient {
    /// The forward path.
    pub path: String,
    /// Which reports the sender wants.
    pub notify: Option<Notify>,
    /// How the sender called the recipient: a kind of address, `;`, and the address, encoded as it
    /// came (xtext).
    pub original: Option<String>,
}

impl From<receiver::Recipient<'_>> for Recipient {
    fn from(recipient: receiver::Recipient<'_>) -> Self {
        Self {
            path: recipient.path.as_str().to_owned(),
            notify: recipient.notify,
            original: recipient.original.map(|original| {
                format!("{};{}", original.address_type(), original.address().as_str())
            }),
        }
    }
}
