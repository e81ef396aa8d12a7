//! Mails that are sent, and mails that are refused.

use starttls::mail::message::Mailbox;
use starttls::mail::session::{Command, Event, Fate};
use starttls::mail::{Address, Credentials, Message};
use starttls::{Error as Rule, Verification};
use starttls_embedded::{
    Buffers, Composed, Error, MAX_ITERATIONS, Mailer, Mode, Receipt, Settings, Source, Unreadable,
};

use crate::common::{FROM, Peer, Turn, address, envelope, hears, play, rule, says, send};
use crate::through::Through;

pub(crate) const TO: [Address<'_>; 2] = [address("you@example.org"), address("no@example.org")];
pub(crate) const MESSAGE: &[u8] = b"Subject: 21.5 C\r\n\r\n.\r\nAll is well.\r\n";
const STUFFED: &str = "Subject: 21.5 C\r\n\r\n..\r\nAll is well.\r\n.\r\n";

pub(crate) fn opening() -> Vec<Turn> {
    vec![
        says("220 mx\r\n"),
        hears("EHLO [127.0.0.1]\r\n"),
        says("250-mx\r\n250 STARTTLS\r\n"),
        hears("STARTTLS\r\n"),
        says("220 go\r\n"),
        hears("TLS"),
        says("TLS"),
    ]
}

pub(crate) fn good() -> Vec<Turn> {
    let mut script = opening();
    script.extend([
        hears("EHLO [127.0.0.1]\r\n"),
        says("250-mx\r\n250-AUTH PLAIN\r\n250 PIPELINING\r\n"),
        hears("AUTH PLAIN AHUAcA==\r\n"),
        says("235 2.7.0 welcome\r\n"),
        hears("MAIL FROM:<sensor@example.org>\r\nRCPT TO:<you@example.org>\r\nDATA\r\n"),
        says("250 ok\r\n250 ok\r\n354 go\r\n"),
        hears(STUFFED),
        says("250 2.0.0 taken\r\n"),
        hears("QUIT\r\n"),
        says("221 bye\r\n"),
        hears("BYE"),
    ]);
    script
}

pub(crate) fn credentials() -> Credentials<'static> {
    Credentials::new("u", "p").expect("credentials")
}

#[test]
fn one_mail() {
    let credentials = credentials();
    let settings = Settings::new().with_credentials(&credentials);
    let (outcome, fate, ..) = play::<512, _>(&good(), settings, &TO[..1], || MESSAGE);
    assert_eq!(outcome, Ok(Receipt { accepted: 1, refused: 0 }));
    assert_eq!(fate, Fate::Accepted);
    // With a buffer too small for three commands, they leave one by one.
    let (outcome, ..) = play::<32, _>(&good(), settings, &TO[..1], || MESSAGE);
    assert!(outcome.is_ok_and(|receipt| receipt.is_complete()));
}

#[test]
fn a_server_cannot_demand_endless_hashing() {
    let nonce = [0; 18];
    let credentials = credentials().with_nonce(&nonce);
    let generous = credentials.with_max_iterations(MAX_ITERATIONS + 1);
    let asks = |iterations: u32| {
        // "r=" and the client's nonce with one more letter, "s=salt".
        let challenge = format!("r={}x,s=c2FsdA==,i={iterations}", "A".repeat(24));
        let mut script = opening();
        script.extend([
            hears("EHLO [127.0.0.1]\r\n"),
            says("250-mx\r\n250 AUTH SCRAM-SHA-256\r\n"),
            // "n,,n=u,r=" and the nonce.
            hears("AUTH SCRAM-SHA-256 biwsbj11LHI9QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB\r\n"),
            says(&format!("334 {}\r\n", base64(challenge.as_bytes()))),
            Turn::Leaves,
        ]);
        script
    };
    for (credentials, iterations, refused) in [
        (&credentials, MAX_ITERATIONS, false),
        (&credentials, MAX_ITERATIONS + 1, true),
        (&generous, MAX_ITERATIONS + 1, false),
        (&generous, MAX_ITERATIONS + 2, true),
    ] {
        let settings = Settings::new().with_credentials(credentials);
        let (outcome, ..) = play::<512, _>(&asks(iterations), settings, &TO[..1], || MESSAGE);
        let error = rule(&outcome).expect("the login failed");
        assert_eq!(error == Rule::TooManyIterations, refused, "{iterations}: {error:?}");
    }
}

fn base64(octets: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let bits = three.iter().fold(0, |bits, octet| bits << 8 | usize::from(*octet));
        let bits = bits << (8 * (3 - three.len()));
        let letter = |n: usize| char::from(LETTERS[bits >> (18 - 6 * n) & 63]);
        (0..4).map(|n| if n <= three.len() { letter(n) } else { '=' }).collect::<String>()
    };
    octets.chunks(3).map(group).collect()
}

