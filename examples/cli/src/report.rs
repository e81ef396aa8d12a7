//! The output of `send --json`: an object for each mail, or for each domain of one, in the form of
//! `send.schema.json`.

use std::net::SocketAddr;

use serde::Serialize;
use starttls::mail::session::Fate;
use starttls_std::{Answer, Error, Receipt};

use crate::outcome::{self, Failure, Seen};
use crate::record::Past;

/// The version; it changes when a program that reads the objects has to change. New keys do not change it.
const SCHEMA: u32 = 1;

/// The objects of one run.
#[derive(Debug)]
pub(crate) struct Reports {
    wanted: bool,
    printed: bool,
}

impl Reports {
    pub(crate) const fn new(wanted: bool) -> Self {
        Self { wanted, printed: false }
    }

    /// Whether the output is JSON instead of text.
    pub(crate) const fn are_wanted(&self) -> bool {
        self.wanted
    }

    pub(crate) fn print(&mut self, report: &Report<'_>) {
        if self.wanted {
            self.printed = true;
            outcome::print(report);
        }
    }

    /// Prints the error that ended the command before there was a mail to report.
    pub(crate) fn end(&mut self, mail: Option<&str>, failure: &Failure) {
        if !self.printed {
            let report = Report {
                error: Some(failure.message.clone()),
                exit_code: failure.code,
                ..Report::unsent(mail)
            };
            self.print(&report);
        }
    }
}

/// All keys are always present, except those that depend on the way of delivery.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    schema: u32,
    /// The file, or `FILE#N` in an mbox.
    mail: Option<&'a str>,
    /// Empty for the null sender.
    from: &'a str,
    recipients: Vec<Recipient<'a>>,
    fate: &'static str,
    safe_to_retry: bool,
    /// The server's decisive reply.
    last_answer: Option<Said<'a>>,
    error: Option<String>,
    /// The exit code of this mail, or of this domain.
    exit_code: u8,
    #[serde(flatten)]
    way: Option<Way<'a>>,
}

#[derive(Debug, Serialize)]
struct Recipient<'a> {
    address: &'a str,
    accepted: bool,
    /// The server's reply for this recipient: the code, a space, the text.
    answer: Option<String>,
    #[serde(flatten)]
    said: Said<'a>,
    /// The result of an earlier run: accepted, or unknown.
    earlier: Option<&'static str>,
}

impl<'a> Recipient<'a> {
    const fn unasked(address: &'a str) -> Self {
        let said = Said { code: None, status: None, lines: Vec::new() };
        Self { address, accepted: false, answer: None, said, earlier: None }
    }
}

/// A reply of a server.
#[derive(Debug, Default, Serialize)]
struct Said<'a> {
    code: Option<u16>,
    /// The enhanced status code (RFC 3463).
    status: Option<String>,
    /// The text of each line, escaped.
    lines: Vec<&'a str>,
}

impl<'a> Said<'a> {
    fn of(answer: &'a Answer) -> Self {
        Self {
            code: Some(answer.code),
            status: answer.status.map(|status| status.to_string()),
            lines: answer.text.lines().collect(),
        }
    }

    /// The reply that an error quotes.
    fn quoted(said: &'a str) -> Option<Self> {
        let code = said.get(..3).and_then(|code| code.parse().ok());
        (!said.is_empty()).then(|| Self { code, status: None, lines: vec![said] })
    }
}

/// The way of delivery of a mail.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Way<'a> {
    Server(Seen<'a>),
    Domain {
        domain: &'a str,
        delivered: bool,
        host: Option<&'a str>,
        address: Option<SocketAddr>,
        protection: Option<String>,
        attempts: Vec<Tried<'a>>,
        temporary: bool,
    },
}

#[derive(Debug, Serialize)]
pub(crate) struct Tried<'a> {
    pub(crate) host: &'a str,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) problem: String,
}

impl<'a> Report<'a> {
    fn unsent(mail: Option<&'a str>) -> Self {
        Self {
            schema: SCHEMA,
            mail,
            from: "",
            recipients: Vec::new(),
            fate: word(Fate::NotSent),
            safe_to_retry: true,
            last_answer: None,
            error: None,
            exit_code: 0,
            way: None,
        }
    }

    /// The fate of a mail that was offered to a server.
    pub(crate) fn new(
        mail: Option<&'a str>,
        (from, to): (&'a str, &'a [String]),
        outcome: Result<&'a Receipt, &'a Error>,
    ) -> Self {
        let answers = answers(outcome);
        let recipients = to.iter().enumerate().map(|(n, address)| {
            let answer = answers.get(n).copied().flatten();
            Recipient {
                address,
                accepted: answer.is_some_and(Answer::is_yes) && is_settled(outcome),
                answer: answer.map(ToString::to_string),
                said: answer.map(Said::of).unwrap_or_default(),
                earlier: None,
            }
        });
        let fate = fate(outcome);
        Self {
            from,
            recipients: recipients.collect(),
            fate: word(fate),
            safe_to_retry: fate.is_safe_to_retry(),
            last_answer: last(outcome),
            error: outcome.err().map(ToString::to_string),
            exit_code: code(outcome),
            ..Self::unsent(mail)
        }
    }

