//! Properties of all dialogues, cuts and orders of calls.

use std::fmt::Write as _;
use std::sync::LazyLock;

use proptest::prelude::*;
use starttls::client::Event;
use starttls::mail::receiver::{self, Authentication, Config};
use starttls::mail::{self, Address, Envelope};
use starttls::smtp;
use starttls::wire::{Framing, Line, Lines};
use starttls::{Error, Machine, Policy, Step, Tls, Verification, server};
use starttls_tests::CLIENT;
use starttls_tests::octets::Octets;
use starttls_tests::run::{Cut, play};
use starttls_tests::subject::Room;
use starttls_tests::table::{Row, rows};

/// Bytes in which parts of a dialogue are likely.
fn dialogue() -> impl Strategy<Value = Vec<u8>> {
    let parts: [&[u8]; 38] = [
        b"220 a\r\n",
        b"220-a\r\n",
        b"250 a\r\n",
        b"250-a\r\n",
        b"250 STARTTLS\r\n",
        b"250-STARTTLS\r\n",
        b"454 a\r\n",
        b"500 a\r\n",
        b"421 a\r\n",
        b"354 a\r\n",
        b"EHLO a\r\n",
        b"LHLO a\r\n",
        b"HELO a\r\n",
        b"STARTTLS\r\n",
        b"NOOP\r\n",
        b"QUIT\r\n",
        b"RSET\r\n",
        b"XYZZY\r\n",
        b"MAIL FROM:<>\r\n",
        b"RCPT TO:<a@b>\r\n",
        b"DATA\r\n",
        b"BDAT 3\r\n",
        b"BDAT 0 LAST\r\n",
        b"BDAT 9 LAST\r\n",
        b"BDAT x\r\n",
        b"AUTH PLAIN AHUAcA==\r\n",
        b"AUTH PLAIN\r\n",
        b"AUTH LOGIN\r\n",
        b"dQ==\r\n",
        b"*\r\n",
        b"MAIL FROM:<> SMTPUTF8 RET=HDRS REQUIRETLS\r\n",
        "RCPT TO:<\u{e4}@b> NOTIFY=NEVER ORCPT=rfc822;a\r\n".as_bytes(),
        b"\r",
        b".\r\n",
        b"\r\n",
        b"GET /\r\n",
        b"\x16\x03\x01",
        b"\0",
    ];
    let known = prop::sample::select(parts.to_vec()).prop_map(<[u8]>::to_vec);
    let part = prop_oneof![9 => known, 1 => prop::collection::vec(any::<u8>(), 0..4)];
    prop::collection::vec(part, 0..14).prop_map(|parts| parts.concat())
}

/// A row of the tables, as a base for other bytes.
fn template(table: &str, id: &str) -> Row {
    rows(table).into_iter().find(|row| row.id == id).expect("a row that exists")
}

static TEMPLATES: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let mut rows = vec![
        template("smtp-client.toml", "smtp-client-upgrade"),
        template("lmtp-client.toml", "lmtp-client-upgrade"),
        template("smtp-client.toml", "smtp-client-upgrade-opportunistic"),
        template("smtp-server.toml", "smtp-server-upgrade"),
        template("lmtp-server.toml", "lmtp-server-upgrade"),
        template("smtp-server.toml", "smtp-server-upgrade-opportunistic"),
        template("smtp-session.toml", "smtp-session-mail"),
        template("lmtp-session.toml", "lmtp-session-two-deliveries"),
        template("smtp-receiver.toml", "smtp-receiver-mail"),
        template("lmtp-receiver.toml", "lmtp-receiver-two-deliveries"),
        template("smtp-receiver.toml", "smtp-receiver-plaintext"),
        template("smtp-receiver.toml", "smtp-receiver-auth-required-and-given"),
        template("smtp-receiver.toml", "smtp-receiver-all-parameters"),
        template("smtp-receiver.toml", "smtp-receiver-bdat"),
        template("lmtp-receiver.toml", "lmtp-receiver-bdat-two-recipients-refused"),
    ];
    for row in &mut rows {
        row.decide.clear();
        if row.turns.is_empty() {
            row.mail.as_mut().expect("mail").decide.clear();
        } else {
            row.mail = None;
        }
    }
    rows
});

