//! The loop of the async side.

use embedded_io::Error;
use embedded_io_async::{Read, Write};

use crate::error::Stop;
use crate::task::{Do, Driver};

/// Runs a task to its end.
pub(crate) async fn run<S: Read + Write, const IN: usize, const OUT: usize>(
    mut driver: Driver<'_, IN, OUT>,
    stream: &mut S,
) -> Result<(), Stop<S::Error>> {
    loop {
        let done = match driver.next() {
            Do::Write => stream.write(driver.said()).await,
            Do::Flush => stream.flush().await.map(|()| 0),
            Do::Read => stream.read(driver.room()).await,
            Do::Return => return driver.outcome().map_err(Stop::Fault),
        };
        let told = driver.told(done.as_ref().copied().map_err(Error::kind));
        if let Err(lost) = told {
            return Err(Stop::new(lost, done));
        }
    }
}
