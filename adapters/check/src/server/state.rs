//! What a server must forget when TLS begins.

use super::bench::{Bench, Trouble};
use crate::dialect::{Answer, Ask, Leftover};
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

fn survives(bench: &Bench<'_>, case: &str) -> Result<Seen, Trouble> {
    let left = bench.dialect.leftovers().iter().find(|left| left.case == case);
    let Some(left) = left else {
        return Ok(Seen::Skip("the protocol has no such state".to_owned()));
    };
    // Without the state: nothing of it, not even the hello if that is the state.
    let control = if left.before.is_empty() { bench.greeted()?.0 } else { bench.open()?.link };
    let Some(without) = ended(bench, control, left)? else {
        return Ok(Seen::Skip(
            "the server begins no TLS without it, so nothing can be compared".to_owned(),
        ));
    };
    if without.1 == Answer::Yes {
        return Ok(Seen::Skip(format!("the server needs no such state: {}", excerpt(&without.0))));
    }
    let mut link = bench.open()?.link;
    for said in left.before {
        let answer = say(bench, &mut link, said)?;
        if bench.dialect.meaning(Ask::Inside, &answer) != Answer::Yes {
            let why = format!("before TLS the server answers {}", excerpt(&answer));
            return Ok(Seen::Skip(why));
        }
    }
    let Some((answer, meaning)) = ended(bench, link, left)? else {
        return Ok(Seen::Pass("the server refuses TLS in this state".to_owned()));
    };
    Ok(match meaning {
        Answer::Yes => Seen::Violation(format!(
            "inside TLS the server still knows it: {}, and without it {}",
            excerpt(&answer),
            excerpt(&without.0)
        )),
        _ => Seen::Pass(format!("inside TLS the server answers {}", excerpt(&answer))),
    })
}

/// Upgrades and says the rest. The answer to its last command; `None` if the server refuses TLS.
fn ended(
    bench: &Bench<'_>,
    mut link: Link,
    left: &Leftover,
) -> Result<Option<(Vec<u8>, Answer)>, Trouble> {
    let answer = bench.asked(&mut link, Ask::Upgrade, "the request for TLS")?;
    if bench.dialect.meaning(Ask::Upgrade, &answer) != Answer::Yes {
        bench.leave(link);
        return Ok(None);
    }
    bench.secure(&mut link).map_err(|why| Trouble::new("the handshake", why))?;
    bench.greeted_inside(&mut link)?;
    let mut last = Vec::new();
    for said in left.inside {
        last = say(bench, &mut link, said)?;
    }
    let meaning = bench.dialect.meaning(Ask::Inside, &last);
    bench.leave(link);
    Ok(Some((last, meaning)))
}

fn say(bench: &Bench<'_>, link: &mut Link, said: &[u8]) -> Result<Vec<u8>, Trouble> {
    link.send(said).map_err(|why| Trouble::new(DOING, why))?;
    bench.hear(link, Ask::Inside, DOING)
}
