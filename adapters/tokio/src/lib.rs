#![cfg_attr(feature = "native-roots", doc = include_str!("../README.md"))]
#![cfg_attr(not(feature = "native-roots"), doc = "STARTTLS on tokio, with tokio-rustls.")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(rustdoc::all)]

mod compose;
mod either;
#[cfg(feature = "mx")]
pub mod mx;
#[cfg(feature = "native-tls")]
mod native_tls;
mod runtime;
mod serve;
mod socket;
mod transport;
mod upgrade;

pub use compose::Composed;
pub use either::TcpOrUnix;
pub use runtime::Tokio;
pub use serve::{Listen, Places, Turned, serve};
pub use socket::{Prompt, connect, connect_through};
#[cfg(feature = "dkim")]
pub use starttls_common::Dkim;
#[cfg(feature = "url")]
pub use starttls_common::MailUrl;
#[cfg(feature = "native-tls")]
pub use starttls_common::native_tls::NativeTls;
pub use starttls_common::{
    Addresses, Advice, Answer, Certificates, ClientCas, ClientTls, Connector, Decide, Deliver,
    Dialer, Doing, EmlFiles, Error, InboxSettings, Link, Login, MAX_MESSAGE, Mail, Maildir, Mode,
    Observer, Peer, PeerCertificate, PeerTls, PoolSettings, Proxy, Receipt, Recipient, Recorded,
    Recorder, Route, Secret, Secured, Sendmail, Settings, Silent, Target, Timeouts,
    accept_implicit, accept_or_plaintext, address_literal, check_alpn, check_chosen,
    connect_implicit, explain, handshake, rustls, upgrade_or_plaintext,
};
#[cfg(feature = "scram")]
pub use starttls_common::{SCRAM_ITERATIONS, StoredPassword};
pub use transport::{Sending, Transport};
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
pub type Mailer<T = ClientTls, C = Dialer> = common::Mailer<Tokio, T, C>;

/// Open connections to one mail server that an application's tasks share, see [`Pool`](common::Pool).
///
/// ```no_run
/// use starttls::mail::{Address, Envelope};
/// use starttls_tokio::{ClientTls, Error, Pool, PoolSettings, Settings};
///
/// /// The application has one pool, and passes clones of it to its tasks.
/// fn pool(ca: &[u8]) -> Result<Pool, Error> {
///     let settings = Settings::new("mail.example.org", ClientTls::with_ca_pem(ca)?);
///     Ok(Pool::new(settings.with_login(("me", "password")), PoolSettings::new()))
/// }
///
/// async fn greet(pool: Pool) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
///     let to = [Address::new("you@example.org")?];
///     let envelope = Envelope::new(Some(Address::new("me@example.org")?), &to)?;
///     pool.send(&envelope, b"Subject: hello\r\n\r\nIt works.\r\n").await?;
///     Ok(())
/// }
/// ```
pub type Pool<D = Smtp, T = ClientTls, C = Dialer> = common::Pool<D, Tokio, T, C>;

/// An open connection to a mail server over a stream `S`, see [`Connection`](common::Connection).
pub type Connection<'o, D = Smtp, S = TcpOrUnix> =
    common::Connection<'o, D, Tokio, S, ClientStream<S>>;

/// A server that receives mail, see [`Inbox`](common::Inbox). [`serve`] gives it connections.
pub type Inbox = common::Inbox<Tokio>;
