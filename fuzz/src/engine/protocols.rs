//! What the engines' targets have to know of each protocol.

use starttls::client::Client;
use starttls::smtp::{self, Domain};
use starttls::{Policy, Server, ftp, imap, irc, lmtp, nntp, nut, pop3, server, sieve};

use super::{ClientSide, ServerSide};

macro_rules! protocols {
    ($($(#[$doc:meta])* $name:ident: $client:ty, $client_new:expr, $request:literal, $yes:expr;
        $server:ty, $server_new:expr, $asks:expr, $go_ahead:expr, $bye:expr, $own:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl ClientSide for $name {
            type Grammar = $client;

            const REQUEST: &'static [u8] = $request;

            fn new(policy: Policy) -> Client<Self::Grammar> {
                ($client_new)(policy)
            }

            fn is_go_ahead(frame: &[u8]) -> bool {
                ($yes)(frame)
            }
        }

        impl ServerSide for $name {
            type Grammar = $server;

            const ANSWER: &'static str = $own;

            fn new(config: server::Config) -> Server<Self::Grammar> {
                ($server_new)(config)
            }

            fn asks(command: &[u8]) -> bool {
                ($asks)(&command.to_ascii_uppercase())
            }

            fn is_go_ahead(reply: &[u8]) -> bool {
                ($go_ahead)(reply)
            }

            fn is_goodbye(reply: &[u8]) -> bool {
                ($bye)(reply)
            }
        }
    )*};
}

protocols! {
    /// SMTP.
    Smtp:
        smtp::ClientGrammar<'static, smtp::Smtp>,
        |policy| smtp::Client::new(Domain::LOCALHOST, policy),
        b"STARTTLS\r\n",
        |line: &[u8]| line == b"220" || line.starts_with(b"220 ");
        smtp::ServerGrammar<'static, smtp::Smtp>,
        |config| smtp::Server::new(Domain::LOCALHOST, config),
        |line: &[u8]| line.trim_ascii_end() == b"STARTTLS",
        |reply: &[u8]| reply == b"220 2.0.0 Ready to start TLS\r\n",
        |reply: &[u8]| reply.starts_with(b"221 "),
        "250 2.0.0 The application's own";
    /// LMTP.
    Lmtp:
        smtp::ClientGrammar<'static, smtp::Lmtp>,
        |policy| lmtp::Client::new(Domain::LOCALHOST, policy),
        b"STARTTLS\r\n",
        |line: &[u8]| line == b"220" || line.starts_with(b"220 ");
        smtp::ServerGrammar<'static, smtp::Lmtp>,
        |config| lmtp::Server::new(Domain::LOCALHOST, config),
        |line: &[u8]| line.trim_ascii_end() == b"STARTTLS",
        |reply: &[u8]| reply == b"220 2.0.0 Ready to start TLS\r\n",
        |reply: &[u8]| reply.starts_with(b"221 "),
        "250 2.0.0 The application's own";
    /// IMAP.
    Imap:
        imap::ClientGrammar,
        // The tag of the tables, so that they are seeds.
        |policy| imap::Client::new(imap::Tag::new(0x1234_5678), policy),
        b"BCDEFGHI2 STARTTLS\r\n",
        |line: &[u8]| {
            let status = line.strip_prefix(b"BCDEFGHI2 ").unwrap_or_default();
            let word = status.split(|octet| *octet == b' ').next().unwrap_or_default();
            word.eq_ignore_ascii_case(b"OK")
        };
        imap::ServerGrammar,
        imap::Server::new,
        |line: &[u8]| {
            let mut words = line.split(|octet| *octet == b' ').skip(1).filter(|w| !w.is_empty());
            words.next() == Some(b"STARTTLS") && words.all(|word| word.trim_ascii().is_empty())
        },
        |reply: &[u8]| reply.ends_with(b" OK Begin TLS now\r\n"),
        |reply: &[u8]| reply.starts_with(b"* BYE Goodbye"),
        "x OK The application's own";
    /// POP3.
    Pop3:
        pop3::ClientGrammar,
        pop3::Client::new,
        b"STLS\r\n",
        |line: &[u8]| line == b"+OK" || line.starts_with(b"+OK ");
        pop3::ServerGrammar,
        pop3::Server::new,
        |line: &[u8]| line.trim_ascii_end() == b"STLS",
        |reply: &[u8]| reply == b"+OK Begin TLS now\r\n",
        |reply: &[u8]| reply.starts_with(b"+OK Goodbye"),
        "+OK The application's own";
    /// FTP.
    Ftp:
        ftp::ClientGrammar,
        ftp::Client::new,
        b"AUTH TLS\r\n",
        |line: &[u8]| line == b"234" || line.starts_with(b"234 ");
        ftp::ServerGrammar,
        ftp::Server::new,
        |line: &[u8]| {
            let mechanism = line.strip_prefix(b"AUTH ").unwrap_or_default().trim_ascii_start();
            mechanism == b"TLS" || mechanism == b"TLS-C"
        },
        |reply: &[u8]| reply == b"234 Begin TLS now\r\n",
        |reply: &[u8]| reply.starts_with(b"221 "),
        "200 The application's own";
    /// NNTP.
    Nntp:
        nntp::ClientGrammar,
        nntp::Client::new,
        b"STARTTLS\r\n",
        |line: &[u8]| line == b"382" || line.starts_with(b"382 ");
        nntp::ServerGrammar,
        nntp::Server::new,
        |line: &[u8]| line.trim_ascii_end() == b"STARTTLS",
        |reply: &[u8]| reply == b"382 Begin TLS now\r\n",
        |reply: &[u8]| reply.starts_with(b"205 "),
        "200 The application's own";
    /// ManageSieve.
    Sieve:
        sieve::ClientGrammar,
        sieve::Client::new,
        b"STARTTLS\r\n",
        |line: &[u8]| {
            line.split(|octet| *octet == b' ').next().unwrap_or_default().eq_ignore_ascii_case(b"OK")
        };
        sieve::ServerGrammar<'static>,
        |config| sieve::Server::new(sieve::Capabilities::default(), config),
        |line: &[u8]| line.trim_ascii_end() == b"STARTTLS",
        |reply: &[u8]| reply == b"OK \"Begin TLS now\"\r\n",
        |reply: &[u8]| reply == b"OK \"Goodbye\"\r\n",
        "OK \"The application's own\"";
    /// IRC.
    Irc:
        irc::ClientGrammar,
        irc::Client::new,
        b"STARTTLS\r\n",
        |line: &[u8]| words(line).first() == Some(&&b"670"[..]);
        irc::ServerGrammar<'static>,
        |config| irc::Server::new(irc::Name::new("a").expect("a name"), config),
        |line: &[u8]| words(line) == [b"STARTTLS"],
        |reply: &[u8]| reply == b":a 670 * :Begin TLS now\r\n",
        |reply: &[u8]| reply == b"ERROR :Goodbye\r\n",
        ":a 400 * :The application's own";
    /// NUT.
    Nut:
        nut::ClientGrammar,
        nut::Client::new,
        b"STARTTLS\n",
        |line: &[u8]| line == b"OK STARTTLS";
        nut::ServerGrammar,
        nut::Server::new,
        |line: &[u8]| line.trim_ascii_end() == b"STARTTLS",
        |reply: &[u8]| reply == b"OK STARTTLS\n",
        |reply: &[u8]| reply == b"OK Goodbye\n",
        "OK The application's own";
}

/// The words of an IRC message behind its tags and its source.
fn words(message: &[u8]) -> Vec<&[u8]> {
    let mut words: Vec<_> =
        message.split(|octet| *octet == b' ').filter(|word| !word.is_empty()).collect();
    for first in [b'@', b':'] {
        if words.first().is_some_and(|word| word.first() == Some(&first)) {
            words.remove(0);
        }
    }
    words
}
