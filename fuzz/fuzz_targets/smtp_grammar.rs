//! The meaning of SMTP's lines, in both roles, compared with a second, simpler implementation of the RFCs.

#![no_main]

use libfuzzer_sys::fuzz_target;
use starttls::mail::session::Mechanism;
use starttls::mail::{Address, Session};
use starttls::smtp::{ClientGrammar, Dialect, Domain, ServerGrammar, Smtp};
use starttls::{Client, Policy, Reason, Server, Tls, Verification, client, lmtp, server};
use starttls_fuzz::model::{self, Outcome, Verdict};
use starttls_fuzz::{Case, End, Entry, Go, Run, upgraded};

fuzz_target!(|case: Case<'_>| {
    let policy = if case.bit(0) { Policy::Opportunistic } else { Policy::Required };
    client::<Smtp>(case.octets, policy, true);
    client::<lmtp::Lmtp>(case.octets, policy, false);
    let config = server::Config::default()
        .with_policy(policy)
        .with_available(!case.bit(1))
        .with_max_errors(case.calls[0])
        .with_max_commands(u16::MAX);
    server::<Smtp>(case.octets, config, case.bit(2), false);
    server::<lmtp::Lmtp>(case.octets, config, case.bit(2), true);
    extensions(case.octets);
    address(case.octets);
});

fn client<D: Dialect>(octets: &[u8], policy: Policy, has_helo: bool) {
    let mut client = Client::<ClientGrammar<'_, D>>::new(Domain::LOCALHOST, policy);
    let mut run = Run::default();
    let mut outcome = Outcome::Waiting;
    let end = run.over(
        &mut client,
        octets,
        None,
        || 1,
        |_, event, _| {
            outcome = match event {
                client::Event::UpgradeReady => Outcome::Upgrade,
                client::Event::Plaintext(reason) => Outcome::Plaintext(reason),
                _ => return Go::On,
            };
            Go::Stop
        },
    );
    if let (End::Failure, Some(Entry::Failed(error))) = (end, run.trace.last()) {
        outcome = Outcome::Failed(error.kind());
    }
    assert_eq!(outcome, model::client(octets, policy, has_helo));
    match outcome {
        Outcome::Upgrade => {
            let unread = &octets[run.consumed..];
            assert_eq!(client.into_upgrade(unread).is_ok(), unread.is_empty());
        }
        Outcome::Plaintext(reason) => {
            assert!(policy == Policy::Opportunistic);
            assert_eq!(client.into_plaintext(&[]).map(|plain| plain.reason()), Ok(reason));
        }
        _ => assert!(client.into_upgrade(&[]).is_err()),
    }
}

fn server<D: Dialect>(octets: &[u8], config: server::Config, accept: bool, lmtp: bool) {
    let mut server = Server::<ServerGrammar<'_, D>>::new(Domain::LOCALHOST, config);
    let required = config.policy() == Policy::Required;
    let mut model = model::Server { required, available: config.available(), lmtp, greeted: false };
    let mut expected = vec![220];
    let mut mistakes = 0;
    let mut run = Run::default();
    let mut rest = octets;
    let end = run.over(
        &mut server,
        octets,
        None,
        || usize::MAX,
        |server, event, _| {
            let mut mistake = |code| {
                mistakes += 1;
                expected.push(if mistakes > u32::from(config.max_errors()) { 421 } else { code });
            };
            match event {
                server::Event::Received(said) => {
                    let line = model::line(&mut rest, model::MAX_LINE).expect("a command");
                    let verb = line.trim_ascii_end().split(|octet| *octet == b' ').next();
                    let verb = verb.unwrap_or_default();
                    let shown = said.as_untrusted_bytes();
                    match model.judge(line) {
                        Verdict::Fine(code) => {
                            assert_eq!(shown, line);
                            expected.push(code);
                        }
                        Verdict::Mistake(code) => {
                            // A possible credential must not reach a log.
                            let public =
                                [&b"EHLO"[..], b"LHLO", b"HELO", b"RSET", b"VRFY", b"STARTTLS"];
                            let is = |public: &&[u8]| public.eq_ignore_ascii_case(verb);
                            assert!(shown.is_empty() || shown == line && public.iter().any(is));
                            mistake(code);
                        }
                        verdict => {
                            assert_eq!(shown, line);
                            assert_eq!(verdict, Verdict::Asks);
                        }
                    }
                }
                server::Event::Command(said) => {
                    assert_eq!(
                        model::line(&mut rest, model::MAX_LINE),
                        Ok(said.as_untrusted_bytes())
                    );
                    assert_eq!(model.judge(said.as_untrusted_bytes()), Verdict::Unknown);
                    server.unknown().expect("unanswered");
                    mistake(500);
                }
                server::Event::UpgradeRequested if accept => {
                    server.accept().expect("asked");
                    expected.push(220);
                }
                server::Event::UpgradeRequested => {
                    server.refuse().expect("asked");
                    mistake(454);
                }
                server::Event::Plaintext => {
                    let line = model::line(&mut rest, model::MAX_LINE).expect("a command");
                    assert_eq!(model.judge(line), Verdict::SkipsUpgrade);
                    return Go::Stop;
                }
                _ => return Go::Stop,
            }
            Go::On
        },
    );
    let codes = run.trace.iter().filter_map(|entry| match entry {
        Entry::Wrote(reply) => core::str::from_utf8(&reply[..3]).ok()?.parse::<u16>().ok(),
        _ => None,
    });
    assert!(codes.eq(expected.iter().copied()), "{expected:?} {:?}", run.trace);
    match (end, run.trace.last()) {
        (End::Silence, _) => {
            assert_eq!(model::line(&mut rest, model::MAX_LINE), Err(Outcome::Waiting))
        }
        (End::Failure, Some(Entry::Failed(starttls::Error::TooManyErrors))) => {
            assert_eq!(expected.last(), Some(&421));
        }
        (End::Failure, _) => {
            if let Ok(line) = model::line(&mut rest, model::MAX_LINE) {
                assert_eq!(model.judge(line), Verdict::Foreign);
            }
        }
        (End::Event, _) if server_is_ready(&server) => {
            let unread = &octets[run.consumed..];
            let tls = matches!(unread, [] | [0x16, ..]);
            assert_eq!(server.into_upgrade(unread).is_ok(), tls && accept);
        }
        (End::Event, _) => {
            let plain = server.into_plaintext();
            assert!(plain.is_err() || !required);
            assert!(plain.is_err() || plain.map(|p| p.reason()) == Ok(Reason::NotAsked));
        }
    }
}

