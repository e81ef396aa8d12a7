//! The record of a batch: a file with the fate of each mail, so that the batch can be run again and no mail arrives twice.
//!
//! Each line is a JSON object about one mail, and replaces earlier lines about the same one. One line is written before the
//! mail's first byte is sent, with its recipients as unknown, and another one after the server's reply.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use starttls::mail::session::Fate;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::outcome::Failure;

/// How many bytes of a message are read at once.
const PIECE: usize = 16 * 1024;

/// The version of the format; it changes when older files become unreadable.
const SCHEMA: u32 = 1;

/// The start of each line.
const HEAD: &[u8] = b"{\"schema\"";

/// The digest of a mail's sender and bytes.
type Digest = [u8; 32];

/// The key of a mail: its digest, and its number among equal mails.
type Known = HashMap<(Digest, u32), Past>;

/// The file.
#[derive(Debug)]
pub(crate) struct Record {
    path: PathBuf,
    file: File,
    known: Known,
    /// For each digest, the number of such mails in the mailbox so far.
    copies: HashMap<Digest, u32>,
}

/// The recipients for which a mail was accepted, or may have been. All others were refused or never tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Past {
    pub(crate) accepted: Vec<String>,
    pub(crate) unknown: Vec<String>,
}

/// A mail's key, and its known state.
#[derive(Debug)]
pub(crate) struct Entry {
    digest: Digest,
    /// The number among byte-identical mails.
    copy: u32,
    message_id: Option<String>,
    pub(crate) past: Past,
}

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    schema: u32,
    /// For human readers, like the next three.
    time: String,
    mail: String,
    message_id: Option<String>,
    server: String,
    digest: String,
    copy: u32,
    #[serde(flatten)]
    past: Past,
}

impl Record {
    /// The default place of a mailbox's record: in a directory, or beside a file.
    pub(crate) fn beside(mailbox: &Path) -> PathBuf {
        if mailbox.is_dir() {
            return mailbox.join(".starttls-state");
        }
        let mut name = mailbox.as_os_str().to_owned();
        name.push(".starttls-state");
        name.into()
    }

