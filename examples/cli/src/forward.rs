//! Octets from here to there and back on tokio, with each direction ending on its own.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::time::timeout;
use tokio::try_join;

/// How long a direction may be silent.
const IDLE: Duration = Duration::from_secs(60 * 60);

/// How much is carried at a time.
const PIECE: usize = 8 * 1024;

/// Forwards between a server, of which the `early` octets were read already, and a client. Each end is passed
/// on; when one direction breaks, the other ends, too.
pub(crate) async fn forward(
    server: impl AsyncRead + AsyncWrite,
    early: &[u8],
    client: impl AsyncRead + AsyncWrite,
) -> io::Result<()> {
    let ((mut from_server, mut to_server), (mut from_client, mut to_client)) =
        (split(server), split(client));
    let left = AtomicBool::new(false);
    try_join!(
        async {
            say(&mut to_client, early).await?;
            copy(&mut from_server, &mut to_client).await?;
            left.store(true, Ordering::Relaxed);
            finish(&mut to_client).await
        },
        async {
            match copy(&mut from_client, &mut to_server).await {
                // Without TLS's goodbye only if we left first.
                Err(error)
                    if error.kind() == ErrorKind::UnexpectedEof && left.load(Ordering::Relaxed) => {
                }
                other => other?,
            }
            finish(&mut to_server).await
        },
    )?;
    Ok(())
}

/// Copies until the end and hands each piece on at once.
async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match timeout(IDLE, from.read(&mut piece)).await?? {
            0 => return Ok(()),
            length => say(to, piece.get(..length).unwrap_or_default()).await?,
        }
    }
}

async fn say(to: &mut (impl AsyncWrite + Unpin), octets: &[u8]) -> io::Result<()> {
    timeout(IDLE, async {
        to.write_all(octets).await?;
        to.flush().await
    })
    .await?
}

/// Who left already needs no goodbye.
async fn finish(to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    match to.shutdown().await {
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(()),
        other => other,
    }
}
