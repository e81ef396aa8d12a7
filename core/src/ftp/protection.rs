use core::time::Duration;

use super::reply::{Line, Reader};
use super::{DataConnection, MAX_LINE, WAIT};
use crate::client::MAX_FRAMES;
use crate::wire::{Framing, Lines, Writer};
use crate::{Error, Machine, Step, Tls, Untrusted};

/// What happens while data connections are being protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<'i> {
    /// The server said this.
    Received(Untrusted<'i>),
    /// Every data connection from here on has TLS, with this side as its client.
    Protected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    Ask(&'static [u8]),
    Await(&'static [u8]),
    Done,
    Over,
    Failed(Error),
}

const BUFFER_SIZE: &[u8] = b"PBSZ 0\r\n";
const PRIVATE: &[u8] = b"PROT P\r\n";

/// Asks for data connections with TLS, inside the control connection's own: `PBSZ 0` and `PROT P`
/// (RFC 4217 §9).
///
/// Before or behind the login, as the server likes it. There is no way to ask for the other levels:
/// data in clear beside a control connection with TLS is what RFC 4217 §15.1 warns of.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Protection {
    state: State,
    framing: Lines<MAX_LINE>,
    reader: Reader,
    frames: u8,
}

impl Protection {
    /// For the control connection whose TLS this is.
    #[must_use]
    pub fn new(_: &Tls) -> Self {
        Self {
            state: State::Ask(BUFFER_SIZE),
            framing: Lines::default(),
            reader: Reader::default(),
            frames: 0,
        }
    }

    /// What TLS on each data connection has to be, behind [`Event::Protected`]; before that they have
    /// none.
    #[must_use]
    pub const fn data_connection(&self) -> Option<DataConnection> {
        match self.state {
            State::Over => Some(DataConnection::CLIENT),
            _ => None,
        }
    }

    fn fail(&mut self, error: Error) -> Error {
        self.state = State::Failed(error);
        error
    }

    fn receive<'i>(
        &mut self,
        asked: &'static [u8],
        input: &mut &'i [u8],
    ) -> Result<Step<Event<'i>>, Error> {
        let Some(line) = self.framing.next(input)? else { return Ok(Step::Read) };
        self.frames = self.frames.wrapping_add(1);
        match self.reader.read(line)? {
            Line::Last(200) => {
                self.frames = 0;
                self.state = if asked == PRIVATE { State::Done } else { State::Ask(PRIVATE) };
            }
            Line::Last(421) => return Err(Error::Closing),
            Line::Last(400..=599) => return Err(Error::Refused),
            Line::Last(_) => return Err(Error::UnexpectedReply),
            _ if self.frames >= MAX_FRAMES => return Err(Error::ReplyTooLong),
            _ => {}
        }
        Ok(Step::Event(Event::Received(Untrusted(line))))
    }
}

impl Machine for Protection {
    type Event<'i> = Event<'i>;

    const MAX_INPUT: usize = MAX_LINE;
    const MAX_OUTPUT: usize = BUFFER_SIZE.len();

    fn step<'i>(
        &mut self,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Event<'i>>, Error> {
        match self.state {
            State::Ask(_) if !input.is_empty() => Err(self.fail(Error::Unsolicited)),
            State::Ask(command) => {
                let mut out = Writer::new(output);
                out.put(command);
                let written = out.finish()?;
                self.state = State::Await(command);
                Ok(Step::Write(written))
            }
            State::Await(asked) => self.receive(asked, input).map_err(|error| self.fail(error)),
            State::Done => {
                self.state = State::Over;
                Ok(Step::Event(Event::Protected))
            }
            State::Over => Err(Error::OutOfOrder),
            State::Failed(error) => Err(error),
        }
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        Err(match self.state {
            State::Failed(error) => error,
            _ => self.fail(Error::Closed),
        })
    }

    fn timed_out(&mut self) -> Error {
        match self.state {
            State::Failed(error) => error,
            _ => self.fail(Error::TimedOut),
        }
    }

    fn wait(&self) -> Option<Duration> {
        matches!(self.state, State::Await(_)).then_some(WAIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Policy, Verification};

    fn play(replies: &[&str]) -> Result<heapless::Vec<u8, 32>, Error> {
        let tls = Tls::implicit(Policy::Required, Verification::Verified).expect("verified");
        let mut protection = Protection::new(&tls);
        let mut sent = heapless::Vec::new();
        let mut replies = replies.iter();
        let mut input = &b""[..];
        loop {
            let mut output = [0; Protection::MAX_OUTPUT];
            assert_eq!(protection.data_connection(), None);
            match protection.step(&mut input, &mut output)? {
                Step::Write(n) => {
                    sent.extend_from_slice(&output[..n]).expect("short");
                    input = replies.next().map_or(b"", |reply| reply.as_bytes());
                }
                Step::Event(Event::Protected) => {
                    let data = protection.data_connection().expect("protected");
                    assert!(data.tls_client && data.resumes);
                    return Ok(sent);
                }
                Step::Event(Event::Received(_)) => {}
                Step::Read => protection.end_of_input()?,
            }
        }
    }

    #[test]
    fn both_have_to_be_granted() {
        assert_eq!(
            play(&["200 PBSZ=0\r\n", "200-as\r\n you like\r\n200 it\r\n"]).as_deref(),
            Ok(&b"PBSZ 0\r\nPROT P\r\n"[..])
        );
        for (replies, error) in [
            (&["503 no\r\n"][..], Error::Refused),
            (&["200 ok\r\n", "534 no\r\n"], Error::Refused),
            (&["200 ok\r\n", "536 no\r\n"], Error::Refused),
            (&["200 ok\r\n", "421 bye\r\n"], Error::Closing),
            (&["200 ok\r\n200 ok\r\n"], Error::Unsolicited),
            (&["234 ok\r\n"], Error::UnexpectedReply),
            (&["200 ok\r\n", "ok\r\n"], Error::Syntax),
            (&["200 ok\r\n", "200-"], Error::Closed),
        ] {
            assert_eq!(play(replies), Err(error), "{replies:?}");
        }
    }

    #[test]
    fn a_reply_has_an_end() {
        let tls = Tls::implicit(Policy::Required, Verification::Verified).expect("verified");
        let mut protection = Protection::new(&tls);
        let mut output = [0; 8];
        assert_eq!(protection.step(&mut &b""[..], &mut output), Ok(Step::Write(8)));
        let error = loop {
            if let Err(error) = protection.step(&mut &b"200-x\r\n"[..], &mut output) {
                break error;
            }
        };
        assert_eq!(error, Error::ReplyTooLong);
        assert_eq!(protection.timed_out(), Error::ReplyTooLong);
    }
}
