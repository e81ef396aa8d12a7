use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;

use embedded_hal_async::delay::DelayNs;
use embedded_io_async::{Read, Write};

use crate::clock::taken;
use crate::{Budget, Timed, TimedError, Unbounded};

/// How long is counted at a time, in milliseconds. A wait that ends before counts as a whole one.
const TICK: u32 = 20;

/// Ends what takes too long. Every [`DelayNs`] does, embassy-time's `Delay` for example; [`Unbounded`]
/// never does.
#[expect(async_fn_in_trait, reason = "as embedded-io-async has it")]
pub trait Clock {
    /// What came of the future, if that was before the end of the budget.
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

impl<S: Read, C: Clock> Read for Timed<'_, S, C> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
        let read = self.clock.within(self.budget, self.socket.read(buf)).await;
        let read = read.ok_or(TimedError::TimedOut)?.map_err(TimedError::Socket)?;
        Ok(read.min(buf.len()))
    }
}

impl<S: Write, C: Clock> Write for Timed<'_, S, C> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Self::Error> {
        let written = self.clock.within(self.budget, self.socket.write(buf)).await;
        taken(buf, written.ok_or(TimedError::TimedOut)?)
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        let flushed = self.clock.within(self.budget, self.socket.flush()).await;
        flushed.ok_or(TimedError::TimedOut)?.map_err(TimedError::Socket)
    }
}
