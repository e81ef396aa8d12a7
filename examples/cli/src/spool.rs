//! Messages on disk: written as they arrive, and given their final name only when they are complete and synced.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use starttls_common::create_durably;
use tempfile::NamedTempFile;

/// The prefix of the names of incomplete files.
const PREFIX: &str = ".starttls-incoming-";

/// A directory for mails: a Maildir if it has `tmp` and `new`.
#[derive(Debug)]
pub(crate) struct Spool {
    /// The directory for incomplete messages.
    incoming: PathBuf,
    /// The directory for complete messages.
    place: PathBuf,
    /// The same directory, opened to sync names.
    names: File,
}

impl Spool {
    /// Opens or creates the directory, and removes the incomplete files of killed processes.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        create_durably(directory)?;
        let (tmp, new) = (directory.join("tmp"), directory.join("new"));
        let (incoming, place) = match tmp.is_dir() && new.is_dir() {
            true => (tmp, new),
            false => (directory.to_owned(), directory.to_owned()),
        };
        let spool = Self { names: File::open(&place)?, incoming, place };
        spool.sweep()?;
        Ok(spool)
    }

    /// Removes incomplete files without a writer: a writer holds its file's lock.
    fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.incoming)? {
            let entry = entry?;
            if !entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
                continue;
            }
            // A new writer waits for this lock, and then sees that its file is gone.
            if let Ok(file) = File::open(entry.path())
                && file.try_lock().is_ok()
            {
                // Another process may have removed it first.
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// A new message. It is deleted if dropped before [`keep`](Self::keep).
    pub(crate) fn begin(&self) -> io::Result<NamedTempFile> {
        begin(&mut tempfile::Builder::new(), &self.incoming)
    }

    /// Syncs the message, and gives it its final name, which is returned. After an error no file remains.
    pub(crate) fn keep(&self, message: NamedTempFile) -> io::Result<String> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{now}-{}-{number}.eml", std::process::id());
        message.as_file().sync_all()?;
        let path = self.place.join(&name);
        message.persist_noclobber(&path)?;
        if let Err(error) = self.names.sync_all() {
            // The client gets a temporary failure.
            let _ = fs::remove_file(path);
            return Err(error);
        }
        Ok(name)
    }

    /// The same for one of several recipients, with a copy.
    pub(crate) fn keep_copy(&self, message: &NamedTempFile) -> io::Result<String> {
        let mut copy = self.begin()?;
        io::copy(&mut message.reopen()?, copy.as_file_mut())?;
        self.keep(copy)
    }
}

/// A message that is not stored in a directory.
pub(crate) fn elsewhere() -> io::Result<NamedTempFile> {
    begin(&mut tempfile::Builder::new(), &std::env::temp_dir())
}

fn begin(builder: &mut tempfile::Builder<'_, '_>, directory: &Path) -> io::Result<NamedTempFile> {
    loop {
        let mut file = builder.prefix(PREFIX).tempfile_in(directory)?;
        // On systems without locks, other processes cannot be detected.
        let _ = file.as_file().lock();
        // Another process that starts may have removed the file before it was locked.
        if file.path().try_exists()? {
            file.flush()?;
            return Ok(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("a directory");
        entries
            .map(|entry| entry.expect("a file").file_name().into_string().expect("UTF-8"))
            .collect()
    }

    #[test]
    fn files_with_a_writer_are_not_removed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        fs::write(path.join(".starttls-incoming-left"), "half").expect("written");
        fs::write(path.join(".incoming-other"), "whole").expect("written");
        let spool = Spool::open(path).expect("a spool");
        assert_eq!(names(path), [".incoming-other"], "the file of an unknown owner stays");
        let mut message = spool.begin().expect("a file");
        message.write_all(b"x\r\n").expect("written");
        // Another process on the same directory.
        let other = Spool::open(path).expect("a spool");
        assert_eq!(names(path).len(), 2);
        let name = spool.keep(message).expect("kept");
        assert_eq!(fs::read(path.join(&name)).expect("a file"), b"x\r\n");
        drop(other.begin().expect("a file"));
        assert_eq!(names(path).len(), 2, "a dropped message is deleted");
    }

    #[test]
    fn processes_that_start_remove_no_new_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let spool = Spool::open(directory.path()).expect("a spool");
        let is_done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !is_done.load(Ordering::Relaxed) {
                        spool.sweep().expect("a directory");
                    }
                });
            }
            let kept: Vec<_> =
                (0..2000).map(|_| spool.begin().map(|file| file.path().exists())).collect();
            is_done.store(true, Ordering::Relaxed);
            for is_there in kept {
                assert!(is_there.expect("a file"));
            }
        });
    }

    #[test]
    fn a_maildir_gets_whole_messages_in_new() {
        let directory = tempfile::tempdir().expect("a directory");
        for part in ["tmp", "new", "cur"] {
            fs::create_dir(directory.path().join(part)).expect("made");
        }
        let spool = Spool::open(directory.path()).expect("a spool");
        let message = spool.begin().expect("a file");
        assert_eq!(names(&directory.path().join("tmp")).len(), 1);
        let copy = spool.keep_copy(&message).expect("kept");
        let name = spool.keep(message).expect("kept");
        assert_eq!(names(&directory.path().join("tmp")), [""; 0]);
        let mut kept = names(&directory.path().join("new"));
        kept.sort();
        assert_eq!(kept, [copy, name]);
    }
}
