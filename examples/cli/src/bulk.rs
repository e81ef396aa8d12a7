//! `starttls send` of many mails over one connection.

use std::io::IsTerminal as _;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use starttls::lmtp::Lmtp;
use starttls::mail::session::Fate;
use starttls::smtp::{Dialect, Smtp};
use starttls_std::{Advice, Connection, Doing, Error, Mailer, Receipt};

use crate::args::Send;
use crate::dial::trust;
use crate::ladder::Ladder;
use crate::mailbox::{Letter, Mailbox, Mails};
use crate::out::out;
use crate::outcome::{self, Failure};
use crate::picture::Tone;
use crate::send::{envelope, parse, settings};
use crate::url::{Kind, Url};

/// So many mails in a row that end their connection are enough.
const LOST_IN_A_ROW: usize = 3;

pub(crate) fn run(args: &Send, url: &Url, mailbox: &Mailbox) -> Result<(), Failure> {
    if args.subject.is_some() {
        return Err(Failure::local("--subject is for a text; these mails have headers"));
    }
    let mailer = Mailer::new(settings(args, url, trust(args.ca.as_deref())?)?);
    let mut ladder = Ladder::new(false, &url.host);
    ladder.open(&format!("mails to {}://{}:{}", url.scheme.name(), url.host, url.port));
    match url.scheme.kind {
        Kind::Lmtp => all::<Lmtp>(args, &mailer, mailbox, &mut ladder),
        _ => all::<Smtp>(args, &mailer, mailbox, &mut ladder),
    }
}

/// Counts what became of the mails, and shows each.
#[derive(Debug)]
struct Tally<'a> {
    json: bool,
    bar: &'a ProgressBar,
    sent: usize,
    refused: usize,
    failed: usize,
    /// Of those that failed, the server may have so many.
    unknown: usize,
    code: Option<u8>,
}

/// A mail that can be sent, as far as we can tell.
#[derive(Debug)]
struct Ready {
    name: String,
    from: String,
    to: Vec<String>,
    message: Vec<u8>,
}

impl Ready {
    fn send<D: Dialect>(&self, connection: &mut Connection<'_, D>) -> Result<Receipt, Error> {
        let (from, to) = parse(&self.from, &self.to)?;
        connection.send(&envelope(from, &to, &self.message)?, &self.message[..])
    }

    fn check(&self) -> Result<(), Error> {
        if self.to.is_empty() {
            let why = "names no recipients".to_owned();
            return Err(Error::Argument { what: "the mail", why });
        }
        let (from, to) = parse(&self.from, &self.to)?;
        envelope(from, &to, &self.message).map(drop)
    }
}

/// The next mail that can be sent; those before it that cannot are counted.
fn next(args: &Send, mails: &mut Mails<'_>, tally: &mut Tally<'_>) -> Option<Ready> {
    for (name, mail) in mails {
        let letter = match mail {
            Ok(mail) => Letter::read(mail),
            Err(error) => {
                let error = Error::Io { doing: Doing::Other("reading the mail"), error };
                tally.count(&name, "", &[], &Err(error));
                continue;
            }
        };
        let mail = Ready {
            name,
            from: args.from.clone().or(letter.from).unwrap_or_default(),
            to: if args.to.is_empty() { letter.to } else { args.to.clone() },
            message: letter.message,
        };
        match mail.check() {
            Ok(()) => return Some(mail),
            Err(error) => tally.count(&mail.name, &mail.from, &mail.to, &Err(error)),
        }
    }
    None
}

/// Sends them over as few connections as the server lets us.
///
/// It may end one between two mails: what it then does not have goes over another one, once. Who
/// cannot be reached now, or ends connection after connection, will do so in a moment, too.
fn all<D: Dialect>(
    args: &Send,
    mailer: &Mailer,
    mailbox: &Mailbox,
    ladder: &mut Ladder,
) -> Result<(), Failure> {
    let bar = progress(args, mailbox);
    let mut tally = Tally {
        json: args.json,
        bar: &bar,
        sent: 0,
        refused: 0,
        failed: 0,
        unknown: 0,
        code: None,
    };
    let mut mails = mailbox.mails(&bar).map_err(Failure::from_io)?;
    let mut lost = 0;
    let mut stopped = None;
    let mut first = next(args, &mut mails, &mut tally);
    let mut connections = 0;
    while let Some(mail) = first.take() {
        if connections > 0 {
            ladder.again();
        }
        connections += 1;
        let mut connection = match mailer.connect_as::<D>(&mut *ladder) {
            Ok(connection) => connection,
            Err(unreachable) => {
                tally.count(&mail.name, &mail.from, &mail.to, &Err(unreachable));
                stopped = Some(mail.name);
                break;
            }
        };
        let mut used = false;
        let mut current = Some(mail);
        while let Some(mail) = current.take() {
            let outcome = mail.send(&mut connection);
            let is_lost = !connection.is_open();
            if is_lost && used && matches!(&outcome, Err(error) if error.fate().is_safe_to_retry())
            {
                first = Some(mail);
                break;
            }
            tally.count(&mail.name, &mail.from, &mail.to, &outcome);
            used = true;
            if !is_lost {
                lost = 0;
            } else if matches!(&outcome, Err(error) if !is_the_mail_s(error)) {
                lost += 1;
            }
            if lost == LOST_IN_A_ROW {
                stopped = Some(mail.name);
                break;
            }
            let following = next(args, &mut mails, &mut tally);
            if is_lost {
                first = following;
            } else {
                current = following;
            }
        }
        if connection.is_open() {
            let _ = connection.quit();
        }
    }
    bar.finish_and_clear();
    tally.end(stopped, ladder, args.ladder_svg.as_deref())
}

