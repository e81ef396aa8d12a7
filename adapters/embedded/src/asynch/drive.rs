//! The loop of the async side.

use embedded_io_async::{Read, Write};

use crate::error::Stop;
use crate::task::{Do, Driver};

/// Runs a task to its end.
pub(crate) async fn run<S: Read + Write, const IN: usize, const OUT: usize>(
    mut driver: Driver<'_, IN, OUT>,
    stream: &mut S,
) -> Result<(), Stop<S::Error>> {
    loop {
        match driver.next() {
            Do::Write => driver.written(stream.write(driver.said()).await)?,
            Do::Flush => driver.flushed(stream.flush().await)?,
            Do::Read => {
                let received = stream.read(driver.room()).await;
                driver.received(received)?;
            }
            Do::Return(outcome) => return Ok(outcome?),
        }
    }
}
