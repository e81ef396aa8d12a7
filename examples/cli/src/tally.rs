//! The results of a batch: counted, displayed, and recorded.

use std::io::{self, Read};
use std::path::Path;

use indicatif::ProgressBar;
use starttls::mail::session::Fate;
use starttls_std::{Advice, Doing, Error, Receipt};

use crate::ladder::Ladder;
use crate::out::{out, tell};
use crate::outcome::{self, Failure};
use crate::picture::Tone;
use crate::record::{Entry, Past, Record};
use crate::report::{self, Report, Reports};

/// Counts the fates of the mails, displays each, and records it for another run.
#[derive(Debug)]
pub(crate) struct Tally<'a> {
    reports: &'a mut Reports,
    bar: &'a ProgressBar,
    record: Option<Record>,
    /// The server, for the record.
    server: String,
    sent: usize,
    /// The number of mails sent by earlier runs.
    before: usize,
    refused: usize,
    failed: usize,
    /// The number of failed mails that the server may have.
    unknown: usize,
    code: Option<u8>,
    /// The advice for an unusable server.
    pub(crate) advice: String,
}

/// Why mails were not tried.
#[derive(Debug)]
pub(crate) enum Halt {
    /// It gave up at this mail, which was tried; with the advice, if the server is unusable.
    At(String, Option<Error>),
    /// A signal.
    Signal,
}

/// A mail of the batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    pub(crate) name: &'a str,
    pub(crate) from: &'a str,
    pub(crate) to: &'a [String],
    /// Its key in the record.
    pub(crate) entry: Option<&'a Entry>,
}

impl<'a> Named<'a> {
    fn past(self) -> Option<&'a Past> {
        self.entry.map(|entry| &entry.past)
    }
}

impl<'a> Tally<'a> {
    pub(crate) fn new(
        reports: &'a mut Reports,
        bar: &'a ProgressBar,
        record: Option<Record>,
        server: String,
    ) -> Self {
        Self {
            reports,
            bar,
            record,
            server,
            sent: 0,
            before: 0,
            refused: 0,
            failed: 0,
            unknown: 0,
            code: None,
            advice: String::new(),
        }
    }

    /// The known state of a mail; empty without a record.
    ///
    /// # Errors
    /// Those of `message`.
    pub(crate) fn meet(
        &mut self,
        from: &str,
        message: &mut impl Read,
        id: Option<&str>,
    ) -> io::Result<Option<Entry>> {
        self.record.as_mut().map(|record| record.meet(from, message, id)).transpose()
    }

    /// Records that a mail is being sent.
    pub(crate) fn begin(&mut self, mail: Named<'_>) -> Result<(), Error> {
        let (Some(record), Some(entry)) = (&mut self.record, mail.entry) else { return Ok(()) };
        if !entry.past.unknown.is_empty() && !self.reports.are_wanted() {
            let line =
                || out!("  AGAIN    {}  its fate was unknown; it may arrive twice", mail.name);
            self.bar.suspend(line);
        }
        record.begin((mail.name, &self.server), entry, mail.to).map_err(|error| Error::Io {
            doing: Doing::Other("writing the record of mails"),
            error,
        })
    }

    /// Records as not sent a mail whose connection was lost before the message. It is tried once more.
    pub(crate) fn put_back(&mut self, mail: Named<'_>, outcome: &Result<Receipt, Error>) {
        if let Err(error) = self.keep(mail, outcome, report::fate(outcome.as_ref())) {
            tell!("{}: not sent yet; this could not be recorded: {error}", mail.name);
        }
    }

    /// Records, counts and displays the fate of a mail.
    pub(crate) fn count(&mut self, mail: Named<'_>, outcome: &Result<Receipt, Error>) {
        let fate = report::fate(outcome.as_ref());
        let complete = matches!(outcome, Ok(receipt) if receipt.is_complete());
        let code = report::code(outcome.as_ref());
        if let Err(error) = self.keep(mail, outcome, fate) {
            // The mail is sent anyway; an earlier line records its fate as unknown.
            let fate = report::word(fate);
            tell!(
                "{}: {fate}; this could not be recorded: {error}; another run may send it again",
                mail.name
            );
        }
        if complete {
            self.sent += 1;
        } else if code == 6 {
            self.refused += 1;
        } else {
            self.failed += 1;
            self.unknown += usize::from(fate == Fate::Unknown);
        }
        // The exit code of a mail that may arrive twice takes precedence, then that of a refused one.
        let rank = |code: u8| [6, outcome::UNKNOWN].iter().position(|&known| known == code);
        if !complete && self.code.is_none_or(|known| rank(code) > rank(known)) {
            self.code = Some(code);
        }
        let report = Report::new(Some(mail.name), (mail.from, mail.to), outcome.as_ref());
        self.reports.print(&match mail.past() {
            Some(past) => report.with_past(past),
            None => report,
        });
        if !self.reports.are_wanted() && (self.bar.is_hidden() || !complete) {
            self.bar.suspend(|| show(mail.name, mail.to, outcome, fate));
        }
    }

