//! Every reply code at every place, and every byte after the client's STARTTLS.

use starttls::lmtp::Lmtp;
use starttls::server::{Config, Event};
use starttls::smtp::{Dialect, ServerGrammar, Smtp};
use starttls::{Error, Machine, Server, Step};
use starttls_tests::octets::Octets;
use starttls_tests::run::{Cut, Outcome, play};
use starttls_tests::subject::Room;
use starttls_tests::table::{Demand, Job, Mail, Over, Protocol, Role, Row, Sent, Then, Turn};
use starttls_tests::{SERVER, shown};

fn row(protocol: Protocol, policy: Demand, turns: &[&str], mail: Option<Mail>) -> Row {
    Row { mail, ..Row::of(protocol, Role::Client, policy, turns) }
}

fn received(turns: &[&str]) -> Vec<Turn> {
    let turn = |input: &&str| Turn {
        input: Octets(input.as_bytes().to_vec()),
        out: Octets::default(),
        then: Then::Nothing,
    };
    turns.iter().map(turn).collect()
}

/// A client's reaction to the last of `turns`: the end, or its next command.
fn answer(row: &Row) -> String {
    let played = play(row, Cut::Whole, Room::Ample);
    let outcome: Outcome = played.mail.or(played.upgrade).expect("a dialogue");
    match (&outcome.end[..], outcome.out.last().expect("a turn")) {
        ("waiting", out) => shown(out).replace("\\r\\n", "").replace(" client.example.org", ""),
        (end, out) => {
            assert!(out.is_empty(), "{end}, and yet it sent {}", shown(out));
            end.to_string()
        }
    }
}

/// The reaction to each reply code; `yes` is the one to success, `no` the one to 5yz.
fn sweep(ask: impl Fn(&str) -> String, expected: impl Fn(u16) -> String) {
    for code in 0..=999 {
        for reply in
            [format!("{code:03} x\r\n"), format!("{code:03}\r\n"), format!("{code:03} \r\n")]
        {
            let expected = match code {
                200..=599 => expected(code),
                _ => "error Syntax".to_string(),
            };
            assert_eq!(ask(&reply), expected, "{reply:?}");
        }
        for separator in ["x", "_", ".", "\t", "0", "\u{a0}", "+"] {
            let reply = format!("{code:03}{separator}x\r\n");
            assert_eq!(ask(&reply), "error Syntax", "{reply:?}");
        }
    }
}

fn standard(code: u16, success: u16, yes: &str, no: &str) -> String {
    with_trouble(code, success, yes, no, no)
}

/// For commands where a temporary refusal is distinguished.
fn with_trouble(code: u16, success: u16, yes: &str, not_now: &str, no: &str) -> String {
    match code {
        421 => "error Closing",
        _ if code == success => yes,
        400..=499 => not_now,
        500..=599 => no,
        _ => "error UnexpectedReply",
    }
    .to_string()
}

fn hello(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Lmtp => "LHLO",
        _ => "EHLO",
    }
}

#[test]
fn only_220_250_220_leads_to_tls() {
    for protocol in [Protocol::Smtp, Protocol::Lmtp] {
        for policy in [Demand::Required, Demand::Opportunistic] {
            let required = policy == Demand::Required;
            let greeting = |reply: &str| answer(&row(protocol, policy, &[reply], None));
            sweep(greeting, |code| standard(code, 220, hello(protocol), "error Refused"));

            let capabilities = |reply: &str| {
                let lines = format!("{}-mx\r\n{}-STARTTLS\r\n", &reply[..3], &reply[..3]);
                answer(&row(protocol, policy, &["220 mx\r\n", &(lines + reply)], None))
            };
            let no = match (policy, protocol) {
                (Demand::Required, _) => "error NotOffered",
                (_, Protocol::Lmtp) => "plaintext",
                _ => "HELO",
            };
            // Only the reply "unknown command" means that the server has no extensions.
            sweep(capabilities, |code| {
                let no = if matches!(code, 500 | 502) { no } else { "error Refused" };
                with_trouble(code, 250, "STARTTLS", "error Refused", no)
            });

            let go_ahead = |reply: &str| {
                let turns = ["220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n", reply];
                answer(&row(protocol, policy, &turns, None))
            };
            let no = if required { "error Refused" } else { "plaintext" };
            sweep(go_ahead, |code| standard(code, 220, "upgrade", no));
        }
    }
}

#[test]
fn only_250_answers_helo() {
    let helo = |reply: &str| {
        let turns = ["220 mx\r\n", "500 what\r\n", reply];
        answer(&row(Protocol::Smtp, Demand::Opportunistic, &turns, None))
    };
    sweep(helo, |code| standard(code, 250, "plaintext", "error Refused"));
}

fn session(protocol: Protocol, over: Over, jobs: &[Job], turns: &[&str]) -> Row {
    let mail = Mail {
        over: Some(over),
        jobs: jobs.to_vec(),
        decide: Vec::new(),
        max_recipients: None,
        max_size: None,
        max_commands: None,
        proof: None,
        scram: None,
        authentication: None,
        dsn: false,
        smtp_utf8: false,
        require_tls: false,
        turns: received(turns),
        events: Vec::new(),
        end: None,
        error: None,
        farewell: Octets::default(),
    };
    row(protocol, Demand::Required, &[], Some(mail))
}

