//! Servers among each other: the same with the namespace `jabber:server`, and with both domains in the
//! header of the client's stream.

use super::{ClientGrammar, ServerGrammar, ServerToServer};

/// A server as another one's client, on its way to TLS.
pub type Client<'a> = crate::Client<ClientGrammar<'a, ServerToServer>>;

/// A server of another one, on its way to TLS.
pub type Server<'a> = crate::Server<ServerGrammar<'a, ServerToServer>>;
