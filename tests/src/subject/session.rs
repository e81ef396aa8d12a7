use starttls::mail::session::{self, Event, Exchange};
use starttls::mail::{
    Address, ChannelBinding, Credentials, Envelope, LineEnds, Nonce, Session, Stuffer, dsn,
};
use starttls::smtp::{Dialect, Reply};
use starttls::{Channel, Error, Machine, Plaintext, Step, Tls};

use super::{Log, Next, OUTPUT, Room, Subject, step};
use crate::CLIENT;
use crate::table::{Dsn, Handshake, Job, Mail, Sent};

/// The sending side of mail, with an application that does the row's jobs.
#[derive(Debug)]
pub struct Sending<C, D> {
    session: Session<C, D>,
    jobs: Vec<Job>,
    done: usize,
    /// The next job has not begun.
    fresh: bool,
    /// The number of message bytes sent in chunks.
    sent: usize,
    failed: bool,
}

impl<C: Channel, D: Dialect> Sending<C, D> {
    /// The session of a row.
    #[must_use]
    pub fn new(channel: C, mail: &Mail) -> Self {
        Self {
            session: Session::new(channel),
            jobs: mail.jobs.clone(),
            done: 0,
            fresh: true,
            sent: 0,
            failed: false,
        }
    }
}

/// A channel on which a row can try to authenticate.
pub trait Authenticates: Channel + Sized + 'static {
    /// Begins or continues the job.
    ///
    /// # Errors
    /// Those of the session.
    fn authenticate<'s, 'c, D: Dialect>(
        session: &'s mut Session<Self, D>,
        credentials: &'c Credentials<'c>,
    ) -> Result<Exchange<'s, 'c, Self, D>, Error>;
}

impl Authenticates for Tls {
    fn authenticate<'s, 'c, D: Dialect>(
        session: &'s mut Session<Self, D>,
        credentials: &'c Credentials<'c>,
    ) -> Result<Exchange<'s, 'c, Self, D>, Error> {
        session.authenticate(credentials)
    }
}

impl Authenticates for Plaintext {
    fn authenticate<'s, 'c, D: Dialect>(
        _: &'s mut Session<Self, D>,
        _: &'c Credentials<'c>,
    ) -> Result<Exchange<'s, 'c, Self, D>, Error> {
        panic!("a row cannot authenticate here: the method does not exist")
    }
}

/// The parameters of a job.
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

/// The common interface of all jobs.
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
        Event::Unreadable(line) => {
            log.lines.push(line.to_string());
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
        Event::Chunks => {
            write_message(exchange, room, log).map_or_else(Next::Failed, |()| Next::On)
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

/// Passes the message on, in large pieces or byte by byte.
fn put<C: Channel, D: Dialect>(
    exchange: &mut Exchange<'_, '_, C, D>,
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
        assert_eq!(message, before, "a write that does not fit consumes part of the message");
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

/// Sends the rest of the message in chunks, as many as the server allows.
fn put_chunks<C: Channel, D: Dialect>(
    exchange: &mut Exchange<'_, '_, C, D>,
    message: &[u8],
    sent: &mut usize,
    size: usize,
    log: &mut Log,
) -> Result<(), Error> {
    let mut output = vec![0; size];
    while *sent < message.len() {
        let mut rest = &message[*sent..];
        let written = exchange.chunk(&mut rest, &mut output)?;
        if written == 0 && !rest.is_empty() {
            return Ok(());
        }
        *sent = message.len() - rest.len();
        log.out.extend(&output[..written]);
    }
    exchange.finish()
}

fn no_message<E>(_: &mut E, _: Room, _: &mut Log) -> Result<(), Error> {
    panic!("a job without a message needs one")
}

impl<C: Authenticates, D: Dialect> Sending<C, D> {
    fn ask(&mut self, ask: Ask<'_, '_>) -> Result<Told, Error> {
        let session = &mut self.session;
        Ok(match &self.jobs[self.done] {
            Job::Hello => tell(&mut session.hello(CLIENT)?, ask, no_message),
            Job::Reset => tell(&mut session.reset()?, ask, no_message),
            Job::Quit => tell(&mut session.quit()?, ask, no_message),
            Job::Authenticate {
                user,
                password,
                token,
                external,
                mechanism,
                nonce,
                exporter,
                end_point,
            } => {
                let nonce: Nonce = nonce.as_ref().map_or([0; 18], |nonce| array(&nonce.0));
                let exporter = exporter.as_ref().map(|data| array::<32>(&data.0));
                let mut credentials = match token {
                    Some(token) => Credentials::bearer(user, token),
                    None if *external => Credentials::external(user),
                    None => Credentials::new(user, password),
                }
                .expect("credentials");
                if nonce != [0; 18] {
                    credentials = credentials.with_nonce(&nonce);
                }
                let binding = match (&exporter, end_point) {
                    (Some(exporter), _) => Some(ChannelBinding::Exporter(exporter)),
                    (_, Some(hash)) => Some(ChannelBinding::ServerEndPoint(&hash.0)),
                    _ => None,
                };
                if let Some(binding) = binding {
                    credentials = credentials.with_binding(binding).expect("a binding");
                }
                if let Some(name) = mechanism {
                    let mut all = session::Mechanism::ALL.iter();
                    let mechanism = all.find(|mechanism| mechanism.name() == name);
                    credentials = credentials.by(*mechanism.expect("a mechanism"));
                }
                tell(&mut C::authenticate(session, &credentials)?, ask, no_message)
            }
            Job::Send(mail) => {
                if self.fresh {
                    self.sent = 0;
                    if mail.normalize {
                        session.set_line_ends(LineEnds::Normalize);
                    }
                }
                self.fresh = false;
                let to: Vec<Address<'_>> = mail.to.iter().map(|to| address(to)).collect();
                let each: Vec<dsn::Recipient<'_>> = each(mail);
                let envelope = envelope(mail, &to, &each);
                let message = &mail.message.0[..];
                match mail.chunks {
                    None => tell(&mut session.send(&envelope)?, ask, |exchange, room, log| {
                        put(exchange, message, room, log)
                    }),
                    Some(size) => {
                        let sent = &mut self.sent;
                        tell(&mut session.send_chunks(&envelope)?, ask, |exchange, _, log| {
                            put_chunks(exchange, message, sent, size, log)
                        })
                    }
                }
            }
        })
    }
}

fn array<const N: usize>(octets: &[u8]) -> [u8; N] {
    octets.try_into().expect("the exact number of bytes")
}

fn address(text: &str) -> Address<'_> {
    Address::international(text).expect("an address")
}

fn envelope<'a>(
    mail: &'a Sent,
    to: &'a [Address<'a>],
    each: &'a [dsn::Recipient<'a>],
) -> Envelope<'a> {
    let from = (!mail.from.is_empty()).then(|| address(&mail.from));
    let mut envelope = Envelope::new(from, to).expect("an envelope");
    envelope = mail.size.map_or(envelope, |size| envelope.with_size(size));
    if mail.eight_bit {
        envelope = envelope.with_eight_bit();
    }
    if mail.utf8 {
        envelope = envelope.with_utf8();
    }
    if mail.require_tls {
        envelope = envelope.with_required_tls();
    }
    mail.dsn.as_ref().map_or(envelope, |asked| envelope.with_dsn(request(asked, each)))
}

