//! The loop of the blocking side.

use embedded_io::{Error as _, Read, Write};

use crate::task::{Do, Driver, Framed, Task, check_size};
use crate::{Budget, Buffers, Error};

/// Runs a task to its end, on a stream whose errors `wrap` sorts.
#[inline(always)]
pub(crate) fn run<J: Framed, R: Read + Write, S, T, const IN: usize, const OUT: usize>(
    task: &mut J,
    buffers: &mut Buffers<IN, OUT>,
    budget: &Budget,
    stream: &mut R,
    wrap: impl FnOnce(R::Error) -> Error<S, T>,
) -> Result<(), Error<S, T>> {
    check_size::<J, IN>();
    run_on(task, buffers, budget, stream, wrap)
}

/// The same for every task: there is one in an image for each kind of stream.
#[inline(never)]
fn run_on<R: Read + Write, S, T, const IN: usize, const OUT: usize>(
    task: &mut dyn Task,
    buffers: &mut Buffers<IN, OUT>,
    budget: &Budget,
    stream: &mut R,
    wrap: impl FnOnce(R::Error) -> Error<S, T>,
) -> Result<(), Error<S, T>> {
    let mut driver = Driver::new(task, buffers, budget);
    let mut failed = None;
    loop {
        let done = match driver.next() {
            Do::Write => stream.write(driver.said()),
            Do::Flush => stream.flush().map(|()| 0),
            Do::Read => stream.read(driver.room()),
            Do::Return => {
                return driver.outcome().map_err(|fault| Error::of(fault, failed.map(wrap)));
            }
        };
        driver.told(done.map_err(|error| failed.insert(error).kind()));
    }
}
