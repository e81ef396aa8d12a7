use core::fmt;

use super::session::{Extensions, Mechanism};
use crate::ArgumentError;

/// The longest user name or password, in octets (RFC 4616 §2).
const MAX_SECRET: usize = 255;

/// A user name and a password. They are borrowed, never kept, never shown.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    pub(super) user: &'a str,
    pub(super) secret: &'a str,
    only: Option<Mechanism>,
}

impl<'a> Credentials<'a> {
    /// Checks them: 1 to 255 octets of UTF-8 each, without NUL (RFC 4616 §2).
    ///
    /// # Errors
    /// What is wrong with the one or the other.
    pub const fn new(user: &'a str, password: &'a str) -> Result<Self, ArgumentError> {
        match (check(user, MAX_SECRET), check(password, MAX_SECRET)) {
            (Ok(()), Ok(())) => Ok(Self { user, secret: password, only: None }),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    /// Shows them by this mechanism and no other; without, the strongest is chosen that the server
    /// offers.
    #[must_use]
    pub const fn by(mut self, mechanism: Mechanism) -> Self {
        self.only = Some(mechanism);
        self
    }

    /// The mechanism by which such a server is shown them, if there is one.
    #[must_use]
    pub fn mechanism(&self, offered: Extensions) -> Option<Mechanism> {
        let mut mechanisms = Mechanism::ALL.iter().copied();
        mechanisms.find(|mechanism| {
            offered.offers(*mechanism)
                && self.suits(*mechanism)
                && self.only.is_none_or(|only| only == *mechanism)
        })
    }

    /// Whether they have what the mechanism needs.
    fn suits(&self, _: Mechanism) -> bool {
        true
    }
}

/// 1 to `max` octets without NUL.
const fn check(text: &str, max: usize) -> Result<(), ArgumentError> {
    if text.is_empty() {
        return Err(ArgumentError::Empty);
    }
    if text.len() > max {
        return Err(ArgumentError::TooLong);
    }
    let mut rest = text.as_bytes();
    while let [octet, tail @ ..] = rest {
        if *octet == 0 {
            return Err(ArgumentError::Forbidden);
        }
        rest = tail;
    }
    Ok(())
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Credentials<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Credentials(..)");
    }
}

#[cfg(test)]
mod tests {
    use core::fmt::Write as _;

    use super::*;

    #[test]
    fn never_shown_and_never_malformed() {
        let mut shown = heapless::String::<64>::new();
        let credentials = Credentials::new("tim", "secret").expect("valid");
        write!(shown, "{credentials:?}").expect("64 octets are enough");
        assert_eq!(shown, "Credentials(..)");
        assert_eq!(Credentials::new("", "x").err(), Some(ArgumentError::Empty));
        assert_eq!(Credentials::new("a", "x\0y").err(), Some(ArgumentError::Forbidden));
        let long = [b'a'; MAX_SECRET + 1];
        let long = core::str::from_utf8(&long).expect("ASCII");
        assert_eq!(Credentials::new("a", long).err(), Some(ArgumentError::TooLong));
    }
}
