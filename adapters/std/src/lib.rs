#![cfg_attr(feature = "native-roots", doc = include_str!("../README.md"))]
#![cfg_attr(not(feature = "native-roots"), doc = "STARTTLS on blocking sockets, with rustls.")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(rustdoc::all)]

mod compose;
mod driver;
mod exclusive;
mod mail;
#[cfg(feature = "native-tls")]
mod native_tls;
mod runtime;
mod socket;
mod split;
#[cfg(test)]
mod tests;
mod upgrade;

pub use compose::Composed;
pub use driver::Driver;
pub use exclusive::Exclusive;
pub use mail::{Connection, Deliver, Inbox, Mailer};
#[cfg(feature = "native-tls")]
pub use native_tls::Timed;
pub use runtime::Blocking;
pub use socket::Socket;
pub use split::{ReadHalf, WriteHalf, split};
#[cfg(feature = "dkim")]
pub use starttls_common::Dkim;
#[cfg(feature = "native-tls")]
pub use starttls_common::native_tls::NativeTls;
pub use starttls_common::{
    Advice, Answer, ClientTls, Decide, Doing, Error, InboxSettings, Login, MAX_MESSAGE, Mail, Mode,
    Observer, PeerCertificate, Receipt, Recipient, Secret, Settings, Silent, Timeouts,
    broken_handshake, explain, rustls,
};
pub use upgrade::{
    Accepted, ClientStream, ServerStream, Upgraded, accept, accept_or_plaintext, connect,
    connect_implicit, handshake, upgrade, upgrade_or_plaintext, upgrade_with,
};
