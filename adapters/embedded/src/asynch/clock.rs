use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;

use embedded_hal_async::delay::DelayNs;
use embedded_io_async::{Read, Write};

use crate::clock::taken;
use crate::{Budget, Timed, TimedError, Unbounded};

/// The interval at which time is counted, in milliseconds. A shorter wait counts as a whole one.
const TICK: u32 = 20;

/// Limits how long a future may take. Every [`DelayNs`] implements it, such as embassy-time's `Delay`;
/// [`Unbounded`] sets no limit.
#[expect(async_fn_in_trait, reason = "as in embedded-io-async")]
pub trait Clock {
    /// The output of the future. `None` if the budget ends first.
    async fn within<F: Future>(&mut self, budget: &Budget, future: F) -> Option<F::Output>;
}

impl<D: DelayNs> Clock for D {
    async fn within<F: Future>(&mut self, budget: &Budget, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut first = true;
        loop {
            if budget.is_over() {
                return None;
            }
            let tick = budget.left().unwrap_or(TICK).min(TICK);
            let mut delay = pin!(self.delay_ms(tick));
            let outcome = poll_fn(|context| match future.as_mut().poll(context) {
                Poll::Ready(value) => Poll::Ready(Some(value)),
                Poll::Pending => {
                    first = false;
                    delay.as_mut().poll(context).map(|()| None)
                }
            })
            .await;
            if !first {
                budget.spend(tick);
            }
            if outcome.is_some() {
                return outcome;
            }
        }
    }
}

impl Clock for Unbounded {
    async fn within<F: Future>(&mut self, _: &Budget, future: F) -> Option<F::Output> {
        Some(future.await)
    }
}

/// Pending once: an executor has one thread, and a peer that always has bytes ready would block all other
/// tasks.
async fn let_others_go_on() {
    let mut did = false;
    poll_fn(|context| {
        if core::mem::replace(&mut did, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl<S: Read, C: Clock> Read for Timed<'_, S, C> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
        if self.check()? {
            let_others_go_on().await;
        }
        let read = self.clock.within(self.budget, self.socket.read(buf)).await;
        let read = read.ok_or(TimedError::TimedOut)?.map_err(TimedError::Socket)?;
        Ok(read.min(buf.len()))
    }
}

impl<S: Write, C: Clock> Write for Timed<'_, S, C> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Self::Error> {
        if self.check()? {
            let_others_go_on().await;
        }
        let written = self.clock.within(self.budget, self.socket.write(buf)).await;
        taken(buf, written.ok_or(TimedError::TimedOut)?)
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        let flushed = self.clock.within(self.budget, self.socket.flush()).await;
        flushed.ok_or(TimedError::TimedOut)?.map_err(TimedError::Socket)
    }
}
