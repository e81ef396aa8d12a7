//! Each fault of the server is found by its cases, and by no other.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use starttls::Protocol;
use starttls_check::{ServerTest, Verdict};
use test_identity::{Authority, Identity};
use test_wrong::server::{ServerFault, start, start_implicit};

/// The cases that find it.
fn expected(fault: ServerFault) -> &'static [&'static str] {
    use ServerFault as F;
    match fault {
        F::RefusesAll | F::NoTls | F::Closes | F::Mute => &["offer/works"],
        F::KeepsCommands => &["injection/same-segment"],
        F::KeepsHalfLine => &["injection/half-a-line"],
        F::KeepsRequest => &["injection/second-request"],
        F::ReadsOn => &[
            "injection/same-segment",
            "injection/next-segment",
            "injection/a-millisecond-later",
            "injection/half-a-line",
            "injection/second-request",
        ],
        F::TakesLines => &["injection/after-the-go-ahead"],
        F::Argument => &["request/argument"],
        F::InLogin => &["request/within-login", "login/begun-in-plaintext"],
        F::Twice => &["request/inside-tls"],
        F::BareLf => &["request/bare-lf"],
        F::OffersInside => &["offer/inside-tls"],
        F::KeepsHello => &["state/hello"],
        F::KeepsSender => &["state/transaction"],
        F::OffersLogin => &["login/offered-in-plaintext"],
        F::BeginsLogin => &["login/begun-in-plaintext"],
        F::OneSegment => &["tls/hello-in-pieces"],
        F::SmallHello => &["tls/large-hello"],
        F::GoesOn => &["tls/after-a-failed-handshake"],
        F::Tls10 | F::Tls11 => &["tls/old-versions"],
        F::Patient => {
            &["limit/silence-after-the-go-ahead", "limit/slow-hello", "limit/slow-command"]
        }
        F::SlowHello => &["limit/slow-hello"],
        F::SlowCommand => &["limit/slow-command"],
        F::LongLines => &["limit/endless-line"],
        F::LfDotLf
        | F::LfDotCrLf
        | F::CrLfDotLf
        | F::CrDotCr
        | F::CrDotCrLf
        | F::CrLfDotCr
        | F::DropsNul => &["smuggling/end-of-data"],
    }
}

/// Whether this case may find it, too: whether two segments are one read is a matter of time.
fn is_possible(fault: Option<ServerFault>, case: &str) -> bool {
    fault == Some(ServerFault::KeepsCommands)
        && ["injection/next-segment", "injection/a-millisecond-later"].contains(&case)
}

/// What the tests find at a server.
fn found(
    authority: &Authority,
    fault: Option<ServerFault>,
    tls: ServerConfig,
    change: impl FnOnce(ServerTest) -> ServerTest,
) -> Vec<String> {
    let address = start(fault, tls);
    let name = "localhost".try_into().expect("a name");
    let test = ServerTest::new(Protocol::SMTP, address, name)
        .expect("a protocol with tests")
        .with_verification(Arc::new(authority.client(rustls::ALL_VERSIONS)))
        .with_mailbox("me@wrong.invalid")
        .with_patience(Duration::from_secs(3))
        // More than twice what the server waits: one that goes on after the handshake waits twice.
        .with_deadline(Duration::from_secs(5))
        .with_command_deadline(Duration::from_secs(5))
        .with_pause(Duration::ZERO)
        .with_local_as_remote();
    let report = change(test).run(|_| true, &mut |_| ()).expect("a server");
    let mut unclear = Vec::new();
    let mut found = Vec::new();
    let outcomes = report.outcomes.iter();
    for outcome in outcomes.filter(|outcome| !is_possible(fault, outcome.case.id)) {
        let line = format!("{}: {}", outcome.case.id, outcome.reason);
        match outcome.verdict {
            Verdict::Fail | Verdict::Warning => found.push(outcome.case.id.to_owned()),
            Verdict::Inconclusive => unclear.push(line),
            _ => {}
        }
    }
    assert!(unclear.is_empty(), "{fault:?}: {unclear:?}");
    found
}

#[test]
fn the_right_server_passes() {
    let authority = Authority::default();
    let address = start(None, authority.localhost().server());
    let other = start_implicit(authority.localhost().server());
    let test = ServerTest::new(Protocol::SMTP, address, "localhost".try_into().expect("a name"))
        .expect("a protocol with tests")
        .with_verification(Arc::new(authority.client(rustls::ALL_VERSIONS)))
        .with_implicit(other)
        .with_mailbox("me@wrong.invalid")
        .with_deadline(Duration::from_secs(3))
        .with_command_deadline(Duration::from_secs(3))
        .with_local_as_remote();
    let report = test.run(|_| true, &mut |_| ()).expect("a server");
    assert_eq!(
        report.outcomes.len(),
        ServerTest::cases(&Protocol::SMTP).expect("a protocol with tests").len()
    );
    for outcome in &report.outcomes {
        let skipped = outcome.case.id == "request/within-login";
        let expected = if skipped { Verdict::Skipped } else { Verdict::Pass };
        assert_eq!(outcome.verdict, expected, "{}: {}", outcome.case.id, outcome.reason);
    }
}

#[test]
fn each_fault_is_found_by_its_cases_and_no_other() {
    let authority = Authority::default();
    std::thread::scope(|scope| {
        let tests: Vec<_> = ServerFault::ALL
            .iter()
            .map(|fault| {
                let authority = &authority;
                let tls = authority.localhost().server();
                (fault, scope.spawn(move || found(authority, Some(*fault), tls, |test| test)))
            })
            .collect();
        let wrong: Vec<_> = tests
            .into_iter()
            .map(|(fault, test)| (fault, test.join().expect("a run")))
            .filter(|(fault, found)| found != expected(**fault))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    });
}

#[test]
fn certificates_that_clients_refuse_are_found() {
    let authority = Authority::default();
    let now = time::OffsetDateTime::now_utc();
    let certificates: [(&str, Identity); 4] = [
        ("another name", authority.identity(["other.invalid"])),
        (
            "expired",
            authority.identity_with(["localhost"], |params| {
                params.not_after = now - time::Duration::DAY;
            }),
        ),
        ("self-signed", Identity::self_signed(["localhost"], |_| ())),
        ("another CA", Authority::new("another CA").localhost()),
    ];
    for (flaw, identity) in certificates {
        let found = found(&authority, None, identity.server(), |test| test);
        assert_eq!(found, ["tls/certificate"], "{flaw}");
    }
}

#[test]
fn the_same_certificate_on_the_port_for_implicit_tls_is_found() {
    let authority = Authority::default();
    let identity = authority.localhost();
    let other = start_implicit(identity.server());
    let found = found(&authority, None, identity.server(), |test| test.with_implicit(other));
    assert_eq!(found, ["tls/other-port"]);
}

/// Without the clean upgrade nothing is claimed, whichever cases are chosen.
#[test]
fn where_the_upgrade_does_not_work_no_other_case_passes() {
    let authority = Authority::default();
    let address = start(Some(ServerFault::RefusesAll), authority.localhost().server());
    let test = ServerTest::new(Protocol::SMTP, address, "localhost".try_into().expect("a name"));
    let test = test.expect("a protocol with tests");
    let report = test.run(|case| case.id.starts_with("injection/"), &mut |_| ());
    let report = report.expect("a server");
    assert!(report.outcomes.len() > 5);
    for outcome in &report.outcomes {
        assert_eq!(outcome.verdict, Verdict::Skipped, "{}: {}", outcome.case.id, outcome.reason);
    }
}
