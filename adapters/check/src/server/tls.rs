//! The handshake and the certificate.

use std::thread;
use std::time::Duration;

use super::bench::{Bench, Open, QUIET, Trouble};
use crate::dialect::{Answer, Ask};
use crate::hello::{self, Said};
use crate::judge::Seen;
use crate::link::{Broken, Link};
use crate::text::excerpt;
use crate::trust::credulous;

/// The size of a ClientHello with a post-quantum key share is about this.
const LARGE: usize = 1800;

/// A connection right after the go-ahead.
fn asked(bench: &Bench<'_>) -> Result<Link, Trouble> {
    let Open { mut link, .. } = bench.open()?;
    let answer = bench.asked(&mut link, Ask::Upgrade, "the request for TLS")?;
    match bench.dialect.meaning(Ask::Upgrade, &answer) {
        Answer::Yes => Ok(link),
        _ => Err(Trouble::new("the request for TLS", excerpt(&answer))),
    }
}

pub(super) fn random() -> Result<[u8; 64], Trouble> {
    let mut random = [0; 64];
    getrandom::fill(&mut random).map_err(|why| Trouble::new("random bytes", why))?;
    Ok(random)
}

/// What the server says to a ClientHello that goes in these pieces.
fn answer(
    bench: &Bench<'_>,
    mut link: Link,
    hello: &[u8],
    pieces: usize,
) -> Result<Result<Said, Broken>, Trouble> {
    for piece in hello.chunks(hello.len().div_ceil(pieces)) {
        if let Err(why) = link.send_raw(piece, "a piece of a ClientHello") {
            return Ok(Err(why));
        }
        thread::sleep(Duration::from_millis(if pieces > 1 { 20 } else { 0 }));
    }
    let heard = link.hear(bench.test.patience, |_, bytes| hello::said(bytes).map(|_| bytes.len()));
    link.cut();
    Ok(heard.map(|bytes| hello::said(&bytes).unwrap_or(Said::Other)))
}

pub(super) fn in_pieces(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    let hello = hello::padded(&random()?, &bench.test.domain, 500);
    expect_hello(bench, &hello, 3, "in three segments")
}

pub(super) fn large(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    let hello = hello::padded(&random()?, &bench.test.domain, LARGE);
    expect_hello(bench, &hello, 1, "of 1,800 bytes")
}

/// The control is the same ClientHello, small and whole.
fn expect_hello(
    bench: &Bench<'_>,
    hello: &[u8],
    pieces: usize,
    how: &str,
) -> Result<Seen, Trouble> {
    let small = hello::padded(&random()?, &bench.test.domain, 0);
    match answer(bench, asked(bench)?, &small, 1)? {
        Ok(Said::Hello) => {}
        other => {
            let why = format!("the server does not take this test's ClientHello at all: {other:?}");
            return Ok(Seen::Unclear(why));
        }
    }
    Ok(match answer(bench, asked(bench)?, hello, pieces)? {
        Ok(Said::Hello) => Seen::Pass(format!("the server takes a ClientHello {how}")),
        Ok(other) => Seen::Violation(format!(
            "the server answers a ClientHello {how} with {}",
            if other == Said::Alert { "an alert" } else { "something that is not TLS" }
        )),
        Err(why) => Seen::Violation(format!("the server takes no ClientHello {how}: {why}")),
    })
}

pub(super) fn after_failure(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    let mut link = asked(bench)?;
    let alerted = link.send_raw(&hello::ALERT, "an alert instead of a ClientHello");
    // Many TLS libraries would take what follows at once as a part of the handshake.
    thread::sleep(QUIET);
    if alerted.is_err() || bench.send(&mut link, Ask::Inside, "plaintext").is_err() {
        return Ok(Seen::Pass("the server closes the connection".to_owned()));
    }
    Ok(match bench.heard(&mut link, Ask::Inside, QUIET * 3) {
        Ok(said) if bench.dialect.meaning(Ask::Inside, &said) == Answer::Yes => Seen::Violation(
            format!("the server serves plaintext after a failed handshake: {}", excerpt(&said)),
        ),
        Ok(said) => Seen::Pass(format!("the server answers {}", excerpt(&said))),
        Err(why) => Seen::Pass(format!("the server does not serve: {why}")),
    })
}

pub(super) fn old_versions(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    for (version, name) in [([3, 1], "1.0"), ([3, 2], "1.1")] {
        let hello = hello::old(&random()?, version);
        if let Ok(Said::Hello) = answer(bench, asked(bench)?, &hello, 1)? {
            return Ok(Seen::Violation(format!("the server negotiates TLS {name}")));
        }
    }
    Ok(Seen::Pass("the server negotiates neither".to_owned()))
}

pub(super) fn certificate(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    let Some(verifying) = &bench.test.verifying else {
        return Ok(Seen::Skip("no CA to trust was given".to_owned()));
    };
    let mut link = asked(bench)?;
    let secured = link.secure(verifying, bench.test.name.clone(), bench.test.patience);
    Ok(match secured {
        Ok(()) => {
            bench.leave(link);
            Seen::Pass(format!("the certificate is valid for {}", bench.test.domain))
        }
        Err(why) => Seen::Violation(format!("as {}: {why}", bench.test.domain)),
    })
}

pub(super) fn other_port(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    let Some(address) = bench.test.implicit else {
        return Ok(Seen::Skip("no port for implicit TLS is known".to_owned()));
    };
    let Ok(mut implicit) = bench.connect_to(address) else {
        return Ok(Seen::Skip(format!("there is no server at {address}")));
    };
    if let Err(why) = bench.secure(&mut implicit) {
        return Ok(Seen::Pass(format!("implicit TLS without ALPN at {address} fails: {why}")));
    }
    let theirs = implicit.certificate();
    implicit.close();
    let link = bench.upgraded()?;
    let ours = link.certificate();
    bench.leave(link);
    Ok(if ours.is_some() && ours == theirs {
        Seen::Violation(format!(
            "{address} has the same certificate and takes clients without ALPN"
        ))
    } else {
        Seen::Pass(format!("{address} has another certificate"))
    })
}

pub(super) fn direct_without_alpn(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    let (name, patience) = (bench.test.name.clone(), bench.test.patience);
    let tls = |why| Trouble::new("TLS", why);
    let with = credulous(bench.dialect.protocol().alpn).map_err(tls)?;
    let mut link = bench.connect()?;
    if link.secure(&with, name.clone(), patience).is_err() {
        return Ok(Seen::Skip("the server has no implicit TLS on this port".to_owned()));
    }
    link.close();
    let mut link = bench.connect()?;
    let secured = link.secure(&credulous(None).map_err(tls)?, name, patience);
    // A server of TLS 1.3 can refuse only after the client's side of the handshake is done.
    let refused = secured.is_err() || {
        let asked = bench.asked(&mut link, Ask::Inside, "the first command inside TLS");
        asked.is_err()
    };
    Ok(if refused {
        Seen::Pass("the server refuses implicit TLS without ALPN".to_owned())
    } else {
        Seen::Violation("the server takes implicit TLS without ALPN".to_owned())
    })
}
