use std::fmt;
use std::io::Read;

use starttls::mail::Envelope;
use starttls::smtp::{Dialect, Smtp};
use starttls_common::{
    self as common, ClientTls, Connect, Connector, Dialer, Error, PoolSettings, Receipt, Runtime,
    Settings, ready,
};

use crate::mail::Encrypted;
use crate::{Blocking, Exclusive, Mailer, Socket};

/// Open connections to one mail server, for as long as the application runs. Clones share them, on any
/// threads.
///
/// [`send`](Self::send) takes a connection that waits, or opens one, up to the limit of [`PoolSettings`];
/// beyond it, mails wait for their turn. A connection that was idle is checked first, because the server may
/// have closed it.
///
/// A mail is tried again only while that cannot deliver it twice
/// ([`Fate::is_safe_to_retry`](starttls::mail::session::Fate::is_safe_to_retry)), and only for the recipients
/// that were refused for a time.
///
/// Connections that were idle for too long are closed when the pool is used the next time. Call
/// [`shutdown`](Self::shutdown) at the end: a dropped pool closes its connections without `QUIT`.
///
/// ```no_run
/// use starttls::mail::{Address, Envelope};
/// use starttls_std::{ClientTls, Pool, PoolSettings, Settings};
///
/// let tls = ClientTls::with_ca_pem(&std::fs::read("ca.pem")?)?;
/// let settings = Settings::new("mail.example.org", tls).with_login(("me", "password"));
/// let pool = Pool::new(settings, PoolSettings::new());
/// std::thread::scope(|scope| {
///     for reader in ["you@example.org", "her@example.org"] {
///         let pool = &pool;
///         scope.spawn(move || {
///             let to = [Address::new(reader).expect("an address")];
///             let envelope = Envelope::new(None, &to).expect("a recipient");
///             pool.send(&envelope, b"Subject: hello\r\n\r\nIt works.\r\n")
///         });
///     }
/// });
/// pool.shutdown();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pool<D = Smtp, T = ClientTls, C = Dialer>(common::Pool<D, Blocking, T, C>)
where
    C: Connector<Blocking>,
    T: Connect<Blocking, C::Stream>;

impl<T: Connect<Blocking, Exclusive>> Pool<Smtp, T> {
    /// A pool without connections. It opens them when they are needed.
    #[must_use]
    pub fn new(settings: Settings<T>, pool: PoolSettings) -> Self {
        Self::new_as(settings, pool)
    }
}

impl<D, T: Connect<Blocking, Exclusive>> Pool<D, T> {
    /// Like [`new`](Pool::new), in a dialect ([`Smtp`] or [`Lmtp`](starttls::lmtp::Lmtp)).
    #[must_use]
    pub fn new_as(settings: Settings<T>, pool: PoolSettings) -> Self {
        Self(common::Pool::new_as(settings, pool))
    }
}

impl<D, T, C> Pool<D, T, C>
where
    C: Connector<Blocking>,
    T: Connect<Blocking, C::Stream>,
{
    /// A pool whose connections are opened by a mailer, with its connector.
    #[must_use]
    pub fn over(mailer: Mailer<T, C>, pool: PoolSettings) -> Self {
        Self(common::Pool::over(mailer.0, pool))
    }

    /// How the pool uses its connections.
    #[must_use]
    pub fn settings(&self) -> &PoolSettings {
        self.0.settings()
    }

    /// How the pool connects to its server.
    #[must_use]
    pub fn server(&self) -> &Settings<T> {
        self.0.server()
    }
}

impl<D, T, C> Pool<D, T, C>
where
    D: Dialect,
    C: Connector<Blocking, Stream: Socket>,
    T: Connect<Blocking, C::Stream>,
    Blocking: Runtime<Encrypted<T, C::Stream>>,
{
    /// Sends one mail to all its recipients, in as many transactions and attempts as the settings allow.
    ///
    /// # Errors
    /// [`Error::Rejected`] if no recipient is accepted, with the last reply for each recipient;
    /// [`Doing::Waiting`](crate::Doing::Waiting) if no connection is free before the deadline, or after
    /// [`shutdown`](Self::shutdown); and every error of the connection. [`Error::fate`] tells whether a retry
    /// is safe. If only some recipients are accepted, the receipt has the last reply for each one.
    pub fn send(&self, envelope: &Envelope<'_>, message: &[u8]) -> Result<Receipt, Error> {
        ready(self.0.send(envelope, message))
    }

    /// Like [`send`](Self::send), for a message that is not in memory: `message` opens it for each
    /// transaction.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub fn send_with<M: Read>(
        &self,
        envelope: &Envelope<'_>,
        message: impl FnMut() -> M,
    ) -> Result<Receipt, Error> {
        ready(self.0.send_with(envelope, message))
    }

    /// Ends the pool: refuses new mails, waits until the mails under way are done, and closes all connections
    /// with `QUIT`. A mail that pauses before a retry ends with the result that it has.
    ///
    /// [`Timeouts`](crate::Timeouts) limit the wait.
    pub fn shutdown(&self) {
        ready(self.0.shutdown());
    }
}

impl<D, T, C> Clone for Pool<D, T, C>
where
    C: Connector<Blocking>,
    T: Connect<Blocking, C::Stream>,
{
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<D, T, C> fmt::Debug for Pool<D, T, C>
where
    C: Connector<Blocking>,
    T: Connect<Blocking, C::Stream> + fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
