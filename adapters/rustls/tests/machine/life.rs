//! A whole mail with one machine of the core in each role, before TLS and inside.

use std::sync::Arc;

use starttls::mail::{Address, Envelope, Inbound, LineEnds, Opening, inbound, opening, receiver};
use starttls::{Error as Rule, Policy, server};
use starttls_rustls::{Client, ClientTls, Error, Event, Server, Step};

use crate::common::{
    IDENTITY, NAME, STRANGER, SmtpClient, SmtpServer, VERSIONS, localhost, receive, send, strict,
};

const MESSAGE: &[u8] = b"Subject: life\r\n\r\n.dots\r\n..\r\nand more\r\n";

/// The server and the wire to it.
struct Far {
    connection: SmtpServer,
    inbound: Inbound<'static>,
    message: Vec<u8>,
    said_goodbye: bool,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    /// How many bytes move at once.
    chunk: usize,
    turns: usize,
}

impl Far {
    fn new(tls: rustls::ServerConfig, chunk: usize) -> Self {
        Self {
            connection: Server::plaintext(Arc::new(tls)),
            inbound: Inbound::new(NAME, server::Config::default(), receiver::Config::default()),
            message: Vec::new(),
            said_goodbye: false,
            to_server: Vec::new(),
            to_client: Vec::new(),
            chunk,
            turns: 0,
        }
    }

    /// Moves the available bytes, and lets the server continue.
    fn turn(&mut self, client: &mut SmtpClient) -> Result<(), Error> {
        self.turns += 1;
        assert!(self.turns < 100_000, "no end makes progress");
        send(client, &mut self.to_server, self.chunk);
        receive(&mut self.connection, &mut self.to_server, self.chunk);
        self.serve()?;
        send(&mut self.connection, &mut self.to_client, self.chunk);
        receive(client, &mut self.to_client, self.chunk);
        Ok(())
    }

    fn serve(&mut self) -> Result<(), Error> {
        while !self.said_goodbye {
            match self.connection.step_inbound(&mut self.inbound)? {
                Step::Event(inbound::Event::Receiver(event)) => match event {
                    receiver::Event::Body(piece) => self.message.extend(piece),
                    receiver::Event::Mail(_)
                    | receiver::Event::Recipient(_)
                    | receiver::Event::Message { .. } => self.inbound.accept()?,
                    _ => {}
                },
                Step::Event(inbound::Event::Quit) => self.said_goodbye = true,
                Step::Event(_) => {}
                _ => return Ok(()),
            }
        }
        Ok(())
    }
}

