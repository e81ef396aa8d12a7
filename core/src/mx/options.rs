use crate::settings::settings;
use core::fmt;

/// The use of TLSA records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Dane {
    /// They are not looked up.
    Off,
    /// They are used if there are any, even for a host from insecure MX records. Then nothing confirms that
    /// the host is the domain's, but a passive attacker cannot read the mail (RFC 7672 §2.2.1).
    #[default]
    Opportunistic,
    /// They are used if there are any, but only for hosts from secure MX records.
    SecureHosts,
    /// No mail is sent without them (RFC 7672 §6).
    Mandatory,
}

settings! {
    /// The options of a sender. By default all mechanisms are used.
    ///
    /// ```
    /// use starttls::mx::{Dane, Options};
    ///
    /// let options = Options::default().with_dane(Dane::Mandatory);
    /// assert_eq!(options.port(), 25);
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Options {
        /// The TCP port of the hosts, by default 25.
        port, with_port: u16,
        /// The use of DANE.
        dane, with_dane: Dane,
        /// Whether to use MTA-STS.
        sts, with_sts: bool,
        /// Whether the mail has `REQUIRETLS`. Then it goes only to a confirmed host of the domain, over
        /// verified TLS (RFC 8689 §4.2.1).
        require_tls, with_require_tls: bool,
        /// Whether the mail has the field `TLS-Required: No`, see [`tls_optional`](super::tls_optional()):
        /// delivery is more important than confidentiality (RFC 8689 §4.2.2). It has no effect with
        /// [`require_tls`](Self::require_tls).
        tls_optional, with_tls_optional: bool,
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { port: 25, dane: Dane::default(), sts: true, require_tls: false, tls_optional: false }
    }
}

/// The reason why a domain has no host for mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Undeliverable {
    /// The lookup of the hosts failed. Retry later (RFC 7672 §2.1.2).
    LookupFailed,
    /// DANE is mandatory, and the MX records are insecure. Retry later (RFC 7672 §2.2.1).
    Insecure,
    /// The domain does not exist.
    NoDomain,
    /// The domain accepts no mail (RFC 7505).
    NullMx,
    /// None of the MX records names a host.
    NoHosts,
}

impl Undeliverable {
    /// Whether a retry may succeed. If not, return the mail to its sender.
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        matches!(self, Self::LookupFailed | Self::Insecure)
    }

    /// The reason in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LookupFailed => "its hosts could not be looked up",
            Self::Insecure => "DANE is required, and its MX records are not signed",
            Self::NoDomain => "it does not exist",
            Self::NullMx => "it accepts no mail (null MX)",
            Self::NoHosts => "none of its MX records names a host",
        }
    }
}

impl core::error::Error for Undeliverable {}

impl fmt::Display for Undeliverable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
