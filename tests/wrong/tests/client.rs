//! Each fault of the client is found by its cases, and by no other.

use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use starttls::Protocol;
use starttls_check::{ClientTest, Report, TestAuthority, Verdict};
use test_wrong::client::ClientFault;

/// The cases that find it.
fn expected(fault: ClientFault) -> &'static [&'static str] {
    use ClientFault as F;
    match fault {
        F::LoginNotOffered | F::MailNotOffered => &["stripping/not-offered"],
        F::AfterLater => &["stripping/refused-for-a-time"],
        F::AfterNo => &["stripping/refused"],
        F::AfterClose => &["stripping/closed"],
        F::AfterOther => &["stripping/other-replies"],
        F::Any2xx | F::Any3xx | F::Prefix => &["go-ahead/other-replies"],
        F::KeepsAhead | F::ShowsAhead => &["injection/same-segment"],
        F::ReadsOn => {
            &["injection/same-segment", "injection/next-segment", "injection/a-millisecond-later"]
        }
        F::TakesEarly => &["injection/early-go-ahead"],
        F::TakesUnasked => &["injection/greeting-inside-tls"],
        F::StaleLogin => &["state/logins"],
        F::NoHello => &["state/hello"],
        F::AsksAgain => &["offer/inside-tls"],
        F::LoggedIn => &["greeting/logged-in"],
        F::Refused => &["greeting/refusal"],
        F::Strange => &["greeting/strange"],
        F::AnyIssuer => &["certificate/self-signed", "certificate/unknown-ca"],
        F::Expired => &["certificate/expired"],
        F::NotYet => &["certificate/not-yet-valid"],
        F::AnyName => &["certificate/other-name"],
        F::AnyPurpose => &["certificate/for-clients"],
        F::IgnoresList => &["certificate/revoked"],
        F::AfterAlert => &["tls/alert"],
        F::AfterPlaintext => &["tls/plaintext"],
        F::Ssl3 => &["tls/ssl3"],
        F::Patient => &["limit/silence-after-the-go-ahead"],
        F::IgnoresEnd => &["limit/cut-inside-tls"],
    }
}

/// Cases that may find it, too: whether two segments are one read is a matter of time.
fn possible(fault: ClientFault) -> &'static [&'static str] {
    match fault {
        ClientFault::KeepsAhead | ClientFault::ShowsAhead => {
            &["injection/next-segment", "injection/a-millisecond-later"]
        }
        _ => &[],
    }
}

fn report(fault: Option<ClientFault>) -> Report {
    let fault = fault.map_or("none", ClientFault::name);
    let words = [
        env!("CARGO_BIN_EXE_wrong-client"),
        fault,
        "{host}",
        "{port}",
        "{ca}",
        "{crl}",
        "{user}",
        "{password}",
    ];
    ClientTest::new(Protocol::SMTP, words.map(OsString::from).to_vec())
        .expect("a protocol with tests")
        .with_patience(Duration::from_secs(6))
        .with_deadline(Duration::from_secs(4))
        .run(|_| true, &mut |_| ())
        .unwrap_or_else(|error| panic!("{fault}: {error}"))
}

#[test]
fn the_right_client_passes() {
    let report = report(None);
    assert_eq!(
        report.outcomes.len(),
        ClientTest::cases(&Protocol::SMTP).expect("a protocol with tests").len()
    );
    for outcome in &report.outcomes {
        assert_eq!(outcome.verdict, Verdict::Pass, "{}: {}", outcome.case.id, outcome.reason);
    }
}

