//! Repeats the parsing of one piece of a connection, for an instruction counter: by this library, by
//! others on the same bytes, and by a scan that only finds the line ends.
//!
//! usage: parse MODE REPETITIONS      (at most 2,000)
//!
//! What leads up to the measured piece, such as a session's own commands, is done before the first
//! repetition, as often as all repetitions together need it. So the difference of two runs has only the
//! piece.

use std::borrow::Cow;
use std::hint::black_box;
use std::process::ExitCode;

use io_smtp::coroutine::{SmtpCoroutine, SmtpCoroutineState, SmtpYield};
use io_smtp::rfc3207::starttls::SmtpStartTls;
use io_smtp::rfc5321::ehlo::SmtpEhlo;
use io_smtp::rfc5321::greeting::SmtpGreetingGet;
use io_smtp::rfc5321::{SmtpDomain, SmtpEhloDomain};
use smtp_proto::response::parser::ResponseReceiver;
use smtp_proto::{EhloResponse, Request};
use starttls::mail::{Address, Envelope, Receiver, Session, receiver, session};
use starttls::smtp::{self, Domain};
use starttls::{Machine, Policy, Step, Tls, Verification, client};
use starttls_measure::aligned;
use starttls_measure::talk::{
    Cuts, EHLO, GO_AHEAD, SMTP_GREETING, TURNS, cuts, repeat, scan, talk,
};

/// The most repetitions, for which there are prepared sessions.
const MOST: usize = 2000;

/// 13 lines of the same lengths, which a parser of HTTP takes. It reads the empty line after them, too.
const FIELDS: &[u8] = aligned!(
    b"server: l.example.org at your service\
    \r\nx: -PIPELINING\r\nx: -SIZE 52428800\r\nx: -VRFY\r\nx: -ETRN\r\nx: -STARTTLS\
    \r\nx: -AUTH PLAIN LOGIN CRAM-MD5 XOAUTH2\r\nx: -AUTH=PLAIN LOGIN\r\nx: -ENHANCEDSTATUSCODES\
    \r\nx: -8BITMIME\r\nx: -DSN\r\nx: -CHUNKING\r\nx: SMTPUTF8 REQUIRETLS LIMITS HELP 214\r\n\r\n"
);
const REPLY: &[u8] = aligned!(b"250 2.1.5 Ok\r\n");
const MAIL: &[u8] = aligned!(b"MAIL FROM:<me@example.org> SIZE=1024\r\n");
const RCPT: &[u8] = aligned!(b"RCPT TO:<someone@example.org>\r\n");
const _: () = assert!(FIELDS.len() == 273 && RCPT.len() == 31);

fn dialogue(cuts: &Cuts) -> Option<client::Upgrade> {
    let mut client = smtp::Client::new(black_box(Domain::LOCALHOST), Policy::Required);
    talk(&mut client, black_box(&TURNS), black_box(cuts), |event| {
        event == client::Event::UpgradeReady
    })
    .ok()?;
    client.into_upgrade(&[]).ok()
}

/// A coroutine of io-smtp from its request, if it has one, to the end of the reply, in reads of `piece`
/// bytes.
fn resume<O, E>(
    mut coroutine: impl SmtpCoroutine<Yield = SmtpYield, Return = Result<O, E>>,
    reply: &[u8],
    piece: usize,
) -> bool {
    let mut pieces = reply.chunks(piece);
    let mut argument = None;
    loop {
        match coroutine.resume(argument.take()) {
            SmtpCoroutineState::Yielded(SmtpYield::WantsWrite(request)) => drop(black_box(request)),
            SmtpCoroutineState::Yielded(SmtpYield::WantsRead) => argument = pieces.next(),
            SmtpCoroutineState::Complete(outcome) => return black_box(outcome).is_ok(),
        }
    }
}

fn io_smtp_dialogue(piece: usize) -> bool {
    let domain = SmtpEhloDomain::SmtpDomain(SmtpDomain(Cow::Borrowed(black_box("localhost"))));
    resume(SmtpGreetingGet::new(), black_box(SMTP_GREETING), piece)
        && resume(SmtpEhlo::new(domain), black_box(EHLO), piece)
        && resume(SmtpStartTls::new(), black_box(GO_AHEAD), piece)
}

fn smtp_proto_reply(reply: &[u8]) -> bool {
    black_box(ResponseReceiver::default().parse(&mut black_box(reply).iter())).is_ok()
}

fn smtp_proto_ehlo() -> bool {
    black_box(EhloResponse::parse(&mut black_box(EHLO).iter())).is_ok()
}

fn smtp_proto_request(command: &[u8]) -> bool {
    black_box(Request::parse(&mut black_box(command).iter())).is_ok()
}

fn httparse_fields() -> bool {
    let mut fields = [httparse::EMPTY_HEADER; 16];
    httparse::parse_headers(black_box(FIELDS), &mut fields)
        .is_ok_and(|found| black_box(found).is_complete())
}

/// A session over TLS that has sent EHLO.
fn session() -> Option<Session<Tls>> {
    let tls = dialogue(&cuts(&TURNS, usize::MAX))?.established(Verification::Verified).ok()?;
    let mut session = Session::new(tls);
    let mut hello = session.hello(Domain::LOCALHOST).ok()?;
    matches!(hello.step(&mut &b""[..], &mut [0; 512]), Ok(Step::Write(_))).then_some(())?;
    Some(session)
}

/// Reads the reply to EHLO.
#[inline(never)]
fn greet(session: &mut Session<Tls>, output: &mut [u8]) -> bool {
    let mut input = black_box(EHLO);
    let Ok(mut hello) = session.hello(Domain::LOCALHOST) else { return false };
    loop {
        match hello.step(&mut input, output) {
            Ok(Step::Event(event)) if event.is_last() => return input.is_empty(),
            Ok(Step::Event(event)) => drop(black_box(event)),
            _ => return false,
        }
    }
}

