//! For tests: drops the futures of each kind of I/O at every await point.
//!
//! [`Scenarios`] contains the properties of every adapter. A future is polled n times and dropped, for each n until it
//! completes. Its peer is the other role of the same adapter, over an in-memory pipe that makes a future wait at every
//! other poll.

mod pipe;
mod scenarios;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

pub use pipe::{End, pipe};
pub use scenarios::Scenarios;

/// A future that is not ready after this number of polls counts as stuck.
const MANY: usize = 100_000;

/// Polls a future at most this many times and drops it. Returns its output if it was ready by then.
pub fn drop_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    drop_between(polls, future, || ())
}

/// The same, with a turn of the other future before each poll.
pub fn drop_between<F: Future>(
    polls: usize,
    future: F,
    mut other: impl FnMut(),
) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        other();
        if let Poll::Ready(output) = poll_once(future.as_mut()) {
            return Some(output);
        }
    }
    None
}

/// Polls so many times at most, whenever the future is woken, and then drops it.
pub async fn drop_woken<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        let Some(rest) = left.checked_sub(1) else { return Poll::Ready(None) };
        left = rest;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Polls once, without a waker.
pub fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Runs two futures and drops one after this many polls. Returns its output if it was ready by then, and the output of the
/// other.
///
/// # Panics
/// If the other never ends.
pub fn drop_one<F: Future, O: Future>(
    polls: usize,
    dropped: F,
    other: O,
) -> (Option<F::Output>, O::Output) {
    let mut other = pin!(other);
    let mut ended = None;
    let mut turn = || {
        if ended.is_none()
            && let Poll::Ready(output) = poll_once(other.as_mut())
        {
            ended = Some(output);
        }
    };
    let done = drop_between(polls, dropped, &mut turn);
    for _ in 0..MANY {
        turn();
    }
    (done, ended.expect("the other waits forever"))
}
