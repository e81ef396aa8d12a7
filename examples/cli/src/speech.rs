//! What the command knows of each protocol: its two machines, and a few phrases.

use std::marker::PhantomData;

use starttls::rdp::{self, Protocols, Security};
use starttls::server::Config;
use starttls::smtp::{self, Dialect, Domain};
use starttls::vnc::{self, SecurityTypes, Subtype};
use starttls::{
    Client, Policy, Protocol, Server, client, ftp, imap, irc, ldap, mysql, nbd, nntp, nut, pop3,
    postgres, server, sieve, xmpp,
};
use starttls_std::Error;

/// A protocol.
pub(crate) trait Speech {
    type Client<'h>: client::Grammar;
    type Server: server::Grammar;

    const PHRASES: Phrases;

    /// Names and numbers.
    const PROTOCOL: Protocol = <Self::Server as server::Grammar>::PROTOCOL;

    /// An error if no server of this protocol can have such a name.
    fn client<'h>(policy: Policy, caller: &Caller<'h>) -> Result<Client<Self::Client<'h>>, Error>;

    /// `random` is for what nobody may guess.
    fn server(config: Config, random: [u8; 20]) -> Server<Self::Server>;
}

/// What a client has to say of itself and of whom it calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller<'h> {
    /// The server's name.
    pub(crate) host: &'h str,
    /// For what nobody may guess.
    pub(crate) random: u32,
}

/// What is said where no machine speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phrases {
    /// For a client that expects a greeting; empty where it does not, or where one comes inside TLS.
    pub(crate) greeting: &'static [u8],
    /// For a client that has nobody to talk to; empty where nothing can be said unasked.
    pub(crate) unavailable: &'static [u8],
    /// For a server, from a client that leaves; empty where it just goes.
    pub(crate) goodbye: &'static [u8],
    /// What a client says behind the greeting, and not again inside TLS.
    pub(crate) opening: &'static [u8],
}

impl Phrases {
    const NONE: Self = Self { greeting: b"", unavailable: b"", goodbye: b"", opening: b"" };
}

/// Runs `$then` with `$Speech` for the protocol of `$scheme`.
macro_rules! speaking {
    ($scheme:expr, $Speech:ident => $then:expr) => {{
        use $crate::speech;
        use $crate::url::Scheme;
        macro_rules! then {
            ($is:ty) => {{
                type $Speech = $is;
                $then
            }};
        }
        match $scheme {
            Scheme::Smtp | Scheme::Smtps => then!(speech::Mail<starttls::smtp::Smtp>),
            Scheme::Lmtp => then!(speech::Mail<starttls::lmtp::Lmtp>),
            Scheme::Imap | Scheme::Imaps => then!(speech::Imap),
            Scheme::Pop3 | Scheme::Pop3s => then!(speech::Pop3),
            Scheme::Ftp | Scheme::Ftps => then!(speech::Ftp),
            Scheme::Nntp | Scheme::Nntps => then!(speech::Nntp),
            Scheme::Sieve => then!(speech::Sieve),
            Scheme::Irc | Scheme::Ircs => then!(speech::Irc),
            Scheme::Nut => then!(speech::Nut),
            Scheme::Postgres | Scheme::Postgress => then!(speech::Postgres),
            Scheme::Ldap | Scheme::Ldaps => then!(speech::Ldap),
            Scheme::Mysql => then!(speech::Mysql),
            Scheme::Xmpp => then!(speech::Xmpp),
            Scheme::XmppServer => then!(speech::XmppServer),
            Scheme::Nbd => then!(speech::Nbd),
            Scheme::Vnc => then!(speech::Vnc),
            Scheme::Rdp => then!(speech::Rdp),
        }
    }};
}
pub(crate) use speaking;

/// SMTP and LMTP.
pub(crate) struct Mail<D>(PhantomData<D>);

impl<D: Dialect + 'static> Speech for Mail<D> {
    type Client<'h> = smtp::ClientGrammar<'static, D>;
    type Server = smtp::ServerGrammar<'static, D>;

    const PHRASES: Phrases = Phrases {
        greeting: b"220 localhost is through to TLS\r\n",
        unavailable: b"421 4.3.2 The server behind is not available, closing\r\n",
        goodbye: b"QUIT\r\n",
        ..Phrases::NONE
    };

    fn client<'h>(policy: Policy, _: &Caller<'h>) -> Result<Client<Self::Client<'h>>, Error> {
        Ok(Client::<Self::Client<'h>>::new(Domain::LOCALHOST, policy))
    }

    fn server(config: Config, _: [u8; 20]) -> Server<Self::Server> {
        const NAME: Domain<'_> = match Domain::new("localhost") {
            Ok(name) => name,
            Err(_) => panic!(),
        };
        Server::<Self::Server>::new(NAME, config)
    }
}

