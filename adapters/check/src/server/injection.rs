//! Bytes between the request for TLS and the handshake.

use std::thread;
use std::time::Duration;

use super::bench::{Bench, QUIET, Trouble};
use crate::dialect::{Answer, Ask};
use crate::judge::Seen;
use crate::link::{Broken, Link};
use crate::text::excerpt;

/// How the planted bytes go.
#[derive(Clone, Copy)]
enum Way {
    SameSegment,
    NextSegment,
    Later,
    AfterGoAhead,
}

pub(super) fn same_segment(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    planted(bench, Way::SameSegment, Ask::Planted)
}

pub(super) fn next_segment(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    planted(bench, Way::NextSegment, Ask::Planted)
}

pub(super) fn later(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    planted(bench, Way::Later, Ask::Planted)
}

pub(super) fn after_go_ahead(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    planted(bench, Way::AfterGoAhead, Ask::Planted)
}

pub(super) fn second_request(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    planted(bench, Way::SameSegment, Ask::Upgrade)
}

fn planted(bench: &Bench<'_>, way: Way, what: Ask) -> Result<Seen, Trouble> {
    inject(bench, way, |link| bench.bytes(link, what).unwrap_or_default())
}

/// The begin of the planted command, without the end of its line.
pub(super) fn half_line(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    inject(bench, Way::SameSegment, |link| {
        let mut bytes = bench.bytes(link, Ask::Planted).unwrap_or_default();
        bytes.truncate(bytes.trim_ascii_end().len());
        bytes
    })
}

fn inject(
    bench: &Bench<'_>,
    way: Way,
    planted: impl Fn(&Link) -> Vec<u8>,
) -> Result<Seen, Trouble> {
    const DOING: &str = "the request for TLS";
    let mut link = bench.open()?.link;
    let request = bench.bytes(&link, Ask::Upgrade).unwrap_or_default();
    let planted = &planted(&link)[..];
    let failed = |why: Broken| Trouble::new(DOING, why);
    match way {
        Way::SameSegment => link.send(&[&request, planted].concat()).map_err(failed)?,
        Way::NextSegment => {
            link.send(&request).map_err(failed)?;
            // The server may have closed already, which is right.
            let _ = link.send(planted);
        }
        Way::Later => {
            link.send(&request).map_err(failed)?;
            thread::sleep(Duration::from_millis(1));
            let _ = link.send(planted);
        }
        Way::AfterGoAhead => link.send(&request).map_err(failed)?,
    }
    let answer = match bench.heard(&mut link, Ask::Upgrade, bench.test.patience) {
        Ok(answer) => answer,
        Err(Broken::Closed) => return Ok(refused("closes the connection")),
        Err(why) => return Err(Trouble::new(DOING, why)),
    };
    if bench.dialect.meaning(Ask::Upgrade, &answer) != Answer::Yes {
        return Ok(refused(&format!("answers {}", excerpt(&answer))));
    }
    if matches!(way, Way::AfterGoAhead) && link.send(planted).is_err() {
        return Ok(refused("closes the connection"));
    }
    match bench.secure(&mut link) {
        Ok(()) => inside(bench, link),
        Err(why) => Ok(refused(&format!("does not complete the handshake ({why})"))),
    }
}

fn refused(how: &str) -> Seen {
    Seen::Pass(format!("the server {how}"))
}

/// Looks for an answer to the planted bytes inside TLS.
fn inside(bench: &Bench<'_>, mut link: Link) -> Result<Seen, Trouble> {
    let name = |said: &[u8]| {
        Seen::Violation(format!(
            "inside TLS the server answers what was sent before it: {}",
            excerpt(said)
        ))
    };
    match bench.greeted_inside(&mut link) {
        Ok(()) => {}
        // The connection ends inside TLS: the server takes the bytes for broken records.
        Err(why) => return Ok(refused(&format!("ends inside TLS ({why})"))),
    }
    match unasked(bench, &mut link) {
        Ok(said) if said.is_empty() => {}
        Ok(said) if bench.dialect.refuses_planted(&said) => {
            return Ok(refused(&format!("refuses it inside TLS: {}", excerpt(&said))));
        }
        Ok(said) => return Ok(name(&said)),
        Err(why) => return Ok(refused(&format!("ends inside TLS ({why})"))),
    }
    let asked = bench.asked(&mut link, Ask::Inside, "the first command inside TLS");
    let mut said = match asked {
        Ok(said) => said,
        // It may have answered only what was planted.
        Err(_) if bench.dialect.answers_planted(link.unread()) => return Ok(name(link.unread())),
        Err(why) => return Ok(refused(&format!("ends inside TLS ({why})"))),
    };
    if bench.dialect.refuses_planted(&said) {
        return Ok(refused(&format!("refuses it inside TLS: {}", excerpt(&said))));
    }
    let meaning = bench.dialect.meaning(Ask::Inside, &said);
    said.extend(unasked(bench, &mut link).unwrap_or_default());
    if meaning != Answer::Yes || bench.dialect.answers_planted(&said) {
        return Ok(name(&said));
    }
    bench.leave(link);
    Ok(Seen::Pass("the server discards it".to_owned()))
}

/// What comes without a question, except what the protocol allows at any time.
fn unasked(bench: &Bench<'_>, link: &mut Link) -> Result<Vec<u8>, Broken> {
    let mut said = link.anything(QUIET)?;
    said.drain(..bench.dialect.unasked_len(&said).min(said.len()));
    Ok(said)
}