#[test]
fn tls_first() {
    let mut script = vec![hears("TLS"), says("TLS"), says("220 mx\r\n")];
    script.extend(good().split_off(7));
    let credentials = credentials();
    let settings = Settings::new().with_credentials(&credentials).with_mode(Mode::Implicit);
    let (outcome, ..) = play::<512, _>(&script, settings, &TO[..1], || MESSAGE);
    assert!(outcome.is_ok());
}

#[test]
fn a_composed_mail() {
    let mut script = opening();
    script.extend([
        hears("EHLO [127.0.0.1]\r\n"),
        says("250 mx\r\n"),
        hears("MAIL FROM:<sensor@example.org>\r\n"),
        says("250 ok\r\n"),
        hears("RCPT TO:<you@example.org>\r\n"),
        says("250 ok\r\n"),
        hears("DATA\r\n"),
        says("354 go\r\n"),
        hears(
            "From: <sensor@example.org>\r\nTo: <you@example.org>\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
             ..hello\r\n.\r\n",
        ),
        says("250 2.0.0 taken\r\n"),
        hears("QUIT\r\n"),
        Turn::Leaves,
    ]);
    let to = [Mailbox::new(TO[0])];
    let message = Message::new(Mailbox::new(FROM), &to).with_text(".hello\n");
    let played = play::<64, _>(&script, Settings::new(), &TO[..1], || Composed::new(&message));
    assert!(played.0.is_ok());
}

/// The script up to the reply to a command, then these actions.
fn until(heard: &str, then: &[Turn]) -> Vec<Turn> {
    let mut script = good();
    let place = script.iter().position(
        |turn| matches!(turn, Turn::Hears(octets) if octets.starts_with(heard.as_bytes())),
    );
    script.truncate(place.expect("in the script") + 1);
    script.extend_from_slice(then);
    script
}

#[test]
fn refusals() {
    let credentials = credentials();
    let settings = Settings::new().with_credentials(&credentials);
    let quits = [hears("QUIT\r\n"), says("221 bye\r\n"), hears("BYE")];
    let rejected = |command, code, status| Err(Error::Rejected { command, code, status });

    let script = until("AUTH", &[says("535 5.7.8 no\r\n"), hears("QUIT\r\n"), Turn::Leaves]);
    let (outcome, fate, ..) = play::<512, _>(&script, settings, &TO[..1], || MESSAGE);
    let Err(Error::Rejected { command: Command::Auth, code: 535, status: Some(status) }) = outcome
    else {
        panic!("{outcome:?}");
    };
    assert_eq!(status.to_string(), "5.7.8");
    assert_eq!(fate, Fate::NotSent);

    let mut then = vec![says("550 5.1.8 no\r\n503 no\r\n503 no\r\n")];
    then.extend(quits.clone());
    let (outcome, fate, ..) = play::<512, _>(&until("MAIL", &then), settings, &TO[..1], || MESSAGE);
    assert!(matches!(outcome, Err(Error::Rejected { command: Command::Mail, code: 550, .. })));
    assert_eq!(fate, Fate::NotSent);

    let mut then = vec![says("250 ok\r\n550 no\r\n554 no\r\n")];
    then.extend(quits.clone());
    let (outcome, fate, ..) = play::<512, _>(&until("MAIL", &then), settings, &TO[..1], || MESSAGE);
    assert_eq!(outcome, rejected(Command::Recipient, 550, None));
    assert_eq!(fate, Fate::NotSent);

    // The server asks for a message in spite of its refusals, and gets an empty one.
    let mut then = vec![says("250 ok\r\n550 no\r\n354 go\r\n"), hears(".\r\n"), says("554 no\r\n")];
    then.extend(quits.clone());
    let (outcome, ..) = play::<512, _>(&until("MAIL", &then), settings, &TO[..1], || MESSAGE);
    assert_eq!(outcome, rejected(Command::Recipient, 550, None));

    let mut then = vec![says("554 5.6.0 spam\r\n")];
    then.extend(quits);
    let (outcome, fate, ..) =
        play::<512, _>(&until("Subject", &then), settings, &TO[..1], || MESSAGE);
    assert!(matches!(outcome, Err(Error::Rejected { command: Command::Message, code: 554, .. })));
    assert_eq!(fate, Fate::NotAccepted);
}

