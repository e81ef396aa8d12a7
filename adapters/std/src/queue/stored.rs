//! The two files of a mail in the queue.

use std::fmt::Write as _;

use starttls::ArgumentError;
use starttls::mail::dsn::Request;
use starttls::mail::{Address, Envelope};

use crate::Error;

/// The first line of each file. It changes when older programs cannot read the format.
pub(super) const FORMAT: &str = "starttls-queue 1";

/// `ID.mail`: the envelope, an empty line, and the message. It never changes.
///
/// ```text
/// starttls-queue 1
/// since 1795262400
/// needs eight-bit utf8 tls
/// from me@example.org
/// to you@example.org
/// to her@example.org
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    /// When it was queued, in seconds since 1970.
    pub(super) since: u64,
    /// What the envelope demands of the server.
    pub(super) needs: Needs,
    /// The sender; empty for the null path.
    pub(super) from: String,
    pub(super) to: Vec<String>,
    pub(super) message: Vec<u8>,
}

/// What the envelope demands of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    eight_bit: bool,
    utf8: bool,
    tls: bool,
}

/// `ID.state`: what is known after an attempt. It is replaced as a whole.
///
/// ```text
/// starttls-queue 1
/// attempts 2
/// next 1795269600
/// done 250 2.0.0 Ok
/// open 450 4.2.0 Mailbox busy
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) attempts: u32,
    /// When the next attempt is due, in seconds since 1970.
    pub(super) next: u64,
    /// The outcome for each recipient so far.
    pub(super) known: Vec<Known>,
}

/// The outcome for a recipient so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// Whether it has the mail, or failed for good.
    pub(super) is_done: bool,
    /// The last reply or error, in one line.
    pub(super) said: String,
}

impl Stored {
    /// # Errors
    /// [`Error::Argument`] if the envelope asks for delivery reports, which the queue does not keep.
    pub(super) fn new(envelope: &Envelope<'_>, message: &[u8], since: u64) -> Result<Self, Error> {
        if envelope.dsn() != Request::NOTHING {
            let why = "asks for delivery reports, which the queue does not keep".to_owned();
            return Err(Error::Argument { what: "the envelope", why });
        }
        Ok(Self {
            since,
            needs: Needs {
                eight_bit: envelope.is_eight_bit(),
                utf8: envelope.is_utf8(),
                tls: envelope.requires_tls(),
            },
            from: envelope.from().map(|from| from.as_str().to_owned()).unwrap_or_default(),
            to: envelope.to().iter().map(|to| to.as_str().to_owned()).collect(),
            message: message.to_vec(),
        })
    }

    /// The text before the message.
    pub(super) fn head(&self) -> String {
        let mut head = format!("{FORMAT}\nsince {}\nneeds", self.since);
        let Needs { eight_bit, utf8, tls } = self.needs;
        for (is_needed, name) in [(eight_bit, " eight-bit"), (utf8, " utf8"), (tls, " tls")] {
            head.push_str(if is_needed { name } else { "" });
        }
        let _ = write!(head, "\nfrom {}\n", self.from);
        self.to.iter().for_each(|to| head.extend(["to ", to, "\n"]));
        head.push('\n');
        head
    }

    /// Reads a file. `None` if it is none of this format.
    pub(super) fn parse(file: &[u8]) -> Option<Self> {
        let end = file.windows(2).position(|two| two == b"\n\n")?;
        let head = std::str::from_utf8(file.get(..end)?).ok()?;
        let mut lines = head.strip_prefix(FORMAT)?.strip_prefix('\n')?.lines();
        let since = lines.next()?.strip_prefix("since ")?.parse().ok()?;
        let mut needs = Needs::default();
        for need in lines.next()?.strip_prefix("needs")?.split_ascii_whitespace() {
            match need {
                "eight-bit" => needs.eight_bit = true,
                "utf8" => needs.utf8 = true,
                "tls" => needs.tls = true,
                _ => return None,
            }
        }
        let from = lines.next()?.strip_prefix("from ")?.to_owned();
        let to: Option<Vec<_>> =
            lines.map(|line| Some(line.strip_prefix("to ")?.to_owned())).collect();
        Some(Self { since, needs, from, to: to?, message: file.get(end + 2..)?.to_vec() })
    }

