//! Each role reads what the other writes: both in memory, through the upgrade and a mail.

#![no_main]

// Without the other dependencies of the tests.
#[path = "../../tests/src/mended.rs"]
mod mended;

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use starttls::mail::receiver::{self, Limits};
use starttls::mail::session::{self, Exchange};
use starttls::mail::{Address, Checked, Envelope, LineEnds, Receiver, Session};
use starttls::smtp::{ClientGrammar, ServerGrammar};
use starttls::smtp::{Dialect, Domain, Smtp};
use starttls::{Client, Machine, Policy, Server, Step, Tls, Verification, client, lmtp, server};
use starttls_fuzz::step;

use mended::mended;

#[derive(Debug)]
struct Mail {
    lmtp: bool,
    /// Whether the message is sent without a copy, if its lines are good.
    checked: bool,
    chunk: u16,
    names: [String; 2],
    from: Option<String>,
    to: Vec<String>,
    message: Vec<u8>,
}

impl<'a> Arbitrary<'a> for Mail {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self {
            lmtp: u.arbitrary()?,
            checked: u.arbitrary()?,
            // From single bytes to more than a block.
            chunk: u.arbitrary::<u16>()? >> (u.arbitrary::<u8>()? & 15),
            names: [text(u, b"example.org-_[]:")?, text(u, b"mx1.[]:")?],
            from: if u.arbitrary()? { None } else { Some(address(u)?) },
            to: (0..=u.int_in_range(0..=3)?).map(|_| address(u)).collect::<Result<_, _>>()?,
            message: message(u)?,
        })
    }
}

fn text(u: &mut Unstructured<'_>, alphabet: &[u8]) -> arbitrary::Result<String> {
    let length = u.int_in_range(0..=80)?;
    (0..length).map(|_| Ok(char::from(*u.choose(alphabet)?))).collect()
}

fn address(u: &mut Unstructured<'_>) -> arbitrary::Result<String> {
    let local = match u.int_in_range(0..=2)? {
        0 => text(u, b"abc.+-_=!")?,
        1 => format!("\"{}\"", text(u, b"ab \\\"<>@,:.")?),
        _ => u.arbitrary::<&str>()?.to_owned(),
    };
    let domain = match u.int_in_range(0..=2)? {
        0 => text(u, b"abc.-_")?,
        1 => format!("[{}]", text(u, b"IPv6:0123.")?),
        _ => u.arbitrary::<&str>()?.to_owned(),
    };
    Ok(format!("{local}@{domain}"))
}

fn message(u: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    /// A line that fills most of a block. Its end keeps it from becoming too long.
    const LONG: [u8; 500] = {
        let mut line = [b'a'; 500];
        [line[0], line[1], line[498], line[499]] = *b"\r\n\r\n";
        line
    };
    const PIECES: [&[u8]; 10] =
        [b"\r\n", b".", b"a", b"\r\n.\r\n", b"\xff", b"..", b"\r", b"\n", b"\r\n\r\n", &LONG];
    let mut message = Vec::new();
    while !u.is_empty() && message.len() < 2000 {
        let n = usize::from(u.arbitrary::<u8>()?);
        match PIECES.get(n & 15) {
            Some(piece) => message.extend_from_slice(piece),
            None => message.extend_from_slice(u.bytes((n >> 4).min(u.len()))?),
        }
    }
    // No message may contain NUL.
    message.retain(|octet| *octet != 0);
    Ok(message)
}

fuzz_target!(|mail: Mail| {
    if mail.lmtp {
        deliver::<lmtp::Lmtp>(&mail);
    } else {
        deliver::<Smtp>(&mail);
    }
});

/// Two machines and the bytes in transit between them.
#[derive(Default)]
struct Wire {
    to_server: Vec<u8>,
    to_client: Vec<u8>,
}

fn deliver<D: Dialect>(mail: &Mail) {
    let name = |n: usize| Domain::new(&mail.names[n]).unwrap_or(Domain::LOCALHOST);
    let from = mail.from.as_deref().and_then(|from| Address::new(from).ok());
    let mut to: Vec<_> = mail.to.iter().filter_map(|to| Address::new(to).ok()).collect();
    if to.is_empty() {
        to.push(Address::new("postmaster@[192.0.2.1]").expect("valid"));
    }
    let envelope = Envelope::new(from, &to).expect("recipients");

    let tls = upgrade::<D>(name(0), name(1));
    let mut session = Session::<Tls, D>::new(tls.0);
    session.set_line_ends(LineEnds::Normalize);
    let mut peer = Peer::<D> {
        receiver: Receiver::new(tls.1, name(1), Limits::default()),
        wire: Wire::default(),
        chunk: usize::from(mail.chunk).max(2),
        hello: Vec::new(),
        from: None,
        to: Vec::new(),
        body: Vec::new(),
        messages: 0,
    };
    peer.exchange(&mut session.hello(name(0)).expect("the first job"), |_, _| {});
    assert_eq!(peer.hello, name(0).as_str().as_bytes());
    let extensions = session.extensions();
    assert!(extensions.pipelining() && extensions.eight_bit_mime());
    assert!(extensions.enhanced_status_codes() && !extensions.offers(session::Mechanism::Plain));

    let chunk = peer.chunk;
    peer.exchange(&mut session.send(&envelope).expect("idle"), |job, wire| {
        if let (true, Ok(message)) = (mail.checked, Checked::new(&mail.message)) {
            let mut pieces = message.pieces();
            while let Some(piece) = job.piece(&mut pieces).expect("good lines") {
                wire.extend_from_slice(piece);
            }
            return job.finish().expect("good lines");
        }
        let mut rest = &mail.message[..];
        while !rest.is_empty() {
            let mut output = vec![0; chunk];
            let written = job.body(&mut rest, &mut output).expect("mended");
            wire.extend_from_slice(&output[..written]);
        }
        job.finish().expect("mended");
    });
    assert_eq!(peer.from.as_deref(), Some(from.map_or("", |from| from.as_str())));
    assert!(to.iter().map(|to| to.as_str()).eq(peer.to.iter().map(String::as_str)));
    assert_eq!(peer.body, mended(&mail.message));
    assert_eq!(peer.messages, if mail.lmtp { to.len() } else { 1 });
    peer.exchange(&mut session.quit().expect("idle"), |_, _| {});
}