#[test]
fn each_fault_is_found_by_its_cases_and_no_other() {
    let left = Mutex::new(ClientFault::ALL.iter());
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let next = left.lock().expect("the list").next();
                    let Some(fault) = next else { break };
                    let report = report(Some(*fault));
                    let found = report.outcomes.iter().filter(|outcome| {
                        let id = outcome.case.id;
                        !matches!(outcome.verdict, Verdict::Pass | Verdict::Skipped)
                            && !possible(*fault).contains(&id)
                    });
                    let found: Vec<_> = found.collect();
                    let ids: Vec<_> = found.iter().map(|outcome| outcome.case.id).collect();
                    if ids != expected(*fault)
                        || found.iter().any(|outcome| !outcome.verdict.is_finding())
                    {
                        let why: Vec<_> = found
                            .iter()
                            .map(|outcome| format!("{}: {}", outcome.case.id, outcome.reason))
                            .collect();
                        wrong.lock().expect("the list").push((*fault, why));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("the list");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A client that does not end by itself.
fn lasting(fault: Option<ClientFault>) -> Report {
    let script = "\"$@\" {host} {port} {ca} {crl} {user} {password}; exec sleep 60";
    let fault = fault.map_or("none", ClientFault::name);
    let words = ["sh", "-c", script, "sh", env!("CARGO_BIN_EXE_wrong-client"), fault];
    ClientTest::new(Protocol::SMTP, words.map(OsString::from).to_vec())
        .expect("a protocol with tests")
        .with_patience(Duration::from_secs(6))
        .with_deadline(Duration::from_secs(4))
        .with_wait(Duration::from_secs(1))
        .run(|_| true, &mut |_| ())
        .expect("a client")
}

/// The findings; all other cases pass, but one is skipped.
fn findings(report: &Report, skipped: &[&str]) -> Vec<&'static str> {
    let mut found = Vec::new();
    for outcome in &report.outcomes {
        let id = outcome.case.id;
        match outcome.verdict {
            verdict if verdict.is_finding() => found.push(id),
            verdict => {
                let expected = if skipped.contains(&id) { Verdict::Skipped } else { Verdict::Pass };
                assert_eq!(verdict, expected, "{id}: {}", outcome.reason);
            }
        }
    }
    found
}

#[test]
fn a_client_that_does_not_end_is_judged_by_its_connections() {
    let skipped = ["limit/cut-inside-tls"];
    thread::scope(|scope| {
        for fault in [None, Some(ClientFault::AfterNo), Some(ClientFault::Patient)] {
            scope.spawn(move || {
                let expected = fault.map(expected).unwrap_or_default();
                assert_eq!(findings(&lasting(fault), &skipped), expected, "{fault:?}");
            });
        }
    });
}

/// A device that connects again and again, as long as there is a test. It pauses for more than half of the deadline, so that
/// one connection more is open when that is over.
fn device(fault: Option<ClientFault>) -> Vec<&'static str> {
    let place = tempfile::tempdir().expect("a directory");
    let authority = TestAuthority::generate().expect("a CA");
    let kept = TestAuthority::from_pem(authority.certificate_pem(), authority.key_pem());
    let ca = place.path().join("ca.pem");
    std::fs::write(&ca, authority.certificate_pem()).expect("written");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("its address");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                let mut command = Command::new(env!("CARGO_BIN_EXE_wrong-client"));
                command.arg(fault.map_or("none", ClientFault::name)).arg("localhost");
                command.arg(address.port().to_string()).arg(&ca).args(["none", "device", "canary"]);
                command.stderr(Stdio::null()).status().expect("a client");
                thread::sleep(Duration::from_millis(2500));
            }
        });
        let report = ClientTest::listening(Protocol::SMTP, listener)
            .expect("a protocol with tests")
            .with_authority(kept.expect("the same CA"))
            .with_login("device", "canary")
            .with_patience(Duration::from_secs(6))
            .with_deadline(Duration::from_secs(4))
            .with_wait(Duration::from_millis(700))
            .run(
                |case| {
                    let groups = ["stripping/", "certificate/", "limit/"];
                    groups.iter().any(|group| case.id.starts_with(group))
                },
                &mut |_| (),
            );
        over.store(true, Ordering::SeqCst);
        findings(&report.expect("a device"), &["limit/cut-inside-tls", "certificate/revoked"])
    })
}

#[test]
fn a_device_is_tested_by_what_it_sends() {
    thread::scope(|scope| {
        use ClientFault::{AfterNo, AnyName, Patient};
        for fault in [None, Some(AfterNo), Some(AnyName), Some(Patient)] {
            scope.spawn(move || {
                let expected = fault.map(expected).unwrap_or_default();
                assert_eq!(device(fault), expected, "{fault:?}");
            });
        }
    });
}

#[test]
fn the_certificate_and_the_key_of_an_authority_belong_together() {
    let [one, other] = [(); 2].map(|()| TestAuthority::generate().expect("a CA"));
    let error = TestAuthority::from_pem(one.certificate_pem(), other.key_pem());
    assert!(error.expect_err("another key").to_string().contains("key"), "the error names it");
}