    /// Passes the envelope for the recipients at these indices.
    ///
    /// # Errors
    /// [`Error::Argument`] if the file has an invalid address. Those of `act`.
    pub(super) fn with_envelope<T>(
        &self,
        places: &[usize],
        act: impl FnOnce(&Envelope<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let address = |text| address(text).map_err(Error::argument("an address in the queue"));
        let to = places.iter().filter_map(|place| self.to.get(*place));
        let to = to.map(|to| address(to)).collect::<Result<Vec<_>, _>>()?;
        let from = (!self.from.is_empty()).then(|| address(&self.from)).transpose()?;
        let envelope = Envelope::new(from, &to).map_err(Error::argument("the envelope"))?;
        let mut envelope = envelope.with_size(self.message.len());
        if self.needs.eight_bit {
            envelope = envelope.with_eight_bit();
        }
        if self.needs.utf8 {
            envelope = envelope.with_utf8();
        }
        if self.needs.tls {
            envelope = envelope.with_required_tls();
        }
        act(&envelope)
    }
}

/// An address in ASCII, or an international one.
fn address(text: &str) -> Result<Address<'_>, ArgumentError> {
    if text.is_ascii() { Address::new(text) } else { Address::international(text) }
}

impl State {
    /// Before the first attempt.
    pub(super) fn new(recipients: usize) -> Self {
        Self { attempts: 0, next: 0, known: vec![Known::default(); recipients] }
    }

    pub(super) fn print(&self) -> String {
        let mut text = format!("{FORMAT}\nattempts {}\nnext {}\n", self.attempts, self.next);
        for Known { is_done, said } in &self.known {
            text.extend([if *is_done { "done " } else { "open " }, said, "\n"]);
        }
        text
    }

    /// The first two values, and the lines of the recipients.
    fn start(file: &str) -> Option<(u32, u64, std::str::Lines<'_>)> {
        let mut lines = file.strip_prefix(FORMAT)?.strip_prefix('\n')?.lines();
        let attempts = lines.next()?.strip_prefix("attempts ")?.parse().ok()?;
        let next = lines.next()?.strip_prefix("next ")?.parse().ok()?;
        Some((attempts, next, lines))
    }

    /// The time of the next attempt. `None` if the file is not of this format.
    pub(super) fn next_of(file: &str) -> Option<u64> {
        Self::start(file).map(|(_, next, _)| next)
    }

    /// Reads a file for a mail with this many recipients. `None` if it is none.
    pub(super) fn parse(file: &str, recipients: usize) -> Option<Self> {
        let (attempts, next, lines) = Self::start(file)?;
        let known: Option<Vec<_>> = lines
            .map(|line| {
                let (done, said) = line.split_once(' ')?;
                let is_done = match done {
                    "done" => true,
                    "open" => false,
                    _ => return None,
                };
                Some(Known { is_done, said: said.to_owned() })
            })
            .collect();
        known.filter(|known| known.len() == recipients).map(|known| Self { attempts, next, known })
    }

    /// The indices of the recipients that have neither the mail nor failed.
    pub(super) fn open(&self) -> Vec<usize> {
        let known = self.known.iter().enumerate();
        known.filter(|(_, known)| !known.is_done).map(|(place, _)| place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_they_were_written() {
        let to = ["a@b.test", "ä@b.test"].map(|to| address(to).expect("an address"));
        for from in [None, Some(address("me@b.test").expect("an address"))] {
            let envelope = Envelope::new(from, &to).expect("recipients").with_eight_bit();
            for message in [&b"x\r\n\r\ny\n\n"[..], b"", b"\n\n", b"\xff"] {
                let stored = Stored::new(&envelope, message, 7).expect("no reports");
                let file = [stored.head().as_bytes(), message].concat();
                assert_eq!(Stored::parse(&file).as_ref(), Some(&stored));
                let read = stored.with_envelope(&[1], |one| {
                    assert_eq!((one.from(), one.to()), (from, &to[1..]));
                    assert!(one.is_eight_bit() && one.is_utf8());
                    Ok(())
                });
                read.expect("valid addresses");
                for cut in 0..stored.head().len() - 1 {
                    assert_eq!(Stored::parse(&file[..cut]), None, "cut at {cut}");
                }
            }
        }
        let state = State {
            attempts: 3,
            next: 99,
            known: vec![
                Known { is_done: true, said: "250 2.0.0 Ok".to_owned() },
                Known { is_done: false, said: String::new() },
            ],
        };
        assert_eq!(State::parse(&state.print(), 2).as_ref(), Some(&state));
        assert_eq!(State::parse(&state.print(), 1), None);
        assert_eq!(state.open(), [1]);
    }
}