#[test]
fn no_way_to_tls() {
    let ehlo = |rest: &[Turn]| {
        let mut script = opening()[..2].to_vec();
        script.extend_from_slice(rest);
        script
    };
    let go = |rest: &[Turn]| {
        let mut script = opening()[..4].to_vec();
        script.extend_from_slice(rest);
        script
    };
    for (script, expected) in [
        (ehlo(&[says("250 mx\r\n")]), Rule::NotOffered),
        (ehlo(&[says("502 no\r\n")]), Rule::NotOffered),
        (ehlo(&[says("451 not now\r\n")]), Rule::Refused),
        (go(&[says("454 4.7.0 not now\r\n")]), Rule::Refused),
        (vec![says("554 no\r\n")], Rule::Refused),
        (vec![says("220 mx\n")], Rule::BareLf),
        (go(&[says("421 going\r\n")]), Rule::Closing),
    ] {
        let (outcome, fate, heard, _) =
            play::<512, _>(&script, Settings::new(), &TO[..1], || MESSAGE);
        assert_eq!((rule(&outcome), fate), (Some(expected), Fate::NotSent), "{script:?}");
        assert!(!heard.ends_with("TLS"));
    }
}

#[test]
fn an_opportunistic_mailer_needs_tls_too() {
    let mut script = opening();
    script.truncate(2);
    script.push(says("250 mx\r\n"));
    let settings = Settings::new().dangerous_accept_unverified();
    let (outcome, ..) = play::<512, _>(&script, settings, &TO[..1], || MESSAGE);
    assert_eq!(rule(&outcome), Some(Rule::NotOffered));
    script = opening();
    script.truncate(4);
    script.push(says("454 not now\r\n"));
    let (outcome, ..) = play::<512, _>(&script, settings, &TO[..1], || MESSAGE);
    assert_eq!(rule(&outcome), Some(Rule::Refused));
}

/// Plaintext together with the go-ahead is detected. Plaintext after it reaches TLS.
#[test]
fn plaintext_after_the_go_ahead() {
    let mut script = opening();
    script.truncate(4);
    script.push(says("220 go\r\n250 injected\r\n"));
    for asynchronous in [false, true] {
        let (outcome, fate, heard) =
            send::<512>(Peer::new(&script, usize::MAX), Through::verified(), asynchronous);
        let expected = Some(Rule::PlaintextAfterGoAhead { unread: 14 });
        assert_eq!((rule(&outcome), fate), (expected, Fate::NotSent));
        assert!(heard.ends_with("STARTTLS\\r\\n"), "{heard}");
    }
}

#[test]
fn an_unverified_server_gets_no_credentials() {
    for asynchronous in [false, true] {
        let unverified =
            || Through { verification: Verification::Unverified, ..Through::verified() };
        let peer = Peer::new(&opening(), usize::MAX);
        let (outcome, _, heard) = send::<512>(peer, unverified(), asynchronous);
        assert_eq!(rule(&outcome), Some(Rule::Unverified));
        assert!(heard.ends_with("TLS"));
    }
    // An opportunistic client sends the mail, but not the password.
    let mut script = opening();
    script.extend([
        hears("EHLO [127.0.0.1]\r\n"),
        says("250 AUTH PLAIN\r\n"),
        hears("QUIT\r\n"),
        Turn::Leaves,
    ]);
    let mut peer = Peer::new(&script, 7);
    let clock = peer.clock();
    let mut tls = Through { verification: Verification::Unverified, ..Through::verified() };
    let (mut buffers, credentials) = (Buffers::<512, 512>::new(), credentials());
    let mut mailer = Mailer::new(&mut peer, &mut tls, &mut buffers, clock)
        .with(Settings::new().dangerous_accept_unverified().with_credentials(&credentials));
    assert_eq!(rule(&mailer.send(&envelope(&TO[..1]), MESSAGE)), Some(Rule::Unverified));
}

/// The longest command decides, and no part of it is sent without room for all.
#[test]
fn an_output_that_is_too_small() {
    let credentials = Credentials::new("sensor", "a longer password").expect("credentials");
    let settings = Settings::new().with_credentials(&credentials);
    let line = "AUTH PLAIN AHNlbnNvcgBhIGxvbmdlciBwYXNzd29yZA==\r\n";
    let mut script = good();
    script[9] = hears(line);
    let (outcome, ..) = play::<49, _>(&script, settings, &TO[..1], || MESSAGE);
    assert!(outcome.is_ok() && line.len() == 49);
    script.truncate(9);
    script.extend([hears("QUIT\r\n"), Turn::Leaves]);
    let (outcome, fate, ..) = play::<48, _>(&script, settings, &TO[..1], || MESSAGE);
    assert_eq!(rule(&outcome), Some(Rule::OutputTooSmall { needed: 49 }));
    assert_eq!(fate, Fate::NotSent);
    let (outcome, ..) = play::<8, _>(&opening()[..1], settings, &TO[..1], || MESSAGE);
    assert_eq!(rule(&outcome), Some(Rule::OutputTooSmall { needed: 18 }));
}

