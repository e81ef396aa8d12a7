//! Logins before TLS. No name and no password is sent.

use super::bench::{Bench, Trouble};
use crate::dialect::{Answer, Ask};
use crate::judge::Seen;
use crate::text::excerpt;

/// Why a server on this machine is not judged.
fn local(bench: &Bench<'_>) -> Option<Seen> {
    let local = bench.test.address.ip().is_loopback() && !bench.test.local_is_remote;
    local
        .then(|| Seen::Skip("the server is on this machine, and may take it for secure".to_owned()))
}

pub(super) fn offered(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    if let Some(skip) = local(bench) {
        return Ok(skip);
    }
    let open = bench.open()?;
    bench.leave(open.link);
    Ok(match bench.dialect.offers_login(&open.greeting, &open.hello) {
        Some(true) => Seen::Violation(format!(
            "before TLS the server offers logins by password: {}",
            excerpt(if open.hello.is_empty() { &open.greeting } else { &open.hello })
        )),
        _ => Seen::Pass("the server offers no login by password before TLS".to_owned()),
    })
}

pub(super) fn begun(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    if let Some(skip) = local(bench) {
        return Ok(skip);
    }
    let mut link = bench.open()?.link;
    let answer = bench.asked(&mut link, Ask::Login, "a login before TLS")?;
    let meaning = bench.dialect.meaning(Ask::Login, &answer);
    link.close();
    Ok(match meaning {
        Answer::More | Answer::Yes => Seen::Violation(format!(
            "before TLS the server asks for the password: {}",
            excerpt(&answer)
        )),
        _ => Seen::Pass(format!("the server answers {}", excerpt(&answer))),
    })
}
