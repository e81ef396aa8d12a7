//! What a server must forget when TLS begins.

use super::bench::{Bench, Trouble};
use crate::dialect::{Answer, Ask, Dialect, Leftover, Looks};
use crate::judge::Seen;
use crate::link::Link;
use crate::text::excerpt;

const DOING: &str = "a command that depends on state";

pub(super) fn hello(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    survives(bench, "state/hello")
}

pub(super) fn transaction(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    survives(bench, "state/transaction")
}

pub(super) fn user(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    survives(bench, "state/user")
}

pub(super) fn capabilities(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    survives(bench, "state/capabilities")
}

pub(super) fn options(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    survives(bench, "state/options")
}

/// Whether a protocol has such state.
pub(super) fn has(dialect: &dyn Dialect, case: &str) -> bool {
    dialect.leftovers().iter().any(|left| left.case == case)
}

fn survives(bench: &Bench<'_>, case: &str) -> Result<Seen, Trouble> {
    let left = bench.dialect.leftovers().iter().find(|left| left.case == case);
    let Some(left) = left else {
        return Ok(Seen::Skip("the protocol has no such state".to_owned()));
    };
    let failing = matches!(left.survives, Looks::FailedLogin);
    if failing && !bench.test.failing_logins {
        return Ok(Seen::Skip("only a login that fails would show it".to_owned()));
    }
    // Without the state: nothing of it, not even the hello if that is the state.
    let control = if left.before.is_empty() { bench.greeted()?.0 } else { bench.open()?.link };
    let Some(without) = ended(bench, control, left, &[])? else {
        return Ok(Seen::Skip(
            "the server begins no TLS without it, so nothing can be compared".to_owned(),
        ));
    };
    // What it would say if it knew the name.
    let known = if failing {
        ended(bench, bench.open()?.link, left, left.before)?.unwrap_or_default()
    } else {
        Vec::new()
    };
    let knows = |answer: &[u8]| match left.survives {
        Looks::FailedLogin => answer == known,
        looks => looks_like(bench, looks, answer),
    };
    if knows(&without) {
        return Ok(Seen::Skip(format!("the server needs no such state: {}", excerpt(&without))));
    }
    let mut link = bench.open()?.link;
    for said in left.before {
        let answer = say(bench, &mut link, left.form, said)?;
        if !looks_like(bench, left.taken, &answer) {
            let why = format!("before TLS the server answers {}", excerpt(&answer));
            return Ok(Seen::Skip(why));
        }
    }
    let Some(answer) = ended(bench, link, left, &[])? else {
        return Ok(Seen::Pass("the server refuses TLS in this state".to_owned()));
    };
    Ok(if knows(&answer) {
        Seen::Violation(format!(
            "inside TLS the server still knows it: {}, and without it {}",
            excerpt(&answer),
            excerpt(&without)
        ))
    } else {
        Seen::Pass(format!("inside TLS the server answers {}", excerpt(&answer)))
    })
}

fn looks_like(bench: &Bench<'_>, looks: Looks, answer: &[u8]) -> bool {
    let meaning = bench.dialect.meaning(Ask::Inside, answer);
    match looks {
        Looks::Success => meaning == Answer::Yes,
        Looks::Progress => matches!(meaning, Answer::Yes | Answer::More),
        Looks::Has(part) => answer.windows(part.len()).any(|window| window == part),
        Looks::FailedLogin => false,
    }
}

/// A stream is opened before TLS, and another one inside.
pub(super) fn stream_id(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    let mut open = bench.open()?;
    let id = |answer: &[u8]| bench.dialect.stream_id(answer);
    let Some(first) = id(&open.hello) else {
        return Ok(Seen::Skip("before TLS the server's stream has no id".to_owned()));
    };
    bench.upgrade(&mut open.link)?;
    let answer = bench.asked(&mut open.link, Ask::Inside, "the first command inside TLS")?;
    bench.leave(open.link);
    Ok(match id(&answer) {
        Some(second) if second == first => {
            Seen::Violation(format!("inside TLS the stream has the id {first:?} again"))
        }
        Some(second) => Seen::Pass(format!("inside TLS the stream has the id {second:?}")),
        None => Seen::Unclear("inside TLS the server's stream has no id".to_owned()),
    })
}

/// Upgrades, says the first commands and the rest. The answer to its last command; `None` if the server refuses TLS.
fn ended(
    bench: &Bench<'_>,
    mut link: Link,
    left: &Leftover,
    first: &[&[u8]],
) -> Result<Option<Vec<u8>>, Trouble> {
    let answer = bench.asked(&mut link, Ask::Upgrade, "the request for TLS")?;
    if bench.dialect.meaning(Ask::Upgrade, &answer) != Answer::Yes {
        bench.leave(link);
        return Ok(None);
    }
    bench.secure(&mut link).map_err(|why| Trouble::new("the handshake", why))?;
    bench.greeted_inside(&mut link)?;
    let mut last = Vec::new();
    for said in first.iter().chain(left.inside) {
        last = say(bench, &mut link, left.form, said)?;
    }
    bench.leave(link);
    Ok(Some(last))
}

fn say(bench: &Bench<'_>, link: &mut Link, form: Ask, said: &[u8]) -> Result<Vec<u8>, Trouble> {
    link.send(said).map_err(|why| Trouble::new(DOING, why))?;
    bench.hear(link, form, DOING)
}
