#![cfg_attr(feature = "native-roots", doc = include_str!("../README.md"))]
#![cfg_attr(not(feature = "native-roots"), doc = "STARTTLS on blocking sockets, with rustls.")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(rustdoc::all)]

mod compose;
mod driver;
mod exclusive;
mod inbox;
mod mail;
#[cfg(feature = "native-tls")]
mod native_tls;
mod pool;
#[cfg(feature = "queue")]
pub mod queue;
mod runtime;
mod socket;
mod split;
#[cfg(test)]
mod tests;
mod transport;
mod upgrade;
mod wait;

pub use compose::Composed;
pub use driver::Driver;
pub use exclusive::Exclusive;
pub use inbox::{Deliver, Inbox};
pub use mail::{Connection, Dialled, Mailer};
#[cfg(feature = "native-tls")]
pub use native_tls::Timed;
pub use pool::Pool;
pub use runtime::Blocking;
pub use socket::{Socket, Untimed};
pub use split::{ReadHalf, WriteHalf, split};
#[cfg(feature = "dkim")]
pub use starttls_common::Dkim;
#[cfg(feature = "url")]
pub use starttls_common::MailUrl;
#[cfg(feature = "native-tls")]
pub use starttls_common::native_tls::NativeTls;
pub use starttls_common::{
    Addresses, Advice, Answer, Certificates, ClientCas, ClientTls, Connector, Decide, Dialer,
    Doing, EmlFiles, Error, InboxSettings, Link, Login, MAX_MESSAGE, Mail, Maildir, Mode, Observer,
    Peer, PeerCertificate, PeerTls, PoolSettings, Proxy, Receipt, Recipient, Recorded, Recorder,
    Route, Secret, Sendmail, Settings, Silent, Target, Timeouts, broken_handshake, explain, rustls,
};
#[cfg(feature = "scram")]
pub use starttls_common::{SCRAM_ITERATIONS, StoredPassword};
pub use transport::Transport;
pub use upgrade::{
    Accepted, ClientStream, ServerStream, Upgraded, accept, accept_or_plaintext, connect,
    connect_implicit, connect_through, handshake, upgrade, upgrade_or_plaintext, upgrade_with,
};
