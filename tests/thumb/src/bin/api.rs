//! The whole public API, called with bytes that are opaque to the compiler.
//!
//! It links only if no panic is reachable.

#![no_std]
#![no_main]

use core::fmt::Write as _;
use core::hint::black_box;

#[cfg(feature = "hashes")]
use starttls::mail::ChannelBinding;
use starttls::mail::dsn::{self, Notify, Request, Xtext};
use starttls::mail::message::{Attachment, Date, Encoding, Header, Mailbox, Progress};
use starttls::mail::{self, Address, Credentials, Envelope, LineEnds, Message};
use starttls::smtp::{self, Domain};
use starttls::{
    ArgumentError, Buffer, Client, Error, Machine, Plaintext, Policy, Server, Step, Tls,
    Verification, client, lmtp, server, wire,
};
use starttls_thumb::{Uart, opaque, receive, send, text};

const NOTIFY: Notify = Notify::SUCCESS.and(Notify::DELAY);

fn policy() -> Policy {
    if opaque(true) { Policy::Required } else { Policy::Opportunistic }
}

/// Steps a machine until it needs something, and makes every possible call.
fn drive<M: Machine>(
    machine: &mut M,
    mut event: impl FnMut(&mut M, M::Event<'_>),
) -> Result<(), Error> {
    let mut buffer = Buffer::<{ mail::MAX_COMMAND }>::new();
    let mut output = [0; 768];
    for _ in 0..opaque(100_u8) {
        let mut input = buffer.filled();
        let step = machine.step(&mut input, &mut output)?;
        let unread = input.len();
        match step {
            Step::Write(n) => send(output.get(..n).unwrap_or_default()),
            Step::Event(happened) => event(machine, happened),
            Step::Read if opaque(false) => machine.end_of_input()?,
            Step::Read if opaque(false) => return Err(machine.timed_out()),
            Step::Read => {
                black_box(machine.wait());
                buffer.keep(unread);
                if opaque(true) {
                    buffer.fill(|free| Ok::<_, Error>(receive(free)))?;
                } else {
                    let received = receive(buffer.free_mut());
                    buffer.received(received);
                }
                continue;
            }
        }
        buffer.keep(unread);
    }
    Ok(())
}

fn client<G: client::Grammar>(mut client: Client<G>) -> Result<Tls, Error> {
    let outcome = drive(&mut client, |_, event| {
        if let client::Event::Received(said) = event {
            let _ = write!(Uart, "{said} {said:?}");
        }
    });
    black_box(client.protocol());
    outcome?;
    let mut unread = [0; 8];
    let received = receive(&mut unread);
    let unread = unread.get(..received).unwrap_or_default();
    if opaque(false) {
        let plaintext = client.into_plaintext(unread)?;
        return session::<_, smtp::Smtp>(plaintext).map(|()| Tls::implicit_server());
    }
    let upgrade = client.into_upgrade(unread)?;
    let verified = opaque(true);
    upgrade.established(if verified { Verification::Verified } else { Verification::Unverified })
}

fn server<G: server::Grammar>(mut server: Server<G>) -> Result<Tls, Error> {
    let outcome = drive(&mut server, |server, event| {
        let mut output = [0; 64];
        let mut line = [0; 32];
        black_box(match event {
            server::Event::UpgradeRequested if opaque(true) => server.accept(),
            server::Event::UpgradeRequested => server.refuse(),
            server::Event::Command(_) if opaque(true) => wire::Line::new(text(&mut line))
                .map_err(|_| Error::OutOfOrder)
                .and_then(|line| server.answer(&[line], &mut output))
                .map(|written| send(output.get(..written).unwrap_or_default())),
            server::Event::Command(_) => server.unknown(),
            _ => Ok(()),
        })
        .ok();
    });
    let mut output = [0; 64];
    let written = server.farewell(&mut output)?;
    send(output.get(..written).unwrap_or_default());
    outcome?;
    if opaque(false) {
        let plaintext = server.into_plaintext()?;
        return receiver::<Plaintext, smtp::Smtp>(plaintext).map(|()| Tls::implicit_server());
    }
    let mut early = [0; 64];
    let received = receive(&mut early);
    let upgrade = server.into_upgrade(early.get(..received).unwrap_or_default())?;
    send(upgrade.early());
    send(upgrade.alpn().unwrap_or_default());
    Ok(upgrade.established())
}

fn session<C: starttls::Channel, D: smtp::Dialect>(channel: C) -> Result<(), Error> {
    let mut session = mail::Session::<C, D>::new(channel);
    session.set_line_ends(if opaque(true) { LineEnds::Strict } else { LineEnds::Normalize });
    drive(&mut session.hello(Domain::LOCALHOST)?, |_, event| {
        if let mail::session::Event::Received(reply) = event {
            let _ = write!(Uart, "{} {}", reply.code(), reply.text());
            if let Some(status) = reply.status() {
                let _ = write!(Uart, "{status}");
            }
        }
    })?;
    let (mut from, mut to) = ([0; 80], [0; 80]);
    let from = Address::new(text(&mut from)).ok();
    let to = Address::new(text(&mut to)).map_err(|_| Error::OutOfOrder)?;
    let to = [to, to];
    let envelope = Envelope::new(from, &to).map_err(|_| Error::OutOfOrder)?;
    let mut original = [0; 300];
    let original = Xtext::new(text(&mut original)).map_err(|_| Error::OutOfOrder)?;
    let id = Request::NOTHING.with_id(original).map_err(|_| Error::OutOfOrder)?;
    let each = dsn::OriginalRecipient::new("rfc822", original)
        .and_then(|original| {
            dsn::Recipient::NOTHING.with_notify(opaque(NOTIFY)).with_original(original)
        })
        .map_err(|_| Error::OutOfOrder)?;
    let each = [each];
    let request =
        id.with_notify(opaque(NOTIFY)).with_returns(opaque(dsn::Return::Full)).with_each(&each);
    let one = request.recipient(opaque(1));
    black_box((request.id(), request.returns(), request.notify(), one.notify(), one.original()));
    let mut envelope = envelope.with_size(opaque(usize::MAX)).with_eight_bit();
    if opaque(true) {
        envelope = envelope.with_utf8().with_required_tls().with_dsn(request);
    }
    drive(&mut session.send_chunks(&envelope)?, |job, event| {
        if matches!(event, mail::session::Event::Chunks) {
            let (mut message, mut output) = ([0; 64], [0; 64]);
            let received = receive(&mut message);
            let mut message = message.get(..received).unwrap_or_default();
            if let Ok(written) = job.chunk(&mut message, &mut output) {
                send(output.get(..written).unwrap_or_default());
            }
            black_box(job.finish()).ok();
        }
    })?;
    drive(&mut session.send(&envelope)?, |job, event| {
        if matches!(event, mail::session::Event::Body(_)) {
            let (mut message, mut output) = ([0; 64], [0; 64]);
            let received = receive(&mut message);
            let mut message = message.get(..received).unwrap_or_default();
            if let Ok(written) = job.body(&mut message, &mut output) {
                send(output.get(..written).unwrap_or_default());
            }
            black_box(job.finish()).ok();
        }
    })?;
    drive(&mut session.reset()?, |_, _| {})?;
    drive(&mut session.quit()?, |_, _| {})
}

fn authenticate<D: smtp::Dialect>(tls: Tls) -> Result<(), Error> {
    let mut session = mail::Session::<Tls, D>::new(tls);
    drive(&mut session.hello(Domain::LOCALHOST)?, |_, _| {})?;
    let (mut user, mut password) = ([0; 300], [0; 300]);
    let (user, password) = (text(&mut user), text(&mut password));
    let credentials = if opaque(true) {
        Credentials::new(user, password)
    } else {
        Credentials::bearer(user, password)
    };
    let credentials = credentials.map_err(|_| Error::OutOfOrder)?;
    #[cfg(feature = "hashes")]
    let (nonce, keying, hash) = (opaque([1; 18]), opaque([1; 32]), opaque([1; 64]));
    #[cfg(feature = "hashes")]
    let credentials = credentials
        .with_nonce(&nonce)
        .with_binding(if opaque(true) {
            ChannelBinding::Exporter(&keying)
        } else {
            ChannelBinding::ServerEndPoint(&hash)
        })
        .map_err(|_| Error::OutOfOrder)?;
    let _ = write!(Uart, "{credentials:?} {:?}", session.extensions());
    drive(&mut session.authenticate(&credentials)?, |_, _| {})
}

fn message() -> Result<(), ArgumentError> {
    let mut texts = [[0; 64]; 9];
    let [from, name, to, subject, id, field, value, body, file] = &mut texts;
    let from = Mailbox::named(text(name), Address::new(text(from))?)?;
    let to = [Mailbox::new(Address::international(text(to))?), from];
    let headers = [Header::new(text(field), text(value))?];
    let file = text(file);
    let attachments = [Attachment::new(file, file)?.with_size(opaque(usize::MAX))];
    let encoding = if opaque(true) {
        Encoding::offered(mail::session::Extensions::default())
    } else {
        Encoding::EightBit
    };
    let message = Message::new(from, &to)
        .with_cc(&to)
        .with_reply_to(&to)
        .with_subject(text(subject))?
        .with_date(Date::new(opaque(u64::MAX), opaque(i16::MAX))?)
        .with_id(text(id))?
        .with_headers(&headers)
        .with_text(text(body))
        .with_attachments(&attachments)
        .with_encoding(encoding);
    black_box((message.size(), message.is_eight_bit(), message.is_international()));
    black_box((message.attachments(), from.name(), from.address(), attachments[0].size()));
    let (mut composer, mut buffer, mut output) = (message.compose(), [0; 64], [0; 64]);
    loop {
        match composer.step(output.get_mut(opaque(0)..).unwrap_or_default()) {
            Ok(Progress::Write(n)) => send(output.get(..n).unwrap_or_default()),
            Ok(Progress::Attachment(index)) => {
                black_box(index);
                let received = receive(&mut buffer);
                let mut piece = buffer.get(..received).unwrap_or_default();
                let n = composer.attach(&mut piece, &mut output).unwrap_or_default();
                send(output.get(..n).unwrap_or_default());
                black_box(composer.end_attachment()).ok();
            }
            Ok(Progress::Done) => return Ok(()),
            Err(error) => {
                let _ = write!(Uart, "{error}");
            }
        }
    }
}

fn receiver<C: starttls::Channel, D: smtp::Dialect>(channel: C) -> Result<(), Error> {
    use mail::receiver::{Authentication, Config, Limits};
    let limits = Limits::default().with_size(Some(opaque(usize::MAX))).with_commands(opaque(100));
    let authentication =
        if opaque(true) { Authentication::Required } else { Authentication::Offered };
    let config = Config::from(limits)
        .with_authentication(authentication)
        .with_dsn(opaque(true))
        .with_smtp_utf8(opaque(true))
        .with_require_tls(opaque(true));
    #[cfg(feature = "hashes")]
    let config = config.with_scram(opaque(mail::receiver::Scram::Bound));
    let mut receiver = mail::Receiver::<C, D>::new(channel, Domain::LOCALHOST, config);
    let outcome = drive(&mut receiver, judge);
    black_box(receiver.is_authenticated());
    let mut output = [0; 64];
    let written = receiver.farewell(&mut output)?;
    send(output.get(..written).unwrap_or_default());
    outcome
}

fn judge<C: starttls::Channel, D: smtp::Dialect>(
    receiver: &mut mail::Receiver<'_, C, D>,
    event: mail::receiver::Event<'_>,
) {
    use mail::receiver::{Answer, Event, Login};
    let (mut output, mut line) = ([0; 64], [0; 32]);
    let answer = match event {
        Event::User(user) => {
            let mut buffer = [0; 300];
            if let Ok(name) = user.decode(&mut buffer) {
                send(name.as_bytes());
            }
            return;
        }
        Event::Login(login) => {
            let mut buffer = [0; Login::MAX];
            match login.decode(&mut buffer) {
                Ok(claim) => {
                    for text in [claim.authorization, claim.user.unwrap_or(""), claim.password] {
                        send(text.as_bytes());
                    }
                    let _ = write!(Uart, "{claim:?} {login:?}");
                    black_box(receiver.accept()).ok();
                    return;
                }
                Err(_) => Ok(Answer::BAD_CREDENTIALS),
            }
        }
        #[cfg(feature = "hashes")]
        Event::ScramFirst(first) => {
            let mut buffer = [0; mail::receiver::ScramFirst::MAX];
            if let Ok(start) = first.decode(&mut buffer)
                && let Some(exchange) = exchange(&start)
            {
                challenge(receiver, &exchange);
            }
            Ok(Answer::BAD_CREDENTIALS)
        }
        #[cfg(feature = "hashes")]
        Event::ScramFinal(last) => {
            let mut message = [0; 64];
            let length = receive(&mut message);
            let message = message.get(..length).unwrap_or_default();
            if let Ok(start) = mail::receiver::ScramStart::parse(message, opaque(true))
                && let Some(mut exchange) = exchange(&start)
                && exchange.verify(&last).is_ok()
            {
                challenge(receiver, &exchange);
            }
            Ok(Answer::BAD_CREDENTIALS)
        }
        Event::Mail(mail) => {
            let _ = write!(Uart, "{:?} {:?} {:?}", mail.size, mail.returns, mail.parameters.len());
            send(mail.path.as_str().as_bytes());
            if let Some(id) = mail.envelope_id {
                id.octets().for_each(|octet| send(&[octet]));
            }
            black_box((mail.path.is_null(), mail.path.is_international()));
            black_box(receiver.accept()).ok();
            return;
        }
        Event::Recipient(recipient) => {
            send(recipient.path.as_str().as_bytes());
            if let Some(notify) = recipient.notify {
                black_box(notify.success() || notify.failure() || notify.delay());
            }
            if let Some(original) = recipient.original {
                send(original.address_type().as_bytes());
                send(original.address().as_str().as_bytes());
            }
            black_box(receiver.accept()).ok();
            return;
        }
        Event::Message { .. } => Answer::new(opaque(250), text(&mut line)),
        Event::Body(piece) => {
            send(piece);
            return;
        }
        _ => return,
    };
    if let Ok(answer) = answer
        && let Ok(written) = receiver.answer(answer, &mut output)
    {
        send(output.get(..written).unwrap_or_default());
    }
}

#[cfg(feature = "hashes")]
fn challenge<C: starttls::Channel, D: smtp::Dialect>(
    receiver: &mut mail::Receiver<'_, C, D>,
    exchange: &mail::receiver::ScramExchange,
) {
    let mut output = [0; 512];
    if let Ok(written) = receiver.challenge(exchange, &mut output) {
        send(output.get(..written).unwrap_or_default());
    }
}

/// The server's side of SCRAM, with opaque keys and bindings.
#[cfg(feature = "hashes")]
fn exchange(start: &mail::receiver::ScramStart<'_>) -> Option<mail::receiver::ScramExchange> {
    use mail::receiver::ScramKeys;
    let (mut name, mut password, mut salt) = ([0; 255], [0; 32], [0; 80]);
    send(start.user(&mut name).ok()?.as_bytes());
    send(start.authorization(&mut name).ok()?.as_bytes());
    send(start.message());
    let length = receive(&mut salt);
    let salt = salt.get(..length)?;
    let derived = ScramKeys::derive(text(&mut password), salt, opaque(4096)).ok()?;
    let (stored, server) = (*derived.stored_key(), *derived.server_key());
    let keys = ScramKeys::new(salt, opaque(4096), stored, server).ok()?;
    let (keying, hash) = (opaque([1; 32]), opaque([1; 64]));
    let bindings = [ChannelBinding::Exporter(&keying), ChannelBinding::ServerEndPoint(&hash)];
    start.exchange(&keys, &opaque([1; 18]), bindings.get(opaque(0)..)?).ok()
}

/// A sender's delivery status parameters, from opaque bytes.
fn reports() {
    use mail::dsn::{Notify, OriginalRecipient, Xtext};
    let (mut kind, mut address) = ([0; 32], [0; 64]);
    let address = text(&mut address);
    if let Ok(address) = Xtext::new(address).or(Xtext::international(address))
        && let Ok(original) = OriginalRecipient::new(text(&mut kind), address)
    {
        black_box(original);
    }
    let notify = if opaque(true) { Notify::SUCCESS } else { Notify::DELAY };
    black_box(notify.and(Notify::FAILURE).is_never());
}

fn all() -> Result<(), Error> {
    let mut name = [0; 300];
    let domain = Domain::new(text(&mut name)).unwrap_or(Domain::LOCALHOST);
    let config = server::Config::default()
        .with_policy(policy())
        .with_available(opaque(true))
        .with_max_errors(opaque(10));
    reports();
    loop {
        if let Err(error) = message() {
            let _ = write!(Uart, "{error}");
        }
        let outcome = match opaque(0_u8) {
            0 => client(smtp::Client::new(domain, policy())).and_then(session::<_, smtp::Smtp>),
            1 => client(lmtp::Client::new(domain, policy())).and_then(session::<_, lmtp::Lmtp>),
            2 => client(smtp::Client::new(domain, policy())).and_then(authenticate::<smtp::Smtp>),
            3 => server(smtp::Server::new(domain, config)).and_then(receiver::<_, smtp::Smtp>),
            4 => server(lmtp::Server::new(domain, config)).and_then(receiver::<_, lmtp::Lmtp>),
            _ => {
                Tls::implicit(policy(), Verification::Unverified).and_then(session::<_, smtp::Smtp>)
            }
        };
        if let Err(error) = outcome {
            let _ = write!(Uart, "{error} {} {:?}", error.rule(), error.kind());
            if error.is_ours() {
                return Err(error);
            }
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn reset() -> ! {
    black_box(all()).ok();
    loop {
        core::hint::spin_loop();
    }
}
