//! What the cases do, and what they look for.

use super::authority::Flaw;
use super::secrets::Secrets;
use super::visit::{Attack, Plant, Then, Visit};
use super::{Bench, Run};
use crate::dialect::{Ask, Dialect, Greeting, MARK, Peer, Reply, Setup};
use crate::judge::Seen;
use crate::text::excerpt;

/// The result of a case, with its last run.
pub(super) type Judged = Result<(Seen, Option<Run>), String>;

const CLEAN: Attack = Attack::CLEAN;

/// In plaintext nothing of the login is sent, and nothing is done.
fn leak(bench: &Bench<'_>, run: &Run) -> Option<String> {
    let mut visits = run.visits.iter().chain(&run.elsewhere);
    visits.find_map(|visit| leaked(bench.test.dialect, &run.secrets, &visit.plaintext))
}

fn leaked(dialect: &dyn Dialect, secrets: &Secrets, plaintext: &[u8]) -> Option<String> {
    if let Some(what) = secrets.shown(plaintext) {
        return Some(format!("the client sends {what} in plaintext"));
    }
    let used = dialect.uses(plaintext);
    used.then(|| format!("the client goes on in plaintext: {}", excerpt(plaintext)))
}

/// The judgement on a server that gives no TLS.
fn no_leak(bench: &Bench<'_>, attack: &Attack) -> Judged {
    let run = bench.play(attack, Flaw::None)?;
    let seen = match leak(bench, &run) {
        Some(what) => Seen::Violation(what),
        None => Seen::Pass(ended(&run)),
    };
    Ok((seen, Some(run)))
}

fn ended(run: &Run) -> String {
    match &run.ended.status {
        Some(status) => format!("the client ends: {status}"),
        None if run.still_open => "the client waits".to_owned(),
        None => "the client closes the connection".to_owned(),
    }
}

pub(super) fn not_offered(bench: &Bench<'_>, _: &Run) -> Judged {
    let setup = Setup { offers: false, ..Setup::CLEAN };
    no_leak(bench, &Attack { setup, reply: Reply::No, ..CLEAN })
}

pub(super) fn refused_for_a_time(bench: &Bench<'_>, _: &Run) -> Judged {
    no_leak(bench, &Attack { reply: Reply::Later, ..CLEAN })
}

pub(super) fn refused(bench: &Bench<'_>, _: &Run) -> Judged {
    no_leak(bench, &Attack { reply: Reply::No, ..CLEAN })
}

pub(super) fn closed(bench: &Bench<'_>, _: &Run) -> Judged {
    no_leak(bench, &Attack { then: Then::Close, ..CLEAN })
}

/// The forms of replies that are not the go-ahead.
fn almost(bench: &Bench<'_>) -> usize {
    let service = bench.test.dialect.service(Setup::CLEAN);
    (0..).take_while(|form| service.reply(Reply::Almost(*form), b"x x\r\n").is_some()).count()
}

pub(super) fn other_replies(bench: &Bench<'_>, _: &Run) -> Judged {
    let mut last = None;
    for form in 0..almost(bench) {
        let (seen, run) = no_leak(bench, &Attack { reply: Reply::Almost(form), ..CLEAN })?;
        if !matches!(seen, Seen::Pass(_)) {
            return Ok((seen, run));
        }
        last = Some((seen, run));
    }
    last.ok_or_else(|| "the protocol has no such reply".to_owned())
}

pub(super) fn no_go_ahead(bench: &Bench<'_>, _: &Run) -> Judged {
    let mut last = None;
    for form in 0..almost(bench) {
        let run = bench.play(&Attack { reply: Reply::Almost(form), ..CLEAN }, Flaw::None)?;
        if let Some(visit) = run.visits.iter().find(|visit| visit.hello_unasked) {
            let what = format!("the client begins TLS after {}", last_reply(visit));
            return Ok((Seen::Violation(what), Some(run)));
        }
        last = Some(run);
    }
    let run = last.ok_or("the protocol has no such reply")?;
    Ok((Seen::Pass("the client begins TLS after none of them".to_owned()), Some(run)))
}

fn last_reply(visit: &Visit) -> String {
    let kept = visit.kept.lock().map(|kept| kept.clone()).unwrap_or_default();
    let last = kept.moments().iter().rev().find(|step| step.mark == crate::Mark::Server);
    last.map(|step| excerpt(&step.bytes)).unwrap_or_default()
}

