//! Forwards bytes in both directions; each direction ends separately.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio::try_join;

/// The bytes forwarded at a time.
const PIECE: usize = 8 * 1024;

/// One side's state, shared by both directions.
pub(crate) struct Side {
    /// How long the side may be silent, or not read.
    idle: Duration,
    /// The silence after which we close; later output is not needed. Without it we close at once, and only
    /// TLS's close_notify is the side's end.
    linger: Option<Duration>,
    /// The side has sent something.
    heard: Notify,
    /// We have announced the end of our output.
    left: AtomicBool,
}

impl Side {
    pub(crate) fn new(idle: Duration, linger: Option<Duration>) -> Self {
        Self { idle, linger, heard: Notify::new(), left: AtomicBool::new(false) }
    }

    /// Waits for silence, after which we close.
    async fn leave(&self) {
        // Without a duration, even output at this moment does not delay the close.
        if let Some(linger) = self.linger.filter(|linger| !linger.is_zero()) {
            while timeout(linger, self.heard.notified()).await.is_ok() {}
        }
        self.left.store(true, Ordering::Relaxed);
    }
}

/// Forwards between a server, whose `early` bytes are already read, and a client. Each end is passed on, the
/// client's after the server has been silent for `linger`. A direction that is silent for `idle` breaks. If one
/// breaks, so does the other, and both streams are dropped without an end.
pub(crate) async fn forward(
    server: impl AsyncRead + AsyncWrite,
    early: &[u8],
    client: impl AsyncRead + AsyncWrite,
    (idle, linger): (Duration, Duration),
) -> io::Result<()> {
    let ((mut from_server, mut to_server), (mut from_client, mut to_client)) =
        (split(server), split(client));
    let (server, client) = (Side::new(idle, Some(linger)), Side::new(idle, None));
    try_join!(
        async {
            say(&mut to_client, early, idle).await?;
            carry((&mut from_server, &server), (&mut to_client, &client)).await
        },
        carry((&mut from_client, &client), (&mut to_server, &server)),
    )?;
    Ok(())
}

/// Copies until the end, passes each piece on at once, and passes the end on.
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
            // Many servers send no close_notify to a client that closed first, which is not a failure.
            Err(error)
                if error.kind() == ErrorKind::UnexpectedEof
                    && source.left.load(Ordering::Relaxed) =>
            {
                if source.linger.is_none() {
                    return Ok(());
                }
                break;
            }
            Err(error) => return Err(error),
        }
    }
    sink.leave().await;
    match to.shutdown().await {
        // A side that has already closed needs no close_notify.
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