    /// Opens or creates the record, exclusively for this process; `anew` discards its content.
    ///
    /// # Errors
    /// If the file cannot be read or written, is not a record, or is in use by another process.
    pub(crate) fn open(path: &Path, anew: bool) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            let path = path.display();
            let what = format!("the record {path} cannot be written: {error}");
            Failure::local(format!("{what}. Pass a writable file with --state."))
        };
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let message = format!("{}: another process sends these mails", path.display());
                return Err(Failure::local(message));
            }
            // Without locks, other processes cannot be detected.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let (known, end) = read(&file, path)?;
        // Removes an unfinished line that a kill left.
        let (known, end) = if anew { (HashMap::new(), 0) } else { (known, end) };
        file.set_len(end).and_then(|()| file.seek(SeekFrom::End(0))).map_err(failed)?;
        Ok(Self { path: path.to_owned(), file, known, copies: HashMap::new() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The known state of a mail in the mailbox; call it once per mail and run.
    ///
    /// # Errors
    /// Those of `message`.
    pub(crate) fn meet(
        &mut self,
        from: &str,
        message: &mut impl Read,
        message_id: Option<&str>,
    ) -> io::Result<Entry> {
        let mut digest = Sha256::new().chain_update(from.as_bytes()).chain_update([0]);
        let mut piece = [0; PIECE];
        loop {
            match message.read(&mut piece)? {
                0 => break,
                n => digest.update(&piece[..n]),
            }
        }
        let digest: Digest = digest.finalize().into();
        let copies = self.copies.entry(digest).or_default();
        *copies += 1;
        let copy = *copies;
        let past = self.known.remove(&(digest, copy)).unwrap_or_default();
        Ok(Entry { digest, copy, message_id: message_id.map(str::to_owned), past })
    }

    /// Records that the mail is being sent to `to`, and waits until that is on disk.
    pub(crate) fn begin(
        &mut self,
        (name, server): (&str, &str),
        entry: &Entry,
        to: &[String],
    ) -> io::Result<()> {
        let mut past = entry.past.clone();
        past.add(&to.iter().map(String::as_str).collect::<Vec<_>>(), Fate::Unknown);
        self.write((name, server), entry, past)?;
        // The sync also covers the previous line.
        self.file.sync_data()
    }

    /// Records the mail's fate, for each group of its recipients.
    pub(crate) fn end<'a>(
        &mut self,
        (name, server): (&str, &str),
        entry: &Entry,
        parts: impl IntoIterator<Item = (&'a [&'a str], Fate)>,
    ) -> io::Result<()> {
        let mut past = entry.past.clone();
        for (to, fate) in parts {
            past.add(to, fate);
        }
        self.write((name, server), entry, past)
    }

    fn write(&mut self, (mail, server): (&str, &str), entry: &Entry, past: Past) -> io::Result<()> {
        let digest = entry.digest.iter().fold(String::new(), |mut digest, octet| {
            let _ = write!(digest, "{octet:02x}");
            digest
        });
        let now = OffsetDateTime::from(SystemTime::now());
        let line = Line {
            schema: SCHEMA,
            time: now.format(&Rfc3339).unwrap_or_default(),
            mail: mail.to_owned(),
            message_id: entry.message_id.clone(),
            server: server.to_owned(),
            digest,
            copy: entry.copy,
            past,
        };
        let mut line = serde_json::to_vec(&line)?;
        line.push(b'\n');
        let start = self.file.stream_position()?;
        self.file.write_all(&line).inspect_err(|_| {
            // A full disk may have stored half of the line, and no line may follow half a line.
            let _ = self.file.set_len(start).and_then(|()| self.file.seek(SeekFrom::Start(start)));
        })
    }
}

impl Past {
    /// A later attempt does not resolve an earlier unknown fate, unless it is accepted.
    fn add(&mut self, to: &[&str], fate: Fate) {
        let place = match fate {
            Fate::Accepted => {
                self.unknown.retain(|known| !to.contains(&&known[..]));
                &mut self.accepted
            }
            Fate::Unknown => &mut self.unknown,
            Fate::NotSent | Fate::NotAccepted => return,
        };
        for to in to {
            if !place.iter().any(|known| known == to) {
                place.push((*to).to_owned());
            }
        }
    }
}

/// The content of the lines, and the end of the last complete one.
fn read(file: &File, path: &Path) -> Result<(Known, u64), Failure> {
    let mut known = HashMap::new();
    let (mut end, mut text) = (0, Vec::new());
    let mut reader = BufReader::new(file);
    for number in 1.. {
        text.clear();
        let failed = |error: io::Error| Failure::local(format!("{}: {error}", path.display()));
        reader.read_until(b'\n', &mut text).map_err(failed)?;
        let is_cut = !text.ends_with(b"\n");
        if is_cut && (number > 1 || HEAD.starts_with(&text) || text.starts_with(HEAD)) {
            break;
        }
        let line = serde_json::from_slice::<Line>(&text).ok();
        let line = line.filter(|line| line.schema == SCHEMA);
        match line.and_then(|line| Some(((digest(&line.digest)?, line.copy), line.past))) {
            Some((key, past)) => known.insert(key, past),
            None => {
                let why = format!(
                    "line {number} is not a record of mails; pass another file with --state"
                );
                return Err(failed(io::Error::new(ErrorKind::InvalidData, why)));
            }
        };
        end += text.len() as u64;
    }
    Ok((known, end))
}

