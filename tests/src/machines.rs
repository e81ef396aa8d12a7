//! The machines of the tables: those of every protocol, by the names in `vectors/README.md`, with further
//! settings where a protocol has some.

use starttls::smtp::Domain;
use starttls::{Introduction, Roles, mysql, rdp, sieve, vnc};

/// The name of every mail client in the tables.
pub const CLIENT: Domain<'static> = name("client.example.org");

/// The name of every mail server in the tables.
pub const SERVER: Domain<'static> = name("mx.example.org");

const fn name(name: &'static str) -> Domain<'static> {
    match Domain::new(name) {
        Ok(name) => name,
        Err(_) => panic!("a valid name"),
    }
}

/// The names of client and server in the tables. Tags begin with `BCDEFGHI`, the id of a stream is `bcdefghijklmnopa`.
#[must_use]
pub fn names<P: Roles>() -> Introduction<'static> {
    let (client, server) = match P::PROTOCOL.name {
        "irc" => ("", "irc.example.org"),
        "xmpp" | "xmpp-server" => ("im.example.net", "im.example.org"),
        _ => (CLIENT.as_str(), SERVER.as_str()),
    };
    let mut random = [0; 20];
    random[..8].copy_from_slice(&[0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0]);
    Introduction::new(server, random).with_client(client)
}

/// Makes a client of the tables, from a type in a module of the core and a policy.
#[macro_export]
macro_rules! client {
    (mysql::Mysql, $policy:expr) => {
        starttls::mysql::Client::new($crate::machines::MYSQL_REQUEST, $policy)
    };
    (nbd::Nbd, $policy:expr) => {
        starttls::nbd::Client::new(starttls::nbd::Flags::NO_ZEROES, $policy)
    };
    (vnc::Vnc, $policy:expr) => {
        starttls::vnc::Client::new($crate::machines::VNC, $policy)
    };
    ($module:ident::$Type:ident, $policy:expr) => {{
        type Protocol = starttls::$module::$Type;
        let names = $crate::machines::names::<Protocol>();
        <Protocol as starttls::Roles>::client(&names, $policy).expect("a name")
    }};
}

/// Makes a server of the tables, from a type in a module of the core and a configuration.
#[macro_export]
macro_rules! server {
    (sieve::Sieve, $config:expr) => {
        starttls::sieve::Server::new($crate::machines::SIEVE, $config)
    };
    (mysql::Mysql, $config:expr) => {
        starttls::mysql::Server::new($crate::machines::MYSQL_GREETING, $config)
    };
    (nbd::Nbd, $config:expr) => {
        starttls::nbd::Server::new(starttls::nbd::Flags::NO_ZEROES, $config)
    };
    (vnc::Vnc, $config:expr) => {
        starttls::vnc::Server::new($crate::machines::vnc_offer(), $config)
    };
    (rdp::Rdp, $config:expr) => {
        starttls::rdp::Server::new($crate::machines::RDP_OFFER, $config)
    };
    ($module:ident::$Type:ident, $config:expr) => {{
        type Protocol = starttls::$module::$Type;
        let names = $crate::machines::names::<Protocol>();
        <Protocol as starttls::Roles>::server(&names, $config).expect("a name")
    }};
}

/// The capabilities of every ManageSieve server in the tables.
pub const SIEVE: sieve::Capabilities<'static> = {
    const fn text(text: &'static str) -> sieve::Text<'static> {
        match sieve::Text::new(text) {
            Ok(text) => text,
            Err(_) => panic!("a text"),
        }
    }
    sieve::Capabilities::new(text("Example"))
        .with_sieve(text("fileinto vacation"))
        .with_sasl(text("PLAIN"))
};

/// The subtypes that every VNC client in the tables supports and every server offers, in this order.
pub const VNC: &[vnc::Subtype] =
    &[vnc::Subtype::X509Plain, vnc::Subtype::X509Vnc, vnc::Subtype::X509None];

/// The security types that every VNC server in the tables offers.
///
/// # Panics
/// Never: the list is not empty.
#[must_use]
pub fn vnc_offer() -> vnc::Offer<'static> {
    let plaintext = vnc::SecurityTypes::new(&[2, 1]).expect("types");
    vnc::Offer::new(VNC).with_plaintext(plaintext)
}

/// The protocols of every RDP server in the tables, in this order, and its flags.
pub const RDP_OFFER: rdp::Offer<'static> =
    rdp::Offer::new(&[rdp::Security::Hybrid, rdp::Security::Ssl]).with_flags(1);

/// The SSLRequest of every MySQL client in the tables: `85 ae 7f 00`, 16 MiB, `21`.
pub const MYSQL_REQUEST: mysql::SslRequest = mysql::SslRequest::new(0x7f_ae85, 1 << 24, 0x21);

/// The greeting of every MySQL server in the tables.
pub const MYSQL_GREETING: mysql::Greeting<'static> = {
    let version = match mysql::Text::new("8.0.36-example") {
        Ok(version) => version,
        Err(_) => panic!("a text"),
    };
    mysql::Greeting::new(version, 7, mysql::Scramble::new(*b"abcdefghijklmnopqrst"))
};
