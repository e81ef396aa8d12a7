//! `AUTH` (RFC 4954) with PLAIN (RFC 4616), LOGIN and EXTERNAL (RFC 4422 Appendix A).

use core::str;

use super::config::Config;
use super::state::Challenge;
use crate::ArgumentError;
use crate::conceal::conceal;
use crate::mail::base64::{decode, is_base64};
use crate::mail::credentials::MAX_SECRET;

/// The user name of a client that logs in by LOGIN. Debug output does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UserName<'i>(&'i [u8]);

impl<'i> UserName<'i> {
    pub(super) fn new(base64: &'i [u8]) -> Option<Self> {
        is_base64(base64).then_some(Self(base64))
    }

    /// Decodes the name into `buffer`. [`Login::MAX`] bytes are enough for any name.
    ///
    /// # Errors
    /// [`ArgumentError::TooLong`] for the buffer or for a name, [`ArgumentError::Empty`],
    /// [`ArgumentError::Forbidden`] for a NUL in it, [`ArgumentError::Malformed`] if it is not UTF-8.
    pub fn decode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b str, ArgumentError> {
        text(decode(self.0, buffer)?)
    }
}

/// A client's login in base64, as received. Debug output does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Login<'i> {
    base64: &'i [u8],
    is_plain: bool,
}

impl<'i> Login<'i> {
    /// The length of the longest decoded login, in bytes: three texts of 255 bytes and two separators
    /// (RFC 4616 §2).
    pub const MAX: usize = 3 * MAX_SECRET + 2;

    pub(super) fn new(base64: &'i [u8], is_plain: bool) -> Option<Self> {
        is_base64(base64).then_some(Self { base64, is_plain })
    }

    /// Decodes the login into `buffer`. [`MAX`](Self::MAX) bytes are enough for any login.
    ///
    /// # Errors
    /// Those of [`UserName::decode`], for any part of it, and [`ArgumentError::Malformed`] if it has not
    /// the form of PLAIN. Refuse the login then.
    pub fn decode<'b>(&self, buffer: &'b mut [u8]) -> Result<Claim<'b>, ArgumentError> {
        let octets = decode(self.base64, buffer)?;
        if !self.is_plain {
            return Ok(Claim { authorization: "", user: None, password: text(octets)? });
        }
        // message = [authzid] UTF8NUL authcid UTF8NUL passwd
        let mut parts = octets.splitn(3, |octet| *octet == 0);
        let (Some(authorization), Some(user), Some(password)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(ArgumentError::Malformed);
        };
        let authorization = match authorization {
            [] => "",
            some => text(some)?,
        };
        Ok(Claim { authorization, user: Some(text(user)?), password: text(password)? })
    }
}

/// The identity that a client with a certificate wants to act as, in base64 as received. Debug output does
/// not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Authorization<'i>(&'i [u8]);

impl<'i> Authorization<'i> {
    pub(super) fn new(base64: &'i [u8]) -> Option<Self> {
        is_base64(base64).then_some(Self(base64))
    }

    /// Decodes the identity into `buffer`. 255 bytes are enough for any. It is empty for the certificate's
    /// own identity.
    ///
    /// # Errors
    /// Those of [`UserName::decode`], except for an empty one. Refuse the login then.
    pub fn decode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b str, ArgumentError> {
        match decode(self.0, buffer)? {
            [] => Ok(""),
            octets => text(octets),
        }
    }
}

/// The identity that a client claims, and its password: UTF-8 without NUL, at most 255 bytes each. Debug
/// output does not show them.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claim<'b> {
    /// The identity that the client wants to act as; empty for its own. Refuse the login if the user may
    /// not do that.
    pub authorization: &'b str,
    /// The user name; `None` if it came with an earlier [`Event::User`](super::Event::User).
    pub user: Option<&'b str>,
    /// The password; never empty.
    pub password: &'b str,
}

