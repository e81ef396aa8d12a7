use starttls::smtp::session::{Event, Exchange};
use starttls::smtp::{Address, Credentials, Dialect, Envelope, LineEnds, Reply, Session, Stuffer};
use starttls::{Channel, Error, Machine, Plaintext, Step, Tls};

use super::{Log, Next, OUTPUT, Room, Subject, step};
use crate::CLIENT;
use crate::table::{Handshake, Job, Mail};

/// The sending side of mail, and an application that does the jobs of the row.
#[derive(Debug)]
pub struct Sending<C, D> {
    session: Session<'static, C, D>,
    jobs: Vec<Job>,
    done: usize,
    /// The job that is next has not begun.
    fresh: bool,
}

impl<C: Channel, D: Dialect> Sending<C, D> {
    /// The session of a row.
    #[must_use]
    pub fn new(channel: C, mail: &Mail) -> Self {
        Self {
            session: Session::new(channel, CLIENT),
            jobs: mail.jobs.clone(),
            done: 0,
            fresh: true,
        }
    }
}

/// A channel on which a row may try to authenticate.
pub trait Authenticates: Channel + Sized + 'static {
    /// Begins or goes on with the job.
    ///
    /// # Errors
    /// Those of the session.
    fn authenticate<'s, 'c, D: Dialect>(
        session: &'s mut Session<'static, Self, D>,
        credentials: &'c Credentials<'c>,
    ) -> Result<Exchange<'s, 'static, 'c, Self, D>, Error>;
}

impl Authenticates for Tls {
    fn authenticate<'s, 'c, D: Dialect>(
        session: &'s mut Session<'static, Self, D>,
        credentials: &'c Credentials<'c>,
    ) -> Result<Exchange<'s, 'static, 'c, Self, D>, Error> {
        session.authenticate(credentials)
    }
}

impl Authenticates for Plaintext {
    fn authenticate<'s, 'c, D: Dialect>(
        _: &'s mut Session<'static, Self, D>,
        _: &'c Credentials<'c>,
    ) -> Result<Exchange<'s, 'static, 'c, Self, D>, Error> {
        panic!("the method does not exist: a row cannot ask for it")
    }
}

/// What a job is asked to do.
enum Ask<'a, 'i> {
    Step { input: &'a mut &'i [u8], room: Room, log: &'a mut Log },
    Wait,
    EndOfInput,
    TimedOut,
}

enum Told {
    Next(Next),
    Waits(bool),
    Ended(Result<(), Error>),
    TimedOut(Error),
}

/// What every job has in common.
fn tell<M: for<'i> Machine<Event<'i> = Event<'i>>>(
    exchange: &mut M,
    ask: Ask<'_, '_>,
    write_message: impl FnOnce(&mut M, Room, &mut Log) -> Result<(), Error>,
) -> Told {
    let (input, room, log) = match ask {
        Ask::Wait => return Told::Waits(exchange.wait().is_some()),
        Ask::EndOfInput => return Told::Ended(exchange.end_of_input()),
        Ask::TimedOut => return Told::TimedOut(exchange.timed_out()),
        Ask::Step { input, room, log } => (input, room, log),
    };
    let mut output = [0; OUTPUT];
    let event = match step(exchange, input, &mut output, room) {
        Ok(Step::Read) => return Told::Next(Next::Read),
        Ok(Step::Write(n)) => {
            log.out.extend(&output[..n]);
            return Told::Next(Next::On);
        }
        Ok(Step::Event(event)) => event,
        Err(error) => return Told::Next(Next::Failed(error)),
    };
    Told::Next(match event {
        Event::Received(reply) => {
            log.lines.push(said(reply));
            Next::On
        }
        Event::Recipient { index, reply } => {
            log.event(format!("recipient {index} {}", reply.code()));
            Next::On
        }
        Event::Delivery { index, reply } => {
            log.event(format!("delivery {index} {}", reply.code()));
            Next::On
        }
        Event::Body(reply) => {
            log.event(format!("body {}", reply.code()));
            write_message(exchange, room, log).map_or_else(Next::Failed, |()| Next::On)
        }
        Event::Done(reply) => {
            log.event(format!("done {}", reply.code()));
            Next::Over("job")
        }
        Event::Rejected { command, reply } => {
            log.event(format!("rejected {command:?} {}", reply.code()));
            Next::Over("job")
        }
        Event::NoRecipients => {
            log.event("no-recipients");
            Next::Over("job")
        }
        Event::Delivered => {
            log.event("delivered");
            Next::Over("job")
        }
        other => panic!("a new event: {other:?}"),
    })
}

fn said(reply: Reply<'_>) -> String {
    let separator = if reply.is_last() { ' ' } else { '-' };
    format!("{}{separator}{}", reply.code(), reply.text())
}

