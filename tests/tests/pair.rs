//! Both roles against each other, in memory: the upgrade, then mail.

use starttls::lmtp::Lmtp;
use starttls::mail::receiver::{self, Answer, Limits};
use starttls::mail::session::{self, Exchange};
use starttls::mail::{Address, Envelope, Receiver, Session};
use starttls::server::{self, Config};
use starttls::smtp::{ClientGrammar, Dialect, ServerGrammar, Smtp};
use starttls::{
    Channel, Client, Error, Machine, Policy, Reason, Server, Step, Verification, client,
};
use starttls_tests::{CLIENT, SERVER};

/// Two directions of bytes, each delivered in pieces of at most `chunk`.
struct Wire {
    chunk: usize,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
}

impl Wire {
    fn new(chunk: usize) -> Self {
        Self { chunk, to_server: Vec::new(), to_client: Vec::new() }
    }
}

fn take(from: &mut Vec<u8>, chunk: usize, into: &mut Vec<u8>) -> bool {
    let n = from.len().min(chunk);
    into.extend(from.drain(..n));
    n > 0
}

/// Steps a machine until it waits, and passes on its events; `Some` is the result of
/// an event.
fn drive<M: Machine, R>(
    machine: &mut M,
    unread: &mut Vec<u8>,
    (from, chunk): (&mut Vec<u8>, usize),
    sent: &mut Vec<u8>,
    mut act: impl FnMut(&mut M, M::Event<'_>, &mut Vec<u8>) -> Option<R>,
) -> Option<R> {
    let mut output = [0; 1024];
    loop {
        let mut input = &unread[..];
        let step =
            machine.step(&mut input, &mut output).expect("no error between our own machines");
        let left = input.len();
        let acted = match step {
            Step::Event(event) => act(machine, event, sent),
            Step::Write(n) => {
                sent.extend(&output[..n]);
                None
            }
            Step::Read => {
                unread.drain(..unread.len() - left);
                if take(from, chunk, unread) {
                    continue;
                }
                return None;
            }
        };
        unread.drain(..unread.len() - left);
        if acted.is_some() {
            return acted;
        }
    }
}

type Ends<D> = (Client<ClientGrammar<'static, D>>, Server<ServerGrammar<'static, D>>);

/// Plays an upgrade to its end. Returns the last result of each side, and the server's unread bytes.
fn upgrade<D: Dialect>(
    (mut client, mut server): Ends<D>,
    chunk: usize,
) -> Result<(Ends<D>, Reason), Ends<D>> {
    let mut wire = Wire::new(chunk);
    let (mut client_unread, mut server_unread) = (Vec::new(), Vec::new());
    let (mut client_end, mut server_ready) = (None, false);
    while client_end.is_none() {
        let act = |server: &mut Server<_>, event: server::Event<'_>, _: &mut Vec<u8>| match event {
            server::Event::UpgradeRequested => {
                server.accept().expect("asked");
                None
            }
            server::Event::UpgradeReady => Some(()),
            _ => None,
        };
        if !server_ready {
            let from = (&mut wire.to_server, chunk);
            let ready = drive(&mut server, &mut server_unread, from, &mut wire.to_client, act);
            server_ready = ready.is_some();
        }
        assert!(!wire.to_client.is_empty(), "both wait");
        let act = |_: &mut Client<_>, event: client::Event<'_>, _: &mut Vec<u8>| match event {
            client::Event::UpgradeReady => Some(None),
            client::Event::Plaintext(reason) => Some(Some(reason)),
            _ => None,
        };
        let from = (&mut wire.to_client, chunk);
        client_end = drive(&mut client, &mut client_unread, from, &mut wire.to_server, act);
    }
    assert!(client_unread.is_empty() && server_unread.is_empty());
    assert!(wire.to_client.is_empty() && wire.to_server.is_empty());
    match client_end.flatten() {
        Some(reason) => Ok(((client, server), reason)),
        None => {
            assert!(server_ready, "only one side is ready");
            Err((client, server))
        }
    }
}

fn ends<D: Dialect>(client: Policy, server: Policy, available: bool) -> Ends<D> {
    let config = Config::default().with_policy(server).with_available(available);
    (
        Client::<ClientGrammar<'_, D>>::new(CLIENT, client),
        Server::<ServerGrammar<'_, D>>::new(SERVER, config),
    )
}

const POLICIES: [Policy; 2] = [Policy::Required, Policy::Opportunistic];

