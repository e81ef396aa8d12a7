//! How a client proves who it is (RFC 4954).

use crate::smtp::Credentials;
use crate::smtp::base64::Encoder;
use crate::smtp::limits::MAX_LINE;
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
}

impl Mechanism {
    /// All that this build knows, the strongest first.
    pub const ALL: &'static [Self] = &[Self::Plain, Self::Login];

    /// Its registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// Its bit in a set of mechanisms.
    pub(super) const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// How many responses of the client come before the server's last word.
    pub(super) const fn rounds(self) -> u8 {
        match self {
            Self::Plain => 1,
            Self::Login => 2,
        }
    }

    /// Whether the client speaks first, so that its first response may go with `AUTH`.
    pub(super) const fn is_client_first(self) -> bool {
        matches!(self, Self::Plain)
    }

    /// Prints the mechanism's name and the first response, where it may go with it; says how many
    /// responses that makes.
    ///
    /// It may as long as the command is no longer than a line (RFC 4954 §4).
    pub(super) fn begin(self, credentials: &Credentials<'_>, out: &mut Writer<'_>) -> u8 {
        out.put(self.name().as_bytes());
        let before = out.len();
        if self.is_client_first() {
            out.push(b' ');
            self.print(0, credentials, out);
            if out.len() <= MAX_LINE - 2 {
                return 1;
            }
            out.truncate(before);
        }
        0
    }

    /// Prints the client's response number `round`, which answers a challenge.
    pub(super) fn respond(self, round: u8, credentials: &Credentials<'_>, out: &mut Writer<'_>) {
        self.print(round, credentials, out);
        out.put(b"\r\n");
    }

    fn print(self, round: u8, credentials: &Credentials<'_>, out: &mut Writer<'_>) {
        let mut out = Encoder::new(out);
        if self == Self::Plain {
            // `message = [authzid] UTF8NUL authcid UTF8NUL passwd` (RFC 4616 §2).
            out.put(b"\0");
        }
        if self == Self::Plain || round == 0 {
            out.put(credentials.user.as_bytes());
        }
        if self == Self::Plain {
            out.put(b"\0");
        }
        if self == Self::Plain || round != 0 {
            out.put(credentials.secret.as_bytes());
        }
        out.finish();
    }
}