/// Replaces the bytes of a row after turn `from`.
fn graft(row: &Row, from: usize, octets: &[u8]) -> Row {
    let mut row = row.clone();
    let mail = row.mail.as_mut().map(|mail| &mut mail.turns);
    let turns = if row.turns.is_empty() { mail.expect("mail") } else { &mut row.turns };
    turns.truncate(from % turns.len() + 1);
    let last = turns.last_mut().expect("a turn");
    last.input = Octets(octets.to_vec());
    last.then = starttls_tests::table::Then::Nothing;
    row
}

/// A client after an upgrade with these replies of the server.
fn upgraded(greeting: &str, capabilities: &str, go_ahead: &str) -> Tls {
    let mut client = smtp::Client::new(CLIENT, Policy::Required);
    let mut output = [0; 512];
    for text in [greeting, capabilities, go_ahead] {
        let mut input = text.as_bytes();
        while !matches!(
            client.step(&mut input, &mut output).expect("well-formed"),
            Step::Write(_) | Step::Event(Event::UpgradeReady)
        ) {}
    }
    let upgrade = client.into_upgrade(b"").expect("nothing is unread");
    upgrade.established(Verification::Verified).expect("verified")
}

/// The complete reaction of a session to `octets`.
fn trace(tls: Tls, octets: &[u8]) -> (Vec<Result<String, Error>>, String) {
    let mut session = mail::Session::<Tls>::new(tls);
    let mut told = Vec::new();
    let (mut input, mut output) = (&b""[..], [0; 1024]);
    for octets in [&b""[..], octets] {
        let unread = [input, octets].concat().leak();
        input = unread;
        loop {
            let mut hello = match session.hello(CLIENT) {
                Ok(hello) => hello,
                Err(error) => {
                    told.push(Err(error));
                    break;
                }
            };
            match hello.step(&mut input, &mut output) {
                Ok(Step::Read) => break,
                Ok(Step::Write(n)) => told.push(Ok(starttls_tests::shown(&output[..n]))),
                Ok(Step::Event(event)) => told.push(Ok(format!("{event:?}"))),
                Err(error) => {
                    told.push(Err(error));
                    break;
                }
            }
        }
    }
    (told, format!("{session:?}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    /// I1: the server's replies before TLS have no effect inside.
    #[test]
    fn nothing_survives_the_upgrade(
        greeting in "[ -~]{0,60}",
        keywords in prop::collection::vec("(AUTH PLAIN|AUTH LOGIN|SIZE 1|PIPELINING|8BITMIME|[A-Z ]{0,9})", 0..6),
        go_ahead in "[ -~]{0,60}",
        inside in dialogue(),
    ) {
        let mut capabilities = "250-mx\r\n".to_string();
        for keyword in &keywords {
            write!(capabilities, "250-{keyword}\r\n").expect("a string grows");
        }
        capabilities += "250 STARTTLS\r\n";
        let tls = upgraded(&format!("220 {greeting}\r\n"), &capabilities, &format!("220 {go_ahead}\r\n"));
        let plain = upgraded("220 \r\n", "250-\r\n250 STARTTLS\r\n", "220 \r\n");
        prop_assert_eq!(&tls, &plain);
        prop_assert_eq!(trace(tls, &inside), trace(plain, &inside));
    }

    /// I1: a client's commands before TLS have no effect inside.
    #[test]
    fn nothing_survives_the_upgrade_of_a_server(before in dialogue(), required: bool) {
        let policy = if required { Policy::Required } else { Policy::Opportunistic };
        let config = server::Config::default().with_policy(policy).with_max_errors(u8::MAX);
        let ends = [b"EHLO a\r\nSTARTTLS\r\n".to_vec(), [&before[..], b"EHLO a\r\nSTARTTLS\r\n"].concat()];
        let [plain, tls] = ends.map(|octets| {
            let mut server = smtp::Server::new(CLIENT, config);
            let (mut input, mut output) = (&octets[..], [0; 512]);
            loop {
                match server.step(&mut input, &mut output) {
                    Ok(Step::Event(server::Event::UpgradeRequested)) => server.accept().expect("asked"),
                    Ok(Step::Event(server::Event::Command(_))) => server.unknown().expect("asked"),
                    Ok(Step::Event(server::Event::UpgradeReady)) => {
                        return server.into_upgrade(b"").ok().map(|upgrade| upgrade.established());
                    }
                    Ok(Step::Read) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        });
        prop_assert!(plain.is_some());
        prop_assert!(tls.is_none() || tls == plain);
    }

    /// I2: any bytes after the go-ahead, however they are cut, stop the upgrade.
    #[test]
    fn no_byte_is_allowed_after_the_go_ahead(suffix in prop::collection::vec(any::<u8>(), 1..40), cut in 1_usize..12) {
        let mut row = TEMPLATES[0].clone();
        row.turns.last_mut().expect("a go-ahead").input.0.extend(&suffix);
        let error = format!("error PlaintextAfterGoAhead({})", suffix.len());
        for cut in [Cut::Whole, Cut::Every(cut)] {
            prop_assert_eq!(&play(&row, cut, Room::Ample).upgrade.expect("an upgrade").end, &error);
        }
    }

    /// I3: bytes after the client's STARTTLS go to TLS unchanged, or nowhere.
    #[test]
    fn no_byte_is_parsed_after_starttls(suffix in prop::collection::vec(any::<u8>(), 1..40), tls: bool, cut in 1_usize..12) {
        let mut suffix = suffix;
        if tls {
            suffix[0] = 0x16;
        }
        let mut row = TEMPLATES[3].clone();
        row.turns.last_mut().expect("a request").input.0.extend(&suffix);
        for cut in [Cut::Whole, Cut::Every(cut)] {
            let outcome = play(&row, cut, Room::Ample).upgrade.expect("an upgrade");
            if suffix[0] == 0x16 {
                prop_assert_eq!((&outcome.end[..], &outcome.early), ("upgrade", &suffix));
            } else {
                prop_assert_eq!(outcome.end, format!("error PlaintextAfterGoAhead({})", suffix.len()));
            }
            prop_assert_eq!(outcome.out.last().expect("a turn"), b"220 2.0.0 Ready to start TLS\r\n");
        }
    }

    /// I13, I14: no input in any state causes a panic, and the cut does not matter.
    #[test]
    fn every_cut_is_the_same(octets in dialogue(), from in 0_usize..8, cut in 1_usize..12) {
        for row in TEMPLATES.iter() {
            let row = graft(row, from, &octets);
            let whole = unsettled(&row, Cut::Whole, Room::Ample);
            prop_assert_eq!(&unsettled(&row, Cut::Every(cut), Room::Ample), &whole, "{}", row.id);
            prop_assert_eq!(&unsettled(&row, Cut::Every(1), Room::Tight), &whole, "{}", row.id);
        }
    }
}

/// The result of a row, except the turn in which it stopped.
fn unsettled(row: &Row, cut: Cut, room: Room) -> impl PartialEq + std::fmt::Debug + use<> {
    let played = play(row, cut, room);
    let outcome = played.mail.or(played.upgrade).expect("a dialogue");
    (outcome.out.concat(), outcome.events, outcome.end, outcome.farewell, outcome.early)
}

/// I11: no byte is scanned twice, so that bytes that arrive one by one
/// cost no more than all at once.
#[test]
fn each_byte_is_scanned_once() {
    let mut lines = Lines::<512>::default();
    assert_eq!(lines.next(&mut &b"220 abc"[..]), Ok(None));
    assert_eq!(lines.next(&mut &b"\0\n\r\0\n\rc\r"[..]), Ok(None));
    let mut input = &b"\0\n\r\0\n\rc\r\nd"[..];
    assert_eq!(lines.next(&mut input), Ok(Some(&b"\0\n\r\0\n\rc"[..])));
    assert_eq!(input, b"d");
}

/// I13: any method at any time.
#[derive(Clone, Debug)]
enum Call {
    Step(Vec<u8>, usize),
    Accept,
    Refuse,
    Unknown,
    Answer,
    Farewell,
    EndOfInput,
    TimedOut,
    Wait,
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        12 => (dialogue(), 0_usize..600).prop_map(|(octets, room)| Call::Step(octets, room)),
        3 => Just(Call::Accept),
        1 => Just(Call::Refuse),
        1 => Just(Call::Unknown),
        1 => Just(Call::Answer),
        1 => Just(Call::Farewell),
        1 => Just(Call::Wait),
        1 => prop_oneof![Just(Call::EndOfInput), Just(Call::TimedOut)],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_call_at_any_time(calls in prop::collection::vec(call(), 0..30), required: bool) {
        let policy = if required { Policy::Required } else { Policy::Opportunistic };
        let config = server::Config::default().with_policy(policy);
        let (mut client_ready, mut server_ready) = (false, false);
        let mut client = smtp::Client::new(CLIENT, policy);
        let mut server = smtp::Server::new(CLIENT, config);
        let config = Config::default().with_authentication(Authentication::Offered).with_dsn(true).with_smtp_utf8(true).with_require_tls(true);
        let mut receiver = mail::Receiver::<Tls>::new(Tls::implicit_server(), CLIENT, config);
        let tls = Tls::implicit(Policy::Required, Verification::Verified).expect("verified");
        let mut session = mail::Session::<Tls>::new(tls);
        let address = [Address::new("a@b").expect("an address")];
        let envelope = Envelope::new(None, &address).expect("an envelope");
        let line = Line::new("250 a").expect("a line");
        let answer = receiver::Answer::new(550, "a").expect("an answer");
        for call in calls {
            let mut output = [0; 600];
            match call {
                Call::Step(octets, room) => {
                    let mut input = &octets[..];
                    let stepped = client.step(&mut input, &mut output[..room]);
                    client_ready |= stepped == Ok(Step::Event(Event::UpgradeReady));
                    let mut input = &octets[..];
                    let stepped = server.step(&mut input, &mut output[..room]);
                    server_ready |= stepped == Ok(Step::Event(server::Event::UpgradeReady));
                    let mut input = &octets[..];
                    let _ = receiver.step(&mut input, &mut output[..room]);
                    let mut input = &octets[..];
                    let _ = session.hello(CLIENT).map(|mut job| job.step(&mut input, &mut output[..room]).is_ok());
                    let _ = session.send(&envelope).map(|mut job| job.step(&mut input, &mut output[..room]).is_ok());
                }
                Call::Accept => {
                    let _ = (server.accept(), receiver.accept());
                    let _ = session.send(&envelope).map(|mut job| job.body(&mut &b"a\n"[..], &mut output));
                }
                Call::Refuse => {
                    let _ = server.refuse();
                    let _ = session.send(&envelope).map(|mut job| job.finish());
                }
                Call::Unknown => {
                    let _ = server.unknown();
                    let _ = session.reset().map(|mut job| job.step(&mut &b""[..], &mut output).is_ok());
                }
                Call::Answer => {
                    let _ = (server.answer(&[line], &mut output), receiver.answer(answer, &mut output));
                    let _ = session.quit().map(|mut job| job.step(&mut &b""[..], &mut output).is_ok());
                }
                Call::Farewell => {
                    let _ = (server.farewell(&mut output), receiver.farewell(&mut output[..2]));
                }
                Call::EndOfInput => {
                    let _ = (client.end_of_input(), server.end_of_input(), receiver.end_of_input());
                }
                Call::TimedOut => {
                    let _ = (client.timed_out(), server.timed_out(), receiver.timed_out());
                }
                Call::Wait => {
                    let _ = (client.wait(), server.wait(), receiver.wait());
                }
            }
        }
        // In any case: the boundary opens only after the event.
        prop_assert!(client.into_upgrade(b"").is_err() || client_ready);
        prop_assert!(server.into_upgrade(b"").is_err() || server_ready);
    }
}

/// The rest of a truncated greeting is taken from the input, once, also if the request after it does not fit.
#[test]
fn a_write_that_does_not_fit_loses_nothing_after_a_truncated_greeting() {
    const REQUEST: &[u8] = b"EHLO client.example.org\r\n";
    let mut client = smtp::Client::new(CLIENT, Policy::Required);
    let greeting = [&b"220 "[..], &[b'x'; 600], b"\r\n"].concat();
    let (mut input, mut output) = (&greeting[..], [0; 512]);
    let front = client.step(&mut input, &mut output).expect("a greeting");
    assert!(matches!(front, Step::Event(_)) && client.is_cut() && !input.is_empty());
    for _ in 0..2 {
        let error = client.step(&mut input, &mut output[..3]).expect_err("3 bytes");
        assert_eq!(error, Error::OutputTooSmall { needed: REQUEST.len() });
        assert!(input.is_empty() && !client.is_cut());
    }
    assert_eq!(client.step(&mut input, &mut output), Ok(Step::Write(REQUEST.len())));
    assert!(output.starts_with(REQUEST));
}