/// How many recipients a session sends before it waits for replies.
const PIPELINED: usize = 100;

/// A session that has sent [`PIPELINED`] recipients.
fn sent<'e>(envelope: &'e Envelope<'e>) -> Option<Session<Tls>> {
    let mut session = session()?;
    let mut output = [0; 8192];
    greet(&mut session, &mut output).then_some(())?;
    let mut mail = session.send(envelope).ok()?;
    let mut reply = &b"250 2.1.0 Ok\r\n"[..];
    matches!(mail.step(&mut &b""[..], &mut output), Ok(Step::Write(_))).then_some(())?;
    matches!(mail.step(&mut reply, &mut output), Ok(Step::Event(_))).then_some(())?;
    Some(session)
}

/// Reads one reply.
#[inline(never)]
fn hear(mail: &mut session::Exchange<'_, '_, Tls>, output: &mut [u8]) -> bool {
    let step = mail.step(&mut black_box(REPLY), output);
    matches!(black_box(step), Ok(Step::Event(session::Event::Recipient { .. })))
}

/// A receiver over TLS that has answered EHLO, and after it MAIL if `begun`.
fn receiver(begun: bool) -> Option<Receiver<'static, Tls>> {
    let limits = receiver::Limits::default().with_size(Some(1 << 20));
    let mut receiver = Receiver::new(Tls::implicit_server(), Domain::LOCALHOST, limits);
    let mut output = [0; 512];
    let mut input = if begun { &b"EHLO a\r\nMAIL FROM:<>\r\n"[..] } else { b"EHLO a\r\n" };
    loop {
        match receiver.step(&mut input, &mut output).ok()? {
            Step::Read => return Some(receiver),
            Step::Event(receiver::Event::Mail(_)) => receiver.accept().ok()?,
            _ => {}
        }
    }
}

/// Reads MAIL or RCPT.
#[inline(never)]
fn command(receiver: &mut Receiver<'_, Tls>, command: &[u8], output: &mut [u8]) -> bool {
    let step = receiver.step(&mut black_box(command), output);
    matches!(
        black_box(step),
        Ok(Step::Event(receiver::Event::Mail(_) | receiver::Event::Recipient(_)))
    )
}

/// Calls `work` with each of [`MOST`] prepared values until `repetitions` are done.
fn each<T>(
    repetitions: usize,
    prepare: impl Fn() -> Option<T>,
    work: impl FnMut(&mut T) -> bool,
) -> bool {
    let Some(mut prepared) = (0..MOST).map(|_| prepare()).collect::<Option<Vec<T>>>() else {
        return false;
    };
    repetitions <= MOST && prepared.iter_mut().take(repetitions).all(work)
}

fn replies(repetitions: usize, output: &mut [u8]) -> bool {
    let to = vec![Address::new("someone@example.org").expect("an address"); 1000];
    let envelope = Envelope::new(None, &to).expect("recipients");
    let sessions: Option<Vec<_>> = (0..=MOST / PIPELINED).map(|_| sent(&envelope)).collect();
    let mut sessions = sessions.unwrap_or_default();
    let mut left = repetitions;
    for session in &mut sessions {
        let Ok(mut mail) = session.send(&envelope) else { return false };
        for _ in 0..left.min(PIPELINED) {
            if !hear(&mut mail, output) {
                return false;
            }
            left -= 1;
        }
    }
    left == 0
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, mode, repetitions] = arguments.as_slice() else { return ExitCode::FAILURE };
    let Ok(n) = repetitions.parse::<usize>() else { return ExitCode::FAILURE };
    let mut output = [0; 512];
    let (whole, octets) = (cuts(&TURNS, usize::MAX), cuts(&TURNS, 1));
    let done = match mode.as_str() {
        "dialogue" => repeat(n, || dialogue(&whole).is_some()),
        "dialogue-octets" => repeat(n, || dialogue(&octets).is_some()),
        "dialogue-smtp-proto" => repeat(n, || {
            smtp_proto_reply(SMTP_GREETING) && smtp_proto_ehlo() && smtp_proto_reply(GO_AHEAD)
        }),
        "dialogue-io-smtp" => repeat(n, || io_smtp_dialogue(usize::MAX)),
        "dialogue-io-smtp-octets" => repeat(n, || io_smtp_dialogue(1)),
        "dialogue-memchr" => repeat(n, || scan(&TURNS, 15)),
        "ehlo" => each(n, session, |session| greet(session, &mut output)),
        "ehlo-smtp-proto" => repeat(n, smtp_proto_ehlo),
        "ehlo-httparse" => repeat(n, httparse_fields),
        "ehlo-memchr" => repeat(n, || scan(&[EHLO], 13)),
        "reply" => replies(n, &mut output),
        "reply-smtp-proto" => repeat(n, || smtp_proto_reply(REPLY)),
        "reply-memchr" => repeat(n, || scan(&[REPLY], 1)),
        "mail" => each(n, || receiver(false), |one| command(one, MAIL, &mut output)),
        "mail-smtp-proto" => repeat(n, || smtp_proto_request(MAIL)),
        "mail-memchr" => repeat(n, || scan(&[MAIL], 1)),
        "rcpt" => each(n, || receiver(true), |one| command(one, RCPT, &mut output)),
        "rcpt-smtp-proto" => repeat(n, || smtp_proto_request(RCPT)),
        "rcpt-memchr" => repeat(n, || scan(&[RCPT], 1)),
        _ => false,
    };
    if done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
