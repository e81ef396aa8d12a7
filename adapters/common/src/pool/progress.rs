use starttls::mail::Envelope;
use starttls::mail::session::Command;

use crate::{Answer, Error, Receipt};

/// What the attempts at a mail have achieved so far.
#[derive(Debug)]
pub(super) struct Progress<'e> {
    envelope: &'e Envelope<'e>,
    /// The last reply for each recipient.
    answers: Vec<Option<Answer>>,
    /// Whether a later attempt may change the reply for each recipient.
    may_pass: Vec<bool>,
    /// The indices of the recipients of the next attempt.
    places: Vec<usize>,
    /// Whether a transaction ended with a receipt.
    has_receipt: bool,
    /// Why the last attempt failed.
    failure: Option<Error>,
}

/// What to do after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: [`Progress::finish`] has the result.
    Finish,
    /// The same on a new connection, because the server has closed the old one.
    Reconnect,
    /// Another transaction at once, for recipients beyond the server's limit.
    Continue,
    /// Another attempt after a pause.
    Retry,
}

impl<'e> Progress<'e> {
    pub(super) fn new(envelope: &'e Envelope<'e>) -> Self {
        let recipients = envelope.to().len();
        Self {
            envelope,
            answers: vec![None; recipients],
            may_pass: vec![true; recipients],
            places: (0..recipients).collect(),
            has_receipt: false,
            failure: None,
        }
    }

    /// The whole mail.
    pub(super) const fn envelope(&self) -> &'e Envelope<'e> {
        self.envelope
    }

    /// The indices of the recipients of the next attempt.
    pub(super) fn places(&self) -> &[usize] {
        &self.places
    }

    /// Takes the outcome of an attempt on a connection that had carried mail before (`was_used`) or not.
    pub(super) fn note(&mut self, outcome: Result<Receipt, Error>, was_used: bool) -> Next {
        match outcome {
            Ok(receipt) => self.note_receipt(receipt),
            Err(error) => self.note_error(error, was_used),
        }
    }

    fn note_receipt(&mut self, receipt: Receipt) -> Next {
        let left_out = receipt.left_out();
        let further: Vec<_> =
            left_out.iter().filter_map(|n| self.places.get(*n).copied()).collect();
        self.answer(receipt.recipients, true);
        self.has_receipt = true;
        self.failure = None;
        if further.is_empty() {
            return self.later();
        }
        self.places = further;
        Next::Continue
    }

    fn note_error(&mut self, mut error: Error, was_used: bool) -> Next {
        let is_temporary = error.is_temporary();
        if let Error::Rejected { command, recipients, .. } = &mut error
            && recipients.len() == self.places.len()
        {
            let (of_recipient, answers) = (*command == Command::Recipient, recipients.clone());
            self.answer(answers, of_recipient);
            self.failure = Some(error);
            return self.later();
        }
        let is_rejected = matches!(error, Error::Rejected { .. });
        self.failure = Some(error);
        match is_temporary {
            true if was_used && !is_rejected => Next::Reconnect,
            true => self.later(),
            false => Next::Finish,
        }
    }

    /// Stores the replies for the recipients of this attempt. A reply to `RCPT` may mean that they are too
    /// many.
    fn answer(&mut self, answers: Vec<Answer>, of_recipient: bool) {
        for (place, answer) in self.places.iter().zip(answers) {
            let may_pass = matches!(answer.code, 400..=499) || of_recipient && answer.is_too_many();
            if let (Some(known), Some(passing)) =
                (self.answers.get_mut(*place), self.may_pass.get_mut(*place))
            {
                (*known, *passing) = (Some(answer), may_pass);
            }
        }
    }

    /// All recipients that a later attempt may reach.
    fn later(&mut self) -> Next {
        let recipients = self.may_pass.iter().enumerate();
        self.places = recipients.filter(|(_, may)| **may).map(|(place, _)| place).collect();
        if self.places.is_empty() { Next::Finish } else { Next::Retry }
    }

    /// No further attempt is made, because of this error. An earlier one explains more.
    pub(super) fn give_up(&mut self, error: Error) {
        self.failure.get_or_insert(error);
    }

