//! What is known about a mail in the queue, and its file.

use super::stored::FORMAT;

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
    fn a_state_is_read_as_it_was_written() {
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
