//! Standard output, which may be closed or full.

use std::fmt;
use std::io::{self, ErrorKind, Write as _};
use std::sync::Mutex;

use crate::outcome::Failure;

static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints a line; what goes wrong is told at the end by [`result`].
macro_rules! out {
    ($($text:tt)*) => { $crate::out::line(format_args!($($text)*)) };
}
pub(crate) use out;

pub(crate) fn line(text: fmt::Arguments<'_>) {
    let mut stdout = anstream::stdout().lock();
    let written = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    if let (Err(error), Ok(mut failed)) = (written, FAILED.lock()) {
        failed.get_or_insert(error);
    }
}

/// Whether everything could be printed. A reader that has seen enough is no mistake.
pub(crate) fn result() -> Result<(), Failure> {
    match FAILED.lock().map(|mut failed| failed.take()) {
        Ok(Some(error)) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::local(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}
