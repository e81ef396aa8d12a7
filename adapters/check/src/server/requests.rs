//! The request for TLS itself.

use super::bench::{Bench, QUIET, Trouble};
use crate::dialect::{Answer, Ask};
use crate::judge::Seen;
use crate::link::Link;
use crate::text::excerpt;

/// The whole clean upgrade, twice if it fails.
pub(super) fn works(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    if bench.control_upgrade().is_ok() {
        return Ok(Seen::Pass("the upgrade works".to_owned()));
    }
    Ok(match bench.control_upgrade() {
        Ok(()) => Seen::Unclear("the upgrade failed once and worked once".to_owned()),
        Err(trouble) => Seen::Violation(format!("TLS is offered but does not work: {trouble}")),
    })
}

pub(super) fn argument(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    let mut link = bench.open()?.link;
    let answer = bench.asked(&mut link, Ask::Argument, "the request with a parameter");
    Ok(refusal(bench, answer, Ask::Argument, "gives the go-ahead in spite of the parameter"))
}

/// Inside a login the line is a response, so it is refused or waited for.
pub(super) fn within_login(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    let mut link = bench.open()?.link;
    let begun = bench.asked(&mut link, Ask::Login, "a login")?;
    if bench.dialect.meaning(Ask::Login, &begun) != Answer::More {
        bench.leave(link);
        return Ok(Seen::Skip("no login begins before TLS".to_owned()));
    }
    let answer = bench.asked(&mut link, Ask::Upgrade, "the request within a login");
    if answer.is_err() {
        return Ok(silent(link));
    }
    Ok(refusal(bench, answer, Ask::Upgrade, "gives the go-ahead in the middle of a login"))
}

pub(super) fn inside(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    let mut link = bench.upgraded()?;
    let answer = bench.asked(&mut link, Ask::Inside, "the first command inside TLS")?;
    if bench.dialect.meaning(Ask::Inside, &answer) != Answer::Yes {
        return Err(Trouble::new("the first command inside TLS", excerpt(&answer)));
    }
    let answer = bench.asked(&mut link, Ask::Upgrade, "the request inside TLS");
    Ok(refusal(bench, answer, Ask::Upgrade, "gives the go-ahead inside TLS"))
}

pub(super) fn bare_lf(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    const DOING: &str = "the request with LF alone";
    let mut link = bench.open()?.link;
    let mut request = bench.bytes(&link, Ask::Upgrade).unwrap_or_default();
    request.truncate(request.trim_ascii_end().len());
    request.push(b'\n');
    link.send(&request).map_err(|why| Trouble::new(DOING, why))?;
    let patience = bench.test.patience.min(QUIET * 5);
    match bench.heard(&mut link, Ask::Upgrade, patience) {
        Ok(answer) if bench.dialect.meaning(Ask::Upgrade, &answer) == Answer::Yes => {
            Ok(Seen::Violation("the server takes LF alone for the end of the request".to_owned()))
        }
        Ok(answer) => Ok(Seen::Pass(format!("the server answers {}", excerpt(&answer)))),
        Err(_) => Ok(silent(link)),
    }
}

fn silent(link: Link) -> Seen {
    link.close();
    Seen::Pass("the server does not answer, or closes".to_owned())
}

/// Everything but the go-ahead refuses; the end of the connection, too.
fn refusal(bench: &Bench<'_>, answer: Result<Vec<u8>, Trouble>, ask: Ask, otherwise: &str) -> Seen {
    match answer {
        Ok(answer) if bench.dialect.meaning(ask, &answer) == Answer::Yes => {
            Seen::Violation(format!("the server {otherwise}: {}", excerpt(&answer)))
        }
        Ok(answer) => Seen::Pass(format!("the server answers {}", excerpt(&answer))),
        Err(trouble) => Seen::Pass(format!("the server refuses: {trouble}")),
    }
}
