//! Authentication of a client (RFC 4954).

#[cfg(feature = "cram-md5")]
mod cram_md5;
#[cfg(feature = "scram")]
pub(super) mod scram;

use super::Session;
#[cfg(any(feature = "cram-md5", feature = "scram"))]
use crate::ArgumentError;
use crate::Error;
use crate::mail::Credentials;
use crate::mail::base64::Encoder;
use crate::smtp::MAX_LINE;
use crate::wire::Writer;

/// A SASL mechanism (RFC 4422).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Mechanism {
    /// `PLAIN`, RFC 4616.
    Plain,
    /// `LOGIN`, with two prompts, for servers that offer nothing else. No RFC describes it.
    Login,
    /// `CRAM-MD5` (RFC 2195). It does not reveal the password, but the server has to store it.
    #[cfg(feature = "cram-md5")]
    CramMd5,
    /// `XOAUTH2`, with a bearer token. No RFC describes it.
    #[cfg(feature = "xoauth2")]
    XOAuth2,
    /// `SCRAM-SHA-256` (RFC 7677). It does not reveal the password, and the server proves that it knows it.
    #[cfg(feature = "scram")]
    ScramSha256,
    /// `SCRAM-SHA-256-PLUS`, which is bound to the TLS connection.
    #[cfg(feature = "scram")]
    ScramSha256Plus,
    /// `EXTERNAL` (RFC 4422 Appendix A), with the client's certificate from the TLS handshake.
    #[cfg(feature = "external")]
    External,
}

impl Mechanism {
    /// All mechanisms of this build, in order of preference.
    pub const ALL: &'static [Self] = &[
        #[cfg(feature = "scram")]
        Self::ScramSha256Plus,
        #[cfg(feature = "scram")]
        Self::ScramSha256,
        #[cfg(feature = "cram-md5")]
        Self::CramMd5,
        Self::Plain,
        Self::Login,
        #[cfg(feature = "xoauth2")]
        Self::XOAuth2,
        #[cfg(feature = "external")]
        Self::External,
    ];

    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            #[cfg(feature = "cram-md5")]
            Self::CramMd5 => "CRAM-MD5",
            #[cfg(feature = "xoauth2")]
            Self::XOAuth2 => "XOAUTH2",
            #[cfg(feature = "scram")]
            Self::ScramSha256 => "SCRAM-SHA-256",
            #[cfg(feature = "scram")]
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            #[cfg(feature = "external")]
            Self::External => "EXTERNAL",
        }
    }

    /// The names by index; a mechanism's index is its bit in a set.
    pub(super) const NAMES: &'static [&'static str] = &[
        Self::Plain.name(),
        Self::Login.name(),
        #[cfg(feature = "cram-md5")]
        Self::CramMd5.name(),
        #[cfg(feature = "xoauth2")]
        Self::XOAuth2.name(),
        #[cfg(feature = "scram")]
        Self::ScramSha256.name(),
        #[cfg(feature = "scram")]
        Self::ScramSha256Plus.name(),
        #[cfg(feature = "external")]
        Self::External.name(),
    ];

    pub(super) const fn bit(self) -> u16 {
        1 << self as u16
    }

    /// The number of client responses after which the server may accept.
    pub(super) const fn rounds(self) -> u8 {
        match self {
            Self::Login => 2,
            #[cfg(feature = "scram")]
            Self::ScramSha256 | Self::ScramSha256Plus => 3,
            _ => 1,
        }
    }

    /// Whether the client has a response number `round`.
    pub(super) const fn responds(self, round: u8) -> bool {
        // Before it refuses, an XOAUTH2 server sends the reason as a challenge, and waits for an empty
        // response.
        #[cfg(feature = "xoauth2")]
        if matches!(self, Self::XOAuth2) {
            return round <= 1;
        }
        round < self.rounds()
    }

    /// Whether the client sends the first response, which may then accompany `AUTH`.
    const fn is_client_first(self) -> bool {
        match self {
            Self::Login => false,
            #[cfg(feature = "cram-md5")]
            Self::CramMd5 => false,
            _ => true,
        }
    }

    /// Prints the initial response with the mechanism's name, if possible, and returns the number of
    /// responses so far.
    ///
    /// The command may be at most as long as a line (RFC 4954 §4).
    pub(super) fn begin(self, credentials: &Credentials<'_>, out: &mut Writer<'_>) -> u8 {
        let before = out.len();
        if self.is_client_first() {
            out.put(b" ");
            let empty = out.len();
            self.put(0, credentials, out);
            if out.len() == empty {
                // An empty initial response is written as `=` (RFC 4954 §4).
                out.put(b"=");
            }
            if out.len() <= MAX_LINE - 2 {
                return 1;
            }
            out.truncate(before);
        }
        0
    }

    /// Prints response number `round` in base64, for mechanisms without a challenge to process.
    fn put(self, round: u8, credentials: &Credentials<'_>, out: &mut Writer<'_>) {
        let mut out = Encoder::new(out);
        let (user, secret) = (credentials.user.as_bytes(), credentials.secret.as_bytes());
        match self {
            // `message = [authzid] UTF8NUL authcid UTF8NUL passwd` (RFC 4616 §2).
            Self::Plain => {
                out.put(b"\0");
                out.put(user);
                out.put(b"\0");
                out.put(secret);
            }
            #[cfg(feature = "xoauth2")]
            Self::XOAuth2 => {
                out.put(b"user=");
                out.put(user);
                out.put(b"\x01auth=Bearer ");
                out.put(secret);
                out.put(b"\x01\x01");
            }
            #[cfg(feature = "scram")]
            Self::ScramSha256 | Self::ScramSha256Plus => {
                scram::put_first(credentials, self, &mut out);
            }
            #[cfg(feature = "cram-md5")]
            Self::CramMd5 => {}
            // `extern-initial-resp = external-authzid`, which may be empty.
            #[cfg(feature = "external")]
            Self::External => out.put(user),
            Self::Login => out.put(if round == 0 { user } else { secret }),
        }
        out.finish();
    }
}

