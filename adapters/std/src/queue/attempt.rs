//! One attempt at a mail, and what follows from it.

use starttls::mail::session::{Command, Fate};
use starttls_common::write_durably;

use super::bounce::{Action, Told, report};
use super::request::{wants_failure, wants_success};
use super::state::{Known, State};
use super::stored::Stored;
use super::{Queue, Run, storing};
use crate::{Advice, Answer, Doing, Error, Receipt, Transport};

/// What became of a recipient in an attempt.
enum Outcome {
    Delivered(String),
    Failed(String),
    Open(String),
}

impl Queue {
    /// Tries a mail that is due, and stores the result. `false` if the server was not reached, or took no mail of
    /// this client.
    pub(super) fn attempt(
        &self,
        id: &str,
        stored: &Stored,
        mut state: State,
        transport: &dyn Transport,
        now: u64,
        run: &mut Run,
    ) -> Result<bool, Error> {
        let places = state.open();
        // Empty if the process was killed before it removed the mail.
        let (outcomes, knows_requests, reached) = match places.is_empty() {
            true => (Vec::new(), true, true),
            false => {
                let (sent, knows_requests) = send(stored, &places, transport);
                let reached = !sent.as_ref().is_err_and(is_of_server);
                (outcomes(sent, places.len()), knows_requests, reached)
            }
        };
        let is_late = now >= stored.since.saturating_add(self.settings().give_up().as_secs());
        let mut told = Vec::new();
        for (place, outcome) in places.iter().zip(outcomes) {
            let (is_done, said, action) = match outcome {
                Outcome::Delivered(said) => {
                    run.delivered += 1;
                    (true, said, (!knows_requests).then_some(Action::Relayed))
                }
                Outcome::Open(said) if !is_late => (false, said, None),
                Outcome::Failed(said) | Outcome::Open(said) => {
                    run.failed += 1;
                    (true, said, Some(Action::Failed))
                }
            };
            let to = stored.to.get(*place).filter(|to| match action {
                Some(Action::Failed) => wants_failure(to),
                Some(Action::Relayed) => wants_success(to),
                None => false,
            });
            if let (Some(to), Some(action)) = (to, action) {
                told.push(Told { to, action, said: said.clone() });
            }
            if let Some(known) = state.known.get_mut(*place) {
                *known = Known { is_done, said };
            }
        }
        state.attempts = state.attempts.saturating_add(1);
        state.next = now.saturating_add(self.settings().pause(state.attempts));
        // Before the outcome is recorded, so that a kill in between loses no report.
        self.tell(id, stored, &told, state.attempts, now)?;
        if state.open().is_empty() {
            self.remove(id).map_err(storing)?;
            return Ok(reached);
        }
        let incoming = self.incoming(&format!("{id}.state"));
        // One that a killed process left.
        super::remove(&incoming).map_err(storing)?;
        write_durably(&incoming, &self.file(id, "state"), &[state.print().as_bytes()])
            .map_err(storing)?;
        Ok(reached)
    }

