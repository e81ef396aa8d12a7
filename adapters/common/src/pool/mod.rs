//! Open connections that the tasks of an application share.

mod gate;
mod progress;
mod settings;

use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gate::{Gate, Place};
use progress::{Next, Progress};
pub use settings::PoolSettings;
use starttls::mail::Envelope;
use starttls::smtp::{Dialect, Smtp};

use crate::part::Part;
use crate::{
    ClientTls, Connect, Connector, Dial, Dialer, Dialled, Doing, Error, Mailer, ReadMessage,
    Receipt, Runtime, Settings, Silent,
};

/// How long one wait for the end of all mails lasts. There are as many as needed.
const TURN: Duration = Duration::from_secs(60);

/// A runtime that waits.
pub trait Wait {
    /// The output of a future, or `None` if the time is up.
    ///
    /// A blocking runtime waits in this call, so its future is ready at once.
    fn within<F: Future>(until: Instant, future: F) -> impl Future<Output = Option<F::Output>>;
}

/// Open connections to one mail server, for as long as the application runs. Clones share them.
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
pub struct Pool<D, R, T = ClientTls, C = Dialer>
where
    C: Connector<R>,
    T: Connect<R, C::Stream>,
{
    shared: Arc<Shared<D, R, T, C>>,
}

struct Shared<D, R, T, C>
where
    C: Connector<R>,
    T: Connect<R, C::Stream>,
{
    mailer: Mailer<R, T, C>,
    settings: PoolSettings,
    gate: Gate,
    /// The connections without a mail; the one that was used last is the last one.
    idle: Mutex<Vec<Open<D, R, T, C>>>,
}

/// An open connection.
struct Open<D, R, T, C>
where
    C: Connector<R>,
    T: Connect<R, C::Stream>,
{
    connection: Dialled<'static, D, R, T, C>,
    /// The number of transactions.
    mails: usize,
    /// When the last one ended.
    since: Instant,
}

impl<R, T> Pool<Smtp, R, T>
where
    R: Dial + Runtime<<R as Dial>::Stream>,
    T: Connect<R, R::Stream>,
{
    /// A pool without connections. It opens them when they are needed.
    #[must_use]
    pub fn new(settings: Settings<T>, pool: PoolSettings) -> Self {
        Self::new_as(settings, pool)
    }
}

impl<D, R, T> Pool<D, R, T>
where
    R: Dial + Runtime<<R as Dial>::Stream>,
    T: Connect<R, R::Stream>,
{
    /// Like [`new`](Pool::new), in a dialect ([`Smtp`] or [`Lmtp`](starttls::lmtp::Lmtp)).
    #[must_use]
    pub fn new_as(settings: Settings<T>, pool: PoolSettings) -> Self {
        Self::over(Mailer::new(settings), pool)
    }
}

impl<D, R, T, C> Pool<D, R, T, C>
where
    C: Connector<R>,
    T: Connect<R, C::Stream>,
{
    /// A pool whose connections are opened by a mailer, with its connector.
    #[must_use]
    pub fn over(mailer: Mailer<R, T, C>, pool: PoolSettings) -> Self {
        let gate = Gate::new(pool.connections());
        Self { shared: Arc::new(Shared { mailer, settings: pool, gate, idle: Mutex::default() }) }
    }

    /// How the pool uses its connections.
    #[must_use]
    pub fn settings(&self) -> &PoolSettings {
        &self.shared.settings
    }

    /// How the pool connects to its server.
    #[must_use]
    pub fn server(&self) -> &Settings<T> {
        self.shared.mailer.settings()
    }
}

impl<D, R, T, C> Pool<D, R, T, C>
where
    D: Dialect,
    C: Connector<R>,
    R: Wait + Runtime<<C as Connector<R>>::Stream>,
    R: Runtime<<T as Connect<R, <C as Connector<R>>::Stream>>::Stream>,
    T: Connect<R, C::Stream>,
{
    /// Sends one mail to all its recipients, in as many transactions and attempts as the settings allow.
    ///
    /// If the future is dropped, the connection of the mail closes and its place is free for another one. The
    /// fate of the mail is then unknown: it may be delivered if its end was sent.
    ///
    /// # Errors
    /// [`Error::Rejected`] if no recipient is accepted, with the last reply for each recipient;
    /// [`Doing::Waiting`] if no connection is free before the deadline, or after
    /// [`shutdown`](Self::shutdown); and every error of the connection. [`Error::fate`] tells whether a retry
    /// is safe. If only some recipients are accepted, the receipt has the last reply for each one.
    pub async fn send<'m>(
        &self,
        envelope: &Envelope<'_>,
        message: &'m [u8],
    ) -> Result<Receipt, Error>
    where
        R: ReadMessage<&'m [u8]>,
    {
        self.send_with(envelope, || message).await
    }

    /// Like [`send`](Self::send), for a message that is not in memory: `message` opens it for each
    /// transaction.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub async fn send_with<M>(
        &self,
        envelope: &Envelope<'_>,
        mut message: impl FnMut() -> M,
    ) -> Result<Receipt, Error>
    where
        R: ReadMessage<M>,
    {
        let shared = &*self.shared;
        let until = shared.deadline();
        let mut progress = Progress::new(envelope);
        let (mut retries, mut next) = (0, Next::Retry);
        loop {
            let place = match shared.enter(until).await {
                Ok(place) => place,
                Err(error) => {
                    progress.give_up(error);
                    return progress.finish();
                }
            };
            next = shared.attempt(&place, &mut progress, next, &mut message).await;
            while next == Next::Continue {
                next = shared.attempt(&place, &mut progress, next, &mut message).await;
            }
            // Others may use the place during the pause.
            drop(place);
            match next {
                Next::Retry if retries < shared.settings.retries() => {
                    if !shared.pause(retries, until).await {
                        return progress.finish();
                    }
                    retries += 1;
                }
                Next::Reconnect => {}
                _ => return progress.finish(),
            }
        }
    }

    /// Ends the pool: refuses new mails, waits until the mails under way are done, and closes all connections
    /// with `QUIT`. A mail that pauses before a retry ends with the result that it has.
    ///
    /// [`Timeouts`](crate::Timeouts) limit the wait. If the future is dropped, the pool still refuses mails.
    pub async fn shutdown(&self) {
        let shared = &*self.shared;
        shared.gate.close();
        while R::within(shared.now_and(TURN), shared.gate.emptied()).await.is_none() {}
        let idle = std::mem::take(&mut *shared.idle());
        for open in idle {
            // All mails are done; a server that is gone needs no goodbye.
            let _ = open.connection.quit().await;
        }
    }
}

