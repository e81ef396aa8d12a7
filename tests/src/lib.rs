#![doc = include_str!("../README.md")]
//!
//! Tables of vectors and what runs them.
//!
//! The rows are data, under `vectors/`; [`table`] reads them, [`subject`] puts one shape over the
//! four machines, [`run`] plays a row against a machine in every cut of its octets, and [`check`]
//! says whether what came out is what the row says.

pub mod check;
pub mod octets;
pub mod run;
pub mod subject;
pub mod table;

use starttls::smtp::Domain;
use starttls::{imap, irc, mysql, rdp, sieve, vnc, xmpp};

/// The name of every client in the tables.
pub const CLIENT: Domain<'static> = name("client.example.org");

/// The name of every server in the tables.
pub const SERVER: Domain<'static> = name("mx.example.org");

const fn name(name: &'static str) -> Domain<'static> {
    match Domain::new(name) {
        Ok(name) => name,
        Err(_) => panic!("a valid name"),
    }
}

/// What the tags of every IMAP client in the tables begin with: `BCDEFGHI`.
pub const TAG: imap::Tag = imap::Tag::new(0x1234_5678);

/// What every ManageSieve server in the tables says of itself.
#[must_use]
pub fn capabilities() -> sieve::Capabilities<'static> {
    let text = |text| sieve::Text::new(text).expect("a text");
    sieve::Capabilities {
        implementation: text("Example"),
        sieve: text("fileinto vacation"),
        sasl: text("PLAIN"),
    }
}

/// The name of every IRC server in the tables.
#[must_use]
pub fn irc_name() -> irc::Name<'static> {
    irc::Name::new("irc.example.org").expect("a name")
}

/// What every VNC client in the tables can do, and every server has, in this order.
pub const VNC: &[vnc::Subtype] =
    &[vnc::Subtype::X509Plain, vnc::Subtype::X509Vnc, vnc::Subtype::X509None];

/// What every VNC server in the tables lets clients choose from.
///
/// # Panics
/// Never: its types are some.
#[must_use]
pub fn vnc_offer() -> vnc::Offer<'static> {
    let plaintext = vnc::SecurityTypes::new(&[2, 1]).expect("types");
    vnc::Offer { subtypes: VNC, plaintext }
}

/// What every RDP client in the tables can do.
pub const RDP: rdp::Protocols = rdp::Protocols::SSL.with(rdp::Protocols::HYBRID);

/// What every RDP server in the tables has, in this order, and its flags.
pub const RDP_OFFER: rdp::Offer<'static> =
    rdp::Offer { security: &[rdp::Security::Hybrid, rdp::Security::Ssl], flags: 1 };

/// How every MySQL client in the tables introduces itself: `85 ae 7f 00`, 16 MiB, `21`.
pub const MYSQL_REQUEST: mysql::SslRequest = mysql::SslRequest::new(0x7f_ae85, 1 << 24, 0x21);

/// How every MySQL server in the tables begins.
pub const MYSQL_GREETING: mysql::Greeting<'static> = {
    let version = match mysql::Text::new("8.0.36-example") {
        Ok(version) => version,
        Err(_) => panic!("a text"),
    };
    mysql::Greeting::new(version, 7, mysql::Scramble::new(*b"abcdefghijklmnopqrst"))
};

/// The domain of every XMPP server in the tables.
///
/// # Panics
/// Never: it is one.
#[must_use]
pub fn xmpp_domain() -> xmpp::Domain<'static> {
    xmpp::Domain::new("im.example.org").expect("a domain")
}

/// The domain of every XMPP server that is a client in the tables.
///
/// # Panics
/// Never: it is one.
#[must_use]
pub fn xmpp_peer() -> xmpp::Domain<'static> {
    xmpp::Domain::new("im.example.net").expect("a domain")
}

/// The id of every stream of a server in the tables: `bcdefghijklmnopa`.
pub const STREAM_ID: xmpp::StreamId = xmpp::StreamId::new(0x1234_5678_9abc_def0);

/// Octets for people.
#[must_use]
pub fn shown(octets: &[u8]) -> String {
    octets.escape_ascii().to_string()
}

/// The examples of the project's front page.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct FrontPage;
