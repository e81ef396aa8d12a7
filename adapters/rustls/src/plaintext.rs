//! The way to TLS: the plaintext machine, the boundary, the handshake.

use core::mem;

use crate::Error;
use crate::buffer::Incoming;
use crate::connection::{Connection, Event, Stage, failed};
use crate::drive::{Output, Step, Turn, drive};
use crate::engine::{Engine, Meaning};
use crate::records::{Opened, Records};

impl<E: Engine> Connection<E> {
    pub(crate) fn step_plaintext(&mut self) -> Result<Step<Event<E::Event<'_>>>, Error> {
        self.incoming.release();
        let Self { incoming: Incoming { octets, marks, .. }, outgoing, stage, .. } = self;
        let Stage::Opening(engine, _) = stage else {
            return Err(starttls::Error::OutOfOrder.into());
        };
        let plaintext = octets.get(..marks.plain).unwrap_or_default();
        let output = Output::<E::Side>::Plain(outgoing);
        let event = match drive(engine, plaintext, &mut marks.start, output) {
            Ok(Turn::Event(event)) => event,
            Ok(Turn::Read) if self.ended => match engine.end_of_input() {
                Ok(()) => return Ok(Step::End),
                Err(error) => return Err(failed(stage, &mut self.failed, error.into())),
            },
            Ok(Turn::Read) if outgoing.is_empty() => {
                outgoing.release();
                return Ok(Step::Read);
            }
            Ok(Turn::Read | Turn::NoRoom) => return Ok(Step::Write),
            Err(error) if is_ours(&error) => return Err(error),
            Err(error) => {
                let written = engine.farewell(outgoing.free_mut()).unwrap_or_default();
                outgoing.filled_more(written);
                return Err(failed(stage, &mut self.failed, error));
            }
        };
        let unread = plaintext.get(marks.start..).unwrap_or_default();
        let next = match (E::meaning(&event), mem::replace(stage, Stage::Over)) {
            (Meaning::Upgrade, Stage::Opening(engine, setup)) => {
                engine.into_upgrade(unread).map(|pledge| {
                    // `into_upgrade` has rejected injected plaintext, so the unread bytes belong to TLS.
                    marks.begin_tls();
                    (Stage::Beginning(pledge, setup), Event::Before(event))
                })
            }
            (Meaning::Plaintext, Stage::Opening(engine, _)) => engine
                .into_plaintext(unread)
                .map(|plaintext| (Stage::Plain(None), Event::Plaintext(plaintext))),
            (_, stage) => Ok((stage, Event::Before(event))),
        };
        match next {
            Ok((next, event)) => {
                let begins = match &next {
                    Stage::Opening(engine, _) => engine.begins_wait(),
                    _ => true,
                };
                *stage = next;
                self.progress += u64::from(begins);
                Ok(Step::Event(event))
            }
            Err(error) => Err(failed(stage, &mut self.failed, error.into())),
        }
    }

    pub(crate) fn step_handshake<B>(&mut self) -> Result<Step<Event<B>>, Error> {
        self.stage = match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Beginning(pledge, setup) => match E::begin(&setup) {
                Ok((connection, fragment)) => {
                    Stage::Shaking(pledge, setup, Records::new(connection, fragment))
                }
                Err(error) => return Err(self.fail(error.into())),
            },
            stage => stage,
        };
        let Stage::Shaking(_, _, records) = &mut self.stage else {
            return Err(starttls::Error::OutOfOrder.into());
        };
        let opened = records.open(&mut self.incoming, &mut self.outgoing);
        // Session tickets are part of the handshake too, so the output must have room for them.
        if opened == Opened::NoRoom {
            return Ok(Step::Write);
        }
        self.incoming.release();
        if !records.common().is_handshaking() {
            return self.established();
        }
        if let Some(error) = records.failed.clone() {
            return Err(self.fail(error));
        }
        if self.ended {
            return Err(self.fail(starttls::Error::Closed.into()));
        }
        if !self.outgoing.is_empty() {
            return Ok(Step::Write);
        }
        if self.incoming.marks.room() == 0 {
            return Err(self.fail(Error::MessageTooLong));
        }
        Ok(Step::Read)
    }

    fn established<B>(&mut self) -> Result<Step<Event<B>>, Error> {
        let stage = mem::replace(&mut self.stage, Stage::Over);
        let Stage::Shaking(pledge, setup, mut records) = stage else {
            return Err(starttls::Error::OutOfOrder.into());
        };
        match E::established(pledge, &setup, records.common()) {
            Ok(tls) => {
                records.established = true;
                self.stage = Stage::Tunnel(records);
                self.progress += 1;
                Ok(Step::Event(Event::Established(tls)))
            }
            Err(error) => {
                // The alert is optional: the connection has failed already.
                let _ = records.close(&mut self.incoming, &mut self.outgoing);
                Err(self.fail(error.into()))
            }
        }
    }

    pub(crate) fn engine(&mut self) -> Result<&mut E, Error> {
        match (&mut self.stage, &self.failed) {
            (Stage::Opening(engine, _), None) => Ok(engine),
            (_, Some(error)) => Err(error.clone()),
            _ => Err(starttls::Error::OutOfOrder.into()),
        }
    }

    pub(crate) fn with_engine(
        &mut self,
        write: impl FnOnce(&mut E, &mut [u8]) -> Result<usize, starttls::Error>,
    ) -> Result<(), Error> {
        self.engine()?;
        let Stage::Opening(engine, _) = &mut self.stage else { return Ok(()) };
        let written = write(engine, self.outgoing.free_mut())?;
        self.outgoing.filled_more(written);
        Ok(())
    }
}

fn is_ours(error: &Error) -> bool {
    error.protocol().is_some_and(starttls::Error::is_ours)
}
