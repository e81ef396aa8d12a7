use crate::settings::settings;
use core::fmt;

/// Whether to go by TLSA records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Dane {
    /// They are not looked up.
    Off,
    /// Where there are any, also of a host that insecure MX records name: nothing vouches for the host
    /// then, but nobody can listen to it (RFC 7672 §2.2.1).
    #[default]
    Opportunistic,
    /// Where there are any, of hosts that secure MX records name.
    SecureHosts,
    /// No mail is sent without (RFC 7672 §6).
    Mandatory,
}

settings! {
    /// What a sender goes by; by default all that there is.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Options {
        /// The TCP port of the hosts: 25.
        port, with_port: u16,
        /// Whether to go by DANE.
        dane, with_dane: Dane,
        /// Whether to go by MTA-STS.
        sts, with_sts: bool,
        /// Whether the mail carries `REQUIRETLS`: it goes only to a host that something vouches for, over
        /// verified TLS (RFC 8689 §4.2.1).
        require_tls, with_require_tls: bool,
        /// Whether the mail has the field `TLS-Required: No`, see [`tls_optional`](super::tls_optional()): it
        /// is more important that it arrives than that nobody reads it (RFC 8689 §4.2.2). Counts only
        /// without [`require_tls`](Self::require_tls).
        tls_optional, with_tls_optional: bool,
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { port: 25, dane: Dane::default(), sts: true, require_tls: false, tls_optional: false }
    }
}

/// Why there is no host to send mail to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Undeliverable {
    /// The hosts could not be looked up; it has to be tried later (RFC 7672 §2.1.2).
    LookupFailed,
    /// DANE is mandatory, and the MX records are not secure; it has to be tried later (RFC 7672 §2.2.1).
    Insecure,
    /// The domain does not exist.
    NoDomain,
    /// The domain takes no mail (RFC 7505).
    NullMx,
    /// None of the MX records names a host.
    NoHosts,
}

impl Undeliverable {
    /// Whether it may be otherwise later; if not, the mail goes back to its sender.
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        matches!(self, Self::LookupFailed | Self::Insecure)
    }

    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LookupFailed => "its hosts could not be looked up",
            Self::Insecure => "DANE is demanded, and its MX records are not signed",
            Self::NoDomain => "it does not exist",
            Self::NullMx => "it says that it takes no mail",
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
