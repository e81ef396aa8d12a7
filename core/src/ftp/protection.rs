use core::time::Duration;

use super::reply::{Line, Reader};
use super::{DataConnection, MAX_LINE, WAIT};
use crate::client::MAX_FRAMES;
use crate::wire::{Framing, ReplyLines, Writer};
use crate::{Error, Machine, Step, Tls, Untrusted};

/// An event while data connections are being protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<'i> {
    /// The server sent this line.
    Received(Untrusted<'i>),
    /// Every data connection from now on has TLS, with this side as its client.
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

/// Asks for data connections with TLS, by `PBSZ 0` and `PROT P` inside the control connection's TLS
/// (RFC 4217 §9).
///
/// Run it before or after the login, as the server requires. It asks for no other level, because RFC 4217
/// §15.1 warns of clear data connections beside a protected control connection.
///
/// ```
/// use starttls::ftp::Protection;
/// use starttls::{Machine, Policy, Step, Tls, Verification};
///
/// let tls = Tls::implicit(Policy::Required, Verification::Verified)?;
/// let mut protection = Protection::new(&tls);
/// let mut output = [0; 8];
/// assert_eq!(protection.step(&mut &b""[..], &mut output)?, Step::Write(8));
/// assert_eq!(&output, b"PBSZ 0\r\n");
/// # Ok::<(), starttls::Error>(())
/// ```
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Protection {
    state: State,
    framing: ReplyLines<MAX_LINE>,
    reader: Reader,
    frames: u8,
}

impl Protection {
    /// A machine for the control connection of this TLS.
    #[must_use]
    pub fn new(_: &Tls) -> Self {
        Self {
            state: State::Ask(BUFFER_SIZE),
            framing: ReplyLines::default(),
            reader: Reader::default(),
            frames: 0,
        }
    }

    /// How to set up TLS on each data connection. `None` before [`Event::Protected`].
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

    /// The state after a line of the reply.
    fn judge(&mut self, asked: &'static [u8], line: &[u8]) -> Result<State, Error> {
        self.frames = self.frames.wrapping_add(1);
        match self.reader.read(line)? {
            Line::Last(200) => {
                self.frames = 0;
                Ok(if asked == PRIVATE { State::Done } else { State::Ask(PRIVATE) })
            }
            Line::Last(421) => Err(Error::Closing),
            Line::Last(400..=599) => Err(Error::Refused),
            Line::Last(_) => Err(Error::UnexpectedReply),
            _ if self.frames >= MAX_FRAMES => Err(Error::ReplyTooLong),
            _ => Ok(State::Await(asked)),
        }
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
        if let State::Failed(error) = self.state {
            return Err(error);
        }
        if !self.framing.skip(input).map_err(|error| self.fail(error))? {
            return Ok(Step::Read);
        }
        match self.state {
            State::Ask(_) if !input.is_empty() => Err(self.fail(Error::Unsolicited)),
            State::Ask(command) => {
                let mut out = Writer::new(output);
                out.put(command);
                let written = out.finish()?;
                self.state = State::Await(command);
                Ok(Step::Write(written))
            }
            State::Await(asked) => {
                let line = self.framing.next(input).map_err(|error| self.fail(error))?;
                let Some(line) = line else { return Ok(Step::Read) };
                // The event precedes the error, since the line is what the error is about.
                self.state = self.judge(asked, line).unwrap_or_else(State::Failed);
                let text = Untrusted::new(line).with_cut(self.framing.is_cut());
                Ok(Step::Event(Event::Received(text)))
            }
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
        (self.framing.is_cut() || matches!(self.state, State::Await(_))).then_some(WAIT)
    }

    fn is_cut(&self) -> bool {
        self.framing.is_cut()
    }

    fn begins_wait(&self) -> bool {
        !matches!(self.state, State::Await(_))
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
    fn both_commands_have_to_succeed() {
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
    fn a_reply_has_a_limit() {
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
