//! The async loop.

use core::ops::ControlFlow;

use embedded_io::Error as _;
use embedded_io_async::{Read, Write};
use starttls::{Error as Rule, Machine};

use crate::drive::{Do, Drive, Task, Told, check_size};
use crate::{Budget, Buffers, Error};

/// Runs a machine until `on_event` breaks, on a stream whose errors `wrap` converts.
pub(crate) async fn run<M: Machine, R: Read + Write, S, T, const IN: usize, const OUT: usize>(
    machine: &mut M,
    buffers: &mut Buffers<IN, OUT>,
    budget: &Budget,
    stream: &mut R,
    wrap: impl FnOnce(R::Error) -> Error<S, T>,
    on_event: impl FnMut(&mut M, M::Event<'_>) -> Result<ControlFlow<()>, Rule>,
) -> Result<(), Error<S, T>> {
    check_size::<M, IN>();
    run_on(&mut Told { machine, on_event }, buffers, budget, stream, wrap).await
}

/// One instance for all tasks: an image contains it once for each kind of stream.
async fn run_on<R: Read + Write, S, T, const IN: usize, const OUT: usize>(
    task: &mut dyn Task,
    buffers: &mut Buffers<IN, OUT>,
    budget: &Budget,
    stream: &mut R,
    wrap: impl FnOnce(R::Error) -> Error<S, T>,
) -> Result<(), Error<S, T>> {
    let mut drive = Drive::new(task, buffers, budget);
    let mut failed = None;
    loop {
        let mut kind = |error: R::Error| failed.insert(error).kind();
        match drive.next() {
            Do::Write => {
                let written = stream.write(drive.unsent()).await.map_err(&mut kind);
                drive.written(written);
            }
            Do::Flush => drive.flushed(stream.flush().await.map_err(&mut kind)),
            Do::Read => {
                let read = stream.read(drive.room()).await.map_err(&mut kind);
                drive.read(read);
            }
            Do::Return(outcome) => {
                return outcome.map_err(|failure| failure.into_error(failed.map(wrap)));
            }
        }
    }
}
