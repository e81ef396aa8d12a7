//! `starttls send --queue` and `starttls queue`.

use std::io::ErrorKind;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use starttls::lmtp::Lmtp;
use starttls::smtp::Smtp;
use starttls_std::queue::{Queue, QueueSettings, Run, Waiting};
use starttls_std::{Error, Pool, PoolSettings, Settings};

use crate::args::{self, QueueAction, QueueList, QueueRun, Send};
use crate::dial::trust;
use crate::excerpt::visible;
use crate::files;
use crate::out::{out, tell};
use crate::outcome::{Failure, WAITING};
use crate::send;
use crate::stop::Stop;
use crate::url::{Kind, Url};

/// The version of the objects that `--json` prints.
const SCHEMA: u32 = 1;

/// How often `--watch` looks for mails that are due.
const LOOK: Duration = Duration::from_secs(2);

/// How often it looks for a signal meanwhile.
const HEED: Duration = Duration::from_millis(100);

pub(crate) fn run(args: &args::Queue) -> Result<(), Failure> {
    match &args.action {
        QueueAction::Run(args) if args.watch => watch(args),
        QueueAction::Run(args) => once(args),
        QueueAction::List(args) => list(args),
    }
}

/// Stores a mail for a later [`run`].
pub(crate) fn store(args: &Send, directory: &Path) -> Result<(), Failure> {
    let letter = send::message(args, &args.to)?;
    let (from, to) = send::parse(send::sender(args), &args.to)?;
    let envelope = send::envelope(from, &to, &letter)?;
    let message = letter.message.to_bytes().map_err(Failure::from_io)?;
    let id =
        open(directory, args.account.own_name())?.push(&envelope, &message, SystemTime::now())?;
    out!("queued as {id}");
    Ok(())
}

fn open(directory: &Path, name: Option<&str>) -> Result<Queue, Failure> {
    let settings = QueueSettings::new(name.unwrap_or("localhost"));
    Queue::open(directory, settings).map_err(|error| files::failed("the queue", directory, &error))
}

/// The same for a queue that has to exist: a new one would hide a wrong name.
fn open_existing(directory: &Path, name: Option<&str>) -> Result<Queue, Failure> {
    if !directory.join("mails").is_dir() {
        let place = directory.display();
        let message = format!("{place} is not a queue; `starttls send --queue` makes one");
        return Err(Failure::local(message));
    }
    open(directory, name)
}

/// What a run needs.
struct Sender {
    queue: Queue,
    settings: Settings,
    kind: Kind,
    stop: Stop,
}

impl Sender {
    fn new(args: &QueueRun) -> Result<Self, Failure> {
        let queue = open_existing(&args.directory, args.account.own_name())?;
        let url: Url = args.server.named(args.account.name.as_deref()).map_err(Failure::local)?;
        let settings = send::settings(&args.account, &url, trust(&args.account.peer)?)?;
        Ok(Self { queue, settings, kind: url.scheme.kind, stop: Stop::listen_apart(send::WAITS)? })
    }

    /// Sends what is due, over one connection.
    fn run(&self) -> Result<Run, Error> {
        // The queue retries.
        let pool = PoolSettings::new().with_connections(1).with_retries(0);
        let goes_on = || !self.stop.is_asked();
        let now = SystemTime::now();
        match self.kind {
            Kind::Lmtp => {
                let pool = Pool::<Lmtp>::new_as(self.settings.clone(), pool);
                let run = self.queue.run_while(&pool, now, &goes_on);
                pool.shutdown();
                run
            }
            _ => {
                let pool = Pool::<Smtp>::new_as(self.settings.clone(), pool);
                let run = self.queue.run_while(&pool, now, &goes_on);
                pool.shutdown();
                run
            }
        }
    }
}

/// The object of a run.
#[derive(Serialize)]
struct Ran {
    schema: u32,
    delivered: usize,
    failed: usize,
    waiting: usize,
    unreadable: usize,
}

fn show(run: &Run, json: bool) -> Result<(), Failure> {
    let Run { delivered, failed, waiting, unreadable, .. } = *run;
    if json {
        return print(&Ran { schema: SCHEMA, delivered, failed, waiting, unreadable });
    }
    out!("{delivered} delivered, {failed} failed (recipients); {}", wait(waiting));
    Ok(())
}

fn print(object: &impl Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(object).map_err(|error| Failure::local(error.to_string()))?;
    out!("{line}");
    Ok(())
}