/// The judgement on planted replies: they have no effect, or the client ends.
fn no_effect(bench: &Bench<'_>, control: &Run, plant: Plant) -> Judged {
    let run = bench.play(&Attack { plant, ..CLEAN }, Flaw::None)?;
    let seen = effect(&run, control);
    Ok((seen, Some(run)))
}

fn effect(run: &Run, control: &Run) -> Seen {
    let shown = |run: &Run| contains(&run.ended.output, MARK.as_bytes());
    if shown(run) && !shown(control) && run.visits.iter().any(Visit::is_secured) {
        return Seen::Violation(
            "the client shows the planted reply as one of the server".to_owned(),
        );
    }
    let hasty = |run: &Run| run.visits.iter().any(|visit| visit.hasty);
    if hasty(run) && !hasty(control) {
        return Seen::Violation(
            "inside TLS the client takes the planted reply for the answer to its first request"
                .to_owned(),
        );
    }
    if run.visits.iter().any(|visit| !visit.inside.is_empty()) {
        Seen::Pass("the client discards the reply".to_owned())
    } else {
        Seen::Pass(ended(run))
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

pub(super) fn same_segment(bench: &Bench<'_>, control: &Run) -> Judged {
    no_effect(bench, control, Plant::SameSegment)
}

pub(super) fn next_segment(bench: &Bench<'_>, control: &Run) -> Judged {
    no_effect(bench, control, Plant::NextSegment)
}

pub(super) fn later(bench: &Bench<'_>, control: &Run) -> Judged {
    no_effect(bench, control, Plant::Later)
}

pub(super) fn greeting_inside(bench: &Bench<'_>, control: &Run) -> Judged {
    no_effect(bench, control, Plant::GreetingInside)
}

pub(super) fn early_reply(bench: &Bench<'_>, _: &Run) -> Judged {
    let run = bench.play(&Attack { plant: Plant::GoAheadEarly, ..CLEAN }, Flaw::None)?;
    let seen = if !run.visits.iter().any(|visit| visit.planted_early) {
        Seen::Skip("no go-ahead can be sent before the request".to_owned())
    } else if run.visits.iter().any(|visit| visit.hello_unasked) {
        Seen::Violation("the client takes a go-ahead that was there before its request".to_owned())
    } else {
        Seen::Pass("the client does not take it".to_owned())
    };
    Ok((seen, Some(run)))
}

pub(super) fn stale_logins(bench: &Bench<'_>, _: &Run) -> Judged {
    let setup = Setup { logins_change: true, ..Setup::CLEAN };
    let run = bench.play(&Attack { setup, ..CLEAN }, Flaw::None)?;
    let seen = if run.visits.iter().any(|visit| visit.stale_login) {
        Seen::Violation("inside TLS the client logs in as was offered only before TLS".to_owned())
    } else if run.visits.iter().all(|visit| visit.inside.is_empty()) {
        Seen::Pass(ended(&run))
    } else {
        Seen::Pass("inside TLS the client uses what is offered there".to_owned())
    };
    Ok((seen, Some(run)))
}

pub(super) fn hello_again(bench: &Bench<'_>, control: &Run) -> Judged {
    let peer = Peer { name: &bench.test.host, said: &[] };
    let hello = bench.test.dialect.ask(Ask::Hello, &peer).unwrap_or_default();
    let verb = |bytes: &[u8]| {
        let word = bytes.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        word.to_ascii_uppercase()
    };
    let first = control.visits.iter().find_map(|visit| visit.inside.first());
    Ok(match first {
        Some(first) if verb(first) == verb(&hello) => {
            (Seen::Pass("the client introduces itself again".to_owned()), Some(control.clone()))
        }
        Some(first) => {
            let what = format!("inside TLS the client first says {}", excerpt(first));
            (Seen::Violation(what), Some(control.clone()))
        }
        None => (Seen::Unclear("the client said nothing inside TLS".to_owned()), None),
    })
}

pub(super) fn logged_in(bench: &Bench<'_>, _: &Run) -> Judged {
    greeted(bench, Greeting::LoggedIn)
}

pub(super) fn refusing(bench: &Bench<'_>, _: &Run) -> Judged {
    greeted(bench, Greeting::Refusal)
}

pub(super) fn strange(bench: &Bench<'_>, _: &Run) -> Judged {
    greeted(bench, Greeting::Strange)
}

/// The greeting must not keep a client from TLS: it has TLS, or it does nothing.
fn greeted(bench: &Bench<'_>, greeting: Greeting) -> Judged {
    let setup = Setup { greeting, ..Setup::CLEAN };
    no_leak(bench, &Attack { setup, reply: Reply::No, ..CLEAN })
}

pub(super) fn referred(bench: &Bench<'_>, _: &Run) -> Judged {
    if !bench.test.subject.is_here() {
        let why = "a device elsewhere cannot be sent to another server on this machine";
        return Ok((Seen::Skip(why.to_owned()), None));
    }
    let setup = Setup { refer: Some(1), offers: false, ..Setup::CLEAN };
    let run = bench.play(&Attack { setup, reply: Reply::No, ..CLEAN }, Flaw::None)?;
    let seen = if run.elsewhere.is_empty() {
        Seen::Pass(ended(&run))
    } else {
        Seen::Violation("the client goes where a server without TLS has sent it".to_owned())
    };
    Ok((seen, Some(run)))
}

/// A server with this certificate gets nothing.
fn flawed(bench: &Bench<'_>, flaw: Flaw) -> Judged {
    let run = bench.play(&CLEAN, flaw)?;
    let seen = match run.visits.iter().find_map(|visit| visit.inside.first()) {
        Some(request) => {
            Seen::Violation(format!("the client goes on: it sends {}", excerpt(request)))
        }
        None => match leak(bench, &run) {
            Some(what) => Seen::Violation(format!("after it refused the certificate, {what}")),
            None if run.visits.iter().all(|visit| visit.handshake.is_none()) => {
                Seen::Unclear("the client began no handshake".to_owned())
            }
            None => Seen::Pass("the client refuses the certificate".to_owned()),
        },
    };
    Ok((seen, Some(run)))
}

pub(super) fn self_signed(bench: &Bench<'_>, _: &Run) -> Judged {
    flawed(bench, Flaw::SelfSigned)
}

pub(super) fn expired(bench: &Bench<'_>, _: &Run) -> Judged {
    flawed(bench, Flaw::Expired)
}

pub(super) fn not_yet(bench: &Bench<'_>, _: &Run) -> Judged {
    flawed(bench, Flaw::NotYet)
}

pub(super) fn other_name(bench: &Bench<'_>, _: &Run) -> Judged {
    flawed(bench, Flaw::OtherName)
}

pub(super) fn other_ca(bench: &Bench<'_>, _: &Run) -> Judged {
    flawed(bench, Flaw::OtherCa)
}

pub(super) fn for_clients(bench: &Bench<'_>, _: &Run) -> Judged {
    flawed(bench, Flaw::ForClients)
}

pub(super) fn revoked(bench: &Bench<'_>, _: &Run) -> Judged {
    if !bench.test.subject.says("{crl}") {
        let why = "the client has no list of revoked certificates; a command gets one by {crl}";
        return Ok((Seen::Skip(why.to_owned()), None));
    }
    flawed(bench, Flaw::Revoked)
}

pub(super) fn alert(bench: &Bench<'_>, _: &Run) -> Judged {
    no_leak(bench, &Attack { then: Then::Alert, ..CLEAN })
}

pub(super) fn plaintext(bench: &Bench<'_>, _: &Run) -> Judged {
    no_leak(bench, &Attack { then: Then::Plaintext, ..CLEAN })
}

pub(super) fn old_version(bench: &Bench<'_>, _: &Run) -> Judged {
    let run = bench.play(&Attack { then: Then::OldVersion, ..CLEAN }, Flaw::None)?;
    let after = run.visits.iter().find_map(|visit| visit.after_old_version.as_ref());
    let seen = match after.map(|after| after.as_deref()) {
        None => Seen::Unclear("the client began no handshake".to_owned()),
        Some(Err(_)) => Seen::Pass("the client refuses SSL 3".to_owned()),
        Some(Ok(bytes)) => after_ssl3(bench.test.dialect, &run.secrets, bytes),
    };
    Ok((seen, Some(run)))
}

/// The judgement on what a client sends after a ServerHello of SSL 3, by the type of the record (RFC 6101 §5.2.1).
fn after_ssl3(dialect: &dyn Dialect, secrets: &Secrets, bytes: &[u8]) -> Seen {
    match bytes {
        // It may wait for the rest of the server's flight.
        [] => Seen::Unclear("the client neither refuses SSL 3 nor goes on".to_owned()),
        [21, ..] => Seen::Pass("the client refuses SSL 3".to_owned()),
        [20 | 22 | 23, ..] => {
            Seen::Violation(format!("the client goes on with {}", excerpt(bytes)))
        }
        // No record: the client has left TLS, and may take its leave of the server.
        _ => match leaked(dialect, secrets, bytes) {
            Some(what) => Seen::Violation(format!("after it refused SSL 3, {what}")),
            None => Seen::Pass("the client refuses SSL 3 without an alert".to_owned()),
        },
    }
}

pub(super) fn silence(bench: &Bench<'_>, _: &Run) -> Judged {
    ends(bench, &Attack { then: Then::Silence, ..CLEAN })
}

pub(super) fn cut(bench: &Bench<'_>, _: &Run) -> Judged {
    if bench.test.wait.is_some() {
        let why = "a client that does not end by itself does not show what it does then";
        return Ok((Seen::Skip(why.to_owned()), None));
    }
    ends(bench, &Attack { cut: true, ..CLEAN })
}

/// The client gives up.
fn ends(bench: &Bench<'_>, attack: &Attack) -> Judged {
    let time = bench.test.deadline.unwrap_or(bench.test.patience);
    let run = bench.play_for(attack, Flaw::None, time)?;
    let seconds = time.as_secs_f32();
    // Of a client that does not end by itself only its connections show that it has given up.
    let waits = match bench.test.wait {
        Some(_) => run.visits.iter().any(Visit::was_silent),
        None => run.ended.status.is_none(),
    };
    let seen = if !waits {
        Seen::Pass(match &run.ended.status {
            Some(_) => ended(&run),
            None => format!("the client gives up within {seconds} s"),
        })
    } else if bench.test.deadline.is_some() {
        Seen::Violation(format!("the client still waits after {seconds} s"))
    } else {
        Seen::Unclear(format!(
            "the client still waits after {seconds} s; set the deadline that it must keep"
        ))
    };
    Ok((seen, Some(run)))
}

pub(super) fn offered_inside(bench: &Bench<'_>, _: &Run) -> Judged {
    let setup = Setup { offers_inside: true, ..Setup::CLEAN };
    let run = bench.play(&Attack { setup, ..CLEAN }, Flaw::None)?;
    let seen = if run.visits.iter().any(|visit| visit.asked_inside) {
        Seen::Violation("the client asks for TLS inside TLS".to_owned())
    } else {
        Seen::Pass("the client does not ask again".to_owned())
    };
    Ok((seen, Some(run)))
}

#[cfg(test)]
mod tests {
    use starttls::Protocol;

    use super::*;
    use crate::dialect::known;

    #[test]
    fn a_goodbye_in_plaintext_does_not_go_on_with_ssl_3() {
        let (dialect, secrets) =
            (known(&Protocol::LDAP).expect("a dialect"), Secrets::new().expect("secrets"));
        let judged = |bytes: &[u8]| after_ssl3(dialect, &secrets, bytes);
        // An unbind request, an alert, and nothing.
        assert!(matches!(judged(b"\x30\x05\x02\x01\x02\x42\x00"), Seen::Pass(_)));
        assert!(matches!(judged(&[21, 3, 0, 0, 2, 2, 70]), Seen::Pass(_)));
        assert!(matches!(judged(b""), Seen::Unclear(_)));
        // A ClientKeyExchange, and a simple bind with the password.
        assert!(matches!(judged(&[22, 3, 0, 0, 4, 16, 0, 0, 0]), Seen::Violation(_)));
        let password = secrets.password.as_bytes();
        let bind = [b"\x30\x20\x02\x01\x02\x60\x1b\x02\x01\x03\x04\x00\x80", password].concat();
        assert!(matches!(judged(&bind), Seen::Violation(_)));
    }
}