fn both_upgrade<D: Dialect>() {
    for chunk in 1..=160 {
        for (client, server) in POLICIES.map(|one| POLICIES.map(|two| (one, two))).concat() {
            let (client, server) =
                upgrade(ends::<D>(client, server, true), chunk).expect_err("there is TLS");
            let upgrade = client.into_upgrade(b"").expect("ready");
            let tls = upgrade.established(Verification::Verified).expect("verified");
            let upgrade = server.into_upgrade(b"").expect("ready");
            assert!(upgrade.early().is_empty());
            mail::<_, D>(tls, upgrade.established(), chunk);
        }
        let ends = ends::<D>(Policy::Opportunistic, Policy::Opportunistic, false);
        let ((client, server), reason) = upgrade(ends, chunk).expect("there is no TLS");
        assert_eq!(reason, Reason::NotOffered);
        assert_eq!(client.into_plaintext(b"").map(|plaintext| plaintext.reason()), Ok(reason));
        assert_eq!(server.into_plaintext().map(drop), Err(Error::OutOfOrder));
    }
}

#[test]
fn smtp() {
    both_upgrade::<Smtp>();
}

#[test]
fn lmtp() {
    both_upgrade::<Lmtp>();
}

#[test]
fn required_meets_unavailable() {
    let (mut client, mut server) = ends::<Smtp>(Policy::Required, Policy::Required, false);
    let (mut to_client, mut to_server, mut output) = (Vec::new(), Vec::new(), [0; 512]);
    let error = loop {
        while let Ok(step) = server.step(&mut &to_server[..], &mut output) {
            match step {
                Step::Write(n) => to_client.extend(&output[..n]),
                Step::Event(_) => to_server.clear(),
                Step::Read => break,
            }
        }
        let mut input = &to_client[..];
        match client.step(&mut input, &mut output) {
            Ok(Step::Write(n)) => to_server.extend(&output[..n]),
            Ok(_) => {}
            Err(error) => break error,
        }
        let left = input.len();
        to_client.drain(..to_client.len() - left);
    };
    assert_eq!(error, Error::NotOffered);
}

/// A mail, the receiver's replies per recipient, and the delivered mail.
struct Case {
    message: &'static [u8],
    arrives: &'static [u8],
    to: &'static [&'static str],
    outcome: &'static [&'static str],
}

const SMTP: [Case; 4] = [
    Case {
        message: b"Subject: one\r\n\r\n.\r\n..dots\r\n",
        arrives: b"Subject: one\r\n\r\n.\r\n..dots\r\n",
        to: &["a@example.org", "no@example.org", "b@example.org"],
        outcome: &["0 250", "1 550", "2 250", "body", "done 250"],
    },
    Case {
        message: b"",
        arrives: b"",
        to: &["a@example.org"],
        outcome: &["0 250", "body", "done 250"],
    },
    Case {
        message: b"refuse me",
        arrives: b"refuse me\r\n",
        to: &["a@example.org"],
        outcome: &["0 250", "body", "rejected Message 552"],
    },
    Case {
        message: b"never sent",
        arrives: b"",
        to: &["no@example.org", "no@example.org"],
        outcome: &["0 550", "1 550", "none"],
    },
];

const LMTP: [&[&str]; 4] = [
    &["0 250", "1 550", "2 250", "body", "delivery 0 250", "delivery 1 452", "delivered"],
    &["0 250", "body", "delivery 0 250", "delivered"],
    &["0 250", "body", "delivery 0 552", "delivered"],
    &["0 550", "1 550", "none"],
];

/// The receiver's application: the received data, and its decisions.
#[derive(Default)]
struct Mailbox {
    body: Vec<u8>,
    delivered: Vec<Vec<u8>>,
}

impl Mailbox {
    fn act<C: Channel, D: Dialect>(
        &mut self,
        receiver: &mut Receiver<'static, C, D>,
        event: receiver::Event<'_>,
        sent: &mut Vec<u8>,
    ) {
        let no = match event {
            receiver::Event::Recipient(path) if path.path.as_str().starts_with("no") => {
                (550, "5.1.1 No")
            }
            receiver::Event::Message { .. } if self.body.starts_with(b"refuse") => {
                (552, "5.3.4 No")
            }
            receiver::Event::Message { index: 1 } => (452, "4.2.2 Full"),
            receiver::Event::Body(piece) => return self.body.extend(piece),
            receiver::Event::Mail(_) => {
                self.body.clear();
                return receiver.accept().expect("asked");
            }
            receiver::Event::Recipient(_) => return receiver.accept().expect("asked"),
            receiver::Event::Message { index } => {
                if index == 0 {
                    self.delivered.push(self.body.clone());
                }
                return receiver.accept().expect("asked");
            }
            _ => return,
        };
        let mut output = [0; 64];
        let answer = Answer::new(no.0, no.1).expect("an answer");
        let n = receiver
            .answer(answer, &mut output)
            .expect("a decision was due, and the buffer is large enough");
        sent.extend(&output[..n]);
    }
}