/// Hands over the message, in large pieces or in the smallest.
fn put<C: Channel, D: Dialect>(
    exchange: &mut Exchange<'_, '_, '_, C, D>,
    mut message: &[u8],
    room: Room,
    log: &mut Log,
) -> Result<(), Error> {
    let mut output = [0; OUTPUT];
    let size = if room == Room::Tight { Stuffer::MIN_OUTPUT } else { OUTPUT };
    while !message.is_empty() {
        let (before, too_small) = (message, &mut output[..Stuffer::MIN_OUTPUT - 1]);
        let needed = Stuffer::MIN_OUTPUT;
        assert_eq!(exchange.body(&mut message, too_small), Err(Error::OutputTooSmall { needed }));
        assert_eq!(message, before, "a write that does not fit takes some of the message");
        match exchange.body(&mut message, &mut output[..size]) {
            Ok(n) => log.out.extend(&output[..n]),
            Err(error) => {
                assert_eq!(exchange.finish(), Err(error), "half a message can be ended");
                return Err(error);
            }
        }
    }
    exchange.finish()
}

fn no_message<E>(_: &mut E, _: Room, _: &mut Log) -> Result<(), Error> {
    panic!("a message is asked for by a job that has none")
}

impl<C: Authenticates, D: Dialect> Sending<C, D> {
    fn ask(&mut self, ask: Ask<'_, '_>) -> Result<Told, Error> {
        let session = &mut self.session;
        Ok(match &self.jobs[self.done] {
            Job::Hello => tell(&mut session.hello()?, ask, no_message),
            Job::Reset => tell(&mut session.reset()?, ask, no_message),
            Job::Quit => tell(&mut session.quit()?, ask, no_message),
            Job::Authenticate { user, password } => {
                let credentials = Credentials::new(user, password).expect("credentials");
                tell(&mut C::authenticate(session, &credentials)?, ask, no_message)
            }
            Job::Send { from, to, message, normalize, size, eight_bit } => {
                if *normalize && self.fresh {
                    session.set_line_ends(LineEnds::Normalize);
                }
                self.fresh = false;
                let from = (!from.is_empty()).then(|| Address::new(from).expect("an address"));
                let to: Vec<Address<'_>> =
                    to.iter().map(|to| Address::new(to).expect("an address")).collect();
                let mut envelope = Envelope::new(from, &to).expect("an envelope");
                envelope = size.map_or(envelope, |size| envelope.with_size(size));
                if *eight_bit {
                    envelope = envelope.with_eight_bit();
                }
                let mut exchange = session.send(&envelope)?;
                tell(&mut exchange, ask, |exchange, room, log| put(exchange, &message.0, room, log))
            }
        })
    }
}

impl<C: Authenticates, D: Dialect> Subject for Sending<C, D> {
    fn waits(&mut self) -> bool {
        matches!(self.ask(Ask::Wait), Ok(Told::Waits(true)))
    }

    fn step(&mut self, input: &mut &[u8], room: Room, log: &mut Log) -> Next {
        match self.ask(Ask::Step { input, room, log }) {
            Ok(Told::Next(Next::Over(_))) => {
                self.done += 1;
                self.fresh = true;
                if self.done == self.jobs.len() { Next::Over("done") } else { Next::On }
            }
            Ok(Told::Next(next)) => next,
            Err(error @ (Error::Unverified | Error::Unsupported | Error::MessageTooLarge)) => {
                Next::Denied(error)
            }
            Err(error) => Next::Failed(error),
            _ => panic!("an answer to another question"),
        }
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        match self.ask(Ask::EndOfInput)? {
            Told::Ended(ended) => ended,
            _ => panic!("an answer to another question"),
        }
    }

    fn timed_out(&mut self) -> Error {
        match self.ask(Ask::TimedOut) {
            Ok(Told::TimedOut(error)) | Err(error) => error,
            _ => panic!("an answer to another question"),
        }
    }

    /// A job begun while another is under way; any job after a failure.
    fn misuse(&mut self) -> Vec<Result<(), Error>> {
        let mut results = Vec::new();
        let job = self.jobs.get(self.done);
        if !matches!(job, Some(Job::Reset | Job::Send { .. })) {
            results.push(self.session.reset().map(drop));
        }
        if !matches!(job, Some(Job::Quit)) {
            results.push(self.session.quit().map(drop));
        }
        results
    }

    fn into_upgrade(
        self: Box<Self>,
        _: &[u8],
        _: Handshake,
    ) -> Result<(Option<Tls>, Vec<u8>), Error> {
        Err(Error::OutOfOrder)
    }

    fn into_plaintext(self: Box<Self>, _: &[u8]) -> Result<Plaintext, Error> {
        Err(Error::OutOfOrder)
    }
}
