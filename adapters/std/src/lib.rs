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
pub use mail::{Connection, Deliver, Dialled, Inbox, Mailer};
#[cfg(feature = "native-tls")]
pub use native_tls::Timed;
pub use runtime::Blocking;
pub use socket::{Socket, Untimed};
pub use split::{ReadHalf, WriteHalf, split};
#[cfg(feature = "url")]
pub use starttls_common::MailUrl;
#[cfg(feature = "native-tls")]
pub use starttls_common::native_tls::NativeTls;
pub use starttls_common::{
    Advice, Answer, Certificates, ClientTls, Connector, Decide, Dialer, Doing, Error,
    InboxSettings, Link, Login, MAX_MESSAGE, Mail, Mode, Observer, Peer, PeerCertificate, PeerTls,
    Proxy, Receipt, Recipient, Route, Secret, Settings, Silent, Target, Timeouts, broken_handshake,
    explain, rustls,
};
pub use upgrade::{
    Accepted, ClientStream, ServerStream, Upgraded, accept, accept_or_plaintext, connect,
    connect_implicit, connect_through, handshake, upgrade, upgrade_or_plaintext, upgrade_with,
};
