//! What a server endures.

use super::bench::{Bench, QUIET, Trouble};
use crate::dialect::{Answer, Ask};
use crate::judge::Seen;
use crate::link::Broken;
use crate::text::excerpt;

pub(super) fn silence(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    let patience = bench.test.deadline.unwrap_or(bench.test.patience);
    let mut link = bench.open()?.link;
    let answer = bench.asked(&mut link, Ask::Upgrade, "the request for TLS")?;
    if bench.dialect.meaning(Ask::Upgrade, &answer) != Answer::Yes {
        return Err(Trouble::new("the request for TLS", excerpt(&answer)));
    }
    let waited = link.hear(patience, |_, _| None);
    link.close();
    let seconds = patience.as_secs_f32();
    Ok(match waited {
        Err(Broken::Silent(_)) if bench.test.deadline.is_some() => {
            Seen::Violation(format!("the server still waits after {seconds} s"))
        }
        Err(Broken::Silent(_)) => Seen::Unclear(format!(
            "the server still waits after {seconds} s; set the deadline that it must keep"
        )),
        _ => Seen::Pass(format!("the server gives up within {seconds} s")),
    })
}

/// The bytes of the line, in pieces.
const PIECE: [u8; 16 * 1024] = [b'x'; 16 * 1024];
const PIECES: usize = 64;

pub(super) fn endless_line(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    let mut link = bench.open()?.link;
    for _ in 0..PIECES {
        match link.send(&PIECE) {
            Ok(()) => {}
            Err(Broken::Closed) => {
                return Ok(Seen::Pass("the server closes the connection".to_owned()));
            }
            // It reads no more, and so keeps no more.
            Err(why) => return Ok(Seen::Pass(format!("the server takes no more: {why}"))),
        }
    }
    Ok(match link.anything(QUIET * 3) {
        Ok(said) if said.is_empty() => Seen::Violation(
            "the server took a mebibyte without the end of a line, and neither complains nor closes"
                .to_owned(),
        ),
        Ok(said) => Seen::Pass(format!("the server answers {}", excerpt(&said))),
        Err(why) => Seen::Pass(format!("the server ends: {why}")),
    })
}