conceal!("UserName", UserName<'_>);
conceal!("Login", Login<'_>);
conceal!("Authorization", Authorization<'_>);
conceal!("Claim", Claim<'_>);

/// The argument of `AUTH`.
pub(super) enum Begin<'i> {
    /// A mechanism, and the initial response if there is one.
    With(Challenge, Option<&'i [u8]>),
    Unknown,
    Malformed,
}

/// `sasl-mech [SP initial-response]`, `initial-response = base64 / "="` (RFC 4954 §8).
pub(super) fn begin<'i>(argument: &'i [u8], offer: &Config) -> Begin<'i> {
    let mut words = argument.split(|octet| *octet == b' ').filter(|word| !word.is_empty());
    let (Some(mechanism), response, None) = (words.next(), words.next(), words.next()) else {
        return Begin::Malformed;
    };
    let response = response.map(|response| if response == b"=" { b"" } else { response });
    let is = |name: &[u8]| mechanism.eq_ignore_ascii_case(name);
    #[cfg(feature = "scram")]
    for (plus, name, offered) in [
        (true, &b"SCRAM-SHA-256-PLUS"[..], offer.takes_bound_scram()),
        (false, b"SCRAM-SHA-256", offer.takes_scram()),
    ] {
        if offered && is(name) {
            return Begin::With(Challenge::ScramFirst { plus }, response);
        }
    }
    if is(b"PLAIN") && offer.takes_passwords() {
        Begin::With(Challenge::Plain, response)
    } else if is(b"LOGIN") && offer.takes_passwords() {
        Begin::With(Challenge::User, response)
    } else if is(b"EXTERNAL") && offer.takes_certificates() {
        Begin::With(Challenge::Authorization, response)
    } else {
        Begin::Unknown
    }
}

pub(super) fn text(octets: &[u8]) -> Result<&str, ArgumentError> {
    match octets {
        [] => Err(ArgumentError::Empty),
        _ if octets.len() > MAX_SECRET => Err(ArgumentError::TooLong),
        _ if octets.contains(&0) => Err(ArgumentError::Forbidden),
        _ => str::from_utf8(octets).map_err(|_| ArgumentError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::fmt::Write as _;

    use super::super::config::{Authentication, Proof};
    use super::*;

    fn plain(base64: &str) -> Result<(&str, Option<&str>, &str), ArgumentError> {
        let buffer: &'static mut [u8] = std::vec![0; Login::MAX].leak();
        let claim = Login::new(base64.as_bytes(), true).expect("base64").decode(buffer)?;
        Ok((claim.authorization, claim.user, claim.password))
    }

    #[test]
    fn the_examples_of_rfc_4616() {
        let tim = plain("AHRpbQB0YW5zdGFhZnRhbnN0YWFm");
        assert_eq!(tim, Ok(("", Some("tim"), "tanstaaftanstaaf")));
        let ursel = plain("VXJzZWwAS3VydAB4aXBqMzBwbHE=");
        assert_eq!(ursel, Ok(("Ursel", Some("Kurt"), "xipj30plq")));
    }

    #[test]
    fn only_the_form_of_plain() {
        for (base64, error) in [
            ("", ArgumentError::Malformed),
            ("AA==", ArgumentError::Malformed),
            ("AAA=", ArgumentError::Empty),
            ("AHUA", ArgumentError::Empty),
            ("AABw", ArgumentError::Empty),
            ("AHUAcABw", ArgumentError::Forbidden),
            ("AHUA/w==", ArgumentError::Malformed),
        ] {
            assert_eq!(plain(base64), Err(error), "{base64}");
        }
    }

    #[test]
    fn decoding_needs_a_large_enough_buffer() {
        let user = UserName::new(b"dGlt").expect("base64");
        assert_eq!(user.decode(&mut [0; 2]), Err(ArgumentError::TooLong));
        assert_eq!(user.decode(&mut [0; 3]), Ok("tim"));
        // Texts of 255 and 256 bytes, all of the letter "a".
        let long = "YWFh".repeat(85);
        let user = UserName::new(long.as_bytes()).expect("base64");
        assert_eq!(user.decode(&mut [0; 300]).map(str::len), Ok(255));
        let long = long + "YQ==";
        let user = UserName::new(long.as_bytes()).expect("base64");
        assert_eq!(user.decode(&mut [0; 300]), Err(ArgumentError::TooLong));
    }

    #[test]
    fn authorizations() {
        let decode = |base64: &str| {
            let buffer: &'static mut [u8] = std::vec![0; 300].leak();
            Authorization::new(base64.as_bytes()).expect("base64").decode(buffer)
        };
        assert_eq!(decode(""), Ok(""));
        assert_eq!(decode("ZnJlZEBleGFtcGxlLmNvbQ=="), Ok("fred@example.com"));
        assert_eq!(decode("YQBi"), Err(ArgumentError::Forbidden));
        assert_eq!(decode("/w=="), Err(ArgumentError::Malformed));
        assert_eq!(decode(&"YWFh".repeat(85)).map(str::len), Ok(255));
        assert_eq!(decode(&("YWFh".repeat(85) + "YQ==")), Err(ArgumentError::TooLong));
        assert_eq!(std::format!("{:?}", Authorization::new(b"YQ==")), "Some(Authorization(..))");
    }

    #[test]
    fn debug_shows_no_credential() {
        let mut shown = heapless::String::<64>::new();
        let login = Login::new(b"AHUAcA==", true).expect("base64");
        let mut buffer = [0; 8];
        let claim = login.decode(&mut buffer).expect("valid");
        let user = UserName::new(b"dQ==").expect("base64");
        write!(shown, "{login:?} {claim:?} {user:?}").expect("64 bytes are enough");
        assert_eq!(shown, "Login(..) Claim(..) UserName(..)");
    }

    #[test]
    fn arguments_of_auth() {
        let by = |proof| {
            Config::default().with_authentication(Authentication::Offered).with_proof(proof)
        };
        assert!(matches!(begin(b"plain", &by(Proof::Either)), Begin::With(Challenge::Plain, None)));
        assert!(matches!(
            begin(b"LOGIN =", &by(Proof::Either)),
            Begin::With(Challenge::User, Some(b""))
        ));
        assert!(matches!(
            begin(b"PLAIN  AA==", &by(Proof::Either)),
            Begin::With(Challenge::Plain, Some(b"AA=="))
        ));
        assert!(matches!(begin(b"external", &by(Proof::Certificate)), Begin::With(_, None)));
        assert!(matches!(begin(b"EXTERNAL", &by(Proof::Password)), Begin::Unknown));
        assert!(matches!(begin(b"PLAIN", &by(Proof::Certificate)), Begin::Unknown));
        assert!(matches!(begin(b"LOGIN", &by(Proof::Certificate)), Begin::Unknown));
        assert!(matches!(begin(b"CRAM-MD5", &by(Proof::Either)), Begin::Unknown));
        assert!(matches!(begin(b"", &by(Proof::Either)), Begin::Malformed));
        assert!(matches!(begin(b"PLAIN a b", &by(Proof::Either)), Begin::Malformed));
    }
}
