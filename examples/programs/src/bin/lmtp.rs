//! An LMTP server on a Unix socket. It delivers to Maildirs, reads a renewed certificate at SIGHUP, and ends in order at
//! SIGTERM.

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use std::{env, fs};

use starttls::lmtp::Lmtp;
use starttls_tokio::{Answer, Certificates, Deliver, Inbox, InboxSettings, Mail, Maildir};
use starttls_tokio::{Places, Recipient, Silent, Timeouts, serve};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch::{self, Receiver};
use tokio::task::block_in_place;

/// The directory with a Maildir for each user.
struct Mailboxes(PathBuf);

impl Mailboxes {
    /// The Maildir of an address. Only letters and digits, so that no name leads to another directory.
    fn find(&self, address: &str) -> Option<PathBuf> {
        let user = address.split('@').next().filter(|user| !user.is_empty())?;
        let path = self.0.join(user);
        (user.bytes().all(|c| c.is_ascii_alphanumeric()) && path.is_dir()).then_some(path)
    }

    fn store(&self, mail: &Mail) -> Result<Answer, Box<dyn Error>> {
        // LMTP asks once for each recipient.
        let maildir = Maildir::new(self.find(&mail.to[0].path).ok_or("the mailbox is gone")?)?;
        let received = mail.received("localhost", None, SystemTime::now())?;
        maildir.store(&mail.into(), &[received.as_bytes(), &mail.message].concat())?;
        Ok(Answer::new(250, "2.0.0 Delivered"))
    }
}

impl Deliver for Mailboxes {
    async fn recipient(&mut self, _: &Mail, recipient: &Recipient) -> Answer {
        let found = self.find(&recipient.path).map(|_| Answer::new(250, "2.1.5 Ok"));
        found.unwrap_or_else(|| Answer::new(550, "5.1.1 No such user"))
    }

    async fn deliver(&mut self, mail: &Mail) -> Answer {
        // 250 promises that the mail is on disk, so this waits for the disk.
        let stored = block_in_place(|| self.store(mail)).inspect_err(|error| eprintln!("{error}"));
        stored.unwrap_or_else(|_| Answer::new(451, "4.3.0 Cannot be stored now"))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = env::args().skip(1).collect();
    let [socket, mailboxes, chain, key] = &args[..] else {
        return Err("usage: lmtp SOCKET MAILBOXES CHAIN.PEM KEY.PEM".into());
    };
    let certificates = Certificates::from_pem_files(chain, key)?;
    // No connection lasts longer, so that none can hold up the end.
    let timeouts = Timeouts::new().with_total(Duration::from_secs(300));
    let settings = InboxSettings::new("localhost", certificates.config()?);
    let inbox = Inbox::new(settings.with_timeouts(timeouts));
    let (mut hup, mut stop) = (signal(SignalKind::hangup())?, signal(SignalKind::terminate())?);
    let (running, end) = watch::channel(());
    tokio::spawn(async move {
        while let Some(()) = tokio::select! { got = hup.recv() => got, _ = stop.recv() => None } {
            certificates.reload().unwrap_or_else(|error| eprintln!("{error}"));
        }
        drop(running);
    });
    let ended = |mut end: Receiver<()>| async move { while end.changed().await.is_ok() {} };
    let talk = |stream, _| {
        let (inbox, mut mailboxes) = (inbox.clone(), Mailboxes(mailboxes.into()));
        let end = ended(end.clone());
        async move {
            let end = inbox.receive_until::<Lmtp, _>(stream, None, &mut mailboxes, Silent, end);
            end.await.unwrap_or_else(|error| eprintln!("{error}"));
        }
    };
    serve(&UnixListener::bind(socket)?, Places::new(100), ended(end.clone()), drop, talk).await;
    Ok(fs::remove_file(socket)?)
}
