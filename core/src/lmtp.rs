//! LMTP (RFC 2033): SMTP's grammar with `LHLO`, and one final reply for each recipient.

pub use crate::smtp::Lmtp;
use crate::smtp::{ClientGrammar, ServerGrammar};

/// An LMTP client on its way to TLS.
pub type Client<'a> = crate::Client<ClientGrammar<'a, Lmtp>>;

/// An LMTP server on its way to TLS.
pub type Server<'a> = crate::Server<ServerGrammar<'a, Lmtp>>;

/// The mail session after the upgrade.
pub type Session<C> = crate::mail::Session<C, Lmtp>;

/// The receiving side after the upgrade.
pub type Receiver<'a, C> = crate::mail::Receiver<'a, C, Lmtp>;
