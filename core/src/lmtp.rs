//! LMTP (RFC 2033): SMTP's grammar with `LHLO`, and a final reply for each recipient.

pub use crate::smtp::Lmtp;
use crate::smtp::{ClientGrammar, ServerGrammar};

/// An LMTP client on its way to TLS.
pub type Client<'a> = crate::Client<ClientGrammar<'a, Lmtp>>;

/// An LMTP server on its way to TLS.
pub type Server<'a> = crate::Server<ServerGrammar<'a, Lmtp>>;

/// The mail session of an LMTP client, inside TLS.
pub type Session<C> = crate::mail::Session<C, Lmtp>;

/// The receiver of an LMTP server, inside TLS.
pub type Receiver<'a, C> = crate::mail::Receiver<'a, C, Lmtp>;
