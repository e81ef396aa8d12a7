//! What the command knows of each protocol: its two machines, and a few phrases.

use std::marker::PhantomData;

use starttls::server::Config;
use starttls::smtp::{self, Dialect, Domain};
use starttls::{Client, Policy, Server, client, ftp, imap, irc, nntp, nut, pop3, server, sieve};

/// A protocol.
pub(crate) trait Speech {
    type Client: client::Grammar;
    type Server: server::Grammar;

    const PHRASES: Phrases;

    /// `random` is for what nobody may guess.
    fn client(policy: Policy, random: u32) -> Client<Self::Client>;

    fn server(config: Config) -> Server<Self::Server>;
}

/// What is said where no machine speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phrases {
    /// For a client that expects a greeting; empty where it does not, or where one comes inside TLS.
    pub(crate) greeting: &'static str,
    /// For a client that has nobody to talk to; empty where nothing can be said unasked.
    pub(crate) unavailable: &'static str,
    /// For a server, from a client that leaves.
    pub(crate) goodbye: &'static str,
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
        }
    }};
}
pub(crate) use speaking;

/// SMTP and LMTP.
pub(crate) struct Mail<D>(PhantomData<D>);

impl<D: Dialect + 'static> Speech for Mail<D> {
    type Client = smtp::ClientGrammar<'static, D>;
    type Server = smtp::ServerGrammar<'static, D>;

    const PHRASES: Phrases = Phrases {
        greeting: "220 localhost is through to TLS\r\n",
        unavailable: "421 4.3.2 The server behind is not available, closing\r\n",
        goodbye: "QUIT\r\n",
    };

    fn client(policy: Policy, _: u32) -> Client<Self::Client> {
        Client::<Self::Client>::new(Domain::LOCALHOST, policy)
    }

    fn server(config: Config) -> Server<Self::Server> {
        const NAME: Domain<'_> = match Domain::new("localhost") {
            Ok(name) => name,
            Err(_) => panic!(),
        };
        Server::<Self::Server>::new(NAME, config)
    }
}

macro_rules! speech {
    ($name:ident: $Client:ty, |$policy:pat_param, $random:pat_param| $client:expr;
     $Server:ty, |$config:ident| $server:expr;
     $greeting:literal, $unavailable:literal, $goodbye:literal) => {
        pub(crate) struct $name;

        impl Speech for $name {
            type Client = $Client;
            type Server = $Server;

            const PHRASES: Phrases =
                Phrases { greeting: $greeting, unavailable: $unavailable, goodbye: $goodbye };

            fn client($policy: Policy, $random: u32) -> Client<$Client> {
                $client
            }

            fn server($config: Config) -> Server<$Server> {
                $server
            }
        }
    };
}

speech! { Imap:
    imap::ClientGrammar, |policy, random| imap::Client::new(imap::Tag::new(random), policy);
    imap::ServerGrammar, |config| imap::Server::new(config);
    "* OK localhost is through to TLS\r\n",
    "* BYE The server behind is not available\r\n",
    "bye LOGOUT\r\n"
}

speech! { Pop3:
    pop3::ClientGrammar, |policy, _| pop3::Client::new(policy);
    pop3::ServerGrammar, |config| pop3::Server::new(config);
    "+OK localhost is through to TLS\r\n",
    "-ERR [SYS/TEMP] The server behind is not available\r\n",
    "QUIT\r\n"
}

speech! { Ftp:
    ftp::ClientGrammar, |policy, _| ftp::Client::new(policy);
    ftp::ServerGrammar, |config| ftp::Server::new(config);
    "220 localhost is through to TLS\r\n",
    "421 The server behind is not available, closing\r\n",
    "QUIT\r\n"
}

speech! { Nntp:
    nntp::ClientGrammar, |policy, _| nntp::Client::new(policy);
    nntp::ServerGrammar, |config| nntp::Server::new(config);
    "200 localhost is through to TLS\r\n",
    "400 The server behind is not available, closing\r\n",
    "QUIT\r\n"
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
    "",
    "BYE \"The server behind is not available\"\r\n",
    "LOGOUT\r\n"
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
    "",
    "ERROR :The server behind is not available\r\n",
    "QUIT\r\n"
}

speech! { Nut:
    nut::ClientGrammar, |policy, _| nut::Client::new(policy);
    nut::ServerGrammar, |config| nut::Server::new(config);
    "",
    "",
    "LOGOUT\n"
}
