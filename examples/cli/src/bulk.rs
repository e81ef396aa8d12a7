//! `starttls send` of many mails over one connection.

use std::io;

use indicatif::{ProgressBar, ProgressStyle};
use starttls::lmtp::Lmtp;
use starttls::smtp::{Dialect, Smtp};
use starttls_std::{Connection, Doing, Error, Mailer, Receipt};

use crate::args::Send;
use crate::dial::trust;
use crate::ladder::Ladder;
use crate::letter::Letter;
use crate::mailbox::{Mailbox, Mails};
use crate::misfit::hint;
use crate::out::{self, tell};
use crate::outcome::{self, Failure};
use crate::record::{Entry, Record};
use crate::report::Reports;
use crate::send::{WAITS, envelope, parse, settings};
use crate::stop::Stop;
use crate::tally::{Halt, Named, Tally};
use crate::url::{Kind, Url};

/// Gives up after this many mails in a row whose connection ended.
const LOST_IN_A_ROW: usize = 3;

pub(crate) fn run(
    args: &Send,
    url: &Url,
    mailbox: &Mailbox,
    reports: &mut Reports,
) -> Result<(), Failure> {
    if args.subject.is_some() {
        return Err(Failure::local("--subject is only for text; these mails already have headers"));
    }
    let mailer = Mailer::new(settings(&args.account, url, trust(&args.account.peer)?)?);
    let mut ladder = Ladder::new(false, url.name());
    ladder.open(&format!("mails to {url}"));
    match url.scheme.kind {
        Kind::Lmtp => all::<Lmtp>(args, &mailer, mailbox, (&mut ladder, url.to_string()), reports),
        _ => all::<Smtp>(args, &mailer, mailbox, (&mut ladder, url.to_string()), reports),
    }
}

/// A mail and the known part of its envelope.
#[derive(Debug)]
struct Ready {
    name: String,
    from: String,
    /// The recipients to send to now.
    to: Vec<String>,
    letter: Letter,
    entry: Option<Entry>,
}

impl Ready {
    /// The header provides what the options do not.
    fn new(args: &Send, name: String, letter: Letter) -> (Self, Result<(), Error>) {
        let mut mail = Self { name, from: String::new(), to: Vec::new(), letter, entry: None };
        let checked = mail.fill(args);
        (mail, checked)
    }

    fn fill(&mut self, args: &Send) -> Result<(), Error> {
        let letter = &self.letter;
        letter.check(args.allow_empty)?;
        // The recipients first: they must not be lost.
        self.to = if args.to.is_empty() { letter.recipients()? } else { &args.to }.to_vec();
        self.from = args.from.as_deref().map_or_else(|| letter.sender(), Ok)?.to_owned();
        let (from, to) = parse(&self.from, &self.to)?;
        envelope(from, &to, letter).map(drop)
    }

    /// Removes the recipients that have it from an earlier run; returns whether any remain.
    fn meet(&mut self, tally: &mut Tally<'_>) -> Result<bool, Error> {
        let letter = &self.letter;
        let mut message = letter.message.reader();
        let entry = tally.meet(&self.from, &mut message, letter.id.as_deref());
        self.entry = entry.map_err(unread)?;
        if let Some(entry) = &self.entry {
            self.to.retain(|to| !entry.past.accepted.contains(to));
        }
        Ok(!self.to.is_empty())
    }

    fn send<D: Dialect>(&self, connection: &mut Connection<'_, D>) -> Result<Receipt, Error> {
        let (from, to) = parse(&self.from, &self.to)?;
        connection.send_to_all(&envelope(from, &to, &self.letter)?, || self.letter.message.reader())
    }

    fn named(&self) -> Named<'_> {
        Named { name: &self.name, from: &self.from, to: &self.to, entry: self.entry.as_ref() }
    }
}

fn unread(error: io::Error) -> Error {
    Error::Io { doing: Doing::Other("reading the mail"), error }
}

/// The next mail to send; skipped mails, unusable or already sent, are counted.
fn next(args: &Send, mails: &mut Mails<'_>, tally: &mut Tally<'_>) -> Option<Ready> {
    for (name, mail) in mails {
        let letter = match mail {
            Ok(letter) => letter,
            Err(error) => {
                let named = Named { name: &name, from: "", to: &[], entry: None };
                tally.count(named, &Err(unread(error)));
                continue;
            }
        };
        let (mut mail, checked) = Ready::new(args, name, letter);
        match checked.and_then(|()| mail.meet(tally)) {
            Ok(true) => return Some(mail),
            Ok(false) => tally.skip(mail.named()),
            Err(error) => tally.count(mail.named(), &Err(error)),
        }
    }
    None
}