    fn keep(
        &mut self,
        mail: Named<'_>,
        outcome: &Result<Receipt, Error>,
        fate: Fate,
    ) -> io::Result<()> {
        let (Some(record), Some(entry)) = (&mut self.record, mail.entry) else { return Ok(()) };
        let [accepted, rest] = report::settled(mail.to, outcome.as_ref());
        let parts = [(&accepted[..], Fate::Accepted), (&rest, fate)];
        record.end((mail.name, &self.server), entry, parts)
    }

    /// Counts a mail that every recipient has from an earlier run.
    pub(crate) fn skip(&mut self, mail: Named<'_>) {
        self.before += 1;
        if let Some(past) = mail.past() {
            self.reports.print(&Report::sent_before(mail.name, mail.from, past));
        }
        if !self.reports.are_wanted() && self.bar.is_hidden() {
            out!("  before   {}  sent by an earlier run", mail.name);
        }
    }

    /// Reports a mail that was not tried.
    pub(crate) fn leave(&mut self, mail: Named<'_>, failure: &Failure) {
        let report = Report::given_up(Some(mail.name), (mail.from, mail.to), failure);
        self.reports.print(&match mail.past() {
            Some(past) => report.with_past(past),
            None => report,
        });
    }

    /// The command's end; `left` tells why mails were not tried.
    pub(crate) fn failure(&self, halt: Option<&Halt>) -> Option<Failure> {
        let message = match halt {
            Some(Halt::Signal) => {
                let again = match &self.record {
                    Some(_) => " Run the same command again to continue.",
                    None => "",
                };
                let message =
                    format!("stopped by a signal; the remaining mails were not sent.{again}");
                return Some(Failure { message, code: outcome::STOPPED });
            }
            Some(Halt::At(name, _)) => {
                let advice = &self.advice;
                format!("gave up at {name}; the remaining mails were not sent. {advice}")
                    .trim_end()
                    .to_owned()
            }
            None => {
                let perhaps = match self.unknown {
                    0 => String::new(),
                    unknown => format!("; {unknown} of them may arrive twice if sent again"),
                };
                format!(
                    "{} mails were not sent to every recipient{perhaps}",
                    self.refused + self.failed
                )
            }
        };
        self.code.map(|code| Failure { message, code })
    }

    /// Displays the totals, in the picture, too.
    pub(crate) fn sum_up(
        &self,
        left: usize,
        ladder: &mut Ladder,
        picture: Option<&Path>,
    ) -> Result<(), Failure> {
        let Self { sent, refused, failed, unknown, before, .. } = *self;
        let mut verdict = format!("{sent} sent, {refused} refused, {failed} failed");
        if unknown > 0 {
            verdict += &format!(", {unknown} of them perhaps delivered");
        }
        if left > 0 {
            verdict += &format!(", {left} not tried");
        }
        if before > 0 {
            let place = self.record.as_ref().map(|record| record.path().display().to_string());
            let place = place.unwrap_or_default();
            verdict += &format!(", {before} sent before, by {place} (--again sends them, too)");
        }
        if !self.reports.are_wanted() {
            out!("  {verdict}");
        }
        let tone = if self.code.is_none() && left == 0 { Tone::Good } else { Tone::Bad };
        ladder.save(picture, [(verdict, tone)])
    }
}

/// Prints one line per mail.
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
                _ if !fate.is_safe_to_retry() => "it may arrive twice if sent again",
                Advice::ChangeMail | Advice::CheckLogin => "do not retry",
                Advice::MendArgument => "fix it first",
                Advice::Encode | Advice::MakeSmaller | Advice::DoWithout => "change it first",
                _ => "safe to send again",
            };
            out!("  {verdict:<8} {name}  {error} ({advice})");
        }
    }
}
