//! Mail that waits on disk until a server takes it.
//!
//! A program that must not wait for a server, or not lose a mail when it ends, [pushes](Queue::push) mails. A
//! program that [runs](Queue::run) the queue now and then sends those that are due.
//!
//! ```no_run
//! use std::time::SystemTime;
//!
//! use starttls::mail::{Address, Envelope};
//! use starttls_std::queue::{Queue, QueueSettings};
//! use starttls_std::{ClientTls, Mailer, Settings};
//!
//! let queue = Queue::open("/var/spool/shop", QueueSettings::new("shop.example.org"))?;
//! let to = [Address::new("you@example.org")?];
//! let envelope = Envelope::new(Some(Address::new("shop@example.org")?), &to)?;
//! queue.push(&envelope, b"Subject: hello\r\n\r\nIt works.\r\n", SystemTime::now())?;
//!
//! let tls = ClientTls::with_ca_pem(&std::fs::read("ca.pem")?)?;
//! let mailer = Mailer::new(Settings::new("mail.example.org", tls));
//! let run = queue.run(&mailer, SystemTime::now())?;
//! println!("{} delivered, {} still wait", run.delivered, run.waiting);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a kill or a loss of power leaves
//!
//! [`push`](Queue::push) returns when the mail and its name are on disk. Each attempt's replies are on disk
//! before the next mail is tried. So no mail is lost. A mail arrives twice only if the process ends between the
//! server's reply and its record, or if the connection ends before the reply
//! ([`Fate::Unknown`](starttls::mail::session::Fate::Unknown), RFC 1047).
//!
//! # The directory
//!
//! | name | what it is |
//! |---|---|
//! | `lock` | locked by the process that runs the queue |
//! | `incoming/` | files that are being written; one that is older than a day is what a killed process left |
//! | `mails/ID.mail` | a mail: lines with its envelope, an empty line, the message |
//! | `mails/ID.state` | the replies so far and the time of the next attempt; without it, the mail is new |
//!
//! Both kinds of file are text up to the message and begin with `starttls-queue 1`, the version of the format; a
//! mail with requests begins with `starttls-queue 2`, because programs of the first version do not read them. A mail
//! whose files are of another format stays, and [`Run::unreadable`] counts it.
//!
//! # Reports
//!
//! The sender of a mail that fails gets a report, and can ask for others in the envelope (`with_dsn`, RFC 3461). The
//! queue keeps these requests and passes them to the server, whose task the reports on success and delay are.
//!
//! | request | what the queue does |
//! |---|---|
//! | `NOTIFY` without `FAILURE` | does not report the failure of the recipient |
//! | `NOTIFY=SUCCESS` | reports that the mail was relayed, if the server took it and does not offer `DSN` (§5.2.2) |
//! | `RET=FULL` | returns the whole message in a report of a failure, if it is ASCII and has 64 KiB at most; in each other case the header (§6.2) |
//! | `ENVID`, `ORCPT` | are `Original-Envelope-Id` and `Original-Recipient` in a report |
//!
//! A server without `DSN` gets the mail without the requests. Transports that are no server, such as
//! [`Maildir`](crate::Maildir), ignore them.

mod attempt;
mod bounce;
mod request;
mod settings;
mod state;
mod stored;

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use starttls::mail::Envelope;
use starttls_common::{create_durably, sync_names, write_durably};

pub use settings::QueueSettings;
use state::State;
use stored::{FORMAT, Stored, WITH_REQUESTS};

use crate::{Doing, Error, Transport};

/// After which time an incomplete file is what a killed process left.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// A queue in a directory. See the [module](self).
#[derive(Clone, Debug)]
pub struct Queue {
    directory: PathBuf,
    settings: QueueSettings,
}

/// What a run of a [`Queue`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Run {
    /// The number of recipients that got a mail.
    pub delivered: usize,
    /// The number of recipients that failed for good. Their senders get a report, unless they asked for none.
    pub failed: usize,
    /// The number of mails that still wait, new reports included.
    pub waiting: usize,
    /// The number of mails whose files are not of this format.
    pub unreadable: usize,
}

/// The mails in a [`Queue`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct List {
    /// Those that wait.
    pub waiting: Vec<Waiting>,
    /// Files that are not of this format, because they are damaged or of another version. No run touches their
    /// mails.
    pub unreadable: Vec<PathBuf>,
}

