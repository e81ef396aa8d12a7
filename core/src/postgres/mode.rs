//! libpq's parameters of a connection (PostgreSQL documentation, 34.1.2 and 34.19).

use core::fmt;
use core::str::FromStr;

use crate::Policy;

/// libpq's `sslmode`.
///
/// | mode | libpq | here |
/// |---|---|---|
/// | `disable` | no TLS | [`Opening::Plaintext`] |
/// | `allow` | plaintext first, TLS where the server insists | like `prefer`: asking first is no worse |
/// | `prefer` | TLS, if the server can | [`Policy::Opportunistic`]; an active attacker can always choose plaintext. Where the handshake fails libpq tries again without TLS, and this crate does not |
/// | `require` | TLS with **anybody**; the issuer is checked if there is a root certificate | [`Policy::Required`], which **does** ask for a verified peer. Who wants libpq's `require` has to say so: take [`Policy::Opportunistic`] and close on [`Event::Plaintext`](crate::client::Event::Plaintext) |
/// | `verify-ca` | TLS, and the issuer of the certificate is checked, but not for whom it is | [`Policy::Required`], the name included |
/// | `verify-full` | TLS, the issuer and the name are checked | [`Policy::Required`] |
///
/// What libpq checks says [`checks`](Self::checks); what is checked is the TLS layer's to do, and the
/// caller's to tell by [`Verification`](crate::Verification).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SslMode {
    /// `disable`.
    Disable,
    /// `allow`.
    Allow,
    /// `prefer`.
    Prefer,
    /// `require`.
    Require,
    /// `verify-ca`.
    VerifyCa,
    /// `verify-full`.
    VerifyFull,
}

impl SslMode {
    /// libpq's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    /// What libpq checks of the server's certificate, without a root certificate for `require`.
    #[must_use]
    pub const fn checks(self) -> Checks {
        match self {
            Self::Disable | Self::Allow | Self::Prefer | Self::Require => Checks::Nothing,
            Self::VerifyCa => Checks::Issuer,
            Self::VerifyFull => Checks::IssuerAndName,
        }
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SslMode {
    type Err = ParameterError;

    /// Case counts, as it does for libpq.
    fn from_str(text: &str) -> Result<Self, ParameterError> {
        match text {
            "disable" => Ok(Self::Disable),
            "allow" => Ok(Self::Allow),
            "prefer" => Ok(Self::Prefer),
            "require" => Ok(Self::Require),
            "verify-ca" => Ok(Self::VerifyCa),
            "verify-full" => Ok(Self::VerifyFull),
            _ => Err(ParameterError::Mode),
        }
    }
}

/// How far libpq goes to know who the server is. Exhaustive: a TLS layer has to do each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Checks {
    /// It may be anybody.
    Nothing,
    /// Its certificate leads to a trusted one.
    Issuer,
    /// And it is for the name that the caller connects to.
    IssuerAndName,
}

/// libpq's `sslnegotiation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SslNegotiation {
    /// `postgres`: by SSLRequest.
    #[default]
    Postgres,
    /// `direct`: TLS comes first, with ALPN.
    Direct,
}

impl SslNegotiation {
    /// libpq's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Direct => "direct",
        }
    }
}

impl fmt::Display for SslNegotiation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SslNegotiation {
    type Err = ParameterError;

    /// Case counts, as it does for libpq.
    fn from_str(text: &str) -> Result<Self, ParameterError> {
        match text {
            "postgres" => Ok(Self::Postgres),
            "direct" => Ok(Self::Direct),
            _ => Err(ParameterError::Negotiation),
        }
    }
}

/// How a client's connection begins. Exhaustive: a client has to do each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Opening {
    /// In plaintext, and stays there.
    Plaintext,
    /// With [`Client`](super::Client) and this policy.
    Upgrade(Policy),
    /// With TLS and the ALPN protocol id of [`Protocol::POSTGRES`](crate::Protocol::POSTGRES), then
    /// [`Tls::implicit`](crate::Tls::implicit) and [`Policy::Required`].
    Direct,
}

impl Opening {
    /// What the parameters ask for.
    ///
    /// # Errors
    /// [`ParameterError::WeakMode`]: TLS that comes first has no way back to plaintext, so that modes
    /// with one make no sense.
    pub const fn new(mode: SslMode, negotiation: SslNegotiation) -> Result<Self, ParameterError> {
        match (mode, negotiation) {
            (SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull, negotiation) => {
                Ok(match negotiation {
                    SslNegotiation::Direct => Self::Direct,
                    SslNegotiation::Postgres => Self::Upgrade(Policy::Required),
                })
            }
            (_, SslNegotiation::Direct) => Err(ParameterError::WeakMode),
            (SslMode::Allow | SslMode::Prefer, _) => Ok(Self::Upgrade(Policy::Opportunistic)),
            (SslMode::Disable, _) => Ok(Self::Plaintext),
        }
    }
}

/// What is wrong with a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ParameterError {
    /// No `sslmode` of this name.
    Mode,
    /// No `sslnegotiation` of this name.
    Negotiation,
    /// `sslnegotiation=direct` with a mode weaker than `require`.
    WeakMode,
}

impl fmt::Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mode => {
                "sslmode must be disable, allow, prefer, require, verify-ca or verify-full"
            }
            Self::Negotiation => "sslnegotiation must be postgres or direct",
            Self::WeakMode => {
                "sslnegotiation=direct needs sslmode=require, verify-ca or verify-full"
            }
        })
    }
}

impl core::error::Error for ParameterError {}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::*;

    const MODES: [SslMode; 6] = [
        SslMode::Disable,
        SslMode::Allow,
        SslMode::Prefer,
        SslMode::Require,
        SslMode::VerifyCa,
        SslMode::VerifyFull,
    ];

    #[test]
    fn words_of_libpq() {
        for mode in MODES {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        for no in ["", "Require", "verify_full", "verify-full ", "on", "1"] {
            assert_eq!(no.parse::<SslMode>(), Err(ParameterError::Mode), "{no:?}");
        }
        for negotiation in [SslNegotiation::Postgres, SslNegotiation::Direct] {
            assert_eq!(negotiation.to_string().parse(), Ok(negotiation));
        }
        let no = "requiredirect".parse::<SslNegotiation>();
        assert_eq!(no, Err(ParameterError::Negotiation));
    }

    #[test]
    fn no_mode_with_a_way_back_begins_with_tls() {
        use SslNegotiation::{Direct, Postgres};
        let (weak, tls) = (Err(ParameterError::WeakMode), Ok(Opening::Direct));
        assert_eq!(MODES.map(|mode| Opening::new(mode, Direct)), [weak, weak, weak, tls, tls, tls]);
        let may = Ok(Opening::Upgrade(Policy::Opportunistic));
        let must = Ok(Opening::Upgrade(Policy::Required));
        assert_eq!(
            MODES.map(|mode| Opening::new(mode, Postgres)),
            [Ok(Opening::Plaintext), may, may, must, must, must]
        );
        assert!(MODES.is_sorted() && MODES.map(SslMode::checks).is_sorted());
    }
}