/// Whether another mail may fare better over the same way.
fn is_the_mail_s(error: &Error) -> bool {
    matches!(error, Error::Argument { .. })
        || error.protocol().is_some_and(starttls::Error::is_ours)
}

fn progress(args: &Send, mailbox: &Mailbox) -> ProgressBar {
    if args.json || !std::io::stdout().is_terminal() {
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

/// What `--json` prints of a mail; all keys always there.
#[derive(Debug, Serialize)]
struct Report<'a> {
    mail: &'a str,
    from: &'a str,
    recipients: Vec<Recipient<'a>>,
    fate: &'static str,
    safe_to_retry: bool,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct Recipient<'a> {
    address: &'a str,
    accepted: bool,
    /// What the server said, where it said something of this recipient.
    answer: Option<String>,
}

impl Tally<'_> {
    fn count(&mut self, name: &str, from: &str, to: &[String], outcome: &Result<Receipt, Error>) {
        let fate = match outcome {
            Ok(receipt) if receipt.recipients.iter().any(|answer| answer.is_yes()) => {
                Fate::Accepted
            }
            Ok(_) => Fate::NotAccepted,
            Err(error) => error.fate(),
        };
        let complete = matches!(outcome, Ok(receipt) if receipt.is_complete());
        let code = match outcome {
            Ok(_) => 6,
            Err(error) => outcome::code(error),
        };
        if complete {
            self.sent += 1;
        } else if code == 6 {
            self.refused += 1;
            self.code = Some(6);
        } else {
            self.failed += 1;
            self.unknown += usize::from(fate == Fate::Unknown);
            self.code = self.code.or(Some(code));
        }
        if self.json {
            self.print(name, from, to, outcome, fate);
        } else if self.bar.is_hidden() || !complete {
            self.bar.suspend(|| show(name, to, outcome, fate));
        }
    }

    fn print(
        &self,
        mail: &str,
        from: &str,
        to: &[String],
        outcome: &Result<Receipt, Error>,
        fate: Fate,
    ) {
        let answers = outcome.as_ref().map_or(&[][..], |receipt| &receipt.recipients);
        let recipients = to.iter().enumerate().map(|(n, address)| Recipient {
            address,
            accepted: answers.get(n).is_some_and(|answer| answer.is_yes()),
            answer: answers.get(n).map(ToString::to_string),
        });
        let report = Report {
            mail,
            from,
            recipients: recipients.collect(),
            fate: word(fate),
            safe_to_retry: fate.is_safe_to_retry(),
            error: outcome.as_ref().err().map(ToString::to_string),
        };
        match serde_json::to_string(&report) {
            Ok(json) => out!("{json}"),
            Err(error) => eprintln!("starttls: {error}"),
        }
    }

    fn end(
        self,
        stopped: Option<String>,
        ladder: &mut Ladder,
        picture: Option<&Path>,
    ) -> Result<(), Failure> {
        let Self { sent, refused, failed, unknown, .. } = self;
        let unknown = if unknown > 0 {
            format!(", {unknown} of them perhaps delivered")
        } else {
            String::new()
        };
        let verdict = format!("{sent} sent, {refused} refused, {failed} failed{unknown}");
        if !self.json {
            out!("  {verdict}");
        }
        let tone = if self.code.is_none() { Tone::Good } else { Tone::Bad };
        let saved = ladder.save(picture, [(verdict, tone)]);
        let Some(code) = self.code else { return saved };
        let message = match stopped {
            Some(name) => format!("gave up at {name}; what follows was not sent"),
            None => format!("{} mails were not sent to everybody", refused + failed),
        };
        Err(Failure { message, code })
    }
}

const fn word(fate: Fate) -> &'static str {
    match fate {
        Fate::NotSent => "not sent",
        Fate::NotAccepted => "not accepted",
        Fate::Accepted => "accepted",
        Fate::Unknown => "unknown",
    }
}

/// One line a mail.
fn show(name: &str, to: &[String], outcome: &Result<Receipt, Error>, fate: Fate) {
    match outcome {
        Ok(receipt) => {
            let answers: Vec<String> = to
                .iter()
                .zip(&receipt.recipients)
                .map(|(to, answer)| {
                    let not = if answer.is_yes() { "" } else { "NOT " };
                    format!("{not}to <{to}>: {answer}")
                })
                .collect();
            let verdict = if receipt.is_complete() { "sent" } else { "REFUSED" };
            out!("  {verdict:<8} {name}  {}", answers.join("; "));
        }
        Err(error) => {
            let verdict = if fate == Fate::Unknown { "UNKNOWN" } else { "NOT SENT" };
            let advice = match error.advice() {
                _ if !fate.is_safe_to_retry() => "sent again it may arrive twice",
                Advice::ChangeMail | Advice::CheckLogin => "for good",
                Advice::MendArgument => "mend it first",
                Advice::Encode | Advice::MakeSmaller | Advice::DoWithout => "not like that",
                _ => "safe to send again",
            };
            out!("  {verdict:<8} {name}  {error} ({advice})");
        }
    }
}
