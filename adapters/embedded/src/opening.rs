//! The way to TLS.

use core::time::Duration;

use starttls::{Client, Machine, Reason, Server, Step, client, server};

use crate::error::Fault;
use crate::task::{Framed, Task, Turn};

impl<G: client::Grammar> Framed for Client<G> {
    const MAX_INPUT: usize = <Self as Machine>::MAX_INPUT;
}

impl<G: client::Grammar> Task for Client<G> {
    fn step(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<Turn, Fault> {
        Ok(match Machine::step(self, input, output)? {
            Step::Read => Turn::Read,
            Step::Write(n) => Turn::Write(n),
            Step::Event(client::Event::UpgradeReady) => Turn::Done,
            // Without TLS nothing here goes on, whatever the policy says.
            Step::Event(client::Event::Plaintext(Reason::Refused)) => {
                return Err(starttls::Error::Refused.into());
            }
            Step::Event(client::Event::Plaintext(_)) => {
                return Err(starttls::Error::NotOffered.into());
            }
            Step::Event(_) => Turn::Again,
        })
    }

    fn end_of_input(&mut self) -> Result<(), Fault> {
        Ok(Machine::end_of_input(self)?)
    }

    fn timed_out(&mut self) -> starttls::Error {
        Machine::timed_out(self)
    }

    fn wait(&mut self) -> Option<Duration> {
        Machine::wait(self)
    }
}

impl<G: server::Grammar> Framed for Server<G> {
    const MAX_INPUT: usize = <Self as Machine>::MAX_INPUT;
}

impl<G: server::Grammar> Task for Server<G> {
    fn step(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<Turn, Fault> {
        Ok(match Machine::step(self, input, output)? {
            Step::Read => Turn::Read,
            Step::Write(n) => Turn::Write(n),
            Step::Event(server::Event::UpgradeReady) => Turn::Done,
            Step::Event(server::Event::UpgradeRequested) => {
                self.accept()?;
                Turn::Again
            }
            Step::Event(server::Event::Command(_)) => {
                self.unknown()?;
                Turn::Again
            }
            // It goes on without TLS, or leaves.
            Step::Event(server::Event::Plaintext | server::Event::Quit) => {
                return Err(starttls::Error::Closed.into());
            }
            Step::Event(_) => Turn::Again,
        })
    }

    fn end_of_input(&mut self) -> Result<(), Fault> {
        Machine::end_of_input(self)?;
        Err(starttls::Error::Closed.into())
    }

    fn timed_out(&mut self) -> starttls::Error {
        Machine::timed_out(self)
    }

    fn wait(&mut self) -> Option<Duration> {
        Machine::wait(self)
    }

    fn farewell(&mut self, output: &mut [u8]) -> usize {
        Machine::farewell(self, output).unwrap_or_default()
    }
}
