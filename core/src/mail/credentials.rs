use super::session::{Extensions, Mechanism};
use crate::ArgumentError;
use crate::conceal::conceal;

/// The longest user name or password, in bytes (RFC 4616 §2).
pub(super) const MAX_SECRET: usize = 255;

/// The longest token, in bytes.
#[cfg(feature = "xoauth2")]
pub(super) const MAX_TOKEN: usize = 4096;

/// Random bytes that a client sends in `SCRAM-SHA-256`. Use fresh ones for each connection, from a
/// generator that an attacker cannot predict.
#[cfg(feature = "scram")]
pub type Nonce = [u8; 18];

/// A value that ties an authentication to its TLS connection (RFC 5056).
#[cfg(feature = "scram")]
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum ChannelBinding<'a> {
    /// `tls-exporter` (RFC 9266), for TLS 1.3: 32 bytes of exported keying material, with the label
    /// `EXPORTER-Channel-Binding` and an empty context.
    Exporter(&'a [u8; 32]),
    /// `tls-server-end-point` (RFC 5929 §4), for any version: the hash of the server's certificate, at most
    /// 64 bytes.
    ServerEndPoint(&'a [u8]),
}

#[cfg(feature = "scram")]
impl ChannelBinding<'_> {
    /// The `gs2-header` of a client that uses it for its own name (RFC 5802 §7).
    pub(super) const fn header(&self) -> &'static [u8] {
        match self {
            Self::Exporter(_) => b"p=tls-exporter,,",
            Self::ServerEndPoint(_) => b"p=tls-server-end-point,,",
        }
    }

    pub(super) const fn data(&self) -> &[u8] {
        match self {
            Self::Exporter(data) => data.as_slice(),
            Self::ServerEndPoint(data) => data,
        }
    }
}

/// The kind of a credential.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Password,
    #[cfg(feature = "xoauth2")]
    Token,
    /// The certificate of the TLS handshake.
    #[cfg(feature = "external")]
    Certificate,
}

/// A client's identity and its proof. They are borrowed, and never shown in debug output.
///
/// ```
/// use starttls::mail::Credentials;
///
/// let credentials = Credentials::new("sensor", "secret")?;
/// assert_eq!(format!("{credentials:?}"), "Credentials(..)");
/// # Ok::<(), starttls::ArgumentError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    pub(super) user: &'a str,
    pub(super) secret: &'a str,
    kind: Kind,
    #[cfg(feature = "scram")]
    pub(super) nonce: Option<&'a Nonce>,
    #[cfg(feature = "scram")]
    max_iterations: Option<u32>,
    #[cfg(feature = "scram")]
    pub(super) binding: Option<ChannelBinding<'a>>,
    only: Option<Mechanism>,
}

impl<'a> Credentials<'a> {
    const fn of(user: &'a str, secret: &'a str) -> Self {
        Self {
            user,
            secret,
            kind: Kind::Password,
            #[cfg(feature = "scram")]
            nonce: None,
            #[cfg(feature = "scram")]
            max_iterations: None,
            #[cfg(feature = "scram")]
            binding: None,
            only: None,
        }
    }