fn upgrade<D: Dialect>(client_name: Domain<'_>, server_name: Domain<'_>) -> (Tls, Tls) {
    let mut client = Client::<ClientGrammar<'_, D>>::new(client_name, Policy::Required);
    let mut server = Server::<ServerGrammar<'_, D>>::new(server_name, server::Config::default());
    let mut wire = Wire::default();
    let (mut client_ready, mut server_ready) = (false, false);
    while !(client_ready && server_ready) {
        let progress = !server_ready
            && half(&mut server, &mut wire.to_server, &mut wire.to_client, |server, event| {
                match event {
                    server::Event::UpgradeRequested => server.accept().expect("asked"),
                    server::Event::UpgradeReady => server_ready = true,
                    _ => {}
                }
                server_ready
            });
        let progress = progress
            | (!client_ready
                && half(&mut client, &mut wire.to_client, &mut wire.to_server, |_, event| {
                    client_ready = event == client::Event::UpgradeReady;
                    client_ready
                }));
        assert!(progress, "the two wait for each other");
    }
    let server = server.into_upgrade(&wire.to_server).expect("the go-ahead").established();
    let client = client.into_upgrade(&wire.to_client).expect("the go-ahead");
    (client.established(Verification::Verified).expect("verified"), server)
}

/// Drives one side until it wants more or `stop`; returns whether anything happened.
fn half<M: Machine>(
    machine: &mut M,
    input: &mut Vec<u8>,
    output: &mut Vec<u8>,
    mut stop: impl FnMut(&mut M, M::Event<'_>) -> bool,
) -> bool {
    let mut progress = false;
    loop {
        let received = core::mem::take(input);
        let mut rest = &received[..];
        let (result, written) = step(machine, &mut rest, M::MAX_OUTPUT);
        output.extend_from_slice(&written);
        let stopped = match result.expect("no error between our own machines") {
            Step::Read => {
                *input = rest.to_vec();
                return progress;
            }
            Step::Write(_) => false,
            Step::Event(event) => stop(machine, event),
        };
        *input = rest.to_vec();
        progress = true;
        if stopped {
            return true;
        }
    }
}

/// The receiving side and its input.
struct Peer<'a, D> {
    receiver: Receiver<'a, Tls, D>,
    wire: Wire,
    chunk: usize,
    hello: Vec<u8>,
    from: Option<String>,
    to: Vec<String>,
    body: Vec<u8>,
    messages: usize,
}

impl<D: Dialect> Peer<'_, D> {
    fn exchange<'a>(
        &mut self,
        job: &mut Exchange<'_, '_, Tls, D>,
        mut body: impl FnMut(&mut Exchange<'_, '_, Tls, D>, &mut Vec<u8>),
    ) {
        let mut done = false;
        while !done {
            let Wire { to_server, to_client } = &mut self.wire;
            let mut message = Vec::new();
            let asked = half(job, to_client, to_server, |job, event| {
                if let session::Event::Body(_) = event {
                    body(job, &mut message);
                    // The end of the message is written with the next step.
                    return true;
                }
                done = matches!(event, session::Event::Done(_) | session::Event::Delivered);
                assert!(!matches!(event, session::Event::Rejected { .. }), "{event:?}");
                done
            });
            to_server.extend_from_slice(&message);
            let answered = self.serve();
            assert!(asked || answered, "the two wait for each other");
        }
    }

    /// Passes the sent bytes to the receiver, in chunks.
    fn serve(&mut self) -> bool {
        let sent = core::mem::take(&mut self.wire.to_server);
        let mut received = Vec::new();
        let mut progress = false;
        for chunk in sent.chunks(self.chunk) {
            received.extend_from_slice(chunk);
            let (hello, from, to) = (&mut self.hello, &mut self.from, &mut self.to);
            let (whole, messages) = (&mut self.body, &mut self.messages);
            let receiver = &mut self.receiver;
            progress |=
                half(receiver, &mut received, &mut self.wire.to_client, |receiver, event| {
                    match event {
                        receiver::Event::Hello(name) => *hello = name.as_untrusted_bytes().to_vec(),
                        receiver::Event::Mail(mail) => *from = Some(mail.path.as_str().to_owned()),
                        receiver::Event::Recipient(recipient) => {
                            to.push(recipient.path.as_str().to_owned());
                        }
                        receiver::Event::Body(piece) => whole.extend_from_slice(piece),
                        receiver::Event::Message { .. } => *messages += 1,
                        event => return event == receiver::Event::Quit,
                    }
                    if !matches!(event, receiver::Event::Hello(_) | receiver::Event::Body(_)) {
                        receiver.accept().expect("asked");
                    }
                    false
                });
        }
        self.wire.to_server = received;
        progress
    }
}
