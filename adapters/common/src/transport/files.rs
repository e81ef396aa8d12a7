use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Addresses, create_durably, write_durably};
use crate::{Answer, Doing, Error, Receipt};

/// A transport that writes each mail to a file in a directory, for development.
///
/// A mail program opens the files, whose names end in `.eml`. The envelope is in front of the message: the
/// sender as `Return-Path` (RFC 5321 §4.4), each recipient as `Delivered-To`. A file gets its name when it is
/// complete and on disk.
#[derive(Clone, Debug)]
pub struct EmlFiles {
    directory: PathBuf,
}

/// A transport that delivers each mail to a Maildir, as [`EmlFiles`] does to single files.
///
/// A mail is written to `tmp`, synced, and moved to `new`.
#[derive(Clone, Debug)]
pub struct Maildir {
    directory: PathBuf,
}

impl EmlFiles {
    /// Opens or creates the directory.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn new(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        create_durably(&directory)?;
        Ok(Self { directory })
    }

    /// Writes a mail.
    ///
    /// # Errors
    /// [`Error::Io`] if it could not be stored.
    pub fn store(&self, mail: &Addresses, message: &[u8]) -> Result<Receipt, Error> {
        let name = unique().join("-") + ".eml";
        let incoming = self.directory.join(format!(".{name}.incoming"));
        store(mail, message, &incoming, &self.directory.join(&name))
    }
}

impl Maildir {
    /// Opens or creates the Maildir, with `tmp`, `new` and `cur`.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn new(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        for part in ["tmp", "new", "cur"] {
            create_durably(&directory.join(part))?;
        }
        Ok(Self { directory })
    }

    /// Delivers a mail.
    ///
    /// # Errors
    /// [`Error::Io`] if it could not be stored.
    pub fn store(&self, mail: &Addresses, message: &[u8]) -> Result<Receipt, Error> {
        let [micros, process, number] = unique();
        let name = format!("{micros}.P{process}Q{number}.localhost");
        let [incoming, place] = ["tmp", "new"].map(|part| self.directory.join(part).join(&name));
        store(mail, message, &incoming, &place)
    }
}

/// What no other file of this machine has: the time in microseconds, the process, a number in it.
fn unique() -> [String; 3] {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    [now.to_string(), std::process::id().to_string(), number.to_string()]
}

fn store(
    mail: &Addresses,
    message: &[u8],
    incoming: &Path,
    place: &Path,
) -> Result<Receipt, Error> {
    // As the message has them.
    let end = if message.windows(2).any(|two| two == b"\r\n") { "\r\n" } else { "\n" };
    let mut trace = format!("Return-Path: <{}>{end}", mail.from.as_deref().unwrap_or_default());
    for to in &mail.to {
        trace.extend(["Delivered-To: ", to, end]);
    }
    write_durably(incoming, place, &[trace.as_bytes(), message])
        .map_err(Error::io(Doing::Other("storing the mail")))?;
    let name = place.file_name().unwrap_or_default().display().to_string();
    Ok(mail.receipt(&Answer::new(250, format!("2.0.0 Stored as {name}"))))
}
