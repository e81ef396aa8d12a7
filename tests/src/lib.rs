#![doc = include_str!("../README.md")]
//!
//! The tables of vectors and their runner.
//!
//! The rows are data, in `vectors/`. [`table`] reads them, [`subject`] gives the four machines one
//! interface, [`run`] plays a row against a machine with every cut of its bytes, and [`check`]
//! compares the output with the row.

pub mod accept;
pub mod check;
pub mod document;
pub mod driver;
pub mod machines;
mod mended;
pub mod octets;
pub mod rules;
pub mod run;
pub mod subject;
pub mod sweep;
pub mod table;
pub mod weight;

use starttls::Error;

pub use machines::{CLIENT, SERVER};
pub use mended::mended;

/// Every error of a machine; a test compares the list with the enum.
pub const ERRORS: [Error; 34] = [
    Error::OutputTooSmall { needed: 1 },
    Error::OutOfOrder,
    Error::BareLineEnd,
    Error::LineTooLong,
    Error::NulInMessage,
    Error::NotForwardable,
    Error::NoAuth,
    Error::NoMechanism,
    Error::NoEightBitMime,
    Error::NoSmtpUtf8,
    Error::NoDsn,
    Error::NoRequireTls,
    Error::NoChunking,
    Error::MessageTooLarge,
    Error::NotOffered,
    Error::Refused,
    Error::Closing,
    Error::Closed,
    Error::TimedOut,
    Error::Unverified,
    Error::PlaintextAfterGoAhead { unread: 1 },
    Error::Unsolicited,
    Error::FrameTooLong,
    Error::ReplyTooLong,
    Error::BareCr,
    Error::BareLf,
    Error::Nul,
    Error::Syntax,
    Error::UnexpectedReply,
    Error::MixedCodes,
    Error::TooManyIterations,
    Error::TooManyErrors,
    Error::TooManyCommands,
    Error::Foreign,
];

/// Bytes in readable form.
#[must_use]
pub fn shown(octets: &[u8]) -> String {
    octets.escape_ascii().to_string()
}

/// The examples of the front page and of the manual.
#[cfg(doctest)]
mod examples {
    #[doc = include_str!("../../README.md")]
    struct FrontPage;

    macro_rules! pages {
        ($($Page:ident $file:literal,)*) => {$(
            #[doc = include_str!(concat!("../../core/manual/", $file, ".md"))]
            struct $Page;
        )*};
    }

    pages! {
        Attack "attack",
        Attacks "attacks",
        Conformance "conformance",
        Defaults "defaults",
        Errors "errors",
        EventLoop "event-loop",
        Firmware "firmware",
        Fleet "fleet",
        MailBetweenServers "mail-between-servers",
        Migrating "migrating",
        Monitor "monitor",
        OtherClients "other-clients",
        ReceiveMail "receive-mail",
        States "states",
        TlsInFront "tls-in-front",
        WebService "web-service",
        WhichCrate "which-crate",
    }
}
