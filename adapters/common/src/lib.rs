#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(rustdoc::all)]

mod advice;
mod certificates;
mod client;
mod client_cas;
mod connection;
mod connector;
#[cfg(feature = "dkim")]
mod dkim;
mod driver;
mod error;
mod growing;
mod hello;
mod inbox;
mod link;
mod login;
mod mail;
mod mailer;
#[cfg(feature = "native-tls")]
pub mod native_tls;
mod observer;
mod part;
mod peer;
mod pool;
mod proxy;
mod receipt;
mod reserved;
mod runtime;
mod said;
#[cfg(feature = "scram")]
mod scram;
mod server;
mod settings;
mod spans;
mod taking;
mod timeouts;
mod tls;
mod trace;
mod transport;
mod trust;
#[cfg(feature = "url")]
mod url;

#[cfg(feature = "url")]
pub use self::url::MailUrl;
pub use advice::Advice;
pub use certificates::Certificates;
pub use client::{Upgraded, connect_implicit, handshake, upgrade_or_plaintext, upgrade_with};
pub use client_cas::ClientCas;
pub use connection::Connection;
pub use connector::{Connector, Dialer, Route, Target};
#[cfg(feature = "dkim")]
pub use dkim::Dkim;
pub use driver::Driver;
pub use error::{Answer, Doing, Error};
pub use growing::Growing;
pub use hello::hello;
pub use inbox::{Deliver, Inbox, InboxSettings, MAX_MESSAGE};
pub use link::{Link, Turn};
pub use login::{Binding, Login, Secret};
pub use mail::{Mail, Recipient};
pub use mailer::{Dialled, Mailer, Over, open, starts_tls};
pub use observer::{Observer, Silent};
pub use peer::{Peer, PeerCertificate, PeerTls};
pub use pool::{Pool, PoolSettings, Wait};
pub use proxy::Proxy;
pub use receipt::{Letter, Opened, Receipt, Stage, Welcome};
pub use reserved::{Reserved, ReservedOpening, broken_handshake, reserved};
pub use runtime::{Accept, Connect, Dial, ReadMessage, Runtime, Secured, address_literal, ready};
#[cfg(feature = "scram")]
pub use scram::{SCRAM_ITERATIONS, StoredPassword};
pub use server::{Accepted, Decide, ServerStream, accept_implicit, accept_or_plaintext};
pub use settings::{Mode, Settings};
pub use taking::{Asked, Taking, bad_credentials};
pub use timeouts::Timeouts;
pub use tls::{ClientTls, Opening, check_alpn, check_chosen, take_early};
pub use transport::{
    Addresses, EmlFiles, Maildir, Recorded, Recorder, Sendmail, create_durably, sync_names,
    write_durably,
};

pub use rustls;
pub use starttls_rustls::{Explanation, explain};
