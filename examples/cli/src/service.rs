//! The common part of `serve` and `connect --listen`: the loop around their connections.

use std::net::SocketAddr;
use std::time::Duration;

use starttls_tokio::{Places, TcpOrUnix, Turned, serve};
use tokio::runtime::Runtime;

use crate::args::Limits;
use crate::listen::{Listener, Place, try_say};
use crate::out::{self, out, tell};
use crate::outcome::Failure;
use crate::stop::Stop;

/// Descriptors other than connections: standard streams, the listener, files and lookups.
#[cfg(unix)]
const RESERVE: u64 = 64;

/// The time for the last lines.
const LAST_LINES: Duration = Duration::from_secs(2);

/// The descriptors of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Needs {
    /// One for each of the two sides.
    Pair,
    /// One, and one for an incoming message, which one connection in three may have at the same time. If they still run
    /// out, that mail is refused temporarily.
    Mail,
}

/// A listener, the runtime of its connections, and their limit.
#[derive(Debug)]
pub(crate) struct Service {
    runtime: Runtime,
    listener: Listener,
    /// The line that announces the listener.
    said: String,
    places: Places,
    drain: Duration,
}

impl Service {
    /// Listens.
    pub(crate) fn open(
        protocol: &str,
        place: &Place,
        shared: bool,
        limits: &Limits,
        needs: Needs,
    ) -> Result<Self, Failure> {
        let runtime = runtime()?;
        let listener = runtime.block_on(place.bind(shared))?;
        let all = limits.max_connections.min(affordable(needs));
        let places = Places::new(all).with_per_peer(limits.max_per_peer);
        let said = format!("listening {protocol} {}", listener.place()?);
        Ok(Self { runtime, listener, said, places, drain: limits.drain })
    }

    /// Runs something before the first connection. Clients that connect meanwhile wait.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Prints where it listens, and serves connections until a signal ends it. SIGHUP calls `again`; `away` is the reply to
    /// a peer with too many connections.
    pub(crate) fn run<F>(
        self,
        again: impl Fn() + Send + 'static,
        away: &[u8],
        mut connection: impl FnMut(TcpOrUnix, Option<SocketAddr>, Stop) -> F,
    ) -> Result<(), Failure>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.runtime.block_on(async { Stop::listen(again) })?;
        // After reading this line, a caller may send a signal.
        out!("{}", self.said);
        out::result()?;
        out::queue();
        self.runtime.block_on(async {
            let turned = |turned| match turned {
                Turned::Away(stream, peer) => {
                    try_say(&stream, away);
                    tell!("{}: refused, it has too many connections", peer.ip());
                }
                Turned::Failed(error) => tell!("accepting: {error}"),
                _ => {}
            };
            let ending = stop.clone();
            let served =
                serve(&self.listener, self.places, ending.wait(), turned, |stream, peer| {
                    connection(stream, peer, stop.clone())
                });
            stop.bound(self.drain, served).await;
        });
        // Remaining connections are aborted, and no blocking task delays the end.
        self.runtime.shutdown_background();
        drop(self.listener);
        out::drain(LAST_LINES);
        out::forgive("the service has ended");
        Ok(())
    }
}

/// The runtime for connections.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    Runtime::new().map_err(|error| Failure::local(format!("starting: {error}")))
}

/// The number of connections for which the system has descriptors, after raising the limit.
fn affordable(needs: Needs) -> usize {
    #[cfg(unix)]
    {
        let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(RESERVE);
        let free = limit.saturating_sub(RESERVE);
        let count = match needs {
            Needs::Pair => free / 2,
            Needs::Mail => free / 4 * 3,
        };
        usize::try_from(count).unwrap_or(usize::MAX).max(1)
    }
    #[cfg(not(unix))]
    {
        let _ = needs;
        usize::MAX
    }
}

/// The peer of a connection, in readable form.
pub(crate) fn named(peer: Option<SocketAddr>) -> String {
    peer.map_or_else(|| "a client of the socket".to_owned(), |peer| peer.to_string())
}
