//! The delivery of mails in `starttls serve`, and its permitted senders.

use std::io::{self, BufRead as _, BufReader, Seek as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use starttls_tokio::{Answer, Deliver, Error, Mail, Peer, PeerCertificate, Secret, StoredPassword};
use tempfile::NamedTempFile;
use tokio::sync::Mutex;
use tokio::task::{block_in_place, spawn_blocking};
use tokio::time::timeout;

use crate::excerpt::visible;
use crate::files;
use crate::out::{self, out, tell};
use crate::outcome::Failure;
use crate::spool::{self, Spool};

/// The time that a mail waits for its turn on standard output.
const TURN: Duration = Duration::from_secs(10);

/// The piece of a line that a terminal gets at a time.
const LINE: u64 = 4096;

/// The one user who may send, and the password in both forms that logins need.
#[derive(Debug)]
pub(crate) struct Account {
    name: String,
    password: Secret,
    stored: StoredPassword,
}

impl Account {
    /// A user with the password in this file, of --password-file.
    pub(crate) fn read(name: &str, file: &Path) -> Result<Self, Failure> {
        let password = files::password(file)?;
        Self::new(name, &password).map_err(|error| match error {
            Error::Argument { what: "the password", why } => {
                let advice = "Put a password of at most 255 bytes, without NUL, in the first line.";
                files::unusable("--password-file", file, format!("its password {why}"), advice)
                    .into()
            }
            error => error.into(),
        })
    }

    fn new(name: &str, password: &str) -> Result<Self, Error> {
        let provider = rustls::crypto::ring::default_provider();
        let stored = StoredPassword::new(password, &provider)?;
        Ok(Self { name: name.to_owned(), password: Secret::new(password), stored })
    }
}

/// A directory, or standard output.
#[derive(Debug)]
pub(crate) struct Store {
    directory: Option<Spool>,
    account: Option<Account>,
    /// This server's name in the trace lines in front of each message, if it adds them.
    trace: Option<&'static str>,
    /// The turns on standard output.
    output: Mutex<()>,
}

impl Store {
    /// Delivers to this directory, or to standard output; accepts any sender, or only this account.
    pub(crate) fn new(directory: Option<&Path>, account: Option<Account>) -> Result<Self, Failure> {
        let open = |path: &Path| {
            Spool::open(path)
                .map_err(|error| Failure::from(files::unreadable("--deliver", path, &error)))
        };
        let directory = directory.map(open).transpose()?;
        Ok(Self { directory, account, trace: None, output: Mutex::new(()) })
    }

    /// Adds `Return-Path` and `Received` to each message, under this name.
    pub(crate) const fn with_trace(mut self, name: &'static str) -> Self {
        self.trace = Some(name);
        self
    }

    /// The lines in front of a message (RFC 5321 §4.4).
    fn head(&self, mail: &Mail) -> io::Result<String> {
        let Some(name) = self.trace else { return Ok(String::new()) };
        let path = mail.return_path().map_err(io::Error::other)?;
        let received = mail.received(name, None, SystemTime::now()).map_err(io::Error::other)?;
        Ok(path + &received)
    }

    /// A new message.
    fn begin(&self) -> io::Result<NamedTempFile> {
        self.directory.as_ref().map_or_else(spool::elsewhere, Spool::begin)
    }
}

/// Receives the mails of one connection.
#[derive(Debug)]
pub(crate) struct Delivery {
    store: Arc<Store>,
    message: Option<NamedTempFile>,
    /// Each recipient gets a copy: LMTP.
    copies: bool,
}

impl Delivery {
    pub(crate) const fn new(store: Arc<Store>, copies: bool) -> Self {
        Self { store, message: None, copies }
    }

    /// Writes the next piece. After an error the message is discarded.
    ///
    /// Not by `block_in_place`, which may start a thread for each piece: a large message would take a
    /// megabyte of stacks.
    async fn write(&mut self, mail: &Mail, piece: &[u8]) -> io::Result<()> {
        let (store, message) = (Arc::clone(&self.store), self.message.take());
        let head = if message.is_none() { store.head(mail)? } else { String::new() };
        let piece = [head.as_bytes(), piece].concat();
        let write = move || {
            let mut message = message.map_or_else(|| store.begin(), Ok)?;
            message.write_all(&piece)?;
            Ok::<_, io::Error>(message)
        };
        self.message = Some(spawn_blocking(write).await.map_err(io::Error::other)??);
        Ok(())
    }

    /// The message's destination.
    fn keep(&mut self, mail: &Mail, spool: &Spool) -> io::Result<String> {
        // A message without a single byte was never begun.
        let message = match self.message.take() {
            Some(message) => message,
            None => {
                let mut message = self.store.begin()?;
                message.write_all(self.store.head(mail)?.as_bytes())?;
                message
            }
        };
        if !self.copies {
            return spool.keep(message);
        }
        let kept = spool.keep_copy(&message);
        self.message = Some(message);
        kept
    }

    /// Prints the envelope and the message in one piece.
    async fn print(&mut self, mail: &Mail) -> io::Result<()> {
        let turn = timeout(TURN, self.store.output.lock()).await;
        let _turn = turn.map_err(|_| io::Error::other("no process reads standard output"))?;
        block_in_place(|| {
            out::raw(format!("{}\n", line(mail, "-")).as_bytes())?;
            if let Some(message) = &mut self.message {
                message.rewind()?;
                let mut message = BufReader::new(message.as_file());
                if out::is_terminal() { show(&mut message)? } else { out::copy(&mut message)? }
            }
            out::raw(b"\n")
        })
    }
}

fn tell_login(user: &str, is_right: bool) {
    match is_right {
        true => tell!("{user:?} logged in"),
        // Without the name: people type their passwords into the wrong field.
        false => tell!("a login was refused"),
    }
}

impl Deliver for Delivery {
    async fn authenticate(&mut self, _: &Peer, user: &str, password: &str) -> Answer {
        let account = self.store.account.as_ref();
        let is_right = account
            .is_some_and(|account| account.password.matches(password) && account.name == user);
        tell_login(user, is_right);
        if is_right {
            return Answer::new(235, "2.7.0 Authentication successful");
        }
        refused_login()
    }

    async fn stored(&mut self, _: &Peer, user: &str) -> Option<StoredPassword> {
        let account = self.store.account.as_ref().filter(|account| account.name == user);
        account.map(|account| account.stored.clone())
    }

    async fn proved(&mut self, _: &Peer, user: &str, is_right: bool) {
        tell_login(user, is_right);
    }

    /// A certificate from --client-ca entitles the client to each of its names, and to no other.
    async fn identify(
        &mut self,
        _: &Peer,
        certificate: &PeerCertificate,
        authorization: &str,
    ) -> Result<String, Answer> {
        let mut names = certificate.names();
        if names.is_empty() {
            names.push(certificate.subject());
        }
        let mut names = names.into_iter().filter(|name| !name.is_empty());
        match names.find(|name| authorization.is_empty() || name == authorization) {
            Some(user) => {
                tell!("{user:?} logged in by a certificate");
                Ok(user)
            }
            None => {
                tell!("a login by the certificate of {:?} was refused", certificate.subject());
                Err(refused_login())
            }
        }
    }

    async fn sender(&mut self, _: &Mail) -> Answer {
        self.message = None;
        Answer::new(250, "2.1.0 Sender ok")
    }

    async fn keep(&mut self, mail: &mut Mail, piece: &[u8]) -> Result<(), Answer> {
        // The disk may be slow.
        self.write(mail, piece).await.map_err(|error| not_stored(&error))
    }

    async fn deliver(&mut self, mail: &Mail) -> Answer {
        let store = Arc::clone(&self.store);
        let place = match &store.directory {
            Some(spool) => block_in_place(|| self.keep(mail, spool)),
            None => self.print(mail).await.map(|()| "standard output".to_owned()),
        };
        // This decides; a later announcement changes nothing.
        match place {
            Ok(place) => {
                if store.directory.is_some() {
                    out!("{}", line(mail, &place));
                }
                Answer::new(250, format!("2.0.0 Delivered to {place}"))
            }
            Err(error) => not_stored(&error),
        }
    }
}

/// The refusal of a login.
fn refused_login() -> Answer {
    Answer::new(535, "5.7.8 Authentication credentials invalid")
}

fn not_stored(error: &io::Error) -> Answer {
    tell!("a mail was not stored: {error}");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Answer::new(452, "4.3.1 No room to store it, try again later")
        }
        _ => Answer::new(451, "4.3.0 Could not be stored, try again later"),
    }
}