    /// The result of all attempts: for each recipient the last reply.
    pub(super) fn finish(self) -> Result<Receipt, Error> {
        let answers: Option<Vec<Answer>> = self.answers.into_iter().collect();
        match (answers, self.failure) {
            (Some(recipients), None) => Ok(Receipt { recipients }),
            (Some(answers), Some(error)) if !error.fate().is_safe_to_retry() => {
                Err(error.with_earlier(answers, &self.places))
            }
            (Some(recipients), Some(_)) if self.has_receipt => Ok(Receipt { recipients }),
            (Some(recipients), Some(Error::Rejected { command, answer, .. })) => {
                Err(Error::Rejected { command, answer, recipients })
            }
            (Some(recipients), Some(error)) => match recipients.last().cloned() {
                // Each recipient was refused by an earlier attempt.
                Some(answer) => {
                    Err(Error::Rejected { command: Command::Recipient, answer, recipients })
                }
                None => Err(error),
            },
            (None, Some(error)) => Err(error),
            (None, None) => Err(starttls::Error::OutOfOrder.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use starttls::Error as Rule;
    use starttls::mail::Address;
    use starttls::mail::session::Fate;

    use super::*;

    fn answers(codes: &[u16]) -> Vec<Answer> {
        codes.iter().map(|code| Answer::new(*code, code.to_string())).collect()
    }

    fn receipt(codes: &[u16]) -> Result<Receipt, Error> {
        Ok(Receipt { recipients: answers(codes) })
    }

    fn rejected(command: Command, codes: &[u16]) -> Result<Receipt, Error> {
        let answer = Answer::new(codes[0], "");
        Err(Error::Rejected { command, answer, recipients: answers(codes) })
    }

    fn lost(fate: Fate) -> Result<Receipt, Error> {
        Err(Error::from(Rule::Closed).with_fate(fate))
    }

    /// An attempt: its outcome, whether its connection had carried a mail, and the step and the recipients that follow.
    type Attempt<'a> = (Result<Receipt, Error>, bool, Next, &'a [usize]);

    /// The attempts, and the final codes.
    #[track_caller]
    fn check(attempts: Vec<Attempt<'_>>, codes: Result<&[u16], Fate>) -> Result<Receipt, Error> {
        let to = ["a@b", "b@b", "c@b"].map(|to| Address::new(to).expect("an address"));
        let envelope = Envelope::new(None, &to).expect("recipients");
        let mut progress = Progress::new(&envelope);
        for (outcome, was_used, next, places) in attempts {
            assert_eq!(progress.note(outcome, was_used), next);
            if next != Next::Finish {
                assert_eq!(progress.places(), places);
            }
        }
        let finished = progress.finish();
        match (&finished, codes) {
            (Ok(Receipt { recipients }) | Err(Error::Rejected { recipients, .. }), Ok(codes)) => {
                let found: Vec<_> = recipients.iter().map(|answer| answer.code).collect();
                assert_eq!(found, codes);
            }
            (Err(error), Err(fate)) => assert_eq!(error.fate(), fate, "{error}"),
            other => panic!("{other:?}"),
        }
        finished
    }

    #[test]
    fn each_recipient_has_its_last_reply() {
        use Next::{Continue, Finish, Retry};
        check(vec![(receipt(&[250, 250, 250]), false, Finish, &[])], Ok(&[250, 250, 250]))
            .expect("sent");
        // Only the one that was refused for a time is tried again.
        check(
            vec![
                (receipt(&[250, 450, 550]), false, Retry, &[1]),
                (rejected(Command::Recipient, &[451]), false, Retry, &[1]),
                (receipt(&[250]), false, Finish, &[]),
            ],
            Ok(&[250, 250, 550]),
        )
        .expect("sent");
        // Those beyond the limit follow at once, and then the one that was refused for a time.
        check(
            vec![
                (receipt(&[450, 250, 452]), false, Continue, &[2]),
                (receipt(&[250]), false, Retry, &[0]),
                (rejected(Command::Recipient, &[450]), true, Retry, &[0]),
            ],
            Ok(&[450, 250, 250]),
        )
        .expect("some have it");
        check(
            vec![
                (rejected(Command::Recipient, &[550, 450, 550]), false, Retry, &[1]),
                (rejected(Command::Recipient, &[551]), false, Finish, &[]),
            ],
            Ok(&[550, 551, 550]),
        )
        .expect_err("no recipient has it");
        // 552 for the message is permanent, however much it looks like too many recipients.
        check(
            vec![(rejected(Command::Message, &[552, 552, 552]), false, Finish, &[])],
            Ok(&[552, 552, 552]),
        )
        .expect_err("too large");
    }

    #[test]
    fn a_lost_connection_is_replaced_once() {
        use Next::{Finish, Reconnect, Retry};
        check(
            vec![
                (lost(Fate::NotSent), true, Reconnect, &[0, 1, 2]),
                (lost(Fate::NotAccepted), false, Retry, &[0, 1, 2]),
            ],
            Err(Fate::NotAccepted),
        )
        .expect_err("lost");
        check(vec![(lost(Fate::Unknown), true, Finish, &[])], Err(Fate::Unknown))
            .expect_err("unknown");
        let certificate = Err(Error::Tls(rustls::Error::DecryptError));
        check(vec![(certificate, false, Finish, &[])], Err(Fate::NotSent)).expect_err("TLS");
    }

    #[test]
    fn an_unknown_fate_keeps_what_is_known() {
        let error = check(
            vec![
                (receipt(&[250, 450, 550]), false, Next::Retry, &[1]),
                (lost(Fate::Unknown), false, Next::Finish, &[]),
            ],
            Err(Fate::Unknown),
        )
        .expect_err("unknown");
        let Error::Unfinished { recipients, .. } = error else { panic!("{error}") };
        let codes: Vec<_> = recipients.iter().map(|known| known.as_ref().map(|a| a.code)).collect();
        assert_eq!(codes, [Some(250), None, Some(550)]);
    }

    #[test]
    fn giving_up_keeps_the_reason() {
        let to = [Address::new("a@b").expect("an address")];
        let envelope = Envelope::new(None, &to).expect("recipients");
        let mut progress = Progress::new(&envelope);
        progress.note(lost(Fate::NotSent), false);
        progress.give_up(Rule::TimedOut.into());
        let error = progress.finish().expect_err("nothing was sent");
        assert_eq!(error.protocol(), Some(Rule::Closed));
    }
}
