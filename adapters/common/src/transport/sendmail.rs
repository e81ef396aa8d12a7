use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Read as _, Seek as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use starttls::Error as Rule;
use starttls::mail::session::{Command as Refused, Fate};

use super::Addresses;
use crate::{Answer, Doing, Error, Receipt};

/// How much of the program's complaint is kept, in bytes.
const MAX_COMPLAINT: u64 = 2048;

/// How long to wait for the complaint of a program that has ended.
const LISTEN: Duration = Duration::from_secs(1);

/// The longest pause between two looks at the program.
const LOOK: Duration = Duration::from_millis(50);

/// A transport that passes each mail to a program with sendmail's options, as Postfix, Exim, msmtp and
/// nullmailer have it.
///
/// The program runs as `PROGRAM [ARGUMENT...] -i -f SENDER -- RECIPIENT...` and reads the message, with LF
/// line ends, from standard input. Its exit status tells the outcome (`sysexits.h`): 0 for accepted, 75
/// (`EX_TEMPFAIL`) and the failures of the system (71 to 74) for a temporary failure, any other for a permanent
/// one.
#[derive(Clone, Debug)]
pub struct Sendmail {
    program: PathBuf,
    arguments: Vec<OsString>,
    timeout: Duration,
}

impl Default for Sendmail {
    fn default() -> Self {
        Self::new("/usr/sbin/sendmail")
    }
}

impl Sendmail {
    /// Passes mails to this program. It gets 5 minutes for each.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            timeout: Duration::from_secs(5 * 60),
        }
    }

    /// Adds an argument before sendmail's own.
    #[must_use]
    pub fn with_argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets the time that the program gets for a mail. Then it is killed, and it is unknown whether it has the
    /// mail.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs the program for one mail.
    ///
    /// # Errors
    /// [`Error::Rejected`] if the program refuses the mail, with its exit status and its words;
    /// [`Error::Io`] if it does not start; [`Error::Unfinished`] if it was killed, by a signal or after the
    /// timeout.
    pub fn pass(&self, mail: &Addresses, message: &[u8]) -> Result<Receipt, Error> {
        // A time beyond the clock's range is no limit.
        let until = Instant::now().checked_add(self.timeout);
        // A whole file, and not a pipe: if this process is killed, the program cannot take a part of the message
        // for all of it.
        let input = spooled(message).map_err(Error::io(Doing::Other("storing the message")))?;
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .args(["-i", "-f", mail.from.as_deref().unwrap_or("<>"), "--"])
            .args(&mail.to)
            .stdin(input)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Error::io(Doing::Other("starting the sendmail program")))?;
        let complaint = child.stderr.take().map(listen);
        let status = wait(&mut child, until);
        let status = status.map_err(Error::io(Doing::Other("waiting for the sendmail program")));
        match status.map_err(|error| error.with_fate(Fate::Unknown))?.code() {
            Some(0) => Ok(mail.receipt(&Answer::new(250, "2.0.0 Accepted by the program"))),
            Some(status) => {
                let complaint = complaint.and_then(|heard| heard.recv_timeout(LISTEN).ok());
                let complaint = complaint.unwrap_or_default();
                let (code, enhanced) =
                    if matches!(status, 71..=75) { (451, "4.3.0") } else { (554, "5.3.0") };
                let text = format!("{enhanced} exit status {status}: {complaint}");
                let (answer, recipients) = (Answer::new(code, text), Vec::new());
                Err(Error::Rejected { command: Refused::Message, answer, recipients })
            }
            None => Err(Error::from(Rule::Closed).with_fate(Fate::Unknown)),
        }
    }
}

/// The program's complaint, escaped, when it has ended it.
fn listen(mut from: ChildStderr) -> Receiver<String> {
    let (told, heard) = channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        let _ = from.by_ref().take(MAX_COMPLAINT).read_to_end(&mut text);
        let _ = told.send(String::from_utf8_lossy(&text).trim().escape_debug().to_string());
        // The program must not wait for room.
        let _ = io::copy(&mut from, &mut io::sink());
    });
    heard
}

/// A file without a name that has the message, with the line ends of a local program.
fn spooled(message: &[u8]) -> io::Result<File> {
    let mut file = BufWriter::new(tempfile::tempfile()?);
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        match line.strip_suffix(b"\r\n") {
            Some(line) => {
                file.write_all(line)?;
                file.write_all(b"\n")?;
            }
            None => file.write_all(line)?,
        }
    }
    let mut file = file.into_inner()?;
    file.rewind()?;
    Ok(file)
}

/// Waits for the program, and kills it when the time is up.
fn wait(child: &mut Child, until: Option<Instant>) -> io::Result<ExitStatus> {
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            child.kill()?;
            child.wait()?;
            return Err(ErrorKind::TimedOut.into());
        }
        thread::sleep(pause);
        pause = (2 * pause).min(LOOK);
    }
}