fn server_is_ready<D: Dialect>(server: &Server<ServerGrammar<'_, D>>) -> bool {
    format!("{server:?}").contains("state: Ready")
}

/// The reply to EHLO, inside TLS, compared with the keywords that a human reader would find.
fn extensions(octets: &[u8]) {
    let mut session = Session::<Tls>::new(upgraded(Policy::Required, Verification::Verified));
    let mut hello = session.hello(Domain::LOCALHOST).expect("the first job");
    let mut done = false;
    let mut lines = Vec::new();
    let mut run = Run::default();
    run.over(
        &mut hello,
        octets,
        None,
        || 1,
        |_, event, _| {
            use starttls::mail::session::Event;
            let (Event::Received(reply) | Event::Done(reply)) = event else { return Go::Stop };
            lines.push(reply.text().as_untrusted_bytes().to_ascii_uppercase());
            done = matches!(event, Event::Done(_));
            if done { Go::Stop } else { Go::On }
        },
    );
    let found = session.extensions();
    if !done {
        return;
    }
    let words = |line: &Vec<u8>| -> Vec<Vec<u8>> {
        // The old form of the keyword: the first mechanism follows an equals sign.
        let line = match line.strip_prefix(b"AUTH=") {
            Some(rest) => [b"AUTH ", rest].concat(),
            None => line.clone(),
        };
        line.split(|octet| *octet == b' ').map(<[u8]>::to_vec).collect()
    };
    let lines: Vec<_> = lines.iter().skip(1).map(words).collect();
    let has = |keyword: &[u8]| lines.iter().any(|words| words[0] == keyword);
    let auth = |name: &[u8]| {
        lines.iter().any(|words| words[0] == b"AUTH" && words[1..].iter().any(|w| w == name))
    };
    assert_eq!(found.pipelining(), has(b"PIPELINING"));
    assert_eq!(found.eight_bit_mime(), has(b"8BITMIME"));
    assert_eq!(found.enhanced_status_codes(), has(b"ENHANCEDSTATUSCODES"));
    assert_eq!(found.offers(Mechanism::Plain), auth(b"PLAIN"));
    assert_eq!(found.offers(Mechanism::Login), auth(b"LOGIN"));
    assert_eq!(found.size(), has(b"SIZE"));
    assert!(found.max_size() != Some(0) && (found.max_size().is_none() || found.size()));
}

/// An accepted address can neither end a command nor leave its angle brackets.
fn address(octets: &[u8]) {
    let Ok(text) = core::str::from_utf8(octets) else { return };
    let Ok(address) = Address::new(text) else { return };
    assert_eq!(address.as_str(), text);
    assert!(text.len() <= 254 && text.bytes().all(|octet| matches!(octet, b' '..=b'~')));
    let (local, domain) = text.rsplit_once('@').expect("an @");
    assert!(!local.is_empty() && !domain.is_empty());
    assert!(!domain.contains(['<', '>', ' ', '"']));
    assert!(local.starts_with('"') || !local.contains(['<', '>', ' ', '@', ',', ':']));
}