fn digest(hex: &str) -> Option<Digest> {
    let mut digest = Digest::default();
    if hex.len() != 2 * digest.len() {
        return None;
    }
    for (n, octet) in digest.iter_mut().enumerate() {
        *octet = u8::from_str_radix(hex.get(2 * n..2 * n + 2)?, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn to(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_batch_that_is_run_again_knows_each_mail() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = Record::beside(directory.path());
        let (a, b, c) = (to(&["a@b"]), to(&["b@b"]), to(&["a@b", "b@b"]));
        let at = ("1.eml", "smtp://x");
        let mut record = Record::open(&path, false).expect("a record");
        Record::open(&path, false).expect_err("locked");
        let entry = record.meet("x@y", &mut &b"one"[..], Some("<1@y>")).expect("memory");
        assert_eq!(entry.past, Past::default());
        record.begin(at, &entry, &c).expect("written");
        record.end(at, &entry, [(&["a@b"][..], Fate::Accepted)]).expect("written");
        // The same mail again, whose fate stays unknown; another one, which is refused.
        let entry = record.meet("x@y", &mut &b"one"[..], None).expect("memory");
        record.begin(at, &entry, &c).expect("written");
        let entry = record.meet("x@y", &mut &b"two"[..], None).expect("memory");
        record.begin(at, &entry, &c).expect("written");
        record.end(at, &entry, [(&["a@b", "b@b"][..], Fate::NotSent)]).expect("written");
        drop(record);

        let mut record = Record::open(&path, false).expect("a record");
        let past = |accepted: &[String], unknown: &[String]| Past {
            accepted: accepted.to_vec(),
            unknown: unknown.to_vec(),
        };
        let first = record.meet("x@y", &mut &b"one"[..], None).expect("memory");
        assert_eq!(first.past, past(&a, &[]));
        assert_eq!(record.meet("x@y", &mut &b"one"[..], None).expect("memory").past, past(&[], &c));
        assert_eq!(
            record.meet("x@y", &mut &b"one"[..], None).expect("memory").past,
            Past::default(),
            "a third one is new"
        );
        assert_eq!(
            record.meet("x@y", &mut &b"two"[..], None).expect("memory").past,
            Past::default()
        );
        assert_eq!(
            record.meet("z@y", &mut &b"one"[..], None).expect("memory").past,
            Past::default(),
            "from another sender"
        );
        record.begin(at, &first, &b).expect("written");
        record.end(at, &first, [(&["b@b"][..], Fate::Accepted)]).expect("written");
        drop(record);

        let mut record = Record::open(&path, false).expect("a record");
        assert_eq!(record.meet("x@y", &mut &b"one"[..], None).expect("memory").past, past(&c, &[]));
        drop(record);
        let mut record = Record::open(&path, true).expect("a record");
        assert_eq!(
            record.meet("x@y", &mut &b"one"[..], None).expect("memory").past,
            Past::default()
        );
    }

    #[test]
    fn a_cut_line_is_removed_and_another_file_is_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("state");
        let mut record = Record::open(&path, false).expect("a record");
        for message in [b"one", b"two"] {
            let entry = record.meet("x@y", &mut &message[..], None).expect("memory");
            record.begin(("1", "smtp://x"), &entry, &to(&["a@b"])).expect("written");
        }
        drop(record);
        let whole = fs::read(&path).expect("a file");
        let first = whole.iter().position(|octet| *octet == b'\n').expect("a line") + 1;
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).expect("written");
            let record = Record::open(&path, false).expect("a record");
            assert_eq!(record.known.len(), usize::from(cut >= first), "{cut}");
            let length = if cut < first { 0 } else { first };
            assert_eq!(fs::metadata(&path).expect("a file").len(), length as u64, "{cut}");
        }
        for other in [&b"From: a@b\n\nx\n"[..], b"{}\n", b"\n"] {
            fs::write(&path, other).expect("written");
            for anew in [false, true] {
                let error = Record::open(&path, anew).expect_err("no record").message;
                assert!(error.contains("line 1 is not a record"), "{error}");
            }
            assert_eq!(fs::read(&path).expect("a file"), other);
        }
    }
}