/// A mail in a [`Queue`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waiting {
    /// The name of its files, without their ends.
    pub id: String,
    /// The sender. `None` is the null path.
    pub from: Option<String>,
    /// The recipients that wait, each with the last reply or error; empty before the first attempt.
    pub to: Vec<(String, String)>,
    /// The size of the message, in bytes.
    pub size: usize,
    /// When it was queued.
    pub since: SystemTime,
    /// When the next attempt is due.
    pub next: SystemTime,
    /// The number of attempts.
    pub attempts: u32,
}

impl Queue {
    /// Opens or creates the directory.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn open(directory: impl Into<PathBuf>, settings: QueueSettings) -> io::Result<Self> {
        let queue = Self { directory: directory.into(), settings };
        for part in ["incoming", "mails"] {
            create_durably(&queue.directory.join(part))?;
        }
        Ok(queue)
    }

    /// Stores a mail and returns its id. The first attempt is due at once. Any number of processes may push at
    /// the same time, also while another one runs the queue.
    ///
    /// # Errors
    /// [`Error::Io`] if the mail could not be stored.
    pub fn push(
        &self,
        envelope: &Envelope<'_>,
        message: &[u8],
        now: SystemTime,
    ) -> Result<String, Error> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let stored = Stored::new(envelope, message, seconds(now));
        let micros = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = format!("{micros}-{}-{number}", std::process::id());
        self.store(&id, &stored).map_err(storing)?;
        Ok(id)
    }

    /// Tries each mail that is due, the oldest first, and stores what became of it.
    ///
    /// A run ends early if the server cannot be reached, or refuses the client or its login: the other mails stay due.
    ///
    /// A recipient fails for good by a reply with the code 5yz to this mail, by a message that the server cannot
    /// take, or after [`QueueSettings::give_up`]. The sender then gets a report (RFC 3464) in the same queue,
    /// unless it [asked for none](self#reports); a mail with the null path as its sender is not reported. After any
    /// other error the mail waits: whatever is wrong with the server, the network or the login may be mended.
    ///
    /// # Errors
    /// [`Error::Io`] if the directory cannot be read or written, or if another process runs the queue
    /// ([`ErrorKind::WouldBlock`]). The results stored before it are kept.
    pub fn run(&self, transport: &dyn Transport, now: SystemTime) -> Result<Run, Error> {
        self.run_while(transport, now, &|| true)
    }

    /// Like [`run`](Self::run), but starts a further mail only while `goes_on` returns `true`.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    pub fn run_while(
        &self,
        transport: &dyn Transport,
        now: SystemTime,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Run, Error> {
        let _lock = self.lock().map_err(Error::io(Doing::Other("locking the queue")))?;
        self.sweep().map_err(storing)?;
        let mut run = Run::default();
        for id in self.ids().map_err(storing)?.into_iter().take_while(|_| goes_on()) {
            // The state alone tells it: most mails wait, and only their heads are looked at.
            if self.next_attempt(&id).map_err(storing)? > seconds(now) {
                let is_ours = self.is_ours(&id).map_err(storing)?;
                run.unreadable += usize::from(!is_ours);
                continue;
            }
            match self.load(&id).map_err(storing)? {
                Ok((stored, state)) => {
                    let reached =
                        self.attempt(&id, &stored, state, transport, seconds(now), &mut run)?;
                    // The others would wait for it, too, each for as long as the timeouts allow.
                    if !reached {
                        break;
                    }
                }
                Err(_) => run.unreadable += 1,
            }
        }
        run.waiting = self.ids().map_err(storing)?.len() - run.unreadable;
        Ok(run)
    }

    /// The mails in the queue, the oldest first.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn list(&self) -> io::Result<List> {
        let mut list = List::default();
        for id in self.ids()? {
            let loaded = match self.load(&id) {
                // A run has just removed it.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                loaded => loaded?,
            };
            let (stored, state) = match loaded {
                Ok(loaded) => loaded,
                Err(file) => {
                    list.unreadable.push(file);
                    continue;
                }
            };
            let open = state.open();
            let to = |place: &usize| {
                Some((stored.to.get(*place)?.path.clone(), state.known.get(*place)?.said.clone()))
            };
            list.waiting.push(Waiting {
                id,
                from: Some(stored.from.clone()).filter(|from| !from.is_empty()),
                to: open.iter().filter_map(to).collect(),
                size: stored.message.len(),
                since: UNIX_EPOCH + Duration::from_secs(stored.since),
                next: UNIX_EPOCH + Duration::from_secs(state.next.max(stored.since)),
                attempts: state.attempts,
            });
        }
        Ok(list)
    }

    fn file(&self, id: &str, kind: &str) -> PathBuf {
        self.directory.join("mails").join(format!("{id}.{kind}"))
    }

    fn incoming(&self, id: &str) -> PathBuf {
        self.directory.join("incoming").join(id)
    }

    fn store(&self, id: &str, stored: &Stored) -> io::Result<()> {
        let parts = [stored.head().into_bytes(), stored.message.clone()];
        write_durably(&self.incoming(id), &self.file(id, "mail"), &[&parts[0], &parts[1]])
    }

    /// Locks the queue for this run.
    fn lock(&self) -> io::Result<Lock> {
        let path = self.directory.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => {
                let why = "another process runs this queue";
                Err(io::Error::new(ErrorKind::WouldBlock, why))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Removes what killed processes left: incomplete files, and states without a mail.
    fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.directory.join("incoming"))? {
            let entry = entry?;
            let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
            if age > ABANDONED {
                remove(&entry.path())?;
            }
        }
        for entry in fs::read_dir(self.directory.join("mails"))? {
            let path = entry?.path();
            let is_state = path.extension() == Some(OsStr::new("state"));
            if is_state && !path.with_extension("mail").try_exists()? {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// All mails, the oldest first.
    fn ids(&self) -> io::Result<Vec<String>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(self.directory.join("mails"))? {
            let path = entry?.path();
            if path.extension() == Some(OsStr::new("mail"))
                && let Some(id) = path.file_stem().and_then(OsStr::to_str)
            {
                ids.push(id.to_owned());
            }
        }
        ids.sort();
        Ok(ids)
    }

    /// Whether a mail's file begins like one of this format.
    fn is_ours(&self, id: &str) -> io::Result<bool> {
        let mut start = [0; FORMAT.len()];
        match File::open(self.file(id, "mail")).and_then(|mut file| file.read_exact(&mut start)) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            // Its owner has just removed it.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            read => read
                .map(|()| [FORMAT, WITH_REQUESTS].iter().any(|format| *format.as_bytes() == start)),
        }
    }

    /// When the next attempt is due, in seconds since 1970. 0 for a new mail and for a state that is not of this
    /// format.
    fn next_attempt(&self, id: &str) -> io::Result<u64> {
        match fs::read(self.file(id, "state")) {
            Ok(text) => Ok(str::from_utf8(&text).ok().and_then(State::next_of).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// A mail and what is known about it, or the one of its files that is not of this format.
    fn load(&self, id: &str) -> io::Result<Result<(Stored, State), PathBuf>> {
        let file = self.file(id, "mail");
        let Some(stored) = Stored::parse(&fs::read(&file)?) else { return Ok(Err(file)) };
        let recipients = stored.to.len();
        let file = self.file(id, "state");
        let state = match fs::read(&file) {
            Ok(text) => str::from_utf8(&text).ok().and_then(|text| State::parse(text, recipients)),
            Err(error) if error.kind() == ErrorKind::NotFound => Some(State::new(recipients)),
            Err(error) => return Err(error),
        };
        Ok(state.map(|state| (stored, state)).ok_or(file))
    }

    /// Removes a mail: first the mail, so that its state never vanishes before it and it is never new again.
    fn remove(&self, id: &str) -> io::Result<()> {
        let mail = self.file(id, "mail");
        remove(&mail)?;
        sync_names(&mail)?;
        remove(&self.file(id, "state"))
    }
}

/// The lock of a run.
struct Lock(File);

impl Drop for Lock {
    /// Unlocks the file itself. To close it is not enough: a process that another thread is just starting shares it
    /// for a moment, and would hold the lock.
    fn drop(&mut self) {
        // Closing it follows.
        let _ = self.0.unlock();
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn storing(error: io::Error) -> Error {
    Error::io(Doing::Other("storing mail in the queue"))(error)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
