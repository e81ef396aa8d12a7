//! The loop of the async side.

use core::ops::ControlFlow;

use embedded_io::Error as _;
use embedded_io_async::{Read, Write};
use starttls::Machine;

use crate::drive::{Do, Drive};
use crate::{Budget, Buffers, Error};

/// Runs a machine until `on_event` breaks, on a stream whose errors `wrap` sorts.
pub(crate) async fn run<
    M: Machine,
    R: Read + Write,
    S,
    T,
    B,
    F,
    const IN: usize,
    const OUT: usize,
>(
    machine: &mut M,
    buffers: &mut Buffers<IN, OUT>,
    budget: &Budget,
    stream: &mut R,
    wrap: impl FnOnce(R::Error) -> Error<S, T>,
    mut on_event: impl FnMut(&mut M, M::Event<'_>) -> Result<ControlFlow<B>, F>,
) -> Result<B, Error<S, T>>
where
    Error<S, T>: From<F>,
{
    let mut drive = Drive::new(buffers, budget);
    let mut failed = None;
    loop {
        let mut kind = |error: R::Error| failed.insert(error).kind();
        match drive.next(machine, &mut on_event) {
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
                return outcome.map_err(|fault| fault.into_error(failed.map(wrap)));
            }
        }
    }
}