const fn first(of: &[&'static [u8]]) -> &'static [u8] {
    match of {
        [one, ..] => one,
        [] => b"",
    }
}

macro_rules! speech {
    ($name:ident: $Client:ty, |$policy:pat_param, $caller:pat_param| $client:expr;
     $Server:ty, |$config:ident $(, $random:ident)?| $server:expr;
     $greeting:literal, $unavailable:literal, $goodbye:literal $(, $opening:literal)?) => {
        pub(crate) struct $name;

        impl Speech for $name {
            type Client<'h> = $Client;
            type Server = $Server;

            const PHRASES: Phrases = Phrases {
                greeting: $greeting,
                unavailable: $unavailable,
                goodbye: $goodbye,
                opening: first(&[$($opening)?]),
            };

            fn client<'h>($policy: Policy, $caller: &Caller<'h>) -> Result<Client<$Client>, Error> {
                Ok($client)
            }

            fn server($config: Config, random: [u8; 20]) -> Server<$Server> {
                let _ = random;
                $(let $random = random;)?
                $server
            }
        }
    };
}

speech! { Imap:
    imap::ClientGrammar, |policy, caller| imap::Client::new(imap::Tag::new(caller.random), policy);
    imap::ServerGrammar, |config| imap::Server::new(config);
    b"* OK localhost is through to TLS\r\n",
    b"* BYE The server behind is not available\r\n",
    b"bye LOGOUT\r\n"
}

speech! { Pop3:
    pop3::ClientGrammar, |policy, _| pop3::Client::new(policy);
    pop3::ServerGrammar, |config| pop3::Server::new(config);
    b"+OK localhost is through to TLS\r\n",
    b"-ERR [SYS/TEMP] The server behind is not available\r\n",
    b"QUIT\r\n"
}

speech! { Ftp:
    ftp::ClientGrammar, |policy, _| ftp::Client::new(policy);
    ftp::ServerGrammar, |config| ftp::Server::new(config);
    b"220 localhost is through to TLS\r\n",
    b"421 The server behind is not available, closing\r\n",
    b"QUIT\r\n"
}

speech! { Nntp:
    nntp::ClientGrammar, |policy, _| nntp::Client::new(policy);
    nntp::ServerGrammar, |config| nntp::Server::new(config);
    b"200 localhost is through to TLS\r\n",
    b"400 The server behind is not available, closing\r\n",
    b"QUIT\r\n"
}

speech! { Sieve:
    sieve::ClientGrammar, |policy, _| sieve::Client::new(policy);
    sieve::ServerGrammar<'static>, |config| {
        const NAME: sieve::Text<'_> = match sieve::Text::new("starttls") {
            Ok(name) => name,
            Err(_) => panic!(),
        };
        let capabilities = sieve::Capabilities { implementation: NAME, ..Default::default() };
        sieve::Server::new(capabilities, config)
    };
    b"",
    b"BYE \"The server behind is not available\"\r\n",
    b"LOGOUT\r\n"
}

speech! { Irc:
    irc::ClientGrammar, |policy, _| irc::Client::new(policy);
    irc::ServerGrammar<'static>, |config| {
        const NAME: irc::Name<'_> = match irc::Name::new("localhost") {
            Ok(name) => name,
            Err(_) => panic!(),
        };
        irc::Server::new(NAME, config)
    };
    b"",
    b"ERROR :The server behind is not available\r\n",
    b"QUIT\r\n"
}

speech! { Nut:
    nut::ClientGrammar, |policy, _| nut::Client::new(policy);
    nut::ServerGrammar, |config| nut::Server::new(config);
    b"",
    b"",
    b"LOGOUT\n"
}

speech! { Postgres:
    postgres::ClientGrammar, |policy, _| postgres::Client::new(policy);
    postgres::ServerGrammar, |config| postgres::Server::new(config);
    b"",
    b"E\0\0\0\x3eSFATAL\0VFATAL\0C08006\0Mthe server behind is not available\0\0",
    b""
}

speech! { Ldap:
    ldap::ClientGrammar, |policy, _| ldap::Client::new(policy);
    ldap::ServerGrammar, |config| ldap::Server::new(config);
    b"",
    // Notice of Disconnection, unavailable(52).
    b"\x30\x47\x02\x01\x00\x78\x42\x0a\x01\x34\x04\x00\x04\x23The server behind \
      is not available.\x8a\x161.3.6.1.4.1.1466.20036",
    // UnbindRequest.
    b"\x30\x05\x02\x01\x02\x42\x00"
}

