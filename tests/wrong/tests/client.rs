//! Each fault of the client is found by its cases, and by no other.

use std::ffi::OsString;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use starttls::Protocol;
use starttls_check::{ClientTest, Report, Verdict};
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
        for _ in 0..4 {
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
