//! `AUTH` (RFC 4954) by PLAIN (RFC 4616) and LOGIN.

use core::str;

use super::state::Challenge;
use crate::ArgumentError;
use crate::conceal::conceal;
use crate::mail::base64::{decode, is_base64};
use crate::mail::credentials::MAX_SECRET;

/// The user name of a client that logs in by LOGIN. It is never shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UserName<'i>(&'i [u8]);

impl<'i> UserName<'i> {
    pub(super) fn new(base64: &'i [u8]) -> Option<Self> {
        is_base64(base64).then_some(Self(base64))
    }

    /// Decodes the name into `buffer`; [`Login::MAX`] octets are enough for any.
    ///
    /// # Errors
    /// [`ArgumentError::TooLong`] for the buffer or for a name, [`ArgumentError::Empty`],
    /// [`ArgumentError::Forbidden`] for NUL in it, [`ArgumentError::Malformed`] if it is no UTF-8.
    pub fn decode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b str, ArgumentError> {
        text(decode(self.0, buffer)?)
    }
}

/// What a client says to prove who it is, in base64 as it came. It is never shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Login<'i> {
    base64: &'i [u8],
    is_plain: bool,
}

impl<'i> Login<'i> {
    /// The octets of the longest login, decoded: three texts of 255 and what divides them
    /// (RFC 4616 §2).
    pub const MAX: usize = 3 * MAX_SECRET + 2;

    pub(super) fn new(base64: &'i [u8], is_plain: bool) -> Option<Self> {
        is_base64(base64).then_some(Self { base64, is_plain })
    }

    /// Decodes the login into `buffer`; [`MAX`](Self::MAX) octets are enough for any.
    ///
    /// # Errors
    /// As [`UserName::decode`], for any part of it, and [`ArgumentError::Malformed`] if it has not
    /// the form of PLAIN. Refuse it then.
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

/// Who a client says that it is, and its proof: UTF-8 without NUL, at most 255 octets each. It is
/// never shown.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claim<'b> {
    /// As whom it wants to act; empty for itself. Refuse it if the user may not.
    pub authorization: &'b str,
    /// Its name; `None` if it came with [`Event::User`](super::Event::User) before.
    pub user: Option<&'b str>,
    /// Its password; not empty.
    pub password: &'b str,
}

conceal!("UserName", UserName<'_>);
conceal!("Login", Login<'_>);
conceal!("Claim", Claim<'_>);

/// What `AUTH` has behind it.
pub(super) enum Begin<'i> {
    /// A mechanism, and the initial response.
    With(Challenge, Option<&'i [u8]>),
    Unknown,
    Malformed,
}

/// `sasl-mech [SP initial-response]`, `initial-response = base64 / "="` (RFC 4954 §8).
pub(super) fn begin(argument: &[u8]) -> Begin<'_> {
    let mut words = argument.split(|octet| *octet == b' ').filter(|word| !word.is_empty());
    let (Some(mechanism), response, None) = (words.next(), words.next(), words.next()) else {
        return Begin::Malformed;
    };
    let response = response.map(|response| if response == b"=" { b"" } else { response });
    if mechanism.eq_ignore_ascii_case(b"PLAIN") {
        Begin::With(Challenge::Plain, response)
    } else if mechanism.eq_ignore_ascii_case(b"LOGIN") {
        Begin::With(Challenge::User, response)
    } else {
        Begin::Unknown
    }
}

fn text(octets: &[u8]) -> Result<&str, ArgumentError> {
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
    fn a_buffer_is_as_long_as_it_is() {
        let user = UserName::new(b"dGlt").expect("base64");
        assert_eq!(user.decode(&mut [0; 2]), Err(ArgumentError::TooLong));
        assert_eq!(user.decode(&mut [0; 3]), Ok("tim"));
        // 255 and 256 octets, and the letter "a" in each.
        let long = "YWFh".repeat(85);
        let user = UserName::new(long.as_bytes()).expect("base64");
        assert_eq!(user.decode(&mut [0; 300]).map(str::len), Ok(255));
        let long = long + "YQ==";
        let user = UserName::new(long.as_bytes()).expect("base64");
        assert_eq!(user.decode(&mut [0; 300]), Err(ArgumentError::TooLong));
    }

    #[test]
    fn never_shown() {
        let mut shown = heapless::String::<64>::new();
        let login = Login::new(b"AHUAcA==", true).expect("base64");
        let mut buffer = [0; 8];
        let claim = login.decode(&mut buffer).expect("valid");
        let user = UserName::new(b"dQ==").expect("base64");
        write!(shown, "{login:?} {claim:?} {user:?}").expect("64 octets are enough");
        assert_eq!(shown, "Login(..) Claim(..) UserName(..)");
    }

    #[test]
    fn what_auth_begins_with() {
        assert!(matches!(begin(b"plain"), Begin::With(Challenge::Plain, None)));
        assert!(matches!(begin(b"LOGIN ="), Begin::With(Challenge::User, Some(b""))));
        assert!(matches!(begin(b"PLAIN  AA=="), Begin::With(Challenge::Plain, Some(b"AA=="))));
        assert!(matches!(begin(b"CRAM-MD5"), Begin::Unknown));
        assert!(matches!(begin(b""), Begin::Malformed));
        assert!(matches!(begin(b"PLAIN a b"), Begin::Malformed));
    }
}