    /// A user name and a password: 1 to 255 bytes of UTF-8 each, without NUL (RFC 4616 §2). If they are not
    /// ASCII, prepare them first (RFC 4013).
    ///
    /// # Errors
    /// The reason why one of them is invalid.
    pub const fn new(user: &'a str, password: &'a str) -> Result<Self, ArgumentError> {
        match (check(user, MAX_SECRET, false), check(password, MAX_SECRET, false)) {
            (Ok(()), Ok(())) => Ok(Self::of(user, password)),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    /// A user name and an OAuth 2.0 bearer token (RFC 6750), for `XOAUTH2`. The name has 1 to 255 bytes
    /// without control characters, the token 1 to 4,096 bytes of printable ASCII.
    ///
    /// # Errors
    /// The reason why one of them is invalid.
    #[cfg(feature = "xoauth2")]
    pub const fn bearer(user: &'a str, token: &'a str) -> Result<Self, ArgumentError> {
        if !token.is_ascii() {
            return Err(ArgumentError::NotAscii);
        }
        match (check(user, MAX_SECRET, true), check(token, MAX_TOKEN, true)) {
            (Ok(()), Ok(())) => Ok(Self { kind: Kind::Token, ..Self::of(user, token) }),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    /// The client's certificate from the TLS handshake, for `EXTERNAL` (RFC 4422 Appendix A). Use it only
    /// if the client showed one.
    ///
    /// The server derives the client's identity from it. `authorization` is the identity that the client
    /// wants to act as: up to 255 bytes of UTF-8 without NUL, or empty for the certificate's own.
    ///
    /// # Errors
    /// The reason why `authorization` is invalid.
    #[cfg(feature = "external")]
    pub const fn external(authorization: &'a str) -> Result<Self, ArgumentError> {
        match check(authorization, MAX_SECRET, false) {
            Ok(()) | Err(ArgumentError::Empty) => {
                Ok(Self { kind: Kind::Certificate, ..Self::of(authorization, "") })
            }
            Err(error) => Err(error),
        }
    }

    /// Allows `SCRAM-SHA-256` (RFC 7677), which does not reveal the password. It needs a fresh `nonce`.
    #[cfg(feature = "scram")]
    #[must_use]
    pub const fn with_nonce(mut self, nonce: &'a Nonce) -> Self {
        self.nonce = Some(nonce);
        self
    }

    /// Sets the maximum number of hash iterations that a server may ask for in `SCRAM`.
    ///
    /// The default is 1,000,000, which takes a computer a second or two, and a small board minutes or
    /// hours: `starttls-embedded` has a lower default. RFC 7677 §4 has servers ask for at least 4,096.
    #[cfg(feature = "scram")]
    #[must_use]
    pub const fn with_max_iterations(mut self, most: u32) -> Self {
        self.max_iterations = Some(most);
        self
    }

    /// Sets the default of `with_max_iterations`, for an adapter that knows
    /// the speed of its machines. Without the feature `scram` it has no effect.
    #[must_use]
    pub const fn or_max_iterations(self, most: u32) -> Self {
        #[cfg(feature = "scram")]
        if self.max_iterations.is_none() {
            return Self { max_iterations: Some(most), ..self };
        }
        let _ = most;
        self
    }

    /// The maximum number of hash iterations.
    #[cfg(feature = "scram")]
    pub(super) const fn most_iterations(&self) -> u32 {
        match self.max_iterations {
            Some(most) => most,
            None => 1_000_000,
        }
    }

    /// Allows `SCRAM-SHA-256-PLUS`, by which the server proves that it is the end of this TLS connection.
    /// It also detects an attacker who removes the mechanism from the server's offer (RFC 5802 §6).
    ///
    /// # Errors
    /// [`ArgumentError::Empty`] or [`ArgumentError::TooLong`] for a hash of 0 or more than 64 bytes.
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

    /// Restricts the login to this mechanism. By default the strongest one is chosen that the server
    /// offers.
    #[must_use]
    pub const fn by(mut self, mechanism: Mechanism) -> Self {
        self.only = Some(mechanism);
        self
    }

    /// The mechanism for a server with these extensions, if one fits.
    #[must_use]
    pub fn mechanism(&self, offered: Extensions) -> Option<Mechanism> {
        let mut mechanisms = Mechanism::ALL.iter().copied();
        mechanisms.find(|mechanism| {
            offered.offers(*mechanism)
                && self.suits(*mechanism)
                && self.only.is_none_or(|only| only == *mechanism)
        })
    }

    /// Whether the credentials have what the mechanism needs.
    fn suits(&self, mechanism: Mechanism) -> bool {
        if self.kind != mechanism.shows() {
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

    /// Whether the caller chose the mechanism, independently of the server's offer.
    #[cfg(feature = "scram")]
    pub(super) const fn is_forced(&self) -> bool {
        self.only.is_some()
    }
}

impl Mechanism {
    /// The kind of credential that the mechanism needs.
    const fn shows(self) -> Kind {
        match self {
            #[cfg(feature = "xoauth2")]
            Self::XOAuth2 => Kind::Token,
            #[cfg(feature = "external")]
            Self::External => Kind::Certificate,
            _ => Kind::Password,
        }
    }
}

/// Checks for 1 to `max` bytes without NUL, or without any control character.
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
    fn credentials_are_checked_and_not_shown() {
        let mut shown = heapless::String::<64>::new();
        let credentials = Credentials::new("tim", "secret").expect("valid");
        write!(shown, "{credentials:?}").expect("64 bytes are enough");
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

    #[cfg(feature = "external")]
    #[test]
    fn certificates() {
        let long = [b'a'; MAX_SECRET + 1];
        let long = core::str::from_utf8(&long).expect("ASCII");
        assert!(Credentials::external("").is_ok() && Credentials::external(&long[1..]).is_ok());
        assert_eq!(Credentials::external(long).err(), Some(ArgumentError::TooLong));
        assert_eq!(Credentials::external("a\0b").err(), Some(ArgumentError::Forbidden));
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