fn send() -> Job {
    Job::Send(Sent { to: vec!["a@example.org".to_string()], ..Sent::default() })
}

/// For commands that any 2yz reply confirms.
fn lenient(code: u16, yes: &str, no: &str) -> String {
    standard(code, if code < 300 { code } else { 0 }, yes, no)
}

#[test]
fn every_code_in_a_session() {
    let jobs = [Job::Hello, send(), Job::Quit];
    let smtp = |turns: &[&str]| answer(&session(Protocol::Smtp, Over::Tls, &jobs, turns));
    let lmtp = |turns: &[&str]| answer(&session(Protocol::Lmtp, Over::Tls, &jobs, turns));
    let ok = "250 ok\r\n";

    sweep(
        |reply| answer(&session(Protocol::Smtp, Over::ImplicitTls, &jobs, &[reply])),
        |code| standard(code, 220, "EHLO", "error Refused"),
    );
    sweep(|reply| smtp(&["", reply]), |code| standard(code, 250, "MAIL FROM:<>", "error Refused"));
    sweep(|reply| smtp(&["", ok, reply]), |code| lenient(code, "RCPT TO:<a@example.org>", "QUIT"));
    sweep(|reply| smtp(&["", ok, ok, reply]), |code| lenient(code, "DATA", "QUIT"));
    sweep(|reply| smtp(&["", ok, ok, ok, reply]), |code| standard(code, 354, ".", "QUIT"));
    let go = "354 go\r\n";
    sweep(|reply| smtp(&["", ok, ok, ok, go, reply]), |code| lenient(code, "QUIT", "QUIT"));
    sweep(|reply| lmtp(&["", ok, ok, ok, go, reply]), |code| lenient(code, "QUIT", "QUIT"));
    sweep(|reply| smtp(&["", ok, ok, ok, go, ok, reply]), |_| "done".to_string());

    let offered = "250-mx\r\n250 PIPELINING\r\n";
    let group = |replies: &[&str]| smtp(&["", offered, &replies.concat()]);
    let no = "503 no\r\n";
    sweep(|reply| group(&[reply, ok, no]), |code| lenient(code, "QUIT", "QUIT"));
    sweep(|reply| group(&[ok, reply, no]), |code| lenient(code, "QUIT", "QUIT"));
    sweep(|reply| group(&[ok, reply, go]), |code| lenient(code, ".", "."));
    sweep(|reply| group(&[ok, ok, reply]), |code| standard(code, 354, ".", "QUIT"));

    let jobs = [Job::Hello, Job::Reset, Job::Quit];
    let reset = |reply: &str| {
        answer(&session(Protocol::Smtp, Over::Tls, &jobs, &["", "250 ok\r\n", reply]))
    };
    sweep(reset, |code| lenient(code, "QUIT", "QUIT"));
}

#[test]
fn every_code_of_a_login() {
    let login = Job::Authenticate {
        user: "u".to_string(),
        password: "p".to_string(),
        token: None,
        external: false,
        mechanism: None,
        nonce: None,
        exporter: None,
        end_point: None,
    };
    let jobs = [Job::Hello, login, Job::Quit];
    let smtp = |turns: &[&str]| answer(&session(Protocol::Smtp, Over::Tls, &jobs, turns));
    let (plain, login) = ("250-mx\r\n250 AUTH PLAIN\r\n", "250-mx\r\n250 AUTH LOGIN\r\n");
    let more = "334 \r\n";
    sweep(|reply| smtp(&["", plain, reply]), |code| standard(code, 235, "QUIT", "QUIT"));
    sweep(|reply| smtp(&["", login, reply]), |code| standard(code, 334, "dQ==", "QUIT"));
    sweep(|reply| smtp(&["", login, more, reply]), |code| standard(code, 334, "cA==", "QUIT"));
    sweep(
        |reply| smtp(&["", login, more, more, reply]),
        |code| standard(code, 235, "QUIT", "QUIT"),
    );
}

fn after_starttls<D: Dialect>(hello: &str) {
    let starttls = format!("{hello} a\r\nSTARTTLS\r\n");
    for octet in 0..=255 {
        for more in [&b""[..], b"\r\n", b"\x03\x01"] {
            let mut server = Server::<ServerGrammar<'_, D>>::new(SERVER, Config::default());
            let received = [starttls.as_bytes(), &[octet], more].concat();
            let (mut input, mut output) = (&received[..], [0; 512]);
            loop {
                match server.step(&mut input, &mut output).expect("no error") {
                    Step::Event(Event::UpgradeRequested) => server.accept().expect("asked"),
                    Step::Event(Event::UpgradeReady) => break,
                    _ => {}
                }
            }
            let unread = 1 + more.len();
            assert_eq!(input.len(), unread, "the server read bytes after STARTTLS");
            let early = server.into_upgrade(input).map(|upgrade| upgrade.early());
            let expected = match octet {
                0x16 => Ok(input),
                _ => Err(Error::PlaintextAfterGoAhead { unread }),
            };
            assert_eq!(early, expected, "{octet:#04x}");
        }
    }
}

#[test]
fn only_0x16_goes_on_to_tls() {
    after_starttls::<Smtp>("EHLO");
    after_starttls::<Lmtp>("LHLO");
}