/// Sends the mails, and reports those that were not tried.
fn all<D: Dialect>(
    args: &Send,
    mailer: &Mailer,
    mailbox: &Mailbox,
    (ladder, server): (&mut Ladder, String),
    reports: &mut Reports,
) -> Result<(), Failure> {
    let record = record(args)?;
    let stop = Stop::listen_apart(WAITS)?;
    let bar = progress(args, mailbox);
    let mut tally = Tally::new(reports, &bar, record, server);
    let mut mails = mailbox.mails(&bar).map_err(Failure::from_io)?;
    let mut first = next(args, &mut mails, &mut tally);
    let halt = each::<D>(args, mailer, (&mut first, &mut mails), &stop, ladder, &mut tally);
    if let Some(Halt::At(_, Some(error))) = &halt {
        tally.advice = advice(error, args, ladder);
    }
    let mut left = 0;
    if let (Some(_), Some(failure)) = (&halt, tally.failure(halt.as_ref())) {
        while let Some(mail) = first.take().or_else(|| next(args, &mut mails, &mut tally)) {
            left += 1;
            tally.leave(mail.named(), &failure);
        }
    }
    bar.finish_and_clear();
    // A signal during the last mail stopped nothing.
    let halt = halt.filter(|halt| left > 0 || matches!(halt, Halt::At(..)));
    let saved = tally.sum_up(left, ladder, args.ladder_svg.as_deref());
    tally.failure(halt.as_ref()).map_or(saved, Err)
}

/// The record of sent mails: required if the user asked for it, otherwise kept if possible.
fn record(args: &Send) -> Result<Option<Record>, Failure> {
    if let Some(path) = &args.state {
        return Record::open(path, args.again).map(Some);
    }
    let Some(mailbox) = &args.file else { return Ok(None) };
    let path = Record::beside(mailbox);
    match Record::open(&path, args.again) {
        Err(_) if !path.exists() => {
            tell!("sent mails are not recorded: {} cannot be created; see --state", path.display());
            Ok(None)
        }
        record => record.map(Some),
    }
}

/// Sends the mails over as few connections as the server allows; returns why it stopped early. A mail that was not
/// tried is `first` again.
///
/// The server may end a connection between two mails: the mail that it lacks then goes over another one, once. A
/// server that is unreachable, or ends connection after connection, will not recover at once, so this gives up.
fn each<D: Dialect>(
    args: &Send,
    mailer: &Mailer,
    (first, mails): (&mut Option<Ready>, &mut Mails<'_>),
    stop: &Stop,
    ladder: &mut Ladder,
    tally: &mut Tally<'_>,
) -> Option<Halt> {
    let mut lost = 0;
    let mut connections = 0;
    while let Some(mail) = first.take() {
        if stop.is_asked() {
            *first = Some(mail);
            return Some(Halt::Signal);
        }
        if connections > 0 {
            ladder.again();
        }
        connections += 1;
        let mut connection = match mailer.connect_as::<D>(&mut *ladder) {
            Ok(connection) => connection,
            Err(unreachable) => {
                let outcome = Err(unreachable);
                tally.count(mail.named(), &outcome);
                return Some(Halt::At(mail.name, outcome.err()));
            }
        };
        let mut used = false;
        let mut current = Some(mail);
        while let Some(mail) = current.take() {
            if let Err(error) = tally.begin(mail.named()) {
                tally.count(mail.named(), &Err(error));
                let _ = connection.quit();
                return Some(Halt::At(mail.name, None));
            }
            let outcome = mail.send(&mut connection);
            let is_lost = !connection.is_open();
            if is_lost && used && matches!(&outcome, Err(error) if error.fate().is_safe_to_retry())
            {
                tally.put_back(mail.named(), &outcome);
                *first = Some(mail);
                break;
            }
            tally.count(mail.named(), &outcome);
            used = true;
            if !is_lost {
                lost = 0;
            } else if matches!(&outcome, Err(error) if !is_the_mail_s(error)) {
                lost += 1;
            }
            let halt = if lost == LOST_IN_A_ROW {
                Some(Halt::At(mail.name, None))
            } else {
                stop.is_asked().then_some(Halt::Signal)
            };
            if halt.is_some() {
                if !is_lost {
                    let _ = connection.quit();
                }
                return halt;
            }
            let following = next(args, mails, tally);
            if is_lost {
                *first = following;
            } else {
                current = following;
            }
        }
        if connection.is_open() {
            let _ = connection.quit();
        }
    }
    None
}

/// The advice for an unusable server.
fn advice(error: &Error, args: &Send, ladder: &Ladder) -> String {
    if outcome::is_of_name(error, ladder.introducing) {
        return outcome::NAME_ANOTHER.to_owned();
    }
    args.server.as_ref().and_then(|url| hint(error, url, &ladder.greeting)).unwrap_or_default()
}

/// Whether another mail may succeed over the same server.
fn is_the_mail_s(error: &Error) -> bool {
    matches!(error, Error::Argument { .. })
        || error.protocol().is_some_and(starttls::Error::is_ours)
}

fn progress(args: &Send, mailbox: &Mailbox) -> ProgressBar {
    if args.json || !out::is_terminal() {
        return ProgressBar::hidden();
    }
    let count = match mailbox {
        Mailbox::Files(_) => "{pos}/{len} mails",
        Mailbox::Mbox(_) => "{bytes}/{total_bytes}",
    };
    let template = format!("  {{bar:40.cyan/dim}} {count}, {{eta}} left");
    let style = ProgressStyle::with_template(&template)
        .map_or_else(|_| ProgressStyle::default_bar(), |style| style.progress_chars("━━─"));
    ProgressBar::new(mailbox.length()).with_style(style)
}
