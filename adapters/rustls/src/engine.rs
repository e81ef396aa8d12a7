use rustls::CommonState;
use starttls::{Machine, Plaintext, Tls};

use crate::records::Side;

/// The plaintext machine of a protocol: [`starttls::Client`] or [`starttls::Server`].
pub trait Engine: Machine + sealed::Engine {}

impl<E: sealed::Engine> Engine for E {}

/// What an engine's event means for the connection.
#[derive(Debug)]
pub enum Meaning {
    Nothing,
    Upgrade,
    Plaintext,
}

pub(crate) mod sealed {
    use super::{CommonState, Machine, Meaning, Plaintext, Side, Tls};

    pub(crate) type Begun<S> = (<S as Side>::Connection, Option<usize>);

    pub trait Engine: Machine + Sized {
        type Side: Side;

        /// What TLS starts with.
        type Setup;

        /// Becomes [`Tls`] when the handshake succeeds.
        type Pledge;

        fn meaning(event: &Self::Event<'_>) -> Meaning;

        fn into_upgrade(self, unread: &[u8]) -> Result<Self::Pledge, starttls::Error>;

        fn into_plaintext(self, unread: &[u8]) -> Result<Plaintext, starttls::Error>;

        /// The TLS connection, and the configured fragment size.
        fn begin(setup: &Self::Setup) -> Result<Begun<Self::Side>, rustls::Error>;

        fn established(
            pledge: Self::Pledge,
            setup: &Self::Setup,
            tls: &CommonState,
        ) -> Result<Tls, starttls::Error>;
    }
}