impl<D, R, T, C> Shared<D, R, T, C>
where
    C: Connector<R>,
    T: Connect<R, C::Stream>,
{
    /// No code panics while it holds the lock, so the list is whole even if the lock is poisoned.
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Open<D, R, T, C>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D, R, T, C> Shared<D, R, T, C>
where
    D: Dialect,
    C: Connector<R>,
    R: Wait + Runtime<<C as Connector<R>>::Stream>,
    R: Runtime<<T as Connect<R, <C as Connector<R>>::Stream>>::Stream>,
    T: Connect<R, C::Stream>,
{
    fn now() -> Instant {
        <R as Runtime<C::Stream>>::now()
    }

    /// This time from now. A time beyond the clock's range is a day.
    fn now_and(&self, wait: Duration) -> Instant {
        let now = Self::now();
        now.checked_add(wait).unwrap_or_else(|| now + Duration::from_secs(24 * 60 * 60))
    }

    fn deadline(&self) -> Instant {
        self.now_and(self.settings.deadline())
    }

    async fn enter(&self, until: Instant) -> Result<Place<'_>, Error> {
        match R::within(until, self.gate.enter()).await {
            Some(Some(place)) => Ok(place),
            Some(None) => {
                let error = io::Error::new(ErrorKind::NotConnected, "the pool is shut down");
                Err(Error::io(Doing::Waiting)(error))
            }
            None => {
                let error = io::Error::new(ErrorKind::TimedOut, "all are in use");
                Err(Error::io(Doing::Waiting)(error))
            }
        }
    }

    /// Waits before a retry. `false` if the retry would start too late, or the pool is shut down.
    async fn pause(&self, retries: u32, until: Instant) -> bool {
        let end = self.now_and(self.settings.pause(retries));
        // The gate is closed if it is the gate that ends the pause.
        end <= until && !self.gate.is_closed() && R::within(end, self.gate.closed()).await.is_none()
    }

    /// One transaction: on a connection that waits unless `last` asks for a new one.
    async fn attempt<M>(
        &self,
        _place: &Place<'_>,
        progress: &mut Progress<'_>,
        last: Next,
        message: &mut impl FnMut() -> M,
    ) -> Next
    where
        R: ReadMessage<M>,
    {
        let waiting = if last == Next::Reconnect { None } else { self.take().await };
        let was_used = waiting.is_some();
        let mut open = match waiting {
            Some(open) => open,
            None => match self.mailer.connect_as::<D>(Silent).await {
                Ok(connection) => Open { connection, mails: 0, since: Self::now() },
                Err(error) => return progress.note(Err(error), false),
            },
        };
        let part = Part::new(progress.envelope(), progress.places());
        let sent = match part.envelope() {
            Ok(envelope) => open.connection.send(&envelope, message()).await,
            Err(error) => Err(error),
        };
        open.mails += 1;
        open.since = Self::now();
        self.give_back(open).await;
        progress.note(sent, was_used)
    }

    /// A connection that waits and that the server has not closed.
    async fn take(&self) -> Option<Open<D, R, T, C>> {
        loop {
            let mut open = self.idle().pop()?;
            let idle = Self::now().saturating_duration_since(open.since);
            if idle >= self.settings.idle() {
                let _ = open.connection.leave().await;
                continue;
            }
            if idle < self.settings.check_after()
                || open.connection.check(self.settings.check_wait()).await.is_ok()
            {
                return Some(open);
            }
        }
    }

    /// Keeps a connection for the next mail, and closes those that were idle for too long.
    async fn give_back(&self, open: Open<D, R, T, C>) {
        let now = Self::now();
        let is_old = |open: &Open<D, R, T, C>| {
            now.saturating_duration_since(open.since) >= self.settings.idle()
        };
        let is_open = open.connection.is_open();
        let is_spent = open.mails >= self.settings.mails_per_connection() || is_old(&open);
        let mut leaving = Vec::new();
        match is_open {
            true if is_spent => leaving.push(open),
            true => self.idle().push(open),
            false => {}
        }
        {
            let mut idle = self.idle();
            let kept = idle.partition_point(&is_old);
            leaving.extend(idle.drain(..kept));
        }
        for open in leaving {
            let _ = open.connection.leave().await;
        }
    }
}

impl<D, R, T, C> Clone for Pool<D, R, T, C>
where
    C: Connector<R>,
    T: Connect<R, C::Stream>,
{
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<D, R, T, C> fmt::Debug for Pool<D, R, T, C>
where
    C: Connector<R>,
    T: Connect<R, C::Stream> + fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("mailer", &self.shared.mailer)
            .field("settings", &self.shared.settings)
            .field("gate", &self.shared.gate)
            .field("idle", &self.shared.idle().len())
            .finish()
    }
}