/// Sends the mail.
fn mail(policy: Policy, tls: &ClientTls, far: &mut Far) -> Result<(), Error> {
    let mut here: SmtpClient = Client::plaintext(tls, localhost());
    let mut opening: Opening<'_> = Opening::new(NAME, policy);
    loop {
        match here.step_opening(&mut opening, None)? {
            Step::Event(opening::Event::Ready) => break,
            Step::Event(_) => {}
            _ => far.turn(&mut here)?,
        }
    }
    let mut outbound = opening.into_outbound(LineEnds::default())?;
    let to = [Address::new("you@example.test").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("a recipient");
    let mut message = MESSAGE;
    let mut job = outbound.send(&envelope)?.with_message(&mut message);
    loop {
        match here.step_with(&mut job)? {
            Step::Event(event) if event.is_last() => break,
            Step::Event(_) => {}
            _ => far.turn(&mut here)?,
        }
    }
    assert!(outbound.outcome().expect("accepted").is_complete());
    let mut goodbye = outbound.quit()?;
    loop {
        match here.step_with(&mut goodbye)? {
            Step::Event(event) if event.is_last() => break,
            Step::Event(_) => {}
            _ => far.turn(&mut here)?,
        }
    }
    Ok(())
}

#[test]
fn one_machine_on_both_sides_of_the_handshake() {
    for version in VERSIONS {
        for chunk in [1, 7, 512, usize::MAX] {
            let mut far = Far::new(IDENTITY.server(version), chunk);
            mail(Policy::Required, &strict(version), &mut far).expect("sent");
            assert_eq!(far.message, MESSAGE, "pieces of {chunk}");
            assert!(far.said_goodbye && far.inbound.is_encrypted());
        }
    }
}

#[test]
fn the_machine_judges_an_unverified_peer() {
    for version in VERSIONS {
        let tls = IDENTITY.lenient(version);
        let mut far = Far::new(STRANGER.server(version), 512);
        let error = mail(Policy::Required, &tls, &mut far).expect_err("a stranger");
        assert_eq!(error.protocol(), Some(Rule::Unverified));
        assert!(far.message.is_empty());

        let mut far = Far::new(STRANGER.server(version), 512);
        mail(Policy::Opportunistic, &tls, &mut far).expect("sent");
        assert_eq!(far.message, MESSAGE);
    }
}

/// CVE-2011-0411 and its variants, in either direction.
#[test]
fn nothing_from_before_tls_crosses_the_boundary() {
    let mut here: SmtpClient = Client::plaintext(&strict(VERSIONS[1]), localhost());
    let mut opening: Opening<'_> = Opening::new(NAME, Policy::Required);
    let mut wire = b"220 x\r\n250-x\r\n250 STARTTLS\r\n220 go\r\n250 injected\r\n".to_vec();
    let error = loop {
        // One line at a time, except for the last two.
        let line = wire.iter().position(|octet| *octet == b'\n').map_or(0, |at| at + 1);
        let chunk = if wire.starts_with(b"220 go") { usize::MAX } else { line };
        match here.step_with(&mut opening) {
            Ok(Step::Write) => here.sent(here.to_send().len()),
            Ok(Step::Read) => assert!(receive(&mut here, &mut wire, chunk)),
            Ok(Step::Event(event)) => assert_ne!(event, opening::Event::StartTls),
            Ok(Step::End) => panic!("no end was told"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.protocol(), Some(Rule::PlaintextAfterGoAhead { unread: 14 }));

    let mut far = Far::new(IDENTITY.server(VERSIONS[1]), usize::MAX);
    far.to_server = b"EHLO x\r\nSTARTTLS\r\nMAIL FROM:<>\r\n".to_vec();
    let mut client = Client::plaintext(&strict(VERSIONS[1]), localhost());
    let error = (0..3).find_map(|_| far.turn(&mut client).err()).expect("refused");
    assert_eq!(error.protocol(), Some(Rule::PlaintextAfterGoAhead { unread: 14 }));
    assert!(!far.inbound.awaits_tls());
}

/// A client may send its ClientHello right after STARTTLS, before the reply.
#[test]
fn unread_bytes_belong_to_tls() {
    for version in VERSIONS {
        let mut far = Far::new(IDENTITY.server(version), usize::MAX);
        let mut here: SmtpClient =
            Client::implicit(Policy::Required, &strict(version), localhost());
        assert!(matches!(here.step(), Ok(Step::Write)));
        far.to_server = b"EHLO x\r\nSTARTTLS\r\n".to_vec();
        send(&mut here, &mut far.to_server, usize::MAX);
        receive(&mut far.connection, &mut far.to_server, usize::MAX);
        far.serve().expect("no error");
        send(&mut far.connection, &mut far.to_client, usize::MAX);
        let handshake = far.to_client.iter().position(|octet| *octet == 22).expect("an answer");
        assert!(far.to_client.drain(..handshake).collect::<Vec<_>>().ends_with(b"\r\n"));
        loop {
            match here.step().expect("no error") {
                Step::Event(Event::Established(_)) => break,
                Step::Event(_) => {}
                _ => far.turn(&mut here).expect("no error"),
            }
        }
        far.turn(&mut here).expect("no error");
        assert!(far.inbound.is_encrypted());
    }
}

#[test]
fn start_tls_needs_a_connection_made_for_it() {
    let mut usual = crate::common::client(Policy::Required, &strict(VERSIONS[1]));
    assert_eq!(usual.start_tls().unwrap_err().protocol(), Some(Rule::OutOfOrder));
    let mut first: SmtpServer = Server::implicit(Arc::new(IDENTITY.server(VERSIONS[1])));
    assert_eq!(first.start_tls().unwrap_err().protocol(), Some(Rule::OutOfOrder));
    let mut made: SmtpClient = Client::plaintext(&strict(VERSIONS[1]), localhost());
    assert!(made.start_tls().is_ok());
    assert_eq!(made.start_tls().unwrap_err().protocol(), Some(Rule::OutOfOrder));
}
