use starttls::mail::dsn::{Notify, Return};
use starttls::mail::receiver;

use crate::Peer;

/// A received mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mail {
    /// The reverse path. Empty for delivery status notifications.
    pub from: String,
    /// The accepted recipients. With LMTP, [`Deliver::deliver`](crate::Deliver::deliver) is asked about one
    /// of them at a time.
    pub to: Vec<Recipient>,
    /// The message, with CRLF line ends; the last line may have none. Empty if
    /// [`Deliver::keep`](crate::Deliver::keep) stores it elsewhere.
    pub message: Vec<u8>,
    /// The size of the message so far, in bytes.
    pub size: usize,
    /// The client that sends it, as known when the mail began.
    pub peer: Peer,
    /// Whether it arrived in chunks (`BDAT`).
    pub chunked: bool,
    /// Whether it needs servers that support UTF-8 (`SMTPUTF8`).
    pub international: bool,
    /// Whether it must only be relayed over verified TLS (`REQUIRETLS`).
    pub require_tls: bool,
    /// How much of the mail a failure report returns.
    pub returns: Option<Return>,
    /// The sender's id of the mail for reports, encoded as received (xtext).
    pub envelope_id: Option<String>,
}

/// A recipient of a received mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recipient {
    /// The forward path.
    pub path: String,
    /// The events that the sender wants to be notified of.
    pub notify: Option<Notify>,
    /// The original recipient address: its type, `;` and the address, encoded as received (xtext).
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
