//! Octets from here to there and back, with each direction ending on its own.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio::try_join;

/// How long a direction may be silent.
const IDLE: Duration = Duration::from_secs(60 * 60);

/// How much is carried at a time.
const PIECE: usize = 8 * 1024;

/// One side, as both directions know it.
pub(crate) struct Side {
    /// How long it may say nothing, or not read what is said.
    idle: Duration,
    /// How long it is silent before we leave.
    linger: Duration,
    /// It said something.
    heard: Notify,
    /// We said that we say no more.
    left: AtomicBool,
}

impl Side {
    pub(crate) fn new(idle: Duration, linger: Duration) -> Self {
        Self { idle, linger, heard: Notify::new(), left: AtomicBool::new(false) }
    }

    /// Waits for silence, and we leave then.
    async fn leave(&self) {
        // Without a duration not even what comes at this moment keeps us.
        if !self.linger.is_zero() {
            while timeout(self.linger, self.heard.notified()).await.is_ok() {}
        }
        self.left.store(true, Ordering::Relaxed);
    }
}

/// Forwards between a server, of which the `early` octets were read already, and a client. Each end is passed
/// on, the client's after the server was silent for `linger`; when one direction breaks, the other ends, too.
pub(crate) async fn forward(
    server: impl AsyncRead + AsyncWrite,
    early: &[u8],
    client: impl AsyncRead + AsyncWrite,
    linger: Duration,
) -> io::Result<()> {
    let ((mut from_server, mut to_server), (mut from_client, mut to_client)) =
        (split(server), split(client));
    let (server, client) = (Side::new(IDLE, linger), Side::new(IDLE, Duration::ZERO));
    try_join!(
        async {
            say(&mut to_client, early, IDLE).await?;
            carry((&mut from_server, &server), (&mut to_client, &client)).await
        },
        carry((&mut from_client, &client), (&mut to_server, &server)),
    )?;
    Ok(())
}

/// Copies until the end, hands each piece on at once, and passes the end on.
pub(crate) async fn carry(
    (from, source): (&mut (impl AsyncRead + Unpin), &Side),
    (to, sink): (&mut (impl AsyncWrite + Unpin), &Side),
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match timeout(source.idle, from.read(&mut piece)).await? {
            Ok(0) => break,
            Ok(length) => {
                source.heard.notify_one();
                say(to, piece.get(..length).unwrap_or_default(), sink.idle).await?;
            }
            // Without TLS's goodbye only if we left first.
            Err(error)
                if error.kind() == ErrorKind::UnexpectedEof
                    && source.left.load(Ordering::Relaxed) =>
            {
                break;
            }
            Err(error) => return Err(error),
        }
    }
    sink.leave().await;
    match to.shutdown().await {
        // Who left already needs no goodbye.
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(()),
        other => other,
    }
}

async fn say(to: &mut (impl AsyncWrite + Unpin), octets: &[u8], idle: Duration) -> io::Result<()> {
    timeout(idle, async {
        to.write_all(octets).await?;
        to.flush().await
    })
    .await?
}