/// Several mails over one session, and QUIT.
fn mail<C: Channel, D: Dialect>(client: C, server: C, chunk: usize) {
    let mut session = Session::<C, D>::new(client);
    let mut receiver = Receiver::<C, D>::new(server, SERVER, Limits::default());
    let (mut mailbox, mut wire) = (Mailbox::default(), Wire::new(chunk));
    let mut unread = Vec::new();
    let mut serve = |wire: &mut Wire| {
        let act = |receiver: &mut _, event: receiver::Event<'_>, sent: &mut Vec<u8>| {
            mailbox.act(receiver, event, sent);
            (event == receiver::Event::Quit).then_some(())
        };
        let from = (&mut wire.to_server, wire.chunk);
        drive(&mut receiver, &mut unread, from, &mut wire.to_client, act).is_some()
    };
    let hello = play(&mut session.hello(CLIENT).expect("first"), &mut wire, &mut serve, |_, _| {});
    assert_eq!(hello, ["done 250"]);
    let lmtp = D::PROTOCOL == starttls::Protocol::LMTP;
    for (case, lmtp_outcome) in SMTP.iter().zip(LMTP) {
        let to: Vec<Address<'_>> =
            case.to.iter().map(|to| Address::new(to).expect("an address")).collect();
        let envelope = Envelope::new(None, &to).expect("an envelope");
        let mut exchange = session.send(&envelope).expect("in order");
        let body = |exchange: &mut Exchange<'_, '_, C, D>, sent: &mut Vec<u8>| {
            let (mut message, mut output) = (case.message, vec![0; chunk.max(2)]);
            while !message.is_empty() {
                let n = exchange.body(&mut message, &mut output).expect("strict form");
                sent.extend(&output[..n]);
            }
            exchange.finish().expect("strict form");
        };
        let outcome = play(&mut exchange, &mut wire, &mut serve, body);
        assert_eq!(outcome, if lmtp { lmtp_outcome } else { case.outcome }, "chunks of {chunk}");
    }
    let quit = play(&mut session.quit().expect("in order"), &mut wire, &mut serve, |_, _| {});
    assert_eq!(quit, ["done 221"]);
    let arrived: Vec<&[u8]> = SMTP[..2].iter().map(|case| case.arrives).collect();
    assert_eq!(mailbox.delivered, arrived, "chunks of {chunk}");
}

/// Plays one job to its end.
fn play<M: for<'i> Machine<Event<'i> = session::Event<'i>>>(
    job: &mut M,
    wire: &mut Wire,
    serve: &mut impl FnMut(&mut Wire) -> bool,
    body: impl Fn(&mut M, &mut Vec<u8>),
) -> Vec<String> {
    let (mut told, mut unread) = (Vec::new(), Vec::new());
    loop {
        let act = |job: &mut M, event: session::Event<'_>, sent: &mut Vec<u8>| {
            let (text, over) = match event {
                session::Event::Recipient { index, reply } => {
                    (format!("{index} {}", reply.code()), false)
                }
                session::Event::Delivery { index, reply } => {
                    (format!("delivery {index} {}", reply.code()), false)
                }
                session::Event::Body(_) => {
                    body(job, sent);
                    ("body".to_string(), false)
                }
                session::Event::Done(reply) => (format!("done {}", reply.code()), true),
                session::Event::Rejected { command, reply } => {
                    (format!("rejected {command:?} {}", reply.code()), true)
                }
                session::Event::NoRecipients => ("none".to_string(), true),
                session::Event::Delivered => ("delivered".to_string(), true),
                _ => return None,
            };
            told.push(text);
            over.then_some(())
        };
        let from = (&mut wire.to_client, wire.chunk);
        if drive(job, &mut unread, from, &mut wire.to_server, act).is_some() {
            assert!(unread.is_empty());
            return told;
        }
        serve(wire);
        assert!(!wire.to_client.is_empty(), "both wait; so far: {told:?}");
    }
}
