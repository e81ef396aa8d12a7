use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{Id, JoinSet};
use tokio::time::sleep;

use crate::Prompt;

/// How long to wait after a failed accept, for example because memory or file descriptors are exhausted.
const PAUSE: Duration = Duration::from_millis(100);

/// How many connections are served at the same time.
///
/// ```
/// use starttls_tokio::Places;
///
/// let places = Places::new(1000).with_per_peer(20);
/// # let _ = places;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    all: usize,
    per_peer: usize,
}

impl Places {
    /// A limit for all connections. Further ones wait in the listener's queue. A single peer may use all of
    /// them.
    #[must_use]
    pub const fn new(all: usize) -> Self {
        Self { all, per_peer: usize::MAX }
    }

    /// Adds a limit for each peer: an IPv4 address, or an IPv6 /64 network, since one host usually owns a
    /// whole one.
    ///
    /// Connections without an address, over Unix sockets, are not counted.
    #[must_use]
    pub const fn with_per_peer(mut self, per_peer: usize) -> Self {
        self.per_peer = per_peer;
        self
    }
}

/// A source of connections.
pub trait Listen {
    /// A connection.
    type Stream;

    /// The next connection and its peer.
    ///
    /// # Errors
    /// Those of the operating system. The next connection may succeed.
    fn poll_next(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Self::Stream, Option<SocketAddr>)>>;
}

impl Listen for TcpListener {
    type Stream = Prompt;

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Prompt, Option<SocketAddr>)>> {
        let (stream, peer) = ready!(self.poll_accept(cx))?;
        Poll::Ready(Ok((Prompt::new(stream)?, Some(peer))))
    }
}

#[cfg(unix)]
impl Listen for UnixListener {
    type Stream = UnixStream;

    fn poll_next(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(UnixStream, Option<SocketAddr>)>> {
        let (stream, _) = ready!(self.poll_accept(cx))?;
        Poll::Ready(Ok((stream, None)))
    }
}

/// A connection that is not served.
#[derive(Debug)]
#[non_exhaustive]
pub enum Turned<S> {
    /// Accepting failed. The next connection is tried after a short pause.
    Failed(io::Error),
    /// This peer has reached its limit. The connection closes when the stream is dropped.
    Away(S, SocketAddr),
}

/// Serves each connection on a separate task until `stop` is ready, then waits for the tasks to end.
///
/// The caller has to limit that wait. `turned` is called for each connection that is not served. A task that
/// panics frees its place too. If the future is dropped, the tasks are aborted.
pub async fn serve<L: Listen, F>(
    listener: &L,
    places: Places,
    stop: impl Future<Output = ()>,
    mut turned: impl FnMut(Turned<L::Stream>),
    mut connection: impl FnMut(L::Stream, Option<SocketAddr>) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut stop = pin!(stop);
    let mut served = Served::default();
    loop {
        let accepted = poll_fn(|cx| {
            if stop.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            // Ended tasks are removed first, so that their places are free.
            while let Poll::Ready(true) = served.poll_end(cx) {}
            match served.tasks.len() < places.all.max(1) {
                true => listener.poll_next(cx).map(Some),
                false => Poll::Pending,
            }
        });
        match accepted.await {
            None => break,
            Some(Ok((stream, Some(peer)))) if served.of(peer.ip()) >= places.per_peer.max(1) => {
                turned(Turned::Away(stream, peer));
            }
            Some(Ok((stream, peer))) => {
                served.spawn(connection(stream, peer), peer.map(|peer| peer.ip()));
            }
            Some(Err(error)) => {
                turned(Turned::Failed(error));
                sleep(PAUSE).await;
            }
        }
    }
    while poll_fn(|cx| served.poll_end(cx)).await {}
}

/// The running connections.
#[derive(Default)]
struct Served {
    tasks: JoinSet<()>,
    peers: HashMap<Id, IpAddr>,
    /// How many connections each peer has. A peer without any has no entry.
    counts: HashMap<IpAddr, usize>,
}

impl Served {
    fn of(&self, peer: IpAddr) -> usize {
        self.counts.get(&network(peer)).copied().unwrap_or_default()
    }

    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static, peer: Option<IpAddr>) {
        let id = self.tasks.spawn(task).id();
        if let Some(peer) = peer.map(network) {
            self.peers.insert(id, peer);
            *self.counts.entry(peer).or_default() += 1;
        }
    }

    /// Whether a connection ended. `false` if none is running.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let id = match ready!(self.tasks.poll_join_next_with_id(cx)) {
            None => return Poll::Ready(false),
            Some(Ok((id, ()))) => id,
            Some(Err(panicked)) => panicked.id(),
        };
        if let Some(peer) = self.peers.remove(&id)
            && let Some(count) = self.counts.get_mut(&peer)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&peer);
            }
        }
        Poll::Ready(true)
    }
}

/// The address block that counts as one peer.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_is_one_peer() {
        for (address, peer) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8::1:2:3:4", "2001:db8::"),
        ] {
            let parse = |text: &str| text.parse::<IpAddr>().expect("an address");
            assert_eq!(network(parse(address)), parse(peer));
        }
    }
}
