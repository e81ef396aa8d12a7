//! The core allocates nothing, in any role, from the first byte to the last.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use starttls::mail::message::{Attachment, Date, Header, Mailbox, Progress};
use starttls::mail::receiver::{self, Limits};
use starttls::mail::{self, Address, Credentials, Envelope, Message, session};
use starttls::server::{self, Config};
use starttls::smtp::{self, Domain};
use starttls::{Buffer, Client, Machine, Policy, Server, Step, Tls, Verification, client};

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is forwarded to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller upholds the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the same contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const NAME: Domain<'_> = match Domain::new("a.example.org") {
    Ok(name) => name,
    Err(_) => panic!("a name"),
};

/// One direction, and the bytes that its reader has received.
type Pipe = Buffer<2048>;

fn send(pipe: &mut Pipe, octets: &[u8]) {
    let filled = pipe.fill(|free| {
        free.get_mut(..octets.len()).ok_or(())?.copy_from_slice(octets);
        Ok::<_, ()>(octets.len())
    });
    assert_eq!(filled, Ok(octets.len()), "the pipe is wide enough");
}

/// Steps until there is nothing to read. Returns whether an event stopped it.
fn drive<M: Machine>(
    machine: &mut M,
    (from, to): (&mut Pipe, &mut Pipe),
    mut stop: impl FnMut(&mut M, M::Event<'_>, &mut Pipe) -> bool,
) -> bool {
    let mut output = [0; 1024];
    loop {
        let mut input = from.filled();
        let step =
            machine.step(&mut input, &mut output).expect("no error between our own machines");
        let unread = input.len();
        let stopped = match step {
            Step::Read => return false,
            Step::Write(n) => {
                send(to, &output[..n]);
                false
            }
            Step::Event(event) => stop(machine, event, to),
        };
        from.keep(unread);
        if stopped {
            return true;
        }
    }
}

fn upgrade() -> (Tls, Tls) {
    upgraded(smtp::Client::new(NAME, Policy::Required), smtp::Server::new(NAME, Config::default()))
}

fn upgraded<C: client::Grammar, S: server::Grammar>(
    mut client: Client<C>,
    mut server: Server<S>,
) -> (Tls, Tls) {
    let (mut to_server, mut to_client) = (Pipe::new(), Pipe::new());
    let (mut client_ready, mut server_ready) = (false, false);
    for _ in 0..100 {
        let pipes = (&mut to_client, &mut to_server);
        client_ready = client_ready
            || drive(&mut client, pipes, |_, event, _| event == client::Event::UpgradeReady);
        let pipes = (&mut to_server, &mut to_client);
        server_ready = server_ready
            || drive(&mut server, pipes, |server, event, _| {
                if event == server::Event::UpgradeRequested {
                    server.accept().expect("asked");
                }
                event == server::Event::UpgradeReady
            });
    }
    assert!(client_ready && server_ready, "both wait");
    let upgrade = client.into_upgrade(to_client.filled()).expect("ready");
    let client = upgrade.established(Verification::Verified).expect("verified");
    let upgrade = server.into_upgrade(to_server.filled()).expect("ready");
    (client, upgrade.established())
}

macro_rules! all_upgraded {
    ([] $($module:ident::$Type:ident,)*) => {
        $(upgraded(
            starttls_tests::client!($module::$Type, Policy::Required),
            starttls_tests::server!($module::$Type, Config::default()),
        );)*
    };
}

#[test]
fn every_protocol_reaches_tls_without_the_heap() {
    let before = COUNT.with(Cell::get);
    starttls::for_each_protocol!(all_upgraded []);
    assert_eq!(COUNT.with(Cell::get) - before, 0);
}

fn over(event: session::Event<'_>) -> bool {
    matches!(event, session::Event::Done(_))
}

/// Mails of a session.
const MAILS: usize = 10;

fn mails(client: Tls, server: Tls) -> usize {
    let (mut to_server, mut to_client) = (Pipe::new(), Pipe::new());
    let mut session = mail::Session::<Tls>::new(client);
    let mut receiver = mail::Receiver::<Tls>::new(server, NAME, Limits::default());
    let to = [Address::new("b@example.org").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("an envelope");
    let mut delivered = 0;
    for job in 0..=MAILS + 1 {
        loop {
            let pipes = (&mut to_client, &mut to_server);
            let done = match job {
                0 => drive(&mut session.hello(NAME).expect("in order"), pipes, |_, event, _| {
                    over(event)
                }),
                job if job > MAILS => {
                    drive(&mut session.quit().expect("in order"), pipes, |_, event, _| over(event))
                }
                job if job % 2 == 0 => {
                    let mut exchange = session.send_chunks(&envelope).expect("in order");
                    drive(&mut exchange, pipes, |exchange, event, to| {
                        if event == session::Event::Chunks {
                            let (mut message, mut output) = (&b".\r\nbody\r\n"[..], [0; 40]);
                            while !message.is_empty() {
                                let n = exchange.chunk(&mut message, &mut output).expect("strict");
                                send(to, &output[..n]);
                            }
                            exchange.finish().expect("strict");
                        }
                        over(event)
                    })
                }
                _ => {
                    let mut exchange = session.send(&envelope).expect("in order");
                    drive(&mut exchange, pipes, |exchange, event, to| {
                        if let session::Event::Body(_) = event {
                            let (mut message, mut output) = (&b".\r\nbody\r\n"[..], [0; 4]);
                            while !message.is_empty() {
                                let n = exchange.body(&mut message, &mut output).expect("strict");
                                send(to, &output[..n]);
                            }
                            exchange.finish().expect("strict");
                        }
                        over(event)
                    })
                }
            };
            if done {
                break;
            }
            drive(&mut receiver, (&mut to_server, &mut to_client), |receiver, event, _| {
                match event {
                    receiver::Event::Message { .. } => {
                        delivered += 1;
                        receiver.accept().expect("asked");
                    }
                    receiver::Event::Mail(_) | receiver::Event::Recipient(_) => {
                        receiver.accept().expect("asked");
                    }
                    _ => {}
                }
                event == receiver::Event::Quit
            });
            assert!(!to_client.filled().is_empty(), "both wait");
        }
    }
    delivered
}

fn log_in() {
    let tls = Tls::implicit(Policy::Required, Verification::Verified).expect("verified");
    let mut session = mail::Session::<Tls>::new(tls);
    let credentials = Credentials::new("tim", "tanstaaftanstaaf").expect("credentials");
    let (mut to_server, mut to_client) = (Pipe::new(), Pipe::new());
    for (last, reply) in [(false, "220 a\r\n"), (true, "250-a\r\n250 AUTH PLAIN\r\n")] {
        send(&mut to_client, reply.as_bytes());
        let mut hello = session.hello(NAME).expect("first");
        assert_eq!(
            drive(&mut hello, (&mut to_client, &mut to_server), |_, event, _| over(event)),
            last
        );
    }
    for (last, reply) in [(false, ""), (true, "235 a\r\n")] {
        send(&mut to_client, reply.as_bytes());
        let mut exchange = session.authenticate(&credentials).expect("offered");
        assert_eq!(
            drive(&mut exchange, (&mut to_client, &mut to_server), |_, event, _| over(event)),
            last
        );
    }
}

/// Composes a message with a file of a megabyte in a buffer of 512 bytes. Returns its length.
fn compose() -> usize {
    let from =
        Mailbox::named("Gate \u{2014} 7", Address::new("a@example.org").expect("an address"));
    let from = from.expect("a name");
    let to = [from, Mailbox::new(Address::new("b@example.org").expect("an address"))];
    let headers = [Header::new("Auto-Submitted", "auto-generated").expect("a header")];
    let files = [Attachment::new("image/jpeg", "Tür.jpg").expect("a file").with_size(1 << 20)];
    let message = Message::new(from, &to)
        .with_subject("21,5 °C")
        .expect("a subject")
        .with_date(Date::utc(1_795_262_400).expect("a date"))
        .with_headers(&headers)
        .with_text("21,5 °C\n")
        .with_attachments(&files);
    let (mut composer, mut output, mut length) = (message.compose(), [0; 512], 0);
    loop {
        match composer.step(&mut output).expect("room") {
            Progress::Write(n) => length += n,
            Progress::Attachment(_) => {
                for _ in 0..1 << 11 {
                    let mut piece = &[0xff; 512][..];
                    while !piece.is_empty() {
                        length += composer.attach(&mut piece, &mut output).expect("asked");
                    }
                }
                composer.end_attachment().expect("asked");
            }
            Progress::Done => break,
        }
    }
    assert_eq!(message.size(), Some(length));
    length
}

/// Uses everything that a receiver offers, in one flight. Returns the number of events.
fn receive() -> usize {
    use receiver::{Answer, Authentication, Config, Event};
    let wire = "EHLO a\r\nAUTH LOGIN\r\ndGlt\r\nAAAA\r\nAUTH PLAIN AHUAcA==\r\n\
        MAIL FROM:<\u{e4}@b> SMTPUTF8 RET=HDRS ENVID=a+2Bb REQUIRETLS\r\n\
        RCPT TO:<c@d> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;c@d\r\n\
        BDAT 3\r\na\r\nBDAT 1 LAST\r\nbBDAT 1\r\nx";
    let config = Config::default()
        .with_authentication(Authentication::Required)
        .with_dsn(true)
        .with_smtp_utf8(true)
        .with_require_tls(true);
    let tls = Tls::implicit_server();
    let mut receiver = mail::Receiver::<Tls>::new(tls, NAME, config);
    let (mut to_server, mut to_client) = (Pipe::new(), Pipe::new());
    send(&mut to_server, wire.as_bytes());
    let mut events = 0;
    drive(&mut receiver, (&mut to_server, &mut to_client), |receiver, event, to| {
        let mut buffer = [0; receiver::Login::MAX];
        events += match event {
            Event::User(user) => usize::from(user.decode(&mut buffer) == Ok("tim")),
            Event::Login(login) => {
                if login.decode(&mut buffer).is_ok() {
                    receiver.accept().expect("asked");
                } else {
                    let mut line = [0; 64];
                    let n = receiver.answer(Answer::BAD_CREDENTIALS, &mut line).expect("asked");
                    send(to, &line[..n]);
                }
                1
            }
            Event::Mail(mail) => {
                receiver.accept().expect("asked");
                mail.envelope_id.map_or(0, |id| usize::from(id.octets().eq(*b"a+b")))
            }
            Event::Recipient(_) | Event::Message { .. } => {
                receiver.accept().expect("asked");
                1
            }
            Event::Body(_) | Event::Discarded => 1,
            _ => 0,
        };
        false
    });
    events
}

fn allocations(work: impl FnOnce()) -> usize {
    let before = COUNT.get();
    work();
    COUNT.get() - before
}

#[test]
fn a_whole_dialogue_allocates_nothing() {
    assert_ne!(
        allocations(|| drop(std::hint::black_box(Box::new(1)))),
        0,
        "the allocator does not count"
    );
    let (mut delivered, mut events) = (0, 0);
    let all = allocations(|| {
        let (client, server) = upgrade();
        delivered = mails(client, server);
        log_in();
        events = receive();
    });
    assert_eq!((delivered, events, all), (MAILS, 9, 0));
}

#[test]
fn composing_allocates_nothing() {
    let mut length = 0;
    assert_eq!(allocations(|| length = compose()), 0);
    assert!(length > 1 << 20);
}