/// If the message cannot be read to its end, the end is not sent.
#[test]
fn a_message_whose_reader_fails() {
    struct Broken(&'static [u8]);
    impl Source for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Unreadable> {
            match self.0.read(buffer) {
                Ok(0) => Err(Unreadable),
                other => other,
            }
        }
    }
    let credentials = credentials();
    let settings = Settings::new().with_credentials(&credentials);
    let script = until("MAIL", &[says("250 ok\r\n250 ok\r\n354 go\r\n"), hears("a\r\n")]);
    let (outcome, fate, ..) = play::<512, _>(&script, settings, &TO[..1], || Broken(b"a\r\n"));
    assert_eq!((outcome, fate), (Err(Error::Unreadable), Fate::NotAccepted));
    let (outcome, fate, ..) = play::<512, _>(&script, settings, &TO[..1], || &b"a\r\n\n"[..]);
    assert_eq!((rule(&outcome), fate), (Some(Rule::BareLineEnd), Fate::NotAccepted));
}

#[test]
fn several_mails_with_an_observer() {
    let mut script = opening();
    let mail = |recipients: &str, replies: &str, rest: &[Turn]| {
        let commands = format!("MAIL FROM:<sensor@example.org> SIZE=9\r\n{recipients}DATA\r\n");
        let mut turns = vec![hears(&commands), says(replies)];
        turns.extend_from_slice(rest);
        turns
    };
    let (you, no) = ("RCPT TO:<you@example.org>\r\n", "RCPT TO:<no@example.org>\r\n");
    let taken = [hears("a\r\n.\r\n"), says("250 taken\r\n")];
    script.extend([
        hears("EHLO [127.0.0.1]\r\n"),
        says("250-PIPELINING\r\n250-x\r\n250 SIZE 10\r\n"),
    ]);
    script.extend(mail(&format!("{you}{no}"), "250 a\r\n250 b\r\n550 c\r\n354 go\r\n", &taken));
    script.extend(mail(no, "250 a\r\n550 b\r\n554 c\r\n", &[]));
    script.push(hears("RSET\r\n"));
    script.push(says("250 ok\r\n"));
    script.extend(mail(you, "250 a\r\n250 b\r\n354 go\r\n", &taken));
    script.extend([hears("QUIT\r\n"), says("221 bye\r\n"), hears("BYE")]);
    // The first line of the reply to EHLO is a name.
    script[8] = says("250-mx\r\n250-PIPELINING\r\n250 SIZE 10\r\n");

    let mut peer = Peer::new(&script, 7);
    let clock = peer.clock();
    let (mut tls, mut buffers) = (Through::verified(), Buffers::<512, 256>::new());
    let mut said = Vec::new();
    let mut watch = |event: &Event<'_>| {
        if let Event::Recipient { index, reply } = event {
            said.push((*index, reply.code()));
        }
    };
    let mut mailer = Mailer::new(&mut peer, &mut tls, &mut buffers, clock).watched_by(&mut watch);
    let mut connection = mailer.connect().expect("a connection");
    assert_eq!(connection.extensions().max_size(), Some(10));
    let sized = |to, octets| envelope(to).with_size(octets);
    let receipt = connection.send(&sized(&TO, 9), &b"a\r\n"[..]).expect("taken");
    assert_eq!((receipt, receipt.is_complete()), (Receipt { accepted: 1, refused: 1 }, false));
    assert_eq!(connection.fate(), Fate::Accepted);
    let refused = connection.send(&sized(&TO[1..], 9), &b"a\r\n"[..]);
    assert!(matches!(refused, Err(Error::Rejected { code: 550, .. })));
    assert_eq!((connection.fate(), connection.is_open()), (Fate::NotSent, true));
    let large = connection.send(&sized(&TO[..1], 11), &b"a\r\n"[..]);
    assert_eq!((rule(&large), connection.is_open()), (Some(Rule::MessageTooLarge), true));
    connection.send(&sized(&TO[..1], 9), &b"a\r\n"[..]).expect("taken");
    connection.quit().expect("bye");
    assert_eq!(rule(&mailer.send(&envelope(&TO), MESSAGE)), Some(Rule::OutOfOrder), "used before");
    assert_eq!(said, [(0, 250), (1, 550), (0, 550), (0, 250)]);
    assert!(peer.script.is_empty());
}

#[test]
fn no_password_is_shown() {
    let credentials = Credentials::new("u", "passw0rd").expect("credentials");
    let settings = Settings::new().with_credentials(&credentials);
    let (mut peer, mut tls) = (Peer::new(&[], 1), Through::verified());
    let clock = peer.clock();
    let mut buffers = Buffers::<512, 512>::new();
    let shown = format!("{settings:?} {credentials:?} {buffers:?}");
    let mailer = Mailer::new(&mut peer, &mut tls, &mut buffers, clock).with(settings);
    assert!(!format!("{shown} {mailer:?}").contains("passw0rd"), "{shown}");
}