speech! { Mysql:
    mysql::ClientGrammar, |policy, _| mysql::Client::new(mysql::SslRequest::default(), policy);
    mysql::ServerGrammar<'static>, |config, random| {
        const VERSION: mysql::Text<'_> = match mysql::Text::new("8.0.0-starttls") {
            Ok(version) => version,
            Err(_) => panic!(),
        };
        let scramble = mysql::Scramble::new(random);
        mysql::Server::new(mysql::Greeting::new(VERSION, 1, scramble), config)
    };
    b"",
    // ERR packet, behind the client's first one inside TLS.
    b"\x2b\0\0\x03\xff\x51\x04#HY000There is no server behind this TLS",
    b""
}

// Neither side has flags of its own, so that both have the same on either side of us.
speech! { Nbd:
    nbd::ClientGrammar, |policy, _| nbd::Client::new(nbd::Flags::default(), policy);
    nbd::ServerGrammar, |config| nbd::Server::new(nbd::Flags::default(), config);
    b"NBDMAGICIHAVEOPT\0\x01",
    b"",
    // NBD_OPT_ABORT.
    b"IHAVEOPT\0\0\0\x02\0\0\0\0",
    b"\0\0\0\x01"
}

const SUBTYPES: &[Subtype] =
    &[Subtype::X509Plain, Subtype::X509Sasl, Subtype::X509Vnc, Subtype::X509None];

speech! { Vnc:
    vnc::ClientGrammar<'static>, |policy, _| vnc::Client::new(SUBTYPES, policy);
    vnc::ServerGrammar<'static>, |config| {
        let offer = vnc::Offer { subtypes: SUBTYPES, plaintext: SecurityTypes::default() };
        vnc::Server::new(offer, config)
    };
    b"",
    // A result, as most subtypes have it.
    b"\0\0\0\x01\0\0\0\x22There is no server behind this TLS",
    b""
}

speech! { Rdp:
    rdp::ClientGrammar<'static>, |policy, _| {
        rdp::Client::new(Protocols::SSL.with(Protocols::HYBRID), policy)
    };
    rdp::ServerGrammar<'static>, |config| {
        rdp::Server::new(rdp::Offer { security: &[Security::Ssl], flags: 0 }, config)
    };
    b"",
    b"",
    b""
}

/// XMPP, of users' clients.
pub(crate) struct Xmpp;

impl Speech for Xmpp {
    type Client<'h> = xmpp::ClientGrammar<'h>;
    type Server = xmpp::ServerGrammar<'static>;

    const PHRASES: Phrases = Phrases::NONE;

    fn client<'h>(policy: Policy, caller: &Caller<'h>) -> Result<Client<Self::Client<'h>>, Error> {
        Ok(xmpp::Client::new(domain(caller.host)?, policy))
    }

    fn server(config: Config, random: [u8; 20]) -> Server<Self::Server> {
        xmpp::Server::new(LOCALHOST, stream_id(random), config)
    }
}

/// XMPP, of servers among each other.
pub(crate) struct XmppServer;

impl Speech for XmppServer {
    type Client<'h> = xmpp::ClientGrammar<'h, xmpp::ServerToServer>;
    type Server = xmpp::ServerGrammar<'static, xmpp::ServerToServer>;

    const PHRASES: Phrases = Phrases::NONE;

    fn client<'h>(policy: Policy, caller: &Caller<'h>) -> Result<Client<Self::Client<'h>>, Error> {
        Ok(xmpp::s2s::Client::between(NOBODY, domain(caller.host)?, policy))
    }

    fn server(config: Config, random: [u8; 20]) -> Server<Self::Server> {
        xmpp::s2s::Server::new(LOCALHOST, stream_id(random), config)
    }
}

const LOCALHOST: xmpp::Domain<'_> = constant("localhost");

/// Who asks before TLS; inside, the caller says who it is.
const NOBODY: xmpp::Domain<'_> = constant("starttls.invalid");

const fn constant(domain: &'static str) -> xmpp::Domain<'static> {
    match xmpp::Domain::new(domain) {
        Ok(domain) => domain,
        Err(_) => panic!(),
    }
}

fn domain(host: &str) -> Result<xmpp::Domain<'_>, Error> {
    xmpp::Domain::new(host)
        .map_err(|error| Error::Argument { what: "the server's name", why: error.to_string() })
}

fn stream_id([a, b, c, d, e, f, g, h, ..]: [u8; 20]) -> xmpp::StreamId {
    xmpp::StreamId::new(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
}
