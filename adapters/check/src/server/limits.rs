//! What a server endures.

use std::time::{Duration, Instant};

use super::bench::{Bench, QUIET, Trouble};
use super::tls;
use crate::dialect::{Answer, Ask};
use crate::hello;
use crate::judge::Seen;
use crate::link::{Broken, Link};
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

/// A ClientHello that takes longer than the server may wait.
pub(super) fn slow_hello(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    let Some(deadline) = bench.test.deadline else {
        return Ok(Seen::Skip("set the deadline that the server must keep".to_owned()));
    };
    let mut link = bench.open()?.link;
    let answer = bench.asked(&mut link, Ask::Upgrade, "the request for TLS")?;
    if bench.dialect.meaning(Ask::Upgrade, &answer) != Answer::Yes {
        return Err(Trouble::new("the request for TLS", excerpt(&answer)));
    }
    let hello = hello::padded(&tls::random()?, &bench.test.domain, 512);
    Ok(drip(link, &hello, deadline))
}

/// A command that takes longer than the server may wait. It does not end.
pub(super) fn slow_command(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    let Some(deadline) = bench.test.command_deadline else {
        return Ok(Seen::Skip("set the deadline that the server must keep".to_owned()));
    };
    let link = bench.open()?.link;
    let mut command = bench.bytes(&link, Ask::Planted).unwrap_or_default();
    let has_lines = command.ends_with(b"\n");
    command.truncate(command.trim_ascii_end().len());
    if has_lines {
        // A long name of a command, within the length of a line.
        command.resize(200, b'x');
    } else {
        command.pop();
    }
    if deadline > PACE * 4 * u32::try_from(command.len()).unwrap_or(u32::MAX) {
        let why = "the protocol has no command that is long enough for such a deadline";
        return Ok(Seen::Skip(why.to_owned()));
    }
    Ok(drip(link, &command, deadline))
}

/// The shortest pause between two bytes; the longest is 4 times as long. A server waits longer than that for one.
const PACE: Duration = Duration::from_millis(500);

/// Sends the begin of these bytes, one at a time, for as long as the deadline.
fn drip(mut link: Link, bytes: &[u8], deadline: Duration) -> Seen {
    let steps = u32::try_from(bytes.len().saturating_sub(1)).unwrap_or(u32::MAX).max(1);
    let (pace, begin) = ((deadline / steps).max(PACE), Instant::now());
    let seconds = deadline.as_secs_f32();
    for byte in bytes {
        if let Err(why) = link.send(&[*byte]) {
            return Seen::Pass(format!("the server gives up within {seconds} s: {why}"));
        }
        match link.hear(pace, |_, _| None) {
            Err(Broken::Silent(_)) if begin.elapsed() < deadline => {}
            Err(Broken::Silent(_)) => break,
            Ok(said) => return Seen::Pass(format!("the server answers {}", excerpt(&said))),
            Err(why) => {
                return Seen::Pass(format!("the server gives up within {seconds} s: {why}"));
            }
        }
    }
    link.close();
    Seen::Violation(format!("the server still waits after {seconds} s"))
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
