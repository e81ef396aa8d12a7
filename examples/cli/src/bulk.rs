//! `starttls send` of many mails over one connection.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use starttls::lmtp::Lmtp;
use starttls::smtp::session::Fate;
use starttls::smtp::{Dialect, Smtp};
use starttls_std::{Connection, Error, Mailer, Receipt, Silent};

use crate::args::Send;
use crate::mailbox::{Letter, Mailbox};
use crate::out::out;
use crate::outcome::{self, Failure};
use crate::reach::trust;
use crate::send::{envelope, mailer, parse};
use crate::url::{Scheme, Url};

/// So many mails in a row that end their connection are enough.
const LOST_IN_A_ROW: usize = 3;

pub(crate) fn run(args: &Send, url: &Url, mailbox: &Mailbox) -> Result<(), Failure> {
    if args.subject.is_some() {
        return Err(Failure::local("--subject is for a text; these mails have headers"));
    }
    if args.ladder_svg.is_some() {
        return Err(Failure::local("--ladder-svg draws the exchange of one mail, not of many"));
    }
    let mailer = mailer(args, url, trust(args.ca.as_deref())?)?;
    match url.scheme {
        Scheme::Smtp | Scheme::Smtps => all::<Smtp>(args, &mailer, mailbox),
        Scheme::Lmtp => all::<Lmtp>(args, &mailer, mailbox),
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

fn all<D: Dialect>(args: &Send, mailer: &Mailer, mailbox: &Mailbox) -> Result<(), Failure> {
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
    let mut connection = None;
    let mut lost = 0;
    let mut stopped = None;
    for (name, mail) in mailbox.mails(&bar).map_err(Failure::from_io)? {
        let letter = match mail {
            Ok(mail) => Letter::read(mail),
            Err(error) => {
                let error = Error::Io { doing: "reading the mail", error };
                tally.count(&name, "", &[], &Err(error));
                continue;
            }
        };
        let from = args.from.as_deref().or(letter.from.as_deref()).unwrap_or_default();
        let to = if args.to.is_empty() { &letter.to } else { &args.to };
        let attempt = one::<D>(mailer, &mut connection, from, to, &letter.message);
        // Who cannot be reached now, or refuses us, will not be in a moment.
        let (outcome, reached) = match attempt {
            Ok(outcome) => (outcome, true),
            Err(unreachable) => (Err(unreachable), false),
        };
        tally.count(&name, from, to, &outcome);
        if connection.is_some() {
            lost = 0;
        } else if matches!(&outcome, Err(error) if !is_the_mail_s(error)) {
            lost += 1;
        }
        if !reached || lost == LOST_IN_A_ROW {
            stopped = Some(name);
            break;
        }
    }
    if let Some(connection) = connection {
        let _ = connection.quit();
    }
    bar.finish_and_clear();
    tally.end(stopped)
}

/// Whether another mail may fare better over the same way.
fn is_the_mail_s(error: &Error) -> bool {
    matches!(error, Error::Argument { .. })
        || error.protocol().is_some_and(starttls::Error::is_ours)
}

/// Sends one mail over the connection, and over a new one if it is gone. A server may end it between
/// two mails: what it then does not have goes over another one, once.
///
/// # Errors
/// There is no connection to be had.
fn one<'m, D: Dialect>(
    mailer: &'m Mailer,
    connection: &mut Option<Connection<'m, D>>,
    from: &str,
    to: &[String],
    message: &[u8],
) -> Result<Result<Receipt, Error>, Error> {
    if to.is_empty() {
        let why = "names no recipients".to_owned();
        return Ok(Err(Error::Argument { what: "the mail", why }));
    }
    let (from, to) = match parse(from, to) {
        Ok(addresses) => addresses,
        Err(error) => return Ok(Err(error)),
    };
    let envelope = match envelope(from, &to, message) {
        Ok(envelope) => envelope,
        Err(error) => return Ok(Err(error)),
    };
    loop {
        let (mut open, used) = match connection.take() {
            Some(open) => (open, true),
            None => (mailer.connect_as::<D>(Box::leak(Box::new(Silent)))?, false),
        };
        let outcome = open.send(&envelope, message);
        if open.is_open() {
            *connection = Some(open);
        } else if used && matches!(&outcome, Err(error) if error.fate().is_safe_to_retry()) {
            continue;
        }
        return Ok(outcome);
    }
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

    fn end(self, stopped: Option<String>) -> Result<(), Failure> {
        let Self { sent, refused, failed, unknown, .. } = self;
        if !self.json {
            let unknown = if unknown > 0 {
                format!(", {unknown} of them perhaps delivered")
            } else {
                String::new()
            };
            out!("  {sent} sent, {refused} refused, {failed} failed{unknown}");
        }
        let Some(code) = self.code else { return Ok(()) };
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
            let advice = match error {
                _ if !fate.is_safe_to_retry() => "sent again it may arrive twice",
                Error::Rejected { answer, .. } if answer.code >= 500 => "for good",
                Error::Argument { .. } => "mend it first",
                _ if error.protocol().is_some_and(starttls::Error::is_ours) => "not like that",
                _ => "safe to send again",
            };
            out!("  {verdict:<8} {name}  {error} ({advice})");
        }
    }
}