/// The log line of a mail: first our own data, then the client's text in quotes, with quotes and control characters
/// escaped.
fn line(mail: &Mail, place: &str) -> String {
    let channel = if mail.peer.is_encrypted() { "tls" } else { "plaintext" };
    let by = if mail.chunked { "BDAT" } else { "DATA" };
    let user = mail.peer.user.as_ref().map(|user| format!(" user={user:?}")).unwrap_or_default();
    let certified = |shown: &PeerCertificate| format!(" certificate={:?}", shown.subject());
    let certificate = mail.peer.certificate().map(certified).unwrap_or_default();
    let to: Vec<String> = mail.to.iter().map(|to| format!("{:?}", to.path)).collect();
    format!(
        "mail in={place} octets={} channel={channel} by={by}{user}{certificate} from={:?} to={}",
        mail.size,
        mail.from,
        to.join(",")
    )
}

/// A message for a terminal, with control characters escaped.
fn show(message: &mut impl io::BufRead) -> io::Result<()> {
    let mut piece = Vec::new();
    loop {
        piece.clear();
        if io::Read::take(&mut *message, LINE).read_until(b'\n', &mut piece)? == 0 {
            return Ok(());
        }
        let end = if piece.ends_with(b"\n") { "\n" } else { "" };
        let text = String::from_utf8_lossy(piece.trim_ascii_end());
        out::raw(format!("{}{end}", visible(&text)).as_bytes())?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let account = Account::new("me", "passw0rd").expect("a password");
        let shown = format!("{:?}", Store::new(None, Some(account)).expect("a store"));
        assert!(shown.contains("\"me\"") && shown.contains("StoredPassword(..)"), "{shown}");
        assert!(!shown.contains("passw0rd") && !shown.contains("SCRAM"), "{shown}");
    }

    #[test]
    fn a_client_cannot_forge_a_field() {
        let mut mail = Mail::default();
        mail.from = "\"a\\\" octets=1 channel=tls user=\\\"root\\\" in=y\"@x.example".into();
        mail.size = 3;
        assert_eq!(
            line(&mail, "1.eml"),
            "mail in=1.eml octets=3 channel=plaintext by=DATA \
             from=\"\\\"a\\\\\\\" octets=1 channel=tls user=\\\\\\\"root\\\\\\\" in=y\\\"@x.example\" to="
        );
    }
}
