use crate::settings::settings;

settings! {
    /// The settings of a receiver. By default it offers the extensions that need nothing from the
    /// application: `PIPELINING`, `8BITMIME`, `CHUNKING` and `ENHANCEDSTATUSCODES`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Config {
        /// The limits for a client.
        limits, with_limits: Limits,
        /// Whether clients can log in, over TLS.
        authentication, with_authentication: Authentication,
        /// How clients can log in.
        proof, with_proof: Proof,
        /// Whether clients can also prove by SCRAM that they know a password (RFC 7677), which does not
        /// reveal it. The application stores the keys of each user. It needs the feature `scram`, and has no
        /// effect without it.
        scram, with_scram: Scram,
        /// Whether to offer `DSN` (RFC 3461). The application then has to report on delivery as senders
        /// request, and to pass their requests on.
        dsn, with_dsn: bool,
        /// Whether to offer `SMTPUTF8` (RFC 6531). The application then has to accept addresses and headers
        /// in UTF-8, and to pass them on only to servers that do, too.
        smtp_utf8, with_smtp_utf8: bool,
        /// Whether to offer `STARTTLS` in plaintext, between two mails (RFC 3207 §4). On
        /// [`Event::StartTls`](super::Event::StartTls) the caller starts TLS, as an
        /// [`Inbound`](crate::mail::Inbound) does.
        start_tls, with_start_tls: bool,
        /// Whether to offer `REQUIRETLS` over TLS (RFC 8689). The application then has to pass such a mail
        /// on only over verified TLS.
        require_tls, with_require_tls: bool,
    }
}

impl Config {
    pub(super) fn takes_passwords(&self) -> bool {
        self.authentication != Authentication::None && self.proof.is_password()
    }

    pub(super) fn takes_scram(&self) -> bool {
        cfg!(feature = "scram") && self.takes_passwords() && self.scram != Scram::None
    }

    pub(super) fn takes_bound_scram(&self) -> bool {
        self.takes_scram() && self.scram == Scram::Bound
    }

    pub(super) fn takes_certificates(&self) -> bool {
        self.authentication != Authentication::None && self.proof.is_certificate()
    }
}

impl From<Limits> for Config {
    fn from(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }
}

/// Whether clients can log in (`AUTH`, RFC 4954). They never can without TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Authentication {
    /// Clients cannot log in.
    #[default]
    None,
    /// Clients can log in.
    Offered,
    /// Clients have to log in before anything else, as on a submission server (RFC 6409 §4.3).
    Required,
}

/// Whether clients can log in by SCRAM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Scram {
    /// They cannot.
    #[default]
    None,
    /// By `SCRAM-SHA-256`, if the application does not know its TLS connection's binding (RFC 5056).
    Unbound,
    /// By `SCRAM-SHA-256-PLUS` too, which shows an attacker between two TLS connections.
    Bound,
}

/// The proof of identity that clients can log in with.
///
/// The enum is exhaustive: a receiver knows no other kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Proof {
    /// A password, by the mechanisms PLAIN (RFC 4616) and LOGIN, which reveal it to the server, and by
    /// those of [`Config::scram`].
    #[default]
    Password,
    /// A certificate from the TLS handshake, by the mechanism EXTERNAL (RFC 4422 Appendix A). It is offered
    /// only to clients with an accepted certificate, see
    /// [`Inbound::encrypted_with`](crate::mail::Inbound::encrypted_with). Others are offered no login.
    Certificate,
    /// Either of them.
    Either,
}

impl Proof {
    pub(super) const fn is_password(self) -> bool {
        matches!(self, Self::Password | Self::Either)
    }

    pub(super) const fn is_certificate(self) -> bool {
        matches!(self, Self::Certificate | Self::Either)
    }
}

settings! {
    /// The limits for a client.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Limits {
        /// The size of a message in bytes, including CRLFs and without dot-stuffing (RFC 1870); `None` for
        /// no limit.
        size, with_size: Option<usize>,
        /// The number of recipients of a mail; at least 100 (RFC 5321 §4.5.3.1.8).
        recipients, with_recipients: u16,
        /// The number of mistakes on a connection, wrong passwords included.
        errors, with_errors: u8,
        /// The number of commands on a connection. The default is enough for 30,000 mails, or for a message
        /// of a gigabyte in chunks of 16 KiB. It bounds what a client gets by commands without cost to it
        /// (`NOOP`, `RSET`).
        commands, with_commands: u32,
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { size: None, recipients: 1000, errors: 20, commands: 100_000 }
    }
}
