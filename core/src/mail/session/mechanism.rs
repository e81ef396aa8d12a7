//! How a client proves who it is (RFC 4954).

#[cfg(feature = "cram-md5")]
mod cram_md5;
#[cfg(feature = "scram")]
pub(super) mod scram;

use super::Session;
use crate::Error;
use crate::mail::Credentials;
use crate::mail::base64::Encoder;
use crate::smtp::MAX_LINE;
use crate::wire::Writer;

/// A mechanism of SASL (RFC 4422).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Mechanism {
    /// `PLAIN`, RFC 4616.
    Plain,
    /// `LOGIN`: two prompts; for servers that offer nothing else. No RFC describes it.
    Login,
    /// `CRAM-MD5`, RFC 2195: the password is not shown, but the server has to know it.
    #[cfg(feature = "cram-md5")]
    CramMd5,
    /// `XOAUTH2`: a bearer token. No RFC describes it.
    #[cfg(feature = "xoauth2")]
    XOAuth2,
    /// `SCRAM-SHA-256`, RFC 7677: the password is not shown, and the server proves that it knows it.
    #[cfg(feature = "scram")]
    ScramSha256,
    /// `SCRAM-SHA-256-PLUS`, tied to the TLS connection.
    #[cfg(feature = "scram")]
    ScramSha256Plus,
}

impl Mechanism {
    /// All that this build knows, the strongest first.
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
    ];

    /// Its registered name.
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
        }
    }

    /// Each has the bit of its name's place in a set of mechanisms.
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
    ];

    pub(super) const fn bit(self) -> u16 {
        1 << self as u16
    }

    /// After how many responses of the client the server may say yes.
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
        // Before it says no, a server tells why, and wants an answer to that.
        #[cfg(feature = "xoauth2")]
        if matches!(self, Self::XOAuth2) {
            return round <= 1;
        }
        round < self.rounds()
    }

    /// Whether the client speaks first, so that its first response may go with `AUTH`.
    const fn is_client_first(self) -> bool {
        match self {
            Self::Login => false,
            #[cfg(feature = "cram-md5")]
            Self::CramMd5 => false,
            _ => true,
        }
    }

    /// Prints the first response, where it may go with the mechanism's name; says how many responses
    /// that makes.
    ///
    /// It may as long as the command is no longer than a line (RFC 4954 §4).
    pub(super) fn begin(self, credentials: &Credentials<'_>, out: &mut Writer<'_>) -> u8 {
        let before = out.len();
        if self.is_client_first() {
            out.put(b" ");
            self.put(0, credentials, out);
            if out.len() <= MAX_LINE - 2 {
                return 1;
            }
            out.truncate(before);
        }
        0
    }

    /// Prints response number `round`, where it does not depend on the challenge, in base64.
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
            Self::Login => out.put(if round == 0 { user } else { secret }),
        }
        out.finish();
    }
}

impl<C, D> Session<C, D> {
    /// Prints the client's next response, which answers `challenge`, in base64.
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

/// What a challenge says.
#[cfg(any(feature = "cram-md5", feature = "scram"))]
fn decode<'b>(challenge: &[u8], buffer: &'b mut [u8; MAX_LINE]) -> Result<&'b [u8], Error> {
    crate::mail::base64::decode(challenge, buffer).map_err(|_| Error::Syntax)
}
