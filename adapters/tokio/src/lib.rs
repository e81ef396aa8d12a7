#![cfg_attr(feature = "native-roots", doc = include_str!("../README.md"))]
#![cfg_attr(not(feature = "native-roots"), doc = "STARTTLS on tokio, with tokio-rustls.")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(rustdoc::all)]

mod compose;
#[cfg(feature = "mx")]
pub mod mx;
#[cfg(feature = "native-tls")]
mod native_tls;
mod runtime;
mod serve;
mod socket;
mod upgrade;

pub use compose::Composed;
pub use runtime::Tokio;
pub use serve::{Listen, Places, Turned, serve};
pub use socket::{Prompt, connect};
#[cfg(feature = "dkim")]
pub use starttls_common::Dkim;
#[cfg(feature = "native-tls")]
pub use starttls_common::native_tls::NativeTls;
pub use starttls_common::{
    Advice, Answer, ClientTls, Decide, Deliver, Doing, Error, InboxSettings, Login, MAX_MESSAGE,
    Mail, Mode, Observer, PeerCertificate, Receipt, Recipient, Secret, Secured, Settings, Silent,
    Timeouts, accept_implicit, accept_or_plaintext, address_literal, check_alpn, check_chosen,
    connect_implicit, explain, handshake, rustls, upgrade_or_plaintext,
};
pub use upgrade::{accept, upgrade, upgrade_with};

use starttls::smtp::Smtp;
use starttls_common as common;
use tokio_rustls::{client, server};

/// A client's stream after the upgrade.
pub type ClientStream<S> = client::TlsStream<S>;

/// A server's stream after the upgrade.
pub type ServerStream<S> = server::TlsStream<S>;

/// Drives machines over a stream, see [`Driver`](common::Driver).
pub type Driver<'o, S> = common::Driver<'o, S, Tokio>;

/// The result of a client's upgrade, see [`Upgraded`](common::Upgraded).
pub type Upgraded<'o, S> = common::Upgraded<'o, S, ClientStream<S>, Tokio>;

/// Where an upgrade ended on a server, see [`Accepted`](common::Accepted).
pub type Accepted<'o, S> = common::Accepted<'o, S, ServerStream<S>, Tokio>;

/// Sends mail to one server, see [`Mailer`](common::Mailer).
pub type Mailer<T = ClientTls> = common::Mailer<Tokio, T>;

/// An open connection to a mail server, see [`Connection`](common::Connection).
pub type Connection<'o, D = Smtp> = common::Connection<'o, D, Tokio, Prompt, ClientStream<Prompt>>;

/// A server that receives mail, see [`Inbox`](common::Inbox). [`serve`] gives it connections.
pub type Inbox = common::Inbox<Tokio>;