    /// A mail that was abandoned before it was tried.
    pub(crate) fn given_up(
        mail: Option<&'a str>,
        envelope: (&'a str, &'a [String]),
        failure: &Failure,
    ) -> Self {
        let (from, to) = envelope;
        let recipients = to.iter().map(|address| Recipient::unasked(address));
        Self {
            from,
            recipients: recipients.collect(),
            error: Some(failure.message.clone()),
            exit_code: failure.code,
            ..Self::unsent(mail)
        }
    }

    /// A mail that earlier runs delivered.
    pub(crate) fn sent_before(mail: &'a str, from: &'a str, past: &'a Past) -> Self {
        let fate = Fate::Accepted;
        let safe_to_retry = fate.is_safe_to_retry();
        Self { from, fate: word(fate), safe_to_retry, ..Self::unsent(Some(mail)) }.with_past(past)
    }

    /// Adds the results of earlier runs: a recipient who already has it is listed, too.
    pub(crate) fn with_past(mut self, past: &'a Past) -> Self {
        for recipient in &mut self.recipients {
            if past.unknown.iter().any(|unknown| unknown == recipient.address) {
                recipient.earlier = Some(word(Fate::Unknown));
            }
        }
        let earlier = Some(word(Fate::Accepted));
        let accepted = past.accepted.iter();
        self.recipients.extend(accepted.map(|to| Recipient {
            accepted: true,
            earlier,
            ..Recipient::unasked(to)
        }));
        self
    }

    pub(crate) fn with_way(self, way: Way<'a>) -> Self {
        Self { way: Some(way), ..self }
    }

    /// Overrides fate and code, if more is known than one server's reply.
    pub(crate) fn with_failure(self, fate: Fate, failure: &Failure) -> Self {
        Self {
            fate: word(fate),
            safe_to_retry: fate.is_safe_to_retry(),
            error: Some(failure.message.clone()),
            exit_code: failure.code,
            ..self
        }
    }
}

/// The fate of a mail.
pub(crate) fn fate(outcome: Result<&Receipt, &Error>) -> Fate {
    match outcome {
        Ok(receipt) if receipt.recipients.iter().any(Answer::is_yes) => Fate::Accepted,
        Ok(_) => Fate::NotAccepted,
        Err(error) => error.fate(),
    }
}

/// The exit code of one mail.
pub(crate) fn code(outcome: Result<&Receipt, &Error>) -> u8 {
    match outcome {
        Ok(receipt) if receipt.is_complete() => 0,
        Ok(_) => 6,
        Err(error) => outcome::code(error),
    }
}

/// The replies for the recipients, in order, as far as the server sent some.
fn answers<'a>(outcome: Result<&'a Receipt, &'a Error>) -> Vec<Option<&'a Answer>> {
    match outcome {
        Ok(Receipt { recipients }) | Err(Error::Rejected { recipients, .. }) => {
            recipients.iter().map(Some).collect()
        }
        Err(Error::Unfinished { recipients, .. }) => {
            recipients.iter().map(Option::as_ref).collect()
        }
        Err(_) => Vec::new(),
    }
}

/// Whether a positive reply means that the recipient has the mail: if the mail was refused as a whole, none has it.
const fn is_settled(outcome: Result<&Receipt, &Error>) -> bool {
    matches!(outcome, Ok(_) | Err(Error::Unfinished { .. }))
}

/// The recipients that have the mail, and those with an unknown result.
pub(crate) fn settled<'a>(
    to: &'a [String],
    outcome: Result<&Receipt, &Error>,
) -> [Vec<&'a str>; 2] {
    let answers = answers(outcome);
    let mut parts = [Vec::new(), Vec::new()];
    for (n, to) in to.iter().enumerate() {
        match answers.get(n).copied().flatten() {
            Some(answer) if answer.is_yes() && is_settled(outcome) => parts[0].push(&to[..]),
            Some(_) => {}
            None => parts[1].push(&to[..]),
        }
    }
    parts
}

fn last<'a>(outcome: Result<&'a Receipt, &'a Error>) -> Option<Said<'a>> {
    match outcome {
        Ok(receipt) => receipt.recipients.last().map(Said::of),
        Err(Error::Rejected { answer, .. }) => Some(Said::of(answer)),
        Err(Error::Protocol { said, .. }) => Said::quoted(said),
        Err(Error::Unfinished { error, .. }) => last(Err(error)),
        Err(_) => None,
    }
}

/// The verdict on a mail that failed; it tells whether sending it again is safe.
pub(crate) const fn unsent(fate: Fate) -> &'static str {
    match fate {
        Fate::Unknown => "PERHAPS sent",
        Fate::Accepted => "sent, but",
        Fate::NotSent | Fate::NotAccepted => "NOT sent",
    }
}

/// The fate of a mail, in a word.
pub(crate) const fn word(fate: Fate) -> &'static str {
    match fate {
        Fate::NotSent => "not sent",
        Fate::NotAccepted => "not accepted",
        Fate::Accepted => "accepted",
        Fate::Unknown => "unknown",
    }
}