impl<C, D> Session<C, D> {
    /// Prints the client's response to `challenge`, in base64.
    pub(super) fn put_response(
        &mut self,
        challenge: &[u8],
        credentials: &Credentials<'_>,
        out: &mut Writer<'_>,
    ) -> Result<(), Error> {
        let _ = challenge;
        let mechanism = self.mechanism;
        match (mechanism, self.round) {
            #[cfg(feature = "cram-md5")]
            (Mechanism::CramMd5, _) => cram_md5::put(credentials, challenge, out)?,
            #[cfg(feature = "scram")]
            (Mechanism::ScramSha256 | Mechanism::ScramSha256Plus, 1) => {
                self.expected = scram::put_final(credentials, mechanism, challenge, out)?;
            }
            #[cfg(feature = "scram")]
            (Mechanism::ScramSha256 | Mechanism::ScramSha256Plus, 2) => {
                self.expected.verify(challenge)?;
            }
            #[cfg(feature = "xoauth2")]
            (Mechanism::XOAuth2, 1) => {}
            (_, round) => mechanism.put(round, credentials, out),
        }
        out.put(b"\r\n");
        Ok(())
    }
}

/// The longest decoded challenge, in bytes. It has room for a nonce of several hundred bytes.
#[cfg(any(feature = "cram-md5", feature = "scram"))]
pub(super) const MAX_SAID: usize = 1024;

/// Decodes a challenge.
#[cfg(any(feature = "cram-md5", feature = "scram"))]
fn decode<'b>(challenge: &[u8], buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
    crate::mail::base64::decode(challenge, buffer).map_err(|error| match error {
        ArgumentError::TooLong => Error::FrameTooLong,
        _ => Error::Syntax,
    })
}