    /// Queues a report to the sender, if there is one.
    fn tell(
        &self,
        id: &str,
        stored: &Stored,
        told: &[Told<'_>],
        attempts: u32,
        now: u64,
    ) -> Result<(), Error> {
        if told.is_empty() || stored.from.is_empty() {
            return Ok(());
        }
        // The same name in a second run after a kill, so that there is one report.
        let id = format!("{id}-report{attempts}");
        let message = report(self.settings().name(), &id, stored, told, now);
        let report = Stored::report(&stored.from, message, now);
        super::remove(&self.incoming(&id)).map_err(storing)?;
        self.store(&id, &report).map_err(storing)
    }

    pub(super) const fn settings(&self) -> &super::QueueSettings {
        &self.settings
    }
}

/// Sends a mail to the recipients at these indices. Also returns whether the sender's requests for reports went
/// with it: a server without DSN gets the mail without them (RFC 3461 §5.2.2).
fn send(
    stored: &Stored,
    places: &[usize],
    transport: &dyn Transport,
) -> (Result<Receipt, Error>, bool) {
    let send = |asks| {
        stored.with_envelope(places, asks, |envelope| transport.send(envelope, &stored.message))
    };
    match send(true) {
        Err(error) if lacks_dsn(&error) => (send(false), false),
        sent => (sent, true),
    }
}

/// Whether a server took the mail for no recipient, because it does not offer DSN.
fn lacks_dsn(error: &Error) -> bool {
    match error {
        Error::Protocol { error, .. } => *error == starttls::Error::NoDsn,
        Error::Unfinished { error, recipients, .. } => {
            recipients.iter().all(Option::is_none) && lacks_dsn(error)
        }
        _ => false,
    }
}

/// The outcome for each of the `count` recipients of an attempt.
fn outcomes(sent: Result<Receipt, Error>, count: usize) -> Vec<Outcome> {
    let mut outcomes: Vec<_> = match sent {
        Ok(receipt) => receipt.recipients.iter().map(of_answer).collect(),
        Err(Error::Rejected { command, recipients, .. }) if recipients.len() == count => {
            // 552 for the message means that it is too large, not that the recipients are too many.
            let is_final = |answer: &Answer| command != Command::Recipient && answer.code >= 500;
            let of = |answer: &Answer| match is_final(answer) {
                true => Outcome::Failed(line(&answer.to_string())),
                false => of_answer(answer),
            };
            recipients.iter().map(of).collect()
        }
        Err(Error::Unfinished { fate, recipients, error }) => {
            let said = line(&error.to_string());
            let shared = || match fate {
                Fate::Accepted => Outcome::Delivered(said.clone()),
                _ if is_permanent(&error) => Outcome::Failed(said.clone()),
                // Perhaps delivered: a mail that arrives twice is better than one that is lost.
                _ => Outcome::Open(said.clone()),
            };
            let known =
                recipients.iter().map(|known| known.as_ref().map_or_else(shared, of_answer));
            let rest = count.saturating_sub(recipients.len());
            known.chain((0..rest).map(|_| shared())).collect()
        }
        Err(error) => {
            let said = match &error {
                Error::Rejected { answer, .. } => line(&answer.to_string()),
                _ => line(&error.to_string()),
            };
            let is_permanent = is_permanent(&error);
            let of = || {
                if is_permanent {
                    Outcome::Failed(said.clone())
                } else {
                    Outcome::Open(said.clone())
                }
            };
            (0..count).map(|_| of()).collect()
        }
    };
    // A transport has to answer for each recipient. One without an answer waits.
    outcomes.resize_with(count, || Outcome::Open("no reply for this recipient".to_owned()));
    outcomes
}

fn of_answer(answer: &Answer) -> Outcome {
    let said = line(&answer.to_string());
    match answer.code {
        200..=299 => Outcome::Delivered(said),
        500.. if !answer.is_too_many() => Outcome::Failed(said),
        _ => Outcome::Open(said),
    }
}

/// Whether every mail fails in this way: the server is not reached, or refuses the client.
const fn is_of_server(error: &Error) -> bool {
    match error {
        Error::Io { doing, .. } => {
            matches!(
                doing,
                Doing::LookingUp | Doing::Connecting | Doing::Handshake | Doing::Waiting
            )
        }
        Error::Proxy { .. } | Error::Tls(_) => true,
        Error::Rejected { command, .. } => is_of_client(*command),
        _ => false,
    }
}

/// Whether the server has not heard of a mail when it replies to the command.
const fn is_of_client(command: Command) -> bool {
    matches!(
        command,
        Command::Greeting | Command::Hello | Command::Helo | Command::Auth | Command::Reset
    )
}

/// Whether the mail itself is at fault, and not the server, the network or the login.
fn is_permanent(error: &Error) -> bool {
    match error {
        Error::Rejected { command, answer, .. } => !is_of_client(*command) && answer.code >= 500,
        error => {
            matches!(error.advice(), Advice::MakeSmaller | Advice::Encode)
                || error.protocol().is_some_and(starttls::Error::is_unsupported)
                    && !matches!(
                        error.protocol(),
                        Some(
                            starttls::Error::NoAuth
                                | starttls::Error::NoMechanism
                                // Only after a part of the mail was taken: the next attempt does not ask.
                                | starttls::Error::NoDsn
                        )
                    )
        }
    }
}

/// As one line.
fn line(said: &str) -> String {
    said.split(['\r', '\n']).collect::<Vec<_>>().join(" ")
}