fn request<'a>(asked: &'a Dsn, each: &'a [dsn::Recipient<'a>]) -> dsn::Request<'a> {
    let mut request = dsn::Request::NOTHING.with_each(each);
    request = match asked.ret.as_deref() {
        None => request,
        Some("FULL") => request.with_returns(dsn::Return::Full),
        Some("HDRS") => request.with_returns(dsn::Return::Headers),
        Some(other) => panic!("RET={other}"),
    };
    if let Some(id) = &asked.envid {
        request = request.with_id(dsn::Xtext::new(id).expect("an id")).expect("short");
    }
    asked.notify.as_deref().map_or(request, |names| request.with_notify(notify(names)))
}

fn each(mail: &Sent) -> Vec<dsn::Recipient<'_>> {
    let each = mail.dsn.iter().flat_map(|dsn| &dsn.each);
    each.map(|asked| {
        let mut recipient = dsn::Recipient::NOTHING;
        if let Some(names) = &asked.notify {
            recipient = recipient.with_notify(notify(names));
        }
        if let Some((kind, text)) = &asked.orcpt {
            let text = dsn::Xtext::international(text).expect("an address");
            let original = dsn::OriginalRecipient::new(kind, text).expect("a kind");
            recipient = recipient.with_original(original).expect("short");
        }
        recipient
    })
    .collect()
}

fn notify(names: &[String]) -> dsn::Notify {
    names.iter().fold(dsn::Notify::NEVER, |all, name| {
        all.and(match name.as_str() {
            "SUCCESS" => dsn::Notify::SUCCESS,
            "FAILURE" => dsn::Notify::FAILURE,
            "DELAY" => dsn::Notify::DELAY,
            other => panic!("NOTIFY={other}"),
        })
    })
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
            Ok(Told::Next(next)) => {
                self.failed |= matches!(next, Next::Failed(_));
                next
            }
            Err(error)
                if !self.failed
                    && (error.is_unsupported()
                        || matches!(error, Error::Unverified | Error::MessageTooLarge)) =>
            {
                Next::Denied(error)
            }
            Err(error) => Next::Failed(error),
            _ => panic!("a reply to a different job"),
        }
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        match self.ask(Ask::EndOfInput)? {
            Told::Ended(ended) => ended,
            _ => panic!("a reply to a different job"),
        }
    }

    fn timed_out(&mut self) -> Error {
        match self.ask(Ask::TimedOut) {
            Ok(Told::TimedOut(error)) | Err(error) => error,
            _ => panic!("a reply to a different job"),
        }
    }

    /// A job started while another is running, or any job after a failure.
    fn misuse(&mut self) -> Vec<Result<(), Error>> {
        let mut results = Vec::new();
        let job = self.jobs.get(self.done);
        if !matches!(job, Some(Job::Reset | Job::Send(_))) {
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
