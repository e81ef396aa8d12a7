//! libpq's connection parameters (PostgreSQL documentation, 34.1.2 and 34.19).

use core::fmt;
use core::str::FromStr;

use crate::Policy;

/// libpq's `sslmode`.
///
/// | mode | libpq | here |
/// |---|---|---|
/// | `disable` | no TLS | [`Opening::Plaintext`] |
/// | `allow` | plaintext first, TLS if the server insists | like `prefer`: asking first is no worse |
/// | `prefer` | TLS, if the server has it | [`Policy::Opportunistic`]; an active attacker can always force plaintext. After a failed handshake libpq retries without TLS; this crate does not |
/// | `require` | TLS with **any** server; libpq checks the issuer only if there is a root certificate | [`Policy::Required`], which **does** demand a verified peer. For libpq's behaviour take [`Policy::Opportunistic`] and close on [`Event::Plaintext`](crate::client::Event::Plaintext) |
/// | `verify-ca` | TLS; the certificate's issuer is checked, its name is not | [`Policy::Required`], which checks the name, too |
/// | `verify-full` | TLS; issuer and name are checked | [`Policy::Required`] |
///
/// [`checks`](Self::checks) tells what libpq checks. The TLS layer has to do that, and the caller reports
/// the result by [`Verification`](crate::Verification).
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
    /// libpq's word for the mode.
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

    /// What libpq checks of the server's certificate. For `require`: without a root certificate.
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

    /// The words are case-sensitive, as in libpq.
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

/// How far libpq identifies the server.
///
/// The enum is exhaustive, because a TLS layer has to implement each level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Checks {
    /// The server may be anyone.
    Nothing,
    /// The server's certificate has a path to a trusted one.
    Issuer,
    /// In addition, the certificate is for the name that the caller connects to.
    IssuerAndName,
}

/// libpq's `sslnegotiation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SslNegotiation {
    /// `postgres`: TLS after an SSLRequest.
    #[default]
    Postgres,
    /// `direct`: implicit TLS, with ALPN.
    Direct,
}

impl SslNegotiation {
    /// libpq's word for the negotiation.
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

    /// The words are case-sensitive, as in libpq.
    fn from_str(text: &str) -> Result<Self, ParameterError> {
        match text {
            "postgres" => Ok(Self::Postgres),
            "direct" => Ok(Self::Direct),
            _ => Err(ParameterError::Negotiation),
        }
    }
}

/// How a client's connection begins.
///
/// The enum is exhaustive, because a client has to implement each way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Opening {
    /// In plaintext, which it keeps.
    Plaintext,
    /// With [`Client`](super::Client) and this policy.
    Upgrade(Policy),
    /// With implicit TLS and the ALPN id of [`Protocol::POSTGRES`](crate::Protocol::POSTGRES). Continue
    /// with [`Tls::implicit`](crate::Tls::implicit) and [`Policy::Required`].
    Direct,
}

impl Opening {
    /// The opening that the parameters ask for.
    ///
    /// # Errors
    /// [`ParameterError::WeakMode`] for `direct` with a mode that allows plaintext: implicit TLS has no way
    /// back to it.
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

/// Why a parameter is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ParameterError {
    /// There is no `sslmode` of this name.
    Mode,
    /// There is no `sslnegotiation` of this name.
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
    fn no_mode_that_allows_plaintext_begins_with_tls() {
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
