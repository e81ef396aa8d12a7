use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Prompt;

/// How long to wait behind a connection that could not be accepted, for want of memory for example.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves each connection on a task of its own, at most `most` at the same time; more wait in the
/// listener's queue. `failed` is told of those that could not be accepted. It never ends; dropped, it
/// ends the tasks, too.
pub async fn serve<F>(
    listener: &TcpListener,
    most: usize,
    mut failed: impl FnMut(io::Error),
    mut connection: impl FnMut(Prompt, SocketAddr) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    loop {
        let accepted = poll_fn(|cx| {
            // Whoever is done goes, and who is not keeps its place.
            while let Poll::Ready(Some(_)) = tasks.poll_join_next(cx) {}
            if tasks.len() < most.max(1) { listener.poll_accept(cx) } else { Poll::Pending }
        });
        match accepted.await.and_then(|(stream, peer)| Ok((Prompt::new(stream)?, peer))) {
            Ok((stream, peer)) => {
                tasks.spawn(connection(stream, peer));
            }
            Err(error) => {
                failed(error);
                sleep(PAUSE).await;
            }
        }
    }
}
