use super::session::{Extensions, Mechanism};
use crate::ArgumentError;
use crate::conceal::conceal;

/// The longest user name or password, in octets (RFC 4616 §2).
pub(super) const MAX_SECRET: usize = 255;

/// The longest token, in octets.
#[cfg(feature = "xoauth2")]
pub(super) const MAX_TOKEN: usize = 4096;

/// Random octets that a client shows once, by `SCRAM-SHA-256`: fresh for each connection and from a
/// generator that nobody can predict.
#[cfg(feature = "scram")]
pub type Nonce = [u8; 18];

/// What ties an authentication to the TLS connection that it runs in (RFC 5056).
#[cfg(feature = "scram")]
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum ChannelBinding<'a> {
    /// `tls-exporter`, RFC 9266: 32 octets of keying material with the label
    /// `EXPORTER-Channel-Binding` and no context. For TLS 1.3.
    Exporter(&'a [u8; 32]),
    /// `tls-server-end-point`, RFC 5929 §4: the hash of the server's certificate, at most 64 octets.
    /// For any version.
    ServerEndPoint(&'a [u8]),
}

/// Who a client is and what proves it. They are borrowed, never kept, never shown.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    pub(super) user: &'a str,
    pub(super) secret: &'a str,
    #[cfg(feature = "xoauth2")]
    is_token: bool,
    #[cfg(feature = "scram")]
    pub(super) nonce: Option<&'a Nonce>,
    #[cfg(feature = "scram")]
    pub(super) binding: Option<ChannelBinding<'a>>,
    only: Option<Mechanism>,
}

impl<'a> Credentials<'a> {
    const fn of(user: &'a str, secret: &'a str) -> Self {
        Self {
            user,
            secret,
            #[cfg(feature = "xoauth2")]
            is_token: false,
            #[cfg(feature = "scram")]
            nonce: None,
            #[cfg(feature = "scram")]
            binding: None,
            only: None,
        }
    }

    /// A user name and a password: 1 to 255 octets of UTF-8 each, without NUL (RFC 4616 §2). If they
    /// are not ASCII, prepare them first (RFC 4013).
    ///
    /// # Errors
    /// What is wrong with the one or the other.
    pub const fn new(user: &'a str, password: &'a str) -> Result<Self, ArgumentError> {
        match (check(user, MAX_SECRET, false), check(password, MAX_SECRET, false)) {
            (Ok(()), Ok(())) => Ok(Self::of(user, password)),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    /// A user name and a bearer token of OAuth 2.0 (RFC 6750), for `XOAUTH2`: 1 to 255 octets without
    /// controls, 1 to 4,096 octets of printable ASCII.
    ///
    /// # Errors
    /// What is wrong with the one or the other.
    #[cfg(feature = "xoauth2")]
    pub const fn bearer(user: &'a str, token: &'a str) -> Result<Self, ArgumentError> {
        if !token.is_ascii() {
            return Err(ArgumentError::NotAscii);
        }
        match (check(user, MAX_SECRET, true), check(token, MAX_TOKEN, true)) {
            (Ok(()), Ok(())) => Ok(Self { is_token: true, ..Self::of(user, token) }),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    /// Allows `SCRAM-SHA-256` (RFC 7677), which needs a fresh `nonce` and does not show the password.
    #[cfg(feature = "scram")]
    #[must_use]
    pub const fn with_nonce(mut self, nonce: &'a Nonce) -> Self {
        self.nonce = Some(nonce);
        self
    }

    /// Allows `SCRAM-SHA-256-PLUS`, by which the server proves that it is the end of this very TLS
    /// connection. A server that should offer it and does not is found out (RFC 5802 §6).
    ///
    /// # Errors
    /// [`ArgumentError::Empty`] and [`ArgumentError::TooLong`] for a hash of 0 or more than 64 octets.
    #[cfg(feature = "scram")]
    pub const fn with_binding(
        mut self,
        binding: ChannelBinding<'a>,
    ) -> Result<Self, ArgumentError> {
        if let ChannelBinding::ServerEndPoint(hash) = binding {
            match hash.len() {
                0 => return Err(ArgumentError::Empty),
                65.. => return Err(ArgumentError::TooLong),
                _ => {}
            }
        }
        self.binding = Some(binding);
        Ok(self)
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
    fn suits(&self, mechanism: Mechanism) -> bool {
        #[cfg(feature = "xoauth2")]
        if self.is_token != (mechanism == Mechanism::XOAuth2) {
            return false;
        }
        #[cfg(feature = "scram")]
        match mechanism {
            Mechanism::ScramSha256 => return self.nonce.is_some(),
            Mechanism::ScramSha256Plus => return self.nonce.is_some() && self.binding.is_some(),
            _ => {}
        }
        let _ = mechanism;
        true
    }

    /// Whether the mechanism was the caller's choice, not the server's offer.
    #[cfg(feature = "scram")]
    pub(super) const fn is_forced(&self) -> bool {
        self.only.is_some()
    }
}

/// 1 to `max` octets without NUL, or without any control.
const fn check(text: &str, max: usize, no_controls: bool) -> Result<(), ArgumentError> {
    if text.is_empty() {
        return Err(ArgumentError::Empty);
    }
    if text.len() > max {
        return Err(ArgumentError::TooLong);
    }
    let mut rest = text.as_bytes();
    while let [octet, tail @ ..] = rest {
        if *octet == 0 || no_controls && octet.is_ascii_control() {
            return Err(ArgumentError::Forbidden);
        }
        rest = tail;
    }
    Ok(())
}

conceal!("Credentials", Credentials<'_>);
#[cfg(feature = "scram")]
conceal!("ChannelBinding", ChannelBinding<'_>);

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

    #[cfg(feature = "xoauth2")]
    #[test]
    fn tokens() {
        for (user, token, error) in [
            ("", "x", ArgumentError::Empty),
            ("a", "", ArgumentError::Empty),
            ("a\x01auth=", "x", ArgumentError::Forbidden),
            ("a", "x\x01", ArgumentError::Forbidden),
            ("a", "ä", ArgumentError::NotAscii),
        ] {
            assert_eq!(Credentials::bearer(user, token).err(), Some(error), "{user:?} {token:?}");
        }
        let long = [b'a'; MAX_TOKEN + 1];
        let long = core::str::from_utf8(&long).expect("ASCII");
        assert_eq!(Credentials::bearer("a", long).err(), Some(ArgumentError::TooLong));
        assert!(Credentials::bearer("ä", &long[1..]).is_ok());
    }

    #[cfg(feature = "scram")]
    #[test]
    fn bindings() {
        let credentials = Credentials::new("tim", "secret").expect("valid");
        for (length, error) in
            [(0, Some(ArgumentError::Empty)), (64, None), (65, Some(ArgumentError::TooLong))]
        {
            let hash = [7; 65];
            let binding = ChannelBinding::ServerEndPoint(&hash[..length]);
            assert_eq!(credentials.with_binding(binding).err(), error);
        }
    }
}
