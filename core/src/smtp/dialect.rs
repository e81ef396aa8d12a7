use core::fmt;

use super::{ClientGrammar, Domain, ServerGrammar};
use crate::server::Config;
use crate::{ArgumentError, Client, Introduction, Phrases, Policy, Protocol, Roles, Server};

/// The differences between SMTP and LMTP.
pub trait Dialect: sealed::Sealed + Copy + Default + fmt::Debug + 'static {
    /// The protocol's names, ports and ALPN id.
    const PROTOCOL: Protocol;
    /// The command that introduces a client, with the blank before its name.
    #[doc(hidden)]
    const HELLO: &'static [u8];
    /// Whether `HELO` exists and one reply answers a mail for all its recipients.
    #[doc(hidden)]
    const IS_SMTP: bool;
}

/// SMTP, RFC 5321.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Smtp;

impl Dialect for Smtp {
    const PROTOCOL: Protocol = Protocol::SMTP;
    const HELLO: &'static [u8] = b"EHLO ";
    const IS_SMTP: bool = true;
}

/// LMTP, RFC 2033.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lmtp;

impl Dialect for Lmtp {
    const PROTOCOL: Protocol = Protocol::LMTP;
    const HELLO: &'static [u8] = b"LHLO ";
    const IS_SMTP: bool = false;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Smtp {}
    impl Sealed for super::Lmtp {}
}

/// The phrases of both protocols.
const PHRASES: Phrases = Phrases {
    greeting: b"220 localhost is connected over TLS\r\n",
    unavailable: b"421 4.3.2 The backend server is not available, closing\r\n",
    goodbye: b"QUIT\r\n",
    ..Phrases::NONE
};

impl<D: Dialect> Roles for D {
    type Client<'a> = ClientGrammar<'a, D>;
    type Server<'a> = ServerGrammar<'a, D>;

    const PROTOCOL: Protocol = D::PROTOCOL;
    const PHRASES: Phrases = PHRASES;

    fn client<'a>(
        names: &Introduction<'a>,
        policy: Policy,
    ) -> Result<Client<Self::Client<'a>>, ArgumentError> {
        let domain = names.client.map_or(Ok(Domain::LOCALHOST), Domain::new)?;
        Ok(Client::<Self::Client<'a>>::new(domain, policy))
    }

    fn server<'a>(
        names: &Introduction<'a>,
        config: Config,
    ) -> Result<Server<Self::Server<'a>>, ArgumentError> {
        Ok(Server::<Self::Server<'a>>::new(Domain::new(names.server)?, config))
    }
}