fn once(args: &QueueRun) -> Result<(), Failure> {
    let run = Sender::new(args)?.run()?;
    show(&run, args.json)?;
    let directory = args.directory.display();
    let (message, code) = if run.failed > 0 {
        let what = match run.failed {
            1 => "1 recipient failed for good; the sender gets a report, unless it asked for none"
                .to_owned(),
            more => format!(
                "{more} recipients failed for good; their senders get reports, unless they asked for none"
            ),
        };
        (what, 6)
    } else if run.unreadable > 0 {
        (unreadable(run.unreadable, &args.directory), 1)
    } else if run.waiting > 0 {
        let why = format!("`starttls queue list {directory}` shows why");
        (format!("{} for a later attempt; {why}", wait(run.waiting)), WAITING)
    } else {
        return Ok(());
    };
    Err(Failure { message, code })
}

fn mails(count: usize) -> String {
    if count == 1 { "1 mail".to_owned() } else { format!("{count} mails") }
}

fn unreadable(count: usize, directory: &Path) -> String {
    let why = format!("`starttls queue list {}` names the files", directory.display());
    format!("{} cannot be read; {why}", mails(count))
}

fn wait(count: usize) -> String {
    if count == 1 { "1 mail waits".to_owned() } else { format!("{count} mails wait") }
}

fn watch(args: &QueueRun) -> Result<(), Failure> {
    let sender = Sender::new(args)?;
    let mut told = 0;
    loop {
        let run = match sender.run() {
            // The other process sends what is due.
            Err(Error::Io { error, .. }) if error.kind() == ErrorKind::WouldBlock => Run::default(),
            run => run?,
        };
        if run.delivered + run.failed > 0 {
            show(&run, args.json)?;
        }
        // Once, and not at each look.
        if run.unreadable > told {
            tell!("{}", unreadable(run.unreadable, &args.directory));
        }
        told = run.unreadable;
        let mut waited = Duration::ZERO;
        while waited < LOOK {
            if sender.stop.is_asked() {
                return Ok(());
            }
            thread::sleep(HEED);
            waited += HEED;
        }
    }
}

/// The object of a mail.
#[derive(Serialize)]
struct Listed {
    schema: u32,
    id: String,
    from: String,
    recipients: Vec<Recipient>,
    size: usize,
    /// Seconds since 1970, like `next`.
    since: u64,
    next: u64,
    attempts: u32,
}

#[derive(Serialize)]
struct Recipient {
    address: String,
    /// The last reply or error; `null` before the first attempt.
    said: Option<String>,
}

fn list(args: &QueueList) -> Result<(), Failure> {
    let queue = open_existing(&args.directory, None)?;
    let list = queue.list().map_err(|error| files::failed("the queue", &args.directory, &error))?;
    for mail in list.waiting {
        if args.json { print(&listed(mail))? } else { describe(&mail) }
    }
    for file in &list.unreadable {
        tell!("{}: not of this version, or damaged", file.display());
    }
    match list.unreadable.len() {
        0 => Ok(()),
        count => Err(Failure::local(format!(
            "{} cannot be read, and will not be sent. Repair the file, or remove it.",
            mails(count)
        ))),
    }
}

fn listed(mail: Waiting) -> Listed {
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let recipient = |(address, said): (String, String)| Recipient {
        address,
        said: Some(said).filter(|said| !said.is_empty()),
    };
    Listed {
        schema: SCHEMA,
        id: mail.id,
        from: mail.from.unwrap_or_default(),
        recipients: mail.to.into_iter().map(recipient).collect(),
        size: mail.size,
        since: seconds(mail.since),
        next: seconds(mail.next),
        attempts: mail.attempts,
    }
}

fn describe(mail: &Waiting) {
    let next = match mail.next.duration_since(SystemTime::now()) {
        Ok(wait) => format!("next in {} min", wait.as_secs().div_ceil(60)),
        Err(_) => "due".to_owned(),
    };
    let (id, size, attempts) = (&mail.id, mail.size, mail.attempts);
    let from = mail.from.as_deref().unwrap_or_default();
    out!("{id}  {size} bytes from <{}>, attempts: {attempts}, {next}", visible(from));
    for (to, said) in &mail.to {
        let said = if said.is_empty() { "not tried yet" } else { said };
        out!("  <{}>: {}", visible(to), visible(said));
    }
}
