use crate::settings::settings;

settings! {
    /// What a receiver offers, and how much of it. The default offers what needs nothing of the
    /// application: `PIPELINING`, `8BITMIME`, `CHUNKING` and `ENHANCEDSTATUSCODES`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Config {
        /// How much a client may ask for.
        limits, with_limits: Limits,
        /// Whether clients can say who they are, over TLS.
        authentication, with_authentication: Authentication,
        /// Whether to offer `DSN` (RFC 3461): the application reports on delivery as senders ask it to,
        /// and passes on what they ask for.
        dsn, with_dsn: bool,
        /// Whether to offer `SMTPUTF8` (RFC 6531): the application takes addresses and headers in UTF-8,
        /// and passes them on to those who do.
        smtp_utf8, with_smtp_utf8: bool,
        /// Whether to offer `REQUIRETLS` over TLS (RFC 8689): the application passes such a mail on over
        /// verified TLS or not at all.
        require_tls, with_require_tls: bool,
    }
}

impl From<Limits> for Config {
    fn from(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }
}

/// Whether clients can say who they are (`AUTH`, RFC 4954), by the mechanisms PLAIN (RFC 4616) and
/// LOGIN. Both show the password to the server: they are offered and taken over TLS and nowhere
/// else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Authentication {
    /// They cannot.
    #[default]
    None,
    /// They can.
    Offered,
    /// They have to before anything else, as on a submission server (RFC 6409 §4.3).
    Required,
}

settings! {
    /// How much a client may ask for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Limits {
        /// Octets of one message, CRLFs counted and stuffed dots not (RFC 1870); `None` for no limit.
        size, with_size: Option<usize>,
        /// Recipients of one mail; at least 100 (RFC 5321 §4.5.3.1.8).
        recipients, with_recipients: u16,
        /// Mistakes on one connection, wrong passwords among them.
        errors, with_errors: u8,
        /// Commands on one connection, of any kind. The default is enough for 30,000 mails, or for a
        /// message of a gigabyte in chunks of 16 KiB; it bounds what a client can have for nothing
        /// (`NOOP`, `RSET`).
        commands, with_commands: u32,
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { size: None, recipients: 1000, errors: 20, commands: 100_000 }
    }
}
